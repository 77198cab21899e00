//! RemoveRaftVoter (key 81), version 0 (KIP-853): a quorum of static voters loses none.

use super::add_raft_voter::refusal;
use crate::broker::context::RequestContext;
use crate::protocol::messages::{RemoveRaftVoterRequest, RemoveRaftVoterResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: RemoveRaftVoterRequest,
) -> RemoveRaftVoterResponse {
    let (error, message) = refusal(cx, request.cluster_id.as_deref(), "removing");
    RemoveRaftVoterResponse {
        error_code: error.code(),
        error_message: Some(message),
        ..Default::default()
    }
}
