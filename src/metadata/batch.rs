//! Metadata records in log batches, one record each: the key is null, the value their frame.
//! Between them are the control batches of KRaft.

use bytes::Bytes;

use super::record::{RecordError, VersionedRecord};
use crate::record::control::control_batch;
use crate::record::{BatchBuilder, BatchError, BatchMeta, BatchView, RecordView};

pub use crate::record::control::ControlRecord;

/// Why a batch of the metadata log, or of a snapshot, could not be read.
#[derive(Debug, thiserror::Error)]
pub enum MetadataBatchError {
    #[error("offset {offset}: {source}")]
    Batch { offset: i64, source: BatchError },
    #[error("offset {offset}: {source}")]
    Record { offset: i64, source: RecordError },
    #[error("cannot encode a metadata batch: {0}")]
    Encode(#[from] RecordError),
    #[error("cannot encode a metadata batch: {0}")]
    Build(#[from] BatchError),
}

/// What a batch holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    Control(Vec<ControlRecord>),
    Records(Vec<VersionedRecord>),
}

/// One batch of the metadata log, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataBatch {
    pub base_offset: i64,
    pub last_offset: i64,
    pub epoch: i32,
    pub timestamp_ms: i64,
    pub content: Content,
}

/// Decodes one batch after checking its CRC.
pub fn decode(batch: &BatchView<'_>) -> Result<MetadataBatch, MetadataBatchError> {
    let offset = batch.base_offset();
    let failed = |source| MetadataBatchError::Batch { offset, source };
    batch.check_crc().map_err(failed)?;
    let records = batch.records().map_err(failed)?;
    let records = records.iter().map(|record| record.map_err(failed));
    let content = if batch.is_control() {
        let controls = records.map(|record| ControlRecord::decode(&record?).map_err(failed));
        Content::Control(controls.collect::<Result<_, _>>()?)
    } else {
        let records = records.map(|record| decode_record(&record?));
        Content::Records(records.collect::<Result<_, _>>()?)
    };
    Ok(MetadataBatch {
        base_offset: offset,
        last_offset: batch.last_offset(),
        epoch: batch.leader_epoch(),
        timestamp_ms: batch.max_timestamp(),
        content,
    })
}

fn decode_record(record: &RecordView<'_>) -> Result<VersionedRecord, MetadataBatchError> {
    let offset = record.offset;
    let value = record.value.ok_or(RecordError::NoValue);
    value
        .and_then(|value| VersionedRecord::decode(Bytes::copy_from_slice(value)))
        .map_err(|source| MetadataBatchError::Record { offset, source })
}

/// One atomic batch of metadata records.
pub fn encode_records(
    records: &[VersionedRecord],
    base_offset: i64,
    leader_epoch: i32,
    now_ms: i64,
) -> Result<Bytes, MetadataBatchError> {
    let mut builder = BatchBuilder::new();
    for record in records {
        builder.append(now_ms, None, Some(&record.encode()?), &[])?;
    }
    Ok(builder.finish(&BatchMeta {
        base_offset,
        leader_epoch,
        ..BatchMeta::default()
    })?)
}

/// One batch of control records.
pub fn encode_control(
    records: &[ControlRecord],
    base_offset: i64,
    leader_epoch: i32,
    now_ms: i64,
) -> Result<Bytes, MetadataBatchError> {
    let meta = BatchMeta {
        base_offset,
        leader_epoch,
        ..BatchMeta::default()
    };
    Ok(control_batch(records, now_ms, &meta)?)
}
