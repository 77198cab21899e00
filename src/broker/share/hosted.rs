//! Share partitions as the broker has them: loaded when they are first fetched, written before a
//! change counts, forgotten when nobody is left in the group or the partition is led elsewhere.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::{Duration, Instant};
use tracing::{debug, warn};

use super::partition::{Acknowledged, Refusal, SharePartition, ToWrite};
use super::sessions::{MemberKey, ShareSessions, TopicPartition};
use super::settings::GroupSettings;
use super::states;
use crate::broker::delayed::Waiters;
use crate::broker::dispatch::now_ms;
use crate::broker::errors::read_error;
use crate::broker::node::Broker;
use crate::broker::partition::Partition;
use crate::coordinator::share::{ShareKey, StateError, Write};
use crate::log::ReadLimit;
use crate::protocol::{ErrorCode, Uuid};

/// What a broker has of share groups.
#[derive(Debug)]
pub struct ShareGroups {
    pub sessions: Mutex<ShareSessions>,
    partitions: Mutex<HashMap<ShareKey, Arc<Entry>>>,
    started: Instant,
}

/// A partition that is loaded, or being loaded.
#[derive(Debug, Default)]
struct Entry {
    loaded: OnceCell<Arc<Hosted>>,
}

/// A loaded share partition.
#[derive(Debug)]
pub struct Hosted {
    pub key: ShareKey,
    /// Of whom it was loaded: another leader has other states.
    leader_epoch: i32,
    state: Mutex<Guarded>,
    /// Fetches that wait for records to come back.
    pub waiters: Waiters,
}

#[derive(Debug)]
struct Guarded {
    machine: SharePartition,
    /// Not to be used any more.
    is_fenced: bool,
    /// A task waits for the next lock to run out.
    is_timed: bool,
}

/// What a member is told of a partition that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareError {
    pub code: ErrorCode,
    pub message: String,
}

impl From<ErrorCode> for ShareError {
    fn from(code: ErrorCode) -> ShareError {
        ShareError {
            code,
            message: code.message().to_owned(),
        }
    }
}

impl From<Refusal> for ShareError {
    fn from(refusal: Refusal) -> ShareError {
        ShareError {
            code: refusal.code,
            message: refusal.message.to_owned(),
        }
    }
}

/// The share coordinator's refusals as members are told of them.
impl From<StateError> for ShareError {
    fn from(error: StateError) -> ShareError {
        let code = match error.code {
            ErrorCode::NotCoordinator
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::CoordinatorLoadInProgress => ErrorCode::CoordinatorNotAvailable,
            ErrorCode::FencedLeaderEpoch | ErrorCode::FencedStateEpoch => {
                ErrorCode::NotLeaderOrFollower
            }
            known @ (ErrorCode::GroupIdNotFound | ErrorCode::UnknownTopicOrPartition) => known,
            _ => ErrorCode::UnknownServerError,
        };
        ShareError {
            code,
            message: error.message,
        }
    }
}

impl ShareError {
    /// The share partition is another's, or gone: it is loaded anew.
    fn fences(&self) -> bool {
        matches!(
            self.code,
            ErrorCode::NotLeaderOrFollower
                | ErrorCode::FencedStateEpoch
                | ErrorCode::GroupIdNotFound
                | ErrorCode::UnknownTopicOrPartition
        )
    }
}

impl ShareGroups {
    pub fn new(sessions_max: usize) -> ShareGroups {
        ShareGroups {
            sessions: Mutex::new(ShareSessions::new(sessions_max)),
            partitions: Mutex::default(),
            started: Instant::now(),
        }
    }

    /// The clock of locks.
    pub fn now_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn loaded(&self, key: &ShareKey) -> Option<Arc<Hosted>> {
        let entry = self.partitions.lock().get(key).cloned();
        entry?.loaded.get().cloned()
    }

