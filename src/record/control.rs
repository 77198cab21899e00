//! Control records: the ends of transactions, and what KRaft writes into its log and snapshots.
//!
//! ```text
//! batch  attributes 0x20 (0x30 with the transactional bit for a transaction marker)
//! key    version i16 = 0, type i16
//! value  by type; each begins with the version it is written in
//! ```
//! An unknown type, or an unknown version of the key, is no error: Kafka passes over it.
use bytes::Bytes;

use super::{BatchBuilder, BatchError, BatchMeta, RecordView};
use crate::protocol::Message;
use crate::protocol::records::control::EndTxnMarker;
use crate::protocol::records::raft::{
    KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord,
    VotersRecord,
};
use crate::protocol::wire::{DecodeError, EncodeError, Reader, Writer};

/// What a control record is, by the number in its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ControlType {
    Abort,
    Commit,
    LeaderChange,
    SnapshotHeader,
    SnapshotFooter,
    KRaftVersion,
    KRaftVoters,
    Unknown(i16),
}

impl ControlType {
    pub const fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KRaftVersion => 5,
            Self::KRaftVoters => 6,
            Self::Unknown(id) => id,
        }
    }

    pub const fn from_id(id: i16) -> Self {
        match id {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KRaftVersion,
            6 => Self::KRaftVoters,
            other => Self::Unknown(other),
        }
    }

    /// Reads the key of a record in a control batch. Later versions may add fields after the type.
    pub fn from_key(key: Option<&[u8]>) -> Result<Self, BatchError> {
        match key {
            Some(&[v0, v1, high, low, ..]) if i16::from_be_bytes([v0, v1]) >= 0 => {
                Ok(Self::from_id(i16::from_be_bytes([high, low])))
            }
            _ => Err(BatchError::invalid("control record with a malformed key")),
        }
    }

    pub const fn key(self) -> [u8; 4] {
        let [high, low] = self.id().to_be_bytes();
        [0, 0, high, low]
    }
}

/// The end of a transaction in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionMarker {
    pub commit: bool,
    /// Fences markers of a transaction coordinator that has been replaced.
    pub coordinator_epoch: i32,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ControlRecord {
    EndTxn(TransactionMarker),
    LeaderChange(LeaderChangeMessage),
    SnapshotHeader(SnapshotHeaderRecord),
    SnapshotFooter(SnapshotFooterRecord),
    KRaftVersion(KRaftVersionRecord),
    Voters(VotersRecord),
    /// Of a later release.
    Other(i16),
}

impl ControlRecord {
    pub fn control_type(&self) -> ControlType {
        match self {
            Self::EndTxn(marker) if marker.commit => ControlType::Commit,
            Self::EndTxn(_) => ControlType::Abort,
            Self::LeaderChange(_) => ControlType::LeaderChange,
            Self::SnapshotHeader(_) => ControlType::SnapshotHeader,
            Self::SnapshotFooter(_) => ControlType::SnapshotFooter,
            Self::KRaftVersion(_) => ControlType::KRaftVersion,
            Self::Voters(_) => ControlType::KRaftVoters,
            Self::Other(id) => ControlType::from_id(*id),
        }
    }

    /// Reads a record of a control batch.
    pub fn decode(record: &RecordView<'_>) -> Result<Self, BatchError> {
        let control_type = ControlType::from_key(record.key)?;
        let value = record.value.unwrap_or_default();
        Self::decode_value(control_type, value).map_err(|error| {
            BatchError::invalid(format!(
                "control record at offset {} cannot be read: {error}",
                record.offset
            ))
        })
    }

    fn decode_value(control_type: ControlType, value: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(Bytes::copy_from_slice(value));
        match control_type {
            ControlType::Abort => end_txn(&mut r, false),
            ControlType::Commit => end_txn(&mut r, true),
            ControlType::LeaderChange => body(&mut r, value).map(Self::LeaderChange),
            ControlType::SnapshotHeader => body(&mut r, value).map(Self::SnapshotHeader),
            ControlType::SnapshotFooter => body(&mut r, value).map(Self::SnapshotFooter),
            ControlType::KRaftVersion => body(&mut r, value).map(Self::KRaftVersion),
            ControlType::KRaftVoters => body(&mut r, value).map(Self::Voters),
            ControlType::Unknown(id) => Ok(Self::Other(id)),
        }
    }

