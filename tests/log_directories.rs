//! Several log directories: where partitions go, what DescribeLogDirs says of them, what their failure does, and what
//! genuine Kafka makes of all that.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kafkars::protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use kafkars::protocol::messages::*;
use support::faults::Injection;
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

fn cordon(c: &mut Connection, value: Option<&str>) -> (i16, Option<String>) {
    alter_broker(c, "cordoned.log.dirs", value)
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

fn cordoned(c: &mut Connection) -> Vec<bool> {
    describe(c).iter().map(|dir| dir.is_cordoned).collect()
}

/// KIP-1066, as far as one node has it.
#[test]
fn a_cordoned_directory_gets_nothing_new() {
    const INVALID_REPLICATION_FACTOR: i16 = 38;
    const INVALID_REPLICA_ASSIGNMENT: i16 = 39;
    const INVALID_REQUEST: i16 = 42;
    let dirs = Dirs::new();
    let [first, second] = dirs.paths();
    let name = |dir: &Path| dir.display().to_string();
    let setup = || dirs.setup().set("cordoned.log.dirs", name(&second));
    let mut broker = setup().start();
    let mut c = Connection::open(broker.port);
    assert_eq!(cordoned(&mut c), [false, true]);
    put(&mut c, "t");
    assert!(hosted(&mut c).values().all(|dir| *dir == first));
    assert_eq!(alter(&mut c, "t", 0, &second), INVALID_REPLICA_ASSIGNMENT);

    assert_eq!(cordon(&mut c, Some("*")), (0, None));
    assert_eq!(cordoned(&mut c), [true, true]);
    let refused = c.try_create_topic("u", 1, &[]).unwrap();
    assert_eq!(refused, INVALID_REPLICATION_FACTOR);
    let (error, message) = cordon(&mut c, Some("/nowhere"));
    assert_eq!(error, INVALID_REQUEST);
    assert!(message.unwrap().ends_with("Missing entries : /nowhere"));
    assert_eq!(cordon(&mut c, Some(&name(&first))), (0, None));
    put(&mut c, "u");
    let in_second = |c: &mut Connection| hosted(c).values().filter(|dir| **dir == second).count();
    assert_eq!(in_second(&mut c), 4);
    assert!(broker.stop().success());

    // What was set while it ran outlives the stop.
    let broker = setup().start();
    let mut c = Connection::open(broker.port);
    assert_eq!(cordoned(&mut c), [true, false]);
    assert_eq!(cordon(&mut c, None), (0, None));
    assert_eq!(cordoned(&mut c), [false, true]);
    check(&mut c, "t");
    check(&mut c, "u");
}

fn alter(c: &mut Connection, topic: &str, partition: i32, dir: &Path) -> i16 {
    use alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
    let request = AlterReplicaLogDirsRequest {
        dirs: vec![AlterReplicaLogDir {
            path: dir.display().to_string(),
            topics: vec![AlterReplicaLogDirTopic {
                name: topic.to_owned(),
                partitions: vec![partition],
            }],
        }],
    };
    c.ask(&request, 2).results[0].partitions[0].error_code
}

/// Moves a partition to the other directory and waits until it is there; what was asked in vain, too.
fn move_over(c: &mut Connection, topic: &str, partition: i32, dirs: &[PathBuf; 2]) -> PathBuf {
    const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    const LOG_DIR_NOT_FOUND: i16 = 57;
    let key = (topic.to_owned(), partition);
    let from = hosted(c)[&key].clone();
    let to = dirs.iter().find(|dir| **dir != from).unwrap().clone();
    assert_eq!(alter(c, topic, partition, &from), 0, "it is there");
    let nowhere = Path::new("/nowhere");
    assert_eq!(alter(c, topic, partition, nowhere), LOG_DIR_NOT_FOUND);
    let later = format!("{topic}-later");
    assert_eq!(alter(c, &later, 0, &to), UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(alter(c, topic, partition, &to), 0);
    until("it has moved", || {
        let dirs = describe(c).into_iter();
        let here: Vec<String> = dirs
            .filter(|dir| {
                let mut topics = dir.topics.iter();
                topics.any(|t| {
                    t.name == topic && t.partitions.iter().any(|p| p.partition_index == partition)
                })
            })
            .map(|dir| dir.log_dir)
            .collect();
        (here == [to.display().to_string()]).then_some(())
    });
    c.create_topic(&later, 1, &[]);
    until("it is created where it was wanted", || {
        (hosted(c).get(&(later.clone(), 0)) == Some(&to)).then_some(())
    });
    to
}

#[test]
fn partitions_move_between_directories_under_load() {
    let dirs = Dirs::new();
    let mut broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    fill(&mut c, "t", &dirs.paths());
    let value = vec![b'v'; 100_000];
    for _ in 0..50 {
        assert_eq!(c.produce("t", 0, batch(&[&value])).0, 0);
    }
    let port = broker.port;
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let producing = std::thread::spawn(move || {
        let mut c = Connection::open(port);
        let mut acknowledged = Vec::new();
        while stopped.try_recv().is_err() {
            let value = format!("during-{}", acknowledged.len());
            let (error, offset) = c.produce("t", 0, batch(&[value.as_bytes()]));
            match error {
                0 => acknowledged.push((offset, value.into_bytes())),
                // The instant in which the one log has gone and the other is not there.
                6 => {}
                _ => panic!("error {error}"),
            }
        }
        acknowledged
    });
    let to = move_over(&mut c, "t", 0, &dirs.paths());
    stop.send(()).unwrap();
    let acknowledged = producing.join().unwrap();
    assert!(!acknowledged.is_empty());
    let check_all = |c: &mut Connection| {
        let rows: BTreeMap<i64, Vec<u8>> = c
            .read("t", 0, false)
            .into_iter()
            .map(|row| (row.offset, row.value.unwrap()))
            .collect();
        assert_eq!(rows.len(), 51 + acknowledged.len());
        for (offset, value) in &acknowledged {
            assert_eq!(rows.get(offset), Some(value), "offset {offset}");
        }
    };
    check_all(&mut c);
    assert!(broker.stop().success());
    let mut broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    assert_eq!(hosted(&mut c)[&("t".to_owned(), 0)], to);
    check_all(&mut c);
    assert!(broker.stop().success());
}

/// As `reassign-partitions --replica-alter-log-dirs-throttle` sets it.
#[test]
fn a_move_keeps_to_its_rate() {
    const RATE: &str = "replica.alter.log.dirs.io.max.bytes.per.second";
    let dirs = Dirs::new();
    let broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    c.create_topic("t", 1, &[]);
    let value = vec![0x76; 100_000];
    for _ in 0..100 {
        assert_eq!(c.produce("t", 0, batch(&[&value])).0, 0);
    }
    let key = ("t".to_owned(), 0);
    let from = hosted(&mut c)[&key].clone();
    let to = dirs.paths().into_iter().find(|dir| *dir != from).unwrap();
    assert_eq!(alter_broker(&mut c, RATE, Some("1")).0, 0);
    assert_eq!(alter(&mut c, "t", 0, &to), 0);
    let future_size = |c: &mut Connection| {
        let all = describe(c).into_iter().flat_map(|dir| dir.topics);
        let mut partitions = all.flat_map(|topic| topic.partitions);
        let future = partitions.find(|partition| partition.is_future_key);
        future.map(|partition| partition.partition_size)
    };
    let begun = until("the first batches are copied", || {
        future_size(&mut c).filter(|size| *size > 0)
    });
    assert!(begun < 10_000_000, "{begun} bytes at once");
    assert_eq!(future_size(&mut c), Some(begun), "it rests");
    assert_eq!(alter_broker(&mut c, RATE, None).0, 0);
    until("it has moved", || {
        (hosted(&mut c).get(&key) == Some(&to) && future_size(&mut c).is_none()).then_some(())
    });
    assert_eq!(values(&mut c, "t", 0).len(), 100);
}

fn leader(c: &mut Connection, topic: &str, partition: i32) -> (i16, i32, Vec<i32>) {
    let request = MetadataRequest {
        topics: Some(vec![metadata_request::MetadataRequestTopic {
            name: Some(topic.to_owned()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let response = c.ask(&request, 12);
    let found = response.topics[0].partitions.iter();
    let found = found.clone().find(|p| p.partition_index == partition);
    let found = found.unwrap();
    (
        found.error_code,
        found.leader_id,
        found.offline_replicas.clone(),
    )
}

#[test]
fn a_directory_whose_fsync_fails_goes_offline_alone() {
    const TEST: &str = "a_directory_whose_fsync_fails_goes_offline_alone";
    let dirs = Dirs::new();
    let mut broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    c.create_topic("t", 4, &[("flush.messages", "1")]);
    for partition in 0..4 {
        let value = format!("t-{partition}");
        assert_eq!(c.produce("t", partition, batch(&[value.as_bytes()])).0, 0);
    }
    let [first, second] = dirs.paths();
    let at = hosted(&mut c);
    let within = |dir: &Path| -> BTreeSet<i32> {
        let here = at.iter().filter(|(_, at)| *at == dir);
        here.map(|((_, partition), _)| *partition).collect()
    };
    let (good, bad) = (within(&first), within(&second));
    assert_eq!((good.len(), bad.len()), (2, 2));
    let one = *bad.first().unwrap();
    let file = second.join(format!("t-{one}/00000000000000000000.log"));
    let injected = Injection::start(TEST, broker.pid(), "fsync,fdatasync", "EIO", &[&file]);
    let Some(injection) = injected else { return };
    assert_eq!(c.produce("t", one, batch(&[b"lost"])).0, STORAGE_ERROR);
    drop(injection);

    // All of the directory, and for good: the device works again, but who knows what it has.
    for partition in &bad {
        until("the partition is offline", || {
            (leader(&mut c, "t", *partition) == (5, -1, vec![1])).then_some(())
        });
        assert_eq!(c.produce("t", *partition, batch(&[b"x"])).0, STORAGE_ERROR);
        let fetch = support::wire::fetch_request("t", *partition, 0, false);
        let response = c.ask(&fetch, 12);
        let answer = &response.responses[0].partitions[0];
        assert_eq!(answer.error_code, STORAGE_ERROR);
    }
    let described = describe(&mut c);
    let errors: Vec<i16> = described.iter().map(|dir| dir.error_code).collect();
    assert_eq!(errors, [0, STORAGE_ERROR]);
    // The others serve on, and new ones are made beside them.
    for partition in &good {
        assert_eq!(c.produce("t", *partition, batch(&[b"more"])), (0, 1));
    }
    c.create_topic("new", 3, &[]);
    for partition in 0..3 {
        assert_eq!(c.produce("new", partition, batch(&[b"v"])).0, 0);
    }
    assert!(broker.stop().success());
    let log = broker.log();
    let line = format!("log directory {} is offline: ", second.display());
    assert_eq!(log.matches(&line).count(), 1, "{log}");

    // With the next start it is back, recovered, with all that was acknowledged.
    assert!(first.join(".kafka_cleanshutdown").exists());
    assert!(!second.join(".kafka_cleanshutdown").exists());
    let broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    for partition in 0..4 {
        assert_eq!(leader(&mut c, "t", partition), (0, 1, vec![]));
        let first = format!("t-{partition}").into_bytes();
        assert_eq!(values(&mut c, "t", partition)[0], first);
        assert_eq!(c.produce("t", partition, batch(&[b"again"])).0, 0);
    }
}

#[test]
fn a_read_that_fails_while_it_is_sent_takes_the_directory_offline() {
    const TEST: &str = "a_read_that_fails_while_it_is_sent_takes_the_directory_offline";
    let dirs = Dirs::new();
    let broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    let at = fill(&mut c, "t", &dirs.paths());
    let [_, second] = dirs.paths();
    let bad = |((topic, _), dir): &(&(String, i32), &PathBuf)| topic == "t" && **dir == second;
    let bad = at.iter().find(bad).unwrap().0.1;
    // Too large to be copied.
    let large = vec![b'x'; 64 * 1024];
    assert_eq!(c.produce("t", bad, batch(&[&large])).0, 0);
    let file = second.join(format!("t-{bad}/00000000000000000000.log"));
    let injected = Injection::start(TEST, broker.pid(), "sendfile", "EIO", &[&file]);
    let Some(injection) = injected else { return };
    let fetch = support::wire::fetch_request("t", bad, 0, false);
    assert!(c.try_ask(&fetch, 12).is_err(), "half an answer is none");
    drop(injection);
    let mut c = Connection::open(broker.port);
    until("the directory is offline", || {
        (describe(&mut c)[1].error_code == STORAGE_ERROR).then_some(())
    });
    let log = broker.log();
    assert!(
        log.contains(": sendfile ") && log.contains(&file.display().to_string()),
        "{log}"
    );
}

#[test]
fn the_metadata_logs_directory_takes_the_broker_down() {
    const TEST: &str = "the_metadata_logs_directory_takes_the_broker_down";
    let dirs = Dirs::new();
    let mut broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    let [first, _] = dirs.paths();
    let file = first.join("__cluster_metadata-0/00000000000000000000.log");
    let injected = Injection::start(TEST, broker.pid(), "fsync,fdatasync", "EIO", &[&file]);
    let Some(injection) = injected else { return };
    assert!(
        c.try_create_topic("t", 1, &[]).is_err(),
        "no broker to answer"
    );
    assert_eq!(broker.ended().code(), Some(1));
    drop(injection);
    let line = format!(
        "Shutdown broker because the metadata log dir {} has failed",
        first.display()
    );
    assert!(broker.log().contains(&line), "{}", broker.log());
    let broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    c.create_topic("u", 1, &[]);
    assert_eq!(c.produce("u", 0, batch(&[b"v"])).0, 0);
}

#[test]
fn a_directory_that_cannot_be_used_at_start_is_left_out() {
    let dirs = Dirs::new();
    let mut broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    let at = fill(&mut c, "t", &dirs.paths());
    assert!(broker.stop().success());
    let [first, second] = dirs.paths();
    let aside = dirs.root.path().join("aside");
    std::fs::rename(&second, &aside).unwrap();
    std::fs::write(&second, "not a directory").unwrap();

    let mut broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    for ((topic, partition), dir) in &at {
        if *dir == first {
            check_one(&mut c, topic, *partition);
        } else {
            assert_eq!(leader(&mut c, topic, *partition), (5, -1, vec![1]));
            let refused = c.produce(topic, *partition, batch(&[b"x"])).0;
            assert_eq!(refused, STORAGE_ERROR);
        }
    }
    assert!(broker.stop().success());
    std::fs::remove_file(&second).unwrap();
    std::fs::rename(&aside, &second).unwrap();
    let broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    assert_eq!(hosted(&mut c), at);
    check(&mut c, "t");
}

fn check_one(c: &mut Connection, topic: &str, partition: i32) {
    let expected = format!("{topic}-{partition}").into_bytes();
    assert_eq!(values(c, topic, partition), [expected]);
}

#[test]
fn without_a_usable_directory_nothing_starts() {
    let dirs = Dirs::new();
    let mut broker: Broker = dirs.setup().start();
    assert!(broker.stop().success());
    let [first, _] = dirs.paths();
    std::fs::rename(&first, dirs.root.path().join("aside")).unwrap();
    std::fs::write(&first, "not a directory").unwrap();
    let (properties, _) = dirs.setup().write_properties();
    let ran = support::tool(&["server-start".as_ref(), properties.as_os_str()], b"");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains(&first.display().to_string()), "{ran:?}");
}
