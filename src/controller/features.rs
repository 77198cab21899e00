//! UpdateFeatures: raising and lowering finalised feature levels.

use std::collections::BTreeMap;

use super::activation::elr_safety_records;
use super::{ApiError, Controller, ControllerResult};
use crate::metadata::feature::{self, ELR_VERSION, Feature, KRAFT_VERSION};
use crate::metadata::image::{MetadataImage, feature_level};
use crate::metadata::record::VersionedRecord;
use crate::metadata::version::{FEATURE_NAME, MetadataVersion};
use crate::protocol::ErrorCode;
use crate::protocol::messages::update_features_request::FeatureUpdateKey;
use crate::protocol::messages::update_features_response::UpdatableFeatureResult;
use crate::protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

/// How far an update may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UpgradeType {
    Upgrade,
    SafeDowngrade,
    UnsafeDowngrade,
}

impl Controller {
    /// Changes the levels of features, all of them or none. `version` is the request's.
    pub fn update_features(
        &self,
        image: &MetadataImage,
        request: &UpdateFeaturesRequest,
        version: i16,
    ) -> ControllerResult<UpdateFeaturesResponse> {
        let mut proposed = image.features.finalized();
        for update in &request.feature_updates {
            proposed.insert(update.feature.clone(), update.max_version_level);
        }
        let mut records = Vec::new();
        for update in &request.feature_updates {
            match self.update_feature(image, update, &proposed, version) {
                Ok(record) => records.extend(record),
                Err(error) => return ControllerResult::atomic(Vec::new(), refused(error)),
            }
        }
        if !image.features.elr_enabled() && proposed.get(ELR_VERSION).is_some_and(|v| *v > 0) {
            records.extend(elr_safety_records(image, &self.static_values));
        }
        if request.validate_only {
            records.clear();
        }
        let mut response = UpdateFeaturesResponse {
            error_message: None,
            ..UpdateFeaturesResponse::default()
        };
        if version <= 1 {
            response.results = request
                .feature_updates
                .iter()
                .map(|update| UpdatableFeatureResult {
                    feature: update.feature.clone(),
                    error_message: Some(ErrorCode::None.name().to_owned()),
                    ..Default::default()
                })
                .collect();
        }
        ControllerResult::atomic(records, response)
    }

    fn update_feature(
        &self,
        image: &MetadataImage,
        update: &FeatureUpdateKey,
        proposed: &BTreeMap<String, i16>,
        version: i16,
    ) -> Result<Option<VersionedRecord>, ApiError> {
        let (name, level) = (update.feature.as_str(), update.max_version_level);
        let invalid = |problem: &str| {
            let message = format!("Invalid update version {level} for feature {name}. {problem}");
            Err(ApiError::new(ErrorCode::InvalidUpdateVersion, message))
        };
        let Some(upgrade) = upgrade_type(update, version) else {
            return invalid("The controller does not support the given upgrade type.");
        };
        let current = image.features.level(name);
        if level < 0 {
            return invalid("A feature version cannot be less than 0.");
        }
        if let Some(reason) = self.reason_not_supported(image, name, level) {
            return invalid(&reason);
        }
        if level < current && upgrade == UpgradeType::Upgrade {
            return invalid(
                "Can't downgrade the version of this feature without setting the upgrade type to \
                 either safe or unsafe downgrade.",
            );
        }
        if level > current && upgrade != UpgradeType::Upgrade {
            return invalid("Can't downgrade to a newer version.");
        }
        if name == FEATURE_NAME {
            check_metadata_version(image.features.metadata_version(), level, upgrade)?;
        } else if name == KRAFT_VERSION {
            // The quorum's own feature is in its control records, not in a metadata record.
            return match level == current {
                true => Ok(None),
                false => invalid("The quorum of a single static voter stays at its level."),
            };
        } else if let Some(Err(error)) =
            Feature::by_name(name).map(|feature| feature.check(level, proposed))
        {
            return invalid(&error.to_string());
        }
        Ok(Some(feature_level(name, level)))
    }

    fn reason_not_supported(
        &self,
        image: &MetadataImage,
        name: &str,
        level: i16,
    ) -> Option<String> {
        let local = feature::supported().get(name).copied().unwrap_or((0, 0));
        let ranges = std::iter::once((format!("Local controller {}", self.node_id), local)).chain(
            image.cluster.brokers.values().map(|broker| {
                let range = broker.features.iter().find(|range| range.name == name);
                let range = range.map_or((0, 0), |range| {
                    (range.min_supported_version, range.max_supported_version)
                });
                (format!("Broker {}", broker.broker_id), range)
            }),
        );
        for (who, (min, max)) in ranges {
            if (min..=max).contains(&level) {
                continue;
            }
            return Some(match max {
                0 => format!("{who} does not support this feature."),
                _ => format!("{who} only supports versions {min}-{max}"),
            });
        }
        None
    }
}

fn upgrade_type(update: &FeatureUpdateKey, version: i16) -> Option<UpgradeType> {
    match (version, update.allow_downgrade, update.upgrade_type) {
        (0, false, _) | (1.., _, 1) => Some(UpgradeType::Upgrade),
        (0, true, _) | (1.., _, 2) => Some(UpgradeType::SafeDowngrade),
        (1.., _, 3) => Some(UpgradeType::UnsafeDowngrade),
        _ => None,
    }
}

fn check_metadata_version(
    current: MetadataVersion,
    level: i16,
    upgrade: UpgradeType,
) -> Result<(), ApiError> {
    let Ok(new) = MetadataVersion::from_level(level) else {
        let message = format!("Invalid metadata.version {level}. Unknown metadata.version.");
        return Err(ApiError::new(ErrorCode::InvalidUpdateVersion, message));
    };
    if new >= current || !current.changed_since(new) {
        return Ok(());
    }
    let problem = match upgrade {
        UpgradeType::UnsafeDowngrade => {
            "Unsafe metadata downgrade is not supported in this version."
        }
        _ => {
            "Refusing to perform the requested downgrade because it might delete metadata \
             information."
        }
    };
    let message = format!(
        "Unsupported metadata.version downgrade from {} to {level}. {problem}",
        current.level()
    );
    Err(ApiError::new(ErrorCode::InvalidUpdateVersion, message))
}

fn refused(error: ApiError) -> UpdateFeaturesResponse {
    let message = format!(
        "The update failed for all features since the following feature had an error: {}",
        error.text()
    );
    UpdateFeaturesResponse {
        error_code: error.code.code(),
        error_message: Some(message),
        ..Default::default()
    }
}
