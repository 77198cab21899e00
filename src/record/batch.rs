//! A borrowed view of one batch, and the iteration over a run of batches.
use std::ops::Deref;

use super::{
    Attributes, BatchError, Compression, DECOMPRESSED_MAX, HEADER_LEN, LOG_OVERHEAD, MAGIC_END,
    NO_PRODUCER_ID, Records, TimestampType, codec,
};

const LENGTH_MIN_V2: usize = HEADER_LEN - LOG_OVERHEAD;
/// Offset, size, CRC, magic, attributes, two lengths: the smallest message of magic 0.
const LENGTH_MIN_V0: usize = 14;
pub(super) const CRC_START: usize = 21;

/// The 61 bytes before the records of a v2 batch. All that a scan of a segment needs: the records
/// need not be in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader<'a>(&'a [u8; HEADER_LEN]);

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $from:literal..$to:literal;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name(&self) -> $type {
            let mut raw = [0; $to - $from];
            raw.copy_from_slice(&self.0[$from..$to]);
            <$type>::from_be_bytes(raw)
        }
    )*};
}

impl<'a> BatchHeader<'a> {
    /// Reads the header at the front of `bytes`. `None`: more bytes are needed.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<Self>, BatchError> {
        let Some(head) = bytes.first_chunk::<MAGIC_END>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        let below = |min| BatchError::SizeBelowMinimum {
            size: i64::from(length),
            min,
        };
        if length < LENGTH_MIN_V0 as i32 {
            return Err(below(LENGTH_MIN_V0));
        }
        match head[16] as i8 {
            2 if length < LENGTH_MIN_V2 as i32 => Err(below(LENGTH_MIN_V2)),
            2 => Ok(bytes.first_chunk().map(Self)),
            old @ (0 | 1) => Err(BatchError::OldMagic(old)),
            magic => Err(BatchError::InvalidMagic(magic)),
        }
    }

    fields! {
        base_offset: i64 = 0..8;
        /// The length field: bytes of the batch after it. See [`Self::size`].
        batch_length: i32 = 8..12;
        leader_epoch: i32 = 12..16;
        magic: i8 = 16..17;
        crc: u32 = 17..21;
        last_offset_delta: i32 = 23..27;
        /// What record timestamps are relative to. After compaction it may be the delete horizon.
        base_timestamp: i64 = 27..35;
        max_timestamp: i64 = 35..43;
        producer_id: i64 = 43..51;
        producer_epoch: i16 = 51..53;
        base_sequence: i32 = 53..57;
        record_count: i32 = 57..61;
    }

    /// The bytes of the whole batch, with its header.
    #[inline]
    pub fn size(&self) -> usize {
        // parse() has checked that the length is not negative
        LOG_OVERHEAD + self.batch_length() as usize
    }

    #[inline]
    pub fn last_offset(&self) -> i64 {
        self.base_offset()
            .wrapping_add(i64::from(self.last_offset_delta()))
    }

    #[inline]
    pub fn next_offset(&self) -> i64 {
        self.last_offset().wrapping_add(1)
    }

    #[inline]
    pub fn attributes(&self) -> Attributes {
        Attributes(i16::from_be_bytes([self.0[21], self.0[22]]))
    }

    pub fn compression(&self) -> Result<Compression, BatchError> {
        self.attributes().compression()
    }

    pub fn timestamp_type(&self) -> TimestampType {
        self.attributes().timestamp_type()
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes().is_transactional()
    }

    pub fn is_control(&self) -> bool {
        self.attributes().is_control()
    }

    pub fn has_producer_id(&self) -> bool {
        self.producer_id() > NO_PRODUCER_ID
    }

    /// When tombstones and markers of this batch may go, once the cleaner has decided so.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        self.attributes()
            .has_delete_horizon()
            .then(|| self.base_timestamp())
    }

    /// The sequence number of the last record; wraps at `i32::MAX` to 0 as Kafka's does.
    pub fn last_sequence(&self) -> i32 {
        match self.base_sequence() {
            super::NO_SEQUENCE => super::NO_SEQUENCE,
            base => increment_sequence(base, self.last_offset_delta()),
        }
    }

    pub fn as_bytes(&self) -> &'a [u8; HEADER_LEN] {
        self.0
    }
}

/// Sequence numbers count from 0 to `i32::MAX` and start again.
fn increment_sequence(sequence: i32, by: i32) -> i32 {
    sequence
        .checked_add(by)
        .unwrap_or_else(|| sequence.wrapping_add(by).wrapping_sub(i32::MIN))
}

/// One whole v2 batch in memory. Its bounds are checked; its CRC and its records are not, until
/// asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchView<'a> {
    header: BatchHeader<'a>,
    bytes: &'a [u8],
}

