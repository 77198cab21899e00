//! SyncGroup (key 14), versions 0–5. The group coordinator answers; see `coordinator/group`.
//!
//! - 3: static members (KIP-345). 4: flexible. 5: protocol type and name (KIP-559).

use crate::broker::context::RequestContext;
use crate::protocol::messages::{SyncGroupRequest, SyncGroupResponse};

pub async fn handle(cx: &RequestContext<'_>, request: SyncGroupRequest) -> SyncGroupResponse {
    cx.broker.groups.sync_group(request).await
}
