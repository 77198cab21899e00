//! The driver of coordinator machines: one shard per partition of the coordinator's topic, behind a
//! lock that is never held across an await. It loads a partition by replaying it, appends what a
//! shard decides, replays that, holds the answers until the high watermark covers it, and calls the
//! shard when its deadlines pass.
mod append;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{debug, error};

use super::load;
use super::shard::{Answer, Decision, Now, Shard, Token, Transactional, append_error_to_client};
use crate::protocol::ErrorCode;
use crate::record::Compression;

/// Where an appended batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: i64,
    pub last_offset: i64,
}

/// What a batch has to do with transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchKind {
    Plain,
    /// Of a transaction, with what its verification began with.
    Transactional {
        verification: Option<u64>,
    },
    /// The end of one, written for this transaction version.
    Marker {
        transaction_version: i16,
    },
}

/// The partitions of a coordinator's topic, as the broker has them. The calls are synchronous and
/// quick; only `read` may wait for a disk, and runs on the blocking pool. They are made under the
/// shard's lock: none may call the runtime back. [`Runtime::high_watermark_advanced`] is for a high
/// watermark that moves later.
pub trait PartitionLog: Send + Sync + 'static {
    /// Appends one batch as the partition's leader: all of it, or nothing.
    fn append(
        &self,
        partition: i32,
        batch: Bytes,
        kind: BatchKind,
        now_ms: i64,
    ) -> Result<Appended, ErrorCode>;
    /// What is below is committed.
    fn high_watermark(&self, partition: i32) -> i64;
    /// The first offset there is.
    fn log_start_offset(&self, partition: i32) -> i64;
    /// At least one whole batch, from the one that holds `offset` or the next one on, below the
    /// high watermark; empty at the end.
    fn read(&self, partition: i32, offset: i64) -> Result<Bytes, ErrorCode>;
}

/// Why a partition could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("partition {partition} at offset {offset}: {}", .error.name())]
    Read {
        partition: i32,
        offset: i64,
        error: ErrorCode,
    },
    #[error("partition {partition} at offset {offset}: {reason}")]
    Corrupt {
        partition: i32,
        offset: i64,
        reason: String,
    },
    #[error("partition {partition} was given up while it was loading")]
    Unloaded { partition: i32 },
}

#[derive(Clone, Copy, Debug)]
pub struct RuntimeConfig {
    /// `offsets.topic.compression.codec` or its like.
    pub compression: Compression,
    /// `offsets.commit.timeout.ms`: how long an answer waits for the high watermark.
    pub commit_timeout_ms: i64,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        RuntimeConfig {
            compression: Compression::None,
            commit_timeout_ms: 5_000,
        }
    }
}

type ReplySender<S> = oneshot::Sender<Result<<S as Shard>::Reply, ErrorCode>>;

/// What may leave once the log is committed up to `end_offset`.
struct Uncommitted<S: Shard> {
    end_offset: i64,
    /// When the answers are given up; the effects wait for as long as it takes.
    deadline_ms: i64,
    answers: Vec<Answer<S::Reply>>,
    effects: Vec<S::Effect>,
}

enum Stage<S: Shard> {
    Loading,
    Active(Box<S>),
    /// Not ours any more, or not readable.
    Gone,
}

struct Slot<S: Shard> {
    partition: i32,
    state: Mutex<SlotState<S>>,
    /// When the timer task must look at it next; `i64::MAX`: never.
    deadline_ms: AtomicI64,
}

struct SlotState<S: Shard> {
    stage: Stage<S>,
    waiting: HashMap<Token, ReplySender<S>>,
    uncommitted: VecDeque<Uncommitted<S>>,
    /// Behind the last record that was replayed.
    end_offset: i64,
}

pub struct Runtime<S: Shard, L: PartitionLog> {
    log: L,
    config: RuntimeConfig,
    new_shard: Box<dyn Fn() -> S + Send + Sync>,
    /// Called with a partition and an effect of its shard, under the shard's lock.
    on_effect: Box<dyn Fn(i32, S::Effect) + Send + Sync>,
    slots: Mutex<BTreeMap<i32, Arc<Slot<S>>>>,
    next_token: AtomicU64,
    started: Instant,
    wake_timers: Notify,
    is_closed: AtomicBool,
}

