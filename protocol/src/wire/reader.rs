//! Reading: every length is compared with what is left before memory is taken for it.

use bytes::Bytes;

use super::{DecodeError, Item, MAX_STRING_LENGTH, Struct, Text};
use crate::{Records, Uuid};

type Result<T> = std::result::Result<T, DecodeError>;

/// A tagged field that this version of ours does not know, kept as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTag {
    pub tag: u32,
    pub value: Bytes,
}

/// A cursor over received bytes. `bytes` and `records` fields become slices of them, not copies.
#[derive(Clone, Debug)]
pub struct Reader {
    bytes: Bytes,
    at: usize,
}

impl Reader {
    pub fn new(bytes: impl Into<Bytes>) -> Reader {
        Reader {
            bytes: bytes.into(),
            at: 0,
        }
    }

    /// How many bytes are not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// How many bytes have been read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// All that is left, without a copy.
    pub fn rest(&mut self) -> Bytes {
        let rest = self.bytes.slice(self.at..);
        self.at = self.bytes.len();
        rest
    }

    /// Fails if bytes are left.
    pub fn end(&self) -> Result<()> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(DecodeError::TrailingBytes { left }),
        }
    }

    /// The next `length` bytes, without a copy.
    pub fn slice(&mut self, length: usize) -> Result<Bytes> {
        self.check(length)?;
        let slice = self.bytes.slice(self.at..self.at + length);
        self.at += length;
        Ok(slice)
    }

    fn check(&self, needed: usize) -> Result<()> {
        let left = self.remaining();
        if needed > left {
            Err(DecodeError::Truncated { needed, left })
        } else {
            Ok(())
        }
    }

    fn take(&mut self, length: usize) -> Result<&[u8]> {
        self.check(length)?;
        let start = self.at;
        self.at += length;
        Ok(&self.bytes[start..self.at])
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let left = self.remaining();
        let found = self.bytes[self.at..].first_chunk::<N>();
        let found = *found.ok_or(DecodeError::Truncated { needed: N, left })?;
        self.at += N;
        Ok(found)
    }

    pub fn i8(&mut self) -> Result<i8> {
        self.fixed().map(i8::from_be_bytes)
    }

    pub fn i16(&mut self) -> Result<i16> {
        self.fixed().map(i16::from_be_bytes)
    }

    pub fn i32(&mut self) -> Result<i32> {
        self.fixed().map(i32::from_be_bytes)
    }

    pub fn i64(&mut self) -> Result<i64> {
        self.fixed().map(i64::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16> {
        self.fixed().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32> {
        self.fixed().map(u32::from_be_bytes)
    }

    pub fn f64(&mut self) -> Result<f64> {
        self.fixed().map(f64::from_be_bytes)
    }

    /// Any byte but zero is true, as Kafka reads it.
    pub fn bool(&mut self) -> Result<bool> {
        self.i8().map(|byte| byte != 0)
    }

    pub fn uuid(&mut self) -> Result<Uuid> {
        self.fixed().map(Uuid::from_bytes)
    }

    /// A number in 7-bit groups, least significant first; at most 5 bytes.
    pub fn unsigned_varint(&mut self) -> Result<u32> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let [byte] = self.fixed::<1>()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::InvalidVarint)
    }

    /// A zigzag-coded number.
    pub fn varint(&mut self) -> Result<i32> {
        let value = self.unsigned_varint()?;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    /// A zigzag-coded number of up to 10 bytes.
    pub fn varlong(&mut self) -> Result<i64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let [byte] = self.fixed::<1>()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(DecodeError::InvalidVarint)
    }

    /// The length in front of bytes, records and arrays; `None` is null.
    fn length(&mut self, flexible: bool) -> Result<Option<usize>> {
        if flexible {
            Ok(self
                .unsigned_varint()?
                .checked_sub(1)
                .map(|length| length as usize))
        } else {
            match self.i32()? {
                -1 => Ok(None),
                length => Ok(Some(to_length(length.into())?)),
            }
        }
    }

    pub fn string_or_null<T: Text>(&mut self, flexible: bool) -> Result<Option<T>> {
        let length = if flexible {
            self.length(true)?
        } else {
            match self.i16()? {
                -1 => None,
                length => Some(to_length(length.into())?),
            }
        };
        match length {
            None => Ok(None),
            Some(length) if length > MAX_STRING_LENGTH => {
                Err(DecodeError::InvalidLength(length as i64))
            }
            Some(length) => T::read(self, length).map(Some),
        }
    }

    pub fn string<T: Text>(&mut self, flexible: bool) -> Result<T> {
        self.string_or_null(flexible)?
            .ok_or(DecodeError::UnexpectedNull)
    }

    /// `length` bytes of text, copied.
    pub(super) fn utf8(&mut self, length: usize) -> Result<&str> {
        std::str::from_utf8(self.take(length)?).map_err(|_| DecodeError::InvalidUtf8)
    }

    pub fn bytes_or_null(&mut self, flexible: bool) -> Result<Option<Bytes>> {
        match self.length(flexible)? {
            None => Ok(None),
            Some(length) => self.slice(length).map(Some),
        }
    }

    pub fn bytes(&mut self, flexible: bool) -> Result<Bytes> {
        self.bytes_or_null(flexible)?
            .ok_or(DecodeError::UnexpectedNull)
    }

    pub fn records_or_null(&mut self, flexible: bool) -> Result<Option<Records>> {
        Ok(self.bytes_or_null(flexible)?.map(Records::Bytes))
    }

    pub fn records(&mut self, flexible: bool) -> Result<Records> {
        self.bytes(flexible).map(Records::Bytes)
    }

    /// Memory is taken for no more elements than the bytes left could fill in memory, and grows as
    /// elements arrive: a small frame that announces many elements costs little, whatever the size
    /// of one.
    pub fn array_or_null<T: Item>(
        &mut self,
        version: i16,
        flexible: bool,
    ) -> Result<Option<Vec<T>>> {
        let Some(count) = self.length(flexible)? else {
            return Ok(None);
        };
        let left = self.remaining();
        if count > left {
            return Err(DecodeError::TooManyElements { count, left });
        }
        let mut array = Vec::with_capacity(count.min(left / size_of::<T>() + 1));
        for _ in 0..count {
            array.push(T::read(self, version, flexible)?);
        }
        Ok(Some(array))
    }

    pub fn array<T: Item>(&mut self, version: i16, flexible: bool) -> Result<Vec<T>> {
        self.array_or_null(version, flexible)?
            .ok_or(DecodeError::UnexpectedNull)
    }

    /// A nullable struct: one byte, negative for null, in front of it.
    pub fn struct_or_null<T: Struct>(&mut self, version: i16) -> Result<Option<T>> {
        if self.i8()? < 0 {
            Ok(None)
        } else {
            T::read(self, version).map(Some)
        }
    }

    /// A nullable struct in a tagged field, where Kafka writes 0 for null and 1 otherwise.
    pub fn tagged_struct_or_null<T: Struct>(&mut self, version: i16) -> Result<Option<T>> {
        if self.unsigned_varint()? == 0 {
            Ok(None)
        } else {
            T::read(self, version).map(Some)
        }
    }

    /// How many tagged fields follow; none in a version without them.
    pub fn tag_count(&mut self, flexible: bool) -> Result<u32> {
        if flexible {
            self.unsigned_varint()
        } else {
            Ok(0)
        }
    }

    /// A tag and a reader of its value alone.
    pub fn tagged(&mut self) -> Result<(u32, Reader)> {
        let tag = self.unsigned_varint()?;
        let length = self.unsigned_varint()? as usize;
        Ok((tag, Reader::new(self.slice(length)?)))
    }

    /// Passes over the tagged fields of a struct that knows none.
    pub fn skip_tags(&mut self, flexible: bool) -> Result<()> {
        for _ in 0..self.tag_count(flexible)? {
            self.unsigned_varint()?;
            let length = self.unsigned_varint()? as usize;
            self.take(length)?;
        }
        Ok(())
    }

    /// The tagged fields of a struct that knows none.
    pub fn unknown_tags(&mut self, flexible: bool) -> Result<Vec<UnknownTag>> {
        let mut tags = Vec::new();
        for _ in 0..self.tag_count(flexible)? {
            let (tag, mut value) = self.tagged()?;
            tags.push(UnknownTag {
                tag,
                value: value.rest(),
            });
        }
        Ok(tags)
    }
}

/// Refuses null in a version that does not allow it.
pub fn null_if<T>(allowed: bool, value: Option<T>) -> Result<Option<T>> {
    if value.is_none() && !allowed {
        Err(DecodeError::UnexpectedNull)
    } else {
        Ok(value)
    }
}

fn to_length(length: i64) -> Result<usize> {
    usize::try_from(length).map_err(|_| DecodeError::InvalidLength(length))
}
