//! The simple assignor: each partition goes to about as many members as every other, each member
//! gets about as many partitions as every other, and what was assigned stays where it can.
use std::collections::{BTreeMap, BTreeSet};

use super::state::SharePartitions;
use crate::protocol::Uuid;

pub const NAME: &str = "simple";

/// A member as the assignor sees it.
#[derive(Clone, Debug, Default)]
pub struct MemberSpec {
    pub topics: BTreeSet<Uuid>,
    /// Its last target assignment.
    pub assigned: SharePartitions,
}

type TopicPartition = (Uuid, i32);

/// Every member's partitions. `assignable`: what may be assigned of the topics that there are.
pub fn assign(
    members: &BTreeMap<String, MemberSpec>,
    assignable: &SharePartitions,
) -> BTreeMap<String, SharePartitions> {
    let mut assigned: BTreeMap<String, SharePartitions> = BTreeMap::new();
    let Some(first) = members.values().next() else {
        return assigned;
    };
    let partitions_of = |topic: &Uuid| {
        let partitions = assignable.get(topic).into_iter().flatten();
        let topic = *topic;
        partitions.map(move |partition| (topic, *partition))
    };
    let is_homogeneous = members.values().all(|member| member.topics == first.topics);
    let topics: BTreeSet<Uuid> = members.values().flat_map(|m| &m.topics).copied().collect();
    // Members that want different topics are balanced topic by topic.
    let rounds: Vec<Vec<TopicPartition>> = match is_homogeneous {
        true => vec![topics.iter().flat_map(partitions_of).collect()],
        false => topics.iter().map(|t| partitions_of(t).collect()).collect(),
    };
    for partitions in rounds {
        let Some((topic, _)) = partitions.first().copied() else {
            continue;
        };
        let subscribed = members.iter().filter(|(_, m)| m.topics.contains(&topic));
        let subscribed: Vec<(&String, &MemberSpec)> = subscribed.collect();
        let sets = Round::new(&subscribed, &partitions).balance();
        for ((id, _), set) in subscribed.iter().zip(sets) {
            let member = assigned.entry((*id).clone()).or_default();
            for (topic, partition) in set {
                member.entry(topic).or_default().insert(partition);
            }
        }
    }
    assigned
}

/// Some partitions on their way to some members, who are known by their position.
struct Round<'a> {
    partitions: &'a [TopicPartition],
    /// How many members each partition should have at most.
    sharing: usize,
    /// How many partitions each member should have.
    desired: Vec<usize>,
    by_member: Vec<BTreeSet<TopicPartition>>,
    by_partition: BTreeMap<TopicPartition, BTreeSet<usize>>,
}

