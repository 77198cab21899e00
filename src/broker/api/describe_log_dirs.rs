//! DescribeLogDirs (key 35), versions 1–5 (KIP-113).
//!
//! What is in each log directory, and how much room is left. A directory that has failed says KAFKA_STORAGE_ERROR.
//!
//! - 2: flexible. 3: an error for all. 4: total and usable bytes (KIP-827). 5: whether it is cordoned (KIP-1066).
//!
//! Sizes are of log files that may not have been opened yet: read on the blocking pool.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tracing::error;

use crate::broker::context::RequestContext;
use crate::broker::node::Broker;
use crate::log::{Log, TopicPartition, reserve};
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use crate::protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

const LAG_UNKNOWN: i64 = -1;

/// The partitions asked for; `None`: all.
type Wanted = Option<BTreeSet<TopicPartition>>;

pub async fn handle(
    cx: &RequestContext<'_>,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let wanted: Wanted = request.topics.map(|topics| {
        let of = |topic: &str, indexes: Vec<i32>| -> Vec<TopicPartition> {
            let topic: Arc<str> = topic.into();
            indexes
                .into_iter()
                .map(|index| TopicPartition::new(topic.clone(), index))
                .collect()
        };
        let topics = topics.into_iter();
        topics.flat_map(|t| of(&t.topic, t.partitions)).collect()
    });
    let broker = cx.broker.clone();
    let described = tokio::task::spawn_blocking(move || {
        let dirs = &broker.settings.log_dirs;
        dirs.iter()
            .map(|dir| describe(&broker, dir, &wanted))
            .collect()
    });
    match described.await {
        Ok(results) => DescribeLogDirsResponse {
            results,
            ..Default::default()
        },
        Err(e) => {
            error!("cannot describe the log directories: {e}");
            DescribeLogDirsResponse {
                error_code: ErrorCode::UnknownServerError.code(),
                ..Default::default()
            }
        }
    }
}

fn describe(broker: &Broker, dir: &Path, wanted: &Wanted) -> DescribeLogDirsResult {
    let shown = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let result = DescribeLogDirsResult {
        log_dir: shown.display().to_string(),
        ..Default::default()
    };
    let health = broker.directories.health.of(dir);
    let is_offline = health.is_some_and(|dir| dir.is_offline());
    let room = reserve::room(dir);
    let (Ok((usable, total)), false) = (room, is_offline) else {
        return DescribeLogDirsResult {
            error_code: ErrorCode::KafkaStorageError.code(),
            ..result
        };
    };
    let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    DescribeLogDirsResult {
        topics: topics(broker, dir, wanted),
        total_bytes: bytes(total),
        usable_bytes: bytes(usable),
        is_cordoned: broker.logs.is_cordoned(dir),
        ..result
    }
}

fn topics(broker: &Broker, dir: &Path, wanted: &Wanted) -> Vec<DescribeLogDirsTopic> {
    let mut topics: BTreeMap<String, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for hosted in broker.logs.hosted_in(dir) {
        let tp = hosted.log.topic_partition();
        if wanted.as_ref().is_some_and(|wanted| !wanted.contains(tp)) {
            continue;
        }
        let partition = DescribeLogDirsPartition {
            partition_index: tp.partition,
            partition_size: size(&hosted.log),
            offset_lag: lag(broker, &hosted.log, hosted.is_future),
            is_future_key: hosted.is_future,
        };
        topics
            .entry(tp.topic.to_string())
            .or_default()
            .push(partition);
    }
    let topic = |(name, partitions)| DescribeLogDirsTopic { name, partitions };
    topics.into_iter().map(topic).collect()
}

fn size(log: &Log) -> i64 {
    match log.size() {
        Ok(size) => i64::try_from(size).unwrap_or(i64::MAX),
        Err(e) => {
            error!("cannot tell the size of {}: {e}", log.topic_partition());
            0
        }
    }
}

/// How far a future log is behind the one that it will replace, or a log behind what is committed.
fn lag(broker: &Broker, log: &Log, is_future: bool) -> i64 {
    match broker.logs.log(log.topic_partition()) {
        None => LAG_UNKNOWN,
        Some(current) if is_future => current.log_end_offset() - log.log_end_offset(),
        Some(current) => (current.high_watermark() - log.log_end_offset()).max(0),
    }
}
