//! ListPartitionReassignments (key 46), version 0 (KIP-455).
//!
//! With one node nothing is ever being reassigned. Topics that were asked for are not checked to exist, as in Kafka.

use crate::broker::context::RequestContext;
use crate::protocol::messages::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

pub async fn handle(
    _cx: &RequestContext<'_>,
    _request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse {
        error_message: None,
        ..Default::default()
    }
}
