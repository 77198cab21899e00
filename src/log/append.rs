//! Appends. A leader's append checks its batches before it takes the log's lock; under the lock it
//! assigns offsets in the headers, asks the producer state, and writes once: `[header][records]`
//! for each batch, the records straight from the caller's buffer.
use std::borrow::Cow;
use std::io::IoSlice;
use std::sync::atomic::Ordering::Release;

use bytes::Bytes;

use super::config::{CompressionPolicy, LogConfig};
use super::error::{AppendError, At, LogError};
use super::health::Condition;
use super::log::{Log, Writer};
use super::names::TXN_INDEX_SUFFIX;
use super::producer_state::{BatchMetadata, ProducerBatch, ProducerUpdates};
use super::recovery::{producer_batch, txn_marker};
use super::rolling::jitter;
use super::segment::{PlacedBatch, Segment};
use super::txn_index::{self, AbortedTransaction};
use super::verification::Transactions;
use crate::record::{
    AppendRules, BatchError, BatchView, Compression, HEADER_LEN, HeaderPatch, InvalidBatch,
    NO_TIMESTAMP, RecordFacts, RejectReason, TimestampType, recompress, renumber,
    validate_for_append,
};

/// A batch that is stored in another codec than it came in is held in memory uncompressed, so it
/// may not expand beyond this (or `max.message.bytes`, if that is more).
const REBUILT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Who appends; a client's batches are checked most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOrigin {
    Client,
    Coordinator,
    /// KRaft's leader.
    RaftLeader,
    /// A leader has checked them.
    Replication,
}

/// Where an append went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogAppendInfo {
    pub first_offset: i64,
    pub last_offset: i64,
    /// -1 unless the log sets the timestamps.
    pub log_append_time_ms: i64,
    pub log_start_offset: i64,
    pub max_timestamp: i64,
    /// The producer sent these records before; the offsets are those of then.
    pub duplicate: bool,
}

/// A batch that passed the checks, and what they found.
struct Checked<'a> {
    bytes: Cow<'a, [u8]>,
    max_timestamp: i64,
}

/// Batches with their offsets, on their way to the disk.
#[derive(Default)]
struct Outgoing {
    batches: Vec<PlacedBatch>,
    leader_epochs: Vec<i32>,
    bytes: usize,
    max_timestamp: i64,
    updates: ProducerUpdates,
}

impl Outgoing {
    fn new(count: usize) -> Self {
        Self {
            batches: Vec::with_capacity(count),
            leader_epochs: Vec::with_capacity(count),
            max_timestamp: NO_TIMESTAMP,
            ..Self::default()
        }
    }

    fn push(&mut self, batch: PlacedBatch, leader_epoch: i32) {
        self.bytes += batch.size as usize;
        self.max_timestamp = self.max_timestamp.max(batch.max_timestamp);
        self.batches.push(batch);
        self.leader_epochs.push(leader_epoch);
    }

    fn first_offset(&self) -> i64 {
        self.batches.first().map_or(0, |batch| batch.base_offset)
    }

    fn last_offset(&self) -> i64 {
        self.batches.last().map_or(-1, |batch| batch.last_offset)
    }
}

impl Log {
    /// Appends whole batches as the partition's leader, who gives them their offsets. On an error
    /// nothing of them is in the log. Does not move the high watermark.
    pub fn append_as_leader(
        &self,
        records: Bytes,
        origin: AppendOrigin,
        leader_epoch: i32,
        now_ms: i64,
    ) -> Result<LogAppendInfo, AppendError> {
        self.append_in_transaction(
            records,
            origin,
            Transactions::Unverified,
            leader_epoch,
            now_ms,
        )
    }

