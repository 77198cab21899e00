//! Every API that the broker offers answers in every version it offers, with what a client of that version can read.

mod admin;
mod share;
#[path = "../support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use kafkars::protocol::messages::*;
use kafkars::protocol::{ApiKey, Records, Uuid};
use kafkars::record::{BatchBuilder, BatchMeta};
use support::Broker;
use support::wire::Connection;

fn batch() -> Records {
    let mut builder = BatchBuilder::new();
    builder
        .append(1_700_000_000_000, Some(b"k"), Some(b"v"), &[])
        .unwrap();
    Records::Bytes(builder.finish(&BatchMeta::default()).unwrap())
}

fn batch_bytes() -> Bytes {
    support::wire::batch(&[b"v"])
}

#[test]
fn every_offered_version_is_answered() {
    let broker = Broker::start();
    let mut c = Connection::open(broker.port);
    let offered = offered(&mut c);
    let topic_id = topics(&mut c);
    data(&mut c, topic_id);
    groups(&mut c, topic_id);
    transactions(&mut c);
    share::groups(&mut c, topic_id);
    configs(&mut c);
    directories(&mut c);
    admin::answers(&mut c);
    // The list above covers all that is offered, so that a new API cannot be forgotten here.
    assert_eq!(offered, ASKED.map(|key| key.code()).to_vec());
}

/// Everything that is asked below, in the order of the keys.
const ASKED: [ApiKey; 73] = [
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::Heartbeat,
    ApiKey::LeaveGroup,
    ApiKey::SyncGroup,
    ApiKey::DescribeGroups,
    ApiKey::ListGroups,
    ApiKey::SaslHandshake,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::DeleteRecords,
    ApiKey::InitProducerId,
    ApiKey::OffsetForLeaderEpoch,
    ApiKey::AddPartitionsToTxn,
    ApiKey::AddOffsetsToTxn,
    ApiKey::EndTxn,
    ApiKey::WriteTxnMarkers,
    ApiKey::TxnOffsetCommit,
    ApiKey::DescribeAcls,
    ApiKey::CreateAcls,
    ApiKey::DeleteAcls,
    ApiKey::DescribeConfigs,
    ApiKey::AlterConfigs,
    ApiKey::AlterReplicaLogDirs,
    ApiKey::DescribeLogDirs,
    ApiKey::SaslAuthenticate,
    ApiKey::CreatePartitions,
    ApiKey::CreateDelegationToken,
    ApiKey::RenewDelegationToken,
    ApiKey::ExpireDelegationToken,
    ApiKey::DescribeDelegationToken,
    ApiKey::DeleteGroups,
    ApiKey::ElectLeaders,
    ApiKey::IncrementalAlterConfigs,
    ApiKey::AlterPartitionReassignments,
    ApiKey::ListPartitionReassignments,
    ApiKey::OffsetDelete,
    ApiKey::DescribeClientQuotas,
    ApiKey::AlterClientQuotas,
    ApiKey::DescribeUserScramCredentials,
    ApiKey::AlterUserScramCredentials,
    ApiKey::DescribeQuorum,
    ApiKey::UpdateFeatures,
    ApiKey::DescribeCluster,
    ApiKey::DescribeProducers,
    ApiKey::UnregisterBroker,
    ApiKey::DescribeTransactions,
    ApiKey::ListTransactions,
    ApiKey::ConsumerGroupHeartbeat,
    ApiKey::ConsumerGroupDescribe,
    ApiKey::ListConfigResources,
    ApiKey::DescribeTopicPartitions,
    ApiKey::ShareGroupHeartbeat,
    ApiKey::ShareGroupDescribe,
    ApiKey::ShareFetch,
    ApiKey::ShareAcknowledge,
    ApiKey::AddRaftVoter,
    ApiKey::RemoveRaftVoter,
    ApiKey::InitializeShareGroupState,
    ApiKey::ReadShareGroupState,
    ApiKey::WriteShareGroupState,
    ApiKey::DeleteShareGroupState,
    ApiKey::ReadShareGroupStateSummary,
    ApiKey::DescribeShareGroupOffsets,
    ApiKey::AlterShareGroupOffsets,
    ApiKey::DeleteShareGroupOffsets,
];

fn offered(c: &mut Connection) -> Vec<i16> {
    let mut keys = Vec::new();
    let request = |_| ApiVersionsRequest {
        client_software_name: "test".to_owned(),
        client_software_version: "1".to_owned(),
    };
    c.ask_all(request, |version, response| {
        assert_eq!(response.error_code, 0, "version {version}");
        keys = response.api_keys.iter().map(|api| api.api_key).collect();
    });
    keys
}

