//! A batch as a log stores it, in whichever format: v2, or a message set of before Kafka 0.11. What
//! walks over segments, or reads records wherever they come from, sees all formats through this.
use super::legacy::{self, LegacyBatch, LegacyHeader, LegacyRecordIter, LegacyRecords};
use super::{
    BatchError, BatchHeader, BatchView, NO_LEADER_EPOCH, RecordIter, RecordView, Records,
    TimestampType, batch,
};

/// The header of a batch of any format. The records need not be in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredHeader<'a> {
    V2(BatchHeader<'a>),
    Legacy(LegacyHeader),
}

impl<'a> StoredHeader<'a> {
    /// Reads the header at the front of `bytes`. `None`: more bytes are needed.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Option<Self>, BatchError> {
        match BatchHeader::parse(bytes) {
            Err(BatchError::OldMagic(_)) => Ok(LegacyHeader::parse(bytes)?.map(Self::Legacy)),
            other => Ok(other?.map(Self::V2)),
        }
    }

    /// The header if the format is v2: it alone has producers, epochs and control batches.
    #[inline]
    pub fn v2(&self) -> Option<&BatchHeader<'a>> {
        match self {
            Self::V2(header) => Some(header),
            Self::Legacy(_) => None,
        }
    }

    /// The bytes of the whole batch, with its header.
    #[inline]
    pub fn size(&self) -> usize {
        match self {
            Self::V2(header) => header.size(),
            Self::Legacy(header) => header.size(),
        }
    }

    pub fn magic(&self) -> i8 {
        match self {
            Self::V2(header) => header.magic(),
            Self::Legacy(header) => header.magic() as i8,
        }
    }

    /// The first offset; `None` where only decompressing tells it.
    #[inline]
    pub fn base_offset(&self) -> Option<i64> {
        match self {
            Self::V2(header) => Some(header.base_offset()),
            Self::Legacy(header) => header.base_offset(),
        }
    }

    #[inline]
    pub fn last_offset(&self) -> i64 {
        match self {
            Self::V2(header) => header.last_offset(),
            Self::Legacy(header) => header.last_offset(),
        }
    }

    #[inline]
    pub fn next_offset(&self) -> i64 {
        self.last_offset().wrapping_add(1)
    }

    /// The greatest timestamp; −1 where there are none, as in magic 0.
    #[inline]
    pub fn max_timestamp(&self) -> i64 {
        match self {
            Self::V2(header) => header.max_timestamp(),
            Self::Legacy(header) => header.max_timestamp(),
        }
    }

    /// `None` in magic 0, which has no timestamps.
    pub fn timestamp_type(&self) -> Option<TimestampType> {
        match self {
            Self::V2(header) => Some(header.timestamp_type()),
            Self::Legacy(header) => (header.magic() > 0).then(|| header.timestamp_type()),
        }
    }

    pub fn is_control(&self) -> bool {
        self.v2().is_some_and(BatchHeader::is_control)
    }

    /// −1 in the formats that have none.
    pub fn leader_epoch(&self) -> i32 {
        self.v2().map_or(NO_LEADER_EPOCH, BatchHeader::leader_epoch)
    }

    /// The stored CRC.
    pub fn crc(&self) -> u32 {
        match self {
            Self::V2(header) => header.crc(),
            Self::Legacy(header) => header.crc(),
        }
    }

    /// A sum to compare with [`Self::crc`], nothing added to it yet.
    pub fn checksum(&self) -> Checksum {
        match self {
            Self::V2(_) => Checksum::V2(0),
            Self::Legacy(_) => Checksum::Legacy(flate2::Crc::new()),
        }
    }
}

/// The CRC of a batch that is summed piece by piece: CRC-32C since v2, CRC-32 before.
#[derive(Debug)]
pub enum Checksum {
    V2(u32),
    Legacy(flate2::Crc),
}

impl Checksum {
    /// Where in a batch the bytes start that it covers; they go on to the end.
    pub fn covers_from(&self) -> usize {
        match self {
            Self::V2(_) => batch::CRC_START,
            Self::Legacy(_) => legacy::CRC_START,
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::V2(crc) => *crc = crc32c::crc32c_append(*crc, bytes),
            Self::Legacy(crc) => crc.update(bytes),
        }
    }

    pub fn sum(&self) -> u32 {
        match self {
            Self::V2(crc) => *crc,
            Self::Legacy(crc) => crc.sum(),
        }
    }
}

/// One whole batch in memory. Its bounds are checked; its CRC and its records are not, until asked
/// for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredBatch<'a> {
    V2(BatchView<'a>),
    Legacy(LegacyBatch<'a>),
}

impl<'a> StoredBatch<'a> {
    /// The batch at the front of `bytes`, which may go on after it. `None`: more bytes are needed.
    #[inline]
    pub fn first(bytes: &'a [u8]) -> Result<Option<Self>, BatchError> {
        match BatchView::first(bytes) {
            Err(BatchError::OldMagic(_)) => Ok(LegacyBatch::first(bytes)?.map(Self::Legacy)),
            other => Ok(other?.map(Self::V2)),
        }
    }

    pub fn header(&self) -> StoredHeader<'a> {
        match self {
            Self::V2(batch) => StoredHeader::V2(**batch),
            Self::Legacy(batch) => StoredHeader::Legacy(**batch),
        }
    }

    /// The batch if the format is v2.
    pub fn v2(&self) -> Option<&BatchView<'a>> {
        match self {
            Self::V2(batch) => Some(batch),
            Self::Legacy(_) => None,
        }
    }

    /// The bytes of the batch alone.
    pub fn bytes(&self) -> &'a [u8] {
        match self {
            Self::V2(batch) => batch.bytes(),
            Self::Legacy(batch) => batch.bytes(),
        }
    }

    pub fn check_crc(&self) -> Result<(), BatchError> {
        match self {
            Self::V2(batch) => batch.check_crc(),
            Self::Legacy(batch) => batch.check_crc(),
        }
    }

    /// The records, decompressed where needed into memory of their own.
    pub fn records(&self) -> Result<StoredRecords<'a>, BatchError> {
        Ok(match self {
            Self::V2(batch) => StoredRecords::V2(batch.records()?),
            Self::Legacy(batch) => StoredRecords::Legacy(batch.records()?),
        })
    }

    /// As [`Self::records`], with a buffer that the caller keeps from batch to batch, and at most
    /// `cap` bytes in it plus one piece of the codec.
    pub fn records_with<'b>(
        &self,
        buffer: &'b mut Vec<u8>,
        cap: usize,
    ) -> Result<StoredRecords<'b>, BatchError>
    where
        'a: 'b,
    {
        Ok(match self {
            Self::V2(batch) => StoredRecords::V2(batch.records_with(buffer, cap)?),
            Self::Legacy(batch) => StoredRecords::Legacy(batch.records_with(buffer, cap)?),
        })
    }
}

