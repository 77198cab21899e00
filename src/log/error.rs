//! What can go wrong in the log, by what the caller can do about it.
use std::io;
use std::path::{Path, PathBuf};

use super::names::TopicPartition;

/// A log, or a log directory, cannot be opened or kept up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// A file that replaces others is not what it should be; `reason` says how to mend it.
    #[error("{path}: {reason}")]
    Malformed { path: PathBuf, reason: String },
    #[error(
        "log directory {path} is in use by another process (its .lock is held); stop that process \
         or use another log.dirs"
    )]
    Locked { path: PathBuf },
    #[error("{0} is hosted already")]
    Exists(TopicPartition),
    #[error("{tp} is in both {first} and {second}; remove one of them")]
    Duplicate {
        tp: TopicPartition,
        first: PathBuf,
        second: PathBuf,
    },
    /// After a failed fsync nobody knows what the device has.
    #[error("the log of {0} is offline after a failed flush; restart the broker to recover it")]
    Offline(TopicPartition),
    #[error("{path}: forcing it to the device failed: {source}")]
    Unsynced { path: PathBuf, source: io::Error },
    /// Appends wait for room; whoever gives up waiting hears of it.
    #[error("the log directory of {0} is full")]
    Full(TopicPartition),
    #[error("the log of {0} is closed")]
    Closed(TopicPartition),
}

impl LogError {
    pub fn malformed(path: &Path, reason: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// Whether the cause is a disk without room.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_disk_full(source),
            Self::Full(_) => true,
            _ => false,
        }
    }
}

/// Gives an I/O error the path it happened on.
pub trait At<T> {
    fn at(self, path: &Path) -> Result<T, LogError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, LogError> {
        self.map_err(|source| LogError::Io {
            path: path.to_owned(),
            source,
        })
    }
}

pub(crate) fn is_disk_full(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Why records were not appended. Nothing of them is in the log then.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// CORRUPT_MESSAGE
    #[error("{0}")]
    CorruptRecord(String),
    /// INVALID_RECORD
    #[error("{0}")]
    InvalidRecord(String),
    /// INVALID_RECORD, with the records at fault: (index in the batch, what is wrong)
    #[error("{message}")]
    InvalidRecords {
        message: String,
        records: Vec<(i32, String)>,
    },
    /// INVALID_TIMESTAMP, with the records at fault: (index in the batch, what is wrong)
    #[error("{message}")]
    InvalidTimestamp {
        message: String,
        records: Vec<(i32, String)>,
    },
    /// UNSUPPORTED_FOR_MESSAGE_FORMAT
    #[error("{0}")]
    UnsupportedFormat(String),
    /// UNSUPPORTED_COMPRESSION_TYPE
    #[error("{0}")]
    UnsupportedCompression(String),
    /// MESSAGE_TOO_LARGE
    #[error(
        "The record batch size in the append to {tp} is {size} bytes which exceeds the maximum \
         configured value of {max}."
    )]
    RecordTooLarge {
        tp: TopicPartition,
        size: usize,
        max: usize,
    },
    /// RECORD_LIST_TOO_LARGE
    #[error(
        "Message batch size is {size} bytes in append to partition {tp}, which exceeds the maximum \
         configured segment size of {max}."
    )]
    RecordBatchTooLarge {
        tp: TopicPartition,
        size: usize,
        max: usize,
    },
    /// OUT_OF_ORDER_SEQUENCE_NUMBER
    #[error("{0}")]
    OutOfOrderSequence(String),
    /// INVALID_PRODUCER_EPOCH
    #[error("{0}")]
    InvalidProducerEpoch(String),
    /// INVALID_TXN_STATE
    #[error("{0}")]
    InvalidTxnState(String),
    /// TRANSACTION_COORDINATOR_FENCED
    #[error("{0}")]
    CoordinatorFenced(String),
    /// Offsets from a leader must not go back.
    #[error("offsets from the leader go back: {first_offset} after {log_end_offset} in {tp}")]
    OffsetsOutOfOrder {
        tp: TopicPartition,
        first_offset: i64,
        log_end_offset: i64,
    },
    /// KAFKA_STORAGE_ERROR: no room on the disk. Appends work again once there is.
    #[error("no room on the disk for {tp}: {source}")]
    DiskFull {
        tp: TopicPartition,
        source: LogError,
    },
    /// KAFKA_STORAGE_ERROR
    #[error("{0}")]
    Storage(#[from] LogError),
}

/// Why nothing can be read at an offset.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// OFFSET_OUT_OF_RANGE
    #[error(
        "Received request for offset {offset} for partition {tp}, but we only have log segments \
         upto: {log_end_offset}, and the log start offset is {log_start_offset}"
    )]
    OffsetOutOfRange {
        tp: TopicPartition,
        offset: i64,
        log_start_offset: i64,
        log_end_offset: i64,
    },
    /// CORRUPT_MESSAGE: the batch at `position` of `path` makes no sense.
    #[error("{path} holds no batch at position {position}", path = path.display())]
    Corrupt { path: PathBuf, position: u64 },
    /// KAFKA_STORAGE_ERROR
    #[error("{0}")]
    Storage(#[from] LogError),
}
