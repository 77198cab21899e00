//! Many logs in their directories.
use std::path::PathBuf;

use super::*;
use crate::protocol::Uuid;

fn manager(dirs: &[PathBuf]) -> LogManager {
    for dir in dirs {
        std::fs::create_dir_all(dir).unwrap();
    }
    LogManager::open(LogManagerConfig::new(dirs.to_vec(), NOW_MS), |_| {
        LogConfig::default()
    })
    .unwrap()
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn logs_are_created_kept_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let dirs = [dir.path().to_owned()];
    let logs = manager(&dirs);
    let tps: Vec<_> = (0..3)
        .map(|n| TopicPartition::new("some.topic", n))
        .collect();
    for tp in &tps {
        let log = logs
            .create(tp, id(9), None, LogConfig::default(), NOW_MS)
            .unwrap();
        append(&log, batch(&["v"]));
        log.set_high_watermark(1).unwrap();
    }
    let again = logs.create(&tps[0], id(9), None, LogConfig::default(), NOW_MS);
    assert!(matches!(again, Err(LogError::Exists(_))), "{again:?}");
    let held = logs.log(&tps[1]).unwrap();
    logs.delete(&tps[1..2], || id(5), NOW_MS).unwrap();
    assert!(logs.log(&tps[1]).is_none());
    assert_eq!(contents(&held).len(), 1, "readers may go on");
    let late = held.append_as_leader(batch(&["v"]), AppendOrigin::Client, 3, NOW_MS);
    assert!(
        matches!(late, Err(AppendError::Storage(LogError::Closed(_)))),
        "{late:?}"
    );
    let deleted = "some.topic-1.00000000000000000000000000000005-delete";
    assert!(names(dir.path()).contains(&deleted.to_owned()));
    logs.remove_deleted(NOW_MS + 59_999).unwrap();
    assert!(dir.path().join(deleted).exists());
    logs.remove_deleted(NOW_MS + 60_000).unwrap();
    assert!(!dir.path().join(deleted).exists());

    logs.shutdown(42).unwrap();
    let expected = [
        ".kafka_cleanshutdown",
        "log-start-offset-checkpoint",
        "recovery-point-offset-checkpoint",
        "replication-offset-checkpoint",
        "some.topic-0",
        "some.topic-2",
    ];
    assert_eq!(names(dir.path()), expected);
    let logs = manager(&dirs);
    assert_eq!(logs.previous_broker_epoch(), Some(42));
    assert!(
        !dir.path().join(".kafka_cleanshutdown").exists(),
        "a crash from here on is one"
    );
    let log = logs.log(&tps[2]).unwrap();
    assert_eq!((log.log_end_offset(), log.high_watermark()), (1, 1));
    assert_eq!(log.topic_id().unwrap(), Some(id(9)));
}

#[test]
fn an_unclean_stop_is_recovered_from_the_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let dirs = [dir.path().join("a"), dir.path().join("b")];
    let logs = manager(&dirs);
    let tps: Vec<_> = (0..4).map(|n| TopicPartition::new("t", n)).collect();
    for tp in &tps {
        let log = logs
            .create(tp, id(9), None, LogConfig::default(), NOW_MS)
            .unwrap();
        for _ in 0..5 {
            append(&log, batch(&["v"]));
        }
        log.set_high_watermark(5).unwrap();
        log.increment_log_start_offset(2).unwrap();
    }
    for dir in &dirs {
        assert_eq!(
            logs.logs()
                .iter()
                .filter(|log| log.dir().starts_with(dir))
                .count(),
            2
        );
    }
    logs.checkpoint_log_start_offsets().unwrap();
    logs.checkpoint_high_watermarks().unwrap();
    drop(logs);
    let logs = manager(&dirs);
    assert_eq!(logs.previous_broker_epoch(), None);
    for tp in &tps {
        let log = logs.log(tp).unwrap();
        let offsets = (
            log.log_start_offset(),
            log.high_watermark(),
            log.log_end_offset(),
        );
        assert_eq!(offsets, (2, 5, 5));
    }
}

#[test]
fn a_topic_made_anew_does_not_inherit_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let dirs = [dir.path().to_owned()];
    std::fs::write(
        dir.path().join(checkpoints::CLEANER),
        "0\n2\nother 0 7\nt 0 18\n",
    )
    .unwrap();
    let logs = manager(&dirs);
    let log = logs
        .create(&tp(), id(9), None, LogConfig::default(), NOW_MS)
        .unwrap();
    for _ in 0..5 {
        append(&log, batch(&["v"]));
    }
    log.set_high_watermark(5).unwrap();
    log.increment_log_start_offset(3).unwrap();
    logs.checkpoint_log_start_offsets().unwrap();
    logs.delete(&[tp()], || id(1), NOW_MS).unwrap();
    logs.create(&tp(), id(10), None, LogConfig::default(), NOW_MS)
        .unwrap();
    drop(logs);
    let logs = manager(&dirs);
    let log = logs.log(&tp()).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, 0));
    assert_eq!(log.topic_id().unwrap(), Some(id(10)));
    let cleaner = std::fs::read_to_string(dir.path().join(checkpoints::CLEANER)).unwrap();
    assert_eq!(cleaner, "0\n1\nother 0 7\n");
}

#[test]
fn a_partition_in_two_directories_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dirs = [dir.path().join("a"), dir.path().join("b")];
    for dir in &dirs {
        std::fs::create_dir_all(dir.join("t-0")).unwrap();
    }
    let config = LogManagerConfig::new(dirs.to_vec(), NOW_MS);
    let error = LogManager::open(config, |_| LogConfig::default()).unwrap_err();
    assert!(matches!(error, LogError::Duplicate { .. }), "{error}");
}

#[test]
fn a_stray_log_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let dirs = [dir.path().to_owned()];
    let logs = manager(&dirs);
    logs.create(&tp(), id(9), None, LogConfig::default(), NOW_MS)
        .unwrap();
    logs.set_aside_stray(&tp(), id(3)).unwrap();
    let name = "t-0.00000000000000000000000000000003-stray";
    assert!(dir.path().join(name).exists());
    drop(logs);
    let logs = manager(&dirs);
    assert_eq!(logs.logs().len(), 0);
    logs.remove_deleted(i64::MAX).unwrap();
    assert!(dir.path().join(name).exists(), "never removed by us");
}
