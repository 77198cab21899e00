//! The records of one partition out of one fetch response, cut into pieces for polls: control
//! batches and, when reading committed, aborted ones are left out.
use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use super::fetched::Fetched;
use crate::client::TopicPartition;
use crate::client::errors::{ClientError, Result};
use crate::record::{
    BatchHeader, BatchView, NO_PRODUCER_ID, RecordView, StoredBatch, stored_batches,
};

pub struct Completed {
    pub partition: TopicPartition,
    /// The seek count of the partition when the fetch was sent: older data is dropped.
    pub seeks: u64,
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    pub log_start_offset: i64,
    records: Bytes,
    next_offset: i64,
    leader_epoch: i32,
    check_crcs: bool,
    /// When reading committed: aborted transactions not reached yet, by first offset, …
    aborted: VecDeque<(i64, i64)>,
    /// … and the producers whose aborted transaction is under way.
    aborting: BTreeSet<i64>,
    read_committed: bool,
}

/// The facts of a response beside the records.
pub struct CompletedFacts {
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    pub log_start_offset: i64,
    /// Producer id and first offset.
    pub aborted: Vec<(i64, i64)>,
}

impl Completed {
    pub fn new(
        partition: TopicPartition,
        seeks: u64,
        from: i64,
        records: Bytes,
        facts: CompletedFacts,
        (check_crcs, read_committed): (bool, bool),
    ) -> Self {
        let mut aborted: Vec<_> = facts
            .aborted
            .iter()
            .map(|(id, first)| (*first, *id))
            .collect();
        aborted.sort_unstable();
        Self {
            partition,
            seeks,
            high_watermark: facts.high_watermark,
            last_stable_offset: facts.last_stable_offset,
            log_start_offset: facts.log_start_offset,
            records,
            next_offset: from,
            leader_epoch: -1,
            check_crcs,
            aborted: aborted.into(),
            aborting: BTreeSet::new(),
            read_committed,
        }
    }

    pub fn bytes(&self) -> usize {
        self.records.len()
    }

    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// The offset after the last whole batch: where the next fetch begins.
    pub fn end_offset(&self) -> Result<i64> {
        let mut end = self.next_offset;
        for batch in stored_batches(&self.records) {
            let batch = batch.map_err(|error| self.damaged(&error))?;
            end = batch.header().next_offset();
        }
        Ok(end)
    }

    /// The next piece of at most about `records_max` records (it ends with a batch), or `None` at
    /// the end. The position moves even where everything was left out, hence the second `None`:
    /// look at [`Completed::next_offset`] then.
    pub fn next(&mut self, records_max: usize) -> Result<Option<Fetched>> {
        let from = self.next_offset;
        let mut count = 0;
        let (mut start, mut end) = (0, 0);
        while count < records_max {
            let rest = self.records.get(end..).unwrap_or_default();
            let batch = match StoredBatch::first(rest) {
                Ok(Some(batch)) => batch,
                Ok(None) => break,
                Err(error) => return Err(self.damaged(&error)),
            };
            let header = batch.header();
            let (size, last_offset, epoch) =
                (header.size(), header.last_offset(), header.leader_epoch());
            if self.check_crcs && batch.check_crc().is_err() {
                return Err(self.damaged(&"its CRC does not match"));
            }
            let records = self.count(&batch)?;
            let control = header.is_control();
            let producer = header.v2().map_or(NO_PRODUCER_ID, BatchHeader::producer_id);
            let marker = batch.v2().filter(|_| control && self.read_committed);
            let aborts = marker.is_some_and(is_abort_marker);
            let transactional = header.v2().is_some_and(BatchHeader::is_transactional);
            if count > 0 && !self.would_show(producer, transactional, control, last_offset) {
                // What was found so far is a piece of its own; this batch is looked at next.
                break;
            }
            if self.is_visible(producer, transactional, control, aborts, last_offset) {
                count += records.max(1);
            } else {
                start = end + size;
            }
            end += size;
            (self.next_offset, self.leader_epoch) = (last_offset + 1, epoch);
        }
        let piece = self.records.slice(start.min(end)..end);
        self.records = self.records.slice(end..);
        if piece.is_empty() {
            return Ok(None);
        }
        Ok(Some(Fetched {
            partition: self.partition.clone(),
            next_offset: self.next_offset,
            leader_epoch: self.leader_epoch,
            high_watermark: self.high_watermark,
            last_stable_offset: self.last_stable_offset,
            log_start_offset: self.log_start_offset,
            records: piece,
            from,
            count,
        }))
    }

