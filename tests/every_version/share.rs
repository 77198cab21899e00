//! The APIs of share groups, in every version.

use std::cell::Cell;

use kafkars::protocol::messages::*;
use kafkars::protocol::{Records, Uuid};

use crate::support::until;
use crate::support::wire::Connection;

const GROUP: &str = "share";
const MEMBER: &str = "AAAAAAAAAAAAAAAAAAAAAQ";

/// `topic_id`: of a topic that has records.
pub fn groups(c: &mut Connection, topic_id: Uuid) {
    let topic = name_of(c, topic_id);
    offsets(c, topic_id, &topic);
    members(c, topic_id, &topic);
    records(c, topic_id);
    end(c, &topic);
    states(c, topic_id);
}

fn name_of(c: &mut Connection, topic_id: Uuid) -> String {
    let request = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let topics = c.ask(&request, 12).topics;
    let topic = topics.into_iter().find(|topic| topic.topic_id == topic_id);
    topic.unwrap().name.unwrap()
}

/// The group begins at the first record.
fn offsets(c: &mut Connection, topic_id: Uuid, topic: &str) {
    use alter_share_group_offsets_request::*;
    let alter = |_| AlterShareGroupOffsetsRequest {
        group_id: GROUP.to_owned(),
        topics: vec![AlterShareGroupOffsetsRequestTopic {
            topic_name: topic.to_owned(),
            partitions: vec![AlterShareGroupOffsetsRequestPartition {
                partition_index: 0,
                start_offset: 0,
            }],
        }],
    };
    c.ask_all(alter, |version, response| {
        assert_eq!(response.error_code, 0, "version {version}: {response:?}");
        let partition = &response.responses[0].partitions[0];
        assert_eq!(partition.error_code, 0, "version {version}: {response:?}");
    });
    let describe = |_| DescribeShareGroupOffsetsRequest {
        groups: vec![
            describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup {
                group_id: GROUP.to_owned(),
                topics: None,
            },
        ],
    };
    c.ask_all(describe, |version, response| {
        let group = &response.groups[0];
        assert_eq!(group.error_code, 0, "version {version}: {response:?}");
        assert_eq!(group.topics[0].topic_id, topic_id, "version {version}");
        let partition = &group.topics[0].partitions[0];
        assert_eq!(partition.start_offset, 0, "version {version}");
        assert_eq!(
            partition.lag > 0,
            version > 0,
            "version {version}: {response:?}"
        );
    });
}

fn members(c: &mut Connection, topic_id: Uuid, topic: &str) {
    let epoch = Cell::new(0);
    let heartbeat = |_| ShareGroupHeartbeatRequest {
        group_id: GROUP.to_owned(),
        member_id: MEMBER.to_owned(),
        member_epoch: epoch.get(),
        subscribed_topic_names: Some(vec![topic.to_owned()]),
        ..Default::default()
    };
    until("the member has its partition", || {
        let mut has_partition = false;
        c.ask_all(heartbeat, |version, response| {
            assert_eq!(response.error_code, 0, "version {version}: {response:?}");
            epoch.set(response.member_epoch);
            let assignment = response.assignment.as_ref().unwrap();
            let mut topics = assignment.topic_partitions.iter();
            has_partition |= topics.any(|t| t.topic_id == topic_id && t.partitions.contains(&0));
        });
        has_partition.then_some(())
    });
    let describe = |_| ShareGroupDescribeRequest {
        group_ids: vec![GROUP.to_owned()],
        ..Default::default()
    };
    c.ask_all(describe, |version, response| {
        let group = &response.groups[0];
        assert_eq!(
            group.group_state, "Stable",
            "version {version}: {response:?}"
        );
        assert_eq!(group.members[0].member_id, MEMBER, "version {version}");
    });
}

