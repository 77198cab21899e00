//! What someone at a terminal sees of the tools: stderr is a pseudo-terminal.
mod support;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use support::pty::Pty;
use support::{Broker, kafkars};

/// Runs a tool with `stdin`; whether it succeeded, and what the terminal showed.
fn at_a_terminal(args: &[&str], stdin: Stdio) -> (bool, String) {
    let terminal = Pty::open();
    let mut command = Command::new(kafkars());
    command
        .args(args)
        .stdin(stdin)
        .stdout(Stdio::null())
        .stderr(terminal.other_side());
    let succeeded = command.status().unwrap().success();
    // The command holds the terminal's other side.
    drop(command);
    (succeeded, terminal.all_shown())
}

#[test]
fn a_list_shows_nothing_beside_itself() {
    let broker = Broker::start();
    let (succeeded, shown) = at_a_terminal(
        &[
            "topics",
            "--list",
            "--bootstrap-server",
            &broker.bootstrap(),
        ],
        Stdio::null(),
    );
    assert!(succeeded);
    assert_eq!(shown, "");
}

#[test]
fn a_large_input_is_produced_under_a_bar_that_goes_away() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start();
    let input = dir.path().join("input");
    lines(&input);
    let address = broker.bootstrap();
    let args = [
        "console-producer",
        "--topic",
        "t",
        "--bootstrap-server",
        &address,
    ];
    let (succeeded, shown) = at_a_terminal(&args, File::open(&input).unwrap().into());
    assert!(succeeded, "{shown}");
    assert!(shown.contains(" of 20.00 MiB "), "{shown}");
    let last = shown.rsplit('\r').next().unwrap_or_default();
    assert_eq!(last, "\x1b[2K", "the bar is wiped away: {shown:?}");
}

/// 20 MiB.
fn lines(path: &Path) {
    let line = [[b'x'; 127].as_slice(), b"\n"].concat();
    std::fs::write(path, line.repeat(20 << 13)).unwrap();
}
