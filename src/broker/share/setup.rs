//! What the file says of share groups, for those who obey it.

use crate::config::definition::Values;
use crate::coordinator::group::ShareGroupConfig;
use crate::coordinator::runtime::RuntimeConfig;
use crate::coordinator::share::ShareStateConfig;
use crate::record::Compression;

/// The group coordinator's part.
pub fn share_groups(values: &Values) -> ShareGroupConfig {
    let int = |key: &str| values.int(&format!("group.share.{key}"));
    let bounds = |key: &str| int(&format!("min.{key}"))..=int(&format!("max.{key}"));
    ShareGroupConfig {
        session_timeout_ms: int("session.timeout.ms"),
        session_timeout_bounds_ms: bounds("session.timeout.ms"),
        heartbeat_interval_ms: int("heartbeat.interval.ms"),
        heartbeat_interval_bounds_ms: bounds("heartbeat.interval.ms"),
        assignment_interval_ms: int("assignment.interval.ms"),
        assignment_interval_bounds_ms: bounds("assignment.interval.ms"),
        max_size: int("max.size"),
        initialize_retry_interval_ms: int("initialize.retry.interval.ms"),
    }
}

/// The share coordinator's part.
pub fn share_states(values: &Values) -> (ShareStateConfig, RuntimeConfig) {
    let int = |key: &str| values.int(&format!("share.coordinator.{key}"));
    let compression = match int("state.topic.compression.codec") {
        1 => Compression::Gzip,
        2 => Compression::Snappy,
        3 => Compression::Lz4,
        4 => Compression::Zstd,
        _ => Compression::None,
    };
    let states = ShareStateConfig {
        updates_per_snapshot: int("snapshot.update.records.per.snapshot"),
        cold_snapshot_interval_ms: i64::from(int("cold.partition.snapshot.interval.ms")),
        prune_interval_ms: i64::from(int("state.topic.prune.interval.ms")),
    };
    let runtime = RuntimeConfig {
        compression,
        commit_timeout_ms: i64::from(int("write.timeout.ms")),
    };
    (states, runtime)
}
