//! `.txnindex`: the aborted transactions whose markers lie in a segment.
//!
//! ```text
//!  0 version i16 = 0     2 producer id i64     10 first offset i64
//! 18 last offset i64 (the marker's)            26 last stable offset i64 (after the marker)
//! ```
//! The file exists only where there is an entry. The first offset may lie in an earlier segment.
use std::io::{self, IoSlice};
use std::path::Path;

use super::storage::{Disk, OpenMode, read_file, remove_if_exists};

pub const ENTRY_BYTES: usize = 34;
const VERSION: i16 = 0;
/// Thirty million aborted transactions in one segment.
const BYTES_MAX: u64 = 1 << 30;

/// A transaction that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: i64,
    pub first_offset: i64,
    /// The offset of the abort marker.
    pub last_offset: i64,
    /// The last stable offset once the marker was there.
    pub last_stable_offset: i64,
}

impl AbortedTransaction {
    pub fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[0..2].copy_from_slice(&VERSION.to_be_bytes());
        bytes[2..10].copy_from_slice(&self.producer_id.to_be_bytes());
        bytes[10..18].copy_from_slice(&self.first_offset.to_be_bytes());
        bytes[18..26].copy_from_slice(&self.last_offset.to_be_bytes());
        bytes[26..34].copy_from_slice(&self.last_stable_offset.to_be_bytes());
        bytes
    }

    /// `None` if `bytes` is no entry of a version known here.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; ENTRY_BYTES] = bytes.try_into().ok()?;
        let long = |at: usize| Some(i64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let entry = Self {
            producer_id: long(2)?,
            first_offset: long(10)?,
            last_offset: long(18)?,
            last_stable_offset: long(26)?,
        };
        (bytes.starts_with(&VERSION.to_be_bytes())).then_some(entry)
    }
}

/// Reads an index. `Ok(None)`: it makes no sense and has to be rebuilt. `base_offset` is that of
/// its segment.
pub fn read(
    disk: &dyn Disk,
    path: &Path,
    base_offset: i64,
) -> io::Result<Option<Vec<AbortedTransaction>>> {
    let bytes = read_file(disk, path, BYTES_MAX)?.unwrap_or_default();
    if bytes.len() % ENTRY_BYTES != 0 {
        return Ok(None);
    }
    let entries: Option<Vec<_>> = bytes
        .chunks_exact(ENTRY_BYTES)
        .map(AbortedTransaction::decode)
        .collect();
    let sane = |entry: &AbortedTransaction| {
        entry.last_offset >= base_offset && entry.first_offset <= entry.last_offset
    };
    Ok(entries.filter(|entries| entries.iter().all(sane)))
}

/// Adds entries to the index at `path`, which is created if there is none. After an error it is as
/// it was, or as near as the disk allows.
pub fn append(disk: &dyn Disk, path: &Path, entries: &[AbortedTransaction]) -> io::Result<()> {
    let file = disk.open(path, OpenMode::Write)?;
    let size = disk.size(&file)?;
    // A write that failed half-way may have left part of an entry.
    let whole = size - size % ENTRY_BYTES as u64;
    if entries.is_empty() {
        return Ok(());
    }
    let bytes: Vec<u8> = entries
        .iter()
        .flat_map(AbortedTransaction::encode)
        .collect();
    let written = disk.write_at(&file, &mut [IoSlice::new(&bytes)], whole);
    if written.is_err() {
        let _ = disk.set_size(&file, whole);
    }
    written
}

/// The entries of the markers before `offset`, which lead the file, whatever comes behind them;
/// `Ok(None)` if one of them makes no sense.
pub fn read_before(
    disk: &dyn Disk,
    path: &Path,
    base_offset: i64,
    offset: i64,
) -> io::Result<Option<Vec<AbortedTransaction>>> {
    let bytes = read_file(disk, path, BYTES_MAX)?.unwrap_or_default();
    let mut entries: Vec<AbortedTransaction> = Vec::new();
    for bytes in bytes.chunks_exact(ENTRY_BYTES) {
        let last = entries.last().map_or(base_offset, |last| last.last_offset);
        match AbortedTransaction::decode(bytes) {
            // Zeroes in place of what was not written make no entry: a marker ends something.
            Some(entry)
                if (last..offset).contains(&entry.last_offset)
                    && entry.first_offset < entry.last_offset =>
            {
                entries.push(entry);
            }
            _ => break,
        }
    }
    let sane = entries.iter().all(|e| e.first_offset <= e.last_offset);
    Ok(sane.then_some(entries))
}

/// As [`replace`], leaving the first `kept` entries, which are in the file, untouched.
pub fn replace_after(
    disk: &dyn Disk,
    path: &Path,
    kept: usize,
    entries: &[AbortedTransaction],
) -> io::Result<()> {
    if kept == 0 {
        return replace(disk, path, entries);
    }
    let file = disk.open(path, OpenMode::Existing)?;
    disk.set_size(&file, (kept * ENTRY_BYTES) as u64)?;
    append(disk, path, entries.get(kept..).unwrap_or_default())
}

/// Replaces the index at `path`; without entries there is no file.
pub fn replace(disk: &dyn Disk, path: &Path, entries: &[AbortedTransaction]) -> io::Result<()> {
    if entries.is_empty() {
        return remove_if_exists(disk, path);
    }
    let bytes: Vec<u8> = entries
        .iter()
        .flat_map(AbortedTransaction::encode)
        .collect();
    let file = disk.open(path, OpenMode::Truncate)?;
    disk.write_at(&file, &mut [IoSlice::new(&bytes)], 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::storage::RealDisk;
    use proptest::prelude::*;

    fn aborted(first_offset: i64, last_offset: i64) -> AbortedTransaction {
        AbortedTransaction {
            producer_id: 7,
            first_offset,
            last_offset,
            last_stable_offset: 99,
        }
    }

    #[test]
    fn entries_come_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("5.txnindex");
        assert_eq!(read(&RealDisk, &path, 5).unwrap(), Some(vec![]));
        let entries = [aborted(1, 5), aborted(6, 10)];
        for entry in entries {
            append(&RealDisk, &path, &[entry]).unwrap();
        }
        assert_eq!(read(&RealDisk, &path, 5).unwrap(), Some(entries.to_vec()));
        assert_eq!(
            read(&RealDisk, &path, 6).unwrap(),
            None,
            "marker before the segment"
        );
        replace(&RealDisk, &path, &entries[1..]).unwrap();
        assert_eq!(
            read(&RealDisk, &path, 6).unwrap(),
            Some(entries[1..].to_vec())
        );
        replace(&RealDisk, &path, &[]).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn half_an_entry_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("5.txnindex");
        std::fs::write(&path, [0; 20]).unwrap();
        assert_eq!(read(&RealDisk, &path, 5).unwrap(), None);
        append(&RealDisk, &path, &[aborted(1, 5)]).unwrap();
        assert_eq!(
            read(&RealDisk, &path, 5).unwrap(),
            Some(vec![aborted(1, 5)])
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_rebuilt(bytes: Vec<u8>) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("0.txnindex");
            std::fs::write(&path, bytes).unwrap();
            let _ = read(&RealDisk, &path, 0).unwrap();
        }
    }
}
