//! What `server-start` refuses, each in one line that says why, and how a node is told to stop.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use support::genuine::Genuine;
use support::{
    Broker, PATIENCE, Ran, Setup, answers, free_port, kafkars, run_command, until, wait,
};

fn start(properties: &Path, args: &[&str]) -> Ran {
    let mut command = Command::new(kafkars());
    command.arg("server-start").arg(properties).args(args);
    run_command(command, b"")
}

/// Starts with this setting in vain; what the node says of the reason.
fn refusal(setup: &Setup) -> String {
    let (properties, (port, _)) = setup.write_properties();
    let ran = start(&properties, &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(!answers(port));
    let reasons: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|line| !line.contains(" WARN ") && !line.contains(" INFO "))
        .collect();
    assert_eq!(reasons.len(), 1, "{ran:?}");
    reasons[0].to_owned()
}

#[track_caller]
fn assert_says(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "no {word:?} in {line:?}");
    }
}

#[test]
fn a_directory_in_use_is_refused() {
    let mut broker = Broker::start();
    let line = refusal(&Setup::at(&broker.dir));
    assert_says(&line, &[broker.data().to_str().unwrap(), "in use"]);
    assert!(answers(broker.port), "the holder was disturbed");
    assert!(broker.stop().success());
}

#[test]
fn a_directory_in_use_by_the_other_implementation_is_refused() {
    let Some(genuine) = Genuine::find("a_directory_in_use_by_the_other_implementation_is_refused")
    else {
        return;
    };
    let mut ours = Broker::start();
    let (properties, _) = Setup::at(&ours.dir).write_properties();
    let mut theirs = genuine.command("broker");
    theirs.arg(properties);
    let ran = run_command(theirs, b"");
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert_says(&format!("{}{}", ran.stdout, ran.stderr), &["lock"]);
    assert!(answers(ours.port));
    assert!(ours.stop().success());

    let theirs = Setup::at(&ours.dir).start_genuine(&genuine);
    let line = refusal(&Setup::at(&ours.dir));
    assert_says(&line, &["in use"]);
    assert!(answers(theirs.port));
}

#[test]
fn another_nodes_or_clusters_directory_is_refused() {
    let mut broker = Broker::start();
    assert!(broker.stop().success());
    let line = refusal(
        &Setup::at(&broker.dir)
            .set("node.id", 2)
            .set("controller.quorum.voters", "2@127.0.0.1:9093"),
    );
    assert_says(&line, &["node", "1", "2"]);

    let mut other = Broker::start();
    assert!(other.stop().success());
    let both = format!("{},{}", broker.data().display(), other.data().display());
    let line = refusal(&Setup::at(&broker.dir).set("log.dirs", &both));
    assert_says(&line, &["cluster"]);
}

#[test]
fn a_port_in_use_is_refused() {
    let mut broker = Broker::start();
    let listeners = format!(
        "PLAINTEXT://127.0.0.1:{},CONTROLLER://127.0.0.1:{}",
        broker.port,
        free_port()
    );
    let setup = Setup::default().set("listeners", listeners);
    let (properties, _) = setup.write_properties();
    let ran = start(&properties, &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_says(
        &ran.stderr,
        &["listener", &broker.port.to_string(), "bound"],
    );
    assert!(answers(broker.port));
    assert!(broker.stop().success());
}

#[test]
fn what_clients_cannot_reach_is_not_advertised() {
    let line = refusal(&Setup::default().set("advertised.listeners", "PLAINTEXT://0.0.0.0:9092"));
    assert_says(&line, &["advertised.listeners", "0.0.0.0"]);
}

#[test]
fn bad_values_are_refused_in_a_line_each() {
    for (key, value, word) in [
        ("num.partitions", "many", "many"),
        ("num.partitions", "0", "at least 1"),
        ("log.cleanup.policy", "burn", "burn"),
        ("socket.request.max.bytes", "-1", "-1"),
        ("compression.type", "zip", "zip"),
    ] {
        let line = refusal(&Setup::default().set(key, value));
        assert_says(&line, &[key, word]);
    }
}

#[test]
fn keys_whose_neglect_would_harm_are_refused() {
    for (key, value) in [
        (
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        ),
        ("remote.log.storage.system.enable", "true"),
        ("process.roles", "broker"),
        (
            "controller.quorum.voters",
            "1@127.0.0.1:9093,2@127.0.0.1:9094",
        ),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:SSL,CONTROLLER:PLAINTEXT",
        ),
        ("ssl.client.auth", "required"),
        ("sasl.enabled.mechanisms", "SCRAM-SHA-256"),
    ] {
        let line = refusal(&Setup::default().set(key, value));
        assert_says(&line, &[key.split('.').next().unwrap()]);
    }
}

