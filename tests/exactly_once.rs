//! A chain that consumes, transforms and produces in transactions with its offsets in them: several members in one
//! group, and members and the broker killed (kill -9) while it runs. Whoever reads what is committed sees every input
//! exactly once, and in order for each key.
//!
//! `KAFKARS_CHAIN_RECORDS` sets how many records pass through; something is killed about every 5,000.

mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use kafkars::record::{BatchBuilder, BatchMeta};
use support::clients::build_go;
use support::genuine::Genuine;
use support::wire::{Connection, now_ms};
use support::{Broker, Setup, free_port, root, run_command, skip, until};

const INPUT: &str = "input";
const OUTPUT: &str = "output";
const GROUP: &str = "chain";
const PARTITIONS: i32 = 4;
const MEMBERS: usize = 3;
const KEYS: usize = 40;
const RECORDS_OF_A_KILL: usize = 5000;
/// With fewer records, too.
const KILLS_MIN: usize = 2;
const RECORDS_OF_A_BATCH: usize = 500;

#[test]
fn franz_go() {
    let what = "an exactly-once chain with franz-go";
    match build_go("franz") {
        Ok(program) => play(what, &|| {
            let mut command = Command::new(&program);
            command.arg("chain");
            command
        }),
        Err(why) => skip(what, &why),
    }
}

#[test]
fn java() {
    let what = "an exactly-once chain with Java's client";
    if Command::new("javac").arg("-version").output().is_err() {
        return skip(what, "Java's sources need a JDK to run");
    }
    let Some(genuine) = Genuine::find(what) else {
        return;
    };
    let classes = tempfile::tempdir().unwrap();
    let mut compile = genuine.command("compile");
    compile.arg(classes.path());
    compile.arg(root().join("tests/apache-kafka/Chain.java"));
    run_command(compile, b"").ok();
    play(what, &|| {
        let mut command = genuine.command("class");
        command.arg("Chain").env("CLASSPATH", classes.path());
        command
    });
}

/// Sends all records through the chain, in as many parts as there are kills and one more.
fn play(what: &str, command: &dyn Fn() -> Command) {
    let records = std::env::var("KAFKARS_CHAIN_RECORDS").ok();
    let records: usize = records.map_or(6000, |n| n.parse().unwrap());
    let kills = (records / RECORDS_OF_A_KILL).max(KILLS_MIN);
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let mut chain = Chain::start(dir.path(), command);
    let mut written = 0;
    for kill in 0..kills {
        let part = records / (kills + 1);
        chain.write(written..written + part);
        chain.until_passed(written + part / 2);
        chain.kill(kill);
        written += part;
    }
    chain.write(written..records);
    chain.until_passed(records);
    chain.check(records);
    println!(
        "{what}: {records} records, {kills} kills, {:?}",
        began.elapsed()
    );
}

/// The broker, the members, and how to start them.
struct Chain<'a> {
    dir: &'a Path,
    ports: (u16, u16),
    command: &'a dyn Fn() -> Command,
    broker: Broker,
    members: Vec<Member>,
}

impl Drop for Chain<'_> {
    fn drop(&mut self) {
        for at in (0..MEMBERS).filter(|_| std::thread::panicking()) {
            let said = std::fs::read_to_string(self.errors(at)).unwrap_or_default();
            eprintln!("--- standard error of member {at}\n{said}");
        }
    }
}

