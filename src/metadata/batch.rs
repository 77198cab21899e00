//! Metadata records in log batches, and the control records of KRaft.
//!
//! ```text
//! data batch      attributes 0, one record per metadata record: key null, value = its frame
//! control batch   attributes 0x20, key = version i16 0, type i16; value by type:
//!                 2 LeaderChange, 3 SnapshotHeader, 4 SnapshotFooter, 5 KRaftVersion, 6 Voters
//! ```

use bytes::Bytes;

use super::record::{RecordError, VersionedRecord};
use crate::protocol::Message;
use crate::protocol::records::raft::{
    KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord,
    VotersRecord,
};
use crate::protocol::wire::{Reader, Writer};
use crate::record::{BatchBuilder, BatchError, BatchMeta, BatchView, RecordView};

/// Why a batch of the metadata log, or of a snapshot, could not be read.
#[derive(Debug, thiserror::Error)]
pub enum MetadataBatchError {
    #[error("offset {offset}: {source}")]
    Batch { offset: i64, source: BatchError },
    #[error("offset {offset}: {source}")]
    Record { offset: i64, source: RecordError },
    #[error("offset {offset}: control record with a malformed key")]
    ControlKey { offset: i64 },
    #[error("cannot encode a metadata batch: {0}")]
    Encode(#[from] RecordError),
    #[error("cannot encode a metadata batch: {0}")]
    Build(#[from] BatchError),
}

/// A control record of the metadata log or of a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub enum ControlRecord {
    LeaderChange(LeaderChangeMessage),
    SnapshotHeader(SnapshotHeaderRecord),
    SnapshotFooter(SnapshotFooterRecord),
    KRaftVersion(KRaftVersionRecord),
    Voters(VotersRecord),
    /// A type that this version does not know; skipped, as Kafka does.
    Other(i16),
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
        let controls = records.map(|record| decode_control(&record?));
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

fn decode_control(record: &RecordView<'_>) -> Result<ControlRecord, MetadataBatchError> {
    let offset = record.offset;
    let Some(&[_, _, high, low]) = record.key else {
        return Err(MetadataBatchError::ControlKey { offset });
    };
    let value = Bytes::copy_from_slice(record.value.unwrap_or_default());
    // Every control record begins with the version it is written in.
    let version = match value.as_ref() {
        [high, low, ..] => i16::from_be_bytes([*high, *low]),
        _ => 0,
    };
    let mut reader = Reader::new(value);
    let decoded = match i16::from_be_bytes([high, low]) {
        2 => LeaderChangeMessage::decode(&mut reader, version.min(1))
            .map(ControlRecord::LeaderChange),
        3 => SnapshotHeaderRecord::decode(&mut reader, 0).map(ControlRecord::SnapshotHeader),
        4 => SnapshotFooterRecord::decode(&mut reader, 0).map(ControlRecord::SnapshotFooter),
        5 => KRaftVersionRecord::decode(&mut reader, 0).map(ControlRecord::KRaftVersion),
        6 => VotersRecord::decode(&mut reader, 0).map(ControlRecord::Voters),
        other => Ok(ControlRecord::Other(other)),
    };
    decoded.map_err(|error| MetadataBatchError::Record {
        offset,
        source: error.into(),
    })
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
    let mut builder = BatchBuilder::new();
    for record in records {
        let (kind, value) = control_value(record)?;
        let [high, low] = i16::to_be_bytes(kind);
        builder.append(now_ms, Some(&[0, 0, high, low]), Some(&value), &[])?;
    }
    let meta = BatchMeta {
        base_offset,
        leader_epoch,
        control: true,
        ..BatchMeta::default()
    };
    Ok(builder.finish(&meta)?)
}

fn control_value(record: &ControlRecord) -> Result<(i16, Bytes), RecordError> {
    let mut writer = Writer::new();
    let kind = match record {
        ControlRecord::LeaderChange(message) => {
            message.encode(&mut writer, message.version)?;
            2
        }
        ControlRecord::SnapshotHeader(message) => {
            message.encode(&mut writer, 0)?;
            3
        }
        ControlRecord::SnapshotFooter(message) => {
            message.encode(&mut writer, 0)?;
            4
        }
        ControlRecord::KRaftVersion(message) => {
            message.encode(&mut writer, 0)?;
            5
        }
        ControlRecord::Voters(message) => {
            message.encode(&mut writer, 0)?;
            6
        }
        ControlRecord::Other(kind) => *kind,
    };
    Ok((
        kind,
        writer.finish().to_bytes().ok_or(RecordError::NoValue)?,
    ))
}
