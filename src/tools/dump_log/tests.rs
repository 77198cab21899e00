//! Damaged files: whatever is in them, the dump ends, with lines or with an error.
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::{Index as Pick, select};

use super::options::{self, DEFINITION};
use super::*;
use crate::tools::options::jopt;

const OPTIONS: [&str; 8] = [
    "--deep-iteration",
    "--print-data-log",
    "--offsets-decoder",
    "--transaction-log-decoder",
    "--cluster-metadata-decoder",
    "--share-group-state-decoder",
    "--remote-log-metadata-decoder",
    "--index-sanity-check",
];

/// What is printed for the file, and how it ended.
fn dumped(path: &Path, options: &[&str]) -> (String, anyhow::Result<()>) {
    let file = path.display().to_string();
    let mut args = vec!["--files".to_owned(), file.clone()];
    args.extend(options.iter().map(|option| (*option).to_owned()));
    let options = jopt::parse(&DEFINITION, &args).unwrap();
    let wanted = options::check(&options).unwrap();
    let mut out = Vec::new();
    let mut lines = Lines::new(&mut out, wanted.shape);
    let mut findings = Findings::default();
    let ended = dump(&file, &options, &wanted, &mut lines, &mut findings);
    lines.abandon().unwrap();
    (String::from_utf8(out).unwrap(), ended)
}

fn fixtures() -> Vec<PathBuf> {
    let logs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/cases/fixtures/logs");
    let mut files = vec![logs.join("bootstrap.checkpoint")];
    for dir in [
        "fx-plain-0",
        "fx-lots-0",
        "fx-txn-0",
        "__consumer_offsets-0",
        "__transaction_state-0",
        "__cluster_metadata-0",
    ] {
        files.extend(
            fs::read_dir(logs.join(dir))
                .unwrap()
                .map(|entry| entry.unwrap().path()),
        );
    }
    files.retain(|file| {
        let suffixes = ["log", "checkpoint", "index", "timeindex", "snapshot"];
        file.extension()
            .is_some_and(|suffix| suffixes.iter().any(|s| suffix == *s))
    });
    files.sort();
    files
}

#[test]
fn json_has_an_object_a_line() {
    let logs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/cases/fixtures/logs");
    let path = logs.join("__transaction_state-0/00000000000000000000.log");
    let (out, ended) = dumped(&path, &["--transaction-log-decoder", "--output", "json"]);
    ended.unwrap();
    let lines: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[1]["logStartingOffset"], 0);
    assert_eq!(lines[2]["deleteHorizonMs"], serde_json::Value::Null);
    assert_eq!(lines[3]["key"]["data"]["transactionalId"], "fx-tx-1");
    assert_eq!(lines[3]["headerKeys"], serde_json::json!([]));
}

#[test]
fn what_could_be_read_of_a_damaged_segment_is_printed() {
    let logs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/cases/fixtures/logs");
    let mut bytes = fs::read(logs.join("fx-lots-0/00000000000000000000.log")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("00000000000000000000.log");
    fs::write(&path, &bytes[..300]).unwrap();
    let (out, ended) = dumped(&path, &[]);
    ended.unwrap();
    assert!(
        out.ends_with("Found 41 invalid bytes at the end of 00000000000000000000.log\n"),
        "{out}"
    );
    bytes[119 + 8..119 + 12].fill(0);
    fs::write(&path, &bytes).unwrap();
    let (out, ended) = dumped(&path, &[]);
    let why = ended.unwrap_err().to_string();
    assert!(
        why.starts_with("Found record size 0 smaller than minimum record overhead (14) in file")
    );
    assert_eq!(out.lines().count(), 3, "{out}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_files_never_panic(
        file in select(fixtures()),
        option in select(&OPTIONS[..]),
        damage in prop::collection::vec((any::<Pick>(), any::<u8>()), 0..12),
        cut in prop::option::of(any::<Pick>()),
    ) {
        let dir = tempfile::tempdir().unwrap();
        // An index is looked up in its segment.
        for beside in fs::read_dir(file.parent().unwrap()).unwrap() {
            let beside = beside.unwrap().path();
            if beside.is_file() {
                fs::copy(&beside, dir.path().join(beside.file_name().unwrap())).unwrap();
            }
        }
        let mut bytes = fs::read(&file).unwrap();
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        let path = dir.path().join(file.file_name().unwrap());
        fs::write(&path, bytes).unwrap();
        let _ = dumped(&path, &[option]);
    }
}
