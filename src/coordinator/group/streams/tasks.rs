//! Tasks of a topology: sets of them, and sets that know the epoch in which each was assigned.
use std::collections::{BTreeMap, BTreeSet};

use crate::protocol::messages::streams_group_describe_response as described;
use crate::protocol::messages::streams_group_heartbeat_request as request;
use crate::protocol::messages::streams_group_heartbeat_response as response;
use crate::protocol::records::group::streams_group_current_member_assignment_value as current;
use crate::protocol::records::group::streams_group_target_assignment_member_value as target;

/// Partitions by subtopology: each pair names a task.
pub type TaskSet = BTreeMap<String, BTreeSet<i32>>;
/// Tasks, each with the member epoch in which it was assigned.
pub type EpochTaskSet = BTreeMap<String, BTreeMap<i32, i32>>;

/// What a member is to run, or says that it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tasks {
    pub active: TaskSet,
    pub standby: TaskSet,
    pub warmup: TaskSet,
}

/// What a member has been given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochTasks {
    pub active: EpochTaskSet,
    pub standby: TaskSet,
    pub warmup: TaskSet,
}

pub fn contains(tasks: &TaskSet, subtopology: &str, partition: i32) -> bool {
    let partitions = tasks.get(subtopology);
    partitions.is_some_and(|partitions| partitions.contains(&partition))
}

/// The tasks as pairs.
pub fn pairs(tasks: &TaskSet) -> impl Iterator<Item = (&str, i32)> {
    tasks.iter().flat_map(|(subtopology, partitions)| {
        partitions
            .iter()
            .map(|partition| (subtopology.as_str(), *partition))
    })
}

pub fn without_epochs(tasks: &EpochTaskSet) -> TaskSet {
    let plain = |(id, epochs): (&String, &BTreeMap<i32, i32>)| {
        (id.clone(), epochs.keys().copied().collect())
    };
    tasks.iter().map(plain).collect()
}

fn intersects(some: &TaskSet, others: &TaskSet) -> bool {
    pairs(some).any(|(subtopology, partition)| contains(others, subtopology, partition))
}

impl Tasks {
    pub fn is_empty(&self) -> bool {
        self.active.is_empty() && self.standby.is_empty() && self.warmup.is_empty()
    }

    /// What a member says that it runs; nothing if it does not say so of all kinds.
    pub fn of_request(
        active: Option<&[request::TaskIds]>,
        standby: Option<&[request::TaskIds]>,
        warmup: Option<&[request::TaskIds]>,
    ) -> Option<Tasks> {
        let set = |tasks: &[request::TaskIds]| {
            let mut set = TaskSet::new();
            for task in tasks {
                let partitions = set.entry(task.subtopology_id.clone()).or_default();
                partitions.extend(&task.partitions);
            }
            set
        };
        Some(Tasks {
            active: set(active?),
            standby: set(standby?),
            warmup: set(warmup?),
        })
    }

    pub fn has_any_of(&self, others: &EpochTasks) -> bool {
        intersects(&self.active, &without_epochs(&others.active))
            || intersects(&self.standby, &others.standby)
            || intersects(&self.warmup, &others.warmup)
    }

    pub fn is_within(&self, others: &EpochTasks) -> bool {
        let covers = |own: &TaskSet, others: &TaskSet| {
            let has_subtopology = own.keys().all(|id| others.contains_key(id));
            has_subtopology && pairs(own).all(|(id, partition)| contains(others, id, partition))
        };
        covers(&self.active, &without_epochs(&others.active))
            && covers(&self.standby, &others.standby)
            && covers(&self.warmup, &others.warmup)
    }

    pub fn from_value(value: target::StreamsGroupTargetAssignmentMemberValue) -> Tasks {
        let set = |tasks: Vec<target::TaskIds>| {
            let set = |task: target::TaskIds| {
                (task.subtopology_id, task.partitions.into_iter().collect())
            };
            tasks.into_iter().map(set).collect()
        };
        Tasks {
            active: set(value.active_tasks),
            standby: set(value.standby_tasks),
            warmup: set(value.warmup_tasks),
        }
    }

