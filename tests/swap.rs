//! One data directory, handed back and forth between this implementation and genuine Kafka: each goes on where the
//! other stopped, in order or not.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kafkars::record::{BatchMeta, Compression};
use support::genuine::Genuine;
use support::wire::{Connection, Row, batch, batch_with};
use support::{Broker, Setup};

const TOPICS: [(&str, i32); 4] = [("plain", 3), ("packed", 1), ("rolled", 1), ("keyed", 1)];
const GROUP: &str = "readers";

/// What a broker must serve, whoever it is.
#[derive(Default)]
struct Kept {
    rows: BTreeMap<(String, i32), Vec<Row>>,
    offsets: BTreeMap<(String, i32), i64>,
}

impl Kept {
    /// Produces to every partition, commits, and remembers both.
    fn write(&mut self, broker: &Broker, round: i64) {
        let mut c = Connection::open(broker.port);
        for (topic, partitions) in TOPICS {
            for partition in 0..partitions {
                let text = format!("{topic}-{partition} in round {round}");
                let (error, _) = c.produce(topic, partition, batch(&[text.as_bytes(), b""]));
                assert_eq!(error, 0, "{text}");
                let (end, _) = c.offset(topic, partition, -1, false);
                c.commit(GROUP, topic, partition, end - 1);
                let tp = (topic.to_owned(), partition);
                self.offsets.insert(tp.clone(), end - 1);
                self.rows.insert(tp, c.read(topic, partition, false));
            }
        }
    }

    fn check(&self, broker: &Broker) {
        let mut c = Connection::open(broker.port);
        for ((topic, partition), rows) in &self.rows {
            assert_eq!(
                c.read(topic, *partition, false),
                *rows,
                "{topic}-{partition}"
            );
        }
        let committed = c.committed(GROUP);
        let offsets: BTreeMap<_, _> = committed.into_iter().map(|(tp, o)| (tp, o.0)).collect();
        assert_eq!(offsets, self.offsets);
    }
}

fn create_topics(broker: &Broker) {
    let mut c = Connection::open(broker.port);
    c.create_topic("plain", 3, &[("retention.ms", "-1")]);
    c.create_topic("packed", 1, &[]);
    c.create_topic("rolled", 1, &[("segment.bytes", "1048576")]);
    c.create_topic("keyed", 1, &[("cleanup.policy", "compact")]);
    for compression in Compression::ALL {
        let meta = BatchMeta {
            compression,
            ..Default::default()
        };
        let value = [b'x'; 1000];
        let (error, _) = c.produce("packed", 0, batch_with(&[&value, &value, b""], &meta));
        assert_eq!(error, 0, "{compression}");
    }
    // Three segments, with entries in their indexes.
    let value = vec![b'y'; 10_000];
    for _ in 0..250 {
        assert_eq!(c.produce("rolled", 0, batch(&[&value])).0, 0);
    }
}

fn files(data: &Path, wanted: impl Fn(&str, &str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for partition in fs::read_dir(data).unwrap() {
        let partition = partition.unwrap();
        if !partition.path().is_dir() {
            continue;
        }
        let name = partition.file_name().into_string().unwrap();
        for file in fs::read_dir(partition.path()).unwrap() {
            let path = file.unwrap().path();
            let extension = path
                .extension()
                .and_then(|e| e.to_str())
                .unwrap_or_default();
            if wanted(&name, extension) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty());
    found.sort();
    found
}

fn dump(genuine: &Genuine, options: &[&str], files: &[PathBuf]) -> String {
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

fn assert_dumps(genuine: &Genuine, data: &Path) {
    let metadata = |name: &str| name == "__cluster_metadata-0";
    let offsets = |name: &str| name.starts_with("__consumer_offsets-");
    let decoded = dump(
        genuine,
        &["--cluster-metadata-decoder"],
        &files(data, |dir, file| {
            metadata(dir) && ["log", "checkpoint"].contains(&file)
        }),
    );
    assert!(decoded.contains(r#""name":"rolled""#), "{decoded}");
    let decoded = dump(
        genuine,
        &["--offsets-decoder", "--deep-iteration"],
        &files(data, |dir, file| offsets(dir) && file == "log"),
    );
    assert!(decoded.contains(GROUP), "{decoded}");
    let decoded = dump(
        genuine,
        &["--deep-iteration", "--print-data-log"],
        &files(data, |dir, file| {
            !metadata(dir) && !offsets(dir) && ["log", "snapshot"].contains(&file)
        }),
    );
    assert!(decoded.contains("plain-2 in round 0"), "{decoded}");
    let indexes = files(data, |_, file| ["index", "timeindex"].contains(&file));
    let rolled = indexes.iter().filter(|path| {
        let parent = path.parent().and_then(Path::file_name);
        parent.is_some_and(|name| name == "rolled-0")
    });
    assert!(rolled.count() >= 6, "{indexes:?}");
    dump(genuine, &["--index-sanity-check"], &indexes);
    dump(genuine, &["--verify-index-only"], &indexes);
}

#[test]
fn a_directory_goes_back_and_forth() {
    let Some(genuine) = Genuine::find("a_directory_goes_back_and_forth") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let ours = || {
        Setup::at(dir.path())
            .set("offsets.topic.num.partitions", 3)
            .set("metadata.log.max.record.bytes.between.snapshots", 500)
            .start()
    };
    let theirs = || {
        Setup::at(dir.path())
            .set("offsets.topic.num.partitions", 3)
            .start_genuine(&genuine)
    };
    let mut kept = Kept::default();

    let mut broker = ours();
    create_topics(&broker);
    kept.write(&broker, 0);
    assert!(broker.stop().success());
    assert_dumps(&genuine, &dir.path().join("data"));

    let mut broker = theirs();
    kept.check(&broker);
    kept.write(&broker, 1);
    broker.stop();

    let mut broker = ours();
    kept.check(&broker);
    kept.write(&broker, 2);
    broker.kill();

    let mut broker = theirs();
    kept.check(&broker);
    kept.write(&broker, 3);
    broker.kill();

    let mut broker = ours();
    kept.check(&broker);
    kept.write(&broker, 4);
    kept.check(&broker);
    assert!(broker.stop().success());
}
