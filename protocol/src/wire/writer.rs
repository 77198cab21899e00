//! Writing: one growing buffer, and notes of what else belongs where in it.

use std::ops::RangeBounds;

use bytes::{BufMut, Bytes, BytesMut};

use super::{EncodeError, Item, MAX_STRING_LENGTH, Struct, UnknownTag};
use crate::{Records, Uuid};

type Result<T> = std::result::Result<T, EncodeError>;

/// From this size on, bytes are inserted by reference instead of being copied.
pub const INSERT_FROM: usize = 4096;

/// Builds a frame or a record. Large [`Bytes`] and [`Records::External`] are not copied into the
/// buffer: they become [`Insert`]s of the result.
#[derive(Debug, Default)]
pub struct Writer {
    buf: BytesMut,
    inserts: Vec<Insert>,
    inserted: usize,
}

/// Something that belongs between the bytes `buf[..at]` and `buf[at..]` of an [`Encoded`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insert {
    pub at: usize,
    pub what: Insertion,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Insertion {
    Bytes(Bytes),
    /// `len` bytes that the sender finds under `id`, such as a range of a file.
    External {
        id: usize,
        len: usize,
    },
}

/// What a [`Writer`] made: `buf` with `inserts` at their places, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    pub buf: Bytes,
    pub inserts: Vec<Insert>,
    /// The length of the whole, inserts included.
    pub total_len: usize,
}

