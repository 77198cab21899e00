//! One group's view of one partition: which records are delivered to whom, and what has become of
//! them. Pure: what was read, the time and the outcome of writes come from outside.
//!
//! ```text
//! start_offset                          next_offset
//!      | done | acquired | available | acquired |  never fetched …
//! ```
//! What is below the start is done with. In between every record belongs to a run of records of the
//! same fate. A change that a member is told of counts once it is written; until then its records
//! are in transition and nobody else can have them. That a lock has run out counts at once.

mod acknowledge;
mod acquire;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::coordinator::share::{Read, StateBatch};

use acknowledge::released;
#[cfg(test)]
use acknowledge::{ACCEPT, RELEASE};
pub use acknowledge::{Acknowledged, GAP, REJECT, RENEW, Refusal};
pub use acquire::{Acquired, Fetched, Wish};

/// What a record is, as it is written.
const AVAILABLE: i8 = 0;
const ACKNOWLEDGED: i8 = 2;
const ARCHIVED: i8 = 4;

/// What holds for a group now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `share.delivery.count.limit`
    pub deliveries: i16,
    /// `share.record.lock.duration.ms`
    pub lock_ms: i64,
    /// `share.partition.max.record.locks`
    pub locks: i64,
    /// `share.renew.acknowledge.enable`
    pub allows_renewal: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Available,
    Acquired { member: Arc<str>, until_ms: i64 },
    Acknowledged,
    Archived,
}

impl Fate {
    fn is_final(&self) -> bool {
        matches!(self, Fate::Acknowledged | Fate::Archived)
    }

    fn code(&self) -> i8 {
        match self {
            Fate::Available | Fate::Acquired { .. } => AVAILABLE,
            Fate::Acknowledged => ACKNOWLEDGED,
            Fate::Archived => ARCHIVED,
        }
    }
}

/// A change that is being written, and what becomes of the records if it cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Transition {
    id: u64,
    before: Fate,
}

/// Records of the same fate; its first offset is its key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    last_offset: i64,
    fate: Fate,
    deliveries: i16,
    transition: Option<Transition>,
    /// How many records were delivered together when these were first.
    batch_len: i64,
}

impl Run {
    fn is_free(&self) -> bool {
        self.fate == Fate::Available && self.transition.is_none()
    }
}

/// What has to be written before a change counts, and by which name to say that it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToWrite {
    pub transition: u64,
    pub start_offset: i64,
    pub delivery_complete_count: i32,
    pub batches: Vec<StateBatch>,
}

#[derive(Clone, Debug)]
pub struct SharePartition {
    pub state_epoch: i32,
    start_offset: i64,
    next_offset: i64,
    runs: BTreeMap<i64, Run>,
    next_transition: u64,
}

impl SharePartition {
    /// As it was written. `start_offset`: where to start if that was left open.
    pub fn load(state: &Read, start_offset: i64) -> SharePartition {
        let start_offset = match state.start_offset {
            -1 => start_offset,
            known => known,
        };
        let mut partition = SharePartition {
            state_epoch: state.state_epoch,
            start_offset,
            next_offset: start_offset,
            runs: BTreeMap::new(),
            next_transition: 0,
        };
        for batch in &state.batches {
            let first_offset = batch.first_offset.max(partition.next_offset);
            if batch.last_offset < first_offset {
                continue;
            }
            // What was acquired and never written about is as good as never delivered.
            partition.put_new(partition.next_offset, first_offset - 1, Fate::Available, 0);
            let fate = match batch.delivery_state {
                ACKNOWLEDGED => Fate::Acknowledged,
                ARCHIVED => Fate::Archived,
                _ => Fate::Available,
            };
            partition.put_new(first_offset, batch.last_offset, fate, batch.delivery_count);
        }
        partition.advance();
        partition
    }

    #[cfg(test)]
    pub fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// Appends a run at the end, if there is anything in it.
    fn put_new(&mut self, first_offset: i64, last_offset: i64, fate: Fate, deliveries: i16) {
        if first_offset > last_offset {
            return;
        }
        let run = Run {
            last_offset,
            fate,
            deliveries,
            transition: None,
            batch_len: last_offset - first_offset + 1,
        };
        self.runs.insert(first_offset, run);
        self.next_offset = last_offset + 1;
    }

    /// Where to read next: at the first record that anyone may have.
    pub fn fetch_offset(&self) -> i64 {
        let free = self.runs.iter().find(|(_, run)| run.is_free());
        free.map_or(self.next_offset, |(first, _)| *first)
    }

