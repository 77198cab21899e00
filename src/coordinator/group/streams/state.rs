//! A streams group as its records add up to it: the durable half, changed by replay alone.
use std::collections::{BTreeMap, BTreeSet};

use super::member::{LEAVE_EPOCH, StreamsMember};
use super::record::StreamsRecord;
use super::tasks::{EpochTaskSet, TaskSet, Tasks, pairs, without_epochs};
use super::topology::Topology;
use crate::coordinator::group::record::GroupRecord;
use crate::protocol::ErrorCode;

/// OffsetCommit below it has no member epochs.
const MEMBER_EPOCH_FROM: i16 = 9;

/// The processes that run a task, and by how many members each.
type Processes = BTreeMap<String, BTreeMap<i32, BTreeMap<String, usize>>>;

#[derive(Clone, Debug, PartialEq)]
pub struct StreamsGroup {
    pub epoch: i32,
    pub metadata_hash: i64,
    /// The topology whose topics were found in order; -1: none.
    pub validated_topology_epoch: i32,
    /// What the assignor was configured with when the epoch was written.
    pub assignment_configs: BTreeMap<String, String>,
    pub assignment_epoch: i32,
    /// 0: it has none yet.
    pub assignment_timestamp_ms: i64,
    pub members: BTreeMap<String, StreamsMember>,
    pub target: BTreeMap<String, Tasks>,
    pub topology: Option<Topology>,
    active: Processes,
    standby: Processes,
    warmup: Processes,
}

impl Default for StreamsGroup {
    fn default() -> Self {
        StreamsGroup {
            epoch: 1,
            metadata_hash: 0,
            validated_topology_epoch: 0,
            assignment_configs: BTreeMap::new(),
            assignment_epoch: 1,
            assignment_timestamp_ms: 0,
            members: BTreeMap::new(),
            target: BTreeMap::new(),
            topology: None,
            active: Processes::new(),
            standby: Processes::new(),
            warmup: Processes::new(),
        }
    }
}

impl StreamsGroup {
    pub fn state(&self) -> &'static str {
        let is_validated = |topology: &Topology| topology.epoch() == self.validated_topology_epoch;
        let is_reconciled = |member: &StreamsMember| member.is_reconciled_to(self.assignment_epoch);
        if self.members.is_empty() {
            "Empty"
        } else if !self.topology.as_ref().is_some_and(is_validated) {
            "NotReady"
        } else if self.epoch > self.assignment_epoch {
            "Assigning"
        } else if self.members.values().all(is_reconciled) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    pub fn target_of(&self, member_id: &str) -> Tasks {
        self.target.get(member_id).cloned().unwrap_or_default()
    }

    pub fn is_active_anywhere(&self, subtopology: &str, partition: i32) -> bool {
        let processes = self.active.get(subtopology);
        processes.is_some_and(|tasks| tasks.contains_key(&partition))
    }

    /// Whether a member of the process keeps a copy of the task.
    pub fn is_copied_in(&self, process: &str, subtopology: &str, partition: i32) -> bool {
        is_in(&self.standby, process, subtopology, partition)
            || is_in(&self.warmup, process, subtopology, partition)
    }