impl<S: Shard, L: PartitionLog> Runtime<S, L> {
    pub fn new(
        log: L,
        config: RuntimeConfig,
        new_shard: impl Fn() -> S + Send + Sync + 'static,
        on_effect: impl Fn(i32, S::Effect) + Send + Sync + 'static,
    ) -> Arc<Runtime<S, L>> {
        Arc::new(Runtime {
            log,
            config,
            new_shard: Box::new(new_shard),
            on_effect: Box::new(on_effect),
            slots: Mutex::new(BTreeMap::new()),
            next_token: AtomicU64::new(0),
            started: Instant::now(),
            wake_timers: Notify::new(),
            is_closed: AtomicBool::new(false),
        })
    }

    /// The partition is ours: replays it on the blocking pool. From now on it answers
    /// COORDINATOR_LOAD_IN_PROGRESS, and once the returned task is done it serves. A partition that
    /// is loaded already stays as it is.
    pub fn load(self: &Arc<Self>, partition: i32) -> JoinHandle<Result<(), LoadError>> {
        let slot = Arc::new(Slot {
            partition,
            state: Mutex::new(SlotState {
                stage: Stage::Loading,
                waiting: HashMap::new(),
                uncommitted: VecDeque::new(),
                end_offset: 0,
            }),
            deadline_ms: AtomicI64::new(i64::MAX),
        });
        {
            let mut slots = self.slots.lock();
            let is_gone = |slot: &Arc<Slot<S>>| matches!(slot.state.lock().stage, Stage::Gone);
            if slots.get(&partition).is_some_and(|slot| !is_gone(slot)) {
                return tokio::spawn(async { Ok(()) });
            }
            slots.insert(partition, slot.clone());
        }
        let runtime = self.clone();
        tokio::task::spawn_blocking(move || {
            let loaded = runtime.load_now(&slot);
            if let Err(error) = &loaded {
                if !matches!(error, LoadError::Unloaded { .. }) {
                    error!("a coordinator partition could not be loaded: {error}");
                }
                slot.state.lock().stage = Stage::Gone;
            }
            loaded
        })
    }

    fn load_now(&self, slot: &Slot<S>) -> Result<(), LoadError> {
        let partition = slot.partition;
        let started = Instant::now();
        let mut shard = (self.new_shard)();
        let end_offset = load::replay_all(&self.log, partition, &mut shard)?;
        let mut state = slot.state.lock();
        if matches!(state.stage, Stage::Gone) {
            return Err(LoadError::Unloaded { partition });
        }
        let now = self.now();
        state.end_offset = end_offset;
        let decision = shard.loaded(now);
        state.stage = Stage::Active(Box::new(shard));
        self.carry_out(slot, &mut state, now, decision);
        if end_offset > 0 {
            debug!(
                "loaded coordinator partition {partition} up to offset {end_offset} in {} ms",
                started.elapsed().as_millis()
            );
        }
        Ok(())
    }

    /// The partition is not ours any more: whoever waits is told NOT_COORDINATOR.
    pub fn unload(&self, partition: i32) {
        let slot = self.slots.lock().remove(&partition);
        if let Some(slot) = slot {
            let mut state = slot.state.lock();
            state.stage = Stage::Gone;
            state.uncommitted.clear();
            // Dropping the senders wakes those who wait.
            state.waiting.clear();
        }
    }

    /// Ends all service; whoever waits is told COORDINATOR_NOT_AVAILABLE.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        let partitions: Vec<i32> = self.slots.lock().keys().copied().collect();
        for partition in partitions {
            self.unload(partition);
        }
        self.wake_timers.notify_one();
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// The partitions that are loaded or being loaded.
    pub fn partitions(&self) -> Vec<i32> {
        self.slots.lock().keys().copied().collect()
    }

