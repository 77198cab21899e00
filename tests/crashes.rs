//! kill -9 under load, again and again, at times while it still starts: every acknowledged record is there once and in
//! order, and so are committed offsets and the newest of each key of a compacted topic; topics that were created are
//! there, and deleted ones are not.
//!
//! `KAFKARS_KILL_ROUNDS` sets how often; without it 20 times, fewer where the machine is slow.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kafkars::client::producer::{BatchOutcome, Producer, ProducerConfig, Record};
use kafkars::config::Properties;
use kafkars::protocol::messages::DeleteTopicsRequest;
use kafkars::record::{BatchBuilder, BatchMeta};
use parking_lot::Mutex;
use support::wire::{Connection, now_ms};
use support::{Broker, Setup, free_port, kafkars};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

const TOPIC: &str = "under-load";
const COMPACTED: &str = "compacted";
const GROUP: &str = "committers";
const PARTITIONS: i32 = 3;
const PRODUCERS: u64 = 2;
/// Of the compacted topic.
const KEYS: i64 = 8;
/// With this many kills a directory has seen enough, and another is begun: all it holds is read in the end.
const ROUNDS_OF_A_DIRECTORY: usize = 50;
/// Without a number of rounds asked for, no more are begun after this long.
const ENOUGH: Duration = Duration::from_secs(60);

/// What producers were told.
#[derive(Default)]
struct Told {
    /// partition → (producer, number) of each acknowledged record, with its offset where one was told.
    acknowledged: BTreeMap<i32, BTreeMap<(u64, u64), Option<i64>>>,
    failures: Vec<String>,
}

impl Told {
    fn hear(&mut self, producer: u64, outcome: &BatchOutcome) {
        if let Err(e) = &outcome.result {
            self.failures.push(e.to_string());
            return;
        }
        let partition = self.acknowledged.entry(outcome.partition).or_default();
        for (index, number) in (0..).zip(&outcome.tokens) {
            let offset = (outcome.base_offset >= 0).then_some(outcome.base_offset + index);
            let before = partition.insert((producer, *number), offset);
            assert_eq!(before, None, "acknowledged twice");
        }
    }

    fn count(&self) -> usize {
        self.acknowledged.values().map(BTreeMap::len).sum()
    }
}

/// In some rounds with group commit.
fn start(dir: &Path, ports: (u16, u16), round: usize) -> Broker {
    Setup::at(dir)
        .on(ports)
        .set("kafkars.group.commit", round % 4 == 3)
        .set("log.cleaner.backoff.ms", 20)
        .set("log.cleaner.min.cleanable.ratio", "0.01")
        .set("offsets.topic.num.partitions", 2)
        .set("metadata.log.max.record.bytes.between.snapshots", 2000)
        .set("log.flush.offset.checkpoint.interval.ms", 200)
        .set("replica.high.watermark.checkpoint.interval.ms", 200)
        .set("log.initial.task.delay.ms", 100)
        .start()
}

