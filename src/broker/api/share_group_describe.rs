//! ShareGroupDescribe (key 77), version 1 (KIP-932). The group coordinator answers; see
//! `coordinator/group/share`.

use crate::broker::context::RequestContext;
use crate::protocol::ErrorCode;
use crate::protocol::messages::share_group_describe_response::DescribedGroup;
use crate::protocol::messages::{ShareGroupDescribeRequest, ShareGroupDescribeResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: ShareGroupDescribeRequest,
) -> ShareGroupDescribeResponse {
    if cx.broker.offers_share_groups() {
        return cx.broker.groups.share_group_describe(request).await;
    }
    let refused = |group_id: String| DescribedGroup {
        error_code: ErrorCode::UnsupportedVersion.code(),
        group_id,
        ..Default::default()
    };
    ShareGroupDescribeResponse {
        groups: request.group_ids.into_iter().map(refused).collect(),
        ..Default::default()
    }
}
