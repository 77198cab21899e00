//! Elections, reassignments, brokers that are forgotten, quotas and credentials.

use super::*;
use crate::metadata::image::PartitionImage;
use crate::protocol::messages::{
    AlterClientQuotasRequest, AlterPartitionReassignmentsRequest, AlterUserScramCredentialsRequest,
    ElectLeadersRequest, UnregisterBrokerRequest, alter_client_quotas_request,
    alter_partition_reassignments_request, alter_user_scram_credentials_request,
    elect_leaders_request,
};

/// Two brokers, and a partition that is on both.
fn two_brokers() -> Cluster {
    let mut cluster = Cluster::running();
    cluster.start_broker(2, -1);
    let created = cluster.create(vec![topic("t", 1, 2)]);
    assert_eq!(created[0].1, ErrorCode::None);
    cluster
}

fn partition(cluster: &Cluster) -> PartitionImage {
    cluster.image.topics.partition("t", 0).unwrap().clone()
}

fn reassign(cluster: &mut Cluster, replicas: Option<Vec<i32>>) -> ErrorCode {
    use alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
    let request = AlterPartitionReassignmentsRequest {
        topics: vec![ReassignableTopic {
            name: "t".to_owned(),
            partitions: vec![ReassignablePartition {
                partition_index: 0,
                replicas,
            }],
        }],
        ..Default::default()
    };
    let controller = &cluster.controller;
    let result = controller.alter_partition_reassignments(&cluster.image, &request);
    cluster.apply(&result.records);
    ErrorCode::from_code(result.response.responses[0].partitions[0].error_code)
}

fn elect(cluster: &mut Cluster, election_type: i8) -> ErrorCode {
    let request = ElectLeadersRequest {
        election_type,
        topic_partitions: Some(vec![elect_leaders_request::TopicPartitions {
            topic: "t".to_owned(),
            partitions: vec![0],
        }]),
        ..Default::default()
    };
    let controller = &cluster.controller;
    let result = controller.elect_leaders(&cluster.image, &request).unwrap();
    cluster.apply(&result.records);
    let results = result.response.replica_election_results;
    ErrorCode::from_code(results[0].partition_result[0].error_code)
}

#[test]
fn the_first_replica_leads_when_it_is_asked_for() {
    let mut cluster = two_brokers();
    let before = partition(&cluster);
    assert_eq!(elect(&mut cluster, 0), ErrorCode::ElectionNotNeeded);
    let turned: Vec<i32> = before.replicas.iter().rev().copied().collect();
    assert_eq!(
        reassign(&mut cluster, Some(turned.clone())),
        ErrorCode::None
    );
    let after = partition(&cluster);
    assert_eq!((&after.replicas, after.leader), (&turned, before.leader));
    // Each replica keeps its directory.
    let directory = |p: &PartitionImage, id| p.directory_of(id);
    assert!(
        turned
            .iter()
            .all(|id| directory(&before, *id) == directory(&after, *id))
    );
    assert_eq!(elect(&mut cluster, 0), ErrorCode::None);
    assert_eq!(partition(&cluster).leader, turned[0]);
    assert_eq!(elect(&mut cluster, 1), ErrorCode::ElectionNotNeeded);
}

#[test]
fn a_replica_that_is_away_is_not_elected() {
    let mut cluster = two_brokers();
    let preferred = partition(&cluster).replicas[0];
    cluster.stop_broker(preferred);
    assert_ne!(partition(&cluster).leader, preferred);
    assert_eq!(
        elect(&mut cluster, 0),
        ErrorCode::PreferredLeaderNotAvailable
    );
}

#[test]
fn replicas_stay_with_the_brokers_that_are_in_sync() {
    let mut cluster = two_brokers();
    cluster.start_broker(3, -1);
    let before = partition(&cluster);
    let refused = reassign(&mut cluster, Some(vec![1, 3]));
    assert_eq!(refused, ErrorCode::InvalidReplicaAssignment);
    assert_eq!(
        reassign(&mut cluster, None),
        ErrorCode::NoReassignmentInProgress
    );
    assert_eq!(partition(&cluster), before);
}

#[test]
fn a_broker_that_is_gone_is_forgotten() {
    let mut cluster = two_brokers();
    cluster.stop_broker(2);
    let request = UnregisterBrokerRequest { broker_id: 2 };
    let unregister = |cluster: &Cluster| {
        let controller = &cluster.controller;
        controller.unregister_broker(&cluster.image, &request)
    };
    let records = unregister(&cluster).unwrap().records;
    cluster.apply(&records);
    assert!(cluster.image.cluster.broker(2).is_none());
    assert_eq!(partition(&cluster).leader, 1);
    let twice = unregister(&cluster).unwrap_err();
    assert_eq!(twice.code, ErrorCode::BrokerIdNotRegistered);
}

#[test]
fn quotas_are_recorded_when_they_change() {
    use alter_client_quotas_request::{EntityData, EntryData, OpData};
    let mut cluster = Cluster::running();
    let mut alter = |value: Option<f64>| {
        let request = AlterClientQuotasRequest {
            entries: vec![EntryData {
                entity: vec![EntityData {
                    entity_type: "user".to_owned(),
                    entity_name: None,
                }],
                ops: vec![OpData {
                    key: "request_percentage".to_owned(),
                    value: value.unwrap_or_default(),
                    remove: value.is_none(),
                }],
            }],
            validate_only: false,
        };
        let controller = &cluster.controller;
        let result = controller.alter_client_quotas(&cluster.image, &request);
        cluster.apply(&result.records);
        let held = cluster.image.quotas.by_entity.len();
        (result.records.len(), held)
    };
    assert_eq!(alter(Some(1.5)), (1, 1));
    assert_eq!(alter(Some(1.5)), (0, 1));
    assert_eq!(alter(None), (1, 0));
    assert_eq!(alter(None), (0, 0));
}

#[test]
fn credentials_are_kept_without_the_password() {
    use alter_user_scram_credentials_request::{ScramCredentialDeletion, ScramCredentialUpsertion};
    let mut cluster = Cluster::running();
    let mut alter = |request: &AlterUserScramCredentialsRequest| {
        let controller = &cluster.controller;
        let result = controller.alter_user_scram_credentials(&cluster.image, request);
        cluster.apply(&result.records);
        let kept: Vec<_> = cluster.image.scram.credentials.values().cloned().collect();
        (
            ErrorCode::from_code(result.response.results[0].error_code),
            kept,
        )
    };
    let upsert = |salted_password: &'static [u8]| AlterUserScramCredentialsRequest {
        upsertions: vec![ScramCredentialUpsertion {
            name: "u".to_owned(),
            mechanism: 2,
            iterations: 4096,
            salt: bytes::Bytes::from_static(b"salt"),
            salted_password: bytes::Bytes::from_static(salted_password),
        }],
        ..Default::default()
    };
    let (error, kept) = alter(&upsert(b"salted"));
    assert_eq!((error, kept.len()), (ErrorCode::None, 1));
    assert_eq!(
        (kept[0].stored_key.len(), kept[0].server_key.len()),
        (64, 64)
    );
    let (error, still) = alter(&upsert(b""));
    assert_eq!((error, still), (ErrorCode::UnacceptableCredential, kept));
    let delete = AlterUserScramCredentialsRequest {
        deletions: vec![ScramCredentialDeletion {
            name: "u".to_owned(),
            mechanism: 2,
        }],
        ..Default::default()
    };
    assert_eq!(alter(&delete), (ErrorCode::None, Vec::new()));
    assert_eq!(alter(&delete).0, ErrorCode::ResourceNotFound);
}
