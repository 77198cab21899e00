//! Faults of the disk: whatever fails, what was acknowledged is there.
use super::*;
use crate::log::storage::faulty::FaultyDisk;

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 600,
        index_interval_bytes: 60,
        ..LogConfig::default()
    }
}

/// Appends until `count` batches are acknowledged or `give_up` says so; returns what was.
fn append_some(log: &Log, from: i64, count: i64, stop_at_failure: bool) -> Vec<(i64, String)> {
    let mut acknowledged = Vec::new();
    for n in from..from + count {
        let value = format!("value {n}");
        let records = produced(1, n as i32, &[value.as_str()]);
        match log.append_as_leader(records, AppendOrigin::Client, 1, NOW_MS) {
            Ok(info) => acknowledged.push((info.first_offset, value)),
            Err(AppendError::Storage(_) | AppendError::DiskFull { .. }) if stop_at_failure => break,
            Err(AppendError::Storage(_) | AppendError::DiskFull { .. }) => {
                // A client sends it again.
                let records = produced(1, n as i32, &[value.as_str()]);
                let info = log
                    .append_as_leader(records, AppendOrigin::Client, 1, NOW_MS)
                    .expect("the fault was a single one");
                acknowledged.push((info.first_offset, value));
            }
            Err(e) => panic!("append {n}: {e}"),
        }
    }
    acknowledged
}

#[test]
fn a_crash_at_any_operation_loses_nothing_acknowledged() {
    let mut struck = true;
    let mut at = 0;
    while struck {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t-0");
        let disk = Arc::new(FaultyDisk::default());
        disk.crash_at(at);
        let mut acknowledged = Vec::new();
        if let Ok(log) = Log::open(&path, tp(), config(), options_on(disk.clone())) {
            acknowledged = append_some(&log, 0, 30, true);
            let _ = log.flush(NOW_MS);
            let _ = log.close(true);
        }
        struck = disk.struck();
        disk.heal();
        let log = Log::open(&path, tp(), config(), options_on(disk)).unwrap();
        let found = contents(&log);
        assert!(found.starts_with(&acknowledged), "crash at {at}: {found:?}");
        assert!(
            found.len() <= acknowledged.len() + 1,
            "crash at {at}: something was invented"
        );
        // It goes on where it stopped, and again survives.
        let more = append_some(&log, found.len() as i64, 3, false);
        assert_eq!(more.len(), 3);
        drop(log);
        let log = open(dir.path(), config());
        assert_eq!(contents(&log).len(), found.len() + 3);
        at += 1;
    }
    assert!(at > 60, "only {at} operations were tried");
}

#[test]
fn a_single_failure_anywhere_is_an_error_and_no_more() {
    let mut struck = true;
    let mut at = 0;
    while struck {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t-0");
        let disk = Arc::new(FaultyDisk::default());
        let log = Log::open(&path, tp(), config(), options_on(disk.clone())).unwrap();
        disk.fail_once_at(at);
        let acknowledged = append_some(&log, 0, 30, false);
        struck = disk.struck();
        disk.heal();
        assert_eq!(contents(&log), acknowledged, "failure at {at}");
        drop(log);
        assert_eq!(
            contents(&open(dir.path(), config())),
            acknowledged,
            "failure at {at}"
        );
        at += 1;
    }
    assert!(at > 40, "only {at} operations were tried");
}

#[test]
fn a_full_disk_refuses_and_takes_again_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::default());
    let options = options_on(disk.clone());
    let log = Log::open(&dir.path().join("t-0"), tp(), LogConfig::default(), options).unwrap();
    append(&log, batch(&["first"]));
    disk.room(30);
    let size = log.size().unwrap();
    for _ in 0..3 {
        let error = log
            .append_as_leader(batch(&["refused"]), AppendOrigin::Client, 3, NOW_MS)
            .unwrap_err();
        assert!(matches!(error, AppendError::DiskFull { .. }), "{error}");
        let file = dir.path().join("t-0/00000000000000000000.log");
        assert_eq!(
            std::fs::metadata(file).unwrap().len(),
            size,
            "nothing is left of it"
        );
    }
    assert_eq!(contents(&log), numbered(["first".to_owned()]));
    disk.heal();
    append(&log, batch(&["second"]));
    let expected = numbered(["first".to_owned(), "second".to_owned()]);
    assert_eq!(contents(&log), expected);
    drop(log);
    assert_eq!(contents(&open(dir.path(), LogConfig::default())), expected);
}

#[test]
fn after_a_failed_flush_nothing_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::default());
    let config = LogConfig {
        flush_messages: 1,
        ..LogConfig::default()
    };
    let options = options_on(disk.clone());
    let log = Log::open(&dir.path().join("t-0"), tp(), config, options).unwrap();
    append(&log, batch(&["first"]));
    assert_eq!(log.recovery_point(), 1);
    disk.fail_sync();
    let try_append = || {
        log.append_as_leader(batch(&["x"]), AppendOrigin::Client, 3, NOW_MS)
            .unwrap_err()
    };
    assert!(matches!(
        try_append(),
        AppendError::Storage(LogError::Unsynced { .. })
    ));
    disk.heal();
    assert!(matches!(
        try_append(),
        AppendError::Storage(LogError::Offline(_))
    ));
    assert!(
        log.flush(NOW_MS).is_err(),
        "a failed fsync is not tried again"
    );
    assert_eq!(log.recovery_point(), 1);
}

#[test]
fn a_segment_cut_or_bent_anywhere_gives_its_whole_batches_back() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), LogConfig::default());
    let mut ends = vec![0];
    for n in 0..4 {
        append(&log, batch(&[format!("{n}").as_str(), "more"]));
        ends.push(log.size().unwrap() as usize);
    }
    let expected = contents(&log);
    drop(log);
    let file = dir.path().join("t-0/00000000000000000000.log");
    let whole = std::fs::read(&file).unwrap();
    for at in 0..whole.len() {
        let batches = ends.iter().filter(|end| **end <= at).count() - 1;
        // The base offset and the leader epoch of a batch are not covered by its CRC.
        let in_batch = at - ends[batches];
        let mut bent = whole.clone();
        bent[at] ^= 0x40;
        let covered = !(0..8).contains(&in_batch) && !(12..16).contains(&in_batch);
        for (bytes, is_cut) in [(&whole[..at], true), (&bent[..], false)] {
            std::fs::write(&file, bytes).unwrap();
            if !is_cut && in_batch == 16 {
                continue;
            }
            let log = open(dir.path(), LogConfig::default());
            if is_cut || covered {
                assert_eq!(
                    contents(&log),
                    expected[..batches * 2],
                    "byte {at}, cut: {is_cut}"
                );
                assert_eq!(log.size().unwrap() as usize, ends[batches]);
            }
        }
    }
}
