//! The records of `__consumer_offsets`: typed on one side, key and value bytes on the other.
//!
//! ```text
//! key   = i16 type, then the fields of that type
//! value = i16 version, then the fields of that version; null: deleted
//! 0, 1         offset commit, value 0-4         2           classic group, value 0-4
//! 3-8, 16      consumer groups (KIP-848)        10-15       share groups (KIP-932)
//! 17, 19-23    streams groups (KIP-1071)
//! ```
//! Written: offset commits with value version 4 (1 if the client sent a retention time), classic
//! groups with version 3, consumer, share and streams groups, and tombstones, as Kafka 4.3 does.
use bytes::Bytes;

use super::consumer::ConsumerRecord;
use super::share::ShareRecord;
use super::streams::StreamsRecord;
use crate::coordinator::shard::EncodedRecord;
use crate::protocol::records::group as schema;
use crate::protocol::records::{decode_value, encode_key, encode_value};
use crate::protocol::wire::{DecodeError, EncodeError, Reader};
use crate::protocol::{Message, Record, Uuid};

pub use schema::GroupMetadataValue;
pub use schema::group_metadata_value::MemberMetadata;

const OFFSET_COMMIT_VERSION: i16 = 4;
const OFFSET_COMMIT_WITH_EXPIRY_VERSION: i16 = 1;
const GROUP_METADATA_VERSION: i16 = 3;

const LEGACY_OFFSET_COMMIT: i16 = 0;
const OFFSET_COMMIT: i16 = 1;
const GROUP_METADATA: i16 = 2;

/// The kind of a group, as `ListGroups` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupType {
    Classic,
    Consumer,
    Share,
    Streams,
}

impl GroupType {
    pub fn name(self) -> &'static str {
        match self {
            GroupType::Classic => "classic",
            GroupType::Consumer => "consumer",
            GroupType::Share => "share",
            GroupType::Streams => "streams",
        }
    }
}

/// One committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    pub offset: i64,
    /// -1: unknown.
    pub leader_epoch: i32,
    pub metadata: String,
    pub commit_timestamp_ms: i64,
    /// Set by clients that say themselves how long to keep the offset (OffsetCommit 2-4).
    pub expire_timestamp_ms: Option<i64>,
    /// Zero: unknown.
    pub topic_id: Uuid,
}

#[derive(Clone, Debug, PartialEq)]
pub enum GroupRecord {
    OffsetCommit {
        group: String,
        topic: String,
        partition: i32,
        value: Option<CommittedOffset>,
    },
    ClassicGroup {
        group: String,
        value: Option<GroupMetadataValue>,
    },
    Consumer {
        group: String,
        record: ConsumerRecord,
    },
    Share {
        group: String,
        record: ShareRecord,
    },
    Streams {
        group: String,
        record: StreamsRecord,
    },
}

impl GroupRecord {
    pub fn offset_tombstone(group: &str, topic: &str, partition: i32) -> GroupRecord {
        GroupRecord::OffsetCommit {
            group: group.into(),
            topic: topic.into(),
            partition,
            value: None,
        }
    }

    pub fn classic_group_tombstone(group: &str) -> GroupRecord {
        GroupRecord::ClassicGroup {
            group: group.into(),
            value: None,
        }
    }

    /// `None`: a kind of record that is not known here.
    pub fn decode(key: Bytes, value: Option<Bytes>) -> Result<Option<GroupRecord>, DecodeError> {
        let mut reader = Reader::new(key);
        match reader.i16()? {
            LEGACY_OFFSET_COMMIT | OFFSET_COMMIT => {
                let key = schema::OffsetCommitKey::decode(&mut reader, 0)?;
                let value = value.map(decode_offset_commit).transpose()?;
                let schema::OffsetCommitKey {
                    group,
                    topic,
                    partition,
                } = key;
                Ok(Some(GroupRecord::OffsetCommit {
                    group,
                    topic,
                    partition,
                    value,
                }))
            }
            GROUP_METADATA => {
                let group = schema::GroupMetadataKey::decode(&mut reader, 0)?.group;
                let value = value.map(decode_value::<GroupMetadataValue>).transpose()?;
                Ok(Some(GroupRecord::ClassicGroup { group, value }))
            }
            key_type @ (3..=8 | 16) => {
                let decoded = ConsumerRecord::decode(key_type, &mut reader, value)?;
                Ok(decoded.map(|(group, record)| GroupRecord::Consumer { group, record }))
            }
            key_type @ 10..=15 => {
                let decoded = ShareRecord::decode(key_type, &mut reader, value)?;
                Ok(decoded.map(|(group, record)| GroupRecord::Share { group, record }))
            }
            key_type @ (17 | 19..=23) => {
                let decoded = StreamsRecord::decode(key_type, &mut reader, value)?;
                Ok(decoded.map(|(group, record)| GroupRecord::Streams { group, record }))
            }
            _ => Ok(None),
        }
    }

    pub fn encode(&self) -> Result<EncodedRecord, EncodeError> {
        match self {
            GroupRecord::OffsetCommit {
                group,
                topic,
                partition,
                value,
            } => {
                let key = schema::OffsetCommitKey {
                    group: group.clone(),
                    topic: topic.clone(),
                    partition: *partition,
                };
                let value = value.as_ref().map(encode_offset_commit).transpose()?;
                Ok((encode_key(&key)?, value))
            }
            GroupRecord::ClassicGroup { group, value } => {
                let key = schema::GroupMetadataKey {
                    group: group.clone(),
                };
                let version = GROUP_METADATA_VERSION;
                let value = value
                    .as_ref()
                    .map(|v| encode_value(v, version))
                    .transpose()?;
                Ok((encode_key(&key)?, value))
            }
            GroupRecord::Consumer { group, record } => record.encode(group),
            GroupRecord::Share { group, record } => record.encode(group),
            GroupRecord::Streams { group, record } => record.encode(group),
        }
    }
}

fn decode_offset_commit(value: Bytes) -> Result<CommittedOffset, DecodeError> {
    let value: schema::OffsetCommitValue = decode_value(value)?;
    Ok(CommittedOffset {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata,
        commit_timestamp_ms: value.commit_timestamp,
        expire_timestamp_ms: (value.expire_timestamp != -1).then_some(value.expire_timestamp),
        topic_id: value.topic_id,
    })
}

fn encode_offset_commit(offset: &CommittedOffset) -> Result<Bytes, EncodeError> {
    let version = match offset.expire_timestamp_ms {
        Some(_) => OFFSET_COMMIT_WITH_EXPIRY_VERSION,
        None => OFFSET_COMMIT_VERSION,
    };
    let value = schema::OffsetCommitValue {
        offset: offset.offset,
        leader_epoch: offset.leader_epoch,
        metadata: offset.metadata.clone(),
        commit_timestamp: offset.commit_timestamp_ms,
        expire_timestamp: offset.expire_timestamp_ms.unwrap_or(-1),
        topic_id: offset.topic_id,
        ..schema::OffsetCommitValue::default()
    };
    encode_value(&value, version)
}

/// A value that is there, decoded.
pub(super) fn typed<M: Message>(value: Option<Bytes>) -> Result<Option<M>, DecodeError> {
    value.map(decode_value).transpose()
}

/// Key and value of a record whose value has one version.
pub(super) fn pair<K: Record, V: Message>(
    key: &K,
    value: Option<&V>,
) -> Result<EncodedRecord, EncodeError> {
    let value = value.map(|value| encode_value(value, 0));
    Ok((encode_key(key)?, value.transpose()?))
}

/// A copy that does not keep the frame it came in alive.
pub(super) fn detached(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
