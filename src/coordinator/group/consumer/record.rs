//! The records of consumer groups, as Kafka 4.3 writes them (all values version 0).
//!
//! ```text
//! 3  group epoch and metadata hash    6  target assignment: epoch and time   8  member's assignment
//! 4  topics' metadata (before 4.1)    7  target assignment of a member      16  topics of a regex
//! 5  member
//! ```
use bytes::Bytes;

use super::member::{ConsumerMember, Partitions};
use crate::coordinator::group::record::{GroupRecord, pair, typed};
use crate::coordinator::shard::EncodedRecord;
use crate::protocol::Message;
use crate::protocol::records::encode_key;
use crate::protocol::records::group as schema;
use crate::protocol::records::group::consumer_group_target_assignment_member_value::TopicPartition;
use crate::protocol::wire::{DecodeError, EncodeError, Reader};

/// One record of a consumer group; no value: deleted.
#[derive(Clone, Debug, PartialEq)]
pub enum ConsumerRecord {
    Epoch(Option<schema::ConsumerGroupMetadataValue>),
    /// Written before Kafka 4.1; only its tombstone is written now.
    TopicMetadata(Option<Bytes>),
    Member {
        id: String,
        value: Option<schema::ConsumerGroupMemberMetadataValue>,
    },
    TargetEpoch(Option<schema::ConsumerGroupTargetAssignmentMetadataValue>),
    Target {
        member: String,
        value: Option<schema::ConsumerGroupTargetAssignmentMemberValue>,
    },
    Assignment {
        member: String,
        value: Option<schema::ConsumerGroupCurrentMemberAssignmentValue>,
    },
    Regex {
        regex: String,
        value: Option<schema::ConsumerGroupRegularExpressionValue>,
    },
}

impl ConsumerRecord {
    pub fn of(self, group: &str) -> GroupRecord {
        GroupRecord::Consumer {
            group: group.into(),
            record: self,
        }
    }

    pub fn is_tombstone(&self) -> bool {
        match self {
            ConsumerRecord::Epoch(value) => value.is_none(),
            ConsumerRecord::TopicMetadata(value) => value.is_none(),
            ConsumerRecord::Member { value, .. } => value.is_none(),
            ConsumerRecord::TargetEpoch(value) => value.is_none(),
            ConsumerRecord::Target { value, .. } => value.is_none(),
            ConsumerRecord::Assignment { value, .. } => value.is_none(),
            ConsumerRecord::Regex { value, .. } => value.is_none(),
        }
    }

    pub fn epoch(epoch: i32, metadata_hash: i64) -> ConsumerRecord {
        ConsumerRecord::Epoch(Some(schema::ConsumerGroupMetadataValue {
            epoch,
            metadata_hash,
            unknown_tags: Vec::new(),
        }))
    }

    pub fn member(member: &ConsumerMember) -> ConsumerRecord {
        ConsumerRecord::Member {
            id: member.id.clone(),
            value: Some(member.metadata_value()),
        }
    }

    pub fn assignment(member: &ConsumerMember) -> ConsumerRecord {
        ConsumerRecord::Assignment {
            member: member.id.clone(),
            value: Some(member.assignment_value()),
        }
    }

    pub fn target(member: &str, partitions: &Partitions) -> ConsumerRecord {
        let topic = |(id, partitions): (&_, &std::collections::BTreeSet<i32>)| TopicPartition {
            topic_id: *id,
            partitions: partitions.iter().copied().collect(),
            unknown_tags: Vec::new(),
        };
        ConsumerRecord::Target {
            member: member.into(),
            value: Some(schema::ConsumerGroupTargetAssignmentMemberValue {
                topic_partitions: partitions.iter().map(topic).collect(),
                unknown_tags: Vec::new(),
            }),
        }
    }

    pub fn target_epoch(assignment_epoch: i32, timestamp_ms: i64) -> ConsumerRecord {
        let value = schema::ConsumerGroupTargetAssignmentMetadataValue {
            assignment_epoch,
            assignment_timestamp: timestamp_ms,
            unknown_tags: Vec::new(),
        };
        ConsumerRecord::TargetEpoch(Some(value))
    }

