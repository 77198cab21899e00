//! Membership in a share group: a task of its own heartbeats, and learns what is assigned.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::ShareConsumerConfig;
use crate::client::cluster::{Client, Coordinator, Role, Route};
use crate::client::errors::{ClientError, Result};
use crate::protocol::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};
use crate::protocol::{ErrorCode, Uuid};

/// By topic id and index.
pub type Partitions = BTreeSet<(Uuid, i32)>;

/// Epochs with a meaning of their own.
const JOINING: i32 = 0;
const LEAVING: i32 = -1;

/// How long a heartbeat may take, and leaving.
const PATIENCE: Duration = Duration::from_secs(45);
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Default)]
struct State {
    assigned: Arc<Partitions>,
    failure: Option<ClientError>,
}

/// The consumer's end of its membership.
pub struct Membership {
    member_id: Arc<str>,
    state: watch::Receiver<State>,
    leave: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Membership {
    /// Starts the task; it joins at once.
    pub fn start(client: &Client, config: &ShareConsumerConfig, topics: &[&str]) -> Self {
        let member_id: Arc<str> = Uuid::from_random(fastrand::u128(..)).to_string().into();
        let (sender, state) = watch::channel(State::default());
        let (leave, left) = oneshot::channel();
        let member = Member {
            client: client.clone(),
            group_id: config.group_id.clone(),
            member_id: member_id.clone(),
            rack: Some(config.rack.clone()).filter(|rack| !rack.is_empty()),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            epoch: JOINING,
            tell_all: true,
            state: sender,
        };
        let task = client.tasks().spawn(member.run(left));
        Self {
            member_id,
            state,
            leave: Some(leave),
            task: Some(task),
        }
    }

    pub fn member_id(&self) -> &str {
        &self.member_id
    }

    pub fn assigned(&self) -> Arc<Partitions> {
        self.state.borrow().assigned.clone()
    }

    pub fn failure(&self) -> Option<ClientError> {
        self.state.borrow().failure.clone()
    }

    /// Waits for another assignment, or a failure.
    pub async fn changed(&mut self) {
        if self.state.changed().await.is_err() {
            // The task has ended with the client: there is no more news.
            std::future::pending::<()>().await;
        }
    }

    pub async fn leave(&mut self) {
        drop(self.leave.take());
        if let Some(task) = self.task.take()
            && let Err(failure) = task.await
        {
            tracing::error!("the membership's task failed: {failure}");
        }
    }
}

struct Member {
    client: Client,
    group_id: Arc<str>,
    member_id: Arc<str>,
    rack: Option<String>,
    topics: Vec<String>,
    epoch: i32,
    /// The coordinator does not know the subscription, or may have missed it.
    tell_all: bool,
    state: watch::Sender<State>,
}

impl Member {
    /// Heartbeats until the other end is dropped, or used.
    async fn run(mut self, mut left: oneshot::Receiver<()>) {
        let cancelled = self.client.cancelled().clone();
        loop {
            let next = tokio::select! {
                next = self.beat() => next,
                _ = &mut left => break,
                () = cancelled.cancelled() => return,
            };
            let pause = async {
                match next {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = pause => {}
                _ = &mut left => break,
                () = cancelled.cancelled() => return,
            }
        }
        if self.epoch != JOINING {
            self.epoch = LEAVING;
            if let Err(error) = self.send(LEAVE_TIMEOUT).await {
                tracing::debug!("leaving share group {} failed: {error}", self.group_id);
            }
        }
    }

    /// One heartbeat; when the next is due, if ever.
    async fn beat(&mut self) -> Option<Duration> {
        let pause = self.client.config().retry_backoff.first;
        let response = match self.send(PATIENCE).await {
            Ok(response) => response,
            Err(error) if error.is_retriable() => {
                tracing::debug!("heartbeat of share group {}: {error}", self.group_id);
                self.tell_all = true;
                return Some(pause);
            }
            Err(ClientError::UnsupportedVersion(_)) => {
                return self.fail(ClientError::UnsupportedVersion(
                    "The cluster does not support share groups.".into(),
                ));
            }
            Err(error) => return self.fail(error),
        };
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {}
            code @ (ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch) => {
                tracing::info!(
                    "share group {}: {}, joining again",
                    self.group_id,
                    code.name()
                );
                (self.epoch, self.tell_all) = (JOINING, true);
                self.assign(Partitions::new());
                return Some(Duration::ZERO);
            }
            code => {
                let text = response.error_message.as_deref();
                return self.fail(ClientError::broker(code, text));
            }
        }
        (self.epoch, self.tell_all) = (response.member_epoch, false);
        if let Some(assignment) = response.assignment {
            let topics = assignment.topic_partitions.iter();
            let assigned = topics.flat_map(|topic| {
                let indexes = topic.partitions.iter();
                indexes.map(|index| (topic.topic_id, *index))
            });
            self.assign(assigned.collect());
            // The coordinator hears at once that it arrived, and may have more by then.
            return Some(Duration::ZERO);
        }
        let interval = u64::try_from(response.heartbeat_interval_ms).unwrap_or(1);
        Some(Duration::from_millis(interval.max(1)))
    }

    fn assign(&self, assigned: Partitions) {
        tracing::debug!(
            "share group {}: {} partition(s)",
            self.group_id,
            assigned.len()
        );
        let assigned = Arc::new(assigned);
        self.state.send_modify(|state| state.assigned = assigned);
    }

    fn fail(&self, error: ClientError) -> Option<Duration> {
        self.state.send_modify(|state| state.failure = Some(error));
        None
    }

    async fn send(&self, patience: Duration) -> Result<ShareGroupHeartbeatResponse> {
        let tell = self.epoch == JOINING || self.tell_all && self.epoch != LEAVING;
        let build = |_version| ShareGroupHeartbeatRequest {
            group_id: self.group_id.to_string(),
            member_id: self.member_id.to_string(),
            member_epoch: self.epoch,
            rack_id: self.rack.clone().filter(|_| tell),
            subscribed_topic_names: tell.then(|| self.topics.clone()),
        };
        let mut options = self.client.options("shareGroupHeartbeat");
        options.role = Role::Coordinator;
        options.deadline = Instant::now() + patience;
        let coordinator = Route::Coordinator(Coordinator::Group, &self.group_id);
        // Errors of the membership itself are for the caller.
        let verdict = |response: &ShareGroupHeartbeatResponse| match ErrorCode::from_code(
            response.error_code,
        ) {
            code @ (ErrorCode::NotCoordinator
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::CoordinatorLoadInProgress) => code,
            _ => ErrorCode::None,
        };
        self.client.call(options, coordinator, build, verdict).await
    }
}
