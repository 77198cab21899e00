//! Rules of topics, damaged records, and sections that expand beyond memory.
use std::io::Write;

use proptest::prelude::*;

use super::super::*;
use super::WINDOW;

const NOW: i64 = 1_700_000_000_000;

fn rules() -> AppendRules {
    AppendRules {
        from_client: true,
        compacted: false,
        timestamp_type: TimestampType::Create,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        now_ms: NOW,
    }
}

type Rec<'a> = (i64, Option<&'a [u8]>, Option<&'a [u8]>);

fn batch(records: &[Rec<'_>], meta: &BatchMeta) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for (timestamp, key, value) in records {
        builder
            .append(*timestamp, *key, *value, &[(b"h", Some(b"1"))])
            .unwrap();
    }
    builder.finish(meta).unwrap().to_vec()
}

fn validate(bytes: &[u8], rules: &AppendRules) -> Result<RecordFacts, InvalidBatch> {
    validate_for_append(&BatchView::first(bytes).unwrap().unwrap(), rules)
}

/// Changes bytes and mends the CRC, as a client that builds wrong batches would.
fn with_crc(mut bytes: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut bytes);
    let length = i32::try_from(bytes.len() - LOG_OVERHEAD).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn error(bytes: &[u8], rules: &AppendRules) -> String {
    validate(bytes, rules).unwrap_err().to_string()
}

#[test]
fn facts_are_those_of_the_records() {
    for compression in Compression::ALL {
        let meta = BatchMeta {
            compression,
            ..BatchMeta::default()
        };
        let records: [Rec; 4] = [
            (5, None, Some(b"a")),
            (9, Some(b"k"), None),
            (9, None, None),
            (NO_TIMESTAMP, None, Some(b"")),
        ];
        let facts = validate(&batch(&records, &meta), &rules()).unwrap();
        let records_size = batch(&records, &BatchMeta::default()).len() - HEADER_LEN;
        assert_eq!(
            facts,
            RecordFacts {
                record_count: 4,
                max_timestamp: 9,
                max_timestamp_index: 1,
                offsets_consecutive: true,
                records_size: records_size as u64,
            }
        );
    }
}

#[test]
fn a_flipped_bit_is_corruption() {
    let good = batch(&[(1, None, Some(b"value"))], &BatchMeta::default());
    for at in 21..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 4;
        match validate(&bad, &rules()) {
            Err(InvalidBatch::Batch(error)) => assert!(error.is_corruption(), "byte {at}: {error}"),
            other => panic!("byte {at}: {other:?}"),
        }
    }
}

