//! The broker settings that the group machine obeys.
use super::consumer::ConsumerGroupConfig;
use super::share::ShareGroupConfig;
use super::streams::StreamsGroupConfig;

/// Defaults are Kafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`
    pub session_timeout_min_ms: i32,
    /// `group.max.session.timeout.ms`
    pub session_timeout_max_ms: i32,
    /// `group.initial.rebalance.delay.ms`
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`
    pub max_size: i32,
    /// `offset.metadata.max.bytes`
    pub offset_metadata_max_bytes: i32,
    /// `offsets.retention.minutes`, in milliseconds
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`
    pub offsets_retention_check_interval_ms: i64,
    /// `group.consumer.*`
    pub consumer: ConsumerGroupConfig,
    /// `group.share.*`
    pub share: ShareGroupConfig,
    /// `group.streams.*`
    pub streams: StreamsGroupConfig,
}

/// A member that joins for the first time and hears nothing (its client may be gone: a parked
/// JoinGroup cannot see a disconnect) is dropped after this time. Fixed in Kafka too.
pub const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 5 * 60 * 1000;

impl Default for GroupConfig {
    fn default() -> Self {
        GroupConfig {
            session_timeout_min_ms: 6_000,
            session_timeout_max_ms: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            max_size: i32::MAX,
            offset_metadata_max_bytes: 4_096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1000,
            offsets_retention_check_interval_ms: 600_000,
            consumer: ConsumerGroupConfig::default(),
            share: ShareGroupConfig::default(),
            streams: StreamsGroupConfig::default(),
        }
    }
}
