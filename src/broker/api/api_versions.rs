//! ApiVersions (key 18), versions 0–4.
//!
//! Each listener offers its own APIs. A version that is not known is answered in version 0's encoding with
//! UNSUPPORTED_VERSION and the versions of this API alone (KIP-511), so that the client can ask again.
//!
//! - 3: flexible; client software name and version (KIP-511), features (KIP-584).
//! - 4: features whose lowest level is 0 are shown (KIP-1022).

use crate::broker::context::RequestContext;
use crate::metadata::feature;
use crate::protocol::messages::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use crate::protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use crate::protocol::{ApiKey, ErrorCode};

const FIRST_WITH_SOFTWARE: i16 = 3;
const FIRST_WITH_LEVEL_ZERO: i16 = 4;

pub async fn handle(cx: &RequestContext<'_>, request: ApiVersionsRequest) -> ApiVersionsResponse {
    let named = |text: &str| cx.api_version < FIRST_WITH_SOFTWARE || is_software_name(text);
    if !named(&request.client_software_name) || !named(&request.client_software_version) {
        let error_code = ErrorCode::InvalidRequest.code();
        return ApiVersionsResponse {
            error_code,
            ..Default::default()
        };
    }
    let image = cx.broker.image();
    let supported = |(name, (min_version, max_version)): (&str, (i16, i16))| SupportedFeatureKey {
        name: name.to_owned(),
        min_version,
        max_version,
    };
    let shown =
        |(_, (min, _)): &(&str, (i16, i16))| *min > 0 || cx.api_version >= FIRST_WITH_LEVEL_ZERO;
    let finalized = |(name, level): (String, i16)| FinalizedFeatureKey {
        name,
        max_version_level: level,
        min_version_level: level,
    };
    ApiVersionsResponse {
        api_keys: api_keys(cx.on_controller_listener()),
        supported_features: feature::supported()
            .into_iter()
            .filter(shown)
            .map(supported)
            .collect(),
        finalized_features_epoch: image.provenance.last_offset,
        finalized_features: image
            .features
            .finalized()
            .into_iter()
            .map(finalized)
            .collect(),
        ..Default::default()
    }
}

/// The answer to a version that is not known.
pub fn unsupported() -> ApiVersionsResponse {
    let range = super::offered(ApiKey::ApiVersions, false);
    let this = range.map(|versions| ApiVersion {
        api_key: ApiKey::ApiVersions.code(),
        min_version: *versions.start(),
        max_version: *versions.end(),
    });
    ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: this.into_iter().collect(),
        ..Default::default()
    }
}

fn api_keys(on_controller_listener: bool) -> Vec<ApiVersion> {
    let entry = |key: ApiKey| {
        let versions = super::offered(key, on_controller_listener)?;
        Some(ApiVersion {
            api_key: key.code(),
            min_version: *versions.start(),
            max_version: *versions.end(),
        })
    };
    ApiKey::ALL.iter().copied().filter_map(entry).collect()
}

/// Letters and digits, with dots and dashes between them.
fn is_software_name(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    ends(text.chars().next()) && ends(text.chars().last()) && text.chars().all(inner)
}
