//! Encoded batches on their way: sent, sent again, split, and what became of them.
use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::accumulator::OpenBatch;
use super::record::DeliverySender;
use crate::client::errors::{ClientError, Result};
use crate::record::{BatchBuilder, BatchMeta, BatchView, HEADER_LEN, NO_PRODUCER_EPOCH};
use crate::record::{NO_PRODUCER_ID, NO_SEQUENCE};

/// A producer id with its epoch, as the broker gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerId {
    pub id: i64,
    pub epoch: i16,
}

impl ProducerId {
    pub const NONE: Self = Self {
        id: NO_PRODUCER_ID,
        epoch: NO_PRODUCER_EPOCH,
    };

    /// The same producer, one epoch on; `None` when a new id is needed.
    pub fn next_epoch(self) -> Option<Self> {
        // Java keeps the last epoch for fencing, and so asks for a new id one before.
        (self.epoch < i16::MAX - 1).then(|| Self {
            epoch: self.epoch + 1,
            ..self
        })
    }
}

pub struct SealedBatch {
    /// Grows with the order of batches. The parts of a split batch share it.
    pub id: u64,
    /// The index that the first record had in the whole batch: not 0 after a split.
    pub first_record: usize,
    pub bytes: Bytes,
    pub count: usize,
    /// −1 without idempotence.
    pub base_sequence: i32,
    pub created: Instant,
    pub attempts: u32,
    /// Not before this.
    pub retry_at: Option<Instant>,
    pub tokens: Vec<u64>,
    pub delivery: Option<DeliverySender>,
    /// Memory to give back.
    pub reserved: usize,
}

/// A batch, the size of its records before compression, and a buffer to use again.
type Sealed = (SealedBatch, usize, Option<BytesMut>);

impl SealedBatch {
    /// Encodes a batch; returns it with the size of its records before compression.
    pub fn seal(batch: OpenBatch, meta: &BatchMeta) -> Result<Sealed, (Box<Self>, ClientError)> {
        let OpenBatch {
            id,
            builder,
            created,
            tokens,
            delivery,
            reserved,
        } = batch;
        let (count, plain_bytes) = (builder.record_count(), builder.size());
        match builder.finish_and_recycle(meta) {
            Ok((bytes, spare)) => {
                let sealed = Self {
                    bytes,
                    base_sequence: meta.base_sequence,
                    tokens,
                    delivery,
                    reserved,
                    ..Self::without_bytes(id, count, created)
                };
                Ok((sealed, plain_bytes, spare))
            }
            Err(error) => {
                let rest = Self {
                    tokens,
                    delivery,
                    reserved,
                    ..Self::without_bytes(id, count, created)
                };
                Err((
                    Box::new(rest),
                    ClientError::corrupt(format!("cannot encode a batch: {error}")),
                ))
            }
        }
    }

    /// A batch that ends without having been encoded.
    pub fn unsent(batch: OpenBatch) -> Self {
        let count = batch.builder.record_count();
        Self {
            tokens: batch.tokens,
            delivery: batch.delivery,
            reserved: batch.reserved,
            ..Self::without_bytes(batch.id, count, batch.created)
        }
    }

    fn without_bytes(id: u64, count: usize, created: Instant) -> Self {
        Self {
            id,
            first_record: 0,
            bytes: Bytes::new(),
            count,
            base_sequence: NO_SEQUENCE,
            created,
            attempts: 0,
            retry_at: None,
            tokens: Vec::new(),
            delivery: None,
            reserved: 0,
        }
    }

