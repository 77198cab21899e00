//! The broker beside genuine Kafka, in turn, in one run: `cargo bench --bench broker -- [--quick]`. See README.md.

mod support;
#[path = "../tests/support/mod.rs"]
mod testing;

use std::time::{Duration, Instant};

use support::load::{Batch, fetch, produce};
use support::node::{Node, System};
use support::report::{Report, Target, median};
use support::wire::Connection;
use support::{Options, process, scratch, warm_page_cache};
use testing::genuine::Genuine;

const PARTITIONS: i32 = 8;
/// How long a node rests before its idle memory is read: buffers are given back, compilers have finished.
const REST: Duration = Duration::from_secs(3);
const IDLE_CONNECTIONS: usize = 1000;
const GB: f64 = 1e9;

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
        start_and_stop(&options, &mut nodes, &mut report);
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
    println!("load average after: {}\n", process::load_average());
    let missed = report.print();
    println!("\ntargets missed: {missed}");
}

fn binary_size(report: &mut Report) {
    let size = std::fs::metadata(testing::kafkars())
        .expect("the binary")
        .len();
    let megabytes = size as f64 / 1e6;
    report.add("binary", "MB", Target::AtMost(30.0), megabytes, None);
}

/// Directories are formatted already: the nodes have run once.
fn start_and_stop(options: &Options, nodes: &mut [Node], report: &mut Report) {
    let mut stops = vec![Vec::new(); nodes.len()];
    let mut starts = vec![Vec::new(); nodes.len()];
    // Ours is short, so it can be measured often; a JVM's start takes seconds.
    for (i, node) in nodes.iter_mut().enumerate() {
        let ours = matches!(node.system, System::Kafkars);
        for _ in 0..options.reps * if ours { 5 } else { 1 } {
            stops[i].push(node.stop().as_secs_f64() * 1e3);
            node.restart();
            starts[i].push(node.start.as_secs_f64() * 1e3);
        }
    }
    let genuine = |all: &[Vec<f64>]| all.get(1).map(|values| median(values));
    let (start, stop) = (median(&starts[0]), median(&stops[0]));
    report.add(
        "start to first answer",
        "ms",
        Target::AtMost(20.0),
        start,
        genuine(&starts),
    );
    report.add("stop", "ms", Target::AtMost(100.0), stop, genuine(&stops));
}

/// Running nodes, kafkars first, and what they are measured with.
struct Bench<'a> {
    options: &'a Options,
    nodes: &'a [Node<'a>],
    scratch: &'a std::path::Path,
}

