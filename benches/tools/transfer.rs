//! Records by the million through the console tools and the load tools.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::support::node::{Node, System};
use super::support::process::{self, Cost};
use super::support::report::{Report, Target};
use super::support::{Options, warm_page_cache};

const LINE: usize = 100;
const GB: f64 = 1e9;

/// A file through the console producer into a topic, and out of it through the console consumer.
pub fn consoles(
    options: &Options,
    systems: &[System],
    node: &Node,
    dir: &Path,
    report: &mut Report,
) {
    let size = options.size("BENCH_FILE_MB", 1000, 100) * 1_000_000;
    let lines = size / LINE as u64;
    let input = dir.join("input");
    write_lines(&input, lines);
    for rep in 0..options.reps {
        let mut produced = Vec::new();
        let mut consumed = Vec::new();
        for system in systems {
            let topic = format!("lines-{}-{rep}", system.name());
            node.connect().create_topic(&topic, 1);
            let _ = warm_page_cache(dir, size * 5 / 4);
            produced.push(produce_file(*system, node, &topic, &input));
            let _ = warm_page_cache(dir, size);
            consumed.push(consume_file(*system, node, &topic, lines, &input, dir));
            node.connect().delete_topic(&topic);
        }
        add(report, "console-producer < file", size, &produced);
        add(report, "console-consumer > file", size, &consumed);
    }
}

fn add(report: &mut Report, name: &str, size: u64, costs: &[Cost]) {
    let (cpu, rate) = (Target::RatioAtMost(0.1), Target::RatioAtLeast(5.0));
    add_transfer(report, name, size, costs, [cpu, rate]);
    let peak = costs.get(1).map(|genuine| genuine.peak_rss_mb);
    let ours = costs[0].peak_rss_mb;
    report.add(name, "MB peak RSS", Target::AtMost(64.0), ours, peak);
}

/// The load tools, each into or out of a topic of its own.
pub fn perf_tests(
    options: &Options,
    systems: &[System],
    node: &Node,
    dir: &Path,
    report: &mut Report,
) {
    let size = options.size("BENCH_FILE_MB", 1000, 100) * 1_000_000;
    let records = (size / LINE as u64).to_string();
    for rep in 0..options.reps {
        let mut produced = Vec::new();
        let mut consumed = Vec::new();
        for system in systems {
            let topic = format!("load-{}-{rep}", system.name());
            node.connect().create_topic(&topic, 1);
            let _ = warm_page_cache(dir, size * 5 / 4);
            let mut command = system.tool("producer-perf-test");
            command.args(["--topic", &topic, "--bootstrap-server", &node.bootstrap()]);
            command.args(["--num-records", &records, "--throughput", "-1"]);
            command.args(["--record-size", &LINE.to_string()]);
            produced.push(process::run(command, Stdio::null(), Stdio::null()));
            let mut command = system.tool("consumer-perf-test");
            command.args(["--topic", &topic, "--bootstrap-server", &node.bootstrap()]);
            command.args(["--num-records", &records]);
            consumed.push(process::run(command, Stdio::null(), Stdio::null()));
            node.connect().delete_topic(&topic);
        }
        add_load(report, "producer-perf-test", size, &produced);
        add_load(report, "consumer-perf-test", size, &consumed);
    }
}

fn add_load(report: &mut Report, name: &str, size: u64, costs: &[Cost]) {
    let (cpu, rate) = (Target::RatioAtMost(1.0 / 3.0), Target::RatioAtLeast(2.0));
    add_transfer(report, name, size, costs, [cpu, rate]);
}

/// What so many bytes cost, and how fast they went.
fn add_transfer(report: &mut Report, name: &str, size: u64, costs: &[Cost], targets: [Target; 2]) {
    let (ours, genuine) = (costs[0], costs.get(1).copied());
    let cpu = |cost: Cost| cost.cpu_s / (size as f64 / GB);
    let rate = |cost: Cost| size as f64 / 1e6 / cost.wall_s;
    let [cpu_target, rate_target] = targets;
    report.add(name, "CPU s/GB", cpu_target, cpu(ours), genuine.map(cpu));
    report.add(name, "MB/s", rate_target, rate(ours), genuine.map(rate));
}

fn produce_file(system: System, node: &Node, topic: &str, input: &PathBuf) -> Cost {
    let mut command = system.tool("console-producer");
    command.args(["--topic", topic, "--bootstrap-server", &node.bootstrap()]);
    process::run(command, process::input(input), Stdio::null())
}

fn consume_file(
    system: System,
    node: &Node,
    topic: &str,
    lines: u64,
    input: &Path,
    dir: &Path,
) -> Cost {
    let mut command = system.tool("console-consumer");
    command.args(["--topic", topic, "--bootstrap-server", &node.bootstrap()]);
    command.args(["--from-beginning", "--max-messages", &lines.to_string()]);
    let output = dir.join("output");
    let cost = process::run(command, Stdio::null(), process::output(&output));
    assert!(
        same(input, &output),
        "{} lost or changed lines",
        system.name()
    );
    std::fs::remove_file(output).expect("the output is there");
    cost
}

/// Numbered lines of text, no two alike.
fn write_lines(path: &Path, lines: u64) {
    let mut file = BufWriter::new(File::create(path).expect("the input"));
    let tail: String = (0..LINE - 14).map(|_| fastrand::alphanumeric()).collect();
    for line in 0..lines {
        writeln!(file, "{line:012} {tail}").expect("room for the input");
    }
    file.flush().expect("room for the input");
}

fn same(a: &Path, b: &Path) -> bool {
    let open = |path| BufReader::with_capacity(1 << 20, File::open(path).expect("a file"));
    let (mut a, mut b) = (open(a), open(b));
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let n = a.read(&mut left).expect("a file that can be read");
        if n == 0 {
            return b.read(&mut right).expect("a file that can be read") == 0;
        }
        if b.read_exact(&mut right[..n]).is_err() || left[..n] != right[..n] {
            return false;
        }
    }
}
