//! Applies records to an image, one kind per arm.

use std::sync::Arc;

use crate::metadata::delta::MetadataChanges;
use crate::metadata::{MetadataRecord, VersionedRecord};
use crate::protocol::Uuid;
use crate::protocol::records::metadata::{
    ClearElrRecord, ConfigRecord, PartitionChangeRecord, PartitionRecord,
};

use super::{ConfigResource, ConfigResourceType, MetadataImage, PartitionImage};

/// A record that cannot follow those before it: the log is damaged or newer than this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    #[error("metadata log names topic id {0}, which does not exist")]
    NoSuchTopic(Uuid),
    #[error("metadata log names partition {index} of topic id {topic}, which does not exist")]
    NoSuchPartition { topic: Uuid, index: i32 },
    #[error("metadata log creates topic {0} twice")]
    DuplicateTopic(String),
    #[error("metadata log changes broker {id} of epoch {epoch}, which is not registered")]
    NoSuchBroker { id: i32, epoch: i64 },
    #[error("the cluster's {name} is at level {level}, which this version does not support")]
    UnsupportedFeature { name: String, level: i16 },
    #[error("metadata log has a {found} record {state} a metadata transaction")]
    Transaction {
        found: &'static str,
        state: &'static str,
    },
}

impl MetadataImage {
    /// Applies one record and notes what it changed. Transaction markers are the loader's.
    pub(crate) fn replay(
        &mut self,
        versioned: &VersionedRecord,
        changes: &mut MetadataChanges,
    ) -> Result<(), ReplayError> {
        use MetadataRecord as R;
        match &versioned.record {
            R::Topic(record) => {
                self.topics.create(record)?;
                changes
                    .created_topics
                    .insert(record.topic_id, record.name.as_str().into());
            }
            R::Partition(record) => self.replay_partition(record, changes)?,
            R::PartitionChange(record) => self.replay_partition_change(record, changes)?,
            R::RemoveTopic(record) => self.remove_topic(record.topic_id, changes)?,
            R::ClearElr(record) => self.clear_elr(record, changes)?,
            R::Config(record) => self.replay_config(record, changes),
            R::FeatureLevel(record) => {
                Arc::make_mut(&mut self.features).replay(record)?;
                changes.features.insert(record.name.clone());
            }
            R::ZkMigrationState(record) => {
                Arc::make_mut(&mut self.features).zk_migration = Some(record.clone());
            }
            R::ProducerIds(record) => {
                self.producer_ids = Some(record.clone());
                changes.producer_ids = true;
            }
            R::NoOp(_) | R::BeginTransaction(_) | R::EndTransaction(_) | R::AbortTransaction(_) => {
            }
            R::Unknown(_) => Arc::make_mut(&mut self.unknown).push(versioned.record.clone()),
            R::RegisterBroker(_)
            | R::UnregisterBroker(_)
            | R::FenceBroker(_)
            | R::UnfenceBroker(_)
            | R::BrokerRegistrationChange(_)
            | R::RegisterController(_) => self.replay_node(&versioned.record, changes)?,
            R::AccessControlEntry(_)
            | R::RemoveAccessControlEntry(_)
            | R::UserScramCredential(_)
            | R::RemoveUserScramCredential(_)
            | R::DelegationToken(_)
            | R::RemoveDelegationToken(_)
            | R::ClientQuota(_) => self.replay_security(&versioned.record, changes),
        }
        Ok(())
    }

    fn replay_node(
        &mut self,
        record: &MetadataRecord,
        changes: &mut MetadataChanges,
    ) -> Result<(), ReplayError> {
        let cluster = Arc::make_mut(&mut self.cluster);
        let broker = match record {
            MetadataRecord::RegisterBroker(record) => {
                cluster.brokers.insert(record.broker_id, record.clone());
                record.broker_id
            }
            MetadataRecord::UnregisterBroker(record) => {
                cluster.unregister(record.broker_id, record.broker_epoch)?;
                record.broker_id
            }
            MetadataRecord::FenceBroker(record) => {
                cluster.set_fenced(record.id, record.epoch, true)?;
                record.id
            }
            MetadataRecord::UnfenceBroker(record) => {
                cluster.set_fenced(record.id, record.epoch, false)?;
                record.id
            }
            MetadataRecord::BrokerRegistrationChange(record) => {
                cluster.change(record)?;
                record.broker_id
            }
            MetadataRecord::RegisterController(record) => {
                cluster
                    .controllers
                    .insert(record.controller_id, record.clone());
                changes.controllers.insert(record.controller_id);
                return Ok(());
            }
            _ => return Ok(()),
        };
        changes.brokers.insert(broker);
        Ok(())
    }

