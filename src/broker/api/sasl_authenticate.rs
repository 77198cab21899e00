//! SaslAuthenticate (key 36), versions 0–2: on a listener without SASL everyone is let in already.
//!
//! - 1: session lifetimes (KIP-368). 2: flexible.

use crate::broker::context::RequestContext;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{SaslAuthenticateRequest, SaslAuthenticateResponse};

pub async fn handle(
    _: &RequestContext<'_>,
    _: SaslAuthenticateRequest,
) -> SaslAuthenticateResponse {
    let message = "SaslAuthenticate request received after successful authentication";
    SaslAuthenticateResponse {
        error_code: ErrorCode::IllegalSaslState.code(),
        error_message: Some(message.to_owned()),
        ..Default::default()
    }
}