    /// Whether a member of the process has the task, in whatever role.
    pub fn is_in_process(&self, process: &str, subtopology: &str, partition: i32) -> bool {
        is_in(&self.active, process, subtopology, partition)
            || self.is_copied_in(process, subtopology, partition)
    }

    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        let topology = self.topology.as_ref().filter(|_| !self.members.is_empty());
        topology.is_some_and(|topology| topology.subtopology_of(topic).is_some())
    }

    /// Whether the member may commit offsets for all of `partitions`, by topic name.
    ///
    /// With an older epoch than it has now, it may for tasks that it has had since then.
    pub fn validate_commit<'a>(
        &self,
        api_version: i16,
        member_id: &str,
        epoch: i32,
        mut partitions: impl Iterator<Item = (&'a str, i32)>,
    ) -> Result<(), ErrorCode> {
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(member_id);
        let member = member.ok_or(ErrorCode::UnknownMemberId)?;
        if api_version < MEMBER_EPOCH_FROM {
            return Err(ErrorCode::UnsupportedVersion);
        }
        let topology = self.topology.as_ref();
        let had_since = |(topic, partition): (&str, i32)| {
            let subtopology = topology.and_then(|topology| topology.subtopology_of(topic));
            let assigned_at = subtopology.and_then(|id| member.assignment_epoch(id, partition));
            assigned_at.is_some_and(|assigned_at| epoch >= assigned_at)
        };
        let may_be_older = topology.is_some() && epoch < member.epoch;
        if epoch == member.epoch || may_be_older && partitions.all(had_since) {
            Ok(())
        } else {
            Err(ErrorCode::StaleMemberEpoch)
        }
    }

    pub fn validate_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        let Some(member_id) = member_id else {
            return match epoch {
                ..0 => Ok(()),
                _ => Err(ErrorCode::UnknownMemberId),
            };
        };
        match self.members.get(member_id) {
            None => Err(ErrorCode::UnknownMemberId),
            Some(member) if member.epoch == epoch => Ok(()),
            Some(_) => Err(ErrorCode::StaleMemberEpoch),
        }
    }

    /// Tombstones for everything that is stored, the group's epoch before its topology.
    pub fn tombstones(&self, group: &str) -> Vec<GroupRecord> {
        let mut records = Vec::new();
        let each = |at: usize, records: &mut Vec<GroupRecord>| {
            for id in self.members.keys() {
                let tombstone = StreamsRecord::member_tombstones(id).into_iter().nth(at);
                records.extend(tombstone.map(|record| record.of(group)));
            }
        };
        each(0, &mut records);
        each(1, &mut records);
        records.push(StreamsRecord::TargetEpoch(None).of(group));
        each(2, &mut records);
        records.push(StreamsRecord::Epoch(None).of(group));
        records.push(StreamsRecord::Topology(None).of(group));
        records
    }

    /// Applies a record; the tombstone of the group's epoch is the caller's matter.
    pub fn apply(&mut self, record: StreamsRecord) {
        match record {
            StreamsRecord::Epoch(Some(value)) => {
                self.epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
                self.validated_topology_epoch = value.validated_topology_epoch;
                let configs = value
                    .last_assignment_configs
                    .unwrap_or_default()
                    .into_iter();
                let configs = configs.map(|config| (config.key, config.value));
                self.assignment_configs = configs.collect();
            }
            StreamsRecord::Epoch(None) => {}
            StreamsRecord::Topology(value) => self.topology = value.map(Topology::from_value),
            StreamsRecord::Member { id, value } => match value {
                Some(value) => self.update(&id, |member| member.update_with_metadata(value)),
                None => self.remove(&id),
            },
            StreamsRecord::TargetEpoch(value) => {
                let value = value.map(|value| (value.assignment_epoch, value.assignment_timestamp));
                (self.assignment_epoch, self.assignment_timestamp_ms) = value.unwrap_or((-1, 0));
            }
            StreamsRecord::Target { member, value } => match value {
                Some(value) => drop(self.target.insert(member, Tasks::from_value(value))),
                None => drop(self.target.remove(&member)),
            },
            StreamsRecord::Assignment { member, value } => match value {
                Some(value) => self.update(&member, |m| m.update_with_assignment(&value)),
                None if self.members.contains_key(&member) => self.update(&member, |member| {
                    member.epoch = LEAVE_EPOCH;
                    member.previous_epoch = LEAVE_EPOCH;
                    member.assigned = Default::default();
                    member.revoking = Default::default();
                }),
                None => {}
            },
        }
    }

    fn update(&mut self, id: &str, change: impl FnOnce(&mut StreamsMember)) {
        self.remove_tasks_of(id);
        let mut member = match self.members.remove(id) {
            Some(member) => member,
            None => StreamsMember::new(id),
        };
        change(&mut member);
        for tasks in [&member.assigned, &member.revoking] {
            let process = &member.process_id;
            count(&mut self.active, &without_epochs(&tasks.active), process);
            count(&mut self.standby, &tasks.standby, process);
            count(&mut self.warmup, &tasks.warmup, process);
        }
        self.members.insert(id.into(), member);
    }

    fn remove(&mut self, id: &str) {
        self.remove_tasks_of(id);
        self.members.remove(id);
    }

    fn remove_tasks_of(&mut self, id: &str) {
        let Some(member) = self.members.get(id) else {
            return;
        };
        for tasks in [&member.assigned, &member.revoking] {
            let process = &member.process_id;
            uncount(&mut self.active, &without_epochs(&tasks.active), process);
            uncount(&mut self.standby, &tasks.standby, process);
            uncount(&mut self.warmup, &tasks.warmup, process);
        }
    }
}

