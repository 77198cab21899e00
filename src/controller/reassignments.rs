//! AlterPartitionReassignments and ListPartitionReassignments.
//!
//! A partition whose replicas all stay where they are, in whatever order, is reassigned at once. Replicas that come to
//! other brokers have to catch up before others may go: the partition notes both until then. A cluster of one node
//! has no others, so that what is accepted here is done with the answer.

use std::collections::BTreeSet;

use super::partitions::check_assignment;
use super::{ApiError, Controller, ControllerResult};
use crate::metadata::image::{MetadataImage, PartitionImage, TopicImage};
use crate::metadata::record::{MetadataRecord, VersionedRecord};
use crate::protocol::ErrorCode;
use crate::protocol::messages::alter_partition_reassignments_request::ReassignablePartition;
use crate::protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use crate::protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use crate::protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};
use crate::protocol::records::metadata::PartitionChangeRecord;

impl Controller {
    pub fn alter_partition_reassignments(
        &self,
        image: &MetadataImage,
        request: &AlterPartitionReassignmentsRequest,
    ) -> ControllerResult<AlterPartitionReassignmentsResponse> {
        let mut records = Vec::new();
        let mut response = AlterPartitionReassignmentsResponse {
            allow_replication_factor_change: request.allow_replication_factor_change,
            ..Default::default()
        };
        if !request.topics.is_empty() {
            response.error_message = None;
        }
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            let allow_change = request.allow_replication_factor_change;
            for target in &topic.partitions {
                let error = match reassign(image, &topic.name, target, allow_change) {
                    Ok(record) => {
                        records.extend(record);
                        ApiError::bare(ErrorCode::None)
                    }
                    Err(error) => error,
                };
                partitions.push(ReassignablePartitionResponse {
                    partition_index: target.partition_index,
                    error_code: error.code.code(),
                    error_message: error.message,
                });
            }
            response.responses.push(ReassignableTopicResponse {
                name: topic.name.clone(),
                partitions,
            });
        }
        ControllerResult::atomic(records, response)
    }
}

/// What is being reassigned: of all topics, or of those that are asked for.
pub fn list_partition_reassignments(
    image: &MetadataImage,
    request: &ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let ongoing = |topic: &TopicImage, indexes: Option<&[i32]>| {
        let asked = |index: &i32| indexes.is_none_or(|indexes| indexes.contains(index));
        let partitions = topic.partitions.iter();
        let partitions: Vec<_> = partitions
            .filter(|(index, partition)| asked(index) && is_ongoing(partition))
            .map(|(index, partition)| OngoingPartitionReassignment {
                partition_index: *index,
                replicas: partition.replicas.clone(),
                adding_replicas: partition.adding_replicas.clone(),
                removing_replicas: partition.removing_replicas.clone(),
            })
            .collect();
        (!partitions.is_empty()).then(|| OngoingTopicReassignment {
            name: topic.name.to_string(),
            partitions,
        })
    };
    let topics = match &request.topics {
        None => image
            .topics
            .iter()
            .filter_map(|topic| ongoing(topic, None))
            .collect(),
        Some(asked) => asked
            .iter()
            .filter_map(|asked| {
                let topic = image.topics.get(&asked.name)?;
                ongoing(topic, Some(&asked.partition_indexes))
            })
            .collect(),
    };
    ListPartitionReassignmentsResponse {
        error_message: None,
        topics,
        ..Default::default()
    }
}

fn is_ongoing(partition: &PartitionImage) -> bool {
    !partition.adding_replicas.is_empty() || !partition.removing_replicas.is_empty()
}

fn reassign(
    image: &MetadataImage,
    name: &str,
    target: &ReassignablePartition,
    allow_factor_change: bool,
) -> Result<Option<VersionedRecord>, ApiError> {
    let unknown = |what: String| {
        let message = format!("Unable to find {what}.");
        ApiError::new(ErrorCode::UnknownTopicOrPartition, message)
    };
    let topic = image
        .topics
        .get(name)
        .ok_or_else(|| unknown(format!("a topic named {name}")))?;
    let index = target.partition_index;
    let partition = topic
        .partitions
        .get(&index)
        .ok_or_else(|| unknown(format!("partition {name}:{index}")))?;
    let replicas = match &target.replicas {
        None => cancelled(partition)?,
        Some(replicas) => {
            check_assignment(image, replicas, None)?;
            if !allow_factor_change {
                check_factor(partition, index, replicas)?;
            }
            replicas.clone()
        }
    };
    let mut next = partition.clone();
    let is_cancelled = target.replicas.is_none();
    next.replicas = replicas;
    (next.adding_replicas, next.removing_replicas) = (Vec::new(), Vec::new());
    let brokers: BTreeSet<i32> = next.replicas.iter().copied().collect();
    next.isr.retain(|replica| brokers.contains(replica));
    let has_all = next
        .replicas
        .iter()
        .all(|replica| partition.isr.contains(replica));
    if !is_cancelled && !has_all && partition.replicas != next.replicas {
        let message = "Replicas cannot be moved to other brokers by a cluster of one node.";
        return Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    Ok(change(image, topic, index, partition, &next))
}

/// The replicas before the reassignment that is under way.
fn cancelled(partition: &PartitionImage) -> Result<Vec<i32>, ApiError> {
    if !is_ongoing(partition) {
        return Err(ErrorCode::NoReassignmentInProgress.into());
    }
    let adding = &partition.adding_replicas;
    let replicas = partition.replicas.iter().copied();
    Ok(replicas
        .filter(|replica| !adding.contains(replica))
        .collect())
}

fn check_factor(partition: &PartitionImage, index: i32, replicas: &[i32]) -> Result<(), ApiError> {
    let adding = &partition.adding_replicas;
    let current = partition
        .replicas
        .iter()
        .filter(|replica| !adding.contains(replica));
    let current = current.count();
    match replicas.len() == current {
        true => Ok(()),
        false => Err(ApiError::new(
            ErrorCode::InvalidReplicationFactor,
            format!(
                "The replication factor is changed from {current} to {} for partition {index}",
                replicas.len()
            ),
        )),
    }
}

fn change(
    image: &MetadataImage,
    topic: &TopicImage,
    index: i32,
    partition: &PartitionImage,
    next: &PartitionImage,
) -> Option<VersionedRecord> {
    let changed = |from: &Vec<i32>, to: &Vec<i32>| (from != to).then(|| to.clone());
    let mut record = PartitionChangeRecord {
        topic_id: topic.id,
        partition_id: index,
        replicas: changed(&partition.replicas, &next.replicas),
        isr: changed(&partition.isr, &next.isr),
        adding_replicas: changed(&partition.adding_replicas, &next.adding_replicas),
        removing_replicas: changed(&partition.removing_replicas, &next.removing_replicas),
        ..Default::default()
    };
    let version = image.features.metadata_version();
    if record.replicas.is_some() && version.supports_directories() {
        let directory = |replica: &i32| {
            let kept = partition.directory_of(*replica);
            kept.unwrap_or_else(|| super::placement::default_directory(&image.cluster, *replica))
        };
        record.directories = Some(next.replicas.iter().map(directory).collect());
    }
    let nothing = PartitionChangeRecord {
        topic_id: topic.id,
        partition_id: index,
        ..Default::default()
    };
    (record != nothing)
        .then(|| MetadataRecord::from(record).at(version.partition_change_record_version()))
}