    /// The share partition, loaded if need be.
    pub async fn open(
        &self,
        broker: &Arc<Broker>,
        key: &ShareKey,
        partition: &Partition,
    ) -> Result<Arc<Hosted>, ShareError> {
        let leader_epoch = partition.lead(-1)?.leader_epoch;
        if let Some(hosted) = self.loaded(key) {
            if hosted.leader_epoch == leader_epoch {
                return Ok(hosted);
            }
            self.fence(key);
        }
        let entry = {
            let mut partitions = self.partitions.lock();
            partitions.entry(key.clone()).or_default().clone()
        };
        let loading = entry
            .loaded
            .get_or_try_init(|| load(broker, key, partition, leader_epoch));
        match loading.await {
            Ok(hosted) => Ok(hosted.clone()),
            Err(error) => {
                let mut partitions = self.partitions.lock();
                let is_same = |known: &Arc<Entry>| Arc::ptr_eq(known, &entry);
                if partitions.get(key).is_some_and(is_same) && entry.loaded.get().is_none() {
                    partitions.remove(key);
                }
                Err(error)
            }
        }
    }

    /// Forgets a share partition: whoever has it finds it fenced.
    pub fn fence(&self, key: &ShareKey) {
        let entry = self.partitions.lock().remove(key);
        if let Some(hosted) = entry.as_ref().and_then(|entry| entry.loaded.get()) {
            hosted.state.lock().is_fenced = true;
            hosted.waiters.wake();
        }
    }

    fn fence_all(&self, which: impl Fn(&ShareKey) -> bool) {
        let keys: Vec<ShareKey> = {
            let partitions = self.partitions.lock();
            partitions
                .keys()
                .filter(|key| which(key))
                .cloned()
                .collect()
        };
        for key in keys {
            self.fence(&key);
        }
    }

    pub fn topics_deleted(&self, topics: &[Uuid]) {
        self.fence_all(|key| topics.contains(&key.topic_id));
    }

    /// What a member had is for others now.
    pub async fn release(
        broker: &Arc<Broker>,
        member: &MemberKey,
        partitions: Vec<TopicPartition>,
    ) {
        for (topic_id, partition) in partitions {
            let key = ShareKey {
                group: member.group.clone(),
                topic_id,
                partition,
            };
            if let Some(hosted) = broker.share.loaded(&key) {
                let released = hosted
                    .write(broker, |machine, settings, _| {
                        Ok(machine.release(&member.member, &settings.limits))
                    })
                    .await;
                if let Err(error) = released {
                    warn!(
                        "records of {} in {key} are not released: {}",
                        member.member, error.message
                    );
                }
            }
        }
    }

    /// A connection is gone, and its session with it.
    pub async fn disconnected(broker: Arc<Broker>, member: MemberKey, connection: u64) {
        let share = &broker.share;
        let partitions = share.sessions.lock().disconnect(&member, connection);
        if let Some(partitions) = partitions {
            debug!(
                "the share session of {} ends with its connection",
                member.member
            );
            ShareGroups::release(&broker, &member, partitions).await;
        }
        if !share.sessions.lock().has_members(&member.group) {
            share.fence_all(|key| key.group == member.group);
        }
    }

    /// Acknowledges records of one partition, which a fetch must have loaded.
    pub async fn acknowledge(
        broker: &Arc<Broker>,
        key: &ShareKey,
        member: &str,
        batches: &[Acknowledged],
    ) -> Result<(), ShareError> {
        let hosted = broker.share.loaded(key);
        let hosted = hosted.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let outcome = hosted
            .write(broker, |machine, settings, now_ms| {
                machine.acknowledge(member, batches, &settings.limits, now_ms)
            })
            .await;
        hosted.watch_locks(broker);
        outcome
    }
}

async fn load(
    broker: &Arc<Broker>,
    key: &ShareKey,
    partition: &Partition,
    leader_epoch: i32,
) -> Result<Arc<Hosted>, ShareError> {
    let state = states::read(broker, key, leader_epoch).await?;
    let settings = GroupSettings::of(broker, &key.group);
    let question = settings.reset.question(now_ms());
    let log = &partition.log;
    let found = log.list_offset(question, ReadLimit::HighWatermark);
    let found = found.map_err(|e| ShareError::from(read_error(partition, e)))?;
    // Nothing is that young: the end.
    let start_offset = found.map_or(log.high_watermark(), |found| found.offset);
    debug!("share partition {key} starts with {state:?}, or else at {start_offset}");
    Ok(Arc::new(Hosted {
        key: key.clone(),
        leader_epoch,
        state: Mutex::new(Guarded {
            machine: SharePartition::load(&state, start_offset),
            is_fenced: false,
            is_timed: false,
        }),
        waiters: Waiters::default(),
    }))
}