    fn replay_security(&mut self, record: &MetadataRecord, changes: &mut MetadataChanges) {
        match record {
            MetadataRecord::AccessControlEntry(record) => {
                Arc::make_mut(&mut self.acls)
                    .by_id
                    .insert(record.id, record.clone());
                changes.acls = true;
            }
            MetadataRecord::RemoveAccessControlEntry(record) => {
                Arc::make_mut(&mut self.acls).by_id.remove(&record.id);
                changes.acls = true;
            }
            MetadataRecord::UserScramCredential(record) => {
                let key = (record.mechanism, record.name.clone());
                Arc::make_mut(&mut self.scram)
                    .credentials
                    .insert(key, record.clone());
                changes.scram = true;
            }
            MetadataRecord::RemoveUserScramCredential(record) => {
                let key = (record.mechanism, record.name.clone());
                Arc::make_mut(&mut self.scram).credentials.remove(&key);
                changes.scram = true;
            }
            MetadataRecord::DelegationToken(record) => {
                let tokens = Arc::make_mut(&mut self.tokens);
                tokens.by_id.insert(record.token_id.clone(), record.clone());
                changes.tokens = true;
            }
            MetadataRecord::RemoveDelegationToken(record) => {
                Arc::make_mut(&mut self.tokens)
                    .by_id
                    .remove(&record.token_id);
                changes.tokens = true;
            }
            MetadataRecord::ClientQuota(record) => {
                Arc::make_mut(&mut self.quotas).replay(record);
                changes.quotas = true;
            }
            _ => {}
        }
    }

    fn replay_config(&mut self, record: &ConfigRecord, changes: &mut MetadataChanges) {
        let resource = ConfigResource {
            kind: ConfigResourceType(record.resource_type),
            name: record.resource_name.clone(),
        };
        Arc::make_mut(&mut self.configs).replay(&resource, record);
        changes.configs.insert(resource);
    }

    fn replay_partition(
        &mut self,
        record: &PartitionRecord,
        changes: &mut MetadataChanges,
    ) -> Result<(), ReplayError> {
        let topic = self.topics.topic_mut(record.topic_id)?;
        topic
            .partitions
            .insert(record.partition_id, PartitionImage::from_record(record));
        changes
            .partitions
            .insert((record.topic_id, record.partition_id));
        Ok(())
    }

    fn replay_partition_change(
        &mut self,
        record: &PartitionChangeRecord,
        changes: &mut MetadataChanges,
    ) -> Result<(), ReplayError> {
        let (topic, index) = (record.topic_id, record.partition_id);
        let partition = self.topics.topic_mut(topic)?.partitions.get_mut(&index);
        partition
            .ok_or(ReplayError::NoSuchPartition { topic, index })?
            .merge(record);
        changes.partitions.insert((topic, index));
        Ok(())
    }

    fn remove_topic(&mut self, id: Uuid, changes: &mut MetadataChanges) -> Result<(), ReplayError> {
        let topic = self.topics.remove(id)?;
        let resource = ConfigResource::topic(&*topic.name);
        if !self.configs.of(&resource).is_empty() {
            Arc::make_mut(&mut self.configs).remove(&resource);
            changes.configs.insert(resource);
        }
        changes.partitions.retain(|(topic_id, _)| *topic_id != id);
        // A topic that came and went within the delta never was.
        if changes.created_topics.remove(&id).is_none() {
            changes.deleted_topics.insert(id, topic);
        }
        Ok(())
    }

    /// Forgets eligible leader replicas of one topic, of all without a name.
    fn clear_elr(
        &mut self,
        record: &ClearElrRecord,
        changes: &mut MetadataChanges,
    ) -> Result<(), ReplayError> {
        let has_elr = |partition: &PartitionImage| {
            !partition.elr.is_empty() || !partition.last_known_elr.is_empty()
        };
        let affected: Vec<(Uuid, i32)> = self
            .topics
            .partitions()
            .filter(|(topic, _, partition)| {
                (record.topic_name.is_empty() || *topic.name == *record.topic_name)
                    && has_elr(partition)
            })
            .map(|(topic, index, _)| (topic.id, index))
            .collect();
        for (topic_id, partition_id) in affected {
            let change = PartitionChangeRecord {
                topic_id,
                partition_id,
                eligible_leader_replicas: Some(Vec::new()),
                last_known_elr: Some(Vec::new()),
                ..Default::default()
            };
            self.replay_partition_change(&change, changes)?;
        }
        Ok(())
    }
}
