mod power_cut;

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::controller::Controller;
use crate::log::storage::faulty::FaultyDisk;
use crate::metadata::format::{Formatter, InitialQuorum, METADATA_LOG_DIRECTORY, parse_voters};
use crate::metadata::image::feature_level;
use crate::metadata::properties::MetaProperties;
use crate::metadata::snapshot::{self, SnapshotId};
use crate::metadata::v0;
use crate::protocol::Uuid;
use crate::protocol::records::metadata::{
    BeginTransactionRecord, ConfigRecord, RemoveTopicRecord, TopicRecord,
};

const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";
const NOW: i64 = 1_800_000_000_000;

fn format(directory: &Path, quorum: InitialQuorum) -> MetaProperties {
    let formatter = Formatter {
        node_id: 1,
        cluster_id: CLUSTER.to_owned(),
        directories: vec![directory.to_owned()],
        metadata_directory: directory.to_owned(),
        release_version: None,
        feature_levels: Default::default(),
        scram: Vec::new(),
        quorum,
        ignore_formatted: false,
        unstable: false,
    };
    formatter.run(NOW, || 5 << 64).unwrap();
    MetaProperties::read(directory).unwrap().unwrap()
}

fn config(directory: &Path) -> VoterConfig {
    let id = MetaProperties::read(directory)
        .unwrap()
        .and_then(|p| p.directory_id);
    VoterConfig::new(1, id.unwrap_or_default(), directory.to_owned())
}

fn open(directory: &Path) -> (SingleVoter, MetadataImage) {
    SingleVoter::open(config(directory), NOW).unwrap()
}

/// Formats, opens and bootstraps.
fn started(directory: &Path) -> SingleVoter {
    format(directory, InitialQuorum::Static);
    let (mut voter, image) = open(directory);
    bootstrap(&mut voter, &image);
    voter
}

fn bootstrap(voter: &mut SingleVoter, image: &MetadataImage) -> Committed {
    let file = crate::config::Properties::new();
    let (static_values, _) = crate::config::broker::table().parse_all(&file);
    let cluster_id = CLUSTER.to_owned();
    let controller = Controller {
        node_id: 1,
        cluster_id,
        file,
        static_values,
    };
    let bootstrap = voter.bootstrap_records().unwrap();
    let records = controller.activation_records(image, voter.in_transaction(), &bootstrap);
    voter.append(&records, NOW).unwrap()
}

fn setting(n: usize) -> VersionedRecord {
    v0(ConfigRecord {
        resource_type: 4,
        resource_name: String::new(),
        name: format!("key.{n:05}"),
        value: Some("value".repeat(10)),
        ..Default::default()
    })
}

fn reopened(voter: SingleVoter, directory: &Path) -> (SingleVoter, MetadataImage) {
    drop(voter);
    open(directory)
}

#[test]
fn a_new_log_begins_as_kafkas_does() {
    let directory = tempfile::tempdir().unwrap();
    format(directory.path(), InitialQuorum::Static);
    let (mut voter, image) = open(directory.path());
    assert!(image.is_empty());
    assert_eq!((voter.leader_epoch(), voter.end_offset()), (1, 1));
    let committed = bootstrap(&mut voter, &image);
    assert_eq!((committed.first_offset, committed.last_offset), (1, 9));
    assert_eq!(committed.image.features.level("metadata.version"), 30);
    assert_eq!(committed.changes.features.len(), 6);
    let log = directory.path().join(METADATA_LOG_DIRECTORY);
    assert_eq!(
        std::fs::read_to_string(log.join("quorum-state")).unwrap(),
        concat!(
            r#"{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"#,
            r#""currentVoters":[{"voterId":1}],"data_version":0}"#
        )
    );
    assert_eq!(
        std::fs::read_to_string(log.join("partition.metadata")).unwrap(),
        "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ"
    );
}

#[test]
fn every_start_is_an_election_and_finds_what_was_committed() {
    let directory = tempfile::tempdir().unwrap();
    let mut voter = started(directory.path());
    let committed = voter.append(&[setting(1)], NOW).unwrap();
    for epoch in 2..5 {
        let (again, image) = reopened(voter, directory.path());
        voter = again;
        assert_eq!(voter.leader_epoch(), epoch);
        assert!(image.same_content(&committed.image));
        assert_eq!(image.provenance.last_offset, voter.end_offset() - 1);
    }
    voter.close().unwrap();
    let (voter, image) = reopened(voter, directory.path());
    assert!(image.same_content(&committed.image));
    assert_eq!(voter.leader_epoch(), 5);
}

