//! What the configuration of a topic comes to: its own settings over those of the broker.
use super::super::Properties;
use super::super::definition::{Origin, Values};
use super::super::layers::DynamicConfig;
use super::super::value::Value;
use super::{SYNONYMS, table};

/// The codec in which batches of a topic are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredCompression {
    /// As the producer sent them.
    Producer,
    Uncompressed,
    Gzip {
        level: i32,
    },
    Snappy,
    Lz4 {
        level: i32,
    },
    Zstd {
        level: i32,
    },
}

/// Which time a record carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageTimestampType {
    CreateTime,
    LogAppendTime,
}

/// The settings of one topic, as the log store needs them. Names are those of the keys.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicConfig {
    pub segment_bytes: i32,
    pub segment_ms: i64,
    pub segment_jitter_ms: i64,
    pub segment_index_bytes: i32,
    pub index_interval_bytes: i32,
    pub flush_messages: i64,
    pub flush_ms: i64,
    /// −1: no limit.
    pub retention_bytes: i64,
    /// −1: no limit.
    pub retention_ms: i64,
    pub max_message_bytes: i32,
    pub file_delete_delay_ms: i64,
    pub delete_retention_ms: i64,
    pub min_compaction_lag_ms: i64,
    pub max_compaction_lag_ms: i64,
    pub min_cleanable_dirty_ratio: f64,
    /// `cleanup.policy` holds `compact`.
    pub compact: bool,
    /// `cleanup.policy` holds `delete`.
    pub delete: bool,
    pub unclean_leader_election_enable: bool,
    pub min_insync_replicas: i32,
    pub compression: StoredCompression,
    pub preallocate: bool,
    pub message_timestamp_type: MessageTimestampType,
    pub message_timestamp_before_max_ms: i64,
    pub message_timestamp_after_max_ms: i64,
    /// −2: as `retention_bytes`.
    pub local_retention_bytes: i64,
    /// −2: as `retention_ms`.
    pub local_retention_ms: i64,
    pub remote_storage_enable: bool,
    pub remote_log_copy_disable: bool,
    pub remote_log_delete_on_disable: bool,
}

/// A topic without settings of its own on a broker that has none either.
impl Default for TopicConfig {
    fn default() -> Self {
        Self::from_values(&table().parse_all(&Properties::new()).0)
    }
}

impl TopicConfig {
    /// The settings of a topic with these `overrides` on a broker for which `broker` holds
    /// ([`super::super::layers::BrokerLayers::values`]).
    pub fn resolve(broker: &Values, overrides: &DynamicConfig) -> Self {
        Self::from_values(&resolve_values(broker, overrides))
    }

    fn from_values(values: &Values) -> Self {
        let has_policy = |policy: &str| {
            values
                .list("cleanup.policy")
                .iter()
                .any(|item| item == policy)
        };
        let level = |codec: &str| values.int(&format!("compression.{codec}.level"));
        Self {
            segment_bytes: values
                .int_option("internal.segment.bytes")
                .unwrap_or_else(|| values.int("segment.bytes")),
            segment_ms: values.long("segment.ms"),
            segment_jitter_ms: values.long("segment.jitter.ms"),
            segment_index_bytes: values.int("segment.index.bytes"),
            index_interval_bytes: values.int("index.interval.bytes"),
            flush_messages: values.long("flush.messages"),
            flush_ms: values.long("flush.ms"),
            retention_bytes: values.long("retention.bytes"),
            retention_ms: values.long("retention.ms"),
            max_message_bytes: values.int("max.message.bytes"),
            file_delete_delay_ms: values.long("file.delete.delay.ms"),
            delete_retention_ms: values.long("delete.retention.ms"),
            min_compaction_lag_ms: values.long("min.compaction.lag.ms"),
            max_compaction_lag_ms: values.long("max.compaction.lag.ms"),
            min_cleanable_dirty_ratio: values.double("min.cleanable.dirty.ratio"),
            compact: has_policy("compact"),
            delete: has_policy("delete"),
            unclean_leader_election_enable: values.bool("unclean.leader.election.enable"),
            min_insync_replicas: values.int("min.insync.replicas"),
            compression: match values.string("compression.type") {
                "uncompressed" => StoredCompression::Uncompressed,
                "gzip" => StoredCompression::Gzip {
                    level: level("gzip"),
                },
                "snappy" => StoredCompression::Snappy,
                "lz4" => StoredCompression::Lz4 {
                    level: level("lz4"),
                },
                "zstd" => StoredCompression::Zstd {
                    level: level("zstd"),
                },
                _ => StoredCompression::Producer,
            },
            preallocate: values.bool("preallocate"),
            message_timestamp_type: match values.string("message.timestamp.type") {
                "LogAppendTime" => MessageTimestampType::LogAppendTime,
                _ => MessageTimestampType::CreateTime,
            },
            message_timestamp_before_max_ms: values.long("message.timestamp.before.max.ms"),
            message_timestamp_after_max_ms: values.long("message.timestamp.after.max.ms"),
            local_retention_bytes: values.long("local.retention.bytes"),
            local_retention_ms: values.long("local.retention.ms"),
            remote_storage_enable: values.bool("remote.storage.enable"),
            remote_log_copy_disable: values.bool("remote.log.copy.disable"),
            remote_log_delete_on_disable: values.bool("remote.log.delete.on.disable"),
        }
    }

