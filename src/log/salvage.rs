//! What recovery cuts off a log is most often torn and worth nothing. Where whole valid batches lie
//! behind the cut, all of it is kept beside the log, for someone to look at, in files that no Kafka
//! takes any notice of:
//!
//! ```text
//! <base offset>.log.<position>.cut     the segment's bytes from that position on
//! ```
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{At, LogError};
use super::names::LOG_SUFFIX;
use super::place::Place;
use super::scan::Scanner;
use super::segment::Segment;
use super::storage::{OpenMode, remove_if_exists};

const CUT_SUFFIX: &str = ".cut";
const BLOCK_BYTES: usize = 1 << 20;

/// What is cut off a log.
pub(super) struct Cut<'a> {
    pub place: &'a Place,
    pub segment: &'a Segment,
    pub position: u32,
    pub next_offset: i64,
    /// Segments behind, which go as a whole.
    pub later: &'a [Arc<Segment>],
}

impl Cut<'_> {
    /// Keeps aside what is cut, if there is anything valid in it. It is on the device before this
    /// returns; returns where it is.
    pub fn keep(&self) -> Result<Vec<PathBuf>, LogError> {
        let mut kept = Vec::new();
        if !self.is_worth_keeping()? {
            return Ok(kept);
        }
        if self.segment_bytes(self.segment)? > u64::from(self.position) {
            let to = self.free_name(self.segment.base_offset(), self.position)?;
            match self.copy_tail(&to) {
                Ok(()) => kept.push(to),
                Err(e) if e.is_disk_full() => {
                    tracing::error!("no room to keep what is cut off: {e}");
                    remove_if_exists(self.place.disk.as_ref(), &to).at(&to)?;
                }
                Err(e) => return Err(e),
            }
        }
        for segment in self.later {
            if self.segment_bytes(segment)? > 0 {
                segment.close();
                let from = self.place.file(segment.base_offset(), LOG_SUFFIX);
                let to = self.free_name(segment.base_offset(), 0)?;
                self.place.disk.rename(&from, &to).at(&from)?;
                kept.push(to);
            }
        }
        let dir = self.place.dir();
        self.place.disk.sync_dir(&dir).at(&dir)?;
        Ok(kept)
    }

    fn is_worth_keeping(&self) -> Result<bool, LogError> {
        let behind = u64::from(self.position) + 1;
        let mut scanner = Scanner::new(self.place, self.segment)?;
        if scanner.find_batch(behind, self.next_offset)?.is_some() {
            return Ok(true);
        }
        for segment in self.later {
            let mut scanner = Scanner::new(self.place, segment)?;
            if scanner.find_batch(0, segment.base_offset())?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn segment_bytes(&self, segment: &Segment) -> Result<u64, LogError> {
        let path = self.place.file(segment.base_offset(), LOG_SUFFIX);
        Ok(self.place.disk.stat(&path).at(&path)?.0)
    }

    fn copy_tail(&self, to: &Path) -> Result<(), LogError> {
        let disk = self.place.disk.as_ref();
        let from = self.segment.file(self.place)?;
        let file = disk.open(to, OpenMode::Truncate).at(to)?;
        let mut block = vec![0; BLOCK_BYTES];
        let mut done = 0;
        loop {
            let read = disk
                .read_at(&from, &mut block, u64::from(self.position) + done)
                .at(to)?;
            let piece = block.get(..read).unwrap_or_default();
            if piece.is_empty() {
                break;
            }
            disk.write_at(&file, &mut [IoSlice::new(piece)], done)
                .at(to)?;
            done += piece.len() as u64;
        }
        disk.sync(&file).at(to)
    }

    /// A name that nothing kept before has.
    fn free_name(&self, base_offset: i64, position: u32) -> Result<PathBuf, LogError> {
        let mut suffix = format!("{LOG_SUFFIX}.{position}{CUT_SUFFIX}");
        let mut copies = 1;
        loop {
            let path = self.place.file(base_offset, &suffix);
            match self.place.disk.stat(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(path),
                other => other.at(&path)?,
            };
            copies += 1;
            suffix = format!("{LOG_SUFFIX}.{position}.{copies}{CUT_SUFFIX}");
        }
    }
}