#[test]
fn what_cannot_be_applied_is_not_appended() {
    let directory = tempfile::tempdir().unwrap();
    let mut voter = started(directory.path());
    let end = voter.end_offset();
    let remove = v0(RemoveTopicRecord {
        topic_id: Uuid::from_u128(9),
        ..Default::default()
    });
    assert!(matches!(
        voter.append(&[setting(1), remove], NOW),
        Err(RaftError::Replay(_))
    ));
    assert!(matches!(voter.append(&[], NOW), Err(RaftError::Nothing)));
    assert_eq!(voter.end_offset(), end);
    assert!(
        !voter
            .image()
            .configs
            .iter()
            .any(|(_, configs)| configs.contains_key("key.00001"))
    );
}

#[test]
fn a_transaction_without_an_end_is_left_to_be_aborted() {
    let directory = tempfile::tempdir().unwrap();
    let mut voter = started(directory.path());
    let begin = v0(BeginTransactionRecord {
        name: None,
        ..Default::default()
    });
    let committed = voter.append(&[begin, setting(1)], NOW).unwrap();
    assert!(committed.changes.is_empty());
    let (mut voter, image) = reopened(voter, directory.path());
    assert!(voter.in_transaction());
    let aborted = bootstrap(&mut voter, &image);
    assert_eq!(aborted.first_offset, aborted.last_offset);
    assert!(!voter.in_transaction());
    assert!(aborted.image.same_content(&image));
}

#[test]
fn snapshots_take_the_place_of_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let mut voter = started(directory.path());
    voter.config.bytes_between_snapshots = 2000;
    voter.config.retention_bytes = 80_000;
    let mut expected = MetadataImage::default();
    for n in 0..200 {
        expected = voter.append(&[setting(n)], NOW + n as i64).unwrap().image;
        voter.maintain(NOW + n as i64).unwrap();
    }
    let mut snapshots = snapshot::list(&voter.dir).unwrap();
    assert!(snapshots.len() > 1);
    assert!(voter.log.log_start_offset() > 0);
    assert_eq!(voter.log.log_start_offset(), snapshots[0].end_offset);
    assert_eq!(voter.latest_snapshot(), snapshots.last().copied());
    let (mut voter, image) = reopened(voter, directory.path());
    assert!(image.same_content(&expected));
    assert_eq!(voter.latest_snapshot(), snapshots.last().copied());
    // Old ones go as well; the newest stays.
    voter.maintain(NOW + 8 * 24 * 3_600_000).unwrap();
    snapshots = snapshot::list(&voter.dir).unwrap();
    assert_eq!(snapshots.len(), 1);
    assert_eq!(voter.latest_snapshot(), snapshots.last().copied());
    assert!(reopened(voter, directory.path()).1.same_content(&expected));
}

#[test]
fn long_changes_go_in_steps() {
    let directory = tempfile::tempdir().unwrap();
    let mut voter = started(directory.path());
    let records: Vec<_> = (0..STEP_RECORDS + 1).map(setting).collect();
    let committed = voter.append_in_steps(&records, NOW).unwrap();
    assert_eq!(committed.len(), 2);
    assert_eq!(committed[1].first_offset, committed[0].last_offset + 1);
    let huge = vec![setting(1); 200_000];
    assert!(matches!(
        voter.append(&huge, NOW),
        Err(RaftError::TooLarge { .. })
    ));
}

#[test]
fn a_snapshot_comes_by_time_too_but_not_of_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut voter = started(directory.path());
    let hour = voter.config.ms_between_snapshots;
    voter.maintain(NOW + hour - 1).unwrap();
    assert_eq!(voter.latest_snapshot(), None);
    voter.maintain(NOW + hour).unwrap();
    let first = voter.latest_snapshot();
    assert_eq!(
        first,
        Some(SnapshotId {
            end_offset: 10,
            epoch: 1
        })
    );
    voter.maintain(NOW + 3 * hour).unwrap();
    assert_eq!(voter.latest_snapshot(), first);
}

#[test]
fn a_damaged_snapshot_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut voter = started(directory.path());
    voter.append(&[setting(1)], NOW).unwrap();
    let id = voter.snapshot(NOW).unwrap().unwrap();
    let path = voter.dir.join(id.file_name());
    let expected = voter.image().clone();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, b"not a snapshot").unwrap();
    let (_, image) = reopened(voter, directory.path());
    assert!(image.same_content(&expected));
}

