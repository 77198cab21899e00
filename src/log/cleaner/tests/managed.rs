//! The choice among many logs, checkpoints, pauses, deletion, damage, changes of the policy.
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;
use crate::log::checkpoints;
use crate::log::cleaner::{Cleaned, CleaningState};
use crate::log::storage::RealDisk;
use crate::log::{LogManager, LogManagerConfig};
use crate::protocol::Uuid;

fn manager(dir: &Path) -> LogManager {
    let config_of = |_: &str| config();
    LogManager::open(
        LogManagerConfig::new(vec![dir.to_owned()], NOW_MS),
        config_of,
    )
    .unwrap()
}

fn create(logs: &LogManager, partition: i32, config: LogConfig) -> std::sync::Arc<Log> {
    let tp = TopicPartition::new("t", partition);
    logs.create(&tp, Uuid::from_u128(9), None, config, NOW_MS)
        .unwrap()
}

fn clean(logs: &LogManager, now_ms: i64) -> Option<Cleaned> {
    let mut cleaner = Cleaner::default();
    logs.clean_filthiest(&mut cleaner, &AMPLE, 1, &Unwatched, now_ms)
        .unwrap()
}

/// `segments` segments of which all but the last are closed.
fn fill(log: &Log, segments: usize) {
    for n in 0..segments {
        put(log, &[("a", Some("x")), (&format!("{n}"), Some("y"))]);
        log.roll(NOW_MS).unwrap();
    }
}

fn checkpoint(dir: &Path) -> Vec<(String, i64)> {
    let offsets = checkpoints::read(&RealDisk, &dir.join(checkpoints::CLEANER)).unwrap();
    offsets
        .iter()
        .map(|(tp, at)| (tp.to_string(), *at))
        .collect()
}

#[test]
fn the_filthiest_log_is_cleaned_first_and_each_once() {
    let dir = tempfile::tempdir().unwrap();
    let logs = manager(dir.path());
    let ratio = |ratio| LogConfig {
        min_cleanable_dirty_ratio: ratio,
        ..config()
    };
    let logs_of: Vec<_> = (0..3).map(|n| create(&logs, n, ratio(0.3))).collect();
    fill(&logs_of[0], 4);
    fill(&logs_of[1], 4);
    let cleaned = clean(&logs, NOW_MS).unwrap();
    assert_eq!(cleaned.tp, TopicPartition::new("t", 0));
    assert_eq!(
        (cleaned.stats.start_offset, cleaned.stats.end_offset),
        (0, 8)
    );
    fill(&logs_of[0], 2);
    assert_eq!(
        clean(&logs, NOW_MS).unwrap().tp.partition,
        1,
        "all of it is dirty"
    );
    assert_eq!(clean(&logs, NOW_MS).unwrap().tp.partition, 0);
    assert_eq!(clean(&logs, NOW_MS), None);
    assert_eq!(
        checkpoint(dir.path()),
        [("t-0".to_owned(), 12), ("t-1".to_owned(), 8)]
    );
    logs.shutdown(1).unwrap();
    drop(logs);
    let logs = manager(dir.path());
    assert_eq!(
        logs.cleaner_checkpoint(&TopicPartition::new("t", 1)),
        Some(8)
    );
    assert_eq!(clean(&logs, NOW_MS), None, "known to be clean");
}

#[test]
fn a_change_of_the_policy_counts_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let logs = manager(dir.path());
    let deleting = LogConfig {
        compact: false,
        delete: true,
        ..config()
    };
    let log = create(&logs, 0, deleting);
    fill(&log, 4);
    assert_eq!(clean(&logs, NOW_MS), None);
    log.set_config(config());
    assert!(clean(&logs, NOW_MS).is_some());
    let late = NOW_MS + 1000 * config().retention_ms;
    assert_eq!(logs.apply_retention(late).unwrap(), 0, "it is compacted");
    assert_eq!(logs.retain_compacted(late).unwrap(), 0, "and no more");
    log.set_config(LogConfig {
        delete: true,
        ..config()
    });
    assert_eq!(
        logs.apply_retention(late).unwrap(),
        0,
        "that is the cleaner's"
    );
    assert_eq!(logs.retain_compacted(late).unwrap(), 1);
    assert_eq!(log.log_start_offset(), 8);
    // The log starts behind what is known to be clean; nobody minds.
    fill(&log, 1);
    assert_eq!(clean(&logs, NOW_MS).unwrap().stats.start_offset, 8);
}