/// An idempotent producer that writes to all partitions until told to end; how much it has appended.
fn produce(
    runtime: &Runtime,
    id: u64,
    bootstrap: &str,
    told: &Arc<Mutex<Told>>,
    ending: &Arc<AtomicBool>,
) -> JoinHandle<u64> {
    let mut properties = Properties::new();
    for (key, value) in [
        ("bootstrap.servers", bootstrap),
        ("delivery.timeout.ms", "600000"),
        ("request.timeout.ms", "5000"),
        ("batch.size", "4096"),
        ("buffer.memory", "131072"),
        ("reconnect.backoff.max.ms", "100"),
        ("max.block.ms", "600000"),
    ] {
        properties.set(key, value);
    }
    let config = ProducerConfig::from_properties(&properties).unwrap();
    assert!(config.idempotence);
    let (told, ending) = (told.clone(), ending.clone());
    runtime.spawn(async move {
        let handler = Arc::new(move |outcome: &BatchOutcome| told.lock().hear(id, outcome));
        let producer = Producer::with_handler(config, handler);
        let topic = producer.topic(TOPIC).await.unwrap();
        let padding = "x".repeat(200);
        let mut number = 0;
        while !ending.load(Ordering::Relaxed) {
            let value = format!("{id} {number} {padding}");
            let record = Record {
                partition: Some((number % PARTITIONS as u64) as i32),
                token: Some(number),
                ..Record::value(value.as_bytes())
            };
            producer.append(&topic, &record).await.unwrap();
            number += 1;
            if number % 16 == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        producer.close().await;
        number
    })
}

/// What was acknowledged besides records.
#[derive(Default)]
struct Changes {
    offset: i64,
    created: BTreeSet<String>,
    deleted: BTreeSet<String>,
    /// Asked for when the broker was killed: either may have happened.
    unsure: BTreeSet<String>,
    /// key → the newest value, of the compacted topic.
    newest: BTreeMap<i64, i64>,
    unsure_value: Option<i64>,
    next_value: i64,
}

impl Changes {
    /// Writes the next value to the key that is its turn.
    fn write_key(&mut self, c: &mut Connection) -> std::io::Result<()> {
        let value = self.next_value;
        self.next_value += 1;
        self.unsure_value = Some(value);
        let (key, text) = ((value % KEYS).to_string(), value.to_string());
        let mut builder = BatchBuilder::new();
        builder
            .append(now_ms(), Some(key.as_bytes()), Some(text.as_bytes()), &[])
            .unwrap();
        let batch = builder.finish(&BatchMeta::default()).unwrap();
        let (error, _) = c.try_produce(COMPACTED, 0, batch)?;
        assert_eq!(error, 0, "{value}");
        self.unsure_value = None;
        self.newest.insert(value % KEYS, value);
        Ok(())
    }

    /// Compares the compacted topic with what was acknowledged.
    fn check_keys(&mut self, c: &mut Connection) {
        let number = |bytes: Option<Vec<u8>>| -> i64 {
            String::from_utf8(bytes.unwrap()).unwrap().parse().unwrap()
        };
        let rows = c.read(COMPACTED, 0, false).into_iter();
        let mut found = BTreeMap::new();
        let mut last = -1;
        for row in rows {
            assert!(row.offset > last, "{} after {last}", row.offset);
            last = row.offset;
            found.insert(number(row.key), number(row.value));
        }
        if let Some(unsure) = self.unsure_value.take()
            && found.get(&(unsure % KEYS)) == Some(&unsure)
        {
            self.newest.insert(unsure % KEYS, unsure);
        }
        assert_eq!(found, self.newest, "of the compacted topic");
    }
}

/// Commits greater and greater offsets, creates and deletes topics, until the broker dies.
fn change(port: u16, mut changes: Changes) -> thread::JoinHandle<Changes> {
    thread::spawn(move || {
        let mut c = Connection::open(port);
        c.find_group(GROUP);
        while step(&mut c, &mut changes).is_ok() {}
        changes
    })
}

fn step(c: &mut Connection, changes: &mut Changes) -> std::io::Result<()> {
    match c.try_commit(GROUP, TOPIC, 0, changes.offset + 1)? {
        0 => changes.offset += 1,
        // Still loading, or making its topic.
        14..=16 => thread::sleep(Duration::from_millis(5)),
        error => panic!("error {error}"),
    }
    changes.write_key(c)?;
    if changes.offset % 25 == 0 {
        let name = format!("made-{}", changes.offset);
        changes.unsure.insert(name.clone());
        let error = c.try_create_topic(&name, 1, &[])?;
        assert!([0, 36].contains(&error), "error {error}");
        changes.unsure.remove(&name);
        changes.created.insert(name);
    }
    if changes.offset % 50 == 0
        && let Some(name) = changes.created.pop_first()
    {
        changes.unsure.insert(name.clone());
        let request = DeleteTopicsRequest {
            topic_names: vec![name.clone()],
            timeout_ms: 30_000,
            ..Default::default()
        };
        let response = c.try_ask(&request, 5)?;
        assert_eq!(response.responses[0].error_code, 0, "{name}");
        changes.unsure.remove(&name);
        changes.deleted.insert(name);
    }
    Ok(())
}

/// What was acknowledged before the kill is so after it.
fn assert_kept(broker: &Broker, changes: &mut Changes) {
    let mut c = Connection::open(broker.port);
    let committed = c.committed(GROUP);
    let offset = committed.values().next().map_or(0, |(offset, ..)| *offset);
    let acknowledged = changes.offset;
    // One more may have been written than was answered.
    assert!(
        offset == acknowledged || offset == acknowledged + 1,
        "offset {offset} after {acknowledged} was acknowledged"
    );
    changes.offset = offset;
    changes.check_keys(&mut c);
    let topics = c.topics();
    let lost: Vec<_> = changes.created.difference(&topics).collect();
    assert!(lost.is_empty(), "created and gone: {lost:?}");
    let risen: Vec<_> = changes.deleted.intersection(&topics).collect();
    assert!(risen.is_empty(), "deleted and back: {risen:?}");
    for name in std::mem::take(&mut changes.unsure) {
        match topics.contains(&name) {
            true => changes.created.insert(name),
            false => changes.deleted.insert(name),
        };
    }
}

/// Kills it while it starts, at a random moment.
fn kill_while_starting(dir: &Path) {
    let mut starting = Command::new(kafkars())
        .arg("server-start")
        .arg(dir.join("server.properties"))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_millis(fastrand::u64(0..60)));
    starting.kill().unwrap();
    starting.wait().unwrap();
}

