//! Kafka Connect: workers, connectors and tasks, converters, the REST interface.
mod acknowledged;
mod connectivity;
mod connector;
pub mod convert;
pub mod data;
pub mod decimal;
pub mod errors;
pub mod file_sink;
pub mod file_source;
mod file_watch;
pub mod herder;
mod java_map;
mod java_text;
mod lines;
pub mod offsets;
pub mod rest;
pub mod task;
mod tolerance;
mod worker;
pub mod worker_config;
mod worker_sink;
mod worker_source;

pub use errors::{ConnectError, Result};
pub use worker::StandaloneWorker;
