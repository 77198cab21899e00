//! All logs of a node: their creation and deletion, and the periodic work, which the broker's
//! timers call. A start is in `opening.rs`, a stop in `closing.rs`.
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::checkpoints::{self, Offsets};
use super::cleaner::{CleanerCheckpoints, States as CleaningStates};
use super::config::LogConfig;
use super::directory::CleanShutdown;
use super::error::{At, LogError, ReadError};
use super::file_cache::FileCache;
use super::health::{Condition, Health};
use super::log::{Log, LogOptions, PRODUCER_EXPIRATION_MS};
use super::names::{DELETE_DIR_SUFFIX, STRAY_DIR_SUFFIX, TopicPartition, renamed_dir};
use super::relocation::FoundFuture;
use super::storage::{Disk, RealDisk};
use crate::protocol::Uuid;

const OPEN_FILES_MAX: usize = 4096;

/// How a [`LogManager`] works.
#[derive(Debug, Clone)]
pub struct LogManagerConfig {
    /// `log.dirs`: they exist, and the caller holds their locks.
    pub dirs: Vec<PathBuf>,
    pub disk: Arc<dyn Disk>,
    /// `num.recovery.threads.per.data.dir`
    pub recovery_threads_per_dir: usize,
    /// `producer.id.expiration.ms`
    pub producer_expiration_ms: i64,
    /// Segment files kept open at most.
    pub open_files_max: usize,
    /// Watches over `dirs`; those that are offline are left out.
    pub health: Arc<Health>,
    pub now_ms: i64,
}

impl LogManagerConfig {
    pub fn new(dirs: Vec<PathBuf>, now_ms: i64) -> Self {
        Self {
            health: Arc::new(Health::new(&dirs)),
            dirs,
            disk: Arc::new(RealDisk),
            recovery_threads_per_dir: 2,
            producer_expiration_ms: PRODUCER_EXPIRATION_MS,
            open_files_max: OPEN_FILES_MAX,
            now_ms,
        }
    }
}

/// The logs of a node.
#[derive(Debug)]
pub struct LogManager {
    pub(super) files: Arc<FileCache>,
    pub(super) producer_expiration_ms: i64,
    /// `num.recovery.threads.per.data.dir`
    pub(super) threads_per_dir: usize,
    pub(super) dirs: Vec<LogDir>,
    pub(super) logs: RwLock<HashMap<TopicPartition, Hosted>>,
    /// Copies that are to replace logs in other directories.
    pub(super) futures: RwLock<HashMap<TopicPartition, Hosted>>,
    pub(super) found_futures: Mutex<Vec<FoundFuture>>,
    pub(super) deletions: Mutex<Vec<PendingDeletion>>,
    pub(super) cleaning: CleaningStates,
    pub(super) cleaned: CleanerCheckpoints,
    /// Log directories that get no new partitions, as long as there are others.
    pub(super) cordoned: Mutex<Vec<PathBuf>>,
}

#[derive(Debug)]
pub(super) struct LogDir {
    pub(super) path: PathBuf,
    /// For its partitions.
    pub(super) disk: Arc<dyn Disk>,
    /// For its checkpoints.
    pub(super) essential: Arc<dyn Disk>,
    pub(super) clean_shutdown: Option<CleanShutdown>,
    /// What was written last to each checkpoint, so that nothing is written twice.
    pub(super) written: Mutex<BTreeMap<&'static str, Offsets>>,
}

#[derive(Debug, Clone)]
pub(super) struct Hosted {
    pub(super) log: Arc<Log>,
    /// Which of the log directories it is in.
    pub(super) dir: usize,
}

#[derive(Debug)]
pub(super) struct PendingDeletion {
    pub(super) path: PathBuf,
    pub(super) due_ms: i64,
}

