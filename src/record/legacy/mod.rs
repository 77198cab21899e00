//! Message sets of Kafka before 0.11 (magic 0 and 1): a log directory that was upgraded from old
//! clusters may hold them. They give the same [`RecordView`] as batches do. New ones are written by
//! compaction alone (see [`build`]), which keeps the format of what it copies.
//!
//! ```text
//! offset i64 | size i32 (bytes after it) | crc u32 (CRC-32 of all after it) | magic i8
//! | attributes i8 | magic 1: timestamp i64 | key length i32, key | value length i32, value
//! attributes: 0-2 codec, 3 timestamp type (magic 1)
//! ```
//! A message with a codec wraps a message set: its value, compressed. Its offset is that of the
//! last message inside. Inner offsets are absolute in magic 0 and relative in magic 1.
use std::borrow::Cow;

use super::codec::Decoder;
use super::{
    BatchError, Compression, DECOMPRESSED_MAX, LOG_OVERHEAD, MAGIC_END, NO_TIMESTAMP, RecordView,
    TimestampType,
};

pub mod build;

/// Where the bytes start that the CRC covers: at the magic.
pub(super) const CRC_START: usize = 16;
/// CRC, magic, attributes, two lengths.
const SIZE_MIN_V0: usize = 14;
const SIZE_MIN_V1: usize = 22;
const ATTRIBUTES_END: usize = MAGIC_END + 1;
const TIMESTAMP_END: usize = ATTRIBUTES_END + 8;
const APPEND_TIME_FLAG: u8 = 0b1000;

/// What stands before the key of a message: all that a scan of a segment needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyHeader {
    offset: i64,
    size: usize,
    crc: u32,
    magic: u8,
    attributes: u8,
    timestamp: i64,
}

impl LegacyHeader {
    /// Reads the header at the front of `bytes`. `None`: more bytes are needed.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, BatchError> {
        let Some(head) = bytes.first_chunk::<ATTRIBUTES_END>() else {
            return Ok(None);
        };
        let [o0, o1, o2, o3, o4, o5, o6, o7, s0, s1, s2, s3, rest @ ..] = *head;
        let [c0, c1, c2, c3, magic, attributes] = rest;
        let size = i32::from_be_bytes([s0, s1, s2, s3]);
        let min = match magic {
            0 => SIZE_MIN_V0,
            1 => SIZE_MIN_V1,
            other => return Err(BatchError::InvalidMagic(other as i8)),
        };
        let size = match usize::try_from(size) {
            Ok(len) if len >= min => LOG_OVERHEAD + len,
            _ => {
                let size = i64::from(size);
                return Err(BatchError::SizeBelowMinimum { size, min });
            }
        };
        let timestamp = match (magic, bytes.get(ATTRIBUTES_END..TIMESTAMP_END)) {
            (0, _) => NO_TIMESTAMP,
            (_, Some(timestamp)) => i64::from_be_bytes(timestamp.try_into().unwrap_or_default()),
            (_, None) => return Ok(None),
        };
        Ok(Some(Self {
            offset: i64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7]),
            size,
            crc: u32::from_be_bytes([c0, c1, c2, c3]),
            magic,
            attributes,
            timestamp,
        }))
    }

    /// The bytes of the message or wrapper, with offset and size.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Of a wrapper, the offset of the last message inside.
    pub fn last_offset(&self) -> i64 {
        self.offset
    }

    /// The first offset, unless only decompressing tells it.
    pub fn base_offset(&self) -> Option<i64> {
        (!self.is_wrapper()).then_some(self.offset)
    }

    pub fn magic(&self) -> u8 {
        self.magic
    }

    /// The stored CRC.
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// Whether the value is a message set, compressed.
    pub fn is_wrapper(&self) -> bool {
        self.attributes & 0b111 != 0
    }

    pub fn compression(&self) -> Result<Compression, BatchError> {
        match Compression::from_id(self.attributes & 0b111)? {
            // zstd came with format v2
            Compression::Zstd => Err(BatchError::UnknownCompression(Compression::Zstd.id())),
            compression => Ok(compression),
        }
    }

    pub fn timestamp_type(&self) -> TimestampType {
        if self.magic == 1 && self.attributes & APPEND_TIME_FLAG != 0 {
            TimestampType::LogAppend
        } else {
            TimestampType::Create
        }
    }

    /// The timestamp, for a wrapper the greatest inside; −1 in magic 0.
    pub fn max_timestamp(&self) -> i64 {
        self.timestamp
    }
}

/// One message of a message set, or a wrapper of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyBatch<'a> {
    header: LegacyHeader,
    bytes: &'a [u8],
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl std::ops::Deref for LegacyBatch<'_> {
    type Target = LegacyHeader;

    fn deref(&self) -> &LegacyHeader {
        &self.header
    }
}

