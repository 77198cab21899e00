//! `.index`: from offsets to positions in the segment.
//!
//! ```text
//! 0 relative offset i32     last offset of a batch, less the segment's base offset
//! 4 position i32            where that batch starts
//! ```
//! One entry per more than `index.interval.bytes` appended, in ascending order. Kafka fills the
//! active segment's file up with zeroes; ours is as long as its entries.
use std::io;
use std::path::Path;

use super::index_file::{self, Entry, IndexFile};
use super::storage::Disk;

pub const ENTRY_BYTES: usize = 8;

/// An entry of the offset index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetEntry {
    pub relative_offset: u32,
    pub position: u32,
}

impl Entry for OffsetEntry {
    const BYTES: usize = ENTRY_BYTES;

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (relative_offset, rest) = bytes.split_first_chunk()?;
        Some(Self {
            relative_offset: u32::from_be_bytes(*relative_offset),
            position: u32::from_be_bytes(*rest.first_chunk()?),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }
}

/// What an offset lookup found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OffsetLookup {
    /// The greatest entry whose offset is at most the one looked for.
    pub floor: Option<OffsetEntry>,
    /// The entry after it.
    pub next: Option<OffsetEntry>,
}

/// The entries of the index at `path` that name offsets below `relative`, up to the first that does
/// not go on from the one before: what a crash left behind them tells nothing.
pub fn read_before(disk: &dyn Disk, path: &Path, relative: u32) -> io::Result<Vec<OffsetEntry>> {
    index_file::read_while(disk, path, |last: Option<OffsetEntry>, entry| {
        entry.relative_offset < relative
            && last.is_none_or(|last| {
                entry.relative_offset > last.relative_offset && entry.position > last.position
            })
    })
}

/// The offset index of one segment.
#[derive(Debug, Default)]
pub struct OffsetIndex {
    file: IndexFile<OffsetEntry>,
}

impl OffsetIndex {
    /// Opens an index; `None` if it is missing or makes no sense and has to be rebuilt.
    /// `segment_bytes` is the size of its segment.
    pub fn open(disk: &dyn Disk, path: &Path, segment_bytes: u32) -> io::Result<Option<Self>> {
        let Some(file) = IndexFile::<OffsetEntry>::open(disk, path)? else {
            return Ok(None);
        };
        let sane = match file.last() {
            None => true,
            // Zeroes at the end are the preallocation of a broker that was killed. An entry for
            // the first batch alone may be (n, 0).
            Some(last) => {
                last.relative_offset <= i32::MAX as u32
                    && last.position < segment_bytes
                    && (file.len() == 1 || (last.relative_offset > 0 && last.position > 0))
            }
        };
        Ok(sane.then_some(Self { file }))
    }

    pub fn len(&self) -> u32 {
        self.file.len()
    }

    pub fn is_empty(&self) -> bool {
        self.file.is_empty()
    }

    pub fn last(&self) -> Option<OffsetEntry> {
        self.file.last()
    }

    /// Adds an entry; one that does not go on from the last is left out.
    pub fn append(&mut self, disk: &dyn Disk, path: &Path, entry: OffsetEntry) -> io::Result<()> {
        if self.follows(entry) {
            self.file.push(disk, path, entry)
        } else {
            Ok(())
        }
    }

    /// As [`Self::append`], in memory, for [`Self::replace`].
    pub fn collect(&mut self, entry: OffsetEntry) {
        if self.follows(entry) {
            self.file.collect(entry);
        }
    }

    /// Takes the first entries for written, as [`Self::replace`] then leaves them.
    pub fn believe(&mut self, entries: &[OffsetEntry]) {
        self.file.believe(entries);
    }

    pub fn replace(&mut self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        self.file.replace(disk, path)
    }

    pub fn lookup(
        &mut self,
        disk: &dyn Disk,
        path: &Path,
        relative: u32,
    ) -> io::Result<OffsetLookup> {
        let split = self
            .file
            .split(disk, path, |e| e.relative_offset <= relative)?;
        Ok(OffsetLookup {
            floor: split.floor,
            next: split.next,
        })
    }

    /// The last entry whose position is at most `position`.
    pub fn at_or_before(
        &mut self,
        disk: &dyn Disk,
        path: &Path,
        position: u32,
    ) -> io::Result<Option<OffsetEntry>> {
        let split = self.file.split(disk, path, |e| e.position <= position)?;
        Ok(split.floor)
    }

