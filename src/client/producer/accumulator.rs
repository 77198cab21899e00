//! Batches in the making, one queue for each partition. Appending a record is: find the
//! partition, take its lock, copy the bytes into the open batch.
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::memory::Memory;
use super::partitioner::{Sticky, draw, partition_for_key};
use super::record::{Delivery, DeliverySender, Record, TryAppendError};
use crate::client::config::{Partitioning, ProducerConfig};
use crate::client::errors::ClientError;
use crate::client::metadata::{NO_LEADER, TopicMetadata};
use crate::protocol::{Str, Uuid};
use crate::record::{BatchBuilder, Compression, HEADER_LEN};

/// What a compressed batch may take of memory beyond its size, in one step.
const EXTEND_BYTES: usize = 16 * 1024;
/// Room kept above the expected compressed size, as Java does.
const RATIO_MARGIN: f32 = 1.05;

/// A topic that is produced to. Made once by [`Producer::topic`](super::Producer::topic), used
/// for every record: appending looks nothing up by name.
#[derive(Clone)]
pub struct Topic {
    pub(super) state: Arc<TopicState>,
}

impl Topic {
    pub fn name(&self) -> &Arc<str> {
        &self.state.name
    }

    pub fn partition_count(&self) -> usize {
        self.state.partitions.load().len()
    }
}

pub struct TopicState {
    pub name: Arc<str>,
    /// The name as requests carry it.
    pub wire_name: Str,
    pub id: ArcSwap<Uuid>,
    pub partitions: ArcSwap<Vec<Arc<Partition>>>,
    /// Partitions with a leader; all of them when none has one.
    available: ArcSwap<Vec<usize>>,
    pub(super) sticky: Sticky,
    next_in_turn: AtomicU32,
    /// Expected compressed size per byte, as bits of an `f32`.
    ratio: AtomicU32,
    /// Milliseconds since the accumulator began: when a batch was last opened.
    pub used: AtomicU64,
    /// Not refreshed any more, since it was not used for `metadata.max.idle.ms`.
    pub forgotten: AtomicBool,
}

pub struct Partition {
    pub topic: Arc<str>,
    pub index: i32,
    pub leader: AtomicI32,
    /// The sender's place for it; `usize::MAX` before the first batch.
    pub lane: AtomicUsize,
    /// Batches that wait in the queue, for adaptive partitioning.
    waiting: AtomicUsize,
    pub(super) queue: Mutex<Queue>,
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) open: Option<OpenBatch>,
    closed: VecDeque<OpenBatch>,
    /// Whether the sender knows that there is something here.
    registered: bool,
}

/// A batch that has not been encoded yet.
pub struct OpenBatch {
    pub id: u64,
    pub builder: BatchBuilder,
    pub created: Instant,
    pub tokens: Vec<u64>,
    pub delivery: Option<DeliverySender>,
    /// Memory taken for it.
    pub reserved: usize,
}

/// What the sender finds at a partition.
pub enum Readiness {
    Empty,
    /// The next batch may go at this time, unless it fills up before.
    Lingers(Instant),
    Ready,
}

pub struct Accumulator {
    pub config: ProducerConfig,
    pub memory: Memory,
    /// Partitions that got their first batch, for the sender to collect.
    new_work: Mutex<Vec<(Arc<TopicState>, Arc<Partition>)>>,
    pub wake: Notify,
    /// Whether a full batch is news to the sender: not while all its leaders have as much in
    /// flight as they may, for then an answer wakes it anyway.
    pub hungry: AtomicBool,
    next_batch: AtomicU64,
    /// Batches below this are sent without lingering.
    flush_below: AtomicU64,
    /// Batches without outcome, with the number of their parts.
    incomplete: Mutex<BTreeMap<u64, usize>>,
    completed: Notify,
    started: Instant,
}

impl TopicState {
    pub fn new(topic: &TopicMetadata) -> Self {
        let state = Self {
            name: topic.name.clone(),
            wire_name: Str::from(&*topic.name),
            id: ArcSwap::from_pointee(topic.id),
            partitions: ArcSwap::default(),
            available: ArcSwap::default(),
            sticky: Sticky::default(),
            next_in_turn: AtomicU32::new(fastrand::u32(..1 << 30)),
            ratio: AtomicU32::new(1.0_f32.to_bits()),
            used: AtomicU64::new(0),
            forgotten: AtomicBool::new(false),
        };
        state.update(topic);
        state
    }

