//! The record batch format: borrowed views over batches, validation, a builder, codecs,
//! control records, and the message sets of Kafka before 0.11.
//!
//! Everything here is pure and synchronous: bytes in, bytes or facts out. No clock, no files, no
//! network. Bytes come from clients and disks, so nothing may panic on them and no length is
//! trusted before memory is taken for it.
//!
//! ```text
//! record batch v2 (KIP-98), integers big-endian
//!  0 baseOffset i64             8 batchLength i32 (bytes after it)   12 partitionLeaderEpoch i32
//! 16 magic i8 = 2              17 crc u32 (CRC-32C of 21..end)       21 attributes i16
//! 23 lastOffsetDelta i32       27 baseTimestamp i64                  35 maxTimestamp i64
//! 43 producerId i64            51 producerEpoch i16                  53 baseSequence i32
//! 57 recordCount i32           61 records, compressed as a whole
//! ```
mod attributes;
mod batch;
mod builder;
pub mod codec;
pub mod control;
mod error;
pub mod legacy;
mod recompress;
mod records;
mod stored;
mod validate;
mod varint;

pub use attributes::{Attributes, Compression, TimestampType};
pub use batch::{BatchHeader, BatchView, Batches, HeaderPatch, batches};
pub use builder::{BatchBuilder, BatchMeta, empty_batch, record_size_bound, seal_batch};
pub use error::BatchError;
pub use recompress::{recompress, renumber};
pub use records::{Header, Headers, RecordIter, RecordView, Records};
pub use stored::{
    Checksum, StoredBatch, StoredBatches, StoredHeader, StoredRecordIter, StoredRecords,
    stored_batches,
};
pub use validate::{
    AppendRules, InvalidBatch, RecordFacts, RejectReason, RejectedRecord, validate_for_append,
};

/// Bytes before the first record of a v2 batch.
pub const HEADER_LEN: usize = 61;
/// Base offset and batch length: what must be read to know how long a batch is.
pub const LOG_OVERHEAD: usize = 12;
/// The bytes up to and including the magic, in every version of the format.
pub const MAGIC_END: usize = 17;
pub const NO_PRODUCER_ID: i64 = -1;
pub const NO_PRODUCER_EPOCH: i16 = -1;
pub const NO_SEQUENCE: i32 = -1;
pub const NO_TIMESTAMP: i64 = -1;
pub const NO_LEADER_EPOCH: i32 = -1;
/// No batch may hold more bytes of records, compressed or not: the format could not express it
/// uncompressed.
pub const DECOMPRESSED_MAX: usize = i32::MAX as usize;

#[cfg(test)]
mod fixture_tests;
#[cfg(test)]
mod tests;
