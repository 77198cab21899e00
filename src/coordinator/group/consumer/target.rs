//! The next target assignment: what the assignor says of the group with one member changed.
use std::collections::BTreeMap;

use tracing::info;

use super::assignor::{Assignor, GroupSpec, MemberSpec};
use super::member::{ConsumerMember, Partitions};
use super::record::ConsumerRecord;
use super::state::ConsumerGroup;
use super::subscription::{Subscribers, TopicIds};
use crate::coordinator::group::record::GroupRecord;
use crate::metadata::image::MetadataImage;

/// Assigns `group` with `updated` in it; the records that change, and what `updated` gets.
pub fn assign(
    group_id: &str,
    group: &ConsumerGroup,
    epoch: i32,
    updated: &ConsumerMember,
    assignor: Assignor,
    image: &MetadataImage,
    now_ms: i64,
) -> (Vec<GroupRecord>, Partitions) {
    let subscribers = Subscribers::with(group, updated);
    let spec = spec(group, &subscribers, image);
    let mut assignment = assignor.assign(&spec);
    let mut records = Vec::new();
    for member in &subscribers.members {
        let new = assignment.entry(member.id.clone()).or_default();
        if group.target.get(&member.id) != Some(new) {
            records.push(ConsumerRecord::target(&member.id, new).of(group_id));
        }
    }
    records.push(ConsumerRecord::target_epoch(epoch, now_ms).of(group_id));
    info!(
        "group {group_id}: target assignment of epoch {epoch} for {} members",
        subscribers.members.len()
    );
    (records, assignment.remove(&updated.id).unwrap_or_default())
}

fn spec(group: &ConsumerGroup, subscribers: &Subscribers, image: &MetadataImage) -> GroupSpec {
    let mut topics = TopicIds::new(group, image);
    let mut members = BTreeMap::new();
    let mut partition_counts = BTreeMap::new();
    for member in &subscribers.members {
        let subscribed = topics.of(member);
        for id in &*subscribed {
            let topic = image.topics.get_by_id(*id);
            let count = topic.map_or(0, |topic| topic.partitions.len());
            partition_counts.insert(*id, i32::try_from(count).unwrap_or(i32::MAX));
        }
        let assigned = match group.target.get(&member.id) {
            Some(assigned) => assigned.clone(),
            None => match &member.instance_id {
                Some(instance) => group.target_of(&member.id, Some(instance)),
                None => Partitions::new(),
            },
        };
        let spec = MemberSpec {
            instance_id: member.instance_id.clone(),
            topics: subscribed,
            assigned,
        };
        members.insert(member.id.clone(), spec);
    }
    GroupSpec {
        members,
        is_homogeneous: subscribers.is_homogeneous(),
        partition_counts,
    }
}