    fn encode_value(&self) -> Result<Bytes, EncodeError> {
        let mut w = Writer::new();
        match self {
            Self::EndTxn(marker) => {
                w.i16(EndTxnMarker::MAX_VERSION);
                let marker = EndTxnMarker {
                    coordinator_epoch: marker.coordinator_epoch,
                };
                marker.encode(&mut w, EndTxnMarker::MAX_VERSION)?;
            }
            // These say themselves which version they are.
            Self::LeaderChange(message) => message.encode(&mut w, message.version)?,
            Self::SnapshotHeader(message) => message.encode(&mut w, message.version)?,
            Self::SnapshotFooter(message) => message.encode(&mut w, message.version)?,
            Self::KRaftVersion(message) => message.encode(&mut w, message.version)?,
            Self::Voters(message) => message.encode(&mut w, message.version)?,
            Self::Other(_) => {}
        }
        Ok(w.finish().to_bytes().unwrap_or_default())
    }
}

fn end_txn(r: &mut Reader, commit: bool) -> Result<ControlRecord, DecodeError> {
    // Later versions only add fields at the end.
    let version = r.i16()?.min(EndTxnMarker::MAX_VERSION);
    let EndTxnMarker { coordinator_epoch } = EndTxnMarker::decode(r, version)?;
    Ok(ControlRecord::EndTxn(TransactionMarker {
        commit,
        coordinator_epoch,
    }))
}

/// A message whose first field is its version.
fn body<M: Message>(r: &mut Reader, value: &[u8]) -> Result<M, DecodeError> {
    let version = value
        .first_chunk()
        .map_or(0, |version| i16::from_be_bytes(*version));
    M::decode(r, version.min(M::MAX_VERSION))
}

/// One batch of KRaft's control records.
pub fn control_batch(
    records: &[ControlRecord],
    timestamp_ms: i64,
    meta: &BatchMeta,
) -> Result<Bytes, BatchError> {
    let mut builder = BatchBuilder::new();
    for record in records {
        let value = record.encode_value().map_err(|error| {
            BatchError::invalid(format!("control record cannot be written: {error}"))
        })?;
        builder.append(
            timestamp_ms,
            Some(&record.control_type().key()),
            Some(&value),
            &[],
        )?;
    }
    builder.finish(&BatchMeta {
        control: true,
        ..*meta
    })
}

/// The batch that ends a producer's transaction in a partition.
pub fn transaction_marker(
    marker: TransactionMarker,
    producer_id: i64,
    producer_epoch: i16,
    timestamp_ms: i64,
) -> Result<Bytes, BatchError> {
    let meta = BatchMeta {
        producer_id,
        producer_epoch,
        transactional: true,
        ..BatchMeta::default()
    };
    control_batch(&[ControlRecord::EndTxn(marker)], timestamp_ms, &meta)
}

