//! ListPartitionReassignments (key 46), version 0 (KIP-455).
//!
//! Topics that are asked for are not checked to exist, as in Kafka.

use crate::broker::context::RequestContext;
use crate::controller::list_partition_reassignments;
use crate::protocol::messages::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    list_partition_reassignments(&cx.broker.image(), &request)
}
