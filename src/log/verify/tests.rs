//! Faults of every kind, made in a log of our own, are found where they are.
use std::path::Path;

use super::*;
use crate::log::checkpoints;
use crate::log::storage::RealDisk;
use crate::log::{AppendOrigin, Log, LogConfig, LogOptions, TopicPartition};
use crate::record::{BatchBuilder, BatchMeta, Compression};

const NOW_MS: i64 = 1_700_000_000_000;

fn tp() -> TopicPartition {
    TopicPartition::new("t", 0)
}

fn batch(n: i64, meta: &BatchMeta, control: Option<u8>) -> bytes::Bytes {
    let mut builder = BatchBuilder::new();
    let value = format!("value {n}").repeat(20);
    match control {
        Some(kind) => builder
            .append(NOW_MS + n, Some(&[0, 0, 0, kind]), Some(&[0; 6]), &[])
            .unwrap(),
        None => builder
            .append(NOW_MS + n, Some(b"k"), Some(value.as_bytes()), &[])
            .unwrap(),
    }
    builder.finish(meta).unwrap()
}

/// A partition with two segments and a transaction that was aborted, closed in order.
fn closed(dir: &Path) {
    let config = LogConfig {
        index_interval_bytes: 500,
        ..LogConfig::default()
    };
    let log = Log::open(&dir.join("t-0"), tp(), config, LogOptions::new(NOW_MS)).unwrap();
    log.set_topic_id(crate::protocol::Uuid::from_random(7))
        .unwrap();
    let append = |records, origin| {
        log.append_as_leader(records, origin, 3, NOW_MS).unwrap();
    };
    for n in 0..20 {
        let compression = match n % 3 {
            0 => Compression::Zstd,
            1 => Compression::None,
            _ => Compression::Gzip,
        };
        let meta = BatchMeta {
            compression,
            ..BatchMeta::default()
        };
        append(batch(n, &meta, None), AppendOrigin::Client);
    }
    let transactional = BatchMeta {
        producer_id: 9,
        producer_epoch: 0,
        base_sequence: 0,
        transactional: true,
        ..BatchMeta::default()
    };
    append(batch(20, &transactional, None), AppendOrigin::Client);
    let marker = BatchMeta {
        control: true,
        base_sequence: -1,
        ..transactional
    };
    append(batch(21, &marker, Some(0)), AppendOrigin::Coordinator);
    log.roll(NOW_MS).unwrap();
    for n in 22..40 {
        append(batch(n, &BatchMeta::default(), None), AppendOrigin::Client);
    }
    log.close(true).unwrap();
    for name in [checkpoints::RECOVERY_POINT, checkpoints::HIGH_WATERMARK] {
        let offsets = checkpoints::Offsets::from([(tp(), 40)]);
        checkpoints::write(&RealDisk, &dir.join(name), &offsets).unwrap();
    }
}

/// What is said of the directory: the faults, counts and notes.
fn verify(dir: &Path, clean: bool) -> (Vec<Fault>, Counts, Vec<(PathBuf, String)>) {
    let mut read = 0;
    let mut on_bytes = |bytes| read += bytes;
    let mut verifier = Verifier::new(&RealDisk, &mut on_bytes);
    let said = verifier.checkpoints(dir, clean);
    let facts = said.of(&tp());
    let end = verifier.partition(&dir.join("t-0"), facts, &mut |_| Ok(()), &mut |_, _| false);
    if let Some(end) = end {
        verifier.compare(&said, &tp(), &end);
    }
    let found = verifier.faults().cloned().collect();
    let (counts, notes) = (verifier.counts, verifier.notes().to_vec());
    assert_eq!(read, counts.bytes);
    (found, counts, notes)
}

#[test]
fn a_log_closed_in_order_is_clean() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path());
    for clean in [true, false] {
        let (faults, counts, notes) = verify(dir.path(), clean);
        assert_eq!(faults, []);
        assert_eq!(notes, []);
        assert_eq!(
            (counts.segments, counts.batches, counts.records),
            (2, 40, 40)
        );
        assert!(counts.index_entries > 10, "{counts:?}");
        assert_eq!(counts.producer_snapshots, 2);
    }
}