fn topics(c: &mut Connection) -> Uuid {
    use create_topics_request::CreatableTopic;
    let mut topic_id = Uuid::ZERO;
    let create = |version: i16| CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: format!("t{version}"),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        }],
        ..Default::default()
    };
    c.ask_all(create, |version, response| {
        assert_eq!(
            response.topics[0].error_code, 0,
            "version {version}: {response:?}"
        );
        topic_id = response.topics[0].topic_id;
    });
    let grow = |version: i16| CreatePartitionsRequest {
        topics: vec![create_partitions_request::CreatePartitionsTopic {
            name: "t2".to_owned(),
            count: 2 + i32::from(version),
            assignments: None,
        }],
        timeout_ms: 1000,
        validate_only: false,
    };
    c.ask_all(grow, |version, response| {
        assert_eq!(
            response.results[0].error_code, 0,
            "version {version}: {response:?}"
        );
    });
    let metadata = |_| MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let all = |version| match version {
        0 => MetadataRequest {
            topics: Some(Vec::new()),
            ..Default::default()
        },
        _ => metadata(version),
    };
    c.ask_all(all, |version, response| {
        assert_eq!(response.topics.len(), 6, "version {version}: {response:?}");
        assert!(response.topics.iter().all(|topic| topic.error_code == 0));
    });
    c.ask_all(
        |_| DescribeTopicPartitionsRequest::default(),
        |_, response| {
            assert_eq!(response.topics.len(), 6);
        },
    );
    c.ask_all(
        |_| DescribeClusterRequest::default(),
        |version, response| {
            assert_eq!(
                (response.error_code, response.brokers.len()),
                (0, 1),
                "version {version}"
            );
        },
    );
    let reassignments = |_| ListPartitionReassignmentsRequest {
        topics: None,
        timeout_ms: 1000,
    };
    c.ask_all(reassignments, |_, response| {
        assert_eq!(response.error_code, 0)
    });
    let delete = |version: i16| DeleteTopicsRequest {
        topic_names: if version < 6 {
            vec![format!("t{}", version + 1)]
        } else {
            Vec::new()
        },
        topics: if version < 6 {
            Vec::new()
        } else {
            let name = Some("absent".to_owned());
            vec![delete_topics_request::DeleteTopicState {
                name,
                topic_id: Uuid::ZERO,
            }]
        },
        timeout_ms: 1000,
    };
    c.ask_all(delete, |version, response| {
        let expected = if version < 6 { 0 } else { 3 };
        assert_eq!(
            response.responses[0].error_code, expected,
            "version {version}: {response:?}"
        );
    });
    topic_id
}

