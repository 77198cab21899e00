//! DeleteShareGroupState (key 86), version 0 (KIP-932), between nodes: forgets states. The share coordinator
//! answers; see `coordinator/share`.

use crate::broker::context::RequestContext;
use crate::coordinator::share::ShareKey;
use crate::protocol::messages::delete_share_group_state_response::{
    DeleteStateResult, PartitionResult,
};
use crate::protocol::messages::{DeleteShareGroupStateRequest, DeleteShareGroupStateResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: DeleteShareGroupStateRequest,
) -> DeleteShareGroupStateResponse {
    let states = &cx.broker.share_states;
    let mut response = DeleteShareGroupStateResponse::default();
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
            let error = states.delete(&key).await.err();
            partitions.push(PartitionResult {
                partition,
                error_code: error.as_ref().map_or(0, |error| error.code.code()),
                error_message: error.map(|error| error.message),
            });
        }
        response.results.push(DeleteStateResult {
            topic_id: topic.topic_id,
            partitions,
        });
    }
    response
}
