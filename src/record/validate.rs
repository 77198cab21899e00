//! What a leader checks before it appends a batch: Kafka's `LogValidator` for format v2.
//!
//! This is the way of every produced byte. Uncompressed records are walked in place; compressed
//! ones are decompressed into a buffer that the thread keeps, and those that expand beyond it are
//! walked piece by piece, so that memory stays bounded whatever a client sends.
use std::cell::RefCell;
use std::fmt;

use super::codec::{self, Decoder};
use super::varint::{VARINT_MAX, VARLONG_MAX, take_varint, take_varlong};
use super::{
    BatchError, BatchView, Compression, DECOMPRESSED_MAX, NO_TIMESTAMP, Records, TimestampType,
};

/// Sections that expand to more than this are not held in memory as a whole.
const WINDOW: usize = 1 << 20;
/// So many rejected records are named in an answer; the rest is only counted.
const REJECTED_MAX: usize = 1000;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a topic asks of the batches appended to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendRules {
    /// Clients must not write control batches, and their counts are checked; the coordinators and
    /// KRaft may do as they like.
    pub from_client: bool,
    /// Whether `cleanup.policy` has `compact`: then every record needs a key.
    pub compacted: bool,
    pub timestamp_type: TimestampType,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    pub now_ms: i64,
}

/// What the walk over the records of a valid batch found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordFacts {
    pub record_count: i32,
    /// The greatest timestamp of the records, −1 if none is greater: what the header must say.
    pub max_timestamp: i64,
    /// Which record has it first, counted from 0; −1 for none.
    pub max_timestamp_index: i32,
    /// Whether offset deltas are 0, 1, 2…; if not, the batch must be rebuilt, as Kafka does for
    /// the sake of old clients.
    pub offsets_consecutive: bool,
    /// The bytes of the records, uncompressed.
    pub records_size: u64,
}

/// Why a batch is not appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBatch {
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Some records break a rule of the topic; nothing is appended.
    #[error("{}", rejected_message(records, *total))]
    Rejected {
        records: Vec<RejectedRecord>,
        total: usize,
    },
}

impl InvalidBatch {
    /// Whether Kafka answers INVALID_TIMESTAMP: one such record is enough.
    pub fn is_timestamp(&self) -> bool {
        match self {
            Self::Batch(_) => false,
            Self::Rejected { records, .. } => records
                .iter()
                .any(|record| record.reason != RejectReason::NoKey),
        }
    }
}

fn rejected_message(records: &[RejectedRecord], total: usize) -> String {
    if records
        .iter()
        .any(|record| record.reason != RejectReason::NoKey)
    {
        return "One or more records have been rejected due to invalid timestamp".to_owned();
    }
    let shown: Vec<String> = records.iter().take(3).map(ToString::to_string).collect();
    format!(
        "One or more records have been rejected due to {total} record errors in total, and only \
         showing the first three errors at most: [{}]",
        shown.join(", ")
    )
}

/// One record that a topic does not accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Its place in the batch, from 0.
    pub index: i32,
    pub reason: RejectReason,
}

/// As Kafka's `ProduceResponse.RecordError`.
impl fmt::Display for RejectedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, reason } = self;
        write!(f, "RecordError(batchIndex={index}, message='{reason}')")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectReason {
    NoKey,
    TimestampOutOfRange {
        timestamp: i64,
        offset: i64,
        earliest: i64,
        latest: i64,
    },
    LogAppendTime,
}

/// Kafka's words; after [`RejectReason::NoKey`] the caller adds ` in topic partition …`.
impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str("Compacted topic cannot accept message without key"),
            Self::TimestampOutOfRange {
                timestamp,
                offset,
                earliest,
                latest,
            } => write!(
                f,
                "Timestamp {timestamp} of message with offset {offset} is out of range. The \
                 timestamp should be within [{earliest}, {latest}]"
            ),
            Self::LogAppendTime => f.write_str(
                "Invalid timestamp type in message. Producer should not set timestamp type to \
                 LogAppendTime.",
            ),
        }
    }
}

/// Checks the CRC, the header and every record of `batch` against `rules`.
pub fn validate_for_append(
    batch: &BatchView<'_>,
    rules: &AppendRules,
) -> Result<RecordFacts, InvalidBatch> {
    batch.check_crc()?;
    if rules.from_client {
        check_client_header(batch)?;
    }
    let mut check = RecordCheck::new(batch, rules);
    match batch.compression()? {
        Compression::None => walk_in_memory(batch, batch.stored_records(), &mut check)?,
        compression => {
            let mut scratch = SCRATCH.take();
            scratch.clear();
            let walked = walk_compressed(batch, compression, &mut scratch, &mut check);
            // Larger ones are rare and not worth keeping per thread.
            if scratch.capacity() <= 4 * WINDOW {
                SCRATCH.set(scratch);
            }
            walked?;
        }
    }
    check.finish()
}

