//! What the tests share: running the real binary, brokers on free ports, genuine Kafka, waiting on conditions.
#![allow(dead_code)] // each test uses its part

pub mod clients;
pub mod faults;
pub mod genuine;
pub mod pty;
pub mod quickstart;
pub mod wire;

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take before a test gives up on it. Generous: machines are shared.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test.
pub fn kafkars() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_kafkars"))
}

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Says loudly that a test, or a part of it, did not run here. Written past the test harness, which keeps what a test
/// that passes prints to itself.
pub fn skip(what: &str, why: &str) {
    let line = format!("\nSKIPPED {what}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// A port of the loopback interface that nobody uses now.
///
/// Below those that the system gives to outgoing connections: a node that a test stops and starts again finds its port free.
pub fn free_port() -> u16 {
    free_ports(1)
}

/// The first of `count` free ports, one after the other; no test of this process gets them again.
pub fn free_ports(count: u16) -> u16 {
    const RANGE: std::ops::Range<u32> = 10_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let taken = NEXT.fetch_add(u32::from(count), Ordering::Relaxed);
        // Processes that run side by side begin far from each other.
        let at =
            std::process::id().wrapping_mul(997).wrapping_add(taken) % (RANGE.end - RANGE.start);
        let first = u16::try_from(RANGE.start + at).unwrap();
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (first..first + count).all(is_free) {
            return first;
        }
    }
}

/// Waits until `condition` gives something; panics with `what` after [`PATIENCE`].
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain: {what}"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

/// What a command came to.
#[derive(Debug, Clone)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Standard output; panics if the command failed.
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "failed: {self:?}");
        self.stdout
    }
}

/// Runs a command to its end with `stdin`; it is killed and the test fails after [`PATIENCE`].
pub fn run_command(mut command: Command, stdin: &[u8]) -> Ran {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {shown}: {e}"));
    let mut input = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    // A command that ends without reading its input is its own affair.
    let feeder = thread::spawn(move || drop(input.write_all(&stdin)));
    let collect = |mut from: Box<dyn Read + Send>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = collect(Box::new(child.stdout.take().unwrap()));
    let stderr = collect(Box::new(child.stderr.take().unwrap()));
    let status = wait(&mut child, PATIENCE * 2);
    if status.is_none() {
        let _ = child.kill();
    }
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    feeder.join().unwrap();
    let status = status.unwrap_or_else(|| panic!("{shown} did not end:\n{stdout}\n{stderr}"));
    Ran {
        code: status.code(),
        stdout,
        stderr,
    }
}

/// Waits for a child for at most `patience`.
pub fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Runs one of our tools.
pub fn tool<S: AsRef<OsStr>>(args: &[S], stdin: &[u8]) -> Ran {
    let mut command = Command::new(kafkars());
    command.args(args);
    run_command(command, stdin)
}

/// A node under test: kafkars or genuine Kafka, on a directory of its own. Killed when dropped.
pub struct Broker {
    pub port: u16,
    pub controller_port: u16,
    pub dir: PathBuf,
    child: Child,
    log: PathBuf,
    _owned: Option<TempDir>,
}

/// How to start a node.
pub struct Setup {
    dir: PathBuf,
    owned: Option<TempDir>,
    ports: Option<(u16, u16)>,
    overrides: Vec<(String, String)>,
}

impl Default for Setup {
    fn default() -> Setup {
        let owned = tempfile::tempdir().unwrap();
        Setup {
            dir: owned.path().to_owned(),
            owned: Some(owned),
            ports: None,
            overrides: Vec::new(),
        }
    }
}

impl Setup {
    /// Uses a directory that outlives the node: `DIR/data` is its log.dirs.
    pub fn at(dir: &Path) -> Setup {
        Setup {
            dir: dir.to_owned(),
            owned: None,
            ports: None,
            overrides: Vec::new(),
        }
    }

    pub fn set(mut self, key: &str, value: impl ToString) -> Setup {
        self.overrides.push((key.to_owned(), value.to_string()));
        self
    }

    /// Uses these ports, so that clients find a node again that is started anew.
    pub fn on(mut self, ports: (u16, u16)) -> Setup {
        self.ports = Some(ports);
        self
    }

    /// Starts kafkars and waits until it answers.
    pub fn start(self) -> Broker {
        let (properties, ports) = self.write_properties();
        let mut command = Command::new(kafkars());
        command.arg("server-start").arg(properties);
        self.launch(command, ports)
    }

    /// Starts genuine Kafka and waits until it answers.
    pub fn start_genuine(self, genuine: &genuine::Genuine) -> Broker {
        let (properties, ports) = self.write_properties();
        let mut command = genuine.command("broker");
        command.arg(properties);
        let broker = self.launch(command, ports);
        wire::Connection::open(broker.port).until_led();
        broker
    }

    /// The properties file of a combined node, on free ports unless others were asked for.
    pub fn write_properties(&self) -> (PathBuf, (u16, u16)) {
        let ports = self.ports.unwrap_or_else(|| (free_port(), free_port()));
        let (port, controller) = ports;
        let data = self.dir.join("data");
        let mut lines = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             controller.listener.names=CONTROLLER\n\
             log.dirs={}\n\
             offsets.topic.replication.factor=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n",
            data.display()
        );
        for (key, value) in &self.overrides {
            lines.push_str(&format!("{key}={value}\n"));
        }
        fs::create_dir_all(&self.dir).unwrap();
        let path = self.dir.join("server.properties");
        fs::write(&path, lines).unwrap();
        (path, ports)
    }

    fn launch(self, mut command: Command, (port, controller_port): (u16, u16)) -> Broker {
        let log = self.dir.join("server.log");
        let stderr = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(stderr.try_clone().unwrap())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut broker = Broker {
            port,
            controller_port,
            dir: self.dir,
            child,
            log,
            _owned: self.owned,
        };
        until("the broker answers", || {
            if let Some(status) = broker.child.try_wait().unwrap() {
                panic!("the broker ended with {status}:\n{}", broker.log());
            }
            answers(port).then_some(())
        });
        broker
    }
}

/// Whether a broker answers ApiVersions on this port.
pub fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    let mut answer = [0; 10];
    // Length, correlation id, error code: an answer to anyone who asks is a node that runs.
    stream.write_all(&request).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer[4..] == [0, 0, 0, 1, 0, 0]
}

/// The resident memory of a process in bytes.
pub fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes.unwrap().parse::<u64>().unwrap() * 1024
}

impl Broker {
    pub fn start() -> Broker {
        Setup::default().start()
    }

    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Runs one of our tools against it.
    pub fn tool(&self, args: &[&str], stdin: &[u8]) -> Ran {
        let bootstrap = self.bootstrap();
        let mut all = vec![args[0], "--bootstrap-server", &bootstrap];
        all.extend(&args[1..]);
        tool(&all, stdin)
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended()
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self) -> ExitStatus {
        wait(&mut self.child, PATIENCE)
            .unwrap_or_else(|| panic!("the broker did not end:\n{}", self.log()))
    }

    /// Its resident memory in bytes.
    pub fn resident(&self) -> u64 {
        resident(self.pid())
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap();
        assert!(sent.success());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        let log = self.log();
        if thread::panicking() {
            eprintln!("--- log of the broker on port {}\n{log}", self.port);
        } else {
            assert!(!log.contains("panicked at"), "the broker panicked:\n{log}");
        }
    }
}
