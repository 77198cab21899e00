//! LeaveGroup (key 13), versions 0–5. The group coordinator answers; see `coordinator/group`.
//!
//! - 3: several members (KIP-345). 4: flexible. 5: reason (KIP-800).

use crate::broker::context::RequestContext;
use crate::protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

pub async fn handle(cx: &RequestContext<'_>, request: LeaveGroupRequest) -> LeaveGroupResponse {
    cx.broker.groups.leave_group(&cx.group(), request).await
}
