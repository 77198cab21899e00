//! The partitions of a coordinator's topic, as the coordinator appends to and reads them.

use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;

use super::errors::append_error_code;
use super::node::Broker;
use super::partition::Partition;
use crate::coordinator::{Appended, BatchKind, PartitionLog};
use crate::log::{AppendOrigin, ReadLimit, Transactions, VerificationGuard};
use crate::protocol::ErrorCode;

/// How much is read at once while a partition loads; a batch is read whole, however large.
const LOAD_BYTES: usize = 5 * 1024 * 1024;

/// Reaches the broker that holds it, once there is one.
#[derive(Debug, Clone)]
pub struct CoordinatorLog {
    topic: &'static str,
    broker: Arc<OnceLock<Weak<Broker>>>,
}

impl CoordinatorLog {
    pub fn new(topic: &'static str) -> CoordinatorLog {
        CoordinatorLog {
            topic,
            broker: Arc::default(),
        }
    }

    pub fn attach(&self, broker: &Arc<Broker>) {
        // Attached once, at start.
        let _ = self.broker.set(Arc::downgrade(broker));
    }

    /// What is before `offset` is of no use any more.
    pub fn delete_before(&self, index: i32, offset: i64) {
        let Ok(partition) = self.partition(index) else {
            return;
        };
        let offset = offset.min(partition.log.high_watermark());
        if let Err(e) = partition.log.increment_log_start_offset(offset) {
            tracing::warn!("cannot prune {}-{index}: {e}", self.topic);
        }
    }

    fn partition(&self, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        let broker = self.broker.get().and_then(Weak::upgrade);
        let partition = broker.and_then(|broker| broker.topics.partition(self.topic, index));
        partition.ok_or(ErrorCode::NotLeaderOrFollower)
    }
}

impl PartitionLog for CoordinatorLog {
    fn append(
        &self,
        partition: i32,
        batch: Bytes,
        kind: BatchKind,
        now_ms: i64,
    ) -> Result<Appended, ErrorCode> {
        let partition = self.partition(partition)?;
        let transactions = match kind {
            BatchKind::Plain => Transactions::Unverified,
            BatchKind::Transactional { verification } => {
                Transactions::Verified(verification.map(VerificationGuard))
            }
            BatchKind::Marker {
                transaction_version,
            } => Transactions::Marker(transaction_version),
        };
        let appended = partition.append_as_coordinator(batch, transactions, now_ms)?;
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
            tracing::error!("cannot read {}-{}: {e}", self.topic, partition.index);
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

impl Partition {
    /// Appends a coordinator's batch: by all of the ISR, of which there must be enough.
    pub fn append_as_coordinator(
        self: &Arc<Self>,
        batch: Bytes,
        transactions: Transactions,
        now_ms: i64,
    ) -> Result<crate::log::LogAppendInfo, ErrorCode> {
        let leadership = self.lead(-1)?;
        if !self.has_enough_in_sync(leadership) {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        let (origin, epoch) = (AppendOrigin::Coordinator, leadership.leader_epoch);
        let appended = self
            .log
            .append_in_transaction(batch, origin, transactions, epoch, now_ms)
            .map_err(|e| {
                tracing::warn!("cannot append to {}-{}: {e}", self.topic, self.index);
                append_error_code(&e)
            })?;
        self.advance_high_watermark()
            .map_err(|_| ErrorCode::KafkaStorageError)?;
        Ok(appended)
    }
}
