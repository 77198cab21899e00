//! Reading a segment in large pieces, whole batches each.
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::CleaningError;
use crate::log::error::At;
use crate::log::storage::Disk;
use crate::record::LOG_OVERHEAD;

/// Reads a segment from a position on, through a buffer that grows only for a batch larger than it.
pub struct Chunks<'a> {
    pub disk: &'a dyn Disk,
    pub file: Arc<File>,
    pub path: &'a Path,
    /// Bytes of whole batches in the segment.
    pub end: u64,
    /// Where the buffer's first byte is in the file.
    pub position: u64,
    filled: usize,
    buffer: &'a mut Vec<u8>,
}

impl<'a> Chunks<'a> {
    pub fn new(
        disk: &'a dyn Disk,
        file: Arc<File>,
        path: &'a Path,
        range: std::ops::Range<u64>,
        buffer: &'a mut Vec<u8>,
    ) -> Self {
        Self {
            disk,
            file,
            path,
            end: range.end,
            position: range.start,
            filled: 0,
            buffer,
        }
    }

    /// Goes on by `consumed` bytes and gives what follows, at least one whole batch; `None` at the
    /// end.
    pub fn next(&mut self, consumed: usize) -> Result<Option<&[u8]>, CleaningError> {
        self.buffer.copy_within(consumed..self.filled, 0);
        self.position += consumed as u64;
        self.filled -= consumed;
        loop {
            let wanted = self.first_size()?;
            if wanted <= self.filled {
                return Ok(self.buffer.get(..self.filled));
            }
            let left = self.end.saturating_sub(self.position);
            if left == 0 {
                return Ok(None);
            }
            if wanted as u64 > left {
                return Err(self.corrupt(0, "the file ends within a batch"));
            }
            if wanted > self.buffer.len() {
                self.buffer.resize(wanted, 0);
            }
            let room =
                usize::try_from(left).map_or(self.buffer.len(), |left| left.min(self.buffer.len()));
            let free = self.buffer.get_mut(self.filled..room).unwrap_or_default();
            let read = self
                .disk
                .read_at(&self.file, free, self.position + self.filled as u64)
                .at(self.path)?;
            if read == 0 {
                return Err(self.corrupt(0, "the file is shorter than it was"));
            }
            self.filled += read;
        }
    }

    /// The damage found `at` bytes behind the buffer's start.
    pub fn corrupt(&self, at: usize, reason: impl ToString) -> CleaningError {
        CleaningError::Corrupt {
            path: self.path.to_owned(),
            position: self.position + at as u64,
            reason: reason.to_string(),
        }
    }

    /// The size of the batch that the buffer starts with, or what is needed to know it.
    fn first_size(&self) -> Result<usize, CleaningError> {
        let known = self.buffer.get(..self.filled).unwrap_or_default();
        let Some(overhead) = known.first_chunk::<LOG_OVERHEAD>() else {
            return Ok(LOG_OVERHEAD);
        };
        let length = i32::from_be_bytes([overhead[8], overhead[9], overhead[10], overhead[11]]);
        match usize::try_from(length) {
            Ok(length) => Ok(LOG_OVERHEAD + length),
            Err(_) => Err(self.corrupt(0, format!("a batch of {length} bytes"))),
        }
    }
}
