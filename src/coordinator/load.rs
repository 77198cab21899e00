//! Loading: a partition's batches replayed from the first to the last.
use bytes::Bytes;
use tracing::warn;

use super::runtime::{LoadError, PartitionLog};
use super::shard::Shard;
use crate::protocol::records::control::ControlRecordTypeSchema;
use crate::protocol::records::decode_value;
use crate::record::{self, BatchView, StoredBatch};

/// Control record types that end a transaction.
const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// Replays everything below the high watermark; where it ended.
pub fn replay_all<S: Shard, L: PartitionLog>(
    log: &L,
    partition: i32,
    shard: &mut S,
) -> Result<i64, LoadError> {
    let mut offset = log.log_start_offset(partition);
    loop {
        let bytes = log
            .read(partition, offset)
            .map_err(|error| LoadError::Read {
                partition,
                offset,
                error,
            })?;
        let next = replay_batches(&bytes, partition, offset, shard)?;
        if bytes.is_empty() {
            return Ok(offset);
        }
        if next == offset {
            return Err(LoadError::corrupt(
                partition,
                offset,
                "no whole batch could be read",
            ));
        }
        offset = next;
    }
}

/// Replays whole batches from `offset` on; the offset behind the last of them.
fn replay_batches<S: Shard>(
    bytes: &[u8],
    partition: i32,
    mut offset: i64,
    shard: &mut S,
) -> Result<i64, LoadError> {
    for batch in record::stored_batches(bytes) {
        let batch = batch.map_err(|error| LoadError::corrupt(partition, offset, error))?;
        let next_offset = batch.header().next_offset();
        if next_offset <= offset {
            continue;
        }
        match batch.v2().filter(|batch| batch.is_control()) {
            Some(control) => replay_marker(control, partition, shard)?,
            None => replay_records(&batch, partition, offset, shard)?,
        }
        offset = next_offset;
    }
    Ok(offset)
}

fn replay_records<S: Shard>(
    batch: &StoredBatch,
    partition: i32,
    from: i64,
    shard: &mut S,
) -> Result<(), LoadError> {
    let corrupt = |error| LoadError::corrupt(partition, from, error);
    let transactional = batch.v2().filter(|batch| batch.is_transactional());
    let producer_id = transactional.map(|batch| batch.producer_id());
    let records = batch.records().map_err(corrupt)?;
    for record in records.iter() {
        let record = record.map_err(corrupt)?;
        let Some(key) = record.key.filter(|_| record.offset >= from) else {
            continue;
        };
        let (key, value) = (
            Bytes::copy_from_slice(key),
            record.value.map(Bytes::copy_from_slice),
        );
        match S::decode(key, value) {
            Ok(Some(decoded)) => shard.replay(record.offset, producer_id, decoded),
            Ok(None) => warn!(
                "a record of an unknown kind in coordinator partition {partition} at offset {} \
                 is kept and ignored",
                record.offset
            ),
            Err(error) => return Err(LoadError::corrupt(partition, record.offset, error)),
        }
    }
    Ok(())
}

fn replay_marker<S: Shard>(
    batch: &BatchView,
    partition: i32,
    shard: &mut S,
) -> Result<(), LoadError> {
    let corrupt = |error| LoadError::corrupt(partition, batch.base_offset(), error);
    let records = batch.records().map_err(corrupt)?;
    for record in records.iter() {
        let record = record.map_err(corrupt)?;
        let key = Bytes::copy_from_slice(record.key.unwrap_or_default());
        let key: ControlRecordTypeSchema = decode_value(key)
            .map_err(|error| LoadError::corrupt(partition, record.offset, error))?;
        match key.r#type {
            COMMIT => shard.replay_end_transaction(batch.producer_id(), true),
            ABORT => shard.replay_end_transaction(batch.producer_id(), false),
            _ => {}
        }
    }
    Ok(())
}

impl LoadError {
    fn corrupt(partition: i32, offset: i64, reason: impl ToString) -> LoadError {
        LoadError::Corrupt {
            partition,
            offset,
            reason: reason.to_string(),
        }
    }
}
