//! What is to be told of records, in as few ranges as there are.
use std::collections::BTreeMap;

use crate::client::TopicPartition;
use crate::client::errors::Result;
use crate::protocol::Uuid;

/// What became of a record; the numbers are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcknowledgeType {
    /// There is no record at the offset.
    Gap = 0,
    /// Done.
    Accept = 1,
    /// To be delivered again.
    Release = 2,
    /// Not to be delivered again.
    Reject = 3,
}

/// A range of offsets that is acknowledged alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub first: i64,
    pub last: i64,
    pub kind: AcknowledgeType,
}

/// What was acknowledged, by topic id and partition, in order.
pub type Taken = BTreeMap<(Uuid, i32), Vec<Range>>;

/// What became of the acknowledgements for one partition.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub partition: TopicPartition,
    pub ranges: Vec<Range>,
    pub result: Result<()>,
}

/// By topic id and partition.
#[derive(Debug, Default)]
pub struct Acknowledgements {
    /// By the first offset of each range.
    partitions: BTreeMap<(Uuid, i32), BTreeMap<i64, Range>>,
}

impl Acknowledgements {
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    pub fn add(&mut self, partition: (Uuid, i32), first: i64, last: i64, kind: AcknowledgeType) {
        let ranges = self.partitions.entry(partition).or_default();
        if let Some((_, before)) = ranges.range_mut(..=first).next_back()
            && before.kind == kind
            && before.last.checked_add(1) == Some(first)
        {
            before.last = last;
            return;
        }
        ranges.insert(first, Range { first, last, kind });
    }

    /// Everything, in order.
    pub fn take(&mut self) -> Taken {
        let partitions = std::mem::take(&mut self.partitions).into_iter();
        let ranges = |(partition, ranges): (_, BTreeMap<i64, Range>)| {
            (partition, ranges.into_values().collect())
        };
        partitions.map(ranges).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_make_one_range() {
        let mut pending = Acknowledgements::default();
        let key = (Uuid::from_random(1), 0);
        pending.add(key, 7, 8, AcknowledgeType::Gap);
        for offset in [3, 4, 5] {
            pending.add(key, offset, offset, AcknowledgeType::Accept);
        }
        pending.add(key, 6, 6, AcknowledgeType::Release);
        let range = |first, last, kind| Range { first, last, kind };
        let want = [
            range(3, 5, AcknowledgeType::Accept),
            range(6, 6, AcknowledgeType::Release),
            range(7, 8, AcknowledgeType::Gap),
        ];
        assert_eq!(pending.take().get(&key).map(Vec::as_slice), Some(&want[..]));
        assert!(pending.is_empty());
    }
}
