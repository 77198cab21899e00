use super::*;
use crate::metadata::image::{NO_LEADER, RecoveryState, feature_level};
use crate::metadata::v0;
use crate::protocol::records::metadata::{ConfigRecord, PartitionChangeRecord};

#[test]
fn a_new_cluster_begins_with_one_transaction() {
    let cluster = Cluster::new(&[]);
    let bootstrap = default_bootstrap_records();
    let records =
        cluster
            .controller
            .activation_records(&MetadataImage::default(), false, &bootstrap);
    assert_eq!(records.len(), 9);
    assert_eq!(records[0].record.name(), "BeginTransactionRecord");
    let MetadataRecord::Config(config) = &records[7].record else {
        panic!("{records:?}")
    };
    assert_eq!(
        (&*config.name, config.value.as_deref()),
        ("min.insync.replicas", Some("1"))
    );
    assert_eq!((config.resource_type, &*config.resource_name), (4, ""));
    assert_eq!(records[8].record.name(), "EndTransactionRecord");
    // Before 3.6-IV1 there were no transactions, and no eligible leaders.
    let old = [feature_level("metadata.version", 8)];
    let records = cluster
        .controller
        .activation_records(&MetadataImage::default(), false, &old);
    assert_eq!(records, old);
}

#[test]
fn a_transaction_left_open_is_aborted() {
    let cluster = Cluster::running();
    let records = cluster
        .controller
        .activation_records(&cluster.image, true, &[]);
    assert_eq!(names(&records), ["AbortTransactionRecord"]);
    assert!(
        cluster
            .controller
            .activation_records(&cluster.image, false, &[])
            .is_empty()
    );
}

#[test]
fn a_brokers_epoch_is_the_offset_of_its_registration() {
    let mut cluster = Cluster::new(&default_bootstrap_records());
    let (records, epoch) = cluster.start_broker(1, -1);
    assert_eq!(
        names(&records),
        ["RegisterBrokerRecord", "BrokerRegistrationChangeRecord"]
    );
    assert_eq!((records[0].version, records[1].version), (4, 0));
    assert_eq!(epoch, 9);
    let broker = &cluster.image.cluster.brokers[&1];
    assert_eq!((broker.broker_epoch, broker.fenced), (9, false));
}

#[test]
fn cordoned_directories_are_reported_once() {
    let mut cluster = Cluster::running();
    let report = |cluster: &Cluster| {
        cluster
            .controller
            .report_cordoned_directories(&cluster.image, 1, &[])
            .unwrap()
            .records
    };
    let records = report(&cluster);
    assert_eq!(
        (names(&records), records[0].version),
        (vec!["BrokerRegistrationChangeRecord"], 3)
    );
    cluster.apply(&records);
    assert!(report(&cluster).is_empty());
}

#[test]
fn a_clean_stop_leaves_eligible_leaders_who_lead_again() {
    let mut cluster = Cluster::running();
    cluster.create_simple("t", 1);
    let epoch = cluster.image.cluster.brokers[&1].broker_epoch;
    let topic = cluster.image.topics.get("t").unwrap().clone();
    let base = PartitionChangeRecord {
        topic_id: topic.id,
        partition_id: 0,
        ..Default::default()
    };

    let stopped = cluster.stop_broker(1);
    assert_eq!(
        names(&stopped),
        [
            "BrokerRegistrationChangeRecord",
            "PartitionChangeRecord",
            "BrokerRegistrationChangeRecord"
        ]
    );
    assert_eq!(
        (stopped[0].version, stopped[1].version, stopped[2].version),
        (1, 2, 0)
    );
    assert_eq!(
        partition_changes(&stopped),
        [PartitionChangeRecord {
            isr: Some(vec![]),
            leader: NO_LEADER,
            eligible_leader_replicas: Some(vec![1]),
            last_known_elr: Some(vec![1]),
            ..base.clone()
        }]
    );

    let (started, _) = cluster.start_broker(1, epoch);
    assert_eq!(
        partition_changes(&started),
        [PartitionChangeRecord {
            isr: Some(vec![1]),
            leader: 1,
            eligible_leader_replicas: Some(vec![]),
            last_known_elr: Some(vec![]),
            ..base
        }]
    );
    assert_eq!(
        cluster.image.topics.partition("t", 0).unwrap().leader_epoch,
        2
    );
}

