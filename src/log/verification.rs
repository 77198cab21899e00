//! Transactions that are being verified (KIP-890). Before the first batch of a transaction is
//! appended to a partition, the transaction coordinator is asked whether the partition is in the
//! transaction. Meanwhile the transaction may end: the guard that was given out before asking is
//! worth nothing after the next marker, so a late batch cannot leave a transaction open for ever.
use std::collections::BTreeMap;

use super::append::AppendOrigin;
use super::error::{AppendError, LogError};
use super::log::Log;
use super::names::TopicPartition;
use super::producer_state::{ProducerBatch, ProducerStates};

/// From this version on each end of a transaction raises the producer's epoch (KIP-890).
const FIRST_WITH_EPOCH_BUMP: i16 = 2;

/// Proof that a verification began and that no marker came since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerificationGuard(pub u64);

/// What an append has to show of transactions, beside its batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transactions {
    /// Nothing is asked.
    #[default]
    Unverified,
    /// A transactional batch belongs to a transaction that is under way here, or that was verified.
    Verified(Option<VerificationGuard>),
    /// The batch is a marker that was written for this `transaction.version`.
    Marker(i16),
}

#[derive(Debug)]
struct Entry {
    guard: VerificationGuard,
    /// A batch that comes after one which is still to be sent again has to wait for it.
    lowest_sequence: i32,
    epoch: i16,
    has_epoch_bump: bool,
    since_ms: i64,
}

/// The verifications under way in a log, by producer id.
#[derive(Debug, Default)]
pub(super) struct Verifications {
    entries: BTreeMap<i64, Entry>,
    last: u64,
}

impl Verifications {
    fn begin(&mut self, batch: &UnverifiedBatch, now_ms: i64) -> VerificationGuard {
        let next = VerificationGuard(self.last + 1);
        let entry = self.entries.entry(batch.producer_id).or_insert(Entry {
            guard: next,
            lowest_sequence: batch.base_sequence,
            epoch: batch.epoch,
            has_epoch_bump: batch.has_epoch_bump,
            since_ms: now_ms,
        });
        if entry.guard == next {
            self.last += 1;
        }
        if batch.epoch > entry.epoch {
            entry.epoch = batch.epoch;
            entry.lowest_sequence = batch.base_sequence;
        } else if batch.epoch == entry.epoch {
            entry.lowest_sequence = entry.lowest_sequence.min(batch.base_sequence);
        }
        entry.guard
    }

    /// Whether a batch may be appended, as far as transactions go.
    pub(super) fn check(
        &self,
        tp: &TopicPartition,
        producers: &ProducerStates,
        batch: &ProducerBatch,
        origin: AppendOrigin,
        transactions: Transactions,
    ) -> Result<(), AppendError> {
        match transactions {
            Transactions::Unverified => Ok(()),
            Transactions::Marker(version) => check_marker(tp, producers, batch, version),
            Transactions::Verified(guard) if batch.transactional && !batch.control => {
                let entry = self.entries.get(&batch.producer_id);
                let is_ongoing = producers.has_transaction(batch.producer_id, batch.epoch);
                let is_verified = entry.is_some_and(|entry| Some(entry.guard) == guard);
                if !is_ongoing && !is_verified {
                    return Err(AppendError::InvalidTxnState(
                        "Record was not part of an ongoing transaction".to_owned(),
                    ));
                }
                match entry {
                    Some(entry) if origin == AppendOrigin::Client => {
                        entry.check_sequence(tp, producers, batch)
                    }
                    _ => Ok(()),
                }
            }
            Transactions::Verified(_) => Ok(()),
        }
    }

    /// The transaction has begun here, or ended.
    pub(super) fn end(&mut self, producer_id: i64) {
        self.entries.remove(&producer_id);
    }

    /// Forgets those who asked and never came.
    pub(super) fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.entries
            .retain(|_, entry| now_ms.saturating_sub(entry.since_ms) < expiration_ms);
    }
}

impl Entry {
    fn check_sequence(
        &self,
        tp: &TopicPartition,
        producers: &ProducerStates,
        batch: &ProducerBatch,
    ) -> Result<(), AppendError> {
        let (producer_id, sequence) = (batch.producer_id, batch.base_sequence);
        let is_new = producers
            .get(producer_id)
            .is_none_or(|p| p.batches().is_empty());
        let offset = batch.first_offset;
        if self.has_epoch_bump && sequence != 0 && is_new {
            return Err(AppendError::OutOfOrderSequence(format!(
                "Invalid sequence number for producer {producer_id} at offset {offset} in \
                 partition {tp}: {sequence} (incoming seq. number). Expected sequence 0 for \
                 transactions v2 idempotent producer with no existing state."
            )));
        }
        if sequence > self.lowest_sequence {
            return Err(AppendError::OutOfOrderSequence(format!(
                "Out of order sequence number for producer {producer_id} at offset {offset} in \
                 partition {tp}: {sequence} (incoming seq. number), {} (earliest seen sequence)",
                self.lowest_sequence
            )));
        }
        Ok(())
    }
}

/// Where markers raise the epoch, one that does not is late: it would end the next transaction. One
/// that is written again after its transaction ended does no harm.
fn check_marker(
    tp: &TopicPartition,
    producers: &ProducerStates,
    batch: &ProducerBatch,
    version: i16,
) -> Result<(), AppendError> {
    let Some(known) = producers.get(batch.producer_id) else {
        return Ok(());
    };
    let is_again = batch.epoch == known.epoch && known.current_txn_first_offset.is_none();
    if version < FIRST_WITH_EPOCH_BUMP || batch.epoch > known.epoch || is_again {
        return Ok(());
    }
    Err(AppendError::InvalidProducerEpoch(format!(
        "Epoch of producer {} at offset {} in {tp} is {}, which is <= the last seen epoch {} \
         (TV{version})",
        batch.producer_id, batch.first_offset, batch.epoch, known.epoch
    )))
}

