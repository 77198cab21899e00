//! ExpireDelegationToken (key 40), versions 1–2 (KIP-48): refused where nobody is authenticated.
//!
//! - 2: flexible.

use crate::broker::context::RequestContext;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{ExpireDelegationTokenRequest, ExpireDelegationTokenResponse};

pub async fn handle(
    _: &RequestContext<'_>,
    _: ExpireDelegationTokenRequest,
) -> ExpireDelegationTokenResponse {
    ExpireDelegationTokenResponse {
        error_code: ErrorCode::DelegationTokenRequestNotAllowed.code(),
        expiry_timestamp_ms: -1,
        ..Default::default()
    }
}
