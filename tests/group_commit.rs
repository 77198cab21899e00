//! `kafkars.group.commit`: acks=all is answered once the records are on the device, one fsync for all who wait; and
//! nobody sees records before.

mod support;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use kafkars::protocol::messages::ProduceRequest;
use support::faults::Injection;
use support::wire::{Connection, batch, produce_request};
use support::{Broker, Setup, until};

const STORAGE_ERROR: i16 = 56;
const TIMED_OUT: i16 = 7;
/// How long an fsync takes in these tests.
const FSYNC: Duration = Duration::from_millis(400);

fn start() -> Broker {
    Setup::default()
        .set("kafkars.group.commit", true)
        .set("offsets.topic.num.partitions", 1)
        .start()
}

fn segment(broker: &Broker, partition: &str) -> PathBuf {
    let name = format!("{partition}/00000000000000000000.log");
    broker.data().join(name)
}

/// Has fsyncs of these partitions take long.
fn slow(test: &str, broker: &Broker, partitions: &[&str]) -> Option<Injection> {
    let files: Vec<PathBuf> = partitions.iter().map(|p| segment(broker, p)).collect();
    let paths: Vec<_> = files.iter().map(PathBuf::as_path).collect();
    Injection::slow(test, broker.pid(), "fsync,fdatasync", FSYNC, &paths)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    (work(), began.elapsed())
}

/// The error code of a produce request, as its `acks` and timeout have it.
fn produce_as(c: &mut Connection, acks: i16, timeout_ms: i32) -> i16 {
    let request = ProduceRequest {
        acks,
        timeout_ms,
        ..produce_request("t", 0, batch(&[b"v"]))
    };
    let response = c.ask(&request, support::wire::PRODUCE_BY_NAME);
    response.responses[0].partition_responses[0].error_code
}

#[test]
fn what_is_acknowledged_is_served_before_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        Setup::at(dir.path())
            .set("kafkars.group.commit", true)
            .set("offsets.topic.num.partitions", 1)
            .start()
    };
    let mut broker = start();
    let mut c = Connection::open(broker.port);
    c.create_topic("t", 2, &[("segment.bytes", "1048576")]);
    let value = vec![b'x'; 20_000];
    for offset in 0..120 {
        for partition in 0..2 {
            assert_eq!(c.produce("t", partition, batch(&[&value])), (0, offset));
        }
        assert_eq!(c.offset("t", 0, -1, false).0, offset + 1);
    }
    c.commit("g", "t", 0, 7);
    let rows = c.read("t", 1, true);
    assert_eq!(rows.len(), 120);
    broker.kill();
    let broker = start();
    let mut c = Connection::open(broker.port);
    assert_eq!(c.read("t", 1, true), rows);
    let committed = c.committed("g");
    assert_eq!(committed[&("t".to_owned(), 0)].0, 7);
    assert_eq!(c.produce("t", 0, batch(&[b"more"])), (0, 120));
}

#[test]
fn acks_all_is_answered_after_fsync_and_one_fsync_serves_all() {
    const TEST: &str = "acks_all_is_answered_after_fsync_and_one_fsync_serves_all";
    const CLIENTS: usize = 32;
    let broker = start();
    let mut c = Connection::open(broker.port);
    c.create_topic("t", 1, &[]);
    c.create_topic("other", 1, &[]);
    assert_eq!(c.produce("t", 0, batch(&[b"first"])), (0, 0));
    let Some(_slow) = slow(TEST, &broker, &["t-0"]) else {
        return;
    };
    let (produced, took) = timed(|| c.produce("t", 0, batch(&[b"second"])));
    assert_eq!(produced, (0, 1));
    assert!(took >= FSYNC, "answered after {took:?}");

    // Nobody sees it before; acks=1 is answered before.
    let (error, took) = timed(|| produce_as(&mut c, 1, 30_000));
    assert_eq!(error, 0);
    assert!(took < FSYNC, "answered after {took:?}");
    assert_eq!(c.offset("t", 0, -1, false).0, 2);
    until("it is committed", || {
        (c.offset("t", 0, -1, false).0 == 3).then_some(())
    });

    // One is under way when most come; the next serves them all.
    let (_, took) = timed(|| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let port = broker.port;
                thread::spawn(move || {
                    Connection::open(port)
                        .produce("t", 0, batch(&[b"together"]))
                        .0
                })
            })
            .collect();
        for client in clients {
            assert_eq!(client.join().unwrap(), 0);
        }
    });
    assert!(took < 4 * FSYNC, "{CLIENTS} clients waited {took:?}");
    // Another log does not wait for this one.
    let (_, took) = timed(|| c.produce("other", 0, batch(&[b"v"])));
    assert!(took < FSYNC, "answered after {took:?}");
}

#[test]
fn a_producer_is_told_when_the_device_is_too_slow_for_it() {
    const TEST: &str = "a_producer_is_told_when_the_device_is_too_slow_for_it";
    let broker = start();
    let mut c = Connection::open(broker.port);
    c.create_topic("t", 1, &[]);
    assert_eq!(c.produce("t", 0, batch(&[b"first"])), (0, 0));
    let Some(slow) = slow(TEST, &broker, &["t-0"]) else {
        return;
    };
    assert_eq!(produce_as(&mut c, -1, 50), TIMED_OUT);
    drop(slow);
    until("it is committed all the same", || {
        (c.offset("t", 0, -1, false).0 == 2).then_some(())
    });
}

#[test]
fn offsets_are_committed_after_fsync() {
    const TEST: &str = "offsets_are_committed_after_fsync";
    let broker = start();
    let mut c = Connection::open(broker.port);
    c.create_topic("t", 1, &[]);
    c.commit("g", "t", 0, 1);
    let Some(_slow) = slow(TEST, &broker, &["__consumer_offsets-0"]) else {
        return;
    };
    let (error, took) = timed(|| c.try_commit("g", "t", 0, 2).unwrap());
    assert_eq!(error, 0);
    assert!(took >= FSYNC, "answered after {took:?}");
    assert_eq!(c.committed("g")[&("t".to_owned(), 0)].0, 2);
}

#[test]
fn a_failed_fsync_acknowledges_nothing() {
    const TEST: &str = "a_failed_fsync_acknowledges_nothing";
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let both = format!("{},{}", data.display(), dir.path().join("second").display());
    let broker = Setup::at(dir.path())
        .set("kafkars.group.commit", true)
        .set("log.dirs", both)
        .start();
    let mut c = Connection::open(broker.port);
    c.create_topic("t", 2, &[]);
    for partition in 0..2 {
        assert_eq!(c.produce("t", partition, batch(&[b"first"])), (0, 0));
    }
    let second = dir.path().join("second");
    let there = |partition: &i32| second.join(format!("t-{partition}")).exists();
    let bad = (0..2).find(there).unwrap();
    let file = second.join(format!("t-{bad}/00000000000000000000.log"));
    let injected = Injection::start(TEST, broker.pid(), "fsync,fdatasync", "EIO", &[&file]);
    let Some(injection) = injected else { return };
    assert_eq!(c.produce("t", bad, batch(&[b"lost"])).0, STORAGE_ERROR);
    drop(injection);
    // Never tried again as if it had worked; the other directory serves on.
    assert_eq!(c.produce("t", bad, batch(&[b"x"])).0, STORAGE_ERROR);
    assert_eq!(c.produce("t", 1 - bad, batch(&[b"more"])), (0, 1));
}
