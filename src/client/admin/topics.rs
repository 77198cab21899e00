//! Topics and their partitions: create, delete, list, describe, grow.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Admin, not_controller, timeout_ms};
use crate::client::cluster::Route;
use crate::client::errors::{ClientError, Result};
use crate::client::metadata::{TopicMetadata, topic_metadata};
use crate::protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use crate::protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use crate::protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use crate::protocol::messages::describe_topic_partitions_request::{
    Cursor, DescribeTopicPartitionsRequest, TopicRequest,
};
use crate::protocol::messages::describe_topic_partitions_response::{
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use crate::protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use crate::protocol::{ErrorCode, Uuid};

/// A topic to create.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTopic {
    pub name: String,
    /// `None` takes the broker's `num.partitions`.
    pub partitions: Option<i32>,
    /// `None` takes the broker's `default.replication.factor`.
    pub replication_factor: Option<i16>,
    /// Replicas by partition; excludes the two numbers above.
    pub assignments: BTreeMap<i32, Vec<i32>>,
    pub configs: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct CreateOptions {
    /// Ask only whether it could be done.
    pub validate_only: bool,
}

/// What the broker made of a [`NewTopic`]; the numbers are -1 when it did not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    pub id: Uuid,
    pub partitions: i32,
    pub replication_factor: i16,
}

/// Partitions to add: the new total, and replicas for the added ones if they are to be chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewPartitions {
    pub topic: String,
    pub total: i32,
    pub assignments: Option<Vec<Vec<i32>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicListing {
    pub name: Arc<str>,
    pub id: Uuid,
    pub internal: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    pub name: Arc<str>,
    pub id: Uuid,
    pub internal: bool,
    pub partitions: Vec<PartitionDescription>,
    pub authorized_operations: i32,
}

/// `leader` is -1 without one; `elr` and `last_known_elr` are `None` where the broker does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionDescription {
    pub partition: i32,
    pub leader: i32,
    pub leader_epoch: i32,
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
    pub elr: Option<Vec<i32>>,
    pub last_known_elr: Option<Vec<i32>>,
    pub offline_replicas: Vec<i32>,
}

