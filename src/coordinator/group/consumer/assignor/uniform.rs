//! `uniform` where all members subscribe to the same topics: loads differ by at most one, and
//! within that members keep what they have.
use std::collections::{BTreeMap, BTreeSet};

use super::GroupSpec;
use crate::coordinator::group::consumer::member::Partitions;
use crate::protocol::Uuid;

pub fn assign(group: &GroupSpec) -> BTreeMap<String, Partitions> {
    let Some(topics) = group.members.values().next().map(|member| &member.topics) else {
        return BTreeMap::new();
    };
    let mut free = unassigned(group, topics);
    let total: usize = topics
        .iter()
        .map(|topic| usize::try_from(group.partition_count(topic)).unwrap_or(0))
        .sum();
    let members = group.members.len();
    let quota = total / members;
    // So many members get one more.
    let mut extras = total % members;
    let mut assignment = BTreeMap::new();
    let mut unfilled = Vec::new();
    for (index, (id, member)) in group.members.iter().enumerate() {
        let mut room = quota + usize::from(extras > 0);
        let mut takes_extra = extras > 0;
        let own = keep(&member.assigned, topics, &mut room, &mut free);
        // One that does not fill its extra leaves it to those that come, if there are enough.
        if room > 0 && takes_extra && members - index > extras {
            room -= 1;
            takes_extra = false;
        }
        extras -= usize::from(takes_extra);
        if room > 0 {
            unfilled.push((id.clone(), room));
        }
        assignment.insert(id.clone(), own);
    }
    let mut free = free.into_iter();
    for (id, room) in unfilled {
        let own: &mut Partitions = assignment.entry(id).or_default();
        for (topic, partition) in free.by_ref().take(room) {
            own.entry(topic).or_default().insert(partition);
        }
    }
    assignment
}

/// Partitions that no member had, in order.
fn unassigned(group: &GroupSpec, topics: &BTreeSet<Uuid>) -> Vec<(Uuid, i32)> {
    let mut assigned = BTreeSet::new();
    for (topic, partitions) in group.members.values().flat_map(|member| &member.assigned) {
        assigned.extend(partitions.iter().map(|partition| (*topic, *partition)));
    }
    let all = topics
        .iter()
        .flat_map(|topic| (0..group.partition_count(topic)).map(|partition| (*topic, partition)));
    all.filter(|partition| !assigned.contains(partition))
        .collect()
}

/// What a member keeps of what it has: its topics', as many as there is room for. The rest of them
/// becomes free.
fn keep(
    assigned: &Partitions,
    topics: &BTreeSet<Uuid>,
    room: &mut usize,
    free: &mut Vec<(Uuid, i32)>,
) -> Partitions {
    let mut kept = Partitions::new();
    for (topic, partitions) in assigned.iter().filter(|(topic, _)| topics.contains(topic)) {
        let mut partitions = partitions.iter().copied();
        let own: BTreeSet<i32> = partitions.by_ref().take(*room).collect();
        *room -= own.len();
        free.extend(partitions.map(|partition| (*topic, partition)));
        if !own.is_empty() {
            kept.insert(*topic, own);
        }
    }
    kept
}
