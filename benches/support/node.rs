//! A node that is measured: kafkars or genuine Kafka, on a directory and ports of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::process;
use super::wire::Connection;
use crate::testing::genuine::Genuine;
use crate::testing::{Setup, answers, kafkars, wait};

/// What Kafka's own scripts give a broker. The tests run it with less, which a measurement must not do.
const HEAP: &str = "-Xmx1G -Xms1G";
const TOOL_HEAP: &str = "-Xmx512M";
const JVM: &str = "-XX:TieredStopAtLevel=4 -XX:-UseSerialGC -XX:+UseG1GC -XX:MaxGCPauseMillis=20 \
                   -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent";
/// A start or a stop that takes longer is a failure.
const PATIENCE: Duration = Duration::from_secs(180);

#[derive(Clone, Copy)]
pub enum System<'a> {
    Kafkars,
    Genuine(&'a Genuine),
}

impl System<'_> {
    pub fn name(self) -> &'static str {
        match self {
            System::Kafkars => "kafkars",
            System::Genuine(_) => "Kafka",
        }
    }

    /// One of its tools, called as a user would.
    pub fn tool(self, name: &str) -> Command {
        match self {
            System::Kafkars => {
                let mut command = Command::new(kafkars());
                command.arg(name);
                command
            }
            System::Genuine(genuine) => {
                let mut command = genuine.command(name);
                command
                    .env("KAFKA_HEAP_OPTS", TOOL_HEAP)
                    .env("KAFKA_OPTS", JVM);
                command
            }
        }
    }

    fn server(self, properties: &Path) -> Command {
        match self {
            System::Kafkars => {
                let mut command = Command::new(kafkars());
                command.arg("server-start").arg(properties);
                command
            }
            System::Genuine(genuine) => {
                let mut command = genuine.command("broker");
                command.arg(properties);
                command.env("KAFKA_HEAP_OPTS", HEAP).env("KAFKA_OPTS", JVM);
                command
            }
        }
    }
}

pub struct Node<'a> {
    pub system: System<'a>,
    pub port: u16,
    /// From the start of the process to its first answer.
    pub start: Duration,
    child: Child,
    properties: PathBuf,
    log: PathBuf,
}

impl<'a> Node<'a> {
    /// Starts a node on `dir`, formatting it if it is new.
    pub fn start(system: System<'a>, dir: &Path) -> Node<'a> {
        Self::start_with(system, dir, &[])
    }

    pub fn start_with(system: System<'a>, dir: &Path, settings: &[(&str, &str)]) -> Node<'a> {
        let setup = Setup::at(dir).set("log.segment.delete.delay.ms", 500);
        let set = |setup: Setup, (key, value): &(&str, &str)| setup.set(key, value);
        let setup = settings.iter().fold(setup, set);
        let (properties, (port, _)) = setup.write_properties();
        let log = dir.join("server.log");
        let (child, start) = launch(system, &properties, &log, port);
        Node {
            system,
            port,
            start,
            child,
            properties,
            log,
        }
    }

    /// Starts it again where it was stopped.
    pub fn restart(&mut self) {
        (self.child, self.start) = launch(self.system, &self.properties, &self.log, self.port);
    }

    /// Stops it in order; how long that took.
    pub fn stop(&mut self) -> Duration {
        let pid = rustix::process::Pid::from_child(&self.child);
        let start = Instant::now();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
        let status = wait(&mut self.child, PATIENCE).expect("the node stops");
        let took = start.elapsed();
        // 143: a JVM that a signal ended in order.
        assert!(
            status.success() || status.code() == Some(143),
            "{} ended with {status}, see {}",
            self.system.name(),
            self.log.display()
        );
        took
    }

    /// Ends it as a power cut would end it.
    pub fn kill(&mut self) {
        self.child.kill().expect("the node is there");
        self.child.wait().expect("the node ends");
    }

    /// Whether it is slow before its compiler has seen the work.
    pub fn is_jvm(&self) -> bool {
        matches!(self.system, System::Genuine(_))
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self.port)
    }

    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn cpu_seconds(&self) -> f64 {
        process::cpu_seconds(self.child.id())
    }

    pub fn rss_mb(&self) -> f64 {
        process::rss_mb(self.child.id())
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(system: System<'_>, properties: &Path, log: &Path, port: u16) -> (Child, Duration) {
    let output = File::options()
        .create(true)
        .append(true)
        .open(log)
        .expect("a log file");
    let mut command = system.server(properties);
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a log file"))
        .stderr(output);
    let begun = Instant::now();
    let mut child = command.spawn().expect("the node's process");
    while !answers(port) {
        if let Some(status) = child.try_wait().expect("the node's status") {
            panic!(
                "{} ended with {status}, see {}",
                system.name(),
                log.display()
            );
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{} does not answer",
            system.name()
        );
        thread::sleep(Duration::from_micros(500));
    }
    (child, begun.elapsed())
}
