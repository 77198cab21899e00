//! The systems take turns.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Options;
use super::node::Node;

/// Running nodes, kafkars first, and what they are measured with.
pub struct Bench<'a> {
    pub options: &'a Options,
    pub nodes: &'a [Node<'a>],
    pub scratch: &'a Path,
}

impl Bench<'_> {
    /// A JVM compiles what it runs often: rounds are run until several in a row cost no less CPU than the cheapest
    /// so far. A single one may be a coincidence: the compiler itself is part of the cost.
    pub fn warm_up(&self, round: impl Fn(&Node) -> f64) {
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
    pub fn in_turn<T>(&self, rep: usize, mut measure: impl FnMut(&Node) -> T) -> Vec<T> {
        if rep.is_multiple_of(2) {
            return self.nodes.iter().map(measure).collect();
        }
        let mut measured: Vec<T> = self.nodes.iter().rev().map(&mut measure).collect();
        measured.reverse();
        measured
    }
}
