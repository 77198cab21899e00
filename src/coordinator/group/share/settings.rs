//! What share groups are configured with: the broker's settings, and over them those of a group
//! (`kafka-configs --entity-type groups`), kept within the broker's bounds.
use std::ops::RangeInclusive;

use crate::coordinator::group::overrides::Overrides;
use crate::metadata::image::MetadataImage;

/// The broker's `group.share.*`; defaults are Kafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareGroupConfig {
    pub session_timeout_ms: i32,
    pub session_timeout_bounds_ms: RangeInclusive<i32>,
    pub heartbeat_interval_ms: i32,
    pub heartbeat_interval_bounds_ms: RangeInclusive<i32>,
    pub assignment_interval_ms: i32,
    pub assignment_interval_bounds_ms: RangeInclusive<i32>,
    pub max_size: i32,
    /// How long to wait for the share coordinator before it is asked again.
    pub initialize_retry_interval_ms: i32,
}

impl Default for ShareGroupConfig {
    fn default() -> Self {
        ShareGroupConfig {
            session_timeout_ms: 45_000,
            session_timeout_bounds_ms: 45_000..=60_000,
            heartbeat_interval_ms: 5_000,
            heartbeat_interval_bounds_ms: 5_000..=15_000,
            assignment_interval_ms: 1_000,
            assignment_interval_bounds_ms: 0..=15_000,
            max_size: 200,
            initialize_retry_interval_ms: 30_000,
        }
    }
}

/// What holds for one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareSettings {
    pub session_timeout_ms: i32,
    pub heartbeat_interval_ms: i32,
    pub assignment_interval_ms: i32,
}

impl ShareSettings {
    pub fn of(group: &str, config: &ShareGroupConfig, image: &MetadataImage) -> ShareSettings {
        let overrides = Overrides::of(group, image);
        let interval = overrides.for_all("group.share.assignment.interval.ms");
        ShareSettings {
            session_timeout_ms: overrides.within(
                "share.session.timeout.ms",
                &config.session_timeout_bounds_ms,
                config.session_timeout_ms,
            ),
            heartbeat_interval_ms: overrides.within(
                "share.heartbeat.interval.ms",
                &config.heartbeat_interval_bounds_ms,
                config.heartbeat_interval_ms,
            ),
            assignment_interval_ms: overrides.within(
                "share.assignment.interval.ms",
                &config.assignment_interval_bounds_ms,
                interval.unwrap_or(config.assignment_interval_ms),
            ),
        }
    }
}