impl<'a> LegacyBatch<'a> {
    /// The message at the front of `bytes`, which may go on after it. `None`: more bytes are
    /// needed.
    pub fn first(bytes: &'a [u8]) -> Result<Option<Self>, BatchError> {
        let Some(header) = LegacyHeader::parse(bytes)? else {
            return Ok(None);
        };
        let Some(bytes) = bytes.get(..header.size) else {
            return Ok(None);
        };
        let fields_at = match header.magic {
            0 => ATTRIBUTES_END,
            _ => TIMESTAMP_END,
        };
        let mut rest = bytes.get(fields_at..).unwrap_or_default();
        let fields = take_field(&mut rest).zip(take_field(&mut rest));
        let (Some((key, value)), true) = (fields, rest.is_empty()) else {
            return Err(BatchError::invalid(format!(
                "the fields of a message do not fit its size of {} bytes",
                header.size - LOG_OVERHEAD
            )));
        };
        Ok(Some(Self {
            header,
            bytes,
            key,
            value,
        }))
    }

    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn computed_crc(&self) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(self.bytes.get(CRC_START..).unwrap_or_default());
        crc.sum()
    }

    pub fn crc_is_valid(&self) -> bool {
        self.computed_crc() == self.crc
    }

    pub fn check_crc(&self) -> Result<(), BatchError> {
        let (stored, computed) = (self.crc, self.computed_crc());
        if stored == computed {
            Ok(())
        } else {
            Err(BatchError::CrcMismatch { stored, computed })
        }
    }

    /// The records, decompressed where needed into memory of their own.
    pub fn records(&self) -> Result<LegacyRecords<'a>, BatchError> {
        if !self.is_wrapper() {
            return Ok(self.plain());
        }
        let mut set = Vec::new();
        self.decompress(DECOMPRESSED_MAX, &mut set)?;
        self.unwrapped(set.into())
    }

    /// As [`Self::records`], with a buffer that the caller keeps from batch to batch, and at most
    /// `cap` bytes of messages plus one piece of the codec.
    pub fn records_with<'b>(
        &self,
        buffer: &'b mut Vec<u8>,
        cap: usize,
    ) -> Result<LegacyRecords<'b>, BatchError>
    where
        'a: 'b,
    {
        if !self.is_wrapper() {
            return Ok(self.plain());
        }
        buffer.clear();
        self.decompress(cap, buffer)?;
        self.unwrapped(buffer.as_slice().into())
    }

    fn plain(&self) -> LegacyRecords<'a> {
        LegacyRecords {
            set: Cow::Borrowed(self.bytes),
            wrapped: false,
            shift: 0,
            append_time: None,
        }
    }

    fn decompress(&self, cap: usize, set: &mut Vec<u8>) -> Result<(), BatchError> {
        let compression = self.compression()?;
        let Some(value) = self.value else {
            return Err(BatchError::invalid("a compressed message has no value"));
        };
        let mut decoder = match self.magic {
            0 => Decoder::for_magic_0(compression, value)?,
            _ => Decoder::new(compression, value)?,
        };
        while decoder.next_piece(set)? {
            if set.len() > cap {
                return Err(BatchError::DecompressedTooLarge { cap });
            }
        }
        Ok(())
    }

    fn unwrapped<'b>(&self, set: Cow<'b, [u8]>) -> Result<LegacyRecords<'b>, BatchError> {
        let mut records = LegacyRecords {
            set,
            wrapped: true,
            shift: 0,
            append_time: None,
        };
        let mut last = None;
        for message in records.messages() {
            last = Some(message?.offset);
        }
        let last = last.ok_or_else(|| BatchError::invalid("a compressed message set is empty"))?;
        // Some versions of librdkafka left the offset of the wrapper 0, whatever is inside.
        if self.magic == 1 && self.offset != 0 {
            if last > self.offset {
                return Err(BatchError::invalid(format!(
                    "the offset {} of a compressed message set is less than that of its last \
                     message, {last}",
                    self.offset
                )));
            }
            records.shift = self.offset.wrapping_sub(last);
        }
        if self.timestamp_type() == TimestampType::LogAppend {
            records.append_time = Some(self.timestamp);
        }
        Ok(records)
    }
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (len, tail) = rest.split_first_chunk()?;
    *rest = tail;
    let Ok(len) = usize::try_from(i32::from_be_bytes(*len)) else {
        return Some(None);
    };
    let (field, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(Some(field))
}

/// The messages of a [`LegacyBatch`]: itself, or those that it wraps.
#[derive(Debug, Clone)]
pub struct LegacyRecords<'a> {
    set: Cow<'a, [u8]>,
    wrapped: bool,
    /// What is added to inner offsets.
    shift: i64,
    append_time: Option<i64>,
}

impl LegacyRecords<'_> {
    /// The records in their stored order. After an error it ends.
    pub fn iter(&self) -> LegacyRecordIter<'_> {
        LegacyRecordIter {
            messages: self.messages(),
            wrapped: self.wrapped,
            shift: self.shift,
            append_time: self.append_time,
        }
    }

    /// The messages as they are stored: offsets and timestamps are not yet those of the records.
    pub fn messages(&self) -> Messages<'_> {
        Messages { rest: &self.set }
    }
}

