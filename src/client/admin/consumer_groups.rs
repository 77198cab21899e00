//! Consumer groups of either protocol, described alike, and the offsets they may forget.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::groups::{first_code, group_route, unanswered};
use super::{Admin, GroupDescription};
use crate::client::TopicPartition;
use crate::client::cluster::Coordinator;
use crate::client::connection::Endpoint;
use crate::client::consumer::decode_assignment;
use crate::client::errors::{ClientError, Result};
use crate::protocol::ErrorCode;
use crate::protocol::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member,
};
use crate::protocol::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use crate::protocol::messages::{ConsumerGroupDescribeRequest, OffsetDeleteResponse};

/// What groups of the classic protocol call themselves when they are consumers; groups that only
/// commit offsets call themselves nothing.
pub const CONSUMER_PROTOCOL: &str = "consumer";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupDescription {
    pub group_id: String,
    /// `Stable`, `Empty`, …
    pub state: String,
    pub coordinator: Endpoint,
    /// Empty when there is none.
    pub assignor: String,
    /// Only groups of the consumer protocol have epochs.
    pub epoch: Option<i32>,
    pub target_assignment_epoch: Option<i32>,
    pub members: Vec<ConsumerGroupMember>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupMember {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub assignment: Vec<TopicPartition>,
    pub target_assignment: Vec<TopicPartition>,
    pub epoch: Option<i32>,
    /// Whether it speaks the consumer protocol itself, where the broker says so.
    pub upgraded: Option<bool>,
}

impl Admin {
    /// Describes consumer groups of either protocol; each has its own outcome.
    pub async fn describe_consumer_groups(
        &self,
        groups: &[&str],
    ) -> Result<Vec<(String, Result<ConsumerGroupDescription>)>> {
        let mut outcomes = Vec::with_capacity(groups.len());
        for group in groups {
            outcomes.push((
                (*group).to_owned(),
                self.describe_consumer_group(group).await,
            ));
        }
        Ok(outcomes)
    }

    async fn describe_consumer_group(&self, group: &str) -> Result<ConsumerGroupDescription> {
        let build = |_version| ConsumerGroupDescribeRequest {
            group_ids: vec![group.to_owned()],
            ..Default::default()
        };
        let options = self.options("describeConsumerGroups");
        let answer = self
            .client()
            .call(options, group_route(group), build, |response| {
                first_code(response.groups.iter().map(|group| group.error_code))
            })
            .await
            .and_then(|response| {
                let described = response.groups.into_iter().next();
                let described = described.ok_or_else(|| unanswered(group))?;
                ClientError::check(described.error_code, described.error_message.as_deref())?;
                Ok(described)
            });
        match answer {
            Ok(described) => self.described(described).await,
            // It may be a classic group, or the broker older than the new protocol.
            Err(error) if is_not_of_the_new_protocol(&error) => {
                self.describe_classic_group(group).await
            }
            Err(error) => Err(error),
        }
    }

    async fn described(&self, group: DescribedGroup) -> Result<ConsumerGroupDescription> {
        let coordinator = self.group_coordinator(&group.group_id).await?;
        Ok(ConsumerGroupDescription {
            group_id: group.group_id,
            state: group.group_state,
            coordinator,
            assignor: group.assignor_name,
            epoch: Some(group.group_epoch),
            target_assignment_epoch: Some(group.assignment_epoch),
            members: group.members.into_iter().map(member).collect(),
        })
    }

    async fn describe_classic_group(&self, group: &str) -> Result<ConsumerGroupDescription> {
        let described = self.describe_groups(&[group]).await?;
        let (_, described) = described
            .into_iter()
            .next()
            .ok_or_else(|| unanswered(group))?;
        let described = described?;
        if !matches!(&*described.protocol_type, "" | CONSUMER_PROTOCOL) {
            return Err(ClientError::illegal_state(format!(
                "GroupId {group} is not a consumer group ({}).",
                described.protocol_type
            )));
        }
        let coordinator = self.group_coordinator(group).await?;
        classic(described, coordinator)
    }

    async fn group_coordinator(&self, group: &str) -> Result<Endpoint> {
        self.client()
            .find_coordinator(Coordinator::Group, group)
            .await
    }

    /// Forgets a group's offsets of partitions that it does not read; each has its own outcome.
    pub async fn delete_consumer_group_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, Result<()>)>> {
        let mut topics: BTreeMap<&Arc<str>, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
        for partition in partitions {
            let asked = OffsetDeleteRequestPartition {
                partition_index: partition.partition,
            };
            topics.entry(&partition.topic).or_default().push(asked);
        }
        let topic = |(name, partitions): (&&Arc<str>, &Vec<_>)| OffsetDeleteRequestTopic {
            name: name.to_string(),
            partitions: partitions.clone(),
        };
        let build = |_version| OffsetDeleteRequest {
            group_id: group.to_owned(),
            topics: topics.iter().map(topic).collect(),
        };
        let options = self.options("offsetDelete");
        let verdict = |response: &OffsetDeleteResponse| {
            let in_topics = response.topics.iter().flat_map(|topic| &topic.partitions);
            let codes = in_topics.map(|partition| partition.error_code);
            first_code([response.error_code].into_iter().chain(codes))
        };
        let response = self
            .client()
            .call(options, group_route(group), build, verdict)
            .await?;
        ClientError::check(response.error_code, None)?;
        let mut outcomes = Vec::new();
        for topic in response.topics {
            let name: Arc<str> = topic.name.into();
            for p in topic.partitions {
                let partition = TopicPartition::new(name.clone(), p.partition_index);
                outcomes.push((partition, ClientError::check(p.error_code, None)));
            }
        }
        Ok(outcomes)
    }
}

fn is_not_of_the_new_protocol(error: &ClientError) -> bool {
    matches!(error, ClientError::UnsupportedVersion(_))
        || matches!(
            error.code(),
            Some(ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion)
        )
}

fn member(member: Member) -> ConsumerGroupMember {
    ConsumerGroupMember {
        member_id: member.member_id,
        group_instance_id: member.instance_id,
        client_id: member.client_id,
        client_host: member.client_host,
        assignment: partitions(member.assignment),
        target_assignment: partitions(member.target_assignment),
        epoch: Some(member.member_epoch),
        upgraded: match member.member_type {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
    }
}

fn partitions(assignment: Assignment) -> Vec<TopicPartition> {
    let mut partitions = Vec::new();
    for topic in assignment.topic_partitions {
        let name: Arc<str> = topic.topic_name.into();
        let indexes = topic.partitions.into_iter();
        partitions.extend(indexes.map(|index| TopicPartition::new(name.clone(), index)));
    }
    partitions
}

fn classic(group: GroupDescription, coordinator: Endpoint) -> Result<ConsumerGroupDescription> {
    let mut members = Vec::with_capacity(group.members.len());
    for member in group.members {
        members.push(ConsumerGroupMember {
            member_id: member.member_id,
            group_instance_id: member.group_instance_id,
            client_id: member.client_id,
            client_host: member.client_host,
            assignment: decode_assignment(member.assignment)?,
            target_assignment: Vec::new(),
            epoch: None,
            upgraded: None,
        });
    }
    Ok(ConsumerGroupDescription {
        group_id: group.group_id,
        state: group.state,
        coordinator,
        assignor: group.protocol,
        epoch: None,
        target_assignment_epoch: None,
        members,
    })
}
