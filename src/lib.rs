//! Apache Kafka without the JVM.
//!
//! The rooms, top to bottom; a room may use those below it, as `tests/tidy.rs` checks:
//!
//! ```text
//! bin/kafkars → tools → connect, dev → broker → coordinator, controller, raft → metadata
//!             → client, net, log → security, record → protocol, config, metrics
//! ```
pub use kafkars_protocol as protocol;

pub mod broker;
pub mod client;
pub mod config;
pub mod connect;
pub mod controller;
pub mod coordinator;
pub mod dev;
pub mod log;
pub mod metadata;
pub mod metrics;
pub mod net;
pub mod raft;
pub mod record;
pub mod security;
pub mod tools;