fn records(c: &mut Connection, topic_id: Uuid) {
    let id = || (Some(GROUP.into()), Some(MEMBER.into()));
    let fetch = |_| {
        let (group_id, member_id) = id();
        ShareFetchRequest {
            group_id,
            member_id,
            share_session_epoch: 0,
            max_wait_ms: 5_000,
            min_bytes: 1,
            max_records: 1,
            batch_size: 1,
            topics: vec![share_fetch_request::FetchTopic {
                topic_id,
                partitions: vec![share_fetch_request::FetchPartition {
                    partition_index: 0,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        }
    };
    let acquired = Cell::new((0, 0));
    c.ask_all(fetch, |version, response| {
        assert_eq!(response.error_code, 0, "version {version}: {response:?}");
        assert_eq!(
            response.acquisition_lock_timeout_ms, 30_000,
            "version {version}"
        );
        let partition = &response.responses[0].partitions[0];
        assert_eq!(partition.error_code, 0, "version {version}: {response:?}");
        let records = &partition.acquired_records[0];
        assert_eq!(records.delivery_count, 1, "version {version}");
        acquired.set((records.first_offset, records.last_offset));
        let Records::Bytes(bytes) = &partition.records else {
            panic!("version {version}: {response:?}");
        };
        assert!(!bytes.is_empty(), "version {version}");
    });
    // Each says something of a record of its own: one accepts, one renews.
    let epoch = Cell::new(1);
    let acknowledge = |version: i16| {
        let (group_id, member_id) = id();
        let (first_offset, last_offset) = acquired.get();
        ShareAcknowledgeRequest {
            group_id,
            member_id,
            share_session_epoch: epoch.get() + i32::from(version) - 1,
            is_renew_ack: version >= 2,
            topics: vec![share_acknowledge_request::AcknowledgeTopic {
                topic_id,
                partitions: vec![share_acknowledge_request::AcknowledgePartition {
                    partition_index: 0,
                    acknowledgement_batches: vec![
                        share_acknowledge_request::AcknowledgementBatch {
                            first_offset: if version >= 2 { first_offset } else { 0 },
                            last_offset: if version >= 2 { last_offset } else { 0 },
                            acknowledge_types: vec![if version >= 2 { 4 } else { 1 }],
                        },
                    ],
                }],
            }],
        }
    };
    c.ask_all(acknowledge, |version, response| {
        assert_eq!(response.error_code, 0, "version {version}: {response:?}");
        let partition = &response.responses[0].partitions[0];
        assert_eq!(partition.error_code, 0, "version {version}: {response:?}");
        let lock_ms = if version >= 2 { 30_000 } else { 0 };
        assert_eq!(
            response.acquisition_lock_timeout_ms, lock_ms,
            "version {version}"
        );
    });
}

/// The member leaves, and the group forgets the topic.
fn end(c: &mut Connection, topic: &str) {
    let leave = ShareGroupHeartbeatRequest {
        group_id: GROUP.to_owned(),
        member_id: MEMBER.to_owned(),
        member_epoch: -1,
        ..Default::default()
    };
    assert_eq!(c.ask(&leave, 1).error_code, 0);
    let delete = |_| DeleteShareGroupOffsetsRequest {
        group_id: GROUP.to_owned(),
        topics: vec![
            delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic {
                topic_name: topic.to_owned(),
            },
        ],
    };
    c.ask_all(delete, |version, response| {
        assert_eq!(response.error_code, 0, "version {version}: {response:?}");
        assert_eq!(
            response.responses[0].error_code, 0,
            "version {version}: {response:?}"
        );
    });
}

/// What nodes ask each other.
fn states(c: &mut Connection, topic_id: Uuid) {
    let group_id = || "another".to_owned();
    let initialize = |_| InitializeShareGroupStateRequest {
        group_id: group_id(),
        topics: vec![initialize_share_group_state_request::InitializeStateData {
            topic_id,
            partitions: vec![initialize_share_group_state_request::PartitionData {
                partition: 0,
                state_epoch: 3,
                start_offset: 0,
            }],
        }],
    };
    c.ask_all(initialize, |version, response| {
        let partition = &response.results[0].partitions[0];
        assert_eq!(partition.error_code, 0, "version {version}: {response:?}");
    });
    let write = |version: i16| WriteShareGroupStateRequest {
        group_id: group_id(),
        topics: vec![write_share_group_state_request::WriteStateData {
            topic_id,
            partitions: vec![write_share_group_state_request::PartitionData {
                partition: 0,
                state_epoch: 3,
                leader_epoch: 0,
                start_offset: i64::from(version) + 1,
                delivery_complete_count: if version > 0 { 1 } else { -1 },
                state_batches: vec![write_share_group_state_request::StateBatch {
                    first_offset: 5,
                    last_offset: 5,
                    delivery_state: 2,
                    delivery_count: 1,
                }],
            }],
        }],
    };
    c.ask_all(write, |version, response| {
        let partition = &response.results[0].partitions[0];
        assert_eq!(partition.error_code, 0, "version {version}: {response:?}");
    });
    let summarize = |_| ReadShareGroupStateSummaryRequest {
        group_id: group_id(),
        topics: vec![
            read_share_group_state_summary_request::ReadStateSummaryData {
                topic_id,
                partitions: vec![read_share_group_state_summary_request::PartitionData {
                    partition: 0,
                    leader_epoch: 0,
                }],
            },
        ],
    };
    c.ask_all(summarize, |version, response| {
        let partition = &response.results[0].partitions[0];
        assert_eq!(partition.start_offset, 2, "version {version}: {response:?}");
        let count = if version > 0 { 1 } else { -1 };
        assert_eq!(
            partition.delivery_complete_count, count,
            "version {version}"
        );
    });
    let read = |_| ReadShareGroupStateRequest {
        group_id: group_id(),
        topics: vec![read_share_group_state_request::ReadStateData {
            topic_id,
            partitions: vec![read_share_group_state_request::PartitionData {
                partition: 0,
                leader_epoch: 0,
            }],
        }],
    };
    c.ask_all(read, |version, response| {
        let partition = &response.results[0].partitions[0];
        assert_eq!(partition.state_epoch, 3, "version {version}: {response:?}");
        assert_eq!(partition.state_batches.len(), 1, "version {version}");
    });
    let delete = |_| DeleteShareGroupStateRequest {
        group_id: group_id(),
        topics: vec![delete_share_group_state_request::DeleteStateData {
            topic_id,
            partitions: vec![delete_share_group_state_request::PartitionData { partition: 0 }],
        }],
    };
    c.ask_all(delete, |version, response| {
        let partition = &response.results[0].partitions[0];
        assert_eq!(partition.error_code, 0, "version {version}: {response:?}");
    });
}
