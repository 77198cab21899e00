//! What of a log is on the device: flushes, which move the recovery point, truncations, which must
//! not be undone, and the end of a clean stop.
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};

use super::error::{At, LogError, ReadError};
use super::log::Log;
use super::names::SNAPSHOT_SUFFIX;
use super::partition_metadata;
use super::storage::OpenMode;

impl Log {
    /// Drops the records at and after `offset` (a follower whose leader never had them).
    pub fn truncate_to(&self, offset: i64) -> Result<(), ReadError> {
        self.activate()?;
        let mut writer = self.writer.lock();
        self.check_usable(&writer)?;
        if offset >= self.log_end_offset() {
            return Ok(());
        }
        let offset = offset.max(self.log_start_offset());
        let segments = self.segments.load_full();
        let kept = segments
            .partition_point(|s| s.base_offset() <= offset)
            .max(1);
        let (kept, gone) = segments.split_at(kept.min(segments.len()));
        self.segments.store(Arc::new(kept.to_vec()));
        let recovery = self.recovery(self.now_at_open_ms);
        for segment in gone.iter().rev() {
            recovery.remove_segment(segment)?;
            // None must come back without those before it, nor behind what is appended from now on.
            self.sync_names()?;
        }
        let active = self.active();
        active.truncate(&self.place, offset)?;
        let end = active.next_offset(&self.place)?.max(active.base_offset());
        self.log_end_offset.store(end, Release);
        self.high_watermark.fetch_min(end, Release);
        self.recovery_point.fetch_min(end, Release);
        recovery.remove_snapshots(|snapshot| snapshot > end)?;
        self.truncate_txn_index(&active, end)?;
        writer.producers = recovery.restore_producers(&self.segments.load(), end)?;
        self.update_first_unstable(&mut writer);
        if self.epochs()?.truncate_from_end(end) {
            self.store_epochs(true)?;
        }
        Ok(())
    }

    /// Forces everything up to the end of the log to the device; the recovery point moves there.
    /// After a failure the log takes no more appends: what the device has is not known.
    pub fn flush(&self, now_ms: i64) -> Result<(), LogError> {
        let result = self.flush_inner(now_ms);
        match &result {
            Ok(()) => {}
            // Nothing was forced and nothing is lost: it is tried again.
            Err(e) if e.is_disk_full() => self.rolled.store(true, Release),
            Err(e) => self.give_up(&e.to_string()),
        }
        result
    }

    /// Takes the log offline, and with it its directory, if that is watched.
    pub fn give_up(&self, cause: &str) {
        self.offline.store(true, Release);
        self.place.disk.give_up(cause);
    }

    fn flush_inner(&self, now_ms: i64) -> Result<(), LogError> {
        if self.is_offline() {
            return Err(LogError::Offline(self.tp.clone()));
        }
        self.rolled.store(false, Release);
        // In this order: the segments hold at least what is below the end that was read.
        let end = self.log_end_offset();
        let segments = self.segments.load_full();
        let point = self.recovery_point();
        // Those that were made since are not in the directory for good.
        let unnamed = segments.iter().any(|s| s.base_offset() >= point);
        for (at, segment) in segments.iter().enumerate() {
            let next = segments.get(at + 1).map(|next| next.base_offset());
            if next.is_some_and(|next| next <= point) || segment.base_offset() >= end {
                continue;
            }
            match segment.sync(&self.place, next.is_some()) {
                // What took its place is on the device.
                Err(_) if segment.check_in_place(&self.place).is_err() => continue,
                other => other?,
            }
            if let Some(base_offset) = next {
                self.sync_file(&self.place.file(base_offset, SNAPSHOT_SUFFIX))?;
            }
        }
        if self.epochs_unsynced.load(Acquire) {
            self.store_epochs(true)?;
        }
        if unnamed {
            self.sync_names()?;
        }
        // A segment that was sealed meanwhile was not forced as such.
        let last = segments.last().map_or(0, |last| last.base_offset());
        let now = self.segments.load();
        let mut bases = now.iter().map(|segment| segment.base_offset());
        let sealed = bases.find(|base_offset| *base_offset > last);
        let point = sealed.map_or(end, |base_offset| end.min(base_offset - 1));
        self.recovery_point.fetch_max(point, Release);
        self.last_flush_ms.store(now_ms, Release);
        Ok(())
    }

    /// Forces to the device which files the log has, and that it is there at all.
    pub(super) fn sync_names(&self) -> Result<(), LogError> {
        let dir = self.place.dir();
        let is_named = self.is_named.load(Acquire);
        if !is_named {
            self.sync_file(&self.place.path(partition_metadata::FILE_NAME))?;
        }
        let deleted = self.regrowth.seen();
        self.place.disk.sync_dir(&dir).at(&dir)?;
        self.regrowth.is_durable(deleted);
        if is_named {
            return Ok(());
        }
        if let Some(parent) = dir.parent() {
            self.place.disk.sync_dir(parent).at(parent)?;
        }
        self.is_named.store(true, Release);
        Ok(())
    }

    /// Whether `flush.ms` has passed since the last flush with records unflushed, or a segment was
    /// rolled.
    pub fn flush_is_due(&self, now_ms: i64) -> bool {
        let unflushed = self.recovery_point() < self.log_end_offset();
        let waited = now_ms.saturating_sub(self.last_flush_ms.load(Acquire));
        self.rolled.load(Acquire) || (unflushed && waited >= self.config_now().flush_ms)
    }

    /// Writes all that a clean start wants to find: indexes, the epoch file, a producer snapshot at
    /// the end. Nothing is appended after it. With `sync` it is forced to the device; without, the
    /// caller does that for the whole file system.
    pub fn close(&self, sync: bool) -> Result<(), LogError> {
        let mut writer = self.writer.lock();
        if writer.closed {
            return Ok(());
        }
        writer.closed = true;
        if self.is_offline() {
            return Err(LogError::Offline(self.tp.clone()));
        }
        let end = self.log_end_offset();
        if self.activated.load(Acquire) {
            let active = self.active();
            active.trim(&self.place, self.config_now().preallocate)?;
            active.seal(&self.place)?;
            if sync || self.recovery_point() >= end {
                // A recovery believes them together with the snapshot.
                active.sync(&self.place, true)?;
                self.sync_names()?;
            }
            if end
                > self
                    .segments
                    .load()
                    .first()
                    .map_or(0, |first| first.base_offset())
            {
                self.recovery(self.now_at_open_ms)
                    .write_snapshot(&writer.producers, end, sync)?;
            }
            if self.epochs_unwritten.load(Acquire) {
                self.store_epochs(sync)?;
            }
        }
        drop(writer);
        if sync && self.activated.load(Acquire) {
            self.flush(self.last_flush_ms.load(Acquire))?;
            // The snapshot's name, and that there is no index where there is none.
            self.sync_names()?;
        }
        for segment in self.segments.load().iter() {
            segment.close();
        }
        Ok(())
    }

    /// After [`Self::close`] and once all is on the device.
    pub(super) fn mark_flushed(&self) {
        self.recovery_point.store(self.log_end_offset(), Release);
    }

    pub(super) fn sync_file(&self, path: &Path) -> Result<(), LogError> {
        match self.place.disk.open(path, OpenMode::Existing) {
            Ok(file) => self.place.disk.sync(&file).at(path),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e).at(path),
        }
    }
}
