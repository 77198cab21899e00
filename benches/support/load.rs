//! Raw load: requests that are encoded once and sent again and again, so that the generator costs little beside the
//! node that it measures. Only their correlation ids change.

use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kafkars::protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafkars::protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafkars::protocol::messages::{FetchRequest, FetchResponse, ProduceRequest, ProduceResponse};
use kafkars::protocol::{Records, frame};
pub use kafkars::record::Compression as Codec;
use kafkars::record::{BatchBuilder, BatchMeta};

use super::wire::{Connection, encode};

pub const PRODUCE_VERSION: i16 = 9;
pub const FETCH_VERSION: i16 = 12;
/// As Kafka's producer: `max.in.flight.requests.per.connection`.
const IN_FLIGHT: u64 = 5;

/// A batch of equal records.
#[derive(Debug, Clone)]
pub struct Batch {
    bytes: Bytes,
    records: i64,
    value_len: u64,
}

impl Batch {
    pub fn new(value_len: u64, records: i64) -> Batch {
        let value: Vec<u8> = (0..value_len)
            .map(|_| fastrand::alphanumeric() as u8)
            .collect();
        Self::of_values((0..records).map(|_| &value[..]), Codec::None)
    }

    /// One record.
    pub fn of_value(value: &[u8]) -> Batch {
        Self::of_values([value].into_iter(), Codec::None)
    }

    /// 64 records of 1 KiB that compress as logs and events do: words, equal signs and numbers.
    pub fn text(codec: Codec) -> Batch {
        const WORDS: [&str; 8] = [
            "user", "session", "region", "latency", "status", "path", "item", "retry",
        ];
        let mut random = fastrand::Rng::with_seed(1);
        let mut value = || {
            let mut text = String::new();
            while text.len() < 1024 {
                let word = WORDS[random.usize(..WORDS.len())];
                text.push_str(&format!("{word}={} ", random.u32(..1_000_000)));
            }
            text.truncate(1024);
            text.into_bytes()
        };
        let values: Vec<Vec<u8>> = (0..64).map(|_| value()).collect();
        Self::of_values(values.iter().map(|value| &value[..]), codec)
    }

    fn of_values<'v>(values: impl Iterator<Item = &'v [u8]>, compression: Codec) -> Batch {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut builder = BatchBuilder::new();
        let (mut records, mut value_len) = (0, 0);
        for value in values {
            let appended = builder.append(now.as_millis() as i64, None, Some(value), &[]);
            appended.expect("a record that fits");
            records += 1;
            value_len = value.len() as u64;
        }
        let meta = BatchMeta {
            compression,
            ..BatchMeta::default()
        };
        Batch {
            bytes: builder.finish(&meta).expect("a batch"),
            records,
            value_len,
        }
    }

    /// The bytes of its values: what a user would say he sent.
    pub fn user_bytes(&self) -> u64 {
        self.value_len * self.records as u64
    }
}

/// Sends `requests` batches in all over `connections`, each to a partition of its own, acks=all; how long it took.
pub fn produce(port: u16, topic: &str, connections: u64, batch: &Batch, requests: u64) -> Duration {
    let start = Instant::now();
    thread::scope(|scope| {
        for partition in 0..connections {
            scope.spawn(move || {
                produce_on(port, topic, partition as i32, batch, requests / connections);
            });
        }
    });
    start.elapsed()
}

/// A request that appends `batch` to one partition.
pub fn produce_request(topic: &str, index: i32, batch: &Batch) -> Vec<u8> {
    produce_to(topic, index..index + 1, batch)
}

/// One request that appends `batch` to each of the topic's partitions.
pub fn spread(connection: &mut Connection, topic: &str, partitions: i32, batch: &Batch) {
    let mut request = produce_to(topic, 0..partitions, batch);
    connection.send(&mut request, 1).expect("a request is sent");
    check(connection, 1);
}

fn produce_to(topic: &str, partitions: Range<i32>, batch: &Batch) -> Vec<u8> {
    let partition = |index| PartitionProduceData {
        index,
        records: Some(Records::Bytes(batch.bytes.clone())),
    };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic.into(),
            partition_data: partitions.map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    encode(&request, PRODUCE_VERSION)
}

