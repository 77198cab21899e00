//! All logs of a node: opening them with their directories' checkpoints, creation and deletion,
//! and the periodic work, which the broker's timers call.
use std::collections::{BTreeMap, HashMap};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::ScopedJoinHandle;

use parking_lot::{Mutex, RwLock};

use super::checkpoints::{self, Offsets};
use super::cleaner::{CleanerCheckpoints, States as CleaningStates};
use super::config::LogConfig;
use super::directory::CleanShutdown;
use super::error::{At, LogError};
use super::file_cache::FileCache;
use super::health::{Condition, DiskUse, Health};
use super::log::{Log, LogOptions, PRODUCER_EXPIRATION_MS};
use super::names::{
    CLUSTER_METADATA_TOPIC, DELETE_DIR_SUFFIX, PartitionDir, STRAY_DIR_SUFFIX, TopicPartition,
    renamed_dir,
};
use super::progress::Progress;
use super::relocation::{FoundFuture, Which};
use super::storage::{Disk, RealDisk};
use super::topic_configs::TopicConfigs;
use crate::protocol::Uuid;

/// Up to so many changed logs are forced to the device one by one at a stop; more by one call for
/// the whole file system.
const SYNCED_SINGLY_MAX: usize = 16;
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
    files: Arc<FileCache>,
    producer_expiration_ms: i64,
    pub(super) dirs: Vec<LogDir>,
    pub(super) logs: RwLock<HashMap<TopicPartition, Hosted>>,
    /// Copies that are to replace logs in other directories.
    pub(super) futures: RwLock<HashMap<TopicPartition, Hosted>>,
    pub(super) found_futures: Mutex<Vec<FoundFuture>>,
    pub(super) deletions: Mutex<Vec<PendingDeletion>>,
    pub(super) cleaning: CleaningStates,
    pub(super) cleaned: CleanerCheckpoints,
}

