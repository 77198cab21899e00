//! DeleteGroups (key 42), versions 0–2. The group coordinator answers; see `coordinator/group`.
//!
//! - 2: flexible.

use crate::broker::context::RequestContext;
use crate::protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

pub async fn handle(cx: &RequestContext<'_>, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    cx.broker.groups.delete_groups(request).await
}
