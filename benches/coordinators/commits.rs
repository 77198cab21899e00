//! Commits of one consumer, each waited for.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use kafkars::protocol::messages::OffsetCommitRequest;
use kafkars::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};

use super::support::node::Node;
use super::support::report::{Report, Target, median};
use super::support::turns::Bench;

const COMMIT_VERSION: i16 = 9;
/// About as large as a commit and its answer.
const PING_BYTES: usize = 80;

struct Measured {
    per_second: f64,
    p50_us: f64,
    cpu_us: f64,
}

impl Bench<'_> {
    pub fn commits(&self, report: &mut Report) {
        let name = "synchronous commits of one consumer";
        if !self.options.wants(name) {
            return;
        }
        let commits = self.options.size("BENCH_COMMITS", 20_000, 2_000);
        let once = |node: &Node| measure(node, commits);
        self.warm_up(|node| once(node).cpu_us);
        for rep in 0..self.options.reps {
            let round_trip = round_trip_us();
            let all = self.in_turn(rep, once);
            let mut add = |unit, target, value: fn(&Measured) -> f64| {
                report.add(name, unit, target, value(&all[0]), all.get(1).map(value));
            };
            add("commits/s", Target::RatioAtLeast(3.0), |m| m.per_second);
            add("µs p50", Target::AtMost(2.0 * round_trip), |m| m.p50_us);
            add("CPU µs/commit", Target::RatioAtMost(0.33), |m| m.cpu_us);
            report.add(
                "a round trip over loopback",
                "µs p50",
                Target::None,
                round_trip,
                None,
            );
        }
    }
}

fn measure(node: &Node, commits: u64) -> Measured {
    let mut connection = node.connect();
    let group = format!("commits-{:08x}", fastrand::u32(..));
    connection.find_coordinator(&group, 0);
    if connection.end_offsets("committed", 1).is_none() {
        connection.create_topic("committed", 1);
    }
    let cpu = node.cpu_seconds();
    let start = Instant::now();
    let mut waits = Vec::with_capacity(commits as usize);
    for offset in 0..commits {
        let request = OffsetCommitRequest {
            group_id: group.clone(),
            generation_id_or_member_epoch: -1,
            topics: vec![OffsetCommitRequestTopic {
                name: "committed".to_owned(),
                partitions: vec![OffsetCommitRequestPartition {
                    committed_offset: offset as i64,
                    committed_leader_epoch: -1,
                    committed_metadata: Some(String::new()),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let asked = Instant::now();
        let response = connection.ask(&request, COMMIT_VERSION);
        waits.push(asked.elapsed().as_secs_f64() * 1e6);
        assert_eq!(response.topics[0].partitions[0].error_code, 0, "a commit");
    }
    let wall = start.elapsed().as_secs_f64();
    Measured {
        per_second: commits as f64 / wall,
        p50_us: median(&waits),
        cpu_us: (node.cpu_seconds() - cpu) * 1e6 / commits as f64,
    }
}

/// What the machine takes for a question and an answer between two threads that do nothing else.
fn round_trip_us() -> f64 {
    const ROUNDS: usize = 5_000;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("its address");
    let echo = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_nodelay(true).expect("a socket option");
        let mut buffer = [0; PING_BYTES];
        while stream.read_exact(&mut buffer).is_ok() {
            stream.write_all(&buffer).expect("an answer");
        }
    });
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("a socket option");
    let mut buffer = [0; PING_BYTES];
    let mut once = |_| {
        let asked = Instant::now();
        stream.write_all(&buffer).expect("a question");
        stream.read_exact(&mut buffer).expect("an answer");
        asked.elapsed().as_secs_f64() * 1e6
    };
    let waits: Vec<f64> = (0..ROUNDS).map(&mut once).collect();
    drop(stream);
    echo.join().expect("the echo ends");
    median(&waits)
}