impl LogManager {
    /// The broker epoch that the last stop left behind in every directory that is online; `None` if
    /// one of them was not stopped in order or they differ.
    pub fn previous_broker_epoch(&self) -> Option<i64> {
        let mut epochs = self
            .dirs
            .iter()
            .filter(|dir| !dir.is_offline())
            .map(|dir| dir.clean_shutdown.map(|c| c.broker_epoch));
        let first = epochs.next()??;
        epochs.all(|epoch| epoch == Some(first)).then_some(first)
    }

    pub fn log(&self, tp: &TopicPartition) -> Option<Arc<Log>> {
        self.logs
            .read()
            .get(tp)
            .map(|hosted| Arc::clone(&hosted.log))
    }

    /// All logs, in the order of topic and partition.
    pub fn logs(&self) -> Vec<Arc<Log>> {
        let logs = self.logs_where(|_| true);
        logs.into_iter().map(|(log, _)| log).collect()
    }

    /// The logs that are wanted, each with the directory it is in.
    pub(super) fn logs_where(&self, wanted: impl Fn(&Log) -> bool) -> Vec<(Arc<Log>, usize)> {
        let mut logs: Vec<_> = self
            .logs
            .read()
            .values()
            .filter(|hosted| wanted(&hosted.log))
            .map(|hosted| (Arc::clone(&hosted.log), hosted.dir))
            .collect();
        logs.sort_by(|a, b| a.0.topic_partition().cmp(b.0.topic_partition()));
        logs
    }

    /// The log directories, as configured.
    pub fn dirs(&self) -> impl Iterator<Item = &Path> {
        self.dirs.iter().map(|dir| dir.path.as_path())
    }

    /// These get no new partitions from now on.
    pub fn cordon(&self, dirs: Vec<PathBuf>) {
        *self.cordoned.lock() = dirs;
    }

    pub fn cordoned(&self) -> Vec<PathBuf> {
        self.cordoned.lock().clone()
    }

    pub fn is_cordoned(&self, dir: &Path) -> bool {
        self.cordoned.lock().iter().any(|cordoned| cordoned == dir)
    }

    /// The log directory that holds a partition.
    pub fn dir_of(&self, tp: &TopicPartition) -> Option<&Path> {
        let dir = self.logs.read().get(tp)?.dir;
        self.dirs.get(dir).map(|dir| dir.path.as_path())
    }

    /// Creates an empty log in `dir`, one of [`Self::dirs`], or in the one with the fewest of those
    /// that are online.
    pub fn create(
        &self,
        tp: &TopicPartition,
        topic_id: Uuid,
        dir: Option<&Path>,
        config: impl Into<Arc<LogConfig>>,
        now_ms: i64,
    ) -> Result<Arc<Log>, LogError> {
        let mut logs = self.logs.write();
        if logs.contains_key(tp) {
            return Err(LogError::Exists(tp.clone()));
        }
        let given = dir.and_then(|dir| self.dirs.iter().position(|known| known.path == dir));
        let emptiest = || {
            let hosted = |at: usize| logs.values().filter(|hosted| hosted.dir == at).count();
            let condition = |at: &usize| self.dirs.get(*at).map(|dir| dir.disk.state());
            let usable = |at: &usize| condition(at) == Some(Condition::Online);
            let cordoned = self.cordoned.lock();
            let is_open = |at: &usize| {
                let dir = self.dirs.get(*at);
                dir.is_some_and(|dir| !cordoned.contains(&dir.path))
            };
            let count = self.dirs.len();
            let open = (0..count).filter(usable).filter(is_open);
            match count {
                1 => Some(0),
                count => open
                    .min_by_key(|at| hosted(*at))
                    .or_else(|| (0..count).filter(usable).min_by_key(|at| hosted(*at))),
            }
        };
        let Some((at, parent)) = given
            .or_else(emptiest)
            .and_then(|at| Some((at, self.dirs.get(at)?)))
        else {
            return Err(LogError::Full(tp.clone()));
        };
        if parent.disk.state() == Condition::Full {
            return Err(LogError::Full(tp.clone()));
        }
        let path = parent.path.join(tp.to_string());
        let options = LogOptions {
            clean: true,
            ..self.options(parent, now_ms)
        };
        let log = Log::open(&path, tp.clone(), config, options)?;
        log.set_topic_id(topic_id)?;
        let log = Arc::new(log);
        logs.insert(
            tp.clone(),
            Hosted {
                log: Arc::clone(&log),
                dir: at,
            },
        );
        Ok(log)
    }

