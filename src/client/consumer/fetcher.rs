//! Fetching ahead: one request in flight for each leader, its answer buffered until a poll takes
//! it. The next fetch leaves as soon as an answer is there, so that the broker works while the
//! application does.
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::completed::Completed;
use super::fetched::Fetched;
use super::positions::{PartitionState, Position, Positions};
use super::session::{Asked, FINAL_EPOCH, FetchSession, SessionRequest};
use super::{ConsumerEvent, fetch_request};
use crate::client::TopicPartition;
use crate::client::cluster::{Client, Role};
use crate::client::config::ConsumerConfig;
use crate::client::connection::{Connection, Endpoint, ResponseFrame};
use crate::client::errors::{ClientError, Result};
use crate::client::metadata::ClusterMetadata;
use crate::protocol::messages::FetchRequest;
use crate::protocol::{ErrorCode, Uuid};

/// With more than this buffered, a partition is fetched again only once it is drained.
const PREFETCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The last version that names topics; later ones know only their ids.
pub(super) const TOPICS_BY_NAME: i16 = 12;
/// Beyond the time that the broker may hold a fetch.
const ANSWER_MARGIN: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Node {
    session: FetchSession,
    /// Whether the session names topics by id.
    by_id: bool,
    busy: bool,
    throttled_until: Option<Instant>,
    endpoint: Option<Endpoint>,
}

/// An answer, with what was asked.
pub(super) struct FetchAnswer {
    pub node: i32,
    pub asked: BTreeMap<TopicPartition, Asked>,
    pub frame: Result<ResponseFrame>,
}

pub(super) struct Fetcher {
    client: Client,
    pub config: Arc<ConsumerConfig>,
    nodes: HashMap<i32, Node>,
    pub buffered: VecDeque<Completed>,
    pub buffered_bytes: usize,
    events: mpsc::UnboundedSender<ConsumerEvent>,
}

impl Fetcher {
    pub fn new(
        client: Client,
        config: Arc<ConsumerConfig>,
        events: mpsc::UnboundedSender<ConsumerEvent>,
    ) -> Self {
        Self {
            client,
            config,
            nodes: HashMap::new(),
            buffered: VecDeque::new(),
            buffered_bytes: 0,
            events,
        }
    }

    /// Sends a fetch to every leader that has none in flight and something to ask for. Returns
    /// when to try again if nothing happens before.
    pub fn send(&mut self, positions: &Positions) -> Option<Instant> {
        let metadata = self.client.metadata();
        let now = Instant::now();
        let mut again: Option<Instant> = None;
        let mut later =
            |at: Instant| again = Some(again.map_or(at, |known: Instant| known.min(at)));
        let mut wanted: BTreeMap<i32, BTreeMap<TopicPartition, Asked>> = BTreeMap::new();
        for (name, state) in &positions.partitions {
            if !self.is_fetchable(state) {
                continue;
            }
            if let Some(at) = state.retry_at.filter(|at| *at > now) {
                later(at);
                continue;
            }
            match self.source(&metadata, name, state, now) {
                Some((node, _)) if self.nodes.get(&node).is_some_and(|node| node.busy) => {}
                Some((node, asked)) => {
                    wanted.entry(node).or_default().insert(name.clone(), asked);
                }
                None => self.client.request_update(),
            }
        }
        for (id, partitions) in wanted {
            let Some(endpoint) = metadata.brokers.get(&id) else {
                self.client.request_update();
                continue;
            };
            let node = self.nodes.entry(id).or_default();
            match node.throttled_until.filter(|until| *until > now) {
                Some(until) => later(until),
                None => self.send_to(id, endpoint, partitions),
            }
        }
        again
    }

    fn is_fetchable(&self, state: &PartitionState) -> bool {
        let room = state.buffered_bytes == 0
            || (state.buffered_bytes <= self.partition_bytes_max()
                && self.buffered_bytes < PREFETCH_BYTES_MAX);
        state.position.is_some() && !state.paused && room
    }

    /// One answer may be buffered while the next is fetched; not more.
    fn partition_bytes_max(&self) -> usize {
        usize::try_from(self.config.partition_fetch_bytes_max).unwrap_or_default()
    }

    /// Which node to ask for a partition, and what.
    fn source(
        &self,
        metadata: &ClusterMetadata,
        name: &TopicPartition,
        state: &PartitionState,
        now: Instant,
    ) -> Option<(i32, Asked)> {
        let topic = metadata.topic(&name.topic)?;
        let (leader, leader_epoch) = metadata.leader(&name.topic, name.partition)?;
        let replica = state
            .preferred_replica
            .filter(|(node, until)| *until > now && metadata.brokers.contains_key(node));
        let asked = Asked {
            topic_id: topic.id,
            offset: state.fetch_offset,
            leader_epoch,
            seeks: state.seeks,
        };
        Some((replica.map_or(leader.id, |(node, _)| node), asked))
    }

