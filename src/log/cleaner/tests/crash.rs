//! Faults of the disk while a log is cleaned: no record that counts is lost, none comes back.
use std::path::PathBuf;
use std::sync::Arc;

use super::history::History;
use super::*;
use crate::log::storage::faulty::FaultyDisk;

/// A log with several segments, transactions of both fates among them, and what it should become.
struct Case {
    dir: tempfile::TempDir,
    state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The records left by an undisturbed cleaning.
    cleaned: Vec<Stored>,
    now_ms: i64,
}

impl Case {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path(), config());
        let mut history = History::new(seed);
        let mut clean = 0;
        for _ in 0..2 {
            (0..12).for_each(|_| history.step(&log));
            history.end_all(&log);
            log.roll(history.now_ms).unwrap();
            if clean == 0 {
                clean = log.log_end_offset();
                clean_from(&log, 0, &AMPLE, history.now_ms).unwrap();
            }
        }
        let state = consumed(&log);
        log.close(true).unwrap();
        drop(log);
        let now_ms = history.now_ms + 2000;
        let copy = copy_of(&dir);
        let log = open(copy.path(), config());
        log.commit_all().unwrap();
        clean_from(&log, 0, &AMPLE, now_ms).unwrap().unwrap();
        let cleaned = records(&log);
        assert_eq!(consumed(&log), state);
        Self {
            dir,
            state,
            cleaned,
            now_ms,
        }
    }

    fn open_on(&self, dir: &Path, disk: &Arc<FaultyDisk>, clean: bool) -> Result<Log, String> {
        let options = LogOptions {
            disk: disk.clone(),
            clean,
            ..LogOptions::new(NOW_MS)
        };
        let log = Log::open(&dir.join("t-0"), tp(), config(), options);
        log.map_err(|e| e.to_string())
    }

    /// Whatever happened, the log opens, tells the same, and can be cleaned to the same end.
    fn check(&self, dir: &Path, clean: bool, context: &str) {
        let disk = Arc::new(FaultyDisk::default());
        let log = self.open_on(dir, &disk, clean).expect(context);
        log.commit_all().unwrap();
        stored(&log);
        assert_eq!(consumed(&log), self.state, "{context}");
        let end = log.log_end_offset();
        for offset in (log.log_start_offset()..end).step_by(5) {
            let read = log.read(offset, 1, ReadLimit::LogEnd, true).unwrap();
            let bytes = read.slice.unwrap().to_vec().unwrap();
            let batch = BatchView::first(&bytes).unwrap().unwrap();
            assert!(batch.last_offset() >= offset, "{context}");
        }
        for name in names(&log.dir()) {
            let left = [".cleaned", ".swap"].iter().any(|end| name.ends_with(end));
            assert!(!left, "{context}: {name} is left behind");
        }
        clean_from(&log, 0, &AMPLE, self.now_ms).unwrap();
        assert_eq!(records(&log), self.cleaned, "{context}");
        assert_eq!(consumed(&log), self.state, "{context}");
    }
}

/// The records of a log. Its markers are another matter: those whose records went with the first
/// of two cleanings are marked with a horizon by the second.
fn records(log: &Log) -> Vec<Stored> {
    let data = stored(log).into_iter().filter(|batch| !batch.control);
    data.flat_map(|batch| batch.records).collect()
}

fn names(dir: &Path) -> Vec<String> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn copy_of(dir: &tempfile::TempDir) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let (from, to): (PathBuf, PathBuf) = (dir.path().join("t-0"), copy.path().join("t-0"));
    std::fs::create_dir(&to).unwrap();
    for name in names(&from) {
        std::fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
    copy
}

/// Cleans on a disk with a fault at the `at`-th operation; whether it struck.
fn clean_with_fault(case: &Case, dir: &Path, at: i64, for_good: bool) -> bool {
    let disk = Arc::new(FaultyDisk::default());
    let log = case.open_on(dir, &disk, false).unwrap();
    log.commit_all().unwrap();
    if for_good {
        disk.crash_at(at);
    } else {
        disk.fail_once_at(at);
    }
    let result = clean_from(&log, 0, &AMPLE, case.now_ms);
    let struck = disk.struck();
    disk.heal();
    if !struck {
        result.unwrap();
        return false;
    }
    if result.is_ok() {
        // What only takes room may fail unnoticed.
        assert_eq!(consumed(&log), case.state, "fault at {at}");
    }
    true
}

#[test]
fn a_crash_at_any_operation_of_a_cleaning_does_no_harm() {
    for seed in 0..2 {
        let case = Case::new(seed);
        let mut at = 0;
        loop {
            let dir = copy_of(&case.dir);
            let struck = clean_with_fault(&case, dir.path(), at, true);
            let copy = copy_of(&dir);
            case.check(dir.path(), false, &format!("seed {seed}, crash at {at}"));
            case.check(
                copy.path(),
                true,
                &format!("seed {seed}, crash at {at}, clean start"),
            );
            if !struck {
                break;
            }
            at += 1;
        }
        assert!(at > 30, "only {at} operations were tried");
    }
}

#[test]
fn a_crash_while_a_start_completes_a_cleaning_does_no_harm() {
    let case = Case::new(7);
    let mut crashes = 0;
    for at in 0.. {
        let dir = copy_of(&case.dir);
        if !clean_with_fault(&case, dir.path(), at, true) {
            break;
        }
        if !names(&dir.path().join("t-0"))
            .iter()
            .any(|name| name.ends_with(".swap"))
        {
            continue;
        }
        for again in 0..200 {
            let copy = copy_of(&dir);
            let disk = Arc::new(FaultyDisk::default());
            disk.crash_at(again);
            let opened = case.open_on(copy.path(), &disk, again % 2 == 0);
            if opened.is_ok() && !disk.struck() {
                break;
            }
            crashes += 1;
            case.check(
                copy.path(),
                true,
                &format!("crash at {at}, again at {again}"),
            );
        }
    }
    assert!(crashes > 20, "{crashes}");
}

#[test]
fn a_single_failure_anywhere_aborts_a_cleaning_and_no_more() {
    let case = Case::new(1);
    let mut at = 0;
    loop {
        let dir = copy_of(&case.dir);
        let struck = clean_with_fault(&case, dir.path(), at, false);
        case.check(dir.path(), false, &format!("failure at {at}"));
        if !struck {
            break;
        }
        at += 1;
    }
    assert!(at > 30, "only {at} operations were tried");
}
