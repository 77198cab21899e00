//! What a poll returns: batches of one partition, read where they arrived.
use std::sync::Arc;

use bytes::Bytes;

use crate::client::TopicPartition;
use crate::client::errors::{ClientError, Result};
use crate::record::{
    DECOMPRESSED_MAX, RecordView, StoredBatch, StoredBatches, StoredHeader, StoredRecordIter,
    StoredRecords, stored_batches,
};

/// Batches of one partition, in order. Nothing is decoded before it is asked for.
///
/// ```no_run
/// # fn show(fetched: &kafkars::client::consumer::Fetched) -> kafkars::client::Result<()> {
/// for batch in fetched.batches() {
///     let batch = batch?;
///     let records = batch.records()?;
///     for record in records.iter() {
///         println!("{:?}", record?.value);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Fetched {
    pub partition: TopicPartition,
    /// The offset after the last record here, those that were skipped included: the position that
    /// committing this poll means.
    pub next_offset: i64,
    /// The leader epoch of the last batch.
    pub leader_epoch: i32,
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    pub log_start_offset: i64,
    pub(super) records: Bytes,
    /// Records before it were not asked for: a fetch returns whole batches.
    pub(super) from: i64,
    pub(super) count: usize,
}

impl Fetched {
    pub fn topic(&self) -> &Arc<str> {
        &self.partition.topic
    }

    /// How many records the batches claim to hold, those before the position included.
    pub fn count_bound(&self) -> usize {
        self.count
    }

    /// Bytes as they came over the wire.
    pub fn bytes(&self) -> usize {
        self.records.len()
    }

    pub fn batches(&self) -> FetchedBatches<'_> {
        FetchedBatches {
            fetched: self,
            batches: stored_batches(&self.records),
        }
    }

    /// Calls `each` for every record. Decompression reuses `buffer` from batch to batch.
    pub fn for_each<E: From<ClientError>>(
        &self,
        buffer: &mut Vec<u8>,
        mut each: impl FnMut(&StoredHeader<'_>, &RecordView<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for batch in stored_batches(&self.records) {
            let batch = batch.map_err(|error| self.damaged(&error))?;
            let header = batch.header();
            let records = batch
                .records_with(buffer, DECOMPRESSED_MAX)
                .map_err(|error| self.damaged(&error))?;
            for record in records.iter() {
                let record = record.map_err(|error| self.damaged(&error))?;
                if record.offset >= self.from {
                    each(&header, &record)?;
                }
            }
        }
        Ok(())
    }

    fn damaged(&self, error: &crate::record::BatchError) -> ClientError {
        ClientError::corrupt(format!(
            "a batch of {} cannot be read: {error}",
            self.partition
        ))
    }
}

pub struct FetchedBatches<'a> {
    fetched: &'a Fetched,
    batches: StoredBatches<'a>,
}

impl<'a> Iterator for FetchedBatches<'a> {
    type Item = Result<FetchedBatch<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let fetched = self.fetched;
        let next = self.batches.next()?;
        Some(match next {
            Ok(view) => Ok(FetchedBatch { fetched, view }),
            Err(error) => Err(fetched.damaged(&error)),
        })
    }
}

/// One batch, of whichever message format it is stored in.
pub struct FetchedBatch<'a> {
    fetched: &'a Fetched,
    pub view: StoredBatch<'a>,
}

impl<'a> FetchedBatch<'a> {
    /// The records, decompressed where needed.
    pub fn records(&self) -> Result<BatchRecords<'a>> {
        let fetched = self.fetched;
        match self.view.records() {
            Ok(records) => Ok(BatchRecords { fetched, records }),
            Err(error) => Err(fetched.damaged(&error)),
        }
    }
}

/// The records of a batch, from the position on.
pub struct BatchRecords<'a> {
    fetched: &'a Fetched,
    records: StoredRecords<'a>,
}

impl BatchRecords<'_> {
    pub fn iter(&self) -> BatchRecordIter<'_> {
        BatchRecordIter {
            fetched: self.fetched,
            records: self.records.iter(),
        }
    }
}

pub struct BatchRecordIter<'a> {
    fetched: &'a Fetched,
    records: StoredRecordIter<'a>,
}

impl<'a> Iterator for BatchRecordIter<'a> {
    type Item = Result<RecordView<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.records.next()? {
                Ok(record) if record.offset < self.fetched.from => {}
                Ok(record) => return Some(Ok(record)),
                Err(error) => return Some(Err(self.fetched.damaged(&error))),
            }
        }
    }
}
