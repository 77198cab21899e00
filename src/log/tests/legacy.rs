//! Segments in the message formats of before Kafka 0.11, as an upgraded directory holds them.
use super::*;
use crate::log::segment::Segment;
use crate::record::legacy::build::{Message, MessageFormat};
use crate::record::{StoredBatch, TimestampType, stored_batches};

const OLD_MS: i64 = 1_400_000_000_000;

fn plain(magic: u8) -> MessageFormat {
    MessageFormat {
        magic,
        compression: Compression::None,
        timestamp_type: TimestampType::Create,
        append_time: -1,
    }
}

fn packed(magic: u8, compression: Compression) -> MessageFormat {
    MessageFormat {
        compression,
        ..plain(magic)
    }
}

/// Messages with the given offsets, the value of each `v<offset>`, a second between them.
fn messages(format: &MessageFormat, offsets: std::ops::Range<i64>, out: &mut Vec<u8>) {
    let values: Vec<String> = offsets.clone().map(|n| format!("v{n}")).collect();
    let messages = offsets.zip(&values).map(|(offset, value)| Message {
        offset,
        timestamp: OLD_MS + offset * 1000,
        key: Some(b"k"),
        value: Some(value.as_bytes()),
    });
    format.write(messages, out).unwrap();
}

/// A segment of plain and compressed sets of `magic` with the offsets `0..60`.
fn old_segment(magic: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for n in 0..10 {
        messages(&plain(magic), n..n + 1, &mut bytes);
    }
    messages(&packed(magic, Compression::Gzip), 10..20, &mut bytes);
    messages(&packed(magic, Compression::Snappy), 20..30, &mut bytes);
    messages(&packed(magic, Compression::Lz4), 30..40, &mut bytes);
    for n in 40..60 {
        messages(&plain(magic), n..n + 1, &mut bytes);
    }
    bytes
}

fn lay(dir: &Path, base_offset: i64, bytes: &[u8]) {
    let dir = dir.join("t-0");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(names::file_name(base_offset, ".log")), bytes).unwrap();
}

fn small_index() -> LogConfig {
    LogConfig {
        index_interval_bytes: 100,
        ..LogConfig::default()
    }
}

/// Every record as (offset, value), of any format, from `offset` on.
fn read_from(log: &Log, mut offset: i64) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    while offset < log.log_end_offset() {
        let read = log.read(offset, 1, ReadLimit::LogEnd, true).unwrap();
        let bytes = read.slice.unwrap().to_vec().unwrap();
        let mut next = offset;
        for batch in stored_batches(&bytes) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            for record in &batch.records().unwrap() {
                let record = record.unwrap();
                if record.offset >= offset {
                    let value = String::from_utf8_lossy(record.value.unwrap()).into_owned();
                    found.push((record.offset, value));
                }
            }
            next = batch.header().next_offset();
        }
        assert!(next > offset, "no progress at {offset}");
        offset = next;
    }
    found
}

fn expected(offsets: std::ops::Range<i64>) -> Vec<(i64, String)> {
    offsets.map(|n| (n, format!("v{n}"))).collect()
}

#[test]
fn an_unclean_start_recovers_and_indexes_them() {
    for magic in [0, 1] {
        let dir = tempfile::tempdir().unwrap();
        let bytes = old_segment(magic);
        lay(dir.path(), 0, &bytes);
        let log = open(dir.path(), small_index());
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, 60));
        assert_eq!(log.size().unwrap(), bytes.len() as u64, "nothing was cut");
        assert_eq!(log.latest_epoch().unwrap(), None);
        assert!(log.producers().unwrap().is_empty());
        for from in 0..60 {
            assert_eq!(read_from(&log, from), expected(from..60), "magic {magic}");
        }
        let file = |suffix| dir.path().join("t-0").join(names::file_name(0, suffix));
        let index = std::fs::metadata(file(".index")).unwrap().len();
        assert!(index > 8 * 8, "{index} bytes of index");
        let times = std::fs::metadata(file(".timeindex")).unwrap().len();
        match magic {
            0 => assert_eq!(times, 0, "magic 0 has no timestamps"),
            _ => assert!(times > 8 * 12, "{times} bytes of time index"),
        }
    }
}

#[test]
fn a_clean_start_reads_them_without_indexes_too() {
    let dir = tempfile::tempdir().unwrap();
    lay(dir.path(), 0, &old_segment(1));
    let options = LogOptions {
        clean: true,
        recovery_point: Some(60),
        ..LogOptions::new(NOW_MS)
    };
    let log = Log::open(&dir.path().join("t-0"), tp(), small_index(), options).unwrap();
    assert_eq!(log.log_end_offset(), 60);
    assert_eq!(read_from(&log, 0), expected(0..60));
}