#[derive(Debug)]
pub(super) struct LogDir {
    pub(super) path: PathBuf,
    /// For its partitions.
    pub(super) disk: Arc<dyn Disk>,
    /// For its checkpoints.
    pub(super) essential: Arc<dyn Disk>,
    clean_shutdown: Option<CleanShutdown>,
    /// What was written last to each checkpoint, so that nothing is written twice.
    written: Mutex<BTreeMap<&'static str, Offsets>>,
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

/// What a log directory tells of its logs before they are opened.
struct DirState {
    clean: bool,
    recovery_points: Offsets,
    log_start_offsets: Offsets,
    high_watermarks: Offsets,
}

impl LogManager {
    /// Opens every log in the directories. `config_of` gives the configuration of a topic; it is
    /// called from several threads. Unclean directories are recovered, with progress on the log.
    pub fn open(
        config: LogManagerConfig,
        config_of: impl Fn(&str) -> LogConfig + Sync,
    ) -> Result<Self, LogError> {
        let mut manager = Self {
            files: Arc::new(FileCache::new(config.open_files_max)),
            producer_expiration_ms: config.producer_expiration_ms,
            dirs: Vec::new(),
            logs: RwLock::default(),
            futures: RwLock::default(),
            found_futures: Mutex::default(),
            deletions: Mutex::default(),
            cleaning: CleaningStates::default(),
            cleaned: CleanerCheckpoints::new(config.dirs.len()),
        };
        for path in &config.dirs {
            let guard = |use_of| config.health.guard(path, &config.disk, use_of);
            manager.dirs.push(LogDir {
                path: path.clone(),
                disk: guard(DiskUse::Partitions),
                essential: guard(DiskUse::Essential),
                clean_shutdown: None,
                written: Mutex::default(),
            });
        }
        for dir in &mut manager.dirs {
            let read = CleanShutdown::read(dir.essential.as_ref(), &dir.path);
            dir.clean_shutdown = dir.unless_offline(read)?.flatten();
        }
        // Each directory is a device of its own.
        let opened = std::thread::scope(|scope| {
            let open = |at| manager.open_dir(at, &config, &config_of);
            let opening: Vec<_> = (0..manager.dirs.len())
                .map(|at| scope.spawn(move || open(at)))
                .collect();
            let opened = opening.into_iter().map(ScopedJoinHandle::join);
            let opened = opened.map(|dir| dir.unwrap_or_else(|panic| resume_unwind(panic)));
            opened.collect::<Vec<_>>()
        });
        for ((at, dir), opened) in manager.dirs.iter().enumerate().zip(opened) {
            for log in dir.unless_offline(opened)?.unwrap_or_default() {
                manager.host(at, log)?;
            }
            dir.unless_offline(manager.cap_cleaned_offsets(at))?;
        }
        for dir in &manager.dirs {
            dir.unless_offline(CleanShutdown::remove(dir.essential.as_ref(), &dir.path))?;
        }
        for dir in manager.dirs.iter().filter(|dir| dir.is_offline()) {
            manager.forget_dir(&dir.path);
        }
        Ok(manager)
    }

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
            match self.dirs.len() {
                1 => Some(0),
                count => (0..count).filter(usable).min_by_key(|at| hosted(*at)),
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
        self.checkpoint_log_start_offsets()?;
        self.checkpoint_recovery_points()
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

    /// `log.flush.offset.checkpoint.interval.ms`
    pub fn checkpoint_recovery_points(&self) -> Result<(), LogError> {
        self.checkpoint(checkpoints::RECOVERY_POINT, |log| {
            Some(log.recovery_point())
        })
    }

    /// `replica.high.watermark.checkpoint.interval.ms`
    pub fn checkpoint_high_watermarks(&self) -> Result<(), LogError> {
        self.checkpoint(checkpoints::HIGH_WATERMARK, |log| {
            Some(log.high_watermark())
        })
    }

    /// `log.flush.start.offset.checkpoint.interval.ms`
    pub fn checkpoint_log_start_offsets(&self) -> Result<(), LogError> {
        self.checkpoint(checkpoints::LOG_START, Log::checkpointed_log_start)
    }

    /// Closes all logs in order and leaves `broker_epoch` for the next start. A directory in which
    /// something failed is not marked as clean, and recovered by the next start.
    pub fn shutdown(&self, broker_epoch: i64) -> Result<(), LogError> {
        let hosted: Vec<Hosted> = self.logs.read().values().cloned().collect();
        let mut result = Ok(());
        for copy in self.futures.read().values() {
            if let Err(e) = copy.log.close(true) {
                tracing::warn!("{}: {e}", copy.log.dir().display());
            }
        }
        let online = self.dirs.iter().enumerate();
        for (at, dir) in online.filter(|(_, dir)| !dir.is_offline()) {
            let logs: Vec<_> = hosted
                .iter()
                .filter(|hosted| hosted.dir == at)
                .map(|h| &h.log)
                .collect();
            let closed = self.close_dir(dir, &logs);
            let stopped = closed.and_then(|()| {
                self.checkpoint_recovery_points()?;
                self.checkpoint_high_watermarks()?;
                self.checkpoint_log_start_offsets()?;
                CleanShutdown { broker_epoch }.write(dir.essential.as_ref(), &dir.path)
            });
            if let Err(e) = stopped {
                tracing::error!("{} is not stopped in order: {e}", dir.path.display());
                result = Err(e);
            }
        }
        result
    }

    fn close_dir(&self, dir: &LogDir, logs: &[&Arc<Log>]) -> Result<(), LogError> {
        let changed = logs.iter().filter(|log| log.is_active()).count();
        let singly = changed <= SYNCED_SINGLY_MAX;
        for log in logs {
            log.close(singly)?;
        }
        if !singly {
            dir.disk.sync_filesystem(&dir.path).at(&dir.path)?;
        }
        logs.iter().for_each(|log| log.mark_flushed());
        Ok(())
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

    fn open_dir(
        &self,
        at: usize,
        config: &LogManagerConfig,
        config_of: &(impl Fn(&str) -> LogConfig + Sync),
    ) -> Result<Vec<Log>, LogError> {
        let Some(dir) = self.dirs.get(at) else {
            return Ok(Vec::new());
        };
        let tps = self.partitions_in(dir, config.now_ms, config_of)?;
        let state = DirState {
            clean: dir.clean_shutdown.is_some(),
            recovery_points: self.read_checkpoint(dir, checkpoints::RECOVERY_POINT),
            log_start_offsets: self.read_checkpoint(dir, checkpoints::LOG_START),
            high_watermarks: self.read_checkpoint(dir, checkpoints::HIGH_WATERMARK),
        };
        if !state.clean && !tps.is_empty() {
            tracing::info!(
                "{} was not closed in order: recovering logs",
                dir.path.display()
            );
        }
        let configs = TopicConfigs::new(config_of);
        let progress = Arc::new(match state.clean {
            true => Progress::default(),
            false => Progress::new(&dir.path, tps.len()),
        });
        let next = AtomicUsize::new(0);
        let opened = Mutex::new(Vec::with_capacity(tps.len()));
        let failure = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..config.recovery_threads_per_dir.clamp(1, tps.len().max(1)) {
                scope.spawn(|| {
                    while let Some(tp) = tps.get(next.fetch_add(1, Relaxed)) {
                        let options = LogOptions {
                            progress: progress.clone(),
                            ..self.options(dir, config.now_ms)
                        };
                        match self.open_log(dir, tp, &state, options, &configs) {
                            Ok(log) => opened.lock().push(log),
                            Err(e) => {
                                failure.lock().get_or_insert(e);
                                next.store(tps.len(), Relaxed);
                            }
                        }
                        progress.log_done();
                    }
                });
            }
        });
        if let Some(e) = failure.into_inner() {
            return Err(e);
        }
        if !tps.is_empty() {
            progress.finish();
        }
        Ok(opened.into_inner())
    }

