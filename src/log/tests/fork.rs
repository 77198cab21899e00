//! Forks of a log directory, and what a log does with files that have other names.
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::log::checkpoints::{self, RECOVERY_POINT};
use crate::log::fork::{Forked, fork};
use crate::log::storage::RealDisk;

const RECORDS: usize = 60;

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 600,
        ..LogConfig::default()
    }
}

/// A log directory of several segments, closed in order.
fn closed(dir: &Path) -> Vec<(i64, String)> {
    let log = open(dir, config());
    for n in 0..RECORDS {
        append(&log, batch(&[&format!("value {n}")]));
    }
    log.commit_all().unwrap();
    let held = contents(&log);
    log.close(true).unwrap();
    let recovered = [(tp(), RECORDS as i64)].into();
    checkpoints::write(&RealDisk, &dir.join(RECOVERY_POINT), &recovered).unwrap();
    held
}

fn reopened(dir: &Path) -> Log {
    let options = LogOptions {
        clean: true,
        recovery_point: Some(RECORDS as i64),
        ..LogOptions::new(NOW_MS)
    };
    Log::open(&dir.join("t-0"), tp(), config(), options).unwrap()
}

/// Every file below `dir` with its bytes and its time.
fn files(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
            files.insert(path.clone(), (std::fs::read(&path).unwrap(), modified));
        }
    }
    files
}

fn logs(dir: &Path) -> usize {
    let names = std::fs::read_dir(dir.join("t-0")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".log")).count()
}

#[test]
fn a_fork_holds_what_its_original_does_and_goes_its_own_way() {
    let (original, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let held = closed(original.path());
    let before = files(original.path());
    let forked: Forked = fork(original.path(), copy.path()).unwrap();
    // All but the active segment, which is the last.
    assert_eq!(forked.shared_files, logs(original.path()) as u64 - 1);
    assert!(forked.shared_files > 3, "{forked:?}");

    let log = reopened(copy.path());
    assert_eq!(contents(&log), held);
    append(&log, batch(&["goes on"]));
    // In a segment that is shared.
    log.truncate_to(9).unwrap();
    append(&log, batch(&["another ninth"]));
    log.close(true).unwrap();
    let found = contents(&reopened(copy.path()));
    assert_eq!(found[..9], held[..9]);
    assert_eq!(found[9..], [(9, "another ninth".to_owned())]);
    assert_eq!(files(original.path()), before);
}

#[test]
fn only_what_is_wholly_below_the_recovery_point_is_shared() {
    let (original, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    closed(original.path());
    let path = original.path().join(RECOVERY_POINT);
    for (recovery_point, shared) in [(None, 0), (Some(0), 0), (Some(5), 0)] {
        match recovery_point {
            Some(offset) => {
                checkpoints::write(&RealDisk, &path, &[(tp(), offset)].into()).unwrap();
            }
            None => std::fs::remove_file(&path).unwrap(),
        }
        let target = copy.path().join(format!("{recovery_point:?}"));
        std::fs::create_dir(&target).unwrap();
        let forked = fork(original.path(), &target).unwrap();
        assert_eq!(forked.shared_files, shared, "{recovery_point:?}");
    }
}

#[test]
fn a_log_file_with_another_name_is_copied_before_it_is_written_to() {
    let (original, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let held = closed(original.path());
    for entry in std::fs::read_dir(original.path().join("t-0")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|suffix| suffix == "log") {
            std::fs::hard_link(&path, backup.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let before = files(backup.path());
    let log = reopened(original.path());
    append(&log, batch(&["goes on"]));
    assert_eq!(contents(&log)[..RECORDS], held);
    log.close(true).unwrap();
    assert_eq!(files(backup.path()), before);
}
