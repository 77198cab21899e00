//! Latency at a rate: from when a record was due to be sent until a consumer has it. The load does not wait for the
//! node (an open loop), so that what a pause delays is counted in full.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kafkars::protocol::frame;
use kafkars::protocol::messages::{FetchResponse, ProduceResponse};
use kafkars::record::batches;

use super::Bench;
use super::support::load::{self, Batch, FETCH_VERSION, PRODUCE_VERSION};
use super::support::node::Node;
use super::support::report::{Report, Target};
use super::support::wire::{Connection, encode};

const VALUE_BYTES: u64 = 100;
/// Of a run, not counted.
const WARM_UP: Duration = Duration::from_millis(1500);
/// How long records may still be on their way when the last was sent.
const PATIENCE: Duration = Duration::from_secs(20);

struct Measured {
    p50_ms: f64,
    p999_ms: f64,
    cpu_percent: f64,
}

impl Bench<'_> {
    pub fn latency(&self, report: &mut Report) {
        let seconds = self.options.size("BENCH_LATENCY_SECONDS", 8, 2);
        for (rate, partitions, most_p50, most_p999) in
            [(1_000, 1, 0.75, 0.2), (20_000, 4, 0.75, 0.2)]
        {
            let name = format!("latency at {rate} records/s, one a request");
            if !self.options.wants(&name) {
                continue;
            }
            let length = Duration::from_secs(seconds);
            let once = |node: &Node| at_rate(node, partitions, rate, length);
            self.warm_up(|node| {
                at_rate(node, partitions, rate, Duration::from_secs(3)).cpu_percent
            });
            for rep in 0..self.options.reps {
                let all = self.in_turn(rep, once);
                let cpu_target = match rate {
                    20_000 => Target::RatioAtMost(0.45),
                    _ => Target::None,
                };
                let mut add = |unit, target, value: fn(&Measured) -> f64| {
                    report.add(&name, unit, target, value(&all[0]), all.get(1).map(value));
                };
                add("ms p50", Target::RatioAtMost(most_p50), |m| m.p50_ms);
                add("ms p99.9", Target::RatioAtMost(most_p999), |m| m.p999_ms);
                add("% of a core", cpu_target, |m| m.cpu_percent);
            }
        }
    }
}

/// Sends `rate` records a second in all to `partitions` partitions, a request each, and consumes them.
fn at_rate(node: &Node, partitions: i32, rate: u64, length: Duration) -> Measured {
    let topic = format!("latency-{:08x}", fastrand::u32(..));
    let mut admin = node.connect();
    admin.create_topic(&topic, partitions);
    let pause = Duration::from_secs(1) * partitions as u32 / rate as u32;
    let records = (WARM_UP + length).as_nanos() / pause.as_nanos();
    let cpu = node.cpu_seconds();
    let epoch = Instant::now();
    let mut latencies: Vec<Duration> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..partitions)
            .map(|partition| {
                let lane = Lane {
                    node,
                    topic: &topic,
                    partition,
                    epoch,
                    pause,
                    records: records as i64,
                };
                scope.spawn(move || lane.run())
            })
            .collect();
        lanes
            .into_iter()
            .flat_map(|lane| lane.join().expect("a lane"))
            .collect()
    });
    let wall = epoch.elapsed();
    let cpu = node.cpu_seconds() - cpu;
    admin.delete_topic(&topic);
    latencies.sort_unstable();
    let at = |part: f64| {
        let index = (latencies.len() as f64 * part) as usize;
        latencies
            .get(index)
            .map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    };
    Measured {
        p50_ms: at(0.5),
        p999_ms: at(0.999),
        cpu_percent: cpu / wall.as_secs_f64() * 100.0,
    }
}

/// One partition with its producer and its consumer.
struct Lane<'a> {
    node: &'a Node<'a>,
    topic: &'a str,
    partition: i32,
    epoch: Instant,
    pause: Duration,
    records: i64,
}

impl Lane<'_> {
    fn run(&self) -> Vec<Duration> {
        let connection = self.node.connect();
        let acknowledged = connection.twin();
        let ended = connection.stream().try_clone().expect("a twin");
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let consumer = scope.spawn(|| self.consume());
            scope.spawn(|| check_answers(acknowledged, &done));
            self.produce(connection);
            let latencies = consumer.join().expect("the consumer");
            done.store(true, Ordering::Relaxed);
            close(&ended);
            latencies
        })
    }

    fn due(&self, record: i64) -> Instant {
        self.epoch + self.pause * record as u32
    }

    fn produce(&self, mut connection: Connection) {
        let mut value = vec![b'v'; VALUE_BYTES as usize];
        for record in 0..self.records {
            let due = self.due(record);
            if let Some(early) = due.checked_duration_since(Instant::now()) {
                thread::sleep(early);
            }
            value[..8].copy_from_slice(&record.to_be_bytes());
            let batch = Batch::of_value(&value);
            let mut request = load::produce_request(self.topic, self.partition, &batch);
            connection
                .send(&mut request, record as i32)
                .expect("a request is sent");
        }
    }

    fn consume(&self) -> Vec<Duration> {
        let mut connection = self.node.connect();
        let mut latencies = Vec::with_capacity(self.records as usize);
        let counted_from = self.epoch + WARM_UP;
        let deadline = self.due(self.records) + PATIENCE;
        let mut offset = 0;
        while offset < self.records {
            assert!(
                Instant::now() < deadline,
                "records are missing from {offset} on"
            );
            let request = load::fetch_request(self.topic, &[(self.partition, offset)], 1 << 20);
            connection
                .send(&mut encode(&request, FETCH_VERSION), 1)
                .expect("a request is sent");
            let body = connection.receive().expect("a response");
            let now = Instant::now();
            let (_, response) =
                frame::decode_response::<FetchResponse>(body, FETCH_VERSION).expect("a response");
            let partitions = response
                .responses
                .into_iter()
                .flat_map(|topic| topic.partitions);
            for partition in partitions {
                assert_eq!(partition.error_code, 0, "fetch was refused");
                let Some(kafkars::protocol::Records::Bytes(bytes)) = partition.records else {
                    continue;
                };
                for batch in batches(&bytes).map_while(Result::ok) {
                    for record in &batch.records().expect("records") {
                        let record = record.expect("a record");
                        let value = record
                            .value
                            .and_then(|value| value.first_chunk())
                            .expect("a number");
                        let due = self.due(i64::from_be_bytes(*value));
                        if due > counted_from {
                            latencies.push(now - due);
                        }
                        offset = record.offset + 1;
                    }
                }
            }
        }
        latencies
    }
}

fn close(stream: &TcpStream) {
    let _already_closed = stream.shutdown(Shutdown::Both);
}

/// Reads acknowledgements until the connection is closed.
fn check_answers(mut connection: Connection, done: &AtomicBool) {
    loop {
        let body = match connection.receive() {
            Ok(body) => body,
            Err(_) if done.load(Ordering::Relaxed) => return,
            Err(e) => panic!("no answer: {e}"),
        };
        let (_, response) =
            frame::decode_response::<ProduceResponse>(body, PRODUCE_VERSION).expect("a response");
        assert_eq!(
            response.responses[0].partition_responses[0].error_code, 0,
            "produce was refused"
        );
    }
}