#[test]
fn client_headers_are_checked() {
    let records: [Rec; 2] = [(1, None, None), (2, None, None)];
    let good = batch(&records, &BatchMeta::default());
    let set_count = |count: i32| {
        with_crc(good.clone(), |b| {
            b[57..61].copy_from_slice(&count.to_be_bytes())
        })
    };
    let set_delta = |delta: i32| {
        with_crc(good.clone(), |b| {
            b[23..27].copy_from_slice(&delta.to_be_bytes())
        })
    };
    let cases = [
        (
            set_count(1),
            "Inconsistent batch offset range [0, 1] and count of records 1",
        ),
        (set_count(0), "Invalid reported count for record batch: 0"),
        (set_count(-5), "Invalid reported count for record batch: -5"),
        (set_delta(-1), "Batch has an invalid offset range: [0, -1]"),
        (
            batch(
                &records,
                &BatchMeta {
                    control: true,
                    ..BatchMeta::default()
                },
            ),
            "Clients are not allowed to write control records",
        ),
        (
            batch(
                &records,
                &BatchMeta {
                    producer_id: 4,
                    ..BatchMeta::default()
                },
            ),
            "Invalid sequence number -1 in record batch with producerId 4",
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(error(&bytes, &rules()), expected);
    }
    let internal = AppendRules {
        from_client: false,
        ..rules()
    };
    let control = batch(
        &records,
        &BatchMeta {
            control: true,
            ..BatchMeta::default()
        },
    );
    assert!(validate(&control, &internal).is_ok());
}

#[test]
fn counts_must_match_the_records() {
    let records: [Rec; 3] = [(1, None, None), (2, None, None), (3, None, None)];
    for compression in Compression::ALL {
        let meta = BatchMeta {
            compression,
            ..BatchMeta::default()
        };
        let good = batch(&records, &meta);
        let declare = |count: i32| {
            with_crc(good.clone(), |b| {
                b[57..61].copy_from_slice(&count.to_be_bytes());
                b[23..27].copy_from_slice(&(count - 1).to_be_bytes());
            })
        };
        assert_eq!(
            validate(&declare(2), &rules()),
            Err(BatchError::RecordsRemaining(2).into()),
            "{compression}"
        );
        assert!(
            matches!(
                validate(&declare(4), &rules()),
                Err(InvalidBatch::Batch(
                    BatchError::RecordsTruncated | BatchError::InvalidRecordCount(_)
                ))
            ),
            "{compression}"
        );
        assert_eq!(
            validate(&declare(i32::MAX), &rules()),
            Err(BatchError::InvalidRecordCount(i32::MAX).into()),
            "{compression}"
        );
    }
}

#[test]
fn compacted_topics_need_keys() {
    let compacted = AppendRules {
        compacted: true,
        ..rules()
    };
    let records: [Rec; 3] = [(1, None, None), (2, Some(b""), None), (3, None, None)];
    let bytes = batch(&records, &BatchMeta::default());
    let rejected = |index| RejectedRecord {
        index,
        reason: RejectReason::NoKey,
    };
    let invalid = validate(&bytes, &compacted).unwrap_err();
    assert!(!invalid.is_timestamp());
    assert_eq!(
        invalid,
        InvalidBatch::Rejected {
            records: vec![rejected(0), rejected(2)],
            total: 2
        }
    );
    assert_eq!(
        invalid.to_string(),
        "One or more records have been rejected due to 2 record errors in total, and only showing \
         the first three errors at most: [RecordError(batchIndex=0, message='Compacted topic \
         cannot accept message without key'), RecordError(batchIndex=2, message='Compacted topic \
         cannot accept message without key')]"
    );
}

#[test]
fn timestamps_must_be_in_range() {
    let strict = AppendRules {
        timestamp_before_max_ms: 1000,
        ..rules()
    };
    let at = |timestamp| batch(&[(timestamp, None, None)], &BatchMeta::default());
    for timestamp in [NOW, NOW - 1000, NOW + 3_600_000, NO_TIMESTAMP] {
        assert!(validate(&at(timestamp), &strict).is_ok(), "{timestamp}");
    }
    for timestamp in [NOW - 1001, NOW + 3_600_001, -2, i64::MAX] {
        let invalid = validate(&at(timestamp), &strict).unwrap_err();
        assert!(invalid.is_timestamp());
        let InvalidBatch::Rejected { records, total: 1 } = invalid else {
            panic!("{invalid:?}")
        };
        assert_eq!(
            records[0].reason.to_string(),
            format!(
                "Timestamp {timestamp} of message with offset 0 is out of range. The timestamp \
                 should be within [{}, {}]",
                NOW - 1000,
                NOW + 3_600_000
            )
        );
    }
    let append_time = AppendRules {
        timestamp_type: TimestampType::LogAppend,
        ..strict
    };
    assert!(validate(&at(3), &append_time).is_ok());
    let meta = BatchMeta {
        log_append_time_ms: Some(3),
        ..BatchMeta::default()
    };
    let invalid = validate(&batch(&[(3, None, None)], &meta), &append_time).unwrap_err();
    assert!(invalid.is_timestamp());
}

#[test]
fn gaps_between_offsets_are_told_and_mended() {
    let bytes = batch(
        &[(1, None, Some(b"a")), (2, Some(b"k"), None)],
        &BatchMeta::default(),
    );
    let view = BatchView::first(&bytes).unwrap().unwrap();
    let records = view.records().unwrap();
    let mut gap = BatchBuilder::new();
    for (delta, record) in [3, 9].into_iter().zip(&records) {
        gap.append_copy(delta, &record.unwrap()).unwrap();
    }
    let meta = BatchMeta {
        last_offset_delta: Some(1),
        ..BatchMeta::default()
    };
    let gap = gap.finish(&meta).unwrap();
    assert!(!validate(&gap, &rules()).unwrap().offsets_consecutive);
    let gap = BatchView::first(&gap).unwrap().unwrap();
    let mended = renumber(&gap, Compression::None, None, 1000).unwrap();
    assert_eq!(&mended[..], &bytes[..]);
}

#[test]
fn records_larger_than_the_window_are_walked_in_pieces() {
    let big = vec![7; 3 * WINDOW];
    let records: [Rec; 4] = [
        (1, Some(b"k"), Some(&big)),
        (8, Some(&big), None),
        (3, None, Some(b"x")),
        (4, Some(b"k"), Some(&big)),
    ];
    let plain = batch(&records, &BatchMeta::default());
    let expected = validate(&plain, &rules()).unwrap();
    for compression in Compression::ALL {
        let meta = BatchMeta {
            compression,
            ..BatchMeta::default()
        };
        let bytes = batch(&records, &meta);
        assert_eq!(
            validate(&bytes, &rules()).unwrap(),
            expected,
            "{compression}"
        );
        let compacted = AppendRules {
            compacted: true,
            ..rules()
        };
        let invalid = validate(&bytes, &compacted).unwrap_err();
        assert!(
            matches!(&invalid, InvalidBatch::Rejected { records, total: 1 }
                if records[0].index == 2),
            "{invalid:?}"
        );
        let more = with_crc(bytes, |b| {
            b[23..27].copy_from_slice(&2i32.to_be_bytes());
            b[57..61].copy_from_slice(&3i32.to_be_bytes());
        });
        assert_eq!(
            validate(&more, &rules()),
            Err(BatchError::RecordsRemaining(3).into()),
            "{compression}"
        );
    }
}

/// A section that expands to `len` zeros, which as records are nonsense of zero length.
fn bomb(compression: Compression, len: usize) -> Vec<u8> {
    let piece = vec![0; 1 << 20];
    let mut section = Vec::new();
    match compression {
        Compression::Gzip => {
            let mut out = flate2::write::GzEncoder::new(&mut section, flate2::Compression::fast());
            (0..len >> 20).for_each(|_| out.write_all(&piece).unwrap());
            out.finish().unwrap();
        }
        Compression::Zstd => {
            let mut out = zstd::stream::write::Encoder::new(&mut section, 1).unwrap();
            (0..len >> 20).for_each(|_| out.write_all(&piece).unwrap());
            out.finish().unwrap();
        }
        // These repeat what one compressed piece holds, between their headers and end marks.
        Compression::Snappy | Compression::Lz4 => {
            codec::compress(compression, None, &piece, &mut section).unwrap();
            let (head, tail) = if compression == Compression::Lz4 {
                (7, 4)
            } else {
                (16, 0)
            };
            let blocks = section[head..section.len() - tail].to_vec();
            let end = section.split_off(section.len() - tail);
            (1..len >> 20).for_each(|_| section.extend_from_slice(&blocks));
            section.extend_from_slice(&end);
        }
        Compression::None => section.resize(len, 0),
    }
    section
}

/// How much the resident size of this process grows, at its peak, while `run` runs.
fn memory_taken<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let read = |field: &str| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<usize>()
            .unwrap()
            * 1024
    };
    // Sets the peak back to the present size.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = read("VmRSS");
    let result = run();
    (result, read("VmHWM").saturating_sub(before))
}

