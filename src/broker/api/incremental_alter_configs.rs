//! IncrementalAlterConfigs (key 44), versions 0–1 (KIP-339). The controller decides; see `controller/configs.rs`.

use crate::broker::context::RequestContext;
use crate::protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use crate::protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let resources: Vec<(i8, String)> = request
        .resources
        .iter()
        .map(|r| (r.resource_type, r.resource_name.clone()))
        .collect();
    match cx
        .broker
        .controller
        .incremental_alter_configs(request)
        .await
    {
        Ok(response) => response,
        Err(error) => {
            let failed = |(resource_type, resource_name)| AlterConfigsResourceResponse {
                error_code: error.code.code(),
                error_message: Some(error.text()),
                resource_type,
                resource_name,
            };
            let responses = resources.into_iter().map(failed).collect();
            IncrementalAlterConfigsResponse {
                responses,
                ..Default::default()
            }
        }
    }
}
