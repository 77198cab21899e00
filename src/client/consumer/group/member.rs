//! The task of a member: joins when the application is ready, heartbeats, notices when the
//! application has stopped polling, leaves at the end.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::metadata::Subscription;
use super::{Command, GroupEvent, Identity, NO_GENERATION, Shared};
use crate::client::cluster::{CallOptions, Client, Coordinator, Role, Route};
use crate::client::config::ConsumerConfig;
use crate::client::consumer::ConsumerEvent;
use crate::client::errors::{ClientError, Result};
use crate::protocol::ErrorCode;
use crate::protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use crate::protocol::messages::{HeartbeatRequest, HeartbeatResponse};

/// How long leaving may take when the consumer closes.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Member {
    pub client: Client,
    pub config: Arc<ConsumerConfig>,
    pub group_id: Arc<str>,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<ConsumerEvent>,
    /// Partitions of the group's topics when this member, as leader, assigned them.
    pub led: Option<BTreeMap<Arc<str>, usize>>,
    prepared: bool,
}

/// What the task does next.
enum Next {
    /// Wait for the application to be ready, then join.
    Prepare {
        lost: bool,
    },
    Join(Subscription),
    Member,
    Leave,
    End,
}

/// What a member waits for.
enum News {
    Command(Option<Command>),
    /// A heartbeat's answer: what must follow, if anything.
    Beat(Result<Option<Next>>),
}

/// Commands of the consumer.
pub(super) type Inbox = mpsc::UnboundedReceiver<Command>;

