//! Message sets of Kafka before 0.11 (magic 0 and 1), read only: a log directory that was upgraded
//! from old clusters may hold them. They give the same [`RecordView`] as batches do.
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
    BatchError, Compression, DECOMPRESSED_MAX, LOG_OVERHEAD, NO_TIMESTAMP, RecordView,
    TimestampType,
};

const CRC_END: usize = 4;
/// CRC, magic, attributes, two lengths.
const SIZE_MIN_V0: usize = 14;
const SIZE_MIN_V1: usize = 22;

/// One message of a message set, or a wrapper of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyBatch<'a> {
    offset: i64,
    bytes: &'a [u8],
    magic: u8,
    attributes: u8,
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl<'a> LegacyBatch<'a> {
    /// The message at the front of `bytes`, which may go on after it. `None`: more bytes are
    /// needed.
    pub fn first(bytes: &'a [u8]) -> Result<Option<Self>, BatchError> {
        let Some((overhead, _)) = bytes.split_first_chunk::<LOG_OVERHEAD>() else {
            return Ok(None);
        };
        let [o0, o1, o2, o3, o4, o5, o6, o7, s0, s1, s2, s3] = *overhead;
        let size = i32::from_be_bytes([s0, s1, s2, s3]);
        let below = |min| BatchError::SizeBelowMinimum {
            size: i64::from(size),
            min,
        };
        let len = match usize::try_from(size) {
            Ok(len) if len >= SIZE_MIN_V0 => len,
            _ => return Err(below(SIZE_MIN_V0)),
        };
        let Some(bytes) = bytes.get(..LOG_OVERHEAD + len) else {
            return Ok(None);
        };
        let body = bytes.get(LOG_OVERHEAD + CRC_END..).unwrap_or_default();
        let &[magic, attributes, ref rest @ ..] = body else {
            return Err(below(SIZE_MIN_V0));
        };
        let mut rest = rest;
        let timestamp = match magic {
            0 => NO_TIMESTAMP,
            1 => match rest.split_first_chunk() {
                Some((timestamp, tail)) => {
                    rest = tail;
                    i64::from_be_bytes(*timestamp)
                }
                None => return Err(below(SIZE_MIN_V1)),
            },
            other => return Err(BatchError::InvalidMagic(other as i8)),
        };
        let fields = take_field(&mut rest).zip(take_field(&mut rest));
        let (Some((key, value)), true) = (fields, rest.is_empty()) else {
            return Err(BatchError::invalid(format!(
                "the fields of a message do not fit its size of {size} bytes"
            )));
        };
        let offset = i64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7]);
        Ok(Some(Self {
            offset,
            bytes,
            magic,
            attributes,
            timestamp,
            key,
            value,
        }))
    }

    /// The bytes of the message or wrapper, with offset and size.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn last_offset(&self) -> i64 {
        self.offset
    }

    pub fn magic(&self) -> u8 {
        self.magic
    }

    pub fn compression(&self) -> Result<Compression, BatchError> {
        match Compression::from_id(self.attributes & 0b111)? {
            // zstd came with format v2
            Compression::Zstd => Err(BatchError::UnknownCompression(Compression::Zstd.id())),
            compression => Ok(compression),
        }
    }

    pub fn timestamp_type(&self) -> TimestampType {
        if self.magic == 1 && self.attributes & 0b1000 != 0 {
            TimestampType::LogAppend
        } else {
            TimestampType::Create
        }
    }

    /// The timestamp, for a wrapper the greatest inside; −1 in magic 0.
    pub fn max_timestamp(&self) -> i64 {
        self.timestamp
    }

    pub fn crc_is_valid(&self) -> bool {
        let Some((stored, covered)) = self
            .bytes
            .get(LOG_OVERHEAD..)
            .and_then(|bytes| bytes.split_first_chunk())
        else {
            return false;
        };
        let mut crc = flate2::Crc::new();
        crc.update(covered);
        crc.sum() == u32::from_be_bytes(*stored)
    }

    /// The records, decompressed where needed.
    pub fn records(&self) -> Result<LegacyRecords<'a>, BatchError> {
        let (compression, value) = match (self.compression()?, self.value) {
            (Compression::None, _) => {
                let set = Cow::Borrowed(self.bytes);
                return Ok(LegacyRecords {
                    set,
                    magic: self.magic,
                    shift: 0,
                    append_time: None,
                });
            }
            (_, None) => return Err(BatchError::invalid("a compressed message has no value")),
            (compression, Some(value)) => (compression, value),
        };
        let mut decoder = match self.magic {
            0 => Decoder::for_magic_0(compression, value)?,
            _ => Decoder::new(compression, value)?,
        };
        let mut set = Vec::new();
        while decoder.next_piece(&mut set)? {
            if set.len() > DECOMPRESSED_MAX {
                return Err(BatchError::DecompressedTooLarge {
                    cap: DECOMPRESSED_MAX,
                });
            }
        }
        let mut records = LegacyRecords {
            set: set.into(),
            magic: self.magic,
            shift: 0,
            append_time: None,
        };
        let mut last = None;
        for message in records.messages() {
            last = Some(message?.offset);
        }
        let last = last.ok_or_else(|| BatchError::invalid("a compressed message set is empty"))?;
        if self.magic == 1 {
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

/// The messages inside a [`LegacyBatch`].
#[derive(Debug, Clone)]
pub struct LegacyRecords<'a> {
    set: Cow<'a, [u8]>,
    magic: u8,
    /// What is added to inner offsets.
    shift: i64,
    append_time: Option<i64>,
}

impl LegacyRecords<'_> {
    pub fn iter(&self) -> impl Iterator<Item = Result<RecordView<'_>, BatchError>> {
        self.messages().map(|message| {
            let message = message?;
            if message.compression()? != Compression::None && matches!(self.set, Cow::Owned(_)) {
                return Err(BatchError::invalid(
                    "a compressed message inside a compressed one",
                ));
            }
            Ok(RecordView::plain(
                message.offset.wrapping_add(self.shift),
                self.append_time.unwrap_or(message.timestamp),
                message.key,
                message.value,
            ))
        })
    }

    fn messages(&self) -> impl Iterator<Item = Result<LegacyBatch<'_>, BatchError>> {
        let mut rest: &[u8] = &self.set;
        let magic = self.magic;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let message = match LegacyBatch::first(rest) {
                Ok(Some(message)) if message.magic == magic => Ok(message),
                Ok(Some(_)) => Err(BatchError::invalid("an inner message has another magic")),
                Ok(None) => Err(BatchError::RecordsTruncated),
                Err(error) => Err(error),
            };
            rest = match &message {
                Ok(message) => rest.get(message.size()..).unwrap_or_default(),
                Err(_) => &[],
            };
            Some(message)
        })
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