impl<'a> Deref for BatchView<'a> {
    type Target = BatchHeader<'a>;

    fn deref(&self) -> &BatchHeader<'a> {
        &self.header
    }
}

impl<'a> BatchView<'a> {
    /// The batch at the front of `bytes`, which may go on after it. `None`: more bytes are needed.
    pub fn first(bytes: &'a [u8]) -> Result<Option<Self>, BatchError> {
        let Some(header) = BatchHeader::parse(bytes)? else {
            return Ok(None);
        };
        Ok(bytes
            .get(..header.size())
            .map(|bytes| Self { header, bytes }))
    }

    /// The bytes of the batch alone.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes after the header as they are stored: compressed, if the batch is.
    pub fn stored_records(&self) -> &'a [u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or_default()
    }

    pub fn computed_crc(&self) -> u32 {
        crc32c::crc32c(self.bytes.get(CRC_START..).unwrap_or_default())
    }

    pub fn crc_is_valid(&self) -> bool {
        self.computed_crc() == self.crc()
    }

    pub fn check_crc(&self) -> Result<(), BatchError> {
        let (stored, computed) = (self.crc(), self.computed_crc());
        if stored == computed {
            Ok(())
        } else {
            Err(BatchError::CrcMismatch { stored, computed })
        }
    }

    /// The records, decompressed where needed into memory of their own, at most
    /// [`DECOMPRESSED_MAX`] bytes. Iterate with [`Records::iter`].
    pub fn records(&self) -> Result<Records<'a>, BatchError> {
        match self.compression()? {
            Compression::None => Records::new(&self.header, self.stored_records().into()),
            compression => {
                let mut out = Vec::new();
                codec::decompress(
                    compression,
                    self.stored_records(),
                    DECOMPRESSED_MAX,
                    &mut out,
                )?;
                Records::new(&self.header, out.into())
            }
        }
    }

    /// As [`Self::records`], with a buffer that the caller keeps from batch to batch. Its content
    /// is replaced; it is not touched when the records are not compressed.
    pub fn records_with<'b>(
        &self,
        buffer: &'b mut Vec<u8>,
        cap: usize,
    ) -> Result<Records<'b>, BatchError>
    where
        'a: 'b,
    {
        match self.compression()? {
            Compression::None => Records::new(&self.header, self.stored_records().into()),
            compression => {
                buffer.clear();
                codec::decompress(compression, self.stored_records(), cap, buffer)?;
                Records::new(&self.header, buffer.as_slice().into())
            }
        }
    }

    /// The header of this batch with some fields changed; write it with
    /// [`Self::stored_records`] after it. The CRC is computed anew only when a field that it
    /// covers changes, so that the usual append does not read the records again.
    pub fn patched_header(&self, patch: &HeaderPatch) -> [u8; HEADER_LEN] {
        let mut header = *self.header.as_bytes();
        header[0..8].copy_from_slice(&patch.base_offset.to_be_bytes());
        header[12..16].copy_from_slice(&patch.leader_epoch.to_be_bytes());
        if let Some((kind, max_timestamp)) = patch.max_timestamp
            && (kind, max_timestamp) != (self.timestamp_type(), self.max_timestamp())
        {
            let attributes = self.attributes().with_timestamp_type(kind);
            header[21..23].copy_from_slice(&attributes.0.to_be_bytes());
            header[35..43].copy_from_slice(&max_timestamp.to_be_bytes());
            let crc = crc32c::crc32c(&header[CRC_START..]);
            let crc = crc32c::crc32c_append(crc, self.stored_records());
            header[17..21].copy_from_slice(&crc.to_be_bytes());
        }
        header
    }
}

/// What an append changes in the header of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderPatch {
    pub base_offset: i64,
    pub leader_epoch: i32,
    /// The kind of the timestamps and the greatest of them. `None` leaves both; so does what the
    /// batch says already. With [`TimestampType::LogAppend`], the time of the append.
    pub max_timestamp: Option<(TimestampType, i64)>,
}

/// Iterates over the whole batches at the front of `bytes`. A cut-off batch at the end is not an
/// error, for a fetch may end in one: see [`Batches::rest`].
pub fn batches(bytes: &[u8]) -> Batches<'_> {
    Batches {
        rest: bytes,
        failed: false,
    }
}

#[derive(Debug, Clone)]
pub struct Batches<'a> {
    rest: &'a [u8],
    failed: bool,
}

impl<'a> Batches<'a> {
    /// The bytes not yet given: after the end, the cut-off batch if there is one.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<BatchView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        match BatchView::first(self.rest) {
            Ok(Some(batch)) => {
                self.rest = self.rest.get(batch.size()..).unwrap_or_default();
                Some(Ok(batch))
            }
            Ok(None) => None,
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}
