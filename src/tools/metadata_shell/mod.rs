//! `kafka-metadata-shell`: walks through the cluster's metadata in a snapshot or a metadata log.
mod columns;
mod commands;
mod glob;
mod load;
mod texts;
mod tree;

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;

use commands::{Next, Session};

use super::examples;
use super::options::{Definition, Group, Opt, command, render};
use super::output::{Invocation, Printer, message, terminal_width};
use super::registry::Exit;

const USAGE: &str = "usage: kafka-metadata-shell [-h] --snapshot SNAPSHOT\n                            \
                     [command [command ...]]";

pub static DEFINITION: Definition = Definition {
    name: "metadata-shell",
    about: "Walks through the cluster's metadata in a snapshot or a metadata log.",
    groups: &[Group {
        heading: "Options",
        options: &[
            Opt::value(
                "snapshot",
                "FILE",
                "A .checkpoint or .log of __cluster_metadata (required)",
            )
            .short('s'),
            Opt::flag("help", "Show this help").short('h'),
        ],
    }],
    after: "Commands: cat, find, ls and tree; without one, a shell in which help lists them all.",
};

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Help,
    Run {
        snapshot: String,
        command: Vec<String>,
    },
    Wrong(String),
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let (snapshot, command_line) = match parse(&invocation.args) {
        Asked::Run { snapshot, command } => (snapshot, command),
        Asked::Help => {
            let mut printer = Printer::default();
            let mut command = command(&DEFINITION, &invocation.program);
            let help = render(&mut command, io::stdout().is_terminal());
            printer.line(help.trim_end().to_owned() + &examples::section(&invocation, None))?;
            printer.flush()?;
            return Ok(Exit::FAILURE);
        }
        Asked::Wrong(why) => {
            message(format!("{USAGE}\nkafka-metadata-shell: error: {why}"));
            return Ok(Exit::FAILURE);
        }
    };
    let mut printer = Printer::default();
    let interactive = command_line.is_empty();
    if interactive {
        printer.line("Loading...")?;
        printer.flush()?;
    }
    let image = load::image(Path::new(&snapshot))
        .map_err(|error| anyhow::anyhow!("Unexpected error: {error:#}"))?;
    let width = if interactive { terminal_width() } else { None };
    let mut session = Session::new(&image, interactive, width);
    if interactive {
        printer.line("Starting...\n[ Kafka Metadata Shell ]")?;
        converse(&mut session, &mut printer)?;
    } else {
        session.run(&command_line, &mut printer)?;
    }
    printer.flush()?;
    Ok(Exit::SUCCESS)
}

fn converse(session: &mut Session<'_>, printer: &mut Printer) -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    loop {
        printer.text(">> ")?;
        printer.flush()?;
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            // The prompt stands on a line of its own, as after Kafka's end of input.
            return printer.line("");
        }
        let line = String::from_utf8_lossy(&line);
        if session.line(&line, printer)? == Next::Exit {
            return Ok(());
        }
    }
}

/// As argparse4j reads it: options anywhere, a unique beginning of their name is enough.
fn parse(args: &[String]) -> Asked {
    let mut snapshot = None;
    let mut command = Vec::new();
    let mut words = args.iter();
    let mut options_end = false;
    while let Some(word) = words.next() {
        let option = match word.strip_prefix("--") {
            _ if options_end || word.len() < 2 || !word.starts_with('-') => {
                command.push(word.clone());
                continue;
            }
            Some("") => {
                options_end = true;
                continue;
            }
            Some(long) => {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (long, None),
                };
                match name {
                    _ if "help".starts_with(name) && value.is_none() => return Asked::Help,
                    _ if "snapshot".starts_with(name) => value,
                    _ => return Asked::Wrong(format!("unrecognized arguments: '{word}'")),
                }
            }
            None => match word.strip_prefix("-s") {
                Some("") => None,
                Some(value) => Some(value),
                None if word == "-h" => return Asked::Help,
                None => return Asked::Wrong(format!("unrecognized arguments: '{word}'")),
            },
        };
        let value = option.or_else(|| words.next().map(String::as_str));
        match value {
            Some(value) => snapshot = Some(value.to_owned()),
            None => {
                return Asked::Wrong("argument --snapshot/-s: expected one argument".to_owned());
            }
        }
    }
    match snapshot {
        Some(snapshot) => Asked::Run { snapshot, command },
        None => Asked::Wrong("argument --snapshot/-s is required".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Asked {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&args)
    }

    #[test]
    fn options_may_stand_anywhere() {
        for line in [
            "-s f ls /",
            "ls -s f /",
            "--snap=f ls /",
            "-sf -- ls /",
            "ls / --snapshot f",
        ] {
            let command = vec!["ls".to_owned(), "/".to_owned()];
            assert_eq!(
                parsed(line),
                Asked::Run {
                    snapshot: "f".to_owned(),
                    command
                },
                "{line}"
            );
        }
        assert_eq!(parsed("ls -h"), Asked::Help);
        for (line, why) in [
            ("", "argument --snapshot/-s is required"),
            ("-s", "argument --snapshot/-s: expected one argument"),
            ("-s f ls -x", "unrecognized arguments: '-x'"),
        ] {
            assert_eq!(parsed(line), Asked::Wrong(why.to_owned()), "{line}");
        }
    }
}
