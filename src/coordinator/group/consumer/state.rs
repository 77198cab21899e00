//! A consumer group as its records add up to it: the durable half, changed by replay alone.
use std::collections::{BTreeMap, BTreeSet};

use super::member::{ConsumerMember, EpochPartitions, LEAVE_EPOCH, MemberState, Partitions};
use super::record::ConsumerRecord;
use crate::coordinator::group::record::GroupRecord;
use crate::protocol::{ErrorCode, Uuid};

/// OffsetCommit below it has no member epochs.
const MEMBER_EPOCH_FROM: i16 = 9;

/// The topics that a regular expression matched, and when they were looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRegex {
    pub topics: BTreeSet<String>,
    /// The metadata offset at which it was resolved.
    pub version: i64,
    pub timestamp_ms: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerGroup {
    pub epoch: i32,
    pub metadata_hash: i64,
    pub assignment_epoch: i32,
    /// 0: it has none yet.
    pub assignment_timestamp_ms: i64,
    pub members: BTreeMap<String, ConsumerMember>,
    /// Member ids by instance id.
    pub static_members: BTreeMap<String, String>,
    pub target: BTreeMap<String, Partitions>,
    pub regexes: BTreeMap<String, ResolvedRegex>,
    /// The epoch of whoever owns a partition, or is giving it up.
    partition_epochs: EpochPartitions,
    /// A Kafka before 4.1 wrote its topics' metadata; that record is to be removed.
    pub has_topic_metadata: bool,
}

impl Default for ConsumerGroup {
    fn default() -> Self {
        ConsumerGroup {
            epoch: 1,
            metadata_hash: 0,
            assignment_epoch: 1,
            assignment_timestamp_ms: 0,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            target: BTreeMap::new(),
            regexes: BTreeMap::new(),
            partition_epochs: EpochPartitions::new(),
            has_topic_metadata: false,
        }
    }
}

impl ConsumerGroup {
    pub fn state(&self) -> &'static str {
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.assignment_epoch {
            "Assigning"
        } else if self
            .members
            .values()
            .all(|member| member.is_reconciled_to(self.assignment_epoch))
        {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    pub fn static_member(&self, instance_id: Option<&str>) -> Option<&ConsumerMember> {
        let id = self.static_members.get(instance_id?)?;
        self.members.get(id)
    }

    /// What the member is to own; of a static member, whatever its id was before.
    pub fn target_of(&self, member_id: &str, instance_id: Option<&str>) -> Partitions {
        let id = match instance_id {
            None => Some(member_id),
            Some(instance) => self.static_members.get(instance).map(String::as_str),
        };
        id.and_then(|id| self.target.get(id))
            .cloned()
            .unwrap_or_default()
    }

    pub fn is_owned(&self, topic: Uuid, partition: i32) -> bool {
        let topic = self.partition_epochs.get(&topic);
        topic.is_some_and(|partitions| partitions.contains_key(&partition))
    }

    pub fn regex_subscribers(&self, regex: &str) -> usize {
        let subscribed = |member: &&ConsumerMember| member.regex() == Some(regex);
        self.members.values().filter(subscribed).count()
    }

    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        let by_name = |member: &ConsumerMember| member.topic_names.contains(topic);
        let by_regex = |regex: &ResolvedRegex| regex.topics.contains(topic);
        self.members.values().any(by_name) || self.regexes.values().any(by_regex)
    }

    pub fn classic_member_count(&self) -> usize {
        let classic = |member: &&ConsumerMember| member.uses_classic_protocol();
        self.members.values().filter(classic).count()
    }

