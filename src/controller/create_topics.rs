//! CreateTopics; topics that are created on first use take the same way.

use std::collections::{BTreeMap, BTreeSet};

use super::configs::clear_elr;
use super::elections::new_partition;
use super::partitions::{
    active_replicas, check_assignment, no_active_replica, too_many_partitions,
};
use super::placement::{Random, place};
use super::topic_names::{CLUSTER_METADATA, collide, has_collision_chars, validate_topic_name};
use super::{ApiError, Controller, ControllerResult, PARTITIONS_PER_REQUEST_MAX, Permits};
use crate::config::describe::describe_topic;
use crate::config::layers::DynamicConfig;
use crate::config::topic;
use crate::metadata::image::{ConfigResource, ConfigResourceType, MetadataImage, PartitionImage};
use crate::metadata::record::{MetadataRecord, VersionedRecord, v0};
use crate::protocol::messages::create_topics_request::CreatableTopic;
use crate::protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use crate::protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use crate::protocol::records::metadata::{ConfigRecord, TopicRecord};
use crate::protocol::{ErrorCode, Uuid};

impl Controller {
    /// Creates topics, each whole or not at all.
    pub fn create_topics(
        &self,
        image: &MetadataImage,
        request: &CreateTopicsRequest,
        random: &mut Random<'_>,
        permits: &mut Permits<'_>,
    ) -> ControllerResult<CreateTopicsResponse> {
        let duplicates = duplicate_names(request);
        let is_ordinary = |topic: &&CreatableTopic| {
            !duplicates.contains(topic.name.as_str()) && topic.name != CLUSTER_METADATA
        };
        let topics: Vec<&CreatableTopic> = request.topics.iter().filter(is_ordinary).collect();
        let is_excessive = self.partition_count(&topics) > PARTITIONS_PER_REQUEST_MAX;
        let mut response = CreateTopicsResponse::default();
        let mut records = Vec::new();
        for topic in topics {
            let created = match is_excessive {
                true => Err(too_many_partitions()),
                false => self.create_topic(image, topic, random, permits),
            };
            response.topics.push(match created {
                Ok((mut topic_records, result)) => {
                    records.append(&mut topic_records);
                    result
                }
                Err(error) => failure(&topic.name, error),
            });
        }
        for name in &duplicates {
            let error = ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name.");
            response.topics.push(failure(name, error));
        }
        if !duplicates.contains(CLUSTER_METADATA)
            && request
                .topics
                .iter()
                .any(|topic| topic.name == CLUSTER_METADATA)
        {
            let message = format!("Creation of internal topic {CLUSTER_METADATA} is prohibited.");
            let error = ApiError::new(ErrorCode::InvalidRequest, message);
            response.topics.push(failure(CLUSTER_METADATA, error));
        }
        if request.validate_only {
            records.clear();
        }
        ControllerResult::atomic(records, response)
    }

    fn partition_count(&self, topics: &[&CreatableTopic]) -> usize {
        let count = |topic: &&CreatableTopic| match (topic.assignments.len(), topic.num_partitions)
        {
            (0, -1) => self.default_partitions(),
            (0, count) => count,
            (assignments, _) => i32::try_from(assignments).unwrap_or(i32::MAX),
        };
        let counts = topics.iter().map(count);
        counts
            .map(|count| usize::try_from(count).unwrap_or(0))
            .sum()
    }

    fn default_partitions(&self) -> i32 {
        self.static_values.int("num.partitions")
    }

    fn create_topic(
        &self,
        image: &MetadataImage,
        topic: &CreatableTopic,
        random: &mut Random<'_>,
        permits: &mut Permits<'_>,
    ) -> Result<(Vec<VersionedRecord>, CreatableTopicResult), ApiError> {
        check_name(image, &topic.name)?;
        let configs = self.creation_configs(image, topic)?;
        let partitions = match topic.assignments.is_empty() {
            true => self.placed_partitions(image, topic, random)?,
            false => assigned_partitions(image, topic)?,
        };
        permits(partitions.len())?;
        let topic_id = Uuid::from_random(random());
        let mut records = vec![v0(TopicRecord {
            name: topic.name.clone(),
            topic_id,
            ..Default::default()
        })];
        records.extend(configs.iter().map(|(name, value)| {
            v0(ConfigRecord {
                resource_type: ConfigResourceType::TOPIC.0,
                resource_name: topic.name.clone(),
                name: name.clone(),
                value: Some(value.clone()),
                ..Default::default()
            })
        }));
        records.extend(clear_elr(
            image,
            &ConfigResource::topic(&*topic.name),
            configs.keys(),
        ));
        let version = image.features.metadata_version();
        records.extend((0..).zip(&partitions).map(|(index, partition)| {
            let record = MetadataRecord::from(partition.record(topic_id, index, version));
            record.at(version.partition_record_version())
        }));
        let replicas = partitions.first().map_or(0, |first| first.replicas.len());
        let result = CreatableTopicResult {
            name: topic.name.clone(),
            topic_id,
            error_message: None,
            num_partitions: partitions.len() as i32,
            replication_factor: replicas as i16,
            configs: Some(self.effective_configs(image, &configs)),
            ..Default::default()
        };
        Ok((records, result))
    }

