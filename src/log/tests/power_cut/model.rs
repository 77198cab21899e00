//! What a partition must hold, and what it may.
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::super::*;
use crate::log::producer_snapshot::ProducerEntry;
use crate::protocol::Uuid;

/// A record, or a marker, as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

#[derive(Debug, Clone)]
pub struct Appended {
    pub entries: Vec<Entry>,
    pub producer_id: i64,
    /// -1 outside of transactions.
    pub transaction: i64,
    pub control: bool,
    pub epoch: i32,
    /// What the log said of itself right after.
    pub after: Option<Facts>,
}

#[derive(Debug, Clone)]
pub struct Facts {
    /// The log start offset, from which on the following was asked.
    pub start: i64,
    pub producers: Vec<ProducerEntry>,
    pub aborted: Vec<AbortedTransaction>,
}

impl Facts {
    pub fn of(log: &Log) -> Self {
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        Self {
            start,
            producers: log.producer_snapshot().unwrap(),
            aborted: log.aborted_transactions(start, end).unwrap(),
        }
    }
}

impl Appended {
    pub fn base(&self) -> i64 {
        self.entries[0].offset
    }

    pub fn end(&self) -> i64 {
        self.entries[self.entries.len() - 1].offset + 1
    }
}

/// What was being done when the power went.
#[derive(Debug, Clone)]
pub enum UnderWay {
    Nothing,
    Append(Appended),
    Truncate(i64),
    Start(i64),
    Retention,
    Delete,
    Create,
}

/// How the log was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    InOrder,
    Killed,
    WithoutPower,
}

#[derive(Debug, Clone)]
pub struct Partition {
    pub tp: TopicPartition,
    pub compact: bool,
    pub id: Uuid,
    pub exists: bool,
    pub batches: Vec<Appended>,
    /// Transactions that were aborted, by number.
    pub aborted: BTreeSet<i64>,
    /// On the device up to here.
    pub flushed: i64,
    pub start: i64,
    /// The log ends here, if its last records are lost and the segment behind them is not.
    pub found_end: i64,
    /// Epochs are forgotten with the records that they begin with, and stay so if those come back.
    pub epochs_from: i64,
    /// The log start offset that the device holds.
    pub durable_start: i64,
    /// Records before may be gone, if a later one has their key.
    pub cleaned: i64,
    /// Producers whose last batches were lost; cleaning may have kept nothing of those before the offset.
    pub went_on: BTreeMap<i64, i64>,
    pub epoch: i32,
    pub under_way: UnderWay,
}

impl Partition {
    pub fn new(tp: TopicPartition, compact: bool, id: Uuid) -> Self {
        Self {
            tp,
            compact,
            id,
            exists: true,
            batches: Vec::new(),
            aborted: BTreeSet::new(),
            flushed: 0,
            start: 0,
            found_end: 0,
            epochs_from: 0,
            durable_start: 0,
            cleaned: 0,
            went_on: BTreeMap::new(),
            epoch: 1,
            under_way: UnderWay::Nothing,
        }
    }

    pub fn end(&self) -> i64 {
        let end = self.batches.last().map_or(0, Appended::end);
        end.max(self.start).max(self.found_end)
    }

    pub fn truncate(&mut self, end: i64) {
        let lost = self.batches.iter().filter(|batch| batch.base() >= end);
        let went_on = lost.map(|batch| (batch.producer_id, end));
        self.went_on.extend(went_on);
        self.batches.retain(|batch| batch.base() < end);
        self.flushed = self.flushed.min(end);
        self.found_end = self.found_end.min(end);
        self.forget_aborts();
    }

    /// A transaction whose marker is lost is open again, and may be committed yet.
    fn forget_aborts(&mut self) {
        let markers: BTreeSet<i64> = self.aborts().collect();
        self.aborted
            .retain(|transaction| markers.contains(transaction));
    }

    /// Where a marker is lost and what came behind it is not, the next one decides of two transactions.
    fn join_transactions(&mut self) {
        let mut open = BTreeMap::new();
        for batch in self.batches.iter_mut().filter(|b| b.transaction >= 0) {
            let first = *open.entry(batch.producer_id).or_insert(batch.transaction);
            batch.transaction = first;
            if batch.control {
                open.remove(&batch.producer_id);
            }
        }
        self.aborted = self.aborts().collect();
    }

