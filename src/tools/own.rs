//! How the tools begin that Kafka has none of: their options are `clap`'s.
use std::io::{self, IsTerminal};

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};

use super::examples;
use super::output::{Invocation, Printer, message};
use super::registry::Exit;

/// The options as `clap` knows them, under the name the user called.
pub fn command(command: clap::Command, program: &str) -> clap::Command {
    command
        .bin_name(program.to_owned())
        .disable_version_flag(true)
        .max_term_width(100)
}

/// Reads the command line; prints help or what is wrong, and says how to exit then.
pub fn read<T: CommandFactory + FromArgMatches>(
    invocation: &Invocation,
) -> io::Result<Result<T, Exit>> {
    let words = std::iter::once(invocation.program.clone()).chain(invocation.args.iter().cloned());
    let mut command = self::command(T::command(), &invocation.program);
    let parsed = command
        .try_get_matches_from_mut(words)
        .and_then(|matches| T::from_arg_matches(&matches));
    let error = match parsed {
        Ok(options) => return Ok(Ok(options)),
        Err(error) => error.format(&mut command),
    };
    if matches!(error.kind(), ErrorKind::DisplayHelp) {
        let mut printer = Printer::default();
        let options = rendered(&error, io::stdout().is_terminal());
        printer.line(options.trim_end().to_owned() + &examples::section(invocation, None))?;
        printer.flush()?;
        return Ok(Err(Exit::SUCCESS));
    }
    message(rendered(&error, io::stderr().is_terminal()).trim_end());
    Ok(Err(Exit::FAILURE))
}

fn rendered(error: &clap::Error, terminal: bool) -> String {
    let text = error.render();
    if terminal {
        text.ansi().to_string()
    } else {
        text.to_string()
    }
}
