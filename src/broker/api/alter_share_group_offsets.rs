//! AlterShareGroupOffsets (key 91), version 0 (KIP-932).
//!
//! The group coordinator says what may be altered; then the share coordinator begins new states with these offsets.

use crate::broker::context::RequestContext;
use crate::broker::share::states;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: AlterShareGroupOffsetsRequest,
) -> AlterShareGroupOffsetsResponse {
    if !cx.broker.offers_share_groups() {
        let error = ErrorCode::UnsupportedVersion;
        return AlterShareGroupOffsetsResponse {
            error_code: error.code(),
            error_message: Some(error.message().to_owned()),
            ..Default::default()
        };
    }
    let groups = &cx.broker.groups;
    let (mut response, initialize) = groups.alter_share_group_offsets(request).await;
    let Some(initialize) = initialize else {
        return response;
    };
    let failed = states::initialize(cx.broker, initialize).await;
    for topic in &mut response.responses {
        for partition in &mut topic.partitions {
            if let Some(error) = failed.get(&(topic.topic_id, partition.partition_index)) {
                partition.error_code = error.code.code();
                partition.error_message = Some(error.message.clone());
            }
        }
    }
    response
}
