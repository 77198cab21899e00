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

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::coordinator::share::{Read, StateBatch};
use crate::protocol::ErrorCode;

/// What a record is, as it is written.
const AVAILABLE: i8 = 0;
const ACKNOWLEDGED: i8 = 2;
const ARCHIVED: i8 = 4;

/// Up to this delivery count nothing is held back, whatever the limit.
const THROTTLE_FROM: i16 = 2;

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

impl Limits {
    /// A record delivered so often may be what makes consumers fail: it is delivered with fewer others.
    fn throttle_from(&self) -> i16 {
        THROTTLE_FROM.max((self.deliveries + 1) / 2)
    }
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

/// What was read from the log: the batches' first and last offsets in order, and what of them
/// belongs to transactions that were aborted.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    pub batches: Vec<(i64, i64)>,
    pub aborted: Vec<(i64, i64)>,
}

/// What a fetch asks for.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    pub max_records: i64,
    /// Batches of new records of about this many go out as one.
    pub batch_size: i64,
    /// No more than `max_records`, though a batch is cut.
    pub is_strict: bool,
}

/// Records that a member has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquired {
    pub first_offset: i64,
    pub last_offset: i64,
    pub deliveries: i16,
}

/// Records that a member is done with, and how: one type for all, or one for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    pub first_offset: i64,
    pub last_offset: i64,
    pub types: Vec<i8>,
}

impl Acknowledged {
    fn type_of(&self, offset: i64) -> i8 {
        let at = usize::try_from(offset - self.first_offset).unwrap_or(0);
        let only = self.types.first().copied().unwrap_or_default();
        match self.types.len() {
            0 | 1 => only,
            _ => self.types.get(at).copied().unwrap_or(only),
        }
    }
}

pub const GAP: i8 = 0;
pub const ACCEPT: i8 = 1;
pub const RELEASE: i8 = 2;
pub const REJECT: i8 = 3;
pub const RENEW: i8 = 4;

/// What has to be written before a change counts, and by which name to say that it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToWrite {
    pub transition: u64,
    pub start_offset: i64,
    pub delivery_complete_count: i32,
    pub batches: Vec<StateBatch>,
}

/// Why records cannot be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: ErrorCode,
    pub message: &'static str,
}