    /// The assignor most members ask for; among equals the first by name.
    pub fn preferred_assignor<'a>(
        members: impl Iterator<Item = &'a ConsumerMember>,
    ) -> Option<&'a str> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for name in members.filter_map(|member| member.server_assignor.as_deref()) {
            *votes.entry(name).or_default() += 1;
        }
        let best = votes
            .iter()
            .max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0)));
        best.map(|(name, _)| *name)
    }

    /// Whether the member may commit offsets for all of `partitions`.
    ///
    /// With an older epoch than it has now, it may for those that it has owned since then.
    pub fn validate_commit<'a>(
        &self,
        api_version: i16,
        member_id: &str,
        epoch: i32,
        mut partitions: impl Iterator<Item = (Uuid, i32)> + 'a,
    ) -> Result<(), ErrorCode> {
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(member_id);
        let member = member.ok_or(ErrorCode::UnknownMemberId)?;
        if !member.uses_classic_protocol() && api_version < MEMBER_EPOCH_FROM {
            return Err(ErrorCode::UnsupportedVersion);
        }
        let owned_since = |(topic, partition)| {
            let assigned_at = member.assignment_epoch(topic, partition);
            assigned_at.is_some_and(|assigned_at| epoch >= assigned_at)
        };
        if epoch == member.epoch || epoch < member.epoch && partitions.all(owned_since) {
            Ok(())
        } else {
            Err(member.stale_epoch_error())
        }
    }

    pub fn validate_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        let Some(member_id) = member_id else {
            return match epoch {
                ..0 => Ok(()),
                _ => Err(ErrorCode::UnknownMemberId),
            };
        };
        let member = self.members.get(member_id);
        let member = member.ok_or(ErrorCode::UnknownMemberId)?;
        if member.epoch == epoch {
            Ok(())
        } else {
            Err(member.stale_epoch_error())
        }
    }

    /// Tombstones for everything that is stored, the group itself last.
    pub fn tombstones(&self, group: &str) -> Vec<GroupRecord> {
        let mut records = Vec::new();
        let each = |at: usize, records: &mut Vec<GroupRecord>| {
            for id in self.members.keys() {
                records.extend(
                    ConsumerRecord::member_tombstones(id)
                        .into_iter()
                        .nth(at)
                        .map(|record| record.of(group)),
                );
            }
        };
        each(0, &mut records);
        each(1, &mut records);
        records.push(ConsumerRecord::TargetEpoch(None).of(group));
        each(2, &mut records);
        let regexes = self.regexes.keys();
        records.extend(regexes.map(|regex| ConsumerRecord::regex_tombstone(regex).of(group)));
        records.push(ConsumerRecord::TopicMetadata(None).of(group));
        records.push(ConsumerRecord::Epoch(None).of(group));
        records
    }

    /// Applies a record; the tombstone of the group's epoch is the caller's matter.
    pub fn apply(&mut self, record: ConsumerRecord) {
        match record {
            ConsumerRecord::Epoch(Some(value)) => {
                self.epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
            }
            ConsumerRecord::Epoch(None) => {}
            ConsumerRecord::TopicMetadata(value) => self.has_topic_metadata = value.is_some(),
            ConsumerRecord::Member { id, value } => match value {
                Some(value) => self.update(&id, |member| member.update_with_metadata(value)),
                None => self.remove(&id),
            },
            ConsumerRecord::TargetEpoch(value) => {
                let value = value.map(|value| (value.assignment_epoch, value.assignment_timestamp));
                (self.assignment_epoch, self.assignment_timestamp_ms) = value.unwrap_or((-1, 0));
            }
            ConsumerRecord::Target { member, value } => match value {
                Some(value) => {
                    let topics = value.topic_partitions.into_iter();
                    let topics = topics.map(|t| (t.topic_id, t.partitions.into_iter().collect()));
                    self.target.insert(member, topics.collect());
                }
                None => drop(self.target.remove(&member)),
            },
            ConsumerRecord::Assignment { member, value } => match value {
                Some(value) => self.update(&member, |m| m.update_with_assignment(&value)),
                None if self.members.contains_key(&member) => self.update(&member, |member| {
                    member.epoch = LEAVE_EPOCH;
                    member.previous_epoch = LEAVE_EPOCH;
                    member.assigned.clear();
                    member.revoking.clear();
                }),
                None => {}
            },
            ConsumerRecord::Regex { regex, value } => match value {
                Some(value) => {
                    let resolved = ResolvedRegex {
                        topics: value.topics.into_iter().collect(),
                        version: value.version,
                        timestamp_ms: value.timestamp,
                    };
                    self.regexes.insert(regex, resolved);
                }
                None => drop(self.regexes.remove(&regex)),
            },
        }
    }

    fn update(&mut self, id: &str, change: impl FnOnce(&mut ConsumerMember)) {
        let mut member = match self.members.remove(id) {
            Some(member) => member,
            None => ConsumerMember::new(id),
        };
        self.release_partitions(&member);
        change(&mut member);
        for (topic, partitions) in member.assigned.iter().chain(&member.revoking) {
            let epochs = self.partition_epochs.entry(*topic).or_default();
            for partition in partitions.keys() {
                let epoch = epochs.entry(*partition).or_insert(member.epoch);
                *epoch = member.epoch.max(*epoch);
            }
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), id.into());
        }
        self.members.insert(id.into(), member);
    }

    fn remove(&mut self, id: &str) {
        let Some(member) = self.members.remove(id) else {
            return;
        };
        self.release_partitions(&member);
        if let Some(instance_id) = &member.instance_id
            && self
                .static_members
                .get(instance_id)
                .is_some_and(|owner| owner == id)
        {
            self.static_members.remove(instance_id);
        }
    }

    /// Partitions that are owned at another epoch have gone to somebody else already.
    fn release_partitions(&mut self, member: &ConsumerMember) {
        for (topic, partitions) in member.assigned.iter().chain(&member.revoking) {
            let Some(epochs) = self.partition_epochs.get_mut(topic) else {
                continue;
            };
            for partition in partitions.keys() {
                if epochs.get(partition) == Some(&member.epoch) {
                    epochs.remove(partition);
                }
            }
            if epochs.is_empty() {
                self.partition_epochs.remove(topic);
            }
        }
    }
}

