//! Checking the files of a stopped log directory without writing to it (`storage verify`).
//!
//! Every batch, index, snapshot and checkpoint is read once, through buffers of bounded size. What
//! is wrong becomes a [`Fault`]: the first of each file, with its position, what either
//! implementation does about it on start, and what a person can do.
mod batch_file;
mod checkpoints;
mod indexes;
mod partition;
mod reader;
mod records;
mod segment;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::{At, LogError};
use super::storage::Disk;
use crate::record::StoredBatch;

pub use checkpoints::Checkpoints;
pub use partition::{PartitionEnd, PartitionFacts};

/// What an implementation does about a fault when it starts on the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OnStart {
    /// Does without it.
    Ignores,
    /// Makes it anew from what is there.
    Repairs,
    /// Cuts the log there: what lies behind is gone.
    Cuts,
    /// Does not notice; what needs it fails or goes wrong later.
    Overlooks,
    /// The partition is not served.
    PartitionFails,
    /// The whole log directory goes offline; a node with no other does not start.
    DirectoryFails,
    /// The node does not start.
    Refuses,
}

impl OnStart {
    /// As it follows the name of an implementation.
    pub fn text(self) -> &'static str {
        match self {
            Self::Ignores => "does without it",
            Self::Repairs => "repairs it",
            Self::Cuts => "cuts the log there",
            Self::Overlooks => "does not notice at start",
            Self::PartitionFails => "does not serve the partition",
            Self::DirectoryFails => "takes the directory offline",
            Self::Refuses => "does not start",
        }
    }

    /// A word for machines.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ignores => "ignores",
            Self::Repairs => "repairs",
            Self::Cuts => "cuts",
            Self::Overlooks => "overlooks",
            Self::PartitionFails => "partition-fails",
            Self::DirectoryFails => "directory-fails",
            Self::Refuses => "refuses",
        }
    }
}

/// What each implementation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub kafkars: OnStart,
    pub kafka: OnStart,
}

impl Outcome {
    pub const fn both(same: OnStart) -> Self {
        Self {
            kafkars: same,
            kafka: same,
        }
    }
}

/// The first thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub path: PathBuf,
    /// The byte where it begins, where there is such a place.
    pub position: Option<u64>,
    pub what: String,
    pub outcome: Outcome,
    /// What a person can do about it.
    pub remedy: String,
    /// Further faults in the same file.
    pub more: u64,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub directories: u64,
    pub partitions: u64,
    pub segments: u64,
    pub batches: u64,
    /// Of `batches`, those in the formats of before Kafka 0.11.
    pub old_batches: u64,
    pub records: u64,
    pub index_entries: u64,
    pub producer_snapshots: u64,
    pub checkpoints: u64,
    pub metadata_records: u64,
    pub bytes: u64,
}

/// Looks inside the records of a batch; the error says what is wrong.
pub type Inspect<'a> = &'a mut dyn FnMut(&StoredBatch<'_>) -> Result<(), String>;

/// Collects what a verification finds.
pub struct Verifier<'a> {
    pub disk: &'a dyn Disk,
    pub counts: Counts,
    faults: BTreeMap<PathBuf, Fault>,
    notes: Vec<(PathBuf, String)>,
    /// Told of bytes read, for a progress bar.
    on_bytes: &'a mut dyn FnMut(u64),
}

impl<'a> Verifier<'a> {
    pub fn new(disk: &'a dyn Disk, on_bytes: &'a mut dyn FnMut(u64)) -> Self {
        Self {
            disk,
            counts: Counts::default(),
            faults: BTreeMap::new(),
            notes: Vec::new(),
            on_bytes,
        }
    }

    /// The faults, by file.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.faults.values()
    }

    /// What is remarkable and no fault: files left over or unknown.
    pub fn notes(&self) -> &[(PathBuf, String)] {
        &self.notes
    }

    pub fn fault(
        &mut self,
        path: &Path,
        position: Option<u64>,
        what: impl Into<String>,
        outcome: Outcome,
        remedy: impl Into<String>,
    ) {
        if let Some(first) = self.faults.get_mut(path) {
            first.more += 1;
            return;
        }
        let fault = Fault {
            path: path.to_owned(),
            position,
            what: what.into(),
            outcome,
            remedy: remedy.into(),
            more: 0,
        };
        self.faults.insert(path.to_owned(), fault);
    }

    pub fn note(&mut self, path: &Path, what: impl Into<String>) {
        self.notes.push((path.to_owned(), what.into()));
    }

    /// A file that cannot be read is a fault, whatever is in it.
    pub fn unreadable(&mut self, path: &Path, error: &dyn std::fmt::Display) {
        self.fault(
            path,
            None,
            format!("cannot be read: {error}"),
            Outcome::both(OnStart::DirectoryFails),
            "check its permissions and the health of the disk",
        );
    }

    /// Bytes of a file were read.
    pub fn read(&mut self, bytes: u64) {
        self.counts.bytes += bytes;
        (self.on_bytes)(bytes);
    }

    /// Reads a small file whole; a fault if that fails.
    pub fn small_file(&mut self, path: &Path, limit: u64) -> Option<Vec<u8>> {
        match super::storage::read_file(self.disk, path, limit) {
            Ok(Some(bytes)) => {
                self.read(bytes.len() as u64);
                Some(bytes)
            }
            Ok(None) => None,
            Err(e) => {
                self.unreadable(path, &e);
                None
            }
        }
    }
}

/// The bytes of all files under `dir`, for a progress bar; index files count as long as they are.
pub fn total_bytes(disk: &dyn Disk, dir: &Path) -> Result<u64, LogError> {
    let mut total = 0;
    for entry in disk.read_dir(dir).at(dir)? {
        let path = dir.join(&entry.name);
        total += if entry.is_dir {
            total_bytes(disk, &path).unwrap_or(0)
        } else if entry.name.ends_with(super::names::LOG_SUFFIX) {
            disk.stat(&path).map_or(0, |(size, _)| size)
        } else {
            0
        };
    }
    Ok(total)
}

#[cfg(test)]
mod tests;
