//! Groups: list, describe, delete, and the offsets they committed.
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Admin;
use crate::client::TopicPartition;
use crate::client::cluster::{Client, Coordinator, Route};
use crate::client::errors::{ClientError, Result};
use crate::protocol::ErrorCode;
use crate::protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use crate::protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest, OffsetFetchResponse,
};

/// The last versions that name topics; later ones know only their ids.
pub(crate) const OFFSETS_BY_NAME: i16 = 9;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    pub group_id: String,
    pub protocol_type: String,
    /// Empty when the broker is too old to say.
    pub state: String,
    /// `classic`, `consumer`, …; empty when the broker is too old to say.
    pub group_type: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    pub group_id: String,
    pub state: String,
    pub protocol_type: String,
    /// The assignor in use.
    pub protocol: String,
    pub members: Vec<MemberDescription>,
    pub authorized_operations: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDescription {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    /// In the encoding of the group's protocol.
    pub metadata: Bytes,
    /// In the encoding of the group's protocol.
    pub assignment: Bytes,
}

/// An offset that a group committed: the next one to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    pub offset: i64,
    pub leader_epoch: Option<i32>,
    pub metadata: String,
}

impl CommittedOffset {
    pub fn at(offset: i64) -> Self {
        Self {
            offset,
            leader_epoch: None,
            metadata: String::new(),
        }
    }
}

impl Admin {
    /// The groups of all brokers, in order of their id. Empty filters let everything through.
    pub async fn list_groups(&self, states: &[&str], types: &[&str]) -> Result<Vec<GroupListing>> {
        let mut groups = BTreeMap::new();
        for broker in self.describe_cluster().await?.brokers {
            let build = |version| ListGroupsRequest {
                states_filter: if version >= 4 {
                    owned(states)
                } else {
                    Vec::new()
                },
                types_filter: if version >= 5 {
                    owned(types)
                } else {
                    Vec::new()
                },
            };
            let options = self.options("listGroups");
            let response = self
                .client()
                .call(options, Route::Broker(broker.id), build, |response| {
                    ErrorCode::from_code(response.error_code)
                })
                .await?;
            ClientError::check(response.error_code, None)?;
            for group in response.groups {
                let listing = GroupListing {
                    group_id: group.group_id,
                    protocol_type: group.protocol_type,
                    state: group.group_state,
                    group_type: group.group_type,
                };
                groups.insert(listing.group_id.clone(), listing);
            }
        }
        Ok(groups.into_values().collect())
    }

    /// Describes classic groups; each has its own outcome.
    pub async fn describe_groups(
        &self,
        groups: &[&str],
    ) -> Result<Vec<(String, Result<GroupDescription>)>> {
        let mut outcomes = Vec::with_capacity(groups.len());
        for group in groups {
            outcomes.push(((*group).to_owned(), self.describe_group(group).await));
        }
        Ok(outcomes)
    }

    async fn describe_group(&self, group: &str) -> Result<GroupDescription> {
        let build = |_version| DescribeGroupsRequest {
            groups: vec![group.to_owned()],
            ..Default::default()
        };
        let response = self
            .client()
            .call(
                self.options("describeGroups"),
                group_route(group),
                build,
                |response| first_code(response.groups.iter().map(|group| group.error_code)),
            )
            .await?;
        let described = response
            .groups
            .into_iter()
            .next()
            .ok_or_else(|| unanswered(group))?;
        ClientError::check(described.error_code, described.error_message.as_deref())?;
        let member =
            |m: crate::protocol::messages::describe_groups_response::DescribedGroupMember| {
                MemberDescription {
                    member_id: m.member_id,
                    group_instance_id: m.group_instance_id,
                    client_id: m.client_id,
                    client_host: m.client_host,
                    metadata: m.member_metadata,
                    assignment: m.member_assignment,
                }
            };
        Ok(GroupDescription {
            group_id: described.group_id,
            state: described.group_state,
            protocol_type: described.protocol_type,
            protocol: described.protocol_data,
            members: described.members.into_iter().map(member).collect(),
            authorized_operations: described.authorized_operations,
        })
    }

    /// Deletes groups without members.
    pub async fn delete_groups(&self, groups: &[&str]) -> Result<Vec<(String, Result<()>)>> {
        let mut outcomes = Vec::with_capacity(groups.len());
        for group in groups {
            let build = |_version| DeleteGroupsRequest {
                groups_names: vec![(*group).to_owned()],
            };
            let options = self.options("deleteGroups");
            let response = self
                .client()
                .call(options, group_route(group), build, |response| {
                    first_code(response.results.iter().map(|result| result.error_code))
                })
                .await;
            let outcome = response.and_then(|response| {
                let result = response.results.first().ok_or_else(|| unanswered(group))?;
                ClientError::check(result.error_code, None)
            });
            outcomes.push(((*group).to_owned(), outcome));
        }
        Ok(outcomes)
    }

