//! ListGroups (key 16), versions 0–5. The group coordinator answers; see `coordinator/group`.
//!
//! - 3: flexible. 4: states (KIP-518). 5: types (KIP-848).

use crate::broker::context::RequestContext;
use crate::protocol::messages::{ListGroupsRequest, ListGroupsResponse};

pub async fn handle(cx: &RequestContext<'_>, request: ListGroupsRequest) -> ListGroupsResponse {
    cx.broker.groups.list_groups(request).await
}
