//! Records that are deleted, and the directories they are in, in every version.

use kafkars::protocol::messages::*;

use crate::support::wire::{Connection, batch};

pub fn answers(c: &mut Connection) {
    c.create_topic("in-a-directory", 1, &[]);
    assert_eq!(c.produce("in-a-directory", 0, batch(&[b"v"])).0, 0);
    let delete = |version: i16| {
        use delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
        let partition = |partition_index, offset| DeleteRecordsPartition {
            partition_index,
            offset,
        };
        let partitions = vec![partition(0, i64::from(version > 0)), partition(9, 0)];
        DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: "in-a-directory".to_owned(),
                partitions,
            }],
            timeout_ms: 1000,
        }
    };
    c.ask_all(delete, |version, response| {
        let partitions = &response.topics[0].partitions;
        let found: Vec<_> = partitions
            .iter()
            .map(|p| (p.error_code, p.low_watermark))
            .collect();
        let expected = [(0, i64::from(version > 0)), (3, -1)];
        assert_eq!(found, expected, "version {version}");
    });
    let alter = |_| {
        use alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
        AlterReplicaLogDirsRequest {
            dirs: vec![AlterReplicaLogDir {
                path: "/nowhere".to_owned(),
                topics: vec![AlterReplicaLogDirTopic {
                    name: "in-a-directory".to_owned(),
                    partitions: vec![0],
                }],
            }],
        }
    };
    c.ask_all(alter, |version, response| {
        let topic = &response.results[0];
        let error = topic.partitions[0].error_code;
        let found = (topic.topic_name.as_str(), error);
        assert_eq!(found, ("in-a-directory", 57), "version {version}");
    });
    let describe = |version: i16| {
        use describe_log_dirs_request::DescribableLogDirTopic;
        DescribeLogDirsRequest {
            topics: (version % 2 == 0).then(|| {
                vec![DescribableLogDirTopic {
                    topic: "in-a-directory".to_owned(),
                    partitions: vec![0],
                }]
            }),
        }
    };
    c.ask_all(describe, |version, response| {
        assert_eq!((response.error_code, response.results.len()), (0, 1));
        let dir = &response.results[0];
        assert_eq!((dir.error_code, dir.is_cordoned), (0, false));
        assert_eq!(dir.topics.len() == 1, version % 2 == 0, "version {version}");
        let topic = dir.topics.iter().find(|t| t.name == "in-a-directory");
        let partition = &topic.unwrap().partitions[0];
        assert!(partition.partition_size > 0, "{partition:?}");
        assert_eq!((partition.offset_lag, partition.is_future_key), (0, false));
        let room = (dir.total_bytes, dir.usable_bytes);
        match version {
            4.. => assert!(room.0 > 0 && (0..=room.0).contains(&room.1), "{room:?}"),
            _ => assert_eq!(room, (-1, -1)),
        }
    });
}