    /// Takes over a log found in the `at`-th directory, unless another one has it.
    fn host(&self, at: usize, log: Log) -> Result<(), LogError> {
        let mut logs = self.logs.write();
        let tp = log.topic_partition().clone();
        if let Some(other) = logs.get(&tp) {
            match self.settle(&other.log, &log) {
                Some(Which::First) => return Ok(()),
                Some(Which::Second) => {}
                None => {
                    let (first, second) = (other.log.dir(), log.dir());
                    return Err(LogError::Duplicate { tp, first, second });
                }
            }
        }
        let log = Arc::new(log);
        logs.insert(tp, Hosted { log, dir: at });
        Ok(())
    }

    /// The partitions in a directory; what waits for its deletion is noted.
    fn partitions_in(
        &self,
        dir: &LogDir,
        now_ms: i64,
        config_of: &(impl Fn(&str) -> LogConfig + Sync),
    ) -> Result<Vec<TopicPartition>, LogError> {
        let mut tps: Vec<TopicPartition> = Vec::new();
        for entry in dir.disk.read_dir(&dir.path).at(&dir.path)? {
            if !entry.is_dir {
                continue;
            }
            match PartitionDir::parse(&entry.name) {
                PartitionDir::Live(tp) if &*tp.topic == CLUSTER_METADATA_TOPIC => {}
                PartitionDir::Live(mut tp) => {
                    // Partitions of a topic share its name.
                    if let Some(last) = tps.last().filter(|last| last.topic == tp.topic) {
                        tp.topic = last.topic.clone();
                    }
                    tps.push(tp);
                }
                PartitionDir::Deleted => {
                    // No topic has this name: the broker's own value.
                    let delay_ms = config_of(&entry.name).file_delete_delay_ms;
                    let path = dir.path.join(&entry.name);
                    let due_ms = now_ms.saturating_add(delay_ms);
                    self.deletions.lock().push(PendingDeletion { path, due_ms });
                }
                PartitionDir::Future(tp) => self.found_futures.lock().push(FoundFuture {
                    tp,
                    path: dir.path.join(&entry.name),
                    dir: dir.path.clone(),
                }),
                PartitionDir::Stray => {
                    tracing::warn!("{}: {} is left alone", dir.path.display(), entry.name);
                }
                PartitionDir::Other => {}
            }
        }
        Ok(tps)
    }

    fn open_log(
        &self,
        dir: &LogDir,
        tp: &TopicPartition,
        state: &DirState,
        options: LogOptions,
        configs: &TopicConfigs<'_, impl Fn(&str) -> LogConfig + Sync>,
    ) -> Result<Log, LogError> {
        let options = LogOptions {
            clean: state.clean,
            recovery_point: state.recovery_points.get(tp).copied(),
            log_start_offset: state.log_start_offsets.get(tp).copied(),
            high_watermark: state.high_watermarks.get(tp).copied(),
            ..options
        };
        let (path, config) = (dir.path.join(tp.to_string()), configs.get(&tp.topic));
        let log = match Log::dormant(&path, tp, &config, &options) {
            Some(log) => log,
            None => Log::open(&path, tp.clone(), config, options)?,
        };
        // Whoever takes the logs over asks for it, one after the other. What is wrong shows then.
        let _ = log.topic_id();
        Ok(log)
    }

    /// A checkpoint that cannot be read costs time, not records: recovery then starts earlier.
    fn read_checkpoint(&self, dir: &LogDir, name: &str) -> Offsets {
        checkpoints::read(dir.essential.as_ref(), &dir.path.join(name)).unwrap_or_else(|e| {
            tracing::warn!("{e}; it is taken for empty");
            Offsets::new()
        })
    }

    /// Writes one offset per log, for those that `offset_of` gives one, unless nothing changed.
    fn checkpoint(
        &self,
        name: &'static str,
        offset_of: impl Fn(&Log) -> Option<i64>,
    ) -> Result<(), LogError> {
        let mut by_dir = vec![Offsets::new(); self.dirs.len()];
        for (tp, hosted) in self.logs.read().iter() {
            if let (Some(offsets), Some(offset)) =
                (by_dir.get_mut(hosted.dir), offset_of(&hosted.log))
            {
                offsets.insert(tp.clone(), offset);
            }
        }
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
