//! WriteShareGroupState (key 85), versions 0–1 (KIP-932), between nodes: writes what has become of records. The share coordinator
//! answers; see `coordinator/share`.
//!
//! - 1: how many records need not be delivered any more.

use crate::broker::context::RequestContext;
use crate::coordinator::share::{ShareKey, StateBatch, Write};
use crate::protocol::messages::write_share_group_state_request::PartitionData;
use crate::protocol::messages::write_share_group_state_response::{
    PartitionResult, WriteStateResult,
};
use crate::protocol::messages::{WriteShareGroupStateRequest, WriteShareGroupStateResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: WriteShareGroupStateRequest,
) -> WriteShareGroupStateResponse {
    let states = &cx.broker.share_states;
    let mut response = WriteShareGroupStateResponse::default();
    if request.group_id.is_empty() {
        return response;
    }
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let partition = asked.partition;
            let key = ShareKey {
                group: request.group_id.clone(),
                topic_id: topic.topic_id,
                partition,
            };
            let error = states.write(&key, write(asked)).await.err();
            partitions.push(PartitionResult {
                partition,
                error_code: error.as_ref().map_or(0, |error| error.code.code()),
                error_message: error.map(|error| error.message),
            });
        }
        response.results.push(WriteStateResult {
            topic_id: topic.topic_id,
            partitions,
        });
    }
    response
}

fn write(asked: PartitionData) -> Write {
    let batches = asked.state_batches.into_iter().map(|batch| StateBatch {
        first_offset: batch.first_offset,
        last_offset: batch.last_offset,
        delivery_state: batch.delivery_state,
        delivery_count: batch.delivery_count,
    });
    Write {
        state_epoch: asked.state_epoch,
        leader_epoch: asked.leader_epoch,
        start_offset: asked.start_offset,
        delivery_complete_count: asked.delivery_complete_count,
        batches: batches.collect(),
    }
}
