//! The sticky assignors: as even as can be, and as little moved as can be.
//!
//! When all members subscribe to the same topics this is Kafka's constrained algorithm: members
//! keep what they own up to their quota, and the rest fills up those who have least. Otherwise
//! partitions are given out greedily and then moved while that evens out the loads.
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::{Assignment, Members, nothing, topics};
use crate::client::TopicPartition;

/// Moves of one rebalance at most, for each partition: a bound on work, far above what evening
/// out takes.
const MOVES_PER_PARTITION: usize = 4;

pub fn assign(members: &Members, counts: &BTreeMap<Arc<str>, usize>) -> Assignment {
    if members.is_empty() {
        return Assignment::new();
    }
    let owned = current_owners(members, counts);
    let mut subscriptions = members
        .values()
        .map(|m| m.topics.iter().collect::<BTreeSet<_>>());
    let first = subscriptions.next();
    if subscriptions.all(|topics| Some(topics) == first) {
        constrained(members, counts, owned)
    } else {
        general(members, counts, owned)
    }
}

/// What each member owns and may keep: claims of an older generation lose, and a partition that
/// two claim in the same generation belongs to neither, as Kafka decides.
fn current_owners(members: &Members, counts: &BTreeMap<Arc<str>, usize>) -> Assignment {
    let newest = members.values().map(|m| m.generation).max().unwrap_or(-1);
    let mut claims: BTreeMap<&TopicPartition, Vec<&String>> = BTreeMap::new();
    for (id, member) in members
        .iter()
        .filter(|(_, member)| member.generation == newest)
    {
        for partition in &member.owned {
            claims.entry(partition).or_default().push(id);
        }
    }
    let mut owned = nothing(members);
    for (partition, claimants) in claims {
        let ([id], Ok(index)) = (claimants.as_slice(), usize::try_from(partition.partition)) else {
            continue;
        };
        let exists = counts
            .get(&partition.topic)
            .is_some_and(|count| index < *count);
        let wanted = members
            .get(*id)
            .is_some_and(|m| m.topics.contains(&partition.topic));
        if exists && wanted {
            owned
                .entry((*id).clone())
                .or_default()
                .push(partition.clone());
        }
    }
    owned
}

fn unassigned(
    members: &Members,
    counts: &BTreeMap<Arc<str>, usize>,
    assignment: &Assignment,
) -> Vec<TopicPartition> {
    let taken: BTreeSet<&TopicPartition> = assignment.values().flatten().collect();
    let all = topics(members, counts)
        .into_iter()
        .flat_map(|(topic, count)| {
            (0..count).map(move |index| TopicPartition::new(topic.clone(), index as i32))
        });
    all.filter(|partition| !taken.contains(partition)).collect()
}

/// All members subscribe to the same topics.
fn constrained(
    members: &Members,
    counts: &BTreeMap<Arc<str>, usize>,
    owned: Assignment,
) -> Assignment {
    let total: usize = topics(members, counts).values().sum();
    let least = total / members.len();
    let most = total.div_ceil(members.len());
    let above_least = total % members.len();
    let mut above = 0;
    let mut assignment = nothing(members);
    let (mut below, mut exactly) = (Vec::new(), VecDeque::new());
    for (id, mut partitions) in owned {
        if partitions.len() < least {
            below.push(id.clone());
        } else if partitions.len() >= most && above < above_least {
            above += 1;
            partitions.truncate(most);
            if partitions.len() == least {
                exactly.push_back(id.clone());
            }
        } else {
            partitions.truncate(least);
            exactly.push_back(id.clone());
        }
        assignment.insert(id, partitions);
    }
    // Those below the least take turns; then some may have one more.
    let mut waiting: VecDeque<String> = below.into();
    let mut exactly: VecDeque<String> = std::mem::take(&mut exactly);
    for partition in unassigned(members, counts, &assignment) {
        let id = match waiting.pop_front() {
            Some(id) => id,
            None => match exactly.pop_front() {
                Some(id) => id,
                None => break,
            },
        };
        let share = assignment.entry(id.clone()).or_default();
        share.push(partition);
        if share.len() < least {
            waiting.push_back(id);
        } else if share.len() == least {
            exactly.push_back(id);
        }
    }
    assignment
}

/// Members subscribe to different topics.
fn general(members: &Members, counts: &BTreeMap<Arc<str>, usize>, owned: Assignment) -> Assignment {
    let mut assignment = owned;
    let takes = |id: &String, partition: &TopicPartition| {
        members
            .get(id)
            .is_some_and(|member| member.topics.contains(&partition.topic))
    };
    let load = |assignment: &Assignment, id: &String| assignment.get(id).map_or(0, Vec::len);
    let mut left = unassigned(members, counts, &assignment);
    // Partitions that few can take go first.
    left.sort_by_key(|partition| members.keys().filter(|id| takes(id, partition)).count());
    for partition in left {
        let candidates = members.keys().filter(|id| takes(id, &partition));
        if let Some(id) = candidates.min_by_key(|id| load(&assignment, id)) {
            assignment.entry(id.clone()).or_default().push(partition);
        }
    }
    let partitions: usize = assignment.values().map(Vec::len).sum();
    for _ in 0..partitions * MOVES_PER_PARTITION {
        let Some((from, at, to)) = best_move(members, &assignment, &takes) else {
            break;
        };
        let moved = assignment.get_mut(&from).map(|share| share.remove(at));
        assignment.entry(to).or_default().extend(moved);
    }
    assignment
}

/// A move from a member to one that has at least two less, from the most loaded that has one.
fn best_move(
    members: &Members,
    assignment: &Assignment,
    takes: &impl Fn(&String, &TopicPartition) -> bool,
) -> Option<(String, usize, String)> {
    let mut givers: Vec<_> = assignment.iter().collect();
    givers.sort_by_key(|(_, share)| std::cmp::Reverse(share.len()));
    for (from, share) in givers {
        for (at, partition) in share.iter().enumerate() {
            let lighter = members.keys().filter(|id| {
                takes(id, partition) && assignment.get(*id).map_or(0, Vec::len) + 1 < share.len()
            });
            let to = lighter.min_by_key(|id| assignment.get(*id).map_or(0, Vec::len));
            if let Some(to) = to {
                return Some((from.clone(), at, to.clone()));
            }
        }
    }
    None
}

/// A partition that goes to another member is given to nobody yet: its owner gives it up in this
/// rebalance and it is assigned in the next.
pub fn withhold_moving(members: &Members, mut wanted: Assignment) -> Assignment {
    let newest = members.values().map(|m| m.generation).max().unwrap_or(-1);
    let mut owners: BTreeMap<&TopicPartition, &String> = BTreeMap::new();
    for (id, member) in members
        .iter()
        .filter(|(_, member)| member.generation == newest)
    {
        owners.extend(member.owned.iter().map(|partition| (partition, id)));
    }
    for (id, partitions) in &mut wanted {
        partitions.retain(|partition| owners.get(partition).is_none_or(|owner| *owner == id));
    }
    wanted
}
