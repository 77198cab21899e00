//! One scenario with each client library of others: transactions, produce in every codec, consume in a group of three
//! through a rebalance, commit, and resume. What a script does, and what it writes, is told in `clients/README.md`.

mod support;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use kafkars::record::{self, Compression};
use support::clients::{build_go, install_node, install_python, sources};
use support::{Broker, Setup, run_command, skip, until, wait};

const PARTITIONS: usize = 6;
const RECORDS: usize = 60;

#[test]
fn confluent_kafka() {
    python("confluent-kafka", "confluent.py");
}

#[test]
fn kafka_python() {
    python("kafka-python", "kafka_python.py");
}

#[test]
fn aiokafka() {
    python("aiokafka", "aio.py");
}

fn python(name: &str, script: &str) {
    static VENV: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match VENV.get_or_init(install_python) {
        Ok(python) => play(&Library {
            command: vec![python.into(), sources("python").join(script).into()],
        }),
        Err(why) => skip(name, why),
    }
}

#[test]
fn kafkajs() {
    match install_node() {
        Ok(script) => play(&Library {
            command: vec!["node".into(), script.into()],
        }),
        Err(why) => skip("kafkajs", &why),
    }
}

#[test]
fn franz_go() {
    go("franz-go", "franz");
}

#[test]
fn sarama() {
    go("sarama", "sarama");
}

fn go(name: &str, program: &str) {
    match build_go(program) {
        Ok(program) => play(&Library {
            command: vec![program.into()],
        }),
        Err(why) => skip(name, &why),
    }
}

/// The whole scenario.
fn play(library: &Library) {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Setup::at(dir.path()).start();
    let create = [
        "topics",
        "--create",
        "--topic",
        "t",
        "--partitions",
        &PARTITIONS.to_string(),
    ];
    broker.tool(&create, b"").ok();
    let codecs = library.codecs();
    assert!(
        codecs.contains("gzip") && codecs.contains("none"),
        "{codecs:?}"
    );
    let mut produced = BTreeSet::new();

    library.transact(&broker);
    produced.extend(library.produce(&broker, &codecs, "first"));
    assert_eq!(
        codecs_in_log(&broker),
        codecs,
        "codecs of the batches as they are stored"
    );
    let mut members: Vec<Member> = (0..3).map(|_| library.join(&broker)).collect();
    balanced(&mut members);
    received(&mut members, &produced);

    let left = members.pop().unwrap().leave();
    balanced(&mut members);
    produced.extend(library.produce(&broker, &codecs, "second"));
    members.push(left);
    received(&mut members, &produced);
    members.pop();
    for member in members {
        member.leave();
    }

    // What was committed outlives the broker, too.
    broker.stop();
    let broker = Setup::at(dir.path()).start();
    let resumed = library.produce(&broker, &codecs, "third");
    let mut again = vec![library.join(&broker)];
    received(&mut again, &resumed);
    let again = again.pop().unwrap().leave();
    let seen: Vec<&String> = again.values.iter().collect();
    assert_eq!(
        seen.len(),
        resumed.len(),
        "resumed anywhere but at what was committed"
    );
}

/// A library's script: how it is run.
struct Library {
    command: Vec<OsString>,
}

impl Library {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).args(args);
        command
    }

    fn codecs(&self) -> BTreeSet<String> {
        run_command(self.command(&["codecs"]), b"")
            .ok()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Produces in every codec; returns the values.
    fn produce(&self, broker: &Broker, codecs: &BTreeSet<String>, phase: &str) -> BTreeSet<String> {
        let mut values = BTreeSet::new();
        for codec in codecs {
            let label = format!("{phase}-{codec}");
            let args = [
                "produce",
                &broker.bootstrap(),
                "t",
                codec,
                &label,
                &RECORDS.to_string(),
            ];
            run_command(self.command(&args), b"").ok();
            values.extend((0..RECORDS).map(|i| format!("{label}-{i}")));
        }
        values
    }

    /// Commit, abort, offsets, fencing, and what a read_committed consumer sees of it.
    fn transact(&self, broker: &Broker) {
        let create = ["topics", "--create", "--topic", "in-transactions"];
        broker.tool(&create, b"").ok();
        let args = ["transact", &broker.bootstrap(), "in-transactions", "copies"];
        let said = run_command(self.command(&args), b"").ok();
        let expected = [
            "fenced",
            "offset 42",
            "read committed-1",
            "read committed-2",
            "read committed-3",
        ];
        let said: Vec<&str> = said.lines().collect();
        assert_eq!(said, expected);
    }

    fn join(&self, broker: &Broker) -> Member {
        Member::start(self.command(&["consume", &broker.bootstrap(), "t", "g"]))
    }
}

