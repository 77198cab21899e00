//! One step of a member towards its target assignment.
//!
//! ```text
//! Stable ──new target──▶ gives up what is not in it: UnrevokedPartitions, until it owns none of it
//!                        ▶ gets what is free: Stable, or UnreleasedPartitions until all of it is
//! ```
//! A partition is given to a member only when nobody owns it or is giving it up.
use std::collections::{BTreeMap, BTreeSet};

use super::member::{ConsumerMember, EpochPartitions, MemberState, Partitions};
use super::state::ConsumerGroup;
use crate::protocol::Uuid;

pub struct Reconciliation<'a> {
    pub group: &'a ConsumerGroup,
    pub target_epoch: i32,
    pub target: &'a Partitions,
    /// Ids of the topics that the member subscribes to, as it does from now on.
    pub subscribed: &'a BTreeSet<Uuid>,
    pub has_subscription_changed: bool,
    /// What the member says that it owns; `None`: it does not say.
    pub owned: Option<&'a Partitions>,
}

/// A member in a state that is not known here has to start over.
#[derive(Debug, PartialEq, Eq)]
pub struct MustRejoin;

impl Reconciliation<'_> {
    pub fn next(&self, member: &ConsumerMember) -> Result<ConsumerMember, MustRejoin> {
        if !self.has_subscription_changed && member.is_reconciled_to(self.target_epoch) {
            return Ok(member.clone());
        }
        match member.state {
            MemberState::Stable if member.epoch == self.target_epoch => {
                Ok(self.drop_unsubscribed(member))
            }
            MemberState::UnrevokedPartitions if self.owns_any(&member.revoking) => {
                Ok(match self.has_subscription_changed {
                    true => self.drop_unsubscribed(member),
                    false => member.clone(),
                })
            }
            MemberState::Stable
            | MemberState::UnrevokedPartitions
            | MemberState::UnreleasedPartitions => Ok(self.advance(member, member.epoch)),
            MemberState::Unknown => match self.owned {
                Some(owned) if owned.is_empty() => Ok(self.advance(member, self.target_epoch)),
                _ => Err(MustRejoin),
            },
        }
    }

    /// A member that does not say what it owns may own everything.
    fn owns_any(&self, partitions: &EpochPartitions) -> bool {
        let Some(owned) = self.owned else {
            return true;
        };
        owned.iter().any(|(topic, owned)| {
            let own = partitions.get(topic);
            own.is_some_and(|own| owned.iter().any(|partition| own.contains_key(partition)))
        })
    }

    /// Topics that it no longer subscribes to go at once, without waiting for a new target.
    fn drop_unsubscribed(&self, member: &ConsumerMember) -> ConsumerMember {
        let is_subscribed = |topic: &Uuid| self.subscribed.contains(topic);
        if member.assigned.keys().all(is_subscribed) {
            return member.clone();
        }
        let mut next = member.clone();
        let mut revoking = member.revoking.clone();
        next.assigned.retain(|topic, partitions| {
            if !is_subscribed(topic) {
                revoking
                    .entry(*topic)
                    .or_default()
                    .extend(partitions.iter());
            }
            is_subscribed(topic)
        });
        if !revoking.is_empty() && self.owns_any(&revoking) {
            next.state = MemberState::UnrevokedPartitions;
            next.revoking = revoking;
        }
        next.move_to_epoch(member.epoch);
        next
    }

    fn advance(&self, member: &ConsumerMember, epoch: i32) -> ConsumerMember {
        let mut assigned = EpochPartitions::new();
        let mut revoking = EpochPartitions::new();
        for (topic, partitions) in &member.assigned {
            let target = self.target_of(topic);
            let (keeps, gives_up): (BTreeMap<i32, i32>, BTreeMap<i32, i32>) = partitions
                .iter()
                .partition(|(partition, _)| target.is_some_and(|set| set.contains(partition)));
            insert_unless_empty(&mut assigned, *topic, keeps);
            insert_unless_empty(&mut revoking, *topic, gives_up);
        }
        let mut next = member.clone();
        if !revoking.is_empty() && self.owns_any(&revoking) {
            next.state = MemberState::UnrevokedPartitions;
            next.move_to_epoch(epoch);
            next.assigned = assigned;
            next.revoking = revoking;
            return next;
        }
        let waits = self.take_free(member, &mut assigned);
        next.state = match waits {
            true => MemberState::UnreleasedPartitions,
            false => MemberState::Stable,
        };
        next.move_to_epoch(self.target_epoch);
        next.assigned = assigned;
        next.revoking.clear();
        next
    }

    /// Adds what of the target nobody owns; whether there is more to come.
    fn take_free(&self, member: &ConsumerMember, assigned: &mut EpochPartitions) -> bool {
        let mut waits = false;
        for topic in self.target.keys() {
            let own = member.assigned.get(topic);
            let gives_up = member.revoking.get(topic);
            let has = |map: Option<&BTreeMap<i32, i32>>, partition: &i32| {
                map.is_some_and(|map| map.contains_key(partition))
            };
            for partition in self.target_of(topic).into_iter().flatten() {
                if has(own, partition) {
                    continue;
                }
                if self.group.is_owned(*topic, *partition) && !has(gives_up, partition) {
                    waits = true;
                } else {
                    let partitions = assigned.entry(*topic).or_default();
                    partitions.insert(*partition, self.target_epoch);
                }
            }
        }
        waits
    }

    fn target_of(&self, topic: &Uuid) -> Option<&BTreeSet<i32>> {
        self.target
            .get(topic)
            .filter(|_| self.subscribed.contains(topic))
    }
}

fn insert_unless_empty(all: &mut EpochPartitions, topic: Uuid, partitions: BTreeMap<i32, i32>) {
    if !partitions.is_empty() {
        all.insert(topic, partitions);
    }
}
