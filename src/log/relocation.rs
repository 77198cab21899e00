//! Moves between log directories (KIP-113). The log is copied into a `-future` directory of its new
//! place while it goes on being used, and takes over when it has caught up:
//!
//! ```text
//! copy until little is left → writer's lock: rest → fsync → mark the old one → rename the new one
//! to its final name → rename the old one to `-delete`
//! ```
//!
//! A crash before the first rename leaves a `-future` directory, with which the move is resumed. A
//! crash between the two leaves the partition in two directories, of which the marked one is out of
//! date; without a mark nobody knows which one is right, and the node does not start.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Release};

use bytes::Bytes;

use super::error::{AppendError, At, LogError, ReadError};
use super::log::{Log, LogOptions};
use super::manager::{Hosted, LogManager};
use super::names::{DELETE_DIR_SUFFIX, FUTURE_DIR_SUFFIX, TopicPartition, renamed_dir};
use super::read::ReadLimit;
use super::storage::{OpenMode, remove_if_exists};
use crate::protocol::Uuid;
use crate::record::BatchHeader;

/// Bytes copied at once.
const COPY_BYTES: usize = 1 << 20;
/// In the directory of a log that another one is about to replace. Apache Kafka ignores the file.
const REPLACED_MARK: &str = ".kafkars-replaced";

