//! What several tests use.

#![allow(dead_code)] // Each test uses its part of it.

pub mod registry;
pub mod samples;
