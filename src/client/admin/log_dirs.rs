//! The log directories of brokers: what is in them, and moving replicas between them.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Admin;
use crate::client::TopicPartition;
use crate::client::cluster::Route;
use crate::client::errors::{ClientError, Result};
use crate::protocol::ErrorCode;
use crate::protocol::messages::DescribeLogDirsRequest;
use crate::protocol::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};
use crate::protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;

/// A log directory of a broker.
#[derive(Debug, Clone)]
pub struct LogDirDescription {
    pub path: String,
    /// Why it cannot be used, if it cannot.
    pub error: Option<ClientError>,
    pub replicas: BTreeMap<TopicPartition, ReplicaInfo>,
    /// -1 where the broker does not say.
    pub total_bytes: i64,
    pub usable_bytes: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaInfo {
    pub size: i64,
    pub offset_lag: i64,
    /// It is being moved here and will replace the present replica.
    pub is_future: bool,
}

/// Replicas by the directory that they are to move to.
pub type Moves = BTreeMap<String, Vec<TopicPartition>>;

impl Admin {
    /// The log directories of a broker, in order of their paths.
    pub async fn describe_log_dirs(&self, broker: i32) -> Result<Vec<LogDirDescription>> {
        let build = |_version| DescribeLogDirsRequest { topics: None };
        let options = self.options("describeLogDirs");
        let response = self
            .client()
            .call(options, Route::Broker(broker), build, |response| {
                ErrorCode::from_code(response.error_code)
            })
            .await?;
        ClientError::check(response.error_code, None)?;
        let mut directories: Vec<_> = response.results.into_iter().map(directory).collect();
        directories.sort_by(|a: &LogDirDescription, b| a.path.cmp(&b.path));
        Ok(directories)
    }

    /// Moves a broker's replicas to other directories; each has its own outcome.
    pub async fn alter_replica_log_dirs(
        &self,
        broker: i32,
        moves: &Moves,
    ) -> Result<Vec<(TopicPartition, Result<()>)>> {
        let build = |_version| AlterReplicaLogDirsRequest {
            dirs: moves.iter().map(moved_to).collect(),
        };
        let options = self.options("alterReplicaLogDirs");
        let response = self
            .client()
            .call(options, Route::Broker(broker), build, |_| ErrorCode::None)
            .await?;
        let mut outcomes = Vec::new();
        for topic in response.results {
            let name: Arc<str> = topic.topic_name.into();
            for p in topic.partitions {
                let partition = TopicPartition::new(name.clone(), p.partition_index);
                outcomes.push((partition, ClientError::check(p.error_code, None)));
            }
        }
        Ok(outcomes)
    }
}

fn directory(result: DescribeLogDirsResult) -> LogDirDescription {
    let mut replicas = BTreeMap::new();
    for topic in result.topics {
        let name: Arc<str> = topic.name.into();
        for p in topic.partitions {
            let replica = ReplicaInfo {
                size: p.partition_size,
                offset_lag: p.offset_lag,
                is_future: p.is_future_key,
            };
            replicas.insert(
                TopicPartition::new(name.clone(), p.partition_index),
                replica,
            );
        }
    }
    LogDirDescription {
        path: result.log_dir,
        error: ClientError::check(result.error_code, None).err(),
        replicas,
        total_bytes: result.total_bytes,
        usable_bytes: result.usable_bytes,
    }
}

fn moved_to((path, partitions): (&String, &Vec<TopicPartition>)) -> AlterReplicaLogDir {
    let mut topics: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        let indexes = topics.entry(&partition.topic).or_default();
        indexes.push(partition.partition);
    }
    let topic = |(name, partitions): (&Arc<str>, _)| AlterReplicaLogDirTopic {
        name: name.to_string(),
        partitions,
    };
    AlterReplicaLogDir {
        path: path.clone(),
        topics: topics.into_iter().map(topic).collect(),
    }
}
