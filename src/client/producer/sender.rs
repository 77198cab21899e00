//! The task that sends: it collects the batches that are due, one request for each leader at a
//! time, and wakes up for full batches, answers, metadata and the linger timer.
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::accumulator::{Accumulator, Partition, Readiness, TopicState};
use super::lane::Lane;
use super::record::OutcomeHandler;
use super::sealed::{ProducerId, SealedBatch};
use super::topics::Topics;
use super::transactions::Transactions;
use crate::client::cluster::{Client, Role};
use crate::client::config::Acks;
use crate::client::connection::{Connection, ResponseFrame};
use crate::client::errors::{ClientError, Result};
use crate::client::metadata::NO_LEADER;
use crate::record::BatchMeta;

/// Requests in flight for one broker, whatever the settings say.
const IN_FLIGHT_LIMIT: usize = 48;
/// How often overdue batches are looked for.
const EXPIRY_CHECK: Duration = Duration::from_millis(250);

/// What wakes the sender from elsewhere.
pub(super) enum Event {
    Answer {
        request: u64,
        frame: Result<ResponseFrame>,
    },
    Connected {
        node: i32,
        result: Result<()>,
    },
    ProducerId(Result<ProducerId>),
    /// The partitions of these lanes are in the transaction, or cannot be.
    PartitionsAdded(Result<()>),
}

/// A request that was sent, with the lanes of its batches.
pub(super) struct Sent {
    pub node: i32,
    pub batches: Vec<(usize, SealedBatch)>,
}

#[derive(Default)]
pub(super) struct Node {
    pub in_flight: usize,
    pub connecting: bool,
    pub throttled_until: Option<Instant>,
}

/// What the sender has in common with the producer.
type Shared = (Arc<Accumulator>, Arc<Topics>, Option<Arc<Transactions>>);

pub(super) struct Sender {
    pub client: Client,
    pub accumulator: Arc<Accumulator>,
    pub topics: Arc<Topics>,
    pub transactions: Option<Arc<Transactions>>,
    /// Lanes whose partitions are on their way into the transaction.
    pub adding: BTreeSet<usize>,
    pub handler: Option<OutcomeHandler>,
    pub lanes: Vec<Lane>,
    pub active: Vec<usize>,
    pub nodes: HashMap<i32, Node>,
    pub requests: HashMap<u64, Sent>,
    next_request: u64,
    pub producer: Option<ProducerId>,
    pub producer_requested: bool,
    pub events: mpsc::UnboundedSender<Event>,
    inbox: mpsc::UnboundedReceiver<Event>,
    last_expiry_check: Instant,
}

enum LaneState {
    Idle,
    /// Its partition must be in the transaction first.
    Joins,
    Blocked,
    Later(Instant),
    Ready,
}

impl Sender {
    pub fn new(
        client: Client,
        (accumulator, topics, transactions): Shared,
        handler: Option<OutcomeHandler>,
    ) -> Self {
        // Bounded by the requests in flight, the connections being made and one producer id.
        let (events, inbox) = mpsc::unbounded_channel();
        Self {
            client,
            accumulator,
            topics,
            transactions,
            adding: BTreeSet::new(),
            handler,
            lanes: Vec::new(),
            active: Vec::new(),
            nodes: HashMap::new(),
            requests: HashMap::new(),
            next_request: 0,
            producer: None,
            producer_requested: false,
            events,
            inbox,
            last_expiry_check: Instant::now(),
        }
    }

    /// Runs until `closing` and then until every batch has its outcome, or until the client ends.
    pub async fn run(mut self, closing: CancellationToken) {
        let ended = self.client.cancelled().clone();
        let accumulator = self.accumulator.clone();
        let mut updates = self.client.updates();
        loop {
            self.collect_new_work();
            while let Ok(event) = self.inbox.try_recv() {
                self.handle(event);
            }
            self.expire();
            let next = self.drain(closing.is_cancelled());
            if closing.is_cancelled() && !self.accumulator.has_incomplete() {
                break;
            }
            tokio::select! {
                event = self.inbox.recv() => if let Some(event) = event { self.handle(event) },
                () = accumulator.wake.notified() => {}
                changed = updates.changed() => {
                    changed.ok();
                    self.topics.refresh(&self.client, &self.accumulator);
                }
                () = tokio::time::sleep_until(next) => {}
                () = closing.cancelled(), if !closing.is_cancelled() => {}
                () = ended.cancelled() => break,
            }
        }
        self.fail_everything(&ClientError::Closed);
    }

