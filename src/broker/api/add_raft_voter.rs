//! AddRaftVoter (key 80), versions 0–1 (KIP-853): a quorum of static voters takes no others.
//!
//! - 1: whether to answer before the change is committed.

use crate::broker::context::RequestContext;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{AddRaftVoterRequest, AddRaftVoterResponse};

pub async fn handle(cx: &RequestContext<'_>, request: AddRaftVoterRequest) -> AddRaftVoterResponse {
    let has_endpoint = request
        .listeners
        .iter()
        .any(|listener| *listener.name == *listener_name(cx));
    let (error, message) = match refusal(cx, request.cluster_id.as_deref(), "adding") {
        (ErrorCode::UnsupportedVersion, _) if !has_endpoint => no_endpoint(cx, &request),
        refused => refused,
    };
    AddRaftVoterResponse {
        error_code: error.code(),
        error_message: Some(message),
        ..Default::default()
    }
}

/// The controller listener that voters find each other on.
fn listener_name(cx: &RequestContext<'_>) -> String {
    let listeners = &cx.broker.settings.listeners.controller;
    listeners
        .first()
        .map(|listener| listener.name.clone())
        .unwrap_or_default()
}

fn no_endpoint(cx: &RequestContext<'_>, request: &AddRaftVoterRequest) -> (ErrorCode, String) {
    let shown: Vec<String> = request
        .listeners
        .iter()
        .map(|l| {
            format!(
                "ListenerName({})={}/<unresolved>:{}",
                l.name, l.host, l.port
            )
        })
        .collect();
    let message = format!(
        "Add voter request didn't include the endpoint (Endpoints(endpoints={{{}}})) for the default \
         listener ListenerName({})",
        shown.join(", "),
        listener_name(cx)
    );
    (ErrorCode::InvalidRequest, message)
}

/// Why the voters stay as they are.
pub(super) fn refusal(
    cx: &RequestContext<'_>,
    cluster_id: Option<&str>,
    what: &str,
) -> (ErrorCode, String) {
    let own = &*cx.broker.cluster_id;
    if let Some(other) = cluster_id.filter(|id| *id != own) {
        let message = format!("The given id \"{other}\" doesn't match the cluster id \"{own}\"");
        return (ErrorCode::InconsistentClusterId, message);
    }
    let message =
        format!("Cluster doesn't support {what} voter because the kraft.version feature is 0");
    (ErrorCode::UnsupportedVersion, message)
}
