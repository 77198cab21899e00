//! How a log wakes. After a clean stop it is opened *dormant*: a path and the offsets that the
//! directory's checkpoints hold. Its directory is listed when someone asks for what is in it
//! ([`Log::list`]), and its end and producers are read before it is read from or appended to
//! ([`Log::activate`]), so that a start costs nothing for partitions that nobody uses.
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use super::config::LogConfig;
use super::error::LogError;
use super::load;
use super::log::{Loaded, Log, LogOptions, Writer};
use super::names::TopicPartition;
use super::place::Place;

/// The log start offset of a dormant log, which only its directory tells: below zero, and the
/// complement of the checkpoint's, under which it cannot be.
fn unlisted(checkpointed: i64) -> i64 {
    !checkpointed.max(0)
}

impl Log {
    /// A log that was closed in order and that nothing is read of before it is used; `None` if the
    /// checkpoints do not tell enough.
    pub(super) fn dormant(
        dir: &Path,
        tp: &TopicPartition,
        config: &Arc<LogConfig>,
        options: &LogOptions,
    ) -> Option<Self> {
        let end = options.recovery_point.filter(|_| options.clean)?;
        let start = options.log_start_offset.unwrap_or(0);
        if start > end {
            return None;
        }
        let place = Place::new(dir.to_owned(), options.disk.clone(), options.files.clone());
        let loaded = Loaded {
            segments: Vec::new(),
            epochs: None,
            producers: None,
            log_start_offset: unlisted(start),
            log_end_offset: end,
            recovery_point: end,
        };
        let log = Self::with(place, tp.clone(), config.clone(), options, loaded);
        log.listed.store(false, Release);
        Some(log)
    }

    pub fn log_start_offset(&self) -> i64 {
        let start = self.log_start_offset.load(Acquire);
        if start >= 0 {
            return start;
        }
        if let Err(e) = self.list() {
            tracing::error!("{}: {e}", self.tp);
        }
        let start = self.log_start_offset.load(Acquire);
        if start >= 0 { start } else { !start }
    }

    /// The log start offset if no segment's name tells it for good.
    pub(super) fn checkpointed_log_start(&self) -> Option<i64> {
        let start = self.log_start_offset.load(Acquire);
        if start < 0 {
            return Some(!start).filter(|start| *start > 0);
        }
        let segments = self.segments.load();
        let first = segments.first().map_or(0, |first| first.base_offset());
        let may_regrow = self.regrowth.is_possible();
        Some(start).filter(|start| *start > first || (may_regrow && *start > 0))
    }

    /// Whether nothing in the log's directory was looked at since the last stop.
    pub(super) fn is_dormant(&self) -> bool {
        !self.listed.load(Acquire)
    }

    /// Whether nothing was read from the log or appended to it since the last stop.
    pub(super) fn is_asleep(&self) -> bool {
        !self.activated.load(Acquire)
    }

    /// Finds the segments, if that was put off.
    pub(super) fn list(&self) -> Result<(), LogError> {
        if self.listed.load(Acquire) {
            return Ok(());
        }
        self.list_locked(&mut self.writer.lock())
    }

    fn list_locked(&self, writer: &mut Writer) -> Result<(), LogError> {
        if self.listed.load(Acquire) {
            return Ok(());
        }
        // Once it is deleted, its directory must not be made anew by a look at it.
        self.check_usable(writer)?;
        let end = self.log_end_offset();
        let options = self.options_when_clean();
        let mut loaded = load::load(&self.tp, &self.place, &self.config_now(), &options)?;
        if loaded.log_end_offset != end {
            tracing::error!(
                "{}: ends at offset {}, not at {end} where it was closed; it is recovered",
                self.tp,
                loaded.log_end_offset
            );
            let last = loaded.segments.last().map_or(0, |last| last.base_offset());
            let options = LogOptions {
                clean: false,
                recovery_point: Some(end.min(last)),
                ..options
            };
            loaded = load::load(&self.tp, &self.place, &self.config_now(), &options)?;
        }
        let all_committed = self.high_watermark() >= end;
        self.adopt(writer, loaded);
        if all_committed {
            self.high_watermark.fetch_max(self.log_end_offset(), AcqRel);
        }
        self.listed.store(true, Release);
        Ok(())
    }

    /// Restores producer state if that was put off when the log was opened, and with it sees that
    /// the log ends where its clean stop left it.
    pub(super) fn activate(&self) -> Result<(), LogError> {
        if self.activated.load(Acquire) {
            return Ok(());
        }
        let mut writer = self.writer.lock();
        self.list_locked(&mut writer)?;
        if self.activated.load(Acquire) {
            return Ok(());
        }
        let end = self.log_end_offset();
        match self.active().next_offset(&self.place) {
            Ok(found) if found == end => {}
            Err(e @ LogError::Io { .. }) => return Err(e),
            other => {
                let found = other.map_or_else(|e| e.to_string(), |found| format!("at {found}"));
                tracing::error!(
                    "{}: was closed in order at offset {end}, but is found otherwise ({found}); \
                     it is recovered",
                    self.tp
                );
                return self.recover_last_segment(&mut writer);
            }
        }
        let recovery = self.recovery(self.now_at_open_ms);
        writer.producers = recovery.restore_producers(&self.segments.load(), end)?;
        self.update_first_unstable(&mut writer);
        self.activated.store(true, Release);
        Ok(())
    }

    fn recover_last_segment(&self, writer: &mut Writer) -> Result<(), LogError> {
        let options = LogOptions {
            clean: false,
            log_start_offset: Some(self.log_start_offset()),
            recovery_point: Some(self.active().base_offset()),
            ..self.options_when_clean()
        };
        let loaded = load::load(&self.tp, &self.place, &self.config_now(), &options)?;
        self.adopt(writer, loaded);
        Ok(())
    }

    fn options_when_clean(&self) -> LogOptions {
        let start = self.log_start_offset.load(Acquire);
        LogOptions {
            disk: self.place.disk.clone(),
            files: self.place.files.clone(),
            clean: true,
            recovery_point: Some(self.recovery_point()),
            log_start_offset: Some(if start < 0 { !start } else { start }),
            high_watermark: None,
            producer_expiration_ms: self.producer_expiration_ms,
            progress: Arc::default(),
            now_ms: self.now_at_open_ms,
        }
    }

    /// Takes over what was found in the directory.
    fn adopt(&self, writer: &mut Writer, loaded: Loaded) {
        self.segments.store(Arc::new(loaded.segments));
        let (start, end) = (loaded.log_start_offset, loaded.log_end_offset);
        self.log_end_offset.store(end, Release);
        self.high_watermark.fetch_min(end, Release);
        self.high_watermark.fetch_max(start, Release);
        self.log_start_offset.store(start, Release);
        self.recovery_point.store(loaded.recovery_point, Release);
        if let Some(epochs) = loaded.epochs {
            self.replace_epochs(epochs);
        }
        if let Some(producers) = loaded.producers {
            writer.producers = producers;
            self.update_first_unstable(writer);
            self.activated.store(true, Release);
        }
    }
}
