//! The partitions that this node hosts: their logs, their leadership, and who waits for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{Instant, timeout_at};

use parking_lot::RwLock;

use super::delayed::{Waiter, Waiters};
use super::group_commit::{GroupCommit, Progress};
use crate::log::{Log, LogError};
use crate::protocol::{ErrorCode, Uuid};

/// What the metadata says of a partition's leadership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leadership {
    pub is_leader: bool,
    pub leader_epoch: i32,
    pub isr_len: usize,
    pub replicas_len: usize,
}

/// A hosted partition.
#[derive(Debug)]
pub struct Partition {
    pub topic: Arc<str>,
    pub topic_id: Uuid,
    pub index: i32,
    pub log: Arc<Log>,
    pub waiters: Waiters,
    min_insync_replicas: AtomicUsize,
    leadership: RwLock<Leadership>,
    /// With `kafkars.group.commit`.
    group_commit: Option<(Arc<GroupCommit>, Progress)>,
}

impl Partition {
    pub fn new(
        topic: Arc<str>,
        topic_id: Uuid,
        index: i32,
        log: Arc<Log>,
        leadership: Leadership,
        group_commit: Option<Arc<GroupCommit>>,
    ) -> Partition {
        Partition {
            topic,
            topic_id,
            index,
            log,
            waiters: Waiters::default(),
            min_insync_replicas: AtomicUsize::new(1),
            leadership: RwLock::new(leadership),
            group_commit: group_commit.map(|commit| (commit, Progress::default())),
        }
    }

    /// `min.insync.replicas`
    pub fn min_insync_replicas(&self) -> usize {
        self.min_insync_replicas.load(Ordering::Relaxed)
    }

    pub fn set_min_insync_replicas(&self, count: usize) {
        self.min_insync_replicas.store(count, Ordering::Relaxed);
    }

    pub fn leadership(&self) -> Leadership {
        *self.leadership.read()
    }

    /// Takes a new leadership from the metadata; whoever waits looks again.
    pub fn set_leadership(&self, leadership: Leadership) {
        *self.leadership.write() = leadership;
        self.waiters.wake();
    }