fn invalid_state(message: &'static str) -> Refusal {
    Refusal {
        code: ErrorCode::InvalidRecordState,
        message,
    }
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

    /// Gives a member what it may have of what was read at `fetch_offset`.
    pub fn acquire(
        &mut self,
        member: &Arc<str>,
        fetched: &Fetched,
        fetch_offset: i64,
        wish: &Wish,
        limits: &Limits,
        now_ms: i64,
    ) -> Vec<Acquired> {
        let (Some((base, _)), Some((_, last))) = (fetched.batches.first(), fetched.batches.last())
        else {
            return Vec::new();
        };
        let (base, mut last) = (*base, *last);
        if last < self.start_offset || wish.max_records <= 0 {
            return Vec::new();
        }
        let mut left = wish.max_records.min(limits.locks - self.in_flight());
        if left <= 0 {
            // As many are locked as may be: only what comes back is delivered.
            last = last.min(self.next_offset - 1);
            left = wish.max_records.min(self.next_offset - fetch_offset);
        }
        // The log has them no more: it was compacted, say.
        self.archive_free(fetch_offset, base - 1);
        let fate = Fate::Acquired {
            member: member.clone(),
            until_ms: now_ms + limits.lock_ms,
        };
        let mut acquired = Vec::new();
        let is_throttled =
            self.acquire_again(base, last, &mut left, &fate, wish, limits, &mut acquired);
        if !is_throttled && left > 0 && last >= self.next_offset {
            self.acquire_new(fetched, last, left, &fate, wish, &mut acquired);
        }
        self.archive_aborted(&fetched.aborted, &mut acquired);
        self.advance();
        acquired
    }

    /// Records that came back, from the first on. True: no more may go with them.
    #[allow(clippy::too_many_arguments)]
    fn acquire_again(
        &mut self,
        base: i64,
        last: i64,
        left: &mut i64,
        fate: &Fate,
        wish: &Wish,
        limits: &Limits,
        acquired: &mut Vec<Acquired>,
    ) -> bool {
        let free = self.overlapping(base, last);
        let free = free.into_iter().filter(|first| {
            let run = self.runs.get(first);
            run.is_some_and(Run::is_free)
        });
        for first in free.collect::<Vec<_>>() {
            let Some(run) = self.runs.get(&first) else {
                continue;
            };
            if *left <= 0 {
                return false;
            }
            let (from, mut to) = (first.max(base), run.last_offset.min(last));
            let excess = run.deliveries - limits.throttle_from();
            let is_throttled = excess >= 0;
            if is_throttled {
                if !acquired.is_empty() {
                    return true;
                }
                let is_last_attempt =
                    limits.deliveries > THROTTLE_FROM && run.deliveries >= limits.deliveries - 1;
                let share = run
                    .batch_len
                    .checked_shr(u32::from(excess.unsigned_abs()) + 1);
                let count = match is_last_attempt {
                    true => 1,
                    false => share.unwrap_or(0).max(1),
                };
                to = to.min(from + count - 1);
            }
            if wish.is_strict {
                to = to.min(from + *left - 1);
            }
            self.split(from);
            self.split(to + 1);
            if let Some(run) = self.runs.get_mut(&from) {
                run.fate = fate.clone();
                run.deliveries = run.deliveries.saturating_add(1);
                *left -= to - from + 1;
                push(acquired, from, to, run.deliveries);
            }
            if is_throttled {
                return true;
            }
        }
        false
    }

    /// Records that were never fetched before.
    fn acquire_new(
        &mut self,
        fetched: &Fetched,
        last: i64,
        left: i64,
        fate: &Fate,
        wish: &Wish,
        acquired: &mut Vec<Acquired>,
    ) {
        let base = fetched.batches.first().map_or(last, |(base, _)| *base);
        let from = base.max(self.next_offset);
        match self.runs.is_empty() {
            true => self.start_offset = from,
            // Nothing is there.
            false => self.put_new(self.next_offset, from - 1, Fate::Archived, 0),
        }
        let mut to = last;
        if left < to - from + 1 {
            to = from + left - 1;
            let holds = |(first, last): &&(i64, i64)| *first <= to && to <= *last;
            let whole = fetched.batches.iter().find(holds);
            if let (Some((_, end)), false) = (whole, wish.is_strict) {
                to = *end;
            }
        }
        let mut first = from;
        if !wish.is_strict && to - from + 1 > wish.batch_size {
            for (base, _) in fetched.batches.iter().filter(|(base, _)| *base <= to) {
                if base - first >= wish.batch_size.max(1) {
                    self.put_new(first, base - 1, fate.clone(), 1);
                    acquired.push(new(first, base - 1));
                    first = *base;
                }
            }
        }
        self.put_new(first, to, fate.clone(), 1);
        acquired.push(new(first, to));
    }

    /// What of the acquired was aborted goes to nobody.
    fn archive_aborted(&mut self, aborted: &[(i64, i64)], acquired: &mut Vec<Acquired>) {
        for (from, to) in aborted {
            let mut kept = Vec::with_capacity(acquired.len());
            for own in acquired.drain(..) {
                let (first, last) = (own.first_offset.max(*from), own.last_offset.min(*to));
                if first > last {
                    kept.push(own);
                    continue;
                }
                self.split(first);
                self.split(last + 1);
                for (_, run) in self.runs.range_mut(first..=last) {
                    run.fate = Fate::Archived;
                }
                for (first_offset, last_offset) in
                    [(own.first_offset, first - 1), (last + 1, own.last_offset)]
                {
                    if first_offset <= last_offset {
                        kept.push(Acquired {
                            first_offset,
                            last_offset,
                            ..own
                        });
                    }
                }
            }
            *acquired = kept;
        }
    }

    /// Changes what a member says of records that it has: all of it or nothing. `None`: there is
    /// nothing to write.
    pub fn acknowledge(
        &mut self,
        member: &str,
        acknowledged: &[Acknowledged],
        limits: &Limits,
        now_ms: i64,
    ) -> Result<Option<ToWrite>, Refusal> {
        for batch in acknowledged {
            self.check(member, batch, limits)?;
        }
        let id = self.next_transition();
        let mut changed = Vec::new();
        for batch in acknowledged {
            let from = batch.first_offset.max(self.start_offset);
            let mut first = from;
            while first <= batch.last_offset {
                // Neighbours of the same type change as one.
                let kind = batch.type_of(first);
                let mut last = match batch.types.len() {
                    0 | 1 => batch.last_offset,
                    _ => first,
                };
                while last < batch.last_offset && batch.type_of(last + 1) == kind {
                    last += 1;
                }
                self.change(first, last, kind, id, limits, now_ms, &mut changed);
                first = last + 1;
            }
        }
        Ok(self.to_write(id, changed))
    }

    fn check(&self, member: &str, batch: &Acknowledged, limits: &Limits) -> Result<(), Refusal> {
        if batch.types.iter().any(|kind| !(GAP..=RENEW).contains(kind)) {
            return Err(Refusal {
                code: ErrorCode::InvalidRequest,
                message: "Invalid acknowledge type.",
            });
        }
        if batch.last_offset < self.start_offset {
            return Ok(());
        }
        if self.runs.is_empty() {
            let message =
                "Batch record not found. The request batch offsets are not found in the cache.";
            return Err(invalid_state(message));
        }
        if batch.last_offset >= self.next_offset {
            let message = match batch.first_offset >= self.next_offset {
                true => {
                    "Batch record not found. The first offset in request is past acquired records."
                }
                false => {
                    "Batch record not found. The last offset in request is past acquired records."
                }
            };
            return Err(Refusal {
                code: ErrorCode::InvalidRequest,
                message,
            });
        }
        if batch.types.contains(&RENEW) && !limits.allows_renewal {
            let message = "Renewing acquisition locks is not enabled for the group.";
            return Err(invalid_state(message));
        }
        let from = batch.first_offset.max(self.start_offset);
        for first in self.overlapping(from, batch.last_offset) {
            let Some(run) = self.runs.get(&first) else {
                continue;
            };
            if run.transition.is_some() {
                return Err(invalid_state(
                    "The record state is invalid. The acknowledgement of delivery could not be completed.",
                ));
            }
            match &run.fate {
                Fate::Acquired { member: owner, .. } if **owner == *member => {}
                Fate::Acquired { .. } => {
                    return Err(invalid_state("Member is not the owner of batch record"));
                }
                _ => {
                    return Err(invalid_state(
                        "The batch cannot be acknowledged. The batch is not in the acquired state.",
                    ));
                }
            }
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn change(
        &mut self,
        from: i64,
        to: i64,
        kind: i8,
        id: u64,
        limits: &Limits,
        now_ms: i64,
        changed: &mut Vec<StateBatch>,
    ) {
        self.split(from);
        self.split(to + 1);
        for (first, run) in self.runs.range_mut(from..=to) {
            if kind == RENEW {
                if let Fate::Acquired { until_ms, .. } = &mut run.fate {
                    *until_ms = now_ms + limits.lock_ms;
                }
                continue;
            }
            let fate = match kind {
                ACCEPT => Fate::Acknowledged,
                RELEASE => released(run, limits),
                _ => Fate::Archived,
            };
            begin(*first, run, fate, id, changed);
        }
    }

    /// A member is gone: others may have what it had.
    pub fn release(&mut self, member: &str, limits: &Limits) -> Option<ToWrite> {
        let id = self.next_transition();
        let mut changed = Vec::new();
        for (first, run) in &mut self.runs {
            let is_owned =
                matches!(&run.fate, Fate::Acquired { member: owner, .. } if **owner == *member);
            if is_owned && run.transition.is_none() {
                let fate = released(run, limits);
                begin(*first, run, fate, id, &mut changed);
            }
        }
        self.to_write(id, changed)
    }

    /// Takes back what members have had for too long.
    pub fn expire(&mut self, limits: &Limits, now_ms: i64) -> Option<ToWrite> {
        let id = self.next_transition();
        let mut changed = Vec::new();
        for (first, run) in &mut self.runs {
            let is_late = matches!(run.fate, Fate::Acquired { until_ms, .. } if until_ms <= now_ms);
            if is_late && run.transition.is_none() {
                run.fate = released(run, limits);
                changed.push(batch(*first, run));
            }
        }
        let to_write = self.to_write(id, changed);
        self.advance();
        to_write
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

    fn archive_free(&mut self, from: i64, to: i64) {
        if from > to {
            return;
        }
        self.split(from);
        self.split(to + 1);
        for (_, run) in self.runs.range_mut(from..=to) {
            if run.is_free() {
                run.fate = Fate::Archived;
            }
        }
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

fn new(first_offset: i64, last_offset: i64) -> Acquired {
    Acquired {
        first_offset,
        last_offset,
        deliveries: 1,
    }
}

/// Adds to what is acquired; neighbours that were delivered equally often are one.
fn push(acquired: &mut Vec<Acquired>, first_offset: i64, last_offset: i64, deliveries: i16) {
    match acquired.last_mut() {
        Some(own) if own.last_offset + 1 == first_offset && own.deliveries == deliveries => {
            own.last_offset = last_offset;
        }
        _ => acquired.push(Acquired {
            first_offset,
            last_offset,
            deliveries,
        }),
    }
}

/// What becomes of records that come back.
fn released(run: &Run, limits: &Limits) -> Fate {
    match run.deliveries >= limits.deliveries {
        true => Fate::Archived,
        false => Fate::Available,
    }
}

fn begin(first: i64, run: &mut Run, fate: Fate, id: u64, changed: &mut Vec<StateBatch>) {
    let before = std::mem::replace(&mut run.fate, fate);
    run.transition = Some(Transition { id, before });
    changed.push(batch(first, run));
}

fn batch(first_offset: i64, run: &Run) -> StateBatch {
    StateBatch {
        first_offset,
        last_offset: run.last_offset,
        delivery_state: run.fate.code(),
        delivery_count: run.deliveries,
    }
}