/// The first batch of a transaction in a partition, before it is appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnverifiedBatch {
    pub producer_id: i64,
    pub epoch: i16,
    pub base_sequence: i32,
    /// The client knows that each end of a transaction raises its epoch.
    pub has_epoch_bump: bool,
}

impl Log {
    /// Before the coordinator is asked about a transaction. `None`: the transaction is under way
    /// here, there is nothing to ask.
    pub fn begin_verification(
        &self,
        batch: &UnverifiedBatch,
        now_ms: i64,
    ) -> Result<Option<VerificationGuard>, LogError> {
        self.activate()?;
        let mut writer = self.writer.lock();
        let producers = &writer.producers;
        let is_ongoing = producers.has_transaction(batch.producer_id, batch.epoch);
        Ok((!is_ongoing).then(|| writer.verifications.begin(batch, now_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::producer_state::{ProducerUpdates, TxnMarker};

    const PRODUCER: i64 = 7;

    #[derive(Default)]
    struct Partition {
        producers: ProducerStates,
        verifications: Verifications,
        next_offset: i64,
    }

    impl Partition {
        fn begin(&mut self, epoch: i16, base_sequence: i32) -> VerificationGuard {
            let batch = UnverifiedBatch {
                producer_id: PRODUCER,
                epoch,
                base_sequence,
                has_epoch_bump: true,
            };
            self.verifications.begin(&batch, 0)
        }

        fn batch(&self, epoch: i16, sequence: i32, marker: Option<TxnMarker>) -> ProducerBatch {
            ProducerBatch {
                producer_id: PRODUCER,
                epoch,
                base_sequence: sequence,
                last_sequence: sequence,
                first_offset: self.next_offset,
                last_offset: self.next_offset,
                max_timestamp: 0,
                transactional: true,
                control: marker.is_some(),
                marker,
            }
        }

        fn append(
            &mut self,
            batch: ProducerBatch,
            transactions: Transactions,
        ) -> Result<(), String> {
            let tp = TopicPartition::new("t", 0);
            let origin = match batch.control {
                true => AppendOrigin::Coordinator,
                false => AppendOrigin::Client,
            };
            let mut updates = ProducerUpdates::default();
            self.verifications
                .check(&tp, &self.producers, &batch, origin, transactions)
                .and_then(|()| self.producers.check(&tp, &batch, origin, &mut updates))
                .map_err(|e| e.to_string())?;
            self.producers.apply(updates);
            self.verifications.end(PRODUCER);
            self.next_offset += 1;
            Ok(())
        }

        fn data(
            &mut self,
            epoch: i16,
            sequence: i32,
            guard: Option<VerificationGuard>,
        ) -> Result<(), String> {
            self.append(
                self.batch(epoch, sequence, None),
                Transactions::Verified(guard),
            )
        }

        fn end(&mut self, epoch: i16, version: i16) -> Result<(), String> {
            let marker = TxnMarker {
                abort: true,
                coordinator_epoch: 0,
                timestamp: 0,
            };
            self.append(
                self.batch(epoch, -1, Some(marker)),
                Transactions::Marker(version),
            )
        }
    }

    #[test]
    fn the_first_batch_needs_a_guard_and_the_next_ones_do_not() {
        let mut partition = Partition::default();
        let refused = partition.data(0, 0, None).unwrap_err();
        assert!(refused.contains("not part of an ongoing transaction"));
        let guard = partition.begin(0, 0);
        assert_eq!(partition.begin(0, 0), guard, "asked twice at once");
        partition.data(0, 0, Some(guard)).unwrap();
        partition.data(0, 1, None).unwrap();
    }

    #[test]
    fn a_marker_makes_guards_void() {
        let mut partition = Partition::default();
        let guard = partition.begin(0, 0);
        partition.end(0, 0).unwrap();
        assert!(partition.data(0, 0, Some(guard)).is_err());
        let fresh = partition.begin(0, 0);
        assert_ne!(fresh, guard);
        assert!(partition.data(0, 0, Some(guard)).is_err());
        partition.data(0, 0, Some(fresh)).unwrap();
    }

    #[test]
    fn a_batch_does_not_overtake_one_that_is_to_be_sent_again() {
        let mut partition = Partition::default();
        partition.begin(3, 0);
        let guard = partition.begin(3, 4);
        let refused = partition.data(3, 4, Some(guard)).unwrap_err();
        assert!(refused.contains("Expected sequence 0"), "{refused}");
        partition.data(3, 0, Some(guard)).unwrap();
        partition.end(4, 2).unwrap();
        let newer = partition.begin(4, 5);
        partition.begin(5, 0);
        assert!(partition.data(5, 5, Some(newer)).is_err());
        partition.data(5, 0, Some(newer)).unwrap();
    }

    #[test]
    fn where_markers_raise_the_epoch_a_late_one_ends_nothing() {
        let mut partition = Partition::default();
        let guard = partition.begin(0, 0);
        partition.data(0, 0, Some(guard)).unwrap();
        assert!(partition.end(0, 2).is_err(), "does not raise the epoch");
        partition.end(1, 2).unwrap();
        partition.end(1, 2).expect("the same marker again");
        let guard = partition.begin(1, 0);
        partition.data(1, 0, Some(guard)).unwrap();
        assert!(partition.end(1, 2).is_err(), "the last one's marker, late");
        partition.end(1, 1).expect("of before");
    }
}