    /// Gives up logs: their directories are renamed at once and removed by
    /// [`Self::remove_deleted`] after `file.delete.delay.ms`. `unique` makes an id for each.
    pub fn delete(
        &self,
        tps: &[TopicPartition],
        mut unique: impl FnMut() -> Uuid,
        now_ms: i64,
    ) -> Result<(), LogError> {
        for tp in tps {
            self.abandon_future(tp)?;
            let Some(log) = self.rename(tp, unique(), DELETE_DIR_SUFFIX)? else {
                continue;
            };
            let due_ms = now_ms.saturating_add(log.config().file_delete_delay_ms);
            self.deletions.lock().push(PendingDeletion {
                path: log.dir(),
                due_ms,
            });
        }
        // A new log of the same name must not meet the offsets of the old one.
        self.forget_cleaned_offsets(tps)?;
        self.checkpoint_recovery_points()
    }

    /// Drops the records of a partition at and after `offset`, as if there had never been any.
    pub fn truncate_to(&self, tp: &TopicPartition, offset: i64) -> Result<(), ReadError> {
        let Some(log) = self.log(tp) else {
            return Ok(());
        };
        self.abort_and_pause_cleaning(tp);
        let truncated = log.truncate_to(offset).and_then(|()| {
            // Neither may say of what is appended there now that it was flushed, or cleaned.
            self.cap_cleaner_checkpoint(tp, log.log_end_offset())?;
            Ok(self.checkpoint_recovery_points()?)
        });
        self.resume_cleaning(tp);
        truncated
    }

    /// Sets aside a log that the cluster's metadata does not give to this node.
    pub fn set_aside_stray(&self, tp: &TopicPartition, unique: Uuid) -> Result<(), LogError> {
        self.rename(tp, unique, STRAY_DIR_SUFFIX).map(drop)
    }

    /// Removes directories and files whose delay has passed.
    pub fn remove_deleted(&self, now_ms: i64) -> Result<(), LogError> {
        let mut deletions = self.deletions.lock();
        let (due, waiting): (Vec<_>, Vec<_>) = deletions
            .drain(..)
            .partition(|deletion| deletion.due_ms <= now_ms);
        *deletions = waiting;
        drop(deletions);
        let mut result = Ok(());
        for deletion in due {
            let Some(disk) = self.disk_of(&deletion.path) else {
                continue;
            };
            let removed = match disk.remove_dir_all(&deletion.path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
                other => other.at(&deletion.path),
            };
            // The next start tries again.
            result = result.and(removed);
        }
        result.and(self.for_all(|log| log.remove_deleted_files(now_ms)))
    }

    /// Applies retention to all logs (`log.retention.check.interval.ms`) but compacted ones: see
    /// [`Self::retain_compacted`]. A log that fails does not keep the others from it; the first
    /// error is returned.
    pub fn apply_retention(&self, now_ms: i64) -> Result<usize, LogError> {
        self.retain(now_ms, |log| !log.config_now().compact)
    }

    /// Forces logs to the device whose `flush.ms` has passed, and segments that were rolled.
    pub fn flush_due(&self, now_ms: i64) -> Result<(), LogError> {
        self.for_all(|log| {
            if log.flush_is_due(now_ms) {
                log.flush(now_ms)
            } else {
                Ok(())
            }
        })
    }

    /// Forgets producers that were silent for `producer.id.expiration.ms`.
    pub fn expire_producers(&self, now_ms: i64) {
        for log in self.logs() {
            log.expire_producers(now_ms);
        }
    }

