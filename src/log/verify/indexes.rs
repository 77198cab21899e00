//! Index files against the batches of their segment: entries are read along with the walk over the
//! segment, a block at a time.
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::SeekFrom;

use crate::log::index_file::Entry;
use crate::log::offset_index::OffsetEntry;
use crate::log::storage::{Disk, OpenMode};
use crate::log::time_index::TimeEntry;
use crate::log::txn_index::{self, AbortedTransaction};
use crate::record::StoredHeader;

const BLOCK_ENTRIES: usize = 1024;

/// What is wrong in an index: where, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    pub position: u64,
    pub what: String,
    /// Seen from the size of the file alone, by everybody who opens it.
    pub obvious: bool,
}

impl Wrong {
    fn at(position: u64, what: impl Into<String>) -> Self {
        Self {
            position,
            what: what.into(),
            obvious: false,
        }
    }
}

/// The entries of an index file, one after the other.
struct Entries<E> {
    file: Option<File>,
    size: u64,
    /// Bytes that were read.
    at: u64,
    block: Vec<u8>,
    used: usize,
    next: Option<E>,
    /// Where `next` starts.
    next_at: u64,
    /// Nothing but zeros is left: room that an active segment set aside.
    zeros: bool,
}

impl<E: Entry> Entries<E> {
    fn open(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let file = match disk.open(path, OpenMode::Read) {
            Ok(file) => Some(file),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        let size = file.as_ref().map_or(Ok(0), |file| disk.size(file))?;
        let mut entries = Self {
            file,
            size,
            at: 0,
            block: Vec::new(),
            used: 0,
            next: None,
            next_at: 0,
            zeros: false,
        };
        entries.advance(disk)?;
        Ok(entries)
    }

    fn advance(&mut self, disk: &dyn Disk) -> io::Result<()> {
        if self.used >= self.block.len()
            && let Some(file) = &self.file
        {
            let left = usize::try_from(self.size - self.at).unwrap_or(usize::MAX);
            self.block.resize(left.min(BLOCK_ENTRIES * E::BYTES), 0);
            let read = disk.read_at(file, &mut self.block, self.at)?;
            self.block.truncate(read);
            self.at += read as u64;
            self.used = 0;
        }
        let bytes = self.block.get(self.used..self.used + E::BYTES);
        self.next_at = self.at - (self.block.len() - self.used) as u64;
        self.next = bytes.and_then(E::decode);
        self.used += E::BYTES;
        Ok(())
    }

    /// Ends here if `next` and all after it are zeros.
    fn ends_in_zeros(&mut self, disk: &dyn Disk) -> io::Result<bool> {
        let Some(file) = &self.file else {
            return Ok(false);
        };
        let mut block = [0; 8192];
        let mut at = self.next_at;
        while at < self.size {
            // Set aside means a hole in the file, as a rule: what is not on the disk is not read.
            match rustix::fs::seek(file, SeekFrom::Data(at)) {
                Ok(data) => at = data.max(at),
                Err(rustix::io::Errno::NXIO) => break,
                Err(_) => {}
            }
            let read = disk.read_at(file, &mut block, at)?;
            let bytes = block.get(..read).unwrap_or_default();
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += read.max(1) as u64;
        }
        self.zeros = true;
        self.next = None;
        Ok(true)
    }
}

/// The offset index of a segment.
pub struct OffsetCheck {
    pub path: PathBuf,
    entries: Entries<OffsetEntry>,
    base_offset: i64,
    last: Option<OffsetEntry>,
    pub count: u64,
    pub wrong: Option<Wrong>,
}

impl OffsetCheck {
    pub fn open(disk: &dyn Disk, path: PathBuf, base_offset: i64) -> io::Result<Self> {
        let entries = Entries::open(disk, &path)?;
        let mut check = Self {
            path,
            entries,
            base_offset,
            last: None,
            count: 0,
            wrong: None,
        };
        check.wrong = size_wrong::<OffsetEntry>(check.entries.size);
        Ok(check)
    }

