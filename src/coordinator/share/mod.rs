//! The share-state machine (KIP-932): where each share group is in each partition that it shares,
//! and what has become of the records from there on. Pure, as the group machine is.
//!
//! A state begins when its group's coordinator asks for it, changes when the partition's leader says
//! what was acknowledged, and ends with the group or the topic. The log has whole snapshots and
//! updates between them; what is before every snapshot is of no use and is pruned.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `shard.rs` | the shard: requests, replies, periodic work, replay |
//! | `state.rs` | one partition's state, and what a record makes of it |
//! | `batches.rs` | batches of records with the same fate, laid over each other |
//! | `record.rs` | the records of `__share_group_state` |
//! | `config.rs` | configuration |
mod batches;
mod config;
mod record;
mod shard;
mod state;

#[cfg(test)]
mod tests;

pub use batches::{StateBatch, combine};
pub use config::ShareStateConfig;
pub use record::{ShareKey, ShareStateRecord};
pub use shard::{Effect, Read, ShardRequest, ShareShard, StateReply, StateRequest, Summary, Write};
pub use state::StateError;
