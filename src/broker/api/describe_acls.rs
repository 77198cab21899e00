//! DescribeAcls (key 29), versions 1–3: there is no authorizer, whose entries they would be.
//!
//! - 2: flexible. 3: the resource type USER.

use crate::broker::context::RequestContext;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{DescribeAclsRequest, DescribeAclsResponse};

/// What Kafka says of changes to ACLs where there is no authorizer.
pub(super) const NO_AUTHORIZER: &str = "No Authorizer is configured.";

pub async fn handle(_: &RequestContext<'_>, _: DescribeAclsRequest) -> DescribeAclsResponse {
    DescribeAclsResponse {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some("No Authorizer is configured on the broker".to_owned()),
        ..Default::default()
    }
}
