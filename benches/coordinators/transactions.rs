//! Transactions of one producer, one after the other, each of one batch of 100 records (KIP-890's second generation).

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kafkars::protocol::Records;
use kafkars::protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafkars::protocol::messages::{EndTxnRequest, InitProducerIdRequest, ProduceRequest};
use kafkars::record::{BatchBuilder, BatchMeta};

use super::support::node::Node;
use super::support::report::{Report, Target};
use super::support::turns::Bench;
use super::support::wire::Connection;

const INIT_VERSION: i16 = 5;
const PRODUCE_VERSION: i16 = 12;
const END_VERSION: i16 = 5;
const CONCURRENT_TRANSACTIONS: i16 = 51;
const NOT_COORDINATOR: i16 = 16;
const COORDINATOR_LOADS: i16 = 14;
const RECORDS: usize = 100;
const TRANSACTION: i8 = 1;

struct Measured {
    per_second: f64,
    cpu_us: f64,
}

impl Bench<'_> {
    pub fn transactions(&self, report: &mut Report) {
        let name = "transactions of 100 records";
        if !self.options.wants(name) {
            return;
        }
        let count = self.options.size("BENCH_TRANSACTIONS", 5_000, 500);
        let once = |node: &Node| measure(node, count);
        self.warm_up(|node| once(node).cpu_us);
        for rep in 0..self.options.reps {
            let all = self.in_turn(rep, once);
            let mut add = |unit, target, value: fn(&Measured) -> f64| {
                report.add(name, unit, target, value(&all[0]), all.get(1).map(value));
            };
            add("transactions/s", Target::RatioAtLeast(3.0), |m| {
                m.per_second
            });
            add("CPU µs/transaction", Target::None, |m| m.cpu_us);
        }
    }
}

fn measure(node: &Node, count: u64) -> Measured {
    let mut connection = node.connect();
    let id = format!("transactional-{:08x}", fastrand::u32(..));
    connection.find_coordinator(&id, TRANSACTION);
    connection.create_topic(&id, 1);
    let mut producer = Producer::start(connection, id.clone());
    let cpu = node.cpu_seconds();
    let start = Instant::now();
    for _ in 0..count {
        producer.produce();
        producer.commit();
    }
    let wall = start.elapsed().as_secs_f64();
    let cpu = node.cpu_seconds() - cpu;
    producer.connection.delete_topic(&id);
    Measured {
        per_second: count as f64 / wall,
        cpu_us: cpu * 1e6 / count as f64,
    }
}

struct Producer {
    connection: Connection,
    /// Its transactional id, and its topic.
    id: String,
    producer_id: i64,
    epoch: i16,
}

impl Producer {
    fn start(mut connection: Connection, id: String) -> Producer {
        let request = InitProducerIdRequest {
            transactional_id: Some(id.clone()),
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        let started = retried(|| {
            let response = connection.ask(&request, INIT_VERSION);
            (response.error_code, response)
        });
        Producer {
            connection,
            id,
            producer_id: started.producer_id,
            epoch: started.producer_epoch,
        }
    }

    /// The first batch takes the partition into the transaction.
    fn produce(&mut self) {
        let request = ProduceRequest {
            transactional_id: Some(self.id.as_str().into()),
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData {
                name: self.id.as_str().into(),
                partition_data: vec![PartitionProduceData {
                    index: 0,
                    records: Some(Records::Bytes(self.batch())),
                }],
                ..Default::default()
            }],
        };
        retried(|| {
            let response = self.connection.ask(&request, PRODUCE_VERSION);
            (response.responses[0].partition_responses[0].error_code, ())
        });
    }

    fn batch(&self) -> Bytes {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ms = now.unwrap_or_default().as_millis() as i64;
        let mut builder = BatchBuilder::new();
        for _ in 0..RECORDS {
            let appended = builder.append(now_ms, None, Some(&[b'v'; 100]), &[]);
            appended.expect("a record that fits");
        }
        let meta = BatchMeta {
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            // Every transaction has an epoch of its own.
            base_sequence: 0,
            transactional: true,
            ..BatchMeta::default()
        };
        builder.finish(&meta).expect("a batch")
    }

    fn commit(&mut self) {
        let request = EndTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            committed: true,
        };
        let ended = retried(|| {
            let response = self.connection.ask(&request, END_VERSION);
            (response.error_code, response)
        });
        (self.producer_id, self.epoch) = (ended.producer_id, ended.producer_epoch);
    }
}

/// Asks until the transaction before is over, as clients do, only more often.
fn retried<T>(mut ask: impl FnMut() -> (i16, T)) -> T {
    loop {
        match ask() {
            (0, answer) => return answer,
            (CONCURRENT_TRANSACTIONS | NOT_COORDINATOR | COORDINATOR_LOADS, _) => {
                thread::sleep(Duration::from_millis(1));
            }
            (error, _) => panic!("error {error}"),
        }
    }
}
