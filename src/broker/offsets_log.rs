//! The partitions of `__consumer_offsets`, as the group coordinator appends to and reads them.

use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;

use super::auto_create::OFFSETS_TOPIC;
use super::errors::append_error_code;
use super::node::Broker;
use super::partition::Partition;
use crate::coordinator::{Appended, PartitionLog};
use crate::log::{AppendOrigin, ReadLimit};
use crate::protocol::ErrorCode;

/// How much is read at once while a partition loads; a batch is read whole, however large.
const LOAD_BYTES: usize = 5 * 1024 * 1024;

/// Reaches the broker that holds it, once there is one.
#[derive(Debug, Clone, Default)]
pub struct OffsetsLog {
    broker: Arc<OnceLock<Weak<Broker>>>,
}

impl OffsetsLog {
    pub fn attach(&self, broker: &Arc<Broker>) {
        // Attached once, at start.
        let _ = self.broker.set(Arc::downgrade(broker));
    }

    fn partition(&self, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        let broker = self.broker.get().and_then(Weak::upgrade);
        let partition = broker.and_then(|broker| broker.topics.partition(OFFSETS_TOPIC, index));
        partition.ok_or(ErrorCode::NotLeaderOrFollower)
    }
}

impl PartitionLog for OffsetsLog {
    fn append(&self, partition: i32, batch: Bytes, now_ms: i64) -> Result<Appended, ErrorCode> {
        let partition = self.partition(partition)?;
        let leadership = partition.lead(-1)?;
        let epoch = leadership.leader_epoch;
        let appended = partition
            .log
            .append_as_leader(batch, AppendOrigin::Coordinator, epoch, now_ms)
            .map_err(|e| {
                tracing::warn!("cannot append to {OFFSETS_TOPIC}-{}: {e}", partition.index);
                append_error_code(&e)
            })?;
        partition
            .advance_high_watermark()
            .map_err(|_| ErrorCode::KafkaStorageError)?;
        Ok(Appended {
            base_offset: appended.first_offset,
            last_offset: appended.last_offset,
        })
    }

    fn high_watermark(&self, partition: i32) -> i64 {
        self.partition(partition)
            .map_or(0, |partition| partition.log.high_watermark())
    }

    fn log_start_offset(&self, partition: i32) -> i64 {
        self.partition(partition)
            .map_or(0, |partition| partition.log.log_start_offset())
    }

    fn read(&self, partition: i32, offset: i64) -> Result<Bytes, ErrorCode> {
        let partition = self.partition(partition)?;
        let failed = |e: &dyn std::fmt::Display| {
            tracing::error!("cannot read {OFFSETS_TOPIC}-{}: {e}", partition.index);
            ErrorCode::KafkaStorageError
        };
        let read = partition
            .log
            .read(offset, LOAD_BYTES, ReadLimit::HighWatermark, true);
        match read.map_err(|e| failed(&e))?.slice {
            Some(slice) => slice.to_vec().map(Bytes::from).map_err(|e| failed(&e)),
            None => Ok(Bytes::new()),
        }
    }
}
