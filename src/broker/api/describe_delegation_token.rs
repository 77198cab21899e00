//! DescribeDelegationToken (key 41), versions 1–3 (KIP-48): refused where nobody is authenticated.
//!
//! - 2: flexible. 3: who asked for a token (KIP-373).

use crate::broker::context::RequestContext;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{DescribeDelegationTokenRequest, DescribeDelegationTokenResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    _: DescribeDelegationTokenRequest,
) -> DescribeDelegationTokenResponse {
    // A controller of Kafka 4.3 offers this API and does not handle it.
    let error = match cx.on_controller_listener() {
        true => ErrorCode::UnknownServerError,
        false => ErrorCode::DelegationTokenRequestNotAllowed,
    };
    DescribeDelegationTokenResponse {
        error_code: error.code(),
        ..Default::default()
    }
}
