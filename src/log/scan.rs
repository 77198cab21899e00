//! Reading a segment batch by batch, checking all that can be checked, up to the first fault: what
//! recovery, a truncation and a lost index build on.
use std::sync::Arc;

use super::error::{At, LogError};
use super::names::LOG_SUFFIX;
use super::offset_index::OffsetEntry;
use super::place::Place;
use super::progress::Progress;
use super::segment::{Segment, TimestampAndOffset};
use super::time_index::TimeEntry;
use crate::record::{BatchError, Checksum, HEADER_LEN, NO_TIMESTAMP, StoredBatch, StoredHeader};

/// Bytes of a segment read at once. Larger batches are summed piece by piece: memory does not
/// depend on what a damaged length says.
pub(super) const SCAN_BLOCK_BYTES: usize = 1 << 20;
/// Bytes scanned between two looks at the progress.
const PROGRESS_BYTES: u64 = 16 << 20;

/// A valid batch met by [`scan_segment`].
pub(super) struct ScannedBatch<'a> {
    pub header: StoredHeader<'a>,
    /// The whole batch, unless it is larger than a block.
    pub batch: Option<StoredBatch<'a>>,
}

/// What a scan found.
#[derive(Debug)]
pub struct Scanned {
    /// Bytes of whole valid batches.
    pub size: u32,
    pub next_offset: i64,
    pub max_timestamp: TimestampAndOffset,
    pub first_timestamp: Option<i64>,
    pub bytes_since_entry: u32,
    pub index: Vec<OffsetEntry>,
    pub time_index: Vec<TimeEntry>,
    /// How many of the entries, from the first on, are in the index files already.
    pub believed: Believed,
    /// Why the scan ended before the end of the file.
    pub fault: Option<String>,
}

/// Entries of a segment's index files that need no rebuilding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Believed {
    pub index: u32,
    pub time_index: u32,
}

/// Where a scan begins: at the batch that the last entry names.
#[derive(Debug, Clone, Default)]
pub(super) struct ScanStart {
    pub index: Vec<OffsetEntry>,
    pub time_index: Vec<TimeEntry>,
}

