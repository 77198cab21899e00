//! AlterConfigs (key 33), versions 0–2: replaces all that is set on a resource. The controller decides; see
//! `controller/configs.rs`.
//!
//! - 2: flexible.

use crate::broker::context::RequestContext;
use crate::protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use crate::protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

pub async fn handle(cx: &RequestContext<'_>, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let resources: Vec<(i8, String)> = request
        .resources
        .iter()
        .map(|r| (r.resource_type, r.resource_name.clone()))
        .collect();
    let door = cx.door();
    let decided = cx
        .broker
        .controller
        .decide(move |c, image| Ok(c.alter_configs(image, &request, door)));
    decided.await.unwrap_or_else(|error| {
        let failed = |(resource_type, resource_name)| AlterConfigsResourceResponse {
            error_code: error.code.code(),
            error_message: Some(error.text()),
            resource_type,
            resource_name,
        };
        AlterConfigsResponse {
            responses: resources.into_iter().map(failed).collect(),
            ..Default::default()
        }
    })
}
