//! DescribeTopicPartitions (key 75), version 0 (KIP-966).
//!
//! Topics come in the order of their names, at most `response_partition_limit` partitions of them; where there are
//! more, the cursor says where to go on. No topics named: all of them.

use std::collections::BTreeSet;

use crate::broker::context::RequestContext;
use crate::metadata::image::{PartitionImage, TopicImage};
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use crate::protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};

use super::topic_view::{TOPIC_OPERATIONS, is_internal, usable};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let image = cx.broker.image();
    let all = request.topics.is_empty();
    let mut names: BTreeSet<String> = if all {
        image.topics.names().map(|name| name.to_string()).collect()
    } else {
        request.topics.into_iter().map(|topic| topic.name).collect()
    };
    let mut first_partition = 0;
    if let Some(cursor) = request.cursor {
        let is_asked = all || names.contains(&cursor.topic_name);
        if !is_asked || cursor.partition_index < 0 {
            return invalid(names);
        }
        names = names.split_off(&cursor.topic_name);
        if names.contains(&cursor.topic_name) {
            first_partition = cursor.partition_index;
        }
    }
    let most = cx.broker.settings.fetch.max_request_partitions;
    let mut left = usize::try_from(request.response_partition_limit.clamp(1, most)).unwrap_or(1);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names {
        let Some(topic) = image.topics.get(&name) else {
            let error_code = super::unknown_name(&name).code();
            let is_internal = is_internal(&name);
            response.topics.push(DescribeTopicPartitionsResponseTopic {
                error_code,
                name: Some(name),
                is_internal,
                ..Default::default()
            });
            continue;
        };
        if left == 0 {
            response.next_cursor = Some(Cursor {
                topic_name: name,
                partition_index: 0,
            });
            break;
        }
        let from = std::mem::take(&mut first_partition);
        let described = describe(cx, topic, from, left);
        left -= described.partitions.len();
        let next = from.saturating_add(described.partitions.len() as i32);
        response.topics.push(described);
        if topic.partitions.range(next..).next().is_some() {
            response.next_cursor = Some(Cursor {
                topic_name: name,
                partition_index: next,
            });
            break;
        }
    }
    response
}

/// The answer to a cursor that points nowhere.
fn invalid(names: BTreeSet<String>) -> DescribeTopicPartitionsResponse {
    let topic = |name| DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::InvalidRequest.code(),
        name: Some(name),
        ..Default::default()
    };
    DescribeTopicPartitionsResponse {
        topics: names.into_iter().map(topic).collect(),
        ..Default::default()
    }
}

fn describe(
    cx: &RequestContext<'_>,
    topic: &TopicImage,
    from: i32,
    limit: usize,
) -> DescribeTopicPartitionsResponseTopic {
    let partition = |(index, partition): (&i32, &PartitionImage)| {
        let usable = usable(cx, partition);
        DescribeTopicPartitionsResponsePartition {
            error_code: usable.error.code(),
            partition_index: *index,
            leader_id: usable.leader_id,
            leader_epoch: partition.leader_epoch,
            replica_nodes: partition.replicas.clone(),
            isr_nodes: partition.isr.clone(),
            eligible_leader_replicas: Some(partition.elr.clone()),
            last_known_elr: Some(partition.last_known_elr.clone()),
            offline_replicas: usable.offline_replicas,
        }
    };
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: topic
            .partitions
            .range(from..)
            .take(limit)
            .map(partition)
            .collect(),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..Default::default()
    }
}
