//! One member's next step towards the target: give up, wait, take.
use std::collections::{BTreeMap, BTreeSet};

use super::member::{MemberState, StreamsMember};
use super::state::StreamsGroup;
use super::tasks::{EpochTasks, TaskSet, Tasks};

/// The member's state was written by a later Kafka: it has to start from nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MustRejoin;

pub struct Reconciliation<'a> {
    pub group: &'a StreamsGroup,
    pub target_epoch: i32,
    pub target: &'a Tasks,
    /// What the member says that it runs, if it does.
    pub owned: Option<&'a Tasks>,
}

impl Reconciliation<'_> {
    pub fn next(&self, member: &StreamsMember) -> Result<StreamsMember, MustRejoin> {
        match member.state {
            MemberState::Stable if member.epoch == self.target_epoch => Ok(member.clone()),
            MemberState::Stable | MemberState::UnreleasedTasks => {
                Ok(self.advance(member, member.epoch))
            }
            MemberState::UnrevokedTasks if self.may_run_any(&member.revoking) => Ok(member.clone()),
            MemberState::UnrevokedTasks => Ok(self.advance(member, member.epoch + 1)),
            MemberState::Unknown if self.owned.is_some_and(Tasks::is_empty) => {
                Ok(self.advance(member, self.target_epoch))
            }
            MemberState::Unknown => Err(MustRejoin),
        }
    }

    /// It says so, or does not say otherwise.
    fn may_run_any(&self, tasks: &EpochTasks) -> bool {
        self.owned.is_none_or(|owned| owned.has_any_of(tasks))
    }

    fn advance(&self, member: &StreamsMember, epoch: i32) -> StreamsMember {
        let mut step = Step::default();
        self.sort_active(member, &mut step);
        let process = member.process_id.as_str();
        let is_taken = |id: &str, partition| self.group.is_in_process(process, id, partition);
        let (kept, revoked) = (&mut step.kept, &mut step.revoked);
        for (current, target, kept, revoked, added) in [
            (
                &member.assigned.standby,
                &self.target.standby,
                &mut kept.standby,
                &mut revoked.standby,
                &mut step.added.standby,
            ),
            (
                &member.assigned.warmup,
                &self.target.warmup,
                &mut kept.warmup,
                &mut revoked.warmup,
                &mut step.added.warmup,
            ),
        ] {
            step.waits |= sort_copies(current, target, kept, revoked, added, is_taken);
        }
        let mut next = member.clone();
        if !step.revoked.is_empty() && self.may_run_any(&step.revoked) {
            next.state = MemberState::UnrevokedTasks;
            next.move_to_epoch(epoch);
            next.assigned = step.kept;
            next.revoking = step.revoked;
            return next;
        }
        next.state = match step.waits {
            true => MemberState::UnreleasedTasks,
            false => MemberState::Stable,
        };
        next.move_to_epoch(self.target_epoch);
        next.assigned = step.kept;
        next.assigned.add(step.added);
        next.revoking = EpochTasks::default();
        next
    }

    /// Active tasks wait until nobody runs them, and until the member's process has no copy.
    fn sort_active(&self, member: &StreamsMember, step: &mut Step) {
        let none = BTreeSet::new();
        for (id, epochs) in &member.assigned.active {
            let target = self.target.active.get(id).unwrap_or(&none);
            let (kept, revoked): (BTreeMap<i32, i32>, BTreeMap<i32, i32>) = epochs
                .iter()
                .partition(|(partition, _)| target.contains(partition));
            for (side, tasks) in [
                (&mut step.kept.active, kept),
                (&mut step.revoked.active, revoked),
            ] {
                if !tasks.is_empty() {
                    side.insert(id.clone(), tasks);
                }
            }
        }
        let process = member.process_id.as_str();
        for (id, partitions) in &self.target.active {
            for partition in partitions {
                if step.kept.epoch_of(id, *partition).is_some() {
                    continue;
                }
                if self.group.is_active_anywhere(id, *partition)
                    || self.group.is_copied_in(process, id, *partition)
                {
                    step.waits = true;
                } else {
                    let added = step.added.active.entry(id.clone()).or_default();
                    added.insert(*partition, self.target_epoch);
                }
            }
        }
    }
}

#[derive(Default)]
struct Step {
    kept: EpochTasks,
    revoked: EpochTasks,
    added: EpochTasks,
    waits: bool,
}

/// Copies wait until the member's process has the task in no role; whether some do.
fn sort_copies(
    current: &TaskSet,
    target: &TaskSet,
    kept: &mut TaskSet,
    revoked: &mut TaskSet,
    added: &mut TaskSet,
    is_taken: impl Fn(&str, i32) -> bool,
) -> bool {
    let none = BTreeSet::new();
    let mut waits = false;
    let ids: BTreeSet<&String> = current.keys().chain(target.keys()).collect();
    for id in ids {
        let current = current.get(id).unwrap_or(&none);
        let target = target.get(id).unwrap_or(&none);
        let missing: BTreeSet<i32> = target.difference(current).copied().collect();
        let (taken, free): (BTreeSet<i32>, BTreeSet<i32>) = missing
            .iter()
            .partition(|partition| is_taken(id, **partition));
        waits |= !taken.is_empty();
        for (side, tasks) in [
            (&mut *kept, current.intersection(target).copied().collect()),
            (&mut *revoked, current.difference(target).copied().collect()),
            (&mut *added, free),
        ] {
            let tasks: BTreeSet<i32> = tasks;
            if !tasks.is_empty() {
                side.insert(id.clone(), tasks);
            }
        }
    }
    waits
}
