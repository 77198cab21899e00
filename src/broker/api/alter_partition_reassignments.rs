//! AlterPartitionReassignments (key 45), versions 0–1 (KIP-455). The controller decides; see
//! `controller/reassignments.rs`.
//!
//! - 1: whether the replication factor may change (KIP-860).

use crate::broker::context::RequestContext;
use crate::protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let decided = cx
        .broker
        .controller
        .decide(move |c, image| Ok(c.alter_partition_reassignments(image, &request)));
    decided
        .await
        .unwrap_or_else(|error| AlterPartitionReassignmentsResponse {
            error_code: error.code.code(),
            error_message: Some(error.text()),
            ..Default::default()
        })
}
