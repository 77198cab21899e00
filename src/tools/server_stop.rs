//! `kafka-server-stop`: asks the brokers that run on this machine to stop.
//!
//! Like Kafka's script it looks for server processes and sends them SIGTERM; `--process-role` and
//! `--node-id` narrow it to servers whose configuration file says so.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::options::{Definition, Group, Opt};
use super::output::{Invocation, Printer, message};
use super::registry::{Exit, find};
use super::usage::{self, UsageError};

pub static DEFINITION: Definition = Definition {
    name: "server-stop",
    about: "Stops the brokers that run on this machine: sends them SIGTERM, so that they flush and \
            leave cleanly.",
    groups: &[
        Group {
            heading: "Which servers (all, unless told)",
            options: &[
                Opt::value(
                    "process-role",
                    "ROLE",
                    "Those whose process.roles is this: broker or controller",
                ),
                Opt::value("node-id", "ID", "The one with this node.id"),
            ],
        },
        Group {
            heading: "Other",
            options: &[
                Opt::flag("help", "Show this help"),
                Opt::flag("version", "Show the version"),
            ],
        },
    ],
    after: "",
};

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    // Without arguments this tool acts: only here are they no call for help.
    let mut asked = invocation.clone();
    asked.args.push("--".to_owned());
    let options = match usage::parse(&DEFINITION, &asked)? {
        Ok(options) => options,
        Err(exit) => return Ok(exit),
    };
    let (role, node_id) = match (options.value("process-role"), options.value("node-id")) {
        (Ok(role), Ok(node_id)) => (role, node_id),
        (Err(error), _) | (_, Err(error)) => {
            return Ok(usage::refuse(
                &DEFINITION,
                &invocation,
                &UsageError::from(error),
            ));
        }
    };
    let servers = running_servers();
    if servers.is_empty() {
        let mut printer = Printer::default();
        printer.line("No kafka server to stop")?;
        printer.flush()?;
        return Ok(Exit::FAILURE);
    }
    if role.is_some() && node_id.is_some() {
        message(
            "When both node-id and process-role are provided, the value for node-id will take \
             precedence",
        );
    }
    let role = role.filter(|_| node_id.is_none());
    let servers: Vec<Server> = servers
        .into_iter()
        .filter(|server| role.is_none_or(|role| server.says("process.roles", role)))
        .filter(|server| node_id.is_none_or(|id| server.says("node.id", id)))
        .collect();
    if servers.is_empty() {
        // Kafka's script is silent here, and succeeds.
        message("None of the servers that run here has that process role or node id.");
    }
    let mut exit = Exit::SUCCESS;
    for server in servers {
        if let Err(error) = kill_process(server.pid, Signal::TERM) {
            message(format!(
                "Cannot stop process {}: {error}",
                server.pid.as_raw_nonzero()
            ));
            exit = Exit::FAILURE;
        }
    }
    Ok(exit)
}

/// A running server and the command line it was started with.
struct Server {
    pid: Pid,
    config: Option<PathBuf>,
    overrides: Vec<String>,
}

impl Server {
    /// Whether the configuration gives `key` this value.
    fn says(&self, key: &str, value: &str) -> bool {
        let given = self
            .overrides
            .iter()
            .rev()
            .filter_map(|pair| pair.split_once('='))
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value.to_owned());
        given.or_else(|| self.in_file(key)).is_some_and(|given| {
            given.split(',').map(str::trim).collect::<Vec<_>>()
                == value.split(',').collect::<Vec<_>>()
        })
    }

    fn in_file(&self, key: &str) -> Option<String> {
        let text = fs::read_to_string(self.config.as_ref()?).ok()?;
        text.lines()
            .filter_map(|line| line.split_once('='))
            .filter(|(name, _)| name.trim() == key)
            .map(|(_, value)| value.trim().to_owned())
            .next_back()
    }
}

