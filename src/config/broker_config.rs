//! The settings of a node, typed, as the broker, the log store and the controller need them.
use super::broker::GROUP_COMMIT;
use super::definition::{ConfigError, Values};
use super::key_checks::{Voter, parse_voter};
use super::listeners::Listeners;
use super::{Properties, cordoned};
use std::path::PathBuf;

/// A node that is both broker and controller, the only voter of its quorum.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    pub node_id: i32,
    pub rack: Option<String>,
    pub listeners: Listeners,
    /// The static voter; none when the voters stand in the metadata (`kraft.version` 1).
    pub quorum_voter: Option<Voter>,
    pub log_dirs: Vec<PathBuf>,
    /// One of `log_dirs`, or a directory of its own.
    pub metadata_log_dir: PathBuf,
    pub topics: TopicDefaults,
    pub network: NetworkConfig,
    pub fetch: FetchConfig,
    pub groups: GroupConfig,
    pub transactions: TransactionConfig,
    pub logs: LogManagerSettings,
    pub metadata_log: MetadataLogConfig,
    /// Records count as committed once they are on the device.
    pub group_commit: bool,
    /// What the file says, with overrides and the names of old files translated.
    pub file: Properties,
    /// Every key; what is dynamic is laid over it by [`super::layers::BrokerLayers`].
    pub values: Values,
}

/// How topics are made that do not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDefaults {
    pub auto_create_enable: bool,
    pub delete_enable: bool,
    pub num_partitions: i32,
    pub replication_factor: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkConfig {
    /// None: the system decides.
    pub send_buffer_bytes: Option<i32>,
    /// None: the system decides.
    pub receive_buffer_bytes: Option<i32>,
    pub request_max_bytes: i32,
    pub listen_backlog_size: i32,
    /// Negative: connections are never closed for being idle.
    pub connections_max_idle_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchConfig {
    pub max_bytes: i32,
    pub max_session_cache_slots: i32,
    /// Partitions in one DescribeTopicPartitions answer.
    pub max_request_partitions: i32,
}

/// The group coordinator and its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    pub min_session_timeout_ms: i32,
    pub max_session_timeout_ms: i32,
    pub initial_rebalance_delay_ms: i32,
    pub max_size: i32,
    pub offset_metadata_max_bytes: i32,
    pub offsets_retention_ms: i64,
    pub offsets_retention_check_interval_ms: i64,
    pub offsets_commit_timeout_ms: i32,
    pub offsets_load_buffer_size: i32,
    pub offsets_topic_partitions: i32,
    pub offsets_topic_replication_factor: i16,
    pub offsets_topic_segment_bytes: i32,
    /// 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    pub offsets_topic_compression_codec: i32,
}

/// The transaction coordinator and its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionConfig {
    pub timeout_max_ms: i32,
    pub timeout_interval_ms: i32,
    pub id_expiration_ms: i32,
    pub expiration_interval_ms: i32,
    pub topic_partitions: i32,
    pub topic_replication_factor: i16,
    pub topic_min_isr: i32,
    pub topic_segment_bytes: i32,
}

/// What holds for all logs; the rest is per topic: [`super::topic::TopicConfig`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogManagerSettings {
    pub retention_check_interval_ms: i64,
    pub flush_check_interval_ms: i64,
    pub recovery_point_checkpoint_interval_ms: i64,
    pub log_start_offset_checkpoint_interval_ms: i64,
    pub initial_task_delay_ms: i64,
    pub recovery_threads_per_data_dir: i32,
    pub producer_id_expiration_ms: i32,
    pub producer_id_expiration_check_interval_ms: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataLogConfig {
    pub max_record_bytes_between_snapshots: i64,
    /// 0: no snapshot for time alone.
    pub max_snapshot_interval_ms: i64,
    pub segment_bytes: i32,
    pub segment_ms: i64,
    pub max_retention_bytes: i64,
    pub max_retention_ms: i64,
}

