//! DeleteGroups (key 42), versions 0–2. The group coordinator answers; see `coordinator/group`. Of share groups the share
//! coordinator forgets the states first.
//!
//! - 2: flexible.

use crate::broker::context::RequestContext;
use crate::broker::share::states;
use crate::protocol::ErrorCode;
use crate::protocol::messages::delete_groups_response::DeletableGroupResult;
use crate::protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    mut request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let mut refused: Vec<DeletableGroupResult> = Vec::new();
    let mut groups = Vec::with_capacity(request.groups_names.len());
    for group in std::mem::take(&mut request.groups_names) {
        if refused.iter().any(|result| result.group_id == group) {
            continue;
        }
        match forget_states(cx, &group).await {
            Ok(()) => groups.push(group),
            Err(error) => refused.push(DeletableGroupResult {
                group_id: group,
                error_code: error.code(),
            }),
        }
    }
    request.groups_names = groups;
    let mut response = cx.broker.groups.delete_groups(request).await;
    response.results.extend(refused);
    response
}

async fn forget_states(cx: &RequestContext<'_>, group: &str) -> Result<(), ErrorCode> {
    let groups = &cx.broker.groups;
    let partitions = groups.begin_share_group_deletion(group).await?;
    let failed = states::delete(cx.broker, group, &partitions).await;
    failed.into_values().next().map_or(Ok(()), Err)
}
