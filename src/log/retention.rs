//! Deletion of old segments: by time, by size, and below the log start offset. Segments leave the
//! log at once; their files get `.deleted` added to their names and go after
//! `file.delete.delay.ms`.
use std::sync::Arc;
use std::sync::atomic::Ordering::Release;

use super::config::LogConfig;
use super::error::{At, LogError};
use super::log::{Log, Writer};
use super::names::{
    DELETED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX, SNAPSHOT_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX,
    file_name,
};
use super::segment::Segment;
use super::storage::remove_if_exists;

/// The files of a segment.
pub(super) const SEGMENT_SUFFIXES: [&str; 5] = [
    LOG_SUFFIX,
    INDEX_SUFFIX,
    TIME_INDEX_SUFFIX,
    TXN_INDEX_SUFFIX,
    SNAPSHOT_SUFFIX,
];

/// A file that goes when its time has come. By name: the directory may be renamed meanwhile.
#[derive(Debug)]
pub(super) struct PendingRemoval {
    pub name: String,
    pub due_ms: i64,
}

/// Why a segment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Start,
    Time,
    Size,
}

impl Log {
    /// Deletes the segments that retention gives up, oldest first, never one that holds records at
    /// or above the high watermark. Returns how many.
    pub fn apply_retention(&self, now_ms: i64) -> Result<usize, LogError> {
        let config = self.config();
        let bounded = config.delete && (config.retention_ms >= 0 || config.retention_bytes >= 0);
        if self.is_dormant() && !bounded && self.checkpointed_log_start().is_none() {
            return Ok(0);
        }
        self.list()?;
        let start_moved = self.checkpointed_log_start().is_some();
        if !bounded && !start_moved {
            return Ok(0);
        }
        if self.is_asleep() && !self.has_deletable(&config, now_ms)? {
            return Ok(0);
        }
        self.activate()?;
        let mut writer = self.writer.lock();
        self.check_usable(&writer)?;
        let mut deleted = 0;
        for reason in [Reason::Start, Reason::Time, Reason::Size] {
            if reason == Reason::Start || config.delete {
                let count = self.count_deletable(reason, &config, now_ms)?;
                deleted += self.delete_oldest(&mut writer, count, reason, &config, now_ms)?;
            }
        }
        Ok(deleted)
    }

    /// Removes the files whose time has come; `i64::MAX` removes all.
    pub fn remove_deleted_files(&self, now_ms: i64) -> Result<(), LogError> {
        let mut removals = self.removals.lock();
        let (due, waiting) = removals
            .drain(..)
            .partition(|removal| removal.due_ms <= now_ms);
        *removals = waiting;
        drop(removals);
        let due: Vec<PendingRemoval> = due;
        let mut result = Ok(());
        for removal in due {
            let path = self.place.path(&removal.name);
            let removed = remove_if_exists(self.place.disk.as_ref(), &path).at(&path);
            // The next start removes what could not be removed now.
            result = result.and(removed);
        }
        result
    }

    fn has_deletable(&self, config: &LogConfig, now_ms: i64) -> Result<bool, LogError> {
        for reason in [Reason::Start, Reason::Time, Reason::Size] {
            if (reason == Reason::Start || config.delete)
                && self.count_deletable(reason, config, now_ms)? > 0
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many of the oldest segments `reason` gives up.
    fn count_deletable(
        &self,
        reason: Reason,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<usize, LogError> {
        let segments = self.segments.load();
        let high_watermark = self.high_watermark();
        if reason == Reason::Start {
            // By their names alone: what is in them concerns nobody any more, and may be damaged.
            let bound = self.log_start_offset().min(high_watermark);
            let begun = segments.partition_point(|segment| segment.base_offset() <= bound);
            return Ok(begun.saturating_sub(1));
        }
        let by_time = reason == Reason::Time;
        let mut excess = match u64::try_from(config.retention_bytes) {
            Ok(bound) if !by_time => self.size_of(&segments)?.saturating_sub(bound),
            _ => 0,
        };
        let mut count = 0;
        for (at, segment) in segments.iter().enumerate() {
            let next = segments.get(at + 1).map(|next| next.base_offset());
            let end = next.unwrap_or_else(|| self.log_end_offset());
            let size = segment.size(&self.place)?;
            if end > high_watermark || (next.is_none() && size == 0) {
                break;
            }
            let gone = if by_time {
                config.retention_ms >= 0
                    && now_ms.saturating_sub(self.newest(segment)?) > config.retention_ms
            } else {
                config.retention_bytes >= 0 && excess >= u64::from(size)
            };
            if !gone {
                break;
            }
            excess = excess.saturating_sub(u64::from(size));
            count += 1;
        }
        Ok(count)
    }

    /// The greatest timestamp of a segment; when it was last written if its records have none.
    fn newest(&self, segment: &Segment) -> Result<i64, LogError> {
        let max = segment.max_timestamp(&self.place)?.timestamp;
        if max >= 0 {
            return Ok(max);
        }
        let path = self.place.file(segment.base_offset(), LOG_SUFFIX);
        Ok(self.place.disk.stat(&path).at(&path)?.1)
    }

    fn delete_oldest(
        &self,
        writer: &mut Writer,
        count: usize,
        reason: Reason,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<usize, LogError> {
        if count == 0 {
            return Ok(0);
        }
        if count == self.segments.load().len() {
            self.roll_locked(writer, self.log_end_offset(), now_ms)?;
        }
        let segments = self.segments.load_full();
        let (gone, kept) = segments.split_at(count.min(segments.len().saturating_sub(1)));
        let Some(first) = kept.first() else {
            return Ok(0);
        };
        // The start moves first: nobody is sent to a file that goes.
        if first.base_offset() > self.log_start_offset() {
            self.move_log_start(writer, first.base_offset())?;
        }
        if first.base_offset() >= self.recovery_point() {
            // Without a segment that is there for good, the log would begin anew at offset 0; and
            // what producers did before it, only its snapshot tells from now on.
            self.sync_file(&self.place.file(first.base_offset(), SNAPSHOT_SUFFIX))?;
            self.sync_names()?;
        }
        self.regrowth.begin();
        self.recovery_point_at_least(first.base_offset());
        self.segments.store(Arc::new(kept.to_vec()));
        let due_ms = now_ms.saturating_add(config.file_delete_delay_ms);
        let mut retired = Ok(());
        for segment in gone {
            tracing::info!(
                "{}: segment {} deleted ({reason:?})",
                self.tp,
                segment.base_offset()
            );
            retired = retired.and_then(|()| self.retire(segment, due_ms));
        }
        self.regrowth.end();
        retired.map(|()| gone.len())
    }

    /// Renames the files of a segment that left the log.
    fn retire(&self, segment: &Segment, due_ms: i64) -> Result<(), LogError> {
        segment.close();
        for suffix in SEGMENT_SUFFIXES {
            let name = file_name(segment.base_offset(), suffix);
            let deleted = format!("{name}{DELETED_SUFFIX}");
            let from = self.place.path(&name);
            match self.place.disk.rename(&from, &self.place.path(&deleted)) {
                Ok(()) => self.removals.lock().push(PendingRemoval {
                    name: deleted,
                    due_ms,
                }),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(e).at(&from),
            }
        }
        Ok(())
    }

    fn recovery_point_at_least(&self, offset: i64) {
        self.recovery_point.fetch_max(offset, Release);
    }
}
