//! What tools of the jopt-simple kind share: help, version, and Kafka's checks of which options go
//! together, in Kafka's words.
use std::io::{self, IsTerminal};

use super::KAFKA_VERSION;
use super::examples;
use super::options::jopt::{self, OptionError, OptionSet};
use super::options::{Definition, command, render};
use super::output::{Invocation, Printer, message};
use super::registry::Exit;

/// A command line that cannot be run: the text goes to stderr, the exit code is 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

impl From<OptionError> for UsageError {
    fn from(error: OptionError) -> Self {
        UsageError(error.to_string())
    }
}

/// Parses; prints help, version or what is wrong, and says how to exit then.
pub fn parse(
    definition: &'static Definition,
    invocation: &Invocation,
) -> anyhow::Result<Result<OptionSet, Exit>> {
    let set = match jopt::parse(definition, &invocation.args) {
        Ok(set) => set,
        Err(error) => {
            return Ok(Err(refuse(
                definition,
                invocation,
                &UsageError::from(error),
            )));
        }
    };
    if invocation.args.is_empty() || set.has("help") {
        help(command(definition, &invocation.program), invocation)?;
        return Ok(Err(Exit::FAILURE));
    }
    if set.has("version") {
        let mut printer = Printer::default();
        printer.line(KAFKA_VERSION)?;
        printer.flush()?;
        return Ok(Err(Exit::SUCCESS));
    }
    Ok(Ok(set))
}

/// The help: on stderr by Kafka's name, as Kafka's tools do, else on stdout where pagers read it.
pub fn help(mut command: clap::Command, invocation: &Invocation) -> anyhow::Result<()> {
    let mut text = |terminal: bool| {
        let options = render(&mut command, terminal);
        options.trim_end().to_owned() + &examples::section(invocation, None)
    };
    if invocation.by_kafka_name || invocation.args.is_empty() {
        message(text(io::stderr().is_terminal()));
    } else {
        let mut printer = Printer::default();
        printer.line(text(io::stdout().is_terminal()))?;
        printer.flush()?;
    }
    Ok(())
}

/// Says what is wrong with the command line and where to read more.
pub fn refuse(definition: &Definition, invocation: &Invocation, error: &UsageError) -> Exit {
    message(&error.0);
    let unknown = error.0.strip_suffix(" is not a recognized option");
    if let Some(near) = unknown.and_then(|name| definition.nearest(name)) {
        message(format!("Did you mean --{near}?"));
    }
    message(format!("{} --help lists the options.", invocation.program));
    Exit::FAILURE
}

/// All of these must be there.
pub fn require(set: &OptionSet, names: &[&str]) -> Result<(), UsageError> {
    match names.iter().find(|name| !set.has(name)) {
        Some(name) => Err(UsageError(format!(
            "Missing required argument \"[{name}]\""
        ))),
        None => Ok(()),
    }
}

/// When `used` is there, none of the others may be.
pub fn exclude(set: &OptionSet, used: &str, others: &[&str]) -> Result<(), UsageError> {
    if !set.has(used) {
        return Ok(());
    }
    match others.iter().find(|name| set.has(name)) {
        Some(other) => Err(UsageError(format!(
            "Option \"[{used}]\" can't be used with option \"[{other}]\""
        ))),
        None => Ok(()),
    }
}

/// One of these must be there, and no second one.
pub fn exactly_one(set: &OptionSet, names: &[&str]) -> Result<(), UsageError> {
    if names.iter().filter(|name| set.has(name)).count() == 1 {
        return Ok(());
    }
    let names: Vec<String> = names.iter().map(|name| format!("[{name}]")).collect();
    Err(UsageError(format!(
        "Exactly one of the following arguments is required: {}",
        names.join(", ")
    )))
}

/// An option that only exists beside one of the others.
pub fn available(set: &OptionSet, option: &str, beside: &[&str]) -> Result<(), UsageError> {
    if set.has(option) && !beside.iter().any(|other| set.has(other)) {
        return Err(UsageError(format!(
            "Option(s) [{option}] are unavailable given other options on the command line"
        )));
    }
    Ok(())
}

/// Exactly one of the actions, else an error of this text.
pub fn one_of<T: Copy>(
    set: &OptionSet,
    actions: &[(&str, T)],
    else_say: &str,
) -> Result<T, UsageError> {
    let mut asked = actions.iter().filter(|(name, _)| set.has(name));
    match (asked.next(), asked.next()) {
        (Some((_, action)), None) => Ok(*action),
        _ => Err(UsageError(else_say.to_owned())),
    }
}

/// An option and its deprecated name must not be mixed.
pub fn not_both(set: &OptionSet, one: &str, other: &str) -> Result<(), UsageError> {
    if set.has(one) && set.has(other) {
        return Err(UsageError(format!(
            "Options --{one} and --{other} cannot be specified together."
        )));
    }
    Ok(())
}

/// `key=value` pairs; a key alone has the empty value.
pub fn pairs(values: &[String]) -> impl Iterator<Item = (&str, &str)> {
    values
        .iter()
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}
