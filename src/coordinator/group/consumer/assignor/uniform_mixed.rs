//! `uniform` where members subscribe to different topics: as balanced as the subscriptions allow,
//! moving partitions topic by topic from those that have most to those that have least.
use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::balancer::Balancer;
use super::{GroupSpec, MemberSpec};
use crate::coordinator::group::consumer::member::Partitions;
use crate::protocol::Uuid;

/// Overlapping subscriptions can need many rounds; each about halves the imbalance.
const ROUNDS_MAX: usize = 16;

struct Topic {
    id: Uuid,
    /// Indexes of members, ascending.
    subscribers: Vec<usize>,
    /// By partition.
    owners: Vec<Option<usize>>,
}

pub fn assign(group: &GroupSpec) -> BTreeMap<String, Partitions> {
    let members: Vec<(&String, &MemberSpec)> = group.members.iter().collect();
    let mut loads = vec![0; members.len()];
    let mut topics = topics(group, &members);
    for (index, (_, member)) in members.iter().enumerate() {
        for (id, partitions) in &member.assigned {
            if let Some(topic) = topics.get_mut(id).filter(|_| member.topics.contains(id)) {
                for partition in partitions {
                    topic.give(*partition, index, &mut loads);
                }
            }
        }
    }
    let mut topics: Vec<Topic> = topics.into_values().collect();
    topics.sort_by(by_partitions_per_subscriber);
    for topic in &mut topics {
        topic.assign_rest(&mut loads);
    }
    balance(&mut topics, &mut loads);
    collect(&members, &topics)
}

fn topics(group: &GroupSpec, members: &[(&String, &MemberSpec)]) -> BTreeMap<Uuid, Topic> {
    let mut topics: BTreeMap<Uuid, Topic> = BTreeMap::new();
    for (index, (_, member)) in members.iter().enumerate() {
        for id in &*member.topics {
            let topic = topics.entry(*id).or_insert_with(|| Topic {
                id: *id,
                subscribers: Vec::new(),
                owners: vec![None; usize::try_from(group.partition_count(id)).unwrap_or(0)],
            });
            topic.subscribers.push(index);
        }
    }
    topics
}

/// Most partitions per subscriber first, then fewest subscribers, then by id as Java compares them.
fn by_partitions_per_subscriber(a: &Topic, b: &Topic) -> Ordering {
    let key = |topic: &Topic| (topic.id.as_u128() >> 64) as i64;
    let per_subscriber = |topic: &Topic, of: &Topic| topic.owners.len() * of.subscribers.len();
    per_subscriber(b, a)
        .cmp(&per_subscriber(a, b))
        .then_with(|| a.subscribers.len().cmp(&b.subscribers.len()))
        .then_with(|| key(a).cmp(&key(b)))
        .then_with(|| (a.id.as_u128() as i64).cmp(&(b.id.as_u128() as i64)))
}

/// Round after round over all topics, until one has changed nothing.
fn balance(topics: &mut [Topic], loads: &mut [i64]) {
    let mut shared: Vec<&mut Topic> = topics
        .iter_mut()
        .filter(|topic| topic.subscribers.len() >= 2)
        .collect();
    let mut last_changed = None;
    for _ in 0..ROUNDS_MAX {
        for (index, topic) in shared.iter_mut().enumerate() {
            if last_changed == Some(index) {
                return;
            }
            if topic.balance(loads) > 0 || last_changed.is_none() {
                last_changed = Some(index);
            }
        }
    }
}

fn collect(members: &[(&String, &MemberSpec)], topics: &[Topic]) -> BTreeMap<String, Partitions> {
    let mut assignment: Vec<Partitions> = vec![Partitions::new(); members.len()];
    for topic in topics {
        for (partition, owner) in (0..).zip(&topic.owners) {
            if let Some(own) = owner.and_then(|owner| assignment.get_mut(owner)) {
                own.entry(topic.id).or_default().insert(partition);
            }
        }
    }
    let ids = members.iter().map(|(id, _)| (*id).clone());
    ids.zip(assignment).collect()
}

impl Topic {
    /// A partition that is gone is not given.
    fn give(&mut self, partition: i32, member: usize, loads: &mut [i64]) {
        let owner = usize::try_from(partition).ok();
        let Some(owner) = owner.and_then(|partition| self.owners.get_mut(partition)) else {
            return;
        };
        let before = owner.replace(member);
        if let Some(load) = before.and_then(|before| loads.get_mut(before)) {
            *load -= 1;
        }
        if let Some(load) = loads.get_mut(member) {
            *load += 1;
        }
    }

    fn assign_rest(&mut self, loads: &mut [i64]) {
        let free = |(partition, owner): (i32, &Option<usize>)| owner.is_none().then_some(partition);
        let free: Vec<i32> = (0..).zip(&self.owners).filter_map(free).collect();
        let Some(mut balancer) = Balancer::new(&self.subscribers, loads) else {
            return;
        };
        for partition in free {
            if let Some(member) = balancer.next_least_loaded(loads) {
                self.give(partition, member, loads);
            }
        }
    }

    /// Moves partitions until the loads of the subscribers differ by one at most, as far as this
    /// topic's partitions can do that; how many it moved.
    fn balance(&mut self, loads: &mut [i64]) -> usize {
        let load = |member: &usize| loads.get(*member).copied().unwrap_or(0);
        let least = self.subscribers.iter().map(load).min().unwrap_or(0);
        let most = self.subscribers.iter().map(load).max().unwrap_or(0);
        if most - least <= 1 {
            return 0;
        }
        let Some(mut balancer) = Balancer::new(&self.subscribers, loads) else {
            return 0;
        };
        let mut owned: BTreeMap<usize, Vec<i32>> = BTreeMap::new();
        for (partition, owner) in (0..).zip(&self.owners) {
            if let Some(owner) = owner {
                owned.entry(*owner).or_default().push(partition);
            }
        }
        let mut moved = 0;
        while !balancer.is_balanced() {
            let Some(partition) = take_from_most_loaded(&mut balancer, &mut owned, loads) else {
                break;
            };
            let Some(receiver) = balancer.next_least_loaded(loads) else {
                break;
            };
            if balancer.is_balanced() {
                break;
            }
            self.give(partition, receiver, loads);
            moved += 1;
        }
        moved
    }
}

/// The last of its partitions that the most loaded member can give up. What was given to a member
/// in this round stays with it.
fn take_from_most_loaded(
    balancer: &mut Balancer,
    owned: &mut BTreeMap<usize, Vec<i32>>,
    loads: &[i64],
) -> Option<i32> {
    loop {
        let member = balancer.next_most_loaded(loads)?;
        match owned.get_mut(&member).and_then(Vec::pop) {
            Some(partition) => return Some(partition),
            None => balancer.exclude_most_loaded(),
        }
    }
}
