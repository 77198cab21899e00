//! Reads a file of batches from front to back, through a buffer that grows to one batch at most.
use std::fs::File;
use std::io;
use std::path::Path;

use crate::log::storage::{Disk, OpenMode};
use crate::record::{BatchError, HEADER_LEN, StoredBatch, StoredHeader};

/// Bytes read at once.
const BLOCK_BYTES: usize = 1 << 20;
/// A larger batch is summed, but its records are not looked at.
const BATCH_BYTES_MAX: usize = 64 << 20;

pub struct BatchReader<'d> {
    disk: &'d dyn Disk,
    file: File,
    /// Bytes in the file.
    pub end: u64,
    block: Vec<u8>,
    start: u64,
    len: usize,
}

/// What is at a position.
pub enum Found<'b> {
    End,
    Batch {
        header: StoredHeader<'b>,
        /// The whole batch, unless it is too large to be held.
        batch: Option<StoredBatch<'b>>,
        /// Whether the CRC holds, and the bounds of what it covers.
        checked: Result<(), BatchError>,
    },
    /// No batch; nothing can be told of what follows.
    Broken(String),
}

impl<'d> BatchReader<'d> {
    pub fn open(disk: &'d dyn Disk, path: &Path) -> io::Result<Self> {
        let file = disk.open(path, OpenMode::Read)?;
        let end = disk.size(&file)?;
        Ok(Self {
            disk,
            file,
            end,
            block: Vec::new(),
            start: 0,
            len: 0,
        })
    }

    pub fn at(&mut self, position: u64) -> io::Result<Found<'_>> {
        if position >= self.end {
            return Ok(Found::End);
        }
        self.fill(position, HEADER_LEN)?;
        let header = match StoredHeader::parse(self.bytes_at(position)) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(Found::Broken(self.torn(position))),
            Err(e) => return Ok(Found::Broken(e.to_string())),
        };
        let (size, mut checksum) = (header.size(), header.checksum());
        if size as u64 > self.end - position {
            return Ok(Found::Broken(self.torn(position)));
        }
        let held = size <= BATCH_BYTES_MAX;
        if held {
            self.fill(position, size)?;
            let bytes = self.bytes_at(position).get(checksum.covers_from()..size);
            checksum.update(bytes.unwrap_or_default());
        } else {
            let mut at = position + checksum.covers_from() as u64;
            let end = position + size as u64;
            while at < end {
                let wanted = BLOCK_BYTES.min((end - at) as usize);
                self.fill(at, wanted)?;
                let piece = self.bytes_at(at).get(..wanted).unwrap_or_default();
                if piece.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                checksum.update(piece);
                at += wanted as u64;
            }
            self.fill(position, HEADER_LEN)?;
        }
        let bytes = self.bytes_at(position);
        let Ok(Some(header)) = StoredHeader::parse(bytes) else {
            return Ok(Found::Broken("changed while it was read".to_owned()));
        };
        let (stored, computed) = (header.crc(), checksum.sum());
        let (batch, checked) = if stored != computed {
            (None, Err(BatchError::CrcMismatch { stored, computed }))
        } else if held {
            match StoredBatch::first(bytes) {
                Ok(batch) => (batch, Ok(())),
                Err(e) => (None, Err(e)),
            }
        } else {
            (None, Ok(()))
        };
        Ok(Found::Batch {
            header,
            batch,
            checked,
        })
    }

    fn torn(&self, position: u64) -> String {
        format!(
            "the file ends within a batch, {} bytes after its start",
            self.end - position
        )
    }

    fn bytes_at(&self, position: u64) -> &[u8] {
        let at = position.saturating_sub(self.start) as usize;
        self.block.get(at..self.len).unwrap_or_default()
    }

    /// Makes at least `wanted` bytes from `position` on available, if the file has them.
    fn fill(&mut self, position: u64, wanted: usize) -> io::Result<()> {
        let filled = self.start + self.len as u64;
        let wanted = wanted.min(usize::try_from(self.end - position).unwrap_or(usize::MAX));
        if position >= self.start && position + wanted as u64 <= filled {
            return Ok(());
        }
        let room = BLOCK_BYTES
            .max(wanted)
            .min(usize::try_from(self.end - position).unwrap_or(usize::MAX));
        let keep = if (self.start..filled).contains(&position) {
            let at = (position - self.start) as usize;
            self.block.copy_within(at..self.len, 0);
            self.len - at
        } else {
            0
        };
        self.block.resize(room.max(keep), 0);
        let rest = self.block.get_mut(keep..).unwrap_or_default();
        let read = self
            .disk
            .read_at(&self.file, rest, position + keep as u64)?;
        self.start = position;
        self.len = keep + read;
        Ok(())
    }
}
