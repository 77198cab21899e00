//! What the log needs to know of a topic's configuration. The broker fills it from the topic's
//! keys; the defaults are Kafka's.
use crate::record::{Compression, TimestampType};

/// Whether batches are stored as they come or in a codec of the topic's choice
/// (`compression.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CompressionPolicy {
    /// `producer`: whatever codec the batch came in.
    #[default]
    Producer,
    /// Any other value: that codec, `uncompressed` being [`Compression::None`].
    Codec(Compression),
}

/// `compression.<codec>.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompressionLevels {
    pub gzip: i32,
    pub lz4: i32,
    pub zstd: i32,
}

impl Default for CompressionLevels {
    fn default() -> Self {
        Self {
            gzip: -1,
            lz4: 9,
            zstd: 3,
        }
    }
}

/// Configuration of one partition's log; every field is named after its topic key.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    pub segment_bytes: u32,
    pub segment_ms: i64,
    /// At most so much earlier is a segment rolled by time; each segment draws its own share.
    pub segment_jitter_ms: i64,
    pub segment_index_bytes: u32,
    pub index_interval_bytes: u32,
    /// Messages between two fsyncs; [`i64::MAX`] leaves it to the operating system.
    pub flush_messages: i64,
    pub flush_ms: i64,
    /// Negative: no bound.
    pub retention_bytes: i64,
    /// Negative: no bound.
    pub retention_ms: i64,
    pub file_delete_delay_ms: i64,
    pub max_message_bytes: u32,
    pub message_timestamp_type: TimestampType,
    pub message_timestamp_before_max_ms: i64,
    pub message_timestamp_after_max_ms: i64,
    pub compression: CompressionPolicy,
    pub compression_levels: CompressionLevels,
    /// `cleanup.policy` holds `compact`: records need a key.
    pub compact: bool,
    /// How long compaction keeps tombstones and transaction markers that nobody needs but readers
    /// on their way.
    pub delete_retention_ms: i64,
    /// Younger records are not compacted.
    pub min_compaction_lag_ms: i64,
    /// Older records are compacted however clean the log is.
    pub max_compaction_lag_ms: i64,
    /// The dirty part of a log's bytes from which on it is compacted.
    pub min_cleanable_dirty_ratio: f64,
    /// `cleanup.policy` holds `delete`: retention by time and size applies.
    pub delete: bool,
    pub preallocate: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        Self {
            segment_bytes: 1024 * 1024 * 1024,
            segment_ms: 7 * DAY_MS,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 * 1024 * 1024,
            index_interval_bytes: 4096,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            retention_bytes: -1,
            retention_ms: 7 * DAY_MS,
            file_delete_delay_ms: 60_000,
            max_message_bytes: 1024 * 1024 + 12,
            message_timestamp_type: TimestampType::Create,
            message_timestamp_before_max_ms: i64::MAX,
            message_timestamp_after_max_ms: 3_600_000,
            compression: CompressionPolicy::Producer,
            compression_levels: CompressionLevels::default(),
            compact: false,
            delete_retention_ms: DAY_MS,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            delete: true,
            preallocate: false,
        }
    }
}
