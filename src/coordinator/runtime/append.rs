//! What a shard decides, written and replayed.
use bytes::Bytes;
use tracing::error;

use super::{Appended, BatchKind, Batching, PartitionLog, Runtime, SlotState, Stage};
use crate::coordinator::shard::{
    EncodedRecord, Now, Shard, TransactionEnd, Transactional, append_error_to_client,
};
use crate::protocol::ErrorCode;
use crate::record::control::{TransactionMarker, transaction_marker};
use crate::record::{BatchBuilder, BatchError, BatchMeta};

/// Records that need not be atomic go out in batches of about this size.
const BATCH_BYTES_MAX: usize = 512 * 1024;

impl<S: Shard, L: PartitionLog> Runtime<S, L> {
    /// Appends and replays. The error is the client's.
    pub(super) fn append(
        &self,
        partition: i32,
        state: &mut SlotState<S>,
        now: Now,
        records: Vec<S::Record>,
        batching: Batching,
    ) -> Result<(), ErrorCode> {
        let transaction = batching.transaction;
        let kind = match transaction {
            None => BatchKind::Plain,
            Some(Transactional { verification, .. }) => BatchKind::Transactional { verification },
        };
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let mut encoded = Vec::new();
            let mut batch = Vec::new();
            let mut size = 0;
            while let Some(record) = records.next_if(|_| batching.atomic || size < BATCH_BYTES_MAX)
            {
                let pair = S::encode(&record).map_err(|error| {
                    error!(
                        "a coordinator record of partition {partition} cannot be written: {error}"
                    );
                    ErrorCode::UnknownServerError
                })?;
                size += pair.0.len() + pair.1.as_ref().map_or(0, Bytes::len);
                encoded.push(pair);
                batch.push(record);
            }
            let bytes = self
                .encode_batch(&encoded, transaction, now)
                .map_err(|error| {
                    error!(
                        "a coordinator batch of partition {partition} cannot be written: {error}"
                    );
                    ErrorCode::UnknownServerError
                })?;
            let appended = self.write(partition, bytes, kind, now)?;
            state.end_offset = appended.last_offset + 1;
            let producer_id = transaction.map(|transaction| transaction.producer_id);
            if let Stage::Active(shard) = &mut state.stage {
                for (offset, record) in (appended.base_offset..).zip(batch) {
                    shard.replay(offset, producer_id, record);
                }
            }
        }
        Ok(())
    }

    /// Appends the end of a transaction and replays it.
    pub(super) fn append_marker(
        &self,
        partition: i32,
        state: &mut SlotState<S>,
        now: Now,
        end: TransactionEnd,
    ) -> Result<(), ErrorCode> {
        let marker = TransactionMarker {
            commit: end.committed,
            coordinator_epoch: end.coordinator_epoch,
        };
        let (producer_id, epoch) = (end.producer_id, end.producer_epoch);
        let batch =
            transaction_marker(marker, producer_id, epoch, now.wall_ms).map_err(|error| {
                error!("a marker for coordinator partition {partition} cannot be written: {error}");
                ErrorCode::UnknownServerError
            })?;
        let kind = BatchKind::Marker {
            transaction_version: end.transaction_version,
        };
        let appended = self.write(partition, batch, kind, now)?;
        state.end_offset = appended.last_offset + 1;
        if let Stage::Active(shard) = &mut state.stage {
            shard.replay_end_transaction(producer_id, end.committed);
        }
        Ok(())
    }

    fn write(
        &self,
        partition: i32,
        batch: Bytes,
        kind: BatchKind,
        now: Now,
    ) -> Result<Appended, ErrorCode> {
        let appended = self.log.append(partition, batch, kind, now.wall_ms);
        appended.map_err(|error| {
            // A producer's mistake is no trouble of the log.
            if kind == BatchKind::Plain {
                error!(
                    "coordinator partition {partition} cannot be appended to: {}",
                    error.name()
                );
            }
            append_error_to_client(error)
        })
    }

    fn encode_batch(
        &self,
        records: &[EncodedRecord],
        transaction: Option<Transactional>,
        now: Now,
    ) -> Result<Bytes, BatchError> {
        let mut builder = BatchBuilder::new();
        for (key, value) in records {
            builder.append(now.wall_ms, Some(key), value.as_deref(), &[])?;
        }
        let mut meta = BatchMeta {
            compression: self.config.compression,
            ..BatchMeta::default()
        };
        if let Some(transaction) = transaction {
            meta.producer_id = transaction.producer_id;
            meta.producer_epoch = transaction.producer_epoch;
            meta.transactional = true;
        }
        builder.finish(&meta)
    }
}
