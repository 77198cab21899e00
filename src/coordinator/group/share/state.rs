//! A share group as its records add up to it: the durable half, changed by replay alone.
use std::collections::{BTreeMap, BTreeSet};

use super::record::ShareRecord;
use crate::coordinator::group::record::GroupRecord;
use crate::protocol::Uuid;
use crate::protocol::records::group as schema;
use crate::protocol::records::group::share_group_current_member_assignment_value::TopicPartitions;
use crate::protocol::records::group::share_group_state_partition_metadata_value as stored;

/// Partitions by topic.
pub type SharePartitions = BTreeMap<Uuid, BTreeSet<i32>>;

/// A member's epoch while its records are removed; who leaves says it.
pub const LEAVE_EPOCH: i32 = -1;
/// The only state that members are written in.
const STABLE: i8 = 0;

#[derive(Clone, Debug, PartialEq)]
pub struct ShareMember {
    pub id: String,
    pub epoch: i32,
    pub previous_epoch: i32,
    pub state: i8,
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub topic_names: BTreeSet<String>,
    pub assigned: SharePartitions,
}

impl ShareMember {
    pub fn new(id: &str) -> ShareMember {
        ShareMember {
            id: id.into(),
            epoch: 0,
            previous_epoch: -1,
            state: STABLE,
            rack_id: None,
            client_id: String::new(),
            client_host: String::new(),
            topic_names: BTreeSet::new(),
            assigned: SharePartitions::new(),
        }
    }

    /// Owns what it should at its epoch.
    pub fn reconciled(&self, epoch: i32, assigned: SharePartitions) -> ShareMember {
        ShareMember {
            epoch,
            previous_epoch: self.epoch,
            state: STABLE,
            assigned,
            ..self.clone()
        }
    }

    pub fn metadata_value(&self) -> schema::ShareGroupMemberMetadataValue {
        schema::ShareGroupMemberMetadataValue {
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.topic_names.iter().cloned().collect(),
            unknown_tags: Vec::new(),
        }
    }

    pub fn assignment_value(&self) -> schema::ShareGroupCurrentMemberAssignmentValue {
        let topic = |(id, partitions): (&Uuid, &BTreeSet<i32>)| TopicPartitions {
            topic_id: *id,
            partitions: partitions.iter().copied().collect(),
            unknown_tags: Vec::new(),
        };
        schema::ShareGroupCurrentMemberAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.state,
            assigned_partitions: self.assigned.iter().map(topic).collect(),
            unknown_tags: Vec::new(),
        }
    }
}

/// Partitions of a topic, under the name that it had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedPartitions {
    pub name: String,
    pub partitions: BTreeSet<i32>,
}

/// Which of a group's partitions have a state in `__share_group_state`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatePartitions {
    /// The share coordinator was asked to begin a state, and has not answered.
    pub initializing: BTreeMap<Uuid, NamedPartitions>,
    pub initialized: BTreeMap<Uuid, NamedPartitions>,
    /// The share coordinator was asked to forget these topics' states.
    pub deleting: BTreeMap<Uuid, String>,
}

impl StatePartitions {
    fn from_value(value: schema::ShareGroupStatePartitionMetadataValue) -> StatePartitions {
        let topic = |topic: stored::TopicPartitionsInfo| {
            let named = NamedPartitions {
                name: topic.topic_name,
                partitions: topic.partitions.into_iter().collect(),
            };
            (topic.topic_id, named)
        };
        let deleting = value.deleting_topics.into_iter();
        StatePartitions {
            initializing: value.initializing_topics.into_iter().map(topic).collect(),
            initialized: value.initialized_topics.into_iter().map(topic).collect(),
            deleting: deleting.map(|t| (t.topic_id, t.topic_name)).collect(),
        }
    }

    pub fn to_record(&self) -> ShareRecord {
        let topic = |(id, named): (&Uuid, &NamedPartitions)| stored::TopicPartitionsInfo {
            topic_id: *id,
            topic_name: named.name.clone(),
            partitions: named.partitions.iter().copied().collect(),
            unknown_tags: Vec::new(),
        };
        let deleting = |(id, name): (&Uuid, &String)| stored::TopicInfo {
            topic_id: *id,
            topic_name: name.clone(),
            unknown_tags: Vec::new(),
        };
        ShareRecord::StatePartitions(Some(schema::ShareGroupStatePartitionMetadataValue {
            initializing_topics: self.initializing.iter().map(topic).collect(),
            initialized_topics: self.initialized.iter().map(topic).collect(),
            deleting_topics: self.deleting.iter().map(deleting).collect(),
            unknown_tags: Vec::new(),
        }))
    }

    pub fn initialized(&self) -> SharePartitions {
        let topics = self.initialized.iter();
        topics
            .map(|(id, named)| (*id, named.partitions.clone()))
            .collect()
    }
}

