//! How a tool of the argparse4j kind without subcommands begins: help, and what is wrong with a
//! command line, said as argparse4j does.
use std::io::{self, IsTerminal};

use clap::{Arg, ArgAction};

use super::examples;
use super::options::argparse::{self, ArgumentError, Parsed, Stop, Subcommand, text};
use super::options::{command, render};
use super::output::{Invocation, Printer, message};
use super::registry::Exit;

/// Reads the command line; prints help or what is wrong, and says how to exit then: without any
/// words Kafka's tools of this kind print their help and succeed, when asked for it they fail.
pub fn read(
    program: &str,
    tool: &'static Subcommand,
    invocation: &Invocation,
) -> io::Result<Result<Parsed, Exit>> {
    let stop = match argparse::parse_alone(tool, &invocation.args) {
        Ok(parsed) => return Ok(Ok(parsed)),
        Err(stop) => stop,
    };
    match stop {
        Stop::Error(error) if !invocation.args.is_empty() => Ok(Err(refuse(program, tool, &error))),
        Stop::Error(_) => help(tool, invocation).map(|()| Err(Exit::SUCCESS)),
        Stop::Help(_) => help(tool, invocation).map(|()| Err(Exit::FAILURE)),
    }
}

fn help(tool: &'static Subcommand, invocation: &Invocation) -> io::Result<()> {
    let help = Arg::new("help").short('h').long("help");
    let help = help.help("Show this help").action(ArgAction::SetTrue);
    let mut command = command(&tool.definition, &invocation.program)
        .next_help_heading("Other")
        .arg(help);
    let mut printer = Printer::default();
    let options = render(&mut command, io::stdout().is_terminal());
    printer.line(options.trim_end().to_owned() + &examples::section(invocation, None))?;
    printer.flush()
}

/// Says what is wrong the way argparse4j does: usage, then the error.
pub fn refuse(program: &str, tool: &'static Subcommand, error: &ArgumentError) -> Exit {
    message(text::usage_alone(program, tool));
    message(text::wrap(&format!("{program}: error: {error}")));
    if let ArgumentError::Unrecognized(word) = error {
        let near = tool.definition.nearest(word.trim_start_matches('-'));
        if let Some(near) = near {
            message(format!("Did you mean --{near}?"));
        }
    }
    Exit::FAILURE
}

/// What a tool ended with; what its checks of the options found is an error of the command line.
pub fn end(
    program: &str,
    tool: &'static Subcommand,
    result: anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    result.or_else(|failure| match failure.downcast_ref::<ArgumentError>() {
        Some(error) => Ok(refuse(program, tool, error)),
        None => Err(failure),
    })
}