/// Bytes of a file, changed.
type Edit = fn(&mut Vec<u8>);

#[test]
fn each_fault_is_found_where_it_is() {
    use OnStart::*;
    const FIRST: &str = "t-0/00000000000000000000";
    const SECOND: &str = "t-0/00000000000000000022";
    let cases: [(&str, &str, Edit, &str, OnStart); 16] = [
        (FIRST, ".log", |b| b[700] ^= 1, "crc", Overlooks),
        (FIRST, ".log", |b| b[16] = 9, "Invalid magic", Overlooks),
        (
            FIRST,
            ".log",
            |b| b.truncate(b.len() - 3),
            "ends within a batch",
            Overlooks,
        ),
        (SECOND, ".log", |b| b.extend([0; 20]), "minimum", Overlooks),
        (SECOND, ".log", |b| b[7] = 1, "do not follow", Overlooks),
        (
            FIRST,
            ".log",
            |b| b[7] = 200,
            "belongs to the next",
            Overlooks,
        ),
        (
            FIRST,
            ".index",
            |b| b[7] ^= 1,
            "no batch starts at",
            Overlooks,
        ),
        (
            FIRST,
            ".index",
            |b| b.truncate(5),
            "no whole entries",
            Repairs,
        ),
        (
            FIRST,
            ".index",
            |b| b.extend([0, 0, 0, 30, 0, 9, 0, 0]),
            "past the end",
            Overlooks,
        ),
        (FIRST, ".index", |b| b.extend([0; 80]), "zeros", Overlooks),
        (
            FIRST,
            ".index",
            |b| b.copy_within(8..16, 16),
            "do not ascend",
            Overlooks,
        ),
        (FIRST, ".timeindex", |b| b[5] ^= 1, "", Overlooks),
        (
            FIRST,
            ".timeindex",
            |b| b.truncate(b.len() - 12),
            "ends with timestamp",
            Overlooks,
        ),
        (
            FIRST,
            ".txnindex",
            |b| b[25] = 5,
            "before it starts",
            Repairs,
        ),
        (FIRST, ".txnindex", |b| b[1] = 9, "unknown version", Repairs),
        (SECOND, ".snapshot", |b| b[12] ^= 1, "checksum", Repairs),
    ];
    for (base, suffix, edit, wanted, on_start) in cases {
        let dir = tempfile::tempdir().unwrap();
        closed(dir.path());
        let path = dir.path().join(format!("{base}{suffix}"));
        let mut bytes = std::fs::read(&path).unwrap();
        edit(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        let (faults, _, _) = verify(dir.path(), true);
        let fault = faults.iter().find(|fault| fault.path == path);
        let fault = fault.unwrap_or_else(|| panic!("{suffix} {wanted}: {faults:?}"));
        assert!(fault.what.contains(wanted), "{wanted}: {fault:?}");
        assert!(
            fault.position.is_some_and(|at| at <= bytes.len() as u64),
            "{fault:?}"
        );
        assert_eq!(fault.outcome, Outcome::both(on_start), "{fault:?}");
    }
}

#[test]
fn what_a_start_recovers_is_cut_or_repaired() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path());
    std::fs::remove_file(dir.path().join(checkpoints::RECOVERY_POINT)).unwrap();
    let path = |name: &str| dir.path().join("t-0").join(name);
    let log = path("00000000000000000022.log");
    let mut bytes = std::fs::read(&log).unwrap();
    let size = bytes.len() as u64;
    bytes.extend([0; 7]);
    std::fs::write(&log, bytes).unwrap();
    std::fs::remove_file(path("00000000000000000000.index")).unwrap();
    let (faults, _, _) = verify(dir.path(), false);
    let seen: Vec<_> = faults
        .iter()
        .map(|fault| (fault.position, fault.outcome.kafkars))
        .collect();
    assert_eq!(
        seen,
        [(None, OnStart::Repairs), (Some(size), OnStart::Cuts)]
    );
}