impl Hosted {
    /// Looks at the machine, or changes what need not be written.
    pub fn with<R>(&self, look: impl FnOnce(&mut SharePartition) -> R) -> Option<R> {
        let mut state = self.state.lock();
        (!state.is_fenced).then(|| look(&mut state.machine))
    }

    /// Makes a change that counts once it is written, and waits for that.
    pub async fn write(
        &self,
        broker: &Arc<Broker>,
        change: impl FnOnce(
            &mut SharePartition,
            &GroupSettings,
            i64,
        ) -> Result<Option<ToWrite>, Refusal>,
    ) -> Result<(), ShareError> {
        let settings = GroupSettings::of(broker, &self.key.group);
        let now_ms = broker.share.now_ms();
        // Under the lock: changes are written in the order in which they are made.
        let (transition, writing) = {
            let mut state = self.state.lock();
            if state.is_fenced {
                return Err(ErrorCode::UnknownTopicOrPartition.into());
            }
            let Some(write) = change(&mut state.machine, &settings, now_ms)? else {
                return Ok(());
            };
            let writing = self.begin_write(broker, state.machine.state_epoch, &write);
            (write.transition, writing)
        };
        let outcome = writing.await.map_err(ShareError::from);
        let is_written = outcome.is_ok();
        {
            let mut state = self.state.lock();
            let now_ms = broker.share.now_ms();
            let machine = &mut state.machine;
            machine.complete(transition, is_written, &settings.limits, now_ms);
        }
        self.waiters.wake();
        if let Err(error) = &outcome {
            warn!(
                "the state of share partition {} is not written: {}",
                self.key, error.message
            );
            if error.fences() {
                broker.share.fence(&self.key);
            }
        }
        outcome
    }

    fn begin_write(
        &self,
        broker: &Arc<Broker>,
        state_epoch: i32,
        write: &ToWrite,
    ) -> impl Future<Output = Result<(), StateError>> + Send + use<> {
        let write = Write {
            state_epoch,
            leader_epoch: self.leader_epoch,
            start_offset: write.start_offset,
            delivery_complete_count: write.delivery_complete_count,
            batches: write.batches.clone(),
        };
        broker.share_states.write(&self.key, write)
    }

    /// Has a task wait for the next lock to run out, if there are any.
    pub fn watch_locks(self: &Arc<Self>, broker: &Arc<Broker>) {
        let mut state = self.state.lock();
        if state.is_timed || state.machine.next_deadline_ms().is_none() {
            return;
        }
        state.is_timed = true;
        drop(state);
        let (hosted, broker) = (self.clone(), broker.clone());
        broker
            .runtime
            .clone()
            .spawn(async move { hosted.expire_locks(broker).await });
    }

    async fn expire_locks(self: Arc<Self>, broker: Arc<Broker>) {
        loop {
            let next_ms = {
                let mut state = self.state.lock();
                let next_ms = state
                    .machine
                    .next_deadline_ms()
                    .filter(|_| !state.is_fenced);
                state.is_timed = next_ms.is_some();
                next_ms
            };
            let Some(next_ms) = next_ms else {
                return;
            };
            let wait_ms = u64::try_from(next_ms - broker.share.now_ms()).unwrap_or(0);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
                () = broker.stopping.cancelled() => return,
            }
            let settings = GroupSettings::of(&broker, &self.key.group);
            let writing = {
                let mut state = self.state.lock();
                if state.is_fenced {
                    return;
                }
                let now_ms = broker.share.now_ms();
                let write = state.machine.expire(&settings.limits, now_ms);
                write.map(|write| self.begin_write(&broker, state.machine.state_epoch, &write))
            };
            self.waiters.wake();
            // Time has run out whether or not it is written.
            if let Some(writing) = writing
                && let Err(error) = writing.await
            {
                warn!(
                    "locks of share partition {} ran out, which is not written: {}",
                    self.key, error.message
                );
            }
        }
    }
}