    /// The offsets that a group committed: of the given partitions, or of all that have some.
    /// Partitions without a committed offset are absent.
    pub async fn list_consumer_group_offsets(
        &self,
        group: &str,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<BTreeMap<TopicPartition, CommittedOffset>> {
        fetch_offsets(self.client(), group, partitions, None).await
    }

    /// Sets a group's committed offsets from outside; the group must not have members.
    pub async fn alter_consumer_group_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, CommittedOffset>,
    ) -> Result<Vec<(TopicPartition, Result<()>)>> {
        let options = self.options("alterConsumerGroupOffsets");
        let build = |version| OffsetCommitRequest {
            group_id: group.to_owned(),
            topics: commit_topics(offsets, version),
            ..Default::default()
        };
        let options = super::CallOptions {
            version_max: OFFSETS_BY_NAME,
            ..options
        };
        let response = self
            .client()
            .call(options, group_route(group), build, |response| {
                let topics = response.topics.iter();
                first_code(topics.flat_map(|t| t.partitions.iter().map(|p| p.error_code)))
            })
            .await?;
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

pub(super) fn group_route(group: &str) -> Route<'_> {
    Route::Coordinator(Coordinator::Group, group)
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub(super) fn unanswered(group: &str) -> ClientError {
    ClientError::protocol(format!("the coordinator did not answer for group {group}"))
}

/// The first error that another try may mend.
pub(super) fn first_code(codes: impl IntoIterator<Item = i16>) -> ErrorCode {
    let codes = codes.into_iter().map(ErrorCode::from_code);
    codes
        .into_iter()
        .find(|code| code.is_retriable())
        .unwrap_or(ErrorCode::None)
}

/// The body of an OffsetCommit, by topic.
pub(crate) fn commit_topics(
    offsets: &BTreeMap<TopicPartition, CommittedOffset>,
    version: i16,
) -> Vec<OffsetCommitRequestTopic> {
    let mut topics: BTreeMap<&Arc<str>, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for (partition, committed) in offsets {
        let epoch = committed
            .leader_epoch
            .filter(|_| version >= 6)
            .unwrap_or(-1);
        topics
            .entry(&partition.topic)
            .or_default()
            .push(OffsetCommitRequestPartition {
                partition_index: partition.partition,
                committed_offset: committed.offset,
                committed_leader_epoch: epoch,
                committed_metadata: Some(committed.metadata.clone()),
            });
    }
    let topic = |(name, partitions): (&Arc<str>, _)| OffsetCommitRequestTopic {
        name: name.to_string(),
        partitions,
        ..Default::default()
    };
    topics.into_iter().map(topic).collect()
}

/// Fetches committed offsets; `deadline` is the client's API timeout when not given.
pub(crate) async fn fetch_offsets(
    client: &Client,
    group: &str,
    partitions: Option<&[TopicPartition]>,
    deadline: Option<tokio::time::Instant>,
) -> Result<BTreeMap<TopicPartition, CommittedOffset>> {
    let mut options = client.options("listConsumerGroupOffsets");
    options.version_max = OFFSETS_BY_NAME;
    options.deadline = deadline.unwrap_or(options.deadline);
    let build = |version| offset_fetch_request(group, partitions, version);
    let verdict = |response: &OffsetFetchResponse| {
        let groups = response.groups.iter();
        let in_groups = groups
            .clone()
            .flat_map(|g| &g.topics)
            .flat_map(|t| &t.partitions);
        let flat = response.topics.iter().flat_map(|topic| &topic.partitions);
        let codes = groups
            .map(|group| group.error_code)
            .chain([response.error_code]);
        let codes = codes.chain(in_groups.map(|p| p.error_code));
        first_code(codes.chain(flat.map(|p| p.error_code)))
    };
    let response = client
        .call(options, group_route(group), build, verdict)
        .await?;
    offsets_of(response, group)
}

fn offset_fetch_request(
    group: &str,
    partitions: Option<&[TopicPartition]>,
    version: i16,
) -> OffsetFetchRequest {
    let mut topics: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
    for partition in partitions.unwrap_or_default() {
        topics
            .entry(&partition.topic)
            .or_default()
            .push(partition.partition);
    }
    let mut request = OffsetFetchRequest {
        require_stable: version >= 7,
        ..Default::default()
    };
    if version >= 8 {
        let topic = |(name, partitions): (&Arc<str>, _)| OffsetFetchRequestTopics {
            name: name.to_string(),
            partition_indexes: partitions,
            ..Default::default()
        };
        request.groups = vec![OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            topics: partitions.map(|_| topics.into_iter().map(topic).collect()),
            ..Default::default()
        }];
    } else {
        let topic = |(name, partitions): (&Arc<str>, _)| OffsetFetchRequestTopic {
            name: name.to_string(),
            partition_indexes: partitions,
        };
        request.group_id = group.to_owned();
        request.topics = partitions.map(|_| topics.into_iter().map(topic).collect());
    }
    request
}

fn offsets_of(
    response: OffsetFetchResponse,
    group: &str,
) -> Result<BTreeMap<TopicPartition, CommittedOffset>> {
    let mut found = Vec::new();
    let mut code = response.error_code;
    for topic in response.topics {
        let name: Arc<str> = topic.name.into();
        found.extend(topic.partitions.into_iter().map(|p| {
            let committed = (p.committed_offset, p.committed_leader_epoch, p.metadata);
            (
                TopicPartition::new(name.clone(), p.partition_index),
                p.error_code,
                committed,
            )
        }));
    }
    for answered in response
        .groups
        .into_iter()
        .filter(|answered| answered.group_id == group)
    {
        code = answered.error_code;
        for topic in answered.topics {
            let name: Arc<str> = topic.name.into();
            found.extend(topic.partitions.into_iter().map(|p| {
                let committed = (p.committed_offset, p.committed_leader_epoch, p.metadata);
                (
                    TopicPartition::new(name.clone(), p.partition_index),
                    p.error_code,
                    committed,
                )
            }));
        }
    }
    ClientError::check(code, None)?;
    let mut offsets = BTreeMap::new();
    for (partition, code, (offset, epoch, metadata)) in found {
        ClientError::check(code, None)?;
        if offset >= 0 {
            let leader_epoch = (epoch >= 0).then_some(epoch);
            let metadata = metadata.unwrap_or_default();
            offsets.insert(
                partition,
                CommittedOffset {
                    offset,
                    leader_epoch,
                    metadata,
                },
            );
        }
    }
    Ok(offsets)
}
