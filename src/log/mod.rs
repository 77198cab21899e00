//! The log store: segments, indexes, producer state, leader epochs, checkpoints, recovery and
//! retention, in Apache Kafka's on-disk formats. Synchronous; knows no network, no clock and no
//! async runtime: the time is an argument, files are reached through [`storage::Disk`] alone.
//!
//! | path | encoding | version mark | unknown version |
//! |-|-|-|-|
//! | `*.log` | record batches, `record` room | magic | segment refused |
//! | `*.index` | [`offset_index`] | none | rebuilt when it makes no sense |
//! | `*.timeindex` | [`time_index`] | none | rebuilt when it makes no sense |
//! | `*.txnindex` | [`txn_index`] | i16 0 per entry | rebuilt from the segment |
//! | `*.snapshot` | [`producer_snapshot`] | i16 1 | ignored, replayed from an older one |
//! | `leader-epoch-checkpoint` | [`epochs`] | line 1: 0 | rebuilt from the batches |
//! | `partition.metadata` | [`partition_metadata`] | `version: 0` | partition refused |
//! | `*-offset-checkpoint` | [`checkpoints`] | line 1: 0 | ignored with a warning |
//! | `*.log.*.cut` | what recovery cut off, `salvage` | none | never read |
//! | `.kafkars-reserve` | [`reserve`], room held back | none | made anew |
//! | `.kafka_cleanshutdown` | [`directory`], JSON | `version: 0` | taken for an unclean stop |
mod activation;
pub mod append;
pub mod checkpoints;
pub mod cleaner;
mod closing;
pub mod config;
pub mod directory;
pub mod epochs;
pub mod error;
pub mod file_cache;
mod flush;
pub mod fork;
pub mod health;
pub mod index_file;
mod list_offsets;
mod load;
#[allow(
    clippy::module_inception,
    reason = "the partition log is what the room is about"
)]
mod log;
pub mod log_dirs;
mod long_appends;
pub mod manager;
pub mod names;
pub mod offset_index;
mod opening;
pub mod partition_metadata;
mod place;
pub mod producer_snapshot;
pub mod producer_state;
pub mod progress;
pub mod read;
mod recovery;
mod regrowth;
mod relocation;
pub mod reserve;
mod retention;
mod rolling;
mod salvage;
mod scan;
pub mod segment;
pub mod storage;
mod swap;
pub mod time_index;
mod topic_configs;
pub mod txn_index;
mod verification;
pub mod verify;

#[cfg(test)]
mod tests;

pub use append::{AppendOrigin, LogAppendInfo};
pub use config::LogConfig;
pub use error::{AppendError, LogError, ReadError};
pub use list_offsets::{ListOffset, OffsetAndEpoch};
pub use log::{Log, LogOptions};
pub use manager::{LogManager, LogManagerConfig};
pub use names::TopicPartition;
pub use read::{LogRead, LogSlice, ReadLimit};
pub use relocation::{FoundFuture, MoveError};
pub use txn_index::AbortedTransaction;
pub use verification::{Transactions, UnverifiedBatch, VerificationGuard};
