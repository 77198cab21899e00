//! What genuine Kafka 4.3.1 made of segments that it left beside, waiting for their deletion: from
//! the same we make the same.
use std::path::PathBuf;
use std::process::Command;

use super::*;

/// Lays out a fixture's partition as it was before genuine Kafka cleaned it last, with the segments
/// at `bases` as they were; gives what it made of them.
fn before_cleaning(partition: &str, bases: &[i64], into: &Path) -> Vec<StoredBatch> {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clean");
    let unpacked = tempfile::tempdir().unwrap();
    let tar = Command::new("tar")
        .arg("xSzf")
        .arg(source.join("data.tar.gz"))
        .arg("-C")
        .arg(unpacked.path())
        .status()
        .expect("tar is needed to unpack the fixtures");
    assert!(tar.success());
    let from = unpacked.path().join("data").join(partition);
    let to = into.join("t-0");
    std::fs::create_dir(&to).unwrap();
    let mut names: Vec<String> = std::fs::read_dir(&from)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    // A deleted file after the one that took its place.
    names.sort();
    for name in names {
        let was = name.strip_suffix(".deleted").unwrap_or(&name);
        let base = was.split('.').next().and_then(|base| base.parse().ok());
        // Others went with earlier cleanings.
        if was != name && !base.is_some_and(|base: i64| bases.contains(&base)) {
            continue;
        }
        std::fs::copy(from.join(&name), to.join(was)).unwrap();
    }
    read_file(&from.join("00000000000000000000.log"))
}

fn check(partition: &str, bases: &[i64], delete_retention_ms: i64) {
    let dir = tempfile::tempdir().unwrap();
    let expected = before_cleaning(partition, bases, dir.path());
    let horizon = expected.iter().find_map(|batch| batch.delete_horizon_ms);
    let now_ms = horizon.map_or(NOW_MS, |horizon| horizon - delete_retention_ms);
    let config = LogConfig {
        delete_retention_ms,
        segment_bytes: 1 << 20,
        ..config()
    };
    let log = Log::open(
        &dir.path().join("t-0"),
        tp(),
        config,
        LogOptions::new(NOW_MS),
    )
    .unwrap();
    log.commit_all().unwrap();
    let first_dirty = *bases.last().unwrap();
    let stats = clean_from(&log, first_dirty, &AMPLE, now_ms)
        .unwrap()
        .unwrap();
    assert_eq!(stats.segments.0, bases.len());
    let first = log.segments.load().first().unwrap().base_offset();
    let path = log.place.file(first, LOG_SUFFIX);
    assert_eq!(read_file(&path), expected, "{partition}: {stats:?}");
}

#[test]
fn of_the_same_segments_we_make_the_same() {
    check("compacted-0", &[0, 12], 86_400_000);
    check("compacted-notomb-0", &[0, 12], 0);
    check("txn-compacted-0", &[0, 10], 86_400_000);
}
