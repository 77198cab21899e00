//! The tools beside genuine Kafka's, all against the same kafkars broker: `cargo bench --bench tools -- [--quick]`.
//! See README.md.

mod calls;
mod dev;
#[path = "../support/mod.rs"]
mod support;
#[path = "../../tests/support/mod.rs"]
mod testing;
mod transfer;

use support::node::{Node, System};
use support::report::Report;
use support::{Options, process, scratch};
use testing::genuine::Genuine;

fn main() {
    let options = Options::from_args();
    let genuine = Genuine::find("the comparison with genuine Kafka");
    let mut systems = vec![System::Kafkars];
    systems.extend(genuine.as_ref().map(System::Genuine));
    println!("load average before: {}", process::load_average());
    let mut report = Report::default();
    if options.wants("dev") {
        dev::first_record(&options, &systems, &mut report);
    }
    let dir = scratch();
    let node = Node::start(System::Kafkars, dir.path());
    if options.wants("calls") {
        calls::common_calls(&options, &systems, &node, &mut report);
    }
    if options.wants("console") {
        transfer::consoles(&options, &systems, &node, dir.path(), &mut report);
    }
    if options.wants("perf-test") {
        transfer::perf_tests(&options, &systems, &node, dir.path(), &mut report);
    }
    println!("load average after: {}\n", process::load_average());
    let missed = report.print();
    println!("\ntargets missed: {missed}");
}
