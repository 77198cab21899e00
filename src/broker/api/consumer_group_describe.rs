//! ConsumerGroupDescribe (key 69), versions 0–1 (KIP-848). The group coordinator answers; see
//! `coordinator/group/consumer`.
//!
//! - 1: which protocol a member speaks (KIP-1099).

use crate::broker::context::RequestContext;
use crate::protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    cx.broker.groups.consumer_group_describe(request).await
}
