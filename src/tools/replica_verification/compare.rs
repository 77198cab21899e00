//! Whether the replicas of a partition hold the same batches, of what was fetched of each.
use bytes::Bytes;

use crate::record::{BatchError, StoredHeader, stored_batches};

/// What one replica gave from the offset on that all were asked for.
#[derive(Debug, Clone, Default)]
pub struct Fetched {
    pub replica: i32,
    pub high_watermark: i64,
    pub records: Bytes,
}

/// Where replicas differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Nothing behind it can be compared.
    Offset {
        first: (i32, i64),
        other: (i32, i64),
    },
    Checksum {
        offset: i64,
        first: (i32, u32),
        other: (i32, u32),
    },
}

/// How far all replicas hold a partition, and where they differ.
#[derive(Debug, PartialEq, Eq)]
pub struct Compared {
    pub next_offset: i64,
    pub differences: Vec<Difference>,
}

/// The replica that damaged bytes came from.
#[derive(Debug, thiserror::Error)]
#[error("replica {replica}: {source}")]
pub struct Damaged {
    pub replica: i32,
    source: BatchError,
}

/// Goes through the batches of all replicas side by side, up to the first that one of them does not
/// have, or that is not below its high watermark.
pub fn compare(offset: i64, replicas: &[Fetched]) -> Result<Compared, Damaged> {
    let mut compared = Compared {
        next_offset: offset,
        differences: Vec::new(),
    };
    let mut iterators: Vec<_> = replicas
        .iter()
        .map(|fetched| (fetched, stored_batches(&fetched.records)))
        .collect();
    while !iterators.is_empty() {
        let mut first: Option<(i32, StoredHeader<'_>)> = None;
        for (fetched, batches) in &mut iterators {
            let replica = fetched.replica;
            let batch = batches.next().transpose();
            let Some(batch) = batch.map_err(|source| Damaged { replica, source })? else {
                return Ok(compared);
            };
            let header = batch.header();
            if header.last_offset() >= fetched.high_watermark {
                return Ok(compared);
            }
            let Some((first_replica, first)) = &first else {
                first = Some((replica, header));
                continue;
            };
            if first.last_offset() != header.last_offset() {
                compared.differences.push(Difference::Offset {
                    first: (*first_replica, first.last_offset()),
                    other: (replica, header.last_offset()),
                });
                return Ok(compared);
            }
            if first.crc() != header.crc() {
                compared.differences.push(Difference::Checksum {
                    offset: header.last_offset(),
                    first: (*first_replica, first.crc()),
                    other: (replica, header.crc()),
                });
            }
        }
        if let Some((_, header)) = first {
            compared.next_offset = header.next_offset();
        }
    }
    Ok(compared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, BatchMeta};

    fn batch(base_offset: i64, values: &[&str]) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        for value in values {
            builder
                .append(7, None, Some(value.as_bytes()), &[])
                .unwrap();
        }
        let meta = BatchMeta {
            base_offset,
            ..BatchMeta::default()
        };
        builder.finish(&meta).unwrap().to_vec()
    }

    fn fetched(replica: i32, high_watermark: i64, batches: &[Vec<u8>]) -> Fetched {
        Fetched {
            replica,
            high_watermark,
            records: batches.concat().into(),
        }
    }

    #[test]
    fn what_all_have_below_their_high_watermark_is_compared() {
        let batches = [batch(5, &["a", "b"]), batch(7, &["c"]), batch(8, &["d"])];
        let next = |replicas: &[Fetched]| compare(5, replicas).unwrap();
        let same = |next_offset| Compared {
            next_offset,
            differences: Vec::new(),
        };
        let whole = fetched(1, 9, &batches);
        assert_eq!(next(&[whole.clone(), fetched(2, 9, &batches)]), same(9));
        assert_eq!(next(&[whole.clone(), fetched(2, 8, &batches)]), same(8));
        assert_eq!(
            next(&[whole.clone(), fetched(2, 9, &batches[..1])]),
            same(7)
        );
        assert_eq!(next(&[whole, fetched(2, 9, &[])]), same(5));
        assert_eq!(next(&[]), same(5));
    }

    #[test]
    fn other_bytes_and_other_offsets_are_told() {
        let ours = fetched(1, 9, &[batch(5, &["a"]), batch(6, &["b"])]);
        let theirs = fetched(2, 9, &[batch(5, &["x"]), batch(6, &["b", "c"])]);
        let compared = compare(5, &[ours, theirs]).unwrap();
        assert_eq!(compared.next_offset, 6);
        assert!(matches!(
            compared.differences[..],
            [
                Difference::Checksum { offset: 5, .. },
                Difference::Offset {
                    first: (1, 6),
                    other: (2, 7)
                },
            ]
        ));
    }

    #[test]
    fn damage_names_its_replica() {
        let mut bytes = batch(5, &["a"]);
        bytes[16] = 9;
        let error = compare(5, &[fetched(3, 9, &[bytes])]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "replica 3: Invalid magic found in record: 9"
        );
    }
}
