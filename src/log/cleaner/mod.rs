//! Log compaction (`cleanup.policy=compact`): of each key the newest record stays. Kafka's
//! `LogCleaner`, `Cleaner` and `LogCleanerManager`.
//!
//! ```text
//! choice       which log, how far, which segments become one     pure
//! offset_map   the newest offset of each dirty key
//! transactions which batches are of aborted ones                 pure
//! rules        which batches and records stay                    pure
//! filter       one batch: bytes in, bytes out                    pure
//! chunks       segments read in large pieces
//! output       the new segment, written aside
//! clean        one cleaning of one log, from these parts
//! replace      the new segment takes the place of the old
//! state        who is being cleaned, paused, or cannot be; the cleaner's checkpoint
//! manager      the filthiest log of all is found and cleaned
//! ```
//! Threads and clocks are the broker's: it calls [`LogManager::clean_filthiest`] from as many
//! threads as it likes.
//!
//! [`LogManager::clean_filthiest`]: super::LogManager::clean_filthiest
use std::path::PathBuf;

use super::error::LogError;
use super::names::TopicPartition;

pub mod choice;
mod chunks;
mod clean;
mod filter;
mod manager;
mod offset_map;
mod output;
mod replace;
mod rules;
mod state;
mod transactions;

#[cfg(test)]
mod tests;

pub use clean::{Cleaner, CleaningStats, Resources};
pub use filter::FilterStats;
pub use manager::Cleaned;
pub use state::CleaningState;
pub(super) use state::{CleanerCheckpoints, States};

/// Why a log was not cleaned. What was done before is kept, and does no harm.
#[derive(Debug, thiserror::Error)]
pub enum CleaningError {
    /// Somebody wanted it to end, or the log changed under it.
    #[error("the cleaning was aborted")]
    Aborted,
    #[error("{path}: damaged at position {position}: {reason}", path = path.display())]
    Corrupt {
        path: PathBuf,
        position: u64,
        reason: String,
    },
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Watches over a cleaning: slows it down, and ends it.
pub trait Supervisor: Send + Sync {
    /// So many bytes of the partition were read or written: sleeps where that is too fast. False
    /// ends the cleaning.
    fn pass(&self, tp: &TopicPartition, bytes: usize) -> bool;
}
