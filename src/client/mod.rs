//! The Kafka client: connections, metadata, admin, producer, consumer. Uses `record`, `security`.
pub mod admin;
pub mod cluster;
pub mod config;
pub mod connection;
pub mod errors;
pub mod metadata;
pub mod outage;
pub mod producer;

pub use cluster::Client;
pub use config::ClientConfig;
pub use errors::{ClientError, Result};

mod topic_partition;
pub use topic_partition::TopicPartition;

#[cfg(test)]
mod tests;
