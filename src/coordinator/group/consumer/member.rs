//! A member of a consumer group as the log knows it: what it asked for, where it is on its way to
//! the target assignment, and which epoch each of its partitions was assigned in (KIP-1251).
use std::collections::{BTreeMap, BTreeSet};

use crate::protocol::Uuid;
use crate::protocol::records::group::consumer_group_current_member_assignment_value::TopicPartitions;
use crate::protocol::records::group::consumer_group_member_metadata_value::ClassicMemberMetadata;
use crate::protocol::records::group::{
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataValue,
};

/// Partitions by topic.
pub type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;
/// Partitions by topic, each with the member epoch in which it was assigned.
pub type EpochPartitions = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// A member leaves for good with it, and is written with it while its records are removed.
pub const LEAVE_EPOCH: i32 = -1;
/// A static member leaves for a while with it.
pub const STATIC_LEAVE_EPOCH: i32 = -2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// It owns what it should at its epoch.
    Stable,
    /// It has to give partitions up before it goes on.
    UnrevokedPartitions,
    /// It waits for partitions that others still own.
    UnreleasedPartitions,
    /// Written by a Kafka that knows more states.
    Unknown,
}

impl MemberState {
    pub fn code(self) -> i8 {
        match self {
            MemberState::Stable => 0,
            MemberState::UnrevokedPartitions => 1,
            MemberState::UnreleasedPartitions => 2,
            MemberState::Unknown => 127,
        }
    }

    pub fn from_code(code: i8) -> MemberState {
        match code {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            2 => MemberState::UnreleasedPartitions,
            _ => MemberState::Unknown,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerMember {
    pub id: String,
    pub epoch: i32,
    pub previous_epoch: i32,
    pub state: MemberState,
    pub instance_id: Option<String>,
    pub rack_id: Option<String>,
    pub rebalance_timeout_ms: i32,
    pub client_id: String,
    pub client_host: String,
    pub topic_names: BTreeSet<String>,
    /// Empty or absent: it subscribes by name alone.
    pub topic_regex: Option<String>,
    pub server_assignor: Option<String>,
    pub assigned: EpochPartitions,
    pub revoking: EpochPartitions,
    /// What a member that speaks the classic protocol said when it joined.
    pub classic: Option<ClassicMemberMetadata>,
}

impl ConsumerMember {
    pub fn new(id: &str) -> ConsumerMember {
        ConsumerMember {
            id: id.into(),
            epoch: 0,
            previous_epoch: -1,
            state: MemberState::Stable,
            instance_id: None,
            rack_id: None,
            rebalance_timeout_ms: -1,
            client_id: String::new(),
            client_host: String::new(),
            topic_names: BTreeSet::new(),
            topic_regex: Some(String::new()),
            server_assignor: None,
            assigned: EpochPartitions::new(),
            revoking: EpochPartitions::new(),
            classic: None,
        }
    }

    pub fn uses_classic_protocol(&self) -> bool {
        self.classic.is_some()
    }

    /// The regular expression it subscribes to, if there is one.
    pub fn regex(&self) -> Option<&str> {
        self.topic_regex
            .as_deref()
            .filter(|regex| !regex.is_empty())
    }

    pub fn is_reconciled_to(&self, assignment_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == assignment_epoch
    }

    /// Moves to an epoch, be it the one it has: what was current is then previous.
    pub fn move_to_epoch(&mut self, epoch: i32) {
        self.previous_epoch = std::mem::replace(&mut self.epoch, epoch);
    }

    /// When the partition was assigned, if the member owns it or is giving it up.
    pub fn assignment_epoch(&self, topic: Uuid, partition: i32) -> Option<i32> {
        let find = |partitions: &EpochPartitions| partitions.get(&topic)?.get(&partition).copied();
        find(&self.assigned).or_else(|| find(&self.revoking))
    }

    pub fn update_with_metadata(&mut self, value: ConsumerGroupMemberMetadataValue) {
        self.instance_id = value.instance_id;
        self.rack_id = value.rack_id;
        self.client_id = value.client_id;
        self.client_host = value.client_host;
        self.topic_names = value.subscribed_topic_names.into_iter().collect();
        self.topic_regex = value.subscribed_topic_regex;
        self.rebalance_timeout_ms = value.rebalance_timeout_ms;
        self.server_assignor = value.server_assignor;
        self.classic = value.classic_member_metadata;
    }

    pub fn update_with_assignment(&mut self, value: &ConsumerGroupCurrentMemberAssignmentValue) {
        self.epoch = value.member_epoch;
        self.previous_epoch = value.previous_member_epoch;
        self.state = MemberState::from_code(value.state);
        self.assigned = with_epochs(&value.assigned_partitions, value.member_epoch);
        self.revoking = with_epochs(&value.partitions_pending_revocation, value.member_epoch);
    }

    pub fn metadata_value(&self) -> ConsumerGroupMemberMetadataValue {
        ConsumerGroupMemberMetadataValue {
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.topic_names.iter().cloned().collect(),
            subscribed_topic_regex: self.topic_regex.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            server_assignor: self.server_assignor.clone(),
            classic_member_metadata: self.classic.clone(),
            unknown_tags: Vec::new(),
        }
    }

    pub fn assignment_value(&self) -> ConsumerGroupCurrentMemberAssignmentValue {
        ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.state.code(),
            assigned_partitions: from_epochs(&self.assigned),
            partitions_pending_revocation: from_epochs(&self.revoking),
            unknown_tags: Vec::new(),
        }
    }
}

/// Before Kafka 4.3 there were no epochs: all partitions then count as assigned in the member's.
fn with_epochs(stored: &[TopicPartitions], member_epoch: i32) -> EpochPartitions {
    let topic = |topic: &TopicPartitions| {
        let epochs = topic.assignment_epochs.as_ref();
        let epochs = epochs.filter(|epochs| epochs.len() == topic.partitions.len());
        let epoch = |at: usize| epochs.and_then(|epochs| epochs.get(at).copied());
        let partitions = topic.partitions.iter().enumerate();
        let partitions = partitions
            .map(|(at, partition)| (*partition, epoch(at).unwrap_or(member_epoch.max(0))))
            .collect();
        (topic.topic_id, partitions)
    };
    stored.iter().map(topic).collect()
}

fn from_epochs(partitions: &EpochPartitions) -> Vec<TopicPartitions> {
    let topic = |(id, partitions): (&Uuid, &BTreeMap<i32, i32>)| TopicPartitions {
        topic_id: *id,
        partitions: partitions.keys().copied().collect(),
        assignment_epochs: Some(partitions.values().copied().collect()),
        unknown_tags: Vec::new(),
    };
    partitions.iter().map(topic).collect()
}

/// The partitions alone.
pub fn without_epochs(partitions: &EpochPartitions) -> Partitions {
    let topic = |(id, partitions): (&Uuid, &BTreeMap<i32, i32>)| {
        (*id, partitions.keys().copied().collect())
    };
    partitions.iter().map(topic).collect()
}
