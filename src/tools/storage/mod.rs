//! `kafka-storage`: formats log directories, looks at them, and tells of versions and features.
mod features;
mod format;
mod info;
mod options;
mod verify;

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};

use anyhow::bail;

use self::options::COMMANDS;
use super::cluster::load_properties;
use super::options::argparse::{self, ArgumentError, Parsed, Stop};
use super::options::{command, render};
use super::output::{Invocation, Printer, message};
use super::registry::Exit;
use crate::config::{Values, broker};
use crate::protocol::Uuid;

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let mut printer = Printer::default();
    let parsed = match argparse::parse(&COMMANDS, &invocation.args) {
        Ok(parsed) => parsed,
        Err(Stop::Help(subcommand)) => {
            printer.line(help(&invocation, subcommand).trim_end())?;
            printer.flush()?;
            return Ok(Exit::SUCCESS);
        }
        Err(Stop::Error(error)) => return Ok(refuse(&invocation, &error)),
    };
    let result = execute(&parsed, &mut printer);
    printer.flush()?;
    result
}

fn execute(parsed: &Parsed, printer: &mut Printer) -> anyhow::Result<Exit> {
    match parsed.command.definition.name {
        "info" => info::run(&config(parsed)?, printer),
        "format" => format::run(parsed, &config(parsed)?, printer),
        "verify" => verify::run(parsed, printer),
        "version-mapping" => features::version_mapping(parsed, printer),
        "feature-dependencies" => features::dependencies(parsed, printer),
        _ => {
            printer.line(random_uuid().to_string())?;
            Ok(Exit::SUCCESS)
        }
    }
}

/// The broker's settings from the file of `--config`.
fn config(parsed: &Parsed) -> anyhow::Result<Values> {
    let file = load_properties(parsed.value("config"))?;
    let (values, errors) = broker::table().parse_all(&file);
    match errors.into_iter().next() {
        Some(error) => bail!(error),
        None => Ok(values),
    }
}

/// All storage directories of the node, in order of their paths.
fn log_directories(config: &Values) -> BTreeSet<String> {
    let mut directories: BTreeSet<String> = data_directories(config).iter().cloned().collect();
    directories.extend(config.string_option("metadata.log.dir").map(str::to_owned));
    directories
}

fn data_directories(config: &Values) -> &[String] {
    config
        .list_option("log.dirs")
        .unwrap_or_else(|| config.list("log.dir"))
}

/// An id as Kafka makes them: never reserved, and without a dash in front that options would trip
/// over.
fn random_uuid() -> Uuid {
    Uuid::from_random(fastrand::u128(..))
}

fn help(invocation: &Invocation, subcommand: Option<&str>) -> String {
    let terminal = io::stdout().is_terminal();
    let named = COMMANDS
        .commands
        .iter()
        .find(|c| Some(c.definition.name) == subcommand);
    if let Some(named) = named {
        let program = format!("{} {}", invocation.program, named.definition.name);
        let mut command = command(&named.definition, &program);
        return render(&mut command, terminal);
    }
    let mut text = format!(
        "{}\n\nUsage: {} COMMAND [OPTIONS]\n\nCommands:\n",
        COMMANDS.about, invocation.program
    );
    for command in COMMANDS.commands {
        text.push_str(&format!(
            "  {:<22}{}\n",
            command.definition.name, command.definition.about
        ));
    }
    text.push_str("\nOptions:\n  -h, --help  Show this help, or that of a command\n");
    text
}

/// Says what is wrong the way argparse4j does: usage, then the error.
fn refuse(invocation: &Invocation, error: &ArgumentError) -> Exit {
    let asked = invocation.args.first().map(String::as_str);
    let known = COMMANDS
        .commands
        .iter()
        .find(|c| Some(c.definition.name) == asked);
    let names: Vec<&str> = COMMANDS
        .commands
        .iter()
        .map(|c| c.definition.name)
        .collect();
    let usage = match known {
        Some(known) => format!("{} {} [OPTIONS]", COMMANDS.program, known.definition.name),
        None => format!("{} [-h] {{{}}} ...", COMMANDS.program, names.join(",")),
    };
    message(format!(
        "usage: {usage}\n{}: error: {error}",
        COMMANDS.program
    ));
    Exit::FAILURE
}
