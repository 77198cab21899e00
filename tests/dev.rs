//! `kafkars dev`: there for a test and gone with it, and never the ruin of what it is a fork of.
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use support::{Setup, answers, kafkars, run_command, tool, wait};

/// How often a fork is killed.
fn kills() -> u32 {
    let kills = std::env::var("KAFKARS_FORK_KILLS").map(|text| text.parse().unwrap());
    kills.unwrap_or(6)
}

/// `kafkars dev` in a temporary directory of its own, and its address.
struct Dev {
    child: Child,
    bootstrap: String,
    temporary: tempfile::TempDir,
}

impl Dev {
    fn start(args: &[&str]) -> Dev {
        let temporary = tempfile::tempdir().unwrap();
        let mut child = Command::new(kafkars())
            .arg("dev")
            .args(args)
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut bootstrap = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut bootstrap).unwrap();
        let bootstrap = bootstrap.trim().to_owned();
        assert!(!bootstrap.is_empty(), "it did not start");
        Dev {
            child,
            bootstrap,
            temporary,
        }
    }

    fn tool(&self, name: &str, args: &[&str], stdin: &str) -> String {
        let mut all = vec![name, "--bootstrap-server", &self.bootstrap];
        all.extend(args);
        tool(&all, stdin.as_bytes()).ok()
    }

    fn left(&self) -> usize {
        fs::read_dir(self.temporary.path()).unwrap().count()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn nothing_is_left_of_it() {
    let mut dev = Dev::start(&[]);
    dev.tool("topics", &["--create", "--topic", "t"], "");
    dev.tool("console-producer", &["--topic", "t"], "one\n");
    let args = ["--topic", "t", "--from-beginning", "--max-messages", "1"];
    assert_eq!(dev.tool("console-consumer", &args, ""), "one\n");
    assert_eq!(dev.left(), 1);
    let pid = dev.child.id().to_string();
    run_command(
        {
            let mut kill = Command::new("kill");
            kill.args(["-INT", &pid]);
            kill
        },
        b"",
    )
    .ok();
    let ended = wait(&mut dev.child, support::PATIENCE).expect("it ends");
    assert!(ended.success(), "{ended}");
    assert_eq!(dev.left(), 0);
}

#[test]
fn a_command_runs_beside_it_and_it_ends_as_that_does() {
    let ran = tool(
        &[
            "dev",
            "--exec",
            "sh",
            "-c",
            "echo $BOOTSTRAP_SERVER $KAFKA_BOOTSTRAP_SERVERS; exit 7",
        ],
        b"",
    );
    assert_eq!(ran.code, Some(7), "{ran:?}");
    let addresses: Vec<&str> = ran.stdout.split_whitespace().collect();
    assert_eq!(addresses.len(), 2, "{ran:?}");
    assert_eq!(addresses[0], addresses[1]);
    let port = addresses[0].strip_prefix("127.0.0.1:").unwrap();
    assert!(!answers(port.parse().unwrap()), "the broker is still there");

    let ran = tool(&["dev", "--exec", "no-such-command"], b"");
    assert_eq!((ran.code, ran.stderr.lines().count()), (Some(127), 1));
}

#[test]
fn what_it_is_told_wrong_is_said_in_a_line() {
    let nowhere = tempfile::tempdir().unwrap();
    let nowhere = nowhere.path().to_str().unwrap();
    for (args, words) in [
        (&["dev", "--fork", nowhere][..], "__cluster_metadata-0"),
        (
            &["dev", "--override", "num.partitions=no"],
            "num.partitions",
        ),
        (&["dev", "--port", "abc"], "--port"),
    ] {
        let ran = tool(args, b"");
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains(words), "{ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    }
}

/// Every file below `dir` with its bytes and when it was written.
fn files(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            all.insert(path.clone(), (fs::read(&path).unwrap(), modified));
        }
    }
    all
}

const SEGMENT: &str = "segment.bytes=1048576";

/// A directory with topics of several segments, whose broker has ended: in order, or killed.
fn original(dir: &Path, in_order: bool) -> PathBuf {
    let mut broker = Setup::at(dir).start();
    let bootstrap = broker.bootstrap();
    for (topic, policy) in [("kept", "delete"), ("compacted", "compact")] {
        let policy = format!("cleanup.policy={policy}");
        let args = [
            "topics",
            "--bootstrap-server",
            &bootstrap,
            "--create",
            "--topic",
            topic,
        ];
        let configs = ["--config", SEGMENT, "--config", &policy];
        tool(&[&args[..], &configs].concat(), b"").ok();
        let value = "v".repeat(1000);
        let lines: String = (0..4000)
            .map(|n| format!("{}:{value}\n", n % 100))
            .collect();
        let args = [
            "console-producer",
            "--bootstrap-server",
            &bootstrap,
            "--topic",
            topic,
        ];
        let keys = [
            "--reader-property",
            "parse.key=true",
            "--reader-property",
            "key.separator=:",
        ];
        tool(&[&args[..], &keys].concat(), lines.as_bytes()).ok();
    }
    if in_order {
        broker.stop();
    } else {
        broker.kill();
    }
    broker.data()
}

/// What a user of a fork may do to it.
fn use_it(dev: &Dev, what: u32) {
    match what % 4 {
        0 => {
            let lines = "k\n".repeat(3000);
            dev.tool("console-producer", &["--topic", "kept"], &lines);
        }
        1 => {
            let json = dev.temporary.path().join("offsets.json");
            let offset = 500 + what;
            let partition = format!(r#"{{"topic":"kept","partition":0,"offset":{offset}}}"#);
            fs::write(
                &json,
                format!(r#"{{"partitions":[{partition}],"version":1}}"#),
            )
            .unwrap();
            let args = ["--offset-json-file", json.to_str().unwrap()];
            let said = dev.tool("delete-records", &args, "");
            assert!(said.contains("low_watermark"), "{said}");
        }
        2 => {
            let change = "min.cleanable.dirty.ratio=0.0,max.compaction.lag.ms=1";
            let entity = ["--entity-type", "topics", "--entity-name", "compacted"];
            let args = [&["--alter", "--add-config", change][..], &entity].concat();
            dev.tool("configs", &args, "");
            dev.tool(
                "console-producer",
                &[
                    "--topic",
                    "compacted",
                    "--reader-property",
                    "parse.key=true",
                    "--reader-property",
                    "key.separator=:",
                ],
                "1:new\n",
            );
        }
        _ => {
            dev.tool("topics", &["--delete", "--topic", "kept"], "");
        }
    }
}

#[test]
fn a_fork_killed_at_any_time_leaves_the_original_as_it_was() {
    for in_order in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let data = original(dir.path(), in_order);
        let before = files(&data);
        for kill in 0..kills() {
            let fork = data.to_str().unwrap();
            let quick = [
                "--override",
                "log.cleaner.backoff.ms=10",
                "--override",
                "log.retention.check.interval.ms=10",
            ];
            let mut dev = Dev::start(&[&["--fork", fork][..], &quick].concat());
            let offsets = dev.tool("get-offsets", &["--topic", "kept"], "");
            assert_eq!(offsets, "kept:0:4000\n");
            for step in 0..kill % 5 {
                use_it(&dev, step);
            }
            dev.child.kill().unwrap();
            dev.child.wait().unwrap();
            assert!(files(&data) == before, "in order: {in_order}, kill {kill}");
        }
    }
}

#[test]
fn a_directory_in_use_is_not_forked() {
    let broker = Setup::default().start();
    let data = broker.data();
    let ran = tool(&["dev", "--fork", data.to_str().unwrap()], b"");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("in use"), "{ran:?}");
}
