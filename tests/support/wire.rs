//! Speaking the protocol from a test, to either implementation: requests by hand, and what a log holds.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use kafkars::protocol::header::RequestHeader;
use kafkars::protocol::messages::*;
use kafkars::protocol::{Records, Request, frame};
use kafkars::record::control::ControlType;
use kafkars::record::{self, BatchBuilder, BatchMeta, TimestampType};

/// The last versions that name topics instead of their ids.
pub const FETCH_BY_NAME: i16 = 12;
pub const PRODUCE_BY_NAME: i16 = 12;
const COMMIT_BY_NAME: i16 = 9;

/// A connection on which requests go out one by one.
pub struct Connection(pub TcpStream);

impl Connection {
    pub fn open(port: u16) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Connection(stream)
    }

    /// Sends a request in one version and reads the answer in the same.
    pub fn ask<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        let shown = format!("{} version {version}", R::KEY.name());
        self.try_ask(request, version)
            .unwrap_or_else(|e| panic!("{shown}: {e}"))
    }

    /// As [`Connection::ask`]; an error if the connection is gone.
    pub fn try_ask<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> std::io::Result<R::Response> {
        self.0.write_all(&encode(request, version))?;
        let body = self.frame()?.ok_or(ErrorKind::UnexpectedEof)?;
        let shown = format!("{} version {version}", R::KEY.name());
        let (correlation_id, response) =
            frame::decode_response::<R::Response>(Bytes::from(body), version)
                .unwrap_or_else(|e| panic!("{shown}: {e}"));
        assert_eq!(correlation_id, 7, "{shown}");
        Ok(response)
    }

    /// Asks in all versions from the first implemented one; `make` adapts the request to each.
    pub fn ask_all<R: Request>(
        &mut self,
        mut make: impl FnMut(i16) -> R,
        mut check: impl FnMut(i16, R::Response),
    ) {
        let offered = R::KEY.broker_versions().unwrap();
        for version in (*offered.start()).max(R::MIN_VERSION)..=*offered.end() {
            let response = self.ask(&make(version), version);
            check(version, response);
        }
    }

    /// The next frame without its length; none once the peer has closed the connection.
    pub fn frame(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut length = [0; 4];
        match self.0.read_exact(&mut length) {
            Ok(()) => {}
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
                ) =>
            {
                return Ok(None);
            }
            Err(e) => return Err(e),
        }
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut body)?;
        Ok(Some(body))
    }

    pub fn create_topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let error = self.try_create_topic(name, partitions, configs).unwrap();
        assert_eq!(error, 0, "{name}");
    }

    /// As [`Connection::create_topic`]; the error code.
    pub fn try_create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> std::io::Result<i16> {
        let config = |(name, value): &(&str, &str)| create_topics_request::CreatableTopicConfig {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
        };
        let request = CreateTopicsRequest {
            topics: vec![create_topics_request::CreatableTopic {
                name: name.to_owned(),
                num_partitions: partitions,
                replication_factor: 1,
                configs: configs.iter().map(config).collect(),
                ..Default::default()
            }],
            timeout_ms: 30_000,
            ..Default::default()
        };
        Ok(self.try_ask(&request, 7)?.topics[0].error_code)
    }

    /// The names of all topics.
    pub fn topics(&mut self) -> BTreeSet<String> {
        let all = MetadataRequest {
            topics: None,
            ..Default::default()
        };
        let topics = self.ask(&all, 12).topics.into_iter();
        topics.filter_map(|topic| topic.name).collect()
    }

    /// Error code and base offset of a batch that is produced with acks=all.
    pub fn produce(&mut self, topic: &str, partition: i32, batch: Bytes) -> (i16, i64) {
        self.try_produce(topic, partition, batch).unwrap()
    }

    pub fn try_produce(
        &mut self,
        topic: &str,
        partition: i32,
        batch: Bytes,
    ) -> std::io::Result<(i16, i64)> {
        let response = self.try_ask(&produce_request(topic, partition, batch), PRODUCE_BY_NAME)?;
        let partition = &response.responses[0].partition_responses[0];
        Ok((partition.error_code, partition.base_offset))
    }

    /// The offset of a timestamp, or of -1 (end), -2 (start), -3 (greatest timestamp); with the timestamp.
    pub fn offset(&mut self, topic: &str, partition: i32, at: i64, committed: bool) -> (i64, i64) {
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: i8::from(committed),
            topics: vec![list_offsets_request::ListOffsetsTopic {
                name: topic.to_owned(),
                partitions: vec![list_offsets_request::ListOffsetsPartition {
                    partition_index: partition,
                    timestamp: at,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        let response = self.ask(&request, 9);
        let found = &response.topics[0].partitions[0];
        assert_eq!(found.error_code, 0, "{topic}-{partition} at {at}");
        (found.offset, found.timestamp)
    }

    /// Waits until every partition can be read: genuine Kafka answers before it leads.
    pub fn until_led(&mut self) {
        super::until("all partitions are led", || {
            let all = MetadataRequest {
                topics: None,
                ..Default::default()
            };
            let topics = self.ask(&all, 12).topics.into_iter().map(|topic| {
                let partitions = topic.partitions.iter();
                list_offsets_request::ListOffsetsTopic {
                    name: topic.name.unwrap_or_default(),
                    partitions: partitions
                        .map(|p| list_offsets_request::ListOffsetsPartition {
                            partition_index: p.partition_index,
                            timestamp: -1,
                            ..Default::default()
                        })
                        .collect(),
                }
            });
            let request = ListOffsetsRequest {
                replica_id: -1,
                topics: topics.collect(),
                ..Default::default()
            };
            let answered = self.ask(&request, 9).topics;
            let mut partitions = answered.iter().flat_map(|topic| &topic.partitions);
            partitions.all(|p| p.error_code == 0).then_some(())
        });
    }

    /// Everything that a partition has, as a consumer of either isolation level sees it.
    pub fn read(&mut self, topic: &str, partition: i32, committed: bool) -> Vec<Row> {
        let (start, _) = self.offset(topic, partition, -2, committed);
        self.read_from(start, topic, partition, committed)
    }

    /// What a partition has from an offset on.
    pub fn read_from(
        &mut self,
        mut offset: i64,
        topic: &str,
        partition: i32,
        committed: bool,
    ) -> Vec<Row> {
        let (end, _) = self.offset(topic, partition, -1, committed);
        let mut rows = Vec::new();
        while offset < end {
            let data = self.fetch(topic, partition, offset, committed);
            assert_eq!(data.error_code, 0, "{topic}-{partition} from {offset}");
            let Some(Records::Bytes(bytes)) = data.records else {
                panic!("{topic}-{partition} has nothing at {offset} before {end}")
            };
            let aborted = data.aborted_transactions.unwrap_or_default();
            let next = rows_of(&bytes, offset, aborted, &mut rows);
            assert!(
                next > offset,
                "{topic}-{partition} does not go on at {offset}"
            );
            offset = next;
        }
        rows
    }

    fn fetch(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        committed: bool,
    ) -> fetch_response::PartitionData {
        let request = fetch_request(topic, partition, offset, committed);
        let mut response = self.ask(&request, FETCH_BY_NAME);
        response.responses.remove(0).partitions.remove(0)
    }

    /// Commits an offset for a group without members; the error code.
    pub fn try_commit(
        &mut self,
        group: &str,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> std::io::Result<i16> {
        let request = OffsetCommitRequest {
            group_id: group.to_owned(),
            generation_id_or_member_epoch: -1,
            topics: vec![offset_commit_request::OffsetCommitRequestTopic {
                name: topic.to_owned(),
                partitions: vec![offset_commit_request::OffsetCommitRequestPartition {
                    partition_index: partition,
                    committed_offset: offset,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let response = self.try_ask(&request, COMMIT_BY_NAME)?;
        Ok(response.topics[0].partitions[0].error_code)
    }

    /// Commits an offset, once the group's coordinator is there.
    pub fn commit(&mut self, group: &str, topic: &str, partition: i32, offset: i64) {
        self.find_group(group);
        super::until("the offset is committed", || {
            let error = self.try_commit(group, topic, partition, offset).unwrap();
            is_settled(error).then(|| assert_eq!(error, 0, "{group}"))
        });
    }

    /// Makes sure that the group has a coordinator: the first look creates the topic of the offsets.
    pub fn find_group(&mut self, group: &str) {
        super::until("the group has a coordinator", || {
            let request = FindCoordinatorRequest {
                coordinator_keys: vec![group.to_owned()],
                ..Default::default()
            };
            let found = self.ask(&request, 4);
            (found.coordinators[0].error_code == 0).then_some(())
        });
    }

    /// What a group has committed: (topic, partition) → (offset, leader epoch, metadata).
    pub fn committed(&mut self, group: &str) -> BTreeMap<(String, i32), (i64, i32, String)> {
        self.find_group(group);
        super::until("the group's offsets are loaded", || {
            let request = OffsetFetchRequest {
                groups: vec![offset_fetch_request::OffsetFetchRequestGroup {
                    group_id: group.to_owned(),
                    member_id: None,
                    member_epoch: -1,
                    topics: None,
                }],
                ..Default::default()
            };
            let mut response = self.ask(&request, COMMIT_BY_NAME);
            let group = response.groups.remove(0);
            if !is_settled(group.error_code) {
                return None;
            }
            assert_eq!(group.error_code, 0, "{group:?}");
            let mut offsets = BTreeMap::new();
            for topic in group.topics {
                for p in topic.partitions {
                    let metadata = p.metadata.unwrap_or_default();
                    let found = (p.committed_offset, p.committed_leader_epoch, metadata);
                    offsets.insert((topic.name.clone(), p.partition_index), found);
                }
            }
            Some(offsets)
        })
    }
}

/// Whether an error is the last word: not one of a coordinator that loads or has just been made.
fn is_settled(error: i16) -> bool {
    const LOADING: i16 = 14;
    const NOT_AVAILABLE: i16 = 15;
    const NOT_COORDINATOR: i16 = 16;
    ![LOADING, NOT_AVAILABLE, NOT_COORDINATOR].contains(&error)
}

/// A request's frame.
pub fn encode<R: Request>(request: &R, version: i16) -> Bytes {
    let header = RequestHeader {
        correlation_id: 7,
        client_id: Some("test".to_owned()),
        ..Default::default()
    };
    frame::encode_request(&header, request, version)
        .unwrap()
        .to_bytes()
        .unwrap()
}

/// Asks for what a partition has from `offset` on, some megabytes at once.
pub fn fetch_request(topic: &str, partition: i32, offset: i64, committed: bool) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 50 << 20,
        isolation_level: i8::from(committed),
        session_epoch: -1,
        topics: vec![fetch_request::FetchTopic {
            topic: topic.into(),
            partitions: vec![fetch_request::FetchPartition {
                partition,
                current_leader_epoch: -1,
                fetch_offset: offset,
                partition_max_bytes: 4 << 20,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

pub fn produce_request(topic: &str, partition: i32, batch: Bytes) -> ProduceRequest {
    ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![produce_request::TopicProduceData {
            name: topic.into(),
            partition_data: vec![produce_request::PartitionProduceData {
                index: partition,
                records: Some(Records::Bytes(batch)),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// A batch of these values.
pub fn batch(values: &[&[u8]]) -> Bytes {
    batch_with(values, &BatchMeta::default())
}

pub fn batch_with(values: &[&[u8]], meta: &BatchMeta) -> Bytes {
    let mut builder = BatchBuilder::new();
    for value in values {
        builder
            .append(now_ms(), Some(b"k"), Some(value), &[])
            .unwrap();
    }
    builder.finish(meta).unwrap()
}

pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_millis() as i64
}

/// A record as a consumer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub offset: i64,
    pub timestamp: i64,
    pub timestamp_type: TimestampType,
    pub leader_epoch: i32,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Adds the records from `from` on, without control records and those of `aborted` transactions; the next offset.
fn rows_of(
    bytes: &[u8],
    from: i64,
    mut aborted: Vec<fetch_response::AbortedTransaction>,
    rows: &mut Vec<Row>,
) -> i64 {
    aborted.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
    let mut open: BTreeSet<i64> = BTreeSet::new();
    let mut next = from;
    for batch in record::batches(bytes) {
        // The last batch of an answer may be cut.
        let Ok(batch) = batch else { break };
        batch.check_crc().unwrap();
        while let Some(transaction) =
            aborted.pop_if(|transaction| transaction.first_offset <= batch.last_offset())
        {
            open.insert(transaction.producer_id);
        }
        next = batch.next_offset();
        let records = batch.records().unwrap();
        if batch.is_control() {
            let key = records.iter().next().and_then(|record| record.unwrap().key);
            if ControlType::from_key(key).unwrap() == ControlType::Abort {
                open.remove(&batch.producer_id());
            }
            continue;
        }
        if batch.is_transactional() && open.contains(&batch.producer_id()) {
            continue;
        }
        for record in &records {
            let record = record.unwrap();
            if record.offset < from {
                continue;
            }
            let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            rows.push(Row {
                offset: record.offset,
                timestamp: record.timestamp,
                timestamp_type: batch.timestamp_type(),
                leader_epoch: batch.leader_epoch(),
                key: owned(record.key),
                value: owned(record.value),
                headers: record
                    .headers()
                    .map(|header| (header.key_text().into_owned(), owned(header.value)))
                    .collect(),
            });
        }
    }
    next
}
