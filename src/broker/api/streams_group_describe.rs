//! StreamsGroupDescribe (key 89), version 0 (KIP-1071). The group coordinator answers; see
//! `coordinator/group/streams`.

use super::describe_groups::GROUP_OPERATIONS;
use crate::broker::context::RequestContext;
use crate::protocol::messages::{StreamsGroupDescribeRequest, StreamsGroupDescribeResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: StreamsGroupDescribeRequest,
) -> StreamsGroupDescribeResponse {
    let tells_operations = request.include_authorized_operations;
    let mut response = cx.broker.groups.streams_group_describe(request).await;
    let described = response.groups.iter_mut();
    for group in described.filter(|group| tells_operations && group.error_code == 0) {
        group.authorized_operations = GROUP_OPERATIONS;
    }
    response
}