impl BrokerConfig {
    /// Of values that passed the checks of their keys; what concerns several keys is checked here.
    pub(super) fn resolve(
        file: Properties,
        values: Values,
        own: &Values,
    ) -> Result<Self, ConfigError> {
        let node_id = values.int("node.id");
        if values.is_set("broker.id") && values.int("broker.id") != node_id {
            return problem("You must set `node.id` to the same value as `broker.id`.");
        }
        check_roles(&values)?;
        let quorum_voter = quorum_voter(&values, node_id)?;
        let listeners = Listeners::resolve(&values)?;
        check_ranges(&values)?;
        let log_dirs = cordoned::log_dirs(&values);
        let metadata_log_dir = match (values.string_option("metadata.log.dir"), log_dirs.first()) {
            (Some(dir), _) => PathBuf::from(dir),
            (None, Some(dir)) => dir.clone(),
            (None, None) => return problem("at least one directory must be defined in log.dirs"),
        };
        Ok(Self {
            node_id,
            rack: values.string_option("broker.rack").map(str::to_owned),
            listeners,
            quorum_voter,
            log_dirs,
            metadata_log_dir,
            topics: TopicDefaults {
                auto_create_enable: values.bool("auto.create.topics.enable"),
                delete_enable: values.bool("delete.topic.enable"),
                num_partitions: values.int("num.partitions"),
                replication_factor: values.int("default.replication.factor"),
            },
            network: network(&values),
            fetch: FetchConfig {
                max_bytes: values.int("fetch.max.bytes"),
                max_session_cache_slots: values.int("max.incremental.fetch.session.cache.slots"),
                max_request_partitions: values.int("max.request.partition.size.limit"),
            },
            groups: groups(&values),
            transactions: transactions(&values),
            logs: logs(&values),
            metadata_log: metadata_log(&values),
            group_commit: own.bool(GROUP_COMMIT),
            file,
            values,
        })
    }
}

fn problem<T>(text: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Other(text.into()))
}

fn check_roles(values: &Values) -> Result<(), ConfigError> {
    let roles = values.list("process.roles");
    if ["broker", "controller"]
        .iter()
        .all(|role| roles.iter().any(|own| own == role))
    {
        return Ok(());
    }
    problem(format!(
        "process.roles={}: only a node that is both is built in yet; set \
         process.roles=broker,controller",
        roles.join(",")
    ))
}

fn quorum_voter(values: &Values, node_id: i32) -> Result<Option<Voter>, ConfigError> {
    let (voters_key, servers_key) = (
        "controller.quorum.voters",
        "controller.quorum.bootstrap.servers",
    );
    let (voters, servers) = (values.list(voters_key), values.list(servers_key));
    for (key, entries) in [(voters_key, voters), (servers_key, servers)] {
        if entries.len() > 1 {
            return problem(format!(
                "{key}={}: a quorum of several controllers is not built in yet; name only this \
                 node",
                entries.join(",")
            ));
        }
    }
    let Some(entry) = voters.first() else {
        if servers.is_empty() {
            return problem(format!(
                "If using process.roles, either {servers_key} must contain the set of bootstrap \
                 controllers or {voters_key} must contain a parseable set of controllers."
            ));
        }
        return Ok(None);
    };
    let voter = parse_voter(voters_key, entry)?;
    if voter.id != node_id {
        return problem(format!(
            "If process.roles contains the 'controller' role, the node id {node_id} must be \
             included in the set of voters {voters_key}=Set({})",
            voter.id
        ));
    }
    Ok(Some(voter))
}

/// What Kafka requires beyond the ranges of single keys.
pub(super) fn check_ranges(values: &Values) -> Result<(), ConfigError> {
    let resolved = super::topic::resolve_values(values, &Default::default());
    let retention_ms = resolved.long("retention.ms");
    let cleaner_threads = i64::from(values.int("log.cleaner.threads")).max(1);
    let queued_bytes = values.long("queued.max.request.bytes");
    let idle_ms = values.long("connections.max.idle.ms");
    let delay_ms = values.int("connection.failed.authentication.delay.ms");
    let requirements = [
        (
            resolved.long("segment.ms") >= 1,
            "log.roll.ms must be greater than or equal to 1".into(),
        ),
        (
            resolved.long("segment.jitter.ms") >= 0,
            "log.roll.jitter.ms must be greater than or equal to 0".into(),
        ),
        (
            retention_ms == -1 || retention_ms >= 1,
            "log.retention.ms must be unlimited (-1) or, greater than or equal to 1".into(),
        ),
        (
            values.long("log.cleaner.dedupe.buffer.size") / cleaner_threads > 1 << 20,
            "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.".into(),
        ),
        (
            queued_bytes <= 0 || queued_bytes >= i64::from(values.int("socket.request.max.bytes")),
            "queued.max.request.bytes must be larger or equal to socket.request.max.bytes".into(),
        ),
        (
            values.int("max.connections.per.ip") > 0
                || !values.string("max.connections.per.ip.overrides").is_empty(),
            "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides \
             property is set."
                .into(),
        ),
        (
            idle_ms <= 0 || i64::from(delay_ms) < idle_ms,
            format!(
                "connection.failed.authentication.delay.ms={delay_ms} should always be less than \
                 connections.max.idle.ms={idle_ms} to prevent failed authentication responses \
                 from timing out"
            ),
        ),
        (
            values.int("replica.fetch.wait.max.ms") <= values.int("replica.socket.timeout.ms"),
            "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to \
             prevent unnecessary socket timeouts"
                .into(),
        ),
        (
            (0..=4).contains(&values.int("offsets.topic.compression.codec")),
            format!(
                "Unknown compression type id: {} (offsets.topic.compression.codec is 0 none, \
                 1 gzip, 2 snappy, 3 lz4 or 4 zstd)",
                values.int("offsets.topic.compression.codec")
            ),
        ),
    ];
    match requirements.into_iter().find(|(holds, _)| !holds) {
        Some((_, text)) => problem(text),
        None => cordoned::cordoned_log_dirs(values).map(drop),
    }
}

