//! KRaft: the replicated log that cluster metadata is kept in.
//!
//! [`MetadataLog`] is what the broker knows of it. Behind it stands [`SingleVoter`], a quorum of
//! one: it elects itself, and what it has on its disk is committed.

mod error;
mod quorum_state;
mod recovery;
mod retention;
mod single_voter;

#[cfg(test)]
mod tests;

use crate::metadata::record::VersionedRecord;
use crate::metadata::{MetadataChanges, MetadataImage};

pub use error::RaftError;
pub use quorum_state::QuorumState;
pub use single_voter::{SingleVoter, VoterConfig};

/// How many records one batch of [`MetadataLog::append_in_steps`] has at most.
const STEP_RECORDS: usize = 10_000;

/// A change of the metadata that is committed.
#[derive(Debug, Clone)]
pub struct Committed {
    pub first_offset: i64,
    pub last_offset: i64,
    /// The metadata with the change.
    pub image: MetadataImage,
    /// What it changed. Empty while a metadata transaction is open.
    pub changes: MetadataChanges,
}

/// The metadata log as its user sees it: records go in, images come out.
pub trait MetadataLog: Send {
    /// Appends records as one batch and waits until they are committed. After an error of the
    /// disk nothing more can be appended: what is on it is not known.
    fn append(&mut self, records: &[VersionedRecord], now_ms: i64) -> Result<Committed, RaftError>;

    /// Appends records that may be seen one after the other, in as many batches as they need. On
    /// an error the batches before it are committed.
    fn append_in_steps(
        &mut self,
        records: &[VersionedRecord],
        now_ms: i64,
    ) -> Result<Vec<Committed>, RaftError> {
        records
            .chunks(STEP_RECORDS)
            .map(|step| self.append(step, now_ms))
            .collect()
    }

    /// The committed metadata.
    fn image(&self) -> &MetadataImage;

    /// The offset that the next record gets.
    fn end_offset(&self) -> i64;

    /// The leader's epoch.
    fn leader_epoch(&self) -> i32;

    /// Writes a snapshot if enough has come since the last, and drops what snapshots have made
    /// superfluous. To be called from time to time.
    fn maintain(&mut self, now_ms: i64) -> Result<(), RaftError>;

    /// Closes the log in order.
    fn close(&mut self) -> Result<(), RaftError>;
}
