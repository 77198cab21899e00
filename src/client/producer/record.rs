//! What goes into a producer, and what comes back.
use std::sync::Arc;

use tokio::sync::watch;

use crate::client::errors::{ClientError, Result};

/// A record to append; it borrows, for its bytes are copied straight into the batch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Record<'a> {
    /// `None` lets the partitioner choose.
    pub partition: Option<i32>,
    /// Milliseconds since 1970; `None` takes the present, which costs a look at the clock.
    pub timestamp: Option<i64>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// Names and values, in order.
    pub headers: &'a [(&'a [u8], Option<&'a [u8]>)],
    /// Handed back in [`BatchOutcome::tokens`], to know which records a batch held.
    pub token: Option<u64>,
}

impl<'a> Record<'a> {
    /// A record with a value alone.
    pub fn value(value: &'a [u8]) -> Self {
        Self {
            value: Some(value),
            ..Self::default()
        }
    }

    pub fn with_key(mut self, key: &'a [u8]) -> Self {
        self.key = Some(key);
        self
    }

    /// No less than the bytes that the record takes in a batch.
    pub(super) fn size_bound(&self) -> usize {
        // Length, attributes, two deltas, key and value lengths, header count.
        const FIELDS: usize = 5 + 1 + 10 + 5 + 5 + 5 + 5;
        let header =
            |(key, value): &(&[u8], Option<&[u8]>)| 10 + key.len() + value.map_or(0, <[u8]>::len);
        FIELDS
            + self.key.map_or(0, <[u8]>::len)
            + self.value.map_or(0, <[u8]>::len)
            + self.headers.iter().map(header).sum::<usize>()
    }
}

/// Where a record went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordMetadata {
    pub topic: Arc<str>,
    pub partition: i32,
    /// −1 with `acks=0`, or when the broker had the batch already and does not say where.
    pub offset: i64,
    /// Set by the broker; `None` where the topic keeps the producer's timestamps.
    pub log_append_time: Option<i64>,
}

/// The end of one batch: every record that was appended is in exactly one outcome.
#[derive(Debug, Clone)]
pub struct BatchOutcome {
    pub topic: Arc<str>,
    pub partition: i32,
    /// Records in the batch.
    pub count: usize,
    /// The index of the first record in the batch as it was appended: not 0 for the later parts of
    /// a batch that was too large for the broker and was split.
    pub first_record: usize,
    /// Bytes of the batch on the wire; 0 if it was never encoded.
    pub bytes: usize,
    /// The offset of the first record; −1 if unknown, or if the batch failed.
    pub base_offset: i64,
    pub log_append_time: Option<i64>,
    /// The tokens of its records, in order, if the first of them had one.
    pub tokens: Vec<u64>,
    pub result: Result<()>,
    /// With [`ErrorCode::InvalidRecord`](crate::protocol::ErrorCode::InvalidRecord): which
    /// records, counted from 0, and why.
    pub record_errors: Vec<(usize, String)>,
}

impl BatchOutcome {
    /// What became of the record with this index, counted from the first of this outcome.
    pub fn record(&self, index: usize) -> Result<RecordMetadata> {
        if let Err(error) = &self.result {
            let own = self
                .record_errors
                .iter()
                .find(|(failed, _)| *failed == index);
            return Err(match (own, error) {
                (Some((_, text)), ClientError::Broker { code, .. }) => {
                    ClientError::broker(*code, Some(text))
                }
                (None, ClientError::Broker { code, .. }) if !self.record_errors.is_empty() => {
                    ClientError::broker(
                        *code,
                        Some(
                            "Failed to append record because it was part of a batch which had \
                             one more more invalid records",
                        ),
                    )
                }
                _ => error.clone(),
            });
        }
        Ok(RecordMetadata {
            topic: self.topic.clone(),
            partition: self.partition,
            offset: if self.base_offset < 0 {
                -1
            } else {
                self.base_offset + index as i64
            },
            log_append_time: self.log_append_time,
        })
    }
}

/// Called with every outcome, in the producer's task: it must be short. Outcomes of a partition
/// come in the order of its records.
pub type OutcomeHandler = Arc<dyn Fn(&BatchOutcome) + Send + Sync>;

/// The outcomes of a batch's parts: one, or several after a split.
pub(super) type Outcomes = Vec<Arc<BatchOutcome>>;
pub(super) type DeliverySender = Arc<watch::Sender<Outcomes>>;

/// The future fate of one record.
#[derive(Debug)]
pub struct Delivery {
    pub(super) outcomes: watch::Receiver<Outcomes>,
    /// The place of the record in the batch as it was appended.
    pub(super) index: usize,
}

impl Delivery {
    /// Waits until the record is acknowledged or has failed, at most `delivery.timeout.ms`.
    pub async fn wait(mut self) -> Result<RecordMetadata> {
        let index = self.index;
        let own = |outcome: &&Arc<BatchOutcome>| {
            (outcome.first_record..outcome.first_record + outcome.count).contains(&index)
        };
        let arrived = self
            .outcomes
            .wait_for(|outcomes| outcomes.iter().any(|o| own(&o)))
            .await;
        match arrived.as_ref().map(|outcomes| outcomes.iter().find(own)) {
            Ok(Some(outcome)) => outcome.record(index - outcome.first_record),
            _ => Err(ClientError::Closed),
        }
    }
}

/// Why a record was not taken at once.
#[derive(Debug, Clone)]
pub enum TryAppendError {
    /// `buffer.memory` is in use: [`Producer::append`](super::Producer::append) would wait.
    Full { bytes: usize },
    /// The topic has no such partition, as far as is known.
    UnknownPartition(i32),
    /// The record can never be sent.
    Failed(ClientError),
}
