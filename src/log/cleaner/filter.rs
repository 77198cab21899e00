//! One batch at a time: what compaction leaves of it. Bytes in, bytes out.
use super::offset_map::KeyHash;
use super::rules::{BatchFate, Rules};
use super::transactions::{CleanedTransactions, Marker};
use crate::log::recovery::txn_marker;
use crate::record::codec::compress;
use crate::record::legacy::{LegacyBatch, build};
use crate::record::{
    BatchBuilder, BatchError, BatchMeta, BatchView, Compression, DECOMPRESSED_MAX, RecordView,
    StoredBatch, TimestampType, empty_batch, seal_batch,
};

/// Keys looked up together.
const LOOKUPS: usize = 32;
/// Memory of a large batch that is kept for the next one.
const SCRATCH_KEPT_BYTES: usize = 8 << 20;

/// What is left of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    Nothing,
    /// All of it, byte by byte.
    Whole,
    /// What was added to the output.
    Rewritten,
}

/// Counts of a cleaning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FilterStats {
    pub records_read: u64,
    pub records_kept: u64,
    /// Records without a key, which a compacted log should not hold.
    pub invalid_records: u64,
}

/// A record, and where it is stored among the uncompressed records.
#[derive(Debug, Clone, Copy)]
struct Placed {
    start: usize,
    end: usize,
    offset: i64,
    timestamp: i64,
    key: Option<KeyHash>,
    has_value: bool,
    keep: bool,
}

/// Memory that serves batch after batch.
#[derive(Debug, Default)]
pub struct Filter {
    placed: Vec<Placed>,
    decompressed: Vec<u8>,
    gathered: Vec<u8>,
    pub stats: FilterStats,
}

impl Filter {
    /// Decides on a batch, and adds to `out` what is left of it, unless that is all or nothing.
    pub fn batch(
        &mut self,
        batch: &StoredBatch<'_>,
        rules: &Rules<'_>,
        transactions: &mut CleanedTransactions,
        out: &mut Vec<u8>,
    ) -> Result<Left, BatchError> {
        match batch {
            StoredBatch::V2(batch) => self.current(batch, rules, transactions, out),
            StoredBatch::Legacy(batch) => {
                transactions.on_data(false, -1, batch.last_offset());
                self.legacy(batch, rules, out)
            }
        }
    }

    fn current(
        &mut self,
        batch: &BatchView<'_>,
        rules: &Rules<'_>,
        transactions: &mut CleanedTransactions,
        out: &mut Vec<u8>,
    ) -> Result<Left, BatchError> {
        let verdict = rules.batch(batch, pass(batch, transactions));
        self.stats.records_read += batch.record_count().max(0) as u64;
        if verdict.fate == BatchFate::Remove {
            return Ok(Left::Nothing);
        }
        let mut kept = 0;
        let mut tombstones = false;
        if !verdict.records_go {
            self.place(batch, rules)?;
            self.decide(batch, rules);
            for record in self.placed.iter().filter(|record| record.keep) {
                kept += 1;
                tombstones |= !record.has_value;
            }
        }
        if kept == 0 {
            if verdict.fate != BatchFate::Keep {
                return Ok(Left::Nothing);
            }
            out.extend_from_slice(&empty_batch(batch)?);
            return Ok(Left::Rewritten);
        }
        self.stats.records_kept += kept as u64;
        let starts_horizon =
            (tombstones || verdict.idle_marker) && batch.delete_horizon_ms().is_none();
        if starts_horizon {
            let horizon_ms = rules.now_ms.saturating_add(rules.delete_retention_ms);
            self.encode_with_horizon(batch, horizon_ms, out)
        } else if kept == self.placed.len() {
            Ok(Left::Whole)
        } else {
            self.copy_kept(batch, out)
        }
    }

    /// Finds the records of a batch.
    fn place(&mut self, batch: &BatchView<'_>, rules: &Rules<'_>) -> Result<(), BatchError> {
        self.placed.clear();
        if self.decompressed.capacity() > SCRATCH_KEPT_BYTES {
            self.decompressed = Vec::new();
        }
        let records = batch.records_with(&mut self.decompressed, DECOMPRESSED_MAX)?;
        let total = records.as_bytes().len();
        let latest = rules.map.latest_offset();
        let mut iter = records.iter();
        let mut start = 0;
        while let Some(record) = iter.next() {
            let record = record?;
            let end = total - iter.remaining();
            let looked_up = !batch.is_control() && record.offset <= latest;
            self.placed.push(Placed {
                start,
                end,
                offset: record.offset,
                timestamp: record.timestamp,
                key: record
                    .key
                    .filter(|_| looked_up)
                    .map(|key| rules.map.hash(key)),
                has_value: record.value.is_some(),
                keep: true,
            });
            start = end;
        }
        Ok(())
    }

    fn decide(&mut self, batch: &BatchView<'_>, rules: &Rules<'_>) {
        if batch.is_control() || batch.base_offset() > rules.map.latest_offset() {
            return;
        }
        let keep_tombstones = rules.keeps_tombstones(batch);
        for records in self.placed.chunks_mut(LOOKUPS) {
            rules
                .map
                .prefetch(records.iter().filter_map(|record| record.key));
            for record in records {
                let invalid = record.key.is_none() && record.offset <= rules.map.latest_offset();
                self.stats.invalid_records += u64::from(invalid);
                record.keep =
                    rules.record(record.offset, record.key, record.has_value, keep_tombstones);
            }
        }
    }