    fn creation_configs(
        &self,
        image: &MetadataImage,
        topic: &CreatableTopic,
    ) -> Result<DynamicConfig, ApiError> {
        let nulls: Vec<&str> = topic
            .configs
            .iter()
            .filter(|config| config.value.is_none())
            .map(|config| config.name.as_str())
            .collect();
        if !nulls.is_empty() {
            let nulls = nulls.join(",");
            let message = format!("Null value not supported for topic configs: {nulls}");
            return Err(ApiError::new(ErrorCode::InvalidConfig, message));
        }
        let configs: DynamicConfig = topic
            .configs
            .iter()
            .filter_map(|config| Some((config.name.clone(), config.value.clone()?)))
            .collect();
        super::configs::check_value_sizes(&configs)?;
        topic::validate(&configs, &self.layers(image).values())
            .map_err(|error| ApiError::new(ErrorCode::InvalidConfig, error.to_string()))?;
        Ok(configs)
    }

    fn placed_partitions(
        &self,
        image: &MetadataImage,
        topic: &CreatableTopic,
        random: &mut Random<'_>,
    ) -> Result<Vec<PartitionImage>, ApiError> {
        if topic.replication_factor < -1 || topic.replication_factor == 0 {
            let message =
                "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(ApiError::new(ErrorCode::InvalidReplicationFactor, message));
        }
        if topic.num_partitions < -1 || topic.num_partitions == 0 {
            let message = "Number of partitions was set to an invalid non-positive value.";
            return Err(ApiError::new(ErrorCode::InvalidPartitions, message));
        }
        let count = match topic.num_partitions {
            -1 => self.default_partitions(),
            count => count,
        };
        let factor = match topic.replication_factor {
            -1 => self.static_values.int("default.replication.factor"),
            factor => i32::from(factor),
        };
        let placed = place(
            &image.cluster,
            usize::try_from(count).unwrap_or(0),
            factor,
            random,
        )?;
        let state = |replicas: Vec<i32>| {
            let isr = active_replicas(image, &replicas);
            match isr.is_empty() {
                true => Err(no_active_replica(false, 0, replicas.len())),
                false => Ok(new_partition(image, replicas, isr)),
            }
        };
        placed.into_iter().map(state).collect()
    }

    fn effective_configs(
        &self,
        image: &MetadataImage,
        configs: &DynamicConfig,
    ) -> Vec<CreatableTopicConfigs> {
        let mut effective: Vec<_> = describe_topic(&self.layers(image), configs)
            .into_iter()
            .map(|entry| CreatableTopicConfigs {
                name: entry.name,
                value: entry.value.filter(|_| !entry.is_sensitive),
                read_only: entry.is_read_only,
                config_source: entry.source.code(),
                is_sensitive: entry.is_sensitive,
            })
            .collect();
        effective.sort_by(|a, b| a.name.cmp(&b.name));
        effective
    }
}

fn duplicate_names(request: &CreateTopicsRequest) -> BTreeSet<&str> {
    let mut seen = BTreeSet::new();
    let names = request.topics.iter().map(|topic| topic.name.as_str());
    names.filter(|name| !seen.insert(*name)).collect()
}

fn check_name(image: &MetadataImage, name: &str) -> Result<(), ApiError> {
    validate_topic_name(name)?;
    if image.topics.get(name).is_some() {
        let message = format!("Topic '{name}' already exists.");
        return Err(ApiError::new(ErrorCode::TopicAlreadyExists, message));
    }
    if has_collision_chars(name)
        && let Some(other) = image.topics.names().find(|other| collide(name, other))
    {
        let message = format!("Topic '{name}' collides with existing topic: {other}");
        return Err(ApiError::new(ErrorCode::InvalidTopicException, message));
    }
    Ok(())
}

fn assigned_partitions(
    image: &MetadataImage,
    topic: &CreatableTopic,
) -> Result<Vec<PartitionImage>, ApiError> {
    let refuse = |code, message: &str| Err(ApiError::new(code, message));
    if topic.replication_factor != -1 {
        return refuse(
            ErrorCode::InvalidRequest,
            "A manual partition assignment was specified, but replication factor was not set to \
             -1.",
        );
    }
    if topic.num_partitions != -1 {
        return refuse(
            ErrorCode::InvalidRequest,
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        );
    }
    let mut partitions = BTreeMap::new();
    let mut factor = None;
    for assignment in &topic.assignments {
        let index = assignment.partition_index;
        if partitions.contains_key(&index) {
            return refuse(
                ErrorCode::InvalidReplicaAssignment,
                &format!("Found multiple manual partition assignments for partition {index}"),
            );
        }
        check_assignment(image, &assignment.broker_ids, factor)?;
        factor = Some(assignment.broker_ids.len());
        let isr = active_replicas(image, &assignment.broker_ids);
        if isr.is_empty() {
            return Err(no_active_replica(true, index, assignment.broker_ids.len()));
        }
        partitions.insert(
            index,
            new_partition(image, assignment.broker_ids.clone(), isr),
        );
    }
    if !partitions.keys().copied().eq(0..partitions.len() as i32) {
        return refuse(
            ErrorCode::InvalidReplicaAssignment,
            "partitions should be a consecutive 0-based integer sequence",
        );
    }
    Ok(partitions.into_values().collect())
}

fn failure(name: &str, error: ApiError) -> CreatableTopicResult {
    CreatableTopicResult {
        name: name.to_owned(),
        error_code: error.code.code(),
        error_message: error.message,
        configs: Some(Vec::new()),
        ..Default::default()
    }
}
