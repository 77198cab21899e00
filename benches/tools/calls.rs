//! What a call costs that does next to nothing: starting, connecting, a request or two.

use std::path::Path;
use std::process::Stdio;

use super::support::node::{Node, System};
use super::support::process::{self, Cost};
use super::support::report::{Report, Target, median};
use super::support::{Options, load};

/// Calls in one measurement: CPU is counted in hundredths of a second.
const CALLS: u32 = 50;
const GROUP: &str = "readers";
const WALL_MS: f64 = 20.0;
const RSS_MB: f64 = 15.0;

/// What an operator calls all day. The words after the tool's name; `--bootstrap-server` comes with them.
const COMMON: [&[&str]; 10] = [
    &["topics", "--list"],
    &["topics", "--describe", "--topic", "t-7"],
    &["topics", "--create", "--if-not-exists", "--topic", "t-7"],
    &[
        "configs",
        "--describe",
        "--entity-type",
        "topics",
        "--entity-name",
        "t-7",
    ],
    &[
        "configs",
        "--alter",
        "--entity-type",
        "topics",
        "--entity-name",
        "t-7",
        "--add-config",
        "retention.ms=86400000",
    ],
    &["consumer-groups", "--list"],
    &["consumer-groups", "--describe", "--group", GROUP],
    &["get-offsets", "--topic", "t-7"],
    &["console-producer", "--topic", "t-7"],
    &[
        "console-consumer",
        "--topic",
        "t-7",
        "--from-beginning",
        "--max-messages",
        "1",
    ],
];

/// Each of the calls, on a node with many topics.
pub fn common_calls(options: &Options, systems: &[System], node: &Node, report: &mut Report) {
    let topics = options.size("BENCH_TOPICS", 1000, 100);
    let mut connection = node.connect();
    for topic in 0..topics {
        connection.create_topic(&format!("t-{topic}"), 1);
    }
    load::produce(node.port, "t-7", 1, &load::Batch::new(100, 10), 1);
    read_in_a_group(node);
    let line = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(line.path(), "a record\n").expect("room for a line");
    for call in COMMON {
        for _ in 0..options.reps {
            one_call(call, line.path(), systems, node, report);
        }
    }
}

/// So that there is a group to be listed and described.
fn read_in_a_group(node: &Node) {
    let mut command = System::Kafkars.tool("console-consumer");
    command.args(["--bootstrap-server", &node.bootstrap(), "--group", GROUP]);
    command.args(["--topic", "t-7", "--from-beginning", "--max-messages", "10"]);
    process::run(command, Stdio::null(), Stdio::null());
}

fn one_call(words: &[&str], input: &Path, systems: &[System], node: &Node, report: &mut Report) {
    let input = input.to_owned();
    let call = |system: &System| {
        let mut command = system.tool(words[0]);
        command.args(&words[1..]);
        command.args(["--bootstrap-server", &node.bootstrap()]);
        process::run(command, process::input(&input), Stdio::null())
    };
    let cpu = process::children_cpu_seconds();
    let ours: Vec<Cost> = (0..CALLS).map(|_| call(&systems[0])).collect();
    let cpu = (process::children_cpu_seconds() - cpu) * 1e3 / f64::from(CALLS);
    let genuine = systems.get(1).map(call);
    let median_of = |of: fn(&Cost) -> f64| median(&ours.iter().map(of).collect::<Vec<_>>());
    let name = words[..words.len().min(2)].join(" ");
    let (wall, rss) = (
        median_of(|cost| cost.wall_s * 1e3),
        median_of(|cost| cost.peak_rss_mb),
    );
    let theirs = genuine.map(|g| g.wall_s * 1e3);
    report.add(&name, "ms", Target::AtMost(WALL_MS), wall, theirs);
    let theirs = genuine.map(|g| g.cpu_s * 1e3);
    report.add(&name, "CPU ms", Target::RatioAtMost(0.01), cpu, theirs);
    let theirs = genuine.map(|g| g.peak_rss_mb);
    report.add(&name, "MB peak RSS", Target::AtMost(RSS_MB), rss, theirs);
}
