//! Requests, responses and the consumer protocol's messages: one module each, with its nested
//! structs.

#![allow(unused_imports, unused_variables, unused_mut, clippy::all)]

include!(concat!(env!("OUT_DIR"), "/api.rs"));

mod data {
    include!(concat!(env!("OUT_DIR"), "/data.rs"));
}
pub use data::*;