    /// Transactions whose abort marker is there.
    fn aborts(&self) -> impl Iterator<Item = i64> {
        let markers = self.batches.iter().filter(|batch| batch.control);
        let aborts = markers.filter(|batch| batch.entries[0].key == [0, 0, 0, 0]);
        aborts.map(|batch| batch.transaction)
    }

    /// Holds a log that was opened again against what is known, and takes over what is there.
    pub fn meet(&mut self, log: &Log, left: Left) {
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        let known_from = self.check_bounds(start, end, left);
        if let UnderWay::Append(batch) = self.under_way.clone()
            && batch.end() == end
        {
            self.batches.push(batch);
        }
        let found = read_all(log);
        // What deletion gave up may come back, in part, as long as the device does not know.
        let exact_from = match left {
            Left::WithoutPower => start.max(known_from).min(end),
            _ => start,
        };
        // As in Kafka, what was not flushed may go from the end of any segment.
        let exact_to = match left {
            Left::WithoutPower => self.flushed,
            _ => end,
        };
        let whole = self.check_records(&found, start, exact_from..exact_to, end);
        self.epochs_from = self.epochs_from.max(self.start).max(known_from);
        self.check_epochs(log, &found, exact_from.max(self.epochs_from));
        if whole && start <= known_from {
            self.check_facts(log, &found, exact_from, end);
        }
        if !whole || start > known_from || (self.compact && self.end() > end) {
            // They tell of records that are lost, too.
            self.batches.iter_mut().for_each(|batch| batch.after = None);
        }
        check_lookups(log, &found, start);
        self.adopt(&found, start, end, left);
    }

    /// Returns the greatest log start offset that the log had.
    fn check_bounds(&self, start: i64, end: i64, left: Left) -> i64 {
        let (mut low, mut high) = (self.end(), self.end());
        let (mut upper_start, mut known_from) = (self.start, self.start);
        if left == Left::WithoutPower {
            low = self.flushed.max(self.durable_start);
            if self.flushed <= self.start {
                // Its first segments may be lost, and later ones there.
                upper_start = high;
            }
        }
        match &self.under_way {
            UnderWay::Append(batch) => high = batch.end(),
            UnderWay::Truncate(to) => low = low.min(*to),
            UnderWay::Start(to) => known_from = known_from.max(*to),
            UnderWay::Retention => known_from = high,
            UnderWay::Nothing | UnderWay::Delete | UnderWay::Create => {}
        }
        assert!(
            (low..=high).contains(&end),
            "ends at {end}, not within {low} to {high}"
        );
        upper_start = upper_start.max(known_from);
        let lower_start = match left {
            Left::InOrder => self.start,
            _ => self.durable_start,
        };
        assert!(
            (lower_start..=upper_start).contains(&start),
            "starts at {start}, not within {lower_start} to {upper_start}"
        );
        known_from
    }

    /// Returns whether nothing is missing.
    fn check_records(&self, found: &[Entry], start: i64, exact: Range<i64>, end: i64) -> bool {
        let mut whole = true;
        let known: BTreeMap<i64, &Entry> = self
            .batches
            .iter()
            .flat_map(|batch| &batch.entries)
            .map(|entry| (entry.offset, entry))
            .collect();
        for entry in found {
            let appended = known.get(&entry.offset).copied();
            assert_eq!(Some(entry), appended, "a record that nobody appended");
        }
        let there: BTreeSet<i64> = found.iter().map(|entry| entry.offset).collect();
        for (offset, entry) in known.range(start..end) {
            if there.contains(offset) {
                continue;
            }
            let may_be_lost = !exact.contains(offset);
            assert!(
                may_be_lost || *offset < self.cleaned,
                "offset {offset} is gone: {entry:?}"
            );
            whole &= !may_be_lost;
        }
        let counts = |offset: i64| offset < exact.end || there.contains(&offset);
        let latest = self.latest(exact.start, end.min(self.cleaned), counts);
        for (key, offset) in latest {
            assert!(
                there.contains(&offset),
                "offset {offset}, the last of its key, was cleaned away, to {}: {:?}, aborted {:?}",
                self.cleaned,
                self.batches
                    .iter()
                    .filter(|batch| batch.entries.iter().any(|entry| entry.key == key))
                    .map(|batch| (batch.base(), batch.end(), batch.transaction, batch.control))
                    .collect::<Vec<_>>(),
                self.aborted
            );
        }
        whole
    }

