//! The broker beside genuine Kafka, in turn, in one run: `cargo bench --bench broker -- [--quick]`. See README.md.

mod latency;
mod load;
mod scale;
mod start;
#[path = "../support/mod.rs"]
mod support;
#[path = "../../tests/support/mod.rs"]
mod testing;

use support::node::{Node, System};
use support::report::{Report, Target};
use support::turns::Bench;
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