fn data(c: &mut Connection, topic_id: Uuid) {
    let produce = |version: i16| ProduceRequest {
        acks: -1,
        timeout_ms: 1000,
        topic_data: vec![produce_request::TopicProduceData {
            name: if version < 13 { "t7".into() } else { "".into() },
            topic_id: if version < 13 { Uuid::ZERO } else { topic_id },
            partition_data: vec![produce_request::PartitionProduceData {
                index: 0,
                records: Some(batch()),
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

/// Transactions of one producer, each ended by the next version.
fn transactions(c: &mut Connection) {
    let id = || "every version".to_owned();
    let init = InitProducerIdRequest {
        transactional_id: Some(id()),
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    let find = FindCoordinatorRequest {
        key_type: 1,
        coordinator_keys: vec![id()],
        ..Default::default()
    };
    support::until("the transaction coordinator is there", || {
        (c.ask(&find, 6).coordinators[0].error_code == 0).then_some(())
    });
    let owner = support::until("the transaction coordinator has loaded", || {
        let response = c.ask(&init, 5);
        (response.error_code == 0).then_some(response)
    });
    let producer_id = owner.producer_id;
    let epoch = std::cell::Cell::new(owner.producer_epoch);
    let add = |version: i16| {
        use add_partitions_to_txn_request as request;
        let topics = vec![request::AddPartitionsToTxnTopic {
            name: "t7".to_owned(),
            partitions: vec![0],
        }];
        let mut add = AddPartitionsToTxnRequest::default();
        if version < 4 {
            add.v3_and_below_transactional_id = id();
            add.v3_and_below_producer_id = producer_id;
            add.v3_and_below_producer_epoch = epoch.get();
            add.v3_and_below_topics = topics;
        } else {
            add.transactions = vec![request::AddPartitionsToTxnTransaction {
                transactional_id: id(),
                producer_id,
                producer_epoch: epoch.get(),
                verify_only: version == 5,
                topics,
            }];
        }
        add
    };
    c.ask_all(add, |version, response| {
        let results = match version {
            ..4 => response.results_by_topic_v3_and_below,
            _ => response.results_by_transaction[0].topic_results.clone(),
        };
        let error = results[0].results_by_partition[0].partition_error_code;
        assert_eq!(error, 0, "version {version}");
    });
    let offsets = |_| AddOffsetsToTxnRequest {
        transactional_id: id(),
        producer_id,
        producer_epoch: epoch.get(),
        group_id: "simple".to_owned(),
    };
    c.ask_all(offsets, |version, response| {
        assert_eq!(response.error_code, 0, "version {version}");
    });
    let commit = |version: i16| TxnOffsetCommitRequest {
        transactional_id: id(),
        group_id: "simple".to_owned(),
        producer_id,
        producer_epoch: epoch.get(),
        topics: vec![txn_offset_commit_request::TxnOffsetCommitRequestTopic {
            name: "t7".to_owned(),
            partitions: vec![txn_offset_commit_request::TxnOffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: i64::from(version),
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    c.ask_all(commit, |version, response| {
        let error = response.topics[0].partitions[0].error_code;
        assert_eq!(error, 0, "version {version}");
    });
    let end = |_| EndTxnRequest {
        transactional_id: id(),
        producer_id,
        producer_epoch: epoch.get(),
        committed: true,
    };
    // Versions 1 to 4 say the same of the same transaction again.
    c.ask_all(end, |version, response| {
        let expected = if version < 5 { 0 } else { INVALID_TXN_STATE };
        assert_eq!(response.error_code, expected, "version {version}");
    });
    told_of_transactions(c, id(), producer_id, epoch.get());
}

const INVALID_TXN_STATE: i16 = 48;

fn told_of_transactions(c: &mut Connection, id: String, producer_id: i64, producer_epoch: i16) {
    let marker = |version: i16| WriteTxnMarkersRequest {
        markers: vec![write_txn_markers_request::WritableTxnMarker {
            producer_id,
            producer_epoch,
            transaction_result: false,
            topics: vec![write_txn_markers_request::WritableTxnMarkerTopic {
                name: "t7".to_owned(),
                partition_indexes: vec![0],
            }],
            transaction_version: if version < 2 { 0 } else { 2 },
            ..Default::default()
        }],
    };
    c.ask_all(marker, |version, response| {
        let error = response.markers[0].topics[0].partitions[0].error_code;
        assert_eq!(error, 0, "version {version}");
    });
    let list = |version: i16| ListTransactionsRequest {
        transactional_id_pattern: (version >= 2).then(|| "every .*".to_owned()),
        ..Default::default()
    };
    c.ask_all(list, |version, response| {
        assert_eq!(response.error_code, 0, "version {version}");
        let listed = &response.transaction_states[0];
        assert_eq!(
            (listed.producer_id, listed.transaction_state.as_str()),
            (producer_id, "CompleteCommit"),
            "version {version}"
        );
    });
    let describe = |_| DescribeTransactionsRequest {
        transactional_ids: vec![id.clone()],
    };
    c.ask_all(describe, |_, response| {
        let state = &response.transaction_states[0];
        assert_eq!(state.transaction_state, "CompleteCommit");
    });
    let producers = |_| DescribeProducersRequest {
        topics: vec![describe_producers_request::TopicRequest {
            name: "t7".to_owned(),
            partition_indexes: vec![0],
        }],
    };
    c.ask_all(producers, |_, response| {
        let partition = &response.topics[0].partitions[0];
        let known = partition.active_producers.iter();
        let ids: Vec<i64> = known.map(|producer| producer.producer_id).collect();
        assert_eq!((partition.error_code, ids), (0, vec![producer_id]));
    });
}

fn groups(c: &mut Connection, topic_id: Uuid) {
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

fn directories(c: &mut Connection) {
    c.create_topic("in-a-directory", 1, &[]);
    assert_eq!(c.produce("in-a-directory", 0, batch_bytes()).0, 0);
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

fn configs(c: &mut Connection) {
    const TOPIC: i8 = 2;
    let alter = |version: i16| IncrementalAlterConfigsRequest {
        resources: vec![incremental_alter_configs_request::AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: "t7".to_owned(),
            configs: vec![incremental_alter_configs_request::AlterableConfig {
                name: "retention.ms".to_owned(),
                config_operation: 0,
                value: Some(format!("{}", 1000 + version)),
            }],
        }],
        validate_only: false,
    };
    c.ask_all(alter, |version, response| {
        assert_eq!(
            response.responses[0].error_code, 0,
            "version {version}: {response:?}"
        );
    });
    let describe = |_| DescribeConfigsRequest {
        resources: vec![describe_configs_request::DescribeConfigsResource {
            resource_type: TOPIC,
            resource_name: "t7".to_owned(),
            configuration_keys: None,
        }],
        include_synonyms: true,
        ..Default::default()
    };
    c.ask_all(describe, |version, response| {
        let configs = &response.results[0].configs;
        assert_eq!(configs.len(), 33, "version {version}");
        let retention = configs
            .iter()
            .find(|config| config.name == "retention.ms")
            .unwrap();
        assert_eq!(retention.value.as_deref(), Some("1001"));
    });
}

#[test]
fn an_unknown_api_versions_version_is_answered_in_version_0() {
    let broker = Broker::start();
    let mut stream = TcpStream::connect(("127.0.0.1", broker.port)).unwrap();
    // Version 5, as newer clients probe first: header, then a body that nobody here knows.
    let request = [0, 0, 0, 14, 0, 18, 0, 5, 0, 0, 0, 9, 0xff, 0xff, 0, 1, 1, 0];
    stream.write_all(&request).unwrap();
    let mut answer = [0; 20];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(
        answer,
        [
            0, 0, 0, 16, 0, 0, 0, 9, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4
        ]
    );
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
