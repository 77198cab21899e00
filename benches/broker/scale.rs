//! Many partitions, many connections, much to recover: each on nodes of its own.

use std::time::Duration;

use super::start::REST;
use super::support::load::{Batch, produce, spread};
use super::support::node::{Node, System};
use super::support::report::{Report, Target};
use super::support::wire::Connection;
use super::support::{Options, scratch};

const PARTITIONS_A_TOPIC: i32 = 10;
/// Of the node with many logs; Kafka's own default of everything else.
const PARTITIONS: i32 = 8;

pub fn scale(options: &Options, systems: &[System<'_>], report: &mut Report) {
    if options.wants("scale: 10,000 partitions") {
        many_partitions(options, systems, report);
    }
    if options.wants("scale: 200 partitions") {
        killed(systems, report);
    }
    if options.wants("scale: recovery") {
        recovery(options, systems, report);
    }
    if options.wants("scale: 5,000 connections") {
        connections(report);
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Starts a node and gives each of `partitions` partitions a small batch.
fn filled<'a>(system: System<'a>, dir: &std::path::Path, partitions: i32) -> Node<'a> {
    let node = Node::start(system, dir);
    let mut admin = node.connect();
    for topic in 0..partitions / PARTITIONS_A_TOPIC {
        let topic = format!("t{topic}");
        admin.create_topic(&topic, PARTITIONS_A_TOPIC);
        spread(&mut admin, &topic, PARTITIONS_A_TOPIC, &Batch::new(100, 1));
    }
    node
}

fn many_partitions(options: &Options, systems: &[System<'_>], report: &mut Report) {
    let partitions = options.size("BENCH_PARTITIONS", 10_000, 1_000) as i32;
    let name = format!("scale: {partitions} partitions, all written");
    let measured: Vec<[f64; 4]> = systems
        .iter()
        .map(|system| {
            let dir = scratch();
            let mut node = filled(*system, dir.path(), partitions);
            std::thread::sleep(REST);
            let written = node.rss_mb();
            let stop = node.stop();
            node.restart();
            let started = node.rss_mb();
            [
                written,
                milliseconds(stop) / 1e3,
                milliseconds(node.start) / 1e3,
                started,
            ]
        })
        .collect();
    let rows = [
        ("MB RSS", Target::RatioAtMost(0.2)),
        ("s to stop", Target::AtMost(3.0)),
        ("s to start after a clean stop", Target::AtMost(0.3)),
        ("MB RSS after the start", Target::AtMost(150.0)),
    ];
    for (at, (unit, target)) in rows.into_iter().enumerate() {
        report.add(
            &name,
            unit,
            target,
            measured[0][at],
            measured.get(1).map(|m| m[at]),
        );
    }
}

fn killed(systems: &[System<'_>], report: &mut Report) {
    let starts: Vec<f64> = systems
        .iter()
        .map(|system| {
            let dir = scratch();
            let mut node = filled(*system, dir.path(), 200);
            node.kill();
            node.restart();
            milliseconds(node.start)
        })
        .collect();
    let name = "scale: 200 partitions, start after kill -9";
    report.add(
        name,
        "ms",
        Target::AtMost(30.0),
        starts[0],
        starts.get(1).copied(),
    );
}

fn recovery(options: &Options, systems: &[System<'_>], report: &mut Report) {
    let megabytes = options.size("BENCH_RECOVERY_MB", 5_000, 300);
    let batch = Batch::new(1024, 64);
    let starts: Vec<f64> = systems
        .iter()
        .map(|system| {
            let dir = scratch();
            let mut node = Node::start(*system, dir.path());
            node.connect().create_topic("t", PARTITIONS);
            let requests = megabytes * 1_000_000 / batch.user_bytes();
            produce(node.port, "t", PARTITIONS as u64, &batch, requests);
            node.kill();
            node.restart();
            node.start.as_secs_f64()
        })
        .collect();
    let name =
        format!("scale: recovery of {megabytes} MB in {PARTITIONS} partitions after kill -9");
    report.add(
        &name,
        "s",
        Target::RatioAtMost(0.33),
        starts[0],
        starts.get(1).copied(),
    );
}

/// Of kafkars alone: the target is absolute.
fn connections(report: &mut Report) {
    const CONNECTIONS: usize = 5_000;
    super::raise_open_files();
    let dir = scratch();
    let node = Node::start(System::Kafkars, dir.path());
    std::thread::sleep(REST);
    let before = node.rss_mb();
    let spoken = |_| {
        let mut connection = node.connect();
        assert!(connection.end_offsets("absent", 1).is_none());
        connection
    };
    let all: Vec<Connection> = (0..CONNECTIONS).map(spoken).collect();
    std::thread::sleep(REST);
    let each = (node.rss_mb() - before) * 1e6 / 1024.0 / CONNECTIONS as f64;
    drop(all);
    report.add(
        "scale: 5,000 connections that have spoken",
        "KiB RSS each",
        Target::AtMost(12.0),
        each,
        None,
    );
}
