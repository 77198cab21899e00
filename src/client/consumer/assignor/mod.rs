//! Partition assignors of classic groups: pure functions from subscriptions to assignments, with
//! the results of Kafka's own.
mod sticky;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::client::TopicPartition;
use crate::client::config::AssignorKind;

/// What the group's leader knows about a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberSubscription {
    pub group_instance_id: Option<String>,
    pub topics: Vec<Arc<str>>,
    /// What it had when it joined.
    pub owned: Vec<TopicPartition>,
    /// The generation in which it had it; −1 if unknown.
    pub generation: i32,
}

/// Members by their id.
pub type Members = BTreeMap<String, MemberSubscription>;
/// Partitions by member id.
pub type Assignment = BTreeMap<String, Vec<TopicPartition>>;

impl AssignorKind {
    /// The name that members agree on.
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// Whether members keep their partitions while they rejoin (KIP-429).
    pub fn is_cooperative(self) -> bool {
        self == Self::CooperativeSticky
    }

    /// Assigns every partition of the subscribed topics; `counts` holds the partitions of the
    /// topics that exist.
    pub fn assign(self, members: &Members, counts: &BTreeMap<Arc<str>, usize>) -> Assignment {
        match self {
            Self::Range => range(members, counts),
            Self::RoundRobin => round_robin(members, counts),
            Self::Sticky => sticky::assign(members, counts),
            Self::CooperativeSticky => {
                let wanted = sticky::assign(members, counts);
                sticky::withhold_moving(members, wanted)
            }
        }
    }
}

/// Members in Kafka's order: static ones by their instance id, then the others by member id.
fn in_order(members: &Members) -> Vec<&String> {
    let mut ids: Vec<(&String, &MemberSubscription)> = members.iter().collect();
    ids.sort_by_key(|(id, member)| {
        let instance = member.group_instance_id.as_ref();
        (instance.is_none(), instance, *id)
    });
    ids.into_iter().map(|(id, _)| id).collect()
}

fn nothing(members: &Members) -> Assignment {
    members.keys().map(|id| (id.clone(), Vec::new())).collect()
}

/// Topics that somebody subscribed to and that exist.
fn topics<'a>(
    members: &'a Members,
    counts: &'a BTreeMap<Arc<str>, usize>,
) -> BTreeMap<&'a Arc<str>, usize> {
    let subscribed: BTreeSet<&Arc<str>> = members.values().flat_map(|m| &m.topics).collect();
    let existing = subscribed.into_iter();
    existing
        .filter_map(|topic| Some((topic, *counts.get(topic)?)))
        .collect()
}

/// Neighbouring partitions of each topic by themselves; the first members get one more.
fn range(members: &Members, counts: &BTreeMap<Arc<str>, usize>) -> Assignment {
    let mut assignment = nothing(members);
    let ordered = in_order(members);
    for (topic, count) in topics(members, counts) {
        let takers: Vec<_> = ordered
            .iter()
            .filter(|id| {
                members
                    .get(**id)
                    .is_some_and(|member| member.topics.contains(topic))
            })
            .collect();
        let (each, extra) = (count / takers.len().max(1), count % takers.len().max(1));
        let mut from = 0;
        for (turn, id) in takers.into_iter().enumerate() {
            let to = from + each + usize::from(turn < extra);
            let share = (from..to).map(|index| TopicPartition::new(topic.clone(), index as i32));
            assignment.entry((*id).clone()).or_default().extend(share);
            from = to;
        }
    }
    assignment
}

/// All partitions in a row, to the members in turn.
fn round_robin(members: &Members, counts: &BTreeMap<Arc<str>, usize>) -> Assignment {
    let mut assignment = nothing(members);
    let ordered = in_order(members);
    let mut turn = ordered.iter().cycle();
    for (topic, count) in topics(members, counts) {
        for index in 0..count {
            // Somebody subscribed to the topic, so the search ends within one round.
            let taker = turn.by_ref().take(ordered.len()).find(|id| {
                members
                    .get(**id)
                    .is_some_and(|member| member.topics.contains(topic))
            });
            if let Some(id) = taker {
                let partition = TopicPartition::new(topic.clone(), index as i32);
                assignment.entry((*id).clone()).or_default().push(partition);
            }
        }
    }
    assignment
}

#[cfg(test)]
mod tests;
