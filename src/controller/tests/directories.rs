use super::*;
use crate::metadata::image::NO_LEADER;
use crate::protocol::messages::AssignReplicasToDirsRequest;
use crate::protocol::messages::assign_replicas_to_dirs_request::{
    DirectoryData, PartitionData, TopicData,
};
use crate::protocol::records::metadata::PartitionChangeRecord;

const A: Uuid = Uuid::from_u128(8_000_001);
const B: Uuid = Uuid::from_u128(8_000_002);
const UNASSIGNED: Uuid = Uuid::from_u128(1);

/// Broker 1 with two directories.
fn two_directories() -> Cluster {
    let mut cluster = Cluster::new(&default_bootstrap_records());
    let mut request = cluster.registration(1, -1);
    request.log_dirs = vec![A, B];
    let next = cluster.image.provenance.last_offset + 1;
    let registered = cluster
        .controller
        .register_broker(&cluster.image, &request, next)
        .unwrap();
    cluster.apply(&registered.records);
    let unfenced = cluster.controller.unfence_broker(&cluster.image, 1);
    cluster.apply(&unfenced.unwrap().records);
    cluster
}

fn assign(
    cluster: &Cluster,
    directory: Uuid,
    topic_id: Uuid,
    index: i32,
) -> (Vec<VersionedRecord>, i16) {
    let partition = PartitionData {
        partition_index: index,
    };
    let topic = TopicData {
        topic_id,
        partitions: vec![partition],
    };
    let request = AssignReplicasToDirsRequest {
        broker_id: 1,
        broker_epoch: cluster.image.cluster.brokers[&1].broker_epoch,
        directories: vec![DirectoryData {
            id: directory,
            topics: vec![topic],
        }],
    };
    let result = cluster
        .controller
        .assign_replicas_to_dirs(&cluster.image, &request)
        .unwrap();
    let answer = &result.response.directories[0];
    assert_eq!(answer.id, directory);
    (result.records, answer.topics[0].partitions[0].error_code)
}

fn topic_id(cluster: &Cluster) -> Uuid {
    cluster.image.topics.get("t").unwrap().id
}

#[test]
fn replicas_are_assigned_once_the_broker_has_chosen() {
    let mut cluster = two_directories();
    cluster.create_simple("t", 1);
    let id = topic_id(&cluster);
    let directories = |cluster: &Cluster| {
        let topic = cluster.image.topics.get("t").unwrap();
        topic.partitions[&0].directories.clone()
    };
    assert_eq!(directories(&cluster), [UNASSIGNED]);
    let (records, error) = assign(&cluster, B, id, 0);
    assert_eq!(error, 0);
    let change = PartitionChangeRecord {
        topic_id: id,
        partition_id: 0,
        directories: Some(vec![B]),
        ..Default::default()
    };
    assert_eq!(partition_changes(&records), [change]);
    assert_eq!(records[0].version, 2);
    cluster.apply(&records);
    assert_eq!(directories(&cluster), [B]);
    assert_eq!(assign(&cluster, B, id, 0), (vec![], 0));
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(assign(&cluster, B, id, 7), (vec![], unknown));
    let unknown = ErrorCode::UnknownTopicId.code();
    assert_eq!(assign(&cluster, B, A, 0), (vec![], unknown));
}

#[test]
fn partitions_in_a_failed_directory_have_no_leader_until_it_is_back() {
    let mut cluster = two_directories();
    cluster.create_simple("t", 2);
    let id = topic_id(&cluster);
    for (directory, index) in [(A, 0), (B, 1)] {
        let (records, _) = assign(&cluster, directory, id, index);
        cluster.apply(&records);
    }
    let offline = |cluster: &Cluster, directories: &[Uuid]| {
        cluster
            .controller
            .directories_offline(&cluster.image, 1, directories)
            .unwrap()
            .records
    };
    let records = offline(&cluster, &[B]);
    assert_eq!(
        names(&records),
        ["PartitionChangeRecord", "BrokerRegistrationChangeRecord"]
    );
    assert_eq!((records[0].version, records[1].version), (2, 2));
    cluster.apply(&records);
    let leaders = |cluster: &Cluster| {
        let topic = cluster.image.topics.get("t").unwrap();
        [0, 1].map(|index| topic.partitions[&index].leader)
    };
    assert_eq!(leaders(&cluster), [1, NO_LEADER]);
    assert_eq!(cluster.image.cluster.brokers[&1].log_dirs, [A]);
    assert!(offline(&cluster, &[B]).is_empty(), "reported once");

    // A replica that turns out to be there is lost as well.
    let (records, _) = assign(&cluster, B, id, 0);
    cluster.apply(&records);
    assert_eq!(leaders(&cluster), [NO_LEADER, NO_LEADER]);

    // Both are online again after a restart.
    let epoch = cluster.image.cluster.brokers[&1].broker_epoch;
    cluster.stop_broker(1);
    let mut request = cluster.registration(1, epoch);
    request.log_dirs = vec![A, B];
    let next = cluster.image.provenance.last_offset + 1;
    let registered = cluster
        .controller
        .register_broker(&cluster.image, &request, next)
        .unwrap();
    cluster.apply(&registered.records);
    let unfenced = cluster.controller.unfence_broker(&cluster.image, 1);
    cluster.apply(&unfenced.unwrap().records);
    assert_eq!(leaders(&cluster), [1, 1]);
}