#[test]
fn checkpoints_are_held_against_the_log() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path());
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write(checkpoints::RECOVERY_POINT, "0\n1\nt 0 39\n");
    write(checkpoints::HIGH_WATERMARK, "0\n1\nt 0 41\n");
    write(checkpoints::LOG_START, "0\n2\nt 0 0\n");
    write(checkpoints::CLEANER, "0\n1\nt 0 -5\n");
    write("t-0/leader-epoch-checkpoint", "0\n1\n4 0\n");
    write("t-0/partition.metadata", "version: 0");
    write("t-0/notes.txt", "");
    let (faults, _, notes) = verify(dir.path(), true);
    let seen: Vec<_> = faults
        .iter()
        .map(|fault| {
            let name = fault.path.file_name().unwrap().to_str().unwrap();
            (name, fault.outcome.kafkars, fault.outcome.kafka)
        })
        .collect();
    use OnStart::*;
    assert_eq!(
        seen,
        [
            (checkpoints::CLEANER, Ignores, DirectoryFails),
            (checkpoints::LOG_START, Ignores, DirectoryFails),
            (checkpoints::RECOVERY_POINT, PartitionFails, Overlooks),
            (checkpoints::HIGH_WATERMARK, Repairs, Repairs),
            ("leader-epoch-checkpoint", Overlooks, Overlooks),
            ("partition.metadata", PartitionFails, DirectoryFails),
        ]
    );
    assert_eq!(notes.len(), 1);
    assert!(notes[0].0.ends_with("notes.txt"));
}

#[test]
fn old_formats_are_read_too() {
    use crate::record::TimestampType;
    use crate::record::legacy::build::{Message, MessageFormat};
    let dir = tempfile::tempdir().unwrap();
    let partition = dir.path().join("t-0");
    std::fs::create_dir(&partition).unwrap();
    let mut bytes = Vec::new();
    for (magic, first) in [(0, 0), (1, 5)] {
        let format = MessageFormat {
            magic,
            compression: Compression::Gzip,
            timestamp_type: TimestampType::Create,
            append_time: -1,
        };
        let message = |offset| Message {
            offset,
            timestamp: NOW_MS,
            key: None,
            value: Some(b"old"),
        };
        format
            .write((first..first + 5).map(message), &mut bytes)
            .unwrap();
    }
    let log = partition.join("00000000000000000000.log");
    std::fs::write(&log, &bytes).unwrap();
    let (faults, counts, _) = verify(dir.path(), false);
    assert_eq!(faults.len(), 2, "both indexes are missing: {faults:?}");
    assert_eq!(
        (counts.batches, counts.old_batches, counts.records),
        (2, 2, 10)
    );
    bytes[60] ^= 1;
    std::fs::write(&log, &bytes).unwrap();
    let (faults, _, _) = verify(dir.path(), false);
    assert!(
        faults
            .iter()
            .any(|fault| fault.path == log && fault.position == Some(0))
    );
}

#[test]
fn records_that_expand_beyond_the_window_are_walked() {
    let mut builder = BatchBuilder::new();
    let zeros = vec![0; 8 << 20];
    for _ in 0..4 {
        builder.append(NOW_MS, None, Some(&zeros), &[]).unwrap();
    }
    let meta = BatchMeta {
        compression: Compression::Zstd,
        ..BatchMeta::default()
    };
    let bytes = builder.finish(&meta).unwrap();
    assert!(bytes.len() < 1 << 20);
    let batch = StoredBatch::first(&bytes).unwrap().unwrap();
    let mut buffer = Vec::new();
    assert_eq!(records::check(&batch, &mut buffer), Ok(4));
    assert!(buffer.capacity() <= 16 << 20, "the large buffer was let go");
}
