//! One segment: its log file, its indexes, and what is known of its end.
//!
//! Everything but the name is read on first use: a log that nobody touches costs no descriptor. The
//! last batches are kept in memory, so that consumers at the end need neither index nor header.
use std::fs::File;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::error::{At, LogError, ReadError};
use super::file_cache::CachedFile;
use super::names::{INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX};
use super::offset_index::OffsetIndex;
use super::place::Place;
use super::scan::{Scanned, scan_segment};
use super::storage::{OpenMode, copy_aside};
use super::time_index::{TimeEntry, TimeIndex};
use crate::record::{HEADER_LEN, StoredHeader};

mod facts;
mod faults;
mod lookup;
mod state;

pub(super) use state::State;

/// Spacing of the entries of an index that is rebuilt because it makes no sense.
const REBUILT_INDEX_INTERVAL_BYTES: u32 = 4096;

/// A batch in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedBatch {
    pub base_offset: i64,
    pub last_offset: i64,
    pub position: u32,
    pub size: u32,
    pub max_timestamp: i64,
}

/// Where the batch that holds an offset, or the first one after it, starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located {
    pub position: u32,
    /// `None`: its header was not read.
    pub size: Option<u32>,
}

/// A timestamp and the offset that goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampAndOffset {
    pub timestamp: i64,
    pub offset: i64,
}

/// What decides whether a new segment has to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollFacts {
    pub size: u32,
    /// Of the first batch.
    pub first_timestamp: Option<i64>,
    /// Either index has no room for another entry.
    pub indexes_full: bool,
}

/// A segment.
#[derive(Debug)]
pub struct Segment {
    base_offset: i64,
    created_ms: i64,
    log: CachedFile,
    has_txn_index: AtomicBool,
    /// Compaction has put others in its place: its files are not to be looked for.
    replaced: AtomicBool,
    /// The log file has no other name, so that writing to it changes nobody else's.
    own: AtomicBool,
    /// What reads have found to be damaged, in no order.
    faults: Mutex<Vec<faults::Fault>>,
    /// There are any.
    damaged: AtomicBool,
    state: Mutex<State>,
}

impl Segment {
    /// A segment that is on the disk.
    pub fn existing(base_offset: i64, created_ms: i64, has_txn_index: bool) -> Self {
        Self {
            base_offset,
            created_ms,
            log: CachedFile::default(),
            has_txn_index: AtomicBool::new(has_txn_index),
            replaced: AtomicBool::new(false),
            own: AtomicBool::new(false),
            faults: Mutex::default(),
            damaged: AtomicBool::new(false),
            state: Mutex::new(State::empty(base_offset)),
        }
    }

    /// Creates the files of an empty segment, setting aside `preallocate` bytes if asked.
    pub fn create(
        place: &Place,
        base_offset: i64,
        now_ms: i64,
        preallocate: Option<u32>,
    ) -> Result<Self, LogError> {
        let path = place.file(base_offset, LOG_SUFFIX);
        let file = place.disk.open(&path, OpenMode::Truncate).at(&path)?;
        if let Some(bytes) = preallocate {
            place.disk.allocate(&file, u64::from(bytes)).at(&path)?;
        }
        for suffix in [INDEX_SUFFIX, TIME_INDEX_SUFFIX] {
            let path = place.file(base_offset, suffix);
            place
                .disk
                .open(&path, OpenMode::Truncate)
                .map(drop)
                .at(&path)?;
        }
        let segment = Self::existing(base_offset, now_ms, false);
        segment.own.store(true, Ordering::Relaxed);
        segment.state.lock().loaded = true;
        Ok(segment)
    }

    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    pub fn created_ms(&self) -> i64 {
        self.created_ms
    }

    pub fn has_txn_index(&self) -> bool {
        self.has_txn_index.load(Ordering::Relaxed)
    }

    pub fn set_has_txn_index(&self, has: bool) {
        self.has_txn_index.store(has, Ordering::Relaxed);
    }

    /// The log file, opened if it is not.
    pub fn file(&self, place: &Place) -> Result<Arc<File>, LogError> {
        let path = || place.file(self.base_offset, LOG_SUFFIX);
        let file = place
            .files
            .get(&self.log, place.disk.as_ref(), path)
            .map_err(|source| LogError::Io {
                path: path(),
                source,
            })?;
        // In this order: what was opened before the mark was set is still this segment's.
        self.check_in_place(place)?;
        Ok(file)
    }

