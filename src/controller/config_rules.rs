//! What the configuration of each kind of resource must be, in Kafka's errors.

use super::topic_names::validate_topic_name;
use super::{ApiError, Controller, Door};
use crate::config::client_metrics::{self, ClientMetricsError};
use crate::config::dynamic_broker::check_update;
use crate::config::layers::{BrokerLayers, DynamicConfig, validate_dynamic};
use crate::config::{group, topic};
use crate::metadata::image::{ConfigResource, ConfigResourceType, MetadataImage};
use crate::protocol::ErrorCode;

impl Controller {
    /// Checks all that would be set on a resource.
    pub(super) fn validate(
        &self,
        image: &MetadataImage,
        resource: &ConfigResource,
        configs: &DynamicConfig,
        door: Door,
    ) -> Result<(), ApiError> {
        match resource.kind {
            ConfigResourceType::TOPIC => self.validate_topic(image, &resource.name, configs),
            // A controller leaves the values to the broker whose they are.
            ConfigResourceType::BROKER if door == Door::Controller => Ok(()),
            ConfigResourceType::BROKER => self.validate_broker(image, &resource.name, configs),
            ConfigResourceType::GROUP => self.validate_group(image, &resource.name, configs),
            _ => client_metrics::validate(&resource.name, configs).map_err(|error| {
                let code = match &error {
                    ClientMetricsError::Request(_) => ErrorCode::InvalidRequest,
                    ClientMetricsError::Config(_) => ErrorCode::InvalidConfig,
                };
                ApiError::new(code, error.to_string())
            }),
        }
    }

    fn validate_topic(
        &self,
        image: &MetadataImage,
        name: &str,
        configs: &DynamicConfig,
    ) -> Result<(), ApiError> {
        if name.is_empty() {
            return Err(invalid("Default topic resources are not allowed."));
        }
        validate_topic_name(name)?;
        topic::validate(configs, &self.layers(image).values())
            .map_err(|error| ApiError::new(ErrorCode::InvalidConfig, error.to_string()))?;
        if image.topics.get(name).is_none() {
            let message = format!("The topic '{name}' does not exist.");
            return Err(ApiError::new(ErrorCode::UnknownTopicOrPartition, message));
        }
        Ok(())
    }

    fn validate_broker(
        &self,
        image: &MetadataImage,
        name: &str,
        configs: &DynamicConfig,
    ) -> Result<(), ApiError> {
        let refused = |error: crate::config::ConfigError| invalid(error.to_string());
        validate_dynamic(configs, !name.is_empty()).map_err(refused)?;
        let layers = self.layers(image);
        let next = match name.is_empty() {
            true => BrokerLayers {
                cluster: configs,
                ..layers
            },
            false => BrokerLayers {
                broker: configs,
                ..layers
            },
        };
        check_update(&layers.values(), &next.values(), configs).map_err(refused)
    }

    fn validate_group(
        &self,
        image: &MetadataImage,
        name: &str,
        configs: &DynamicConfig,
    ) -> Result<(), ApiError> {
        if name.is_empty() {
            return Err(invalid("Default group resources are not allowed."));
        }
        group::validate(configs, &self.layers(image).values())
            .map_err(|error| ApiError::new(ErrorCode::InvalidConfig, error.to_string()))
    }

    /// Checks whose configuration it is before anything else of a broker is looked at.
    pub(super) fn check_broker_name(
        &self,
        image: &MetadataImage,
        name: &str,
        door: Door,
    ) -> Result<(), ApiError> {
        if name.is_empty() {
            return Ok(());
        }
        let node_id = self.node_id;
        match (name.parse::<i32>(), door) {
            (Ok(id), Door::Broker) if id == node_id => Ok(()),
            (Ok(id), Door::Broker) => Err(invalid(format!(
                "Unexpected broker id, expected {node_id}, but received {id}"
            ))),
            (Err(_), Door::Broker) => Err(invalid(format!(
                "Node id must be an integer, but it is: {name}"
            ))),
            (Ok(..0), Door::Controller) => Err(invalid("Invalid negative broker ID.")),
            (Ok(id), Door::Controller) => {
                let is_known = image.cluster.broker(id).is_some()
                    || image.cluster.controllers.contains_key(&id);
                let message = format!("No node with id {id} found.");
                is_known
                    .then_some(())
                    .ok_or_else(|| ApiError::new(ErrorCode::BrokerIdNotRegistered, message))
            }
            (Err(_), Door::Controller) => {
                Err(invalid("Unable to parse broker name as a base 10 number."))
            }
        }
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, message)
}

/// Who asks for a resource of a kind that nobody knows.
pub(super) fn unknown_kind(kind: i8, door: Door) -> ApiError {
    match door {
        Door::Broker => invalid(format!("Unknown resource type {kind}")),
        Door::Controller => ApiError::new(
            ErrorCode::UnsupportedVersion,
            format!("Unknown resource type {kind}."),
        ),
    }
}
