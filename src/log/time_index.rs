//! `.timeindex`: from timestamps to offsets.
//!
//! ```text
//! 0 timestamp i64           greatest timestamp in the segment so far
//! 8 relative offset i32     last offset of the batch that holds it, less the base offset
//! ```
//! Written beside the offset index, and once more when the segment is closed, so that the last
//! entry tells the segment's greatest timestamp.
use std::io;
use std::path::Path;

use super::index_file::{self, Entry, IndexFile};
use super::storage::Disk;

pub const ENTRY_BYTES: usize = 12;

/// An entry of the time index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeEntry {
    pub timestamp: i64,
    pub relative_offset: u32,
}

impl Entry for TimeEntry {
    const BYTES: usize = ENTRY_BYTES;

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (timestamp, rest) = bytes.split_first_chunk()?;
        Some(Self {
            timestamp: i64::from_be_bytes(*timestamp),
            relative_offset: u32::from_be_bytes(*rest.first_chunk()?),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
    }
}

/// The entries of the index at `path` that name offsets below `relative`, up to the first that does
/// not go on from the one before: what a crash left behind them tells nothing.
pub fn read_before(disk: &dyn Disk, path: &Path, relative: u32) -> io::Result<Vec<TimeEntry>> {
    index_file::read_while(disk, path, |last: Option<TimeEntry>, entry| {
        entry.relative_offset < relative
            && last.is_none_or(|last| {
                entry.relative_offset >= last.relative_offset && entry.timestamp > last.timestamp
            })
    })
}

/// The time index of one segment.
#[derive(Debug, Default)]
pub struct TimeIndex {
    file: IndexFile<TimeEntry>,
}

impl TimeIndex {
    /// Opens an index; `None` if it is missing or makes no sense and has to be rebuilt.
    pub fn open(disk: &dyn Disk, path: &Path) -> io::Result<Option<Self>> {
        let Some(file) = IndexFile::<TimeEntry>::open(disk, path)? else {
            return Ok(None);
        };
        let first = if file.is_empty() {
            None
        } else {
            file.get(disk, path, 0)?
        };
        let sane = match (first, file.last()) {
            (Some(first), Some(last)) => {
                last.timestamp >= first.timestamp
                    && last.relative_offset >= first.relative_offset
                    && last.relative_offset <= i32::MAX as u32
                    // Zeroes at the end are the preallocation of a broker that was killed.
                    && (file.len() == 1 || last.timestamp > first.timestamp)
            }
            _ => file.is_empty(),
        };
        Ok(sane.then_some(Self { file }))
    }

    pub fn len(&self) -> u32 {
        self.file.len()
    }

    pub fn is_empty(&self) -> bool {
        self.file.is_empty()
    }

    pub fn last(&self) -> Option<TimeEntry> {
        self.file.last()
    }

    /// Adds an entry; one that does not go on from the last is left out.
    pub fn append(&mut self, disk: &dyn Disk, path: &Path, entry: TimeEntry) -> io::Result<()> {
        if self.follows(entry) {
            self.file.push(disk, path, entry)
        } else {
            Ok(())
        }
    }

    /// As [`Self::append`], in memory, for [`Self::replace`].
    pub fn collect(&mut self, entry: TimeEntry) {
        if self.follows(entry) {
            self.file.collect(entry);
        }
    }

    /// Takes the first entries for written, as [`Self::replace`] then leaves them.
    pub fn believe(&mut self, entries: &[TimeEntry]) {
        self.file.believe(entries);
    }

    pub fn replace(&mut self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        self.file.replace(disk, path)
    }

    /// The last entry with a timestamp below `timestamp`: what is at or after it lies behind.
    pub fn before(
        &mut self,
        disk: &dyn Disk,
        path: &Path,
        timestamp: i64,
    ) -> io::Result<Option<TimeEntry>> {
        let split = self.file.split(disk, path, |e| e.timestamp < timestamp)?;
        Ok(split.floor)
    }

    /// Drops the entries that name offsets at or past `relative`.
    pub fn truncate_to(&mut self, disk: &dyn Disk, path: &Path, relative: u32) -> io::Result<()> {
        let keep = self
            .file
            .split(disk, path, |e| e.relative_offset < relative)?;
        self.file.truncate(disk, path, keep.passed)
    }

    pub fn store(&mut self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        self.file.store(disk, path)
    }

    pub fn sync(&mut self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        self.file.sync(disk, path)
    }

    fn follows(&self, entry: TimeEntry) -> bool {
        self.last().is_none_or(|last| {
            entry.timestamp > last.timestamp && entry.relative_offset >= last.relative_offset
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::storage::RealDisk;
    use proptest::prelude::*;

    fn entry(timestamp: i64, relative_offset: u32) -> TimeEntry {
        TimeEntry {
            timestamp,
            relative_offset,
        }
    }

    #[test]
    fn finds_the_last_entry_before_a_timestamp() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.timeindex");
        let mut index = TimeIndex::default();
        for n in 1..=1000 {
            index
                .append(&RealDisk, &path, entry(n * 10, n as u32))
                .unwrap();
        }
        index.append(&RealDisk, &path, entry(5, 2000)).unwrap();
        assert_eq!(
            index.last(),
            Some(entry(10_000, 1000)),
            "older timestamps are no news"
        );
        for (timestamp, expected) in [
            (10, None),
            (11, Some(entry(10, 1))),
            (5000, Some(entry(4990, 499))),
        ] {
            assert_eq!(index.before(&RealDisk, &path, timestamp).unwrap(), expected);
        }
        index.truncate_to(&RealDisk, &path, 500).unwrap();
        assert_eq!(index.last(), Some(entry(4990, 499)));
    }

    #[test]
    fn what_makes_no_sense_is_to_be_rebuilt() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.timeindex");
        let opens = |entries: &[TimeEntry], extra: usize| {
            let mut bytes = Vec::new();
            entries.iter().for_each(|entry| entry.encode(&mut bytes));
            bytes.resize(bytes.len() + extra, 0);
            std::fs::write(&path, bytes).unwrap();
            TimeIndex::open(&RealDisk, &path).unwrap().is_some()
        };
        assert!(opens(&[], 0));
        assert!(opens(&[entry(7, 0)], 0));
        assert!(opens(&[entry(7, 0), entry(9, 4)], 0));
        assert!(!opens(&[], 11));
        assert!(!opens(&[entry(7, 0)], 24), "preallocated");
        assert!(!opens(&[entry(7, 4), entry(9, 0)], 0));
    }

    proptest! {
        #[test]
        fn any_bytes_are_searched_or_rebuilt(bytes: Vec<u8>, timestamp: i64, offset: u32) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("0.timeindex");
            std::fs::write(&path, bytes).unwrap();
            if let Some(mut index) = TimeIndex::open(&RealDisk, &path).unwrap() {
                index.before(&RealDisk, &path, timestamp).unwrap();
                index.truncate_to(&RealDisk, &path, offset).unwrap();
            }
        }
    }
}
