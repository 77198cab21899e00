//! A disk without room: produce answers an error, nothing acknowledged is lost, service resumes when there is room.
//!
//! Needs the right to mount a tmpfs, here or in a user name space.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use support::faults::{SmallDisk, may_mount};
use support::wire::{Connection, batch};
use support::{Broker, Setup};

/// What was acknowledged: offset → value, and the offset committed last.
#[derive(Default)]
struct Kept {
    rows: BTreeMap<i64, Vec<u8>>,
    committed: i64,
}

const TOPIC: &str = "t";
const GROUP: &str = "g";
const STORAGE_ERROR: i16 = 56;

impl Kept {
    /// Produces and commits `times`, or until the disk is full; the errors of both.
    fn write(&mut self, broker: &Broker, times: usize, bytes: usize) -> (i16, i16) {
        let mut c = Connection::open(broker.port);
        let (mut produced, mut committed) = (0, 0);
        for _ in 0..times {
            let mut value = vec![b'v'; bytes];
            value[..8].copy_from_slice(&fastrand::u64(..).to_be_bytes());
            let (error, offset) = c.produce(TOPIC, 0, batch(&[&value]));
            match error {
                0 => drop(self.rows.insert(offset, value)),
                error => produced = error,
            }
            match c.try_commit(GROUP, TOPIC, 0, self.committed + 1).unwrap() {
                0 => self.committed += 1,
                error => committed = error,
            }
            if produced != 0 && committed != 0 {
                break;
            }
        }
        (produced, committed)
    }

    fn check(&self, broker: &Broker) {
        let mut c = Connection::open(broker.port);
        let rows = c.read(TOPIC, 0, false).into_iter();
        let rows: BTreeMap<i64, Vec<u8>> = rows.map(|r| (r.offset, r.value.unwrap())).collect();
        assert_eq!(rows.len(), self.rows.len());
        assert!(rows == self.rows, "the records are not those acknowledged");
        let committed = c.committed(GROUP);
        assert_eq!(committed[&(TOPIC.to_owned(), 0)].0, self.committed);
    }
}

fn start(dir: &Path) -> Broker {
    Setup::at(dir)
        .set("offsets.topic.num.partitions", 1)
        // Kafka's 10 MiB per index would take all the room when segments roll.
        .set("log.index.size.max.bytes", 65536)
        .start()
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    if !may_mount("a_full_disk_refuses_and_recovers") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(
        &dir.path().join("data"),
        64,
        "a_full_disk_refuses_and_recovers",
    ) else {
        return;
    };
    let mut broker = start(dir.path());
    let mut c = Connection::open(broker.port);
    c.create_topic(TOPIC, 1, &[("segment.bytes", "1048576")]);
    c.commit(GROUP, TOPIC, 0, 0);
    let mut kept = Kept::default();
    assert_eq!(kept.write(&broker, 50, 10_000), (0, 0));

    disk.fill(3 << 20);
    let (produced, _) = kept.write(&broker, 2000, 10_000);
    assert_eq!(
        produced, STORAGE_ERROR,
        "no error although the disk is full"
    );
    assert!(kept.rows.len() > 50);
    // Reading goes on, and so does refusing, without harm to what is there.
    kept.check(&broker);
    assert_eq!(kept.write(&broker, 20, 100_000).0, STORAGE_ERROR);
    kept.check(&broker);

    // Topics need room too; what is refused is not half there.
    disk.fill_up();
    let mut c = Connection::open(broker.port);
    let mut refused = 0;
    let mut created = BTreeSet::new();
    for number in 0..200 {
        let name = format!("during-{number}");
        match c.try_create_topic(&name, 1, &[]).unwrap() {
            0 => drop(created.insert(name)),
            _ => refused += 1,
        }
    }
    assert!(refused > 0, "200 topics fitted on a full disk");
    let during = |c: &mut Connection| -> BTreeSet<String> {
        let topics = c.topics().into_iter();
        topics.filter(|name| name.starts_with("during-")).collect()
    };
    assert_eq!(during(&mut c), created);

    disk.make_room();
    support::until("producing works again", || {
        (kept.write(&broker, 1, 10_000) == (0, 0)).then_some(())
    });
    assert_eq!(kept.write(&broker, 300, 10_000), (0, 0));
    kept.check(&broker);
    c.create_topic("after", 1, &[]);
    assert_eq!(c.produce("after", 0, batch(&[b"v"])), (0, 0));
    for name in &created {
        support::until("its log is made", || {
            let (error, _) = c.produce(name, 0, batch(&[b"v"]));
            (error != STORAGE_ERROR).then(|| assert_eq!(error, 0, "{name}"))
        });
    }

    // Full again, and down with it, in order and not.
    disk.fill(1 << 20);
    assert_eq!(kept.write(&broker, 2000, 10_000).0, STORAGE_ERROR);
    broker.stop();
    disk.make_room();
    let mut broker = start(dir.path());
    kept.check(&broker);
    assert_eq!(during(&mut Connection::open(broker.port)), created);
    disk.fill(1 << 20);
    assert_eq!(kept.write(&broker, 2000, 10_000).0, STORAGE_ERROR);
    broker.kill();
    disk.make_room();
    let mut broker = start(dir.path());
    kept.check(&broker);
    assert_eq!(kept.write(&broker, 10, 10_000), (0, 0));
    kept.check(&broker);
    assert!(broker.stop().success());
}