fn is_in(processes: &Processes, process: &str, subtopology: &str, partition: i32) -> bool {
    let tasks = processes.get(subtopology);
    let task = tasks.and_then(|tasks| tasks.get(&partition));
    task.is_some_and(|processes| processes.contains_key(process))
}

fn count(processes: &mut Processes, tasks: &TaskSet, process: &str) {
    for (subtopology, partition) in pairs(tasks) {
        let tasks = processes.entry(subtopology.into()).or_default();
        let task = tasks.entry(partition).or_default();
        *task.entry(process.into()).or_default() += 1;
    }
}

fn uncount(processes: &mut Processes, tasks: &TaskSet, process: &str) {
    for (subtopology, partition) in pairs(tasks) {
        let Some(tasks) = processes.get_mut(subtopology) else {
            continue;
        };
        if let Some(task) = tasks.get_mut(&partition) {
            if let Some(members) = task.get_mut(process) {
                *members -= 1;
            }
            task.retain(|_, members| *members > 0);
            if task.is_empty() {
                tasks.remove(&partition);
            }
        }
        if tasks.is_empty() {
            processes.remove(subtopology);
        }
    }
}

impl StreamsMember {
    fn active_tasks(&self) -> impl Iterator<Item = (&str, i32)> {
        let sets = [&self.assigned.active, &self.revoking.active];
        sets.into_iter().flat_map(|set: &EpochTaskSet| {
            set.iter().flat_map(|(subtopology, epochs)| {
                epochs
                    .keys()
                    .map(|partition| (subtopology.as_str(), *partition))
            })
        })
    }
}

#[cfg(test)]
impl StreamsMember {
    /// All tasks, in whatever role, whose stores are on the process's disk.
    pub fn all_tasks(&self) -> Vec<(String, i32)> {
        let tasks = [self.assigned.plain(), self.revoking.plain()];
        let sets = tasks
            .iter()
            .flat_map(|tasks| [&tasks.active, &tasks.standby, &tasks.warmup]);
        sets.flat_map(pairs)
            .map(|(subtopology, partition)| (subtopology.to_owned(), partition))
            .collect()
    }
}

impl StreamsGroup {
    /// Panics if the state contradicts itself.
    pub fn check(&self, id: &str) {
        let mut owners: BTreeMap<(&str, i32), &str> = BTreeMap::new();
        for member in self.members.values() {
            for (subtopology, partition) in member.active_tasks() {
                let other = owners.insert((subtopology, partition), &member.id);
                assert_eq!(other, None, "{subtopology}_{partition} of {id} runs twice");
                let runs = self.is_active_anywhere(subtopology, partition);
                assert!(runs, "{subtopology}_{partition} of {id}");
            }
            assert!(member.epoch <= self.epoch, "{} is ahead of {id}", member.id);
        }
        let active = self.active.values().map(BTreeMap::len).sum::<usize>();
        assert_eq!(active, owners.len(), "tasks of {id} that nobody runs");
        let mut targets = BTreeSet::new();
        for (subtopology, partition) in self.target.values().flat_map(|tasks| pairs(&tasks.active))
        {
            let is_new = targets.insert((subtopology, partition));
            assert!(is_new, "{subtopology}_{partition} of {id} is to run twice");
        }
    }
}
