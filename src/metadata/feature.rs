//! The features that a cluster finalises beside `metadata.version`: their levels, defaults and
//! dependencies.

use std::collections::BTreeMap;

use super::version::{self, MetadataVersion};

/// One feature with levels 0 to `latest`.
#[derive(Debug, PartialEq, Eq)]
pub struct Feature {
    pub name: &'static str,
    /// For each level from 1: the metadata version from which a new cluster starts with it.
    defaults: &'static [i16],
    /// Level, and the level of `metadata.version` that it needs.
    dependency: Option<(i16, i16)>,
}

pub const KRAFT_VERSION: &str = "kraft.version";
pub const TRANSACTION_VERSION: &str = "transaction.version";
pub const GROUP_VERSION: &str = "group.version";
pub const ELR_VERSION: &str = "eligible.leader.replicas.version";
pub const SHARE_VERSION: &str = "share.version";
pub const STREAMS_VERSION: &str = "streams.version";

/// In the order in which Kafka's tools list them.
pub const FEATURES: &[Feature] = &[
    Feature {
        name: KRAFT_VERSION,
        defaults: &[21],
        dependency: None,
    },
    Feature {
        name: TRANSACTION_VERSION,
        defaults: &[24, 24],
        dependency: None,
    },
    Feature {
        name: GROUP_VERSION,
        defaults: &[22],
        dependency: None,
    },
    Feature {
        name: ELR_VERSION,
        defaults: &[26],
        dependency: Some((1, 23)),
    },
    Feature {
        name: SHARE_VERSION,
        defaults: &[28],
        dependency: None,
    },
    Feature {
        name: STREAMS_VERSION,
        defaults: &[29],
        dependency: None,
    },
];

/// Why a set of feature levels cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    #[error("No feature:{name} with feature level {level}")]
    NoSuchLevel { name: &'static str, level: i16 },
    #[error("{name} could not be set to {level} because it depends on {needs} level {needs_level}")]
    Dependency {
        name: &'static str,
        level: i16,
        needs: &'static str,
        needs_level: i16,
    },
}

impl Feature {
    /// The feature of this name.
    pub fn by_name(name: &str) -> Option<&'static Feature> {
        FEATURES.iter().find(|feature| feature.name == name)
    }

    /// The highest level known.
    pub fn latest(&self) -> i16 {
        self.defaults.len() as i16
    }

    /// The level that a cluster formatted at `version` starts with.
    pub fn default_level(&self, version: MetadataVersion) -> i16 {
        self.defaults
            .iter()
            .filter(|needed| version.level() >= **needed)
            .count() as i16
    }

    /// What `level` needs from other features: their names and least levels.
    pub fn dependencies(&self, level: i16) -> BTreeMap<&'static str, i16> {
        self.dependency
            .filter(|(from, _)| level >= *from)
            .map(|(_, needed)| (version::FEATURE_NAME, needed))
            .into_iter()
            .collect()
    }

    /// Whether `level` exists and what it depends on is met by `levels`.
    pub fn check(&self, level: i16, levels: &BTreeMap<String, i16>) -> Result<(), FeatureError> {
        if !(0..=self.latest()).contains(&level) {
            return Err(FeatureError::NoSuchLevel {
                name: self.name,
                level,
            });
        }
        for (needs, needs_level) in self.dependencies(level) {
            if levels.get(needs).copied().unwrap_or(0) < needs_level {
                let name = self.name;
                return Err(FeatureError::Dependency {
                    name,
                    level,
                    needs,
                    needs_level,
                });
            }
        }
        Ok(())
    }
}

/// The ranges that this node supports, `metadata.version` among them, by name. What a broker and
/// a controller put into their registrations.
pub fn supported() -> BTreeMap<&'static str, (i16, i16)> {
    let mut ranges: BTreeMap<_, _> = FEATURES
        .iter()
        .map(|feature| (feature.name, (0, feature.latest())))
        .collect();
    let versions = (
        MetadataVersion::MINIMUM.level(),
        MetadataVersion::LATEST_PRODUCTION.level(),
    );
    ranges.insert(version::FEATURE_NAME, versions);
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_follow_the_release() {
        let levels = |name| {
            let version = MetadataVersion::parse(name, false).unwrap();
            FEATURES
                .iter()
                .map(|f| f.default_level(version))
                .collect::<Vec<_>>()
        };
        assert_eq!(levels("3.8"), [0, 0, 0, 0, 0, 0]);
        assert_eq!(levels("4.0"), [1, 2, 1, 0, 0, 0]);
        assert_eq!(levels("4.3"), [1, 2, 1, 1, 1, 1]);
    }

    #[test]
    fn eligible_leader_replicas_need_their_metadata_version() {
        let elr = Feature::by_name(ELR_VERSION).unwrap();
        let at = |level| BTreeMap::from([(version::FEATURE_NAME.to_owned(), level)]);
        assert!(elr.check(1, &at(22)).is_err());
        assert!(elr.check(1, &at(23)).is_ok());
        assert!(elr.check(2, &at(30)).is_err());
    }
}
