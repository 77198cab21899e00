//! Partitions on their way from one directory to the other.

use super::*;

pub fn alter(c: &mut Connection, topic: &str, partition: i32, dir: &Path) -> i16 {
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
pub fn move_over(c: &mut Connection, topic: &str, partition: i32, dirs: &[PathBuf; 2]) -> PathBuf {
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
