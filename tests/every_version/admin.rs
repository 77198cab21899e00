//! The admin APIs that configure, describe or refuse.

use bytes::Bytes;
use kafkars::protocol::ErrorCode;
use kafkars::protocol::messages::*;

use crate::support::wire::Connection;

pub fn answers(c: &mut Connection) {
    configs(c);
    partitions(c);
    quorum(c);
    quotas(c);
    scram(c);
    security(c);
}

fn configs(c: &mut Connection) {
    use alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let replace = |version: i16| AlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: 2,
            resource_name: "t7".to_owned(),
            configs: vec![AlterableConfig {
                name: "retention.ms".to_owned(),
                value: Some(format!("200{version}")),
            }],
        }],
        validate_only: false,
    };
    c.ask_all(replace, |version, response| {
        assert_eq!(response.responses[0].error_code, 0, "version {version}");
    });
}

fn partitions(c: &mut Connection) {
    let elect = |_| ElectLeadersRequest {
        topic_partitions: Some(vec![elect_leaders_request::TopicPartitions {
            topic: "t7".to_owned(),
            partitions: vec![0],
        }]),
        ..Default::default()
    };
    c.ask_all(elect, |version, response| {
        let result = &response.replica_election_results[0].partition_result[0];
        let not_needed = ErrorCode::ElectionNotNeeded.code();
        assert_eq!(result.error_code, not_needed, "version {version}");
    });
    use alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
    let reassign = |_| AlterPartitionReassignmentsRequest {
        topics: vec![ReassignableTopic {
            name: "t7".to_owned(),
            partitions: vec![ReassignablePartition {
                partition_index: 0,
                replicas: Some(vec![1]),
            }],
        }],
        ..Default::default()
    };
    c.ask_all(reassign, |version, response| {
        let partition = &response.responses[0].partitions[0];
        assert_eq!(partition.error_code, 0, "version {version}");
    });
    use offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
    let epoch = |_| OffsetForLeaderEpochRequest {
        topics: vec![OffsetForLeaderTopic {
            topic: "t7".to_owned(),
            partitions: vec![OffsetForLeaderPartition {
                partition: 0,
                current_leader_epoch: 0,
                leader_epoch: 0,
            }],
        }],
        ..Default::default()
    };
    c.ask_all(epoch, |version, response| {
        let found = &response.topics[0].partitions[0];
        let expected = (0, 0, version);
        assert_eq!((found.error_code, found.leader_epoch, version), expected);
        assert!(found.end_offset >= 0, "version {version}");
    });
    use offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
    let forget = |_| OffsetDeleteRequest {
        group_id: "nobody".to_owned(),
        topics: vec![OffsetDeleteRequestTopic {
            name: "t7".to_owned(),
            partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
        }],
    };
    c.ask_all(forget, |_, response| {
        assert_eq!(response.error_code, ErrorCode::GroupIdNotFound.code());
    });
}

fn quorum(c: &mut Connection) {
    use describe_quorum_request::{PartitionData, TopicData};
    let describe = |_| DescribeQuorumRequest {
        topics: vec![TopicData {
            topic_name: "__cluster_metadata".to_owned(),
            partitions: vec![PartitionData { partition_index: 0 }],
        }],
    };
    c.ask_all(describe, |version, response| {
        let partition = &response.topics[0].partitions[0];
        assert_eq!(partition.leader_id, 1, "version {version}");
        assert_eq!(partition.current_voters.len(), 1, "version {version}");
        assert_eq!(response.nodes.len(), usize::from(version >= 2));
    });
    let features = |version: i16| UpdateFeaturesRequest {
        validate_only: version > 0,
        feature_updates: vec![update_features_request::FeatureUpdateKey {
            feature: "group.version".to_owned(),
            max_version_level: 1,
            ..Default::default()
        }],
        ..Default::default()
    };
    c.ask_all(features, |version, response| {
        assert_eq!(response.error_code, 0, "version {version}");
        assert_eq!(response.results.len(), usize::from(version < 2));
    });
    let unregister = |_| UnregisterBrokerRequest { broker_id: 9 };
    c.ask_all(unregister, |_, response| {
        assert_eq!(response.error_code, ErrorCode::BrokerIdNotRegistered.code());
    });
    let add = |_| AddRaftVoterRequest {
        cluster_id: None,
        voter_id: 2,
        listeners: vec![add_raft_voter_request::Listener {
            name: "CONTROLLER".to_owned(),
            host: "localhost".to_owned(),
            port: 1,
        }],
        ..Default::default()
    };
    c.ask_all(add, |_, response| {
        assert_eq!(response.error_code, ErrorCode::UnsupportedVersion.code());
    });
    let remove = |_| RemoveRaftVoterRequest {
        cluster_id: None,
        voter_id: 1,
        ..Default::default()
    };
    c.ask_all(remove, |_, response| {
        assert_eq!(response.error_code, ErrorCode::UnsupportedVersion.code());
    });
}