#[test]
fn lags_delay_and_force_a_cleaning() {
    let dir = tempfile::tempdir().unwrap();
    let logs = manager(dir.path());
    let log = create(&logs, 0, config());
    fill(&log, 4);
    log.set_config(LogConfig {
        min_compaction_lag_ms: 5000,
        ..config()
    });
    assert_eq!(clean(&logs, NOW_MS + 4000), None);
    log.set_config(LogConfig {
        min_cleanable_dirty_ratio: 1.0,
        max_compaction_lag_ms: 9000,
        ..config()
    });
    assert_eq!(clean(&logs, NOW_MS + 8000), None);
    let cleaned = clean(&logs, NOW_MS + 10_000).unwrap();
    assert_eq!(
        cleaned.overdue_ms,
        10_000 - 9000 - 1,
        "the batch's last record counts"
    );
}

#[test]
fn damage_is_told_with_its_place_and_the_log_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let logs = manager(dir.path());
    let log = create(&logs, 0, config());
    put(&log, &[("a", Some("x"))]);
    let at = log.size().unwrap() as usize;
    put(&log, &[("a", Some("y"))]);
    log.roll(NOW_MS).unwrap();
    let path = dir.path().join("t-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(clean(&logs, NOW_MS), None);
    let (tp, reason) = logs.uncleanable_partitions().remove(0);
    assert_eq!(tp, self::tp());
    let expected = format!(
        "{}: damaged at position {at}: record is corrupt",
        path.display()
    );
    assert!(reason.starts_with(&expected), "{reason}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing is changed");
    assert_eq!(clean(&logs, NOW_MS), None);
    // Others are cleaned on, and so is a new one of its name.
    let other = create(&logs, 1, config());
    fill(&other, 2);
    assert_eq!(clean(&logs, NOW_MS).unwrap().tp.partition, 1);
    logs.delete(&[tp], || Uuid::from_u128(5), NOW_MS).unwrap();
    let again = create(&logs, 0, config());
    fill(&again, 2);
    assert_eq!(clean(&logs, NOW_MS).unwrap().tp.partition, 0);
    assert!(logs.uncleanable_partitions().is_empty());
}

#[test]
fn a_checkpoint_past_the_end_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let logs = manager(dir.path());
    let log = create(&logs, 0, config());
    fill(&log, 4);
    assert!(clean(&logs, NOW_MS).is_some());
    log.truncate_to(3).unwrap();
    log.roll(NOW_MS).unwrap();
    assert_eq!(clean(&logs, NOW_MS).unwrap().stats.start_offset, 0);
    let end = log.log_end_offset();
    assert_eq!(checkpoint(dir.path()), [("t-0".to_owned(), end)]);
    logs.cap_cleaner_checkpoint(&tp(), end + 1).unwrap();
    assert_eq!(logs.cleaner_checkpoint(&tp()), Some(end));
    logs.cap_cleaner_checkpoint(&tp(), 1).unwrap();
    assert_eq!(checkpoint(dir.path()), [("t-0".to_owned(), 1)]);
    // A start finds a log that a crash made shorter than it was when it was cleaned.
    drop(logs);
    let file = dir.path().join(checkpoints::CLEANER);
    std::fs::write(&file, "0\n2\nt 0 77\nu 0 5\n").unwrap();
    let logs = manager(dir.path());
    assert_eq!(logs.cleaner_checkpoint(&tp()), Some(end));
    // What cannot be read is taken for nothing.
    drop(logs);
    std::fs::write(&file, "0\nnonsense").unwrap();
    let logs = manager(dir.path());
    assert_eq!(logs.cleaner_checkpoint(&tp()), None);
}

/// Does something at the `at`-th pass.
struct Interfering<F: Fn() -> bool + Send + Sync> {
    left: AtomicUsize,
    act: F,
}

