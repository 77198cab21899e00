//! Sequences of requests against one shard: a mock clock, and a log in memory that a second shard
//! replays after every step and must agree with.
mod consumer;
mod consumer_random;
mod context;
mod fixture;
mod migration;
mod offsets;
mod old_versions;
mod others;
mod random;
mod rebalance;
mod share;
mod static_members;
mod streams;
mod streams_random;
mod streams_topics;
pub mod topics;