/// Reads the answer to a produce request.
fn check(connection: &mut Connection, expected_id: i32) {
    let body = connection.receive().expect("a response");
    let (correlation_id, response) =
        frame::decode_response::<ProduceResponse>(body, PRODUCE_VERSION).expect("a response");
    assert_eq!(correlation_id, expected_id, "answers out of order");
    for partition in &response.responses[0].partition_responses {
        assert_eq!(partition.error_code, 0, "produce was refused");
    }
}

fn produce_on(port: u16, topic: &str, index: i32, batch: &Batch, requests: u64) {
    let mut request = produce_request(topic, index, batch);
    let mut connection = Connection::open(port);
    let mut sent = 0;
    for acknowledged in 0..requests {
        while sent < requests.min(acknowledged + IN_FLIGHT) {
            connection
                .send(&mut request, sent as i32)
                .expect("a request is sent");
            sent += 1;
        }
        check(&mut connection, acknowledged as i32);
    }
}

/// Who reads how much at once.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub partitions: i32,
    pub connections: i32,
    /// At most, of one partition in one answer.
    pub partition_bytes: i32,
}

/// Reads `partitions` partitions of a topic that holds nothing but `batch`, from the start to the end, `loops` times;
/// bytes received, and how long it took.
pub fn fetch(port: u16, topic: &str, shape: Shape, batch: &Batch, loops: usize) -> (u64, Duration) {
    let Shape {
        partitions,
        connections,
        partition_bytes,
    } = shape;
    let ends = Connection::open(port)
        .end_offsets(topic, partitions)
        .expect("offsets of all partitions");
    let start = Instant::now();
    let received = thread::scope(|scope| {
        let readers: Vec<_> = (0..connections)
            .map(|reader| {
                let mine = (reader..partitions).step_by(connections as usize);
                let mine: Vec<(i32, i64)> = mine.map(|p| (p, ends[p as usize])).collect();
                scope.spawn(move || {
                    let mut connection = Connection::open(port);
                    let once = |_| fetch_on(&mut connection, topic, &mine, batch, partition_bytes);
                    (0..loops).map(once).sum::<u64>()
                })
            })
            .collect();
        readers
            .into_iter()
            .map(|r| r.join().expect("a reader"))
            .sum()
    });
    (received, start.elapsed())
}

pub fn fetch_request(topic: &str, places: &[(i32, i64)], partition_bytes: i32) -> FetchRequest {
    let partition = |(partition, offset): &(i32, i64)| FetchPartition {
        partition: *partition,
        current_leader_epoch: -1,
        fetch_offset: *offset,
        last_fetched_epoch: -1,
        log_start_offset: -1,
        partition_max_bytes: partition_bytes,
        ..Default::default()
    };
    FetchRequest {
        replica_id: -1,
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 50 << 20,
        session_epoch: -1,
        topics: vec![FetchTopic {
            topic: topic.into(),
            partitions: places.iter().map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn fetch_on(
    connection: &mut Connection,
    topic: &str,
    ends: &[(i32, i64)],
    batch: &Batch,
    partition_bytes: i32,
) -> u64 {
    let mut at: Vec<(i32, i64, i64)> = ends.iter().map(|(p, end)| (*p, 0, *end)).collect();
    let mut received = 0;
    loop {
        let unfinished = at.iter().filter(|(_, offset, end)| offset < end);
        let places: Vec<(i32, i64)> = unfinished.map(|(p, offset, _)| (*p, *offset)).collect();
        if places.is_empty() {
            return received;
        }
        let request = fetch_request(topic, &places, partition_bytes);
        connection
            .send(&mut encode(&request, FETCH_VERSION), 1)
            .expect("a request is sent");
        let body = connection.receive().expect("a response");
        received += body.len() as u64;
        let (_, response) =
            frame::decode_response::<FetchResponse>(body, FETCH_VERSION).expect("a response");
        for partition in response.responses.iter().flat_map(|t| &t.partitions) {
            assert_eq!(partition.error_code, 0, "fetch was refused");
            let bytes = partition.records.as_ref().map_or(0, Records::len);
            let whole = (bytes / batch.bytes.len()) as i64;
            let place = at
                .iter_mut()
                .find(|(p, ..)| *p == partition.partition_index);
            place.expect("a partition that was asked for").1 += whole * batch.records;
        }
    }
}
