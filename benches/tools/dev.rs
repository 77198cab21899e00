//! What a test waits for: a broker of its own, and a record through it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::support::load::{self, Batch, Shape};
use super::support::node::{Node, System};
use super::support::report::{Report, Target};
use super::support::wire::Connection;
use super::support::{Options, scratch};
use super::testing::kafkars;

const TARGET_MS: f64 = 60.0;

/// From nothing, with no directory formatted, to the first record produced and consumed.
pub fn first_record(options: &Options, systems: &[System], report: &mut Report) {
    for _ in 0..options.reps {
        let ours = with_kafkars();
        let genuine = systems.get(1).map(|system| with_genuine(*system));
        let name = "dev, to the first record read";
        report.add(name, "ms", Target::AtMost(TARGET_MS), ours, genuine);
    }
}

fn with_kafkars() -> f64 {
    let begun = Instant::now();
    let mut child = Command::new(kafkars())
        .arg("dev")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("kafkars dev");
    let mut address = String::new();
    let output = child.stdout.take().expect("its output");
    BufReader::new(output)
        .read_line(&mut address)
        .expect("its address");
    let (_, port) = address.trim().rsplit_once(':').expect("host and port");
    through(port.parse().expect("a port"));
    let took = begun.elapsed().as_secs_f64() * 1e3;
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
    assert!(child.wait().expect("its status").success());
    took
}

fn with_genuine(system: System) -> f64 {
    let dir = scratch();
    let begun = Instant::now();
    let node = Node::start(system, dir.path());
    through(node.port);
    begun.elapsed().as_secs_f64() * 1e3
}

fn through(port: u16) {
    let batch = Batch::new(100, 1);
    Connection::open(port).create_topic("t", 1);
    load::produce(port, "t", 1, &batch, 1);
    let shape = Shape {
        partitions: 1,
        connections: 1,
        partition_bytes: 1 << 20,
    };
    let (bytes, _) = load::fetch(port, "t", shape, &batch, 1);
    assert!(bytes > 0, "nothing was read");
}