const CODECS: [Compression; 4] = [
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];
/// A window of a mebibyte, a piece, what the codecs need themselves.
const MEMORY_MAX: usize = 16 << 20;

/// Run alone (`cargo test --release -- --ignored memory`), for memory is that of the process.
#[test]
#[ignore = "measures the memory of the process, and inflates gigabytes"]
fn bombs_take_bounded_memory() {
    let (_, noticed) = memory_taken(|| std::hint::black_box(vec![1; 2 * MEMORY_MAX]));
    assert!(noticed >= 2 * MEMORY_MAX, "the measure works");
    for compression in CODECS {
        let section = bomb(compression, 1 << 30);
        let meta = BatchMeta {
            compression,
            ..BatchMeta::default()
        };
        let zeros = with_crc(batch(&[(1, None, None)], &meta), |bytes| {
            bytes.truncate(HEADER_LEN);
            bytes.extend_from_slice(&section);
        });
        let (result, taken) = memory_taken(|| validate(&zeros, &rules()));
        assert!(result.is_err(), "{compression}: {result:?}");
        assert!(
            taken < MEMORY_MAX,
            "{compression}: validation took {taken} bytes"
        );
        let mut out = Vec::new();
        let (result, taken) =
            memory_taken(|| codec::decompress(compression, &section, 1 << 20, &mut out));
        assert_eq!(
            result,
            Err(BatchError::DecompressedTooLarge { cap: 1 << 20 })
        );
        assert!(
            taken < MEMORY_MAX,
            "{compression}: decompression took {taken} bytes"
        );
    }
}

