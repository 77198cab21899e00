//! What share groups are configured with: the broker's settings, and over them those of a group
//! (`kafka-configs --entity-type groups`), kept within the broker's bounds.
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::metadata::image::{ConfigResource, ConfigResourceType, MetadataImage};

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
        let cluster = ConfigResource {
            kind: ConfigResourceType::BROKER,
            name: String::new(),
        };
        let own = ConfigResource {
            kind: ConfigResourceType::GROUP,
            name: group.into(),
        };
        let own = image.configs.of(&own);
        let interval = number(
            image.configs.of(&cluster),
            "group.share.assignment.interval.ms",
        );
        let within = |key: &str, bounds: &RangeInclusive<i32>, default: i32| {
            let value = number(own, key);
            value.map_or(default, |value| {
                value.max(*bounds.start()).min(*bounds.end())
            })
        };
        ShareSettings {
            session_timeout_ms: within(
                "share.session.timeout.ms",
                &config.session_timeout_bounds_ms,
                config.session_timeout_ms,
            ),
            heartbeat_interval_ms: within(
                "share.heartbeat.interval.ms",
                &config.heartbeat_interval_bounds_ms,
                config.heartbeat_interval_ms,
            ),
            assignment_interval_ms: within(
                "share.assignment.interval.ms",
                &config.assignment_interval_bounds_ms,
                interval.unwrap_or(config.assignment_interval_ms),
            ),
        }
    }
}

fn number(configs: &BTreeMap<String, String>, key: &str) -> Option<i32> {
    configs.get(key)?.trim().parse().ok()
}