    /// The age at which a segment is rolled: compaction may ask for it earlier.
    pub fn max_segment_ms(&self) -> i64 {
        if self.compact && self.max_compaction_lag_ms > 0 {
            self.segment_ms.min(self.max_compaction_lag_ms)
        } else {
            self.segment_ms
        }
    }
}

/// The values of every topic key. An override that does not parse is passed over: it was checked
/// when it was set, so it comes from a version that allowed more.
pub fn resolve_values(broker: &Values, overrides: &DynamicConfig) -> Values {
    let (mut values, _) = table().parse_all(&Properties::new());
    for (name, synonyms) in SYNONYMS {
        let Some(key) = table().key(name) else {
            continue;
        };
        let set = synonyms
            .iter()
            .find(|(synonym, _)| !broker.value(synonym).is_null());
        if let Some((synonym, factor)) = set {
            let value = scale(broker.value(synonym), *factor, name);
            values.set(key, value, broker.origin(synonym));
        }
    }
    for (name, text) in overrides {
        if let Some(key) = table().key(name)
            && let Ok(value) = key.parse(text)
        {
            values.set(key, value, Origin::Dynamic);
        }
    }
    values
}

/// Brings hours and minutes to milliseconds. Any negative retention time means no limit.
fn scale(value: &Value, factor: i64, topic_key: &str) -> Value {
    let scaled = match value {
        Value::Int(number) if factor > 1 => Value::Long(i64::from(*number) * factor),
        other => other.clone(),
    };
    match scaled {
        Value::Long(ms) if topic_key == "retention.ms" && ms < 0 => Value::Long(-1),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::broker;
    use super::*;

    fn resolve(file: &str, overrides: &[(&str, &str)]) -> TopicConfig {
        let (broker, _) = broker::table().parse_all(&Properties::parse(file).unwrap());
        let overrides = overrides
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect();
        TopicConfig::resolve(&broker, &overrides)
    }

    #[test]
    fn defaults_are_those_of_kafka() {
        let config = resolve("", &[]);
        assert_eq!(config, TopicConfig::default());
        assert_eq!(config.segment_bytes, 1 << 30);
        assert_eq!(config.segment_ms, 7 * 24 * 3_600_000);
        assert_eq!(config.retention_ms, 7 * 24 * 3_600_000);
        assert_eq!(config.flush_ms, i64::MAX);
        assert_eq!(config.max_message_bytes, 1_048_588);
        assert_eq!(config.compression, StoredCompression::Producer);
        assert_eq!((config.compact, config.delete), (false, true));
    }

    #[test]
    fn broker_settings_reach_topics_under_other_names() {
        let config = resolve(
            "log.retention.hours=1\nlog.roll.hours=2\nlog.flush.scheduler.interval.ms=9\n\
             log.cleanup.policy=compact,delete\ncompression.type=zstd\ncompression.zstd.level=7",
            &[],
        );
        assert_eq!(config.retention_ms, 3_600_000);
        assert_eq!(config.segment_ms, 7_200_000);
        assert_eq!(config.flush_ms, 9);
        assert_eq!((config.compact, config.delete), (true, true));
        assert_eq!(config.compression, StoredCompression::Zstd { level: 7 });
    }

    #[test]
    fn finer_units_win_over_coarser() {
        let file = "log.retention.hours=1\nlog.retention.minutes=2";
        assert_eq!(resolve(file, &[]).retention_ms, 120_000);
        assert_eq!(
            resolve(&format!("{file}\nlog.retention.ms=3"), &[]).retention_ms,
            3
        );
        assert_eq!(resolve("log.retention.hours=-5", &[]).retention_ms, -1);
    }

    #[test]
    fn overrides_win() {
        let config = resolve(
            "log.retention.ms=5",
            &[
                ("retention.ms", "6"),
                ("internal.segment.bytes", "100"),
                ("segment.ms", "x"),
            ],
        );
        assert_eq!(config.retention_ms, 6);
        assert_eq!(config.segment_bytes, 100);
        assert_eq!(config.segment_ms, 7 * 24 * 3_600_000);
    }

    #[test]
    fn compaction_lag_shortens_segments() {
        let config = resolve(
            "log.cleanup.policy=compact\nlog.cleaner.max.compaction.lag.ms=4",
            &[],
        );
        assert_eq!(config.max_segment_ms(), 4);
    }
}
