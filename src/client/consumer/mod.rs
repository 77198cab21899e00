//! The consumer: fetches ahead, hands out batches without copying them, keeps positions, and is a
//! member of a group, of either protocol, if it subscribes.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use kafkars::client::consumer::{Consumer, ConsumerConfig};
//! use kafkars::config::Properties;
//!
//! # async fn example() -> kafkars::client::Result<()> {
//! let mut properties = Properties::new();
//! properties.set("bootstrap.servers", "localhost:9092");
//! properties.set("group.id", "readers");
//! let mut consumer = Consumer::new(ConsumerConfig::from_properties(&properties)?);
//! consumer.subscribe(&["events"])?;
//! for _ in 0..10 {
//!     for fetched in consumer.poll(Duration::from_secs(1)).await? {
//!         for batch in fetched.batches() {
//!             for record in batch?.records()?.iter() {
//!                 let record = record?;
//!                 println!("{}-{}: {:?}", fetched.partition, record.offset, record.value);
//!             }
//!         }
//!     }
//! }
//! consumer.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! A poll may be dropped at any await, as `select!` does: records are handed out by its return
//! alone. A [`RebalanceListener`] that was interrupted in this way is called again.
pub mod assignor;
mod commit;
mod completed;
mod fetch_request;
mod fetched;
mod fetcher;
mod group;
mod lookup;
mod positions;
mod rebalance;
mod seek;
mod session;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub use commit::Offsets;
pub use fetched::{BatchRecordIter, BatchRecords, Fetched, FetchedBatch, FetchedBatches};
pub(crate) use group::metadata::decode_assignment;
pub use rebalance::{BoxFuture, RebalanceListener};

use super::TopicPartition;
pub use super::admin::{CommittedOffset, ListedOffset, OffsetSpec};
use super::cluster::Client;
pub use super::config::{AssignorKind, AutoOffsetReset, ConsumerConfig, IsolationLevel};
use super::errors::{ClientError, Result};
use super::metadata::ClusterMetadata;
use crate::protocol::ErrorCode;
use fetcher::{FetchAnswer, Fetcher};
use group::{Command, GroupEvent, Membership};
use lookup::LookupAnswer;
use positions::Positions;

/// Longer than any poll lasts, and short enough to be added to the present.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// What the consumer's tasks tell it.
enum ConsumerEvent {
    Fetch(FetchAnswer),
    Connected { node: i32, result: Result<()> },
    Lookup(LookupAnswer),
    Group(GroupEvent),
    AutoCommitted(Result<()>),
}

/// What the application asked for.
enum Subscription {
    None,
    Assigned,
    Topics(BTreeSet<Arc<str>>),
    Pattern {
        pattern: Regex,
        matched: BTreeSet<Arc<str>>,
    },
}

/// A consumer. One task uses it; see the module for an example.
pub struct Consumer {
    client: Client,
    config: Arc<ConsumerConfig>,
    subscription: Subscription,
    positions: Positions,
    fetcher: Fetcher,
    membership: Option<Membership>,
    listener: Option<Box<dyn RebalanceListener>>,
    events: mpsc::UnboundedSender<ConsumerEvent>,
    inbox: mpsc::UnboundedReceiver<ConsumerEvent>,
    group_events: VecDeque<GroupEvent>,
    /// Errors that the application has not seen yet.
    failures: VecDeque<ClientError>,
    updates: watch::Receiver<u64>,
    next_auto_commit: Option<Instant>,
    auto_committing: bool,
    lookup_retry_at: Option<Instant>,
    /// What the last generation assigned.
    last_assigned: Vec<TopicPartition>,
}

