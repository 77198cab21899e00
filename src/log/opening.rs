//! Opening the logs of a node: each directory and its logs side by side, with what the directory's
//! checkpoints tell of them.
use std::collections::HashSet;
use std::panic::resume_unwind;
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
use super::health::DiskUse;
use super::log::{Log, LogOptions};
use super::manager::{Hosted, LogDir, LogManager, LogManagerConfig, PendingDeletion};
use super::names::{CLUSTER_METADATA_TOPIC, PartitionDir, TopicPartition};
use super::progress::Progress;
use super::relocation::{FoundFuture, Which};
use super::topic_configs::TopicConfigs;

/// What a log directory tells of its logs before they are opened.
struct DirState {
    clean: bool,
    recovery_points: Offsets,
    log_start_offsets: Offsets,
    high_watermarks: Offsets,
}

impl DirState {
    /// Whether a checkpoint tells of a log that is not there, or of more than one holds.
    fn is_outdated(&self, tps: &[TopicPartition], logs: &[Log]) -> bool {
        let there: HashSet<&TopicPartition> = tps.iter().collect();
        let mut named = self.recovery_points.keys();
        let mut started = self.log_start_offsets.keys();
        named.any(|tp| !there.contains(tp))
            || started.any(|tp| !there.contains(tp))
            || (!self.clean && logs.iter().any(|log| self.is_past(log)))
    }

    /// Whether what is said to be flushed of a log is not there.
    fn is_past(&self, log: &Log) -> bool {
        let known = self.recovery_points.get(log.topic_partition());
        known.is_some_and(|point| *point > log.recovery_point())
    }
}

/// What was found in a log directory.
#[derive(Default)]
struct Opened {
    logs: Vec<Log>,
    /// Its checkpoints have to be written anew.
    outdated: bool,
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
            threads_per_dir: config.recovery_threads_per_dir,
            dirs: Vec::new(),
            logs: RwLock::default(),
            futures: RwLock::default(),
            found_futures: Mutex::default(),
            deletions: Mutex::default(),
            cleaning: CleaningStates::default(),
            cleaned: CleanerCheckpoints::new(config.dirs.len()),
            cordoned: Mutex::default(),
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
        let mut outdated = false;
        for ((at, dir), opened) in manager.dirs.iter().enumerate().zip(opened) {
            let opened = dir.unless_offline(opened)?.unwrap_or_default();
            outdated |= opened.outdated;
            for log in opened.logs {
                manager.host(at, log)?;
            }
            dir.unless_offline(manager.cap_cleaned_offsets(at))?;
        }
        if outdated {
            // They would say of what is appended from now on that it was flushed, or deleted.
            if let Err(e) = manager.checkpoint_recovery_points() {
                tracing::warn!("the checkpoints are not written anew yet: {e}");
            }
        }
        for dir in &manager.dirs {
            dir.unless_offline(CleanShutdown::remove(dir.essential.as_ref(), &dir.path))?;
        }
        for dir in manager.dirs.iter().filter(|dir| dir.is_offline()) {
            manager.forget_dir(&dir.path);
        }
        Ok(manager)
    }

    fn open_dir(
        &self,
        at: usize,
        config: &LogManagerConfig,
        config_of: &(impl Fn(&str) -> LogConfig + Sync),
    ) -> Result<Opened, LogError> {
        let Some(dir) = self.dirs.get(at) else {
            return Ok(Opened::default());
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
        let logs = opened.into_inner();
        Ok(Opened {
            outdated: state.is_outdated(&tps, &logs),
            logs,
        })
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
}