/// The messages of a message set as they are stored, wrappers not opened.
#[derive(Debug, Clone)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<LegacyBatch<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        // Brokers of old let messages of magic 0 into wrappers of magic 1 (KAFKA-4298).
        let message = match LegacyBatch::first(self.rest) {
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err(BatchError::RecordsTruncated),
            Err(error) => Err(error),
        };
        self.rest = match &message {
            Ok(message) => self.rest.get(message.size()..).unwrap_or_default(),
            Err(_) => &[],
        };
        Some(message)
    }
}

#[derive(Debug, Clone)]
pub struct LegacyRecordIter<'a> {
    messages: Messages<'a>,
    wrapped: bool,
    shift: i64,
    append_time: Option<i64>,
}

impl<'a> Iterator for LegacyRecordIter<'a> {
    type Item = Result<RecordView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let message = match self.messages.next()? {
            Ok(message) if message.is_wrapper() && self.wrapped => {
                self.messages.rest = &[];
                let error = "a compressed message inside a compressed one";
                return Some(Err(BatchError::invalid(error)));
            }
            Ok(message) => message,
            Err(error) => return Some(Err(error)),
        };
        let timestamp = match (message.magic, self.append_time) {
            (1, Some(time)) => time,
            _ => message.timestamp,
        };
        Some(Ok(RecordView::plain(
            message.offset.wrapping_add(self.shift),
            timestamp,
            message.key,
            message.value,
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec;
    use super::*;

    fn message(magic: u8, offset: i64, attributes: u8, timestamp: i64, value: &[u8]) -> Vec<u8> {
        let mut body = vec![magic, attributes];
        if magic == 1 {
            body.extend(timestamp.to_be_bytes());
        }
        body.extend((-1i32).to_be_bytes());
        body.extend((value.len() as i32).to_be_bytes());
        body.extend(value);
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        let mut out = offset.to_be_bytes().to_vec();
        out.extend((body.len() as i32 + 4).to_be_bytes());
        out.extend(crc.sum().to_be_bytes());
        out.extend(body);
        out
    }

    fn wrapper(magic: u8, attributes: u8, compression: Compression, inner: &[Vec<u8>]) -> Vec<u8> {
        let mut value = Vec::new();
        codec::compress(compression, None, &inner.concat(), &mut value).unwrap();
        if (magic, compression) == (0, Compression::Lz4) {
            value[6] ^= 0xff; // old Java clients wrote it wrong
        }
        message(magic, 12, attributes | compression.id(), 500, &value)
    }

    fn read(bytes: &[u8]) -> Vec<(i64, i64, Vec<u8>)> {
        let batch = LegacyBatch::first(bytes).unwrap().unwrap();
        assert!(batch.crc_is_valid());
        assert_eq!(batch.size(), bytes.len());
        let records = batch.records().unwrap();
        records
            .iter()
            .map(|r| r.unwrap())
            .map(|r| (r.offset, r.timestamp, r.value.unwrap().to_vec()))
            .collect()
    }

    #[test]
    fn plain_messages_are_read() {
        assert_eq!(read(&message(0, 7, 0, 0, b"a")), [(7, -1, b"a".to_vec())]);
        assert_eq!(read(&message(1, 7, 0, 44, b"a")), [(7, 44, b"a".to_vec())]);
    }

    #[test]
    fn wrapped_messages_have_absolute_offsets() {
        for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4] {
            let v0 = [message(0, 9, 0, 0, b"a"), message(0, 12, 0, 0, b"b")];
            assert_eq!(
                read(&wrapper(0, 0, compression, &v0)),
                [(9, -1, b"a".to_vec()), (12, -1, b"b".to_vec())]
            );
            let v1 = [message(1, 0, 0, 3, b"a"), message(1, 1, 0, 4, b"b")];
            assert_eq!(
                read(&wrapper(1, 0, compression, &v1)),
                [(11, 3, b"a".to_vec()), (12, 4, b"b".to_vec())]
            );
            assert_eq!(
                read(&wrapper(1, 8, compression, &v1)),
                [(11, 500, b"a".to_vec()), (12, 500, b"b".to_vec())]
            );
        }
    }

    #[test]
    fn damage_is_an_error() {
        let good = wrapper(1, 0, Compression::Gzip, &[message(1, 0, 0, 3, b"abc")]);
        for cut in 0..good.len() {
            assert_eq!(LegacyBatch::first(&good[..cut]), Ok(None));
        }
        let mut damaged = 0;
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                if let Ok(Some(batch)) = LegacyBatch::first(&bad) {
                    damaged += usize::from(!batch.crc_is_valid());
                    if let Ok(records) = batch.records() {
                        assert!(records.iter().count() <= 1);
                    }
                }
            }
        }
        assert!(damaged > 100);
    }
}
