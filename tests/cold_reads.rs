//! Fetches that wait for a slow disk hold up nobody who does not.

mod support;

use std::fs::{self, File};
use std::io::IoSliceMut;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use support::faults::Injection;
use support::wire::{Connection, batch};
use support::{Setup, skip};

/// More than any runtime of the tests has threads.
const COLD_CLIENTS: usize = 12;
/// How long each read of the cold log takes.
const READ: Duration = Duration::from_millis(300);

/// Takes a file out of the page cache; whether that worked.
fn evict(path: &Path) -> bool {
    let file = File::open(path).unwrap();
    file.sync_all().unwrap();
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    let mut byte = [0];
    let read = preadv2(
        &file,
        &mut [IoSliceMut::new(&mut byte)],
        0,
        ReadWriteFlags::NOWAIT,
    );
    read == Err(Errno::AGAIN)
}

fn logs(partition: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(partition).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect()
}

#[test]
fn a_slow_disk_holds_up_nobody_else() {
    const TEST: &str = "a_slow_disk_holds_up_nobody_else";
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Setup::at(dir.path()).start();
    let mut c = Connection::open(broker.port);
    c.create_topic("cold", 1, &[("segment.bytes", "1048576")]);
    c.create_topic("hot", 1, &[]);
    let value = vec![b'x'; 20_000];
    for _ in 0..200 {
        assert_eq!(c.produce("cold", 0, batch(&[&value])).0, 0);
    }
    let written = c.read("cold", 0, false);
    assert!(broker.stop().success());

    let broker = Setup::at(dir.path()).start();
    let mut c = Connection::open(broker.port);
    assert_eq!(c.produce("hot", 0, batch(&[b"first"])).0, 0);
    let logs = logs(&broker.data().join("cold-0"));
    assert!(logs.len() > 2);
    if !logs.iter().all(|log| evict(log)) {
        return skip(TEST, "files cannot be taken out of the page cache");
    }
    let paths: Vec<&Path> = logs.iter().map(PathBuf::as_path).collect();
    let Some(slow) = Injection::slow(TEST, broker.pid(), "pread64", READ, &paths) else {
        return;
    };
    let reading = Arc::new(AtomicBool::new(true));
    let port = broker.port;
    let cold: Vec<_> = (0..COLD_CLIENTS)
        .map(|client| {
            let from = (client * 200 / COLD_CLIENTS) as i64;
            thread::spawn(move || {
                let began = Instant::now();
                let rows = Connection::open(port).read_from(from, "cold", 0, false);
                (from as usize, rows, began.elapsed())
            })
        })
        .collect();
    let hot = {
        let reading = reading.clone();
        thread::spawn(move || {
            let (mut longest, mut count) = (Duration::ZERO, 0);
            while reading.load(Ordering::Relaxed) {
                let began = Instant::now();
                assert_eq!(c.produce("hot", 0, batch(&[b"more"])).0, 0);
                longest = longest.max(began.elapsed());
                count += 1;
            }
            (longest, count)
        })
    };
    let mut waited = Duration::ZERO;
    for client in cold {
        let (from, rows, took) = client.join().unwrap();
        assert!(rows == written[from..], "from {from}");
        waited = waited.max(took);
    }
    reading.store(false, Ordering::Relaxed);
    let (longest, count) = hot.join().unwrap();
    drop(slow);
    assert!(waited >= READ, "nobody waited for the disk: {waited:?}");
    assert!(
        longest < READ,
        "one of {count} requests beside them took {longest:?}"
    );
}