#[test]
fn they_are_found_by_timestamp() {
    for magic in [0, 1] {
        let dir = tempfile::tempdir().unwrap();
        lay(dir.path(), 0, &old_segment(magic));
        let log = open(dir.path(), small_index());
        log.commit_all().unwrap();
        for n in [0, 5, 9, 10, 15, 19, 20, 33, 39, 40, 59, 60] {
            let what = ListOffset::Timestamp(OLD_MS + n * 1000 - 500);
            let found = log.list_offset(what, ReadLimit::HighWatermark).unwrap();
            let wanted = (magic == 1 && n < 60).then_some(OffsetAndEpoch {
                offset: n,
                timestamp: OLD_MS + n * 1000,
                leader_epoch: None,
            });
            assert_eq!(found, wanted, "magic {magic}, record {n}");
        }
        let latest = log.list_offset(ListOffset::MaxTimestamp, ReadLimit::HighWatermark);
        let latest = latest.unwrap().map(|found| found.offset);
        assert_eq!(latest, (magic == 1).then_some(59));
    }
}

#[test]
fn appends_follow_them_in_the_new_format() {
    for magic in [0, 1] {
        let dir = tempfile::tempdir().unwrap();
        lay(dir.path(), 0, &old_segment(magic));
        let log = open(dir.path(), small_index());
        append(&log, batch(&["v60", "v61"]));
        assert_eq!(read_from(&log, 0), expected(0..62));
        assert_eq!(log.epoch_for_offset(59).unwrap(), None);
        assert_eq!(log.epoch_for_offset(60).unwrap(), Some(3));
        drop(log);
        let log = open(dir.path(), small_index());
        assert_eq!(read_from(&log, 0), expected(0..62));
        assert_eq!(log.latest_epoch().unwrap(), Some(3));
    }
}

#[test]
fn truncation_cuts_at_the_message_or_set_that_holds_the_offset() {
    for magic in [0, 1] {
        for (to, end) in [(0, 0), (5, 5), (10, 10), (15, 10), (31, 30), (45, 45)] {
            let dir = tempfile::tempdir().unwrap();
            lay(dir.path(), 0, &old_segment(magic));
            let log = open(dir.path(), small_index());
            log.truncate_to(to).unwrap();
            assert_eq!(log.log_end_offset(), end, "cut at {to}");
            assert_eq!(read_from(&log, 0), expected(0..end));
            drop(log);
            let log = open(dir.path(), small_index());
            assert_eq!(log.log_end_offset(), end);
        }
    }
}

#[test]
fn a_torn_or_damaged_end_is_cut() {
    for magic in [0, 1] {
        let good = old_segment(magic);
        let last = good.len() - StoredBatch::first(&good).unwrap().unwrap().bytes().len() - 2;
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for torn in [&good[..good.len() - 1], &good[..last + 14], &flipped] {
            let dir = tempfile::tempdir().unwrap();
            lay(dir.path(), 0, torn);
            let log = open(dir.path(), small_index());
            assert_eq!(log.log_end_offset(), 59);
            assert_eq!(read_from(&log, 0), expected(0..59));
        }
    }
}

#[test]
fn a_set_larger_than_a_block_is_summed_in_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let random: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
        .take(3 << 20)
        .collect();
    let large = |offset| Message {
        offset,
        timestamp: OLD_MS,
        key: None,
        value: Some(&random),
    };
    let mut bytes = Vec::new();
    plain(1).write([large(0)], &mut bytes).unwrap();
    let gzip = packed(0, Compression::Gzip);
    gzip.write([large(1), large(2)], &mut bytes).unwrap();
    let first = StoredBatch::first(&bytes).unwrap().unwrap().bytes().len();
    lay(dir.path(), 0, &bytes);
    let log = open(dir.path(), LogConfig::default());
    assert_eq!(log.log_end_offset(), 3);
    drop(log);
    bytes[first + (2 << 20)] ^= 1;
    lay(dir.path(), 0, &bytes);
    let log = open(dir.path(), LogConfig::default());
    assert_eq!(
        (log.log_end_offset(), log.size().unwrap()),
        (1, first as u64)
    );
}

#[test]
fn retention_goes_by_the_file_where_there_are_no_timestamps() {
    let dir = tempfile::tempdir().unwrap();
    let mut old = Vec::new();
    messages(&plain(0), 0..1, &mut old);
    lay(dir.path(), 0, &old);
    lay(dir.path(), 1, &[]);
    let config = LogConfig {
        retention_ms: 1000,
        ..LogConfig::default()
    };
    let log = open(dir.path(), config);
    log.commit_all().unwrap();
    let path = dir.path().join("t-0").join(names::file_name(0, ".log"));
    let modified = storage::RealDisk.stat(&path).unwrap().1;
    assert_eq!(log.apply_retention(modified + 999).unwrap(), 0);
    assert_eq!(log.apply_retention(modified + 1001).unwrap(), 1);
    assert_eq!(log.log_start_offset(), 1);
}

#[test]
fn the_first_timestamp_is_read_from_a_file_shorter_than_a_header() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = Vec::new();
    messages(&plain(1), 0..1, &mut bytes);
    assert!(bytes.len() < crate::record::HEADER_LEN);
    lay(dir.path(), 0, &bytes);
    let log = open(dir.path(), LogConfig::default());
    drop(log);
    let disk = Arc::new(storage::RealDisk);
    let files = Arc::new(file_cache::FileCache::new(1));
    let place = place::Place::new(dir.path().join("t-0"), disk, files);
    let segment = Segment::existing(0, NOW_MS, false);
    assert_eq!(segment.first_timestamp(&place).unwrap(), Some(OLD_MS));
    assert_eq!(segment.next_offset(&place).unwrap(), 1);
}