/// Why a log is not copied on.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error("{0}")]
    Log(#[from] LogError),
    #[error("cannot read: {0}")]
    Read(#[from] ReadError),
    #[error("cannot write: {0}")]
    Append(#[from] AppendError),
    #[error("nothing of {0} is being moved")]
    NotMoving(TopicPartition),
    /// What was to be copied next has been deleted: the copy begins anew.
    #[error("{0} starts behind the end of its copy")]
    Overtaken(TopicPartition),
}

/// A `-future` directory found at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFuture {
    pub tp: TopicPartition,
    pub path: PathBuf,
    /// The log directory that it is in.
    pub dir: PathBuf,
}

impl LogManager {
    /// The log that is to replace the partition's, and the directory that it is in.
    pub fn future(&self, tp: &TopicPartition) -> Option<(Arc<Log>, &Path)> {
        let futures = self.futures.read();
        let hosted = futures.get(tp)?;
        let dir = self.dirs.get(hosted.dir)?;
        Some((Arc::clone(&hosted.log), &dir.path))
    }

    /// What earlier moves left unfinished, for the partitions that are hosted.
    pub fn found_futures(&self) -> Vec<FoundFuture> {
        self.found_futures.lock().clone()
    }

    pub fn is_found_future(&self, tp: &TopicPartition) -> bool {
        self.found_futures
            .lock()
            .iter()
            .any(|found| found.tp == *tp)
    }

    /// Begins to move a partition to `dir`.
    pub fn create_future(
        &self,
        tp: &TopicPartition,
        dir: &Path,
        unique: Uuid,
        now_ms: i64,
    ) -> Result<(), MoveError> {
        let not_moving = || MoveError::NotMoving(tp.clone());
        let current = self.log(tp).ok_or_else(not_moving)?;
        let path = dir.join(renamed_dir(tp, unique, FUTURE_DIR_SUFFIX));
        // A log may start within a batch, which is copied whole.
        let start = current.first_batch_offset()?;
        let log = self.open_future(tp, &current, dir, &path, true, Some(start), now_ms)?;
        if let Some(id) = current.topic_id()? {
            log.set_topic_id(id)?;
        }
        Ok(())
    }

    /// Goes on with a move that an earlier run left unfinished; `false` if there is nothing to move.
    pub fn resume_future(&self, found: &FoundFuture, now_ms: i64) -> Result<bool, MoveError> {
        self.found_futures.lock().retain(|other| other != found);
        let tp = &found.tp;
        let current = self.log(tp);
        let is_of_use = current.as_ref().is_some_and(|current| {
            !current.dir().starts_with(&found.dir) && self.future(tp).is_none()
        });
        let (true, Some(current)) = (is_of_use, current) else {
            if let Some(disk) = self.disk_of(&found.path) {
                disk.remove_dir_all(&found.path).at(&found.path)?;
            }
            return Ok(false);
        };
        current.unmark_replaced()?;
        self.open_future(tp, &current, &found.dir, &found.path, false, None, now_ms)?;
        Ok(true)
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one caller with what is on disk, one without"
    )]
    fn open_future(
        &self,
        tp: &TopicPartition,
        current: &Log,
        dir: &Path,
        path: &Path,
        clean: bool,
        log_start_offset: Option<i64>,
        now_ms: i64,
    ) -> Result<Arc<Log>, MoveError> {
        let at = self.dirs.iter().position(|known| known.path == dir);
        let not_moving = || MoveError::NotMoving(tp.clone());
        let (at, parent) = at
            .and_then(|at| Some((at, self.dirs.get(at)?)))
            .ok_or_else(not_moving)?;
        let options = LogOptions {
            clean,
            log_start_offset,
            ..self.options(parent, now_ms)
        };
        let config = current.config().as_ref().clone();
        let log = Arc::new(Log::open(path, tp.clone(), config, options)?);
        let hosted = Hosted {
            log: Arc::clone(&log),
            dir: at,
        };
        self.futures.write().insert(tp.clone(), hosted);
        Ok(log)
    }

    /// Gives up a move; what was copied is removed.
    pub fn abandon_future(&self, tp: &TopicPartition) -> Result<(), LogError> {
        let Some(hosted) = self.futures.write().remove(tp) else {
            return Ok(());
        };
        let path = hosted.log.dir();
        hosted.log.abandon();
        hosted.log.place.disk.remove_dir_all(&path).at(&path)
    }

    /// Copies the next batches, and says of how many bytes they are; 0 once there are none.
    pub fn copy_on(&self, tp: &TopicPartition, now_ms: i64) -> Result<usize, MoveError> {
        let not_moving = || MoveError::NotMoving(tp.clone());
        let current = self.log(tp).ok_or_else(not_moving)?;
        let (future, _) = self.future(tp).ok_or_else(not_moving)?;
        current.activate()?;
        let copied = current.copy_to(&future, now_ms)?;
        if copied == 0 {
            // Most of what has to be on the device is, before anybody has to wait for the rest.
            future.flush(now_ms)?;
        }
        Ok(copied)
    }

    /// Puts the copy in the place of the partition's log; the new log. Appends wait meanwhile, and
    /// neither log is cleaned.
    pub fn replace_with_future(
        &self,
        tp: &TopicPartition,
        unique: Uuid,
        now_ms: i64,
    ) -> Result<Arc<Log>, MoveError> {
        self.abort_and_pause_cleaning(tp);
        let replaced = self.replace_while_paused(tp, unique, now_ms);
        self.resume_cleaning(tp);
        replaced
    }

    fn replace_while_paused(
        &self,
        tp: &TopicPartition,
        unique: Uuid,
        now_ms: i64,
    ) -> Result<Arc<Log>, MoveError> {
        let not_moving = || MoveError::NotMoving(tp.clone());
        let mut logs = self.logs.write();
        let mut futures = self.futures.write();
        let current = logs.get(tp).cloned().ok_or_else(not_moving)?;
        let future = futures.get(tp).cloned().ok_or_else(not_moving)?;
        let parent = |hosted: &Hosted| self.dirs.get(hosted.dir).map(|dir| dir.path.clone());
        let (from, to) = parent(&current)
            .zip(parent(&future))
            .ok_or_else(not_moving)?;
        let deleted = from.join(renamed_dir(tp, unique, DELETE_DIR_SUFFIX));
        let live = to.join(tp.to_string());
        current.log.activate()?;
        let left = current
            .log
            .hand_over(&future.log, live, deleted.clone(), now_ms)?;
        futures.remove(tp);
        let log = Arc::clone(&future.log);
        let (old, new) = (current.dir, future.dir);
        logs.insert(tp.clone(), future);
        drop((logs, futures));
        // What the checkpoints say of it goes with it.
        let noted = [
            self.checkpoint_high_watermarks(),
            self.checkpoint_recovery_points(),
            self.carry_cleaned_offset(tp, old, new),
        ];
        for e in noted.into_iter().filter_map(Result::err) {
            tracing::warn!("{tp}: {e}");
        }
        match left {
            Ok(()) => {
                let delay_ms = log.config().file_delete_delay_ms;
                self.delete_later(deleted, now_ms.saturating_add(delay_ms));
            }
            // It is marked: the next start removes it.
            Err(e) => tracing::warn!("{tp} has moved, but its old directory stays: {e}"),
        }
        Ok(log)
    }

    /// Of the same partition in two directories, removes the one that the other has replaced;
    /// `None` if neither says so. Otherwise which of them is the right one.
    pub(super) fn settle(&self, first: &Log, second: &Log) -> Option<Which> {
        let (which, stale) = match (first.is_marked(), second.is_marked()) {
            (true, false) => (Which::Second, first),
            (false, true) => (Which::First, second),
            _ => return None,
        };
        let tp = stale.topic_partition();
        let dir = stale.dir();
        let unique = Uuid::from_u128(stale.now_at_open_ms.unsigned_abs().into());
        let deleted = dir.with_file_name(renamed_dir(tp, unique, DELETE_DIR_SUFFIX));
        tracing::info!("{}: {tp} has moved to another directory", dir.display());
        match stale.leave(deleted.clone()) {
            Ok(()) => self.delete_later(deleted, stale.now_at_open_ms),
            Err(e) => tracing::warn!("it is not removed: {e}"),
        }
        Some(which)
    }
}