#[test]
fn after_a_kill_the_last_leader_recovers() {
    let mut cluster = Cluster::running();
    cluster.create_simple("t", 1);
    let topic = cluster.image.topics.get("t").unwrap().clone();
    let base = PartitionChangeRecord {
        topic_id: topic.id,
        partition_id: 0,
        ..Default::default()
    };
    let (started, _) = cluster.start_broker(1, -1);
    assert_eq!(
        names(&started),
        [
            "PartitionChangeRecord",
            "RegisterBrokerRecord",
            "BrokerRegistrationChangeRecord",
            "PartitionChangeRecord"
        ]
    );
    assert_eq!(
        partition_changes(&started),
        [
            PartitionChangeRecord {
                isr: Some(vec![]),
                leader: NO_LEADER,
                last_known_elr: Some(vec![1]),
                ..base.clone()
            },
            PartitionChangeRecord {
                isr: Some(vec![1]),
                leader: 1,
                leader_recovery_state: 1,
                last_known_elr: Some(vec![]),
                ..base
            },
        ]
    );
    let partition = cluster.image.topics.partition("t", 0).unwrap();
    assert_eq!(partition.recovery_state, RecoveryState::Recovering);
    let epoch = cluster.image.cluster.brokers[&1].broker_epoch;
    assert_eq!(epoch, cluster.image.provenance.last_offset - 2);
}

#[test]
fn without_eligible_leaders_the_last_replica_stays_in_sync() {
    let mut cluster = Cluster::new(&[feature_level("metadata.version", 25)]);
    let (started, epoch) = cluster.start_broker(1, -1);
    assert_eq!(started[0].version, 3);
    cluster.create_simple("t", 1);
    let changes = partition_changes(&cluster.stop_broker(1));
    assert_eq!((changes[0].leader, &changes[0].isr), (NO_LEADER, &None));
    assert_eq!(cluster.image.topics.partition("t", 0).unwrap().isr, [1]);
    let (started, _) = cluster.start_broker(1, epoch);
    assert_eq!(partition_changes(&started)[0].leader, 1);
}

#[test]
fn a_leader_with_followers_hands_over() {
    let mut cluster = Cluster::running();
    cluster.start_broker(2, -1);
    cluster.apply(&[v0(ConfigRecord {
        resource_type: 4,
        name: "min.insync.replicas".to_owned(),
        value: Some("2".to_owned()),
        ..Default::default()
    })]);
    let outcome = cluster.create(vec![topic("t", 2, 2)]);
    assert_eq!(outcome[0].1, ErrorCode::None);
    cluster.stop_broker(1);
    for partition in cluster.image.topics.get("t").unwrap().partitions.values() {
        assert_eq!((partition.leader, &*partition.isr), (2, &[2][..]));
        assert_eq!(partition.elr, [1]);
    }
}

#[test]
fn foreign_and_incapable_brokers_are_refused() {
    let mut cluster = Cluster::running();
    let refusal = |cluster: &Cluster, request: &BrokerRegistrationRequest| {
        let next = cluster.image.provenance.last_offset + 1;
        cluster
            .controller
            .register_broker(&cluster.image, request, next)
            .unwrap_err()
    };
    let mut other = cluster.registration(1, -1);
    other.cluster_id = "VVCqlWndQvC92f7oLk3SqQ".to_owned();
    assert_eq!(
        refusal(&cluster, &other).code,
        ErrorCode::InconsistentClusterId
    );
    let mut old = cluster.registration(1, -1);
    old.features.retain(|range| range.name != "group.version");
    assert_eq!(
        refusal(&cluster, &old).message.unwrap(),
        "Unable to register because the broker does not support finalized version 1 of \
         group.version. The broker wants a version between 0 and 0, inclusive."
    );
    let mut thief = cluster.registration(2, -1);
    thief.log_dirs = cluster.image.cluster.brokers[&1].log_dirs.clone();
    assert_eq!(
        refusal(&cluster, &thief).code,
        ErrorCode::InvalidRegistration
    );
}

#[test]
fn producer_ids_come_in_blocks_for_the_registered_broker() {
    let mut cluster = Cluster::running();
    let epoch = cluster.image.cluster.brokers[&1].broker_epoch;
    for first in [0, 1000, 2000] {
        let result = cluster
            .controller
            .allocate_producer_ids(&cluster.image, 1, epoch)
            .unwrap();
        assert_eq!((result.response.first, result.response.len), (first, 1000));
        cluster.apply(&result.records);
    }
    let stale = cluster
        .controller
        .allocate_producer_ids(&cluster.image, 1, epoch + 1);
    assert_eq!(stale.unwrap_err().code, ErrorCode::StaleBrokerEpoch);
}
