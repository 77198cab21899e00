//! The log of one partition: an ordered run of segments, its offsets, its producers and epochs.
//!
//! One lock is held by whoever changes the log. Readers take no part in it: they see the segments
//! through an atomic pointer, the offsets as atomics, and a segment's end under the segment's own
//! short lock. Appends are in `append.rs`, reads in `read.rs`, opening in `load.rs`, what goes to the
//! device in `flush.rs`.
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicI64, Ordering::AcqRel, Ordering::Acquire, Ordering::Release,
};
use std::sync::{LazyLock, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};

use super::config::LogConfig;
use super::epochs::{self, EpochEntry, LeaderEpochs};
use super::error::{At, LogError, ReadError};
use super::file_cache::FileCache;
use super::health::Condition;
use super::names::TopicPartition;
use super::partition_metadata;
use super::place::Place;
use super::producer_snapshot::ProducerEntry;
use super::producer_state::{ProducerState, ProducerStates};
use super::progress::Progress;
use super::recovery::Recovery;
use super::regrowth::Regrowth;
use super::retention::PendingRemoval;
use super::segment::Segment;
use super::storage::{Disk, RealDisk};
use super::verification::Verifications;
use crate::protocol::Uuid;

/// Kafka's `producer.id.expiration.ms`.
pub const PRODUCER_EXPIRATION_MS: i64 = 86_400_000;
/// Open segment files of a log that was not given a cache to share.
const OWN_OPEN_FILES_MAX: usize = 64;

/// The progress of work that is no directory's recovery.
static UNTOLD: LazyLock<Progress> = LazyLock::new(Progress::default);

/// What is known of a log before it is opened, and what it works with.
#[derive(Debug, Clone)]
pub struct LogOptions {
    pub disk: Arc<dyn Disk>,
    pub files: Arc<FileCache>,
    /// The log was closed in order: what is on the disk is trusted.
    pub clean: bool,
    /// From the checkpoints of the log directory.
    pub recovery_point: Option<i64>,
    pub log_start_offset: Option<i64>,
    pub high_watermark: Option<i64>,
    pub producer_expiration_ms: i64,
    /// Told of what recovery has done.
    pub progress: Arc<Progress>,
    pub now_ms: i64,
}

impl LogOptions {
    /// A log that stands alone, with nothing known of it: it is recovered in full.
    pub fn new(now_ms: i64) -> Self {
        Self {
            disk: Arc::new(RealDisk),
            files: Arc::new(FileCache::new(OWN_OPEN_FILES_MAX)),
            clean: false,
            recovery_point: None,
            log_start_offset: None,
            high_watermark: None,
            producer_expiration_ms: PRODUCER_EXPIRATION_MS,
            progress: Arc::default(),
            now_ms,
        }
    }
}

/// The log of one partition. Shared by all who use it; every method may block on the disk.
#[derive(Debug)]
pub struct Log {
    pub(super) tp: TopicPartition,
    pub(super) place: Place,
    config: ArcSwap<LogConfig>,
    /// In order of their base offsets, at least one; the last is appended to.
    pub(super) segments: ArcSwap<Vec<Arc<Segment>>>,
    pub(super) writer: Mutex<Writer>,
    epochs: Mutex<Option<LeaderEpochs>>,
    /// The epoch file is behind.
    pub(super) epochs_unwritten: AtomicBool,
    /// The epoch file is not forced to the device.
    pub(super) epochs_unsynced: AtomicBool,
    pub(super) log_start_offset: AtomicI64,
    pub(super) log_end_offset: AtomicI64,
    pub(super) high_watermark: AtomicI64,
    /// `i64::MAX`: everything below the high watermark is stable.
    first_unstable_offset: AtomicI64,
    pub(super) recovery_point: AtomicI64,
    pub(super) last_flush_ms: AtomicI64,
    /// The directory was looked at: `segments` and the log start offset are known.
    pub(super) listed: AtomicBool,
    /// Producer state is in memory, and with it the first unstable offset.
    pub(super) activated: AtomicBool,
    /// A segment was rolled and waits for [`Log::flush`].
    pub(super) rolled: AtomicBool,
    /// Its directory is known to be in the directory above for good.
    pub(super) is_named: AtomicBool,
    pub(super) regrowth: Regrowth,
    pub(super) offline: AtomicBool,
    pub(super) removals: Mutex<Vec<PendingRemoval>>,
    topic_id: OnceLock<Option<Uuid>>,
    pub(super) producer_expiration_ms: i64,
    pub(super) now_at_open_ms: i64,
}

/// What only the holder of the writer's lock may change.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub producers: ProducerStates,
    pub verifications: Verifications,
    pub closed: bool,
}

