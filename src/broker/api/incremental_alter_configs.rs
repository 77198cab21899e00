//! IncrementalAlterConfigs (key 44), versions 0–1 (KIP-339). The controller decides, see `controller/configs.rs`; of
//! its loggers the broker itself, see `broker/loggers.rs`.

use crate::broker::context::RequestContext;
use crate::controller::ApiError;
use crate::metadata::image::ConfigResourceType;
use crate::protocol::ErrorCode;
use crate::protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
use crate::protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use crate::protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let is_logger = |resource: &AlterConfigsResource| {
        resource.resource_type == ConfigResourceType::BROKER_LOGGER.0
    };
    let validate_only = request.validate_only;
    let (loggers, resources): (Vec<_>, Vec<_>) = request.resources.into_iter().partition(is_logger);
    let mut response = decided(cx, resources, validate_only).await;
    let altered = loggers.into_iter().map(|resource| {
        let altered = cx
            .broker
            .loggers
            .alter(cx.broker.node_id, &resource, validate_only);
        let error = altered.err().unwrap_or(ErrorCode::None.into());
        result(resource.resource_type, resource.resource_name, &error)
    });
    response.responses.extend(altered);
    response
}

async fn decided(
    cx: &RequestContext<'_>,
    resources: Vec<AlterConfigsResource>,
    validate_only: bool,
) -> IncrementalAlterConfigsResponse {
    if resources.is_empty() {
        return IncrementalAlterConfigsResponse::default();
    }
    let asked = resources.iter();
    let asked: Vec<(i8, String)> = asked
        .map(|r| (r.resource_type, r.resource_name.clone()))
        .collect();
    let request = IncrementalAlterConfigsRequest {
        resources,
        validate_only,
    };
    let door = cx.door();
    let decided = cx
        .broker
        .controller
        .decide(move |c, image| Ok(c.incremental_alter_configs(image, &request, door)));
    decided.await.unwrap_or_else(|mut error| {
        error.message = Some(error.text());
        let failed = |(kind, name)| result(kind, name, &error);
        IncrementalAlterConfigsResponse {
            responses: asked.into_iter().map(failed).collect(),
            ..Default::default()
        }
    })
}

fn result(
    resource_type: i8,
    resource_name: String,
    error: &ApiError,
) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse {
        error_code: error.code.code(),
        error_message: error.message.clone(),
        resource_type,
        resource_name,
    }
}