fn quotas(c: &mut Connection) {
    use alter_client_quotas_request::{EntityData, EntryData, OpData};
    let alter = |version: i16| AlterClientQuotasRequest {
        entries: vec![EntryData {
            entity: vec![EntityData {
                entity_type: "user".to_owned(),
                entity_name: Some(format!("u{version}")),
            }],
            ops: vec![OpData {
                key: "producer_byte_rate".to_owned(),
                value: 1e9,
                remove: false,
            }],
        }],
        validate_only: false,
    };
    c.ask_all(alter, |version, response| {
        assert_eq!(response.entries[0].error_code, 0, "version {version}");
    });
    let describe = |version: i16| DescribeClientQuotasRequest {
        components: vec![describe_client_quotas_request::ComponentData {
            entity_type: "user".to_owned(),
            match_type: 0,
            r#match: Some(format!("u{version}")),
        }],
        strict: true,
    };
    c.ask_all(describe, |version, response| {
        let entries = response.entries.unwrap();
        assert_eq!(entries[0].values[0].value, 1e9, "version {version}");
    });
}

fn scram(c: &mut Connection) {
    use alter_user_scram_credentials_request::ScramCredentialUpsertion;
    let upsert = |_| AlterUserScramCredentialsRequest {
        deletions: Vec::new(),
        upsertions: vec![ScramCredentialUpsertion {
            name: "u".to_owned(),
            mechanism: 1,
            iterations: 4096,
            salt: Bytes::from_static(b"salt"),
            salted_password: Bytes::from_static(b"password"),
        }],
    };
    c.ask_all(upsert, |_, response| {
        assert_eq!(response.results[0].error_code, 0);
    });
    let describe = |_| DescribeUserScramCredentialsRequest { users: None };
    c.ask_all(describe, |_, response| {
        assert_eq!(response.results[0].credential_infos[0].iterations, 4096);
    });
}

/// There is no authorizer, and nobody is authenticated.
fn security(c: &mut Connection) {
    let disabled = ErrorCode::SecurityDisabled.code();
    let describe = |_| DescribeAclsRequest {
        resource_type_filter: 1,
        ..Default::default()
    };
    c.ask_all(describe, |_, r| assert_eq!(r.error_code, disabled));
    let create = |_| CreateAclsRequest {
        creations: vec![Default::default()],
    };
    c.ask_all(create, |_, r| assert_eq!(r.results[0].error_code, disabled));
    let delete = |_| DeleteAclsRequest {
        filters: vec![Default::default()],
    };
    c.ask_all(delete, |_, r| {
        assert_eq!(r.filter_results[0].error_code, disabled);
    });
    let not_allowed = ErrorCode::DelegationTokenRequestNotAllowed.code();
    let create = |_| CreateDelegationTokenRequest::default();
    c.ask_all(create, |_, r| assert_eq!(r.error_code, not_allowed));
    let renew = |_| RenewDelegationTokenRequest::default();
    c.ask_all(renew, |_, r| assert_eq!(r.error_code, not_allowed));
    let expire = |_| ExpireDelegationTokenRequest::default();
    c.ask_all(expire, |_, r| assert_eq!(r.error_code, not_allowed));
    let describe = |_| DescribeDelegationTokenRequest::default();
    c.ask_all(describe, |_, r| assert_eq!(r.error_code, not_allowed));
    let illegal = ErrorCode::IllegalSaslState.code();
    let handshake = |_| SaslHandshakeRequest {
        mechanism: "PLAIN".to_owned(),
    };
    c.ask_all(handshake, |_, r| assert_eq!(r.error_code, illegal));
    let authenticate = |_| SaslAuthenticateRequest::default();
    c.ask_all(authenticate, |_, r| assert_eq!(r.error_code, illegal));
}
