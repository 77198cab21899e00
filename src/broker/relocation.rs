//! Replicas on their way from one log directory to another (KIP-113): copied in the background, a few at a time, until
//! they have caught up; then the controller hears of their new place and the copy takes over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::directories::assignment;
use super::dispatch::now_ms;
use super::node::Broker;
use super::partition::Partition;
use super::throttle::Throttle;
use crate::log::{LogError, MoveError, TopicPartition};
use crate::metadata::image::ConfigResource;
use crate::protocol::messages::AssignReplicasToDirsRequest;
use crate::protocol::{ErrorCode, Uuid};

/// How long a move rests after something went wrong, a full disk say.
const RETRY: Duration = Duration::from_secs(5);
/// Dynamic, and nothing but dynamic.
const RATE: &str = "replica.alter.log.dirs.io.max.bytes.per.second";
/// The longest name of a directory that common file systems take.
const DIR_NAME_LEN_MAX: usize = 255;
/// What a `-future` directory's name has beside the partition: a dot, an id and the suffix.
const FUTURE_NAME_LEN: usize = 1 + 32 + "-future".len();

/// The moves of a node.
#[derive(Debug)]
pub struct Relocations {
    queue: mpsc::UnboundedSender<TopicPartition>,
    queued: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<TopicPartition>>>,
    throttle: Throttle,
    /// Where partitions that are yet to be created shall be.
    preferred: Mutex<BTreeMap<TopicPartition, PathBuf>>,
}

impl Default for Relocations {
    fn default() -> Relocations {
        let (queue, queued) = mpsc::unbounded_channel();
        Relocations {
            queue,
            queued: Arc::new(tokio::sync::Mutex::new(queued)),
            throttle: Throttle::default(),
            preferred: Mutex::default(),
        }
    }
}

impl Relocations {
    pub fn take_preferred(&self, tp: &TopicPartition) -> Option<PathBuf> {
        self.preferred.lock().remove(tp)
    }

    fn begin(&self, tp: TopicPartition) {
        // The receiver lives as long as this does.
        let _ = self.queue.send(tp);
    }
}

/// Goes on with the moves of an earlier run, and starts whoever makes them.
pub fn start(broker: &Arc<Broker>, tasks: &TaskTracker) {
    let settings = &broker.settings;
    let threads = settings
        .values
        .int_option("num.replica.alter.log.dirs.threads");
    let threads = threads.and_then(|count| usize::try_from(count).ok());
    for _ in 0..threads.unwrap_or(settings.log_dirs.len()).max(1) {
        tasks.spawn(work(broker.clone()));
    }
    let broker = broker.clone();
    tasks.spawn_blocking(move || {
        for found in broker.logs.found_futures() {
            match broker.logs.resume_future(&found, now_ms()) {
                Ok(true) => {
                    info!("going on to move {} to {}", found.tp, found.dir.display());
                    broker.relocations.begin(found.tp);
                }
                Ok(false) => {}
                Err(e) => warn!("cannot go on to move {}: {e}", found.tp),
            }
        }
    });
}

async fn work(broker: Arc<Broker>) {
    let queued = broker.relocations.queued.clone();
    loop {
        let next = async { queued.lock().await.recv().await };
        let tp = tokio::select! {
            next = next => next,
            () = broker.stopping.cancelled() => return,
        };
        let Some(tp) = tp else { return };
        match relocate(&broker, &tp).await {
            Ok(()) => {}
            // Cancelled, or the partition is gone.
            Err(MoveError::NotMoving(_) | MoveError::Log(LogError::Closed(_))) => {}
            Err(e) => {
                warn!("{tp} does not move on, to be tried again: {e}");
                let (broker, tp) = (broker.clone(), tp.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(RETRY).await;
                    broker.relocations.begin(tp);
                });
            }
        }
    }
}

async fn relocate(broker: &Arc<Broker>, tp: &TopicPartition) -> Result<(), MoveError> {
    let copying = {
        let (broker, tp) = (broker.clone(), tp.clone());
        tokio::task::spawn_blocking(move || copy(&broker, &tp))
    };
    let copied = copying
        .await
        .map_err(|_| MoveError::NotMoving(tp.clone()))?;
    copied?;
    if broker.stopping.is_cancelled() {
        return Ok(());
    }
    broker.controller.finish_move(tp.clone()).await
}

/// Copies until the rest is small.
fn copy(broker: &Broker, tp: &TopicPartition) -> Result<(), MoveError> {
    loop {
        if broker.stopping.is_cancelled() {
            return Ok(());
        }
        match broker.logs.copy_on(tp, now_ms()) {
            Ok(0) => return Ok(()),
            Ok(bytes) => slow_down(broker, bytes),
            Err(MoveError::Overtaken(_)) => {
                let dir = broker.logs.future(tp).map(|(_, dir)| dir.to_owned());
                let dir = dir.ok_or_else(|| MoveError::NotMoving(tp.clone()))?;
                broker.logs.abandon_future(tp)?;
                broker.logs.create_future(tp, &dir, unique(), now_ms())?;
            }
            Err(e) => return Err(e),
        }
    }
}