#[test]
fn directories_of_kafka_are_taken_over() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/metadata");
    for (log, checkpoint, id) in [
        ("clean.log", "clean-130-1.checkpoint", (130, 1)),
        ("unclean.log", "unclean-175-1.checkpoint", (175, 1)),
    ] {
        let mut images = Vec::new();
        for with_snapshot in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let dir = directory.path().join(METADATA_LOG_DIRECTORY);
            std::fs::create_dir(&dir).unwrap();
            std::fs::copy(fixtures.join(log), dir.join("00000000000000000000.log")).unwrap();
            let state = QuorumState::leader(0, 1, 1);
            state.write(&crate::log::storage::RealDisk, &dir).unwrap();
            if with_snapshot {
                let id = SnapshotId {
                    end_offset: id.0,
                    epoch: id.1,
                };
                std::fs::copy(fixtures.join(checkpoint), dir.join(id.file_name())).unwrap();
            }
            let (mut voter, image) = open(directory.path());
            assert_eq!(voter.latest_snapshot().is_some(), with_snapshot);
            assert_eq!(voter.leader_epoch(), 2);
            let committed = voter.append(&[setting(1)], NOW).unwrap();
            let (_, again) = reopened(voter, directory.path());
            assert!(again.same_content(&committed.image));
            let mut records = image.records();
            // Kafka's snapshots forget which broker got the last block of producer ids, and
            // list features in an order of their own.
            records.retain(|record| {
                !matches!(
                    record.record,
                    crate::metadata::MetadataRecord::ProducerIds(_)
                        | crate::metadata::MetadataRecord::RegisterBroker(_)
                )
            });
            images.push(records);
        }
        assert_eq!(images[0], images[1], "{log}");
    }
}

#[test]
fn a_dynamic_quorum_moves_its_voters_into_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let voters = parse_voters("1@localhost:9093:EdWup30TRU6Pg6-qqlfskA").unwrap();
    let listener = "CONTROLLER".to_owned();
    format(
        directory.path(),
        InitialQuorum::Dynamic { listener, voters },
    );
    let (mut voter, image) = open(directory.path());
    assert_eq!((voter.kraft_version(), voter.end_offset()), (1, 3));
    bootstrap(&mut voter, &image);
    let state = std::fs::read_to_string(voter.dir.join("quorum-state")).unwrap();
    assert!(state.ends_with(r#""data_version":1}"#), "{state}");
    // The next leader has only its own record to write, and snapshots repeat the voters.
    let (mut voter, _) = reopened(voter, directory.path());
    assert_eq!(voter.end_offset(), 13);
    let id = voter.snapshot(NOW).unwrap().unwrap();
    let written = snapshot::Snapshot::read(&voter.dir.join(id.file_name())).unwrap();
    assert_eq!(written.quorum.len(), 2);
    drop(voter);
    let mut foreign = config(directory.path());
    foreign.directory_id = Uuid::from_u128(1 << 100);
    let refused = SingleVoter::open(foreign, NOW).unwrap_err();
    assert!(
        matches!(refused, RaftError::OtherVoters { .. }),
        "{refused}"
    );
}

#[test]
fn a_quorum_of_others_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let voter = started(directory.path());
    let mut state = QuorumState::leader(0, 2, 7);
    state.current_voters = vec![1, 2, 3];
    state
        .write(&crate::log::storage::RealDisk, &voter.dir)
        .unwrap();
    drop(voter);
    let refused = SingleVoter::open(config(directory.path()), NOW).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("belongs to a quorum of the voters [1, 2, 3]")
    );
}

#[test]
fn files_that_are_missing_are_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let mut voter = started(directory.path());
    let id = voter.snapshot(NOW).unwrap().unwrap();
    let log = voter.dir.join("00000000000000000000.log");
    drop(voter);
    assert!(id.end_offset > 0);
    std::fs::remove_file(log).unwrap();
    let refused = SingleVoter::open(config(directory.path()), NOW).unwrap_err();
    assert!(matches!(refused, RaftError::Gap { .. }), "{refused}");
}

/// Appends until the disk dies; returns how many batches were acknowledged.
fn append_until_crash(config: VoterConfig) -> usize {
    let Ok((mut voter, image)) = SingleVoter::open(config, NOW) else {
        return 0;
    };
    if image.is_empty()
        && voter
            .append(&[feature_level("metadata.version", 30)], NOW)
            .is_err()
    {
        return 0;
    }
    for n in 0..4 {
        let topic = TopicRecord {
            name: format!("t{n}"),
            topic_id: Uuid::from_u128((n as u128 + 1) << 64),
            ..Default::default()
        };
        if voter.append(&[v0(topic), setting(n)], NOW).is_err() {
            // After a failure the log takes nothing more.
            assert!(voter.append(&[setting(99)], NOW).is_err());
            return n;
        }
    }
    4
}

#[test]
fn whatever_the_disk_does_the_acknowledged_is_there_and_batches_are_whole() {
    let mut crashes = 0;
    for n in 0.. {
        let directory = tempfile::tempdir().unwrap();
        format(directory.path(), InitialQuorum::Static);
        let disk = Arc::new(FaultyDisk::default());
        disk.crash_at(n);
        let config = VoterConfig {
            disk: disk.clone(),
            ..config(directory.path())
        };
        let acknowledged = append_until_crash(config);
        let (_, image) = open(directory.path());
        let topics = image.topics.len();
        assert!(
            topics >= acknowledged,
            "crash {n}: {topics} of {acknowledged}"
        );
        let settings: usize = image.configs.iter().map(|(_, configs)| configs.len()).sum();
        assert_eq!(topics, settings, "crash {n}: half a batch");
        if !disk.struck() {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 10, "{crashes}");
}
