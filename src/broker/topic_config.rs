//! From a topic's keys to what its logs need.

use std::sync::Arc;

use crate::config::BrokerConfig;
use crate::config::definition::Values;
use crate::config::layers::BrokerLayers;
use crate::config::topic::{MessageTimestampType, StoredCompression, TopicConfig};
use crate::log::LogConfig;
use crate::log::config::{CompressionLevels, CompressionPolicy};
use crate::metadata::image::{ConfigResource, MetadataImage};
use crate::record::{Compression, TimestampType};

/// What the broker acts on.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Shared by the topic's partitions.
    pub log: Arc<LogConfig>,
    pub min_insync_replicas: usize,
}

/// The configurations of topics as an image has them. The broker's values are looked at once, and so is the last topic:
/// many partitions are asked for in a row.
pub struct Configs<'a> {
    values: Values,
    image: &'a MetadataImage,
    last: Option<(String, Resolved)>,
}

/// A node's configuration, layer by layer.
pub fn layers<'a>(settings: &'a BrokerConfig, image: &'a MetadataImage) -> BrokerLayers<'a> {
    BrokerLayers {
        file: &settings.file,
        static_values: &settings.values,
        cluster: image.configs.of(&ConfigResource::cluster()),
        broker: image.configs.of(&ConfigResource::broker(settings.node_id)),
    }
}

impl<'a> Configs<'a> {
    pub fn new(settings: &BrokerConfig, image: &'a MetadataImage) -> Configs<'a> {
        Configs {
            values: layers(settings, image).values(),
            image,
            last: None,
        }
    }

    pub fn of(&mut self, topic: &str) -> Resolved {
        if let Some((_, resolved)) = self.last.as_ref().filter(|(last, _)| last == topic) {
            return resolved.clone();
        }
        let resolved = self.resolve(topic);
        self.last = Some((topic.to_owned(), resolved.clone()));
        resolved
    }

    /// Without looking at the last topic: from several threads.
    pub fn resolve(&self, topic: &str) -> Resolved {
        let overrides = self.image.configs.of(&ConfigResource::topic(topic));
        let config = TopicConfig::resolve(&self.values, overrides);
        Resolved {
            min_insync_replicas: usize::try_from(config.min_insync_replicas).unwrap_or(1),
            log: Arc::new(log_config(&config)),
        }
    }
}

fn log_config(config: &TopicConfig) -> LogConfig {
    // The tables allow no negative value for these.
    let unsigned = |value: i32| u32::try_from(value).unwrap_or(0);
    let (compression, compression_levels) = compression(config);
    LogConfig {
        segment_bytes: unsigned(config.segment_bytes),
        segment_ms: config.max_segment_ms(),
        segment_jitter_ms: config.segment_jitter_ms,
        segment_index_bytes: unsigned(config.segment_index_bytes),
        index_interval_bytes: unsigned(config.index_interval_bytes),
        flush_messages: config.flush_messages,
        flush_ms: config.flush_ms,
        retention_bytes: config.retention_bytes,
        retention_ms: config.retention_ms,
        file_delete_delay_ms: config.file_delete_delay_ms,
        max_message_bytes: unsigned(config.max_message_bytes),
        message_timestamp_type: match config.message_timestamp_type {
            MessageTimestampType::CreateTime => TimestampType::Create,
            MessageTimestampType::LogAppendTime => TimestampType::LogAppend,
        },
        message_timestamp_before_max_ms: config.message_timestamp_before_max_ms,
        message_timestamp_after_max_ms: config.message_timestamp_after_max_ms,
        compression,
        compression_levels,
        compact: config.compact,
        delete_retention_ms: config.delete_retention_ms,
        min_compaction_lag_ms: config.min_compaction_lag_ms,
        max_compaction_lag_ms: config.max_compaction_lag_ms,
        min_cleanable_dirty_ratio: config.min_cleanable_dirty_ratio,
        delete: config.delete,
        preallocate: config.preallocate,
    }
}

fn compression(config: &TopicConfig) -> (CompressionPolicy, CompressionLevels) {
    let mut levels = CompressionLevels::default();
    let codec = match config.compression {
        StoredCompression::Producer => return (CompressionPolicy::Producer, levels),
        StoredCompression::Uncompressed => Compression::None,
        StoredCompression::Gzip { level } => {
            levels.gzip = level;
            Compression::Gzip
        }
        StoredCompression::Snappy => Compression::Snappy,
        StoredCompression::Lz4 { level } => {
            levels.lz4 = level;
            Compression::Lz4
        }
        StoredCompression::Zstd { level } => {
            levels.zstd = level;
            Compression::Zstd
        }
    };
    (CompressionPolicy::Codec(codec), levels)
}
