//! ListConfigResources (key 74), versions 0–1.
//!
//! - 0: client metrics subscriptions (KIP-714).
//! - 1: groups, brokers, their loggers and topics too (KIP-1142).

use crate::broker::context::RequestContext;
use crate::metadata::image::ConfigResourceType;
use crate::protocol::ErrorCode;
use crate::protocol::messages::list_config_resources_response::ConfigResource;
use crate::protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

/// In the order of the answer.
const KINDS: [ConfigResourceType; 5] = [
    ConfigResourceType::GROUP,
    ConfigResourceType::CLIENT_METRICS,
    ConfigResourceType::BROKER_LOGGER,
    ConfigResourceType::BROKER,
    ConfigResourceType::TOPIC,
];
const FIRST_WITH_ALL: i16 = 1;

pub async fn handle(
    cx: &RequestContext<'_>,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let is_offered = |kind: &ConfigResourceType| {
        cx.api_version >= FIRST_WITH_ALL || *kind == ConfigResourceType::CLIENT_METRICS
    };
    let asked = |kind: &ConfigResourceType| {
        request.resource_types.is_empty() || request.resource_types.contains(&kind.0)
    };
    let is_known = |code: &i8| KINDS.iter().any(|kind| kind.0 == *code && is_offered(kind));
    let mut response = ListConfigResourcesResponse::default();
    if !request.resource_types.iter().all(is_known) {
        response.error_code = ErrorCode::UnsupportedVersion.code();
        return response;
    }
    for kind in KINDS.iter().filter(|kind| is_offered(kind) && asked(kind)) {
        let resource = |resource_name: String| ConfigResource {
            resource_name,
            resource_type: kind.0,
        };
        response
            .config_resources
            .extend(names(cx, *kind).into_iter().map(resource));
    }
    response
}

fn names(cx: &RequestContext<'_>, kind: ConfigResourceType) -> Vec<String> {
    let image = cx.broker.image();
    match kind {
        ConfigResourceType::TOPIC => image.topics.names().map(|name| name.to_string()).collect(),
        ConfigResourceType::BROKER | ConfigResourceType::BROKER_LOGGER => {
            vec![cx.broker.node_id.to_string()]
        }
        // Groups and subscriptions are listed when something is set on them.
        _ => {
            let configured = image.configs.iter().map(|(resource, _)| resource);
            let configured = configured.filter(|resource| resource.kind == kind);
            configured.map(|resource| resource.name.clone()).collect()
        }
    }
}
