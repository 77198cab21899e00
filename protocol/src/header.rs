//! The headers in front of requests and responses.

#![allow(unused_imports, unused_variables, unused_mut, clippy::all)]

include!(concat!(env!("OUT_DIR"), "/header.rs"));
