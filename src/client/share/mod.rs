//! The share consumer (KIP-932): members of a share group read the same partitions, and the
//! brokers hand each record to one of them until it is acknowledged.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use kafkars::client::ClientError;
//! use kafkars::client::share::{AcknowledgeType, ShareConsumer, ShareConsumerConfig};
//! use kafkars::config::Properties;
//!
//! # async fn example() -> kafkars::client::Result<()> {
//! let mut properties = Properties::new();
//! properties.set("bootstrap.servers", "localhost:9092");
//! properties.set("group.id", "workers");
//! properties.set("share.acknowledgement.mode", "explicit");
//! let config = ShareConsumerConfig::from_properties(&properties)?;
//! let mut consumer = ShareConsumer::new(config, &["jobs"]);
//! for fetched in consumer.poll(Duration::from_secs(1)).await? {
//!     let mut done = Vec::new();
//!     fetched.for_each(&mut Vec::new(), |_, record, delivery| {
//!         println!("{:?}, delivered {delivery} time(s)", record.value);
//!         done.push(record.offset);
//!         Ok::<_, ClientError>(())
//!     })?;
//!     for offset in done {
//!         consumer.acknowledge(&fetched, offset, AcknowledgeType::Accept);
//!     }
//! }
//! consumer.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Acknowledgements leave with the next poll, with [`ShareConsumer::commit`], or with
//! [`ShareConsumer::close`]. Unless `share.acknowledgement.mode` is `explicit`, all but closing
//! accepts what the last poll returned. Records without an acknowledgement go to other members when
//! the consumer closes or their lock runs out. A poll may be dropped at any await.
mod acknowledgements;
mod acknowledging;
mod fetched;
mod member;
mod session;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub use acknowledgements::{AcknowledgeType, Acknowledged, Range};
pub use fetched::{Acquired, ShareFetched};

use self::acknowledgements::Taken;
use self::member::{Membership, Partitions};
use self::session::{Node, Sending};
use super::TopicPartition;
use super::cluster::{Client, Role};
pub use super::config::ShareConsumerConfig;
use super::errors::{ClientError, Result};
use crate::protocol::messages::share_fetch_response::PartitionData;
use crate::protocol::messages::{ShareAcknowledgeResponse, ShareFetchRequest, ShareFetchResponse};
use crate::protocol::{ErrorCode, Uuid};

/// A broker's answer.
struct Answer {
    node: i32,
    /// The acknowledgements that went with the request.
    told: Taken,
    reply: Reply,
}

enum Reply {
    Fetched {
        asked: Partitions,
        response: Result<ShareFetchResponse>,
    },
    Acknowledged(Result<ShareAcknowledgeResponse>),
}

/// A consumer in a share group. One task uses it; see the module for an example.
pub struct ShareConsumer {
    client: Client,
    config: Arc<ShareConsumerConfig>,
    membership: Membership,
    nodes: BTreeMap<i32, Node>,
    answers: mpsc::UnboundedSender<Answer>,
    inbox: mpsc::UnboundedReceiver<Answer>,
    updates: watch::Receiver<u64>,
    /// Fetched while something else was waited for.
    ready: Vec<ShareFetched>,
    /// What the last poll returned, as far as it is to be accepted.
    delivered: Vec<ShareFetched>,
    /// What nobody was told yet; a poll begins anew.
    outcomes: Vec<Acknowledged>,
}

impl ShareConsumer {
    /// Joins the group to read these topics. Must be called inside a tokio runtime.
    pub fn new(config: ShareConsumerConfig, topics: &[&str]) -> Self {
        let client = Client::new(config.client.clone());
        client.set_topics(topics.iter().map(|topic| (*topic).into()).collect());
        // Bounded by the number of nodes: each has one fetch under way.
        let (answers, inbox) = mpsc::unbounded_channel();
        Self {
            membership: Membership::start(&client, &config, topics),
            updates: client.updates(),
            config: Arc::new(config),
            nodes: BTreeMap::new(),
            client,
            answers,
            inbox,
            ready: Vec::new(),
            delivered: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The partitions that the group gives this member.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        let metadata = self.client.metadata();
        let assigned = self.membership.assigned();
        let named = assigned.iter().filter_map(|(id, index)| {
            let topic = metadata.topic_by_id(*id)?;
            Some(TopicPartition::new(topic.name.clone(), *index))
        });
        named.collect()
    }

    /// Records that are this member's now; none when `timeout` passes.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Vec<ShareFetched>> {
        self.outcomes.clear();
        self.poll_until(timeout, false).await
    }

