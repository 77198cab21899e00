//! Iteration over the records of a batch without allocation.
use std::borrow::Cow;

use super::varint::{take_varint, take_varlong};
use super::{BatchError, BatchHeader, TimestampType};

/// A record takes at least seven bytes: length, attributes, two deltas, key, value, header count.
const RECORD_SIZE_MIN: usize = 7;

/// The uncompressed records of one batch, with what its header says of them.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    bytes: Cow<'a, [u8]>,
    base: RecordBase,
}

#[derive(Debug, Clone, Copy)]
struct RecordBase {
    offset: i64,
    timestamp: i64,
    /// The one timestamp of all records, when the log set it.
    append_time: Option<i64>,
    count: i32,
}

impl<'a> Records<'a> {
    pub(super) fn new(header: &BatchHeader<'_>, bytes: Cow<'a, [u8]>) -> Result<Self, BatchError> {
        let count = header.record_count();
        // A count that the bytes cannot hold must not make anyone reserve for it.
        if count < 0 || count as usize > bytes.len() / RECORD_SIZE_MIN {
            return Err(BatchError::InvalidRecordCount(count));
        }
        let append_time = match header.timestamp_type() {
            TimestampType::LogAppend => Some(header.max_timestamp()),
            TimestampType::Create => None,
        };
        let base = RecordBase {
            offset: header.base_offset(),
            timestamp: header.base_timestamp(),
            append_time,
            count,
        };
        Ok(Self { bytes, base })
    }

    /// How many records the header declares; the bytes are long enough for them.
    pub fn count(&self) -> usize {
        self.base.count as usize
    }

    /// The records in their stored order. After an error it ends.
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter {
            rest: &self.bytes,
            base: self.base,
            index: 0,
        }
    }

    /// The bytes of all records, uncompressed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<'a> IntoIterator for &'a Records<'_> {
    type Item = Result<RecordView<'a>, BatchError>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> RecordIter<'a> {
        self.iter()
    }
}

#[derive(Debug, Clone)]
pub struct RecordIter<'a> {
    rest: &'a [u8],
    base: RecordBase,
    index: i32,
}

impl RecordIter<'_> {
    /// Bytes of the records not given yet: their lengths tell where each record is stored.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordView<'a>, BatchError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.index == self.base.count {
            if self.rest.is_empty() {
                return None;
            }
            self.rest = &[];
            return Some(Err(BatchError::RecordsRemaining(self.index)));
        }
        match take_record(&mut self.rest, &self.base) {
            Ok(record) => {
                self.index += 1;
                Some(Ok(record))
            }
            Err(error) => {
                (self.rest, self.index) = (&[], self.base.count);
                Some(Err(error))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some((self.base.count - self.index) as usize + 1))
    }
}

#[inline]
fn take_record<'a>(rest: &mut &'a [u8], base: &RecordBase) -> Result<RecordView<'a>, BatchError> {
    let size = take_varint(rest).ok_or(BatchError::RecordsTruncated)?;
    let size = usize::try_from(size).map_err(|_| invalid_size(size))?;
    let (body, tail) = rest
        .split_at_checked(size)
        .ok_or(BatchError::RecordsTruncated)?;
    *rest = tail;
    let record = parse_body(body, base).ok_or_else(|| invalid_body(size))?;
    record.check_headers()?;
    Ok(record)
}

#[cold]
fn invalid_size(size: i32) -> BatchError {
    BatchError::invalid(format!("invalid record size: {size}"))
}

#[cold]
fn invalid_body(size: usize) -> BatchError {
    BatchError::invalid(format!(
        "the fields of a record do not fit its size of {size} bytes"
    ))
}

#[inline]
fn parse_body<'a>(body: &'a [u8], base: &RecordBase) -> Option<RecordView<'a>> {
    let (_attributes, mut rest) = body.split_first()?;
    let timestamp_delta = take_varlong(&mut rest)?;
    let offset_delta = take_varint(&mut rest)?;
    let key = take_nullable(&mut rest)?;
    let value = take_nullable(&mut rest)?;
    let header_count = take_varint(&mut rest)?;
    Some(RecordView {
        offset: base.offset.wrapping_add(i64::from(offset_delta)),
        timestamp: match base.append_time {
            Some(time) => time,
            None => base.timestamp.wrapping_add(timestamp_delta),
        },
        key,
        value,
        header_count,
        header_bytes: rest,
    })
}

/// A length and so many bytes; a negative length is null.
#[inline]
fn take_nullable<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let len = take_varint(rest)?;
    let Ok(len) = usize::try_from(len) else {
        return Some(None);
    };
    let (bytes, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(Some(bytes))
}

/// One record, borrowed from its batch.
#[derive(Debug, Clone, Copy)]
pub struct RecordView<'a> {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    header_count: i32,
    /// Checked to hold exactly `header_count` headers.
    header_bytes: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// A record without headers, for those that are not stored in this format.
    pub(super) fn plain(
        offset: i64,
        timestamp: i64,
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
    ) -> Self {
        Self {
            offset,
            timestamp,
            key,
            value,
            header_count: 0,
            header_bytes: &[],
        }
    }

    pub fn headers(&self) -> Headers<'a> {
        Headers {
            rest: self.header_bytes,
            left: self.header_count as usize,
        }
    }

    /// The headers as they are stored, without their count.
    pub(super) fn header_bytes(&self) -> &'a [u8] {
        self.header_bytes
    }

    #[inline]
    fn check_headers(&self) -> Result<(), BatchError> {
        // Most records have none.
        if self.header_count == 0 && self.header_bytes.is_empty() {
            return Ok(());
        }
        // Each takes two bytes or more.
        if self.header_count < 0 || self.header_count as usize > self.header_bytes.len() / 2 {
            let count = self.header_count;
            return Err(BatchError::invalid(format!(
                "found invalid number of record headers {count}"
            )));
        }
        let mut rest = self.header_bytes;
        for _ in 0..self.header_count {
            take_header(&mut rest)
                .ok_or_else(|| BatchError::invalid("a record header does not fit its record"))?;
        }
        if rest.is_empty() {
            return Ok(());
        }
        Err(BatchError::invalid(format!(
            "invalid record size: {} bytes remain after the last header",
            rest.len()
        )))
    }
}

/// A record header. Its key is text by convention; the broker does not check it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

impl Header<'_> {
    /// The key as text; what is not UTF-8 becomes U+FFFD, as in Java.
    pub fn key_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.key)
    }
}

#[derive(Debug, Clone)]
pub struct Headers<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.left = self.left.checked_sub(1)?;
        take_header(&mut self.rest)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Headers<'_> {}

fn take_header<'a>(rest: &mut &'a [u8]) -> Option<Header<'a>> {
    let key = take_nullable(rest)??;
    Some(Header {
        key,
        value: take_nullable(rest)?,
    })
}
