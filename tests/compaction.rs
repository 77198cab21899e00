//! Compaction through the binary, and one compacted directory handed from one implementation to the other.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kafkars::record::{BatchBuilder, BatchMeta, Compression};
use support::genuine::Genuine;
use support::wire::{Connection, now_ms};
use support::{Broker, Setup, until};

const TOPIC: &str = "kept";

/// Cleaners that look every moment.
fn eager(setup: Setup) -> Setup {
    setup
        .set("log.cleaner.backoff.ms", 50)
        .set("log.cleaner.min.cleanable.ratio", "0.01")
        .set("offsets.topic.num.partitions", 1)
}

/// A batch in which most keys have been before; one is deleted.
fn batch(round: i64, at: i64, compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new();
    // A segment for each: the time between two is that of a roll.
    let timestamp = now_ms() - 600_000 + round * 60_000 + at * 1000;
    for key in 0..4 {
        let value = format!("{key} in round {round}, {at}");
        let key = format!("k{key}");
        builder
            .append(timestamp, Some(key.as_bytes()), Some(value.as_bytes()), &[])
            .unwrap();
    }
    let key = format!("once {round} {at}");
    builder
        .append(timestamp, Some(key.as_bytes()), Some(b"stays"), &[])
        .unwrap();
    builder.append(timestamp, Some(b"gone"), None, &[]).unwrap();
    let meta = BatchMeta {
        compression,
        ..BatchMeta::default()
    };
    builder.finish(&meta).unwrap()
}

/// Writes a round and waits until all but the newest batch is clean; gives what a consumer then has.
fn write_and_clean(broker: &Broker, round: i64) -> BTreeMap<String, String> {
    let mut c = Connection::open(broker.port);
    let mut expected = BTreeMap::new();
    for (at, compression) in (0..20).zip(Compression::ALL.into_iter().cycle()) {
        let (error, _) = c.produce(TOPIC, 0, batch(round, at, compression));
        assert_eq!(error, 0, "round {round}, {at}");
        expected.insert(format!("once {round} {at}"), "stays".to_owned());
    }
    let (end, _) = c.offset(TOPIC, 0, -1, false);
    let checkpoint = broker.data().join("cleaner-offset-checkpoint");
    until("all is cleaned", || {
        let text = fs::read_to_string(&checkpoint).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("kept 0 "))?;
        let cleaned: i64 = line.rsplit(' ').next()?.parse().ok()?;
        (cleaned == end - 6).then_some(())
    });
    for key in 0..4 {
        expected.insert(format!("k{key}"), format!("{key} in round {round}, 19"));
    }
    expected
}

fn text(bytes: &Option<Vec<u8>>) -> Option<String> {
    bytes.clone().map(|bytes| String::from_utf8(bytes).unwrap())
}

/// What there is of each key, and how many records tell it.
fn state(broker: &Broker) -> (BTreeMap<String, String>, usize) {
    let mut c = Connection::open(broker.port);
    let rows = c.read(TOPIC, 0, true);
    let mut state = BTreeMap::new();
    for row in &rows {
        let key = text(&row.key).unwrap();
        match text(&row.value) {
            Some(value) => drop(state.insert(key, value)),
            None => drop(state.remove(&key)),
        }
    }
    (state, rows.len())
}

fn create(broker: &Broker) {
    let mut c = Connection::open(broker.port);
    let configs = [("cleanup.policy", "compact"), ("segment.ms", "500")];
    c.create_topic(TOPIC, 1, &configs);
}

fn check(broker: &Broker, expected: &BTreeMap<String, String>) {
    let (found, records) = state(broker);
    assert_eq!(found, *expected);
    // Of each key one, the tombstone, and the active segment's six.
    assert!(records <= expected.len() + 7, "{records} records are left");
}

#[test]
fn a_compacted_topic_keeps_the_newest_of_each_key() {
    let dir = tempfile::tempdir().unwrap();
    let start = || eager(Setup::at(dir.path())).start();
    let mut broker = start();
    create(&broker);
    let mut expected = write_and_clean(&broker, 0);
    check(&broker, &expected);
    assert!(broker.log().contains("kept-0: cleaned offsets 0 to "));
    broker.kill();
    let mut broker = start();
    check(&broker, &expected);
    expected.extend(write_and_clean(&broker, 1));
    check(&broker, &expected);
    assert!(broker.stop().success());
    let mut broker = start();
    check(&broker, &expected);
    assert!(broker.stop().success());
}

fn files(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.join("kept-0")).unwrap();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| {
        let extension = path.extension().and_then(|e| e.to_str());
        ["log", "index", "timeindex"].contains(&extension.unwrap_or_default())
    });
    found.sort();
    found
}

/// Has genuine Kafka read every file.
fn assert_dumps(genuine: &Genuine, data: &Path) {
    for (options, extensions) in [
        (&["--deep-iteration"][..], &["log"][..]),
        (&["--index-sanity-check"], &["index", "timeindex"]),
        (&["--verify-index-only"], &["index", "timeindex"]),
    ] {
        let list: Vec<String> = files(data)
            .iter()
            .filter(|path| {
                extensions
                    .iter()
                    .any(|e| path.extension() == Some(e.as_ref()))
            })
            .map(|path| path.display().to_string())
            .collect();
        assert!(list.len() >= 2);
        let list = list.join(",");
        let mut args = vec!["--files", &list];
        args.extend(options);
        let ran = genuine.tool("dump-log", &args, b"");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, Some(0), "{options:?}: {said}");
        for complaint in [
            "isvalid: false",
            "ismatch",
            "not found",
            "out of order",
            "Exception",
        ] {
            assert!(!said.contains(complaint), "{options:?}: {said}");
        }
    }
}

#[test]
fn a_compacted_topic_goes_back_and_forth() {
    let Some(genuine) = Genuine::find("a_compacted_topic_goes_back_and_forth") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let ours = || eager(Setup::at(dir.path())).start();
    let mut broker = ours();
    create(&broker);
    let mut expected = write_and_clean(&broker, 0);
    check(&broker, &expected);
    assert!(broker.stop().success());
    assert_dumps(&genuine, &data);

    let mut broker = eager(Setup::at(dir.path())).start_genuine(&genuine);
    check(&broker, &expected);
    expected.extend(write_and_clean(&broker, 1));
    check(&broker, &expected);
    broker.stop();

    let mut broker = ours();
    check(&broker, &expected);
    expected.extend(write_and_clean(&broker, 2));
    check(&broker, &expected);
    assert!(broker.stop().success());
    assert_dumps(&genuine, &data);
}