    fn send_to(&mut self, id: i32, endpoint: &Endpoint, wanted: BTreeMap<TopicPartition, Asked>) {
        let Some(connection) = self.client.live_connection(endpoint, Role::Fetch) else {
            self.connect(id, endpoint);
            return;
        };
        let node = self.nodes.entry(id).or_default();
        let by_id = wanted.values().all(|asked| asked.topic_id != Uuid::ZERO);
        if node.by_id != by_id || node.endpoint.as_ref() != Some(endpoint) {
            (node.by_id, node.endpoint) = (by_id, Some(endpoint.clone()));
            node.session.restart();
        }
        let session = node.session.request(&wanted);
        node.busy = true;
        if let Err(error) = submit(
            &self.config,
            &connection,
            by_id,
            session,
            self.reply(id, wanted.clone()),
        ) {
            let answer = FetchAnswer {
                node: id,
                asked: wanted,
                frame: Err(error),
            };
            let _receiver_is_us = self.events.send(ConsumerEvent::Fetch(answer));
        }
    }

    fn reply(
        &self,
        node: i32,
        asked: BTreeMap<TopicPartition, Asked>,
    ) -> Box<dyn FnOnce(Result<ResponseFrame>) + Send> {
        let events = self.events.clone();
        Box::new(move |frame| {
            let answer = FetchAnswer { node, asked, frame };
            let _consumer_gone = events.send(ConsumerEvent::Fetch(answer));
        })
    }

    fn connect(&mut self, id: i32, endpoint: &Endpoint) {
        let node = self.nodes.entry(id).or_default();
        node.busy = true;
        node.session.restart();
        let (client, events, endpoint) =
            (self.client.clone(), self.events.clone(), endpoint.clone());
        self.client.tasks().spawn(async move {
            let result = client
                .connection_to(&endpoint, Role::Fetch)
                .await
                .map(|_| ());
            let _consumer_gone = events.send(ConsumerEvent::Connected { node: id, result });
        });
    }

    pub fn connected(&mut self, node: i32, result: Result<()>) {
        self.nodes.entry(node).or_default().busy = false;
        if let Err(error) = result {
            tracing::debug!("node {node} cannot be reached for fetching: {error}");
            self.client.request_update();
        }
    }

    /// Takes an answer: records into the buffer, errors into the partitions' state. An error that
    /// the application must see is returned.
    pub fn answered(&mut self, answer: FetchAnswer, positions: &mut Positions) -> Result<()> {
        let now = Instant::now();
        let node = self.nodes.entry(answer.node).or_default();
        node.busy = false;
        let decoded = answer.frame.and_then(|frame| {
            let by_id = frame.version > TOPICS_BY_NAME;
            Ok((frame.decode::<FetchRequest>()?, by_id))
        });
        let (response, by_id) = match decoded {
            Ok(decoded) => decoded,
            Err(error) => {
                tracing::debug!("a fetch from node {} failed: {error}", answer.node);
                node.session.restart();
                self.client.request_update();
                self.back_off(&answer.asked, positions, now);
                return Ok(());
            }
        };
        if let Ok(ms @ 1..) = u64::try_from(response.throttle_time_ms) {
            node.throttled_until = Some(now + Duration::from_millis(ms));
        }
        let code = ErrorCode::from_code(response.error_code);
        if !node.session.answered(code, response.session_id) {
            tracing::debug!(
                "the fetch session with node {} ended: {}",
                answer.node,
                code.name()
            );
            if code.invalidates_metadata() {
                self.client.request_update();
                self.back_off(&answer.asked, positions, now);
            }
            return Ok(());
        }
        let names = fetch_request::names_by_id(&answer.asked);
        let mut failure = Ok(());
        for topic in response.responses {
            let name = match by_id {
                true => names.get(&topic.topic_id).cloned(),
                false => Some(Arc::from(&*topic.topic)),
            };
            let Some(name) = name else { continue };
            for data in topic.partitions {
                let name = TopicPartition::new(name.clone(), data.partition_index);
                let Some(asked) = answer.asked.get(&name) else {
                    continue;
                };
                let current = positions
                    .get_mut(&name)
                    .filter(|state| state.seeks == asked.seeks);
                let Some(state) = current.filter(|state| state.fetch_offset == asked.offset) else {
                    continue;
                };
                if let Err(error) = self.take(&name, asked, state, data, now) {
                    failure = Err(error);
                }
            }
        }
        failure
    }