    pub fn exists(&self) -> bool {
        self.entries.file.is_some()
    }

    /// Takes the entries that point into the batch at `position`.
    pub fn batch(
        &mut self,
        disk: &dyn Disk,
        position: u64,
        header: &StoredHeader<'_>,
    ) -> io::Result<()> {
        let end = position + header.size() as u64;
        while let Some(entry) = self.entries.next
            && self.wrong.is_none()
            && u64::from(entry.position) < end
        {
            let offset = self
                .base_offset
                .saturating_add(i64::from(entry.relative_offset));
            let follows = self.last.is_none_or(|last| {
                entry.relative_offset > last.relative_offset && entry.position > last.position
            });
            if entry == ZERO && self.entries.ends_in_zeros(disk)? {
                return Ok(());
            }
            let what = if !follows {
                Some("entries do not ascend".to_owned())
            } else if u64::from(entry.position) != position {
                Some(format!("no batch starts at position {}", entry.position))
            } else if header.base_offset().is_some_and(|base| base > offset) {
                Some(format!("offset {offset} lies before position {position}"))
            } else {
                None
            };
            self.wrong = what.map(|what| Wrong::at(self.entries.next_at, what));
            self.count += 1;
            self.last = Some(entry);
            self.entries.advance(disk)?;
        }
        Ok(())
    }

    /// After the last batch. Nothing may be left; of a segment that was closed in order, no zeros
    /// either.
    pub fn finish(&mut self, disk: &dyn Disk, sealed: bool) -> io::Result<()> {
        if self.wrong.is_some() || !self.exists() {
            return Ok(());
        }
        if self.entries.next == Some(ZERO) {
            self.entries.ends_in_zeros(disk)?;
        }
        let what = match self.entries.next {
            Some(entry) => format!("position {} is past the end of the segment", entry.position),
            None if sealed && self.entries.zeros => ZEROS.to_owned(),
            None => return Ok(()),
        };
        self.wrong = Some(Wrong::at(self.entries.next_at, what));
        Ok(())
    }
}

const ZEROS: &str = "ends in zeros, which an orderly stop would have cut off";
const ZERO: OffsetEntry = OffsetEntry {
    relative_offset: 0,
    position: 0,
};

fn size_wrong<E: Entry>(size: u64) -> Option<Wrong> {
    let odd = size % E::BYTES as u64;
    (odd != 0).then(|| Wrong {
        position: size - odd,
        what: format!("{size} bytes are no whole entries of {}", E::BYTES),
        obvious: true,
    })
}

/// The time index of a segment.
pub struct TimeCheck {
    pub path: PathBuf,
    entries: Entries<TimeEntry>,
    base_offset: i64,
    last: Option<TimeEntry>,
    /// The greatest timestamp of the batches so far.
    max: i64,
    pub count: u64,
    pub wrong: Option<Wrong>,
}

impl TimeCheck {
    pub fn open(disk: &dyn Disk, path: PathBuf, base_offset: i64) -> io::Result<Self> {
        let entries = Entries::<TimeEntry>::open(disk, &path)?;
        let wrong = size_wrong::<TimeEntry>(entries.size);
        Ok(Self {
            path,
            entries,
            base_offset,
            last: None,
            max: -1,
            count: 0,
            wrong,
        })
    }

    pub fn exists(&self) -> bool {
        self.entries.file.is_some()
    }