/// The server-start processes that this user may signal.
fn running_servers() -> Vec<Server> {
    let mut servers = match fs::read_dir("/proc") {
        Ok(entries) => entries
            .filter_map(|entry| from_proc(&entry.ok()?.path()))
            .collect(),
        Err(_) => from_ps(),
    };
    servers.sort_by_key(|server| server.pid.as_raw_nonzero());
    servers
}

fn from_proc(path: &Path) -> Option<Server> {
    let pid = path
        .file_name()?
        .to_str()?
        .parse()
        .ok()
        .and_then(Pid::from_raw)?;
    let command = fs::read(path.join("cmdline")).ok()?;
    let words: Vec<String> = command
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let (config, overrides) = server_arguments(&words)?;
    // A relative file is relative to where the server was started.
    let config = config.map(|file| path.join("cwd").join(file));
    Some(Server {
        pid,
        config,
        overrides,
    })
}

/// Where there is no `/proc`: words with blanks in them and other working directories are missed.
fn from_ps() -> Vec<Server> {
    let Ok(output) = Command::new("ps").args(["-axo", "pid=,args="]).output() else {
        return Vec::new();
    };
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let (pid, command) = line.trim_start().split_once(' ')?;
            let pid = pid.parse().ok().and_then(Pid::from_raw)?;
            let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
            let (config, overrides) = server_arguments(&words)?;
            Some(Server {
                pid,
                config,
                overrides,
            })
        })
        .collect()
}

/// The configuration file and the overrides, if `words` is the command line of a server.
fn server_arguments(words: &[String]) -> Option<(Option<PathBuf>, Vec<String>)> {
    let (program, mut rest) = words.split_first()?;
    let called = super::output::base_name(program.as_ref());
    let is_server = |name: &str| find(name).is_some_and(|tool| tool.name == "server-start");
    if !is_server(&called) {
        let (tool, after) = rest.split_first()?;
        if called != "kafkars" || !is_server(tool) {
            return None;
        }
        rest = after;
    }
    let mut config = None;
    let mut overrides = Vec::new();
    let mut words = rest.iter().filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        if word == "--override" {
            overrides.extend(words.next().cloned());
        } else if let Some(pair) = word.strip_prefix("--override=") {
            overrides.push(pair.to_owned());
        } else if !word.starts_with('-') && config.is_none() {
            config = Some(Path::new(word).to_owned());
        }
    }
    Some((config, overrides))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Option<(Option<PathBuf>, Vec<String>)> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        server_arguments(&words)
    }

    #[test]
    fn servers_are_known_by_their_command_line() {
        for line in [
            "/usr/bin/kafkars server-start a.properties",
            "kafkars kafka-server-start a.properties",
            "bin/kafka-server-start.sh -daemon a.properties",
        ] {
            assert_eq!(
                arguments(line).unwrap().0,
                Some(PathBuf::from("a.properties")),
                "{line}"
            );
        }
        assert_eq!(
            arguments("kafkars server-start a --override node.id=3")
                .unwrap()
                .1,
            ["node.id=3"]
        );
        for line in [
            "kafkars topics --list",
            "vi server-start",
            "kafkars",
            "server-start",
        ] {
            assert!(
                arguments(line).is_none_or(|_| line == "server-start"),
                "{line}"
            );
        }
    }

    #[test]
    fn roles_and_ids_come_from_the_file_and_the_overrides() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("server.properties");
        fs::write(&file, "process.roles=broker,controller\nnode.id = 7\n").unwrap();
        let server = |overrides: &[&str]| Server {
            pid: Pid::INIT,
            config: Some(file.clone()),
            overrides: overrides.iter().map(|pair| (*pair).to_owned()).collect(),
        };
        assert!(server(&[]).says("node.id", "7"));
        assert!(!server(&["node.id=8"]).says("node.id", "7"));
        assert!(server(&["node.id=8"]).says("node.id", "8"));
        assert!(server(&[]).says("process.roles", "broker,controller"));
        assert!(!server(&[]).says("process.roles", "broker"));
    }
}