/// Waits until so many more bytes are within the rate, or the rate has changed.
fn slow_down(broker: &Broker, bytes: usize) {
    // Before the rate is read, so that no change of it is missed.
    let mut reconfigured = broker.reconfigured.subscribe();
    let throttle = &broker.relocations.throttle;
    throttle.set_rate(rate(broker));
    let Some(pause) = throttle.pass(bytes, Instant::now()) else {
        return;
    };
    let stopping = broker.stopping.clone();
    broker.runtime.block_on(async move {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stopping.cancelled() => {}
            _ = reconfigured.changed() => {}
        }
    });
}

/// Bytes that may be moved in a second, as `reassign-partitions` sets it while it moves.
fn rate(broker: &Broker) -> f64 {
    let image = broker.image();
    let (own, cluster) = (
        image.configs.of(&ConfigResource::broker(broker.node_id)),
        image.configs.of(&ConfigResource::cluster()),
    );
    let set = own.get(RATE).or_else(|| cluster.get(RATE));
    let rate = set.and_then(|text| text.trim().parse::<f64>().ok());
    rate.map_or(f64::MAX, |rate| rate.max(1.0))
}

fn unique() -> Uuid {
    Uuid::from_random(fastrand::u128(..))
}

/// What the controller is told before a copy takes over.
pub fn assignment_of(broker: &Broker, tp: &TopicPartition) -> Option<AssignReplicasToDirsRequest> {
    let (_, dir) = broker.logs.future(tp)?;
    let id = broker.directories.id_of(dir)?;
    let topic = broker.topics.by_name(&tp.topic)?;
    Some(assignment(broker, [((topic.id, tp.partition), id)]))
}

/// Has the copy take over. On the controller's thread, so that the partition's leadership stays as it is.
pub fn take_over(broker: &Broker, tp: &TopicPartition) -> Result<(), MoveError> {
    let not_moving = || MoveError::NotMoving(tp.clone());
    let topic = broker.topics.by_name(&tp.topic).ok_or_else(not_moving)?;
    let before = topic.partition(tp.partition).ok_or_else(not_moving)?;
    let log = broker.logs.replace_with_future(tp, unique(), now_ms())?;
    log.set_config(before.log.config());
    let after = Partition::new(
        before.topic.clone(),
        before.topic_id,
        before.index,
        log.clone(),
        before.leadership(),
        broker.group_commit.clone(),
    );
    after.set_min_insync_replicas(before.min_insync_replicas());
    let after = Arc::new(after);
    broker.topics.insert(after.clone());
    // It was forced to the device when it took over.
    after.advance_high_watermark()?;
    before.waiters.wake();
    info!("{tp} is in {} now", log.dir().display());
    Ok(())
}

/// Moves a partition to another log directory, or has it created there. Blocks on the disk.
pub fn alter(broker: &Broker, tp: &TopicPartition, path: &str) -> Result<(), ErrorCode> {
    if tp.to_string().len() + FUTURE_NAME_LEN > DIR_NAME_LEN_MAX {
        return Err(ErrorCode::InvalidTopicException);
    }
    let dir = broker
        .settings
        .log_dirs
        .iter()
        .find(|dir| std::path::absolute(dir).is_ok_and(|absolute| absolute == Path::new(path)));
    let dir = dir.ok_or(ErrorCode::LogDirNotFound)?;
    let health = broker.directories.health.of(dir);
    if health.is_some_and(|dir| dir.is_offline()) {
        return Err(ErrorCode::KafkaStorageError);
    }
    if broker.logs.is_cordoned(dir) {
        return Err(ErrorCode::InvalidReplicaAssignment);
    }
    let target = broker.logs.future(tp).map(|(_, target)| target.to_owned());
    if target.as_ref().is_some_and(|target| target != dir) {
        let abandoned = broker.logs.abandon_future(tp);
        abandoned.map_err(|e| failed(tp, &e))?;
    }
    let Some(current) = broker.logs.dir_of(tp) else {
        return Err(match broker.absent_partition(&tp.topic, tp.partition) {
            ErrorCode::KafkaStorageError => ErrorCode::KafkaStorageError,
            absent => {
                let mut preferred = broker.relocations.preferred.lock();
                preferred.insert(tp.clone(), dir.clone());
                match absent {
                    ErrorCode::NotLeaderOrFollower => ErrorCode::ReplicaNotAvailable,
                    unknown => unknown,
                }
            }
        });
    };
    if current == dir || target.as_ref() == Some(dir) {
        return Ok(());
    }
    if !broker.directories.all_online() {
        return Err(ErrorCode::KafkaStorageError);
    }
    let created = broker.logs.create_future(tp, dir, unique(), now_ms());
    created.map_err(|e| failed(tp, &e))?;
    broker.relocations.begin(tp.clone());
    Ok(())
}

fn failed(tp: &TopicPartition, error: &dyn std::fmt::Display) -> ErrorCode {
    warn!("cannot move {tp}: {error}");
    ErrorCode::KafkaStorageError
}
