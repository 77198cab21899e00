//! Moves between log directories, and crashes in every step of them.
use std::path::PathBuf;

use super::*;
use crate::log::storage::RealDisk;
use crate::log::storage::faulty::FaultyDisk;
use crate::protocol::Uuid;

const RECORDS: usize = 30;

fn manager(dirs: &[PathBuf; 2], disk: Arc<dyn Disk>) -> Result<LogManager, LogError> {
    let config = LogManagerConfig {
        disk,
        ..LogManagerConfig::new(dirs.to_vec(), NOW_MS)
    };
    LogManager::open(config, |_| LogConfig::default())
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn values() -> Vec<(i64, String)> {
    numbered((0..RECORDS).map(|n| format!("v{n}")))
}

/// Two directories, the log in the first.
fn filled(root: &Path) -> [PathBuf; 2] {
    let dirs = ["a", "b"].map(|name| root.join(name));
    dirs.iter()
        .for_each(|dir| std::fs::create_dir(dir).unwrap());
    let logs = manager(&dirs, Arc::new(RealDisk)).unwrap();
    let config = LogConfig {
        segment_bytes: 500,
        ..LogConfig::default()
    };
    let log = logs
        .create(&tp(), id(9), Some(&dirs[0]), config, NOW_MS)
        .unwrap();
    for (_, value) in values() {
        append(&log, batch(&[&value]));
    }
    log.commit_all().unwrap();
    drop(log);
    logs.shutdown(1).unwrap();
    dirs
}

fn copy_all(logs: &LogManager) -> Result<(), MoveError> {
    while logs.copy_on(&tp(), NOW_MS)? > 0 {}
    Ok(())
}

fn move_to(logs: &LogManager, dir: &Path) -> Result<(), MoveError> {
    logs.create_future(&tp(), dir, id(5), NOW_MS)?;
    copy_all(logs)?;
    logs.replace_with_future(&tp(), id(6), NOW_MS).map(drop)
}

#[test]
fn a_moved_log_goes_on_where_it_was() {
    let root = tempfile::tempdir().unwrap();
    let dirs = filled(root.path());
    let logs = manager(&dirs, Arc::new(RealDisk)).unwrap();
    let old = logs.log(&tp()).unwrap();
    old.increment_log_start_offset(4).unwrap();
    append(&old, produced(7, 0, &["p"]));
    old.commit_all().unwrap();
    let (epochs, producers) = (old.epoch_entries().unwrap(), old.producers().unwrap());
    move_to(&logs, &dirs[1]).unwrap();
    assert_eq!(logs.dir_of(&tp()), Some(dirs[1].as_path()));
    let late = old.append_as_leader(batch(&["late"]), AppendOrigin::Client, 3, NOW_MS);
    assert!(late.is_err(), "appended to what is deleted: {late:?}");
    let new = logs.log(&tp()).unwrap();
    assert_eq!((new.log_start_offset(), new.high_watermark()), (4, 31));
    assert_eq!(new.epoch_entries().unwrap()[0].epoch, epochs[0].epoch);
    assert_eq!(new.producers().unwrap(), producers);
    assert_eq!(new.topic_id().unwrap(), Some(id(9)));
    append(&new, batch(&["next"]));
    assert_eq!(contents(&new).last(), Some(&(31, "next".to_owned())));
    let first = |dir: &Path| {
        std::fs::read_dir(dir)
            .unwrap()
            .filter(|entry| {
                let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
                name.starts_with("t-0")
            })
            .count()
    };
    assert_eq!(first(&dirs[0]), 1, "waits for its deletion");
    logs.remove_deleted(i64::MAX).unwrap();
    assert_eq!((first(&dirs[0]), first(&dirs[1])), (0, 1));
}

#[test]
fn a_log_that_is_trimmed_while_it_is_copied_is_overtaken() {
    let root = tempfile::tempdir().unwrap();
    let dirs = filled(root.path());
    let logs = manager(&dirs, Arc::new(RealDisk)).unwrap();
    logs.create_future(&tp(), &dirs[1], id(5), NOW_MS).unwrap();
    let log = logs.log(&tp()).unwrap();
    log.set_high_watermark(RECORDS as i64).unwrap();
    log.increment_log_start_offset(20).unwrap();
    let overtaken = copy_all(&logs);
    assert!(
        matches!(overtaken, Err(MoveError::Overtaken(_))),
        "{overtaken:?}"
    );
    logs.abandon_future(&tp()).unwrap();
    move_to(&logs, &dirs[1]).unwrap();
    assert_eq!(contents(&logs.log(&tp()).unwrap()), values()[20..]);
}

#[test]
fn a_crash_in_any_step_loses_and_doubles_nothing() {
    let mut done = false;
    for n in 0.. {
        let root = tempfile::tempdir().unwrap();
        let dirs = filled(root.path());
        let disk = Arc::new(FaultyDisk::default());
        let logs = manager(&dirs, disk.clone()).unwrap();
        disk.crash_at(n);
        let moved = move_to(&logs, &dirs[1]);
        let struck = disk.struck();
        drop(logs);
        assert!(struck || moved.is_ok(), "step {n}: {moved:?}");

        let logs = manager(&dirs, Arc::new(RealDisk)).unwrap();
        let log = logs.log(&tp());
        let log = log.unwrap_or_else(|| panic!("step {n}: the log is gone"));
        assert_eq!(contents(&log), values(), "step {n}");
        append(&log, batch(&["more"]));
        for found in logs.found_futures() {
            if logs.resume_future(&found, NOW_MS).unwrap() {
                copy_all(&logs).unwrap();
                logs.replace_with_future(&tp(), id(7), NOW_MS).unwrap();
                assert_eq!(logs.dir_of(&tp()), Some(dirs[1].as_path()));
            }
        }
        let log = logs.log(&tp()).unwrap();
        let expected = (RECORDS as i64, "more".to_owned());
        assert_eq!(contents(&log).last(), Some(&expected), "step {n}");
        logs.remove_deleted(i64::MAX).unwrap();
        let live = dirs.iter().filter(|dir| dir.join("t-0").exists()).count();
        assert_eq!(live, 1, "step {n}");
        if !struck {
            done = true;
            break;
        }
    }
    assert!(done);
}
