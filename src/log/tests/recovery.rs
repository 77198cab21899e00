//! Recovery after an unclean stop: what is read again, what is kept aside.
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;

fn config() -> LogConfig {
    LogConfig {
        index_interval_bytes: 100,
        ..LogConfig::default()
    }
}

/// As after a kill, with what a checkpoint held.
fn recover(dir: &Path, config: LogConfig, recovery_point: Option<i64>) -> Log {
    let options = LogOptions {
        recovery_point,
        ..LogOptions::new(NOW_MS)
    };
    Log::open(&dir.join("t-0"), tp(), config, options).unwrap()
}

fn files(dir: &Path, suffix: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(dir.join("t-0")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// Ten batches of a producer and an aborted transaction, a clean stop, ten batches more and another
/// aborted transaction, and a kill.
fn killed_after_a_clean_stop(dir: &Path) -> i64 {
    let write = |log: &Log, from: i32| {
        for n in 0..10 {
            let records = batch_of(
                &["value"],
                NOW_MS + i64::from(from + n),
                &BatchMeta {
                    producer_id: 1,
                    producer_epoch: 0,
                    base_sequence: from + n,
                    ..BatchMeta::default()
                },
            );
            append(log, records);
        }
        let meta = BatchMeta {
            producer_id: 2,
            producer_epoch: 0,
            base_sequence: from / 10,
            transactional: true,
            ..BatchMeta::default()
        };
        append(log, batch_of(&["aborted"], NOW_MS, &meta));
        log.append_as_leader(marker(2, 0, false), AppendOrigin::Coordinator, 3, NOW_MS)
            .unwrap();
    };
    let log = open(dir, config());
    write(&log, 0);
    log.close(true).unwrap();
    let recovery_point = log.recovery_point();
    drop(log);
    let log = recover(dir, config(), Some(recovery_point));
    write(&log, 10);
    recovery_point
}

#[test]
fn a_scan_begins_where_the_last_clean_stop_was() {
    let dir = tempfile::tempdir().unwrap();
    let point = killed_after_a_clean_stop(dir.path());
    assert_eq!(point, 12);
    let log = dir.path().join("t-0/00000000000000000000.log");
    // Not read again: a fault there is found by whoever reads it.
    flip(&log, 100);
    let resumed = recover(dir.path(), config(), Some(point));
    assert_eq!(resumed.log_end_offset(), 24);
    let aborted: Vec<i64> = resumed
        .aborted_transactions(0, 24)
        .unwrap()
        .iter()
        .map(|txn| txn.last_offset)
        .collect();
    assert_eq!(aborted, [11, 23]);
    let producers = resumed.producer_snapshot().unwrap();
    let indexes = |suffixes: [&str; 3]| suffixes.map(|suffix| files(dir.path(), suffix));
    let suffixes = [".index", ".timeindex", ".txnindex"];
    let found = indexes(suffixes);
    assert!(found[0].values().any(|index| index.len() > 40));
    drop(resumed);

    // The same as if all of it had been read.
    flip(&log, 100);
    let whole = recover(dir.path(), config(), None);
    assert_eq!(whole.producer_snapshot().unwrap(), producers);
    assert_eq!(indexes(suffixes), found);
    assert_eq!(contents(&whole).len(), 24);
    drop(whole);
    flip(&log, 100);
    assert_eq!(recover(dir.path(), config(), None).log_end_offset(), 1);
}

#[test]
fn an_index_that_names_no_batch_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let point = killed_after_a_clean_stop(dir.path());
    flip(&dir.path().join("t-0/00000000000000000000.index"), 7);
    flip(&dir.path().join("t-0/00000000000000000000.index"), 39);
    let log = recover(dir.path(), config(), Some(point));
    assert_eq!((log.log_end_offset(), contents(&log).len()), (24, 24));
    let snapshots = files(dir.path(), ".snapshot");
    assert_eq!(snapshots.len(), 0, "none vouches for the rebuilt index");
}

#[test]
fn lost_epochs_are_told_by_the_batches() {
    let dir = tempfile::tempdir().unwrap();
    let point = killed_after_a_clean_stop(dir.path());
    std::fs::write(dir.path().join("t-0/leader-epoch-checkpoint"), "").unwrap();
    let log = recover(dir.path(), config(), Some(point));
    let entries = log.epoch_entries().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].epoch, entries[0].start_offset), (3, 0));
}

#[test]
fn valid_batches_behind_a_cut_are_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig {
        segment_bytes: 400,
        ..LogConfig::default()
    };
    let log = open(dir.path(), config.clone());
    let mut ends = vec![0];
    for n in 0..20 {
        append(&log, batch(&[format!("value {n}").as_str()]));
        if log.segment_count() == 1 {
            ends.push(log.size().unwrap() as usize);
        }
    }
    drop(log);
    let before = files(dir.path(), ".log");
    assert!(before.len() > 3 && ends.len() > 3);
    let (first, whole) = before.first_key_value().unwrap();
    flip(first, ends[1] + 30);
    let log = recover(dir.path(), config.clone(), None);
    assert_eq!(contents(&log).len(), 1);
    let kept = files(dir.path(), ".cut");
    assert_eq!(kept.len(), before.len());
    let name = format!("00000000000000000000.log.{}.cut", ends[1]);
    let mut tail = whole[ends[1]..].to_vec();
    tail[30] ^= 1;
    assert_eq!(kept[&dir.path().join("t-0").join(name)], tail);
    for (path, bytes) in before.iter().skip(1) {
        let name = format!("{}.0.cut", path.display());
        assert_eq!(&kept[Path::new(&name)], bytes);
    }
    // Nothing of it counts any more, and nothing is written over.
    append(&log, batch(&["new"]));
    append(&log, batch(&["newer"]));
    drop(log);
    flip(first, ends[1] + 30);
    let log = recover(dir.path(), config, None);
    assert_eq!(contents(&log).len(), 1);
    assert_eq!(files(dir.path(), ".cut").len(), before.len() + 1);
}

#[test]
fn a_torn_end_is_not_worth_keeping() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), config());
    for _ in 0..3 {
        append(&log, batch(&["value"]));
    }
    let size = log.size().unwrap() as usize;
    drop(log);
    let (path, mut bytes) = files(dir.path(), ".log").pop_first().unwrap();
    bytes.truncate(size - 5);
    bytes.resize(size + 300, 0);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(contents(&recover(dir.path(), config(), None)).len(), 2);
    assert_eq!(files(dir.path(), ".cut").len(), 0);
}
