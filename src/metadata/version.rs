//! `metadata.version`: the levels, their names, and what each one allows to be written.
//!
//! A cluster finalises one level; every record written must be readable by a node that knows
//! that level only, so the writers ask here which record version to use.

use std::fmt;

use super::feature::Feature;

/// The name of the feature that holds the metadata version.
pub const FEATURE_NAME: &str = "metadata.version";

/// One level of `metadata.version`, 7 (3.3-IV3) to 31 (4.4-IV0, not yet stable).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetadataVersion(i16);

/// Level, release, the version within the release, and whether the level before it could
/// not read what this one writes.
const TABLE: &[(i16, &str, &str, bool)] = &[
    (7, "3.3", "IV3", true),
    (8, "3.4", "IV0", true),
    (9, "3.5", "IV0", false),
    (10, "3.5", "IV1", false),
    (11, "3.5", "IV2", true),
    (12, "3.6", "IV0", false),
    (13, "3.6", "IV1", true),
    (14, "3.6", "IV2", true),
    (15, "3.7", "IV0", true),
    (16, "3.7", "IV1", false),
    (17, "3.7", "IV2", true),
    (18, "3.7", "IV3", false),
    (19, "3.7", "IV4", false),
    (20, "3.8", "IV0", false),
    (21, "3.9", "IV0", false),
    (22, "4.0", "IV0", false),
    (23, "4.0", "IV1", true),
    (24, "4.0", "IV2", false),
    (25, "4.0", "IV3", false),
    (26, "4.1", "IV0", false),
    (27, "4.1", "IV1", false),
    (28, "4.2", "IV0", false),
    (29, "4.2", "IV1", false),
    (30, "4.3", "IV0", true),
    (31, "4.4", "IV0", false),
];

/// A text or a level that names no metadata version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownVersion {
    #[error("Unknown metadata.version '{name}'. Supported metadata.version are: {supported}")]
    Name { name: String, supported: String },
    #[error("No MetadataVersion with feature level {0}. Valid feature levels are from 7 to 31.")]
    Level(i16),
}

impl MetadataVersion {
    /// 3.3-IV3, the oldest level that 4.x can read.
    pub const MINIMUM: MetadataVersion = MetadataVersion(7);
    /// 4.3-IV0, what a new cluster gets.
    pub const LATEST_PRODUCTION: MetadataVersion = MetadataVersion(30);
    /// 4.4-IV0, known but not stable.
    pub const LATEST: MetadataVersion = MetadataVersion(31);

    /// The version with this feature level.
    pub fn from_level(level: i16) -> Result<MetadataVersion, UnknownVersion> {
        if (Self::MINIMUM.0..=Self::LATEST.0).contains(&level) {
            Ok(MetadataVersion(level))
        } else {
            Err(UnknownVersion::Level(level))
        }
    }

