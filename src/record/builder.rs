//! Builds batches: records are encoded straight into the buffer that becomes the batch.
use bytes::{Bytes, BytesMut};

use super::batch::CRC_START;
use super::varint::{VARINT_MAX, VARLONG_MAX, put_varint, put_varlong, varint_len, varlong_len};
use super::{
    Attributes, BatchError, BatchHeader, Compression, HEADER_LEN, LOG_OVERHEAD, NO_LEADER_EPOCH,
    NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, RecordView, TimestampType, codec,
};

/// Length, attributes, two deltas, key and value lengths, header count: all of a record but its bytes.
const FIELDS_MAX: usize = VARINT_MAX + 1 + VARLONG_MAX + 4 * VARINT_MAX;

/// What [`BatchBuilder::finish`] writes into the header, beside what the records say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchMeta {
    pub base_offset: i64,
    pub leader_epoch: i32,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub transactional: bool,
    pub control: bool,
    pub compression: Compression,
    /// `None` for the codec's default.
    pub compression_level: Option<i32>,
    /// The time of the append, for a topic with LogAppendTime.
    pub log_append_time_ms: Option<i64>,
    /// That of the last record, unless records after it were removed from the batch.
    pub last_offset_delta: Option<i32>,
}

impl Default for BatchMeta {
    fn default() -> Self {
        Self {
            base_offset: 0,
            leader_epoch: NO_LEADER_EPOCH,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            transactional: false,
            control: false,
            compression: Compression::None,
            compression_level: None,
            log_append_time_ms: None,
            last_offset_delta: None,
        }
    }
}

/// A batch in the making. Appending copies the bytes of a record once, to where they stay when
/// the batch is not compressed.
#[derive(Debug)]
pub struct BatchBuilder {
    buffer: BytesMut,
    /// That of the first record, unless set before.
    base_timestamp: Option<i64>,
    delete_horizon: bool,
    max_timestamp: i64,
    count: i32,
    last_offset_delta: i32,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    pub fn new() -> Self {
        Self::with_buffer(BytesMut::new())
    }

