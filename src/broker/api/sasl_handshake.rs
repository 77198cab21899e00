//! SaslHandshake (key 17), versions 0–1: on a listener without SASL there is nothing to agree on.

use crate::broker::context::RequestContext;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{SaslHandshakeRequest, SaslHandshakeResponse};

pub async fn handle(_: &RequestContext<'_>, _: SaslHandshakeRequest) -> SaslHandshakeResponse {
    SaslHandshakeResponse {
        error_code: ErrorCode::IllegalSaslState.code(),
        ..Default::default()
    }
}
