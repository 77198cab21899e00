//! Usage and errors laid out as argparse4j does: lines of 75 columns, those of errors stretched
//! to that width with blanks.
use super::{Commands, Subcommand};
use crate::tools::options::{Opt, Takes};

const WIDTH: usize = 75;
/// After a longer beginning the options stand on lines of their own.
const LONG_NAME: usize = 30;

/// `usage: PROG …` of the tool or of one of its subcommands.
pub fn usage(commands: &Commands, command: Option<&Subcommand>) -> String {
    let mut words: Vec<String> = Vec::new();
    match (commands.globals, command) {
        (Some(globals), Some(_)) => words.extend(required(globals)),
        (Some(globals), None) => words.extend(all(globals)),
        (None, None) => words.push("[-h]".to_owned()),
        (None, Some(_)) => {}
    }
    match command {
        Some(command) => {
            words.push(command.definition.name.to_owned());
            words.extend(all(command));
        }
        None => {
            let names = commands.commands.iter();
            let names: Vec<&str> = names.map(|command| command.definition.name).collect();
            words.push(format!("{{{}}}", names.join(",")));
            words.push("...".to_owned());
        }
    }
    lines(commands.program, &words)
}

/// `usage: PROG …` of a tool without subcommands; it names the values as its help does.
pub fn usage_alone(program: &str, tool: &Subcommand) -> String {
    lines(program, &all_by(tool, syntax_with_name))
}

fn lines(program: &str, words: &[String]) -> String {
    let mut lines = format!("usage: {program}");
    let mut indent = lines.len();
    let mut width = indent;
    if indent > LONG_NAME {
        indent = "usage:".len();
        lines.push('\n');
        lines.push_str(&" ".repeat(indent));
        // argparse4j takes the first of these lines to be one column longer than it is.
        width = indent + 1;
    }
    for (at, word) in words.iter().enumerate() {
        if at > 0 && width + word.len() + 1 > WIDTH {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            width = indent;
        }
        lines.push(' ');
        lines.push_str(word);
        width += 1 + word.len();
    }
    lines
}

fn all(command: &Subcommand) -> Vec<String> {
    all_by(command, syntax)
}

fn all_by(command: &Subcommand, syntax: fn(&Opt) -> String) -> Vec<String> {
    let mut words = vec!["[-h]".to_owned()];
    let alone = |option: &&Opt| !command.exclusive.contains(&option.name);
    words.extend(
        command
            .definition
            .options()
            .filter(alone)
            .map(|option| match option.required {
                true => syntax(option),
                false => format!("[{}]", syntax(option)),
            }),
    );
    words.extend(exclusive_by(command, syntax));
    words
}

fn required(command: &Subcommand) -> Vec<String> {
    let needed = command
        .definition
        .options()
        .filter(|option| option.required);
    let mut words: Vec<String> = needed.map(syntax).collect();
    if command.one_required {
        words.extend(exclusive(command));
    }
    words
}

/// `(--a A |` and `--b B)`: options of which only one may be given.
fn exclusive(command: &Subcommand) -> Vec<String> {
    exclusive_by(command, syntax)
}

fn exclusive_by(command: &Subcommand, syntax: fn(&Opt) -> String) -> Vec<String> {
    let options = command.exclusive.iter();
    let options: Vec<&Opt> = options
        .filter_map(|name| command.definition.find(name))
        .collect();
    let (open, close) = match (command.one_required, options.len()) {
        (true, 1) => ("", ""),
        (true, _) => ("(", ")"),
        (false, _) => ("[", "]"),
    };
    let mut words: Vec<String> = Vec::new();
    for (at, option) in options.iter().enumerate() {
        let open = if at == 0 { open } else { "" };
        let close = if at + 1 == options.len() { close } else { "" };
        if at > 0 {
            words.push("|".to_owned());
        }
        words.push(format!("{open}{}{close}", syntax(option)));
    }
    words
}

/// `--command-config COMMAND_CONFIG`
fn syntax(option: &Opt) -> String {
    match option.takes {
        Takes::Nothing => format!("--{}", option.name),
        _ => {
            let value = option.name.replace('-', "_").to_uppercase();
            format!("--{} {value}", option.name)
        }
    }
}

/// `--num-records NUM-RECORDS`, `--properties NAME [NAME ...]`
fn syntax_with_name(option: &Opt) -> String {
    match option.takes {
        Takes::Nothing => format!("--{}", option.name),
        Takes::Value(value) | Takes::OptionalValue(value) => format!("--{} {value}", option.name),
        Takes::Values(value) => format!("--{} {value} [{value} ...]", option.name),
    }
}

/// Breaks after blanks and hyphens; every line but the last is stretched to the full width.
pub fn wrap(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for piece in pieces(text) {
        if line.chars().count() + piece.chars().count() > WIDTH {
            lines.push_str(&stretched(&line));
            lines.push('\n');
            line.clear();
        }
        line.push_str(piece);
    }
    lines + &line
}

/// Where a line may end: after blanks, and after a hyphen before a letter.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let bytes = text.as_bytes();
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        let next = bytes.get(end);
        let after_blank = c == ' ' && next != Some(&b' ');
        let after_hyphen = c == '-' && next.is_some_and(u8::is_ascii_alphabetic);
        if after_blank || after_hyphen {
            pieces.push(text.get(start..end).unwrap_or_default());
            start = end;
        }
    }
    pieces.push(text.get(start..).unwrap_or_default());
    pieces
}

/// Blanks are added to every gap alike; what is left over goes to the middle ones.
fn stretched(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    let gaps = words.len().saturating_sub(1);
    let taken = line.trim().chars().count();
    if gaps == 0 {
        return line.trim().to_owned();
    }
    let missing = WIDTH.saturating_sub(taken);
    let (each, rest) = (missing / gaps, missing % gaps);
    let first = (gaps - rest).div_ceil(2);
    let mut text = String::new();
    for (at, word) in words.iter().enumerate() {
        if at > 0 {
            let more = usize::from((first..first + rest).contains(&(at - 1)));
            text.push_str(&" ".repeat(1 + each + more));
        }
        text.push_str(word);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by Kafka 4.3.1's tools.
    #[test]
    fn errors_are_stretched_as_argparse4j_does() {
        for (text, want) in [
            (
                "kafka-cluster: error: invalid choice: 'bogus' (choose from 'cluster-id', \
                 'unregister', 'list-endpoints')",
                "kafka-cluster: error: invalid  choice:  'bogus'  (choose from 'cluster-id',\n\
                 'unregister', 'list-endpoints')",
            ),
            (
                "kafka-metadata-quorum: error: one of the arguments --bootstrap-server \
                 --bootstrap-controller is required",
                "kafka-metadata-quorum: error: one  of  the  arguments --bootstrap-server --\n\
                 bootstrap-controller is required",
            ),
            (
                "kafka-cluster: error: one of the arguments --bootstrap-server/-b \
                 --bootstrap-controller/-C is required",
                "kafka-cluster:  error:  one  of   the  arguments  --bootstrap-server/-b  --\n\
                 bootstrap-controller/-C is required",
            ),
            ("short: error: x", "short: error: x"),
        ] {
            assert_eq!(wrap(text), want);
        }
    }
}