fn network(values: &Values) -> NetworkConfig {
    let buffer = |key: &str| Some(values.int(key)).filter(|bytes| *bytes > 0);
    NetworkConfig {
        send_buffer_bytes: buffer("socket.send.buffer.bytes"),
        receive_buffer_bytes: buffer("socket.receive.buffer.bytes"),
        request_max_bytes: values.int("socket.request.max.bytes"),
        listen_backlog_size: values.int("socket.listen.backlog.size"),
        connections_max_idle_ms: values.long("connections.max.idle.ms"),
    }
}

fn groups(values: &Values) -> GroupConfig {
    GroupConfig {
        min_session_timeout_ms: values.int("group.min.session.timeout.ms"),
        max_session_timeout_ms: values.int("group.max.session.timeout.ms"),
        initial_rebalance_delay_ms: values.int("group.initial.rebalance.delay.ms"),
        max_size: values.int("group.max.size"),
        offset_metadata_max_bytes: values.int("offset.metadata.max.bytes"),
        offsets_retention_ms: i64::from(values.int("offsets.retention.minutes")) * 60_000,
        offsets_retention_check_interval_ms: values.long("offsets.retention.check.interval.ms"),
        offsets_commit_timeout_ms: values.int("offsets.commit.timeout.ms"),
        offsets_load_buffer_size: values.int("offsets.load.buffer.size"),
        offsets_topic_partitions: values.int("offsets.topic.num.partitions"),
        offsets_topic_replication_factor: values.short("offsets.topic.replication.factor"),
        offsets_topic_segment_bytes: values.int("offsets.topic.segment.bytes"),
        offsets_topic_compression_codec: values.int("offsets.topic.compression.codec"),
    }
}

fn transactions(values: &Values) -> TransactionConfig {
    TransactionConfig {
        timeout_max_ms: values.int("transaction.max.timeout.ms"),
        timeout_interval_ms: values
            .int("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
        id_expiration_ms: values.int("transactional.id.expiration.ms"),
        expiration_interval_ms: values
            .int("transaction.remove.expired.transaction.cleanup.interval.ms"),
        topic_partitions: values.int("transaction.state.log.num.partitions"),
        topic_replication_factor: values.short("transaction.state.log.replication.factor"),
        topic_min_isr: values.int("transaction.state.log.min.isr"),
        topic_segment_bytes: values.int("transaction.state.log.segment.bytes"),
    }
}

fn logs(values: &Values) -> LogManagerSettings {
    LogManagerSettings {
        retention_check_interval_ms: values.long("log.retention.check.interval.ms"),
        flush_check_interval_ms: values.long("log.flush.scheduler.interval.ms"),
        recovery_point_checkpoint_interval_ms: i64::from(
            values.int("log.flush.offset.checkpoint.interval.ms"),
        ),
        log_start_offset_checkpoint_interval_ms: i64::from(
            values.int("log.flush.start.offset.checkpoint.interval.ms"),
        ),
        initial_task_delay_ms: values.long("log.initial.task.delay.ms"),
        recovery_threads_per_data_dir: values.int("num.recovery.threads.per.data.dir"),
        producer_id_expiration_ms: values.int("producer.id.expiration.ms"),
        producer_id_expiration_check_interval_ms: values
            .int("producer.id.expiration.check.interval.ms"),
    }
}

fn metadata_log(values: &Values) -> MetadataLogConfig {
    MetadataLogConfig {
        max_record_bytes_between_snapshots: values
            .long("metadata.log.max.record.bytes.between.snapshots"),
        max_snapshot_interval_ms: values.long("metadata.log.max.snapshot.interval.ms"),
        segment_bytes: values.int("metadata.log.segment.bytes"),
        segment_ms: values.long("metadata.log.segment.ms"),
        max_retention_bytes: values.long("metadata.max.retention.bytes"),
        max_retention_ms: values.long("metadata.max.retention.ms"),
    }
}
