//! ConsumerGroupDescribe.
use std::collections::BTreeMap;

use super::member::{ConsumerMember, Partitions, without_epochs};
use super::state::ConsumerGroup;
use crate::coordinator::group::shard::{GroupDecision, GroupReply, GroupShard};
use crate::coordinator::group::stored::StoredGroup;
use crate::coordinator::shard::Token;
use crate::metadata::image::MetadataImage;
use crate::protocol::ErrorCode;
use crate::protocol::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};

const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

impl GroupShard {
    pub(in crate::coordinator::group) fn describe_consumer_groups(
        &self,
        token: Token,
        groups: &[String],
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        let describe = |id: &String| match (self.stored.groups.get(id), self.live.get(id)) {
            (Some(StoredGroup::Consumer(group)), _) => self.describe_consumer_group(id, group),
            (None, None) => not_found(id, format!("Group {id} not found.")),
            _ => not_found(id, format!("Group {id} is not a consumer group.")),
        };
        let described = groups.iter().map(describe).collect();
        out.answer(token, GroupReply::ConsumerDescribe(described));
        out
    }

    fn describe_consumer_group(&self, id: &str, group: &ConsumerGroup) -> DescribedGroup {
        let preferred = ConsumerGroup::preferred_assignor(group.members.values());
        let assignor = preferred.unwrap_or(self.config.consumer.default_assignor());
        let member = |member: &ConsumerMember| {
            let target = group.target.get(&member.id);
            describe_member(member, target, &self.image)
        };
        DescribedGroup {
            group_id: id.into(),
            group_state: group.state().into(),
            group_epoch: group.epoch,
            assignment_epoch: group.assignment_epoch,
            assignor_name: assignor.into(),
            members: group.members.values().map(member).collect(),
            ..DescribedGroup::default()
        }
    }
}

fn describe_member(
    member: &ConsumerMember,
    target: Option<&Partitions>,
    image: &MetadataImage,
) -> Member {
    let mut owned = without_epochs(&member.assigned);
    for (topic, partitions) in without_epochs(&member.revoking) {
        owned.entry(topic).or_default().extend(partitions);
    }
    let member_type = match member.uses_classic_protocol() {
        true => CLASSIC_MEMBER,
        false => CONSUMER_MEMBER,
    };
    Member {
        member_id: member.id.clone(),
        instance_id: member.instance_id.clone(),
        rack_id: member.rack_id.clone(),
        member_epoch: member.epoch,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.topic_names.iter().cloned().collect(),
        subscribed_topic_regex: member.topic_regex.clone(),
        assignment: named(&owned, image),
        target_assignment: named(target.unwrap_or(&BTreeMap::new()), image),
        member_type,
    }
}

/// Topics that are gone have no name and are left out.
fn named(partitions: &Partitions, image: &MetadataImage) -> Assignment {
    let mut topics = Vec::with_capacity(partitions.len());
    for (id, partitions) in partitions {
        if let Some(topic) = image.topics.get_by_id(*id) {
            topics.push(TopicPartitions {
                topic_id: *id,
                topic_name: topic.name.to_string(),
                partitions: partitions.iter().copied().collect(),
            });
        }
    }
    Assignment {
        topic_partitions: topics,
    }
}

fn not_found(id: &str, message: String) -> DescribedGroup {
    DescribedGroup {
        error_code: ErrorCode::GroupIdNotFound.code(),
        error_message: Some(message),
        group_id: id.into(),
        ..DescribedGroup::default()
    }
}

pub fn describe_error(group: &str, error: ErrorCode) -> DescribedGroup {
    DescribedGroup {
        error_code: error.code(),
        group_id: group.into(),
        ..DescribedGroup::default()
    }
}
