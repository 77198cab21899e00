//! An image back into records, for a snapshot: in the order of Kafka's image writer and in the
//! versions that the finalised `metadata.version` allows.

use crate::metadata::record::{MetadataRecord, VersionedRecord, v0};
use crate::metadata::version::{FEATURE_NAME, MetadataVersion};
use crate::protocol::records::metadata::client_quota_record::EntityData;
use crate::protocol::records::metadata::{ClientQuotaRecord, ConfigRecord, FeatureLevelRecord};

use super::{BrokerRegistration, MetadataImage};

impl MetadataImage {
    /// Records that add up to this image.
    pub fn records(&self) -> Vec<VersionedRecord> {
        let mut records = Vec::new();
        let version = self.features.metadata_version();
        self.write_features(&mut records);
        for broker in self.cluster.brokers.values() {
            records.push(broker_record(broker, version));
        }
        if version.supports_controller_registration() {
            records.extend(self.cluster.controllers.values().cloned().map(v0));
        }
        self.write_topics(version, &mut records);
        for (resource, configs) in self.configs.iter() {
            records.extend(configs.iter().map(|(name, value)| {
                v0(ConfigRecord {
                    resource_type: resource.kind.0,
                    resource_name: resource.name.clone(),
                    name: name.clone(),
                    value: Some(value.clone()),
                    ..Default::default()
                })
            }));
        }
        self.write_quotas(&mut records);
        records.extend(self.producer_ids.clone().map(v0));
        records.extend(self.acls.by_id.values().cloned().map(v0));
        if version.supports_scram() {
            records.extend(self.scram.credentials.values().cloned().map(v0));
        }
        if version.supports_delegation_tokens() {
            records.extend(self.tokens.by_id.values().cloned().map(v0));
        }
        records.extend(self.unknown.iter().filter_map(|record| match record {
            MetadataRecord::Unknown(unknown) => Some(record.clone().at(unknown.version)),
            _ => None,
        }));
        records
    }

    fn write_features(&self, records: &mut Vec<VersionedRecord>) {
        if !self.features.is_bootstrapped() {
            return;
        }
        let version = self.features.metadata_version();
        records.push(feature_level(FEATURE_NAME, version.level()));
        for (name, level) in self.features.levels() {
            records.push(feature_level(name, *level));
        }
        if version.supports_zk_migration() {
            records.extend(self.features.zk_migration.clone().map(v0));
        }
    }

    fn write_topics(&self, version: MetadataVersion, records: &mut Vec<VersionedRecord>) {
        for topic in self.topics.iter() {
            records.push(v0(topic.record()));
            for (index, partition) in &topic.partitions {
                let record = partition.record(topic.id, *index, version);
                let record = MetadataRecord::from(record);
                records.push(record.at(version.partition_record_version()));
            }
        }
    }

    fn write_quotas(&self, records: &mut Vec<VersionedRecord>) {
        for (entity, quotas) in &self.quotas.by_entity {
            let entity: Vec<EntityData> = entity
                .iter()
                .map(|(entity_type, entity_name)| EntityData {
                    entity_type: entity_type.clone(),
                    entity_name: entity_name.clone(),
                    ..Default::default()
                })
                .collect();
            records.extend(quotas.iter().map(|(key, value)| {
                v0(ClientQuotaRecord {
                    entity: entity.clone(),
                    key: key.clone(),
                    value: *value,
                    remove: false,
                    ..Default::default()
                })
            }));
        }
    }
}

/// A `FeatureLevel` record.
pub fn feature_level(name: &str, feature_level: i16) -> VersionedRecord {
    v0(FeatureLevelRecord {
        name: name.to_owned(),
        feature_level,
        ..Default::default()
    })
}

/// A `RegisterBroker` record with what `version` can hold.
pub fn broker_record(broker: &BrokerRegistration, version: MetadataVersion) -> VersionedRecord {
    let mut record = broker.clone();
    if !version.supports_zk_migration() {
        record.is_migrating_zk_broker = false;
    }
    if !version.supports_directories() {
        record.log_dirs.clear();
    }
    if !version.supports_cordoned_log_dirs() {
        record.cordoned_log_dirs = None;
    }
    MetadataRecord::from(record).at(version.register_broker_record_version())
}
