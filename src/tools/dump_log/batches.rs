//! A segment read batch by batch as Kafka's `FileLogInputStream` does: up to the first that its end
//! cuts off, one batch in memory at a time at most.
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, anyhow, bail};

use crate::record::{HEADER_LEN, LOG_OVERHEAD, MAGIC_END, StoredHeader};

/// Bytes summed or read at once.
const BLOCK_BYTES: usize = 256 << 10;
/// CRC, magic, attributes and two lengths: less is no batch in any format.
const SIZE_MIN: i32 = 14;

pub struct SegmentFile<'a> {
    path: &'a Path,
    file: File,
    size: u64,
}

impl<'a> SegmentFile<'a> {
    pub fn open(path: &'a Path) -> anyhow::Result<Self> {
        let file = open(path)?;
        let size = file
            .metadata()
            .with_context(|| path.display().to_string())?
            .len();
        Ok(Self { path, file, size })
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// The batches from `position` on that end before `end`.
    pub fn batches(&self, position: u64, end: u64) -> FileBatches<'_> {
        FileBatches {
            segment: self,
            position,
            end: end.min(self.size),
        }
    }

    /// Fills `buffer` from `position`, as far as the file goes.
    fn read(&self, buffer: &mut Vec<u8>, position: u64, len: usize) -> anyhow::Result<()> {
        buffer.clear();
        let len = u64::try_from(len)?.min(self.size.saturating_sub(position));
        buffer.resize(usize::try_from(len)?, 0);
        self.file
            .read_exact_at(buffer, position)
            .with_context(|| self.path.display().to_string())
    }
}

/// Opens a file that is there, or says of it what Java says.
pub fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "No such file or directory",
            io::ErrorKind::PermissionDenied => "Permission denied",
            _ => return anyhow!("{}: {error}", path.display()),
        };
        anyhow!("{} ({why})", path.display())
    })
}

pub struct FileBatches<'s> {
    segment: &'s SegmentFile<'s>,
    position: u64,
    end: u64,
}

/// A batch that is whole in its file.
pub struct FileBatch<'s> {
    segment: &'s SegmentFile<'s>,
    pub position: u64,
    pub size: usize,
    header: Vec<u8>,
}

impl<'s> FileBatches<'s> {
    /// Where the next batch would begin.
    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn next(&mut self) -> anyhow::Result<Option<FileBatch<'s>>> {
        let left = self.end.saturating_sub(self.position);
        if left <= MAGIC_END as u64 {
            return Ok(None);
        }
        let mut header = Vec::new();
        self.segment.read(&mut header, self.position, HEADER_LEN)?;
        let size = header.get(8..12).and_then(|size| size.try_into().ok());
        let size = size.map_or(0, i32::from_be_bytes);
        let path = self.segment.path.display();
        if size < SIZE_MIN {
            bail!(
                "Found record size {size} smaller than minimum record overhead ({SIZE_MIN}) in \
                 file {path}."
            );
        }
        let size = usize::try_from(size)? + LOG_OVERHEAD;
        if size as u64 > left {
            return Ok(None);
        }
        let batch = FileBatch {
            segment: self.segment,
            position: self.position,
            size,
            header,
        };
        batch.header()?;
        self.position += size as u64;
        Ok(Some(batch))
    }
}

impl FileBatch<'_> {
    pub fn header(&self) -> anyhow::Result<StoredHeader<'_>> {
        let at = || {
            format!(
                "{}, position {}",
                self.segment.path.display(),
                self.position
            )
        };
        StoredHeader::parse(&self.header)
            .with_context(at)?
            .ok_or_else(|| anyhow!("{}: the file ends within the header of a batch", at()))
    }

    /// Whether the batch is what its CRC was computed of; read piece by piece.
    pub fn is_valid(&self) -> anyhow::Result<bool> {
        let header = self.header()?;
        let mut sum = header.checksum();
        let mut at = sum.covers_from();
        let mut block = Vec::new();
        while at < self.size {
            let len = BLOCK_BYTES.min(self.size - at);
            self.segment
                .read(&mut block, self.position + at as u64, len)?;
            if block.is_empty() {
                return Ok(false);
            }
            sum.update(&block);
            at += block.len();
        }
        Ok(sum.sum() == header.crc())
    }

    /// The whole batch.
    pub fn read(&self, buffer: &mut Vec<u8>) -> anyhow::Result<()> {
        self.segment.read(buffer, self.position, self.size)
    }
}