fn check_client_header(batch: &BatchView<'_>) -> Result<(), BatchError> {
    let (base, last, count) = (
        batch.base_offset(),
        batch.last_offset(),
        batch.record_count(),
    );
    let range_len = last.wrapping_sub(base).wrapping_add(1);
    if range_len <= 0 {
        return Err(BatchError::invalid(format!(
            "Batch has an invalid offset range: [{base}, {last}]"
        )));
    }
    if count <= 0 {
        return Err(BatchError::invalid(format!(
            "Invalid reported count for record batch: {count}"
        )));
    }
    if range_len != i64::from(count) {
        return Err(BatchError::invalid(format!(
            "Inconsistent batch offset range [{base}, {last}] and count of records {count}"
        )));
    }
    if batch.is_control() {
        return Err(BatchError::invalid(
            "Clients are not allowed to write control records",
        ));
    }
    if batch.has_producer_id() && batch.base_sequence() < 0 {
        return Err(BatchError::invalid(format!(
            "Invalid sequence number {} in record batch with producerId {}",
            batch.base_sequence(),
            batch.producer_id()
        )));
    }
    Ok(())
}

fn walk_in_memory(
    batch: &BatchView<'_>,
    records: &[u8],
    check: &mut RecordCheck<'_>,
) -> Result<(), BatchError> {
    check.facts.records_size = records.len() as u64;
    let base_offset = batch.base_offset();
    for record in &Records::new(batch, records.into())? {
        let record = record?;
        let offset_delta = record.offset.wrapping_sub(base_offset);
        check.see(offset_delta, record.timestamp, record.key.is_some());
    }
    Ok(())
}

fn walk_compressed(
    batch: &BatchView<'_>,
    compression: Compression,
    scratch: &mut Vec<u8>,
    check: &mut RecordCheck<'_>,
) -> Result<(), BatchError> {
    let stored = batch.stored_records();
    if codec::decompress_at_once(compression, stored, WINDOW, scratch) {
        return walk_in_memory(batch, scratch, check);
    }
    let mut decoder = Decoder::new(compression, stored)?;
    while scratch.len() <= WINDOW {
        if !decoder.next_piece(scratch)? {
            return walk_in_memory(batch, scratch, check);
        }
    }
    Stream {
        decoder,
        window: scratch,
        at: 0,
        dropped: 0,
    }
    .walk(batch, check)
}

/// Gathers the facts and the rejected records. Called for every record: nothing here allocates
/// unless a record is rejected.
struct RecordCheck<'r> {
    rules: &'r AppendRules,
    earliest: i64,
    latest: i64,
    log_append_time: bool,
    base_offset: i64,
    facts: RecordFacts,
    rejected: Vec<RejectedRecord>,
    rejected_total: usize,
}

impl<'r> RecordCheck<'r> {
    fn new(batch: &BatchView<'_>, rules: &'r AppendRules) -> Self {
        Self {
            rules,
            earliest: rules.now_ms.saturating_sub(rules.timestamp_before_max_ms),
            latest: rules.now_ms.saturating_add(rules.timestamp_after_max_ms),
            log_append_time: batch.timestamp_type() == TimestampType::LogAppend,
            base_offset: batch.base_offset(),
            facts: RecordFacts {
                record_count: 0,
                max_timestamp: NO_TIMESTAMP,
                max_timestamp_index: -1,
                offsets_consecutive: true,
                records_size: 0,
            },
            rejected: Vec::new(),
            rejected_total: 0,
        }
    }

    #[inline]
    fn see(&mut self, offset_delta: i64, timestamp: i64, has_key: bool) {
        let index = self.facts.record_count;
        if timestamp > self.facts.max_timestamp {
            self.facts.max_timestamp = timestamp;
            self.facts.max_timestamp_index = index;
        }
        self.facts.offsets_consecutive &= offset_delta == i64::from(index);
        self.facts.record_count += 1;
        if self.rules.compacted && !has_key {
            self.reject(index, RejectReason::NoKey);
        } else if self.rules.timestamp_type == TimestampType::Create && timestamp != NO_TIMESTAMP {
            if timestamp < self.earliest || timestamp > self.latest {
                self.reject_timestamp(index, offset_delta, timestamp);
            }
        } else if self.log_append_time {
            self.reject(index, RejectReason::LogAppendTime);
        }
    }

    #[cold]
    fn reject_timestamp(&mut self, index: i32, offset_delta: i64, timestamp: i64) {
        let reason = RejectReason::TimestampOutOfRange {
            timestamp,
            offset: self.base_offset.wrapping_add(offset_delta),
            earliest: self.earliest,
            latest: self.latest,
        };
        self.reject(index, reason);
    }

    #[cold]
    fn reject(&mut self, index: i32, reason: RejectReason) {
        self.rejected_total += 1;
        // A timestamp decides the error code: it is never left out for the limit.
        let first_timestamp = reason != RejectReason::NoKey
            && self
                .rejected
                .iter()
                .all(|record| record.reason == RejectReason::NoKey);
        if self.rejected.len() == REJECTED_MAX && first_timestamp {
            self.rejected.pop();
        }
        if self.rejected.len() < REJECTED_MAX {
            self.rejected.push(RejectedRecord { index, reason });
        }
    }

