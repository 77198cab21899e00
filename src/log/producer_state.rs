//! What a log knows of its idempotent and transactional producers: the last batches of each, to
//! find duplicates and gaps (KIP-98), and the transactions that keep the last stable offset back.
//! Mirrors Kafka's `ProducerStateManager` and `ProducerAppendInfo`.
//!
//! An append is checked against the state first, into [`ProducerUpdates`], and applied once its
//! bytes are in the log: a write that fails leaves nothing behind.
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::append::AppendOrigin;
use super::error::AppendError;
use super::names::TopicPartition;
use super::producer_snapshot::ProducerEntry;
use super::txn_index::AbortedTransaction;
use crate::record::{NO_PRODUCER_EPOCH, NO_SEQUENCE, NO_TIMESTAMP};

/// Batches remembered per producer; a producer may have as many requests in flight.
const BATCHES_KEPT: usize = 5;
const NO_COORDINATOR_EPOCH: i32 = -1;

/// A batch that a producer wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchMetadata {
    pub last_sequence: i32,
    pub last_offset: i64,
    /// Offsets in the batch, less one.
    pub offset_delta: i32,
    pub timestamp: i64,
}

impl BatchMetadata {
    const NONE: Self = Self {
        last_sequence: -1,
        last_offset: -1,
        offset_delta: 0,
        timestamp: -1,
    };

    pub fn first_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }

    /// Sequence numbers wrap from `i32::MAX` to 0.
    fn first_sequence(&self) -> i32 {
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        (if first < 0 {
            first + i64::from(i32::MAX) + 1
        } else {
            first
        }) as i32
    }
}

/// The state of one producer in one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerState {
    pub producer_id: i64,
    pub epoch: i16,
    pub coordinator_epoch: i32,
    pub last_timestamp: i64,
    /// Where the transaction under way began.
    pub current_txn_first_offset: Option<i64>,
    /// The last batches of this epoch, oldest first; the first `len` count.
    batches: [BatchMetadata; BATCHES_KEPT],
    len: u8,
}

impl ProducerState {
    fn new(producer_id: i64) -> Self {
        Self {
            producer_id,
            epoch: NO_PRODUCER_EPOCH,
            coordinator_epoch: NO_COORDINATOR_EPOCH,
            last_timestamp: NO_TIMESTAMP,
            current_txn_first_offset: None,
            batches: [BatchMetadata::NONE; BATCHES_KEPT],
            len: 0,
        }
    }

    pub fn batches(&self) -> &[BatchMetadata] {
        self.batches
            .get(..usize::from(self.len))
            .unwrap_or_default()
    }

    pub fn last_sequence(&self) -> i32 {
        self.batches()
            .last()
            .map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    fn start_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.len = 0;
        }
    }

    fn add_batch(&mut self, batch: BatchMetadata) {
        if usize::from(self.len) == BATCHES_KEPT {
            self.batches.rotate_left(1);
            self.len -= 1;
        }
        if let Some(slot) = self.batches.get_mut(usize::from(self.len)) {
            *slot = batch;
            self.len += 1;
        }
    }

    fn from_entry(entry: &ProducerEntry) -> Self {
        let mut state = Self::new(entry.producer_id);
        state.epoch = entry.epoch;
        state.coordinator_epoch = entry.coordinator_epoch;
        state.last_timestamp = entry.timestamp;
        let txn = entry.current_txn_first_offset;
        state.current_txn_first_offset = (txn >= 0).then_some(txn);
        if entry.last_offset >= 0 {
            state.add_batch(BatchMetadata {
                last_sequence: entry.last_sequence,
                last_offset: entry.last_offset,
                offset_delta: entry.offset_delta,
                timestamp: entry.timestamp,
            });
        }
        state
    }

    fn to_entry(&self) -> ProducerEntry {
        let last = self.batches().last().unwrap_or(&BatchMetadata::NONE);
        ProducerEntry {
            producer_id: self.producer_id,
            epoch: self.epoch,
            last_sequence: last.last_sequence,
            last_offset: last.last_offset,
            offset_delta: last.offset_delta,
            timestamp: self.last_timestamp,
            coordinator_epoch: self.coordinator_epoch,
            current_txn_first_offset: self.current_txn_first_offset.unwrap_or(-1),
        }
    }
}

