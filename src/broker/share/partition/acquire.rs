//! Who gets which records: those that came back first, then new ones.
use std::sync::Arc;

use super::{Fate, Limits, Run, SharePartition};

/// Up to this delivery count nothing is held back, whatever the limit.
const THROTTLE_FROM: i16 = 2;

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

impl Limits {
    /// A record delivered so often may be what makes consumers fail: it is delivered with fewer others.
    fn throttle_from(&self) -> i16 {
        THROTTLE_FROM.max((self.deliveries + 1) / 2)
    }

    /// How many records of such a run are delivered together: the more often they were, the fewer; at last one.
    fn throttled(&self, run: &Run) -> i64 {
        let is_last_attempt =
            self.deliveries > THROTTLE_FROM && run.deliveries >= self.deliveries - 1;
        if is_last_attempt {
            return 1;
        }
        let excess = (run.deliveries - self.throttle_from()).unsigned_abs();
        let share = run.batch_len.checked_shr(u32::from(excess) + 1);
        share.unwrap_or(0).max(1)
    }
}

/// One member's fetch, as far as it has come.
struct Pass<'a> {
    base: i64,
    last: i64,
    /// How many records it may still have.
    left: i64,
    /// No more may go with what it has.
    is_throttled: bool,
    fate: Fate,
    wish: &'a Wish,
    limits: &'a Limits,
    acquired: Vec<Acquired>,
}

impl SharePartition {
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
        let mut pass = Pass {
            base,
            last,
            left,
            is_throttled: false,
            fate: Fate::Acquired {
                member: member.clone(),
                until_ms: now_ms + limits.lock_ms,
            },
            wish,
            limits,
            acquired: Vec::new(),
        };
        self.acquire_again(&mut pass);
        if !pass.is_throttled && pass.left > 0 && last >= self.next_offset {
            self.acquire_new(&fetched.batches, &mut pass);
        }
        let mut acquired = pass.acquired;
        self.archive_aborted(&fetched.aborted, &mut acquired);
        self.advance();
        acquired
    }

    /// Records that came back, from the first on.
    fn acquire_again(&mut self, pass: &mut Pass<'_>) {
        for first in self.overlapping(pass.base, pass.last) {
            let Some(run) = self.runs.get(&first).filter(|run| run.is_free()) else {
                continue;
            };
            if pass.left <= 0 || pass.is_throttled {
                return;
            }
            let from = first.max(pass.base);
            let mut to = run.last_offset.min(pass.last);
            if run.deliveries >= pass.limits.throttle_from() {
                pass.is_throttled = true;
                if !pass.acquired.is_empty() {
                    return;
                }
                to = to.min(from + pass.limits.throttled(run) - 1);
            }
            if pass.wish.is_strict {
                to = to.min(from + pass.left - 1);
            }
            self.split(from);
            self.split(to + 1);
            if let Some(run) = self.runs.get_mut(&from) {
                run.fate = pass.fate.clone();
                run.deliveries = run.deliveries.saturating_add(1);
                pass.left -= to - from + 1;
                push(&mut pass.acquired, from, to, run.deliveries);
            }
        }
    }

    /// Records that were never fetched before.
    fn acquire_new(&mut self, batches: &[(i64, i64)], pass: &mut Pass<'_>) {
        let from = pass.base.max(self.next_offset);
        match self.runs.is_empty() {
            true => self.start_offset = from,
            // Nothing is there.
            false => self.put_new(self.next_offset, from - 1, Fate::Archived, 0),
        }
        let mut to = pass.last;
        if pass.left < to - from + 1 {
            to = from + pass.left - 1;
            let holds = |(first, last): &&(i64, i64)| *first <= to && to <= *last;
            let whole = batches.iter().find(holds);
            if let (Some((_, end)), false) = (whole, pass.wish.is_strict) {
                to = *end;
            }
        }
        let mut first = from;
        let batch_size = pass.wish.batch_size;
        if !pass.wish.is_strict && to - from + 1 > batch_size {
            for (base, _) in batches.iter().filter(|(base, _)| *base <= to) {
                if base - first >= batch_size.max(1) {
                    self.put_new(first, base - 1, pass.fate.clone(), 1);
                    pass.acquired.push(new(first, base - 1));
                    first = *base;
                }
            }
        }
        self.put_new(first, to, pass.fate.clone(), 1);
        pass.acquired.push(new(first, to));
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
