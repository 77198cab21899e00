//! Which of a source task's records the cluster has: offsets are stored up to the first record
//! that is not acknowledged, so that none is skipped after a crash.
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::offsets::OffsetKey;
use super::task::SourceOffset;

/// The records of one task that were handed to the producer.
#[derive(Debug, Default)]
pub struct Acknowledged {
    pending: VecDeque<Pending>,
    /// The token of the first one pending.
    first: u64,
    /// The last offset of each source partition that may be stored.
    storable: BTreeMap<Arc<OffsetKey>, SourceOffset>,
}

#[derive(Debug)]
struct Pending {
    source: Option<(Arc<OffsetKey>, SourceOffset)>,
    done: bool,
}

impl Acknowledged {
    /// A record goes to the producer; the token names it from here on.
    pub fn submit(&mut self, source: Option<(&Arc<OffsetKey>, SourceOffset)>) -> u64 {
        self.pending.push_back(Pending {
            source: source.map(|(key, offset)| (key.clone(), offset)),
            done: false,
        });
        self.first + self.pending.len() as u64 - 1
    }

    /// These records are in the cluster, or never will be and that is tolerated.
    pub fn acknowledge(&mut self, tokens: impl IntoIterator<Item = u64>) {
        for token in tokens {
            let at = token
                .checked_sub(self.first)
                .and_then(|at| usize::try_from(at).ok());
            if let Some(pending) = at.and_then(|at| self.pending.get_mut(at)) {
                pending.done = true;
            }
        }
        let mut last: Option<(Arc<OffsetKey>, SourceOffset)> = None;
        while self.pending.front().is_some_and(|pending| pending.done) {
            self.first += 1;
            let Some((key, offset)) = self.pending.pop_front().and_then(|front| front.source)
            else {
                continue;
            };
            if let Some((previous, offset)) = last.take().filter(|(last, _)| *last != key) {
                self.storable.insert(previous, offset);
            }
            last = Some((key, offset));
        }
        self.storable.extend(last);
    }

    /// Offsets that became storable since the last call.
    pub fn take_storable(&mut self) -> BTreeMap<Arc<OffsetKey>, SourceOffset> {
        std::mem::take(&mut self.storable)
    }

    /// Records that have no outcome yet.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(file: &str) -> Arc<OffsetKey> {
        Arc::new(OffsetKey::new("c", "filename", file))
    }

    fn storable(records: &mut Acknowledged) -> Vec<(Arc<OffsetKey>, u64)> {
        let taken = records.take_storable().into_iter();
        taken
            .map(|(key, offset)| match offset {
                SourceOffset::Position(position) => (key, position),
                SourceOffset::Json(_) => panic!("not a position"),
            })
            .collect()
    }

    #[test]
    fn the_longest_acknowledged_front_is_storable() {
        let (a, mut records) = (key("a"), Acknowledged::default());
        let mut submit = |position| records.submit(Some((&a, SourceOffset::Position(position))));
        let tokens: Vec<u64> = (1..=5).map(|line| submit(line * 10)).collect();
        records.acknowledge([tokens[1], tokens[3]]);
        assert_eq!(storable(&mut records), []);
        records.acknowledge([tokens[0]]);
        assert_eq!(storable(&mut records), [(a.clone(), 20)]);
        assert_eq!(storable(&mut records), []);
        records.acknowledge([tokens[2], tokens[2], tokens[0], 99]);
        assert_eq!(storable(&mut records), [(a.clone(), 40)]);
        records.acknowledge([tokens[4]]);
        assert_eq!(
            (storable(&mut records), records.pending()),
            (vec![(a, 50)], 0)
        );
    }

    #[test]
    fn each_source_partition_has_its_own_offset() {
        let (a, b, mut records) = (key("a"), key("b"), Acknowledged::default());
        let mut tokens = Vec::new();
        for (key, position) in [(&a, 1), (&b, 7), (&a, 2)] {
            tokens.push(records.submit(Some((key, SourceOffset::Position(position)))));
        }
        tokens.push(records.submit(None));
        records.acknowledge(tokens);
        assert_eq!(storable(&mut records), [(a, 2), (b, 7)]);
    }
}