    /// The log file for writing. One that has other names, as a fork or a backup of hard links has, is replaced by a
    /// copy before the first write.
    fn own_file(&self, place: &Place) -> Result<Arc<File>, LogError> {
        let file = self.file(place)?;
        if self.own.load(Ordering::Relaxed) {
            return Ok(file);
        }
        let path = place.file(self.base_offset, LOG_SUFFIX);
        let copied = place.disk.is_shared(&file).at(&path)?;
        if copied {
            copy_aside(place.disk.as_ref(), &file, &path).at(&path)?;
            self.log.close();
        }
        self.own.store(true, Ordering::Relaxed);
        if copied { self.file(place) } else { Ok(file) }
    }

    /// Marks a segment that compaction replaces. From here on everything that would look for its
    /// files by their names fails as if they were gone, for there may soon be others of the name.
    pub fn replace(&self) {
        let _state = self.state.lock();
        self.replaced.store(true, Ordering::SeqCst);
    }

    /// Takes [`Self::replace`] back.
    pub fn keep(&self) {
        self.replaced.store(false, Ordering::SeqCst);
    }

    /// Fails with `NotFound` once the segment is replaced: whoever looked at it looks again at the
    /// log's segments.
    pub fn check_in_place(&self, place: &Place) -> Result<(), LogError> {
        if self.replaced.load(Ordering::SeqCst) {
            return Err(std::io::Error::from(std::io::ErrorKind::NotFound))
                .at(&place.file(self.base_offset, LOG_SUFFIX));
        }
        Ok(())
    }

    /// Lets go of the descriptor.
    pub fn close(&self) {
        self.log.close();
    }

    pub fn size(&self, place: &Place) -> Result<u32, LogError> {
        Ok(self.loaded(place)?.size)
    }

    /// One past the last offset.
    pub fn next_offset(&self, place: &Place) -> Result<i64, LogError> {
        Ok(self.loaded(place)?.next_offset)
    }

    /// The greatest timestamp with the last offset of its batch; -1 in an empty segment.
    pub fn max_timestamp(&self, place: &Place) -> Result<TimestampAndOffset, LogError> {
        Ok(self.loaded(place)?.max_timestamp)
    }

    /// The greatest timestamp of the first batch, from which the age of a segment counts.
    pub fn first_timestamp(&self, place: &Place) -> Result<Option<i64>, LogError> {
        let mut state = self.loaded(place)?;
        if state.first_timestamp.is_none() && state.size > 0 {
            let file = self.file(place)?;
            let mut header = [0; HEADER_LEN];
            let path = place.file(self.base_offset, LOG_SUFFIX);
            let read = place.disk.read_at(&file, &mut header, 0).at(&path)?;
            if let Ok(Some(first)) = StoredHeader::parse(header.get(..read).unwrap_or_default()) {
                state.first_timestamp = Some(first.max_timestamp());
            }
        }
        Ok(state.first_timestamp)
    }

    /// What decides whether a new segment has to be started.
    pub fn roll_facts(&self, place: &Place, index_bytes_max: u32) -> Result<RollFacts, LogError> {
        let first_timestamp = self.first_timestamp(place)?;
        let state = self.loaded(place)?;
        let full = |len: u32, entry: usize| len >= index_bytes_max / entry as u32;
        Ok(RollFacts {
            size: state.size,
            first_timestamp,
            indexes_full: full(state.index.len(), super::offset_index::ENTRY_BYTES)
                || full(state.time_index.len(), super::time_index::ENTRY_BYTES),
        })
    }

    /// Takes back bytes that were written at `position` and not published.
    pub fn cut_unpublished(&self, place: &Place, position: u32) {
        if let Ok(file) = self.file(place) {
            // Should it fail, the next write goes over the remains.
            let _ = place.disk.set_size(&file, u64::from(position));
        }
    }

    /// Cuts off what failed writes, or blocks set aside, left behind the end.
    pub fn trim(&self, place: &Place, preallocated: bool) -> Result<(), LogError> {
        let size = self.size(place)?;
        let path = place.file(self.base_offset, LOG_SUFFIX);
        let file = self.file(place)?;
        if !preallocated && place.disk.size(&file).at(&path)? == u64::from(size) {
            return Ok(());
        }
        let file = self.own_file(place)?;
        place.disk.set_size(&file, u64::from(size)).at(&path)
    }

