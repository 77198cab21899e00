//! ReadShareGroupState (key 84), version 0 (KIP-932), between nodes: the leader of a partition takes a group's state over.
//! The share coordinator answers; see `coordinator/share`.

use crate::broker::context::RequestContext;
use crate::coordinator::share::{Read, ShareKey};
use crate::protocol::messages::read_share_group_state_response::{
    PartitionResult, ReadStateResult, StateBatch,
};
use crate::protocol::messages::{ReadShareGroupStateRequest, ReadShareGroupStateResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: ReadShareGroupStateRequest,
) -> ReadShareGroupStateResponse {
    let mut response = ReadShareGroupStateResponse::default();
    if request.group_id.is_empty() {
        return response;
    }
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let key = ShareKey {
                group: request.group_id.clone(),
                topic_id: topic.topic_id,
                partition: asked.partition,
            };
            let read = cx.broker.share_states.read(&key, asked.leader_epoch).await;
            partitions.push(match read {
                Ok(read) => result(asked.partition, read),
                Err(error) => PartitionResult {
                    partition: asked.partition,
                    error_code: error.code.code(),
                    error_message: Some(error.message),
                    ..Default::default()
                },
            });
        }
        response.results.push(ReadStateResult {
            topic_id: topic.topic_id,
            partitions,
        });
    }
    response
}

fn result(partition: i32, read: Read) -> PartitionResult {
    let batches = read.batches.into_iter().map(|batch| StateBatch {
        first_offset: batch.first_offset,
        last_offset: batch.last_offset,
        delivery_state: batch.delivery_state,
        delivery_count: batch.delivery_count,
    });
    PartitionResult {
        partition,
        state_epoch: read.state_epoch,
        start_offset: read.start_offset,
        state_batches: batches.collect(),
        ..Default::default()
    }
}
