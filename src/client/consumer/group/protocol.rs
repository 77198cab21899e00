//! The task of a member of the consumer protocol (KIP-848): the coordinator assigns partitions, and
//! heartbeats alone tell it what the member reads and still owns.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::member::{Inbox, moved};
use super::metadata::Subscription;
use super::{Command, GroupEvent, Identity, NO_GENERATION, Shared};
use crate::client::TopicPartition;
use crate::client::cluster::{CallOptions, Client, Coordinator, Role, Route};
use crate::client::config::ConsumerConfig;
use crate::client::consumer::ConsumerEvent;
use crate::client::errors::{ClientError, Result};
use crate::protocol::messages::consumer_group_heartbeat_request::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use crate::protocol::messages::consumer_group_heartbeat_response::{
    Assignment, ConsumerGroupHeartbeatResponse,
};
use crate::protocol::{ErrorCode, Uuid};

/// Epochs with a meaning of their own.
const JOINING: i32 = 0;
const LEAVING: i32 = -1;
/// A static member goes, and its place is kept.
const LEAVING_FOR_A_WHILE: i32 = -2;

/// How long leaving may take when the consumer closes.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

type Partitions = BTreeSet<TopicPartition>;

pub(super) struct ProtocolMember {
    client: Client,
    config: Arc<ConsumerConfig>,
    group_id: Arc<str>,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<ConsumerEvent>,
    member_id: String,
    epoch: i32,
    topics: Vec<Arc<str>>,
    owned: Partitions,
    /// What the next heartbeat must tell beside the epoch.
    tell_topics: bool,
    tell_owned: bool,
    /// An answer was lost: everything is told, so that the coordinator tells everything too.
    tell_all: bool,
    /// Assigned, and not taken over yet: for want of the names of topics.
    unnamed: Option<Assignment>,
    /// The consumer was asked to be ready and has not answered.
    prepared: bool,
    next_beat: Option<Instant>,
}

impl ProtocolMember {
    pub fn new(
        client: Client,
        config: Arc<ConsumerConfig>,
        group_id: Arc<str>,
        shared: Arc<Shared>,
        events: mpsc::UnboundedSender<ConsumerEvent>,
    ) -> Self {
        Self {
            client,
            config,
            group_id,
            shared,
            events,
            member_id: Uuid::from_random(fastrand::u128(..)).to_string(),
            epoch: JOINING,
            topics: Vec::new(),
            owned: Partitions::new(),
            tell_topics: true,
            tell_owned: true,
            tell_all: false,
            unnamed: None,
            prepared: false,
            next_beat: None,
        }
    }

    pub async fn run(mut self, mut inbox: Inbox) {
        let cancelled = self.client.cancelled().clone();
        let mut updates = self.client.updates();
        self.prepare(false);
        loop {
            let far = Instant::now() + LEAVE_TIMEOUT;
            let beat = self.next_beat.unwrap_or(far);
            let command = tokio::select! {
                () = cancelled.cancelled() => return,
                command = inbox.recv() => Some(command),
                changed = updates.changed() => {
                    changed.ok();
                    self.take_over();
                    None
                }
                () = tokio::time::sleep_until(beat), if self.next_beat.is_some() => {
                    let command = tokio::select! {
                        () = cancelled.cancelled() => return,
                        () = self.beat() => None,
                        command = inbox.recv() => Some(command),
                    };
                    self.tell_all |= command.is_some();
                    command
                }
            };
            match command {
                None => {}
                Some(Some(Command::Join(subscription))) => self.join(subscription),
                Some(Some(Command::Rejoin)) => self.prepare(false),
                Some(Some(Command::Leave) | None) => {
                    self.leave().await;
                    return;
                }
            }
        }
    }

    fn tell(&self, event: GroupEvent) {
        let _consumer_gone = self.events.send(ConsumerEvent::Group(event));
    }

    /// Asks the consumer what it wants and owns.
    fn prepare(&mut self, lost: bool) {
        if !std::mem::replace(&mut self.prepared, true) || lost {
            self.tell(GroupEvent::Prepare { lost });
        }
    }

    fn join(&mut self, subscription: Subscription) {
        self.prepared = false;
        self.tell_topics |= subscription.topics != self.topics;
        self.topics = subscription.topics;
        let owned: Partitions = subscription.owned.into_iter().collect();
        self.tell_owned |= owned != self.owned;
        self.owned = owned;
        self.next_beat = Some(Instant::now());
    }

