//! The broker beside genuine Kafka, in turn, in one run: `cargo bench --bench broker -- [--quick]`. See README.md.

mod latency;
mod load;
mod scale;
mod start;
#[path = "../support/mod.rs"]
mod support;
#[path = "../../tests/support/mod.rs"]
mod testing;

use std::time::{Duration, Instant};

use support::node::{Node, System};
use support::report::{Report, Target};
use support::{Options, process, scratch};
use testing::genuine::Genuine;

const PARTITIONS: i32 = 8;

fn main() {
    let options = Options::from_args();
    let genuine = Genuine::find("the comparison with genuine Kafka");
    let mut systems = vec![System::Kafkars];
    systems.extend(genuine.as_ref().map(System::Genuine));
    println!("load average before: {}", process::load_average());
    let mut report = Report::default();
    binary_size(&mut report);
    let dirs: Vec<_> = systems.iter().map(|_| scratch()).collect();
    let mut nodes: Vec<Node> = systems
        .iter()
        .zip(&dirs)
        .map(|(system, dir)| Node::start(*system, dir.path()))
        .collect();
    if options.wants("start") {
        start::start_and_stop(&options, &mut nodes, &mut report);
    }
    let bench = Bench {
        options: &options,
        nodes: &nodes,
        scratch: dirs[0].path(),
    };
    if options.wants("idle") {
        bench.idle(&mut report);
    }
    bench.load(&mut report);
    bench.latency(&mut report);
    drop(nodes);
    scale::scale(&options, &systems, &mut report);
    println!("load average after: {}\n", process::load_average());
    let missed = report.print();
    println!("\ntargets missed: {missed}");
}

/// As many as the machine lets us have.
fn raise_open_files() {
    let limit = rustix::process::Resource::Nofile;
    let mut limits = rustix::process::getrlimit(limit);
    limits.current = limits.maximum;
    rustix::process::setrlimit(limit, limits).expect("the limit of open files");
}

fn binary_size(report: &mut Report) {
    let size = std::fs::metadata(testing::kafkars())
        .expect("the binary")
        .len();
    let megabytes = size as f64 / 1e6;
    report.add("binary", "MB", Target::AtMost(30.0), megabytes, None);
}

/// Running nodes, kafkars first, and what they are measured with.
struct Bench<'a> {
    options: &'a Options,
    nodes: &'a [Node<'a>],
    scratch: &'a std::path::Path,
}

impl Bench<'_> {
    /// A JVM compiles what it runs often: rounds are run until several in a row cost no less CPU than the cheapest
    /// so far. A single one may be a coincidence: the compiler itself is part of the cost.
    fn warm_up(&self, round: impl Fn(&Node) -> f64) {
        let (patience, settled) = match self.options.quick {
            true => (Duration::from_secs(20), 1),
            false => (Duration::from_secs(90), 3),
        };
        for node in self.nodes.iter().filter(|node| node.is_jvm()) {
            let deadline = Instant::now() + patience;
            let (mut least, mut in_a_row) = (f64::MAX, 0);
            while in_a_row < settled && Instant::now() < deadline {
                let cost = round(node);
                in_a_row = if cost > least * 0.95 { in_a_row + 1 } else { 0 };
                least = least.min(cost);
            }
        }
    }

    /// Measures each node; which comes first alternates from pair to pair.
    fn in_turn<T>(&self, rep: usize, mut measure: impl FnMut(&Node) -> T) -> Vec<T> {
        if rep.is_multiple_of(2) {
            return self.nodes.iter().map(measure).collect();
        }
        let mut measured: Vec<T> = self.nodes.iter().rev().map(&mut measure).collect();
        measured.reverse();
        measured
    }
}
