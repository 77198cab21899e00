//! The transaction machine: who owns a transactional id, the transaction that is under way under
//! it, and how it ends, in both generations of the protocol (KIP-98; KIP-890, "version 2", where
//! each end of a transaction raises the producer's epoch). Pure: time, producer ids and the writing
//! of markers go through arguments and effects.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `shard.rs` | the shard: requests, replies, dispatch, replay, deadlines |
//! | `state.rs` | one transactional id as the log has it, and its transitions |
//! | `record.rs` | the records of `__transaction_state` |
//! | `init.rs` | InitProducerId: epochs, fencing |
//! | `partitions.rs` | what is added to a transaction, or said to be in it |
//! | `end.rs` | EndTxn, aborts by the coordinator, completion once all markers are written |
//! | `describe.rs` | DescribeTransactions, ListTransactions |
//!
//! ```text
//! Empty ─▶ Ongoing ─▶ PrepareCommit ─▶ CompleteCommit ─▶ Ongoing …
//!                  └▶ PrepareAbort  ─▶ CompleteAbort  ─▶ Ongoing …
//! ```
//! Prepare* is the decision: once it is in the log, markers go to all partitions, again after a
//! restart if need be. Answers to whoever ended the transaction wait until the markers are written:
//! the next request then finds it complete.
mod config;
mod describe;
mod end;
mod init;
mod partitions;
mod record;
mod shard;
mod state;

#[cfg(test)]
mod tests;

pub use config::TransactionConfig;
pub use describe::ListFilter;
pub use end::{Ended, Markers};
pub use init::{InitProducerId, ProducerIdAndEpoch};
pub use partitions::PartitionsOf;
pub use record::TransactionRecord;
pub use shard::{Effect, TransactionReply, TransactionRequest, TransactionShard};
pub use state::{Partitions, Transaction, TransactionState};