    /// Hands a request to the partition's shard and waits for its answer.
    pub async fn call(&self, partition: i32, request: S::Request) -> Result<S::Reply, ErrorCode> {
        let receiver = self.submit(partition, request)?;
        self.answer(receiver).await
    }

    /// Hands a request to the partition's shard now; the answer comes from what is returned.
    pub fn start(
        self: &Arc<Self>,
        partition: i32,
        request: S::Request,
    ) -> impl Future<Output = Result<S::Reply, ErrorCode>> + Send + use<S, L> {
        let submitted = self.submit(partition, request);
        let runtime = self.clone();
        async move { runtime.answer(submitted?).await }
    }

    async fn answer(
        &self,
        receiver: oneshot::Receiver<Result<S::Reply, ErrorCode>>,
    ) -> Result<S::Reply, ErrorCode> {
        match receiver.await {
            Ok(reply) => reply,
            Err(_) if self.is_closed() => Err(ErrorCode::CoordinatorNotAvailable),
            Err(_) => Err(ErrorCode::NotCoordinator),
        }
    }

    #[allow(clippy::type_complexity)]
    fn submit(
        &self,
        partition: i32,
        request: S::Request,
    ) -> Result<oneshot::Receiver<Result<S::Reply, ErrorCode>>, ErrorCode> {
        if self.is_closed() {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let slot = self.slots.lock().get(&partition).cloned();
        let slot = slot.ok_or(ErrorCode::NotCoordinator)?;
        let mut state = slot.state.lock();
        let now = self.now();
        let token = Token(self.next_token.fetch_add(1, Ordering::Relaxed));
        let decision = match &mut state.stage {
            Stage::Loading => return Err(ErrorCode::CoordinatorLoadInProgress),
            Stage::Gone => return Err(ErrorCode::NotCoordinator),
            Stage::Active(shard) => shard.handle(now, token, request),
        };
        let (sender, receiver) = oneshot::channel();
        state.waiting.insert(token, sender);
        self.carry_out(&slot, &mut state, now, decision);
        Ok(receiver)
    }

    /// The log's high watermark has moved: answers that waited for it leave.
    pub fn high_watermark_advanced(&self, partition: i32) {
        let slot = self.slots.lock().get(&partition).cloned();
        if let Some(slot) = slot {
            let mut state = slot.state.lock();
            self.release(&slot, &mut state);
        }
    }

    /// Calls shards whose deadlines pass, until the runtime is closed. Run as one task.
    pub async fn run_timers(self: Arc<Self>) {
        while !self.is_closed() {
            let next_ms = self.fire_due();
            let woken = self.wake_timers.notified();
            let wait_ms = next_ms.saturating_sub(self.now().monotonic_ms);
            match u64::try_from(wait_ms) {
                Ok(_) if next_ms == i64::MAX => woken.await,
                Ok(wait_ms) => {
                    let _ = tokio::time::timeout(Duration::from_millis(wait_ms), woken).await;
                }
                Err(_) => {}
            }
        }
    }

    /// Handles every deadline that has passed; when the next one comes.
    fn fire_due(&self) -> i64 {
        let slots: Vec<Arc<Slot<S>>> = self.slots.lock().values().cloned().collect();
        let mut next_ms = i64::MAX;
        for slot in slots {
            if slot.deadline_ms.load(Ordering::SeqCst) <= self.now().monotonic_ms {
                self.fire(&slot);
            }
            next_ms = next_ms.min(slot.deadline_ms.load(Ordering::SeqCst));
        }
        next_ms
    }

    fn fire(&self, slot: &Slot<S>) {
        let mut state = slot.state.lock();
        let now = self.now();
        loop {
            let decision = match &mut state.stage {
                Stage::Active(shard) => shard.expire(now),
                Stage::Loading | Stage::Gone => None,
            };
            let Some(decision) = decision else { break };
            self.carry_out(slot, &mut state, now, decision);
        }
        let error = append_error_to_client(ErrorCode::RequestTimedOut);
        for answer in state.take_late(now) {
            state.send(answer.token, Err(error));
        }
        self.plan_wake_up(slot, &state);
    }

    fn carry_out(&self, slot: &Slot<S>, state: &mut SlotState<S>, now: Now, decision: Decision<S>) {
        let mut decisions = VecDeque::from([decision]);
        while let Some(Decision {
            records,
            answers,
            transaction,
            marker,
            effects,
            after,
            atomic,
        }) = decisions.pop_front()
        {
            let batching = Batching {
                transaction,
                atomic,
            };
            let outcome = self
                .append(slot.partition, state, now, records, batching)
                .and_then(|()| match marker {
                    Some(end) => self.append_marker(slot.partition, state, now, end),
                    None => Ok(()),
                });
            match outcome {
                Ok(()) if !answers.is_empty() || !effects.is_empty() => {
                    let deadline_ms = now.monotonic_ms + self.config.commit_timeout_ms;
                    let end_offset = state.end_offset;
                    state.uncommitted.push_back(Uncommitted {
                        end_offset,
                        deadline_ms,
                        answers,
                        effects,
                    });
                }
                Ok(()) => {}
                Err(error) => {
                    for answer in answers {
                        state.send(answer.token, Err(error));
                    }
                }
            }
            if let (Some(after), Stage::Active(shard)) = (after, &mut state.stage) {
                decisions.push_back(shard.appended(now, after, outcome));
            }
        }
        if let (true, Stage::Active(shard)) = (cfg!(debug_assertions), &state.stage) {
            shard.check_invariants();
        }
        self.release(slot, state);
    }

    fn release(&self, slot: &Slot<S>, state: &mut SlotState<S>) {
        if !state.uncommitted.is_empty() {
            let high_watermark = self.log.high_watermark(slot.partition);
            while let Some(next) = state.uncommitted.front()
                && next.end_offset <= high_watermark
            {
                let Some(done) = state.uncommitted.pop_front() else {
                    break;
                };
                for effect in done.effects {
                    (self.on_effect)(slot.partition, effect);
                }
                for Answer { token, reply } in done.answers {
                    state.send(token, Ok(reply));
                }
            }
        }
        self.plan_wake_up(slot, state);
    }

    fn plan_wake_up(&self, slot: &Slot<S>, state: &SlotState<S>) {
        let shard = match &state.stage {
            Stage::Active(shard) => shard.next_deadline_ms(),
            Stage::Loading | Stage::Gone => None,
        };
        let mut uncommitted = state.uncommitted.iter();
        let commit = uncommitted
            .find(|waiting| !waiting.answers.is_empty())
            .map(|waiting| waiting.deadline_ms);
        let next = shard.into_iter().chain(commit).min().unwrap_or(i64::MAX);
        if next < slot.deadline_ms.swap(next, Ordering::SeqCst) {
            self.wake_timers.notify_one();
        }
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Now {
            wall_ms: millis(wall),
            monotonic_ms: millis(self.started.elapsed()),
        }
    }
}

/// How the records of a decision go into the log.
#[derive(Clone, Copy)]
struct Batching {
    transaction: Option<Transactional>,
    atomic: bool,
}

impl<S: Shard> SlotState<S> {
    /// Answers that have waited too long for the high watermark.
    fn take_late(&mut self, now: Now) -> Vec<Answer<S::Reply>> {
        let mut late = Vec::new();
        for waiting in &mut self.uncommitted {
            if waiting.deadline_ms > now.monotonic_ms {
                break;
            }
            late.append(&mut waiting.answers);
        }
        let is_done =
            |waiting: &Uncommitted<S>| waiting.answers.is_empty() && waiting.effects.is_empty();
        while self.uncommitted.front().is_some_and(is_done) {
            self.uncommitted.pop_front();
        }
        late
    }

    /// Whoever asked may have gone meanwhile.
    fn send(&mut self, token: Token, reply: Result<S::Reply, ErrorCode>) {
        if let Some(sender) = self.waiting.remove(&token) {
            let _ = sender.send(reply);
        }
    }
}
