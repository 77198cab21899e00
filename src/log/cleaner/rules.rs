//! What compaction keeps: of the log, which batches; of a batch, which records. Pure.
//!
//! 1. Of each key, the record with the greatest offset, as far as the offset map tells.
//! 2. A record without value (a tombstone), and the marker of a transaction of which nothing is
//!    left, until the batch's delete horizon: it is set when a cleaning first finds them so, to
//!    `delete.retention.ms` from then (KIP-534). A reader who began at the log's start before that
//!    still meets them.
//! 3. Nothing of aborted transactions.
//! 4. The last batch of each active producer, if need be empty, for its sequence numbers; of one
//!    that only has a marker, the marker; and the last batch of the range that is cleaned, for its
//!    offsets.
use std::collections::BTreeMap;

use super::offset_map::{KeyHash, OffsetMap};
use crate::log::producer_snapshot::ProducerEntry;
use crate::record::BatchHeader;

/// What is known of a producer that may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LastRecord {
    /// Of its last batch of records; none since its epoch was raised by a marker.
    last_data_offset: Option<i64>,
    epoch: i16,
}

/// The producers that a log knows.
#[derive(Debug, Clone, Default)]
pub struct ActiveProducers(BTreeMap<i64, LastRecord>);

impl ActiveProducers {
    pub fn new(entries: &[ProducerEntry]) -> Self {
        let last = |entry: &ProducerEntry| LastRecord {
            last_data_offset: (entry.last_offset >= 0).then_some(entry.last_offset),
            epoch: entry.epoch,
        };
        Self(entries.iter().map(|e| (e.producer_id, last(e))).collect())
    }

    fn last_is_in(&self, batch: &BatchHeader<'_>) -> bool {
        if !batch.has_producer_id() {
            return false;
        }
        let last = self.0.get(&batch.producer_id());
        last.is_some_and(|last| match last.last_data_offset {
            Some(offset) => batch.last_offset() == offset,
            None => batch.is_control() && batch.producer_epoch() == last.epoch,
        })
    }
}

/// What goes by whole batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchFate {
    /// Goes without a look at its records.
    Remove,
    /// Stays while a record of it does.
    RemoveIfEmpty,
    /// Stays, with or without records.
    Keep,
}

/// The outcome of [`Rules::batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchVerdict {
    pub fate: BatchFate,
    /// None of its records stays.
    pub records_go: bool,
    /// A marker with nothing left to mark: it gets a delete horizon.
    pub idle_marker: bool,
}

/// What one cleaning of a log goes by.
#[derive(Debug)]
pub struct Rules<'a> {
    pub map: &'a OffsetMap,
    pub producers: &'a ActiveProducers,
    pub now_ms: i64,
    pub delete_retention_ms: i64,
    /// Where the range ends that may be cleaned.
    pub end_offset: i64,
    /// Tombstones of before Kafka 0.11 stay: they have no horizon, but go when the segment was last
    /// written to `delete.retention.ms` before the newest clean one.
    pub keep_legacy_tombstones: bool,
}

