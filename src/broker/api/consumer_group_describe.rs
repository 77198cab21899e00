//! ConsumerGroupDescribe (key 69), versions 0–1 (KIP-848). The group coordinator answers; see
//! `coordinator/group/consumer`.
//!
//! - 1: which protocol a member speaks (KIP-1099).

use super::describe_groups::GROUP_OPERATIONS;
use crate::broker::context::RequestContext;
use crate::protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let tells_operations = request.include_authorized_operations;
    let mut response = cx.broker.groups.consumer_group_describe(request).await;
    let described = response.groups.iter_mut();
    for group in described.filter(|group| tells_operations && group.error_code == 0) {
        group.authorized_operations = GROUP_OPERATIONS;
    }
    response
}
