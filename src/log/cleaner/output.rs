//! The segment that a cleaning makes of others: written aside, under names that end in `.cleaned`.
use std::fs::File;
use std::io::{ErrorKind, IoSlice};

use crate::log::error::{At, LogError};
use crate::log::names::{
    CLEANED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX, SWAP_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX,
};
use crate::log::offset_index::OffsetIndex;
use crate::log::place::Place;
use crate::log::scan::Scanned;
use crate::log::storage::{OpenMode, remove_if_exists};
use crate::log::swap::SUFFIXES;
use crate::log::time_index::TimeIndex;
use crate::log::txn_index::{self, AbortedTransaction};
use crate::record::StoredHeader;

/// A segment in the making.
pub struct Output<'a> {
    place: &'a Place,
    base_offset: i64,
    index_interval_bytes: u32,
    file: File,
    scanned: Scanned,
}

impl<'a> Output<'a> {
    /// Starts one; what an earlier attempt left is written over.
    pub fn create(
        place: &'a Place,
        base_offset: i64,
        index_interval_bytes: u32,
    ) -> Result<Self, LogError> {
        let path = place.file(base_offset, &aside(LOG_SUFFIX));
        let file = place.disk.open(&path, OpenMode::Truncate).at(&path)?;
        Ok(Self {
            place,
            base_offset,
            index_interval_bytes,
            file,
            scanned: Scanned::new(base_offset),
        })
    }

    /// Where the next batch starts.
    pub fn position(&self) -> u64 {
        u64::from(self.scanned.size)
    }

    /// Takes note of a batch that [`Self::write`] has yet to write.
    pub fn add(&mut self, batch: &StoredHeader<'_>) -> Result<(), String> {
        self.scanned
            .add(self.base_offset, batch, self.index_interval_bytes)
    }

    /// Writes the bytes of the batches noted since `position`.
    pub fn write(&self, bufs: &mut [IoSlice<'_>], position: u64) -> Result<(), LogError> {
        let path = self.place.file(self.base_offset, &aside(LOG_SUFFIX));
        self.place
            .disk
            .write_at(&self.file, bufs, position)
            .at(&path)
    }

    /// Writes the indexes and forces all to the device.
    pub fn finish(
        &mut self,
        aborted: &[AbortedTransaction],
        modified_ms: i64,
    ) -> Result<(), LogError> {
        let disk = self.place.disk.as_ref();
        self.scanned.close(self.base_offset);
        let mut index = OffsetIndex::default();
        self.scanned.index.drain(..).for_each(|e| index.collect(e));
        let path = self.place.file(self.base_offset, &aside(INDEX_SUFFIX));
        index.replace(disk, &path).at(&path)?;
        index.sync(disk, &path).at(&path)?;
        let mut index = TimeIndex::default();
        let entries = &mut self.scanned.time_index;
        entries.drain(..).for_each(|e| index.collect(e));
        let path = self.place.file(self.base_offset, &aside(TIME_INDEX_SUFFIX));
        index.replace(disk, &path).at(&path)?;
        index.sync(disk, &path).at(&path)?;
        let path = self.place.file(self.base_offset, &aside(TXN_INDEX_SUFFIX));
        txn_index::replace(disk, &path, aborted).at(&path)?;
        if !aborted.is_empty() {
            let file = disk.open(&path, OpenMode::Existing).at(&path)?;
            disk.sync(&file).at(&path)?;
        }
        // Retention by time looks at it where records have no timestamps.
        let path = self.place.file(self.base_offset, &aside(LOG_SUFFIX));
        disk.set_modified(&self.file, modified_ms).at(&path)?;
        disk.sync(&self.file).at(&path)
    }
}

/// The suffix of a kind of file that is not complete.
fn aside(kind: &str) -> String {
    format!("{kind}{CLEANED_SUFFIX}")
}

/// Renames a complete output from `.cleaned` to `.swap`, the log file last: from then on a crash
/// carries it through.
pub fn to_swap(place: &Place, base_offset: i64) -> Result<(), LogError> {
    let dir = place.dir();
    // A part of it may not be there under its new name alone.
    place.disk.sync_dir(&dir).at(&dir)?;
    for kind in SUFFIXES.iter().rev() {
        let from = place.file(base_offset, &aside(kind));
        let to = place.file(base_offset, &format!("{kind}{SWAP_SUFFIX}"));
        match place.disk.rename(&from, &to) {
            Err(e) if e.kind() == ErrorKind::NotFound && *kind == TXN_INDEX_SUFFIX => {}
            other => other.at(&from)?,
        }
    }
    place.disk.sync_dir(&dir).at(&dir)
}

/// Removes what was written of an output that will not be used, whatever it is called by now. What
/// could not be removed, the next start removes.
pub fn discard(place: &Place, base_offset: i64) {
    if let Err(e) = try_discard(place, base_offset) {
        tracing::warn!("a cleaned segment is left behind: {e}");
    }
}

/// The log file comes last, called `.cleaned`: as long as it is there, the rest is known to be of
/// no use.
fn try_discard(place: &Place, base_offset: i64) -> Result<(), LogError> {
    let disk = place.disk.as_ref();
    let log = place.file(base_offset, &aside(LOG_SUFFIX));
    let swap = place.file(base_offset, &format!("{LOG_SUFFIX}{SWAP_SUFFIX}"));
    let dir = place.dir();
    match disk.rename(&swap, &log) {
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(e).at(&swap),
        Ok(()) => disk.sync_dir(&dir).at(&dir)?,
    }
    for kind in SUFFIXES.iter().filter(|kind| **kind != LOG_SUFFIX) {
        for suffix in [SWAP_SUFFIX, CLEANED_SUFFIX] {
            let path = place.file(base_offset, &format!("{kind}{suffix}"));
            remove_if_exists(disk, &path).at(&path)?;
        }
    }
    disk.sync_dir(&dir).at(&dir)?;
    remove_if_exists(disk, &log).at(&log)
}