    fn collect_new_work(&mut self) {
        for (topic, partition) in self.accumulator.take_new_work() {
            if topic.forgotten.swap(false, Ordering::Relaxed) {
                self.client.want_topics([&*topic.name]);
            }
            let at = self.lane_of(&topic, &partition);
            if let Some(lane) = self.lanes.get_mut(at)
                && !std::mem::replace(&mut lane.active, true)
            {
                self.active.push(at);
            }
        }
    }

    fn lane_of(&mut self, topic: &Arc<TopicState>, partition: &Arc<Partition>) -> usize {
        let known = partition.lane.load(Ordering::Relaxed);
        if known < self.lanes.len() {
            return known;
        }
        let at = self.lanes.len();
        partition.lane.store(at, Ordering::Relaxed);
        self.lanes.push(Lane::new(topic.clone(), partition.clone()));
        at
    }

    /// Sends what is due; returns when to look again if nothing happens before.
    fn drain(&mut self, closing: bool) -> Instant {
        let now = Instant::now();
        let mut next = now + EXPIRY_CHECK;
        if self.active.is_empty() {
            return now + Duration::from_secs(3600);
        }
        if self.transactions.is_some() {
            self.follow_transaction();
        } else if self.needs_producer_id() {
            self.request_producer_id();
            return next;
        }
        // Before the look at the queues: what is closed after it either wakes us or is found then.
        self.accumulator.hungry.store(true, Ordering::SeqCst);
        let eager = closing || self.accumulator.memory.is_exhausted();
        let mut ready: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        let mut joins = Vec::new();
        for at in std::mem::take(&mut self.active) {
            match self.lane_state(at, eager, now) {
                LaneState::Idle => {
                    if let Some(lane) = self.lanes.get_mut(at) {
                        lane.active = false;
                    }
                    continue;
                }
                LaneState::Blocked => {}
                LaneState::Joins => joins.push(at),
                LaneState::Later(due) => next = next.min(due),
                LaneState::Ready => {
                    ready.entry(self.leader(at)).or_default().push(at);
                }
            }
            self.active.push(at);
        }
        self.add_to_transaction(joins);
        for (node, lanes) in ready {
            if let Some(until) = self.drain_node(node, lanes, eager, now) {
                next = next.min(until);
            }
        }
        if self.is_saturated() {
            self.accumulator.hungry.store(false, Ordering::SeqCst);
        }
        next
    }

    /// Whether every leader that something is for has as much in flight as it may.
    fn is_saturated(&self) -> bool {
        let limit = self.in_flight_limit();
        let full = |at: &usize| {
            self.nodes
                .get(&self.leader(*at))
                .is_some_and(|node| node.in_flight >= limit)
        };
        !self.active.is_empty() && self.active.iter().all(full)
    }

    fn in_flight_limit(&self) -> usize {
        self.accumulator.config.in_flight_max.min(IN_FLIGHT_LIMIT)
    }

    fn leader(&self, at: usize) -> i32 {
        let lane = self.lanes.get(at);
        lane.map_or(NO_LEADER, |lane| {
            lane.partition.leader.load(Ordering::Relaxed)
        })
    }

    fn lane_state(&self, at: usize, eager: bool, now: Instant) -> LaneState {
        let Some(lane) = self.lanes.get(at) else {
            return LaneState::Idle;
        };
        if self
            .producer
            .is_some_and(|producer| lane.must_settle(producer))
        {
            return LaneState::Blocked;
        }
        if lane.in_flight > 0 && self.is_unproven(lane) {
            return LaneState::Blocked;
        }
        if !lane.retries.is_empty() {
            return match lane.retry_due(self.ordered()) {
                None => LaneState::Blocked,
                Some(Some(due)) if due > now => LaneState::Later(due),
                Some(_) => LaneState::Ready,
            };
        }
        match self.accumulator.readiness(&lane.partition, eager) {
            Readiness::Ready if self.must_be_added(at) => LaneState::Joins,
            Readiness::Ready => LaneState::Ready,
            Readiness::Lingers(due) => LaneState::Later(due),
            Readiness::Empty if lane.in_flight > 0 => LaneState::Blocked,
            Readiness::Empty if self.accumulator.unregister(&lane.partition) => LaneState::Idle,
            Readiness::Empty => LaneState::Later(now),
        }
    }

