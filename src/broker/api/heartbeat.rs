//! Heartbeat (key 12), versions 0–4. The group coordinator answers; see `coordinator/group`.
//!
//! - 3: static members (KIP-345). 4: flexible.

use crate::broker::context::RequestContext;
use crate::protocol::messages::{HeartbeatRequest, HeartbeatResponse};

pub async fn handle(cx: &RequestContext<'_>, request: HeartbeatRequest) -> HeartbeatResponse {
    cx.broker.groups.heartbeat(request).await
}