/// Reads a segment from its start to the first fault, checking length, CRC and offsets.
pub(super) fn scan_segment(
    place: &Place,
    segment: &Segment,
    index_interval_bytes: u32,
    on_batch: impl FnMut(&ScannedBatch<'_>),
) -> Result<Scanned, LogError> {
    let mut scanner = Scanner::new(place, segment)?;
    let found = Scanned::new(segment.base_offset());
    scanner.scan(found, index_interval_bytes, &Progress::default(), on_batch)
}

impl Scanner<'_> {
    /// As [`scan_segment`], but from the batch that `start` names.
    pub fn scan_from(
        &mut self,
        start: ScanStart,
        index_interval_bytes: u32,
        progress: &Progress,
        on_batch: impl FnMut(&ScannedBatch<'_>),
    ) -> Result<Scanned, LogError> {
        let base_offset = self.segment.base_offset();
        let found = match start.index.last().copied() {
            Some(last) => Scanned::resumed(base_offset, start, last.position),
            None => Scanned::new(base_offset),
        };
        self.scan(found, index_interval_bytes, progress, on_batch)
    }

    fn scan(
        &mut self,
        mut found: Scanned,
        index_interval_bytes: u32,
        progress: &Progress,
        mut on_batch: impl FnMut(&ScannedBatch<'_>),
    ) -> Result<Scanned, LogError> {
        let base_offset = self.segment.base_offset();
        let mut told = u64::from(found.size);
        while found.fault.is_none() && u64::from(found.size) < self.end {
            let position = u64::from(found.size);
            if position - told >= PROGRESS_BYTES {
                progress.read(position - told);
                told = position;
            }
            match self.batch_at(position)? {
                Ok(batch) => match found.add(base_offset, &batch.header, index_interval_bytes) {
                    Ok(()) => on_batch(&batch),
                    Err(fault) => found.fault = Some(fault),
                },
                Err(fault) => found.fault = Some(fault),
            }
        }
        progress.read(u64::from(found.size) - told);
        found.close(base_offset);
        Ok(found)
    }

    /// Where the first whole valid batch behind `position` starts that could go on from
    /// `next_offset`.
    pub fn find_batch(&mut self, position: u64, next_offset: i64) -> Result<Option<u64>, LogError> {
        let mut at = position;
        while at + (HEADER_LEN as u64) <= self.end {
            self.fill(at, HEADER_LEN)?;
            let bytes = self.bytes_at(at);
            if bytes.len() < HEADER_LEN {
                break;
            }
            // Cheap looks first: almost no place that is no batch gets past them.
            let candidate = bytes.windows(HEADER_LEN).position(|header| {
                matches!(header.get(MAGIC_AT), Some(0..=2))
                    && self.may_follow(header, at, next_offset)
            });
            let Some(found) = candidate else {
                at += (bytes.len() - HEADER_LEN + 1) as u64;
                continue;
            };
            at += found as u64;
            if self.batch_at(at)?.is_ok() {
                return Ok(Some(at));
            }
            at += 1;
        }
        Ok(None)
    }

    fn may_follow(&self, header: &[u8], at: u64, next_offset: i64) -> bool {
        let bound = self
            .segment
            .base_offset()
            .saturating_add(i64::from(i32::MAX));
        match StoredHeader::parse(header) {
            Ok(Some(header)) => {
                (next_offset..=bound).contains(&header.last_offset())
                    && header.size() as u64 <= self.end - at
            }
            _ => false,
        }
    }
}

impl Scanned {
    pub fn new(base_offset: i64) -> Self {
        Self {
            size: 0,
            next_offset: base_offset,
            max_timestamp: TimestampAndOffset {
                timestamp: NO_TIMESTAMP,
                offset: -1,
            },
            first_timestamp: None,
            bytes_since_entry: 0,
            index: Vec::new(),
            time_index: Vec::new(),
            believed: Believed::default(),
            fault: None,
        }
    }

    /// With all that comes before the last entry's batch, which is at `position`.
    fn resumed(base_offset: i64, start: ScanStart, position: u32) -> Self {
        let before = start.index.iter().rev().nth(1);
        let offset_of = |relative: u32| base_offset + i64::from(relative);
        let mut found = Self {
            size: position,
            next_offset: before.map_or(base_offset, |e| offset_of(e.relative_offset) + 1),
            believed: Believed {
                index: start.index.len() as u32,
                time_index: start.time_index.len() as u32,
            },
            ..Self::new(base_offset)
        };
        if let Some(last) = start.time_index.last() {
            found.max_timestamp = TimestampAndOffset {
                timestamp: last.timestamp,
                offset: offset_of(last.relative_offset),
            };
        }
        (found.index, found.time_index) = (start.index, start.time_index);
        found
    }

    /// Whether an entry for a batch before `offset` is to be written.
    pub fn rebuilds_before(&self, base_offset: i64, offset: i64) -> bool {
        let first = self.index.get(self.believed.index as usize);
        first.is_some_and(|entry| base_offset + i64::from(entry.relative_offset) < offset)
    }

    /// Takes a batch in that lies behind the others; an error says why it cannot.
    pub fn add(
        &mut self,
        base_offset: i64,
        batch: &StoredHeader<'_>,
        index_interval_bytes: u32,
    ) -> Result<(), String> {
        let last_offset = batch.last_offset();
        let relative = last_offset
            .checked_sub(base_offset)
            .and_then(|relative| u32::try_from(relative).ok())
            .filter(|r| *r <= MAX_RELATIVE && last_offset < i64::MAX);
        let size = u32::try_from(batch.size())
            .ok()
            .and_then(|size| self.size.checked_add(size));
        let (Some(relative_offset), Some(size)) = (relative, size) else {
            return Err(format!("offset {last_offset} does not fit the segment"));
        };
        // A compressed message set says where it ends alone.
        let base_offset_of_batch = batch.base_offset().unwrap_or(last_offset);
        if base_offset_of_batch < self.next_offset || last_offset < base_offset_of_batch {
            return Err(format!(
                "offsets {base_offset_of_batch} to {last_offset} do not follow {}",
                self.next_offset
            ));
        }
        if batch.max_timestamp() > self.max_timestamp.timestamp {
            self.max_timestamp = TimestampAndOffset {
                timestamp: batch.max_timestamp(),
                offset: last_offset,
            };
        }
        if self.bytes_since_entry > index_interval_bytes {
            self.index.push(OffsetEntry {
                relative_offset,
                position: self.size,
            });
            self.add_time_entry(base_offset);
            self.bytes_since_entry = 0;
        }
        if self.size == 0 {
            self.first_timestamp = Some(batch.max_timestamp());
        }
        self.bytes_since_entry = self.bytes_since_entry.saturating_add(size - self.size);
        self.size = size;
        self.next_offset = last_offset + 1;
        Ok(())
    }

    /// The last entry of the time index is that of the whole segment.
    pub fn close(&mut self, base_offset: i64) {
        if self.max_timestamp.timestamp >= 0 {
            self.add_time_entry(base_offset);
        }
    }

    fn add_time_entry(&mut self, base_offset: i64) {
        let max = self.max_timestamp;
        if let Ok(relative_offset) = u32::try_from(max.offset - base_offset) {
            self.time_index.push(TimeEntry {
                timestamp: max.timestamp,
                relative_offset,
            });
        }
    }
}

const MAX_RELATIVE: u32 = i32::MAX as u32;
const MAGIC_AT: usize = 16;

/// Reads batches one after the other through one block of memory.
pub(super) struct Scanner<'a> {
    place: &'a Place,
    segment: &'a Segment,
    file: Arc<std::fs::File>,
    /// Bytes in the file.
    end: u64,
    block: Vec<u8>,
    /// Where in the file the block starts, and how much of it is filled.
    start: u64,
    len: usize,
}

impl<'a> Scanner<'a> {
    pub fn new(place: &'a Place, segment: &'a Segment) -> Result<Self, LogError> {
        let file = segment.file(place)?;
        let path = place.file(segment.base_offset(), LOG_SUFFIX);
        let end = place.disk.size(&file).at(&path)?;
        let block = vec![0; SCAN_BLOCK_BYTES.min(usize::try_from(end).unwrap_or(usize::MAX))];
        Ok(Self {
            place,
            segment,
            file,
            end,
            block,
            start: 0,
            len: 0,
        })
    }

    /// The valid batch at `position`, or what is wrong with it.
    pub fn batch_at(
        &mut self,
        position: u64,
    ) -> Result<Result<ScannedBatch<'_>, String>, LogError> {
        self.fill(position, HEADER_LEN)?;
        let header = match StoredHeader::parse(self.bytes_at(position)) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(Err("the file ends within a batch".to_owned())),
            Err(e) => return Ok(Err(e.to_string())),
        };
        let (size, mut checksum) = (header.size(), header.checksum());
        if size as u64 > self.end - position {
            return Ok(Err("the file ends within a batch".to_owned()));
        }
        if size > self.block.len() {
            self.sum(position, size, &mut checksum)?;
        }
        self.fill(position, size.min(self.block.len()))?;
        let bytes = self.bytes_at(position);
        if size <= self.block.len() {
            let covered = bytes.get(checksum.covers_from()..size);
            checksum.update(covered.unwrap_or_default());
        }
        let Ok(Some(header)) = StoredHeader::parse(bytes) else {
            return Ok(Err("the file changed while it was read".to_owned()));
        };
        let (stored, computed) = (header.crc(), checksum.sum());
        if stored != computed {
            return Ok(Err(BatchError::CrcMismatch { stored, computed }.to_string()));
        }
        let batch = StoredBatch::first(bytes).ok().flatten();
        Ok(Ok(ScannedBatch { header, batch }))
    }

    fn bytes_at(&self, position: u64) -> &[u8] {
        let at = position.saturating_sub(self.start) as usize;
        self.block.get(at..self.len).unwrap_or_default()
    }

    /// Makes at least `wanted` bytes from `position` on available, if the file has them.
    fn fill(&mut self, position: u64, wanted: usize) -> Result<(), LogError> {
        let filled = self.start + self.len as u64;
        if position >= self.start && position + wanted as u64 <= filled {
            return Ok(());
        }
        let keep = if (self.start..filled).contains(&position) {
            let at = (position - self.start) as usize;
            self.block.copy_within(at..self.len, 0);
            self.len - at
        } else {
            0
        };
        let path = self.place.file(self.segment.base_offset(), LOG_SUFFIX);
        let room = self.block.get_mut(keep..).unwrap_or_default();
        let read = self
            .place
            .disk
            .read_at(&self.file, room, position + keep as u64)
            .at(&path)?;
        self.start = position;
        self.len = keep + read;
        Ok(())
    }

    /// The CRC of a batch larger than the block.
    fn sum(&mut self, position: u64, size: usize, crc: &mut Checksum) -> Result<(), LogError> {
        let end = position + size as u64;
        let mut at = position + crc.covers_from() as u64;
        while at < end {
            let wanted = self.block.len().min((end - at) as usize);
            self.fill(at, wanted)?;
            let piece = self.bytes_at(at);
            let piece = piece.get(..wanted).unwrap_or(piece);
            if piece.is_empty() {
                break;
            }
            crc.update(piece);
            at += piece.len() as u64;
        }
        Ok(())
    }
}
