//! Groups of consumers and of Kafka Streams applications in every version.

use bytes::Bytes;
use kafkars::protocol::Uuid;
use kafkars::protocol::messages::*;

use crate::support::wire::Connection;

pub fn answers(c: &mut Connection, topic_id: Uuid) {
    let find = |version: i16| FindCoordinatorRequest {
        key: if version < 4 {
            "g".to_owned()
        } else {
            String::new()
        },
        coordinator_keys: if version < 4 {
            Vec::new()
        } else {
            vec!["g".to_owned()]
        },
        ..Default::default()
    };
    c.ask_all(find, |version, response| {
        let error = response
            .coordinators
            .first()
            .map_or(response.error_code, |c| c.error_code);
        assert_eq!(error, 0, "version {version}");
    });
    let commit = |version: i16| OffsetCommitRequest {
        group_id: "simple".to_owned(),
        generation_id_or_member_epoch: -1,
        topics: vec![offset_commit_request::OffsetCommitRequestTopic {
            name: if version < 10 {
                "t7".to_owned()
            } else {
                String::new()
            },
            topic_id: if version < 10 { Uuid::ZERO } else { topic_id },
            partitions: vec![offset_commit_request::OffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: i64::from(version),
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    c.ask_all(commit, |version, response| {
        assert_eq!(
            response.topics[0].partitions[0].error_code, 0,
            "version {version}"
        );
    });
    let fetch = |version: i16| OffsetFetchRequest {
        group_id: if version < 8 {
            "simple".to_owned()
        } else {
            String::new()
        },
        topics: Some(if version < 8 {
            vec![offset_fetch_request::OffsetFetchRequestTopic {
                name: "t7".to_owned(),
                partition_indexes: vec![0],
            }]
        } else {
            Vec::new()
        }),
        groups: if version < 8 {
            Vec::new()
        } else {
            vec![offset_fetch_request::OffsetFetchRequestGroup {
                group_id: "simple".to_owned(),
                member_id: None,
                member_epoch: -1,
                topics: None,
            }]
        },
        require_stable: false,
    };
    c.ask_all(fetch, |version, response| {
        let old = response
            .topics
            .first()
            .map(|t| t.partitions[0].committed_offset);
        let new = response
            .groups
            .first()
            .map(|g| g.topics[0].partitions[0].committed_offset);
        assert_eq!(old.or(new), Some(10), "version {version}: {response:?}");
    });
    membership(c);
    consumer_protocol(c);
    streams_protocol(c);
    let describe = |_| DescribeGroupsRequest {
        groups: vec!["simple".to_owned()],
        ..Default::default()
    };
    c.ask_all(describe, |version, response| {
        assert_eq!(
            response.groups[0].error_code, 0,
            "version {version}: {response:?}"
        );
    });
    c.ask_all(
        |_| ListGroupsRequest::default(),
        |version, response| {
            assert!(
                response.groups.iter().any(|g| g.group_id == "simple"),
                "version {version}"
            );
        },
    );
    let delete = |_| DeleteGroupsRequest {
        groups_names: vec!["absent".to_owned()],
    };
    c.ask_all(delete, |version, response| {
        assert_eq!(response.results[0].error_code, 69, "version {version}");
    });
}

/// Joins, syncs, heartbeats and leaves as a member that does not exist where that is enough to be answered.
fn membership(c: &mut Connection) {
    let join = |version: i16| JoinGroupRequest {
        group_id: format!("g{version}"),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![join_group_request::JoinGroupRequestProtocol {
            name: "range".to_owned(),
            metadata: Bytes::from_static(b"x"),
        }],
        ..Default::default()
    };
    c.ask_all(join, |version, response| {
        let expected = if version < 4 { 0 } else { 79 };
        assert_eq!(
            response.error_code, expected,
            "version {version}: {response:?}"
        );
    });
    let unknown = 25;
    let sync = |version: i16| SyncGroupRequest {
        group_id: "g0".to_owned(),
        generation_id: 1,
        member_id: "nobody".to_owned(),
        protocol_type: (version >= 5).then(|| "consumer".to_owned()),
        protocol_name: (version >= 5).then(|| "range".to_owned()),
        ..Default::default()
    };
    c.ask_all(sync, |version, response| {
        assert_eq!(response.error_code, unknown, "version {version}")
    });
    let beat = |_| HeartbeatRequest {
        group_id: "g0".to_owned(),
        generation_id: 1,
        member_id: "nobody".to_owned(),
        ..Default::default()
    };
    c.ask_all(beat, |version, response| {
        assert_eq!(response.error_code, unknown, "version {version}")
    });
    let leave = |version: i16| LeaveGroupRequest {
        group_id: "g0".to_owned(),
        member_id: if version < 3 {
            "nobody".to_owned()
        } else {
            String::new()
        },
        members: if version < 3 {
            Vec::new()
        } else {
            vec![leave_group_request::MemberIdentity {
                member_id: "nobody".to_owned(),
                ..Default::default()
            }]
        },
    };
    c.ask_all(leave, |version, response| {
        let error = response
            .members
            .first()
            .map_or(response.error_code, |m| m.error_code);
        assert_eq!(error, unknown, "version {version}: {response:?}");
    });
}

fn streams_protocol(c: &mut Connection) {
    use streams_group_heartbeat_request::{Subtopology, Topology};
    let topology = Topology {
        subtopologies: vec![Subtopology {
            subtopology_id: "0".to_owned(),
            source_topics: vec!["t2".to_owned()],
            ..Default::default()
        }],
        ..Default::default()
    };
    let join = |_| StreamsGroupHeartbeatRequest {
        group_id: "streams".to_owned(),
        member_id: "member".to_owned(),
        rebalance_timeout_ms: 1000,
        topology: Some(topology.clone()),
        active_tasks: Some(Vec::new()),
        standby_tasks: Some(Vec::new()),
        warmup_tasks: Some(Vec::new()),
        process_id: Some("process".to_owned()),
        client_tags: Some(Vec::new()),
        ..Default::default()
    };
    c.ask_all(join, |version, response| {
        assert_eq!(response.error_code, 0, "version {version}: {response:?}");
        assert!(response.member_epoch > 0, "version {version}");
    });
    let describe = |_| StreamsGroupDescribeRequest {
        group_ids: vec!["streams".to_owned()],
        include_authorized_operations: true,
    };
    c.ask_all(describe, |version, response| {
        let group = &response.groups[0];
        assert_eq!(group.members.len(), 1, "version {version}: {group:?}");
        assert!(group.topology.is_some(), "version {version}: {group:?}");
        assert!(group.authorized_operations > 0, "version {version}");
    });
}

fn consumer_protocol(c: &mut Connection) {
    let join = |version: i16| ConsumerGroupHeartbeatRequest {
        group_id: "consumer".to_owned(),
        member_id: format!("member{version}"),
        rebalance_timeout_ms: 1000,
        subscribed_topic_names: Some(vec!["t2".to_owned()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    c.ask_all(join, |version, response| {
        assert_eq!(response.error_code, 0, "version {version}: {response:?}");
        assert!(response.member_epoch > 0, "version {version}");
    });
    let describe = |_| ConsumerGroupDescribeRequest {
        group_ids: vec!["consumer".to_owned()],
        ..Default::default()
    };
    c.ask_all(describe, |version, response| {
        assert_eq!(response.groups[0].members.len(), 2, "version {version}");
    });
    let list = |_| ListConfigResourcesRequest::default();
    c.ask_all(list, |version, response| {
        let has_topics = response
            .config_resources
            .iter()
            .any(|r| r.resource_type == 2);
        assert_eq!(has_topics, version > 0, "version {version}");
    });
}