#[test]
fn an_unknown_key_is_a_warning() {
    let mut broker = Setup::default().set("no.such.key", 1).start();
    assert_says(&broker.log(), &["WARN", "no.such.key"]);
    assert!(broker.stop().success());
}

#[test]
fn a_file_from_the_times_of_zookeeper_starts() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let properties = dir.path().join("server.properties");
    let text = format!(
        "broker.id=0\nlisteners=PLAINTEXT://127.0.0.1:{port}\nlog.dirs={}\n\
         zookeeper.connect=localhost:2181\nzookeeper.connection.timeout.ms=18000\n\
         num.network.threads=3\nnum.io.threads=8\noffsets.topic.replication.factor=1\n",
        dir.path().join("kafka-logs").display()
    );
    fs::write(&properties, text).unwrap();
    let log = fs::File::create(dir.path().join("log")).unwrap();
    let mut child = Command::new(kafkars())
        .arg("server-start")
        .arg(&properties)
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    until("it answers", || {
        assert_eq!(child.try_wait().unwrap(), None, "it ended");
        answers(port).then_some(())
    });
    terminate(child.id());
    assert!(wait(&mut child, PATIENCE).unwrap().success());
    let said = fs::read_to_string(dir.path().join("log")).unwrap();
    assert_says(&said, &["WARN", "ZooKeeper", "zookeeper.connect"]);
}

fn terminate(pid: u32) {
    let sent = Command::new("kill").arg(pid.to_string()).status();
    assert!(sent.unwrap().success());
}

#[test]
fn a_daemon_runs_on_by_itself() {
    let setup = Setup::default();
    let (properties, (port, _)) = setup.write_properties();
    let logs = properties.parent().unwrap().join("logs");
    let mut command = Command::new(kafkars());
    command
        .args(["server-start", "-daemon"])
        .arg(&properties)
        .args(["--override", "num.partitions=4"])
        .env("LOG_DIR", &logs);
    let ran = run_command(command, b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let pid = ran
        .stderr
        .split_whitespace()
        .find_map(|word| word.trim_end_matches(',').parse::<u32>().ok())
        .unwrap_or_else(|| panic!("no process id in {ran:?}"));
    until("it answers", || answers(port).then_some(()));
    terminate(pid);
    until("it has stopped", || {
        let log = fs::read_to_string(logs.join("kafkaServer.out")).unwrap();
        log.contains("stopped in").then_some(())
    });
}

#[test]
fn either_signal_stops_in_order() {
    for signal in ["TERM", "INT"] {
        let mut broker = Broker::start();
        let log = until("it says what it serves", || {
            Some(broker.log()).filter(|log| log.contains(" serves "))
        });
        assert_says(
            &log,
            &["formatted", "Transitioning from RECOVERY to RUNNING"],
        );
        let lines = log.lines().count();
        assert!(lines <= 8, "{lines} lines at start:\n{log}");
        broker.signal(signal);
        let status = broker.ended();
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(broker.data().join(".kafka_cleanshutdown").exists());
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut broker = Broker::start();
    // Both arrive before it can have stopped for the first.
    broker.signal("STOP");
    broker.signal("TERM");
    broker.signal("INT");
    broker.signal("CONT");
    assert_eq!(broker.ended().code(), Some(130));
    assert!(broker.log().contains("stopped at once"));
    assert!(!broker.data().join(".kafka_cleanshutdown").exists());
    // The next start recovers.
    let mut broker = Setup::at(&broker.dir).start();
    assert!(broker.stop().success());
}