    fn in_flight(&self) -> i64 {
        match self.runs.is_empty() {
            true => 0,
            false => self.next_offset - self.start_offset,
        }
    }

    /// Whether anything could be acquired if there were records.
    pub fn can_acquire(&self, limits: &Limits) -> bool {
        self.fetch_offset() < self.next_offset || self.in_flight() < limits.locks
    }

    /// When [`Self::expire`] has something to do.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        let deadlines = self.runs.values().filter_map(|run| match run.fate {
            Fate::Acquired { until_ms, .. } if run.transition.is_none() => Some(until_ms),
            _ => None,
        });
        deadlines.min()
    }

    /// A change was written, or could not be.
    pub fn complete(&mut self, id: u64, is_written: bool, limits: &Limits, now_ms: i64) {
        for run in self.runs.values_mut() {
            let Some(transition) = run.transition.take_if(|transition| transition.id == id) else {
                continue;
            };
            if is_written {
                continue;
            }
            run.fate = transition.before;
            if matches!(run.fate, Fate::Acquired { until_ms, .. } if until_ms <= now_ms) {
                run.fate = released(run, limits);
            }
        }
        self.advance();
    }

    /// The log begins later now.
    pub fn log_start_moved(&mut self, log_start_offset: i64) {
        if log_start_offset <= self.start_offset {
            return;
        }
        self.split(log_start_offset);
        self.runs = self.runs.split_off(&log_start_offset);
        self.start_offset = log_start_offset;
        self.next_offset = self.next_offset.max(log_start_offset);
        self.advance();
    }

    /// How many records from the start on need not be delivered any more.
    pub fn delivery_complete_count(&self) -> i32 {
        let done = self.runs.iter().filter(|(_, run)| run.fate.is_final());
        let count: i64 = done.map(|(first, run)| run.last_offset - first + 1).sum();
        i32::try_from(count).unwrap_or(i32::MAX)
    }

    fn next_transition(&mut self) -> u64 {
        self.next_transition += 1;
        self.next_transition
    }

    fn to_write(&self, transition: u64, mut batches: Vec<StateBatch>) -> Option<ToWrite> {
        if batches.is_empty() {
            return None;
        }
        batches.sort_by_key(|batch| batch.first_offset);
        Some(ToWrite {
            transition,
            start_offset: self.start_offset,
            delivery_complete_count: self.delivery_complete_count(),
            batches,
        })
    }

    /// Forgets what is done at the start.
    fn advance(&mut self) {
        while let Some(first) = self.runs.first_entry() {
            let run = first.get();
            if !run.fate.is_final() || run.transition.is_some() {
                return;
            }
            self.start_offset = run.last_offset + 1;
            first.remove();
        }
        // Whoever has nothing in flight starts where it would read next.
        self.start_offset = self.start_offset.max(self.next_offset);
    }

    /// The first offsets of the runs that have a record between these.
    fn overlapping(&self, from: i64, to: i64) -> Vec<i64> {
        let before = self.runs.range(..from).next_back();
        let before = before.filter(|(_, run)| run.last_offset >= from);
        let within = self
            .runs
            .range(from..=to.max(from))
            .filter(|(first, _)| **first <= to);
        before
            .into_iter()
            .chain(within)
            .map(|(first, _)| *first)
            .collect()
    }

    /// A run begins at `offset` if any record is there.
    fn split(&mut self, offset: i64) {
        let Some((_, run)) = self.runs.range_mut(..offset).next_back() else {
            return;
        };
        if run.last_offset < offset {
            return;
        }
        let rest = run.clone();
        run.last_offset = offset - 1;
        self.runs.insert(offset, rest);
    }

    /// Panics if the state contradicts itself.
    #[cfg(test)]
    pub fn check_invariants(&self) {
        let mut next = self.start_offset;
        for (first, run) in &self.runs {
            assert_eq!(*first, next, "a hole, or two for one: {self:?}");
            assert!(run.last_offset >= *first, "{self:?}");
            next = run.last_offset + 1;
        }
        assert_eq!(next, self.next_offset, "{self:?}");
        let first = self.runs.values().next();
        assert!(
            first.is_none_or(|run| !run.fate.is_final() || run.transition.is_some()),
            "what is done is kept: {self:?}"
        );
    }
}

fn batch(first_offset: i64, run: &Run) -> StateBatch {
    StateBatch {
        first_offset,
        last_offset: run.last_offset,
        delivery_state: run.fate.code(),
        delivery_count: run.deliveries,
    }
}
