//! What the log says about groups: the durable half of the state, changed by replay alone.
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::consumer::{ConsumerGroup, ConsumerRecord};
use super::offsets::{OffsetStore, StoredOffset};
use super::record::{GroupMetadataValue, GroupRecord, GroupType, ModernRecord, ModernValue};
use super::share::{ShareGroup, ShareRecord};
use crate::protocol::ErrorCode;

#[derive(Clone, Debug, PartialEq)]
pub enum StoredGroup {
    /// Offsets were committed under this id, but nobody ever joined.
    Simple,
    Classic(GroupMetadataValue),
    Consumer(ConsumerGroup),
    Share(ShareGroup),
    Modern(ModernGroup),
}

/// A streams group: enough to list it, to guard its offsets and to delete it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModernGroup {
    pub group_type: GroupType,
    pub epoch: i32,
    pub assignment_epoch: i32,
    validated_topology_epoch: i32,
    topology_epoch: Option<i32>,
    pub members: BTreeMap<String, ModernMember>,
    /// The keys that have a value in the log: what a deletion must write tombstones for, in the
    /// order of their types.
    pub live_keys: BTreeSet<(i16, Bytes)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModernMember {
    pub epoch: i32,
    is_stable: bool,
}

impl ModernGroup {
    fn new(group_type: GroupType) -> ModernGroup {
        ModernGroup {
            group_type,
            epoch: 0,
            assignment_epoch: 0,
            validated_topology_epoch: -1,
            topology_epoch: None,
            members: BTreeMap::new(),
            live_keys: BTreeSet::new(),
        }
    }

    pub fn protocol_type(&self) -> &'static str {
        match self.group_type {
            GroupType::Classic | GroupType::Consumer => "consumer",
            GroupType::Share => "share",
            GroupType::Streams => "streams",
        }
    }

    /// The state as Kafka derives it from epochs and members.
    pub fn state(&self) -> &'static str {
        if self.members.is_empty() {
            return "Empty";
        }
        let topology_is_valid = self.topology_epoch == Some(self.validated_topology_epoch);
        if self.group_type == GroupType::Streams && !topology_is_valid {
            return "NotReady";
        }
        if self.epoch > self.assignment_epoch {
            return "Assigning";
        }
        let reconciled =
            |member: &ModernMember| member.is_stable && member.epoch == self.assignment_epoch;
        if self.members.values().all(reconciled) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// An empty group of these kinds gives its id to whoever joins with the classic protocol.
    pub fn converts_to_classic(&self) -> bool {
        self.members.is_empty()
    }

    /// Empty groups go when their offsets have expired.
    pub fn may_expire(&self) -> bool {
        self.members.is_empty()
    }

    /// `knows_epochs`: the request's version has member epochs.
    pub fn validate_commit(
        &self,
        knows_epochs: bool,
        member_id: &str,
        epoch: i32,
    ) -> Result<(), ErrorCode> {
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self
            .members
            .get(member_id)
            .ok_or(ErrorCode::UnknownMemberId)?;
        match (knows_epochs, member.epoch == epoch) {
            (false, _) => Err(ErrorCode::UnsupportedVersion),
            (true, true) => Ok(()),
            (true, false) => Err(ErrorCode::StaleMemberEpoch),
        }
    }

    pub fn validate_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        let Some(member_id) = member_id.filter(|_| epoch >= 0) else {
            return Ok(());
        };
        let member = self
            .members
            .get(member_id)
            .ok_or(ErrorCode::UnknownMemberId)?;
        if member.epoch == epoch {
            Ok(())
        } else {
            Err(ErrorCode::StaleMemberEpoch)
        }
    }

    /// Which topics the members use is not read: while there are members, none of the offsets may
    /// go.
    pub fn validate_offset_delete(&self) -> Result<(), ErrorCode> {
        match self.members.is_empty() {
            true => Ok(()),
            false => Err(ErrorCode::NonEmptyGroup),
        }
    }

    pub fn validate_delete(&self) -> Result<(), ErrorCode> {
        match self.members.is_empty() {
            true => Ok(()),
            false => Err(ErrorCode::NonEmptyGroup),
        }
    }

    /// Tombstones for everything that is stored. The record that makes the group goes last, as in
    /// Kafka.
    pub fn tombstones(&self, group: &str) -> Vec<GroupRecord> {
        let tombstone = |(key_type, key): &(i16, Bytes)| {
            GroupRecord::Modern(ModernRecord {
                group_type: self.group_type,
                group: group.into(),
                key: key.clone(),
                key_type: *key_type,
                // Only replay asks for the member, and a group with members is not deleted.
                member_id: None,
                value: None,
            })
        };
        let (last, first): (Vec<_>, Vec<_>) = self
            .live_keys
            .iter()
            .partition(|(key_type, _)| makes_group(*key_type));
        first.into_iter().chain(last).map(tombstone).collect()
    }

    fn apply(&mut self, record: ModernRecord) {
        let ModernRecord {
            key,
            key_type,
            member_id,
            value,
            ..
        } = record;
        let Some(value) = value else {
            self.live_keys.remove(&(key_type, key));
            match (key_type, member_id) {
                (19, Some(member)) => drop(self.members.remove(&member)),
                (23, _) => self.topology_epoch = None,
                _ => {}
            }
            return;
        };
        self.live_keys.insert((key_type, key));
        match (value, member_id) {
            (
                ModernValue::Group {
                    epoch,
                    validated_topology_epoch,
                },
                _,
            ) => {
                self.epoch = epoch;
                self.validated_topology_epoch = validated_topology_epoch;
            }
            (ModernValue::TargetAssignment { epoch }, _) => self.assignment_epoch = epoch,
            (ModernValue::Topology { epoch }, _) => self.topology_epoch = Some(epoch),
            (ModernValue::Member, Some(member)) => {
                self.members.entry(member).or_default();
            }
            (
                ModernValue::CurrentAssignment {
                    member_epoch,
                    is_stable,
                },
                Some(member),
            ) => {
                self.members.insert(
                    member,
                    ModernMember {
                        epoch: member_epoch,
                        is_stable,
                    },
                );
            }
            _ => {}
        }
    }
}