    /// Puts another producer id and sequence into the encoded batch.
    pub fn restamp(&mut self, producer: ProducerId, base_sequence: i32) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut bytes = bytes
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        if let Some(header) = bytes.first_chunk_mut::<HEADER_LEN>() {
            header[43..51].copy_from_slice(&producer.id.to_be_bytes());
            header[51..53].copy_from_slice(&producer.epoch.to_be_bytes());
            header[53..57].copy_from_slice(&base_sequence.to_be_bytes());
        }
        let crc = crc32c::crc32c(bytes.get(21..).unwrap_or_default());
        if let Some(field) = bytes.get_mut(17..21) {
            field.copy_from_slice(&crc.to_be_bytes());
        }
        self.bytes = bytes.freeze();
        self.base_sequence = base_sequence;
    }

    /// Where the batch belongs among those of its partition.
    pub fn order(&self) -> (u64, usize) {
        (self.id, self.first_record)
    }

    /// The sequence that follows this batch; it wraps to 0 after the greatest.
    pub fn next_sequence(&self) -> i32 {
        advance(self.base_sequence, self.count)
    }

    /// Divides a batch that the broker found too large into two, in order. Their sequences are
    /// those that the records had; the first keeps the memory. `None` if there is nothing to
    /// divide.
    pub fn split(&self, meta: &BatchMeta) -> Option<(SealedBatch, SealedBatch)> {
        let view = BatchView::first(&self.bytes).ok().flatten()?;
        let records = view.records().ok()?;
        let half = self.count / 2;
        let mut parts = [BatchBuilder::new(), BatchBuilder::new()];
        for (at, record) in records.iter().enumerate() {
            let record = record.ok()?;
            let headers: Vec<_> = record
                .headers()
                .map(|header| (header.key, header.value))
                .collect();
            let part = parts.get_mut(usize::from(at >= half))?;
            part.append(record.timestamp, record.key, record.value, &headers)
                .ok()?;
        }
        let (head, tail) = self.tokens.split_at(half.min(self.tokens.len()));
        let part = |builder: BatchBuilder, from: usize, tokens: &[u64], reserved| {
            let base_sequence = match self.base_sequence {
                NO_SEQUENCE => NO_SEQUENCE,
                base => advance(base, from),
            };
            let count = builder.record_count();
            Some(SealedBatch {
                id: self.id,
                first_record: self.first_record + from,
                bytes: builder
                    .finish(&BatchMeta {
                        base_sequence,
                        ..*meta
                    })
                    .ok()?,
                count,
                base_sequence,
                created: self.created,
                attempts: 0,
                retry_at: None,
                tokens: tokens.to_vec(),
                delivery: self.delivery.clone(),
                reserved,
            })
        };
        let [first, second] = parts;
        if first.is_empty() || second.is_empty() {
            return None;
        }
        Some((
            part(first, 0, head, self.reserved)?,
            part(second, half, tail, 0)?,
        ))
    }
}

/// A sequence moved on by `count`, as Java's `incrementSequence`.
pub fn advance(sequence: i32, count: usize) -> i32 {
    let next = (i64::from(sequence) + count as i64) % (i64::from(i32::MAX) + 1);
    i32::try_from(next).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(values: &[&str]) -> SealedBatch {
        let mut builder = BatchBuilder::new();
        for value in values {
            builder
                .append(5, None, Some(value.as_bytes()), &[])
                .unwrap();
        }
        let batch = OpenBatch {
            id: 1,
            builder,
            created: Instant::now(),
            tokens: (0..values.len() as u64).collect(),
            delivery: None,
            reserved: 100,
        };
        SealedBatch::seal(batch, &BatchMeta::default())
            .ok()
            .unwrap()
            .0
    }

    fn values(batch: &SealedBatch) -> Vec<String> {
        let view = BatchView::first(&batch.bytes).unwrap().unwrap();
        assert!(view.crc_is_valid());
        let records = view.records().unwrap();
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        records
            .iter()
            .map(|record| text(record.unwrap().value.unwrap()))
            .collect()
    }

    #[test]
    fn sequences_wrap_after_the_greatest() {
        assert_eq!(advance(0, 5), 5);
        assert_eq!(advance(i32::MAX - 1, 1), i32::MAX);
        assert_eq!(advance(i32::MAX, 1), 0);
        assert_eq!(advance(i32::MAX - 1, 4), 2);
    }

    #[test]
    fn restamping_keeps_the_records_and_the_crc_valid() {
        let mut batch = sealed(&["a", "b"]);
        let held = batch.bytes.clone();
        batch.restamp(ProducerId { id: 77, epoch: 3 }, 9);
        let view = BatchView::first(&batch.bytes).unwrap().unwrap();
        assert_eq!(
            (
                view.producer_id(),
                view.producer_epoch(),
                view.base_sequence()
            ),
            (77, 3, 9)
        );
        assert_eq!(values(&batch), ["a", "b"]);
        assert_eq!(batch.next_sequence(), 11);
        assert_eq!(
            BatchView::first(&held).unwrap().unwrap().producer_id(),
            NO_PRODUCER_ID
        );
    }

    #[test]
    fn a_split_keeps_order_and_tokens() {
        let (first, second) = sealed(&["a", "b", "c"])
            .split(&BatchMeta::default())
            .unwrap();
        assert_eq!(
            (values(&first), values(&second)),
            (vec!["a".into()], vec!["b".into(), "c".into()])
        );
        assert_eq!((first.tokens, second.tokens), (vec![0], vec![1, 2]));
        assert_eq!((first.first_record, second.first_record), (0, 1));
        assert_eq!(
            (first.id, second.id, first.reserved, second.reserved),
            (1, 1, 100, 0)
        );
    }
}
