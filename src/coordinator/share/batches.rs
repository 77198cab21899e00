//! Batches of records with the same fate.
//!
//! Of two that say something of the same record the one that was delivered more often counts, and
//! of two deliveries of the same number the one whose state is further on.
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The records from `first_offset` to `last_offset`: their delivery state (0 available, 2
/// acknowledged, 4 archived) and how often they were delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateBatch {
    pub first_offset: i64,
    pub last_offset: i64,
    pub delivery_state: i8,
    pub delivery_count: i16,
}

impl StateBatch {
    fn compare(&self, other: &StateBatch) -> Ordering {
        let own = (self.delivery_count, self.delivery_state);
        own.cmp(&(other.delivery_count, other.delivery_state))
    }
}

/// Lays `more` over `so_far`: batches in order, none overlapping, neighbours of the same fate as
/// one, nothing below `start_offset` (-1: everything is kept).
pub fn combine(so_far: &[StateBatch], more: &[StateBatch], start_offset: i64) -> Vec<StateBatch> {
    let mut laid: BTreeMap<i64, StateBatch> = BTreeMap::new();
    for batch in so_far.iter().chain(more) {
        let first_offset = batch.first_offset.max(start_offset);
        if batch.last_offset >= first_offset {
            lay(
                &mut laid,
                StateBatch {
                    first_offset,
                    ..*batch
                },
            );
        }
    }
    let mut combined: Vec<StateBatch> = Vec::with_capacity(laid.len());
    for batch in laid.into_values() {
        match combined.last_mut() {
            Some(last)
                if last.last_offset + 1 == batch.first_offset && last.compare(&batch).is_eq() =>
            {
                last.last_offset = batch.last_offset;
            }
            _ => combined.push(batch),
        }
    }
    combined
}

fn lay(laid: &mut BTreeMap<i64, StateBatch>, new: StateBatch) {
    let before = laid.range(..=new.first_offset).next_back();
    let from = match before {
        Some((first, batch)) if batch.last_offset >= new.first_offset => *first,
        _ => new.first_offset,
    };
    let overlapping = laid.range(from..=new.last_offset).map(|(first, _)| *first);
    let overlapping: Vec<i64> = overlapping.collect();
    // What of the new batch has not met another.
    let mut rest = Some(new);
    for first in overlapping {
        let (Some(old), Some(batch)) = (laid.remove(&first), rest.take()) else {
            continue;
        };
        let mut put = |first_offset: i64, last_offset: i64, fate: StateBatch| {
            if first_offset <= last_offset {
                let batch = StateBatch {
                    first_offset,
                    last_offset,
                    ..fate
                };
                laid.insert(first_offset, batch);
            }
        };
        let both_from = old.first_offset.max(batch.first_offset);
        let both_to = old.last_offset.min(batch.last_offset);
        put(old.first_offset, both_from - 1, old);
        put(batch.first_offset, both_from - 1, batch);
        let winner = match batch.compare(&old) {
            Ordering::Less => old,
            _ => batch,
        };
        put(both_from, both_to, winner);
        put(both_to + 1, old.last_offset, old);
        if batch.last_offset > both_to {
            rest = Some(StateBatch {
                first_offset: both_to + 1,
                ..batch
            });
        }
    }
    if let Some(batch) = rest {
        laid.insert(batch.first_offset, batch);
    }
}
