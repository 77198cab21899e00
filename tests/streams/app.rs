//! An instance of a Java application, and what it says.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use crate::PATIENCE;

/// Killed when dropped.
pub struct App {
    child: Child,
    stdin: Option<ChildStdin>,
    said: mpsc::Receiver<String>,
    errors: PathBuf,
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let errors = self.errors.display();
            eprintln!("--- {errors}\n{}", self.errors());
        }
    }
}

impl App {
    /// `errors`: where its standard error goes.
    pub fn start(mut command: Command, errors: &Path) -> App {
        let errors_file = File::options().create(true).append(true).open(errors);
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
            errors: errors.to_owned(),
        }
    }

    pub fn wait_for(&self, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left) {
                Ok(line) if line == what => return,
                Ok(_) => {}
                Err(e) => panic!("no '{what}': {e}"),
            }
        }
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// Ends it as a crash does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn close(mut self) {
        drop(self.stdin.take());
        self.wait_for("closed true");
        self.child.wait().unwrap();
    }
}