/// One of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    First,
    Second,
}

impl Log {
    /// Appends to `to` what this log has behind its end, and says of how many bytes that is. The log must
    /// have been activated.
    fn copy_to(&self, to: &Log, now_ms: i64) -> Result<usize, MoveError> {
        let next = to.log_end_offset();
        if next >= self.log_end_offset() {
            return Ok(0);
        }
        if next < self.first_batch_offset()? {
            return Err(MoveError::Overtaken(self.tp.clone()));
        }
        let from = next.max(self.log_start_offset());
        let read = self.read(from, COPY_BYTES, ReadLimit::LogEnd, true)?;
        let Some(slice) = read.slice else {
            return Ok(0);
        };
        let bytes = slice.to_vec().at(&self.dir())?;
        let whole = whole_batches(&bytes);
        let bytes = Bytes::from(bytes).slice(..whole);
        if bytes.is_empty() {
            return Ok(0);
        }
        to.append_as_follower(bytes, now_ms)?;
        Ok(whole)
    }

    /// The base offset of the batch that the log starts with, which may lie before its start.
    fn first_batch_offset(&self) -> Result<i64, MoveError> {
        let start = self.log_start_offset();
        if start >= self.log_end_offset() {
            return Ok(start);
        }
        let read = self.read(start, 1, ReadLimit::LogEnd, true)?;
        let Some(slice) = read.slice else {
            return Ok(start);
        };
        let bytes = slice.to_vec().at(&self.dir())?;
        let first = BatchHeader::parse(&bytes).ok().flatten();
        Ok(first.map_or(start, |batch| batch.base_offset().min(start)))
    }

    /// Copies the rest to `to` and lets it take over, as `live`; this log's directory becomes
    /// `deleted`. The inner result tells whether that last step worked.
    fn hand_over(
        &self,
        to: &Log,
        live: PathBuf,
        deleted: PathBuf,
        now_ms: i64,
    ) -> Result<Result<(), LogError>, MoveError> {
        let mut writer = self.writer.lock();
        self.check_usable(&writer)?;
        while self.copy_to(to, now_ms)? > 0 {}
        to.start_at(self.log_start_offset())?;
        to.set_high_watermark(self.high_watermark())?;
        to.flush(now_ms)?;
        self.mark_replaced()?;
        let from = to.dir();
        let renamed = to.place.disk.rename(&from, &live).at(&from);
        if let Err(e) = renamed {
            self.unmark_replaced()?;
            return Err(e.into());
        }
        to.place.moved(live.clone());
        // From here on the new log is the partition's, whatever fails.
        writer.closed = true;
        drop(writer);
        let synced = match live.parent() {
            Some(parent) => to.place.disk.sync_dir(parent).at(parent),
            None => Ok(()),
        };
        Ok(synced.and_then(|()| self.leave(deleted)))
    }

    /// The copy starts where the log does.
    fn start_at(&self, offset: i64) -> Result<(), LogError> {
        self.activate()?;
        let mut writer = self.writer.lock();
        if offset > self.log_start_offset() {
            self.move_log_start(&mut writer, offset)?;
        }
        self.recovery_point.fetch_max(offset, AcqRel);
        Ok(())
    }

    fn mark_replaced(&self) -> Result<(), LogError> {
        let path = self.place.path(REPLACED_MARK);
        let disk = self.place.disk.as_ref();
        let file = disk.open(&path, OpenMode::Write).at(&path)?;
        disk.sync(&file).at(&path)?;
        disk.sync_dir(&self.dir()).at(&path)
    }

    fn unmark_replaced(&self) -> Result<(), LogError> {
        let path = self.place.path(REPLACED_MARK);
        remove_if_exists(self.place.disk.as_ref(), &path).at(&path)
    }

    fn is_marked(&self) -> bool {
        self.place
            .disk
            .stat(&self.place.path(REPLACED_MARK))
            .is_ok()
    }

    /// Nothing is appended any more, and nothing kept up.
    fn abandon(&self) {
        self.writer.lock().closed = true;
        self.rolled.store(false, Release);
        for segment in self.segments.load().iter() {
            segment.close();
        }
    }
}

/// How many of the bytes are whole batches.
fn whole_batches(bytes: &[u8]) -> usize {
    let mut whole = 0;
    while let Some(rest) = bytes.get(whole..).filter(|rest| !rest.is_empty()) {
        match BatchHeader::parse(rest) {
            Ok(Some(batch)) if batch.size() <= rest.len() => whole += batch.size(),
            _ => break,
        }
    }
    whole
}
