//! DeleteAcls (key 31), versions 1–3: there is no authorizer, so that nothing is deleted.
//!
//! - 2: flexible. 3: the resource type USER.

use super::describe_acls::NO_AUTHORIZER;
use crate::broker::context::RequestContext;
use crate::protocol::ErrorCode;
use crate::protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use crate::protocol::messages::{DeleteAclsRequest, DeleteAclsResponse};

pub async fn handle(_: &RequestContext<'_>, request: DeleteAclsRequest) -> DeleteAclsResponse {
    let refused = DeleteAclsFilterResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some(NO_AUTHORIZER.to_owned()),
        ..Default::default()
    };
    DeleteAclsResponse {
        filter_results: vec![refused; request.filters.len()],
        ..Default::default()
    }
}
