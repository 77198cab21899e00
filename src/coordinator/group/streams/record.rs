//! The records of streams groups, as Kafka 4.3 writes them (all values version 0).
//!
//! ```text
//! 17  group epoch, metadata hash, validated topology    21  target assignment of a member
//! 19  member                                            22  member's assignment
//! 20  target assignment: epoch and time                 23  topology
//! ```
use bytes::Bytes;

use super::member::StreamsMember;
use super::tasks::Tasks;
use crate::coordinator::group::record::{GroupRecord, pair, typed};
use crate::coordinator::shard::EncodedRecord;
use crate::protocol::Message;
use crate::protocol::records::group as schema;
use crate::protocol::wire::{DecodeError, EncodeError, Reader};

/// One record of a streams group; no value: deleted.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamsRecord {
    Epoch(Option<schema::StreamsGroupMetadataValue>),
    Member {
        id: String,
        value: Option<schema::StreamsGroupMemberMetadataValue>,
    },
    TargetEpoch(Option<schema::StreamsGroupTargetAssignmentMetadataValue>),
    Target {
        member: String,
        value: Option<schema::StreamsGroupTargetAssignmentMemberValue>,
    },
    Assignment {
        member: String,
        value: Option<schema::StreamsGroupCurrentMemberAssignmentValue>,
    },
    Topology(Option<schema::StreamsGroupTopologyValue>),
}

impl StreamsRecord {
    pub fn of(self, group: &str) -> GroupRecord {
        GroupRecord::Streams {
            group: group.into(),
            record: self,
        }
    }

    pub fn is_tombstone(&self) -> bool {
        match self {
            StreamsRecord::Epoch(value) => value.is_none(),
            StreamsRecord::Member { value, .. } => value.is_none(),
            StreamsRecord::TargetEpoch(value) => value.is_none(),
            StreamsRecord::Target { value, .. } => value.is_none(),
            StreamsRecord::Assignment { value, .. } => value.is_none(),
            StreamsRecord::Topology(value) => value.is_none(),
        }
    }

    pub fn member(member: &StreamsMember) -> StreamsRecord {
        StreamsRecord::Member {
            id: member.id.clone(),
            value: Some(member.metadata_value()),
        }
    }

    pub fn assignment(member: &StreamsMember) -> StreamsRecord {
        StreamsRecord::Assignment {
            member: member.id.clone(),
            value: Some(member.assignment_value()),
        }
    }

    pub fn target(member: &str, tasks: &Tasks) -> StreamsRecord {
        StreamsRecord::Target {
            member: member.into(),
            value: Some(tasks.to_value()),
        }
    }

    pub fn target_epoch(assignment_epoch: i32, timestamp_ms: i64) -> StreamsRecord {
        let value = schema::StreamsGroupTargetAssignmentMetadataValue {
            assignment_epoch,
            assignment_timestamp: timestamp_ms,
            unknown_tags: Vec::new(),
        };
        StreamsRecord::TargetEpoch(Some(value))
    }

    /// What removes a member, in the order in which Kafka removes it.
    pub fn member_tombstones(member: &str) -> [StreamsRecord; 3] {
        [
            StreamsRecord::Assignment {
                member: member.into(),
                value: None,
            },
            StreamsRecord::Target {
                member: member.into(),
                value: None,
            },
            StreamsRecord::Member {
                id: member.into(),
                value: None,
            },
        ]
    }

    /// `None`: the key is not a streams group's. Otherwise the group and the record.
    pub fn decode(
        key_type: i16,
        reader: &mut Reader,
        value: Option<Bytes>,
    ) -> Result<Option<(String, StreamsRecord)>, DecodeError> {
        let decoded = match key_type {
            17 => {
                let key = schema::StreamsGroupMetadataKey::decode(reader, 0)?;
                (key.group_id, StreamsRecord::Epoch(typed(value)?))
            }
            19 => {
                let key = schema::StreamsGroupMemberMetadataKey::decode(reader, 0)?;
                let value = typed(value)?;
                let id = key.member_id;
                (key.group_id, StreamsRecord::Member { id, value })
            }
            20 => {
                let key = schema::StreamsGroupTargetAssignmentMetadataKey::decode(reader, 0)?;
                (key.group_id, StreamsRecord::TargetEpoch(typed(value)?))
            }
            21 => {
                let key = schema::StreamsGroupTargetAssignmentMemberKey::decode(reader, 0)?;
                let value = typed(value)?;
                let member = key.member_id;
                (key.group_id, StreamsRecord::Target { member, value })
            }
            22 => {
                let key = schema::StreamsGroupCurrentMemberAssignmentKey::decode(reader, 0)?;
                let value = typed(value)?;
                let member = key.member_id;
                (key.group_id, StreamsRecord::Assignment { member, value })
            }
            23 => {
                let key = schema::StreamsGroupTopologyKey::decode(reader, 0)?;
                (key.group_id, StreamsRecord::Topology(typed(value)?))
            }
            _ => return Ok(None),
        };
        Ok(Some(decoded))
    }

    pub fn encode(&self, group: &str) -> Result<EncodedRecord, EncodeError> {
        let group_id = group.to_string();
        match self {
            StreamsRecord::Epoch(value) => pair(
                &schema::StreamsGroupMetadataKey { group_id },
                value.as_ref(),
            ),
            StreamsRecord::Member { id, value } => {
                let member_id = id.clone();
                let key = schema::StreamsGroupMemberMetadataKey {
                    group_id,
                    member_id,
                };
                pair(&key, value.as_ref())
            }
            StreamsRecord::TargetEpoch(value) => pair(
                &schema::StreamsGroupTargetAssignmentMetadataKey { group_id },
                value.as_ref(),
            ),
            StreamsRecord::Target { member, value } => {
                let member_id = member.clone();
                let key = schema::StreamsGroupTargetAssignmentMemberKey {
                    group_id,
                    member_id,
                };
                pair(&key, value.as_ref())
            }
            StreamsRecord::Assignment { member, value } => {
                let member_id = member.clone();
                let key = schema::StreamsGroupCurrentMemberAssignmentKey {
                    group_id,
                    member_id,
                };
                pair(&key, value.as_ref())
            }
            StreamsRecord::Topology(value) => pair(
                &schema::StreamsGroupTopologyKey { group_id },
                value.as_ref(),
            ),
        }
    }
}
