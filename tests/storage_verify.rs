//! `storage verify`, through the binary: what it says of directories that genuine Kafka and kafkars left, in order or not.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use serde_json::Value;
use support::wire::{Connection, batch};
use support::{Ran, Setup, root, tool};

fn verify(args: &[&str]) -> Ran {
    let mut all = vec!["storage", "verify"];
    all.extend(args);
    tool(&all, b"")
}

fn verify_json(dir: &Path) -> (Option<i32>, Value) {
    let ran = verify(&["--json", dir.to_str().unwrap()]);
    let value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    (ran.code, value)
}

/// The files with faults, below `dir`: name → (position, kafkars, kafka).
fn faults(dir: &Path, found: &Value) -> BTreeMap<String, (Option<u64>, String, String)> {
    let text = |fault: &Value, field: &str| fault[field].as_str().unwrap().to_owned();
    let listed = found["faults"].as_array().unwrap().iter().map(|fault| {
        let path = PathBuf::from(text(fault, "path"));
        let name = path.strip_prefix(dir).unwrap().display().to_string();
        assert!(!text(fault, "remedy").is_empty());
        (
            name,
            (
                fault["position"].as_u64(),
                text(fault, "kafkars"),
                text(fault, "kafka"),
            ),
        )
    });
    listed.collect()
}

/// A copy of what genuine Kafka left. Needs GNU tar, for the archives are sparse.
fn fixture(name: &str, into: &Path) -> PathBuf {
    let archive = root().join("tests/fixtures").join(name).join("data.tar.gz");
    let mut tar = Command::new("tar");
    let status = tar.arg("xSzf").arg(archive).arg("-C").arg(into).status();
    assert!(
        status
            .expect("tar is needed to unpack the fixtures")
            .success()
    );
    into.join("data")
}

/// Every file with its size and the time it was changed.
fn state(dir: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(state(&path));
        }
        found.insert(path, (metadata.len(), metadata.modified().unwrap()));
    }
    found
}