    /// Writes `bufs` at the end of the segment. Nothing is visible before [`Self::publish`]. After
    /// an error the file is cut back; should that fail too, the next write goes over the remains.
    pub fn write(&self, place: &Place, bufs: &mut [IoSlice<'_>]) -> Result<u32, LogError> {
        let position = self.size(place)?;
        let file = self.own_file(place)?;
        let written = place.disk.write_at(&file, bufs, u64::from(position));
        if written.is_err() {
            let _ = place.disk.set_size(&file, u64::from(position));
        }
        written.map_err(|source| LogError::Io {
            path: place.file(self.base_offset, LOG_SUFFIX),
            source,
        })?;
        Ok(position)
    }

    /// Makes written batches visible to readers, and indexes them. Positions follow each other from
    /// the segment's size.
    pub fn publish(&self, place: &Place, batches: &[PlacedBatch], index_interval_bytes: u32) {
        let mut state = self.state.lock();
        for batch in batches {
            if let Err(e) = state.add(place, self.base_offset, batch, index_interval_bytes) {
                // The entry stays in memory and is written with the next ones.
                tracing::warn!(
                    "cannot write an index of segment {} in {}: {e}",
                    self.base_offset,
                    place.dir().display()
                );
            }
        }
    }

    /// The last entry of the time index and of its segment become one, and both indexes are
    /// written: the segment is not appended to again, or the log is closed.
    pub fn seal(&self, place: &Place) -> Result<(), LogError> {
        let mut state = self.loaded(place)?;
        let max = state.max_timestamp;
        if let Ok(relative_offset) = u32::try_from(max.offset - self.base_offset) {
            let entry = TimeEntry {
                timestamp: max.timestamp,
                relative_offset,
            };
            let path = place.file(self.base_offset, TIME_INDEX_SUFFIX);
            if max.timestamp >= 0 {
                state
                    .time_index
                    .append(place.disk.as_ref(), &path, entry)
                    .at(&path)?;
            }
        }
        state.store_indexes(place, self.base_offset)
    }

    /// Forces the log file and, when `sealed`, the indexes to the device.
    pub fn sync(&self, place: &Place, sealed: bool) -> Result<(), LogError> {
        let path = place.file(self.base_offset, LOG_SUFFIX);
        let file = self.file(place)?;
        place
            .disk
            .sync(&file)
            .map_err(|source| LogError::Unsynced { path, source })?;
        if !sealed {
            return Ok(());
        }
        let mut state = self.loaded(place)?;
        let path = place.file(self.base_offset, INDEX_SUFFIX);
        state.index.sync(place.disk.as_ref(), &path).at(&path)?;
        let path = place.file(self.base_offset, TIME_INDEX_SUFFIX);
        state
            .time_index
            .sync(place.disk.as_ref(), &path)
            .at(&path)?;
        if self.has_txn_index() {
            let path = place.file(self.base_offset, TXN_INDEX_SUFFIX);
            let file = place.disk.open(&path, OpenMode::Write).at(&path)?;
            place.disk.sync(&file).at(&path)?;
        }
        Ok(())
    }

    /// Replaces indexes and state by what a scan of the segment found, and cuts the file there.
    pub fn rebuild(&self, place: &Place, scanned: &Scanned) -> Result<(), LogError> {
        let disk = place.disk.as_ref();
        let path = place.file(self.base_offset, LOG_SUFFIX);
        let file = self.file(place)?;
        if disk.size(&file).at(&path)? > u64::from(scanned.size) {
            let file = self.own_file(place)?;
            disk.set_size(&file, u64::from(scanned.size)).at(&path)?;
        }
        self.rebuild_indexes(place, scanned, &mut self.state.lock())
    }

    fn rebuild_indexes(
        &self,
        place: &Place,
        scanned: &Scanned,
        state: &mut State,
    ) -> Result<(), LogError> {
        let disk = place.disk.as_ref();
        *state = State::empty(self.base_offset);
        let believed = scanned.believed;
        let (written, new) = scanned.index.split_at(believed.index as usize);
        state.index.believe(written);
        new.iter().for_each(|entry| state.index.collect(*entry));
        let (written, new) = scanned.time_index.split_at(believed.time_index as usize);
        state.time_index.believe(written);
        new.iter()
            .for_each(|entry| state.time_index.collect(*entry));
        let path = place.file(self.base_offset, INDEX_SUFFIX);
        state.index.replace(disk, &path).at(&path)?;
        let path = place.file(self.base_offset, TIME_INDEX_SUFFIX);
        state.time_index.replace(disk, &path).at(&path)?;
        state.size = scanned.size;
        state.next_offset = scanned.next_offset;
        state.max_timestamp = scanned.max_timestamp;
        state.first_timestamp = scanned.first_timestamp;
        state.bytes_since_entry = scanned.bytes_since_entry;
        state.loaded = true;
        Ok(())
    }

    /// Cuts the segment where the batch with `offset` starts, for good: what is cut off does not come
    /// back after a loss of power.
    pub fn truncate(&self, place: &Place, offset: i64) -> Result<(), ReadError> {
        self.forget_faults();
        let Some(located) = self.locate(place, offset)? else {
            return Ok(());
        };
        let disk = place.disk.as_ref();
        let mut state = self.loaded(place)?;
        let path = place.file(self.base_offset, LOG_SUFFIX);
        let file = self.own_file(place)?;
        disk.set_size(&file, u64::from(located.position))
            .at(&path)?;
        disk.sync(&file).at(&path)?;
        // What the indexes say of the rest stays as it is: recovery may believe it.
        let path = place.file(self.base_offset, INDEX_SUFFIX);
        state
            .index
            .truncate_to(disk, &path, located.position)
            .at(&path)?;
        let relative = u32::try_from(offset - self.base_offset).unwrap_or(0);
        let path = place.file(self.base_offset, TIME_INDEX_SUFFIX);
        state
            .time_index
            .truncate_to(disk, &path, relative)
            .at(&path)?;
        state.size = located.position;
        state.recent.clear();
        state.first_timestamp = None;
        state.max_timestamp = State::empty(self.base_offset).max_timestamp;
        Ok(self.load_end(place, &mut state)?)
    }

    fn loaded(&self, place: &Place) -> Result<MutexGuard<'_, State>, LogError> {
        let mut state = self.state.lock();
        self.check_in_place(place)?;
        if !state.loaded {
            self.load(place, &mut state)?;
        }
        Ok(state)
    }