impl Rules<'_> {
    /// What becomes of a batch; `discardable` is what the transactions say of it.
    pub fn batch(&self, batch: &BatchHeader<'_>, discardable: bool) -> BatchVerdict {
        let horizon_passed = || batch.delete_horizon_ms().is_some_and(|h| h <= self.now_ms);
        let records_go = discardable && (!batch.is_control() || horizon_passed());
        let keep = self.producers.last_is_in(batch) || batch.next_offset() == self.end_offset;
        let fate = match (keep, records_go) {
            (true, _) => BatchFate::Keep,
            (false, true) => BatchFate::Remove,
            (false, false) => BatchFate::RemoveIfEmpty,
        };
        BatchVerdict {
            fate,
            records_go,
            idle_marker: discardable && batch.is_control(),
        }
    }

    /// Whether a record stays. One without a key has no business in a compacted log.
    #[inline]
    pub fn record(
        &self,
        offset: i64,
        key: Option<KeyHash>,
        has_value: bool,
        keep_tombstones: bool,
    ) -> bool {
        if offset > self.map.latest_offset() {
            return true;
        }
        let Some(key) = key else {
            return false;
        };
        let newest = self.map.get(key).is_none_or(|newest| offset >= newest);
        newest && (has_value || keep_tombstones)
    }

    /// Whether a batch's tombstones have yet to wait.
    pub fn keeps_tombstones(&self, batch: &BatchHeader<'_>) -> bool {
        batch
            .delete_horizon_ms()
            .is_none_or(|horizon| self.now_ms < horizon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, BatchMeta};

    const NOW_MS: i64 = 1_000;

    fn verdict(
        meta: &BatchMeta,
        horizon: Option<i64>,
        discardable: bool,
        producers: &[ProducerEntry],
        end_offset: i64,
    ) -> BatchVerdict {
        let mut builder = BatchBuilder::new();
        if let Some(horizon) = horizon {
            builder = builder.with_delete_horizon(horizon);
        }
        builder.append(5, Some(b"k"), Some(b"v"), &[]).unwrap();
        let bytes = builder.finish(meta).unwrap();
        let rules = Rules {
            map: &OffsetMap::new(1, 1000, 0.9, 0),
            producers: &ActiveProducers::new(producers),
            now_ms: NOW_MS,
            delete_retention_ms: 10,
            end_offset,
            keep_legacy_tombstones: true,
        };
        rules.batch(&BatchHeader::parse(&bytes).unwrap().unwrap(), discardable)
    }

    fn producer(last_offset: i64, epoch: i16) -> ProducerEntry {
        ProducerEntry {
            producer_id: 9,
            epoch,
            last_sequence: 0,
            last_offset,
            offset_delta: 0,
            timestamp: 0,
            coordinator_epoch: 0,
            current_txn_first_offset: -1,
        }
    }

    #[test]
    fn batches_stay_for_their_producer_or_their_place() {
        let data = BatchMeta {
            base_offset: 40,
            producer_id: 9,
            producer_epoch: 2,
            base_sequence: 0,
            ..BatchMeta::default()
        };
        let control = BatchMeta {
            control: true,
            transactional: true,
            ..data
        };
        let fate = |meta, discardable, producers: &[_], end| {
            verdict(meta, None, discardable, producers, end).fate
        };
        assert_eq!(fate(&data, false, &[], 100), BatchFate::RemoveIfEmpty);
        assert_eq!(fate(&data, true, &[], 100), BatchFate::Remove);
        assert_eq!(fate(&data, true, &[], 41), BatchFate::Keep);
        assert_eq!(fate(&data, true, &[producer(40, 0)], 100), BatchFate::Keep);
        assert_eq!(
            fate(&data, true, &[producer(50, 2)], 100),
            BatchFate::Remove
        );
        // A producer known by a marker alone.
        assert_eq!(
            fate(&control, true, &[producer(-1, 2)], 100),
            BatchFate::Keep
        );
        assert_eq!(
            fate(&control, true, &[producer(-1, 3)], 100),
            BatchFate::RemoveIfEmpty
        );
        assert_eq!(
            fate(&data, true, &[producer(-1, 2)], 100),
            BatchFate::Remove
        );
    }

    #[test]
    fn a_marker_waits_for_its_horizon() {
        let control = BatchMeta {
            control: true,
            transactional: true,
            ..BatchMeta::default()
        };
        let of = |horizon, discardable| {
            let v = verdict(&control, horizon, discardable, &[], 100);
            (v.fate, v.records_go, v.idle_marker)
        };
        assert_eq!(of(None, false), (BatchFate::RemoveIfEmpty, false, false));
        assert_eq!(of(None, true), (BatchFate::RemoveIfEmpty, false, true));
        assert_eq!(
            of(Some(NOW_MS + 1), true),
            (BatchFate::RemoveIfEmpty, false, true)
        );
        assert_eq!(of(Some(NOW_MS), true), (BatchFate::Remove, true, true));
        assert_eq!(
            of(Some(NOW_MS), false),
            (BatchFate::RemoveIfEmpty, false, false)
        );
    }
}
