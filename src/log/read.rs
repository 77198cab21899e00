//! Reads: where the bytes of a fetch are, without reading them.
use std::fs::File;
use std::sync::Arc;

use super::error::{At, LogError, ReadError};
use super::health::DirHealth;
use super::log::Log;
use super::names::{LOG_SUFFIX, TXN_INDEX_SUFFIX};
use super::segment::Segment;
use super::storage::at_once;
use super::txn_index::{self, AbortedTransaction};

/// Damaged places of a segment that one read looks into.
const FAULTS_PER_READ_MAX: usize = 16;

/// How far a read may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadLimit {
    /// read_uncommitted consumers.
    HighWatermark,
    /// read_committed consumers, who are told of aborted transactions.
    LastStable,
    /// Replicas, and whoever owns the log.
    LogEnd,
}

/// Where records are.
#[derive(Debug, Clone)]
pub enum LogSlice {
    /// A range of a file; the descriptor lives as long as this.
    Local {
        file: Arc<File>,
        position: u64,
        len: usize,
        /// Hears of errors of whoever reads the file.
        health: Option<Arc<DirHealth>>,
    },
}

impl LogSlice {
    pub fn len(&self) -> usize {
        match self {
            Self::Local { len, .. } => *len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, read into memory.
    pub fn to_vec(&self) -> std::io::Result<Vec<u8>> {
        use std::os::unix::fs::FileExt;
        match self {
            Self::Local {
                file,
                position,
                len,
                health,
            } => {
                let mut bytes = vec![0; *len];
                let read = file.read_exact_at(&mut bytes, *position);
                if let (Err(e), Some(health)) = (&read, health) {
                    health.note_of("read", file, e);
                }
                read.map(|()| bytes)
            }
        }
    }
}

/// The answer to a read.
#[derive(Debug, Clone)]
pub struct LogRead {
    /// `None` if there is nothing between the offset and the limit, or not room for one batch.
    pub slice: Option<LogSlice>,
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    pub log_start_offset: i64,
    pub log_end_offset: i64,
    /// For [`ReadLimit::LastStable`]: the aborted transactions that the records may be of.
    pub aborted: Option<Vec<AbortedTransaction>>,
}

impl LogRead {
    /// Bytes of records.
    pub fn len(&self) -> usize {
        self.slice.as_ref().map_or(0, LogSlice::len)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What [`Log::find`] found.
struct Found {
    slice: LogSlice,
    /// The segment's place in the list, and where in it the slice ends.
    at: usize,
    end: u32,
}

impl Log {
    /// Finds the batches from the one that holds `offset` on: at most `max_bytes`, but with
    /// `min_one` the first batch whole, however large. The last batch may be cut off.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        limit: ReadLimit,
        min_one: bool,
    ) -> Result<LogRead, ReadError> {
        self.check_online()?;
        self.activate()?;
        // The end is read last: a limit taken earlier is never past it.
        let high_watermark = self.high_watermark();
        let last_stable_offset = self.last_stable_offset()?;
        let log_start_offset = self.log_start_offset();
        let log_end_offset = self.log_end_offset();
        if offset < log_start_offset || offset > log_end_offset {
            return Err(self.out_of_range(offset));
        }
        let bound = match limit {
            ReadLimit::HighWatermark => high_watermark,
            ReadLimit::LastStable => last_stable_offset.min(high_watermark),
            ReadLimit::LogEnd => log_end_offset,
        };
        let (found, aborted) = self.look(|segments| {
            if offset < self.log_start_offset() {
                return Err(self.out_of_range(offset));
            }
            let found = self.find_sound(segments, offset, max_bytes, bound, min_one)?;
            let aborted = match (limit, &found) {
                (ReadLimit::LastStable, Some(found)) => {
                    Some(self.aborted_in(segments, offset, found, bound)?)
                }
                (ReadLimit::LastStable, None) => Some(Vec::new()),
                _ => None,
            };
            Ok((found, aborted))
        })?;
        Ok(LogRead {
            slice: found.map(|found| found.slice),
            high_watermark,
            last_stable_offset,
            log_start_offset,
            log_end_offset,
            aborted,
        })
    }

    /// As [`Self::read`]; `None` if that would have to wait for the device.
    pub fn read_at_once(
        &self,
        offset: i64,
        max_bytes: usize,
        limit: ReadLimit,
        min_one: bool,
    ) -> Option<Result<LogRead, ReadError>> {
        if self.is_asleep() {
            return None;
        }
        let read = at_once(|| self.read(offset, max_bytes, limit, min_one));
        match &read {
            Err(ReadError::Storage(LogError::Io { source, .. }))
                if source.kind() == std::io::ErrorKind::WouldBlock =>
            {
                None
            }
            _ => Some(read),
        }
    }

    /// The aborted transactions with offsets in `from..to`.
    pub fn aborted_transactions(
        &self,
        from: i64,
        to: i64,
    ) -> Result<Vec<AbortedTransaction>, ReadError> {
        self.look(|segments| {
            let first = segments
                .partition_point(|s| s.base_offset() <= from)
                .saturating_sub(1);
            let segments = segments.get(first..).unwrap_or_default();
            Ok(self.collect_aborted(segments, from, to)?)
        })
    }

    /// Runs `look` on the log's segments, and again when some of them were deleted or replaced by
    /// compaction while it looked. Not for holders of the writer's lock.
    pub(super) fn look<T>(
        &self,
        look: impl Fn(&[Arc<Segment>]) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        self.list()?;
        loop {
            let segments = self.segments.load_full();
            match look(&segments) {
                Err(ReadError::Storage(LogError::Io { path, source }))
                    if source.kind() == std::io::ErrorKind::NotFound =>
                {
                    // Whoever takes segments away is done once the lock is free.
                    drop(self.writer.lock());
                    if Arc::ptr_eq(&segments, &self.segments.load_full()) {
                        return Err(LogError::Io { path, source }.into());
                    }
                }
                other => return other,
            }
        }
    }

    /// [`Self::find`]; damage that it meets is looked into, so that what lies behind can be read.
    fn find_sound(
        &self,
        segments: &[Arc<Segment>],
        offset: i64,
        max_bytes: usize,
        bound: i64,
        min_one: bool,
    ) -> Result<Option<Found>, ReadError> {
        for _ in 0..FAULTS_PER_READ_MAX {
            let found = self.find(segments, offset, max_bytes, bound, min_one);
            let Err(ReadError::Corrupt { path, position }) = &found else {
                return found;
            };
            let is_it = |segment: &&Arc<Segment>| {
                self.place.file(segment.base_offset(), LOG_SUFFIX) == *path
            };
            let is_news = match segments.iter().find(is_it) {
                Some(segment) => segment.note_fault(&self.place, *position)?,
                None => false,
            };
            if !is_news {
                return found;
            }
        }
        self.find(segments, offset, max_bytes, bound, min_one)
    }

    fn find(
        &self,
        segments: &[Arc<Segment>],
        offset: i64,
        max_bytes: usize,
        bound: i64,
        min_one: bool,
    ) -> Result<Option<Found>, ReadError> {
        if offset >= bound {
            return Ok(None);
        }
        let first = segments
            .partition_point(|s| s.base_offset() <= offset)
            .saturating_sub(1);
        for (at, segment) in segments.iter().enumerate().skip(first) {
            if segment.base_offset() >= bound {
                return Ok(None);
            }
            // Compaction may have left nothing at the end of a segment.
            let Some(located) = segment.locate(&self.place, offset)? else {
                continue;
            };
            let size = match located.size {
                Some(size) => size,
                None => segment.batch_size(&self.place, located.position)?,
            };
            let end = segment.end_before(&self.place, bound)?;
            let end = segment.sound_until(located.position, end);
            let Some(available) = end.checked_sub(located.position).filter(|len| *len > 0) else {
                return Ok(None);
            };
            let mut len = available as usize;
            if max_bytes < len {
                let first_size = size as usize;
                if max_bytes < first_size {
                    if !min_one {
                        return Ok(None);
                    }
                    len = first_size.min(len);
                } else {
                    len = self.whole_batches(segment, located.position, first_size, max_bytes)?;
                }
            }
            let slice = LogSlice::Local {
                file: segment.file(&self.place)?,
                position: u64::from(located.position),
                len,
                health: self.place.disk.health(),
            };
            return Ok(Some(Found {
                slice,
                at,
                end: located.position + len as u32,
            }));
        }
        Ok(None)
    }

    /// Bytes up to the last start of a batch that is known within `max_bytes`. Where little is
    /// known the end is left as it is, within a batch: clients put up with that.
    fn whole_batches(
        &self,
        segment: &Segment,
        position: u32,
        first_size: usize,
        max_bytes: usize,
    ) -> Result<usize, ReadError> {
        let end = position.saturating_add(u32::try_from(max_bytes).unwrap_or(u32::MAX));
        let boundary = segment.boundary_before(&self.place, end)?;
        let whole = boundary.saturating_sub(position) as usize;
        let worth = whole >= first_size && whole >= max_bytes - max_bytes / 4;
        Ok(if worth { whole } else { max_bytes })
    }

    fn aborted_in(
        &self,
        segments: &[Arc<Segment>],
        offset: i64,
        found: &Found,
        bound: i64,
    ) -> Result<Vec<AbortedTransaction>, ReadError> {
        let upper = match segments.get(found.at) {
            Some(segment) => segment.offset_bound(&self.place, found.end)?,
            None => None,
        };
        let next = || {
            segments
                .get(found.at + 1)
                .map(|segment| segment.base_offset())
        };
        let upper = upper.or_else(next).unwrap_or(bound).min(bound);
        let from = segments.get(found.at..).unwrap_or_default();
        Ok(self.collect_aborted(from, offset, upper)?)
    }

    /// An abort marker lies at or behind its transaction's records, so that later segments than
    /// those read have to be looked at, up to one that tells that nothing open is left.
    fn collect_aborted(
        &self,
        segments: &[Arc<Segment>],
        from: i64,
        to: i64,
    ) -> Result<Vec<AbortedTransaction>, LogError> {
        let mut found = Vec::new();
        for segment in segments.iter().filter(|segment| segment.has_txn_index()) {
            let path = self.place.file(segment.base_offset(), TXN_INDEX_SUFFIX);
            let disk = self.place.disk.as_ref();
            let entries = txn_index::read(disk, &path, segment.base_offset()).at(&path)?;
            segment.check_in_place(&self.place)?;
            let Some(entries) = entries else {
                return Err(LogError::malformed(
                    &path,
                    "is damaged; remove .kafka_cleanshutdown and the recovery point checkpoint, \
                     and restart to have it rebuilt",
                ));
            };
            for entry in entries {
                if entry.last_offset >= from && entry.first_offset < to {
                    found.push(entry);
                }
                if entry.last_stable_offset >= to {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    /// After a truncation to `end`: markers that are gone end nothing.
    pub(super) fn truncate_txn_index(&self, segment: &Segment, end: i64) -> Result<(), LogError> {
        if !segment.has_txn_index() {
            return Ok(());
        }
        let path = self.place.file(segment.base_offset(), TXN_INDEX_SUFFIX);
        let disk = self.place.disk.as_ref();
        let entries = txn_index::read(disk, &path, segment.base_offset()).at(&path)?;
        let mut kept = entries.unwrap_or_default();
        kept.retain(|entry| entry.last_offset < end);
        // What stays is not written again: recovery may believe it.
        txn_index::replace_after(disk, &path, kept.len(), &kept).at(&path)?;
        segment.set_has_txn_index(!kept.is_empty());
        Ok(())
    }
}