impl<F: Fn() -> bool + Send + Sync> Supervisor for Interfering<F> {
    fn pass(&self, _tp: &TopicPartition, _bytes: usize) -> bool {
        self.left.fetch_sub(1, SeqCst) != 1 || (self.act)()
    }
}

/// Cleans with `act` at every of its passes in turn, on a new log each; gives what came of it.
fn interfere(act: impl Fn(&LogManager, &Log) -> bool + Send + Sync, check: impl Fn(&LogManager)) {
    for at in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let logs = manager(dir.path());
        let log = create(&logs, 0, config());
        fill(&log, 30);
        let supervisor = Interfering {
            left: AtomicUsize::new(at),
            act: || act(&logs, &log),
        };
        let mut cleaner = Cleaner::default();
        let cleaned = logs.clean_filthiest(&mut cleaner, &AMPLE, 1, &supervisor, NOW_MS);
        let cleaned = cleaned.unwrap();
        if supervisor.left.load(SeqCst) > 0 && at > 10 {
            assert!(cleaned.is_some());
            return;
        }
        assert_eq!(cleaned, None, "pass {at}");
        assert_eq!(logs.cleaning_state(&tp()), None);
        check(&logs);
        let left = std::fs::read_dir(log.dir()).unwrap();
        for name in left.map(|e| e.unwrap().file_name().into_string().unwrap()) {
            assert!(
                !name.ends_with(".cleaned") && !name.ends_with(".swap"),
                "{name}"
            );
        }
    }
}

#[test]
fn a_deletion_ends_a_cleaning() {
    let delete = |logs: &LogManager, _: &Log| {
        logs.delete(&[tp()], || Uuid::from_u128(5), NOW_MS).unwrap();
        true
    };
    interfere(delete, |logs| {
        assert_eq!(logs.cleaner_checkpoint(&tp()), None);
        assert!(logs.uncleanable_partitions().is_empty());
    });
}

#[test]
fn a_stop_ends_a_cleaning() {
    let stop = |_: &LogManager, _: &Log| false;
    interfere(stop, |logs| {
        let log = logs.log(&tp()).unwrap();
        assert_eq!(consumed(&log).len(), 31);
        assert!(clean(logs, NOW_MS).is_some());
        assert_eq!(consumed(&log).len(), 31);
    });
}

#[test]
fn a_paused_log_is_not_cleaned() {
    let dir = tempfile::tempdir().unwrap();
    let logs = manager(dir.path());
    let log = create(&logs, 0, config());
    fill(&log, 4);
    logs.abort_and_pause_cleaning(&tp());
    assert_eq!(logs.cleaning_state(&tp()), Some(CleaningState::Paused(1)));
    assert_eq!(clean(&logs, NOW_MS), None);
    logs.resume_cleaning(&tp());
    assert!(clean(&logs, NOW_MS).is_some());
}

/// Readers and writers go on while the segments under them are replaced.
#[test]
fn reads_and_appends_go_on_beside_a_cleaning() {
    let dir = tempfile::tempdir().unwrap();
    let logs = manager(dir.path());
    let log = create(&logs, 0, config());
    fill(&log, 20);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = fastrand::Rng::with_seed(3);
            while !done.load(SeqCst) {
                let offset = random.i64(0..log.log_end_offset());
                let read = log.read(offset, 500, ReadLimit::LogEnd, true).unwrap();
                let bytes = read.slice.map(|slice| slice.to_vec().unwrap());
                let bytes = bytes.unwrap_or_default();
                let first = BatchView::first(&bytes).unwrap();
                let first = first.expect("there is always a batch behind an offset");
                first.check_crc().unwrap();
                assert!(first.last_offset() >= offset);
                log.size().unwrap();
                log.flush(NOW_MS).unwrap();
            }
        });
        for round in 0..40 {
            fill(&log, 4);
            let cleaned = clean(&logs, NOW_MS);
            assert!(cleaned.is_some() || round > 0);
        }
        done.store(true, SeqCst);
    });
    assert_eq!(consumed(&log).len(), 21);
}