/// One record of half a gigabyte: legal, and walked without holding it.
#[test]
#[ignore = "measures the memory of the process, and inflates gigabytes"]
fn giant_records_take_bounded_memory() {
    let value = vec![0; 512 << 20];
    for compression in CODECS {
        let meta = BatchMeta {
            compression,
            ..BatchMeta::default()
        };
        let bytes = batch(&[(1, None, Some(&value))], &meta);
        let (facts, taken) = memory_taken(|| validate(&bytes, &rules()).unwrap());
        assert_eq!(facts.record_count, 1);
        assert!(facts.records_size > 512 << 20);
        assert!(
            taken < MEMORY_MAX,
            "{compression}: validation took {taken} bytes"
        );
    }
}

proptest! {
    #[test]
    fn damaged_records_with_a_good_crc_never_panic(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..6),
        repeat in 1..200usize,
        compression in prop::sample::select(Compression::ALL.to_vec()),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let values: Vec<Vec<u8>> = values.iter().map(|v| v.repeat(repeat)).collect();
        let records: Vec<Rec> = values.iter().map(|v| (3, None, Some(v.as_slice()))).collect();
        let meta = BatchMeta { compression, ..BatchMeta::default() };
        let good = batch(&records, &meta);
        let facts = validate(&good, &rules()).unwrap();
        prop_assert_eq!(facts.record_count as usize, values.len());
        let bad = with_crc(good, |bytes| {
            for (at, byte) in damage {
                let at = HEADER_LEN + at.index(bytes.len() - HEADER_LEN);
                bytes[at] = byte;
            }
            bytes.truncate(HEADER_LEN + 1 + cut.index(bytes.len() - HEADER_LEN));
        });
        if let Ok(facts) = validate(&bad, &rules()) {
            // what passes is readable
            let batch = BatchView::first(&bad).unwrap().unwrap();
            let read = batch.records().unwrap();
            prop_assert_eq!(read.iter().count(), facts.record_count as usize);
            prop_assert!(read.iter().all(|record| record.is_ok()));
        }
    }

    #[test]
    fn recompressed_batches_hold_the_same_records(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..6),
        from in prop::sample::select(Compression::ALL.to_vec()),
        to in prop::sample::select(Compression::ALL.to_vec()),
    ) {
        let records: Vec<Rec> = values.iter().map(|v| (3, None, Some(v.as_slice()))).collect();
        let meta = |compression| BatchMeta {
            compression, base_offset: 6, producer_id: 9, producer_epoch: 1, base_sequence: 4,
            ..BatchMeta::default()
        };
        let source = batch(&records, &meta(from));
        let view = BatchView::first(&source).unwrap().unwrap();
        let again = recompress(&view, to, None, 1 << 20).unwrap();
        prop_assert_eq!(&again[..], &batch(&records, &meta(to))[..]);
    }
}
