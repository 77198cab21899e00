//! The coordinators as the configuration and the metadata have them.
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

use super::auto_create::{OFFSETS_TOPIC, SHARE_STATE_TOPIC, TRANSACTION_TOPIC};
use super::coordinator_log::CoordinatorLog;
use super::share;
use crate::config::BrokerConfig;
use crate::config::definition::Values;
use crate::coordinator::group::{
    ConsumerGroupConfig, GroupConfig, MigrationPolicy, StreamsGroupConfig,
};
use crate::coordinator::runtime::RuntimeConfig;
use crate::coordinator::transaction::{Effect, TransactionConfig};
use crate::coordinator::{
    GroupCoordinator, PartitionLog, ShareCoordinator, TransactionCoordinator,
};
use crate::metadata::feature;
use crate::metadata::image::MetadataImage;
use crate::record::Compression;

pub fn groups<L: PartitionLog>(
    config: &BrokerConfig,
    image: &MetadataImage,
    log: L,
) -> GroupCoordinator<L> {
    let settings = &config.groups;
    let group_config = GroupConfig {
        session_timeout_min_ms: settings.min_session_timeout_ms,
        session_timeout_max_ms: settings.max_session_timeout_ms,
        initial_rebalance_delay_ms: settings.initial_rebalance_delay_ms,
        max_size: settings.max_size,
        offset_metadata_max_bytes: settings.offset_metadata_max_bytes,
        offsets_retention_ms: settings.offsets_retention_ms,
        offsets_retention_check_interval_ms: settings.offsets_retention_check_interval_ms,
        consumer: consumer_groups(&config.values),
        share: share::setup::share_groups(&config.values),
        streams: streams_groups(&config.values),
    };
    let compression = match settings.offsets_topic_compression_codec {
        1 => Compression::Gzip,
        2 => Compression::Snappy,
        3 => Compression::Lz4,
        4 => Compression::Zstd,
        _ => Compression::None,
    };
    let runtime_config = RuntimeConfig {
        compression,
        commit_timeout_ms: i64::from(settings.offsets_commit_timeout_ms),
    };
    let partitions = partitions_of(image, OFFSETS_TOPIC, settings.offsets_topic_partitions);
    GroupCoordinator::new(
        log,
        group_config,
        runtime_config,
        partitions,
        Arc::new(image.clone()),
    )
}

pub fn share_states(
    config: &BrokerConfig,
    image: &MetadataImage,
    log: CoordinatorLog,
) -> ShareCoordinator<CoordinatorLog> {
    let (states, runtime) = share::setup::share_states(&config.values);
    let configured = config
        .values
        .int("share.coordinator.state.topic.num.partitions");
    let partitions = partitions_of(image, SHARE_STATE_TOPIC, configured);
    let pruned = log.clone();
    ShareCoordinator::new(
        log,
        states,
        runtime,
        partitions,
        Arc::new(image.clone()),
        move |partition, offset| pruned.delete_before(partition, offset),
    )
}

fn consumer_groups(values: &Values) -> ConsumerGroupConfig {
    let int = |key: &str| values.int(&format!("group.consumer.{key}"));
    let bounds = |key: &str| int(&format!("min.{key}"))..=int(&format!("max.{key}"));
    let policy = MigrationPolicy::by_name(values.string("group.consumer.migration.policy"));
    ConsumerGroupConfig {
        session_timeout_ms: int("session.timeout.ms"),
        session_timeout_bounds_ms: bounds("session.timeout.ms"),
        heartbeat_interval_ms: int("heartbeat.interval.ms"),
        heartbeat_interval_bounds_ms: bounds("heartbeat.interval.ms"),
        assignment_interval_ms: int("assignment.interval.ms"),
        assignment_interval_bounds_ms: bounds("assignment.interval.ms"),
        regex_refresh_interval_ms: int("regex.refresh.interval.ms"),
        max_size: int("max.size"),
        assignors: values.list("group.consumer.assignors").to_vec(),
        migration_policy: policy.unwrap_or(MigrationPolicy::Bidirectional),
        is_offered: offers(values, "consumer"),
    }
}

fn streams_groups(values: &Values) -> StreamsGroupConfig {
    let int = |key: &str| values.int(&format!("group.streams.{key}"));
    let bounds = |key: &str| int(&format!("min.{key}"))..=int(&format!("max.{key}"));
    StreamsGroupConfig {
        session_timeout_ms: int("session.timeout.ms"),
        session_timeout_bounds_ms: bounds("session.timeout.ms"),
        heartbeat_interval_ms: int("heartbeat.interval.ms"),
        heartbeat_interval_bounds_ms: bounds("heartbeat.interval.ms"),
        assignment_interval_ms: int("assignment.interval.ms"),
        assignment_interval_bounds_ms: bounds("assignment.interval.ms"),
        initial_rebalance_delay_ms: int("initial.rebalance.delay.ms"),
        standby_replicas: int("num.standby.replicas"),
        max_standby_replicas: int("max.standby.replicas"),
        max_size: int("max.size"),
        is_offered: offers(values, "streams"),
    }
}

/// Whether groups of the kind are switched on.
fn offers(values: &Values, kind: &str) -> bool {
    let protocols = values.list("group.coordinator.rebalance.protocols");
    protocols.iter().any(|protocol| protocol == kind)
}

/// Groups and transactions live where the topic, once created, puts them, whatever the file says
/// later.
fn partitions_of(image: &MetadataImage, topic: &str, configured: i32) -> i32 {
    let existing = image.topics.get(topic);
    existing
        .and_then(|topic| i32::try_from(topic.partitions.len()).ok())
        .unwrap_or(configured)
}

pub fn transactions<L: PartitionLog>(
    config: &BrokerConfig,
    image: &MetadataImage,
    log: L,
    effects: UnboundedSender<(i32, Effect)>,
) -> TransactionCoordinator<L> {
    let settings = &config.transactions;
    let transaction_config = TransactionConfig {
        id_expiration_ms: i64::from(settings.id_expiration_ms),
        expiration_interval_ms: i64::from(settings.expiration_interval_ms),
        timeout_interval_ms: i64::from(settings.timeout_interval_ms),
        version: image.features.level(feature::TRANSACTION_VERSION),
    };
    let partitions = partitions_of(image, TRANSACTION_TOPIC, settings.topic_partitions);
    let (timeout_max_ms, on_effect) = (settings.timeout_max_ms, move |partition, effect| {
        // Nobody listens once the broker stops; the next start does it.
        let _ = effects.send((partition, effect));
    });
    TransactionCoordinator::new(
        log,
        transaction_config,
        timeout_max_ms,
        partitions,
        on_effect,
    )
}
