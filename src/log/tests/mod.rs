//! The log as a whole: its life, its faults, and directories that genuine Kafka wrote.
mod corruption;
mod crash;
mod fixtures;
mod fork;
mod legacy;
mod life;
mod long_appends;
mod management;
mod power_cut;
mod recovery;
mod relocation;
mod start;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::storage::Disk;
use super::*;
use crate::record::{BatchBuilder, BatchMeta, Compression, batches};

const NOW_MS: i64 = 1_700_000_000_000;

fn tp() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// A batch of the given values, each at the same timestamp.
fn batch_of(values: &[&str], timestamp: i64, meta: &BatchMeta) -> Bytes {
    let mut builder = BatchBuilder::new();
    for value in values {
        builder
            .append(timestamp, Some(b"k"), Some(value.as_bytes()), &[])
            .unwrap();
    }
    builder.finish(meta).unwrap()
}

fn batch(values: &[&str]) -> Bytes {
    batch_of(values, NOW_MS, &BatchMeta::default())
}

/// A batch of an idempotent producer.
fn produced(producer_id: i64, base_sequence: i32, values: &[&str]) -> Bytes {
    let meta = BatchMeta {
        producer_id,
        producer_epoch: 0,
        base_sequence,
        compression: Compression::None,
        ..BatchMeta::default()
    };
    batch_of(values, NOW_MS, &meta)
}

/// The marker that ends a transaction.
fn marker(producer_id: i64, epoch: i16, commit: bool) -> Bytes {
    let mut builder = BatchBuilder::new();
    let key = [0, 0, 0, u8::from(commit)];
    builder
        .append(NOW_MS, Some(&key), Some(&[0, 0, 0, 0, 0, 1]), &[])
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

fn open(dir: &Path, config: LogConfig) -> Log {
    Log::open(&dir.join("t-0"), tp(), config, LogOptions::new(NOW_MS)).unwrap()
}

fn options_on(disk: Arc<dyn Disk>) -> LogOptions {
    LogOptions {
        disk,
        ..LogOptions::new(NOW_MS)
    }
}

fn append(log: &Log, records: Bytes) -> LogAppendInfo {
    log.append_as_leader(records, AppendOrigin::Client, 3, NOW_MS)
        .unwrap()
}

/// Every record as (offset, value), read batch by batch from the log start.
fn contents(log: &Log) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let read = log.read(offset, 1, ReadLimit::LogEnd, true).unwrap();
        let Some(slice) = read.slice else { break };
        let bytes = slice.to_vec().unwrap();
        for batch in batches(&bytes) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            for record in &batch.records().unwrap() {
                let record = record.unwrap();
                let value = String::from_utf8_lossy(record.value.unwrap_or_default());
                if record.offset >= offset {
                    found.push((record.offset, value.into_owned()));
                }
            }
            offset = batch.next_offset();
        }
    }
    found
}

fn numbered(values: impl IntoIterator<Item = String>) -> Vec<(i64, String)> {
    (0..).zip(values).collect()
}