    async fn beat(&mut self) {
        let idle = self.shared.polled.lock().elapsed();
        if idle >= self.config.poll_interval_max {
            tracing::warn!(
                "consumer poll timeout has expired: the time between polls was longer than \
                 max.poll.interval.ms={}; leaving group {}",
                self.config.poll_interval_max.as_millis(),
                self.group_id
            );
            self.leave().await;
            self.lose();
            return;
        }
        match self.send(self.request()).await {
            Ok(response) => self.answered(response),
            Err(error) if error.is_retriable() => {
                tracing::debug!("heartbeat of group {}: {error}", self.group_id);
                self.tell_all = true;
                let pause = self.client.config().retry_backoff.first;
                self.next_beat = Some(Instant::now() + pause);
            }
            Err(ClientError::UnsupportedVersion(_)) => self.fail(ClientError::config(
                "The cluster does not support the new CONSUMER group protocol. Set \
                 group.protocol=classic on the consumer configs to revert to the CLASSIC protocol \
                 until the cluster is upgraded.",
            )),
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: ClientError) {
        self.next_beat = None;
        self.tell(GroupEvent::Failed(error));
    }

    /// What this member was is gone; the consumer gives up its partitions and joins anew.
    fn lose(&mut self) {
        self.set_epoch(JOINING);
        (self.tell_topics, self.tell_owned) = (true, true);
        (self.unnamed, self.next_beat) = (None, None);
        self.owned.clear();
        self.prepare(true);
    }

    fn set_epoch(&mut self, epoch: i32) {
        self.epoch = epoch;
        *self.shared.identity.lock() = match epoch {
            JOINING => Identity::NONE,
            epoch => Identity {
                member_id: self.member_id.clone(),
                generation: epoch,
            },
        };
    }

    fn request(&self) -> ConsumerGroupHeartbeatRequest {
        let mut request = ConsumerGroupHeartbeatRequest {
            group_id: self.group_id.to_string(),
            member_id: self.member_id.clone(),
            member_epoch: self.epoch,
            instance_id: self.config.group_instance_id.as_deref().map(str::to_owned),
            rebalance_timeout_ms: -1,
            ..Default::default()
        };
        let joining = self.epoch == JOINING;
        if joining || self.tell_all {
            let limit = self.config.poll_interval_max.as_millis();
            request.rebalance_timeout_ms = i32::try_from(limit).unwrap_or(i32::MAX);
            request.rack_id = Some(self.config.rack.clone()).filter(|rack| !rack.is_empty());
            request.server_assignor = self.config.remote_assignor.as_deref().map(str::to_owned);
        }
        if joining || self.tell_all || self.tell_topics {
            let topics = self.topics.iter().map(|topic| topic.to_string());
            request.subscribed_topic_names = Some(topics.collect());
        }
        if joining {
            request.topic_partitions = Some(Vec::new());
        } else if self.tell_all || self.tell_owned {
            request.topic_partitions = Some(self.owned_by_id());
        }
        request
    }

    fn owned_by_id(&self) -> Vec<TopicPartitions> {
        let metadata = self.client.metadata();
        let mut topics: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
        for partition in &self.owned {
            let indexes = topics.entry(&partition.topic).or_default();
            indexes.push(partition.partition);
        }
        let by_id = topics.into_iter().filter_map(|(name, partitions)| {
            // A topic without metadata is gone: nothing of it can be owned.
            let topic_id = metadata.topic(name)?.id;
            Some(TopicPartitions {
                topic_id,
                partitions,
            })
        });
        by_id.collect()
    }

    async fn send(
        &self,
        request: ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse> {
        let options = self.call_options(self.config.session_timeout);
        let verdict = |response: &ConsumerGroupHeartbeatResponse| moved(response.error_code);
        let build = |_version| request.clone();
        self.client
            .call(options, self.coordinator(), build, verdict)
            .await
    }

    fn coordinator(&self) -> Route<'_> {
        Route::Coordinator(Coordinator::Group, &self.group_id)
    }

    fn call_options(&self, patience: Duration) -> CallOptions {
        let mut options = self.client.options("consumerGroupHeartbeat");
        options.role = Role::Coordinator;
        options.deadline = Instant::now() + patience;
        options
    }

    fn answered(&mut self, response: ConsumerGroupHeartbeatResponse) {
        let text = response.error_message.as_deref();
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {}
            code @ (ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch) => {
                tracing::info!("group {}: {}, joining again", self.group_id, code.name());
                self.lose();
                return;
            }
            code => {
                self.fail(ClientError::broker(code, text));
                return;
            }
        }
        if self.epoch == JOINING {
            // Nothing is owned yet, and that was told.
            self.owned.clear();
        }
        (self.tell_topics, self.tell_owned, self.tell_all) = (false, false, false);
        self.set_epoch(response.member_epoch);
        let interval = u64::try_from(response.heartbeat_interval_ms)
            .unwrap_or(1)
            .max(1);
        self.next_beat = Some(Instant::now() + Duration::from_millis(interval));
        if let Some(assignment) = response.assignment {
            self.unnamed = Some(assignment);
            self.take_over();
        }
    }

    /// Hands the assignment to the consumer once all topics have names.
    fn take_over(&mut self) {
        let Some(assignment) = self.unnamed.take() else {
            return;
        };
        let metadata = self.client.metadata();
        let mut assigned = Partitions::new();
        for topic in &assignment.topic_partitions {
            let Some(known) = metadata.topic_by_id(topic.topic_id) else {
                self.client.request_update();
                self.unnamed = Some(assignment);
                return;
            };
            let indexes = topic.partitions.iter();
            assigned.extend(indexes.map(|index| TopicPartition::new(known.name.clone(), *index)));
        }
        self.tell(GroupEvent::Assigned {
            partitions: assigned.iter().cloned().collect(),
        });
        // What must be given up first is told by the consumer once it has.
        if self.owned.is_subset(&assigned) {
            self.owned = assigned;
            self.tell_owned = true;
            self.next_beat = Some(Instant::now());
        }
    }

    async fn leave(&mut self) {
        if self.epoch == JOINING {
            return;
        }
        let epoch = match self.config.group_instance_id {
            Some(_) => LEAVING_FOR_A_WHILE,
            None => LEAVING,
        };
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.group_id.to_string(),
            member_id: self.member_id.clone(),
            member_epoch: epoch,
            instance_id: self.config.group_instance_id.as_deref().map(str::to_owned),
            rebalance_timeout_ms: -1,
            ..Default::default()
        };
        let options = self.call_options(LEAVE_TIMEOUT);
        let build = |_version| request.clone();
        let left = self
            .client
            .call(options, self.coordinator(), build, |_| ErrorCode::None)
            .await;
        if let Err(error) = left {
            tracing::debug!("leaving group {} failed: {error}", self.group_id);
        }
        self.set_epoch(JOINING);
        debug_assert_eq!(self.shared.identity.lock().generation, NO_GENERATION);
    }
}
