//! Damage in the middle of a log that is in use.
use super::*;

const BATCHES: usize = 60;

/// A closed log of single-record batches with one part overwritten; the position of each batch.
fn damaged(dir: &Path, damage: impl FnOnce(&mut [u8], &[usize])) -> Log {
    let config = LogConfig {
        index_interval_bytes: 300,
        ..LogConfig::default()
    };
    let log = open(dir, config.clone());
    for n in 0..BATCHES {
        append(&log, batch(&[&format!("value {n}")]));
    }
    log.commit_all().unwrap();
    log.close(true).unwrap();
    let path = dir.join("t-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    let mut positions = Vec::new();
    let mut at = 0;
    for batch in batches(&bytes) {
        positions.push(at);
        at += batch.unwrap().size();
    }
    damage(&mut bytes, &positions);
    std::fs::write(&path, bytes).unwrap();
    let options = LogOptions {
        clean: true,
        recovery_point: Some(BATCHES as i64),
        ..LogOptions::new(NOW_MS)
    };
    Log::open(&dir.join("t-0"), tp(), config, options).unwrap()
}

/// The offsets whose batch can be fetched, and those for which damage is reported.
fn fetch_each(log: &Log) -> (Vec<i64>, Vec<i64>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for offset in 0..BATCHES as i64 {
        match log.read(offset, 1, ReadLimit::LogEnd, true) {
            Ok(read) => {
                let bytes = read.slice.unwrap().to_vec().unwrap();
                let first = batches(&bytes).next().unwrap().unwrap();
                assert_eq!(first.base_offset(), offset);
                // A length that could be right is noticed by the client, as in Kafka, or by a walk
                // to what lies behind.
                match first.check_crc() {
                    Ok(()) => good.push(offset),
                    Err(_) => bad.push(offset),
                }
            }
            Err(ReadError::Corrupt { .. }) => bad.push(offset),
            Err(e) => panic!("{offset}: {e}"),
        }
    }
    (good, bad)
}

#[test]
fn what_lies_behind_a_damaged_header_can_be_read() {
    // Of every batch in turn: magic, length far too long, length too short.
    let damages: [fn(&mut [u8]); 3] = [
        |header| header[16] = 9,
        |header| header[8..12].fill(0x7f),
        |header| header[8..12].copy_from_slice(&50_i32.to_be_bytes()),
    ];
    for (kind, damage) in damages.into_iter().enumerate() {
        for n in [0, 1, 7, 30, 31, 32, 33, 34, 35, 36] {
            let dir = tempfile::tempdir().unwrap();
            let log = damaged(dir.path(), |bytes, at| damage(&mut bytes[at[n]..]));
            let (good, bad) = fetch_each(&log);
            assert_eq!(bad, [n as i64], "damage {kind} of {n}");
            assert_eq!(good.len(), BATCHES - 1);
            // Once it is known, a large fetch ends before it and goes on behind it.
            let fetched = |offset| {
                let read = log.read(offset, 1 << 20, ReadLimit::LogEnd, true);
                let bytes = read.unwrap().slice.unwrap().to_vec().unwrap();
                batches(&bytes)
                    .map(|b| b.unwrap().check_crc().unwrap())
                    .count()
            };
            assert_eq!(fetched(n as i64 + 1), BATCHES - n - 1);
            if n > 0 && kind < 2 {
                assert_eq!(fetched(0), n, "damage {kind} of {n}");
            }
        }
    }
}

#[test]
fn several_damaged_places_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let log = damaged(dir.path(), |bytes, at| {
        bytes[at[5]..at[8]].fill(0);
        bytes[at[40] + 16] = 7;
        let end = bytes.len();
        bytes[at[50] + 3..end - 400].fill(0xff);
    });
    let (good, bad) = fetch_each(&log);
    let known = |offset: &i64| [5, 6, 7, 40].contains(offset) || *offset >= 50;
    assert!(bad.iter().all(known), "{bad:?}");
    let expected = [5, 6, 7, 40, 50, 51, 52];
    assert!(bad.starts_with(&expected), "{bad:?}");
    assert!(good.contains(&(BATCHES as i64 - 1)), "{good:?}");
}

/// A closed log of many segments, of which the first is nothing but damage; the path of that one.
fn damaged_at_first(dir: &Path) -> (LogConfig, PathBuf) {
    let config = LogConfig {
        segment_bytes: 400,
        ..LogConfig::default()
    };
    let log = open(dir, config.clone());
    for n in 0..BATCHES {
        append(&log, batch(&[&format!("value {n}")]));
    }
    log.commit_all().unwrap();
    log.close(true).unwrap();
    let path = dir.join("t-0/00000000000000000000.log");
    let len = std::fs::metadata(&path).unwrap().len() as usize;
    std::fs::write(&path, vec![0x7f; len]).unwrap();
    (config, path)
}

#[test]
fn nothing_below_the_log_start_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    // The records deleted and their segments still there, as a crash leaves them.
    let (config, path) = damaged_at_first(dir.path());
    let options = LogOptions {
        clean: true,
        recovery_point: Some(BATCHES as i64),
        log_start_offset: Some(40),
        ..LogOptions::new(NOW_MS)
    };
    let log = Log::open(&dir.path().join("t-0"), tp(), config, options).unwrap();
    for what in [ListOffset::Timestamp(0), ListOffset::MaxTimestamp] {
        let found = log.list_offset(what, ReadLimit::LogEnd).unwrap().unwrap();
        assert_eq!(found.offset, 40, "{what:?}");
    }
    log.set_high_watermark(log.log_end_offset()).unwrap();
    assert!(log.apply_retention(NOW_MS).unwrap() > 0);
    assert!(!path.exists());
}

/// After a crash that took all that could spare the look at it.
fn crashed(dir: &Path, config: LogConfig, log_start_offset: i64) -> Log {
    for entry in std::fs::read_dir(dir.join("t-0")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".snapshot") || name == "leader-epoch-checkpoint" {
            std::fs::remove_file(path).unwrap();
        }
    }
    let options = LogOptions {
        recovery_point: Some(BATCHES as i64),
        log_start_offset: Some(log_start_offset),
        ..LogOptions::new(NOW_MS)
    };
    Log::open(&dir.join("t-0"), tp(), config, options).unwrap()
}

#[test]
fn deleted_segments_that_a_crash_brings_back_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (config, path) = damaged_at_first(dir.path());
    let log = crashed(dir.path(), config, 40);
    assert!(!path.exists());
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (40, 60));
    let expected: Vec<_> = (40..60).map(|n| (n, format!("value {n}"))).collect();
    assert_eq!(contents(&log), expected);
}

#[test]
fn damage_that_recovery_meets_leaves_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let (config, path) = damaged_at_first(dir.path());
    let log = crashed(dir.path(), config, 0);
    assert!(path.exists());
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, 60));
    for offset in [10, 30, 59] {
        let read = log.read(offset, 1, ReadLimit::LogEnd, true).unwrap();
        let bytes = read.slice.unwrap().to_vec().unwrap();
        let first = batches(&bytes).next().unwrap().unwrap();
        assert_eq!((first.base_offset(), first.check_crc()), (offset, Ok(())));
    }
}