    /// Takes the entries with offsets up to the end of the batch: no batch before theirs may have a
    /// greater timestamp.
    pub fn batch(&mut self, disk: &dyn Disk, header: &StoredHeader<'_>) -> io::Result<()> {
        while let Some(entry) = self.entries.next
            && self.wrong.is_none()
            && self
                .base_offset
                .saturating_add(i64::from(entry.relative_offset))
                <= header.last_offset()
        {
            let follows = self.last.is_none_or(|last| {
                entry.timestamp > last.timestamp && entry.relative_offset >= last.relative_offset
            });
            let zero = entry.timestamp == 0 && entry.relative_offset == 0;
            if zero && self.entries.ends_in_zeros(disk)? {
                break;
            }
            if !follows {
                self.wrong = Some(Wrong::at(self.entries.next_at, "entries do not ascend"));
            }
            if self.max > entry.timestamp {
                let what = format!(
                    "timestamp {} is said to be the greatest up to offset {}, but {} comes before",
                    entry.timestamp,
                    self.base_offset
                        .saturating_add(i64::from(entry.relative_offset)),
                    self.max
                );
                let wrong = Wrong::at(self.entries.next_at, what);
                self.wrong = self.wrong.take().or(Some(wrong));
            }
            self.count += 1;
            self.last = Some(entry);
            self.entries.advance(disk)?;
        }
        self.max = self.max.max(header.max_timestamp());
        Ok(())
    }

    /// After the last batch. A segment that was closed in order has its greatest timestamp last.
    pub fn finish(&mut self, disk: &dyn Disk, sealed: bool) -> io::Result<()> {
        if self.wrong.is_some() || !self.exists() {
            return Ok(());
        }
        let zero = |entry: TimeEntry| entry.timestamp == 0 && entry.relative_offset == 0;
        if self.entries.next.is_some_and(zero) {
            self.entries.ends_in_zeros(disk)?;
        }
        let last = self.last.map_or(-1, |last| last.timestamp);
        let what = if self.entries.next.is_some() {
            "an entry is of an offset past the end of the segment".to_owned()
        } else if sealed && self.entries.zeros {
            ZEROS.to_owned()
        } else if sealed && self.max > last {
            format!("ends with timestamp {last}, the segment with {}", self.max)
        } else {
            return Ok(());
        };
        self.wrong = Some(Wrong::at(self.entries.next_at, what));
        Ok(())
    }
}

impl Entry for AbortedTransaction {
    const BYTES: usize = txn_index::ENTRY_BYTES;

    fn decode(bytes: &[u8]) -> Option<Self> {
        AbortedTransaction::decode(bytes)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&AbortedTransaction::encode(self));
    }
}

/// The index of aborted transactions of a segment.
pub struct TxnCheck {
    pub path: PathBuf,
    entries: Entries<AbortedTransaction>,
    last_offset: i64,
    pub count: u64,
    pub wrong: Option<Wrong>,
}

impl TxnCheck {
    pub fn open(disk: &dyn Disk, path: PathBuf) -> io::Result<Self> {
        let entries = Entries::<AbortedTransaction>::open(disk, &path)?;
        let wrong = size_wrong::<AbortedTransaction>(entries.size);
        Ok(Self {
            path,
            entries,
            last_offset: i64::MIN,
            count: 0,
            wrong,
        })
    }

    /// Takes the entries whose marker is at or before the end of the batch.
    pub fn batch(&mut self, disk: &dyn Disk, header: &StoredHeader<'_>) -> io::Result<()> {
        while let Some(entry) = self.entries.next
            && self.wrong.is_none()
            && entry.last_offset <= header.last_offset()
        {
            let what = if entry.first_offset > entry.last_offset {
                Some("a transaction ends before it starts".to_owned())
            } else if entry.last_offset < self.last_offset {
                Some("entries do not ascend".to_owned())
            } else if header.last_offset() == entry.last_offset && !header.is_control() {
                Some(format!("no marker is at offset {}", entry.last_offset))
            } else {
                None
            };
            self.wrong = what.map(|what| Wrong::at(self.entries.next_at, what));
            self.count += 1;
            self.last_offset = entry.last_offset;
            self.entries.advance(disk)?;
        }
        Ok(())
    }

    /// After the last batch.
    pub fn finish(&mut self) {
        let what = if self.entries.next.is_some() {
            "a marker is past the end of the segment"
        } else if self.entries.next_at < self.entries.size {
            "an entry has an unknown version"
        } else {
            return;
        };
        let at = self.entries.next_at;
        self.wrong = self.wrong.take().or(Some(Wrong::at(at, what)));
    }
}