    /// The leadership, if this node leads and the epoch that the client believes in (-1: none) is the current one.
    pub fn lead(&self, client_epoch: i32) -> Result<Leadership, ErrorCode> {
        let leadership = self.leadership();
        if client_epoch >= 0 && client_epoch < leadership.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if client_epoch > leadership.leader_epoch {
            return Err(ErrorCode::UnknownLeaderEpoch);
        }
        if !leadership.is_leader {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        Ok(leadership)
    }

    /// Whether acks=all may be promised: `min.insync.replicas` of the replicas, or all if there are fewer, are in sync.
    pub fn has_enough_in_sync(&self, leadership: Leadership) -> bool {
        leadership.isr_len >= self.min_insync_replicas().min(leadership.replicas_len)
    }

    /// Where a leader epoch, or the largest known one below it, ends. `None`: the epoch is yet to come.
    ///
    /// The log learns of an epoch with its first batch; until then the leader's own epoch starts, and those before it
    /// end, at the end of the log.
    pub fn end_offset_for_epoch(&self, epoch: i32) -> Result<Option<(i32, i64)>, LogError> {
        let current = self.leadership().leader_epoch;
        let end = self.log.log_end_offset();
        if let Some(found) = self.log.end_offset_for_epoch(epoch)? {
            return Ok(Some(found));
        }
        Ok(match epoch {
            _ if epoch < 0 || epoch > current => None,
            _ if epoch == current => Some((epoch, end)),
            _ => Some((self.log.latest_epoch()?.unwrap_or(epoch), end)),
        })
    }

    /// After an append: the high watermark is the smallest log end of the ISR, which is this replica alone. With group
    /// commit it moves later, when the log has been forced to the device.
    pub fn advance_high_watermark(self: &Arc<Self>) -> Result<(), LogError> {
        if let Some((commit, progress)) = &self.group_commit
            && self.log.recovery_point() < self.log.log_end_offset()
        {
            commit.commit(self, progress);
            return Ok(());
        }
        self.log.commit_all()?;
        self.waiters.wake();
        Ok(())
    }

    /// What a new leader has is committed. Blocks on the disk if there is group commit and what it has may not be on the
    /// device, as after a crash: who loads from the log must find all of it.
    pub fn commit_as_new_leader(self: &Arc<Self>, now_ms: i64) -> Result<(), LogError> {
        if self.group_commit.is_some() && self.log.recovery_point() < self.log.log_end_offset() {
            self.log.flush(now_ms)?;
        }
        self.advance_high_watermark()
    }

    pub(super) fn progress(&self) -> Option<&Progress> {
        self.group_commit.as_ref().map(|(_, progress)| progress)
    }

    /// Waits until what is before `end` is committed.
    pub async fn until_committed(&self, end: i64, deadline: Instant) -> Result<(), ErrorCode> {
        let waiter = Arc::new(Waiter::default());
        loop {
            self.waiters.register(&waiter);
            let outcome = if self.log.high_watermark() >= end {
                Some(Ok(()))
            } else if self.log.is_offline() {
                Some(Err(ErrorCode::KafkaStorageError))
            } else {
                match timeout_at(deadline, waiter.woken()).await {
                    Ok(()) => None,
                    Err(_) => Some(Err(ErrorCode::RequestTimedOut)),
                }
            };
            self.waiters.deregister(&waiter);
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }
}

/// The hosted partitions of one topic.
#[derive(Debug)]
pub struct Topic {
    pub name: Arc<str>,
    pub id: Uuid,
    partitions: RwLock<Vec<Option<Arc<Partition>>>>,
}

impl Topic {
    pub fn partition(&self, index: i32) -> Option<Arc<Partition>> {
        let index = usize::try_from(index).ok()?;
        self.partitions.read().get(index)?.clone()
    }

    /// Forgets a partition whose log is gone; who waits for it looks again.
    pub fn remove(&self, index: i32) -> Option<Arc<Partition>> {
        let index = usize::try_from(index).ok()?;
        let removed = self.partitions.write().get_mut(index)?.take()?;
        removed.waiters.wake();
        Some(removed)
    }

    pub fn partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().iter().flatten().cloned().collect()
    }
}

/// All hosted partitions, found by topic id or name.
#[derive(Debug, Default)]
pub struct Topics {
    tables: RwLock<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    by_id: HashMap<Uuid, Arc<Topic>>,
    by_name: HashMap<Arc<str>, Arc<Topic>>,
}

impl Topics {
    pub fn by_id(&self, id: &Uuid) -> Option<Arc<Topic>> {
        self.tables.read().by_id.get(id).cloned()
    }

    pub fn by_name(&self, name: &str) -> Option<Arc<Topic>> {
        self.tables.read().by_name.get(name).cloned()
    }

    pub fn partition(&self, topic: &str, index: i32) -> Option<Arc<Partition>> {
        self.by_name(topic)?.partition(index)
    }

    pub fn all(&self) -> Vec<Arc<Topic>> {
        self.tables.read().by_id.values().cloned().collect()
    }

    pub fn insert(&self, partition: Arc<Partition>) {
        let Ok(index) = usize::try_from(partition.index) else {
            return;
        };
        let mut tables = self.tables.write();
        let topic = tables.by_id.entry(partition.topic_id).or_insert_with(|| {
            let (name, id) = (partition.topic.clone(), partition.topic_id);
            Arc::new(Topic {
                name,
                id,
                partitions: RwLock::default(),
            })
        });
        let topic = topic.clone();
        tables.by_name.insert(topic.name.clone(), topic.clone());
        let mut partitions = topic.partitions.write();
        if partitions.len() <= index {
            partitions.resize(index + 1, None);
        }
        partitions[index] = Some(partition);
    }

    /// Forgets a topic; fetches that wait for its partitions look again and find it gone.
    pub fn remove(&self, id: &Uuid) -> Option<Arc<Topic>> {
        let mut tables = self.tables.write();
        let topic = tables.by_id.remove(id)?;
        if tables.by_name.get(&topic.name).is_some_and(|t| t.id == *id) {
            tables.by_name.remove(&topic.name);
        }
        drop(tables);
        topic.partitions().iter().for_each(|p| p.waiters.wake());
        Some(topic)
    }
}
