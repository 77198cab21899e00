//! ShareGroupHeartbeat (key 76), version 1 (KIP-932). The group coordinator answers; see
//! `coordinator/group/share`. States that it wants begun are begun when the answer is on its way.

use crate::broker::context::RequestContext;
use crate::broker::share::states;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: ShareGroupHeartbeatRequest,
) -> ShareGroupHeartbeatResponse {
    let refused = |error: ErrorCode, message: &str| ShareGroupHeartbeatResponse {
        error_code: error.code(),
        error_message: Some(message.to_owned()),
        ..Default::default()
    };
    if !cx.broker.offers_share_groups() {
        let error = ErrorCode::UnsupportedVersion;
        return refused(error, error.message());
    }
    if !super::is_member_id(&request.member_id) {
        let message = "Invalid member id in the request.";
        return refused(ErrorCode::InvalidRequest, message);
    }
    let groups = &cx.broker.groups;
    let (response, initialize) = groups.share_group_heartbeat(&cx.group(), request).await;
    if let Some(initialize) = initialize {
        let broker = cx.broker.clone();
        tokio::spawn(async move { states::initialize(&broker, initialize).await });
    }
    response
}
