//! The tools that read what a broker wrote, against Apache Kafka's own over the same files, and the one that compares replicas.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::genuine::Genuine;
use support::{Broker, Ran, kafkars, root, run_command, until};
use tempfile::TempDir;

/// A data directory that Apache Kafka left behind.
fn unpacked(name: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let archive = root().join("tests/fixtures").join(name).join("data.tar.gz");
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(archive)
        .arg("-C")
        .arg(dir.path())
        .status();
    assert!(unpacked.unwrap().success());
    dir
}

/// The files below whose paths are wanted, in order.
fn files(dir: &Path, wanted: impl Fn(&str) -> bool + Copy) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, wanted));
        } else if wanted(path.to_str().unwrap()) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn ours(tool: &str, args: &[&str], stdin: &str) -> Ran {
    let mut command = Command::new(kafkars());
    command.arg(tool).args(args);
    run_command(command, stdin.as_bytes())
}

/// What is on stderr beside a Java program's own lines.
fn told(ran: &Ran) -> Vec<&str> {
    let java = |line: &&str| {
        line.starts_with('[') || line.starts_with("\tat ") || line.starts_with("Exception in")
    };
    ran.stderr.lines().filter(|line| !java(line)).collect()
}

#[test]
fn dump_log_prints_what_kafkas_prints() {
    let Some(genuine) = Genuine::find("dump_log_prints_what_kafkas_prints") else {
        return;
    };
    let (clean, unclean) = (unpacked("clean"), unpacked("unclean"));
    let compare = |files: &[PathBuf], options: &[&str]| {
        assert!(!files.is_empty());
        let files: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
        let files = files.join(",");
        let args: Vec<&str> = ["--files", &files]
            .into_iter()
            .chain(options.iter().copied())
            .collect();
        let (theirs, ours) = (
            genuine.tool("dump-log", &args, b""),
            ours("dump-log", &args, ""),
        );
        assert_eq!(
            ours.stdout, theirs.stdout,
            "{args:?}: {}{}",
            ours.stderr, theirs.stderr
        );
        assert_eq!(ours.code, theirs.code, "{args:?}");
        if ours.code == Some(0) {
            assert_eq!(told(&ours), told(&theirs), "{args:?}");
        }
    };
    let of = |dir: &TempDir, part: &str, suffixes: &[&str]| {
        let wanted = |path: &str| {
            path.contains(part) && suffixes.iter().any(|suffix| path.ends_with(suffix))
        };
        files(dir.path(), wanted)
    };
    compare(&of(&clean, "", &[".log"]), &["--print-data-log"]);
    compare(
        &of(&clean, "", &[".log"]),
        &["--print-data-log", "--skip-record-metadata"],
    );
    compare(&of(&unclean, "", &[".log"]), &[]);
    // It ends within the damaged batch of one of them.
    compare(&of(&unclean, "", &[".log"]), &["--deep-iteration"]);
    for (part, option) in [
        ("__consumer_offsets", "--offsets-decoder"),
        ("__transaction_state", "--transaction-log-decoder"),
        ("__share_group_state", "--share-group-state-decoder"),
    ] {
        compare(&of(&clean, part, &[".log"]), &[option]);
    }
    let metadata = [".log", "-0000000001.checkpoint"];
    compare(
        &of(&clean, "__cluster_metadata", &metadata),
        &["--cluster-metadata-decoder"],
    );
    compare(
        &of(&unclean, "__cluster_metadata", &metadata),
        &["--cluster-metadata-decoder"],
    );
    compare(&of(&clean, "", &[".snapshot", ".txnindex"]), &[]);
    // The deleted partition has lost its offset index: Kafka makes an empty one, and fails.
    let mut indexes = of(&clean, "", &[".index", ".timeindex"]);
    indexes.retain(|path| !path.to_str().unwrap().contains("-delete"));
    for option in [&[][..], &["--index-sanity-check"], &["--verify-index-only"]] {
        compare(&indexes, option);
    }
}

