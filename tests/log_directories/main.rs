//! Several log directories: where partitions go, what DescribeLogDirs says of them, what their failure does, and what
//! genuine Kafka makes of all that.

mod cordoned;
mod failures;
mod moves;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kafkars::protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use kafkars::protocol::messages::*;
use moves::move_over;
use support::genuine::Genuine;
use support::wire::{Connection, batch};
use support::{Broker, Setup, until};

const STORAGE_ERROR: i16 = 56;

struct Dirs {
    root: tempfile::TempDir,
}

impl Dirs {
    fn new() -> Dirs {
        Dirs {
            root: tempfile::tempdir().unwrap(),
        }
    }

    /// The node's data directory, with the metadata log, and a second one.
    fn paths(&self) -> [PathBuf; 2] {
        ["data", "second"].map(|name| self.root.path().join(name))
    }

    fn setup(&self) -> Setup {
        let [first, second] = self.paths();
        let dirs = format!("{},{}", first.display(), second.display());
        Setup::at(self.root.path())
            .set("log.dirs", dirs)
            .set("offsets.topic.num.partitions", 2)
    }
}

fn describe(c: &mut Connection) -> Vec<DescribeLogDirsResult> {
    let response = c.ask(&DescribeLogDirsRequest { topics: None }, 5);
    assert_eq!(response.error_code, 0);
    response.results
}

/// Partition → its directory.
fn hosted(c: &mut Connection) -> BTreeMap<(String, i32), PathBuf> {
    let mut hosted = BTreeMap::new();
    for dir in describe(c) {
        for topic in dir.topics {
            for partition in topic.partitions {
                let key = (topic.name.clone(), partition.partition_index);
                if !partition.is_future_key {
                    let before = hosted.insert(key, PathBuf::from(&dir.log_dir));
                    assert_eq!(before, None, "in two directories");
                }
            }
        }
    }
    hosted
}

fn values(c: &mut Connection, topic: &str, partition: i32) -> Vec<Vec<u8>> {
    let rows = c.read(topic, partition, false).into_iter();
    rows.map(|row| row.value.unwrap()).collect()
}

/// A topic of four partitions with a record in each.
fn put(c: &mut Connection, topic: &str) {
    c.create_topic(topic, 4, &[]);
    for partition in 0..4 {
        let value = format!("{topic}-{partition}");
        until("its leader takes a record", || {
            (c.produce(topic, partition, batch(&[value.as_bytes()])).0 == 0).then_some(())
        });
    }
}

/// The same, and both directories share it.
fn fill(c: &mut Connection, topic: &str, dirs: &[PathBuf; 2]) -> BTreeMap<(String, i32), PathBuf> {
    put(c, topic);
    let hosted = hosted(c);
    for dir in dirs {
        let here = |((name, _), at): &(&(String, i32), &PathBuf)| name == topic && *at == dir;
        assert_eq!(hosted.iter().filter(here).count(), 2, "{hosted:?}");
    }
    hosted
}

fn check(c: &mut Connection, topic: &str) {
    for partition in 0..4 {
        let expected = format!("{topic}-{partition}").into_bytes();
        assert_eq!(values(c, topic, partition), [expected]);
    }
}

#[test]
fn directories_are_shared_and_found_again() {
    let dirs = Dirs::new();
    let mut broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    let before = fill(&mut c, "t", &dirs.paths());
    assert!(broker.stop().success());
    for unclean in [false, true] {
        let mut broker = dirs.setup().start();
        let mut c = Connection::open(broker.port);
        assert_eq!(hosted(&mut c), before);
        check(&mut c, "t");
        match unclean {
            true => broker.kill(),
            false => assert!(broker.stop().success()),
        }
    }
}