    /// The batch with the records that stay, which are copied as they are stored: what they count
    /// their offsets and timestamps from does not change.
    fn copy_kept(&mut self, batch: &BatchView<'_>, out: &mut Vec<u8>) -> Result<Left, BatchError> {
        let compression = batch.compression()?;
        let plain = match compression {
            Compression::None => batch.stored_records(),
            _ => &self.decompressed,
        };
        let start = out.len();
        out.extend_from_slice(batch.as_bytes());
        let copied = match compression {
            Compression::None => gather(&self.placed, plain, out),
            _ => {
                self.gathered.clear();
                let copied = gather(&self.placed, plain, &mut self.gathered);
                compress(compression, None, &self.gathered, out)?;
                copied
            }
        };
        let max_timestamp = match batch.timestamp_type() {
            TimestampType::LogAppend => batch.max_timestamp(),
            TimestampType::Create => copied.max_timestamp,
        };
        let bytes = out.get_mut(start..).unwrap_or_default();
        seal_batch(bytes, copied.count, max_timestamp)?;
        Ok(Left::Rewritten)
    }

    /// As [`Self::copy_kept`], with timestamps that count from the delete horizon, which takes the
    /// place of the base timestamp. Once in the life of a batch.
    fn encode_with_horizon(
        &mut self,
        batch: &BatchView<'_>,
        horizon_ms: i64,
        out: &mut Vec<u8>,
    ) -> Result<Left, BatchError> {
        let records = batch.records_with(&mut self.decompressed, DECOMPRESSED_MAX)?;
        let capacity = batch.size().max(records.as_bytes().len()) + 16 * records.count();
        let mut builder = BatchBuilder::with_capacity(capacity).with_delete_horizon(horizon_ms);
        for (record, placed) in records.iter().zip(&self.placed) {
            if placed.keep {
                let record = record?;
                builder.append_copy(offset_delta(batch, &record), &record)?;
            }
        }
        let log_append_time_ms = match batch.timestamp_type() {
            TimestampType::LogAppend => Some(batch.max_timestamp()),
            TimestampType::Create => None,
        };
        let bytes = builder.finish(&BatchMeta {
            base_offset: batch.base_offset(),
            leader_epoch: batch.leader_epoch(),
            producer_id: batch.producer_id(),
            producer_epoch: batch.producer_epoch(),
            base_sequence: batch.base_sequence(),
            transactional: batch.is_transactional(),
            control: batch.is_control(),
            compression: batch.compression()?,
            compression_level: None,
            log_append_time_ms,
            last_offset_delta: Some(batch.last_offset_delta()),
        })?;
        out.extend_from_slice(&bytes);
        Ok(Left::Rewritten)
    }

    /// A message of before Kafka 0.11, or a compressed set of them. Their formats have no empty
    /// batch: the last of the range stays as it is where nothing of it would.
    fn legacy(
        &mut self,
        batch: &LegacyBatch<'_>,
        rules: &Rules<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Left, BatchError> {
        let records = batch.records_with(&mut self.decompressed, DECOMPRESSED_MAX)?;
        self.placed.clear();
        let mut kept = 0;
        for record in records.iter() {
            let record = record?;
            let key = record.key.map(|key| rules.map.hash(key));
            let has_value = record.value.is_some();
            let keep = rules.record(record.offset, key, has_value, rules.keep_legacy_tombstones);
            let invalid = key.is_none() && record.offset <= rules.map.latest_offset();
            self.stats.invalid_records += u64::from(invalid);
            kept += usize::from(keep);
            self.placed.push(Placed {
                start: 0,
                end: 0,
                offset: record.offset,
                timestamp: record.timestamp,
                key,
                has_value,
                keep,
            });
        }
        self.stats.records_read += self.placed.len() as u64;
        self.stats.records_kept += kept as u64;
        let is_last = batch.last_offset().saturating_add(1) == rules.end_offset;
        if kept == self.placed.len() || (kept == 0 && is_last) {
            return Ok(Left::Whole);
        }
        if kept == 0 {
            return Ok(Left::Nothing);
        }
        let pairs = records.iter().zip(&self.placed);
        let retained = pairs.filter_map(|(record, placed)| record.ok().filter(|_| placed.keep));
        build::rebuild(batch, retained, out)?;
        Ok(Left::Rewritten)
    }
}

/// Tells the transactions of a batch; whether they have no more need of it.
pub fn pass(batch: &BatchView<'_>, transactions: &mut CleanedTransactions) -> bool {
    if !batch.is_control() {
        return transactions.on_data(
            batch.is_transactional(),
            batch.producer_id(),
            batch.last_offset(),
        );
    }
    let marker = match txn_marker(batch) {
        _ if batch.record_count() == 0 => Marker::Empty,
        Some(marker) if marker.abort => Marker::Abort,
        Some(_) => Marker::Commit,
        None => Marker::Other,
    };
    transactions.on_control(marker, batch.producer_id(), batch.last_offset())
}

struct Copied {
    count: i32,
    max_timestamp: i64,
}

/// Copies the stored bytes of the records that stay, neighbours at once.
fn gather(placed: &[Placed], plain: &[u8], out: &mut Vec<u8>) -> Copied {
    let mut copied = Copied {
        count: 0,
        max_timestamp: i64::MIN,
    };
    let mut run = 0..0;
    for record in placed.iter().filter(|record| record.keep) {
        copied.count += 1;
        copied.max_timestamp = copied.max_timestamp.max(record.timestamp);
        if record.start != run.end {
            out.extend_from_slice(plain.get(run).unwrap_or_default());
            run = record.start..record.end;
        } else {
            run.end = record.end;
        }
    }
    out.extend_from_slice(plain.get(run).unwrap_or_default());
    copied
}

fn offset_delta(batch: &BatchView<'_>, record: &RecordView<'_>) -> i32 {
    record.offset.wrapping_sub(batch.base_offset()) as i32
}
