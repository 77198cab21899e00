//! ReadShareGroupStateSummary (key 87), versions 0–1 (KIP-932), between nodes: where groups start. The share coordinator
//! answers; see `coordinator/share`.
//!
//! - 1: how many records need not be delivered any more.

use crate::broker::context::RequestContext;
use crate::coordinator::share::ShareKey;
use crate::protocol::messages::read_share_group_state_summary_response::{
    PartitionResult, ReadStateSummaryResult,
};
use crate::protocol::messages::{
    ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse,
};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: ReadShareGroupStateSummaryRequest,
) -> ReadShareGroupStateSummaryResponse {
    let mut response = ReadShareGroupStateSummaryResponse::default();
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
            let partition = asked.partition;
            partitions.push(match cx.broker.share_states.summarize(&key).await {
                Ok(summary) => PartitionResult {
                    partition,
                    state_epoch: summary.state_epoch,
                    leader_epoch: summary.leader_epoch,
                    start_offset: summary.start_offset,
                    delivery_complete_count: summary.delivery_complete_count,
                    ..Default::default()
                },
                Err(error) => PartitionResult {
                    partition,
                    error_code: error.code.code(),
                    error_message: Some(error.message),
                    ..Default::default()
                },
            });
        }
        response.results.push(ReadStateSummaryResult {
            topic_id: topic.topic_id,
            partitions,
        });
    }
    response
}
