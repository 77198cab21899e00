//! ShareGroupDescribe.
use super::assignor;
use super::state::{ShareGroup, ShareMember};
use crate::coordinator::group::shard::GroupShard;
use crate::metadata::image::MetadataImage;
use crate::protocol::ErrorCode;
use crate::protocol::messages::share_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};

impl GroupShard {
    pub(super) fn describe_share(&self, groups: &[String]) -> Vec<DescribedGroup> {
        let describe = |id: &String| match self.known_share_group(id) {
            Ok(group) => describe_group(id, group, &self.image),
            Err(refusal) => DescribedGroup {
                error_code: refusal.code.code(),
                error_message: Some(refusal.message),
                group_id: id.clone(),
                ..DescribedGroup::default()
            },
        };
        groups.iter().map(describe).collect()
    }
}

fn describe_group(id: &str, group: &ShareGroup, image: &MetadataImage) -> DescribedGroup {
    let members = group.members.values();
    DescribedGroup {
        group_id: id.into(),
        group_state: group.state().into(),
        group_epoch: group.epoch,
        assignment_epoch: group.assignment_epoch,
        assignor_name: assignor::NAME.into(),
        members: members.map(|m| describe_member(m, image)).collect(),
        ..DescribedGroup::default()
    }
}

/// Topics that are gone have no name and are left out.
fn describe_member(member: &ShareMember, image: &MetadataImage) -> Member {
    let mut topics = Vec::with_capacity(member.assigned.len());
    for (id, partitions) in &member.assigned {
        if let Some(topic) = image.topics.get_by_id(*id) {
            topics.push(TopicPartitions {
                topic_id: *id,
                topic_name: topic.name.to_string(),
                partitions: partitions.iter().copied().collect(),
            });
        }
    }
    Member {
        member_id: member.id.clone(),
        rack_id: member.rack_id.clone(),
        member_epoch: member.epoch,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.topic_names.iter().cloned().collect(),
        assignment: Assignment {
            topic_partitions: topics,
        },
    }
}

pub fn describe_error(group: &str, error: ErrorCode) -> DescribedGroup {
    DescribedGroup {
        error_code: error.code(),
        group_id: group.into(),
        ..DescribedGroup::default()
    }
}
