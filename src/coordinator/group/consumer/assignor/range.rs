//! `range`: of each topic every subscriber gets one run of partitions, the first ones a partition
//! more where they do not divide. Members are ranked once for all topics, so that topics of the
//! same size are co-partitioned; static members come first and keep their rank over restarts.
use std::collections::BTreeMap;

use super::{GroupSpec, MemberSpec};
use crate::coordinator::group::consumer::member::Partitions;
use crate::protocol::Uuid;

/// How a topic is being dealt out.
struct Deal {
    partitions: i32,
    subscribers: i32,
    /// Subscribers that get one more than the others, still to come.
    extra: i32,
    next: i32,
}

pub fn assign(group: &GroupSpec) -> BTreeMap<String, Partitions> {
    let mut members: Vec<(&String, &MemberSpec)> = group.members.iter().collect();
    members.sort_by(|(a_id, a), (b_id, b)| {
        let key = |instance: &Option<String>, id: &str| match instance {
            Some(instance) => (0, instance.clone()),
            None => (1, id.to_string()),
        };
        key(&a.instance_id, a_id).cmp(&key(&b.instance_id, b_id))
    });
    let mut deals: BTreeMap<Uuid, Deal> = BTreeMap::new();
    for topic in members.iter().flat_map(|(_, member)| &*member.topics) {
        let partitions = group.partition_count(topic);
        let deal = deals.entry(*topic).or_insert(Deal {
            partitions,
            subscribers: 0,
            extra: 0,
            next: 0,
        });
        deal.subscribers += 1;
        deal.extra = deal.partitions % deal.subscribers;
    }
    let mut assignment = BTreeMap::new();
    for (id, member) in members {
        let mut own = Partitions::new();
        for topic in &*member.topics {
            let Some(deal) = deals.get_mut(topic) else {
                continue;
            };
            let range = deal.next_range();
            if !range.is_empty() {
                own.insert(*topic, range.collect());
            }
        }
        assignment.insert(id.clone(), own);
    }
    assignment
}

impl Deal {
    fn next_range(&mut self) -> std::ops::Range<i32> {
        let mut quota = self.partitions / self.subscribers.max(1);
        if self.extra > 0 {
            self.extra -= 1;
            quota += 1;
        }
        let start = self.next;
        self.next = (start + quota).min(self.partitions);
        start..self.next
    }
}
