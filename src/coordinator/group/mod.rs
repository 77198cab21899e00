//! The group machine: classic groups (KIP-394, KIP-345, KIP-814 …), consumer groups (KIP-848),
//! share groups (KIP-932), streams groups (KIP-1071), committed offsets. Pure: time, ids, cluster
//! metadata and answers go through arguments and values.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `shard.rs` | the shard: requests, replies, dispatch, replay |
//! | `record.rs` | the records of `__consumer_offsets` |
//! | `stored.rs`, `offsets.rs` | the durable half: what the records add up to |
//! | `classic.rs` | the live half of a classic group |
//! | `rebalance.rs` | join phase, sync phase, deadlines |
//! | `join.rs`, `membership.rs` | JoinGroup; SyncGroup, Heartbeat, LeaveGroup |
//! | `consumer/` | consumer groups of the new protocol |
//! | `share/` | share groups |
//! | `streams/` | groups of Kafka Streams applications |
//! | `overrides.rs` | what the configuration of a group says over the broker's |
//! | `commit.rs`, `txn_commit.rs`, `fetch.rs` | offsets |
//! | `admin.rs` | describe, list, delete, retention |
//! | `invariants.rs` | what is always true |
mod admin;
mod classic;
mod commit;
mod config;
mod consumer;
mod fetch;
mod invariants;
mod join;
mod membership;
mod offsets;
mod overrides;
mod rebalance;
mod record;
mod shard;
mod share;
mod stored;
mod streams;
mod timers;
mod txn_commit;

#[cfg(test)]
mod tests;

pub use config::GroupConfig;
pub use consumer::{
    ConsumerGroup, ConsumerGroupConfig, MigrationPolicy, Refusal, RegexError, compile_regex,
};
pub use record::{CommittedOffset, GroupRecord, GroupType};
pub use shard::{Caller, GroupReply, GroupRequest, GroupShard, SharedImage};
pub use share::{
    Deletion, InitializeState, ShareGroup, ShareGroupConfig, SharePartitions, ShareReply,
    ShareRequest,
};
pub use stored::{Stored, StoredGroup};
pub use streams::{StreamsGroup, StreamsGroupConfig};

/// Responses for requests that did not get to a shard.
pub(in crate::coordinator) mod response {
    pub use super::admin::{delete_error, describe_error};
    pub use super::commit::commit_error;
    pub use super::consumer::{describe_error as consumer_describe_error, heartbeat_error};
    pub use super::fetch::{fetch_error, from_old_request, to_old_response};
    pub use super::join::for_version;
    pub use super::rebalance::{join_error, sync_error};
    pub use super::share::{
        describe_error as share_describe_error, heartbeat_error as share_heartbeat_error,
    };
    pub use super::streams::{
        describe_error as streams_describe_error, heartbeat_error as streams_heartbeat_error,
    };
    pub use super::txn_commit::txn_commit_error;
}