    /// Takes over leaders, and partitions that were added.
    pub fn update(&self, topic: &TopicMetadata) {
        if **self.id.load() != topic.id {
            self.id.store(Arc::new(topic.id));
        }
        let known = self.partitions.load_full();
        if known.len() < topic.partitions.len() {
            let mut grown = Vec::clone(&known);
            let added = topic.partitions.iter().skip(known.len());
            grown.extend(
                added.map(|partition| Arc::new(Partition::new(&self.name, partition.partition))),
            );
            self.partitions.store(Arc::new(grown));
        }
        let partitions = self.partitions.load();
        let mut available = Vec::with_capacity(partitions.len());
        for (at, partition) in partitions.iter().enumerate() {
            let leader = topic
                .partition(partition.index)
                .map_or(NO_LEADER, |p| p.leader);
            partition.leader.store(leader, Ordering::Relaxed);
            if leader != NO_LEADER {
                available.push(at);
            }
        }
        if available.is_empty() {
            available.extend(0..partitions.len());
        }
        self.available.store(Arc::new(available));
    }

    fn ratio(&self) -> f32 {
        f32::from_bits(self.ratio.load(Ordering::Relaxed))
    }

    /// Learns from a batch: quickly when it compressed badly, slowly when it compressed well.
    pub fn learn_ratio(&self, uncompressed: usize, compressed: usize) {
        if uncompressed == 0 {
            return;
        }
        let seen = compressed as f32 / uncompressed as f32;
        let known = self.ratio();
        let next = if seen > known {
            (known + 0.05).max(seen)
        } else {
            (known - 0.005).max(seen)
        };
        self.ratio.store(next.to_bits(), Ordering::Relaxed);
    }
}

impl Partition {
    fn new(topic: &Arc<str>, index: i32) -> Self {
        Self {
            topic: topic.clone(),
            index,
            leader: AtomicI32::new(NO_LEADER),
            lane: AtomicUsize::new(usize::MAX),
            waiting: AtomicUsize::new(0),
            queue: Mutex::default(),
        }
    }
}

impl Accumulator {
    pub fn new(config: ProducerConfig) -> Self {
        Self {
            memory: Memory::new(config.buffer_memory_bytes),
            config,
            new_work: Mutex::default(),
            wake: Notify::new(),
            hungry: AtomicBool::new(true),
            next_batch: AtomicU64::new(0),
            flush_below: AtomicU64::new(0),
            incomplete: Mutex::default(),
            completed: Notify::new(),
            started: Instant::now(),
        }
    }

    /// Appends a record, or says why not. `delivery` asks for a handle to its fate.
    pub fn try_append(
        &self,
        topic: &Arc<TopicState>,
        record: &Record<'_>,
        delivery: Option<&mut Option<Delivery>>,
    ) -> Result<i32, TryAppendError> {
        let bound = record.size_bound();
        if bound + HEADER_LEN > self.config.request_bytes_max.min(self.memory.total()) {
            self.check_size(record)?;
        }
        let partitions = topic.partitions.load();
        let (at, sticky) = self.choose(topic, &partitions, record)?;
        let Some(partition) = partitions.get(at) else {
            return Err(TryAppendError::UnknownPartition(
                record.partition.unwrap_or(0),
            ));
        };
        let timestamp = record.timestamp.unwrap_or_else(now_ms);
        let mut queue = partition.queue.lock();
        if !self.has_room(topic, queue.open.as_mut(), bound) {
            if sticky
                && queue.open.is_some()
                && topic.sticky.taken() + bound >= self.config.batch_bytes
            {
                self.close_open(partition, &mut queue);
                drop(queue);
                self.switch_sticky(topic, &partitions);
                return self.try_append(topic, record, delivery);
            }
            self.open_batch(topic, partition, &mut queue, bound)?;
        }
        let Some(open) = queue.open.as_mut() else {
            return Err(TryAppendError::Full { bytes: bound });
        };
        open.builder
            .append(timestamp, record.key, record.value, record.headers)
            .map_err(|error| {
                TryAppendError::Failed(ClientError::RecordTooLarge(error.to_string().into()))
            })?;
        if let Some(token) = record.token {
            open.tokens.push(token);
        }
        if let Some(delivery) = delivery {
            let sender = open
                .delivery
                .get_or_insert_with(|| Arc::new(watch::channel(Vec::new()).0));
            let index = open.builder.record_count() - 1;
            *delivery = Some(Delivery {
                outcomes: sender.subscribe(),
                index,
            });
        }
        drop(queue);
        if sticky && topic.sticky.took(bound, 2 * self.config.batch_bytes.max(1)) {
            self.switch_sticky(topic, &partitions);
        }
        Ok(partition.index)
    }

