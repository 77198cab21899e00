//! The Kafka client: an async library for tokio, and what the tools, Connect and the cluster use.
//!
//! | you want to | take |
//! | --- | --- |
//! | write records | [`producer::Producer`] |
//! | read records, alone or in a group | [`consumer::Consumer`] |
//! | share records among workers, each acknowledged | [`share::ShareConsumer`] |
//! | create topics, describe groups, set configurations … | [`admin::Admin`] |
//! | send a request of your own | [`Client`], with the messages of [`crate::protocol`] |
//!
//! Settings are Kafka's, read from [`Properties`](crate::config::Properties) into typed values.
//! Nothing blocks a thread and nothing spins: every client owns a few tasks, and `close` waits for
//! them. Brokers may be of any version that speaks the client's protocol (Kafka 0.11 and later);
//! for each request the newest version that both sides know is taken.
//!
//! ```no_run
//! use kafkars::client::admin::{Admin, CreateOptions, NewTopic};
//! use kafkars::config::Properties;
//!
//! # async fn example() -> kafkars::client::Result<()> {
//! let mut properties = Properties::new();
//! properties.set("bootstrap.servers", "localhost:9092");
//! let admin = Admin::from_properties(&properties)?;
//! let topic = NewTopic { name: "events".into(), partitions: Some(3), ..NewTopic::default() };
//! for (name, created) in admin.create_topics(&[topic], CreateOptions::default()).await? {
//!     println!("{name}: {created:?}");
//! }
//! admin.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! When no broker answers this is one log line, or one call of
//! [`ClientConfig::connectivity`](config::ClientConfig), and another one when a broker is back.
//!
//! Uses `record` and `security`; knows nothing of brokers' insides.
pub mod admin;
pub mod cluster;
pub mod config;
pub mod connection;
pub mod consumer;
pub mod errors;
pub mod login;
pub mod metadata;
pub mod outage;
pub mod producer;
pub mod share;
pub mod traffic;

pub use cluster::Client;
pub use config::ClientConfig;
pub use errors::{ClientError, Result};

mod topic_partition;
pub use topic_partition::TopicPartition;

#[cfg(test)]
mod tests;
