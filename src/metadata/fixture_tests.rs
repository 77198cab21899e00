//! What Apache Kafka wrote is read whole, and written back byte for byte.

use std::path::PathBuf;

use super::batch::{self, Content, ControlRecord};
use super::image::{ConfigResource, ConfigResourceType, NO_LEADER, RecoveryState};
use super::record::UnknownRecord;
use super::snapshot::{Snapshot, SnapshotId};
use super::*;
use crate::record::batches;

pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/metadata")
        .join(name)
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

fn image_of_log(name: &str) -> MetadataImage {
    let mut loader = MetadataLoader::new(&MetadataImage::default());
    for view in batches(&read(name)) {
        let batch = batch::decode(&view.unwrap()).unwrap();
        let end = Provenance {
            last_offset: batch.last_offset,
            last_epoch: batch.epoch,
            last_timestamp_ms: batch.timestamp_ms,
        };
        match batch.content {
            Content::Records(records) => loader.load(&records, end).unwrap(),
            Content::Control(_) => loader.passed(end),
        }
    }
    loader.take_changes().0
}

fn image_of_records(records: &[VersionedRecord]) -> MetadataImage {
    apply(&MetadataImage::default(), records, Provenance::default())
        .unwrap()
        .0
}

#[test]
fn logs_and_snapshots_encode_to_the_same_bytes() {
    for name in [
        "clean.log",
        "unclean.log",
        "clean-130-1.checkpoint",
        "unclean-175-1.checkpoint",
        "standalone-0-0.checkpoint",
        "bootstrap.checkpoint",
    ] {
        let bytes = read(name);
        for view in batches(&bytes) {
            let view = view.unwrap();
            let decoded = batch::decode(&view).unwrap();
            let (base, epoch, time) = (decoded.base_offset, decoded.epoch, decoded.timestamp_ms);
            let encoded = match &decoded.content {
                Content::Records(records) => batch::encode_records(records, base, epoch, time),
                Content::Control(records) => batch::encode_control(records, base, epoch, time),
            };
            assert_eq!(encoded.unwrap(), view.bytes(), "{name} at offset {base}");
        }
    }
}

#[test]
fn the_clean_log_holds_what_kafka_described() {
    let image = image_of_log("clean.log");
    assert_eq!(image.provenance.last_offset, 181);
    let finalized: Vec<_> = image.features.finalized().into_iter().collect();
    let level = |name: &str, level| (name.to_owned(), level);
    assert_eq!(
        finalized,
        [
            level("eligible.leader.replicas.version", 1),
            level("group.version", 1),
            level("metadata.version", 30),
            level("share.version", 1),
            level("streams.version", 1),
            level("transaction.version", 2),
        ]
    );
    assert_eq!(image.topics.len(), 20);
    assert!(image.topics.get("todelete").is_none());
    let configs = image.topics.get("configs").unwrap();
    assert_eq!(configs.partitions.len(), 3);
    let partition = &configs.partitions[&2];
    assert_eq!((partition.leader, partition.leader_epoch), (NO_LEADER, 1));
    assert_eq!((&*partition.isr, &*partition.elr), (&[][..], &[1][..]));
    assert_eq!(partition.last_known_elr, [1]);
    assert_eq!(
        partition.directories[0].to_string(),
        "o0klrL8yJRFItYJbrBMX1g"
    );
    let overrides = image.configs.of(&ConfigResource::topic("configs"));
    assert_eq!(overrides.len(), 9);
    assert_eq!(overrides["retention.bytes"], "123456789");
    let cluster = ConfigResource::cluster();
    assert_eq!(
        image.configs.get(&cluster, "log.retention.ms"),
        Some("1000000000000")
    );
    let broker = &image.cluster.brokers[&1];
    assert!(broker.fenced && broker.in_controlled_shutdown);
    assert_eq!(broker.broker_epoch, 11);
    assert_eq!(image.cluster.controllers[&1].end_points[0].port, 23011);
}

