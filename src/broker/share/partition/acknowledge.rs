//! What members say of records that they have, and what becomes of records that they keep for too long.
use super::{Fate, Limits, Run, SharePartition, ToWrite, Transition, batch};
use crate::coordinator::share::StateBatch;
use crate::protocol::ErrorCode;

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

/// What one request changes.
struct Change<'a> {
    id: u64,
    limits: &'a Limits,
    now_ms: i64,
    changed: Vec<StateBatch>,
}

impl SharePartition {
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
        let mut change = Change {
            id: self.next_transition(),
            limits,
            now_ms,
            changed: Vec::new(),
        };
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
                self.change(first, last, kind, &mut change);
                first = last + 1;
            }
        }
        Ok(self.to_write(change.id, change.changed))
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

    fn change(&mut self, from: i64, to: i64, kind: i8, change: &mut Change<'_>) {
        self.split(from);
        self.split(to + 1);
        for (first, run) in self.runs.range_mut(from..=to) {
            if kind == RENEW {
                if let Fate::Acquired { until_ms, .. } = &mut run.fate {
                    *until_ms = change.now_ms + change.limits.lock_ms;
                }
                continue;
            }
            let fate = match kind {
                ACCEPT => Fate::Acknowledged,
                RELEASE => released(run, change.limits),
                _ => Fate::Archived,
            };
            begin(*first, run, fate, change.id, &mut change.changed);
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
}

/// What becomes of records that come back.
pub(super) fn released(run: &Run, limits: &Limits) -> Fate {
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
