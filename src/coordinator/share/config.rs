//! The broker settings that the share-state machine obeys.

/// `share.coordinator.*`; defaults are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareStateConfig {
    /// `share.coordinator.snapshot.update.records.per.snapshot`
    pub updates_per_snapshot: i32,
    /// `share.coordinator.cold.partition.snapshot.interval.ms`
    pub cold_snapshot_interval_ms: i64,
    /// `share.coordinator.state.topic.prune.interval.ms`
    pub prune_interval_ms: i64,
}

impl Default for ShareStateConfig {
    fn default() -> Self {
        ShareStateConfig {
            updates_per_snapshot: 500,
            cold_snapshot_interval_ms: 300_000,
            prune_interval_ms: 300_000,
        }
    }
}
