//! Log directories of brokers (KIP-858): which replica is in which, and what becomes of partitions
//! whose directory fails.

use std::collections::BTreeSet;

use super::brokers::registered;
use super::elections::BrokerChange;
use super::{ApiError, Controller, ControllerResult};
use crate::metadata::image::{MetadataImage, PartitionImage};
use crate::metadata::record::{MetadataRecord, VersionedRecord};
use crate::protocol::messages::assign_replicas_to_dirs_request::{DirectoryData, TopicData};
use crate::protocol::messages::assign_replicas_to_dirs_response as response;
use crate::protocol::messages::{AssignReplicasToDirsRequest, AssignReplicasToDirsResponse};
use crate::protocol::records::metadata::{BrokerRegistrationChangeRecord, PartitionChangeRecord};
use crate::protocol::{ErrorCode, Uuid};

impl Controller {
    /// Notes the directories that a broker has put replicas into. A replica in a directory that is
    /// not online is none: its partition gets another leader.
    pub fn assign_replicas_to_dirs(
        &self,
        image: &MetadataImage,
        request: &AssignReplicasToDirsRequest,
    ) -> Result<ControllerResult<AssignReplicasToDirsResponse>, ApiError> {
        if !image.features.metadata_version().supports_directories() {
            let message = "Directory assignment is not supported yet.";
            return Err(ApiError::new(ErrorCode::UnsupportedVersion, message));
        }
        let broker_id = request.broker_id;
        self.check_broker_epoch(image, broker_id, request.broker_epoch)?;
        let broker = registered(image, broker_id)?;
        let mut assignment = Assignment {
            image,
            broker_id,
            records: Vec::new(),
            lost: BTreeSet::new(),
        };
        let mut answer = AssignReplicasToDirsResponse::default();
        for directory in &request.directories {
            let is_online = broker.log_dirs.contains(&directory.id);
            answer
                .directories
                .push(assignment.directory(directory, is_online));
        }
        let Assignment {
            mut records, lost, ..
        } = assignment;
        if !lost.is_empty() {
            let change = BrokerChange::Leaves(broker_id);
            records.append(&mut self.changes_among(image, change, |topic, index, _| {
                lost.contains(&(topic, index))
            }));
        }
        Ok(ControllerResult::in_steps(records, answer))
    }

    /// Takes directories of a broker out of use, as its heartbeat reports them: the partitions in
    /// them lose this replica.
    pub fn directories_offline(
        &self,
        image: &MetadataImage,
        broker_id: i32,
        offline: &[Uuid],
    ) -> Result<ControllerResult<()>, ApiError> {
        let broker = registered(image, broker_id)?;
        let mut records = Vec::new();
        let (failed, left): (Vec<Uuid>, Vec<Uuid>) = broker
            .log_dirs
            .iter()
            .partition(|directory| offline.contains(directory));
        if !image.features.metadata_version().supports_directories() || failed.is_empty() {
            return Ok(ControllerResult::in_steps(records, ()));
        }
        for directory in failed {
            let is_there = |_, _, partition: &PartitionImage| {
                partition.directory_of(broker_id) == Some(directory)
            };
            let change = BrokerChange::Leaves(broker_id);
            records.append(&mut self.changes_among(image, change, is_there));
        }
        let change = BrokerRegistrationChangeRecord {
            broker_id,
            broker_epoch: broker.broker_epoch,
            log_dirs: left,
            ..Default::default()
        };
        records.push(MetadataRecord::from(change).at(2));
        Ok(ControllerResult::in_steps(records, ()))
    }
}

struct Assignment<'a> {
    image: &'a MetadataImage,
    broker_id: i32,
    records: Vec<VersionedRecord>,
    /// Partitions in directories that are offline.
    lost: BTreeSet<(Uuid, i32)>,
}

impl Assignment<'_> {
    fn directory(&mut self, asked: &DirectoryData, is_online: bool) -> response::DirectoryData {
        let topic = |topic: &TopicData| {
            let partition = |index: i32| response::PartitionData {
                partition_index: index,
                error_code: self
                    .partition(asked.id, is_online, topic.topic_id, index)
                    .err()
                    .unwrap_or(ErrorCode::None)
                    .code(),
            };
            response::TopicData {
                topic_id: topic.topic_id,
                partitions: topic
                    .partitions
                    .iter()
                    .map(|p| p.partition_index)
                    .map(partition)
                    .collect(),
            }
        };
        response::DirectoryData {
            id: asked.id,
            topics: asked.topics.iter().map(topic).collect(),
        }
    }

    fn partition(
        &mut self,
        directory: Uuid,
        is_online: bool,
        topic_id: Uuid,
        index: i32,
    ) -> Result<(), ErrorCode> {
        let topic = self.image.topics.get_by_id(topic_id);
        let topic = topic.ok_or(ErrorCode::UnknownTopicId)?;
        let partition = topic.partitions.get(&index);
        let partition = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let mut directories = partition.directories.clone();
        directories.resize(partition.replicas.len(), Uuid::ZERO);
        let at = partition
            .replicas
            .iter()
            .position(|id| *id == self.broker_id);
        let slot = at.and_then(|at| directories.get_mut(at));
        let slot = slot.ok_or(ErrorCode::NotLeaderOrFollower)?;
        if *slot != directory {
            *slot = directory;
            let version = self.image.features.metadata_version();
            let change = PartitionChangeRecord {
                topic_id,
                partition_id: index,
                directories: Some(directories),
                ..Default::default()
            };
            let record = MetadataRecord::from(change);
            self.records
                .push(record.at(version.partition_change_record_version()));
        }
        if !is_online {
            self.lost.insert((topic_id, index));
        }
        Ok(())
    }
}
