//! Every example that a help shows works as it stands.
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kafkars::tools::examples;
use tempfile::TempDir;

use super::built;
use crate::support::pty::Pty;
use crate::support::{Broker, PATIENCE, Ran, free_ports, kafkars, root, run_command, skip, tool};
use crate::support::{until, wait};

/// They change what only a genuine broker has: [`super::plays`] runs theirs.
const AGAINST_GENUINE: [&str; 2] = ["acls", "delegation-tokens"];
/// One that goes on has begun when it is still there after this time.
const BEGUN: Duration = Duration::from_millis(300);

#[test]
fn every_example_works_when_pasted() {
    if Command::new("bash").arg("--version").output().is_err() {
        return skip("the examples", "bash is missing");
    }
    let mut broker = Broker::start();
    for topic in ["orders", "jobs", "load", "latency", "numbers"] {
        let bootstrap = broker.bootstrap();
        let create = [
            "topics",
            "--create",
            "--topic",
            topic,
            "--bootstrap-server",
            &bootstrap,
        ];
        tool(&create, b"").ok();
    }
    let place = Place::new(&broker.bootstrap(), &broker.data());
    for tool in built().filter(|tool| !AGAINST_GENUINE.contains(&tool.name)) {
        if tool.name == "storage" {
            // server-start has formatted it.
            fs::remove_dir_all(place.dir.path().join("kafka-logs")).unwrap();
        }
        for example in examples::of(tool.name) {
            match tool.name {
                "server-stop" => stops_its_server(&place, example),
                _ if goes_on(tool.name, example) => place.begins(example),
                _ => place.works(example),
            }
        }
    }
    broker.kill();
}

/// The number of no other node on this machine, which `server-stop` would stop too.
fn node() -> u32 {
    1_000_000 + std::process::id()
}

/// Those that end when they are told to.
fn goes_on(tool: &str, example: &str) -> bool {
    match tool {
        "server-start" | "replica-verification" | "connect-standalone" | "top" => true,
        // Nobody produces to the topic meanwhile.
        "console-share-consumer" => true,
        "dev" => !example.contains("--exec"),
        "console-consumer"
        | "verifiable-producer"
        | "verifiable-consumer"
        | "verifiable-share-consumer" => !example.contains("--max-messages"),
        _ => false,
    }
}

/// `server-stop` without a node's number would stop every node of this machine.
fn stops_its_server(place: &Place, example: &str) {
    if !example.contains("--node-id") {
        return;
    }
    let mut server = place.start(examples::of("server-start")[0]);
    until("the server has written its directory", || {
        place
            .dir
            .path()
            .join("kafka-logs/meta.properties")
            .exists()
            .then_some(())
    });
    place.works(example);
    assert!(
        wait(&mut server, PATIENCE).is_some(),
        "{example} stopped nothing"
    );
}

/// Where the examples are pasted: a directory with a `config`, a home, and `kafkars` on the path.
pub struct Place {
    dir: TempDir,
    /// What stands in an example, and what is there instead.
    instead: Vec<(String, String)>,
}

impl Place {
    pub fn new(bootstrap: &str, data: &Path) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for made in ["config", "home/.config/fish/completions", "kafka-logs"] {
            fs::create_dir_all(path(made)).unwrap();
        }
        let port = free_ports(2);
        for entry in fs::read_dir(root().join("config")).unwrap() {
            let entry = entry.unwrap();
            let mut text = fs::read_to_string(entry.path()).unwrap();
            if entry.file_name() == "server.properties" {
                let logs = path("kafka-logs").display().to_string();
                for (from, to) in [
                    ("node.id=1", format!("node.id={}", node()).as_str()),
                    ("voters=1@", &format!("voters={}@", node())),
                    (":9092", &format!(":{port}")),
                    (":9093", &format!(":{}", port + 1)),
                    ("/tmp/kafka-logs", &logs),
                ] {
                    text = text.replace(from, to);
                }
            }
            if entry.file_name() == "connect-standalone.properties" {
                let offsets = path("connect.offsets").display().to_string();
                text = text.replace("localhost:9092", bootstrap);
                text = text.replace("/tmp/connect.offsets", &offsets);
                text.push_str("\nlisteners=http://127.0.0.1:0\n");
            }
            fs::write(path("config").join(entry.file_name()), text).unwrap();
        }
        let instead = [
            ("localhost:9092", bootstrap.to_owned()),
            ("/tmp/kafka-logs", data.display().to_string()),
            ("--node-id 1", format!("--node-id {}", node())),
        ];
        let instead = instead.map(|(from, to)| (from.to_owned(), to)).to_vec();
        Place { dir, instead }
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn command(&self, example: &str, begin: &str) -> Command {
        let mut line = example.to_owned();
        for (from, to) in &self.instead {
            line = line.replace(from, to);
        }
        let binaries = kafkars().parent().unwrap().display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        command
            .args(["--norc", "-c", &format!("set -o pipefail; {begin}{line}")])
            .current_dir(self.dir.path())
            .env("PATH", format!("{binaries}:{path}"))
            .env("HOME", self.dir.path().join("home"))
            .env("LOG_DIR", self.dir.path());
        for name in ["XDG_CONFIG_HOME", "BOOTSTRAP_SERVER", "KAFKARS_PROFILE"] {
            command.env_remove(name);
        }
        command
    }

    /// It ends with success.
    pub fn works(&self, example: &str) {
        if example.contains("| man ") && Command::new("man").arg("--version").output().is_err() {
            return skip(example, "man is missing");
        }
        let ran: Ran = run_command(self.command(example, ""), b"");
        assert_eq!(ran.code, Some(0), "{example}\n{ran:?}");
    }

    fn start(&self, example: &str) -> Child {
        let mut command = self.command(example, "exec ");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// It goes on until it is told to end.
    fn begins(&self, example: &str) {
        let terminal = Pty::open();
        let mut command = self.command(example, "exec ");
        command
            .stdin(terminal.other_side())
            .stdout(terminal.other_side())
            .stderr(terminal.other_side());
        let mut child = command.spawn().unwrap();
        drop(command);
        let begun = Instant::now() + BEGUN;
        while Instant::now() < begun {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "{example} ended: {}", terminal.all_shown());
            thread::sleep(Duration::from_millis(10));
        }
        let pid = child.id().to_string();
        let told = Command::new("kill").args(["-s", "TERM", &pid]).status();
        assert!(told.unwrap().success());
        let ended = wait(&mut child, PATIENCE);
        let _ = child.kill();
        let shown = terminal.all_shown();
        let ended = ended.unwrap_or_else(|| panic!("{example} does not end: {shown}"));
        let well = ended.success() || ended.signal().is_some() || ended.code() == Some(143);
        assert!(well, "{example} ended with {ended}: {shown}");
    }
}