    pub fn to_value(&self) -> target::StreamsGroupTargetAssignmentMemberValue {
        let list = |tasks: &TaskSet| {
            let ids = |(id, partitions): (&String, &BTreeSet<i32>)| target::TaskIds {
                subtopology_id: id.clone(),
                partitions: partitions.iter().copied().collect(),
                unknown_tags: Vec::new(),
            };
            tasks.iter().map(ids).collect()
        };
        target::StreamsGroupTargetAssignmentMemberValue {
            active_tasks: list(&self.active),
            standby_tasks: list(&self.standby),
            warmup_tasks: list(&self.warmup),
            unknown_tags: Vec::new(),
        }
    }

    pub fn describe(&self) -> described::Assignment {
        described::Assignment {
            active_tasks: describe(&self.active),
            standby_tasks: describe(&self.standby),
            warmup_tasks: describe(&self.warmup),
        }
    }
}

fn describe(tasks: &TaskSet) -> Vec<described::TaskIds> {
    let ids = |(id, partitions): (&String, &BTreeSet<i32>)| described::TaskIds {
        subtopology_id: id.clone(),
        partitions: partitions.iter().copied().collect(),
    };
    tasks.iter().map(ids).collect()
}

/// Tasks as a heartbeat tells them.
pub fn told(tasks: &TaskSet) -> Vec<response::TaskIds> {
    let ids = |(id, partitions): (&String, &BTreeSet<i32>)| response::TaskIds {
        subtopology_id: id.clone(),
        partitions: partitions.iter().copied().collect(),
    };
    tasks.iter().map(ids).collect()
}

impl EpochTasks {
    pub fn is_empty(&self) -> bool {
        self.active.is_empty() && self.standby.is_empty() && self.warmup.is_empty()
    }

    pub fn plain(&self) -> Tasks {
        Tasks {
            active: without_epochs(&self.active),
            standby: self.standby.clone(),
            warmup: self.warmup.clone(),
        }
    }

    pub fn epoch_of(&self, subtopology: &str, partition: i32) -> Option<i32> {
        self.active.get(subtopology)?.get(&partition).copied()
    }

    pub fn add(&mut self, others: EpochTasks) {
        for (id, epochs) in others.active {
            self.active.entry(id).or_default().extend(epochs);
        }
        for (own, others) in [
            (&mut self.standby, others.standby),
            (&mut self.warmup, others.warmup),
        ] {
            for (id, partitions) in others {
                own.entry(id).or_default().extend(partitions);
            }
        }
    }

    /// Tasks that were stored without epochs count as assigned in the member's.
    pub fn from_lists(
        active: &[current::TaskIds],
        standby: &[current::TaskIds],
        warmup: &[current::TaskIds],
        member_epoch: i32,
    ) -> EpochTasks {
        let with_epochs = |task: &current::TaskIds| {
            let epochs = task.assignment_epochs.as_ref();
            let epochs = epochs.filter(|epochs| epochs.len() == task.partitions.len());
            let epoch = |at: usize| epochs.and_then(|epochs| epochs.get(at).copied());
            let partitions = task.partitions.iter().enumerate();
            let partitions =
                partitions.map(|(at, partition)| (*partition, epoch(at).unwrap_or(member_epoch)));
            (task.subtopology_id.clone(), partitions.collect())
        };
        let plain = |task: &current::TaskIds| {
            let partitions = task.partitions.iter().copied().collect();
            (task.subtopology_id.clone(), partitions)
        };
        EpochTasks {
            active: active.iter().map(with_epochs).collect(),
            standby: standby.iter().map(plain).collect(),
            warmup: warmup.iter().map(plain).collect(),
        }
    }

    pub fn active_list(&self) -> Vec<current::TaskIds> {
        let ids = |(id, epochs): (&String, &BTreeMap<i32, i32>)| current::TaskIds {
            subtopology_id: id.clone(),
            partitions: epochs.keys().copied().collect(),
            assignment_epochs: Some(epochs.values().copied().collect()),
            unknown_tags: Vec::new(),
        };
        self.active.iter().map(ids).collect()
    }
}

pub fn current_list(tasks: &TaskSet) -> Vec<current::TaskIds> {
    let ids = |(id, partitions): (&String, &BTreeSet<i32>)| current::TaskIds {
        subtopology_id: id.clone(),
        partitions: partitions.iter().copied().collect(),
        assignment_epochs: None,
        unknown_tags: Vec::new(),
    };
    tasks.iter().map(ids).collect()
}
