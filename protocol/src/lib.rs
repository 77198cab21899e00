//! Kafka's wire protocol and persisted records, generated from definitions.
#![doc = include_str!("../NOTATION.md")]

pub mod api_key;
pub mod error_code;
pub mod frame;
pub mod header;
pub mod messages;
pub mod records;
pub mod str;
pub mod uuid;
pub mod wire;

mod message;
mod prelude;

pub use api_key::ApiKey;
pub use error_code::ErrorCode;
pub use message::{Message, Record, Records, Request, Response};
pub use str::Str;
pub use uuid::Uuid;