    /// Builds in `buffer`, whose content is dropped and whose memory is kept; a sent batch gives
    /// it back by `Bytes::try_into_mut`.
    pub fn with_buffer(mut buffer: BytesMut) -> Self {
        buffer.clear();
        buffer.resize(HEADER_LEN, 0);
        Self {
            buffer,
            base_timestamp: None,
            delete_horizon: false,
            max_timestamp: NO_TIMESTAMP,
            count: 0,
            last_offset_delta: -1,
        }
    }

    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_buffer(BytesMut::with_capacity(capacity.max(HEADER_LEN)))
    }

    /// Makes timestamps relative to `base_timestamp` in place of the first record's. Before the
    /// first record only.
    #[must_use]
    pub fn with_base_timestamp(mut self, base_timestamp: i64) -> Self {
        debug_assert_eq!(
            self.count, 0,
            "a base timestamp is set before the first record"
        );
        self.base_timestamp = Some(base_timestamp);
        self
    }

    /// Marks the batch as cleaned: its tombstones may go after `horizon_ms`.
    #[must_use]
    pub fn with_delete_horizon(mut self, horizon_ms: i64) -> Self {
        self.delete_horizon = true;
        self.with_base_timestamp(horizon_ms)
    }

    /// Appends a record at the next offset.
    #[inline]
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&[u8], Option<&[u8]>)],
    ) -> Result<(), BatchError> {
        let offset_delta = self.last_offset_delta.wrapping_add(1);
        let mut headers_len = 0;
        for (key, value) in headers {
            headers_len += nullable_len(Some(key))? + nullable_len(*value)?;
        }
        self.begin(
            timestamp,
            offset_delta,
            key,
            value,
            headers.len(),
            headers_len,
        )?;
        for (key, value) in headers {
            self.put_nullable(Some(key));
            self.put_nullable(*value);
        }
        Ok(())
    }

    /// Appends a copy of `record` at `offset_delta`, which must be greater than the last: for
    /// rewriting batches, where offsets stay.
    pub fn append_copy(
        &mut self,
        offset_delta: i32,
        record: &RecordView<'_>,
    ) -> Result<(), BatchError> {
        let stored = record.header_bytes();
        let count = record.headers().len();
        self.begin(
            record.timestamp,
            offset_delta,
            record.key,
            record.value,
            count,
            stored.len(),
        )?;
        self.buffer.extend_from_slice(stored);
        Ok(())
    }

    #[inline]
    fn begin(
        &mut self,
        timestamp: i64,
        offset_delta: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        header_count: usize,
        headers_len: usize,
    ) -> Result<(), BatchError> {
        if offset_delta <= self.last_offset_delta {
            return Err(BatchError::invalid(format!(
                "offset delta {offset_delta} is not greater than {}",
                self.last_offset_delta
            )));
        }
        let base_timestamp = self.base_timestamp.unwrap_or(timestamp);
        let timestamp_delta = timestamp.wrapping_sub(base_timestamp);
        let header_count =
            i32::try_from(header_count).map_err(|_| BatchError::RecordTooLarge(usize::MAX))?;
        let body = 1
            + varlong_len(timestamp_delta)
            + varint_len(offset_delta)
            + nullable_len(key)?
            + nullable_len(value)?
            + varint_len(header_count)
            + headers_len;
        // The length of a batch is an i32, and so is that of a record.
        let total = self
            .buffer
            .len()
            .saturating_add(body)
            .saturating_add(VARINT_MAX);
        let body_len = match i32::try_from(body) {
            Ok(len) if total <= i32::MAX as usize => len,
            _ => return Err(BatchError::RecordTooLarge(body)),
        };
        self.base_timestamp = Some(base_timestamp);
        self.max_timestamp = if self.count == 0 {
            timestamp
        } else {
            self.max_timestamp.max(timestamp)
        };
        self.last_offset_delta = offset_delta;
        self.count += 1;

        self.buffer.reserve(body + VARINT_MAX);
        // The short fields between the long ones are put together first: each copy into the buffer costs a check.
        let mut fields = [0; FIELDS_MAX];
        let mut at = put_varint(&mut fields, 0, body_len) + 1; // attributes 0
        at = put_varlong(&mut fields, at, timestamp_delta);
        at = put_varint(&mut fields, at, offset_delta);
        at = put_varint(&mut fields, at, key.map_or(-1, |key| key.len() as i32));
        if let Some(key) = key {
            self.buffer.extend_from_slice(&fields[..at]);
            self.buffer.extend_from_slice(key);
            at = 0;
        }
        at = put_varint(
            &mut fields,
            at,
            value.map_or(-1, |value| value.len() as i32),
        );
        if let Some(value) = value {
            self.buffer.extend_from_slice(&fields[..at]);
            self.buffer.extend_from_slice(value);
            at = 0;
        }
        at = put_varint(&mut fields, at, header_count);
        self.buffer.extend_from_slice(&fields[..at]);
        Ok(())
    }

    #[inline]
    fn put_nullable(&mut self, bytes: Option<&[u8]>) {
        // nullable_len() has checked that it fits
        self.put_varint(bytes.map_or(-1, |bytes| bytes.len() as i32));
        self.buffer.extend_from_slice(bytes.unwrap_or_default());
    }

    #[inline]
    fn put_varint(&mut self, value: i32) {
        let mut raw = [0; VARINT_MAX];
        let end = put_varint(&mut raw, 0, value);
        self.buffer.extend_from_slice(&raw[..end]);
    }

    pub fn record_count(&self) -> usize {
        self.count as usize
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The size of the batch so far, header included, before compression.
    pub fn size(&self) -> usize {
        self.buffer.len()
    }

    /// The memory that the buffer holds.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// What the batch is expected to take once compressed, when records shrink to `ratio`.
    pub fn estimated_size(&self, ratio: f32) -> usize {
        HEADER_LEN + ((self.size() - HEADER_LEN) as f32 * ratio) as usize
    }

    pub fn base_timestamp(&self) -> Option<i64> {
        self.base_timestamp
    }

    /// The greatest timestamp so far; −1 when there is none.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// The finished batch. Uncompressed, it is the buffer itself.
    pub fn finish(self, meta: &BatchMeta) -> Result<Bytes, BatchError> {
        Ok(self.finish_and_recycle(meta)?.0)
    }

    /// As [`Self::finish`]; gives the buffer of the uncompressed records back when they were
    /// compressed into another.
    pub fn finish_and_recycle(
        mut self,
        meta: &BatchMeta,
    ) -> Result<(Bytes, Option<BytesMut>), BatchError> {
        if meta.compression == Compression::None {
            self.write_header(meta, None)?;
            return Ok((self.buffer.freeze(), None));
        }
        let records = self.buffer.get(HEADER_LEN..).unwrap_or_default();
        let mut out = Vec::with_capacity(HEADER_LEN + records.len() / 2);
        out.resize(HEADER_LEN, 0);
        codec::compress(meta.compression, meta.compression_level, records, &mut out)?;
        self.write_header(meta, Some(&mut out))?;
        Ok((out.into(), Some(self.buffer)))
    }

    fn write_header(
        &mut self,
        meta: &BatchMeta,
        compressed: Option<&mut Vec<u8>>,
    ) -> Result<(), BatchError> {
        let (kind, max_timestamp) = match meta.log_append_time_ms {
            Some(now) => (TimestampType::LogAppend, now),
            None => (TimestampType::Create, self.max_timestamp),
        };
        let attributes = Attributes::default()
            .with_compression(meta.compression)
            .with_timestamp_type(kind)
            .with_transactional(meta.transactional)
            .with_control(meta.control)
            .with_delete_horizon(self.delete_horizon);
        let fields = HeaderFields {
            base_offset: meta.base_offset,
            leader_epoch: meta.leader_epoch,
            attributes,
            last_offset_delta: meta.last_offset_delta.unwrap_or(self.last_offset_delta),
            base_timestamp: self.base_timestamp.unwrap_or(NO_TIMESTAMP),
            max_timestamp,
            producer_id: meta.producer_id,
            producer_epoch: meta.producer_epoch,
            base_sequence: meta.base_sequence,
            record_count: self.count,
        };
        match compressed {
            Some(out) => fields.write(out),
            None => fields.write(&mut self.buffer),
        }
    }
}