    /// As [`Self::poll`], but returns when acknowledgements have their answers as well, and gives
    /// these.
    pub async fn poll_with_answers(
        &mut self,
        timeout: Duration,
    ) -> Result<(Vec<ShareFetched>, Vec<Acknowledged>)> {
        let fetched = self.poll_until(timeout, true).await?;
        Ok((fetched, std::mem::take(&mut self.outcomes)))
    }

    async fn poll_until(&mut self, timeout: Duration, tell: bool) -> Result<Vec<ShareFetched>> {
        self.accept_delivered();
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if let Some(failure) = self.membership.failure() {
                return Err(failure);
            }
            let mut fetched = std::mem::take(&mut self.ready);
            while let Ok(answer) = self.inbox.try_recv() {
                fetched.extend(self.answered(answer)?);
            }
            if !fetched.is_empty() || tell && !self.outcomes.is_empty() {
                return Ok(self.deliver(fetched));
            }
            let retry_at = self.fetch();
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(Vec::new());
            }
            let wake = [deadline, retry_at].into_iter().flatten().min();
            let wake = wake.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                answer = self.inbox.recv() => if let Some(answer) = answer {
                    self.ready = self.answered(answer)?;
                },
                () = self.membership.changed() => {}
                changed = self.updates.changed() => { changed.ok(); }
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    fn deliver(&mut self, fetched: Vec<ShareFetched>) -> Vec<ShareFetched> {
        if self.config.implicit {
            self.delivered.clone_from(&fetched);
        }
        fetched
    }

    /// Says what became of a record; nothing leaves before the next poll or commit.
    pub fn acknowledge(&mut self, fetched: &ShareFetched, offset: i64, kind: AcknowledgeType) {
        let node = self.nodes.entry(fetched.node).or_default();
        let key = (fetched.topic_id, fetched.partition.partition);
        node.pending.add(key, offset, offset, kind);
    }

    /// Sends a fetch to every idle node that leads an assigned partition, with what was
    /// acknowledged of its records. Gives when a node that failed may be asked again.
    fn fetch(&mut self) -> Option<Instant> {
        let metadata = self.client.metadata();
        let mut wanted: BTreeMap<i32, Partitions> = BTreeMap::new();
        let mut all_known = true;
        for (id, index) in self.membership.assigned().iter() {
            let topic = metadata.topic_by_id(*id);
            let leader = topic.and_then(|topic| topic.partition(*index));
            match leader.filter(|partition| metadata.brokers.contains_key(&partition.leader)) {
                Some(partition) => {
                    let of_node = wanted.entry(partition.leader).or_default();
                    of_node.insert((*id, *index));
                }
                None => all_known = false,
            }
        }
        if !all_known {
            self.client.request_update();
        }
        for id in wanted.keys() {
            self.nodes.entry(*id).or_default();
        }
        let now = Instant::now();
        let mut retry_at: Option<Instant> = None;
        let ids: Vec<i32> = self.nodes.keys().copied().collect();
        for id in ids {
            let wanted = wanted.remove(&id).unwrap_or_default();
            let Some(node) = self.nodes.get_mut(&id) else {
                continue;
            };
            if let Some(at) = node.retry_at.filter(|at| *at > now) {
                retry_at = Some(retry_at.map_or(at, |other| other.min(at)));
            } else if !node.busy && (!wanted.is_empty() || node.has_news()) {
                self.send(id, wanted);
            }
        }
        retry_at
    }

    fn send(&mut self, id: i32, wanted: Partitions) {
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        let lost = node.take_lost();
        let mut sending = node.begin(&wanted);
        let told = std::mem::take(&mut sending.told);
        self.session_lost(lost);
        let request = request(&self.config, self.membership.member_id(), sending);
        let (client, answers) = (self.client.clone(), self.answers.clone());
        self.client.tasks().spawn(async move {
            let cancelled = client.cancelled().clone();
            let response = tokio::select! {
                response = ask(&client, id, request) => response,
                () = cancelled.cancelled() => Err(ClientError::Closed),
            };
            let asked = wanted;
            let _consumer_gone = answers.send(Answer {
                node: id,
                told,
                reply: Reply::Fetched { asked, response },
            });
        });
    }

    /// Takes what a broker handed out; an error that the application must see is returned.
    fn answered(&mut self, answer: Answer) -> Result<Vec<ShareFetched>> {
        let (id, told) = (answer.node, answer.told);
        if let Some(node) = self.nodes.get_mut(&id) {
            (node.busy, node.telling) = (false, false);
        }
        match answer.reply {
            Reply::Fetched { asked, response } => {
                self.fetch_told(told, &response);
                self.fetched(id, asked, response)
            }
            Reply::Acknowledged(response) => {
                self.acknowledged(id, told, response);
                Ok(Vec::new())
            }
        }
    }