    fn finish(self) -> Result<RecordFacts, InvalidBatch> {
        if self.rejected.is_empty() {
            return Ok(self.facts);
        }
        Err(InvalidBatch::Rejected {
            records: self.rejected,
            total: self.rejected_total,
        })
    }
}

/// Walks records that expand to more than the window: values are passed over as they come out of
/// the decoder, and forgotten.
struct Stream<'a, 'w> {
    decoder: Decoder<'a>,
    window: &'w mut Vec<u8>,
    /// Where the walk is in the window.
    at: usize,
    /// The bytes that were in the window before its present content.
    dropped: u64,
}

impl Stream<'_, '_> {
    fn walk(
        mut self,
        batch: &BatchView<'_>,
        check: &mut RecordCheck<'_>,
    ) -> Result<(), BatchError> {
        let append_time =
            (batch.timestamp_type() == TimestampType::LogAppend).then(|| batch.max_timestamp());
        let base_timestamp = batch.base_timestamp();
        let count = batch.record_count();
        for _ in 0..count {
            let (offset_delta, timestamp_delta, has_key) = self.walk_record()?;
            let timestamp =
                append_time.unwrap_or_else(|| base_timestamp.wrapping_add(timestamp_delta));
            check.see(i64::from(offset_delta), timestamp, has_key);
        }
        if !self.peek(1)?.is_empty() {
            return Err(BatchError::RecordsRemaining(count));
        }
        check.facts.records_size = self.position();
        Ok(())
    }

    fn walk_record(&mut self) -> Result<(i32, i64, bool), BatchError> {
        let size = self.varint()?;
        let size = u64::try_from(size)
            .map_err(|_| BatchError::invalid(format!("invalid record size: {size}")))?;
        let end = self.position() + size;
        self.skip(1)?;
        let timestamp_delta = self.varlong()?;
        let offset_delta = self.varint()?;
        let has_key = self.skip_nullable(end)?;
        self.skip_nullable(end)?;
        let headers = self.varint()?;
        if headers < 0 || u64::from(headers.unsigned_abs()) > end.saturating_sub(self.position()) {
            return Err(BatchError::invalid(format!(
                "found invalid number of record headers {headers}"
            )));
        }
        for _ in 0..headers {
            if !self.skip_nullable(end)? {
                return Err(BatchError::invalid("a record header has no key"));
            }
            self.skip_nullable(end)?;
        }
        if self.position() != end {
            return Err(BatchError::invalid(format!(
                "the fields of a record do not fit its size of {size} bytes"
            )));
        }
        Ok((offset_delta, timestamp_delta, has_key))
    }

    fn position(&self) -> u64 {
        self.dropped + self.at as u64
    }

    /// Passes over a length and its bytes, which must not go beyond `end`; whether it is not null.
    fn skip_nullable(&mut self, end: u64) -> Result<bool, BatchError> {
        let len = self.varint()?;
        let Ok(len) = u64::try_from(len) else {
            return Ok(false);
        };
        if len > end.saturating_sub(self.position()) {
            return Err(BatchError::invalid("a field is longer than its record"));
        }
        self.skip(len)?;
        Ok(true)
    }

    fn varint(&mut self) -> Result<i32, BatchError> {
        let bytes = self.peek(VARINT_MAX)?;
        let (value, taken) = taken(bytes, take_varint)?;
        self.at += taken;
        Ok(value)
    }

    fn varlong(&mut self) -> Result<i64, BatchError> {
        let bytes = self.peek(VARLONG_MAX)?;
        let (value, taken) = taken(bytes, take_varlong)?;
        self.at += taken;
        Ok(value)
    }

    /// The next bytes: `want`, or more, or all that are left.
    fn peek(&mut self, want: usize) -> Result<&[u8], BatchError> {
        while self.window.len() - self.at < want {
            self.dropped += self.at as u64;
            self.window.drain(..self.at);
            self.at = 0;
            if !self.decoder.next_piece(self.window)? {
                break;
            }
            self.check_size()?;
        }
        Ok(self.window.get(self.at..).unwrap_or_default())
    }

    fn skip(&mut self, mut len: u64) -> Result<(), BatchError> {
        loop {
            let held = (self.window.len() - self.at) as u64;
            if len <= held {
                self.at += len as usize;
                return Ok(());
            }
            len -= held;
            self.dropped += self.window.len() as u64;
            self.window.clear();
            self.at = 0;
            if !self.decoder.next_piece(self.window)? {
                return Err(BatchError::RecordsTruncated);
            }
            self.check_size()?;
        }
    }

    fn check_size(&self) -> Result<(), BatchError> {
        if self.dropped + self.window.len() as u64 > DECOMPRESSED_MAX as u64 {
            return Err(BatchError::DecompressedTooLarge {
                cap: DECOMPRESSED_MAX,
            });
        }
        Ok(())
    }
}

/// The value that `take` finds at the front, and the bytes it took.
fn taken<T>(
    bytes: &[u8],
    take: impl FnOnce(&mut &[u8]) -> Option<T>,
) -> Result<(T, usize), BatchError> {
    let mut rest = bytes;
    let value = take(&mut rest).ok_or(BatchError::RecordsTruncated)?;
    Ok((value, bytes.len() - rest.len()))
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