    pub fn regex_tombstone(regex: &str) -> ConsumerRecord {
        ConsumerRecord::Regex {
            regex: regex.into(),
            value: None,
        }
    }

    /// What removes a member, in the order in which Kafka removes it.
    pub fn member_tombstones(member: &str) -> [ConsumerRecord; 3] {
        [
            ConsumerRecord::Assignment {
                member: member.into(),
                value: None,
            },
            ConsumerRecord::Target {
                member: member.into(),
                value: None,
            },
            ConsumerRecord::Member {
                id: member.into(),
                value: None,
            },
        ]
    }

    /// `None`: the key is not a consumer group's. Otherwise the group and the record.
    pub fn decode(
        key_type: i16,
        reader: &mut Reader,
        value: Option<Bytes>,
    ) -> Result<Option<(String, ConsumerRecord)>, DecodeError> {
        let decoded = match key_type {
            3 => {
                let key = schema::ConsumerGroupMetadataKey::decode(reader, 0)?;
                (key.group_id, ConsumerRecord::Epoch(typed(value)?))
            }
            4 => {
                let key = schema::ConsumerGroupPartitionMetadataKey::decode(reader, 0)?;
                (key.group_id, ConsumerRecord::TopicMetadata(value))
            }
            5 => {
                let key = schema::ConsumerGroupMemberMetadataKey::decode(reader, 0)?;
                let value = typed(value)?;
                let id = key.member_id;
                (key.group_id, ConsumerRecord::Member { id, value })
            }
            6 => {
                let key = schema::ConsumerGroupTargetAssignmentMetadataKey::decode(reader, 0)?;
                (key.group_id, ConsumerRecord::TargetEpoch(typed(value)?))
            }
            7 => {
                let key = schema::ConsumerGroupTargetAssignmentMemberKey::decode(reader, 0)?;
                let value = typed(value)?;
                let member = key.member_id;
                (key.group_id, ConsumerRecord::Target { member, value })
            }
            8 => {
                let key = schema::ConsumerGroupCurrentMemberAssignmentKey::decode(reader, 0)?;
                let value = typed(value)?;
                let member = key.member_id;
                (key.group_id, ConsumerRecord::Assignment { member, value })
            }
            16 => {
                let key = schema::ConsumerGroupRegularExpressionKey::decode(reader, 0)?;
                let value = typed(value)?;
                let regex = key.regular_expression;
                (key.group_id, ConsumerRecord::Regex { regex, value })
            }
            _ => return Ok(None),
        };
        Ok(Some(decoded))
    }

    pub fn encode(&self, group: &str) -> Result<EncodedRecord, EncodeError> {
        let group_id = group.to_string();
        match self {
            ConsumerRecord::Epoch(value) => pair(
                &schema::ConsumerGroupMetadataKey { group_id },
                value.as_ref(),
            ),
            ConsumerRecord::TopicMetadata(value) => {
                let key = encode_key(&schema::ConsumerGroupPartitionMetadataKey { group_id })?;
                Ok((key, value.clone()))
            }
            ConsumerRecord::Member { id, value } => {
                let member_id = id.clone();
                let key = schema::ConsumerGroupMemberMetadataKey {
                    group_id,
                    member_id,
                };
                pair(&key, value.as_ref())
            }
            ConsumerRecord::TargetEpoch(value) => pair(
                &schema::ConsumerGroupTargetAssignmentMetadataKey { group_id },
                value.as_ref(),
            ),
            ConsumerRecord::Target { member, value } => {
                let member_id = member.clone();
                let key = schema::ConsumerGroupTargetAssignmentMemberKey {
                    group_id,
                    member_id,
                };
                pair(&key, value.as_ref())
            }
            ConsumerRecord::Assignment { member, value } => {
                let member_id = member.clone();
                let key = schema::ConsumerGroupCurrentMemberAssignmentKey {
                    group_id,
                    member_id,
                };
                pair(&key, value.as_ref())
            }
            ConsumerRecord::Regex { regex, value } => {
                let regular_expression = regex.clone();
                let key = schema::ConsumerGroupRegularExpressionKey {
                    group_id,
                    regular_expression,
                };
                pair(&key, value.as_ref())
            }
        }
    }
}
