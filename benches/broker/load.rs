//! Throughput: produce and fetch by raw load on a few connections.

use super::support::load::{Batch, Codec, Shape, fetch, produce};
use super::support::node::Node;
use super::support::report::{Report, Target};
use super::support::warm_page_cache;
use super::{Bench, PARTITIONS};

const GB: f64 = 1e9;

impl Bench<'_> {
    pub fn load(&self, report: &mut Report) {
        let bytes = self.options.size("BENCH_PRODUCE_MB", 600, 100) * 1_000_000;
        let small = self.options.size("BENCH_SMALL_REQUESTS", 200_000, 40_000);
        let cases = [
            (
                "produce 100 B × 655, 1 connection",
                1,
                Batch::new(100, 655),
                0.22,
            ),
            (
                "produce 100 B × 655, 8 connections",
                8,
                Batch::new(100, 655),
                0.22,
            ),
            (
                "produce 1 KiB × 64, 1 connection",
                1,
                Batch::new(1024, 64),
                0.22,
            ),
            (
                "produce 1 KiB × 64, 8 connections",
                8,
                Batch::new(1024, 64),
                0.22,
            ),
            (
                "produce 1 KiB × 64 in lz4, 8 connections",
                8,
                Batch::text(Codec::Lz4),
                0.3,
            ),
            (
                "produce 1 KiB × 64 in zstd, 8 connections",
                8,
                Batch::text(Codec::Zstd),
                0.38,
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
                let target = Target::RatioAtMost(0.5);
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
        let cases = [
            (1, 1 << 20, "1 MiB", 0.9),
            (8, 1 << 20, "1 MiB", 0.75),
            (8, 64 << 10, "64 KiB", 0.6),
        ];
        let cases = cases.map(|(connections, bytes, size, most)| {
            let name = format!("fetch 1 KiB × 64, {size} a partition, {connections} connections");
            (name, connections, bytes, most)
        });
        let cases: Vec<_> = cases
            .iter()
            .filter(|case| self.options.wants(&case.0))
            .collect();
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
        for (name, connections, partition_bytes, most) in cases {
            let fetch_once = |node: &Node| {
                let cpu = node.cpu_seconds();
                let shape = Shape {
                    partitions: PARTITIONS,
                    connections: *connections,
                    partition_bytes: *partition_bytes,
                };
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
                add_throughput(report, name, Target::RatioAtMost(*most), &measured);
            }
        }
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
        Target::RatioAtLeast(0.95),
        rate(&used[0]),
        genuine.map(rate),
    );
}