    /// Kafka's own bound decides, where the quick one is above the limits.
    fn check_size(&self, record: &Record<'_>) -> Result<(), TryAppendError> {
        let failed =
            |text: String| TryAppendError::Failed(ClientError::RecordTooLarge(text.into()));
        let bound = crate::record::record_size_bound(record.key, record.value, record.headers)
            .map_err(|error| failed(error.to_string()))?;
        let size = bound + HEADER_LEN;
        let (limit, setting) = match size {
            size if size > self.config.request_bytes_max => {
                (self.config.request_bytes_max, "max.request.size")
            }
            size if size > self.memory.total() => (self.memory.total(), "buffer.memory"),
            _ => return Ok(()),
        };
        Err(failed(format!(
            "The message is {size} bytes when serialized which is larger than {limit}, which is \
             the value of the {setting} configuration."
        )))
    }

    /// The place of the partition in the topic, and whether the sticky partitioner chose it.
    #[inline]
    fn choose(
        &self,
        topic: &TopicState,
        partitions: &[Arc<Partition>],
        record: &Record<'_>,
    ) -> Result<(usize, bool), TryAppendError> {
        if let Some(asked) = record.partition {
            return match usize::try_from(asked) {
                Ok(at) if at < partitions.len() => Ok((at, false)),
                _ => Err(TryAppendError::UnknownPartition(asked)),
            };
        }
        match (partitions.len(), record.key) {
            (0, _) => Err(TryAppendError::UnknownPartition(0)),
            (1, _) => Ok((0, false)),
            (count, _) if self.config.partitioning == Partitioning::RoundRobin => {
                let turn = topic.next_in_turn.fetch_add(1, Ordering::Relaxed) as usize;
                let available = topic.available.load();
                Ok((
                    available
                        .get(turn % available.len().max(1))
                        .copied()
                        .unwrap_or(turn % count),
                    false,
                ))
            }
            (count, Some(key)) if !self.config.ignore_keys => {
                Ok((partition_for_key(key, count), false))
            }
            (count, _) => match topic.sticky.current(count) {
                Some(at) => Ok((at, true)),
                None => {
                    self.switch_sticky(topic, partitions);
                    Ok((topic.sticky.current(count).unwrap_or(0), true))
                }
            },
        }
    }

    pub(super) fn switch_sticky(&self, topic: &TopicState, partitions: &[Arc<Partition>]) {
        let available = topic.available.load();
        let queued = |at: usize| {
            partitions
                .get(at)
                .map_or(0, |partition| partition.waiting.load(Ordering::Relaxed))
        };
        let next = draw(&available, self.config.adaptive.then_some(&queued));
        topic.sticky.switch_to(next.unwrap_or(0));
    }

    #[inline]
    pub(super) fn has_room(
        &self,
        topic: &TopicState,
        open: Option<&mut OpenBatch>,
        bound: usize,
    ) -> bool {
        let Some(open) = open else {
            return false;
        };
        if self.config.compression == Compression::None {
            return open.builder.size() + bound <= self.config.batch_bytes;
        }
        let ratio = topic.ratio() * RATIO_MARGIN;
        let expected = open.builder.estimated_size(ratio) + bound;
        if expected > self.config.batch_bytes {
            return false;
        }
        // A batch that compresses well holds more than its size: that memory is counted too.
        if open.builder.size() + bound > open.reserved {
            let more = EXTEND_BYTES.max(bound);
            if !self.memory.try_extend(more) {
                return false;
            }
            open.reserved += more;
        }
        true
    }

    fn close_open(&self, partition: &Partition, queue: &mut Queue) {
        if let Some(full) = queue.open.take() {
            queue.closed.push_back(full);
            partition.waiting.fetch_add(1, Ordering::Relaxed);
            if self.hungry.load(Ordering::SeqCst) {
                self.wake.notify_one();
            }
        }
    }

