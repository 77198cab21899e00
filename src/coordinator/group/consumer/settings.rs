//! What consumer groups are configured with: the broker's settings, and over them those of a group
//! (`kafka-configs --entity-type groups`), kept within the broker's bounds.
use std::ops::RangeInclusive;

use super::assignor::Assignor;
use crate::coordinator::group::overrides::Overrides;
use crate::metadata::image::MetadataImage;

/// `group.consumer.migration.policy`: which way groups may change their protocol while they have
/// members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationPolicy {
    Disabled,
    Downgrade,
    Upgrade,
    Bidirectional,
}

impl MigrationPolicy {
    pub fn by_name(name: &str) -> Option<MigrationPolicy> {
        match name.to_ascii_lowercase().as_str() {
            "disabled" => Some(MigrationPolicy::Disabled),
            "downgrade" => Some(MigrationPolicy::Downgrade),
            "upgrade" => Some(MigrationPolicy::Upgrade),
            "bidirectional" => Some(MigrationPolicy::Bidirectional),
            _ => None,
        }
    }

    pub fn allows_upgrade(self) -> bool {
        matches!(
            self,
            MigrationPolicy::Upgrade | MigrationPolicy::Bidirectional
        )
    }

    pub fn allows_downgrade(self) -> bool {
        matches!(
            self,
            MigrationPolicy::Downgrade | MigrationPolicy::Bidirectional
        )
    }
}

/// The broker's `group.consumer.*`; defaults are Kafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupConfig {
    pub session_timeout_ms: i32,
    pub session_timeout_bounds_ms: RangeInclusive<i32>,
    pub heartbeat_interval_ms: i32,
    pub heartbeat_interval_bounds_ms: RangeInclusive<i32>,
    pub assignment_interval_ms: i32,
    pub assignment_interval_bounds_ms: RangeInclusive<i32>,
    pub regex_refresh_interval_ms: i32,
    pub max_size: i32,
    /// The first is used where members ask for none.
    pub assignors: Vec<String>,
    pub migration_policy: MigrationPolicy,
    /// `group.coordinator.rebalance.protocols` has `consumer`.
    pub is_offered: bool,
}

impl Default for ConsumerGroupConfig {
    fn default() -> Self {
        ConsumerGroupConfig {
            session_timeout_ms: 45_000,
            session_timeout_bounds_ms: 45_000..=60_000,
            heartbeat_interval_ms: 5_000,
            heartbeat_interval_bounds_ms: 5_000..=15_000,
            assignment_interval_ms: 1_000,
            assignment_interval_bounds_ms: 0..=15_000,
            regex_refresh_interval_ms: 600_000,
            max_size: i32::MAX,
            assignors: vec!["uniform".into(), "range".into()],
            migration_policy: MigrationPolicy::Bidirectional,
            is_offered: true,
        }
    }
}

impl ConsumerGroupConfig {
    pub fn default_assignor(&self) -> &str {
        self.assignors.first().map_or("uniform", String::as_str)
    }

    /// The assignor of this name, if it is among those that the broker offers.
    pub fn assignor(&self, name: &str) -> Option<Assignor> {
        let is_offered = self.assignors.iter().any(|offered| offered == name);
        Assignor::by_name(name).filter(|_| is_offered)
    }
}

/// What holds for one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub session_timeout_ms: i32,
    pub heartbeat_interval_ms: i32,
    pub assignment_interval_ms: i32,
}

impl Settings {
    pub fn of(group: &str, config: &ConsumerGroupConfig, image: &MetadataImage) -> Settings {
        let overrides = Overrides::of(group, image);
        let interval = overrides.for_all("group.consumer.assignment.interval.ms");
        Settings {
            session_timeout_ms: overrides.within(
                "consumer.session.timeout.ms",
                &config.session_timeout_bounds_ms,
                config.session_timeout_ms,
            ),
            heartbeat_interval_ms: overrides.within(
                "consumer.heartbeat.interval.ms",
                &config.heartbeat_interval_bounds_ms,
                config.heartbeat_interval_ms,
            ),
            assignment_interval_ms: overrides.within(
                "consumer.assignment.interval.ms",
                &config.assignment_interval_bounds_ms,
                interval.unwrap_or(config.assignment_interval_ms),
            ),
        }
    }
}
