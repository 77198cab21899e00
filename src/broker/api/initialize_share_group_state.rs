//! InitializeShareGroupState (key 83), version 0 (KIP-932), between nodes: begins states. The share coordinator
//! answers; see `coordinator/share`.

use crate::broker::context::RequestContext;
use crate::coordinator::share::ShareKey;
use crate::protocol::messages::initialize_share_group_state_response::{
    InitializeStateResult, PartitionResult,
};
use crate::protocol::messages::{
    InitializeShareGroupStateRequest, InitializeShareGroupStateResponse,
};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: InitializeShareGroupStateRequest,
) -> InitializeShareGroupStateResponse {
    let states = &cx.broker.share_states;
    let mut response = InitializeShareGroupStateResponse::default();
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
            let error = states
                .initialize(&key, asked.state_epoch, asked.start_offset)
                .await
                .err();
            partitions.push(PartitionResult {
                partition,
                error_code: error.as_ref().map_or(0, |error| error.code.code()),
                error_message: error.map(|error| error.message),
            });
        }
        response.results.push(InitializeStateResult {
            topic_id: topic.topic_id,
            partitions,
        });
    }
    response
}