    /// How many records a batch claims to hold. Message sets do not say: theirs are counted.
    fn count(&self, batch: &StoredBatch<'_>) -> Result<usize> {
        match batch {
            StoredBatch::V2(batch) => Ok(usize::try_from(batch.record_count()).unwrap_or_default()),
            StoredBatch::Legacy(set) => match set.records() {
                Ok(records) => Ok(records.iter().count()),
                Err(error) => Err(self.damaged(&error)),
            },
        }
    }

    /// Whether the application sees the batch, without following transactions yet.
    fn would_show(&self, producer: i64, transactional: bool, control: bool, last: i64) -> bool {
        let begins = |(first, id): &(i64, i64)| *first <= last && *id == producer;
        let aborted = self.aborting.contains(&producer) || self.aborted.iter().any(begins);
        !(control || self.read_committed && transactional && aborted)
    }

    /// Follows transactions and says whether the application sees the batch.
    fn is_visible(
        &mut self,
        producer: i64,
        transactional: bool,
        control: bool,
        aborts: bool,
        last_offset: i64,
    ) -> bool {
        if control {
            if aborts {
                self.aborting.remove(&producer);
            }
            return false;
        }
        if !self.read_committed || !transactional {
            return true;
        }
        while self
            .aborted
            .front()
            .is_some_and(|(first, _)| *first <= last_offset)
        {
            self.aborting
                .extend(self.aborted.pop_front().map(|(_, id)| id));
        }
        !self.aborting.contains(&producer)
    }

    fn damaged(&self, why: &dyn std::fmt::Display) -> ClientError {
        ClientError::corrupt(format!(
            "Record batch for partition {} at offset {} is invalid, cause: {why}; seek past it to \
             go on",
            self.partition, self.next_offset
        ))
    }
}

