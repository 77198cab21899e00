//! The consumer's part in a rebalance: partitions are given up and taken over inside a poll.
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;

use super::Consumer;
use super::commit::{self, Offsets};
use super::group::join::is_cooperative;
use super::group::metadata::Subscription;
use super::group::{Command, GroupEvent};
use crate::client::TopicPartition;
use crate::client::config::GroupProtocol;
use crate::client::errors::Result;

/// A future of a listener.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Is told, inside a poll, when partitions come and go.
pub trait RebalanceListener: Send {
    /// These partitions are about to go to others. What is returned is committed before they do.
    fn revoked<'a>(&'a mut self, partitions: &'a [TopicPartition]) -> BoxFuture<'a, Offsets>;

    /// These partitions are new. What is returned are offsets to start at; partitions without one
    /// start at the committed offset.
    fn assigned<'a>(&'a mut self, partitions: &'a [TopicPartition]) -> BoxFuture<'a, Offsets>;

    /// These partitions belong to others already: nothing can be committed for them.
    fn lost<'a>(&'a mut self, partitions: &'a [TopicPartition]) -> BoxFuture<'a, ()>;
}

impl Consumer {
    /// Handles what the membership asked for. An event is done only when everything it calls for
    /// is: a poll that is dropped in between starts it over.
    pub(super) async fn rebalance(&mut self) -> Result<()> {
        while let Some(event) = self.group_events.front() {
            match event {
                GroupEvent::Prepare { lost } => {
                    let lost = *lost;
                    self.prepare_to_join(lost).await;
                }
                GroupEvent::Assigned { partitions } => {
                    let partitions = partitions.clone();
                    self.take_over(partitions).await;
                }
                GroupEvent::Failed(error) => {
                    let error = error.clone();
                    self.group_events.pop_front();
                    return Err(error);
                }
            }
            self.group_events.pop_front();
        }
        Ok(())
    }

    async fn prepare_to_join(&mut self, lost: bool) {
        let owned = self.positions.names();
        let cooperative = self.config.group_protocol == GroupProtocol::Consumer
            || is_cooperative(&self.config.assignors);
        if lost {
            if let Some(listener) = self.listener.as_mut().filter(|_| !owned.is_empty()) {
                listener.lost(&owned).await;
            }
            self.positions.assign([]);
        } else {
            // Reported by the commit itself; the rebalance goes on.
            self.final_commit().await.ok();
            if !cooperative {
                self.revoke(&owned).await;
                self.positions.assign([]);
            }
        }
        let subscription = Subscription {
            topics: self.subscription(),
            owned: self.positions.names(),
            previous: self.last_assigned.clone(),
        };
        if let Some(membership) = &self.membership {
            membership.command(Command::Join(subscription));
        }
    }

    async fn take_over(&mut self, partitions: Vec<TopicPartition>) {
        let owned: BTreeSet<TopicPartition> = self.positions.names().into_iter().collect();
        let assigned: BTreeSet<TopicPartition> = partitions.iter().cloned().collect();
        let revoked: Vec<_> = owned.difference(&assigned).cloned().collect();
        if !revoked.is_empty() {
            self.final_commit().await.ok();
            self.revoke(&revoked).await;
        }
        self.positions.assign(assigned.iter().cloned());
        self.last_assigned = partitions;
        let added: Vec<_> = assigned.difference(&owned).cloned().collect();
        if let Some(listener) = &mut self.listener {
            let starts = listener.assigned(&added).await;
            for (partition, start) in starts {
                if let Err(error) = self.seek(&partition, start.offset) {
                    tracing::warn!("cannot start {partition} at {}: {error}", start.offset);
                }
            }
        }
        tracing::debug!("assigned {added:?}, given up {revoked:?}");
        // What was given up now can go to its new owner.
        if let Some(membership) = self.membership.as_ref().filter(|_| !revoked.is_empty()) {
            membership.command(Command::Rejoin);
        }
    }

    async fn revoke(&mut self, partitions: &[TopicPartition]) {
        let Some(listener) = self.listener.as_mut().filter(|_| !partitions.is_empty()) else {
            return;
        };
        let offsets = listener.revoked(partitions).await;
        let Some(membership) = self.membership.as_ref().filter(|_| !offsets.is_empty()) else {
            return;
        };
        let identity = membership.identity();
        let committed = commit::send(&self.client, &self.config, identity, offsets).await;
        if let Err(error) = committed {
            tracing::warn!("offsets of revoked partitions could not be committed: {error}");
        }
    }
}
