//! Batches built here come back as they were, whatever the codec.
use proptest::prelude::*;

use super::*;

type OwnedHeader = (Vec<u8>, Option<Vec<u8>>);

#[derive(Debug, Clone, PartialEq)]
struct OwnedRecord {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<OwnedHeader>,
}

impl From<RecordView<'_>> for OwnedRecord {
    fn from(record: RecordView<'_>) -> Self {
        Self {
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers()
                .map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }
}

fn build(records: &[OwnedRecord], meta: &BatchMeta) -> bytes::Bytes {
    let mut builder = BatchBuilder::new();
    for record in records {
        let headers: Vec<_> = record
            .headers
            .iter()
            .map(|(k, v)| (k.as_slice(), v.as_deref()))
            .collect();
        builder
            .append(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &headers,
            )
            .unwrap();
    }
    builder.finish(meta).unwrap()
}

fn some_bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..max),
        (any::<u8>(), 0..max * 4).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn some_record() -> impl Strategy<Value = OwnedRecord> {
    let header = (some_bytes(20), prop::option::of(some_bytes(20)));
    (
        prop_oneof![any::<i64>(), 1_700_000_000_000..1_700_000_100_000i64],
        prop::option::of(some_bytes(40)),
        prop::option::of(some_bytes(3000)),
        prop::collection::vec(header, 0..4),
    )
        .prop_map(|(timestamp, key, value, headers)| OwnedRecord {
            timestamp,
            key,
            value,
            headers,
        })
}

fn some_compression() -> impl Strategy<Value = Compression> {
    prop::sample::select(Compression::ALL.to_vec())
}

proptest! {
    #[test]
    fn what_is_built_is_read(
        records in prop::collection::vec(some_record(), 1..20),
        compression in some_compression(),
        base_offset in 0..i64::MAX - 100,
        producer_id: i64, producer_epoch: i16, base_sequence in 0..i32::MAX,
        transactional: bool,
    ) {
        let meta = BatchMeta {
            base_offset, compression, producer_id, producer_epoch, base_sequence, transactional,
            leader_epoch: 7,
            ..BatchMeta::default()
        };
        let bytes = build(&records, &meta);
        let batch = BatchView::first(&bytes).unwrap().unwrap();
        prop_assert!(batch.crc_is_valid());
        prop_assert_eq!(batch.size(), bytes.len());
        prop_assert_eq!(batch.compression().unwrap(), compression);
        prop_assert_eq!(batch.base_offset(), base_offset);
        prop_assert_eq!(batch.leader_epoch(), 7);
        prop_assert_eq!(batch.last_offset(), base_offset + records.len() as i64 - 1);
        prop_assert_eq!(batch.record_count() as usize, records.len());
        prop_assert_eq!(
            (batch.producer_id(), batch.producer_epoch(), batch.base_sequence()),
            (producer_id, producer_epoch, base_sequence)
        );
        prop_assert_eq!(batch.is_transactional(), transactional);
        prop_assert_eq!(batch.max_timestamp(), records.iter().map(|r| r.timestamp).max().unwrap());
        prop_assert_eq!(batch.base_timestamp(), records[0].timestamp);
        let read = batch.records().unwrap();
        for (i, (got, expected)) in read.iter().zip(&records).enumerate() {
            let got = got.unwrap();
            prop_assert_eq!(got.offset, base_offset + i as i64);
            prop_assert_eq!(&OwnedRecord::from(got), expected);
        }
        prop_assert_eq!(read.iter().count(), records.len());
    }

    #[test]
    fn arbitrary_records_never_panic(
        records in prop::collection::vec(some_record(), 1..5),
        compression in some_compression(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes =
            build(&records, &BatchMeta { compression, ..BatchMeta::default() }).to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            for batch in batches(bytes).flatten() {
                if let Ok(records) = batch.records() {
                    for record in records.iter().flatten() {
                        prop_assert!(record.headers().count() <= bytes.len() * 1100);
                    }
                }
            }
        }
    }
}

#[test]
fn sequences_wrap_to_zero() {
    let records = vec![
        OwnedRecord {
            timestamp: 0,
            key: None,
            value: None,
            headers: vec![]
        };
        3
    ];
    let meta = BatchMeta {
        producer_id: 1,
        base_sequence: i32::MAX,
        ..BatchMeta::default()
    };
    let bytes = build(&records, &meta);
    let batch = BatchView::first(&bytes).unwrap().unwrap();
    assert_eq!(batch.last_sequence(), 1);
}

#[test]
fn a_patched_header_keeps_a_valid_crc() {
    let record = OwnedRecord {
        timestamp: 5,
        key: None,
        value: Some(vec![1; 9]),
        headers: vec![],
    };
    let bytes = build(&[record], &BatchMeta::default());
    let batch = BatchView::first(&bytes).unwrap().unwrap();
    let patch = |max_timestamp| {
        let patch = HeaderPatch {
            base_offset: 40,
            leader_epoch: 3,
            max_timestamp,
        };
        let mut patched = batch.patched_header(&patch).to_vec();
        patched.extend_from_slice(batch.stored_records());
        let view = BatchView::first(&patched).unwrap().unwrap();
        assert!(view.crc_is_valid());
        assert_eq!((view.base_offset(), view.leader_epoch()), (40, 3));
        let timestamp = view
            .records()
            .unwrap()
            .iter()
            .next()
            .unwrap()
            .unwrap()
            .timestamp;
        (
            view.crc() == batch.crc(),
            view.timestamp_type(),
            view.max_timestamp(),
            timestamp,
        )
    };
    assert_eq!(patch(None), (true, TimestampType::Create, 5, 5));
    assert_eq!(
        patch(Some((TimestampType::Create, 5))),
        (true, TimestampType::Create, 5, 5)
    );
    assert_eq!(
        patch(Some((TimestampType::LogAppend, 99))),
        (false, TimestampType::LogAppend, 99, 99)
    );
}
