//! The house rules that a compiler does not check: which room may use which, how long files and lines may be, and that
//! every API's file says which versions it handles.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kafkars::protocol::ApiKey;

/// Lines of a file, its tests not counted.
const FILE_LINES_MAX: usize = 900;
const LINE_CHARS_MAX: usize = 130;

/// What each room may use, beside `protocol`, `config` and `metrics`, which are open to all.
fn arrows() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("bin", &["tools"][..]),
        (
            "tools",
            &[
                "client", "record", "log", "metadata", "broker", "connect", "dev",
            ],
        ),
        ("dev", &["broker", "log", "metadata"]),
        ("connect", &["client", "record"]),
        (
            "broker",
            &[
                "client",
                "coordinator",
                "controller",
                "raft",
                "metadata",
                "net",
                "log",
                "record",
                "security",
            ],
        ),
        ("coordinator", &["metadata", "record"]),
        ("controller", &["metadata"]),
        ("raft", &["metadata", "log", "record"]),
        ("metadata", &["record"]),
        ("client", &["record", "security"]),
        ("net", &["security"]),
        ("security", &[]),
        ("log", &["record"]),
        ("record", &[]),
        ("config", &[]),
        ("metrics", &[]),
    ])
}

const OPEN_TO_ALL: [&str; 3] = ["protocol", "config", "metrics"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn is_test(path: &Path) -> bool {
    let shown = shown(path);
    shown.contains("/tests/") || shown.ends_with("tests.rs")
}

/// The lines before the tests at a file's end.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

#[test]
fn rooms_use_only_what_is_below_them() {
    let arrows = arrows();
    let mut broken = Vec::new();
    for path in rust_files(&root().join("src")) {
        let shown = shown(&path);
        let Some(room) = shown.split('/').nth(1).filter(|room| *room != "lib.rs") else {
            continue;
        };
        let allowed = arrows
            .get(room)
            .unwrap_or_else(|| panic!("{shown}: {room} is not a room"));
        if is_test(&path) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in without_tests(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for used in code.split("crate::").skip(1) {
                let used: String = used
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let fine = used == room
                    || OPEN_TO_ALL.contains(&used.as_str())
                    || allowed.contains(&used.as_str());
                if arrows.contains_key(used.as_str()) && !fine {
                    broken.push(format!("{shown}:{}: {room} may not use {used}", number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn files_and_lines_stay_short() {
    let mut long = Vec::new();
    for path in rust_files(&root().join("src")) {
        let shown = shown(&path);
        let text = fs::read_to_string(&path).unwrap();
        let lines = without_tests(&text).lines().count();
        // Definition tables and tests may be as long as what they list.
        if lines > FILE_LINES_MAX && !shown.starts_with("src/config/") && !is_test(&path) {
            long.push(format!("{shown}: {lines} lines"));
        }
        for (number, line) in text.lines().enumerate() {
            if line.chars().count() > LINE_CHARS_MAX && !line.contains('"') && !line.contains('|') {
                long.push(format!(
                    "{shown}:{}: {} characters",
                    number + 1,
                    line.chars().count()
                ));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn every_api_says_which_versions_it_handles() {
    let mut seen = Vec::new();
    for path in rust_files(&root().join("src/broker/api")) {
        let text = fs::read_to_string(&path).unwrap();
        let head = text.lines().next().unwrap_or_default();
        let Some((name, rest)) = head.trim_start_matches("//! ").split_once(" (key ") else {
            continue;
        };
        let (code, rest) = rest
            .split_once("), version")
            .unwrap_or_else(|| panic!("{}: {head}", shown(&path)));
        let key = ApiKey::from_i16(code.parse().unwrap()).unwrap();
        assert_eq!(key.name(), name, "{}", shown(&path));
        let numbers: Vec<i16> = rest
            .trim_start_matches('s')
            .trim_start()
            .split(|c: char| !c.is_ascii_digit())
            .map_while(|digits| digits.parse().ok())
            .take(2)
            .collect();
        let offered = key.broker_versions().unwrap();
        let said = (numbers[0], *numbers.last().unwrap());
        // Produce is offered from 0, which nobody implements.
        let low = if key == ApiKey::Produce {
            3
        } else {
            *offered.start()
        };
        assert_eq!(said, (low, *offered.end()), "{}", shown(&path));
        seen.push(key);
    }
    assert!(
        seen.len() >= 24,
        "only {} files of src/broker/api open with key and versions",
        seen.len()
    );
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    // Spelled in halves, so that this file does not find itself.
    let places = [
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
        concat!("../sha", "red"),
    ];
    let mut found = Vec::new();
    for folder in [
        "src",
        "protocol/src",
        "tests",
        "scripts",
        "config",
        "docs",
        "benches",
    ] {
        for path in text_files(&root().join(folder)) {
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            for place in places {
                if text.contains(place) {
                    found.push(format!("{} names {place}", shown(&path)));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn text_files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(text_files(&path));
        } else if fs::metadata(&path).is_ok_and(|m| m.len() < 1 << 20) {
            files.push(path);
        }
    }
    files
}
