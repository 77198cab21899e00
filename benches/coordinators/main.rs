//! The coordinators beside genuine Kafka's, in turn, in one run: `cargo bench --bench coordinators -- [--quick]`.

mod classic;
mod commits;
mod consumer;
mod single;
#[path = "../support/mod.rs"]
mod support;
#[path = "../../tests/support/mod.rs"]
mod testing;
mod transactions;

use support::node::{Node, System};
use support::report::Report;
use support::turns::Bench;
use support::{Options, process, scratch};
use testing::genuine::Genuine;

/// As genuine Kafka has it; the tests' nodes do not wait.
const SETTINGS: [(&str, &str); 1] = [("group.initial.rebalance.delay.ms", "3000")];

fn main() {
    let options = Options::from_args();
    let genuine = Genuine::find("the comparison with genuine Kafka");
    let mut systems = vec![System::Kafkars];
    systems.extend(genuine.as_ref().map(System::Genuine));
    println!("load average before: {}", process::load_average());
    let mut report = Report::default();
    let dirs: Vec<_> = systems.iter().map(|_| scratch()).collect();
    let started = systems.iter().zip(&dirs);
    let nodes: Vec<Node> = started
        .map(|(system, dir)| Node::start_with(*system, dir.path(), &SETTINGS))
        .collect();
    let bench = Bench {
        options: &options,
        nodes: &nodes,
        scratch: dirs[0].path(),
    };
    bench.single(&mut report);
    bench.classic(&mut report);
    bench.consumer(&mut report);
    bench.commits(&mut report);
    bench.transactions(&mut report);
    drop(nodes);
    println!("load average after: {}\n", process::load_average());
    let missed = report.print();
    println!("\ntargets missed: {missed}");
}