/// The parts that opening found (see `load.rs`).
pub(super) struct Loaded {
    pub segments: Vec<Arc<Segment>>,
    /// `None`: not read yet.
    pub epochs: Option<LeaderEpochs>,
    /// `None`: not restored yet.
    pub producers: Option<ProducerStates>,
    pub log_start_offset: i64,
    pub log_end_offset: i64,
    pub recovery_point: i64,
}

impl Log {
    /// Opens the log in `dir`, which is created if it does not exist. Unless the options say that
    /// it was closed in order, everything past the recovery point is checked and torn ends are cut.
    pub fn open(
        dir: &Path,
        tp: TopicPartition,
        config: impl Into<Arc<LogConfig>>,
        options: LogOptions,
    ) -> Result<Self, LogError> {
        let config = config.into();
        let place = Place::new(dir.to_owned(), options.disk.clone(), options.files.clone());
        let loaded = super::load::load(&tp, &place, &config, &options)?;
        Ok(Self::with(place, tp, config, &options, loaded))
    }

    pub(super) fn with(
        place: Place,
        tp: TopicPartition,
        config: Arc<LogConfig>,
        options: &LogOptions,
        loaded: Loaded,
    ) -> Self {
        let activated = loaded.producers.is_some();
        let high_watermark = options
            .high_watermark
            .unwrap_or(loaded.log_start_offset)
            .min(loaded.log_end_offset)
            .max(loaded.log_start_offset);
        let log = Self {
            tp,
            place,
            config: ArcSwap::new(config),
            segments: ArcSwap::from_pointee(loaded.segments),
            writer: Mutex::new(Writer {
                producers: loaded.producers.unwrap_or_default(),
                ..Writer::default()
            }),
            epochs: Mutex::new(loaded.epochs),
            epochs_unwritten: AtomicBool::new(activated),
            epochs_unsynced: AtomicBool::new(activated),
            log_start_offset: AtomicI64::new(loaded.log_start_offset),
            log_end_offset: AtomicI64::new(loaded.log_end_offset),
            high_watermark: AtomicI64::new(high_watermark),
            first_unstable_offset: AtomicI64::new(i64::MAX),
            recovery_point: AtomicI64::new(loaded.recovery_point),
            last_flush_ms: AtomicI64::new(options.now_ms),
            listed: AtomicBool::new(true),
            activated: AtomicBool::new(activated),
            rolled: AtomicBool::new(false),
            is_named: AtomicBool::new(false),
            regrowth: Regrowth::new(!options.clean || options.log_start_offset.is_some()),
            offline: AtomicBool::new(false),
            removals: Mutex::default(),
            topic_id: OnceLock::new(),
            producer_expiration_ms: options.producer_expiration_ms,
            now_at_open_ms: options.now_ms,
        };
        if activated {
            log.update_first_unstable(&mut log.writer.lock());
        }
        log
    }

    pub fn topic_partition(&self) -> &TopicPartition {
        &self.tp
    }

    /// The partition's directory.
    pub fn dir(&self) -> std::path::PathBuf {
        self.place.dir()
    }

    pub fn config(&self) -> Arc<LogConfig> {
        self.config.load_full()
    }

    pub(super) fn config_now(&self) -> arc_swap::Guard<Arc<LogConfig>> {
        self.config.load()
    }

    /// Takes effect with the next operation.
    pub fn set_config(&self, config: impl Into<Arc<LogConfig>>) {
        self.config.store(config.into());
    }

    /// The topic's id from `partition.metadata`; `None` if there is no such file.
    pub fn topic_id(&self) -> Result<Option<Uuid>, LogError> {
        if let Some(id) = self.topic_id.get() {
            return Ok(*id);
        }
        let path = self.place.path(partition_metadata::FILE_NAME);
        let id = partition_metadata::read(self.place.disk.as_ref(), &path)?;
        Ok(*self.topic_id.get_or_init(|| id))
    }

    /// Writes `partition.metadata`; the id of a log never changes.
    pub fn set_topic_id(&self, topic_id: Uuid) -> Result<(), LogError> {
        let path = self.place.path(partition_metadata::FILE_NAME);
        partition_metadata::write(self.place.disk.as_ref(), &path, topic_id)?;
        let _ = self.topic_id.set(Some(topic_id));
        Ok(())
    }

    /// The offset of the next record.
    pub fn log_end_offset(&self) -> i64 {
        self.log_end_offset.load(Acquire)
    }

    pub fn high_watermark(&self) -> i64 {
        self.high_watermark.load(Acquire)
    }

