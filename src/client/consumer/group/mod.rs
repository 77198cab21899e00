//! Membership in a group, of the classic or of the consumer protocol: a task of its own joins,
//! heartbeats and leaves, so that a slow application does not lose its partitions; the consumer
//! hears of changes in its polls.
pub(super) mod join;
mod member;
pub(super) mod metadata;
mod protocol;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::ConsumerEvent;
use crate::client::TopicPartition;
use crate::client::cluster::Client;
use crate::client::config::{ConsumerConfig, GroupProtocol};
use crate::client::errors::ClientError;

/// No generation: not a member, or one that must join anew.
pub const NO_GENERATION: i32 = -1;

/// Who the consumer is in the group; commits carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Empty before the first join.
    pub member_id: String,
    pub generation: i32,
}

impl Identity {
    /// Of a consumer that is no member.
    pub const NONE: Self = Self {
        member_id: String::new(),
        generation: NO_GENERATION,
    };
}

/// What the membership tells the consumer.
#[derive(Debug)]
pub enum GroupEvent {
    /// A join is due: give up what the protocol demands and answer with [`Command::Join`]. With
    /// `lost`, the partitions may belong to others already.
    Prepare { lost: bool },
    /// The partitions of this generation.
    Assigned { partitions: Vec<TopicPartition> },
    /// The membership cannot go on.
    Failed(ClientError),
}

/// What the consumer tells the membership.
#[derive(Debug)]
pub(super) enum Command {
    /// The application is ready for a new generation.
    Join(metadata::Subscription),
    /// A new generation is wanted, since the subscription changed or partitions were given up.
    Rejoin,
    Leave,
}

/// The consumer's end of its membership.
pub(super) struct Membership {
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

pub(super) struct Shared {
    identity: Mutex<Identity>,
    /// When the application last polled.
    polled: Mutex<Instant>,
}

impl Membership {
    /// Starts the task; it asks to join at once.
    pub fn start(
        client: Client,
        config: Arc<ConsumerConfig>,
        group_id: Arc<str>,
        events: mpsc::UnboundedSender<ConsumerEvent>,
    ) -> Self {
        let shared = Arc::new(Shared {
            identity: Mutex::new(Identity::NONE),
            polled: Mutex::new(Instant::now()),
        });
        // Commands are one per poll at most, and the task never waits for anything else.
        let (commands, inbox) = mpsc::unbounded_channel();
        let (tasks, protocol) = (client.tasks().clone(), config.group_protocol);
        let shares = shared.clone();
        let task = match protocol {
            GroupProtocol::Classic => {
                let member = member::Member::new(client, config, group_id, shares, events);
                tasks.spawn(member.run(inbox))
            }
            GroupProtocol::Consumer => {
                let member =
                    protocol::ProtocolMember::new(client, config, group_id, shares, events);
                tasks.spawn(member.run(inbox))
            }
        };
        Self {
            commands,
            shared,
            task: Some(task),
        }
    }

    pub fn identity(&self) -> Identity {
        self.shared.identity.lock().clone()
    }

    /// Notes that the application is alive.
    pub fn polled(&self) {
        *self.shared.polled.lock() = Instant::now();
    }

    pub fn command(&self, command: Command) {
        let _task_has_ended = self.commands.send(command);
    }

    /// Leaves the group (static members stay, as in Kafka) and ends the task.
    pub async fn leave(mut self) {
        self.command(Command::Leave);
        if let Some(task) = self.task.take()
            && let Err(failure) = task.await
        {
            tracing::error!("the membership's task failed: {failure}");
        }
    }
}