/// Each record once, the numbers of a producer in order, and everything that was acknowledged where it was said to be.
fn assert_complete(broker: &Broker, told: &Told) {
    let mut c = Connection::open(broker.port);
    let mut stored = 0;
    for partition in 0..PARTITIONS {
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let acknowledged = &told.acknowledged[&partition];
        for (position, row) in c.read(TOPIC, partition, false).into_iter().enumerate() {
            assert_eq!(
                row.offset, position as i64,
                "a gap in partition {partition}"
            );
            let value = String::from_utf8(row.value.unwrap()).unwrap();
            let mut words = value.split(' ').map(|word| word.parse::<u64>());
            let (id, number) = (
                words.next().unwrap().unwrap(),
                words.next().unwrap().unwrap(),
            );
            let before = last.insert(id, number);
            assert!(
                before < Some(number),
                "producer {id}: {number} after {before:?} in partition {partition}"
            );
            if let Some(Some(offset)) = acknowledged.get(&(id, number)) {
                assert_eq!(
                    *offset, row.offset,
                    "{id} {number} in partition {partition}"
                );
            }
            seen.insert((id, number));
        }
        let lost: Vec<_> = acknowledged
            .keys()
            .filter(|key| !seen.contains(key))
            .collect();
        assert!(
            lost.is_empty(),
            "{} acknowledged records are not in partition {partition}: {:?}…",
            lost.len(),
            &lost[..lost.len().min(5)]
        );
        stored += seen.len();
    }
    assert!(stored >= told.count());
}

#[test]
fn nothing_acknowledged_is_lost_when_the_broker_is_killed() {
    let asked = std::env::var("KAFKARS_KILL_ROUNDS").ok();
    let rounds: usize = asked.as_ref().map_or(20, |rounds| rounds.parse().unwrap());
    let deadline = asked.is_none().then(|| Instant::now() + ENOUGH);
    let mut left = rounds;
    while left > 0 {
        let rounds = left.min(ROUNDS_OF_A_DIRECTORY);
        kill_again_and_again(rounds, deadline);
        left -= rounds;
    }
}

/// All kills of one directory.
fn kill_again_and_again(rounds: usize, deadline: Option<Instant>) {
    let dir = tempfile::tempdir().unwrap();
    let ports = (free_port(), free_port());
    let mut broker = start(dir.path(), ports, 0);
    // Segments small enough to roll now and then.
    let small = ("segment.bytes", "1048576");
    let mut c = Connection::open(ports.0);
    c.create_topic(TOPIC, PARTITIONS, &[small]);
    let compacted = [("cleanup.policy", "compact"), ("segment.ms", "50")];
    c.create_topic(COMPACTED, 1, &compacted);

    let runtime = Runtime::new().unwrap();
    let told = Arc::new(Mutex::new(Told::default()));
    let ending = Arc::new(AtomicBool::new(false));
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|id| produce(&runtime, id, &broker.bootstrap(), &told, &ending))
        .collect();
    let began = Instant::now();
    let mut done = 0;
    let mut changes = Changes::default();
    while done < rounds && (done < 3 || deadline.is_none_or(|deadline| Instant::now() < deadline)) {
        let before = told.lock().count();
        let changing = change(ports.0, changes);
        support::until("records are acknowledged", || {
            (told.lock().count() > before).then_some(())
        });
        thread::sleep(Duration::from_millis(fastrand::u64(0..400)));
        broker.kill();
        changes = changing.join().unwrap();
        drop(broker);
        done += 1;
        if done % 3 == 0 {
            kill_while_starting(dir.path());
        }
        broker = start(dir.path(), ports, done);
        assert_kept(&broker, &mut changes);
    }
    ending.store(true, Ordering::Relaxed);
    let mut appended = 0;
    for producer in producers {
        appended += runtime.block_on(producer).unwrap();
    }
    let told = told.lock();
    assert_eq!(told.failures, Vec::<String>::new());
    assert_eq!(told.count() as u64, appended, "some have no outcome");
    assert_complete(&broker, &told);
    assert!(broker.log().contains("cleaned offsets"));
    broker.kill();
    drop(broker);
    assert_complete(&start(dir.path(), ports, done), &told);
    eprintln!(
        "{done} kills in {:?}, {appended} records acknowledged, {} offsets committed, \
         {} values of {KEYS} keys, {} topics created and {} deleted",
        began.elapsed(),
        changes.offset,
        changes.next_value,
        changes.created.len() + changes.deleted.len(),
        changes.deleted.len()
    );
}
