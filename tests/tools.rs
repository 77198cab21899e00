//! The tools from outside: names, help, exit codes, and the parity cases that need no broker.
mod support;

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use support::{kafkars, root, run_command, skip, tool};

#[test]
fn help_and_version_are_for_people() {
    let help = tool(&["--help"], b"").ok();
    for words in [
        "Usage: kafkars TOOL",
        "Topics and records:",
        "console-producer",
    ] {
        assert!(help.contains(words), "{words:?} is not in\n{help}");
    }
    assert!(tool(&["--version"], b"").ok().starts_with("kafkars "));
    assert_eq!(tool(&["topics", "--version"], b"").ok(), "4.3.1\n");
    for (words, usage) in [
        (["help", "topics"], "Usage: kafkars topics"),
        (["help", "kafka-storage.sh"], "Usage: kafkars storage"),
        (["help", "dev"], "Usage: kafkars dev"),
        (["help", "server-start"], "Usage: kafkars server-start"),
    ] {
        let help = tool(&words, b"").ok();
        assert!(help.contains(usage), "{words:?}: {help}");
    }
    let slip = tool(&["help", "topcs"], b"");
    assert_eq!(slip.code, Some(1));
    assert!(
        slip.stderr.contains("did you mean kafkars topics?"),
        "{slip:?}"
    );
}

#[test]
fn a_link_with_a_kafka_name_is_that_tool() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["kafka-topics.sh", "kafka-topics"] {
        let link = dir.path().join(name);
        symlink(kafkars(), &link).unwrap();
        let mut command = Command::new(&link);
        command.arg("--version");
        assert_eq!(run_command(command, b"").ok(), "4.3.1\n", "{name}");
    }
}

#[test]
fn link_tools_makes_a_link_for_every_tool() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(root().join("scripts/link-tools.sh"));
    command.arg(dir.path()).arg(kafkars());
    run_command(command, b"").ok();
    for name in [
        "kafka-topics.sh",
        "kafka-server-start.sh",
        "connect-standalone.sh",
        "kafka-configs",
    ] {
        assert!(dir.path().join(name).is_symlink(), "{name}");
    }
}

#[test]
fn what_is_not_there_is_said_in_one_line() {
    let ran = tool(&["frobnicate"], b"");
    assert_eq!(
        (ran.code, ran.stderr.lines().count()),
        (Some(1), 1),
        "{ran:?}"
    );
    let ran = tool(&["connect-mirror-maker", "mm.properties"], b"");
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr
            .contains("connect-mirror-maker tool is not built into this kafkars yet"),
        "{ran:?}"
    );
}

#[test]
fn a_slip_in_an_option_is_named_with_what_was_meant() {
    let ran = tool(
        &["topics", "--bootstrap-server", "localhost:1", "--lst"],
        b"",
    );
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(ran.code, Some(1));
    assert_eq!(lines.first(), Some(&"lst is not a recognized option"));
    assert_eq!(lines.get(1), Some(&"Did you mean --list?"));
}

/// `kafkars --help | head -1` and the like end quietly.
#[test]
fn a_closed_pipe_is_success() {
    let mut child = Command::new(kafkars())
        .arg("--help")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}

/// An unreachable broker is told of once, and the tool ends when its time is up.
#[test]
fn no_broker_is_one_line_on_stderr() {
    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("quick.properties");
    std::fs::write(
        &settings,
        "default.api.timeout.ms=700\nrequest.timeout.ms=300\n",
    )
    .unwrap();
    let address = format!("127.0.0.1:{}", support::free_port());
    let settings = settings.to_str().unwrap();
    let ran = tool(
        &[
            "topics",
            "--bootstrap-server",
            &address,
            "--list",
            "--command-config",
            settings,
        ],
        b"",
    );
    assert_eq!(ran.code, Some(1));
    let warnings = ran
        .stderr
        .lines()
        .filter(|line| line.contains("WARN"))
        .count();
    assert_eq!(warnings, 1, "{}", ran.stderr);
    assert_eq!(
        ran.stdout,
        "Error while executing topic command : Timed out waiting for a node assignment. \
         Call: listTopics\n"
    );
}

#[test]
fn storage_matches_apache_kafka() {
    if Command::new("python3").arg("--version").output().is_err() {
        return skip("the parity cases of storage", "they need python3");
    }
    let mut command = Command::new(root().join("tests/parity/run"));
    command
        .args(["check", "--kafkars"])
        .arg(kafkars())
        .arg("storage-");
    let ran = run_command(command, b"");
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
}

/// Kafka asks for no more replicas in sync than a partition has.
#[test]
fn one_node_takes_acks_all_whatever_the_least_in_sync() {
    let broker = support::Broker::start();
    let say = |line: &str, stdin: &[u8]| {
        let args: Vec<&str> = line.split(' ').collect();
        broker.tool(&args, stdin).ok()
    };
    say(
        "topics --create --topic t --config min.insync.replicas=2",
        b"",
    );
    say(
        "console-producer --topic t --producer-property acks=all",
        b"kept\n",
    );
    let kept = say(
        "console-consumer --topic t --from-beginning --max-messages 1",
        b"",
    );
    assert_eq!(kept, "kept\n");
}

/// After a clean stop partitions have no leader until they are elected again: the groups must be
/// there when they are, with their offsets.
#[test]
fn a_group_reads_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let consume = |broker: &support::Broker| {
        let address = format!("127.0.0.1:{}", broker.port);
        tool(
            &[
                "console-consumer",
                "--bootstrap-server",
                &address,
                "--topic",
                "t",
                "--group",
                "g",
                "--from-beginning",
                "--max-messages",
                "1",
                "--timeout-ms",
                "30000",
            ],
            b"",
        )
        .ok()
    };
    let mut broker = support::Setup::at(dir.path()).start();
    let address = format!("127.0.0.1:{}", broker.port);
    tool(
        &[
            "console-producer",
            "--bootstrap-server",
            &address,
            "--topic",
            "t",
        ],
        b"a\nb\n",
    )
    .ok();
    assert_eq!(consume(&broker), "a\n");
    broker.stop();
    let broker = support::Setup::at(dir.path()).start();
    assert_eq!(consume(&broker), "b\n");
}