/// The record without which there is no group: its tombstone removes the group.
fn makes_group(key_type: i16) -> bool {
    key_type == 17
}

/// Everything that the records of one `__consumer_offsets` partition add up to.
#[derive(Debug, Default, PartialEq)]
pub struct Stored {
    pub groups: BTreeMap<String, StoredGroup>,
    pub offsets: OffsetStore,
}

impl Stored {
    pub fn replay(&mut self, offset: i64, producer_id: Option<i64>, record: GroupRecord) {
        match record {
            GroupRecord::OffsetCommit {
                group,
                topic,
                partition,
                value: Some(committed),
            } => {
                // Whoever commits without joining makes a group by it.
                if !self.groups.contains_key(&group) {
                    self.groups.insert(group.clone(), StoredGroup::Simple);
                }
                let stored = StoredOffset {
                    committed,
                    record_offset: offset,
                };
                self.offsets
                    .commit(group, topic, partition, stored, producer_id);
            }
            GroupRecord::OffsetCommit {
                group,
                topic,
                partition,
                value: None,
            } => {
                self.offsets.remove(&group, &topic, partition);
            }
            GroupRecord::ClassicGroup {
                group,
                value: Some(value),
            } => {
                self.groups.insert(group, StoredGroup::Classic(value));
            }
            GroupRecord::ClassicGroup { group, value: None } => {
                let is_other = matches!(
                    self.groups.get(&group),
                    Some(StoredGroup::Modern(_) | StoredGroup::Consumer(_) | StoredGroup::Share(_))
                );
                if !is_other {
                    self.groups.remove(&group);
                }
            }
            GroupRecord::Consumer { group, record } => self.replay_consumer(group, record),
            GroupRecord::Share { group, record } => self.replay_share(group, record),
            GroupRecord::Modern(record) => self.replay_modern(record),
        }
    }

    pub fn end_transaction(&mut self, producer_id: i64, committed: bool) {
        self.offsets.end_transaction(producer_id, committed);
    }

    /// A tombstone makes no group: it is left over from one that is gone.
    fn replay_consumer(&mut self, id: String, record: ConsumerRecord) {
        if record == ConsumerRecord::Epoch(None) {
            if matches!(self.groups.get(&id), Some(StoredGroup::Consumer(_))) {
                self.groups.remove(&id);
            }
            return;
        }
        match self.groups.get_mut(&id) {
            Some(StoredGroup::Consumer(group)) => group.apply(record),
            _ if record.is_tombstone() => {}
            _ => {
                let mut group = ConsumerGroup::default();
                group.apply(record);
                self.groups.insert(id, StoredGroup::Consumer(group));
            }
        }
    }

    fn replay_share(&mut self, id: String, record: ShareRecord) {
        if record == ShareRecord::Epoch(None) {
            if matches!(self.groups.get(&id), Some(StoredGroup::Share(_))) {
                self.groups.remove(&id);
            }
            return;
        }
        match self.groups.get_mut(&id) {
            Some(StoredGroup::Share(group)) => group.apply(record),
            _ if record.is_tombstone() => {}
            _ => {
                let mut group = ShareGroup::default();
                group.apply(record);
                self.groups.insert(id, StoredGroup::Share(group));
            }
        }
    }

    fn replay_modern(&mut self, record: ModernRecord) {
        let group_type = record.group_type;
        let known = match self.groups.get_mut(&record.group) {
            Some(StoredGroup::Modern(group)) if group.group_type == group_type => Some(group),
            _ => None,
        };
        match (known, record.value.is_some()) {
            (Some(_), false) if makes_group(record.key_type) => {
                self.groups.remove(&record.group);
            }
            (Some(group), _) => group.apply(record),
            // Of a group that had offsets first, or whose older records are compacted away.
            (None, true) => {
                let mut group = ModernGroup::new(group_type);
                let id = record.group.clone();
                group.apply(record);
                self.groups.insert(id, StoredGroup::Modern(group));
            }
            (None, false) => {}
        }
    }
}
