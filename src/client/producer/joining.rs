//! What the sender does for transactions: tells the coordinator of partitions that join, and ends
//! what shall not be sent any more.
use super::lane::Lane;
use super::sealed::SealedBatch;
use super::sender::{Event, Sender};
use super::transactions::Fate;
use crate::client::errors::{ClientError, Result};

impl Sender {
    /// Takes over the producer id, and ends what the transaction has no place for.
    pub(super) fn follow_transaction(&mut self) {
        let Some(transactions) = &self.transactions else {
            return;
        };
        self.producer = transactions.producer();
        match transactions.fate() {
            Fate::Send => {}
            Fate::Discard(error) => self.discard_unsent(&error),
            Fate::Fail(error) => self.fail_everything(&error),
        }
    }

    /// Whether the broker has still to take a first batch of the transaction. Until then there is
    /// only one on its way: it may be refused while the last transaction ends, and brokers that
    /// know nothing of the producer would take a second one in its place.
    pub(super) fn is_unproven(&self, lane: &Lane) -> bool {
        let transaction = self.transactions.as_ref();
        transaction.is_some_and(|open| lane.proven != open.number())
    }

    /// Batches that were sent keep their sequences: they are sent until they have an outcome.
    fn discard_unsent(&mut self, error: &ClientError) {
        for at in self.active.clone() {
            let mut unsent = Vec::new();
            if let Some(lane) = self.lanes.get(at) {
                let take = || self.accumulator.take_batch(&lane.partition);
                unsent.extend(std::iter::from_fn(take).map(SealedBatch::unsent));
            }
            for batch in unsent {
                self.finish(at, batch, Err(error.clone()));
            }
        }
    }

    /// Whether the lane's partition is to be told to the transaction's coordinator.
    pub(super) fn must_be_added(&self, at: usize) -> bool {
        let Some(transactions) = &self.transactions else {
            return false;
        };
        !transactions.is_implicit() && !transactions.has(at)
    }

    /// Tells the coordinator of partitions; one call at a time.
    pub(super) fn add_to_transaction(&mut self, joins: Vec<usize>) {
        let Some(transactions) = self.transactions.clone() else {
            return;
        };
        if joins.is_empty() || !self.adding.is_empty() {
            return;
        }
        let lanes = joins.iter().filter_map(|at| self.lanes.get(*at));
        let partitions = lanes.map(|lane| (lane.partition.topic.clone(), lane.partition.index));
        let partitions: Vec<_> = partitions.collect();
        self.adding.extend(joins);
        let (client, events) = (self.client.clone(), self.events.clone());
        self.client.tasks().spawn(async move {
            let result = tokio::select! {
                result = transactions.add(&client, partitions) => result,
                () = client.cancelled().cancelled() => Err(ClientError::Closed),
            };
            let _sender_gone = events.send(Event::PartitionsAdded(result));
        });
    }

    pub(super) fn partitions_added(&mut self, result: Result<()>) {
        let lanes = std::mem::take(&mut self.adding);
        let Some(transactions) = self.transactions.clone() else {
            return;
        };
        match result {
            Ok(()) => lanes.into_iter().for_each(|at| transactions.joined(at)),
            // What waits for it is discarded next.
            Err(error) => transactions.lost(&error),
        }
    }
}