#[test]
fn a_node_starts_and_deletes_with_no_byte_free() {
    const TEST: &str = "a_node_starts_and_deletes_with_no_byte_free";
    if !may_mount(TEST) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let Some(disk) = SmallDisk::mount(&data, 64, TEST) else {
        return;
    };
    let mut broker = start(dir.path());
    let mut c = Connection::open(broker.port);
    c.create_topic(TOPIC, 1, &[]);
    c.commit(GROUP, TOPIC, 0, 0);
    c.create_topic("large", 1, &[("segment.bytes", "1048576")]);
    let mut kept = Kept::default();
    assert_eq!(kept.write(&broker, 20, 10_000), (0, 0));
    for _ in 0..20 {
        assert_eq!(c.produce("large", 0, batch(&[&[7; 900_000]])).0, 0);
    }
    let reserve = data.join(".kafkars-reserve");
    support::until("the reserve is there", || reserve.exists().then_some(()));
    for unclean in [false, true] {
        match unclean {
            true => broker.kill(),
            false => assert!(broker.stop().success()),
        }
        disk.fill_up();
        broker = start(dir.path());
        assert!(!reserve.exists(), "it is in use");
        kept.check(&broker);
        assert_eq!(kept.write(&broker, 20, 100_000).0, STORAGE_ERROR);
        let mut c = Connection::open(broker.port);
        assert_ne!(c.try_create_topic("no", 1, &[]).unwrap(), 0);
        if unclean {
            break;
        }
        // Nothing but room for the reserve is missing.
        disk.make_room();
        support::until("appends are taken again", || {
            (kept.write(&broker, 1, 10_000) == (0, 0)).then_some(())
        });
        assert!(reserve.exists());
    }
    // What the log names helps: its topic goes, its files at once, and appends are taken again.
    let log = broker.log();
    assert!(log.contains(" is full ("), "{log}");
    assert!(log.contains("would free most in large-0 17."), "{log}");
    let mut c = Connection::open(broker.port);
    let request = kafkars::protocol::messages::DeleteTopicsRequest {
        topic_names: vec!["large".to_owned()],
        timeout_ms: 10_000,
        ..Default::default()
    };
    assert_eq!(c.ask(&request, 5).responses[0].error_code, 0);
    support::until("the deletion makes room", || {
        (kept.write(&broker, 1, 10_000) == (0, 0)).then_some(())
    });
    kept.check(&broker);
    support::until("it says so", || {
        broker.log().contains(" has room again").then_some(())
    });
    assert!(broker.stop().success());
}
