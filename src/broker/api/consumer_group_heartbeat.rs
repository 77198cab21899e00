//! ConsumerGroupHeartbeat (key 68), versions 0–1 (KIP-848). The group coordinator answers; see
//! `coordinator/group/consumer`.
//!
//! - 1: regular expressions, and members choose their ids.

use crate::broker::context::RequestContext;
use crate::protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let groups = &cx.broker.groups;
    groups.consumer_group_heartbeat(&cx.group(), request).await
}