    /// Whether batches of a partition must never overtake each other.
    fn ordered(&self) -> bool {
        let config = &self.accumulator.config;
        config.idempotence || config.in_flight_max == 1
    }

    /// Fills requests for one leader as long as it may have more in flight.
    fn drain_node(
        &mut self,
        id: i32,
        mut lanes: Vec<usize>,
        eager: bool,
        now: Instant,
    ) -> Option<Instant> {
        let endpoint = self.client.metadata().brokers.get(&id).cloned();
        let Some(endpoint) = endpoint.filter(|_| id != NO_LEADER) else {
            self.client.request_update();
            return None;
        };
        let limit = self.in_flight_limit();
        let node = self.nodes.entry(id).or_default();
        if let Some(until) = node.throttled_until.filter(|until| *until > now) {
            return Some(until);
        }
        if node.in_flight >= limit || node.connecting {
            return None;
        }
        let Some(connection) = self.client.live_connection(&endpoint, Role::General) else {
            node.connecting = true;
            let (client, events) = (self.client.clone(), self.events.clone());
            self.client.tasks().spawn(async move {
                let result = client
                    .connection_to(&endpoint, Role::General)
                    .await
                    .map(|_| ());
                let _sender_gone = events.send(Event::Connected { node: id, result });
            });
            return None;
        };
        let start = self.next_request as usize % lanes.len().max(1);
        lanes.rotate_left(start);
        while self
            .nodes
            .get(&id)
            .is_some_and(|node| node.in_flight < limit)
        {
            let batches = self.fill_request(&lanes);
            if batches.is_empty() {
                break;
            }
            self.send(id, &connection, batches);
            lanes.retain(|at| matches!(self.lane_state(*at, eager, now), LaneState::Ready));
        }
        None
    }

    /// One batch from each lane, up to `max.request.size`.
    fn fill_request(&mut self, lanes: &[usize]) -> Vec<(usize, SealedBatch)> {
        let mut batches: Vec<(usize, SealedBatch)> = Vec::with_capacity(lanes.len());
        let mut bytes = 0;
        for at in lanes {
            let waiting = self.lanes.get(*at).and_then(|lane| lane.retries.front());
            let expected = waiting.map_or(self.accumulator.config.batch_bytes, |batch| {
                batch.bytes.len()
            });
            if !batches.is_empty() && bytes + expected > self.accumulator.config.request_bytes_max {
                break;
            }
            if let Some(batch) = self.next_batch(*at) {
                bytes += batch.bytes.len();
                batches.push((*at, batch));
            }
        }
        batches
    }

    /// The next batch of a lane, encoded.
    fn next_batch(&mut self, at: usize) -> Option<SealedBatch> {
        if self.accumulator.config.idempotence {
            let lane = self.lanes.get_mut(at)?;
            if lane.wants_renewal() && self.transactions.is_none() {
                self.producer = self.producer.and_then(ProducerId::next_epoch);
            }
            // Without an epoch left a new producer id is needed first.
            lane.adopt(self.producer?);
        }
        let lane = self.lanes.get_mut(at)?;
        if let Some(mut batch) = lane.retries.pop_front() {
            batch.attempts += 1;
            return Some(batch);
        }
        let open = self.accumulator.take_batch(&lane.partition)?;
        let mut meta = self.batch_meta(at);
        let lane = self.lanes.get_mut(at)?;
        if self.accumulator.config.idempotence {
            meta.base_sequence = lane.take_sequences(open.builder.record_count());
        }
        match SealedBatch::seal(open, &meta) {
            Ok((mut batch, plain_bytes, spare)) => {
                lane.topic.learn_ratio(plain_bytes, batch.bytes.len());
                if spare.is_some() {
                    self.accumulator.memory.give(0, spare);
                }
                batch.attempts = 1;
                if let Some(transactions) = &self.transactions {
                    transactions.joined(at);
                }
                Some(batch)
            }
            Err((batch, error)) => {
                self.finish(at, *batch, Err(error));
                None
            }
        }
    }

