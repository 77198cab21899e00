//! `verifiable-share-consumer` and `share-consumer-perf-test` through the real binary, against our broker and a genuine
//! one: everything is consumed, what was acknowledged is not delivered again, and a signal ends them in order.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;
use support::genuine::Genuine;
use support::{Broker, Setup, kafkars, wait};

const TOPIC: &str = "t";
const RECORDS: usize = 40;

#[test]
fn our_broker() {
    play(&setup().start(), &["auto", "sync", "async"]);
}

#[test]
fn genuine_broker() {
    let Some(genuine) = Genuine::find("tools for share groups with a genuine broker") else {
        return;
    };
    play(&setup().start_genuine(&genuine), &["sync"]);
}

/// Members hear of their assignment soon.
fn setup() -> Setup {
    Setup::default()
        .set("group.share.min.heartbeat.interval.ms", 200)
        .set("group.share.heartbeat.interval.ms", 200)
}

fn play(broker: &Broker, modes: &[&str]) {
    let create = ["topics", "--create", "--topic", TOPIC, "--partitions", "2"];
    broker.tool(&create, b"").ok();
    let count = RECORDS.to_string();
    let fill = [
        "verifiable-producer",
        "--topic",
        TOPIC,
        "--max-messages",
        &count,
        "--repeating-keys",
        "20",
    ];
    broker.tool(&fill, b"").ok();
    for mode in modes {
        verified(broker, mode);
        measured(broker, mode, 0);
    }
    begin_at_the_beginning(broker, "measured");
    measured(broker, "measured", RECORDS);
    measured(broker, "measured", 0);
    ended_by_a_signal(broker);
}

/// Consumes and acknowledges everything; the group has the name of the mode.
fn verified(broker: &Broker, mode: &str) {
    let count = RECORDS.to_string();
    let args = [
        "verifiable-share-consumer",
        "--topic",
        TOPIC,
        "--group-id",
        mode,
        "--max-messages",
        &count,
        "--acknowledgement-mode",
        mode,
        "--offset-reset-strategy",
        "earliest",
        "--verbose",
    ];
    let told = broker.tool(&args, b"").ok();
    let events: Vec<Value> = told
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let named = |name: &'static str| events.iter().filter(move |event| event["name"] == name);
    let sum = |name| {
        named(name)
            .map(|event| event["count"].as_u64().unwrap())
            .sum()
    };
    let counts: (u64, u64) = (sum("records_consumed"), sum("offsets_acknowledged"));
    assert_eq!(counts, (RECORDS as u64, RECORDS as u64), "{mode}: {told}");
    assert!(named("offsets_acknowledged").all(|event| event["success"] == true));
    let mut values: Vec<u64> = named("record_data")
        .map(|event| event["value"].as_str().unwrap().parse().unwrap())
        .collect();
    values.sort_unstable();
    assert_eq!(values, (0..RECORDS as u64).collect::<Vec<_>>(), "{mode}");
    let first_and_last = [0, events.len() - 1].map(|at| events[at]["name"].as_str().unwrap());
    assert_eq!(first_and_last, ["startup_complete", "shutdown_complete"]);
}

fn begin_at_the_beginning(broker: &Broker, group: &str) {
    let args = [
        "configs",
        "--alter",
        "--entity-type",
        "groups",
        "--entity-name",
        group,
        "--add-config",
        "share.auto.offset.reset=earliest",
    ];
    broker.tool(&args, b"").ok();
}

/// Two consumers find so many records for the group.
fn measured(broker: &Broker, group: &str, expected: usize) {
    let patience = if expected == 0 { "1500" } else { "30000" };
    let count = RECORDS.to_string();
    let args = [
        "share-consumer-perf-test",
        "--topic",
        TOPIC,
        "--group",
        group,
        "--num-records",
        &count,
        "--timeout",
        patience,
        "--threads",
        "2",
    ];
    let told = broker.tool(&args, b"").ok();
    let last = told.lines().last().unwrap();
    let records = last.split(", ").nth(5);
    assert_eq!(
        records,
        Some(expected.to_string().as_str()),
        "{group}: {told}"
    );
    assert_eq!(told.contains("WARNING: Exiting before"), expected == 0);
}

fn ended_by_a_signal(broker: &Broker) {
    let mut child = Command::new(kafkars())
        .args([
            "verifiable-share-consumer",
            "--topic",
            TOPIC,
            "--group-id",
            "s",
        ])
        .args(["--bootstrap-server", &broker.bootstrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let began = lines.next().unwrap().unwrap();
    assert!(began.contains("startup_complete"), "{began}");
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let ended = lines.next().unwrap().unwrap();
    assert!(ended.contains("shutdown_complete"), "{ended}");
    let status = wait(&mut child, support::PATIENCE).unwrap();
    assert_eq!(status.code(), Some(143));
}