impl<'a> Round<'a> {
    fn new(members: &[(&String, &MemberSpec)], partitions: &'a [TopicPartition]) -> Round<'a> {
        let (count, total) = (members.len().max(1), partitions.len().max(1));
        let sharing = count.div_ceil(total);
        // The members' shares add up to each partition's share.
        let up_to = |members: usize| (sharing * total * members).div_ceil(count);
        let desired = (0..members.len()).map(|at| up_to(at + 1) - up_to(at));
        let mut by_partition: BTreeMap<_, BTreeSet<usize>> = BTreeMap::new();
        by_partition.extend(partitions.iter().map(|p| (*p, BTreeSet::new())));
        let mut by_member = Vec::with_capacity(members.len());
        for (at, (_, member)) in members.iter().enumerate() {
            let mut kept = BTreeSet::new();
            for (topic, old) in &member.assigned {
                for partition in old {
                    if let Some(owners) = by_partition.get_mut(&(*topic, *partition)) {
                        owners.insert(at);
                        kept.insert((*topic, *partition));
                    }
                }
            }
            by_member.push(kept);
        }
        Round {
            partitions,
            sharing,
            desired: desired.collect(),
            by_member,
            by_partition,
        }
    }

    fn balance(mut self) -> Vec<BTreeSet<TopicPartition>> {
        self.revoke_from_overfilled_members();
        self.revoke_overshared_partitions();
        self.assign_what_remains();
        self.by_member
    }

    fn revoke_from_overfilled_members(&mut self) {
        for (at, own) in self.by_member.iter_mut().enumerate() {
            while own.len() > self.desired[at] {
                let Some(partition) = own.pop_first() else {
                    break;
                };
                if let Some(owners) = self.by_partition.get_mut(&partition) {
                    owners.remove(&at);
                }
            }
        }
    }

    fn revoke_overshared_partitions(&mut self) {
        for (partition, owners) in &mut self.by_partition {
            while owners.len() > self.sharing {
                if let Some(at) = owners.pop_first() {
                    self.by_member[at].remove(partition);
                }
            }
        }
    }

    fn assign_what_remains(&mut self) {
        let count = self.by_member.len();
        let mut next = 0;
        for partition in self.partitions {
            let Some(owners) = self.by_partition.get_mut(partition) else {
                continue;
            };
            let mut passed = 0;
            while owners.len() < self.sharing && passed < count {
                let at = next % count;
                let own = &mut self.by_member[at];
                if own.len() < self.desired[at] && own.insert(*partition) {
                    owners.insert(at);
                    passed = 0;
                } else {
                    passed += 1;
                }
                next += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(id: u128) -> Uuid {
        Uuid::from_u128(id)
    }

    fn partitions(topics: &[(u128, i32)]) -> SharePartitions {
        let all = topics.iter();
        all.map(|(id, count)| (topic(*id), (0..*count).collect()))
            .collect()
    }

    fn members(specs: &[(&str, &[u128])]) -> BTreeMap<String, MemberSpec> {
        let member = |(id, topics): &(&str, &[u128])| {
            let spec = MemberSpec {
                topics: topics.iter().copied().map(topic).collect(),
                assigned: SharePartitions::new(),
            };
            (id.to_string(), spec)
        };
        specs.iter().map(member).collect()
    }

    fn counts(assigned: &BTreeMap<String, SharePartitions>) -> Vec<usize> {
        let count = |own: &SharePartitions| own.values().map(BTreeSet::len).sum();
        assigned.values().map(count).collect()
    }

    #[test]
    fn more_partitions_than_members_are_spread() {
        let two = members(&[("a", &[1]), ("b", &[1])]);
        let assigned = assign(&two, &partitions(&[(1, 5)]));
        assert_eq!(counts(&assigned), [3, 2]);
        let all: BTreeSet<_> = assigned
            .values()
            .flat_map(|own| own[&topic(1)].clone())
            .collect();
        assert_eq!(all, (0..5).collect());
    }

    #[test]
    fn more_members_than_partitions_share_them() {
        let five = members(&[
            ("a", &[1]),
            ("b", &[1]),
            ("c", &[1]),
            ("d", &[1]),
            ("e", &[1]),
        ]);
        let assigned = assign(&five, &partitions(&[(1, 2)]));
        assert_eq!(counts(&assigned).iter().sum::<usize>(), 6);
        assert!(
            counts(&assigned)
                .iter()
                .all(|count| (1..=2).contains(count))
        );
    }

    #[test]
    fn what_was_assigned_stays() {
        let mut group = members(&[("a", &[1]), ("b", &[1])]);
        let before = assign(&group, &partitions(&[(1, 4)]));
        for (id, own) in &before {
            group.get_mut(id).unwrap().assigned = own.clone();
        }
        group.insert("c".into(), group["a"].clone());
        group.get_mut("c").unwrap().assigned.clear();
        let after = assign(&group, &partitions(&[(1, 4)]));
        for id in ["a", "b"] {
            assert!(
                after[id][&topic(1)].is_subset(&before[id][&topic(1)]),
                "{id} got another's"
            );
        }
        assert_eq!(counts(&after).iter().sum::<usize>(), 4);
    }

    #[test]
    fn members_with_different_topics_get_only_theirs() {
        let mixed = members(&[("a", &[1]), ("b", &[1, 2]), ("c", &[2])]);
        let assigned = assign(&mixed, &partitions(&[(1, 2), (2, 3)]));
        assert!(!assigned["a"].contains_key(&topic(2)) && !assigned["c"].contains_key(&topic(1)));
        for (id, count) in [(1, 2), (2, 3)] {
            let owned: BTreeSet<i32> = assigned
                .values()
                .filter_map(|own| own.get(&topic(id)))
                .flatten()
                .copied()
                .collect();
            assert_eq!(owned, (0..count).collect(), "topic {id}");
        }
    }

    #[test]
    fn a_topic_without_state_is_not_assigned() {
        let one = members(&[("a", &[1, 2])]);
        let assigned = assign(&one, &partitions(&[(2, 1)]));
        assert_eq!(assigned["a"], partitions(&[(2, 1)]));
    }
}