#[test]
fn security_and_other_kinds_of_the_clean_log_are_kept() {
    let image = image_of_log("clean.log");
    let acls: Vec<_> = image
        .acls
        .by_id
        .values()
        .map(|acl| {
            (
                acl.resource_type,
                &*acl.resource_name,
                &*acl.principal,
                acl.permission_type,
            )
        })
        .collect();
    assert_eq!(acls.len(), 3);
    for acl in [
        (3, "*", "User:*", 3),
        (2, "c-", "User:alice", 2),
        (2, "plain", "User:alice", 3),
    ] {
        assert!(acls.contains(&acl), "{acl:?}");
    }
    let scram: Vec<_> = image
        .scram
        .credentials
        .iter()
        .map(|((mechanism, user), credential)| (*mechanism, &**user, credential.iterations))
        .collect();
    assert_eq!(scram, [(1, "alice", 4096), (2, "alice", 8192)]);
    let quotas: Vec<_> = image.quotas.by_entity.values().flatten().collect();
    assert_eq!(
        quotas,
        [
            (&"request_percentage".to_owned(), &200.0),
            (&"connection_creation_rate".to_owned(), &55.0),
            (&"producer_byte_rate".to_owned(), &1048576.0),
        ]
    );
    let group = ConfigResource {
        kind: ConfigResourceType::GROUP,
        name: "g-consumer".to_owned(),
    };
    assert_eq!(
        image.configs.get(&group, "consumer.session.timeout.ms"),
        Some("50000")
    );
    let metrics = ConfigResource {
        kind: ConfigResourceType::CLIENT_METRICS,
        name: "sub1".to_owned(),
    };
    assert_eq!(image.configs.get(&metrics, "interval.ms"), Some("60000"));
    assert_eq!(image.producer_ids.unwrap().next_producer_id, 1000);
}

#[test]
fn the_log_after_a_kill_has_leaders_and_state() {
    let image = image_of_log("unclean.log");
    assert_eq!(image.topics.len(), 5);
    let partition = image.topics.partition("u", 1).unwrap();
    assert_eq!(
        (partition.leader, partition.recovery_state),
        (1, RecoveryState::Recovered)
    );
    assert!(image.cluster.is_active(1));
}

#[test]
fn kafkas_snapshot_is_the_log_up_to_its_offset() {
    let mut loader = MetadataLoader::new(&MetadataImage::default());
    for view in batches(&read("clean.log")) {
        let batch = batch::decode(&view.unwrap()).unwrap();
        if let Content::Records(records) = batch.content
            && batch.last_offset < 130
        {
            let end = Provenance {
                last_offset: batch.last_offset,
                ..Provenance::default()
            };
            loader.load(&records, end).unwrap();
        }
    }
    let mut from_log = loader.take_changes().0;
    let snapshot = Snapshot::read(&fixture("clean-130-1.checkpoint")).unwrap();
    let from_snapshot = image_of_records(&snapshot.records);
    // Kafka's snapshot forgets which broker got the last block of producer ids.
    from_log.producer_ids = from_snapshot.producer_ids.clone();
    // And it lists a broker's features in an order of its own.
    let sorted = |image: &MetadataImage| {
        let mut records = image.records();
        for record in &mut records {
            if let MetadataRecord::RegisterBroker(broker) = &mut record.record {
                broker.features.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
        records
    };
    assert_eq!(sorted(&from_log), sorted(&from_snapshot));
}

#[test]
fn our_snapshot_adds_up_to_the_same_image() {
    for name in ["clean.log", "unclean.log"] {
        let mut image = image_of_log(name);
        let unknown = UnknownRecord {
            api_key: 99,
            version: 3,
            body: vec![1, 2, 3].into(),
        };
        std::sync::Arc::make_mut(&mut image.unknown).push(MetadataRecord::Unknown(unknown));
        let directory = tempfile::tempdir().unwrap();
        let id = SnapshotId {
            end_offset: image.provenance.last_offset + 1,
            epoch: 1,
        };
        let snapshot = Snapshot {
            records: image.records(),
            ..Snapshot::default()
        };
        let path = snapshot.write(directory.path(), id, 5).unwrap();
        let read = Snapshot::read(&path).unwrap();
        assert!(
            image_of_records(&read.records).same_content(&image),
            "{name}"
        );
    }
}

#[test]
fn the_snapshot_of_a_dynamic_quorum_names_its_voters() {
    let snapshot = Snapshot::read(&fixture("standalone-0-0.checkpoint")).unwrap();
    let [
        ControlRecord::KRaftVersion(version),
        ControlRecord::Voters(voters),
    ] = &snapshot.quorum[..]
    else {
        panic!("{:?}", snapshot.quorum);
    };
    assert_eq!(version.kraft_version, 1);
    assert_eq!(voters.voters[0].voter_id, 1);
}
