//! Metadata records and their frame.
//!
//! ```text
//! frame version uvarint = 1 | api key uvarint | record version uvarint | body (flexible schema)
//! ```
//! It is the value of a log record; the key is null. An unknown frame version or an unknown
//! version of a known record cannot be read by anybody here and is an error; a record of an
//! unknown kind is carried along untouched.

use bytes::Bytes;

use crate::protocol::records::metadata::*;
use crate::protocol::wire::{DecodeError, EncodeError, Reader, Writer};
use crate::protocol::{Message, ToJson};

const FRAME_VERSION: u32 = 1;

/// Why a metadata record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("metadata record has frame version {0}, this version reads 1")]
    FrameVersion(u32),
    #[error(
        "metadata record {name} has version {version}, this version reads up to {max}: the log was \
         written by a newer Kafka"
    )]
    Version {
        name: &'static str,
        version: i16,
        max: i16,
    },
    #[error("metadata record: {0}")]
    Decode(#[from] DecodeError),
    #[error("metadata record: {0}")]
    Encode(#[from] EncodeError),
    #[error("metadata record has version {0}, which is no version")]
    VersionRange(u32),
    #[error("metadata record without a value")]
    NoValue,
}

/// A record of a kind that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownRecord {
    pub api_key: u32,
    pub version: i16,
    pub body: Bytes,
}

/// A record with the version it is, or is to be, written in.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionedRecord {
    pub record: MetadataRecord,
    pub version: i16,
}

macro_rules! metadata_records {
    ($($key:literal $variant:ident $record:ident)*) => {
        /// A record of the metadata log.
        #[derive(Debug, Clone, PartialEq)]
        pub enum MetadataRecord {
            $($variant($record),)*
            Unknown(UnknownRecord),
        }

        $(impl From<$record> for MetadataRecord {
            fn from(record: $record) -> Self {
                MetadataRecord::$variant(record)
            }
        })*

        impl MetadataRecord {
            /// The number that stands for the kind of record.
            pub fn api_key(&self) -> u32 {
                match self {
                    $(MetadataRecord::$variant(_) => $key,)*
                    MetadataRecord::Unknown(unknown) => unknown.api_key,
                }
            }

            /// The schema's name: `TopicRecord`.
            pub fn name(&self) -> &'static str {
                match self {
                    $(MetadataRecord::$variant(_) => stringify!($record),)*
                    MetadataRecord::Unknown(_) => "unknown record",
                }
            }

            /// The record's fields as its schema names them, those of a later release as bytes.
            pub fn to_json(&self, version: i16) -> serde_json::Value {
                match self {
                    $(MetadataRecord::$variant(record) => record.to_json(version),)*
                    MetadataRecord::Unknown(unknown) => unknown.body.to_json(version),
                }
            }

            fn decode_body(
                api_key: u32,
                version: i16,
                reader: &mut Reader,
            ) -> Result<Option<MetadataRecord>, RecordError> {
                match api_key {
                    $($key => {
                        if version > $record::MAX_VERSION {
                            let (name, max) = (stringify!($record), $record::MAX_VERSION);
                            return Err(RecordError::Version { name, version, max });
                        }
                        let record = $record::decode(reader, version)?;
                        Ok(Some(MetadataRecord::$variant(record)))
                    })*
                    _ => Ok(None),
                }
            }

            fn encode_body(&self, version: i16, writer: &mut Writer) -> Result<(), RecordError> {
                match self {
                    $(MetadataRecord::$variant(record) => record.encode(writer, version)?,)*
                    MetadataRecord::Unknown(unknown) => writer.raw(&unknown.body),
                }
                Ok(())
            }
        }
    };
}

metadata_records! {
    0 RegisterBroker RegisterBrokerRecord
    1 UnregisterBroker UnregisterBrokerRecord
    2 Topic TopicRecord
    3 Partition PartitionRecord
    4 Config ConfigRecord
    5 PartitionChange PartitionChangeRecord
    7 FenceBroker FenceBrokerRecord
    8 UnfenceBroker UnfenceBrokerRecord
    9 RemoveTopic RemoveTopicRecord
    10 DelegationToken DelegationTokenRecord
    11 UserScramCredential UserScramCredentialRecord
    12 FeatureLevel FeatureLevelRecord
    14 ClientQuota ClientQuotaRecord
    15 ProducerIds ProducerIdsRecord
    17 BrokerRegistrationChange BrokerRegistrationChangeRecord
    18 AccessControlEntry AccessControlEntryRecord
    19 RemoveAccessControlEntry RemoveAccessControlEntryRecord
    20 NoOp NoOpRecord
    21 ZkMigrationState ZkMigrationStateRecord
    22 RemoveUserScramCredential RemoveUserScramCredentialRecord
    23 BeginTransaction BeginTransactionRecord
    24 EndTransaction EndTransactionRecord
    25 AbortTransaction AbortTransactionRecord
    26 RemoveDelegationToken RemoveDelegationTokenRecord
    27 RegisterController RegisterControllerRecord
    28 ClearElr ClearElrRecord
}

impl MetadataRecord {
    /// The record in a version of its schema.
    pub fn at(self, version: i16) -> VersionedRecord {
        VersionedRecord {
            record: self,
            version,
        }
    }
}

/// A record in version 0 of its schema.
pub fn v0(record: impl Into<MetadataRecord>) -> VersionedRecord {
    record.into().at(0)
}

impl VersionedRecord {
    /// Reads the value of one log record.
    pub fn decode(value: Bytes) -> Result<VersionedRecord, RecordError> {
        let mut reader = Reader::new(value);
        let frame_version = reader.unsigned_varint()?;
        if frame_version != FRAME_VERSION {
            return Err(RecordError::FrameVersion(frame_version));
        }
        let api_key = reader.unsigned_varint()?;
        let version = reader.unsigned_varint()?;
        let version = i16::try_from(version).map_err(|_| RecordError::VersionRange(version))?;
        let record = match MetadataRecord::decode_body(api_key, version, &mut reader)? {
            Some(record) => record,
            None => {
                let body = reader.rest();
                MetadataRecord::Unknown(UnknownRecord {
                    api_key,
                    version,
                    body,
                })
            }
        };
        reader.end()?;
        Ok(VersionedRecord { record, version })
    }

    /// The value of the log record.
    pub fn encode(&self) -> Result<Bytes, RecordError> {
        let mut writer = Writer::with_capacity(64);
        writer.unsigned_varint(FRAME_VERSION);
        writer.unsigned_varint(self.record.api_key());
        writer.unsigned_varint(u32::from(self.version.unsigned_abs()));
        self.record.encode_body(self.version, &mut writer)?;
        writer.finish().to_bytes().ok_or(RecordError::NoValue)
    }
}
