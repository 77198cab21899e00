//! CreateAcls (key 30), versions 1–3: there is no authorizer, so that nothing is created.
//!
//! - 2: flexible. 3: the resource type USER.

use super::describe_acls::NO_AUTHORIZER;
use crate::broker::context::RequestContext;
use crate::protocol::ErrorCode;
use crate::protocol::messages::create_acls_response::AclCreationResult;
use crate::protocol::messages::{CreateAclsRequest, CreateAclsResponse};

pub async fn handle(_: &RequestContext<'_>, request: CreateAclsRequest) -> CreateAclsResponse {
    let refused = AclCreationResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some(NO_AUTHORIZER.to_owned()),
    };
    CreateAclsResponse {
        results: vec![refused; request.creations.len()],
        ..Default::default()
    }
}