    /// Moves the high watermark, kept within the log; returns where it is now.
    pub fn set_high_watermark(&self, offset: i64) -> Result<i64, LogError> {
        self.activate()?;
        let offset = offset.clamp(self.log_start_offset(), self.log_end_offset());
        self.high_watermark.store(offset, Release);
        if self.first_unstable_offset.load(Acquire) != i64::MAX {
            self.update_first_unstable(&mut self.writer.lock());
        }
        Ok(offset)
    }

    /// Moves the high watermark to the end of the log: every replica of the ISR, which is this one, has it all.
    /// Of two appenders the slower one does not take it back.
    pub fn commit_all(&self) -> Result<(), LogError> {
        self.commit_until(|| self.log_end_offset())
    }

    /// Moves the high watermark to what is on the device.
    pub fn commit_flushed(&self) -> Result<(), LogError> {
        self.commit_until(|| self.recovery_point())
    }

    fn commit_until(&self, end: impl Fn() -> i64) -> Result<(), LogError> {
        if !self.activated.load(Acquire) {
            // Nothing to activate the log for; whoever does that is kept out meanwhile.
            let _writer = self.writer.lock();
            if !self.activated.load(Acquire) {
                self.high_watermark.fetch_max(end(), AcqRel);
                return Ok(());
            }
        }
        self.high_watermark.fetch_max(end(), AcqRel);
        if self.first_unstable_offset.load(Acquire) != i64::MAX {
            self.update_first_unstable(&mut self.writer.lock());
        }
        Ok(())
    }

    /// What a read_committed consumer may see: nothing of a transaction under way or past it.
    pub fn last_stable_offset(&self) -> Result<i64, LogError> {
        self.activate()?;
        Ok(self
            .high_watermark()
            .min(self.first_unstable_offset.load(Acquire)))
    }

    /// Flushed up to here.
    pub fn recovery_point(&self) -> i64 {
        self.recovery_point.load(Acquire)
    }

    /// Bytes of all segments' log files.
    pub fn size(&self) -> Result<u64, LogError> {
        match self.look(|segments| Ok(self.size_of(segments)?)) {
            Err(ReadError::Storage(e)) => Err(e),
            Err(other) => Err(LogError::malformed(&self.place.dir(), other.to_string())),
            Ok(size) => Ok(size),
        }
    }

    pub(super) fn size_of(&self, segments: &[Arc<Segment>]) -> Result<u64, LogError> {
        let mut total = 0;
        for segment in segments {
            total += u64::from(segment.size(&self.place)?);
        }
        Ok(total)
    }

    pub fn segment_count(&self) -> usize {
        self.segments.load().len()
    }

    /// The producers, in ascending order of their ids (DescribeProducers).
    pub fn producers(&self) -> Result<Vec<ProducerState>, LogError> {
        self.activate()?;
        Ok(self.writer.lock().producers.producers().cloned().collect())
    }

    /// What a producer snapshot taken now would hold.
    pub fn producer_snapshot(&self) -> Result<Vec<ProducerEntry>, LogError> {
        self.activate()?;
        Ok(self.writer.lock().producers.to_snapshot())
    }

    /// Forgets producers that were silent too long.
    pub fn expire_producers(&self, now_ms: i64) {
        if self.activated.load(Acquire) {
            let mut writer = self.writer.lock();
            let expiration_ms = self.producer_expiration_ms;
            writer.producers.expire(now_ms, expiration_ms);
            writer.verifications.expire(now_ms, expiration_ms);
        }
    }

    pub fn latest_epoch(&self) -> Result<Option<i32>, LogError> {
        Ok(self.epochs()?.latest_epoch())
    }

    /// All leader epochs with their start offsets, oldest first.
    pub fn epoch_entries(&self) -> Result<Vec<EpochEntry>, LogError> {
        Ok(self.epochs()?.entries().to_vec())
    }

    pub fn epoch_for_offset(&self, offset: i64) -> Result<Option<i32>, LogError> {
        Ok(self.epochs()?.epoch_for_offset(offset))
    }

    /// The largest known epoch ≤ `epoch` and where it ends (OffsetForLeaderEpoch).
    pub fn end_offset_for_epoch(&self, epoch: i32) -> Result<Option<(i32, i64)>, LogError> {
        Ok(self.epochs()?.end_offset_for(epoch, self.log_end_offset()))
    }

    /// Notes that a leader epoch starts at the end of the log.
    pub fn assign_epoch(&self, epoch: i32, start_offset: i64) -> Result<(), LogError> {
        if self.epochs()?.assign(epoch, start_offset) {
            self.store_epochs(false)?;
        }
        Ok(())
    }

