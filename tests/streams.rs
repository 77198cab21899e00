//! Kafka Streams applications with Java's own library, over the classic protocol and over
//! `group.protocol=streams` (KIP-1071): what comes out is what a plain computation gives, each update once, however
//! often the application is killed.

mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use kafkars::record::{BatchBuilder, BatchMeta};
use support::genuine::Genuine;
use support::wire::{Connection, now_ms};
use support::{Broker, Setup, root, skip};
use tempfile::TempDir;

const LINES: &str = "lines";
const PARTITIONS: i32 = 3;
const WORDS: [&str; 7] = ["all", "streams", "lead", "to", "kafka", "and", "back"];

/// A line: where it goes, when it was written, its key and its words.
struct Line {
    partition: i32,
    timestamp_ms: i64,
    key: String,
    text: String,
}

/// The lines of the test; those of one key are in one partition, in order of time.
fn lines(since_ms: i64, numbers: Range<usize>) -> Vec<Line> {
    let line = |n: usize| Line {
        partition: (n % 5) as i32 % PARTITIONS,
        timestamp_ms: since_ms + n as i64 * 37,
        key: format!("key{}", n % 5),
        text: [WORDS[n % 7], WORDS[n * n % 7], WORDS[n / 7 % 7]].join(" "),
    };
    numbers.map(line).collect()
}

/// What the application makes of them: how often each word, and each key in each second.
fn expected(lines: &[Line]) -> [BTreeMap<String, usize>; 2] {
    let (mut counts, mut windows) = (BTreeMap::new(), BTreeMap::new());
    for line in lines {
        for word in line.text.split(' ') {
            *counts.entry(word.to_owned()).or_default() += 1;
        }
        let window = format!("{}@{}", line.key, line.timestamp_ms / 1000);
        *windows.entry(window).or_default() += 1;
    }
    [counts, windows]
}

fn write(broker: &Broker, lines: &[Line]) {
    let mut connection = Connection::open(broker.port);
    for partition in 0..PARTITIONS {
        let mut builder = BatchBuilder::new();
        for line in lines.iter().filter(|line| line.partition == partition) {
            let (key, text) = (line.key.as_bytes(), line.text.as_bytes());
            builder
                .append(line.timestamp_ms, Some(key), Some(text), &[])
                .unwrap();
        }
        let batch = builder.finish(&BatchMeta::default()).unwrap();
        assert_eq!(connection.produce(LINES, partition, batch).0, 0);
    }
}

/// An instance of the application; killed when dropped.
struct App {
    child: Child,
    stdin: Option<ChildStdin>,
    said: mpsc::Receiver<String>,
    errors: PathBuf,
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl App {
    fn wait_for(&self, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(100);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left) {
                Ok(line) if line == what => return,
                Ok(_) => {}
                Err(e) => panic!("no '{what}': {e}\n{}", self.errors()),
            }
        }
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// Ends it as a crash does.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn close(mut self) {
        drop(self.stdin.take());
        self.wait_for("closed true");
        self.child.wait().unwrap();
    }
}

/// A broker with the application's topics, and where its instances keep their stores.
struct Bench {
    genuine: Genuine,
    broker: Broker,
    dir: TempDir,
    settings: Vec<String>,
}

impl Bench {
    fn new(what: &str, settings: &[&str]) -> Option<Bench> {
        if Command::new("javac").arg("-version").output().is_err() {
            skip(what, "Java's sources need a JDK to run");
            return None;
        }
        let genuine = Genuine::find(what)?;
        let broker = quick(Setup::default()).start();
        let mut connection = Connection::open(broker.port);
        connection.create_topic(LINES, PARTITIONS, &[]);
        connection.create_topic("counts", 1, &[]);
        connection.create_topic("windows", 1, &[]);
        Some(Bench {
            genuine,
            broker,
            dir: tempfile::tempdir().unwrap(),
            settings: settings.iter().map(|s| s.to_string()).collect(),
        })
    }