/// Adds partitions to those of their topics.
pub fn add(to: &mut BTreeMap<Uuid, NamedPartitions>, more: &BTreeMap<Uuid, NamedPartitions>) {
    for (id, named) in more {
        let topic = to.entry(*id).or_default();
        topic.name.clone_from(&named.name);
        topic.partitions.extend(&named.partitions);
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ShareGroup {
    pub epoch: i32,
    pub metadata_hash: i64,
    pub assignment_epoch: i32,
    /// 0: it has none yet.
    pub assignment_timestamp_ms: i64,
    pub members: BTreeMap<String, ShareMember>,
    pub target: BTreeMap<String, SharePartitions>,
    /// None: nothing was ever begun.
    pub state_partitions: Option<StatePartitions>,
}

impl Default for ShareGroup {
    fn default() -> Self {
        ShareGroup {
            epoch: 1,
            metadata_hash: 0,
            assignment_epoch: 1,
            assignment_timestamp_ms: 0,
            members: BTreeMap::new(),
            target: BTreeMap::new(),
            state_partitions: None,
        }
    }
}

impl ShareGroup {
    pub fn state(&self) -> &'static str {
        match self.members.is_empty() {
            true => "Empty",
            false => "Stable",
        }
    }

    /// The topics that members subscribe to.
    pub fn topic_names(&self) -> BTreeSet<&str> {
        let names = self.members.values().flat_map(|m| &m.topic_names);
        names.map(String::as_str).collect()
    }

    /// Tombstones for everything that is stored, the group itself last.
    pub fn tombstones(&self, group: &str) -> Vec<GroupRecord> {
        let mut records = Vec::new();
        let members = self
            .members
            .keys()
            .map(|id| ShareRecord::member_tombstones(id));
        let members: Vec<[ShareRecord; 3]> = members.collect();
        records.extend(members.iter().map(|[assignment, ..]| assignment.clone()));
        records.extend(members.iter().map(|[_, target, _]| target.clone()));
        records.push(ShareRecord::TargetEpoch(None));
        records.extend(members.iter().map(|[.., member]| member.clone()));
        records.push(ShareRecord::StatePartitions(None));
        records.push(ShareRecord::Epoch(None));
        records.into_iter().map(|record| record.of(group)).collect()
    }

    /// Applies a record; the tombstone of the group's epoch is the caller's matter.
    pub fn apply(&mut self, record: ShareRecord) {
        match record {
            ShareRecord::Epoch(Some(value)) => {
                self.epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
            }
            ShareRecord::Epoch(None) => {}
            ShareRecord::Member { id, value } => match value {
                Some(value) => {
                    let member = self.member(&id);
                    member.rack_id = value.rack_id;
                    member.client_id = value.client_id;
                    member.client_host = value.client_host;
                    member.topic_names = value.subscribed_topic_names.into_iter().collect();
                }
                None => drop(self.members.remove(&id)),
            },
            ShareRecord::TargetEpoch(value) => {
                let value = value.map(|value| (value.assignment_epoch, value.assignment_timestamp));
                (self.assignment_epoch, self.assignment_timestamp_ms) = value.unwrap_or((-1, 0));
            }
            ShareRecord::Target { member, value } => match value {
                Some(value) => {
                    let topics = value.topic_partitions.into_iter();
                    let topics = topics.map(|t| (t.topic_id, t.partitions.into_iter().collect()));
                    self.target.insert(member, topics.collect());
                }
                None => drop(self.target.remove(&member)),
            },
            ShareRecord::Assignment { member, value } => match value {
                Some(value) => {
                    let topics = value.assigned_partitions.into_iter();
                    let topics = topics.map(|t| (t.topic_id, t.partitions.into_iter().collect()));
                    let member = self.member(&member);
                    member.epoch = value.member_epoch;
                    member.previous_epoch = value.previous_member_epoch;
                    member.state = value.state;
                    member.assigned = topics.collect();
                }
                None => {
                    if let Some(member) = self.members.get_mut(&member) {
                        member.epoch = LEAVE_EPOCH;
                        member.previous_epoch = LEAVE_EPOCH;
                        member.assigned.clear();
                    }
                }
            },
            ShareRecord::StatePartitions(value) => {
                self.state_partitions = value.map(StatePartitions::from_value);
            }
        }
    }

    fn member(&mut self, id: &str) -> &mut ShareMember {
        let member = self.members.entry(id.into());
        member.or_insert_with(|| ShareMember::new(id))
    }

    /// Panics if the state contradicts itself.
    pub fn check(&self, id: &str) {
        for member in self.members.values() {
            assert!(member.epoch <= self.epoch, "{} is ahead of {id}", member.id);
        }
    }
}