#[test]
fn metadata_shell_answers_what_kafkas_answers() {
    let Some(genuine) = Genuine::find("metadata_shell_answers_what_kafkas_answers") else {
        return;
    };
    for name in ["clean", "unclean"] {
        let data = unpacked(name);
        for snapshot in files(data.path(), |path| path.ends_with(".checkpoint")) {
            let args = ["--snapshot", snapshot.to_str().unwrap(), "tree", "/image"];
            // On a busy machine genuine Kafka's shell answers before it has read the snapshot.
            let theirs = until("genuine Kafka's shell has read the snapshot", || {
                let ran = genuine.tool("metadata-shell", &args, b"");
                (!ran.stdout.contains("offset -1, epoch -1")).then_some(ran)
            });
            let ours = ours("metadata-shell", &args, "");
            assert_eq!(ours.stdout, theirs.stdout, "{args:?}: {}", ours.stderr);
            assert_eq!((ours.code, ours.stderr.as_str()), (Some(0), ""));
        }
    }
    let data = unpacked("clean");
    let snapshots = files(data.path(), |path| path.ends_with("-0000000001.checkpoint"));
    let args = ["-s", snapshots[0].to_str().unwrap()];
    let session = "pwd\nls\ncd /image/topics\npwd\nls\ncd byName/plain/0\ncd nope\nls byName/pl* byName/txn/0\n\
                   cat byName/{plain,txn}/name byId\ncd ..\npwd\nc\nl\nbogus\nls -x\nhistory\nhistory 2\nhistory abc\nhelp\n\
                   man ls\nman cd\nman cat\nman exit\nman nope\nman\n\n  \nls \"by Name\"\nfind .\nexit 1 2\n\
                   tree topics/byName/plain nowhere\nexit\nls\n";
    let theirs = genuine.tool("metadata-shell", &args, session.as_bytes());
    let ours = ours("metadata-shell", &args, session);
    assert_eq!(ours.stdout, theirs.stdout, "{}", ours.stderr);
    assert_eq!(ours.code, Some(0));
}

/// Kafka's shell shows nothing of a log, whose end it waits for in vain.
#[test]
fn metadata_shell_replays_a_log() {
    let data = unpacked("clean");
    let log = &files(data.path(), |path| {
        path.ends_with("__cluster_metadata-0/00000000000000000000.log")
    })[0];
    let args = [
        "--snapshot",
        log.to_str().unwrap(),
        "ls",
        "/image/topics/byName/plain",
    ];
    assert_eq!(
        ours("metadata-shell", &args, "").ok(),
        "0\n1\n2\nid\nname\n"
    );
}

#[test]
fn replicas_are_compared_until_the_tool_is_stopped() {
    let broker = Broker::start();
    let address = broker.bootstrap();
    let at = ["--bootstrap-server", &address];
    ours(
        "topics",
        &[&at[..], &["--create", "--topic", "rv", "--partitions", "2"]].concat(),
        "",
    )
    .ok();
    ours(
        "console-producer",
        &[&at[..], &["--topic", "rv"]].concat(),
        "a\nb\nc\n",
    )
    .ok();
    let mut tool = Command::new(kafkars())
        .args([
            "replica-verification",
            "--broker-list",
            &address,
            "--topics-include",
            "rv",
        ])
        .args([
            "--time",
            "-2",
            "--max-wait-ms",
            "50",
            "--report-interval-ms",
            "100",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tool.stdout.take().unwrap()).lines();
    let started = lines.next().unwrap().unwrap();
    assert!(
        started.ends_with(": verification process is started"),
        "{started}"
    );
    let report = lines.next().unwrap().unwrap();
    let lag = ": max lag is 0 for partition rv-";
    assert!(
        report.contains(lag) && report.ends_with(" among 2 partitions"),
        "{report}"
    );
    tool.kill().unwrap();
    tool.wait().unwrap();
}

#[test]
fn replicas_of_no_topic_are_an_error() {
    let broker = Broker::start();
    let address = broker.bootstrap();
    let ran = ours(
        "replica-verification",
        &["--broker-list", &address, "--topics-include", "none"],
        "",
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(
        ran.stderr.contains("No topics found. --topics-include"),
        "{}",
        ran.stderr
    );
    let ran = ours("replica-verification", &["--time", "-1"], "");
    assert!(
        ran.stderr
            .contains("Missing required argument \"[broker-list]\""),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.code, Some(1));
}

#[test]
fn tools_about_java_say_what_replaces_them() {
    for tool in ["jmx", "run-class", "trogdor"] {
        let ran = ours(tool, &["--help"], "");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{tool}");
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
}
