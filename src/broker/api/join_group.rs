//! JoinGroup (key 11), versions 0–9. The group coordinator answers; see `coordinator/group`.
//!
//! - 1: rebalance timeout. 4: member ids are given before the member joins (KIP-394). 5: static members (KIP-345).
//! - 6: flexible. 7: protocol type. 8: reason (KIP-800). 9: the leader may skip the assignment (KIP-814).

use crate::broker::context::RequestContext;
use crate::protocol::messages::{JoinGroupRequest, JoinGroupResponse};

pub async fn handle(cx: &RequestContext<'_>, request: JoinGroupRequest) -> JoinGroupResponse {
    cx.broker.groups.join_group(&cx.group(), request).await
}