/// Ours, theirs and ours again on one pair of directories, which both fill.
#[test]
fn genuine_kafka_takes_over_both_directories_and_gives_them_back() {
    let Some(genuine) = Genuine::find("genuine Kafka on two log directories") else {
        return;
    };
    let dirs = Dirs::new();
    let mut broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    fill(&mut c, "ours", &dirs.paths());
    let to = move_over(&mut c, "ours", 0, &dirs.paths());
    assert_eq!(hosted(&mut c)[&("ours".to_owned(), 0)], to);
    let ours = hosted(&mut c);
    let told = genuine.tool(
        "log-dirs",
        &["--bootstrap-server", &broker.bootstrap(), "--describe"],
        b"",
    );
    let told = told.ok();
    for dir in dirs.paths() {
        assert!(told.contains(&format!("\"{}\"", dir.display())), "{told}");
    }
    assert!(told.contains("\"partition\":\"ours-3\""), "{told}");
    assert!(broker.stop().success());

    // Of which genuine Kafka takes no notice.
    for dir in dirs.paths() {
        let reserve = dir.join(".kafkars-reserve");
        assert_eq!(std::fs::metadata(&reserve).unwrap().len(), 8 << 20);
    }
    let mut broker = dirs.setup().start_genuine(&genuine);
    let mut c = Connection::open(broker.port);
    assert_eq!(hosted(&mut c), ours);
    check(&mut c, "ours");
    put(&mut c, "theirs");
    move_over(&mut c, "theirs", 0, &dirs.paths());
    let both = hosted(&mut c);
    assert_eq!(delete_records(&mut c), DELETED);
    broker.stop();

    let mut broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    let found = hosted(&mut c);
    for (key, dir) in both {
        assert_eq!(found.get(&key), Some(&dir), "{key:?}");
    }
    check(&mut c, "ours");
    check(&mut c, "theirs");
    assert_eq!(c.offset("delete", 0, -2, false).0, 2);
    assert!(broker.stop().success());
}

/// What DeleteRecords answers: (error, low watermark) for each offset in turn.
const DELETED: [(i16, i64); 7] = [(0, 1), (0, 1), (1, -1), (1, -1), (0, 2), (44, -1), (3, -1)];

fn delete_records(c: &mut Connection) -> [(i16, i64); 7] {
    use delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
    c.create_topic("delete", 1, &[]);
    c.create_topic("keep", 1, &[("cleanup.policy", "compact")]);
    for value in [b"a", b"b"] {
        until("its leader takes a record", || {
            (c.produce("delete", 0, batch(&[value])).0 == 0).then_some(())
        });
    }
    let mut delete = |topic: &str, partition_index: i32, offset: i64| {
        let partition = DeleteRecordsPartition {
            partition_index,
            offset,
        };
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: topic.to_owned(),
                partitions: vec![partition],
            }],
            timeout_ms: 10_000,
        };
        let response = c.ask(&request, 2);
        let partition = &response.topics[0].partitions[0];
        (partition.error_code, partition.low_watermark)
    };
    [
        delete("delete", 0, 1),
        delete("delete", 0, 0),
        delete("delete", 0, 3),
        delete("delete", 0, -2),
        delete("delete", 0, -1),
        delete("keep", 0, 0),
        delete("delete", 7, 0),
    ]
}

#[test]
fn deleted_records_stay_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Setup::at(dir.path()).start();
    let mut c = Connection::open(broker.port);
    assert_eq!(delete_records(&mut c), DELETED);
    assert_eq!(values(&mut c, "delete", 0), Vec::<Vec<u8>>::new());
    assert_eq!(c.produce("delete", 0, batch(&[b"c"])), (0, 2));
    assert!(broker.stop().success());
    let checkpoint = dir.path().join("data/log-start-offset-checkpoint");
    let checkpoint = std::fs::read_to_string(checkpoint).unwrap();
    assert_eq!(checkpoint, "0\n1\ndelete 0 2\n");
    let broker = Setup::at(dir.path()).start();
    let mut c = Connection::open(broker.port);
    assert_eq!(c.offset("delete", 0, -2, false).0, 2);
    assert_eq!(values(&mut c, "delete", 0), [b"c"]);
}

/// Sets a key of the broker while it runs, or removes it.
fn alter_broker(c: &mut Connection, key: &str, value: Option<&str>) -> (i16, Option<String>) {
    use incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
    const BROKER: i8 = 4;
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: BROKER,
            resource_name: "1".to_owned(),
            configs: vec![AlterableConfig {
                name: key.to_owned(),
                config_operation: i8::from(value.is_none()),
                value: value.map(str::to_owned),
            }],
        }],
        validate_only: false,
    };
    let answer = c.ask(&request, 1).responses.remove(0);
    (answer.error_code, answer.error_message)
}
