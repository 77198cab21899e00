//! What can be wrong with the bytes of a batch.
use super::Compression;

/// Bytes that are not a legal batch. [`BatchError::is_corruption`] tells damage on the way or on
/// disk from a batch that its producer built wrongly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("record size {size} is less than the minimum record overhead ({min})")]
    SizeBelowMinimum { size: i64, min: usize },
    #[error("Invalid magic found in record: {0}")]
    InvalidMagic(i8),
    /// A message set of Kafka before 0.11: only [`super::legacy`] reads those.
    #[error("message format v{0} is not supported here: it was replaced in Kafka 0.11")]
    OldMagic(i8),
    #[error("record is corrupt (stored crc = {stored}, computed crc = {computed})")]
    CrcMismatch { stored: u32, computed: u32 },
    #[error("unknown compression type id: {0}")]
    UnknownCompression(u8),
    #[error("found invalid record count {0} in magic v2 batch")]
    InvalidRecordCount(i32),
    #[error("{0}")]
    InvalidRecord(String),
    #[error("incorrect declared batch size, premature end of the records reached")]
    RecordsTruncated,
    #[error("incorrect declared batch size, records still remaining after record {0}")]
    RecordsRemaining(i32),
    #[error("{compression} records cannot be decompressed: {reason}")]
    Decompress {
        compression: Compression,
        reason: String,
    },
    #[error("{compression} records cannot be compressed: {reason}")]
    Compress {
        compression: Compression,
        reason: String,
    },
    #[error("records take more than {cap} bytes when decompressed")]
    DecompressedTooLarge { cap: usize },
    #[error("record of {0} bytes is larger than the format allows")]
    RecordTooLarge(usize),
}

impl BatchError {
    /// Whether Kafka answers CORRUPT_MESSAGE for it; all others are INVALID_RECORD.
    pub fn is_corruption(&self) -> bool {
        matches!(
            self,
            Self::SizeBelowMinimum { .. } | Self::InvalidMagic(_) | Self::CrcMismatch { .. }
        )
    }

    pub(super) fn invalid(what: impl Into<String>) -> Self {
        Self::InvalidRecord(what.into())
    }
}
