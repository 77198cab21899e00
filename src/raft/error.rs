//! Why the metadata log cannot be opened or appended to.

use std::io;

use crate::log::{AppendError, LogError, ReadError};
use crate::metadata::batch::MetadataBatchError;
use crate::metadata::image::ReplayError;
use crate::metadata::snapshot::SnapshotError;

#[derive(Debug, thiserror::Error)]
pub enum RaftError {
    #[error("metadata log: {0}")]
    Log(#[from] LogError),
    #[error("metadata log: {0}")]
    Append(#[from] AppendError),
    #[error("metadata log: {0}")]
    Read(#[from] ReadError),
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
    #[error("metadata log: {0}")]
    Batch(#[from] MetadataBatchError),
    #[error("{0}")]
    Replay(#[from] ReplayError),
    #[error("snapshot {0}")]
    Snapshot(#[from] SnapshotError),
    #[error("{path}: {problem}")]
    QuorumState { path: String, problem: String },
    #[error(
        "{path} belongs to a quorum of the voters {voters:?}; this version runs alone, as voter \
         {node_id}: start it on a directory of its own, or make it the only voter first"
    )]
    OtherVoters {
        path: String,
        voters: Vec<i32>,
        node_id: i32,
    },
    #[error(
        "{path}: the metadata log goes from {start} to {end}, its snapshots reach to {snapshot}: \
         files are missing; restore them from a backup"
    )]
    Gap {
        path: String,
        start: i64,
        end: i64,
        snapshot: i64,
    },
    #[error("{path}: none of the snapshots that the metadata log builds on can be read: {problem}")]
    NoSnapshot { path: String, problem: String },
    #[error("{records} metadata records take {bytes} bytes, more than the {max} of one batch")]
    TooLarge {
        records: usize,
        bytes: usize,
        max: usize,
    },
    #[error("no metadata records to append")]
    Nothing,
}

impl RaftError {
    pub(super) fn io(path: &std::path::Path, source: io::Error) -> RaftError {
        RaftError::Io {
            path: path.display().to_string(),
            source,
        }
    }
}