impl Bench<'_> {
    fn idle(&self, report: &mut Report) {
        std::thread::sleep(REST);
        let before: Vec<f64> = self.nodes.iter().map(Node::rss_mb).collect();
        report.add(
            "idle: RSS",
            "MB",
            Target::AtMost(15.0),
            before[0],
            before.get(1).copied(),
        );
        let limit = rustix::process::Resource::Nofile;
        let mut limits = rustix::process::getrlimit(limit);
        limits.current = limits.maximum;
        rustix::process::setrlimit(limit, limits).expect("the limit of open files");
        let grown: Vec<f64> = self
            .nodes
            .iter()
            .zip(&before)
            .map(|(node, before)| {
                let spoken = |_| {
                    let mut connection = node.connect();
                    assert!(connection.end_offsets("absent", 1).is_none());
                    connection
                };
                let connections: Vec<Connection> = (0..IDLE_CONNECTIONS).map(spoken).collect();
                std::thread::sleep(REST);
                let grown = node.rss_mb() - before;
                drop(connections);
                grown
            })
            .collect();
        let name = "idle: 1,000 connections that have spoken, added RSS";
        report.add(
            name,
            "MB",
            Target::AtMost(16.0),
            grown[0],
            grown.get(1).copied(),
        );
    }

    fn load(&self, report: &mut Report) {
        let bytes = self.options.size("BENCH_PRODUCE_MB", 600, 100) * 1_000_000;
        let small = self.options.size("BENCH_SMALL_REQUESTS", 200_000, 40_000);
        let cases = [
            (
                "produce 100 B × 655, 8 connections",
                8,
                Batch::new(100, 655),
                0.35,
            ),
            (
                "produce 1 KiB × 64, 1 connection",
                1,
                Batch::new(1024, 64),
                0.35,
            ),
        ];
        if cases.iter().any(|case| self.options.wants(case.0)) {
            self.warm_up(|node| {
                let cost = |batch: &Batch| {
                    let requests = 50_000_000 / batch.user_bytes();
                    self.produce_once(node, 8, batch, requests).cpu_s
                };
                cases.iter().map(|(_, _, batch, _)| cost(batch)).sum()
            });
        }
        for (name, connections, batch, most) in &cases {
            if !self.options.wants(name) {
                continue;
            }
            let requests = bytes / batch.user_bytes();
            for rep in 0..self.options.reps {
                let measured = self.in_turn(rep, |node| {
                    self.produce_once(node, *connections, batch, requests)
                });
                add_throughput(report, name, Target::RatioAtMost(*most), &measured);
            }
        }
        let name = "produce one 100 B record a request, 8 connections";
        if self.options.wants(name) {
            let batch = Batch::new(100, 1);
            let once = |node: &Node| self.produce_once(node, 8, &batch, small);
            self.warm_up(|node| once(node).cpu_s);
            for rep in 0..self.options.reps {
                let measured = self.in_turn(rep, |node| {
                    let used = once(node);
                    (
                        used.cpu_s / small as f64 * 1e6,
                        small as f64 / used.wall_s / 1e3,
                    )
                });
                let (cpu, rate) = measured[0];
                let genuine = measured.get(1);
                let target = Target::RatioAtMost(0.7);
                report.add(name, "CPU µs/request", target, cpu, genuine.map(|g| g.0));
                report.add(
                    name,
                    "1,000 requests/s",
                    Target::None,
                    rate,
                    genuine.map(|g| g.1),
                );
            }
        }
        self.fetches(report, bytes);
        let after: Vec<f64> = self.nodes.iter().map(Node::rss_mb).collect();
        report.add(
            "RSS after the load",
            "MB",
            Target::None,
            after[0],
            after.get(1).copied(),
        );
    }

    fn fetches(&self, report: &mut Report, bytes: u64) {
        const TOPIC: &str = "fetched";
        let wanted = |connections: i32| {
            let name = format!("fetch 1 KiB × 64, 1 MiB a partition, {connections} connections");
            self.options.wants(&name).then_some((name, connections))
        };
        let cases: Vec<_> = [1, 8].into_iter().filter_map(wanted).collect();
        if cases.is_empty() {
            return;
        }
        let batch = Batch::new(1024, 64);
        for node in self.nodes {
            node.connect().create_topic(TOPIC, PARTITIONS);
            let _ = warm_page_cache(self.scratch, bytes * 5 / 4);
            produce(node.port, TOPIC, 8, &batch, bytes / batch.user_bytes());
        }
        let loops = if self.options.quick { 2 } else { 5 };
        for (name, connections) in cases {
            let fetch_once = |node: &Node| {
                let cpu = node.cpu_seconds();
                let shape = (PARTITIONS, connections);
                let (received, wall) = fetch(node.port, TOPIC, shape, &batch, loops);
                Used {
                    cpu_s: node.cpu_seconds() - cpu,
                    wall_s: wall.as_secs_f64(),
                    bytes: received as f64,
                }
            };
            self.warm_up(|node| fetch_once(node).cpu_s);
            for rep in 0..self.options.reps {
                let measured = self.in_turn(rep, fetch_once);
                add_throughput(report, &name, Target::RatioAtMost(1.0), &measured);
            }
        }
    }

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

    /// Produces to a topic that is made for it and deleted again.
    fn produce_once(&self, node: &Node, connections: u64, batch: &Batch, requests: u64) -> Used {
        let topic = format!("produced-{:08x}", fastrand::u32(..));
        let mut admin = node.connect();
        admin.create_topic(&topic, PARTITIONS);
        let bytes = requests * batch.user_bytes();
        let _ = warm_page_cache(self.scratch, bytes * 5 / 4);
        let cpu = node.cpu_seconds();
        let wall = produce(node.port, &topic, connections, batch, requests);
        let cpu_s = node.cpu_seconds() - cpu;
        admin.delete_topic(&topic);
        Used {
            cpu_s,
            wall_s: wall.as_secs_f64(),
            bytes: bytes as f64,
        }
    }
}

struct Used {
    cpu_s: f64,
    wall_s: f64,
    bytes: f64,
}

fn add_throughput(report: &mut Report, name: &str, target: Target, used: &[Used]) {
    let cpu = |used: &Used| used.cpu_s / (used.bytes / GB);
    let rate = |used: &Used| used.bytes / 1e6 / used.wall_s;
    let genuine = used.get(1);
    report.add(name, "CPU s/GB", target, cpu(&used[0]), genuine.map(cpu));
    report.add(
        name,
        "MB/s",
        Target::None,
        rate(&used[0]),
        genuine.map(rate),
    );
}