/// The bytes that a record takes in a batch at most, whatever its timestamp and its place: what
/// Kafka's producer holds against its limits.
pub fn record_size_bound(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[(&[u8], Option<&[u8]>)],
) -> Result<usize, BatchError> {
    // Length, attributes, timestamp and offset at their longest.
    let mut size = 5 + 1 + 10 + 5;
    size += nullable_len(key)? + nullable_len(value)?;
    let count = i32::try_from(headers.len()).map_err(|_| BatchError::RecordTooLarge(usize::MAX))?;
    size += varint_len(count);
    for (key, value) in headers {
        size += nullable_len(Some(key))? + nullable_len(*value)?;
    }
    Ok(size)
}

/// The header of `batch` with no records: what compaction leaves of the last batch of a producer
/// or of the log.
pub fn empty_batch(batch: &BatchHeader<'_>) -> Result<[u8; HEADER_LEN], BatchError> {
    let mut out = [0; HEADER_LEN];
    HeaderFields {
        base_offset: batch.base_offset(),
        leader_epoch: batch.leader_epoch(),
        attributes: batch
            .attributes()
            .with_compression(Compression::None)
            .with_delete_horizon(false),
        last_offset_delta: batch.last_offset_delta(),
        base_timestamp: NO_TIMESTAMP,
        max_timestamp: batch.max_timestamp(),
        producer_id: batch.producer_id(),
        producer_epoch: batch.producer_epoch(),
        base_sequence: batch.base_sequence(),
        record_count: 0,
    }
    .write(&mut out)?;
    Ok(out)
}

/// Makes `batch` whole again after its records were replaced by `record_count` others: sets its
/// length, that count, the greatest timestamp and the CRC. All else in its header stays.
pub fn seal_batch(
    batch: &mut [u8],
    record_count: i32,
    max_timestamp: i64,
) -> Result<(), BatchError> {
    let size = batch.len();
    let length = size
        .checked_sub(LOG_OVERHEAD)
        .and_then(|len| i32::try_from(len).ok());
    let (Some(length), Some((header, records))) =
        (length, batch.split_first_chunk_mut::<HEADER_LEN>())
    else {
        return Err(BatchError::RecordTooLarge(size));
    };
    header[8..12].copy_from_slice(&length.to_be_bytes());
    header[35..43].copy_from_slice(&max_timestamp.to_be_bytes());
    header[57..61].copy_from_slice(&record_count.to_be_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header[CRC_START..]), records);
    header[17..21].copy_from_slice(&crc.to_be_bytes());
    Ok(())
}

#[inline]
fn nullable_len(bytes: Option<&[u8]>) -> Result<usize, BatchError> {
    let Some(bytes) = bytes else { return Ok(1) };
    let len = i32::try_from(bytes.len()).map_err(|_| BatchError::RecordTooLarge(bytes.len()))?;
    Ok(varint_len(len) + bytes.len())
}

/// The header of a batch about to be written.
#[derive(Debug, Clone, Copy)]
struct HeaderFields {
    base_offset: i64,
    leader_epoch: i32,
    attributes: Attributes,
    last_offset_delta: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    record_count: i32,
}

impl HeaderFields {
    /// Writes over the first 61 bytes of `batch`, whose records are in place, with the CRC.
    fn write(&self, batch: &mut [u8]) -> Result<(), BatchError> {
        let size = batch.len();
        let length = size
            .checked_sub(LOG_OVERHEAD)
            .and_then(|len| i32::try_from(len).ok());
        let (Some(length), Some((header, records))) =
            (length, batch.split_first_chunk_mut::<HEADER_LEN>())
        else {
            return Err(BatchError::RecordTooLarge(size));
        };
        header[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        header[8..12].copy_from_slice(&length.to_be_bytes());
        header[12..16].copy_from_slice(&self.leader_epoch.to_be_bytes());
        header[16] = 2;
        header[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        header[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        header[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        header[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        header[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        header[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        header[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        header[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&header[CRC_START..]), records);
        header[17..21].copy_from_slice(&crc.to_be_bytes());
        Ok(())
    }
}