/// The uncompressed records of one batch.
#[derive(Debug, Clone)]
pub enum StoredRecords<'a> {
    V2(Records<'a>),
    Legacy(LegacyRecords<'a>),
}

impl StoredRecords<'_> {
    /// The records in their stored order. After an error it ends.
    pub fn iter(&self) -> StoredRecordIter<'_> {
        match self {
            Self::V2(records) => StoredRecordIter::V2(records.iter()),
            Self::Legacy(records) => StoredRecordIter::Legacy(records.iter()),
        }
    }
}

impl<'a> IntoIterator for &'a StoredRecords<'_> {
    type Item = Result<RecordView<'a>, BatchError>;
    type IntoIter = StoredRecordIter<'a>;

    fn into_iter(self) -> StoredRecordIter<'a> {
        self.iter()
    }
}

#[derive(Debug, Clone)]
pub enum StoredRecordIter<'a> {
    V2(RecordIter<'a>),
    Legacy(LegacyRecordIter<'a>),
}

impl<'a> Iterator for StoredRecordIter<'a> {
    type Item = Result<RecordView<'a>, BatchError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::V2(records) => records.next(),
            Self::Legacy(records) => records.next(),
        }
    }
}

/// Iterates over the whole batches at the front of `bytes`, of any format. A cut-off batch at the
/// end is not an error.
pub fn stored_batches(bytes: &[u8]) -> StoredBatches<'_> {
    StoredBatches { rest: bytes }
}

#[derive(Debug, Clone)]
pub struct StoredBatches<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for StoredBatches<'a> {
    type Item = Result<StoredBatch<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        match StoredBatch::first(self.rest) {
            Ok(Some(batch)) => {
                self.rest = self.rest.get(batch.bytes().len()..).unwrap_or_default();
                Some(Ok(batch))
            }
            Ok(None) => None,
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::legacy::build::{Message, MessageFormat};
    use super::super::{BatchBuilder, BatchMeta, Compression, TimestampType};
    use super::*;

    fn set() -> Vec<u8> {
        let mut out = Vec::new();
        for magic in [0, 1] {
            let format = MessageFormat {
                magic,
                compression: Compression::None,
                timestamp_type: TimestampType::Create,
                append_time: -1,
            };
            let message = Message {
                offset: i64::from(magic),
                timestamp: 10,
                key: None,
                value: Some(b"old"),
            };
            format.write([message], &mut out).unwrap();
        }
        let mut builder = BatchBuilder::new();
        builder.append(20, None, Some(b"new"), &[]).unwrap();
        builder.append(21, None, Some(b"new"), &[]).unwrap();
        let meta = BatchMeta {
            base_offset: 2,
            leader_epoch: 5,
            ..BatchMeta::default()
        };
        out.extend_from_slice(&builder.finish(&meta).unwrap());
        out
    }

    #[test]
    fn formats_follow_each_other() {
        let bytes = set();
        let mut headers = Vec::new();
        let mut offsets = Vec::new();
        for batch in stored_batches(&bytes) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            let header = batch.header();
            assert_eq!(StoredHeader::parse(batch.bytes()), Ok(Some(header)));
            assert_eq!(header.size(), batch.bytes().len());
            let mut sum = header.checksum();
            let covered = &batch.bytes()[sum.covers_from()..];
            covered.chunks(7).for_each(|piece| sum.update(piece));
            assert_eq!(sum.sum(), header.crc());
            headers.push((
                header.magic(),
                header.leader_epoch(),
                header.max_timestamp(),
            ));
            let records = batch.records().unwrap();
            offsets.extend(records.iter().map(|record| record.unwrap().offset));
            let mut buffer = Vec::new();
            let again = batch.records_with(&mut buffer, 100).unwrap();
            assert_eq!(again.iter().count(), records.iter().count());
        }
        assert_eq!(headers, [(0, -1, -1), (1, -1, 10), (2, 5, 21)]);
        assert_eq!(offsets, [0, 1, 2, 3]);
    }

    #[test]
    fn a_cut_end_is_no_error_and_damage_ends_it() {
        let bytes = set();
        let whole = stored_batches(&bytes[..bytes.len() - 1]).count();
        assert_eq!(whole, 2);
        let mut bad = bytes.clone();
        bad[16] = 9;
        let seen: Vec<_> = stored_batches(&bad).collect();
        assert_eq!(seen, [Err(BatchError::InvalidMagic(9))]);
    }
}