impl ConsumerMember {
    pub(super) fn stale_epoch_error(&self) -> ErrorCode {
        match self.uses_classic_protocol() {
            true => ErrorCode::IllegalGeneration,
            false => ErrorCode::StaleMemberEpoch,
        }
    }

    /// Whether it waits for partitions that others have not given up.
    pub fn waits_for_release(&self, group: &ConsumerGroup) -> bool {
        let target = group.target.get(&self.id).into_iter().flatten();
        let is_owned_by_another = |(topic, partitions): (&Uuid, &BTreeSet<i32>)| {
            let own = self.assigned.get(topic);
            let has = |partition| own.is_some_and(|own| own.contains_key(partition));
            let mut missing = partitions.iter().filter(|partition| !has(partition));
            missing.any(|partition| group.is_owned(*topic, *partition))
        };
        self.state == MemberState::UnreleasedPartitions
            && target.into_iter().any(is_owned_by_another)
    }
}

impl ConsumerGroup {
    /// Panics if the state contradicts itself.
    pub fn check(&self, id: &str) {
        let mut owners: BTreeMap<(Uuid, i32), &str> = BTreeMap::new();
        for member in self.members.values() {
            for (topic, partitions) in member.assigned.iter().chain(&member.revoking) {
                for partition in partitions.keys() {
                    let other = owners.insert((*topic, *partition), &member.id);
                    assert_eq!(other, None, "{topic}-{partition} of {id} has two owners");
                    assert!(
                        self.is_owned(*topic, *partition),
                        "{topic}-{partition} of {id}"
                    );
                }
            }
            assert!(member.epoch <= self.epoch, "{} is ahead of {id}", member.id);
            if let Some(instance) = &member.instance_id {
                assert_eq!(self.static_members.get(instance), Some(&member.id), "{id}");
            }
        }
        let epochs = self
            .partition_epochs
            .values()
            .map(BTreeMap::len)
            .sum::<usize>();
        assert_eq!(epochs, owners.len(), "partitions of {id} that nobody owns");
        let mut targets = BTreeSet::new();
        for (topic, partitions) in self.target.values().flatten() {
            for partition in partitions {
                assert!(
                    targets.insert((*topic, *partition)),
                    "{topic}-{partition} of {id}"
                );
            }
        }
    }
}