impl Consumer {
    /// Makes a consumer; nothing is connected before it subscribes or assigns. Must be called
    /// inside a tokio runtime.
    pub fn new(config: ConsumerConfig) -> Self {
        let client = Client::new(config.client.clone());
        let config = Arc::new(config);
        // Bounded by what is in flight: a fetch for each node, one look-up, few group events.
        let (events, inbox) = mpsc::unbounded_channel();
        Self {
            fetcher: Fetcher::new(client.clone(), config.clone(), events.clone()),
            updates: client.updates(),
            next_auto_commit: None,
            client,
            config,
            subscription: Subscription::None,
            positions: Positions::default(),
            membership: None,
            listener: None,
            events,
            inbox,
            group_events: VecDeque::new(),
            failures: VecDeque::new(),
            auto_committing: false,
            lookup_retry_at: None,
            last_assigned: Vec::new(),
        }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn config(&self) -> &ConsumerConfig {
        &self.config
    }

    /// Is told when partitions come and go; for subscriptions.
    pub fn set_listener(&mut self, listener: Box<dyn RebalanceListener>) {
        self.listener = Some(listener);
    }

    /// Reads these topics as a member of the group: the group shares their partitions.
    pub fn subscribe(&mut self, topics: &[&str]) -> Result<()> {
        let topics: BTreeSet<Arc<str>> = topics.iter().map(|topic| (*topic).into()).collect();
        self.start_membership()?;
        self.client.set_topics(topics.iter().cloned().collect());
        self.subscription = Subscription::Topics(topics);
        Ok(())
    }

    /// Reads every topic whose whole name matches, those that come later included.
    pub fn subscribe_pattern(&mut self, pattern: &str) -> Result<()> {
        let whole = Regex::new(&format!("^(?:{pattern})$"))
            .map_err(|error| ClientError::config(format!("invalid pattern {pattern}: {error}")))?;
        self.start_membership()?;
        self.client.want_all_topics();
        self.subscription = Subscription::Pattern {
            pattern: whole,
            matched: BTreeSet::new(),
        };
        self.match_topics();
        Ok(())
    }

    fn start_membership(&mut self) -> Result<()> {
        let Some(group_id) = self.config.group_id.clone().filter(|id| !id.is_empty()) else {
            return Err(ClientError::config(
                "To use the group management or offset commit APIs, you must provide a valid \
                 group.id in the consumer configuration.",
            ));
        };
        if matches!(self.subscription, Subscription::Assigned) {
            return Err(subscription_conflict());
        }
        match &self.membership {
            Some(membership) => membership.command(Command::Rejoin),
            None => {
                let (client, config) = (self.client.clone(), self.config.clone());
                let membership = Membership::start(client, config, group_id, self.events.clone());
                self.membership = Some(membership);
            }
        }
        self.start_auto_commit();
        Ok(())
    }

    /// Reads these partitions, whatever other consumers do.
    pub fn assign(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        if self.membership.is_some() {
            return Err(subscription_conflict());
        }
        let topics: BTreeSet<Arc<str>> = partitions.iter().map(|p| p.topic.clone()).collect();
        self.client.set_topics(topics.into_iter().collect());
        self.positions.assign(partitions.iter().cloned());
        self.subscription = Subscription::Assigned;
        self.start_auto_commit();
        Ok(())
    }

    /// Leaves the group and drops all partitions.
    pub async fn unsubscribe(&mut self) -> Result<()> {
        let left = self.leave_group().await;
        self.positions.assign([]);
        self.subscription = Subscription::None;
        left
    }

    /// The partitions that this consumer reads now.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.positions.names()
    }

    /// The topics that it subscribed to, or that its pattern matches.
    pub fn subscription(&self) -> Vec<Arc<str>> {
        match &self.subscription {
            Subscription::None | Subscription::Assigned => Vec::new(),
            Subscription::Topics(topics) => topics.iter().cloned().collect(),
            Subscription::Pattern { matched, .. } => matched.iter().cloned().collect(),
        }
    }

