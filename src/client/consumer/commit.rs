//! Committing offsets: on demand, automatically, and at the end.
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::group::Identity;
use super::{Consumer, ConsumerEvent};
use crate::client::TopicPartition;
use crate::client::admin::{CommittedOffset, OFFSETS_BY_NAME, commit_topics, fetch_offsets};
use crate::client::cluster::{Client, Coordinator, Route};
use crate::client::config::ConsumerConfig;
use crate::client::errors::{ClientError, Result};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

/// Offsets to commit: of each partition, the next record to read.
pub type Offsets = BTreeMap<TopicPartition, CommittedOffset>;

impl Consumer {
    /// Commits what the polls so far returned, and waits until the group has it.
    pub async fn commit(&mut self) -> Result<()> {
        let offsets = self.consumed();
        self.commit_offsets(offsets).await
    }

    /// Commits these offsets and waits until the group has them.
    pub async fn commit_offsets(&mut self, offsets: Offsets) -> Result<()> {
        send(&self.client, &self.config, self.identity(), offsets).await
    }

    /// Commits in the background; `done` is told how it ended. Later commits are not ordered after
    /// this one.
    pub fn commit_async(
        &mut self,
        offsets: Offsets,
        done: impl FnOnce(Result<()>) + Send + 'static,
    ) {
        let (client, config, identity) =
            (self.client.clone(), self.config.clone(), self.identity());
        self.client.tasks().spawn(async move {
            let cancelled = client.cancelled().clone();
            let committed = tokio::select! {
                committed = send(&client, &config, identity, offsets) => committed,
                () = cancelled.cancelled() => Err(ClientError::Closed),
            };
            done(committed);
        });
    }

    /// What the polls so far returned, as offsets to commit.
    pub fn consumed(&self) -> Offsets {
        let consumed = self.positions.consumed().into_iter();
        let committed = consumed.map(|(name, position)| {
            let leader_epoch = Some(position.leader_epoch).filter(|epoch| *epoch >= 0);
            let metadata = String::new();
            (
                name,
                CommittedOffset {
                    offset: position.offset,
                    leader_epoch,
                    metadata,
                },
            )
        });
        committed.collect()
    }

    /// The offsets that the group committed; partitions without one are absent.
    pub async fn committed(&self, partitions: &[TopicPartition]) -> Result<Offsets> {
        let group = group_id(&self.config)?;
        fetch_offsets(&self.client, group, Some(partitions), None).await
    }

    fn identity(&self) -> Identity {
        self.membership
            .as_ref()
            .map_or(Identity::NONE, |membership| membership.identity())
    }

    pub(super) fn start_auto_commit(&mut self) {
        self.next_auto_commit = self
            .config
            .auto_commit
            .map(|interval| Instant::now() + interval);
    }

    /// Commits in the background when it is time.
    pub(super) fn auto_commit(&mut self) {
        let (Some(interval), Some(due)) = (self.config.auto_commit, self.next_auto_commit) else {
            return;
        };
        if Instant::now() < due || self.auto_committing {
            return;
        }
        self.next_auto_commit = Some(Instant::now() + interval);
        let offsets = self.consumed();
        if offsets.is_empty() {
            return;
        }
        self.auto_committing = true;
        let events = self.events.clone();
        self.commit_async(offsets, move |committed| {
            let _consumer_gone = events.send(ConsumerEvent::AutoCommitted(committed));
        });
    }

    pub(super) fn auto_committed(&mut self, committed: Result<()>) {
        self.auto_committing = false;
        if let Err(error) = committed {
            if error.is_retriable() {
                let retry = Instant::now() + self.client.config().retry_backoff.first;
                self.next_auto_commit = self.next_auto_commit.map(|due| due.min(retry));
            }
            tracing::warn!("asynchronous auto-commit of offsets failed: {error}");
        }
    }

    /// The commit before partitions are given up; its failure does not stop that.
    pub(super) async fn final_commit(&mut self) -> Result<()> {
        if self.config.auto_commit.is_none() || self.next_auto_commit.is_none() {
            return Ok(());
        }
        let offsets = self.consumed();
        let committed = self.commit_offsets(offsets).await;
        if let Err(error) = &committed {
            tracing::warn!("auto-commit of offsets failed: {error}");
        }
        committed
    }
}

fn group_id(config: &ConsumerConfig) -> Result<&str> {
    config.group_id.as_deref().ok_or_else(|| {
        ClientError::config(
            "To use the group management or offset commit APIs, you must provide a valid \
             group.id in the consumer configuration.",
        )
    })
}

pub(super) async fn send(
    client: &Client,
    config: &Arc<ConsumerConfig>,
    identity: Identity,
    offsets: Offsets,
) -> Result<()> {
    let group = group_id(config)?;
    if offsets.is_empty() {
        return Ok(());
    }
    let instance = config.group_instance_id.as_deref();
    let build = |version: i16| OffsetCommitRequest {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: identity.generation,
        member_id: identity.member_id.clone(),
        group_instance_id: instance.filter(|_| version >= 7).map(str::to_owned),
        topics: commit_topics(&offsets, version),
        ..Default::default()
    };
    let codes = |response: &OffsetCommitResponse| -> Vec<ErrorCode> {
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        partitions
            .map(|p| ErrorCode::from_code(p.error_code))
            .collect()
    };
    let verdict = |response: &OffsetCommitResponse| {
        // A rebalance has to be taken part in first, which the next poll does.
        let again =
            |code: &ErrorCode| code.is_retriable() && *code != ErrorCode::RebalanceInProgress;
        codes(response)
            .into_iter()
            .find(again)
            .unwrap_or(ErrorCode::None)
    };
    let mut options = client.options("commitOffsets");
    options.version_max = OFFSETS_BY_NAME;
    let route = Route::Coordinator(Coordinator::Group, group);
    let response = client.call(options, route, build, verdict).await?;
    match codes(&response)
        .into_iter()
        .find(|code| *code != ErrorCode::None)
    {
        None => Ok(()),
        Some(code) => Err(ClientError::broker(code, refusal(code))),
    }
}

/// Kafka's words where the membership is the reason.
fn refusal(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => Some(
            "Offset commit cannot be completed since the consumer is not part of an active group \
             for auto partition assignment; it is likely that the consumer was kicked out of the \
             group.",
        ),
        ErrorCode::RebalanceInProgress => Some(
            "Offset commit cannot be completed since the consumer is undergoing a rebalance for \
             auto partition assignment. You can try completing the rebalance by calling poll() \
             and then retry the operation.",
        ),
        _ => None,
    }
}
