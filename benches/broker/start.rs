//! Starts and stops of a node without topics, and what it costs while nobody uses it.

use std::time::Duration;

use super::Bench;
use super::support::Options;
use super::support::node::{Node, System};
use super::support::report::{Report, Target, median};
use super::support::wire::Connection;

const IDLE_CONNECTIONS: usize = 1000;
/// How long a node rests before its idle memory is read: buffers are given back, compilers have finished.
pub const REST: Duration = Duration::from_secs(3);

/// Directories are formatted already: the nodes have run once.
pub fn start_and_stop(options: &Options, nodes: &mut [Node], report: &mut Report) {
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

impl Bench<'_> {
    pub fn idle(&self, report: &mut Report) {
        std::thread::sleep(REST);
        let before: Vec<f64> = self.nodes.iter().map(Node::rss_mb).collect();
        report.add(
            "idle: RSS",
            "MB",
            Target::AtMost(15.0),
            before[0],
            before.get(1).copied(),
        );
        super::raise_open_files();
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
}