    pub(super) fn batch_meta(&self, at: usize) -> BatchMeta {
        let config = &self.accumulator.config;
        let producer = self
            .lanes
            .get(at)
            .map_or(ProducerId::NONE, |lane| lane.producer);
        BatchMeta {
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            compression: config.compression,
            compression_level: config.compression_level,
            transactional: self.transactions.is_some(),
            ..BatchMeta::default()
        }
    }

    fn send(&mut self, id: i32, connection: &Connection, batches: Vec<(usize, SealedBatch)>) {
        let request_id = self.next_request;
        self.next_request += 1;
        for (at, _) in &batches {
            if let Some(lane) = self.lanes.get_mut(*at) {
                lane.in_flight += 1;
            }
        }
        self.nodes.entry(id).or_default().in_flight += 1;
        let events = self.events.clone();
        let reply = Box::new(move |frame| {
            let _sender_gone = events.send(Event::Answer {
                request: request_id,
                frame,
            });
        });
        let timeout = self.client.config().request_timeout;
        let config = &self.accumulator.config;
        let submitted = super::requests::produce(self, &batches, connection, timeout).and_then(
            |(request, version)| match config.acks {
                Acks::None => connection.submit_unanswered(&request, version, timeout, reply),
                _ => connection.submit(&request, version, timeout, reply),
            },
        );
        self.requests.insert(request_id, Sent { node: id, batches });
        if let Err(error) = submitted {
            self.handle(Event::Answer {
                request: request_id,
                frame: Err(error),
            });
        }
    }

    /// Gives up batches that are older than `delivery.timeout.ms`, answered ones excepted.
    fn expire(&mut self) {
        let now = Instant::now();
        if now < self.last_expiry_check + EXPIRY_CHECK {
            return;
        }
        self.last_expiry_check = now;
        let Some(before) = now.checked_sub(self.accumulator.config.delivery_timeout) else {
            return;
        };
        for at in self.active.clone() {
            let Some(lane) = self.lanes.get_mut(at) else {
                continue;
            };
            let mut expired = Vec::new();
            while lane
                .retries
                .front()
                .is_some_and(|batch| batch.created < before)
            {
                expired.extend(lane.retries.pop_front());
            }
            let unsent = self.accumulator.take_expired(&lane.partition, before);
            expired.extend(unsent.into_iter().map(SealedBatch::unsent));
            for batch in expired {
                self.expired(at, batch);
            }
        }
    }

    pub(super) fn expired(&mut self, at: usize, batch: SealedBatch) {
        let Some(lane) = self.lanes.get_mut(at) else {
            return;
        };
        lane.abandon(&batch);
        let error = ClientError::timeout(format!(
            "Expiring {} record(s) for {}-{}:{} ms has passed since batch creation",
            batch.count,
            lane.partition.topic,
            lane.partition.index,
            batch.created.elapsed().as_millis()
        ));
        self.finish(at, batch, Err(error));
    }

    /// Ends every batch, wherever it is: sent, waiting to be sent again, or still open.
    pub(super) fn fail_everything(&mut self, error: &ClientError) {
        for (_, sent) in std::mem::take(&mut self.requests) {
            for (at, batch) in sent.batches {
                self.finish(at, batch, Err(error.clone()));
            }
        }
        self.collect_new_work();
        for at in 0..self.lanes.len() {
            let Some(lane) = self.lanes.get_mut(at) else {
                continue;
            };
            let mut batches: Vec<_> = lane.retries.drain(..).collect();
            while let Some(open) = self.accumulator.take_batch(&lane.partition) {
                batches.push(SealedBatch::unsent(open));
            }
            for batch in batches {
                self.finish(at, batch, Err(error.clone()));
            }
        }
    }
}
