//! Share groups: their members, and the offsets where the brokers begin to hand out records.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Admin;
use super::groups::{first_code, group_route, unanswered};
use crate::client::TopicPartition;
use crate::client::cluster::Coordinator;
use crate::client::connection::Endpoint;
use crate::client::errors::{ClientError, Result};
use crate::protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsRequestPartition,
    AlterShareGroupOffsetsRequestTopic,
};
use crate::protocol::messages::delete_share_group_offsets_request::{
    DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsRequestTopic,
};
use crate::protocol::messages::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsRequestGroup,
};
use crate::protocol::messages::share_group_describe_response::{DescribedGroup, Member};
use crate::protocol::messages::{
    AlterShareGroupOffsetsResponse, DescribeShareGroupOffsetsResponse, ShareGroupDescribeRequest,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareGroupDescription {
    pub group_id: String,
    /// `Stable`, `Empty`, `Dead`.
    pub state: String,
    pub coordinator: Endpoint,
    pub epoch: i32,
    pub target_assignment_epoch: i32,
    pub members: Vec<ShareGroupMember>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareGroupMember {
    pub member_id: String,
    pub client_id: String,
    pub client_host: String,
    pub epoch: i32,
    pub assignment: Vec<TopicPartition>,
}

/// Where a group begins in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareGroupOffset {
    pub start_offset: i64,
    pub leader_epoch: Option<i32>,
    /// Records that are still to be delivered, where the broker counts them.
    pub lag: Option<i64>,
}

impl Admin {
    /// Describes share groups; each has its own outcome.
    pub async fn describe_share_groups(
        &self,
        groups: &[&str],
    ) -> Result<Vec<(String, Result<ShareGroupDescription>)>> {
        let mut outcomes = Vec::with_capacity(groups.len());
        for group in groups {
            let outcome = self.describe_share_group(group).await;
            outcomes.push(((*group).to_owned(), outcome));
        }
        Ok(outcomes)
    }

    async fn describe_share_group(&self, group: &str) -> Result<ShareGroupDescription> {
        let build = |_version| ShareGroupDescribeRequest {
            group_ids: vec![group.to_owned()],
            ..Default::default()
        };
        let options = self.options("describeShareGroups");
        let response = self
            .client()
            .call(options, group_route(group), build, |response| {
                first_code(response.groups.iter().map(|group| group.error_code))
            })
            .await?;
        let described = response.groups.into_iter().next();
        let described = described.ok_or_else(|| unanswered(group))?;
        ClientError::check(described.error_code, described.error_message.as_deref())?;
        let coordinator = self
            .client()
            .find_coordinator(Coordinator::Group, group)
            .await?;
        Ok(description(described, coordinator))
    }

    /// Where a share group begins in every partition it knows; nothing where it has not begun.
    pub async fn list_share_group_offsets(
        &self,
        group: &str,
    ) -> Result<BTreeMap<TopicPartition, Option<ShareGroupOffset>>> {
        let build = |_version| DescribeShareGroupOffsetsRequest {
            groups: vec![DescribeShareGroupOffsetsRequestGroup {
                group_id: group.to_owned(),
                topics: None,
            }],
        };
        let options = self.options("listShareGroupOffsets");
        let verdict = |response: &DescribeShareGroupOffsetsResponse| {
            first_code(response.groups.iter().map(|group| group.error_code))
        };
        let response = self
            .client()
            .call(options, group_route(group), build, verdict)
            .await?;
        let described = response.groups.into_iter().next();
        let described = described.ok_or_else(|| unanswered(group))?;
        ClientError::check(described.error_code, described.error_message.as_deref())?;
        let mut offsets = BTreeMap::new();
        for topic in described.topics {
            let name: Arc<str> = topic.topic_name.into();
            for p in topic.partitions {
                let partition = TopicPartition::new(name.clone(), p.partition_index);
                if p.error_code != 0 {
                    // As Kafka's client does: what is known of the others is worth more.
                    tracing::warn!(
                        "Skipping return offset for {partition} due to error: {}",
                        p.error_message.unwrap_or_default()
                    );
                    continue;
                }
                let known = (p.start_offset >= 0).then_some(ShareGroupOffset {
                    start_offset: p.start_offset,
                    leader_epoch: (p.leader_epoch >= 0).then_some(p.leader_epoch),
                    lag: (p.lag >= 0).then_some(p.lag),
                });
                offsets.insert(partition, known);
            }
        }
        Ok(offsets)
    }

    /// Sets where a share group without members begins; each partition has its own outcome.
    pub async fn alter_share_group_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, i64>,
    ) -> Result<Vec<(TopicPartition, Result<()>)>> {
        let mut topics: BTreeMap<&Arc<str>, Vec<AlterShareGroupOffsetsRequestPartition>> =
            BTreeMap::new();
        for (partition, offset) in offsets {
            let asked = AlterShareGroupOffsetsRequestPartition {
                partition_index: partition.partition,
                start_offset: *offset,
            };
            topics.entry(&partition.topic).or_default().push(asked);
        }
        let topic = |(name, partitions): (&&Arc<str>, &Vec<_>)| {
            let partitions = partitions.clone();
            AlterShareGroupOffsetsRequestTopic {
                topic_name: name.to_string(),
                partitions,
            }
        };
        let build = |_version| AlterShareGroupOffsetsRequest {
            group_id: group.to_owned(),
            topics: topics.iter().map(topic).collect(),
        };
        let options = self.options("alterShareGroupOffsets");
        let verdict = |response: &AlterShareGroupOffsetsResponse| first_code([response.error_code]);
        let response = self
            .client()
            .call(options, group_route(group), build, verdict)
            .await?;
        ClientError::check(response.error_code, response.error_message.as_deref())?;
        let mut outcomes = Vec::new();
        for topic in response.responses {
            let name: Arc<str> = topic.topic_name.into();
            for p in topic.partitions {
                let partition = TopicPartition::new(name.clone(), p.partition_index);
                let outcome = ClientError::check(p.error_code, p.error_message.as_deref());
                outcomes.push((partition, outcome));
            }
        }
        Ok(outcomes)
    }

    /// Lets a share group without members forget topics; each has its own outcome.
    pub async fn delete_share_group_offsets(
        &self,
        group: &str,
        topics: &[&str],
    ) -> Result<BTreeMap<String, Result<()>>> {
        let topic = |name: &&str| DeleteShareGroupOffsetsRequestTopic {
            topic_name: (*name).to_owned(),
        };
        let build = |_version| DeleteShareGroupOffsetsRequest {
            group_id: group.to_owned(),
            topics: topics.iter().map(topic).collect(),
        };
        let options = self.options("deleteShareGroupOffsets");
        let response = self
            .client()
            .call(options, group_route(group), build, |response| {
                first_code([response.error_code])
            })
            .await?;
        ClientError::check(response.error_code, response.error_message.as_deref())?;
        let outcomes = response.responses.into_iter().map(|topic| {
            let outcome = ClientError::check(topic.error_code, topic.error_message.as_deref());
            (topic.topic_name, outcome)
        });
        Ok(outcomes.collect())
    }
}

fn description(group: DescribedGroup, coordinator: Endpoint) -> ShareGroupDescription {
    ShareGroupDescription {
        group_id: group.group_id,
        state: group.group_state,
        coordinator,
        epoch: group.group_epoch,
        target_assignment_epoch: group.assignment_epoch,
        members: group.members.into_iter().map(member).collect(),
    }
}

fn member(member: Member) -> ShareGroupMember {
    let mut assignment = Vec::new();
    for topic in member.assignment.topic_partitions {
        let name: Arc<str> = topic.topic_name.into();
        let indexes = topic.partitions.into_iter();
        assignment.extend(indexes.map(|index| TopicPartition::new(name.clone(), index)));
    }
    ShareGroupMember {
        member_id: member.member_id,
        client_id: member.client_id,
        client_host: member.client_host,
        epoch: member.member_epoch,
        assignment,
    }
}