    /// Closes the open batch and opens another one for a record of up to `bound` bytes.
    fn open_batch(
        &self,
        topic: &Arc<TopicState>,
        partition: &Arc<Partition>,
        queue: &mut Queue,
        bound: usize,
    ) -> Result<(), TryAppendError> {
        let bytes = self.config.batch_bytes.max(bound + HEADER_LEN);
        let taken = self.memory.try_take(bytes);
        self.close_open(partition, queue);
        let Some(mut buffer) = taken else {
            return Err(TryAppendError::Full { bytes });
        };
        buffer.clear();
        buffer.reserve(bytes);
        let id = self.next_batch.fetch_add(1, Ordering::Relaxed);
        self.incomplete.lock().insert(id, 1);
        queue.open = Some(OpenBatch {
            id,
            builder: BatchBuilder::with_buffer(buffer),
            created: Instant::now(),
            tokens: Vec::new(),
            delivery: None,
            reserved: bytes,
        });
        let idle_ms = self.started.elapsed().as_millis();
        topic.used.store(
            u64::try_from(idle_ms).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        if !std::mem::replace(&mut queue.registered, true) {
            self.new_work
                .lock()
                .push((topic.clone(), partition.clone()));
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Partitions that got work since the last call.
    pub fn take_new_work(&self) -> Vec<(Arc<TopicState>, Arc<Partition>)> {
        std::mem::take(&mut *self.new_work.lock())
    }

    /// Whether a batch of the partition may go.
    pub fn readiness(&self, partition: &Partition, eager: bool) -> Readiness {
        let queue = partition.queue.lock();
        if !queue.closed.is_empty() {
            return Readiness::Ready;
        }
        let Some(open) = &queue.open else {
            return Readiness::Empty;
        };
        let due = open.created + self.config.linger;
        let flushed = open.id < self.flush_below.load(Ordering::Relaxed);
        if eager || flushed || due <= Instant::now() {
            Readiness::Ready
        } else {
            Readiness::Lingers(due)
        }
    }

    /// Takes the oldest batch of the partition.
    pub fn take_batch(&self, partition: &Partition) -> Option<OpenBatch> {
        let mut queue = partition.queue.lock();
        match queue.closed.pop_front() {
            Some(batch) => {
                partition.waiting.fetch_sub(1, Ordering::Relaxed);
                Some(batch)
            }
            None => queue.open.take(),
        }
    }

    /// Takes batches that were created before `before`.
    pub fn take_expired(&self, partition: &Partition, before: Instant) -> Vec<OpenBatch> {
        let mut expired = Vec::new();
        let mut queue = partition.queue.lock();
        while queue
            .closed
            .front()
            .is_some_and(|batch| batch.created < before)
        {
            expired.extend(queue.closed.pop_front());
            partition.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        if queue
            .open
            .as_ref()
            .is_some_and(|batch| batch.created < before)
        {
            expired.extend(queue.open.take());
        }
        expired
    }

    /// Forgets that the sender knows the partition, if there is nothing; false if there is.
    pub fn unregister(&self, partition: &Partition) -> bool {
        let mut queue = partition.queue.lock();
        let empty = queue.open.is_none() && queue.closed.is_empty();
        if empty {
            queue.registered = false;
        }
        empty
    }

    /// A batch was split: it is complete when both parts are.
    pub fn add_part(&self, id: u64) {
        *self.incomplete.lock().entry(id).or_default() += 1;
    }

    /// A batch, or a part of it, has its outcome.
    pub fn complete(&self, id: u64) {
        let mut incomplete = self.incomplete.lock();
        if let Some(parts) = incomplete.get_mut(&id) {
            *parts -= 1;
            if *parts == 0 {
                incomplete.remove(&id);
            }
        }
        drop(incomplete);
        self.completed.notify_waiters();
    }

    /// Waits until every record appended so far has its outcome.
    pub async fn flush(&self) {
        let below = self.next_batch.load(Ordering::Relaxed);
        self.flush_below.fetch_max(below, Ordering::Relaxed);
        self.wake.notify_one();
        loop {
            let completed = self.completed.notified();
            tokio::pin!(completed);
            completed.as_mut().enable();
            let oldest = self.incomplete.lock().keys().next().copied();
            if oldest.is_none_or(|oldest| oldest >= below) {
                return;
            }
            completed.await;
        }
    }

    /// Sends everything without lingering from now on.
    pub fn flush_all(&self) {
        self.flush_below.store(u64::MAX, Ordering::Relaxed);
        self.wake.notify_one();
    }

    pub fn has_incomplete(&self) -> bool {
        !self.incomplete.lock().is_empty()
    }

    /// Milliseconds since a record was last appended to the topic.
    pub fn idle_ms(&self, topic: &TopicState) -> u64 {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        now.saturating_sub(topic.used.load(Ordering::Relaxed))
    }
}

pub(super) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}