/// The key of a control record is its version and type: 0 aborts, 1 commits.
fn is_abort_marker(batch: &BatchView<'_>) -> bool {
    let Ok(records) = batch.records() else {
        return false;
    };
    let first = records.iter().next();
    let key = |record: RecordView<'_>| record.key.map(<[u8]>::to_vec);
    matches!(first, Some(Ok(record)) if key(record).as_deref().and_then(|key| key.get(2..4)) == Some(&[0, 0]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::legacy::build::{Message, MessageFormat};
    use crate::record::{BatchBuilder, BatchMeta, Compression, StoredHeader, TimestampType};

    fn batch(base_offset: i64, values: &[&str], meta: BatchMeta) -> Bytes {
        let mut builder = BatchBuilder::new();
        for value in values {
            builder
                .append(0, None, Some(value.as_bytes()), &[])
                .unwrap();
        }
        builder
            .finish(&BatchMeta {
                base_offset,
                leader_epoch: 3,
                ..meta
            })
            .unwrap()
    }

    fn marker(base_offset: i64, producer_id: i64, kind: u8) -> Bytes {
        let mut builder = BatchBuilder::new();
        builder
            .append(0, Some(&[0, 0, 0, kind]), Some(&[0; 6]), &[])
            .unwrap();
        let meta = BatchMeta {
            control: true,
            transactional: true,
            producer_id,
            ..Default::default()
        };
        builder
            .finish(&BatchMeta {
                base_offset,
                ..meta
            })
            .unwrap()
    }

    fn completed(
        from: i64,
        batches: &[Bytes],
        aborted: &[(i64, i64)],
        committed: bool,
    ) -> Completed {
        let facts = CompletedFacts {
            high_watermark: 100,
            last_stable_offset: 100,
            log_start_offset: 0,
            aborted: aborted.to_vec(),
        };
        let records = batches.concat().into();
        Completed::new(
            TopicPartition::new("t", 0),
            0,
            from,
            records,
            facts,
            (true, committed),
        )
    }

    /// Every piece as (values, next offset), then the final position.
    fn pieces(mut completed: Completed, records_max: usize) -> (Vec<(Vec<String>, i64)>, i64) {
        let mut pieces = Vec::new();
        while completed.bytes() > 0 {
            let before = completed.bytes();
            if let Some(fetched) = completed.next(records_max).unwrap() {
                let mut values = Vec::new();
                let each = |_: &StoredHeader<'_>, record: &RecordView<'_>| {
                    values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
                    Ok::<_, ClientError>(())
                };
                fetched.for_each(&mut Vec::new(), each).unwrap();
                pieces.push((values, fetched.next_offset));
            }
            if completed.bytes() == before {
                break;
            }
        }
        (pieces, completed.next_offset())
    }

    fn owned(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn pieces_end_with_batches_and_start_at_the_position() {
        let plain = BatchMeta::default;
        let batches = [
            batch(0, &["a", "b", "c"], plain()),
            batch(3, &["d"], plain()),
            batch(9, &["e"], plain()),
        ];
        let (seen, end) = pieces(completed(1, &batches, &[], false), 4);
        let expected = [(owned(&["b", "c", "d"]), 4), (owned(&["e"]), 10)];
        assert_eq!((seen.as_slice(), end), (expected.as_slice(), 10));
        assert_eq!(completed(1, &batches, &[], false).end_offset().unwrap(), 10);
    }

    #[test]
    fn message_sets_of_old_are_read_as_batches_are() {
        let set = |magic, compression, offsets: std::ops::Range<i64>| {
            let format = MessageFormat {
                magic,
                compression,
                timestamp_type: TimestampType::Create,
                append_time: -1,
            };
            let message = |offset| Message {
                offset,
                timestamp: 5,
                key: None,
                value: Some(b"old"),
            };
            let mut bytes = Vec::new();
            format.write(offsets.map(message), &mut bytes).unwrap();
            Bytes::from(bytes)
        };
        let batches = [
            set(0, Compression::None, 0..1),
            set(0, Compression::Gzip, 1..4),
            set(1, Compression::Snappy, 4..6),
            batch(6, &["new"], BatchMeta::default()),
        ];
        let (seen, end) = pieces(completed(2, &batches, &[], true), 4);
        let expected = [
            (owned(&["old", "old"]), 4),
            (owned(&["old", "old", "new"]), 7),
        ];
        assert_eq!((seen.as_slice(), end), (expected.as_slice(), 7));
        assert_eq!(completed(2, &batches, &[], true).end_offset().unwrap(), 7);
        let mut damaged = batches[1].to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(completed(1, &[damaged.into()], &[], true).next(9).is_err());
    }

    #[test]
    fn a_cut_off_batch_at_the_end_waits_for_the_next_fetch() {
        let whole = batch(0, &["a"], BatchMeta::default());
        let cut = batch(1, &["b"], BatchMeta::default());
        let (seen, end) = pieces(completed(0, &[whole, cut.slice(..40)], &[], false), 10);
        assert_eq!((seen, end), (vec![(owned(&["a"]), 1)], 1));
    }

    #[test]
    fn control_batches_are_never_seen_and_aborted_ones_not_when_reading_committed() {
        let of = |producer_id| BatchMeta {
            transactional: true,
            producer_id,
            ..Default::default()
        };
        let batches = [
            batch(0, &["plain"], BatchMeta::default()),
            batch(1, &["aborted"], of(7)),
            batch(2, &["committed"], of(8)),
            marker(3, 7, 0),
            batch(4, &["again"], of(7)),
            marker(5, 8, 1),
            marker(6, 7, 1),
        ];
        let all = |committed| {
            let (seen, end) = pieces(completed(0, &batches, &[(7, 1)], committed), 100);
            (
                seen.into_iter()
                    .flat_map(|(values, _)| values)
                    .collect::<Vec<_>>(),
                end,
            )
        };
        assert_eq!(all(true), (owned(&["plain", "committed", "again"]), 7));
        assert_eq!(
            all(false),
            (owned(&["plain", "aborted", "committed", "again"]), 7)
        );
    }

    #[test]
    fn a_wrong_crc_is_an_error_and_the_position_stays() {
        let mut damaged = batch(5, &["a"], BatchMeta::default()).to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        let mut completed = completed(5, &[damaged.into()], &[], false);
        let text = completed.next(10).unwrap_err().to_string();
        assert!(
            text.starts_with("Record batch for partition t-0 at offset 5 is invalid"),
            "{text}"
        );
        assert_eq!(completed.next_offset(), 5);
    }
}
