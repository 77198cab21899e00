//! Producing and fetching in every version.

use kafkars::protocol::messages::*;
use kafkars::protocol::{Records, Uuid};

use crate::support::wire::{Connection, batch};

/// `topic_id`: of t7, which has no records yet.
pub fn answers(c: &mut Connection, topic_id: Uuid) {
    let produce = |version: i16| ProduceRequest {
        acks: -1,
        timeout_ms: 1000,
        topic_data: vec![produce_request::TopicProduceData {
            name: if version < 13 { "t7".into() } else { "".into() },
            topic_id: if version < 13 { Uuid::ZERO } else { topic_id },
            partition_data: vec![produce_request::PartitionProduceData {
                index: 0,
                records: Some(Records::Bytes(batch(&[b"v"]))),
            }],
        }],
        ..Default::default()
    };
    let mut produced = 0;
    c.ask_all(produce, |version, response| {
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(
            (partition.error_code, partition.base_offset),
            (0, produced),
            "version {version}"
        );
        produced += 1;
    });
    let fetch = |version: i16| FetchRequest {
        max_wait_ms: 10,
        min_bytes: 1,
        isolation_level: 1,
        topics: vec![fetch_request::FetchTopic {
            topic: if version < 13 { "t7".into() } else { "".into() },
            topic_id: if version < 13 { Uuid::ZERO } else { topic_id },
            partitions: vec![fetch_request::FetchPartition {
                partition: 0,
                partition_max_bytes: 1 << 20,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    c.ask_all(fetch, |version, response| {
        let partition = &response.responses[0].partitions[0];
        assert_eq!(
            (partition.error_code, partition.high_watermark),
            (0, produced),
            "version {version}"
        );
        assert!(
            partition.records.as_ref().is_some_and(|r| !r.is_empty()),
            "version {version}"
        );
    });
    for timestamp in [-1, -2, 0] {
        let list = |_| ListOffsetsRequest {
            replica_id: -1,
            topics: vec![list_offsets_request::ListOffsetsTopic {
                name: "t7".to_owned(),
                partitions: vec![list_offsets_request::ListOffsetsPartition {
                    partition_index: 0,
                    timestamp,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        c.ask_all(list, |version, response| {
            let partition = &response.topics[0].partitions[0];
            let expected = if timestamp == -1 { produced } else { 0 };
            assert_eq!(
                (partition.error_code, partition.offset),
                (0, expected),
                "version {version}"
            );
        });
    }
    let id = |_| InitProducerIdRequest {
        transactional_id: None,
        ..Default::default()
    };
    c.ask_all(id, |version, response| {
        assert_eq!(response.error_code, 0, "version {version}")
    });
}