    fn fetched(
        &mut self,
        id: i32,
        asked: Partitions,
        response: Result<ShareFetchResponse>,
    ) -> Result<Vec<ShareFetched>> {
        let pause = Instant::now() + self.client.config().retry_backoff.first;
        let Some(node) = self.nodes.get_mut(&id) else {
            return Ok(Vec::new());
        };
        let response = match response {
            Ok(response) => response,
            Err(error) if error.is_retriable() => {
                tracing::debug!("a share fetch from node {id} failed: {error}");
                node.restart();
                node.retry_at = Some(pause);
                self.client.request_update();
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => node.answered(asked),
            ErrorCode::ShareSessionNotFound | ErrorCode::InvalidShareSessionEpoch => {
                node.restart();
                return Ok(Vec::new());
            }
            code if code.is_retriable() => {
                node.restart();
                node.retry_at = Some(pause);
                return Ok(Vec::new());
            }
            code => {
                let text = response.error_message.as_deref();
                return Err(ClientError::broker(code, text));
            }
        }
        let mut fetched = Vec::new();
        for topic in response.responses {
            for data in topic.partitions {
                fetched.extend(self.take(id, topic.topic_id, data, pause)?);
            }
        }
        Ok(fetched)
    }

    fn take(
        &mut self,
        node: i32,
        topic_id: Uuid,
        data: PartitionData,
        pause: Instant,
    ) -> Result<Option<ShareFetched>> {
        let metadata = self.client.metadata();
        let Some(topic) = metadata.topic_by_id(topic_id) else {
            return Ok(None);
        };
        let partition = TopicPartition::new(topic.name.clone(), data.partition_index);
        match ErrorCode::from_code(data.error_code) {
            ErrorCode::None => {}
            code if code.is_retriable() => {
                tracing::debug!("{partition} cannot be fetched now: {}", code.name());
                if let Some(node) = self.nodes.get_mut(&node) {
                    node.retry_at = Some(pause);
                }
                self.client.request_update();
                return Ok(None);
            }
            code => return Err(ClientError::broker(code, data.error_message.as_deref())),
        }
        let Some(records) = data.records.as_bytes().cloned() else {
            return Ok(None);
        };
        let mut fetched =
            ShareFetched::new(partition, topic_id, node, data.acquired_records, records);
        if self.config.check_crcs {
            fetched.check_crcs()?;
        }
        // Nobody will see these: there is no record, or one that is not for applications.
        let gaps = fetched.take_gaps()?;
        if let Some(node) = self.nodes.get_mut(&node) {
            let key = (topic_id, data.partition_index);
            for (first, last) in gaps {
                node.pending.add(key, first, last, AcknowledgeType::Gap);
            }
        }
        Ok(Some(fetched).filter(|fetched| !fetched.acquired.is_empty()))
    }
}

fn request(config: &ShareConsumerConfig, member_id: &str, sending: Sending) -> ShareFetchRequest {
    let wait = config.fetch_wait_max.as_millis();
    ShareFetchRequest {
        group_id: Some((&*config.group_id).into()),
        member_id: Some(member_id.into()),
        share_session_epoch: sending.epoch,
        // A node that is only told something need not wait for records.
        max_wait_ms: match sending.wants_records {
            true => i32::try_from(wait).unwrap_or(i32::MAX),
            false => 0,
        },
        min_bytes: config.fetch_bytes_min,
        max_bytes: config.fetch_bytes_max,
        max_records: config.poll_records_max,
        batch_size: config.poll_records_max,
        share_acquire_mode: i8::from(config.strict_limit),
        topics: sending.topics,
        forgotten_topics_data: sending.forgotten,
        ..Default::default()
    }
}

async fn ask(
    client: &Client,
    node: i32,
    mut request: ShareFetchRequest,
) -> Result<ShareFetchResponse> {
    let connection = client.connection(node, Role::Fetch).await?;
    let version = connection.version::<ShareFetchRequest>()?;
    if version < 2 {
        request.share_acquire_mode = 0;
    }
    let timeout = client.config().request_timeout;
    connection.send(&request, version, timeout).await
}

/// Partitions by topic.
fn by_topic<'a>(
    partitions: impl IntoIterator<Item = &'a (Uuid, i32)>,
) -> BTreeMap<Uuid, BTreeSet<i32>> {
    let mut topics: BTreeMap<Uuid, BTreeSet<i32>> = BTreeMap::new();
    for (id, index) in partitions {
        topics.entry(*id).or_default().insert(*index);
    }
    topics
}