/// A running member of the group and what it has written so far.
struct Member {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    assigned: BTreeSet<usize>,
    values: Vec<String>,
    has_left: bool,
}

impl Member {
    fn start(mut command: Command) -> Member {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let (lines, receiver) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        Member {
            stdin: child.stdin.take(),
            child,
            lines: receiver,
            assigned: BTreeSet::new(),
            values: Vec::new(),
            has_left: false,
        }
    }

    /// Takes in what it has written since.
    fn read(&mut self) {
        while let Ok(line) = self.lines.try_recv() {
            match line.split_once(' ').unwrap_or((&line, "")) {
                ("assigned", partitions) => {
                    self.assigned = partitions
                        .split_whitespace()
                        .map(|p| p.parse().unwrap())
                        .collect();
                }
                ("record", record) => self
                    .values
                    .push(record.splitn(3, ' ').nth(2).unwrap().to_owned()),
                ("left", "") => self.has_left = true,
                _ => panic!("a member wrote {line:?}"),
            }
        }
        if let Some(status) = self.child.try_wait().unwrap() {
            assert!(status.success(), "a member ended with {status}");
        }
    }

    /// Has it commit and leave the group.
    fn leave(mut self) -> Member {
        drop(self.stdin.take());
        let status = wait(&mut self.child, support::PATIENCE).expect("the member does not leave");
        assert!(status.success(), "the member left with {status}");
        until("the member's last lines", || {
            self.read();
            self.has_left.then_some(())
        });
        self
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until all partitions are shared out evenly.
fn balanced(members: &mut [Member]) {
    let each = PARTITIONS / members.len();
    until("the group is balanced", || {
        members.iter_mut().for_each(Member::read);
        let all: BTreeSet<usize> = members.iter().flat_map(|m| m.assigned.clone()).collect();
        let is_even = members.iter().all(|m| m.assigned.len() == each);
        (is_even && all.len() == PARTITIONS).then_some(())
    });
}

/// Waits until every value has come to some member, and checks that nothing else has.
fn received(members: &mut [Member], produced: &BTreeSet<String>) {
    until("every record is received", || {
        members.iter_mut().for_each(Member::read);
        let seen: BTreeSet<&String> = members.iter().flat_map(|m| &m.values).collect();
        let strange: Vec<_> = seen.iter().filter(|v| !produced.contains(**v)).collect();
        assert!(
            strange.is_empty(),
            "received what was not produced or is committed: {strange:?}"
        );
        (seen.len() == produced.len()).then_some(())
    });
}

/// The codecs of the batches in the topic's segments, all of idempotent producers.
fn codecs_in_log(broker: &Broker) -> BTreeSet<String> {
    let mut codecs = BTreeSet::new();
    for partition in 0..PARTITIONS {
        let segment = broker
            .data()
            .join(format!("t-{partition}/00000000000000000000.log"));
        for batch in record::batches(&fs::read(segment).unwrap()) {
            let batch = batch.unwrap();
            assert!(
                batch.producer_id() >= 0,
                "a batch is not of an idempotent producer"
            );
            let codec = match batch.compression().unwrap() {
                Compression::None => "none",
                Compression::Gzip => "gzip",
                Compression::Snappy => "snappy",
                Compression::Lz4 => "lz4",
                Compression::Zstd => "zstd",
            };
            codecs.insert(codec.to_owned());
        }
    }
    codecs
}
