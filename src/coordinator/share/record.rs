//! The records of `__share_group_state`.
//!
//! ```text
//! key    i16 type (0 snapshot, 1 update), group, topic id, partition
//! value  i16 version 0, then the fields; of a snapshot null once the state is forgotten
//! ```
use std::fmt;

use bytes::Bytes;

use crate::coordinator::shard::EncodedRecord;
use crate::protocol::records::share as schema;
use crate::protocol::records::{decode_value, encode_key, encode_value};
use crate::protocol::wire::{DecodeError, EncodeError, Reader};
use crate::protocol::{Message, Uuid};

const SNAPSHOT: i16 = 0;
const UPDATE: i16 = 1;
const VALUE_VERSION: i16 = 0;

/// A share partition: a group's view of a partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareKey {
    pub group: String,
    pub topic_id: Uuid,
    pub partition: i32,
}

impl ShareKey {
    /// Reads what clients of FindCoordinator write: `group:topicId:partition`. The group may have
    /// colons.
    pub fn parse(text: &str) -> Option<ShareKey> {
        let (rest, partition) = text.rsplit_once(':')?;
        let (group, topic_id) = rest.rsplit_once(':')?;
        if group.trim().is_empty() {
            return None;
        }
        Some(ShareKey {
            group: group.to_owned(),
            topic_id: topic_id.parse().ok()?,
            partition: partition.parse().ok()?,
        })
    }
}

impl fmt::Display for ShareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.group, self.topic_id, self.partition)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum ShareStateRecord {
    /// `None`: forgotten.
    Snapshot(ShareKey, Option<schema::ShareSnapshotValue>),
    Update(ShareKey, schema::ShareUpdateValue),
}

impl ShareStateRecord {
    /// `None`: a kind of record that is not known here.
    pub fn decode(
        key: Bytes,
        value: Option<Bytes>,
    ) -> Result<Option<ShareStateRecord>, DecodeError> {
        let mut reader = Reader::new(key);
        match (reader.i16()?, value) {
            (SNAPSHOT, value) => {
                let key = schema::ShareSnapshotKey::decode(&mut reader, 0)?;
                let key = ShareKey {
                    group: key.group_id,
                    topic_id: key.topic_id,
                    partition: key.partition,
                };
                let value = value.map(decode_value).transpose()?;
                Ok(Some(ShareStateRecord::Snapshot(key, value)))
            }
            (UPDATE, Some(value)) => {
                let key = schema::ShareUpdateKey::decode(&mut reader, 0)?;
                let key = ShareKey {
                    group: key.group_id,
                    topic_id: key.topic_id,
                    partition: key.partition,
                };
                Ok(Some(ShareStateRecord::Update(key, decode_value(value)?)))
            }
            _ => Ok(None),
        }
    }

    pub fn encode(&self) -> Result<EncodedRecord, EncodeError> {
        match self {
            ShareStateRecord::Snapshot(key, value) => {
                let key = schema::ShareSnapshotKey {
                    group_id: key.group.clone(),
                    topic_id: key.topic_id,
                    partition: key.partition,
                };
                let value = value
                    .as_ref()
                    .map(|value| encode_value(value, VALUE_VERSION));
                Ok((encode_key(&key)?, value.transpose()?))
            }
            ShareStateRecord::Update(key, value) => {
                let key = schema::ShareUpdateKey {
                    group_id: key.group.clone(),
                    topic_id: key.topic_id,
                    partition: key.partition,
                };
                let value = encode_value(value, VALUE_VERSION)?;
                Ok((encode_key(&key)?, Some(value)))
            }
        }
    }
}
