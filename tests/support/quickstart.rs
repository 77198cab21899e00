//! Kafka's quickstart, played with anyone's tools against anyone's broker.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{free_port, root, run_command, until, wait};

/// Plays it; `tool` makes a command of a tool's name.
pub fn play(bootstrap: &str, tool: impl Fn(&str) -> Command) {
    let run = |name: &str, args: &[&str], stdin: &str| {
        let mut command = tool(name);
        command.args(args).args(["--bootstrap-server", bootstrap]);
        run_command(command, stdin.as_bytes()).ok()
    };
    let created = run("topics", &["--create", "--topic", "quickstart-events"], "");
    assert_eq!(created, "Created topic quickstart-events.\n");

    let events = "This is my first event\nThis is my second event\n";
    run(
        "console-producer",
        &["--topic", "quickstart-events"],
        events,
    );
    let from_beginning = [
        "--from-beginning",
        "--timeout-ms",
        "60000",
        "--max-messages",
    ];
    let read = ["--topic", "quickstart-events"];
    assert_eq!(
        run(
            "console-consumer",
            &[&read[..], &from_beginning, &["2"]].concat(),
            ""
        ),
        events
    );

    connect(bootstrap, &tool);
    let read = ["--topic", "connect-test"];
    let copied = run(
        "console-consumer",
        &[&read[..], &from_beginning, &["3"]].concat(),
        "",
    );
    let envelope = |line| {
        format!(
            "{{\"schema\":{{\"type\":\"string\",\"optional\":false}},\"payload\":\"{line}\"}}\n"
        )
    };
    assert_eq!(
        copied,
        ["foo", "bar", "Another line"].map(envelope).concat()
    );
}

/// Copies lines of a file through a topic into another file, also what is appended while it runs.
fn connect(bootstrap: &str, tool: &impl Fn(&str) -> Command) {
    let dir = tempfile::tempdir().unwrap();
    let (source, sink) = (
        dir.path().join("test.txt"),
        dir.path().join("test.sink.txt"),
    );
    fs::write(&source, "foo\nbar\n").unwrap();
    let worker = format!(
        "\nbootstrap.servers={bootstrap}\noffset.storage.file.filename={}\nlisteners=http://localhost:{}\n",
        dir.path().join("offsets").display(),
        free_port()
    );
    let mut command = tool("connect-standalone");
    command
        .arg(config(dir.path(), "connect-standalone.properties", &worker))
        .arg(config(dir.path(), "connect-file-source.properties", ""))
        .arg(config(dir.path(), "connect-file-sink.properties", ""))
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut sink_holds = |lines: &str| {
        until("the sink holds what the source does", || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the worker ended with {status}");
            }
            (fs::read_to_string(&sink).unwrap_or_default() == lines).then_some(())
        });
    };
    sink_holds("foo\nbar\n");
    let mut appending = fs::OpenOptions::new().append(true).open(&source).unwrap();
    appending.write_all(b"Another line\n").unwrap();
    sink_holds("foo\nbar\nAnother line\n");
    let sent = Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(sent.success());
    if wait(&mut child, super::PATIENCE).is_none() {
        let _ = child.kill();
        panic!("the worker does not stop");
    }
}

/// A copy of one of our configuration files with more lines.
fn config(dir: &Path, name: &str, more: &str) -> std::path::PathBuf {
    let path = dir.join(name);
    let text = fs::read_to_string(root().join("config").join(name)).unwrap();
    fs::write(&path, text + more).unwrap();
    path
}
