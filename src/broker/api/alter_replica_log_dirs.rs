//! AlterReplicaLogDirs (key 34), versions 1–2 (KIP-113).
//!
//! Moves partitions between the log directories of this broker; see `broker/relocation.rs`. The answer comes when the
//! moves have begun: DescribeLogDirs tells how far they are. A partition that is not here yet, an error, is created in
//! the directory named last.
//!
//! - 2: flexible.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::error;

use crate::broker::context::RequestContext;
use crate::broker::relocation::alter;
use crate::log::TopicPartition;
use crate::protocol::ErrorCode;
use crate::protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use crate::protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: AlterReplicaLogDirsRequest,
) -> AlterReplicaLogDirsResponse {
    // As in Kafka, of a partition named twice the last directory counts.
    let mut wanted: BTreeMap<TopicPartition, String> = BTreeMap::new();
    for dir in request.dirs {
        for topic in dir.topics {
            let name: Arc<str> = topic.name.into();
            for index in topic.partitions {
                let tp = TopicPartition::new(name.clone(), index);
                wanted.insert(tp, dir.path.clone());
            }
        }
    }
    let broker = cx.broker.clone();
    let altered = tokio::task::spawn_blocking(move || {
        let mut results: BTreeMap<String, Vec<AlterReplicaLogDirPartitionResult>> = BTreeMap::new();
        for (tp, path) in wanted {
            let error = alter(&broker, &tp, &path).err();
            let result = AlterReplicaLogDirPartitionResult {
                partition_index: tp.partition,
                error_code: error.unwrap_or(ErrorCode::None).code(),
            };
            results
                .entry(tp.topic.to_string())
                .or_default()
                .push(result);
        }
        results
    });
    let results = altered.await.unwrap_or_else(|e| {
        error!("cannot alter log directories: {e}");
        BTreeMap::new()
    });
    let topic = |(topic_name, partitions)| AlterReplicaLogDirTopicResult {
        topic_name,
        partitions,
    };
    AlterReplicaLogDirsResponse {
        results: results.into_iter().map(topic).collect(),
        ..Default::default()
    }
}