    /// As [`Log::append_as_leader`]; what the batches have to do with transactions is checked too.
    pub fn append_in_transaction(
        &self,
        records: Bytes,
        origin: AppendOrigin,
        transactions: Transactions,
        leader_epoch: i32,
        now_ms: i64,
    ) -> Result<LogAppendInfo, AppendError> {
        self.activate()?;
        let config = self.config();
        let checked = self.check(&records, origin, &config, now_ms)?;
        let append_time =
            (config.message_timestamp_type == TimestampType::LogAppend).then_some(now_ms);
        let mut writer = self.writer.lock();
        self.check_usable(&writer)?;
        let mut next_offset = self.log_end_offset();
        let mut out = Outgoing::new(checked.len());
        let mut headers = Vec::with_capacity(checked.len());
        let mut transactional = Vec::new();
        for checked in &checked {
            let batch = whole(&checked.bytes)?;
            let timestamp = match append_time {
                Some(now_ms) => (TimestampType::LogAppend, now_ms),
                None => (TimestampType::Create, checked.max_timestamp),
            };
            let patch = HeaderPatch {
                base_offset: next_offset,
                leader_epoch,
                max_timestamp: Some(timestamp),
            };
            let placed = PlacedBatch {
                base_offset: next_offset,
                last_offset: next_offset + i64::from(batch.last_offset_delta()),
                position: 0,
                size: batch.size() as u32,
                max_timestamp: timestamp.1,
            };
            if batch.has_producer_id() {
                let known = leader_producer_batch(&batch, &placed);
                if origin == AppendOrigin::Client
                    && let Some(found) = writer.producers.find_duplicate(&known)
                {
                    return Ok(self.duplicate(found));
                }
                let Writer {
                    producers,
                    verifications,
                    ..
                } = &mut *writer;
                verifications.check(&self.tp, producers, &known, origin, transactions)?;
                writer
                    .producers
                    .check(&self.tp, &known, origin, &mut out.updates)?;
            }
            if batch.is_transactional() {
                transactional.push(batch.producer_id());
            }
            headers.push(batch.patched_header(&patch));
            next_offset = placed.last_offset + 1;
            out.push(placed, leader_epoch);
        }
        let mut bufs = Vec::with_capacity(2 * headers.len());
        for (header, checked) in headers.iter().zip(&checked) {
            bufs.push(IoSlice::new(header));
            bufs.push(IoSlice::new(
                checked.bytes.get(HEADER_LEN..).unwrap_or_default(),
            ));
        }
        let info = self.info(&out, append_time.unwrap_or(NO_TIMESTAMP));
        self.write(&mut writer, out, &mut bufs, &config, now_ms)?;
        for producer_id in transactional {
            writer.verifications.end(producer_id);
        }
        drop(writer);
        self.flush_if_due(&config, now_ms)?;
        Ok(info)
    }

    /// Appends whole batches as they are, with the offsets and epochs that a leader gave them.
    pub fn append_as_follower(
        &self,
        records: Bytes,
        now_ms: i64,
    ) -> Result<LogAppendInfo, AppendError> {
        self.activate()?;
        let config = self.config();
        let mut writer = self.writer.lock();
        self.check_usable(&writer)?;
        let mut next_offset = self.log_end_offset();
        let mut out = Outgoing::new(1);
        let mut rest = records.as_ref();
        while !rest.is_empty() {
            let batch = whole(rest)?;
            batch
                .check_crc()
                .map_err(|e| AppendError::CorruptRecord(e.to_string()))?;
            let placed = PlacedBatch {
                base_offset: batch.base_offset(),
                last_offset: batch.last_offset(),
                position: 0,
                size: batch.size() as u32,
                max_timestamp: batch.max_timestamp(),
            };
            if placed.base_offset < next_offset || placed.last_offset < placed.base_offset {
                return Err(AppendError::OffsetsOutOfOrder {
                    tp: self.tp.clone(),
                    first_offset: placed.base_offset,
                    log_end_offset: next_offset,
                });
            }
            if let Some(known) = producer_batch(&batch, Some(&batch)) {
                let origin = AppendOrigin::Replication;
                writer
                    .producers
                    .check(&self.tp, &known, origin, &mut out.updates)?;
            }
            next_offset = placed.last_offset + 1;
            out.push(placed, batch.leader_epoch());
            rest = rest.get(batch.size()..).unwrap_or_default();
        }
        let info = self.info(&out, NO_TIMESTAMP);
        self.write(
            &mut writer,
            out,
            &mut [IoSlice::new(&records)],
            &config,
            now_ms,
        )?;
        drop(writer);
        self.flush_if_due(&config, now_ms)?;
        Ok(info)
    }