    /// The last committed record of each key.
    fn latest(&self, from: i64, to: i64, there: impl Fn(i64) -> bool) -> BTreeMap<Vec<u8>, i64> {
        let counts = |batch: &&Appended| {
            !batch.control && !self.aborted.contains(&batch.transaction) && batch.base() < to
        };
        let batches = self.batches.iter().filter(counts);
        let entries = batches.flat_map(|batch| &batch.entries);
        entries
            .filter(|entry| (from..to).contains(&entry.offset) && there(entry.offset))
            .map(|entry| (entry.key.clone(), entry.offset))
            .collect()
    }

    fn check_epochs(&self, log: &Log, found: &[Entry], from: i64) {
        let batches = self.batches.iter().filter(|batch| batch.base() >= from);
        for batch in batches {
            let offset = batch.base();
            if found.binary_search_by_key(&offset, |e| e.offset).is_ok() {
                let known = log.epoch_entries().unwrap();
                let epoch = log.epoch_for_offset(offset).unwrap();
                assert_eq!(epoch, Some(batch.epoch), "at {offset}: {known:?}");
            }
        }
    }

    /// Producers and aborted transactions are as they were when the log ended there.
    fn check_facts(&self, log: &Log, found: &[Entry], from: i64, end: i64) {
        let last = self.batches.iter().find(|batch| batch.end() == end);
        let facts = last.and_then(|batch| batch.after.as_ref());
        let Some(Facts {
            start,
            producers,
            aborted,
        }) = facts
        else {
            return;
        };
        let from = from.max(*start);
        // Of a producer that went on behind what is left, cleaning has kept no more than is there.
        let went_on = |entry: &ProducerEntry| {
            let mut lost = self.batches.iter().filter(|batch| batch.base() >= end);
            let before = self.went_on.get(&entry.producer_id);
            self.compact
                && (lost.any(|batch| batch.producer_id == entry.producer_id)
                    || before.is_some_and(|lost| entry.last_offset < *lost))
        };
        let of_log = |entry: &&ProducerEntry| entry.last_offset >= from && !went_on(entry);
        let now = log.producer_snapshot().unwrap();
        // What a transaction began with may be deleted, and the snapshot that told of it lost.
        let began_before =
            |entry: &ProducerEntry| (0..from).contains(&entry.current_txn_first_offset);
        let early: BTreeSet<i64> = producers
            .iter()
            .filter(|entry| began_before(entry))
            .map(|entry| entry.producer_id)
            .collect();
        let comparable = |entry: &ProducerEntry| {
            let mut entry = *entry;
            if entry.current_txn_first_offset >= 0 && early.contains(&entry.producer_id) {
                entry.current_txn_first_offset = from;
            }
            if self.compact {
                // What is left of a batch tells less.
                (entry.timestamp, entry.offset_delta) = (0, 0);
            }
            entry
        };
        let then: Vec<_> = producers.iter().filter(of_log).map(comparable).collect();
        let now: Vec<_> = now.iter().filter(of_log).map(comparable).collect();
        // So may a marker be, and the coordinator's epoch with it.
        let forgotten = |entry: &ProducerEntry| {
            let is_same = |now: &&ProducerEntry| now.producer_id == entry.producer_id;
            let known = now.iter().find(is_same);
            from > 0 && known.is_some_and(|now| now.coordinator_epoch == -1)
        };
        let mut then = then;
        for entry in then.iter_mut().filter(|entry| forgotten(entry)) {
            entry.coordinator_epoch = -1;
        }
        assert_eq!(now, then, "producers at {end}");
        let now = log.aborted_transactions(from, end).unwrap();
        self.check_aborted(&now, aborted, found, from);
    }