    /// Records below `offset` are deleted (DeleteRecords). The files go with a later retention.
    /// Returns the log start offset.
    pub fn increment_log_start_offset(&self, offset: i64) -> Result<i64, ReadError> {
        self.activate()?;
        let mut writer = self.writer.lock();
        if offset > self.high_watermark() {
            return Err(self.out_of_range(offset));
        }
        if offset > self.log_start_offset() {
            self.move_log_start(&mut writer, offset)?;
        }
        Ok(self.log_start_offset())
    }

    /// Whether anything was asked of the log since it was opened.
    pub(super) fn is_active(&self) -> bool {
        self.activated.load(Acquire)
    }

    /// Closes the log, without the care of [`Self::close`], and renames its directory. Whoever
    /// reads from it may go on.
    pub(super) fn leave(&self, to: std::path::PathBuf) -> Result<(), LogError> {
        let mut writer = self.writer.lock();
        let from = self.place.dir();
        self.place.disk.rename(&from, &to).at(&from)?;
        self.place.moved(to);
        writer.closed = true;
        for segment in self.segments.load().iter() {
            segment.close();
        }
        Ok(())
    }

    pub(super) fn active(&self) -> Arc<Segment> {
        let segments = self.segments.load();
        match segments.last() {
            Some(segment) => Arc::clone(segment),
            None => unreachable!("a log always has a segment"),
        }
    }

    pub(super) fn check_usable(&self, writer: &Writer) -> Result<(), LogError> {
        if writer.closed {
            return Err(LogError::Closed(self.tp.clone()));
        }
        self.check_online()
    }

    /// Refuses to serve from a directory that has failed.
    pub(super) fn check_online(&self) -> Result<(), LogError> {
        match self.is_offline() {
            true => Err(LogError::Offline(self.tp.clone())),
            false => Ok(()),
        }
    }

    /// Whether it serves no longer, for its device has failed.
    pub fn is_offline(&self) -> bool {
        self.offline.load(Acquire) || self.place.disk.state() == Condition::Offline
    }

    pub(super) fn update_first_unstable(&self, writer: &mut Writer) {
        writer.producers.on_high_watermark(self.high_watermark());
        let first = writer.producers.first_unstable_offset().unwrap_or(i64::MAX);
        self.first_unstable_offset.store(first, Release);
    }

    pub(super) fn epochs(&self) -> Result<MappedMutexGuard<'_, LeaderEpochs>, LogError> {
        // Asked before the lock is taken: it may have to look.
        let start = self.log_start_offset();
        let mut epochs = self.epochs.lock();
        if epochs.is_none() {
            let mut read = super::load::read_epochs(&self.place)?;
            read.truncate_from_end(self.log_end_offset());
            read.truncate_from_start(start);
            *epochs = Some(read);
        }
        Ok(MutexGuard::map(epochs, |epochs| {
            epochs.get_or_insert_default()
        }))
    }

    pub(super) fn replace_epochs(&self, epochs: LeaderEpochs) {
        *self.epochs.lock() = Some(epochs);
        self.epochs_unwritten.store(true, Release);
        self.epochs_unsynced.store(true, Release);
    }

    pub(super) fn store_epochs(&self, sync: bool) -> Result<(), LogError> {
        self.epochs_unwritten.store(true, Release);
        self.epochs_unsynced.store(true, Release);
        let path = self.place.path(epochs::FILE_NAME);
        self.epochs()?
            .write(self.place.disk.as_ref(), &path, sync)?;
        self.epochs_unwritten.store(false, Release);
        self.epochs_unsynced.store(!sync, Release);
        Ok(())
    }

    pub(super) fn move_log_start(&self, writer: &mut Writer, offset: i64) -> Result<(), LogError> {
        self.log_start_offset.store(offset, Release);
        self.high_watermark.fetch_max(offset, Release);
        self.update_first_unstable(writer);
        if self.epochs()?.truncate_from_start(offset) {
            self.store_epochs(false)?;
        }
        Ok(())
    }

    pub(super) fn recovery(&self, now_ms: i64) -> Recovery<'_> {
        Recovery {
            tp: &self.tp,
            place: &self.place,
            index_interval_bytes: self.config_now().index_interval_bytes,
            now_ms,
            producer_expiration_ms: self.producer_expiration_ms,
            progress: &UNTOLD,
        }
    }

    pub(super) fn out_of_range(&self, offset: i64) -> ReadError {
        ReadError::OffsetOutOfRange {
            tp: self.tp.clone(),
            offset,
            log_start_offset: self.log_start_offset(),
            log_end_offset: self.log_end_offset(),
        }
    }
}