/// The record of a control batch that ends a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxnMarker {
    pub abort: bool,
    pub coordinator_epoch: i32,
    pub timestamp: i64,
}

/// What producer state needs to know of a batch, with the offsets it has, or will have, in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerBatch {
    pub producer_id: i64,
    pub epoch: i16,
    pub base_sequence: i32,
    pub last_sequence: i32,
    pub first_offset: i64,
    pub last_offset: i64,
    pub max_timestamp: i64,
    pub transactional: bool,
    pub control: bool,
    /// In a control batch, unless compaction has taken it.
    pub marker: Option<TxnMarker>,
}

/// A transaction whose marker was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedTxn {
    pub producer_id: i64,
    pub first_offset: i64,
    pub last_offset: i64,
    pub aborted: bool,
}

/// What an append changes, checked and not yet applied.
#[derive(Debug, Default)]
pub struct ProducerUpdates {
    producers: Vec<ProducerState>,
    started: Vec<(i64, i64)>,
    completed: Vec<CompletedTxn>,
}

impl ProducerUpdates {
    /// Whether a transaction is aborted, which the segment's index has to tell.
    pub fn aborts(&self) -> bool {
        self.completed.iter().any(|txn| txn.aborted)
    }
}

/// All producers of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProducerStates {
    producers: BTreeMap<i64, ProducerState>,
    /// First offset → producer id of each transaction under way.
    ongoing: BTreeMap<i64, i64>,
    /// First offset → marker's offset of transactions that ended at or above the high watermark:
    /// until it passes the marker, nobody may count on the outcome.
    unreplicated: BTreeMap<i64, i64>,
}

impl ProducerStates {
    /// The state that a snapshot holds, without producers unheard of for `expiration_ms`.
    pub fn from_snapshot(entries: &[ProducerEntry], now_ms: i64, expiration_ms: i64) -> Self {
        let mut states = Self::default();
        for entry in entries {
            let producer = ProducerState::from_entry(entry);
            if is_expired(&producer, now_ms, expiration_ms) {
                continue;
            }
            if let Some(first_offset) = producer.current_txn_first_offset {
                states.ongoing.insert(first_offset, producer.producer_id);
            }
            states.producers.insert(producer.producer_id, producer);
        }
        states
    }

    pub fn to_snapshot(&self) -> Vec<ProducerEntry> {
        self.producers
            .values()
            .map(ProducerState::to_entry)
            .collect()
    }

    /// In ascending order of producer id.
    pub fn producers(&self) -> impl Iterator<Item = &ProducerState> {
        self.producers.values()
    }

    pub fn get(&self, producer_id: i64) -> Option<&ProducerState> {
        self.producers.get(&producer_id)
    }

    /// Whether a transaction of the producer, in this epoch, is under way here.
    pub fn has_transaction(&self, producer_id: i64, epoch: i16) -> bool {
        self.get(producer_id).is_some_and(|producer| {
            producer.current_txn_first_offset.is_some() && producer.epoch == epoch
        })
    }

    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// The batch that a client sends again, if it is one of the last few of its producer.
    pub fn find_duplicate(&self, batch: &ProducerBatch) -> Option<BatchMetadata> {
        let producer = self.producers.get(&batch.producer_id)?;
        if producer.epoch != batch.epoch {
            return None;
        }
        let same = |known: &&BatchMetadata| {
            known.first_sequence() == batch.base_sequence
                && known.last_sequence == batch.last_sequence
        };
        producer.batches().iter().find(same).copied()
    }