impl Admin {
    /// Creates topics; each has its own outcome, in the order of the broker's answer.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        how: CreateOptions,
    ) -> Result<Vec<(String, Result<CreatedTopic>)>> {
        let options = self.options("createTopics");
        let build = |_version| CreateTopicsRequest {
            topics: topics.iter().map(creatable).collect(),
            timeout_ms: timeout_ms(&options),
            validate_only: how.validate_only,
        };
        let response = self
            .client()
            .call(options, Route::Controller, build, |response| {
                not_controller(response.topics.iter().map(|topic| topic.error_code))
            })
            .await?;
        let outcome =
            |topic: &crate::protocol::messages::create_topics_response::CreatableTopicResult| {
                ClientError::check(topic.error_code, topic.error_message.as_deref())?;
                Ok(CreatedTopic {
                    id: topic.topic_id,
                    partitions: topic.num_partitions,
                    replication_factor: topic.replication_factor,
                })
            };
        Ok(response
            .topics
            .iter()
            .map(|topic| (topic.name.clone(), outcome(topic)))
            .collect())
    }

    /// Deletes topics by name.
    pub async fn delete_topics(&self, names: &[&str]) -> Result<Vec<(String, Result<()>)>> {
        let options = self.options("deleteTopics");
        let build = |version| {
            let mut request = DeleteTopicsRequest {
                timeout_ms: timeout_ms(&options),
                ..Default::default()
            };
            let named = |name: &&str| DeleteTopicState {
                name: Some((*name).to_owned()),
                ..Default::default()
            };
            if version >= 6 {
                request.topics = names.iter().map(named).collect();
            } else {
                request.topic_names = names.iter().map(|name| (*name).to_owned()).collect();
            }
            request
        };
        let response = self
            .client()
            .call(options, Route::Controller, build, |response| {
                not_controller(response.responses.iter().map(|topic| topic.error_code))
            })
            .await?;
        let outcomes = response.responses.into_iter().map(|topic| {
            let outcome = ClientError::check(topic.error_code, topic.error_message.as_deref());
            (topic.name.unwrap_or_default(), outcome)
        });
        Ok(outcomes.collect())
    }

    /// Adds partitions to topics.
    pub async fn create_partitions(
        &self,
        topics: &[NewPartitions],
        how: CreateOptions,
    ) -> Result<Vec<(String, Result<()>)>> {
        let options = self.options("createPartitions");
        let replicas = |brokers: &Vec<i32>| CreatePartitionsAssignment {
            broker_ids: brokers.clone(),
        };
        let grown = |topic: &NewPartitions| CreatePartitionsTopic {
            name: topic.topic.clone(),
            count: topic.total,
            assignments: topic
                .assignments
                .as_ref()
                .map(|all| all.iter().map(replicas).collect()),
        };
        let build = |_version| CreatePartitionsRequest {
            topics: topics.iter().map(grown).collect(),
            timeout_ms: timeout_ms(&options),
            validate_only: how.validate_only,
        };
        let response = self
            .client()
            .call(options, Route::Controller, build, |response| {
                not_controller(response.results.iter().map(|topic| topic.error_code))
            })
            .await?;
        let outcomes = response.results.into_iter().map(|topic| {
            let outcome = ClientError::check(topic.error_code, topic.error_message.as_deref());
            (topic.name, outcome)
        });
        Ok(outcomes.collect())
    }

    /// Every topic that the user may see, in order of name; `internal` adds Kafka's own topics.
    pub async fn list_topics(&self, internal: bool) -> Result<Vec<TopicListing>> {
        let topics = self.metadata_of("listTopics", |_| None).await?;
        let listings = topics
            .into_values()
            .filter(|topic| internal || !topic.internal);
        Ok(listings
            .map(|topic| TopicListing {
                name: topic.name,
                id: topic.id,
                internal: topic.internal,
            })
            .collect())
    }

    /// Describes topics, in order of name. `partitions_per_response` limits the broker's pages.
    pub async fn describe_topics(
        &self,
        names: &[&str],
        partitions_per_response: i32,
    ) -> Result<Vec<(String, Result<TopicDescription>)>> {
        let names: BTreeSet<&str> = names.iter().copied().collect();
        // A name that no request can carry is answered here, as Kafka's client does.
        let (bad, good): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.is_empty());
        let described = if good.is_empty() {
            Vec::new()
        } else {
            match self.describe_paged(&good, partitions_per_response).await {
                Err(ClientError::UnsupportedVersion(_)) => self.describe_by_metadata(&good).await?,
                described => described?,
            }
        };
        let refused = |name: &str| {
            let text = format!("The given topic name '{name}' cannot be represented in a request.");
            (
                name.to_owned(),
                Err(ClientError::broker(
                    ErrorCode::InvalidTopicException,
                    Some(&text),
                )),
            )
        };
        Ok(bad.into_iter().map(refused).chain(described).collect())
    }

    /// Describes topics by their ids, in the given order.
    pub async fn describe_topics_by_id(
        &self,
        ids: &[Uuid],
    ) -> Result<Vec<(Uuid, Result<TopicDescription>)>> {
        let options = self.options("describeTopicsWithIds");
        let by_id = |id: &Uuid| MetadataRequestTopic {
            topic_id: *id,
            name: None,
        };
        let build = |_version| MetadataRequest {
            topics: Some(ids.iter().map(by_id).collect()),
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        let response = self
            .client()
            .call(options, Route::Any, build, |_| ErrorCode::None)
            .await?;
        let outcome = |id: &Uuid| {
            let found = response.topics.iter().find(|topic| topic.topic_id == *id);
            let Some(topic) = found else {
                return Err(ClientError::broker(
                    ErrorCode::UnknownTopicId,
                    Some(&format!("TopicId {id} not found.")),
                ));
            };
            ClientError::check(topic.error_code, None)?;
            topic_metadata(topic)
                .map(describe)
                .ok_or_else(|| ClientError::protocol(format!("topic {id} came without a name")))
        };
        Ok(ids.iter().map(|id| (*id, outcome(id))).collect())
    }

    async fn describe_paged(
        &self,
        names: &[&str],
        partitions_per_response: i32,
    ) -> Result<Vec<(String, Result<TopicDescription>)>> {
        let options = self.options("describeTopicPartitions");
        let mut found: BTreeMap<String, Result<TopicDescription>> = BTreeMap::new();
        let mut cursor: Option<Cursor> = None;
        loop {
            // Topics before the cursor are complete: they are not asked for again.
            let left = |name: &&&str| {
                cursor
                    .as_ref()
                    .is_none_or(|c| **name >= c.topic_name.as_str())
            };
            let wanted = names.iter().filter(left);
            let topics: Vec<_> = wanted
                .map(|name| TopicRequest {
                    name: (*name).to_owned(),
                })
                .collect();
            let build = |_version| DescribeTopicPartitionsRequest {
                topics: topics.clone(),
                response_partition_limit: partitions_per_response,
                cursor: cursor.clone(),
            };
            let response = self
                .client()
                .call(options, Route::Any, build, |_| ErrorCode::None)
                .await?;
            for topic in response.topics {
                add_page(&mut found, topic);
            }
            cursor = match response.next_cursor {
                None => return Ok(found.into_iter().collect()),
                Some(next) => {
                    let next = Cursor {
                        topic_name: next.topic_name,
                        partition_index: next.partition_index,
                    };
                    if cursor.as_ref() == Some(&next) {
                        return Err(ClientError::protocol(
                            "the broker's page ends where it began",
                        ));
                    }
                    Some(next)
                }
            };
        }
    }

    async fn describe_by_metadata(
        &self,
        names: &[&str],
    ) -> Result<Vec<(String, Result<TopicDescription>)>> {
        let named = |name: &&str| MetadataRequestTopic {
            name: Some((*name).to_owned()),
            ..Default::default()
        };
        let mut topics = self
            .metadata_of("describeTopics", |_| {
                Some(names.iter().map(named).collect())
            })
            .await?;
        let outcome = |name: &&str| {
            let topic = topics.remove(*name).ok_or_else(|| {
                ClientError::broker(
                    ErrorCode::UnknownTopicOrPartition,
                    Some(&format!("Topic {name} not found.")),
                )
            });
            let outcome = topic.and_then(|topic| match topic.error {
                ErrorCode::None => Ok(describe(topic)),
                code => Err(ClientError::broker(code, None)),
            });
            ((*name).to_owned(), outcome)
        };
        Ok(names.iter().map(outcome).collect())
    }

    async fn metadata_of(
        &self,
        name: &'static str,
        topics: impl Fn(i16) -> Option<Vec<MetadataRequestTopic>>,
    ) -> Result<BTreeMap<Arc<str>, TopicMetadata>> {
        let build = |version: i16| {
            let mut request = MetadataRequest {
                topics: topics(version),
                allow_auto_topic_creation: version < 4,
                ..Default::default()
            };
            if version == 0 {
                request.topics.get_or_insert_default();
            }
            request
        };
        let response = self
            .client()
            .call(self.options(name), Route::Any, build, |response| {
                ErrorCode::from_code(response.error_code)
            })
            .await?;
        ClientError::check(response.error_code, None)?;
        let topics = response.topics.iter().filter_map(topic_metadata);
        Ok(topics.map(|topic| (topic.name.clone(), topic)).collect())
    }
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let assigned = !topic.assignments.is_empty();
    let assignment = |(partition, brokers): (&i32, &Vec<i32>)| CreatableReplicaAssignment {
        partition_index: *partition,
        broker_ids: brokers.clone(),
    };
    let config = |(name, value): (&String, &String)| CreatableTopicConfig {
        name: name.clone(),
        value: Some(value.clone()),
    };
    CreatableTopic {
        name: topic.name.clone(),
        num_partitions: topic.partitions.filter(|_| !assigned).unwrap_or(-1),
        replication_factor: topic.replication_factor.filter(|_| !assigned).unwrap_or(-1),
        assignments: topic.assignments.iter().map(assignment).collect(),
        configs: topic.configs.iter().map(config).collect(),
    }
}

