//! What the log refuses, in Kafka's error codes: the one place where they are mapped.

use tracing::{error, warn};

use super::api::produce::Failure;
use super::partition::Partition;
use crate::log::{AppendError, LogError, ReadError};
use crate::protocol::ErrorCode;

/// Why a produce request's batch was not appended, as its client is told.
pub fn append_error(partition: &Partition, refused: AppendError) -> Failure {
    let mut failure = Failure::from(append_error_code(&refused));
    match refused {
        // Of a full directory the log tells once.
        AppendError::DiskFull {
            source: LogError::Full(_),
            ..
        } => {}
        AppendError::DiskFull { .. } | AppendError::Storage(_) => {
            warn!(
                "cannot append to {}-{}: {refused}",
                partition.topic, partition.index
            );
        }
        AppendError::InvalidRecords { message, records }
        | AppendError::InvalidTimestamp { message, records } => {
            failure.message = Some(message);
            failure.records = records;
            failure.log_start_offset = partition.log.log_start_offset();
        }
        AppendError::InvalidRecord(message) => {
            failure.message = Some(message);
            failure.log_start_offset = partition.log.log_start_offset();
        }
        AppendError::OutOfOrderSequence(_) | AppendError::InvalidProducerEpoch(_) => {
            failure.log_start_offset = partition.log.log_start_offset();
        }
        _ => {}
    }
    failure
}

/// The error code of a refused append.
pub fn append_error_code(refused: &AppendError) -> ErrorCode {
    match refused {
        AppendError::CorruptRecord(_) => ErrorCode::CorruptMessage,
        AppendError::InvalidRecord(_) | AppendError::InvalidRecords { .. } => {
            ErrorCode::InvalidRecord
        }
        AppendError::InvalidTimestamp { .. } => ErrorCode::InvalidTimestamp,
        AppendError::UnsupportedFormat(_) => ErrorCode::UnsupportedForMessageFormat,
        AppendError::UnsupportedCompression(_) => ErrorCode::UnsupportedCompressionType,
        AppendError::RecordTooLarge { .. } => ErrorCode::MessageTooLarge,
        AppendError::RecordBatchTooLarge { .. } => ErrorCode::RecordListTooLarge,
        AppendError::OutOfOrderSequence(_) => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::InvalidProducerEpoch(_) => ErrorCode::InvalidProducerEpoch,
        AppendError::InvalidTxnState(_) => ErrorCode::InvalidTxnState,
        AppendError::CoordinatorFenced(_) => ErrorCode::TransactionCoordinatorFenced,
        AppendError::OffsetsOutOfOrder { .. } => ErrorCode::UnknownServerError,
        AppendError::DiskFull { .. } => ErrorCode::KafkaStorageError,
        AppendError::Storage(e) => storage_error_code(e),
    }
}

/// Why nothing was read.
pub fn read_error(partition: &Partition, refused: ReadError) -> ErrorCode {
    match &refused {
        ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        // Where it is damaged the log has said, once.
        ReadError::Corrupt { .. } => ErrorCode::CorruptMessage,
        ReadError::Storage(e) => {
            error!("cannot read {}-{}: {e}", partition.topic, partition.index);
            storage_error_code(e)
        }
    }
}

fn storage_error_code(error: &LogError) -> ErrorCode {
    match error {
        // Deleted while the request was on its way.
        LogError::Closed(_) => ErrorCode::NotLeaderOrFollower,
        LogError::Io { .. }
        | LogError::Malformed { .. }
        | LogError::Offline(_)
        | LogError::Unsynced { .. }
        | LogError::Full(_)
        | LogError::Locked { .. }
        | LogError::Exists(_)
        | LogError::Duplicate { .. } => ErrorCode::KafkaStorageError,
    }
}
