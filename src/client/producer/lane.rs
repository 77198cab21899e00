//! What the sender keeps about one partition: the order of its batches, their sequences, and
//! which of them are to be sent again.
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use super::accumulator::{Partition, TopicState};
use super::sealed::{ProducerId, SealedBatch, advance};
use crate::record::NO_SEQUENCE;

pub struct Lane {
    pub topic: Arc<TopicState>,
    pub partition: Arc<Partition>,
    /// To be sent before anything new, in their first order.
    pub retries: VecDeque<SealedBatch>,
    /// Batches sent and not answered.
    pub in_flight: usize,
    pub producer: ProducerId,
    next_sequence: i32,
    /// The sequence that follows the last acknowledged batch.
    acknowledged: i32,
    /// A batch failed for good, and whether the broker has it is unknown.
    unresolved: bool,
    /// The broker's and our sequences differ: start anew with another epoch.
    pub renew: bool,
    /// Whether the sender looks at it.
    pub active: bool,
    /// The last transaction of which the broker has taken a batch.
    pub proven: u64,
}

/// What a failed sequence calls for.
#[derive(Debug, PartialEq, Eq)]
pub enum SequenceFault {
    /// An earlier batch is missing and will come: send again.
    Retry,
    /// The broker expects something else: send again in a new epoch.
    Renew,
}

impl Lane {
    pub fn new(topic: Arc<TopicState>, partition: Arc<Partition>) -> Self {
        Self {
            topic,
            partition,
            retries: VecDeque::new(),
            in_flight: 0,
            producer: ProducerId::NONE,
            next_sequence: 0,
            acknowledged: 0,
            unresolved: false,
            renew: false,
            active: false,
            proven: 0,
        }
    }

    /// When the next retry may go; nothing while answers to later batches are awaited, which
    /// keeps the order.
    pub fn retry_due(&self, ordered: bool) -> Option<Option<Instant>> {
        let next = self.retries.front()?;
        (self.in_flight == 0 || !ordered).then_some(next.retry_at)
    }

    /// Whether the lane must wait for answers before it sends anything.
    pub fn must_settle(&self, producer: ProducerId) -> bool {
        (self.renew || self.producer != producer) && self.in_flight > 0
    }

    /// True when the sequences have to start anew, which needs a higher epoch.
    pub fn wants_renewal(&self) -> bool {
        let lost = self.unresolved
            && self.retries.is_empty()
            && self.in_flight == 0
            && self.acknowledged != self.next_sequence;
        self.renew || lost
    }

    /// Takes over the producer id, if the lane is settled. Batches that wait to be sent again were
    /// refused in the old epoch, or precede such a batch: they get new sequences.
    pub fn adopt(&mut self, producer: ProducerId) {
        if self.in_flight > 0 || (self.producer == producer && !self.renew) {
            return;
        }
        let fresh = self.producer == ProducerId::NONE;
        // Retries of a healthy lane keep their identity: the broker may have them already.
        if !fresh && !self.renew && !self.retries.is_empty() {
            return;
        }
        self.producer = producer;
        self.next_sequence = 0;
        self.acknowledged = 0;
        (self.unresolved, self.renew) = (false, false);
        for batch in &mut self.retries {
            batch.restamp(producer, self.next_sequence);
            self.next_sequence = batch.next_sequence();
        }
    }

    /// Takes the sequences of a new batch.
    pub fn take_sequences(&mut self, count: usize) -> i32 {
        let base = self.next_sequence;
        self.next_sequence = advance(base, count);
        base
    }

    pub fn acknowledge(&mut self, batch: &SealedBatch) {
        if batch.base_sequence != NO_SEQUENCE {
            self.acknowledged = batch.next_sequence();
            if self.acknowledged == self.next_sequence {
                self.unresolved = false;
            }
        }
    }

    /// A batch with a sequence is given up.
    pub fn abandon(&mut self, batch: &SealedBatch) {
        if batch.base_sequence != NO_SEQUENCE && batch.attempts > 0 {
            self.unresolved = true;
        }
    }

    /// Whether an earlier batch is still to be acknowledged.
    pub fn is_early(&self, batch: &SealedBatch) -> bool {
        !self.unresolved && batch.base_sequence != self.acknowledged
    }

    /// Whether a later batch was acknowledged: this one cannot be stored any more.
    pub fn is_overtaken(&self, batch: &SealedBatch) -> bool {
        let ahead = self.acknowledged.wrapping_sub(batch.base_sequence) & i32::MAX;
        (1..=i32::MAX / 2).contains(&ahead)
    }

    /// The broker found a batch out of order, or does not know the producer.
    pub fn sequence_fault(&mut self, batch: &SealedBatch) -> SequenceFault {
        if self.is_early(batch) {
            return SequenceFault::Retry;
        }
        self.renew = true;
        SequenceFault::Renew
    }