    /// The first entry whose position is at least `position`.
    pub fn at_or_after(
        &mut self,
        disk: &dyn Disk,
        path: &Path,
        position: u32,
    ) -> io::Result<Option<OffsetEntry>> {
        let split = self.file.split(disk, path, |e| e.position < position)?;
        Ok(split.next)
    }

    /// Drops the entries of batches that start at or after `position`.
    pub fn truncate_to(&mut self, disk: &dyn Disk, path: &Path, position: u32) -> io::Result<()> {
        let keep = self.file.split(disk, path, |e| e.position < position)?;
        self.file.truncate(disk, path, keep.passed)
    }

    pub fn store(&mut self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        self.file.store(disk, path)
    }

    pub fn sync(&mut self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        self.file.sync(disk, path)
    }

    fn follows(&self, entry: OffsetEntry) -> bool {
        self.last()
            .is_none_or(|last| entry.relative_offset > last.relative_offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::storage::RealDisk;
    use proptest::prelude::*;

    fn entry(relative_offset: u32, position: u32) -> OffsetEntry {
        OffsetEntry {
            relative_offset,
            position,
        }
    }

    /// `count` entries (10, 100), (20, 200), …
    fn filled(path: &Path, count: u32) -> OffsetIndex {
        let mut index = OffsetIndex::default();
        for n in 1..=count {
            index
                .append(&RealDisk, path, entry(n * 10, n * 100))
                .unwrap();
        }
        index
    }

    #[test]
    fn finds_the_greatest_entry_at_or_below_an_offset() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.index");
        for count in [0, 1, 127, 128, 129, 5000] {
            let _ = std::fs::remove_file(&path);
            let mut index = filled(&path, count);
            for stored in [false, true] {
                for target in [0, 9, 10, 11, 1279, 1280, 1281, 25_555, 50_000, 60_000] {
                    let at = (target / 10).min(count);
                    let expected = OffsetLookup {
                        floor: (at > 0).then(|| entry(at * 10, at * 100)),
                        next: (at < count).then(|| entry(at * 10 + 10, at * 100 + 100)),
                    };
                    let found = index.lookup(&RealDisk, &path, target).unwrap();
                    assert_eq!(found, expected, "{target} of {count}, stored: {stored}");
                }
                index.store(&RealDisk, &path).unwrap();
                if count > 0 {
                    index = OffsetIndex::open(&RealDisk, &path, u32::MAX)
                        .unwrap()
                        .unwrap();
                }
            }
        }
    }

    #[test]
    fn is_cut_at_a_position() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.index");
        for (count, position, kept) in [(300, 250, 2), (300, 300, 2), (300, 29_950, 299), (3, 0, 0)]
        {
            let _ = std::fs::remove_file(&path);
            let mut index = filled(&path, count);
            index.truncate_to(&RealDisk, &path, position).unwrap();
            assert_eq!(index.len(), kept);
            assert_eq!(
                index.last(),
                (kept > 0).then(|| entry(kept * 10, kept * 100))
            );
        }
    }

    #[test]
    fn what_makes_no_sense_is_to_be_rebuilt() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.index");
        let opens = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            OffsetIndex::open(&RealDisk, &path, 1000).unwrap().is_some()
        };
        assert!(opens(&[]));
        assert!(opens(&[0, 0, 0, 5, 0, 0, 0, 0]), "first batch of a segment");
        assert!(!opens(&[0; 7]));
        assert!(!opens(&[0; 160]), "preallocated");
        assert!(!opens(&[0x80, 0, 0, 5, 0, 0, 0, 9]), "negative offset");
        assert!(
            !opens(&[0, 0, 0, 5, 0, 0, 4, 9]),
            "position past the segment"
        );
        std::fs::remove_file(&path).unwrap();
        assert!(OffsetIndex::open(&RealDisk, &path, 1000).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_searched_or_rebuilt(bytes: Vec<u8>, target: u32) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("0.index");
            std::fs::write(&path, bytes).unwrap();
            if let Some(mut index) = OffsetIndex::open(&RealDisk, &path, u32::MAX).unwrap() {
                index.lookup(&RealDisk, &path, target).unwrap();
                index.at_or_after(&RealDisk, &path, target).unwrap();
                index.truncate_to(&RealDisk, &path, target).unwrap();
            }
        }
    }
}
