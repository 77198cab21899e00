//! The records of share groups, as Kafka 4.3 writes them (all values version 0).
//!
//! ```text
//! 10  member                              13  target assignment of a member
//! 11  group epoch and metadata hash       14  member's assignment
//! 12  target assignment: epoch and time   15  which partitions have a state in __share_group_state
//! ```
use bytes::Bytes;

use super::state::{ShareMember, SharePartitions};
use crate::coordinator::group::record::{GroupRecord, pair, typed};
use crate::coordinator::shard::EncodedRecord;
use crate::protocol::Message;
use crate::protocol::records::group as schema;
use crate::protocol::records::group::share_group_target_assignment_member_value::TopicPartition;
use crate::protocol::wire::{DecodeError, EncodeError, Reader};

/// One record of a share group; no value: deleted.
#[derive(Clone, Debug, PartialEq)]
pub enum ShareRecord {
    Epoch(Option<schema::ShareGroupMetadataValue>),
    Member {
        id: String,
        value: Option<schema::ShareGroupMemberMetadataValue>,
    },
    TargetEpoch(Option<schema::ShareGroupTargetAssignmentMetadataValue>),
    Target {
        member: String,
        value: Option<schema::ShareGroupTargetAssignmentMemberValue>,
    },
    Assignment {
        member: String,
        value: Option<schema::ShareGroupCurrentMemberAssignmentValue>,
    },
    StatePartitions(Option<schema::ShareGroupStatePartitionMetadataValue>),
}

impl ShareRecord {
    pub fn of(self, group: &str) -> GroupRecord {
        GroupRecord::Share {
            group: group.into(),
            record: self,
        }
    }

    pub fn is_tombstone(&self) -> bool {
        match self {
            ShareRecord::Epoch(value) => value.is_none(),
            ShareRecord::Member { value, .. } => value.is_none(),
            ShareRecord::TargetEpoch(value) => value.is_none(),
            ShareRecord::Target { value, .. } => value.is_none(),
            ShareRecord::Assignment { value, .. } => value.is_none(),
            ShareRecord::StatePartitions(value) => value.is_none(),
        }
    }

    pub fn epoch(epoch: i32, metadata_hash: i64) -> ShareRecord {
        ShareRecord::Epoch(Some(schema::ShareGroupMetadataValue {
            epoch,
            metadata_hash,
            unknown_tags: Vec::new(),
        }))
    }

    pub fn member(member: &ShareMember) -> ShareRecord {
        ShareRecord::Member {
            id: member.id.clone(),
            value: Some(member.metadata_value()),
        }
    }

    pub fn assignment(member: &ShareMember) -> ShareRecord {
        ShareRecord::Assignment {
            member: member.id.clone(),
            value: Some(member.assignment_value()),
        }
    }

    pub fn target(member: &str, partitions: &SharePartitions) -> ShareRecord {
        let topic = |(id, partitions): (&_, &std::collections::BTreeSet<i32>)| TopicPartition {
            topic_id: *id,
            partitions: partitions.iter().copied().collect(),
            unknown_tags: Vec::new(),
        };
        ShareRecord::Target {
            member: member.into(),
            value: Some(schema::ShareGroupTargetAssignmentMemberValue {
                topic_partitions: partitions.iter().map(topic).collect(),
                unknown_tags: Vec::new(),
            }),
        }
    }

    pub fn target_epoch(assignment_epoch: i32, timestamp_ms: i64) -> ShareRecord {
        let value = schema::ShareGroupTargetAssignmentMetadataValue {
            assignment_epoch,
            assignment_timestamp: timestamp_ms,
            unknown_tags: Vec::new(),
        };
        ShareRecord::TargetEpoch(Some(value))
    }

    /// What removes a member, in the order in which Kafka removes it.
    pub fn member_tombstones(member: &str) -> [ShareRecord; 3] {
        [
            ShareRecord::Assignment {
                member: member.into(),
                value: None,
            },
            ShareRecord::Target {
                member: member.into(),
                value: None,
            },
            ShareRecord::Member {
                id: member.into(),
                value: None,
            },
        ]
    }

    /// `None`: the key is not a share group's. Otherwise the group and the record.
    pub fn decode(
        key_type: i16,
        reader: &mut Reader,
        value: Option<Bytes>,
    ) -> Result<Option<(String, ShareRecord)>, DecodeError> {
        let decoded = match key_type {
            10 => {
                let key = schema::ShareGroupMemberMetadataKey::decode(reader, 0)?;
                let value = typed(value)?;
                let id = key.member_id;
                (key.group_id, ShareRecord::Member { id, value })
            }
            11 => {
                let key = schema::ShareGroupMetadataKey::decode(reader, 0)?;
                (key.group_id, ShareRecord::Epoch(typed(value)?))
            }
            12 => {
                let key = schema::ShareGroupTargetAssignmentMetadataKey::decode(reader, 0)?;
                (key.group_id, ShareRecord::TargetEpoch(typed(value)?))
            }
            13 => {
                let key = schema::ShareGroupTargetAssignmentMemberKey::decode(reader, 0)?;
                let value = typed(value)?;
                let member = key.member_id;
                (key.group_id, ShareRecord::Target { member, value })
            }
            14 => {
                let key = schema::ShareGroupCurrentMemberAssignmentKey::decode(reader, 0)?;
                let value = typed(value)?;
                let member = key.member_id;
                (key.group_id, ShareRecord::Assignment { member, value })
            }
            15 => {
                let key = schema::ShareGroupStatePartitionMetadataKey::decode(reader, 0)?;
                (key.group_id, ShareRecord::StatePartitions(typed(value)?))
            }
            _ => return Ok(None),
        };
        Ok(Some(decoded))
    }

    pub fn encode(&self, group: &str) -> Result<EncodedRecord, EncodeError> {
        let group_id = group.to_string();
        match self {
            ShareRecord::Epoch(value) => {
                pair(&schema::ShareGroupMetadataKey { group_id }, value.as_ref())
            }
            ShareRecord::Member { id, value } => {
                let member_id = id.clone();
                let key = schema::ShareGroupMemberMetadataKey {
                    group_id,
                    member_id,
                };
                pair(&key, value.as_ref())
            }
            ShareRecord::TargetEpoch(value) => pair(
                &schema::ShareGroupTargetAssignmentMetadataKey { group_id },
                value.as_ref(),
            ),
            ShareRecord::Target { member, value } => {
                let member_id = member.clone();
                let key = schema::ShareGroupTargetAssignmentMemberKey {
                    group_id,
                    member_id,
                };
                pair(&key, value.as_ref())
            }
            ShareRecord::Assignment { member, value } => {
                let member_id = member.clone();
                let key = schema::ShareGroupCurrentMemberAssignmentKey {
                    group_id,
                    member_id,
                };
                pair(&key, value.as_ref())
            }
            ShareRecord::StatePartitions(value) => pair(
                &schema::ShareGroupStatePartitionMetadataKey { group_id },
                value.as_ref(),
            ),
        }
    }
}