    /// Checks one batch of an append on top of the batches already in `updates`, and adds it.
    pub fn check(
        &self,
        tp: &TopicPartition,
        batch: &ProducerBatch,
        origin: AppendOrigin,
        updates: &mut ProducerUpdates,
    ) -> Result<(), AppendError> {
        let known = self.producers.get(&batch.producer_id);
        let at = updates
            .producers
            .iter()
            .position(|p| p.producer_id == batch.producer_id);
        let mut state = match at {
            Some(at) => updates.producers.swap_remove(at),
            None => known
                .cloned()
                .unwrap_or_else(|| ProducerState::new(batch.producer_id)),
        };
        let is_new = known.is_none_or(|known| known.epoch == NO_PRODUCER_EPOCH);
        let checks = BatchChecks {
            tp,
            batch,
            origin,
            is_new,
        };
        if batch.control {
            if let Some(marker) = batch.marker {
                checks.check_epoch(&state)?;
                checks.check_coordinator(&state, marker)?;
                updates
                    .completed
                    .extend(end_transaction(&mut state, batch, marker));
            }
        } else {
            checks.check_epoch(&state)?;
            checks.check_sequence(&state)?;
            checks.check_transaction(&state)?;
            if add_data(&mut state, batch) {
                updates
                    .started
                    .push((batch.first_offset, batch.producer_id));
            }
        }
        updates.producers.push(state);
        Ok(())
    }

    /// Takes over what was checked; returns the transactions aborted by it, for the index.
    pub fn apply(&mut self, updates: ProducerUpdates) -> Vec<AbortedTransaction> {
        self.ongoing.extend(updates.started);
        for producer in updates.producers {
            if producer.epoch != NO_PRODUCER_EPOCH {
                self.producers.insert(producer.producer_id, producer);
            }
        }
        let mut aborted = Vec::new();
        for txn in updates.completed {
            if txn.aborted {
                aborted.push(AbortedTransaction {
                    producer_id: txn.producer_id,
                    first_offset: txn.first_offset,
                    last_offset: txn.last_offset,
                    last_stable_offset: self.last_stable_offset_after(&txn),
                });
            }
            self.ongoing.remove(&txn.first_offset);
            self.unreplicated.insert(txn.first_offset, txn.last_offset);
        }
        aborted
    }

    /// Takes over a batch that is in the log already.
    pub fn replay(&mut self, batch: &ProducerBatch) -> Vec<AbortedTransaction> {
        let mut updates = ProducerUpdates::default();
        // What is in the log was checked when it was appended; nothing can fail.
        let tp = TopicPartition::new("", 0);
        match self.check(&tp, batch, AppendOrigin::Replication, &mut updates) {
            Ok(()) => self.apply(updates),
            Err(_) => Vec::new(),
        }
    }

    /// The first offset that is not decided, or not safely so; below it all is stable.
    pub fn first_unstable_offset(&self) -> Option<i64> {
        let first = |txns: &BTreeMap<i64, i64>| txns.keys().next().copied();
        match (first(&self.ongoing), first(&self.unreplicated)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Ended transactions whose marker lies below `high_watermark` hold nothing back any more.
    pub fn on_high_watermark(&mut self, high_watermark: i64) {
        self.unreplicated
            .retain(|_, last_offset| *last_offset >= high_watermark);
    }

    /// Whether a change of the high watermark can change the first unstable offset.
    pub fn awaits_high_watermark(&self) -> bool {
        !self.unreplicated.is_empty()
    }

    /// Forgets producers unheard of for `expiration_ms` that have no transaction under way.
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.producers
            .retain(|_, producer| !is_expired(producer, now_ms, expiration_ms));
    }

    fn last_stable_offset_after(&self, txn: &CompletedTxn) -> i64 {
        let other = self
            .ongoing
            .iter()
            .find(|(_, producer_id)| **producer_id != txn.producer_id);
        other.map_or(txn.last_offset + 1, |(first_offset, _)| *first_offset)
    }
}

fn is_expired(producer: &ProducerState, now_ms: i64, expiration_ms: i64) -> bool {
    producer.current_txn_first_offset.is_none()
        && now_ms.saturating_sub(producer.last_timestamp) >= expiration_ms
}

/// Returns whether the batch begins a transaction.
fn add_data(state: &mut ProducerState, batch: &ProducerBatch) -> bool {
    state.start_epoch(batch.epoch);
    state.last_timestamp = batch.max_timestamp;
    state.add_batch(BatchMetadata {
        last_sequence: batch.last_sequence,
        last_offset: batch.last_offset,
        offset_delta: (batch.last_offset - batch.first_offset) as i32,
        timestamp: batch.max_timestamp,
    });
    let begins = batch.transactional && state.current_txn_first_offset.is_none();
    if begins {
        state.current_txn_first_offset = Some(batch.first_offset);
    }
    begins
}

/// Returns the transaction that ends, unless it was empty.
fn end_transaction(
    state: &mut ProducerState,
    batch: &ProducerBatch,
    marker: TxnMarker,
) -> Option<CompletedTxn> {
    state.start_epoch(batch.epoch);
    state.coordinator_epoch = marker.coordinator_epoch;
    state.last_timestamp = marker.timestamp;
    state
        .current_txn_first_offset
        .take()
        .map(|first_offset| CompletedTxn {
            producer_id: batch.producer_id,
            first_offset,
            last_offset: batch.first_offset,
            aborted: marker.abort,
        })
}

/// The checks of one batch, with what their messages name.
struct BatchChecks<'a> {
    tp: &'a TopicPartition,
    batch: &'a ProducerBatch,
    origin: AppendOrigin,
    /// Nothing is known of the producer, perhaps because retention took it: any sequence goes.
    is_new: bool,
}

