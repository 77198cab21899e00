//! CreateDelegationToken (key 38), versions 1–3 (KIP-48): refused where nobody is authenticated.
//!
//! - 2: flexible. 3: for another owner (KIP-373).

use crate::broker::context::RequestContext;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{CreateDelegationTokenRequest, CreateDelegationTokenResponse};

const FIRST_WITH_REQUESTER: i16 = 3;
/// Who is not authenticated, as Kafka names it.
const ANONYMOUS: (&str, &str) = ("User", "ANONYMOUS");

pub async fn handle(
    cx: &RequestContext<'_>,
    request: CreateDelegationTokenRequest,
) -> CreateDelegationTokenResponse {
    let (kind, name) = ANONYMOUS;
    let (owner_kind, owner) = match request.owner_principal_name.filter(|name| !name.is_empty()) {
        Some(owner) => (request.owner_principal_type.unwrap_or_default(), owner),
        None => (kind.to_owned(), name.to_owned()),
    };
    let requester = |part: &str| match cx.api_version >= FIRST_WITH_REQUESTER {
        true => part.to_owned(),
        false => String::new(),
    };
    CreateDelegationTokenResponse {
        error_code: ErrorCode::DelegationTokenRequestNotAllowed.code(),
        principal_type: owner_kind,
        principal_name: owner,
        token_requester_principal_type: requester(kind),
        token_requester_principal_name: requester(name),
        issue_timestamp_ms: -1,
        expiry_timestamp_ms: -1,
        max_timestamp_ms: -1,
        ..Default::default()
    }
}