impl Insertion {
    pub fn len(&self) -> usize {
        match self {
            Insertion::Bytes(bytes) => bytes.len(),
            Insertion::External { len, .. } => *len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Encoded {
    /// The whole in one piece; `None` if a part of it is external.
    pub fn to_bytes(&self) -> Option<Bytes> {
        if self.inserts.is_empty() {
            return Some(self.buf.clone());
        }
        let mut whole = BytesMut::with_capacity(self.total_len);
        let mut from = 0;
        for insert in &self.inserts {
            let Insertion::Bytes(bytes) = &insert.what else {
                return None;
            };
            whole.put_slice(&self.buf[from..insert.at]);
            whole.put_slice(bytes);
            from = insert.at;
        }
        whole.put_slice(&self.buf[from..]);
        Some(whole.freeze())
    }
}

/// Where a tagged field began; given back to [`Writer::end_tag`].
#[must_use]
#[derive(Debug)]
pub struct TagStart {
    at: usize,
    inserts: usize,
    inserted: usize,
}

impl Writer {
    pub fn new() -> Writer {
        Writer::default()
    }

    pub fn with_capacity(bytes: usize) -> Writer {
        Writer {
            buf: BytesMut::with_capacity(bytes),
            ..Writer::default()
        }
    }

    /// The length so far, inserts included.
    pub fn len(&self) -> usize {
        self.buf.len() + self.inserted
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn finish(self) -> Encoded {
        let total_len = self.len();
        Encoded {
            buf: self.buf.freeze(),
            inserts: self.inserts,
            total_len,
        }
    }

    /// Writes the length of all that follows the first four bytes into them.
    pub(crate) fn finish_frame(mut self) -> Result<Encoded> {
        let length = self.len() - 4;
        let prefix = i32::try_from(length).map_err(|_| EncodeError::TooLong { length })?;
        self.buf[..4].copy_from_slice(&prefix.to_be_bytes());
        Ok(self.finish())
    }

    pub fn i8(&mut self, value: i8) {
        self.buf.put_i8(value);
    }

    pub fn i16(&mut self, value: i16) {
        self.buf.put_i16(value);
    }

    pub fn i32(&mut self, value: i32) {
        self.buf.put_i32(value);
    }

    pub fn i64(&mut self, value: i64) {
        self.buf.put_i64(value);
    }

    pub fn u16(&mut self, value: u16) {
        self.buf.put_u16(value);
    }

    pub fn u32(&mut self, value: u32) {
        self.buf.put_u32(value);
    }

    pub fn f64(&mut self, value: f64) {
        self.buf.put_f64(value);
    }

    pub fn bool(&mut self, value: bool) {
        self.buf.put_u8(value.into());
    }

    pub fn uuid(&mut self, value: Uuid) {
        self.buf.put_slice(value.as_bytes());
    }

    /// Bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buf.put_slice(bytes);
    }

    /// A number in 7-bit groups, least significant first.
    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value > 0x7f {
            self.buf.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buf.put_u8(value as u8);
    }

    /// A zigzag-coded number.
    pub fn varint(&mut self, value: i32) {
        self.unsigned_varint(((value << 1) ^ (value >> 31)) as u32);
    }

    /// A zigzag-coded number of up to 10 bytes.
    pub fn varlong(&mut self, value: i64) {
        let mut value = ((value << 1) ^ (value >> 63)) as u64;
        while value > 0x7f {
            self.buf.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buf.put_u8(value as u8);
    }

    /// The length in front of bytes, records and arrays; `None` is null.
    fn length(&mut self, length: Option<usize>, flexible: bool) -> Result<()> {
        let Some(length) = length else {
            if flexible {
                self.unsigned_varint(0)
            } else {
                self.i32(-1)
            }
            return Ok(());
        };
        let fits = i32::try_from(length)
            .ok()
            .filter(|&length| length < i32::MAX);
        let length = fits.ok_or(EncodeError::TooLong { length })?;
        if flexible {
            self.unsigned_varint(length as u32 + 1)
        } else {
            self.i32(length)
        }
        Ok(())
    }

    pub fn string_or_null(&mut self, value: Option<&str>, flexible: bool) -> Result<()> {
        let Some(value) = value else {
            if flexible {
                self.unsigned_varint(0)
            } else {
                self.i16(-1)
            }
            return Ok(());
        };
        let length = value.len();
        if length > MAX_STRING_LENGTH {
            return Err(EncodeError::StringTooLong { length });
        }
        if flexible {
            self.unsigned_varint(length as u32 + 1)
        } else {
            self.i16(length as i16)
        }
        self.raw(value.as_bytes());
        Ok(())
    }

    pub fn string(&mut self, value: &str, flexible: bool) -> Result<()> {
        self.string_or_null(Some(value), flexible)
    }

    pub fn bytes_or_null(&mut self, value: Option<&Bytes>, flexible: bool) -> Result<()> {
        self.length(value.map(Bytes::len), flexible)?;
        match value {
            Some(bytes) if bytes.len() >= INSERT_FROM => {
                self.insert(Insertion::Bytes(bytes.clone()));
            }
            Some(bytes) => self.raw(bytes),
            None => {}
        }
        Ok(())
    }

    pub fn bytes(&mut self, value: &Bytes, flexible: bool) -> Result<()> {
        self.bytes_or_null(Some(value), flexible)
    }

    pub fn records_or_null(&mut self, value: Option<&Records>, flexible: bool) -> Result<()> {
        match value {
            None => self.bytes_or_null(None, flexible),
            Some(Records::Bytes(bytes)) => self.bytes(bytes, flexible),
            Some(&Records::External { id, len }) => {
                self.length(Some(len), flexible)?;
                self.insert(Insertion::External { id, len });
                Ok(())
            }
        }
    }

    pub fn records(&mut self, value: &Records, flexible: bool) -> Result<()> {
        self.records_or_null(Some(value), flexible)
    }

    fn insert(&mut self, what: Insertion) {
        if !what.is_empty() {
            self.inserted += what.len();
            self.inserts.push(Insert {
                at: self.buf.len(),
                what,
            });
        }
    }

    pub fn array_or_null<T: Item>(
        &mut self,
        array: Option<&[T]>,
        version: i16,
        flexible: bool,
    ) -> Result<()> {
        self.length(array.map(<[T]>::len), flexible)?;
        for item in array.unwrap_or_default() {
            item.write(self, version, flexible)?;
        }
        Ok(())
    }

    pub fn array<T: Item>(&mut self, array: &[T], version: i16, flexible: bool) -> Result<()> {
        self.array_or_null(Some(array), version, flexible)
    }

    /// A nullable struct: one byte, -1 for null and 1 otherwise, in front of it.
    pub fn struct_or_null<T: Struct>(&mut self, value: Option<&T>, version: i16) -> Result<()> {
        match value {
            None => self.i8(-1),
            Some(value) => {
                self.i8(1);
                value.write(self, version)?;
            }
        }
        Ok(())
    }

    /// A nullable struct in a tagged field, where Kafka writes 0 for null and 1 otherwise.
    pub fn tagged_struct_or_null<T: Struct>(
        &mut self,
        value: Option<&T>,
        version: i16,
    ) -> Result<()> {
        self.unsigned_varint(value.is_some().into());
        value.map_or(Ok(()), |value| value.write(self, version))
    }

    /// How many tagged fields follow: those of `known` that are present, and `unknown`.
    pub fn tag_count(&mut self, known: &[bool], unknown: &[UnknownTag]) {
        let known = known.iter().filter(|&&present| present).count();
        self.unsigned_varint((known + unknown.len()) as u32);
    }

    /// Starts the tagged field `tag`; its value follows.
    pub fn begin_tag(&mut self, tag: u32) -> TagStart {
        self.unsigned_varint(tag);
        TagStart {
            at: self.buf.len(),
            inserts: self.inserts.len(),
            inserted: self.inserted,
        }
    }

    /// Puts the length of a tagged field's value in front of it.
    pub fn end_tag(&mut self, start: TagStart) {
        let end = self.buf.len();
        self.unsigned_varint((end - start.at + self.inserted - start.inserted) as u32);
        let width = self.buf.len() - end;
        self.buf[start.at..].rotate_right(width);
        for insert in &mut self.inserts[start.inserts..] {
            insert.at += width;
        }
    }

    /// Those of `tags` whose numbers are in the range, so that they stand in order between known
    /// ones.
    pub fn unknown_tags(&mut self, tags: &[UnknownTag], range: impl RangeBounds<u32>) {
        for unknown in tags.iter().filter(|unknown| range.contains(&unknown.tag)) {
            self.unsigned_varint(unknown.tag);
            self.unsigned_varint(unknown.value.len() as u32);
            self.raw(&unknown.value);
        }
    }
}

/// A field that `version` lacks must hold its default, unless it is ignorable.
pub fn absent(is_default: bool, field: &'static str, version: i16) -> Result<()> {
    if is_default {
        Ok(())
    } else {
        Err(EncodeError::UnsupportedField { field, version })
    }
}

/// Refuses null in a version that does not allow it.
pub fn not_null<T>(value: &Option<T>, field: &'static str, version: i16) -> Result<()> {
    if value.is_some() {
        Ok(())
    } else {
        Err(EncodeError::UnexpectedNull { field, version })
    }
}
