//! Compaction as a whole: against a model on random histories, against genuine Kafka's own
//! cleanings, against a disk that fails at every operation.
mod crash;
mod golden;
mod history;
mod managed;
mod model;

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use super::clean::{Cleaner, CleaningStats, Resources};
use super::{CleaningError, Supervisor};
use crate::log::names::LOG_SUFFIX;
use crate::log::{
    AppendOrigin, Log, LogAppendInfo, LogConfig, LogOptions, ReadLimit, TopicPartition,
};
use crate::record::{BatchBuilder, BatchMeta, BatchView, Compression, batches};

pub const NOW_MS: i64 = 1_700_000_000_000;

pub fn tp() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// Memory for all keys of a test.
pub const AMPLE: Resources = Resources {
    map_bytes: 1 << 20,
    load_factor: 0.9,
    buffer_bytes: 4096,
};

/// Lets everything pass.
pub struct Unwatched;

impl Supervisor for Unwatched {
    fn pass(&self, _tp: &TopicPartition, _bytes: usize) -> bool {
        true
    }
}

pub fn config() -> LogConfig {
    LogConfig {
        compact: true,
        delete: false,
        segment_bytes: 1200,
        index_interval_bytes: 100,
        delete_retention_ms: 1000,
        ..LogConfig::default()
    }
}

pub fn open(dir: &Path, config: LogConfig) -> Log {
    Log::open(&dir.join("t-0"), tp(), config, LogOptions::new(NOW_MS)).unwrap()
}

/// A record: its key, and its value unless it is a tombstone.
pub type KeyValue<'a> = (&'a str, Option<&'a str>);

pub fn batch_of(records: &[KeyValue<'_>], timestamp: i64, meta: &BatchMeta) -> Bytes {
    let mut builder = BatchBuilder::new();
    for (at, (key, value)) in (0..).zip(records) {
        let value = value.map(str::as_bytes);
        builder
            .append(timestamp + at, Some(key.as_bytes()), value, &[])
            .unwrap();
    }
    builder.finish(meta).unwrap()
}

pub fn append(log: &Log, records: Bytes) -> LogAppendInfo {
    let info = log
        .append_as_leader(records, AppendOrigin::Coordinator, 0, NOW_MS)
        .unwrap();
    log.commit_all().unwrap();
    info
}

pub fn put(log: &Log, records: &[KeyValue<'_>]) {
    append(log, batch_of(records, NOW_MS, &BatchMeta::default()));
}

pub fn marker(producer_id: i64, epoch: i16, commit: bool, timestamp: i64) -> Bytes {
    let mut builder = BatchBuilder::new();
    let key = [0, 0, 0, u8::from(commit)];
    builder
        .append(timestamp, Some(&key), Some(&[0, 0, 0, 0, 0, 1]), &[])
        .unwrap();
    let meta = BatchMeta {
        producer_id,
        producer_epoch: epoch,
        transactional: true,
        control: true,
        ..BatchMeta::default()
    };
    builder.finish(&meta).unwrap()
}

/// Cleans from `first_dirty` on as far as it goes.
pub fn clean_from(
    log: &Log,
    first_dirty: i64,
    resources: &Resources,
    now_ms: i64,
) -> Result<Option<CleaningStats>, CleaningError> {
    let Some(plan) = log.plan_cleaning(Some(first_dirty), now_ms)? else {
        return Ok(None);
    };
    if plan.end_offset <= plan.first_dirty_offset {
        return Ok(None);
    }
    let mut cleaner = Cleaner::default();
    let stats = cleaner.clean(log, &plan, resources, 42, &Unwatched, now_ms)?;
    Ok(Some(stats))
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// A batch as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    pub base_offset: i64,
    pub last_offset: i64,
    pub producer: (i64, i16, i32),
    pub transactional: bool,
    pub control: bool,
    pub delete_horizon_ms: Option<i64>,
    pub compression: Compression,
    pub max_timestamp: i64,
    pub records: Vec<Stored>,
}

impl StoredBatch {
    pub fn of(batch: &BatchView<'_>) -> Self {
        batch.check_crc().unwrap();
        let records = batch.records().unwrap();
        let stored = records.iter().map(|record| {
            let record = record.unwrap();
            Stored {
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
            }
        });
        Self {
            base_offset: batch.base_offset(),
            last_offset: batch.last_offset(),
            producer: (
                batch.producer_id(),
                batch.producer_epoch(),
                batch.base_sequence(),
            ),
            transactional: batch.is_transactional(),
            control: batch.is_control(),
            delete_horizon_ms: batch.delete_horizon_ms(),
            compression: batch.compression().unwrap(),
            max_timestamp: batch.max_timestamp(),
            records: stored.collect(),
        }
    }
}

/// The batches in a segment file.
pub fn read_file(path: &Path) -> Vec<StoredBatch> {
    let bytes = std::fs::read(path).unwrap();
    let mut read = batches(&bytes);
    let found = read
        .by_ref()
        .map(|batch| StoredBatch::of(&batch.unwrap()))
        .collect();
    assert_eq!(read.rest(), b"");
    found
}

/// All batches of a log, from its files.
pub fn stored(log: &Log) -> Vec<StoredBatch> {
    log.list().unwrap();
    let mut found = Vec::new();
    for segment in log.segments.load().iter() {
        let path = log.place.file(segment.base_offset(), LOG_SUFFIX);
        for batch in read_file(&path) {
            assert!(batch.base_offset >= segment.base_offset(), "{batch:?}");
            found.push(batch);
        }
    }
    for (one, next) in found.iter().zip(found.iter().skip(1)) {
        assert!(one.last_offset < next.base_offset, "{one:?} {next:?}");
    }
    found
}

/// What a read_committed consumer, who begins at the start, ends with: the value of each key, if it
/// has one.
pub fn consumed(log: &Log) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut state = BTreeMap::new();
    let mut offset = log.log_start_offset();
    let mut aborting = BTreeMap::new();
    loop {
        let read = log.read(offset, 300, ReadLimit::LastStable, true).unwrap();
        let Some(slice) = read.slice else {
            return state;
        };
        let mut aborted = read.aborted.unwrap();
        let bytes = slice.to_vec().unwrap();
        for batch in batches(&bytes) {
            let batch = batch.unwrap();
            offset = batch.next_offset();
            // As Kafka's CompletedFetch does.
            aborted.retain(|txn| {
                let begun = txn.first_offset <= batch.last_offset();
                if begun {
                    aborting.insert(txn.producer_id, txn.last_offset);
                }
                !begun
            });
            if batch.is_control() {
                aborting.remove(&batch.producer_id());
                continue;
            }
            let of_aborted = aborting.contains_key(&batch.producer_id());
            if batch.is_transactional() && of_aborted {
                continue;
            }
            for record in StoredBatch::of(&batch).records {
                let key = record.key.unwrap();
                match record.value {
                    Some(value) => drop(state.insert(key, value)),
                    None => drop(state.remove(&key)),
                }
            }
        }
        // A consumer begins each fetch anew.
        aborting.clear();
    }
}
