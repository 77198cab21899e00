//! DescribeGroups (key 15), versions 0–6. The group coordinator answers; see `coordinator/group`.
//!
//! - 3: authorized operations (KIP-430). 4: static members. 5: flexible. 6: GROUP_ID_NOT_FOUND (KIP-1043).

use crate::broker::context::RequestContext;
use crate::protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

/// All operations on a group, as a bit field of AclOperation codes: without an authorizer everything is allowed.
pub(super) const GROUP_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

pub async fn handle(
    cx: &RequestContext<'_>,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let mut response = cx
        .broker
        .groups
        .describe_groups(&cx.group(), request.clone())
        .await;
    if request.include_authorized_operations {
        for group in response
            .groups
            .iter_mut()
            .filter(|group| group.error_code == 0)
        {
            group.authorized_operations = GROUP_OPERATIONS;
        }
    }
    response
}