    fn load(&self, place: &Place, state: &mut State) -> Result<(), LogError> {
        let disk = place.disk.as_ref();
        let path = place.file(self.base_offset, LOG_SUFFIX);
        let size = disk.size(self.file(place)?.as_ref()).at(&path)?;
        let size = u32::try_from(size)
            .map_err(|_| LogError::malformed(&path, "is larger than a segment can be"))?;
        let index_path = place.file(self.base_offset, INDEX_SUFFIX);
        let index = OffsetIndex::open(disk, &index_path, size).at(&index_path)?;
        let time_path = place.file(self.base_offset, TIME_INDEX_SUFFIX);
        let time_index = TimeIndex::open(disk, &time_path).at(&time_path)?;
        let (Some(index), Some(time_index)) = (index, time_index) else {
            tracing::warn!("rebuilding the indexes of {}", path.display());
            let scanned = scan_segment(place, self, REBUILT_INDEX_INTERVAL_BYTES, |_| {})?;
            self.rebuild_indexes(place, &scanned, state)?;
            // A snapshot may vouch for them.
            state.index.sync(disk, &index_path).at(&index_path)?;
            return state.time_index.sync(disk, &time_path).at(&time_path);
        };
        state.size = size;
        state.index = index;
        state.time_index = time_index;
        self.load_end(place, state)
    }

    /// Walks from the last index entry to the end, which gives the next offset.
    fn load_end(&self, place: &Place, state: &mut State) -> Result<(), LogError> {
        if let Some(last) = state.time_index.last() {
            state.max_timestamp = TimestampAndOffset {
                timestamp: last.timestamp,
                offset: self
                    .base_offset
                    .saturating_add(i64::from(last.relative_offset)),
            };
        }
        let from = state.index.last().map_or(0, |last| last.position);
        let mut next_offset = self.base_offset;
        let mut max = state.max_timestamp;
        let size = state.size;
        self.walk(place, from, size, |_, batch| {
            next_offset = batch.next_offset();
            if batch.max_timestamp() > max.timestamp {
                max.timestamp = batch.max_timestamp();
                max.offset = batch.last_offset();
            }
            true
        })
        .map_err(|e| self.damaged(place, e))?;
        state.next_offset = next_offset;
        state.max_timestamp = max;
        state.bytes_since_entry = size - from;
        state.loaded = true;
        Ok(())
    }

    fn damaged(&self, place: &Place, error: ReadError) -> LogError {
        match error {
            ReadError::Storage(e) => e,
            other => LogError::malformed(
                &place.file(self.base_offset, LOG_SUFFIX),
                format!("is damaged although it was closed in order: {other}"),
            ),
        }
    }
}