#[test]
fn what_kafka_left_in_order_is_clean() {
    let dir = tempfile::tempdir().unwrap();
    let data = fixture("clean", dir.path());
    let before = state(&data);
    let ran = verify(&[data.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for line in [
        "checked partitions: 35",
        "checked batches: 199",
        "checked records: 885",
        "checked metadata records: 382",
        "no faults",
        "kafkars can start on it",
        "Apache Kafka can start on it",
    ] {
        assert!(
            ran.stdout.lines().any(|l| l == line),
            "{line}: {}",
            ran.stdout
        );
    }
    assert_eq!(state(&data), before, "nothing is written");
}

#[test]
fn what_a_crash_and_damage_left_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let data = fixture("unclean", dir.path());
    let before = state(&data);
    let (code, found) = verify_json(&data);
    assert_eq!(code, Some(1));
    let fault = |position: Option<u64>, what: &str| (position, what.to_owned(), what.to_owned());
    let expected = BTreeMap::from([
        (
            "replication-offset-checkpoint".to_owned(),
            fault(None, "repairs"),
        ),
        (
            "u-0/00000000000000000000.log".to_owned(),
            fault(Some(655), "cuts"),
        ),
        (
            "u-1/00000000000000000000.log".to_owned(),
            fault(Some(435), "cuts"),
        ),
        (
            "u-rolled-0/00000000000000000000.timeindex".to_owned(),
            fault(Some(0), "repairs"),
        ),
        (
            "u-rolled-0/00000000000000000005.index".to_owned(),
            fault(None, "repairs"),
        ),
        (
            "u-rolled-0/00000000000000000005.timeindex".to_owned(),
            fault(None, "repairs"),
        ),
        (
            "u-rolled-0/00000000000000000015.log".to_owned(),
            fault(Some(0), "cuts"),
        ),
    ]);
    assert_eq!(faults(&data, &found), expected);
    assert_eq!(found["kafkarsCanStart"], true);
    assert_eq!(found["kafkaCanStart"], true);
    assert_eq!(found["directories"][0]["cleanlyStopped"], false);
    assert_eq!(state(&data), before, "nothing is written");
}

#[test]
fn damage_to_a_node_as_a_whole_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let data = fixture("clean", dir.path());
    let write = |name: &str, text: &str| {
        let path = data.join(name);
        let _ = fs::remove_file(&path);
        fs::write(path, text).unwrap();
    };
    write("meta.properties", "version=0\nbroker.id=1\n");
    write("recovery-point-offset-checkpoint", "0\n7\n");
    write("__cluster_metadata-0/quorum-state", "{}");
    write("bootstrap.checkpoint", "not a checkpoint");
    write("stranger", "");
    let checkpoint = "__cluster_metadata-0/00000000000000000130-0000000001.checkpoint";
    let mut bytes = fs::read(data.join(checkpoint)).unwrap();
    bytes.truncate(bytes.len() - 40);
    let path = data.join(checkpoint);
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let (code, found) = verify_json(&data);
    assert_eq!(code, Some(1));
    let seen = faults(&data, &found);
    let both = |name: &str| (seen[name].1.as_str(), seen[name].2.as_str());
    assert_eq!(both("meta.properties"), ("refuses", "refuses"));
    assert_eq!(
        both("recovery-point-offset-checkpoint"),
        ("ignores", "directory-fails")
    );
    assert_eq!(
        both("__cluster_metadata-0/quorum-state"),
        ("refuses", "refuses")
    );
    assert_eq!(both("bootstrap.checkpoint"), ("refuses", "refuses"));
    assert_eq!(both(checkpoint), ("ignores", "refuses"));
    assert_eq!(seen.len(), 5);
    assert_eq!(found["kafkarsCanStart"], false);
    let notes = found["notes"].as_array().unwrap();
    let stranger = data.join("stranger").display().to_string();
    assert!(
        notes.iter().any(|note| note["path"] == stranger.as_str()),
        "{notes:?}"
    );
}

#[test]
fn our_own_directories_are_clean_once_they_are_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Setup::at(dir.path()).start();
    let mut c = Connection::open(broker.port);
    c.create_topic("t", 3, &[("segment.bytes", "1048576")]);
    for n in 0..200 {
        assert_eq!(c.produce("t", n % 3, batch(&[&vec![b'x'; 20_000]])).0, 0);
    }
    c.commit("g", "t", 0, 5);
    let data = broker.data();
    let data = data.to_str().unwrap();
    let ran = verify(&[data]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr.contains("is in use by another process"),
        "{ran:?}"
    );
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    assert!(broker.stop().success());
    let properties = dir.path().join("server.properties");
    let ran = verify(&["-c", properties.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert!(ran.stdout.contains("no faults"), "{}", ran.stdout);
    // A copy beside the original is another directory of the same node, with the same partitions.
    let copy = dir.path().join("copy");
    let copied = Command::new("cp").arg("-a").arg(data).arg(&copy).status();
    assert!(copied.unwrap().success());
    let ran = verify(&[data, copy.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.contains("has the directory.id of"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("kafkars cannot start on it"),
        "{}",
        ran.stdout
    );

    let mut broker = Setup::at(dir.path()).start();
    let mut c = Connection::open(broker.port);
    assert_eq!(c.produce("t", 0, batch(&[b"last"])).0, 0);
    broker.kill();
    let ran = verify(&[data]);
    assert_eq!(
        ran.code,
        Some(0),
        "a kill leaves nothing broken: {}",
        ran.stdout
    );
}

#[test]
fn nothing_to_check_is_said() {
    let ran = verify(&[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("name the directories"), "{ran:?}");
    let ran = verify(&["no/such/dir"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("no/such/dir is no directory"),
        "{ran:?}"
    );
    let ran = verify(&["--help"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.contains("--config"), "{ran:?}");
}
