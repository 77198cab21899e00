//! What a poll returns: the records of one partition that were acquired, read where they arrived.
use bytes::Bytes;

use crate::client::TopicPartition;
use crate::client::errors::{ClientError, Result};
use crate::protocol::Uuid;
use crate::protocol::messages::share_fetch_response::AcquiredRecords;
use crate::record::{DECOMPRESSED_MAX, RecordView, StoredBatch, StoredHeader, stored_batches};

/// A range of offsets that is this member's for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquired {
    pub first: i64,
    pub last: i64,
    /// How often it was delivered, this time included.
    pub delivery_count: i16,
}

/// Acquired records of one partition, in order. Batches may hold others too: those are left out.
#[derive(Debug, Clone)]
pub struct ShareFetched {
    pub partition: TopicPartition,
    pub acquired: Vec<Acquired>,
    pub(super) topic_id: Uuid,
    pub(super) node: i32,
    /// The acquired offsets with a record.
    pub(super) present: Vec<(i64, i64)>,
    records: Bytes,
}

impl ShareFetched {
    pub(super) fn new(
        partition: TopicPartition,
        topic_id: Uuid,
        node: i32,
        acquired: Vec<AcquiredRecords>,
        records: Bytes,
    ) -> Self {
        let range = |range: AcquiredRecords| Acquired {
            first: range.first_offset,
            last: range.last_offset,
            delivery_count: range.delivery_count,
        };
        let mut acquired: Vec<Acquired> = acquired.into_iter().map(range).collect();
        acquired.sort_by_key(|range| range.first);
        Self {
            partition,
            acquired,
            topic_id,
            node,
            present: Vec::new(),
            records,
        }
    }

    /// Calls `each` for every record, with how often it was delivered. Decompression reuses
    /// `buffer` from batch to batch.
    pub fn for_each<E: From<ClientError>>(
        &self,
        buffer: &mut Vec<u8>,
        mut each: impl FnMut(&StoredHeader<'_>, &RecordView<'_>, i16) -> Result<(), E>,
    ) -> Result<(), E> {
        for batch in stored_batches(&self.records) {
            let batch = batch.map_err(|error| self.damaged(&error))?;
            let header = batch.header();
            if header.is_control() {
                continue;
            }
            let records = batch
                .records_with(buffer, DECOMPRESSED_MAX)
                .map_err(|error| self.damaged(&error))?;
            for record in records.iter() {
                let record = record.map_err(|error| self.damaged(&error))?;
                if let Some(range) = self.range_of(record.offset) {
                    each(&header, &record, range.delivery_count)?;
                }
            }
        }
        Ok(())
    }

    fn range_of(&self, offset: i64) -> Option<&Acquired> {
        let after = self.acquired.partition_point(|range| range.first <= offset);
        let range = self.acquired.get(after.checked_sub(1)?)?;
        (offset <= range.last).then_some(range)
    }

    pub(super) fn check_crcs(&self) -> Result<()> {
        for batch in stored_batches(&self.records) {
            let batch = batch.map_err(|error| self.damaged(&error))?;
            batch.check_crc().map_err(|error| self.damaged(&error))?;
        }
        Ok(())
    }

    /// Tells the acquired offsets with a record for the application from those without, which it
    /// gives.
    pub(super) fn take_gaps(&mut self) -> Result<Vec<(i64, i64)>> {
        let gaps = self.gaps()?;
        self.present = without(&self.acquired, &gaps);
        Ok(gaps)
    }

    fn gaps(&self) -> Result<Vec<(i64, i64)>> {
        let mut present: Vec<(i64, i64)> = Vec::new();
        for batch in stored_batches(&self.records) {
            let batch = batch.map_err(|error| self.damaged(&error))?;
            if batch.header().is_control() {
                continue;
            }
            match full(&batch) {
                Some(range) => present.push(range),
                None => {
                    let records = batch.records().map_err(|error| self.damaged(&error))?;
                    for record in records.iter() {
                        let offset = record.map_err(|error| self.damaged(&error))?.offset;
                        present.push((offset, offset));
                    }
                }
            }
        }
        Ok(without(&self.acquired, &present))
    }

    fn damaged(&self, error: &crate::record::BatchError) -> ClientError {
        ClientError::corrupt(format!(
            "a batch of {} cannot be read: {error}",
            self.partition
        ))
    }
}

/// The offsets of a batch with a record at each, as producers write them.
fn full(batch: &StoredBatch<'_>) -> Option<(i64, i64)> {
    let batch = batch.v2()?;
    let (base, last) = (batch.base_offset(), batch.last_offset());
    (last - base + 1 == i64::from(batch.record_count())).then_some((base, last))
}

/// What is acquired and not present; both are in order.
fn without(acquired: &[Acquired], present: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut gaps = Vec::new();
    for range in acquired {
        let mut next = range.first;
        for (first, last) in present {
            if *last < next {
                continue;
            }
            if *first > range.last {
                break;
            }
            if *first > next {
                gaps.push((next, first - 1));
            }
            next = last.saturating_add(1);
        }
        if next <= range.last {
            gaps.push((next, range.last));
        }
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, BatchMeta};

    fn acquired(first: i64, last: i64) -> Acquired {
        Acquired {
            first,
            last,
            delivery_count: 1,
        }
    }

    #[test]
    fn gaps_are_what_is_acquired_and_not_there() {
        let present = [(0, 3), (6, 6), (9, 12)];
        for (range, want) in [
            (acquired(0, 3), vec![]),
            (acquired(2, 7), vec![(4, 5), (7, 7)]),
            (acquired(4, 5), vec![(4, 5)]),
            (acquired(11, 14), vec![(13, 14)]),
        ] {
            assert_eq!(without(&[range], &present), want, "{range:?}");
        }
    }

    #[test]
    fn only_acquired_records_are_shown() {
        let mut builder = BatchBuilder::new();
        for value in ["a", "b", "c"] {
            builder
                .append(0, None, Some(value.as_bytes()), &[])
                .unwrap();
        }
        let meta = BatchMeta {
            base_offset: 10,
            ..Default::default()
        };
        let records = builder.finish(&meta).unwrap();
        let range = AcquiredRecords {
            first_offset: 11,
            last_offset: 13,
            delivery_count: 2,
        };
        let partition = TopicPartition::new("t", 0);
        let fetched = ShareFetched::new(partition, Uuid::ZERO, 1, vec![range], records);
        let mut seen = Vec::new();
        fetched
            .for_each(&mut Vec::new(), |_, record, delivery| {
                seen.push((record.offset, delivery));
                Ok::<_, ClientError>(())
            })
            .unwrap();
        assert_eq!(seen, [(11, 2), (12, 2)]);
        assert_eq!(fetched.gaps().unwrap(), [(13, 13)]);
        fetched.check_crcs().unwrap();
    }
}