    /// Puts a batch back where its sequence belongs.
    pub fn put_back(&mut self, batch: SealedBatch) {
        let behind = self
            .retries
            .iter()
            .position(|waiting| waiting.order() > batch.order());
        self.retries
            .insert(behind.unwrap_or(self.retries.len()), batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::metadata::{PartitionMetadata, TopicMetadata};
    use crate::client::producer::accumulator::OpenBatch;
    use crate::protocol::{ErrorCode, Uuid};
    use crate::record::{BatchBuilder, BatchMeta, BatchView};

    const OLD: ProducerId = ProducerId { id: 7, epoch: 0 };
    const NEW: ProducerId = ProducerId { id: 7, epoch: 1 };

    fn lane() -> Lane {
        let partition = PartitionMetadata {
            partition: 0,
            leader: 1,
            leader_epoch: 0,
            replicas: vec![1],
            isr: vec![1],
            offline_replicas: vec![],
            error: ErrorCode::None,
        };
        let topic = Arc::new(TopicState::new(&TopicMetadata {
            name: "t".into(),
            id: Uuid::ZERO,
            internal: false,
            error: ErrorCode::None,
            partitions: vec![partition],
            authorized_operations: 0,
        }));
        let partition = topic.partitions.load()[0].clone();
        let mut lane = Lane::new(topic, partition);
        lane.adopt(OLD);
        lane
    }

    /// Sends a batch of `count` records.
    fn send(lane: &mut Lane, id: u64, count: usize) -> SealedBatch {
        let mut builder = BatchBuilder::new();
        for _ in 0..count {
            builder.append(0, None, None, &[]).unwrap();
        }
        let meta = BatchMeta {
            base_sequence: lane.take_sequences(count),
            ..Default::default()
        };
        let open = OpenBatch {
            id,
            builder,
            created: Instant::now(),
            tokens: vec![],
            delivery: None,
            reserved: 0,
        };
        let mut sealed = SealedBatch::seal(open, &meta).ok().unwrap().0;
        sealed.attempts = 1;
        lane.in_flight += 1;
        sealed
    }

    #[test]
    fn retries_go_in_order_and_alone() {
        let mut lane = lane();
        let (a, b, c) = (
            send(&mut lane, 1, 2),
            send(&mut lane, 2, 3),
            send(&mut lane, 3, 1),
        );
        assert_eq!(
            (a.base_sequence, b.base_sequence, c.base_sequence),
            (0, 2, 5)
        );
        lane.in_flight -= 2;
        lane.put_back(b);
        lane.put_back(a);
        assert!(
            lane.retry_due(true).is_none(),
            "the third is still unanswered"
        );
        lane.in_flight -= 1;
        assert_eq!(lane.sequence_fault(&c), SequenceFault::Retry);
        lane.put_back(c);
        assert!(lane.retry_due(true).is_some());
        let order: Vec<u64> = lane.retries.iter().map(|batch| batch.id).collect();
        assert_eq!(order, [1, 2, 3]);
        // Nothing renews while the lane is healthy.
        lane.adopt(NEW);
        assert_eq!((lane.producer, lane.wants_renewal()), (OLD, false));
    }

    #[test]
    fn a_refused_next_sequence_starts_a_new_epoch() {
        let mut lane = lane();
        let (a, b) = (send(&mut lane, 1, 2), send(&mut lane, 2, 3));
        lane.in_flight -= 1;
        assert_eq!(lane.sequence_fault(&a), SequenceFault::Renew);
        lane.put_back(a);
        assert!(lane.must_settle(OLD) && lane.wants_renewal());
        lane.in_flight -= 1;
        lane.put_back(b);
        lane.adopt(NEW);
        let stamps: Vec<_> = lane
            .retries
            .iter()
            .map(|batch| {
                let view = BatchView::first(&batch.bytes).unwrap().unwrap();
                (
                    view.producer_epoch(),
                    view.base_sequence(),
                    batch.base_sequence,
                )
            })
            .collect();
        assert_eq!(stamps, [(1, 0, 0), (1, 2, 2)]);
        assert_eq!(lane.take_sequences(1), 5);
    }

    #[test]
    fn a_batch_behind_the_acknowledged_ones_is_lost() {
        let mut lane = lane();
        let (a, b) = (send(&mut lane, 1, 2), send(&mut lane, 2, 3));
        assert!(!lane.is_overtaken(&a) && !lane.is_overtaken(&b));
        lane.acknowledge(&b);
        assert!(lane.is_overtaken(&a) && lane.is_early(&a));
        // Sequences wrap.
        lane.acknowledged = 1;
        let mut last = send(&mut lane, 3, 1);
        last.base_sequence = i32::MAX;
        assert!(lane.is_overtaken(&last));
    }

    #[test]
    fn an_abandoned_batch_is_resolved_by_its_successor_or_by_a_new_epoch() {
        let mut lane = lane();
        let (a, b) = (send(&mut lane, 1, 2), send(&mut lane, 2, 3));
        lane.in_flight -= 2;
        lane.abandon(&a);
        assert!(lane.wants_renewal(), "nothing is left that could tell");
        lane.in_flight += 1;
        assert!(!lane.wants_renewal(), "the second may still tell");
        lane.in_flight -= 1;
        lane.acknowledge(&b);
        assert!(!lane.wants_renewal(), "the broker had the first");
    }
}
