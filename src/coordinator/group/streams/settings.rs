//! What streams groups are configured with: the broker's settings, and over them those of a group
//! (`kafka-configs --entity-type groups`), kept within the broker's bounds.
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::coordinator::group::overrides::Overrides;
use crate::metadata::image::MetadataImage;

/// How the log names the number of standby tasks that a target was made with.
const STANDBY_REPLICAS: &str = "num.standby.replicas";

/// The broker's `group.streams.*`; defaults are Kafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsGroupConfig {
    pub session_timeout_ms: i32,
    pub session_timeout_bounds_ms: RangeInclusive<i32>,
    pub heartbeat_interval_ms: i32,
    pub heartbeat_interval_bounds_ms: RangeInclusive<i32>,
    pub assignment_interval_ms: i32,
    pub assignment_interval_bounds_ms: RangeInclusive<i32>,
    pub initial_rebalance_delay_ms: i32,
    pub standby_replicas: i32,
    pub max_standby_replicas: i32,
    pub max_size: i32,
    /// `group.coordinator.rebalance.protocols` has `streams`.
    pub is_offered: bool,
}

impl Default for StreamsGroupConfig {
    fn default() -> Self {
        StreamsGroupConfig {
            session_timeout_ms: 45_000,
            session_timeout_bounds_ms: 45_000..=60_000,
            heartbeat_interval_ms: 5_000,
            heartbeat_interval_bounds_ms: 5_000..=15_000,
            assignment_interval_ms: 1_000,
            assignment_interval_bounds_ms: 0..=15_000,
            initial_rebalance_delay_ms: 3_000,
            standby_replicas: 0,
            max_standby_replicas: 2,
            max_size: i32::MAX,
            is_offered: true,
        }
    }
}

/// What holds for one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub session_timeout_ms: i32,
    pub heartbeat_interval_ms: i32,
    pub assignment_interval_ms: i32,
    pub initial_rebalance_delay_ms: i32,
    pub standby_replicas: i32,
}

impl Settings {
    pub fn of(group: &str, config: &StreamsGroupConfig, image: &MetadataImage) -> Settings {
        let overrides = Overrides::of(group, image);
        let interval = overrides.for_all("group.streams.assignment.interval.ms");
        Settings {
            session_timeout_ms: overrides.within(
                "streams.session.timeout.ms",
                &config.session_timeout_bounds_ms,
                config.session_timeout_ms,
            ),
            heartbeat_interval_ms: overrides.within(
                "streams.heartbeat.interval.ms",
                &config.heartbeat_interval_bounds_ms,
                config.heartbeat_interval_ms,
            ),
            assignment_interval_ms: overrides.within(
                "streams.assignment.interval.ms",
                &config.assignment_interval_bounds_ms,
                interval.unwrap_or(config.assignment_interval_ms),
            ),
            initial_rebalance_delay_ms: overrides.within(
                "streams.initial.rebalance.delay.ms",
                &(0..=i32::MAX),
                config.initial_rebalance_delay_ms,
            ),
            standby_replicas: overrides.within(
                "streams.num.standby.replicas",
                &(0..=config.max_standby_replicas),
                config.standby_replicas,
            ),
        }
    }

    /// What of this the assignor looks at, as the log keeps it.
    pub fn assignment_configs(&self) -> BTreeMap<String, String> {
        let replicas = self.standby_replicas.to_string();
        BTreeMap::from([(STANDBY_REPLICAS.to_owned(), replicas)])
    }
}

/// The number of standby tasks that a stored epoch was written with.
pub fn standby_replicas(assignment_configs: &BTreeMap<String, String>) -> usize {
    let replicas = assignment_configs.get(STANDBY_REPLICAS);
    replicas.and_then(|n| n.parse().ok()).unwrap_or(0)
}