fn describe(topic: TopicMetadata) -> TopicDescription {
    let partitions = topic.partitions.into_iter().map(|p| PartitionDescription {
        partition: p.partition,
        leader: p.leader,
        leader_epoch: p.leader_epoch,
        replicas: p.replicas,
        isr: p.isr,
        elr: None,
        last_known_elr: None,
        offline_replicas: p.offline_replicas,
    });
    TopicDescription {
        name: topic.name,
        id: topic.id,
        internal: topic.internal,
        partitions: partitions.collect(),
        authorized_operations: topic.authorized_operations,
    }
}

/// A topic with many partitions comes in several pages.
fn add_page(
    found: &mut BTreeMap<String, Result<TopicDescription>>,
    topic: DescribeTopicPartitionsResponseTopic,
) {
    let name = topic.name.unwrap_or_default();
    if let Err(error) = ClientError::check(topic.error_code, None) {
        found.insert(name, Err(error));
        return;
    }
    let page = topic.partitions.into_iter().map(partition);
    match found.get_mut(&name) {
        Some(Ok(described)) => described.partitions.extend(page),
        _ => {
            let description = TopicDescription {
                name: name.as_str().into(),
                id: topic.topic_id,
                internal: topic.is_internal,
                partitions: page.collect(),
                authorized_operations: topic.topic_authorized_operations,
            };
            found.insert(name, Ok(description));
        }
    }
}

fn partition(p: DescribeTopicPartitionsResponsePartition) -> PartitionDescription {
    PartitionDescription {
        partition: p.partition_index,
        leader: p.leader_id,
        leader_epoch: p.leader_epoch,
        replicas: p.replica_nodes,
        isr: p.isr_nodes,
        elr: p.eligible_leader_replicas,
        last_known_elr: p.last_known_elr,
        offline_replicas: p.offline_replicas,
    }
}
