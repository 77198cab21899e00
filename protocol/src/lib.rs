//! Kafka's wire protocol and persisted records, generated from definitions.
//!
//! ```
//! use kafkars_protocol::frame::{decode_request_header, encode_request};
//! use kafkars_protocol::header::RequestHeader;
//! use kafkars_protocol::messages::{MetadataRequest, metadata_request::MetadataRequestTopic};
//! use kafkars_protocol::wire::Reader;
//! use kafkars_protocol::{ApiKey, Message};
//!
//! let topic = MetadataRequestTopic { name: Some("events".into()), ..Default::default() };
//! let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
//! let header = RequestHeader { correlation_id: 7, ..Default::default() };
//! let frame = encode_request(&header, &request, 13)?.to_bytes().expect("all is in memory");
//!
//! let mut r = Reader::new(frame.slice(4..)); // behind the length
//! let header = decode_request_header(&mut r)?;
//! assert_eq!(ApiKey::from_i16(header.request_api_key), Some(ApiKey::Metadata));
//! assert_eq!(MetadataRequest::decode(&mut r, header.request_api_version)?, request);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `messages` has what goes over the wire, `records` what is stored. Both are generated when the
//! crate is built: `build.rs` reads the definitions with the modules in `generator/`. A field has
//! Kafka's default until it is set. Reading takes no more memory than a small multiple of what came
//! in; writing refuses what a version cannot say.
#![doc = include_str!("../NOTATION.md")]

pub mod api_key;
pub mod error_code;
pub mod frame;
pub mod header;
pub mod json;
pub mod messages;
pub mod records;
pub mod str;
pub mod uuid;
pub mod wire;

mod message;
mod prelude;

pub use api_key::ApiKey;
pub use error_code::ErrorCode;
pub use json::ToJson;
pub use message::{Message, Record, Records, Request, Response};
pub use str::Str;
pub use uuid::Uuid;