#[cfg(test)]
mod tests {
    use super::super::BatchView;
    use super::*;
    use crate::protocol::records::raft::leader_change_message::Voter;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
            .collect()
    }

    /// Reads a batch that Kafka 4.3.1 wrote and writes it again.
    fn check(hex: &str, expected: ControlRecord) {
        let bytes = bytes(hex);
        let batch = BatchView::first(&bytes).unwrap().unwrap();
        assert!(batch.crc_is_valid() && batch.is_control());
        let records = batch.records().unwrap();
        let record = records.iter().next().unwrap().unwrap();
        let decoded = ControlRecord::decode(&record).unwrap();
        assert_eq!(decoded, expected);
        let meta = BatchMeta {
            base_offset: batch.base_offset(),
            leader_epoch: batch.leader_epoch(),
            producer_id: batch.producer_id(),
            producer_epoch: batch.producer_epoch(),
            transactional: batch.is_transactional(),
            ..BatchMeta::default()
        };
        let again = control_batch(&[decoded], record.timestamp, &meta).unwrap();
        assert_eq!(again, bytes);
    }

    #[test]
    fn transaction_markers_are_those_of_kafka() {
        check(
            "000000000000000400000042000000000289502c0c003000000000000001a1fae2754a000001a1fae2754a\
             000000000000000b0001ffffffff000000012000000008000000010c00000000000000",
            ControlRecord::EndTxn(TransactionMarker {
                commit: true,
                coordinator_epoch: 0,
            }),
        );
        check(
            "0000000000000005000000420000000002847f563d003000000000000001a1fae27846000001a1fae27846\
             000000000000000c0001ffffffff000000012000000008000000000c00000000000000",
            ControlRecord::EndTxn(TransactionMarker {
                commit: false,
                coordinator_epoch: 0,
            }),
        );
    }

    #[test]
    fn kraft_records_are_those_of_kafka() {
        let voter = Voter {
            voter_id: 1,
            ..Voter::default()
        };
        check(
            "00000000000000000000004f0000000102ced9409b002000000000000001a1fae1c9c2000001a1fae1c9c2\
             ffffffffffffffffffffffffffff000000013a0000000800000002260000000000010200000001000200000\
             001000000",
            ControlRecord::LeaderChange(LeaderChangeMessage {
                leader_id: 1,
                voters: vec![voter.clone()],
                granting_voters: vec![voter],
                ..LeaderChangeMessage::default()
            }),
        );
        check(
            "0000000000000000000000470000000102824b485e002000000000000001a1fae1fe1c000001a1fae1fe1c\
             ffffffffffffffffffffffffffff000000012a0000000800000003160000000001a1fae1fc330000",
            ControlRecord::SnapshotHeader(SnapshotHeaderRecord {
                last_contained_log_timestamp: 0x1a1_fae1_fc33,
                ..SnapshotHeaderRecord::default()
            }),
        );
        check(
            "000000000000004c0000003f0000000102cc9be8ff002000000000000001a1fae1ff89000001a1fae1ff89\
             ffffffffffffffffffffffffffff000000011a00000008000000040600000000",
            ControlRecord::SnapshotFooter(SnapshotFooterRecord::default()),
        );
    }

    #[test]
    fn versions_and_voters_come_back() {
        let records = [
            ControlRecord::KRaftVersion(KRaftVersionRecord {
                kraft_version: 1,
                ..KRaftVersionRecord::default()
            }),
            ControlRecord::Voters(VotersRecord::default()),
            ControlRecord::Other(99),
        ];
        let batch = control_batch(&records, 5, &BatchMeta::default()).unwrap();
        let batch = BatchView::first(&batch).unwrap().unwrap();
        let read = batch.records().unwrap();
        let read: Vec<_> = read
            .iter()
            .map(|r| ControlRecord::decode(&r.unwrap()))
            .collect();
        assert_eq!(read, records.map(Ok));
        let marker = TransactionMarker {
            commit: true,
            coordinator_epoch: 7,
        };
        let batch = transaction_marker(marker, 3, 4, 5).unwrap();
        let batch = BatchView::first(&batch).unwrap().unwrap();
        assert!(batch.is_transactional() && batch.is_control());
        assert_eq!((batch.producer_id(), batch.producer_epoch()), (3, 4));
        assert_eq!(batch.base_sequence(), super::super::NO_SEQUENCE);
    }

    #[test]
    fn keys_without_a_type_are_refused() {
        for key in [None, Some(&b""[..]), Some(b"\0\0\0"), Some(b"\xff\xff\0\0")] {
            assert!(ControlType::from_key(key).is_err(), "{key:?}");
        }
        assert_eq!(
            ControlType::from_key(Some(b"\0\x01\0\x01more")),
            Ok(ControlType::Commit)
        );
    }
}
