//! A file of fixed-size sorted entries, the common ground of the offset and the time index: looked
//! up by binary search over blocks read from the file, appended to through a short tail in memory.
//!
//! The entries around the last place that was looked up stay in memory: who reads on from there needs no file.
//!
//! The tail is written when it is full, at a flush, a roll and a stop. What a crash takes from it
//! costs nothing: an unclean start rebuilds the index of every segment that was not flushed.
use std::io::{self, IoSlice};
use std::path::Path;

use super::storage::{Disk, OpenMode, read_file};

/// Entries held back before they are written together.
const TAIL_ENTRIES_MAX: usize = 128;
/// Entries read at once when a search has come close.
const BLOCK_ENTRIES: u32 = 256;
/// No index is larger: `segment.index.bytes` is an i32.
const INDEX_BYTES_MAX: u64 = i32::MAX as u64;
/// The largest entry of any index.
const ENTRY_BYTES_MAX: usize = 12;

/// An entry of an index file.
pub trait Entry: Copy + PartialEq {
    const BYTES: usize;
    /// `bytes` has [`Self::BYTES`] bytes.
    fn decode(bytes: &[u8]) -> Option<Self>;
    fn encode(&self, out: &mut Vec<u8>);
}

/// Reads a whole index up to the first entry that `good` does not hold for, given the one before it.
pub fn read_while<E: Entry>(
    disk: &dyn Disk,
    path: &Path,
    good: impl Fn(Option<E>, E) -> bool,
) -> io::Result<Vec<E>> {
    let bytes = read_file(disk, path, INDEX_BYTES_MAX)?.unwrap_or_default();
    let mut entries = Vec::new();
    for entry in bytes.chunks_exact(E::BYTES).map_while(E::decode) {
        if !good(entries.last().copied(), entry) {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// A place in an index: so many entries come before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split<E> {
    pub passed: u32,
    /// The last entry before the place.
    pub floor: Option<E>,
    /// The first entry after it.
    pub next: Option<E>,
}

/// Entries of one index file. It remembers no path and no descriptor: both come with each call, so
/// that a rename of the partition's directory and an idle partition cost nothing.
#[derive(Debug)]
pub struct IndexFile<E> {
    /// Entries on the disk.
    stored: u32,
    tail: Vec<E>,
    /// The last entry, wherever it is.
    last: Option<E>,
    window: Window<E>,
}

/// Some entries in a row of those on the disk.
#[derive(Debug)]
struct Window<E> {
    /// So many entries come before them.
    first: u32,
    entries: Box<[E]>,
}

impl<E: Entry> Window<E> {
    fn none() -> Self {
        Self {
            first: 0,
            entries: Box::default(),
        }
    }

    /// The place where `before` stops holding, if it is surely within.
    fn split(&self, stored: u32, before: impl Fn(&E) -> bool) -> Option<Split<E>> {
        let end = self.first + self.entries.len() as u32;
        let (starts_before, ends_behind) = (self.entries.first()?, self.entries.last()?);
        if (self.first > 0 && !before(starts_before)) || (end < stored && before(ends_behind)) {
            return None;
        }
        let passed = self.entries.partition_point(before);
        let floor = passed
            .checked_sub(1)
            .and_then(|at| self.entries.get(at))
            .copied();
        Some(Split {
            passed: self.first + passed as u32,
            floor,
            next: self.entries.get(passed).copied(),
        })
    }
}

impl<E: Entry> Default for IndexFile<E> {
    fn default() -> Self {
        Self {
            stored: 0,
            tail: Vec::new(),
            last: None,
            window: Window::none(),
        }
    }
}

impl<E: Entry> IndexFile<E> {
    /// Opens an existing index. `Ok(None)`: its size is not that of whole entries, or it is
    /// missing; it has to be rebuilt.
    pub fn open(disk: &dyn Disk, path: &Path) -> io::Result<Option<Self>> {
        let size = match disk.stat(path) {
            Ok((size, _)) => size,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let entry_bytes = E::BYTES as u64;
        let Ok(stored) = u32::try_from(size / entry_bytes) else {
            return Ok(None);
        };
        if size % entry_bytes != 0 {
            return Ok(None);
        }
        let mut index = Self {
            stored,
            ..Self::default()
        };
        if let Some(last) = stored.checked_sub(1) {
            index.last = index.get(disk, path, last)?;
        }
        Ok(Some(index))
    }

    pub fn len(&self) -> u32 {
        self.stored + self.tail.len() as u32
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn last(&self) -> Option<E> {
        self.last
    }

    /// Adds an entry; the caller keeps the order.
    pub fn push(&mut self, disk: &dyn Disk, path: &Path, entry: E) -> io::Result<()> {
        self.tail.push(entry);
        self.last = Some(entry);
        if self.tail.len() >= TAIL_ENTRIES_MAX {
            self.store(disk, path)
        } else {
            Ok(())
        }
    }

    /// Writes the tail. After an error it is still in memory and the next call tries again.
    pub fn store(&mut self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        if self.tail.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(self.tail.len() * E::BYTES);
        for entry in &self.tail {
            entry.encode(&mut bytes);
        }
        let file = disk.open(path, OpenMode::Write)?;
        let position = u64::from(self.stored) * E::BYTES as u64;
        disk.write_at(&file, &mut [IoSlice::new(&bytes)], position)?;
        self.stored += self.tail.len() as u32;
        self.tail.clear();
        Ok(())
    }

    /// Writes the tail and forces the file to the device.
    pub fn sync(&mut self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        self.store(disk, path)?;
        disk.sync(&disk.open(path, OpenMode::Write)?)
    }

    /// Takes `entries`, of an index that has no others yet, for those at the front of the file.
    pub fn believe(&mut self, entries: &[E]) {
        self.window = Window::none();
        self.stored = entries.len() as u32;
        self.last = entries.last().copied();
    }

    /// Replaces what comes behind the entries in the file by what [`Self::collect`] collected.
    pub fn replace(&mut self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        self.window = Window::none();
        let kept = u64::from(self.stored) * E::BYTES as u64;
        let size = match disk.stat(path) {
            Ok((size, _)) => Some(size),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        if size != Some(kept) {
            let file = disk.open(path, OpenMode::Write)?;
            disk.set_size(&file, kept)?;
        }
        self.store(disk, path)
    }

    /// Adds an entry in memory alone, for [`Self::replace`].
    pub fn collect(&mut self, entry: E) {
        self.tail.push(entry);
        self.last = Some(entry);
    }

    /// Where `before` stops holding for the leading entries. Takes one descriptor and few reads of the file, or none where
    /// the place is near the last one.
    pub fn split(
        &mut self,
        disk: &dyn Disk,
        path: &Path,
        before: impl Fn(&E) -> bool,
    ) -> io::Result<Split<E>> {
        if let Some(first) = self.tail.first()
            && before(first)
        {
            let passed = self.tail.partition_point(before);
            return Ok(Split {
                passed: self.stored + passed as u32,
                floor: passed
                    .checked_sub(1)
                    .and_then(|at| self.tail.get(at))
                    .copied(),
                next: self.tail.get(passed).copied(),
            });
        }
        if self.stored == 0 {
            return Ok(Split {
                passed: 0,
                floor: None,
                next: self.tail.first().copied(),
            });
        }
        let mut found = self.window.split(self.stored, &before);
        if found.is_none() {
            self.window = self.window_around(disk, path, &before)?;
            found = self.window.split(self.stored, &before);
        }
        // None: the file is shorter than it was, or out of order. It tells nothing then.
        let mut split = found.unwrap_or(Split {
            passed: 0,
            floor: None,
            next: None,
        });
        if split.passed == self.stored {
            split.next = self.tail.first().copied();
        }
        Ok(split)
    }

    /// Reads the entries from the one before the place on where `before` stops holding.
    fn window_around(
        &self,
        disk: &dyn Disk,
        path: &Path,
        before: impl Fn(&E) -> bool,
    ) -> io::Result<Window<E>> {
        let file = disk.open(path, OpenMode::Read)?;
        let (mut passed, mut high) = (0, self.stored);
        while high - passed >= BLOCK_ENTRIES {
            let middle = passed + (high - passed) / 2;
            let mut bytes = [0; ENTRY_BYTES_MAX];
            let entry = self.read_entry(disk, &file, middle, &mut bytes)?;
            if entry.as_ref().is_some_and(&before) {
                passed = middle + 1;
            } else {
                high = middle;
            }
        }
        let first = passed.saturating_sub(1);
        let mut block = [0; BLOCK_ENTRIES as usize * ENTRY_BYTES_MAX];
        let wanted = (self.stored - first).min(BLOCK_ENTRIES) as usize * E::BYTES;
        let block = block.get_mut(..wanted).unwrap_or_default();
        let read = disk.read_at(&file, block, u64::from(first) * E::BYTES as u64)?;
        let entries = block.get(..read).unwrap_or_default().chunks_exact(E::BYTES);
        Ok(Window {
            first,
            entries: entries.map_while(E::decode).collect(),
        })
    }

    /// The entry at `at`; `None` past the end.
    pub fn get(&self, disk: &dyn Disk, path: &Path, at: u32) -> io::Result<Option<E>> {
        if let Some(in_tail) = at.checked_sub(self.stored) {
            return Ok(self.tail.get(in_tail as usize).copied());
        }
        let mut bytes = [0; ENTRY_BYTES_MAX];
        self.read_entry(disk, &disk.open(path, OpenMode::Read)?, at, &mut bytes)
    }

    /// Keeps the first `entries` entries.
    pub fn truncate(&mut self, disk: &dyn Disk, path: &Path, entries: u32) -> io::Result<()> {
        if entries >= self.len() {
            return Ok(());
        }
        self.window = Window::none();
        if let Some(in_tail) = entries.checked_sub(self.stored) {
            self.tail.truncate(in_tail as usize);
        } else {
            let file = disk.open(path, OpenMode::Write)?;
            disk.set_size(&file, u64::from(entries) * E::BYTES as u64)?;
            self.tail.clear();
            self.stored = entries;
        }
        self.last = match entries.checked_sub(1) {
            Some(last) => self.get(disk, path, last)?,
            None => None,
        };
        Ok(())
    }

    fn read_entry(
        &self,
        disk: &dyn Disk,
        file: &std::fs::File,
        at: u32,
        bytes: &mut [u8; ENTRY_BYTES_MAX],
    ) -> io::Result<Option<E>> {
        let bytes = bytes.get_mut(..E::BYTES).unwrap_or_default();
        let read = disk.read_at(file, bytes, u64::from(at) * E::BYTES as u64)?;
        Ok(if read == E::BYTES {
            E::decode(bytes)
        } else {
            None
        })
    }
}