    /// Reads `4.0-IV3`, a release `4.0` (its last stable level) or a patch release `4.0.1`.
    /// Unstable levels are found only with `unstable`.
    pub fn parse(name: &str, unstable: bool) -> Result<MetadataVersion, UnknownVersion> {
        let last = if unstable {
            Self::LATEST
        } else {
            Self::LATEST_PRODUCTION
        };
        let mut parts = name.splitn(3, '.');
        let major = parts.next().unwrap_or_default();
        let release = match parts.next() {
            Some(minor) => format!("{major}.{minor}"),
            None => major.to_owned(),
        };
        let known = || TABLE.iter().filter(|row| row.0 <= last.0);
        known()
            .find(|row| name == format!("{}-{}", row.1, row.2))
            .or_else(|| known().rev().find(|row| row.1 == release))
            .map(|row| MetadataVersion(row.0))
            .ok_or_else(|| UnknownVersion::Name {
                name: name.to_owned(),
                supported: known()
                    .map(|row| format!("{}-{}", row.1, row.2))
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }

    /// All versions, oldest first.
    pub fn all() -> impl DoubleEndedIterator<Item = MetadataVersion> {
        TABLE.iter().map(|row| MetadataVersion(row.0))
    }

    /// The feature level, as `FeatureLevel` records carry it.
    pub fn level(self) -> i16 {
        self.0
    }

    /// The release it belongs to: `4.0`.
    pub fn release(self) -> &'static str {
        self.row().1
    }

    /// Whether the level may be used without asking for unstable ones.
    pub fn is_production(self) -> bool {
        self <= Self::LATEST_PRODUCTION
    }

    /// Whether going from `self` down to `older` could lose metadata.
    pub fn changed_since(self, older: MetadataVersion) -> bool {
        TABLE
            .iter()
            .any(|row| row.3 && row.0 > older.0 && row.0 <= self.0)
    }

    /// The level that `feature` takes when a cluster of this version is formatted.
    pub fn default_level(self, feature: &Feature) -> i16 {
        feature.default_level(self)
    }

    pub fn supports_scram(self) -> bool {
        self.0 >= 11
    }

    pub fn supports_transactions(self) -> bool {
        self.0 >= 13
    }

    pub fn supports_delegation_tokens(self) -> bool {
        self.0 >= 14
    }

    pub fn supports_controller_registration(self) -> bool {
        self.0 >= 15
    }

    pub fn supports_directories(self) -> bool {
        self.0 >= 17
    }

    pub fn supports_elr(self) -> bool {
        self.0 >= 23
    }

    pub fn supports_cordoned_log_dirs(self) -> bool {
        self.0 >= 30
    }

    pub fn supports_zk_migration(self) -> bool {
        self.0 >= 8
    }

    /// Before 3.6 a shrinking ISR had to raise the leader epoch (KAFKA-15021).
    pub fn bumps_epoch_on_isr_shrink(self) -> bool {
        self.0 < 12
    }

    pub fn register_broker_record_version(self) -> i16 {
        match self.0 {
            30.. => 4,
            17.. => 3,
            8.. => 2,
            _ => 1,
        }
    }

    pub fn partition_record_version(self) -> i16 {
        match self.0 {
            23.. => 2,
            17.. => 1,
            _ => 0,
        }
    }

    pub fn partition_change_record_version(self) -> i16 {
        self.partition_record_version()
    }

    fn row(self) -> &'static (i16, &'static str, &'static str, bool) {
        &TABLE[(self.0 - Self::MINIMUM.0) as usize]
    }
}

impl fmt::Display for MetadataVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.row();
        write!(f, "{}-{}", row.1, row.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(name: &str) -> String {
        match MetadataVersion::parse(name, false) {
            Ok(version) => version.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn names_are_read_as_kafka_reads_them() {
        for (name, expected) in [
            ("3.3", "3.3-IV3"),
            ("3.5", "3.5-IV2"),
            ("3.7", "3.7-IV4"),
            ("3.7-IV2", "3.7-IV2"),
            ("4.0", "4.0-IV3"),
            ("4.0.1", "4.0-IV3"),
            ("4.3.1", "4.3-IV0"),
        ] {
            assert_eq!(parsed(name), expected);
        }
        assert!(parsed("9.9").starts_with("Unknown metadata.version '9.9'. Supported"));
        assert!(parsed("4.4").ends_with("4.2-IV1, 4.3-IV0"));
        assert!(MetadataVersion::parse("4.4", true).is_ok());
    }

    #[test]
    fn the_table_has_every_level_once() {
        let levels: Vec<i16> = MetadataVersion::all().map(MetadataVersion::level).collect();
        assert_eq!(levels, (7..=31).collect::<Vec<_>>());
        assert!(MetadataVersion::from_level(6).is_err());
        assert!(MetadataVersion::from_level(32).is_err());
    }

    #[test]
    fn a_downgrade_over_a_changed_level_loses_metadata() {
        let at = |level| MetadataVersion::from_level(level).unwrap();
        assert!(at(30).changed_since(at(29)));
        assert!(!at(29).changed_since(at(23)));
        assert!(at(29).changed_since(at(22)));
    }
}
