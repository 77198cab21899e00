//! A broker with the application's topics, instances of the application, and what they have come to.

use std::collections::BTreeMap;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::PATIENCE;
use crate::app::App;
use crate::lines::{self, Line, expected};
use crate::support::genuine::Genuine;
use crate::support::wire::Connection;
use crate::support::{Broker, Setup, root, run_command, skip};

/// Where the application is compiled to.
const CLASSES: &str = "classes";

/// Every value of each key, in order.
type Values = BTreeMap<String, Vec<String>>;

/// What has been read of a topic, and where to go on.
#[derive(Default)]
struct Read {
    next: i64,
    values: Values,
}

pub struct Bench {
    genuine: Genuine,
    pub broker: Broker,
    /// Of the broker, and of the stores of the instances.
    dir: TempDir,
    settings: Vec<String>,
    read: BTreeMap<&'static str, Read>,
}

/// A node, in a directory of its own in `dir`, whose groups notice quickly who has gone.
pub fn quick(dir: &TempDir) -> Setup {
    Setup::at(&dir.path().join("broker"))
        .set("group.streams.min.session.timeout.ms", 3000)
        .set("group.streams.session.timeout.ms", 3000)
        .set("group.streams.min.heartbeat.interval.ms", 300)
        .set("group.streams.heartbeat.interval.ms", 300)
        .set("group.streams.initial.rebalance.delay.ms", 500)
        .set("group.min.session.timeout.ms", 3000)
        .set(
            "transaction.abort.timed.out.transaction.cleanup.interval.ms",
            500,
        )
}

impl Bench {
    /// None, after saying so, where Java cannot be run.
    pub fn new(what: &str, settings: &[&str]) -> Option<Bench> {
        if Command::new("javac").arg("-version").output().is_err() {
            skip(what, "Java's sources need a JDK to run");
            return None;
        }
        let genuine = Genuine::find(what)?;
        let dir = tempfile::tempdir().unwrap();
        let mut compile = genuine.command("compile");
        compile.arg(dir.path().join(CLASSES));
        compile.arg(root().join("tests/apache-kafka/Streams.java"));
        run_command(compile, b"").ok();
        let broker = quick(&dir).start();
        // What is set for it counts.
        assert!(!broker.log().contains("WARN"), "{}", broker.log());
        let mut connection = Connection::open(broker.port);
        connection.create_topic(lines::TOPIC, lines::PARTITIONS, &[]);
        connection.create_topic("counts", 1, &[]);
        connection.create_topic("windows", 1, &[]);
        Some(Bench {
            genuine,
            broker,
            dir,
            settings: settings.iter().map(|s| s.to_string()).collect(),
            read: BTreeMap::new(),
        })
    }

    /// Starts an instance; of the same name: with the stores that the one before has left.
    pub fn start(&self, name: &str) -> App {
        let mut command = self.genuine.command("class");
        command.env("CLASSPATH", self.dir.path().join(CLASSES));
        command.arg("Streams");
        command.arg(self.dir.path().join(name));
        command.arg(format!("bootstrap.servers={}", self.broker.bootstrap()));
        command.args(["application.id=app", "replication.factor=1"]);
        command.args(["auto.offset.reset=earliest", "session.timeout.ms=6000"]);
        command.args(["commit.interval.ms=100", "num.stream.threads=2"]);
        command.arg("producer.transaction.timeout.ms=5000");
        command.arg(format!("client.id={name}"));
        command.args(&self.settings);
        App::start(command, &self.dir.path().join(format!("{name}.err")))
    }

    /// Ends the broker as a crash does, and starts it again.
    pub fn crash(&mut self) {
        self.broker.kill();
        self.broker = quick(&self.dir).on(self.ports()).start();
    }

    /// Genuine Kafka takes over.
    pub fn swap_to_genuine(&mut self) {
        self.broker.stop();
        let setup = quick(&self.dir).on(self.ports());
        self.broker = setup.start_genuine(&self.genuine);
    }

    pub fn swap_to_ours(&mut self) {
        self.broker.stop();
        self.broker = quick(&self.dir).on(self.ports()).start();
    }

    fn ports(&self) -> (u16, u16) {
        (self.broker.port, self.broker.controller_port)
    }

    /// What has been committed to a topic.
    fn read(&mut self, topic: &'static str) -> &Values {
        let read = self.read.entry(topic).or_default();
        let mut connection = Connection::open(self.broker.port);
        for row in connection.read_from(read.next, topic, 0, true) {
            let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap()).unwrap();
            let (key, value) = (text(row.key), text(row.value));
            read.values.entry(key).or_default().push(value);
            read.next = row.offset + 1;
        }
        &read.values
    }

    pub fn wait_for_count(&mut self, topic: &'static str, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found: usize = self.read(topic).values().map(Vec::len).sum();
            if found >= count {
                return;
            }
            assert!(Instant::now() < deadline, "{topic}: {found} of {count}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Every count from one to the last, each once and in order.
    pub fn check(&mut self, lines: &[Line]) {
        for (topic, expected) in ["counts", "windows"].into_iter().zip(expected(lines)) {
            self.wait_for_count(topic, expected.values().sum());
            let upto = |n: usize| (1..=n).map(|n| n.to_string()).collect();
            let expected: Values = expected.into_iter().map(|(k, n)| (k, upto(n))).collect();
            for (key, values) in self.read(topic) {
                assert_eq!(Some(values), expected.get(key), "{topic}: {key}");
            }
            assert_eq!(self.read(topic).len(), expected.len(), "{topic}");
        }
    }

    pub fn group_tool(&self, args: &[&str]) -> String {
        let bootstrap = self.broker.bootstrap();
        let mut all = vec!["--bootstrap-server", &bootstrap];
        all.extend(args);
        self.genuine.tool("streams-groups", &all, b"").ok()
    }
}
