//! OffsetDelete (key 47), version 0 (KIP-496). The group coordinator answers; see `coordinator/group`.

use crate::broker::context::RequestContext;
use crate::protocol::ErrorCode;
use crate::protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use crate::protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    mut request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let image = cx.broker.image();
    let mut unknown = Vec::new();
    for topic in &mut request.topics {
        let exists = |index: i32| image.topics.partition(&topic.name, index).is_some();
        let (known, missing) = std::mem::take(&mut topic.partitions)
            .into_iter()
            .partition(|partition| exists(partition.partition_index));
        topic.partitions = known;
        let missing: Vec<_> = missing;
        if !missing.is_empty() {
            unknown.push((topic.name.clone(), missing));
        }
    }
    request.topics.retain(|topic| !topic.partitions.is_empty());
    let mut response = cx.broker.groups.offset_delete(request).await;
    if response.error_code != 0 {
        return response;
    }
    for (name, partitions) in unknown {
        let refused = partitions
            .iter()
            .map(|partition| OffsetDeleteResponsePartition {
                partition_index: partition.partition_index,
                error_code: ErrorCode::UnknownTopicOrPartition.code(),
            });
        match response.topics.iter_mut().find(|topic| topic.name == name) {
            Some(topic) => topic.partitions.extend(refused),
            None => response.topics.push(OffsetDeleteResponseTopic {
                partitions: refused.collect(),
                name,
            }),
        }
    }
    response
}
