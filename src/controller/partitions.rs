//! CreatePartitions, and the checks of manual assignments that it shares with CreateTopics.

use std::collections::BTreeSet;

use super::elections::new_partition;
use super::placement::{Random, place};
use super::{ApiError, Controller, ControllerResult, PARTITIONS_PER_REQUEST_MAX, Permits};
use crate::metadata::image::MetadataImage;
use crate::metadata::record::{MetadataRecord, VersionedRecord};
use crate::protocol::ErrorCode;
use crate::protocol::messages::create_partitions_request::CreatePartitionsTopic;
use crate::protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use crate::protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

impl Controller {
    /// Adds partitions to topics.
    pub fn create_partitions(
        &self,
        image: &MetadataImage,
        request: &CreatePartitionsRequest,
        random: &mut Random<'_>,
        permits: &mut Permits<'_>,
    ) -> ControllerResult<CreatePartitionsResponse> {
        let mut response = CreatePartitionsResponse::default();
        let mut records = Vec::new();
        let (mut seen, mut duplicates) = (BTreeSet::new(), BTreeSet::new());
        for topic in &request.topics {
            if !seen.insert(topic.name.as_str()) {
                duplicates.insert(topic.name.as_str());
            }
        }
        for name in &duplicates {
            let error = ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name.");
            response.results.push(result(name, Err(error)));
        }
        for topic in request
            .topics
            .iter()
            .filter(|t| !duplicates.contains(t.name.as_str()))
        {
            let added = new_partitions(image, topic, random, permits).map(|mut added| {
                records.append(&mut added);
            });
            response.results.push(result(&topic.name, added));
        }
        if records.len() > PARTITIONS_PER_REQUEST_MAX {
            records.clear();
            for result in &mut response.results {
                result.error_code = ErrorCode::PolicyViolation.code();
                result.error_message =
                    Some("Excessively large number of partitions per request.".to_owned());
            }
        }
        if request.validate_only {
            records.clear();
        }
        ControllerResult::atomic(records, response)
    }
}

fn result(name: &str, outcome: Result<(), ApiError>) -> CreatePartitionsTopicResult {
    let error = outcome.err().unwrap_or(ApiError::bare(ErrorCode::None));
    CreatePartitionsTopicResult {
        name: name.to_owned(),
        error_code: error.code.code(),
        error_message: error.message,
    }
}

fn new_partitions(
    image: &MetadataImage,
    request: &CreatePartitionsTopic,
    random: &mut Random<'_>,
    permits: &mut Permits<'_>,
) -> Result<Vec<VersionedRecord>, ApiError> {
    let topic = image.topics.get(&request.name);
    let topic = topic.ok_or(ApiError::bare(ErrorCode::UnknownTopicOrPartition))?;
    let present = topic.partitions.len();
    let invalid = |message: String| Err(ApiError::new(ErrorCode::InvalidPartitions, message));
    let count = usize::try_from(request.count).unwrap_or(0);
    if count == present {
        return invalid(format!("Topic already has {present} partition(s)."));
    }
    if count < present {
        return invalid(format!(
            "The topic {} currently has {present} partition(s); {} would not be an increase.",
            request.name, request.count
        ));
    }
    let additional = count - present;
    if additional > PARTITIONS_PER_REQUEST_MAX {
        return Err(too_many_partitions());
    }
    let factor = topic
        .partitions
        .values()
        .next()
        .map_or(0, |first| first.replicas.len());
    let assignments: Vec<Vec<i32>> = match &request.assignments {
        None => place(&image.cluster, additional, factor as i32, random)?,
        Some(assignments) if assignments.len() != additional => {
            return Err(ApiError::new(
                ErrorCode::InvalidReplicaAssignment,
                format!(
                    "Attempted to add {additional} additional partition(s), but only {} \
                     assignment(s) were specified.",
                    assignments.len()
                ),
            ));
        }
        Some(assignments) => {
            for assignment in assignments {
                check_assignment(image, &assignment.broker_ids, Some(factor))?;
            }
            assignments
                .iter()
                .map(|assignment| assignment.broker_ids.clone())
                .collect()
        }
    };
    permits(additional)?;
    let is_manual = request.assignments.is_some();
    let version = image.features.metadata_version();
    let mut records = Vec::with_capacity(additional);
    for (index, replicas) in (present as i32..).zip(assignments) {
        let isr = active_replicas(image, &replicas);
        if isr.is_empty() {
            return Err(no_active_replica(is_manual, index, factor));
        }
        let partition = new_partition(image, replicas, isr);
        let record = MetadataRecord::from(partition.record(topic.id, index, version));
        records.push(record.at(version.partition_record_version()));
    }
    Ok(records)
}

pub(super) fn too_many_partitions() -> ApiError {
    let message = "Excessively large number of partitions per request.";
    ApiError::new(ErrorCode::PolicyViolation, message)
}

/// The brokers among `replicas` that can take part at once.
pub(super) fn active_replicas(image: &MetadataImage, replicas: &[i32]) -> Vec<i32> {
    replicas
        .iter()
        .copied()
        .filter(|replica| image.cluster.is_active(*replica))
        .collect()
}

/// Why a new partition would have no leader.
pub(super) fn no_active_replica(is_manual: bool, index: i32, factor: usize) -> ApiError {
    if is_manual {
        let message = format!(
            "All brokers specified in the manual partition assignment for partition {index} are \
             fenced or in controlled shutdown."
        );
        return ApiError::new(ErrorCode::InvalidReplicaAssignment, message);
    }
    let message = format!(
        "Unable to replicate the partition {factor} time(s): All brokers are currently fenced or \
         in controlled shutdown."
    );
    ApiError::new(ErrorCode::InvalidReplicationFactor, message)
}

/// Checks one manual assignment; `factor` is the number of replicas of the partitions before it.
pub(super) fn check_assignment(
    image: &MetadataImage,
    replicas: &[i32],
    factor: Option<usize>,
) -> Result<(), ApiError> {
    let invalid = |message| Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
    if replicas.is_empty() {
        let message = "The manual partition assignment includes an empty replica list.";
        return invalid(message.to_owned());
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    let mut previous = None;
    for broker in sorted {
        if image.cluster.broker(broker).is_none() {
            return invalid(format!(
                "The manual partition assignment includes broker {broker}, but no such broker is \
                 registered."
            ));
        }
        if previous == Some(broker) {
            return invalid(format!(
                "The manual partition assignment includes the broker {broker} more than once."
            ));
        }
        previous = Some(broker);
    }
    match factor {
        Some(factor) if factor != replicas.len() => invalid(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is \
             not consistent with previous partitions, which have {factor} replica(s).",
            replicas.len()
        )),
        _ => Ok(()),
    }
}
