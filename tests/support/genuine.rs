//! Genuine Apache Kafka, where Java and Maven are there to run it.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Ran, root, run_command, skip};

/// A way to run genuine Kafka's tools.
pub struct Genuine {
    script: PathBuf,
}

impl Genuine {
    /// None, after saying so, if it cannot be run here.
    pub fn find(test: &str) -> Option<Genuine> {
        let script = root().join("tests/apache-kafka/genuine");
        let fetched = Command::new(&script)
            .arg("fetch")
            .stdin(Stdio::null())
            .status();
        match fetched {
            Ok(status) if status.success() => Some(Genuine { script }),
            Ok(status) if status.code() == Some(77) => {
                skip(test, "Java or Maven is missing");
                None
            }
            other => panic!("genuine Kafka cannot be fetched: {other:?}"),
        }
    }

    pub fn command(&self, tool: &str) -> Command {
        let mut command = Command::new(&self.script);
        command.arg(tool);
        command
    }

    /// Runs one of its tools to the end.
    pub fn tool<S: AsRef<OsStr>>(&self, tool: &str, args: &[S], stdin: &[u8]) -> Ran {
        let mut command = self.command(tool);
        command.args(args);
        run_command(command, stdin)
    }
}
