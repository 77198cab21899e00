//! What a controller writes when it takes over: the bootstrap records of a new cluster, and the
//! end of a transaction that the last one left open.

use super::Controller;
use crate::config::Values;
use crate::metadata::image::{ConfigResource, ConfigResourceType, MetadataImage};
use crate::metadata::record::{MetadataRecord, VersionedRecord, v0};
use crate::metadata::version::{FEATURE_NAME, MetadataVersion};
use crate::metadata::{Provenance, apply};
use crate::protocol::records::metadata::{
    AbortTransactionRecord, BeginTransactionRecord, ConfigRecord, EndTransactionRecord,
};

const MIN_ISR: &str = "min.insync.replicas";

impl Controller {
    /// The records to begin with, to be appended as one batch. `bootstrap` is what formatting left
    /// for an empty log; `in_transaction` says that the log ends within one.
    pub fn activation_records(
        &self,
        image: &MetadataImage,
        in_transaction: bool,
        bootstrap: &[VersionedRecord],
    ) -> Vec<VersionedRecord> {
        let mut records = Vec::new();
        if in_transaction {
            records.push(v0(AbortTransactionRecord {
                reason: Some("Controller failover".to_owned()),
                ..Default::default()
            }));
        }
        if !image.is_empty() {
            return records;
        }
        let uses_transaction = bootstrap_version(bootstrap).supports_transactions();
        if uses_transaction {
            records.push(v0(BeginTransactionRecord {
                name: Some("Bootstrap records".to_owned()),
                ..Default::default()
            }));
        }
        records.extend_from_slice(bootstrap);
        // A set of levels that cannot be applied is left to the append to refuse.
        if let Ok((image, _)) = apply(image, bootstrap, Provenance::default())
            && image.features.elr_enabled()
        {
            records.extend(elr_safety_records(&image, &self.static_values));
        }
        if uses_transaction {
            records.push(v0(EndTransactionRecord::default()));
        }
        records
    }
}

/// Eligible leaders are counted by one minimum for the whole cluster: it is set, and what single
/// brokers have of their own goes.
pub(super) fn elr_safety_records(image: &MetadataImage, values: &Values) -> Vec<VersionedRecord> {
    let record = |resource_name: &str, value| {
        v0(ConfigRecord {
            resource_type: ConfigResourceType::BROKER.0,
            resource_name: resource_name.to_owned(),
            name: MIN_ISR.to_owned(),
            value,
            ..Default::default()
        })
    };
    let mut records = Vec::new();
    if image
        .configs
        .get(&ConfigResource::cluster(), MIN_ISR)
        .is_none()
    {
        records.push(record("", values.value(MIN_ISR).to_text()));
    }
    let brokers = image.configs.iter().filter(|(resource, configs)| {
        resource.kind == ConfigResourceType::BROKER
            && !resource.name.is_empty()
            && configs.contains_key(MIN_ISR)
    });
    records.extend(brokers.map(|(resource, _)| record(&resource.name, None)));
    records
}

fn bootstrap_version(bootstrap: &[VersionedRecord]) -> MetadataVersion {
    bootstrap
        .iter()
        .find_map(|versioned| match &versioned.record {
            MetadataRecord::FeatureLevel(record) if record.name == FEATURE_NAME => {
                MetadataVersion::from_level(record.feature_level).ok()
            }
            _ => None,
        })
        .unwrap_or(MetadataVersion::MINIMUM)
}