impl BatchChecks<'_> {
    fn check_epoch(&self, state: &ProducerState) -> Result<(), AppendError> {
        let batch = self.batch;
        if batch.epoch >= state.epoch || self.origin == AppendOrigin::Replication {
            return Ok(());
        }
        Err(AppendError::InvalidProducerEpoch(format!(
            "Epoch of producer {} at offset {} in {} is {}, which is smaller than the last seen \
             epoch {}",
            batch.producer_id, batch.first_offset, self.tp, batch.epoch, state.epoch
        )))
    }

    fn check_coordinator(
        &self,
        state: &ProducerState,
        marker: TxnMarker,
    ) -> Result<(), AppendError> {
        let stale = marker.coordinator_epoch < state.coordinator_epoch;
        if !stale || self.origin == AppendOrigin::Replication {
            return Ok(());
        }
        Err(AppendError::CoordinatorFenced(format!(
            "Invalid coordinator epoch for producerId {} at offset {} in partition {}: {} (zombie), \
             {} (current)",
            self.batch.producer_id,
            self.batch.first_offset,
            self.tp,
            marker.coordinator_epoch,
            state.coordinator_epoch
        )))
    }

    fn check_sequence(&self, state: &ProducerState) -> Result<(), AppendError> {
        let batch = self.batch;
        if self.origin != AppendOrigin::Client || state.epoch == NO_PRODUCER_EPOCH {
            return Ok(());
        }
        if batch.epoch != state.epoch {
            if batch.base_sequence == 0 {
                return Ok(());
            }
            return Err(AppendError::OutOfOrderSequence(format!(
                "Invalid sequence number for new epoch of producer {} at offset {} in partition \
                 {}: {} (request epoch), {} (seq. number), {} (current producer epoch)",
                batch.producer_id,
                batch.first_offset,
                self.tp,
                batch.epoch,
                batch.base_sequence,
                state.epoch
            )));
        }
        let last = state.last_sequence();
        if self.is_new || in_sequence(last, batch.base_sequence) {
            return Ok(());
        }
        Err(AppendError::OutOfOrderSequence(format!(
            "Out of order sequence number for producer {} at offset {} in partition {}: {} \
             (incoming seq. number), {} (current end sequence number)",
            batch.producer_id, batch.first_offset, self.tp, batch.base_sequence, last
        )))
    }

    fn check_transaction(&self, state: &ProducerState) -> Result<(), AppendError> {
        let batch = self.batch;
        let forbidden = state.current_txn_first_offset.is_some() && !batch.transactional;
        if !forbidden || self.origin == AppendOrigin::Replication {
            return Ok(());
        }
        Err(AppendError::InvalidTxnState(format!(
            "Expected transactional write from producer {} at offset {} in partition {}",
            batch.producer_id, batch.first_offset, self.tp
        )))
    }
}

fn in_sequence(last: i32, next: i32) -> bool {
    i64::from(next) == i64::from(last) + 1 || (next == 0 && last == i32::MAX)
}