    /// Records of any partitions, as soon as there are some; none when `timeout` passes. The call
    /// also keeps the membership going: time between polls is limited by `max.poll.interval.ms`.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Vec<Fetched>> {
        if matches!(self.subscription, Subscription::None) {
            return Err(ClientError::illegal_state(
                "Consumer is not subscribed to any topics or assigned any partitions",
            ));
        }
        // `Duration::MAX` means to wait for ever.
        let deadline = Instant::now() + timeout.min(FOR_EVER);
        loop {
            if let Some(membership) = &self.membership {
                membership.polled();
            }
            while let Ok(event) = self.inbox.try_recv() {
                self.take_event(event);
            }
            self.rebalance().await?;
            if let Some(failure) = self.failures.pop_front() {
                return Err(failure);
            }
            self.client.check_access()?;
            self.auto_commit();
            self.look_up_positions();
            // A prefetch leaves before what is buffered is handed out.
            let retry_at = self.fetcher.send(&self.positions);
            let records_max = self.config.poll_records_max;
            let taken = self
                .fetcher
                .take_buffered(&mut self.positions, records_max)?;
            if !taken.is_empty() {
                self.fetcher.send(&self.positions);
                return Ok(taken);
            }
            let retry_at = self.fetcher.send(&self.positions).or(retry_at);
            if Instant::now() >= deadline {
                return Ok(taken);
            }
            self.wait(deadline, retry_at).await;
        }
    }

    /// Waits for news, at most until `deadline`.
    async fn wait(&mut self, deadline: Instant, retry_at: Option<Instant>) {
        let now = Instant::now();
        let timers = [retry_at, self.lookup_retry_at, self.next_auto_commit];
        let timers = timers.into_iter().flatten().filter(|at| *at > now);
        let wake = timers.min().map_or(deadline, |at| at.min(deadline));
        tokio::select! {
            event = self.inbox.recv() => if let Some(event) = event {
                self.take_event(event);
            },
            changed = self.updates.changed() => {
                changed.ok();
                self.match_topics();
                self.check_topics();
            }
            () = tokio::time::sleep_until(wake) => {}
        }
    }

    fn take_event(&mut self, event: ConsumerEvent) {
        let outcome = match event {
            ConsumerEvent::Fetch(answer) => self.fetcher.answered(answer, &mut self.positions),
            ConsumerEvent::Connected { node, result } => {
                self.fetcher.connected(node, result);
                Ok(())
            }
            ConsumerEvent::Lookup(answer) => self.looked_up(answer),
            ConsumerEvent::Group(event) => {
                self.group_events.push_back(event);
                Ok(())
            }
            ConsumerEvent::AutoCommitted(result) => {
                self.auto_committed(result);
                Ok(())
            }
        };
        self.failures.extend(outcome.err());
    }

    /// Topics that can never be read are errors of the next poll.
    fn check_topics(&mut self) {
        let metadata = self.client.metadata();
        let text = match &self.subscription {
            Subscription::Topics(topics) => topics
                .iter()
                .find_map(|topic| refused_topic(&metadata, topic)),
            Subscription::Assigned => self
                .positions
                .partitions
                .keys()
                .find_map(|partition| refused_topic(&metadata, &partition.topic)),
            Subscription::None | Subscription::Pattern { .. } => None,
        };
        self.failures.extend(text);
    }

    /// Follows new and deleted topics with a pattern.
    fn match_topics(&mut self) {
        let Subscription::Pattern { pattern, matched } = &mut self.subscription else {
            return;
        };
        let metadata = self.client.metadata();
        let internal_too = !self.config.exclude_internal_topics;
        let now_matched: BTreeSet<Arc<str>> = metadata
            .topics
            .values()
            .filter(|topic| (internal_too || !topic.internal) && pattern.is_match(&topic.name))
            .map(|topic| topic.name.clone())
            .collect();
        if now_matched != *matched {
            *matched = now_matched;
            if let Some(membership) = &self.membership {
                membership.command(Command::Rejoin);
            }
        }
    }

    /// Commits if that is automatic, leaves the group, and ends all tasks.
    pub async fn close(mut self) -> Result<()> {
        let left = self.leave_group().await;
        self.fetcher.close().await;
        self.client.close().await;
        left
    }

    async fn leave_group(&mut self) -> Result<()> {
        let committed = self.final_commit().await;
        if let Some(membership) = self.membership.take() {
            let owned = self.positions.names();
            if let Some(listener) = self.listener.as_mut().filter(|_| !owned.is_empty()) {
                let offsets = listener.revoked(&owned).await;
                if !offsets.is_empty() {
                    let commit =
                        commit::send(&self.client, &self.config, membership.identity(), offsets);
                    commit.await?;
                }
            }
            membership.leave().await;
        }
        self.group_events.clear();
        committed
    }

    /// High watermark minus position, as of the last fetch.
    pub fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        let state = self.positions.partitions.get(partition)?;
        let end = match self.config.isolation_level {
            IsolationLevel::ReadCommitted => state.last_stable_offset,
            IsolationLevel::ReadUncommitted => state.high_watermark,
        };
        Some((end? - state.position?.offset).max(0))
    }

    /// Offsets by time; see [`OffsetSpec`].
    pub async fn list_offsets(
        &self,
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
    ) -> Result<BTreeMap<TopicPartition, Result<ListedOffset>>> {
        let deadline = Instant::now() + self.config.client.api_timeout;
        let isolation = self.config.isolation_level;
        super::admin::list_offsets(&self.client, wanted, isolation, deadline).await
    }
}

fn refused_topic(metadata: &ClusterMetadata, name: &str) -> Option<ClientError> {
    let code = metadata.topic(name)?.error;
    let text = match code {
        ErrorCode::TopicAuthorizationFailed => format!("Not authorized to access topics: [{name}]"),
        ErrorCode::InvalidTopicException => format!("Invalid topics: [{name}]"),
        _ => return None,
    };
    Some(ClientError::broker(code, Some(&text)))
}

fn subscription_conflict() -> ClientError {
    ClientError::illegal_state(
        "Subscription to topics, partitions and pattern are mutually exclusive",
    )
}

impl Drop for Consumer {
    /// Without [`Consumer::close`] the group finds out by the session timeout.
    fn drop(&mut self) {
        self.client.cancelled().cancel();
    }
}