impl Member {
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
            led: None,
            prepared: false,
        }
    }

    pub async fn run(mut self, mut inbox: Inbox) {
        let cancelled = self.client.cancelled().clone();
        let mut next = Next::Prepare { lost: false };
        loop {
            let step = async {
                match next {
                    Next::Prepare { lost } => self.prepare(lost, &mut inbox).await,
                    Next::Join(subscription) => self.join(subscription, &mut inbox).await,
                    Next::Member => self.stay(&mut inbox).await,
                    Next::Leave => {
                        self.send_leave("the consumer is being closed").await;
                        self.forget_generation();
                        Next::End
                    }
                    Next::End => Next::End,
                }
            };
            next = tokio::select! {
                next = step => next,
                () = cancelled.cancelled() => Next::End,
            };
            if matches!(next, Next::End) {
                return;
            }
        }
    }

    pub fn identity(&self) -> Identity {
        self.shared.identity.lock().clone()
    }

    pub fn set_identity(&self, member_id: String, generation: i32) {
        *self.shared.identity.lock() = Identity {
            member_id,
            generation,
        };
    }

    pub fn tell(&self, event: GroupEvent) {
        let _consumer_gone = self.events.send(ConsumerEvent::Group(event));
    }

    /// Tells the consumer that a join is due and waits until it is ready, heartbeating meanwhile.
    async fn prepare(&mut self, lost: bool, inbox: &mut Inbox) -> Next {
        if !std::mem::replace(&mut self.prepared, true) || lost {
            self.tell(GroupEvent::Prepare { lost });
        }
        let mut beat = self.beat();
        loop {
            let news = tokio::select! {
                command = inbox.recv() => News::Command(command),
                _ = beat.tick(), if self.is_alive_member() => self.heartbeat_or_command(inbox).await,
            };
            match news {
                News::Command(Some(Command::Join(subscription))) => {
                    self.prepared = false;
                    return Next::Join(subscription);
                }
                // A join is due anyway.
                News::Command(Some(Command::Rejoin)) => {}
                News::Command(Some(Command::Leave) | None) => return Next::Leave,
                // The answer only keeps the membership alive.
                News::Beat(outcome) => {
                    if let Err(error) = outcome {
                        tracing::debug!("heartbeat while waiting to join: {error}");
                    }
                }
            }
        }
    }

    /// Whether the application polls and the coordinator knows us.
    fn is_alive_member(&self) -> bool {
        let idle = self.shared.polled.lock().elapsed();
        idle < self.config.poll_interval_max && self.identity().generation != NO_GENERATION
    }

    fn beat(&self) -> tokio::time::Interval {
        let mut beat = tokio::time::interval(self.config.heartbeat_interval);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        beat.reset();
        beat
    }

    /// A slow heartbeat does not keep a command waiting.
    async fn heartbeat_or_command(&self, inbox: &mut Inbox) -> News {
        tokio::select! {
            outcome = self.heartbeat() => News::Beat(outcome),
            command = inbox.recv() => News::Command(command),
        }
    }

    /// Joins and syncs; a command to leave interrupts.
    async fn join(&mut self, subscription: Subscription, inbox: &mut Inbox) -> Next {
        let mut rejoin = false;
        let joined = {
            let joining = self.join_group(&subscription);
            tokio::pin!(joining);
            loop {
                tokio::select! {
                    joined = &mut joining => break joined,
                    command = inbox.recv() => match command {
                        Some(Command::Rejoin) => rejoin = true,
                        Some(Command::Join(_)) => {}
                        Some(Command::Leave) | None => return Next::Leave,
                    },
                }
            }
        };
        match joined {
            Ok(partitions) => {
                self.tell(GroupEvent::Assigned { partitions });
                if rejoin {
                    Next::Prepare { lost: false }
                } else {
                    Next::Member
                }
            }
            Err(error) => {
                let lost = self.identity().generation == NO_GENERATION;
                if is_fatal(&error) {
                    self.tell(GroupEvent::Failed(error));
                    return Next::Prepare { lost };
                }
                tracing::debug!("joining group {} failed, again: {error}", self.group_id);
                tokio::time::sleep(self.client.config().retry_backoff.first).await;
                if rejoin || lost && !subscription.owned.is_empty() {
                    return Next::Prepare { lost };
                }
                Next::Join(subscription)
            }
        }
    }

    /// Heartbeats until the membership ends or a new generation is due.
    async fn stay(&mut self, inbox: &mut Inbox) -> Next {
        let mut beat = self.beat();
        let mut updates = self.client.updates();
        let mut failing_since: Option<Instant> = None;
        loop {
            let news = tokio::select! {
                command = inbox.recv() => News::Command(command),
                changed = updates.changed() => {
                    changed.ok();
                    if self.topics_changed() {
                        tracing::info!("group {}: its topics have other partitions", self.group_id);
                        return Next::Prepare { lost: false };
                    }
                    continue;
                }
                _ = beat.tick() => {
                    let idle = self.shared.polled.lock().elapsed();
                    if idle >= self.config.poll_interval_max {
                        return self.leave_for_idleness().await;
                    }
                    self.heartbeat_or_command(inbox).await
                }
            };
            match news {
                News::Command(Some(Command::Rejoin)) => return Next::Prepare { lost: false },
                News::Command(Some(Command::Join(_))) => {}
                News::Command(Some(Command::Leave) | None) => return Next::Leave,
                News::Beat(Ok(None)) => failing_since = None,
                News::Beat(Ok(Some(next))) => return next,
                News::Beat(Err(error)) => {
                    tracing::debug!("heartbeat of group {}: {error}", self.group_id);
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= self.config.session_timeout {
                        // The coordinator has given up on us by now.
                        self.forget_generation();
                        return Next::Prepare { lost: true };
                    }
                }
            }
        }
    }

    fn topics_changed(&self) -> bool {
        let Some(led) = &self.led else { return false };
        let metadata = self.client.metadata();
        led.iter().any(|(topic, count)| {
            let known = metadata.topic(topic);
            // A topic that a lagging broker does not know is not gone.
            known.is_some_and(|topic| topic.partitions.len() > *count)
        })
    }

    /// One heartbeat; what must follow, if anything.
    async fn heartbeat(&self) -> Result<Option<Next>> {
        let identity = self.identity();
        let instance = self.config.group_instance_id.clone();
        let build = |version: i16| HeartbeatRequest {
            group_id: self.group_id.to_string(),
            generation_id: identity.generation,
            member_id: identity.member_id.clone(),
            group_instance_id: instance
                .as_deref()
                .filter(|_| version >= 3)
                .map(str::to_owned),
        };
        let options = self.call_options("heartbeat", self.config.session_timeout);
        let verdict = |response: &HeartbeatResponse| moved(response.error_code);
        let response = self
            .client
            .call(options, self.coordinator(), build, verdict)
            .await?;
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => Ok(None),
            ErrorCode::RebalanceInProgress => Ok(Some(Next::Prepare { lost: false })),
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => {
                tracing::info!("group {}: no longer a member, joining again", self.group_id);
                self.forget_generation();
                Ok(Some(Next::Prepare { lost: true }))
            }
            code @ (ErrorCode::FencedInstanceId | ErrorCode::GroupAuthorizationFailed) => {
                self.forget_generation();
                self.tell(GroupEvent::Failed(ClientError::broker(code, None)));
                Ok(Some(Next::Prepare { lost: true }))
            }
            code => Err(ClientError::broker(code, None)),
        }
    }

    pub fn forget_generation(&self) {
        self.set_identity(String::new(), NO_GENERATION);
    }

    pub fn coordinator(&self) -> Route<'_> {
        Route::Coordinator(Coordinator::Group, &self.group_id)
    }

    /// A call on the member's own connection to the coordinator.
    pub fn call_options(&self, name: &'static str, patience: Duration) -> CallOptions {
        let mut options = self.client.options(name);
        options.role = Role::Coordinator;
        options.deadline = Instant::now() + patience;
        options
    }

    async fn leave_for_idleness(&self) -> Next {
        let limit = self.config.poll_interval_max.as_millis();
        tracing::warn!(
            "consumer poll timeout has expired: the time between polls was longer than \
             max.poll.interval.ms={limit}; leaving group {}",
            self.group_id
        );
        self.send_leave("consumer poll timeout has expired.").await;
        self.forget_generation();
        Next::Prepare { lost: true }
    }

    /// Static members do not leave: their place waits for them until the session times out.
    async fn send_leave(&self, reason: &str) {
        let identity = self.identity();
        if identity.member_id.is_empty() || self.config.group_instance_id.is_some() {
            return;
        }
        let build = |version: i16| {
            let mut request = LeaveGroupRequest {
                group_id: self.group_id.to_string(),
                ..Default::default()
            };
            if version < 3 {
                request.member_id = identity.member_id.clone();
            } else {
                request.members = vec![MemberIdentity {
                    member_id: identity.member_id.clone(),
                    reason: (version >= 5).then(|| reason.to_owned()),
                    ..Default::default()
                }];
            }
            request
        };
        let options = self.call_options("leaveGroup", LEAVE_TIMEOUT);
        let left = self
            .client
            .call(options, self.coordinator(), build, |_| ErrorCode::None)
            .await;
        if let Err(error) = left {
            tracing::debug!("leaving group {} failed: {error}", self.group_id);
        }
    }
}

/// Codes that ask for the coordinator again; the others belong to the membership.
pub(super) fn moved(code: i16) -> ErrorCode {
    match ErrorCode::from_code(code) {
        code @ (ErrorCode::NotCoordinator
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::CoordinatorLoadInProgress) => code,
        _ => ErrorCode::None,
    }
}

fn is_fatal(error: &ClientError) -> bool {
    match error {
        ClientError::Broker { code, .. } => {
            !matches!(
                code,
                ErrorCode::UnknownMemberId
                    | ErrorCode::IllegalGeneration
                    | ErrorCode::RebalanceInProgress
            ) && !code.is_retriable()
        }
        ClientError::Disconnected(_) | ClientError::Timeout(_) => false,
        _ => true,
    }
}