    /// The checks that need no lock.
    fn check<'a>(
        &self,
        records: &'a Bytes,
        origin: AppendOrigin,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<Vec<Checked<'a>>, AppendError> {
        let rules = AppendRules {
            from_client: origin == AppendOrigin::Client,
            compacted: config.compact,
            timestamp_type: config.message_timestamp_type,
            timestamp_before_max_ms: config.message_timestamp_before_max_ms,
            timestamp_after_max_ms: config.message_timestamp_after_max_ms,
            now_ms,
        };
        let mut checked = Vec::with_capacity(1);
        let mut rest = records.as_ref();
        let mut bytes = 0;
        while !rest.is_empty() {
            let batch = whole(rest)?;
            if rules.from_client && batch.base_offset() != 0 {
                return Err(AppendError::InvalidRecord(format!(
                    "The baseOffset of the record batch in the append to {} should be 0, but it \
                     is {}",
                    self.tp,
                    batch.base_offset()
                )));
            }
            self.check_size(batch.size(), config)?;
            let facts = validate_for_append(&batch, &rules).map_err(|e| self.append_error(e))?;
            let stored = self.stored_form(&batch, &facts, config)?;
            self.check_size(stored.len(), config)?;
            bytes += stored.len();
            checked.push(Checked {
                bytes: stored,
                max_timestamp: facts.max_timestamp,
            });
            rest = rest.get(batch.size()..).unwrap_or_default();
        }
        if checked.is_empty() {
            return Err(AppendError::InvalidRecord(format!(
                "no record batch for {}",
                self.tp
            )));
        }
        if bytes > config.segment_bytes as usize {
            return Err(AppendError::RecordBatchTooLarge {
                tp: self.tp.clone(),
                size: bytes,
                max: config.segment_bytes as usize,
            });
        }
        Ok(checked)
    }

    /// The bytes to store: those that came, unless the topic wants another codec or the offsets in
    /// the batch are not consecutive.
    fn stored_form<'a>(
        &self,
        batch: &BatchView<'a>,
        facts: &RecordFacts,
        config: &LogConfig,
    ) -> Result<Cow<'a, [u8]>, AppendError> {
        let source = batch.compression().map_err(batch_error)?;
        let target = match config.compression {
            CompressionPolicy::Producer => source,
            CompressionPolicy::Codec(target) => target,
        };
        if facts.offsets_consecutive && source == target {
            return Ok(Cow::Borrowed(batch.bytes()));
        }
        let plain = usize::try_from(facts.records_size).unwrap_or(usize::MAX);
        let max = match target {
            Compression::None => config.max_message_bytes as usize,
            _ => REBUILT_BYTES_MAX.max(config.max_message_bytes as usize),
        };
        if plain > max {
            return Err(AppendError::RecordTooLarge {
                tp: self.tp.clone(),
                size: plain,
                max,
            });
        }
        let levels = &config.compression_levels;
        let level = match target {
            Compression::Gzip => Some(levels.gzip),
            Compression::Lz4 => Some(levels.lz4),
            Compression::Zstd => Some(levels.zstd),
            Compression::None | Compression::Snappy => None,
        };
        let rebuilt = match facts.offsets_consecutive {
            true => recompress(batch, target, level, max),
            false => renumber(batch, target, level, max),
        };
        Ok(Cow::Owned(rebuilt.map_err(batch_error)?.to_vec()))
    }

    fn check_size(&self, size: usize, config: &LogConfig) -> Result<(), AppendError> {
        let max = config.max_message_bytes as usize;
        if size <= max {
            return Ok(());
        }
        Err(AppendError::RecordTooLarge {
            tp: self.tp.clone(),
            size,
            max,
        })
    }

    fn append_error(&self, error: InvalidBatch) -> AppendError {
        let is_timestamp = error.is_timestamp();
        // Kafka's words end with the topic partition, of which a batch knows nothing.
        let keyless = RejectReason::NoKey.to_string();
        let describe = |text: String| {
            let with_place = format!("{keyless} in topic partition {}", self.tp);
            text.replace(&keyless, &with_place)
        };
        let message = describe(error.to_string());
        match error {
            InvalidBatch::Batch(e) => batch_error(e),
            InvalidBatch::Rejected { records, .. } => {
                let records = records
                    .iter()
                    .map(|r| (r.index, describe(r.reason.to_string())))
                    .collect();
                if is_timestamp {
                    AppendError::InvalidTimestamp { message, records }
                } else {
                    AppendError::InvalidRecords { message, records }
                }
            }
        }
    }

    fn info(&self, out: &Outgoing, log_append_time_ms: i64) -> LogAppendInfo {
        LogAppendInfo {
            first_offset: out.first_offset(),
            last_offset: out.last_offset(),
            log_append_time_ms,
            log_start_offset: self.log_start_offset(),
            max_timestamp: out.max_timestamp,
            duplicate: false,
        }
    }

    fn duplicate(&self, found: BatchMetadata) -> LogAppendInfo {
        LogAppendInfo {
            first_offset: found.first_offset(),
            last_offset: found.last_offset,
            log_append_time_ms: found.timestamp,
            log_start_offset: self.log_start_offset(),
            max_timestamp: found.timestamp,
            duplicate: true,
        }
    }

    /// Writes what was checked, and only then lets anyone see it.
    fn write(
        &self,
        writer: &mut Writer,
        mut out: Outgoing,
        bufs: &mut [IoSlice<'_>],
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<(), AppendError> {
        let Some(last) = out.batches.last().copied() else {
            return Ok(());
        };
        let failed = |source: LogError| {
            if source.is_disk_full() {
                AppendError::DiskFull {
                    tp: self.tp.clone(),
                    source,
                }
            } else {
                AppendError::Storage(source)
            }
        };
        if self.place.disk.state() == Condition::Full {
            return Err(failed(LogError::Full(self.tp.clone())));
        }
        if self.must_roll(&out, config, now_ms).map_err(failed)? {
            self.roll_locked(writer, out.first_offset(), now_ms)
                .map_err(failed)?;
        }
        let active = self.active();
        let start = active.write(&self.place, bufs).map_err(failed)?;
        let mut position = start;
        for batch in &mut out.batches {
            batch.position = position;
            position += batch.size;
        }
        self.apply_producers(writer, &active, start, out.updates)
            .map_err(failed)?;
        active.publish(&self.place, &out.batches, config.index_interval_bytes);
        self.update_first_unstable(writer);
        self.log_end_offset.store(last.last_offset + 1, Release);
        let starts = out.batches.iter().map(|batch| batch.base_offset);
        self.note_epochs(out.leader_epochs.iter().copied().zip(starts));
        Ok(())
    }

    /// Producer state, and the index of aborted transactions, follow the bytes just written at
    /// `start`; if the index cannot be written, all of it is taken back.
    fn apply_producers(
        &self,
        writer: &mut Writer,
        active: &Segment,
        start: u32,
        updates: ProducerUpdates,
    ) -> Result<(), LogError> {
        if !updates.aborts() {
            writer.producers.apply(updates);
            return Ok(());
        }
        let before = writer.producers.clone();
        let aborted = writer.producers.apply(updates);
        let indexed = self.index_aborted(active, &aborted);
        if indexed.is_err() {
            writer.producers = before;
            active.cut_unpublished(&self.place, start);
        }
        indexed
    }

    fn index_aborted(
        &self,
        active: &Segment,
        aborted: &[AbortedTransaction],
    ) -> Result<(), LogError> {
        let path = self.place.file(active.base_offset(), TXN_INDEX_SUFFIX);
        txn_index::append(self.place.disk.as_ref(), &path, aborted).at(&path)?;
        active.set_has_txn_index(true);
        Ok(())
    }

    /// The records are in the log already: that the file of epochs cannot be written now is no
    /// reason to refuse them, it is written at the next chance.
    fn note_epochs(&self, epochs: impl Iterator<Item = (i32, i64)>) {
        let noted = self.epochs().and_then(|mut known| {
            let mut changed = false;
            for (epoch, start_offset) in epochs {
                changed |= known.assign(epoch, start_offset);
            }
            drop(known);
            if changed {
                self.store_epochs(false)
            } else {
                Ok(())
            }
        });
        if let Err(e) = noted {
            tracing::warn!("{}: leader epochs not written: {e}", self.tp);
        }
    }

    fn must_roll(&self, out: &Outgoing, config: &LogConfig, now_ms: i64) -> Result<bool, LogError> {
        let active = self.active();
        let facts = active.roll_facts(&self.place, config.segment_index_bytes)?;
        if facts.size == 0 {
            return Ok(out.last_offset() - active.base_offset() > i64::from(i32::MAX));
        }
        // On the clock of the messages; the machine's where they have none.
        let waited_ms = match facts.first_timestamp {
            Some(first) if first >= 0 => out.max_timestamp.saturating_sub(first),
            _ => now_ms.saturating_sub(active.created_ms()),
        };
        let jitter_ms = jitter(active.base_offset(), active.created_ms(), config);
        Ok(
            facts.size as usize + out.bytes > config.segment_bytes as usize
                || waited_ms > config.segment_ms - jitter_ms
                || facts.indexes_full
                || out.last_offset() - active.base_offset() > i64::from(i32::MAX),
        )
    }

    fn flush_if_due(&self, config: &LogConfig, now_ms: i64) -> Result<(), AppendError> {
        if self.log_end_offset() - self.recovery_point() < config.flush_messages {
            return Ok(());
        }
        Ok(self.flush(now_ms)?)
    }
}

/// The batch at the front of `bytes`, which must be whole.
fn whole(bytes: &[u8]) -> Result<BatchView<'_>, AppendError> {
    match BatchView::first(bytes) {
        Ok(Some(batch)) => Ok(batch),
        Ok(None) => Err(AppendError::CorruptRecord(
            "the record batch is longer than the records that were sent".to_owned(),
        )),
        Err(e) => Err(batch_error(e)),
    }
}

fn batch_error(error: BatchError) -> AppendError {
    let message = error.to_string();
    match error {
        BatchError::OldMagic(_) => AppendError::UnsupportedFormat(message),
        BatchError::UnknownCompression(_) => AppendError::UnsupportedCompression(message),
        e if e.is_corruption() => AppendError::CorruptRecord(message),
        _ => AppendError::InvalidRecord(message),
    }
}

/// What producer state is told of a batch that gets its offsets now.
fn leader_producer_batch(batch: &BatchView<'_>, placed: &PlacedBatch) -> ProducerBatch {
    ProducerBatch {
        producer_id: batch.producer_id(),
        epoch: batch.producer_epoch(),
        base_sequence: batch.base_sequence(),
        last_sequence: batch.last_sequence(),
        first_offset: placed.base_offset,
        last_offset: placed.last_offset,
        max_timestamp: placed.max_timestamp,
        transactional: batch.is_transactional(),
        control: batch.is_control(),
        marker: if batch.is_control() {
            txn_marker(batch)
        } else {
            None
        },
    }
}
