//! What genuine Kafka's dump tool says of the files that lie in a directory.

use std::fs;
use std::path::PathBuf;

use crate::Dirs;
use crate::support::genuine::Genuine;

/// The files of a kind: by partition directory and extension.
fn files(dirs: &Dirs, wanted: impl Fn(&str, &str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for data in dirs.all() {
        for partition in fs::read_dir(data).unwrap() {
            let partition = partition.unwrap();
            let name = partition.file_name().into_string().unwrap();
            if !partition.path().is_dir() || name.ends_with("-delete") {
                continue;
            }
            for file in fs::read_dir(partition.path()).unwrap() {
                let path = file.unwrap().path();
                let extension = path.extension().and_then(|e| e.to_str());
                if wanted(&name, extension.unwrap_or_default()) {
                    found.push(path);
                }
            }
        }
    }
    found.sort();
    found
}

fn dump(genuine: &Genuine, options: &[&str], files: &[PathBuf]) -> String {
    if files.is_empty() {
        return String::new();
    }
    let list: Vec<String> = files
        .iter()
        .map(|path| path.display().to_string())
        .collect();
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
        "Error",
        "Could not",
        "corrupt",
    ] {
        let line = said.lines().find(|line| line.contains(complaint));
        assert_eq!(line, None, "{options:?}");
    }
    said
}

/// Every file, with the decoder that it is for. `stopped`: the node was not killed, so that indexes have their size.
pub fn assert_clean(genuine: &Genuine, dirs: &Dirs, stopped: bool) {
    let internal = [
        (
            "__cluster_metadata-",
            "--cluster-metadata-decoder",
            r#""name":"rolled""#,
        ),
        ("__consumer_offsets-", "--offsets-decoder", "readers"),
        (
            "__transaction_state-",
            "--transaction-log-decoder",
            "left-open",
        ),
        (
            "__share_group_state-",
            "--share-group-state-decoder",
            "sharers",
        ),
    ];
    let of_data = |file: &str| ["log", "checkpoint"].contains(&file);
    for (prefix, decoder, expected) in internal {
        let files = files(dirs, |dir, file| dir.starts_with(prefix) && of_data(file));
        let said = dump(genuine, &[decoder, "--deep-iteration"], &files);
        let has_some = files.iter().any(|f| fs::metadata(f).unwrap().len() > 0);
        assert!(!has_some || said.contains(expected), "{decoder}: {said}");
    }
    let said = dump(
        genuine,
        &["--deep-iteration", "--print-data-log"],
        &files(dirs, |dir, file| {
            !dir.starts_with("__") && file == "log" || ["snapshot", "txnindex"].contains(&file)
        }),
    );
    assert!(said.contains("plain-2 in turn 0"), "{said}");
    if stopped {
        let indexes = files(dirs, |_, file| ["index", "timeindex"].contains(&file));
        dump(genuine, &["--index-sanity-check"], &indexes);
        dump(genuine, &["--verify-index-only"], &indexes);
    }
}
