//! Cluster metadata: the records of `__cluster_metadata-0`, the immutable image they add up to,
//! snapshots of it, and what formatting a storage directory writes.
//!
//! Nothing here decides anything: requests become records in `controller`.

pub mod batch;
pub mod delta;
pub mod feature;
mod files;
pub mod format;
pub mod image;
pub mod properties;
pub mod record;
pub mod scram;
pub mod scram_argument;
pub mod snapshot;
pub mod version;

pub use delta::{MetadataChanges, MetadataDelta, MetadataLoader, apply};
pub use image::{MetadataImage, Provenance};
pub use record::{MetadataRecord, UnknownRecord, VersionedRecord, v0};
pub use version::MetadataVersion;

#[cfg(test)]
mod fixture_tests;