/// A process of the chain; killed when dropped.
struct Member(Child);

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl<'a> Chain<'a> {
    fn start(dir: &'a Path, command: &'a dyn Fn() -> Command) -> Chain<'a> {
        let ports = (free_port(), free_port());
        let broker = start_broker(dir, ports);
        let mut connection = Connection::open(broker.port);
        for topic in [INPUT, OUTPUT] {
            connection.create_topic(topic, PARTITIONS, &[]);
        }
        let mut chain = Chain {
            dir,
            ports,
            command,
            broker,
            members: Vec::new(),
        };
        chain.members = (0..MEMBERS).map(|at| chain.member(at)).collect();
        chain
    }

    fn errors(&self, at: usize) -> PathBuf {
        self.dir.join(format!("member-{at}.err"))
    }

    /// Starts a member. Who comes in the place of another has its transactional id.
    fn member(&self, at: usize) -> Member {
        let errors = File::options()
            .create(true)
            .append(true)
            .open(self.errors(at));
        let mut command = (self.command)();
        command.args([&self.broker.bootstrap(), INPUT, OUTPUT, GROUP]);
        command.arg(format!("chain-{at}"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Member(command.stderr(errors.unwrap()).spawn().unwrap())
    }

    /// Kills a member, the broker, or both, and starts what takes their place.
    fn kill(&mut self, kill: usize) {
        let (member, broker) = [(true, false), (false, true), (true, true)][kill % 3];
        if broker {
            self.broker.kill();
        }
        let at = kill % MEMBERS;
        if member {
            let _ = self.members[at].0.kill();
        }
        if broker {
            self.broker = start_broker(self.dir, self.ports);
        }
        if member {
            self.members[at] = self.member(at);
        }
    }

    /// Writes the numbered records of the input: a number tells its key, and its place in that key's order.
    fn write(&self, numbers: std::ops::Range<usize>) {
        let mut connection = Connection::open(self.broker.port);
        for partition in 0..PARTITIONS as usize {
            let numbers: Vec<usize> = numbers
                .clone()
                .filter(|number| number % KEYS % PARTITIONS as usize == partition)
                .collect();
            for numbers in numbers.chunks(RECORDS_OF_A_BATCH) {
                let mut builder = BatchBuilder::new();
                for number in numbers {
                    let key = format!("k{}", number % KEYS);
                    let value = (number / KEYS).to_string();
                    builder
                        .append(now_ms(), Some(key.as_bytes()), Some(value.as_bytes()), &[])
                        .unwrap();
                }
                let batch = builder.finish(&BatchMeta::default()).unwrap();
                let (error, _) = connection.produce(INPUT, partition as i32, batch);
                assert_eq!(error, 0, "writing the input");
            }
        }
    }

    /// Waits until so much of the input is committed; it may take as long as it goes on.
    fn until_passed(&mut self, records: usize) {
        let mut connection = Connection::open(self.broker.port);
        let mut passed = 0;
        while passed < records {
            passed = until(&format!("more than {passed} of {records} pass"), || {
                let committed = connection.committed(GROUP);
                let offsets = committed.values().map(|(offset, ..)| *offset as usize);
                let now: usize = offsets.sum();
                (now > passed || now >= records).then_some(now)
            });
        }
    }

    /// Compares the output with the input.
    fn check(&self, records: usize) {
        let mut connection = Connection::open(self.broker.port);
        // The last markers may come after the offsets.
        let rows = until("every record is committed", || {
            let partitions = 0..PARTITIONS;
            let rows: Vec<_> = partitions
                .flat_map(|partition| connection.read(OUTPUT, partition, true))
                .collect();
            (rows.len() >= records).then_some(rows)
        });
        let mut next: BTreeMap<String, usize> = BTreeMap::new();
        for row in rows {
            let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap()).unwrap();
            let (key, value) = (text(row.key), text(row.value));
            let expected = next.entry(key.clone()).or_default();
            assert_eq!(value, format!("seen {expected}"), "the next of {key}");
            *expected += 1;
        }
        assert_eq!(next.into_values().sum::<usize>(), records);
    }
}

fn start_broker(dir: &Path, ports: (u16, u16)) -> Broker {
    Setup::at(dir)
        .on(ports)
        .set("offsets.topic.num.partitions", 3)
        .set("transaction.state.log.num.partitions", 3)
        .set("group.min.session.timeout.ms", 1000)
        .set("group.consumer.min.session.timeout.ms", 2000)
        .set("group.consumer.session.timeout.ms", 2000)
        .set("group.consumer.min.heartbeat.interval.ms", 200)
        .set("group.consumer.heartbeat.interval.ms", 200)
        .start()
}
