//! The controller: decides what changes in the cluster's metadata.
//!
//! It is pure. A request and the current image go in; records and a response come out. The caller
//! appends the records to the metadata log as one batch, applies them to the image, and only then
//! sends the response. Time, ids and random numbers are arguments.

pub mod activation;
pub mod brokers;
pub mod client_quotas;
mod config_rules;
pub mod configs;
mod create_topics;
mod directories;
mod elect_leaders;
mod elections;
pub mod features;
mod partitions;
mod placement;
pub mod producer_ids;
mod reassignments;
mod scram;
mod topic_names;
mod topics;
mod unregister_broker;

#[cfg(test)]
mod tests;

use crate::config::layers::BrokerLayers;
use crate::config::{Properties, Values};
use crate::metadata::image::{ConfigResource, MetadataImage};
use crate::metadata::record::VersionedRecord;
use crate::protocol::ErrorCode;

pub use reassignments::list_partition_reassignments;
pub use topic_names::{is_internal, validate_topic_name};

/// As many partitions as one request may create.
const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// What the controller knows beside the image: its node's own configuration.
#[derive(Debug, Clone)]
pub struct Controller {
    pub node_id: i32,
    pub cluster_id: String,
    /// The properties file, as given.
    pub file: Properties,
    /// Its checked values over the defaults.
    pub static_values: Values,
}

/// Asked before partitions are created or deleted, with their number.
pub type Permits<'a> = dyn FnMut(usize) -> Result<(), ApiError> + 'a;

/// By which listener a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Broker,
    Controller,
}

/// What a request comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct ControllerResult<R> {
    /// To be appended, all in one batch if `is_atomic`.
    pub records: Vec<VersionedRecord>,
    pub response: R,
    /// Whether the records are one change that must be seen whole.
    pub is_atomic: bool,
}

impl<R> ControllerResult<R> {
    fn atomic(records: Vec<VersionedRecord>, response: R) -> Self {
        ControllerResult {
            records,
            response,
            is_atomic: true,
        }
    }

    /// Records that may be split over several batches in their order.
    fn in_steps(records: Vec<VersionedRecord>, response: R) -> Self {
        ControllerResult {
            records,
            response,
            is_atomic: false,
        }
    }
}

/// An error as responses carry it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {}", message.as_deref().unwrap_or(code.message()))]
pub struct ApiError {
    pub code: ErrorCode,
    /// None where Kafka sends none.
    pub message: Option<String>,
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> ApiError {
        ApiError::bare(code)
    }
}

impl ApiError {
    /// The message, the error's usual one where there is no other.
    pub fn text(&self) -> String {
        self.message
            .clone()
            .unwrap_or_else(|| self.code.message().to_owned())
    }

    fn new(code: ErrorCode, message: impl Into<String>) -> ApiError {
        ApiError {
            code,
            message: Some(message.into()),
        }
    }

    fn bare(code: ErrorCode) -> ApiError {
        ApiError {
            code,
            message: None,
        }
    }
}

impl Controller {
    /// The configuration of this node by layers, the dynamic ones from the image.
    pub fn layers<'a>(&'a self, image: &'a MetadataImage) -> BrokerLayers<'a> {
        BrokerLayers {
            file: &self.file,
            static_values: &self.static_values,
            cluster: image.configs.of(&ConfigResource::cluster()),
            broker: image.configs.of(&ConfigResource::broker(self.node_id)),
        }
    }

    /// A setting of a topic that has the same name on the broker: its own value, else this
    /// node's, else the cluster's, else the file's.
    fn topic_setting(&self, image: &MetadataImage, topic: &str, key: &str) -> Option<String> {
        let node = ConfigResource::broker(self.node_id);
        let layers = [
            ConfigResource::topic(topic),
            node,
            ConfigResource::cluster(),
        ];
        layers
            .iter()
            .find_map(|resource| image.configs.get(resource, key).map(str::to_owned))
            .or_else(|| self.static_values.value(key).to_text())
    }
}
