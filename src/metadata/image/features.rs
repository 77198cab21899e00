//! Finalised features.

use std::collections::BTreeMap;

use crate::metadata::feature;
use crate::metadata::version::{self, MetadataVersion};
use crate::protocol::records::metadata::{FeatureLevelRecord, ZkMigrationStateRecord};

use super::ReplayError;

/// Finalised feature levels; a level of 0 is the same as none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FeaturesImage {
    /// None until the first record: a log that was never bootstrapped.
    metadata_version: Option<MetadataVersion>,
    levels: BTreeMap<String, i16>,
    /// Left by clusters that came from ZooKeeper; kept, not used.
    pub zk_migration: Option<ZkMigrationStateRecord>,
}

impl FeaturesImage {
    /// The finalised version, or the oldest one before any was finalised.
    pub fn metadata_version(&self) -> MetadataVersion {
        self.metadata_version.unwrap_or(MetadataVersion::MINIMUM)
    }

    /// Whether a metadata version was ever finalised.
    pub fn is_bootstrapped(&self) -> bool {
        self.metadata_version.is_some()
    }

    /// Levels of the features beside `metadata.version`, 0 left out.
    pub fn levels(&self) -> &BTreeMap<String, i16> {
        &self.levels
    }

    /// The finalised level of any feature, 0 if none.
    pub fn level(&self, name: &str) -> i16 {
        if name == version::FEATURE_NAME {
            return self.metadata_version.map_or(0, MetadataVersion::level);
        }
        self.levels.get(name).copied().unwrap_or(0)
    }

    /// All finalised features with `metadata.version`, as ApiVersions reports them.
    pub fn finalized(&self) -> BTreeMap<String, i16> {
        let mut all = self.levels.clone();
        if let Some(version) = self.metadata_version {
            all.insert(version::FEATURE_NAME.to_owned(), version.level());
        }
        all
    }

    /// Whether partitions keep eligible leader replicas (KIP-966).
    pub fn elr_enabled(&self) -> bool {
        self.level(feature::ELR_VERSION) > 0
    }

    pub(super) fn replay(&mut self, record: &FeatureLevelRecord) -> Result<(), ReplayError> {
        let level = record.feature_level;
        if record.name == version::FEATURE_NAME {
            let version = MetadataVersion::from_level(level).map_err(|_| {
                ReplayError::UnsupportedFeature {
                    name: record.name.clone(),
                    level,
                }
            })?;
            self.metadata_version = Some(version);
        } else if level == 0 {
            self.levels.remove(&record.name);
        } else {
            self.levels.insert(record.name.clone(), level);
        }
        Ok(())
    }
}