    fn start(&self, name: &str) -> App {
        let state = self.dir.path().join(name);
        let errors = self.dir.path().join(format!("{name}.err"));
        let mut command = self.genuine.command("class");
        command.arg(root().join("tests/apache-kafka/Streams.java"));
        command.arg(state);
        command.arg(format!("bootstrap.servers={}", self.broker.bootstrap()));
        command.args(["application.id=app", "replication.factor=1"]);
        command.args(["auto.offset.reset=earliest", "session.timeout.ms=6000"]);
        command.args(["commit.interval.ms=100", "num.stream.threads=2"]);
        command.arg(format!("client.id={name}"));
        command.args(&self.settings);
        let errors_file = File::options().create(true).append(true).open(&errors);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors_file.unwrap())
            .spawn()
            .unwrap();
        let (sender, said) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            let lines = stdout.lines().map_while(Result::ok);
            lines.for_each(|line| drop(sender.send(line)));
        });
        App {
            stdin: child.stdin.take(),
            child,
            said,
            errors,
        }
    }

    /// What has been committed to a topic: the values of each key, in order.
    fn read(&self, topic: &str) -> BTreeMap<String, Vec<String>> {
        let mut connection = Connection::open(self.broker.port);
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in connection.read(topic, 0, true) {
            let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap()).unwrap();
            let (key, value) = (text(row.key), text(row.value));
            values.entry(key).or_default().push(value);
        }
        values
    }

    fn count(&self, topic: &str) -> usize {
        self.read(topic).values().map(Vec::len).sum()
    }

    fn wait_for_count(&self, topic: &str, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(100);
        loop {
            let found = self.count(topic);
            if found >= count {
                return;
            }
            assert!(Instant::now() < deadline, "{topic}: {found} of {count}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Every count from one to the last, each once and in order.
    fn check(&self, lines: &[Line]) {
        for (topic, expected) in ["counts", "windows"].into_iter().zip(expected(lines)) {
            self.wait_for_count(topic, expected.values().sum());
            let upto = |n: usize| (1..=n).map(|n| n.to_string()).collect::<Vec<String>>();
            let expected = expected.into_iter().map(|(key, n)| (key, upto(n)));
            let expected: BTreeMap<String, Vec<String>> = expected.collect();
            assert_eq!(self.read(topic), expected, "{topic}");
        }
    }

    fn group_tool(&self, args: &[&str]) -> String {
        let bootstrap = self.broker.bootstrap();
        let mut all = vec!["--bootstrap-server", &bootstrap];
        all.extend(args);
        self.genuine.tool("streams-groups", &all, b"").ok()
    }
}

fn quick(setup: Setup) -> Setup {
    setup
        .set("group.streams.min.session.timeout.ms", 3000)
        .set("group.streams.session.timeout.ms", 3000)
        .set("group.streams.min.heartbeat.interval.ms", 300)
        .set("group.streams.heartbeat.interval.ms", 300)
        .set("group.streams.initial.rebalance.delay.ms", 500)
        .set("group.min.session.timeout.ms", 3000)
}

const STREAMS: &str = "group.protocol=streams";
const EXACTLY_ONCE: &str = "processing.guarantee=exactly_once_v2";

/// Starts, counts, ends.
fn counts(what: &str, settings: &[&str]) {
    let Some(bench) = Bench::new(what, settings) else {
        return;
    };
    let lines = lines(now_ms(), 0..700);
    write(&bench.broker, &lines);
    let app = bench.start("one");
    bench.check(&lines);
    if settings.contains(&STREAMS) {
        let listed = bench.group_tool(&["--list", "--state"]);
        assert!(listed.contains("Stable"), "{listed}");
        let described = bench.group_tool(&["--describe", "--group", "app", "--members"]);
        assert!(described.contains("app"), "{described}");
    }
    app.close();
    if settings.contains(&STREAMS) {
        genuine_goes_on(bench, lines);
    }
}

/// Kafka's broker knows the group on our data directory, and where the application stopped.
fn genuine_goes_on(mut bench: Bench, mut lines: Vec<Line>) {
    let (dir, ports) = (
        bench.broker.dir.clone(),
        (bench.broker.port, bench.broker.controller_port),
    );
    bench.broker.stop();
    let ours = std::mem::replace(
        &mut bench.broker,
        quick(Setup::at(&dir))
            .on(ports)
            .start_genuine(&bench.genuine),
    );
    let more = self::lines(lines[0].timestamp_ms, lines.len()..lines.len() + 70);
    write(&bench.broker, &more);
    lines.extend(more);
    let app = bench.start("one");
    bench.check(&lines);
    app.close();
    drop(bench);
    drop(ours);
}

/// Is killed in the midst of its work, twice, the second time while another instance runs.
fn survives(what: &str, settings: &[&str]) {
    let Some(bench) = Bench::new(what, settings) else {
        return;
    };
    let lines = lines(now_ms(), 0..2100);
    let parts: Vec<&[Line]> = lines.chunks(700).collect();
    write(&bench.broker, parts[0]);
    let first = bench.start("one");
    bench.wait_for_count("counts", 100);
    first.kill();
    write(&bench.broker, parts[1]);
    let first = bench.start("one");
    let second = bench.start("two");
    second.wait_for("state RUNNING");
    bench.wait_for_count("counts", 2200);
    write(&bench.broker, parts[2]);
    bench.wait_for_count("counts", 4300);
    first.kill();
    bench.check(&lines);
    second.close();
}

#[test]
fn words_are_counted_over_the_classic_protocol() {
    counts("words_are_counted_over_the_classic_protocol", &[]);
}

#[test]
fn words_are_counted_by_a_streams_group() {
    counts("words_are_counted_by_a_streams_group", &[STREAMS]);
}

#[test]
fn exactly_once_survives_kills_over_the_classic_protocol() {
    let what = "exactly_once_survives_kills_over_the_classic_protocol";
    survives(what, &[EXACTLY_ONCE]);
}

#[test]
fn exactly_once_survives_kills_in_a_streams_group() {
    let what = "exactly_once_survives_kills_in_a_streams_group";
    survives(what, &[EXACTLY_ONCE, STREAMS]);
}