    /// Of the transactions that were aborted, those are known whose records are there.
    fn check_aborted(
        &self,
        now: &[AbortedTransaction],
        then: &[AbortedTransaction],
        found: &[Entry],
        from: i64,
    ) {
        let is_empty = |a: &&AbortedTransaction| {
            let range = a.first_offset..a.last_offset;
            let mut there = found.iter().filter(|entry| range.contains(&entry.offset));
            !there.any(|entry| self.producer_of(entry.offset) == Some(a.producer_id))
        };
        let then = then.iter().filter(|a| a.last_offset >= from);
        if self.compact {
            // Rebuilt from what is left of a transaction, an entry may tell less.
            let end = |a: &AbortedTransaction| (a.producer_id, a.last_offset);
            let known: Vec<_> = then.map(end).collect();
            // Cleaning forgot it with its last record; its marker, which stays for a time, brings it back.
            let mut unknown = now.iter().filter(|a| !known.contains(&end(a)));
            assert!(unknown.all(|a| is_empty(&a)), "{now:?}");
            return;
        }
        // What was deleted may not be known any more: where a transaction began, or that there was one.
        let counts = |a: &&AbortedTransaction| a.first_offset >= from || !is_empty(a);
        let (now, then): (Vec<_>, Vec<_>) = (
            now.iter().filter(counts).collect(),
            then.filter(counts).collect(),
        );
        let same_offset = |now: i64, then: i64| now == then || then < from;
        let same = |(now, then): (&&AbortedTransaction, &&AbortedTransaction)| {
            (now.producer_id, now.last_offset) == (then.producer_id, then.last_offset)
                && same_offset(now.first_offset, then.first_offset)
                && same_offset(now.last_stable_offset, then.last_stable_offset)
        };
        let all = now.len() == then.len() && now.iter().zip(&then).all(same);
        assert!(all, "{now:?}, not {then:?}");
    }

    fn producer_of(&self, offset: i64) -> Option<i64> {
        let mut batches = self.batches.iter().filter(|batch| !batch.control);
        let holds = |batch: &&Appended| batch.entries.iter().any(|entry| entry.offset == offset);
        batches.find(holds).map(|batch| batch.producer_id)
    }

    fn adopt(&mut self, found: &[Entry], start: i64, end: i64, left: Left) {
        self.under_way = UnderWay::Nothing;
        self.truncate(end);
        self.start = start;
        self.found_end = end;
        match left {
            Left::Killed => return,
            Left::InOrder => {}
            Left::WithoutPower => {
                let there: BTreeSet<i64> = found.iter().map(|entry| entry.offset).collect();
                for batch in &mut self.batches {
                    let base = batch.base();
                    batch.entries.retain(|entry| there.contains(&entry.offset));
                    if batch.entries.is_empty() {
                        let went_on = self.went_on.entry(batch.producer_id).or_default();
                        *went_on = base.max(*went_on);
                    }
                }
                self.batches.retain(|batch| !batch.entries.is_empty());
                self.join_transactions();
            }
        }
        self.flushed = end;
        self.durable_start = start;
    }
}

/// Every record and marker in the log from its start on.
pub fn read_all(log: &Log) -> Vec<Entry> {
    let start = log.log_start_offset();
    let mut offset = start;
    let mut found = Vec::new();
    while offset < log.log_end_offset() {
        let read = log.read(offset, 1 << 20, ReadLimit::LogEnd, true).unwrap();
        let Some(slice) = read.slice else { break };
        let bytes = slice.to_vec().unwrap();
        let mut any = false;
        for batch in batches(&bytes) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            assert!(batch.last_offset() >= offset, "batch before {offset}");
            found.extend(entries_of(&batch).filter(|entry| entry.offset >= start));
            offset = batch.next_offset();
            any = true;
        }
        assert!(any, "nothing at {offset}");
    }
    found
}

fn entries_of(batch: &crate::record::BatchView<'_>) -> impl Iterator<Item = Entry> {
    let records = batch.records().unwrap();
    let entries: Vec<Entry> = records
        .iter()
        .map(|record| {
            let record = record.unwrap();
            Entry {
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key.unwrap_or_default().to_vec(),
                value: record.value.map(<[u8]>::to_vec),
            }
        })
        .collect();
    entries.into_iter()
}

/// The indexes lead to what is there.
fn check_lookups(log: &Log, found: &[Entry], start: i64) {
    for entry in found.iter().step_by(3) {
        let read = log.read(entry.offset, 1, ReadLimit::LogEnd, true).unwrap();
        let bytes = read.slice.unwrap().to_vec().unwrap();
        let batch = batches(&bytes).next().unwrap().unwrap();
        let covered = batch.base_offset()..batch.next_offset();
        assert!(
            covered.contains(&entry.offset),
            "{covered:?} at {}",
            entry.offset
        );
    }
    for entry in found.iter().step_by(7) {
        let asked = ListOffset::Timestamp(entry.timestamp);
        let answer = log.list_offset(asked, ReadLimit::LogEnd).unwrap();
        let mut later = found.iter().filter(|e| e.timestamp >= entry.timestamp);
        let first = later.find(|e| e.offset >= start).map(|e| e.offset);
        assert_eq!(
            answer.map(|a| a.offset),
            first,
            "timestamp {}",
            entry.timestamp
        );
    }
}
