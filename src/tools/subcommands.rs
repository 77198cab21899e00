//! How a tool with subcommands (the argparse4j kind) begins: help, and what is wrong with a command
//! line, said as argparse4j does; where the cluster is.
use std::io::{self, IsTerminal};

use clap::{Arg, ArgAction};

use super::options::argparse::{self, ArgumentError, Commands, Parsed, Stop, text};
use super::options::{Opt, command, render};
use super::output::{Format, Invocation, Printer, message};
use super::registry::Exit;
use super::usage::UsageError;
use super::{cluster, examples};
use crate::client::ClientConfig;

/// Reads the command line; prints help or what is wrong, and says how to exit then. Tools differ
/// in what they exit with after their help.
pub fn read(
    commands: &'static Commands,
    invocation: &Invocation,
    after_help: Exit,
) -> io::Result<Result<Parsed, Exit>> {
    match argparse::parse(commands, &invocation.args) {
        Ok(parsed) => Ok(Ok(parsed)),
        Err(Stop::Help(subcommand)) => {
            let mut printer = Printer::default();
            printer.line(help(commands, invocation, subcommand).trim_end())?;
            printer.flush()?;
            Ok(Err(after_help))
        }
        Err(Stop::Error(error)) => Ok(Err(refuse(commands, invocation, &error))),
    }
}

pub fn help(
    commands: &'static Commands,
    invocation: &Invocation,
    subcommand: Option<&str>,
) -> String {
    let terminal = io::stdout().is_terminal();
    let mut all = commands.commands.iter();
    if let Some(named) = all.find(|c| Some(c.definition.name) == subcommand) {
        let program = format!("{} {}", invocation.program, named.definition.name);
        let mut command = command(&named.definition, &program);
        if named.definition.find("help").is_none() {
            let help = Arg::new("help").short('h').long("help");
            let help = help.help("Show this help").action(ArgAction::SetTrue);
            command = command.next_help_heading("Other").arg(help);
        }
        let options = render(&mut command, terminal);
        return options.trim_end().to_owned() + &examples::section(invocation, subcommand);
    }
    let before = if commands.globals.is_some() {
        "[OPTIONS] "
    } else {
        ""
    };
    let mut text = format!(
        "{}\n\nUsage: {} {before}COMMAND [OPTIONS]\n\nCommands:\n",
        commands.about, invocation.program
    );
    for command in commands.commands {
        let (name, about) = (command.definition.name, command.definition.about);
        text.push_str(&format!("  {name:<27}{about}\n"));
    }
    text.push_str("\nOptions:\n");
    for option in commands
        .globals
        .iter()
        .flat_map(|globals| globals.definition.options())
    {
        text.push_str(&format!("  {:<40}{}\n", spelled(option), option.help));
    }
    text.push_str(
        "  -h, --help                              Show this help, or that of a command\n",
    );
    text.trim_end().to_owned() + &examples::section(invocation, None)
}

fn spelled(option: &Opt) -> String {
    let short = option
        .short
        .map(|short| format!("-{short}, "))
        .unwrap_or_default();
    match option.takes {
        super::options::Takes::Nothing => format!("{short}--{}", option.name),
        super::options::Takes::Value(value)
        | super::options::Takes::OptionalValue(value)
        | super::options::Takes::Values(value) => format!("{short}--{} {value}", option.name),
    }
}

/// Says what is wrong the way argparse4j does: usage, then the error.
pub fn refuse(commands: &'static Commands, invocation: &Invocation, error: &ArgumentError) -> Exit {
    let of_command = match error {
        ArgumentError::TooFew | ArgumentError::InvalidCommand { .. } => None,
        _ => argparse::command_of(commands, &invocation.args),
    };
    message(text::usage(commands, of_command));
    message(text::wrap(&format!("{}: error: {error}", commands.program)));
    Exit::FAILURE
}

/// What a tool ended with; a value that is no number is an error of the command line after all.
pub fn end(
    commands: &'static Commands,
    invocation: &Invocation,
    result: anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    result.or_else(|failure| match failure.downcast_ref::<ArgumentError>() {
        Some(error) => Ok(refuse(commands, invocation, error)),
        None => Err(failure),
    })
}

/// The client's settings: `--command-config`, and brokers or controllers to begin with.
pub fn client_config(parsed: &Parsed, file: Option<&str>) -> anyhow::Result<ClientConfig> {
    let mut properties = cluster::load_properties(file)?;
    let (key, addresses) = match parsed.value("bootstrap-controller") {
        Some(addresses) => ("bootstrap.controllers", addresses),
        None => (
            "bootstrap.servers",
            parsed.value("bootstrap-server").unwrap_or_default(),
        ),
    };
    properties.set(key, addresses);
    cluster::admin_config(&properties)
}

/// The shape of the output, where the subcommand has the option.
pub fn format(parsed: &Parsed, invocation: &Invocation) -> anyhow::Result<Format> {
    match parsed.value("output") {
        Some(text) => Ok(Format::parse(text).map_err(UsageError)?),
        None if parsed.command.definition.find("output").is_some() => {
            Ok(invocation.default_format())
        }
        None => Ok(Format::Kafka),
    }
}
