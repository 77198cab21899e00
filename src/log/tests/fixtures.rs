//! Directories that genuine Kafka 4.3.1 wrote: what it says is in them is what we find.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::*;
use crate::log::storage::RealDisk;
use crate::record::BatchView;

/// Shortly after the fixtures were written.
const WRITTEN_MS: i64 = 1_795_211_000_000;

/// A copy of a fixture: `name` is `clean` or `unclean`. Needs GNU tar, for the archives are sparse.
struct Fixture {
    dir: tempfile::TempDir,
    expected: Value,
}

impl Fixture {
    fn new(name: &str) -> Self {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures")
            .join(name);
        let dir = tempfile::tempdir().unwrap();
        let tar = Command::new("tar")
            .arg("xSzf")
            .arg(source.join("data.tar.gz"))
            .arg("-C")
            .arg(dir.path())
            .status()
            .expect("tar is needed to unpack the fixtures");
        assert!(tar.success());
        let expected = std::fs::read_to_string(source.join("expected.json")).unwrap();
        Self {
            dir,
            expected: serde_json::from_str(&expected).unwrap(),
        }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// With the producers of 2023, that a running broker would have dropped.
    fn open(&self) -> LogManager {
        self.open_with_expiration(i64::MAX)
    }

    fn open_with_expiration(&self, producer_expiration_ms: i64) -> LogManager {
        let config = LogManagerConfig {
            producer_expiration_ms,
            ..LogManagerConfig::new(vec![self.data()], WRITTEN_MS)
        };
        LogManager::open(config, |_| LogConfig::default()).unwrap()
    }

    /// Each partition with what genuine Kafka says of it.
    fn partitions(&self) -> BTreeMap<TopicPartition, &Value> {
        let mut partitions = BTreeMap::new();
        for (topic, value) in self.expected["topics"].as_object().unwrap() {
            for (partition, value) in value["partitions"].as_object().unwrap() {
                let tp = TopicPartition::new(topic.as_str(), partition.parse().unwrap());
                partitions.insert(tp, value);
            }
        }
        partitions
    }
}

/// The batches that a read from the start to `limit` gives, one after the other.
fn all_batches(log: &Log, limit: ReadLimit) -> (Vec<Bytes>, Vec<AbortedTransaction>) {
    let mut found = Vec::new();
    let mut aborted = Vec::new();
    let mut offset = log.log_start_offset();
    loop {
        let read = log.read(offset, 1, limit, true).unwrap();
        for txn in read.aborted.into_iter().flatten() {
            if !aborted.contains(&txn) {
                aborted.push(txn);
            }
        }
        let Some(slice) = read.slice else {
            return (found, aborted);
        };
        let bytes = Bytes::from(slice.to_vec().unwrap());
        let batch = BatchView::first(&bytes).unwrap().unwrap();
        batch.check_crc().unwrap();
        offset = batch.next_offset();
        found.push(bytes);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check_records(log: &Log, expected: &[Value]) {
    let mut expected = expected.iter();
    for bytes in all_batches(log, ReadLimit::HighWatermark).0 {
        let batch = BatchView::first(&bytes).unwrap().unwrap();
        if batch.is_control() {
            continue;
        }
        for record in &batch.records().unwrap() {
            let record = record.unwrap();
            if record.offset < log.log_start_offset() {
                continue;
            }
            let expected = expected.next().expect("a record");
            let text = |field: &str| expected[field].as_str().map(str::to_owned);
            assert_eq!(Some(record.offset), expected["o"].as_i64());
            assert_eq!(Some(record.timestamp), expected["ts"].as_i64());
            assert_eq!(
                Some(i64::from(batch.leader_epoch())),
                expected["le"].as_i64()
            );
            assert_eq!(record.key.map(hex), text("k"), "offset {}", record.offset);
            assert_eq!(record.value.map(hex), text("v"), "offset {}", record.offset);
            let headers = expected["h"].as_array().map_or(0, Vec::len);
            assert_eq!(record.headers().len(), headers);
        }
    }
    assert_eq!(expected.next(), None);
}

/// The offsets that a read_committed consumer makes of batches and aborted transactions.
fn committed_offsets(log: &Log) -> Vec<i64> {
    let (batches, aborted) = all_batches(log, ReadLimit::LastStable);
    let mut offsets = Vec::new();
    for bytes in batches {
        let batch = BatchView::first(&bytes).unwrap().unwrap();
        let is_aborted = aborted.iter().any(|txn| {
            txn.producer_id == batch.producer_id()
                && (txn.first_offset..=txn.last_offset).contains(&batch.base_offset())
        });
        if !(batch.is_control() || batch.is_transactional() && is_aborted) {
            let records = batch.records().unwrap();
            offsets.extend(records.iter().map(|record| record.unwrap().offset));
        }
    }
    offsets.retain(|offset| *offset >= log.log_start_offset());
    offsets
}

fn check_producers(log: &Log, expected: &[Value]) {
    let found: Vec<Value> = log
        .producers()
        .unwrap()
        .iter()
        .map(|producer| {
            let coordinator_epoch = Some(producer.coordinator_epoch).filter(|epoch| *epoch >= 0);
            serde_json::json!({
                "producer_id": producer.producer_id,
                "epoch": producer.epoch,
                "last_sequence": producer.last_sequence(),
                "last_timestamp": producer.last_timestamp,
                "coordinator_epoch": coordinator_epoch,
                "current_txn_start_offset": producer.current_txn_first_offset,
            })
        })
        .collect();
    assert_eq!(found, expected);
}

fn check(fixture: &Fixture, manager: &LogManager) {
    let mut checked = 0;
    for (tp, expected) in fixture.partitions() {
        let log = manager
            .log(&tp)
            .unwrap_or_else(|| panic!("{tp} is not there"));
        let number = |field: &str| expected[field].as_i64().unwrap();
        assert_eq!(
            log.log_start_offset(),
            number("log_start_offset"),
            "start of {tp}"
        );
        assert_eq!(
            log.log_end_offset(),
            number("high_watermark"),
            "end of {tp}"
        );
        log.set_high_watermark(log.log_end_offset()).unwrap();
        let stable = log.last_stable_offset().unwrap();
        assert_eq!(
            stable,
            number("last_stable_offset"),
            "stable offset of {tp}"
        );
        let max = &expected["max_timestamp"];
        let found = log
            .list_offset(ListOffset::MaxTimestamp, ReadLimit::HighWatermark)
            .unwrap();
        let found = found.map_or((-1, -1), |found| (found.offset, found.timestamp));
        let expected_max = (
            max["offset"].as_i64().unwrap(),
            max["timestamp"].as_i64().unwrap(),
        );
        assert_eq!(found, expected_max, "greatest timestamp of {tp}");
        if let Some(producers) = expected["producers"].as_array() {
            check_producers(&log, producers);
        }
        if let Some(records) = expected["records"].as_array() {
            check_records(&log, records);
            checked += records.len();
        }
        if let Some(offsets) = expected["read_committed_offsets"].as_array() {
            let expected: Vec<i64> = offsets.iter().map(|o| o.as_i64().unwrap()).collect();
            assert_eq!(
                committed_offsets(&log),
                expected,
                "committed offsets of {tp}"
            );
        }
    }
    assert!(checked > 50, "the fixture has records");
}

#[test]
fn a_directory_that_kafka_closed_holds_what_kafka_says() {
    let fixture = Fixture::new("clean");
    let high_watermarks =
        checkpoints::read(&RealDisk, &fixture.data().join(checkpoints::HIGH_WATERMARK)).unwrap();
    let manager = fixture.open();
    assert_eq!(manager.previous_broker_epoch(), Some(11));
    assert_eq!(manager.logs().len(), high_watermarks.len());
    for log in manager.logs() {
        assert!(!log.is_active(), "nothing is read before it is needed");
        let expected = high_watermarks.get(log.topic_partition()).copied();
        assert_eq!(Some(log.high_watermark()), expected);
        assert!(log.topic_id().unwrap().is_some());
    }
    check(&fixture, &manager);
}

#[test]
fn the_same_is_there_after_we_had_it() {
    let fixture = Fixture::new("clean");
    let manager = fixture.open();
    check(&fixture, &manager);
    manager.shutdown(12).unwrap();
    drop(manager);
    let manager = fixture.open();
    assert_eq!(manager.previous_broker_epoch(), Some(12));
    check(&fixture, &manager);
    // And recovered in full, as if the machine had died.
    drop(manager);
    std::fs::remove_file(fixture.data().join(checkpoints::RECOVERY_POINT)).unwrap();
    check(&fixture, &fixture.open());
}

#[test]
fn producer_snapshots_are_written_back_byte_by_byte() {
    let fixture = Fixture::new("clean");
    let mut checked = 0;
    for dir in std::fs::read_dir(fixture.data()).unwrap() {
        let dir = dir.unwrap().path();
        for file in std::fs::read_dir(&dir).into_iter().flatten() {
            let path = file.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "snapshot")
            {
                let bytes = std::fs::read(&path).unwrap();
                let entries = producer_snapshot::decode(&bytes).unwrap();
                assert_eq!(
                    producer_snapshot::encode(&entries),
                    bytes,
                    "{}",
                    path.display()
                );
                let states =
                    producer_state::ProducerStates::from_snapshot(&entries, NOW_MS, i64::MAX);
                assert_eq!(states.to_snapshot(), entries);
                checked += 1;
            }
        }
    }
    assert!(checked > 30);
}

#[test]
fn a_killed_and_damaged_directory_is_recovered_as_kafka_does() {
    let fixture = Fixture::new("unclean");
    let manager = fixture.open_with_expiration(log::PRODUCER_EXPIRATION_MS);
    manager.expire_producers(WRITTEN_MS);
    assert_eq!(manager.previous_broker_epoch(), None);
    check(&fixture, &manager);
    let rolled = fixture.data().join("u-rolled-0");
    let size = |name: &str| std::fs::metadata(rolled.join(name)).unwrap().len();
    assert_eq!(size("00000000000000000015.log"), 0);
    assert_eq!(size("00000000000000000005.timeindex"), 12);
    assert_eq!(size("00000000000000000000.timeindex"), 12);
    manager.shutdown(1).unwrap();
    drop(manager);
    check(
        &fixture,
        &fixture.open_with_expiration(log::PRODUCER_EXPIRATION_MS),
    );
}

#[test]
fn the_metadata_log_opens_alone() {
    for (name, end, recovery_point) in [("clean", 182, None), ("unclean", 224, None)] {
        let fixture = Fixture::new(name);
        let tp = TopicPartition::new("__cluster_metadata", 0);
        let options = LogOptions {
            clean: name == "clean",
            recovery_point,
            ..LogOptions::new(NOW_MS)
        };
        let dir = fixture.data().join("__cluster_metadata-0");
        let log = Log::open(&dir, tp, LogConfig::default(), options).unwrap();
        assert_eq!(log.log_end_offset(), end, "{name}");
        let (batches, _) = all_batches(&log, ReadLimit::LogEnd);
        let last = BatchView::first(batches.last().unwrap()).unwrap().unwrap();
        assert_eq!(last.next_offset(), end, "{name}");
    }
}
