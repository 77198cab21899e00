//! ElectLeaders: the first replica of a partition, or any one left, becomes its leader when somebody asks for it.

use super::elections::Asked;
use super::{ApiError, Controller, ControllerResult};
use crate::metadata::image::{MetadataImage, TopicImage};
use crate::metadata::record::VersionedRecord;
use crate::protocol::ErrorCode;
use crate::protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use crate::protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

impl Controller {
    /// Without a list all partitions are looked at, and those that have the leader they should have
    /// are not mentioned.
    pub fn elect_leaders(
        &self,
        image: &MetadataImage,
        request: &ElectLeadersRequest,
    ) -> Result<ControllerResult<ElectLeadersResponse>, ApiError> {
        let asked = match request.election_type {
            0 => Asked::Preferred,
            1 => Asked::Unclean,
            other => {
                let message = format!("Unknown election type {other}");
                return Err(ApiError::new(ErrorCode::InvalidRequest, message));
            }
        };
        let mut records = Vec::new();
        let mut results = Vec::new();
        let mut elect = |name: &str, topic: Option<&TopicImage>, partitions: &[i32], all: bool| {
            let mut partition_result = Vec::with_capacity(partitions.len());
            for index in partitions {
                let error = match self.elect_one(image, name, topic, *index, asked) {
                    Ok(record) => {
                        records.push(record);
                        ApiError::bare(ErrorCode::None)
                    }
                    Err(error) if all && error.code == ErrorCode::ElectionNotNeeded => continue,
                    Err(error) => error,
                };
                partition_result.push(PartitionResult {
                    partition_id: *index,
                    error_code: error.code.code(),
                    error_message: error.message,
                });
            }
            results.push(ReplicaElectionResult {
                topic: name.to_owned(),
                partition_result,
            });
        };
        match &request.topic_partitions {
            Some(topics) => {
                for asked in topics {
                    let topic = image.topics.get(&asked.topic).map(|topic| &**topic);
                    elect(&asked.topic, topic, &asked.partitions, false);
                }
            }
            None => {
                for topic in image.topics.iter() {
                    let partitions: Vec<i32> = topic.partitions.keys().copied().collect();
                    elect(&topic.name, Some(topic), &partitions, true);
                }
            }
        }
        let response = ElectLeadersResponse {
            replica_election_results: results,
            ..Default::default()
        };
        Ok(ControllerResult::in_steps(records, response))
    }

    fn elect_one(
        &self,
        image: &MetadataImage,
        name: &str,
        topic: Option<&TopicImage>,
        index: i32,
        asked: Asked,
    ) -> Result<VersionedRecord, ApiError> {
        let unknown = |message: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, message);
        let topic = topic.ok_or_else(|| unknown(format!("No such topic as {name}")))?;
        let partition = topic
            .partitions
            .get(&index)
            .ok_or_else(|| unknown(format!("No such partition as {name}-{index}")))?;
        let (not_needed, none) = match asked {
            Asked::Preferred => (
                partition.replicas.first() == Some(&partition.leader),
                ErrorCode::PreferredLeaderNotAvailable,
            ),
            Asked::Unclean => (
                partition.leader >= 0,
                ErrorCode::EligibleLeadersNotAvailable,
            ),
        };
        if not_needed {
            return Err(usual(ErrorCode::ElectionNotNeeded));
        }
        self.asked_election(image, topic, index, partition, asked)
            .ok_or_else(|| usual(none))
    }
}

/// An error with its usual message.
fn usual(code: ErrorCode) -> ApiError {
    ApiError::new(code, code.message())
}