    fn back_off(
        &self,
        asked: &BTreeMap<TopicPartition, Asked>,
        positions: &mut Positions,
        now: Instant,
    ) {
        let at = now + self.client.config().retry_backoff.first;
        for name in asked.keys() {
            if let Some(state) = positions.get_mut(name) {
                state.retry_at = Some(at);
            }
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Buffered records for the application, about `records_max` of them at most. Positions move
    /// with what is handed out.
    pub fn take_buffered(
        &mut self,
        positions: &mut Positions,
        records_max: usize,
    ) -> Result<Vec<Fetched>> {
        let mut taken = Vec::new();
        let mut count = 0;
        let mut at = 0;
        while count < records_max {
            let Some(completed) = self.buffered.get_mut(at) else {
                break;
            };
            let state = positions.get_mut(&completed.partition);
            let Some(state) = state.filter(|state| state.seeks == completed.seeks) else {
                self.drop_buffered(at);
                continue;
            };
            if state.paused {
                at += 1;
                continue;
            }
            let before = completed.bytes();
            let piece = match completed.next(records_max - count) {
                Ok(piece) => piece,
                // What was taken already is not lost: the error comes with the next poll.
                Err(_) if !taken.is_empty() => break,
                Err(error) => return Err(error),
            };
            let after = completed.bytes();
            let leader_epoch = piece.as_ref().map_or(-1, |piece| piece.leader_epoch);
            state.position = Some(Position {
                offset: completed.next_offset(),
                leader_epoch,
            });
            state.buffered_bytes = state.buffered_bytes.saturating_sub(before - after);
            self.buffered_bytes = self.buffered_bytes.saturating_sub(before - after);
            count += piece.as_ref().map_or(0, Fetched::count_bound);
            taken.extend(piece);
            if after == 0 || after == before {
                state.buffered_bytes = state.buffered_bytes.saturating_sub(after);
                self.drop_buffered(at);
            }
        }
        Ok(taken)
    }

    fn drop_buffered(&mut self, at: usize) {
        if let Some(dropped) = self.buffered.remove(at) {
            self.buffered_bytes = self.buffered_bytes.saturating_sub(dropped.bytes());
        }
    }

    /// Ends the sessions, so that brokers need not keep them.
    pub async fn close(&mut self) {
        for node in self.nodes.values_mut() {
            let (Some(id), Some(endpoint)) = (node.session.open_id(), &node.endpoint) else {
                continue;
            };
            let Some(connection) = self.client.live_connection(endpoint, Role::Fetch) else {
                continue;
            };
            if node.busy {
                // The answer to a long poll would come first; closing the connection does as well.
                continue;
            }
            let session = SessionRequest {
                id,
                epoch: FINAL_EPOCH,
                ask: vec![],
                forget: vec![],
            };
            let Ok((request, version)) =
                fetch_request::build(&self.config, &connection, node.by_id, session)
            else {
                continue;
            };
            if let Err(error) = connection.send(&request, version, ANSWER_MARGIN).await {
                tracing::debug!("a fetch session could not be closed: {error}");
            }
        }
    }
}

fn submit(
    config: &ConsumerConfig,
    connection: &Connection,
    by_id: bool,
    session: SessionRequest,
    reply: Box<dyn FnOnce(Result<ResponseFrame>) + Send>,
) -> Result<()> {
    let (request, version) = fetch_request::build(config, connection, by_id, session)?;
    let timeout = config
        .client
        .request_timeout
        .max(config.fetch_wait_max + ANSWER_MARGIN);
    connection.submit(&request, version, timeout, reply)
}

/// Whether an error of a partition is worth another try after a metadata update.
pub(super) fn is_transient(code: ErrorCode) -> bool {
    code.is_retriable() || code.invalidates_metadata() || code == ErrorCode::UnknownServerError
}

/// An error that the application must see.
pub(super) fn fatal(name: &TopicPartition, code: ErrorCode) -> ClientError {
    match code {
        ErrorCode::TopicAuthorizationFailed => {
            let text = format!("Not authorized to access topics: [{}]", name.topic);
            ClientError::broker(code, Some(&text))
        }
        code => {
            let text = format!(
                "Unexpected error while fetching from partition {name}: {}",
                code.message()
            );
            ClientError::broker(code, Some(&text))
        }
    }
}