    /// `log.flush.offset.checkpoint.interval.ms`; log start offsets, too.
    pub fn checkpoint_recovery_points(&self) -> Result<(), LogError> {
        let points = self.offsets_of(|log| Some(log.recovery_point()));
        // A recovery point says of all before it that it is whole: not so of deleted segments that come back, which
        // only the log start offset tells from others. It was read after the points, and is written before them.
        self.checkpoint_log_start_offsets()?;
        self.checkpoint(checkpoints::RECOVERY_POINT, points)
    }

    /// `replica.high.watermark.checkpoint.interval.ms`
    pub fn checkpoint_high_watermarks(&self) -> Result<(), LogError> {
        let high_watermarks = self.offsets_of(|log| Some(log.high_watermark()));
        self.checkpoint(checkpoints::HIGH_WATERMARK, high_watermarks)
    }

    /// `log.flush.start.offset.checkpoint.interval.ms`
    pub fn checkpoint_log_start_offsets(&self) -> Result<(), LogError> {
        let starts = self.offsets_of(Log::checkpointed_log_start);
        self.checkpoint(checkpoints::LOG_START, starts)
    }

    pub(super) fn options(&self, dir: &LogDir, now_ms: i64) -> LogOptions {
        LogOptions {
            disk: Arc::clone(&dir.disk),
            files: Arc::clone(&self.files),
            clean: false,
            recovery_point: None,
            log_start_offset: None,
            high_watermark: None,
            producer_expiration_ms: self.producer_expiration_ms,
            progress: Arc::default(),
            now_ms,
        }
    }

    /// By log directory, one offset per log that `offset_of` gives one.
    fn offsets_of(&self, offset_of: impl Fn(&Log) -> Option<i64>) -> Vec<Offsets> {
        let mut by_dir = vec![Offsets::new(); self.dirs.len()];
        for (tp, hosted) in self.logs.read().iter() {
            if let (Some(offsets), Some(offset)) =
                (by_dir.get_mut(hosted.dir), offset_of(&hosted.log))
            {
                offsets.insert(tp.clone(), offset);
            }
        }
        by_dir
    }

    /// Writes the checkpoint of each log directory, unless nothing changed.
    fn checkpoint(&self, name: &'static str, by_dir: Vec<Offsets>) -> Result<(), LogError> {
        let mut result = Ok(());
        for (dir, offsets) in self.dirs.iter().zip(by_dir) {
            let mut written = dir.written.lock();
            if dir.is_offline() || written.get(name) == Some(&offsets) {
                continue;
            }
            let path = dir.path.join(name);
            match checkpoints::write(dir.essential.as_ref(), &path, &offsets) {
                Ok(()) => drop(written.insert(name, offsets)),
                Err(e) => result = result.and(Err(e)),
            }
        }
        result
    }

    fn rename(
        &self,
        tp: &TopicPartition,
        unique: Uuid,
        suffix: &str,
    ) -> Result<Option<Arc<Log>>, LogError> {
        let mut logs = self.logs.write();
        let Some(hosted) = logs.get(tp) else {
            return Ok(None);
        };
        let Some(parent) = self.dirs.get(hosted.dir) else {
            return Ok(None);
        };
        let log = Arc::clone(&hosted.log);
        log.leave(parent.path.join(renamed_dir(tp, unique, suffix)))?;
        parent.disk.sync_dir(&parent.path).at(&parent.path)?;
        logs.remove(tp);
        Ok(Some(log))
    }

    fn for_all(&self, work: impl FnMut(&Log) -> Result<(), LogError>) -> Result<(), LogError> {
        self.for_all_where(|_| true, work)
    }

    pub(super) fn for_all_where(
        &self,
        wanted: impl Fn(&Log) -> bool,
        mut work: impl FnMut(&Log) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let mut result = Ok(());
        for (log, _) in self.logs_where(wanted) {
            match work(&log) {
                // It was deleted meanwhile.
                Err(LogError::Closed(_)) | Ok(()) => {}
                Err(e) => {
                    tracing::error!("{}: {e}", log.topic_partition());
                    if result.is_ok() {
                        result = Err(e);
                    }
                }
            }
        }
        result
    }
}
