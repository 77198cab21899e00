//! DeleteShareGroupOffsets (key 92), version 0 (KIP-932).
//!
//! The group coordinator says which topics the group has shared; the share coordinator forgets their states; then the
//! group forgets the topics.

use std::collections::BTreeMap;

use crate::broker::context::RequestContext;
use crate::broker::share::states;
use crate::protocol::ErrorCode;
use crate::protocol::messages::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic;
use crate::protocol::messages::{DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: DeleteShareGroupOffsetsRequest,
) -> DeleteShareGroupOffsetsResponse {
    let refused = |error: ErrorCode, message: String| DeleteShareGroupOffsetsResponse {
        error_code: error.code(),
        error_message: Some(message),
        ..Default::default()
    };
    if !cx.broker.offers_share_groups() {
        let error = ErrorCode::UnsupportedVersion;
        return refused(error, error.message().to_owned());
    }
    let groups = &cx.broker.groups;
    let group = request.group_id.clone();
    let mut deletion = match groups.delete_share_group_offsets(request).await {
        Ok(deletion) => deletion,
        Err(refusal) => return refused(refusal.code, refusal.message),
    };
    if deletion.partitions.is_empty() {
        return DeleteShareGroupOffsetsResponse {
            responses: deletion.refused,
            ..Default::default()
        };
    }
    let failed = states::delete(cx.broker, &group, &deletion.partitions).await;
    let image = cx.broker.image();
    let mut deleted = BTreeMap::new();
    for topic_id in deletion.partitions.into_keys() {
        let topic = image.topics.get_by_id(topic_id);
        let topic_name = topic
            .map(|topic| topic.name.to_string())
            .unwrap_or_default();
        match failed.get(&topic_id) {
            None => drop(deleted.insert(topic_id, topic_name)),
            Some(error) => deletion.refused.push(DeleteShareGroupOffsetsResponseTopic {
                topic_name,
                topic_id,
                error_code: error.code(),
                error_message: Some(error.message().to_owned()),
            }),
        }
    }
    groups
        .share_offsets_deleted(&group, deleted, deletion.refused)
        .await
}
