//! Features: the levels that nodes support, the levels that are in force, and changing those.
use std::collections::BTreeMap;

use super::{Admin, not_controller, timeout_ms};
use crate::client::cluster::{Role, Route};
use crate::client::connection::ApiVersions;
use crate::client::errors::{ClientError, Result};
use crate::protocol::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};

/// How a level may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpgradeType {
    Upgrade = 1,
    SafeDowngrade = 2,
    UnsafeDowngrade = 3,
}

impl Admin {
    /// What a node announces of its features: any node, or this one.
    pub async fn describe_features(&self, node: Option<i32>) -> Result<ApiVersions> {
        let client = self.client();
        let connection = match node {
            None => client.any_connection().await?,
            Some(id) => {
                let nodes = self.list_nodes(false).await?;
                let node = nodes.into_iter().find(|node| node.endpoint.id == id);
                let node = node.ok_or_else(|| {
                    ClientError::timeout(
                        "Timed out waiting for a node assignment. Call: describeFeatures",
                    )
                })?;
                client.connection_to(&node.endpoint, Role::General).await?
            }
        };
        Ok(connection.versions().clone())
    }

    /// Sets levels (0 switches a feature off); each feature has its own outcome.
    pub async fn update_features(
        &self,
        levels: &BTreeMap<String, i16>,
        how: UpgradeType,
        validate_only: bool,
    ) -> Result<BTreeMap<String, Result<()>>> {
        let options = self.options("updateFeatures");
        let update = |version: i16| {
            move |(feature, level): (&String, &i16)| FeatureUpdateKey {
                feature: feature.clone(),
                max_version_level: *level,
                allow_downgrade: version == 0 && how != UpgradeType::Upgrade,
                upgrade_type: if version == 0 { 1 } else { how as i8 },
            }
        };
        let build = |version| UpdateFeaturesRequest {
            timeout_ms: timeout_ms(&options),
            feature_updates: levels.iter().map(update(version)).collect(),
            validate_only: validate_only && version >= 1,
        };
        let response = self
            .client()
            .call(options, Route::Controller, build, |response| {
                not_controller([response.error_code])
            })
            .await?;
        let message = response.error_message.as_deref();
        let whole = ClientError::check(response.error_code, message);
        let mut outcomes: BTreeMap<String, Result<()>> = levels
            .keys()
            .map(|feature| (feature.clone(), whole.clone()))
            .collect();
        // Since version 2 the answer is for all features at once.
        for result in response.results {
            let message = result.error_message.as_deref();
            outcomes.insert(
                result.feature,
                ClientError::check(result.error_code, message),
            );
        }
        Ok(outcomes)
    }
}
