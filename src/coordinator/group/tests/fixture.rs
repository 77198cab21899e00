//! `__consumer_offsets` as genuine Kafka 4.3.1 wrote it: what its Admin client saw is what we see.
use std::path::Path;

use bytes::Bytes;
use serde_json::Value;

use crate::coordinator::group::shard::{GroupReply, GroupRequest, GroupShard};
use crate::coordinator::group::{GroupConfig, GroupType, StoredGroup};
use crate::coordinator::groups::partition_for;
use crate::coordinator::load::replay_all;
use crate::coordinator::runtime::{Appended, BatchKind, PartitionLog};
use crate::coordinator::shard::{Now, Shard, Token};
use crate::protocol::ErrorCode;
use crate::protocol::messages::list_groups_response::ListedGroup;
use crate::protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use crate::protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;

const PARTITIONS: i32 = 4;

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/consumer_offsets");
    std::fs::read(folder.join(name)).unwrap()
}

/// The fixture's segments, handed out in small pieces: each read ends in the middle of a batch.
struct Segments;

impl PartitionLog for Segments {
    fn append(&self, _: i32, _: Bytes, _: BatchKind, _: i64) -> Result<Appended, ErrorCode> {
        Err(ErrorCode::NotLeaderOrFollower)
    }

    fn high_watermark(&self, _: i32) -> i64 {
        i64::MAX
    }

    fn log_start_offset(&self, _: i32) -> i64 {
        0
    }

    fn read(&self, partition: i32, offset: i64) -> Result<Bytes, ErrorCode> {
        let bytes = fixture(&format!("{partition}.log"));
        let mut batches = crate::record::batches(&bytes).map(Result::unwrap);
        let Some(batch) = batches.find(|batch| batch.last_offset() >= offset) else {
            return Ok(Bytes::new());
        };
        let start = batch.bytes().as_ptr() as usize - bytes.as_ptr() as usize;
        let end = (start + batch.size() + 30).min(bytes.len());
        Ok(Bytes::copy_from_slice(&bytes[start..end]))
    }
}

fn load(partition: i32) -> GroupShard {
    let mut shard = GroupShard::new(GroupConfig::default(), Default::default());
    replay_all(&Segments, partition, &mut shard).unwrap();
    shard.loaded(NOW);
    shard.check_invariants();
    shard
}

const NOW: Now = Now {
    wall_ms: 1_795_211_000_000,
    monotonic_ms: 0,
};

fn ask(shard: &mut GroupShard, request: GroupRequest) -> GroupReply {
    let mut decision = shard.handle(NOW, Token(0), request);
    assert!(decision.records.is_empty());
    decision.answers.remove(0).reply
}

fn list(shard: &mut GroupShard) -> Vec<ListedGroup> {
    match ask(
        shard,
        GroupRequest::List {
            states: Vec::new(),
            types: Vec::new(),
        },
    ) {
        GroupReply::List(groups) => groups,
        other => panic!("{other:?}"),
    }
}

fn fetch_all(shard: &mut GroupShard, group_id: &str) -> OffsetFetchResponseGroup {
    let request = OffsetFetchRequestGroup {
        group_id: group_id.into(),
        topics: None,
        ..OffsetFetchRequestGroup::default()
    };
    match ask(
        shard,
        GroupRequest::OffsetFetch {
            request,
            require_stable: true,
        },
    ) {
        GroupReply::OffsetFetch(response) => response,
        other => panic!("{other:?}"),
    }
}

#[test]
fn kafkas_groups_are_listed_as_kafka_lists_them() {
    let expected: Value = serde_json::from_slice(&fixture("expected.json")).unwrap();
    let mut seen = 0;
    for partition in 0..PARTITIONS {
        for group in list(&mut load(partition)) {
            let expected = &expected[&group.group_id];
            // The admin client that wrote the expectations capitalises what the response says.
            let group_type = expected["type"].as_str().unwrap().to_lowercase();
            assert_eq!(group_type, group.group_type, "{group:?}");
            assert_eq!(expected["state"], group.group_state, "{group:?}");
            assert_eq!(expected["protocol"], group.protocol_type, "{group:?}");
            assert_eq!(
                partition_for(&group.group_id, PARTITIONS),
                partition,
                "{group:?}"
            );
            seen += 1;
        }
    }
    assert_eq!(seen, expected.as_object().unwrap().len());
}

#[test]
fn kafkas_offsets_are_fetched() {
    let expected: Value = serde_json::from_slice(&fixture("expected.json")).unwrap();
    for (group_id, group) in expected.as_object().unwrap() {
        let mut shard = load(partition_for(group_id, PARTITIONS));
        let response = fetch_all(&mut shard, group_id);
        assert_eq!(response.error_code, 0);
        let mut fetched = serde_json::Map::new();
        for topic in &response.topics {
            for partition in &topic.partitions {
                assert_eq!(partition.error_code, 0);
                let epoch = partition.committed_leader_epoch;
                let offset = serde_json::json!({
                    "offset": partition.committed_offset,
                    "leader_epoch": (epoch >= 0).then_some(epoch),
                    "metadata": partition.metadata,
                });
                fetched.insert(
                    format!("{}-{}", topic.name, partition.partition_index),
                    offset,
                );
            }
        }
        if group["type"] == "Share" {
            assert!(fetched.is_empty(), "a share group's offsets are elsewhere");
        } else {
            assert_eq!(Value::Object(fetched), group["offsets"], "{group_id}");
        }
    }
}

#[test]
fn records_that_we_write_too_are_kafkas_to_the_byte() {
    let mut rewritten = 0;
    for partition in 0..PARTITIONS {
        let bytes = fixture(&format!("{partition}.log"));
        for batch in crate::record::batches(&bytes).map(Result::unwrap) {
            if batch.is_control() {
                continue;
            }
            let records = batch.records().unwrap();
            for record in records.iter().map(Result::unwrap) {
                let key = Bytes::copy_from_slice(record.key.unwrap());
                let value = record.value.map(Bytes::copy_from_slice);
                let is_other = !matches!(key[1], 0..=3 | 5..=8 | 10..=17 | 19..=23);
                if is_other && value.is_some() {
                    continue;
                }
                let decoded = GroupShard::decode(key.clone(), value.clone())
                    .unwrap()
                    .unwrap();
                assert_eq!(decoded.encode(), Ok((key, value)));
                rewritten += 1;
            }
        }
    }
    assert!(rewritten > 20, "{rewritten}");
}

#[test]
fn modern_groups_are_known_by_their_type() {
    for (group_id, group_type) in [
        ("g-consumer", GroupType::Consumer),
        ("g-re2j", GroupType::Consumer),
        ("g-share", GroupType::Share),
        ("g-streams", GroupType::Streams),
    ] {
        let shard = load(partition_for(group_id, PARTITIONS));
        match shard.stored().groups.get(group_id) {
            Some(StoredGroup::Consumer(_)) => assert_eq!(group_type, GroupType::Consumer),
            Some(StoredGroup::Share(_)) => assert_eq!(group_type, GroupType::Share),
            Some(StoredGroup::Streams(_)) => assert_eq!(group_type, GroupType::Streams),
            other => panic!("{group_id}: {other:?}"),
        }
    }
}
