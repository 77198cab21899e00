//! UpdateFeatures (key 57), versions 0–2 (KIP-584). The controller decides; see `controller/features.rs`.
//!
//! - 1: upgrade types, and requests that are only validated (KIP-778). 2: one error for all (KIP-1022).

use crate::broker::context::RequestContext;
use crate::protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: UpdateFeaturesRequest,
) -> UpdateFeaturesResponse {
    let version = cx.api_version;
    let decided = cx
        .broker
        .controller
        .decide(move |c, image| Ok(c.update_features(image, &request, version)));
    decided
        .await
        .unwrap_or_else(|error| UpdateFeaturesResponse {
            error_code: error.code.code(),
            error_message: Some(error.text()),
            ..Default::default()
        })
}
