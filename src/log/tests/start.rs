//! Starts after a clean stop: nothing is looked at before it is needed, and then all is as it was.
use super::*;
use crate::protocol::Uuid;

fn small_segments() -> LogConfig {
    LogConfig {
        segment_bytes: 200,
        ..LogConfig::default()
    }
}

fn manager(dir: &Path) -> LogManager {
    let config = LogManagerConfig::new(vec![dir.to_owned()], NOW_MS);
    LogManager::open(config, |_| small_segments()).unwrap()
}

/// A log of six batches in several segments, stopped in order and opened again.
fn stopped(dir: &Path, change: impl FnOnce(&Log)) -> (LogManager, Arc<Log>) {
    let logs = manager(dir);
    let log = logs
        .create(&tp(), Uuid::from_u128(9), None, small_segments(), NOW_MS)
        .unwrap();
    for n in 0..6 {
        append(&log, produced(1, n, &["value"]));
    }
    log.set_high_watermark(6).unwrap();
    change(&log);
    logs.shutdown(1).unwrap();
    let logs = manager(dir);
    let log = logs.log(&tp()).unwrap();
    (logs, log)
}

#[test]
fn a_log_sleeps_until_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let (logs, log) = stopped(dir.path(), |_| {});
    log.commit_all().unwrap();
    assert_eq!((log.log_end_offset(), log.high_watermark()), (6, 6));
    logs.checkpoint_log_start_offsets().unwrap();
    logs.checkpoint_recovery_points().unwrap();
    logs.flush_due(NOW_MS).unwrap();
    logs.expire_producers(NOW_MS);
    assert!(log.is_dormant());
    assert_eq!(log.log_start_offset(), 0);
    assert!(!log.is_dormant() && log.is_asleep());
    assert_eq!(contents(&log).len(), 6);
    let again = log.append_as_leader(produced(1, 5, &["value"]), AppendOrigin::Client, 3, NOW_MS);
    assert!(again.unwrap().duplicate, "its producers are known");
    append(&log, produced(1, 6, &["value"]));
    assert_eq!(log.log_end_offset(), 7);
}

#[test]
fn a_stop_while_it_sleeps_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (logs, log) = stopped(dir.path(), |log| {
        log.increment_log_start_offset(3).unwrap();
    });
    assert!(log.is_dormant());
    logs.shutdown(2).unwrap();
    let logs = manager(dir.path());
    let log = logs.log(&tp()).unwrap();
    assert!(log.is_dormant());
    let offsets = (
        log.log_start_offset(),
        log.high_watermark(),
        log.log_end_offset(),
    );
    assert_eq!(offsets, (3, 6, 6));
    assert_eq!(contents(&log).len(), 3);
    drop(logs);
}

#[test]
fn the_first_segment_tells_where_a_sleeping_log_starts() {
    let dir = tempfile::tempdir().unwrap();
    let (_logs, log) = stopped(dir.path(), |log| {
        log.increment_log_start_offset(4).unwrap();
        assert!(log.apply_retention(NOW_MS).unwrap() > 0);
    });
    let checkpoint = dir.path().join(checkpoints::LOG_START);
    std::fs::write(&checkpoint, "0\n0\n").unwrap();
    assert!(log.is_dormant());
    let first = log.log_start_offset();
    assert!((1..=4).contains(&first), "{first}");
    assert_eq!(
        contents(&log).first().map(|(offset, _)| *offset),
        Some(first)
    );
}

#[test]
fn retention_wakes_what_it_has_to() {
    let dir = tempfile::tempdir().unwrap();
    let (logs, log) = stopped(dir.path(), |_| {});
    assert_eq!(logs.apply_retention(NOW_MS + 1).unwrap(), 0);
    assert!(log.is_asleep());
    let after = NOW_MS + log.config().retention_ms + 1;
    assert!(logs.apply_retention(after).unwrap() > 0);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (6, 6));
}

#[test]
fn a_log_that_was_cut_since_its_clean_stop_is_recovered_on_first_use() {
    let dir = tempfile::tempdir().unwrap();
    let (_logs, log) = stopped(dir.path(), |_| {});
    let last = |suffix: &str| {
        let entries = std::fs::read_dir(dir.path().join("t-0")).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.to_string_lossy().ends_with(suffix));
        paths.sort();
        paths.pop().unwrap()
    };
    let file = std::fs::File::options()
        .write(true)
        .open(last(".log"))
        .unwrap();
    let size = file.metadata().unwrap().len();
    file.set_len(size - 7).unwrap();
    assert_eq!(log.log_end_offset(), 6, "nobody has looked yet");
    let mut rest = contents(&log);
    assert_eq!(rest.pop().map(|(offset, _)| offset), Some(4));
    assert_eq!((log.log_end_offset(), log.high_watermark()), (5, 5));
    assert_eq!(append(&log, produced(1, 5, &["value"])).first_offset, 5);
}

#[test]
fn a_deleted_log_is_not_made_anew_by_a_late_look() {
    let dir = tempfile::tempdir().unwrap();
    let (logs, log) = stopped(dir.path(), |_| {});
    logs.delete(&[tp()], || Uuid::from_u128(5), NOW_MS).unwrap();
    logs.remove_deleted(i64::MAX).unwrap();
    assert!(log.size().is_err());
    assert_eq!(log.log_start_offset(), 0);
    let left: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_type().unwrap().is_dir())
        .collect();
    assert!(!left.contains(&true), "no directory is left");
}

#[test]
fn a_log_is_recovered_alone_whose_recovery_point_is_wrong() {
    for wrong in [0, 3, 5, 9, 1000] {
        let dir = tempfile::tempdir().unwrap();
        let (logs, _) = stopped(dir.path(), |_| {});
        logs.shutdown(2).unwrap();
        drop(logs);
        let checkpoint = dir.path().join(checkpoints::RECOVERY_POINT);
        std::fs::write(&checkpoint, format!("0\n1\nt 0 {wrong}\n")).unwrap();
        let logs = manager(dir.path());
        let log = logs.log(&tp()).unwrap();
        log.commit_all().unwrap();
        assert_eq!(contents(&log).len(), 6, "recovery point {wrong}");
        assert_eq!((log.log_end_offset(), log.high_watermark()), (6, 6));
        let again = log.append_as_leader(produced(1, 5, &["x"]), AppendOrigin::Client, 3, NOW_MS);
        assert!(again.unwrap().duplicate, "recovery point {wrong}");
    }
}

#[test]
fn a_log_that_was_damaged_since_its_clean_stop_keeps_no_other_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let (logs, _) = stopped(dir.path(), |_| {});
    let other = TopicPartition::new("t", 1);
    logs.create(&other, Uuid::from_u128(8), None, small_segments(), NOW_MS)
        .unwrap();
    logs.shutdown(2).unwrap();
    drop(logs);
    for name in std::fs::read_dir(dir.path().join("t-0")).unwrap() {
        let path = name.unwrap().path();
        let name = path.to_string_lossy().into_owned();
        if name.ends_with(".log") {
            std::fs::write(&path, [0; 90]).unwrap();
        } else if name.contains("index") || name.ends_with(".snapshot") {
            std::fs::remove_file(&path).unwrap();
        }
    }
    std::fs::write(dir.path().join(checkpoints::RECOVERY_POINT), "0\n0\n").unwrap();
    let logs = manager(dir.path());
    assert_eq!(contents(&logs.log(&tp()).unwrap()).len(), 0);
    assert!(logs.log(&other).is_some());
}
