//! Parsing with the habits of Java's argparse4j: subcommands, one-letter names, unique prefixes of
//! long names, the last of repeated values wins, errors end with `PROG: error: …`.
pub mod text;

use std::collections::BTreeMap;
use std::str::FromStr;

use thiserror::Error;

use super::{Definition, Group, Opt, Takes};

/// A tool with subcommands, each with its own options.
#[derive(Debug)]
pub struct Commands {
    /// The name in error messages, such as `kafka-storage`.
    pub program: &'static str,
    pub about: &'static str,
    /// Options that stand before the subcommand: of no command, but of the same make.
    pub globals: Option<&'static Subcommand>,
    pub commands: &'static [Subcommand],
}

#[derive(Debug)]
pub struct Subcommand {
    pub definition: Definition,
    /// Options of which at most one may be given.
    pub exclusive: &'static [&'static str],
    /// Whether one of these must be given.
    pub one_required: bool,
    /// What words without a dash are, such as `DIR`; `None`: there may be none.
    pub words: Option<&'static str>,
}

impl Subcommand {
    /// With options that go together as they please, and without words.
    pub const fn new(
        name: &'static str,
        about: &'static str,
        groups: &'static [Group],
    ) -> Subcommand {
        Subcommand {
            definition: Definition {
                name,
                about,
                groups,
                after: "",
            },
            exclusive: &[],
            one_required: false,
            words: None,
        }
    }
}

/// The subcommand and the options that were given.
#[derive(Debug)]
pub struct Parsed {
    pub command: &'static Subcommand,
    values: Values,
}

impl Parsed {
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.last().map(String::as_str)
    }

    /// The value as a number.
    pub fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, ArgumentError> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        value.parse().map(Some).map_err(|_| {
            let option = self.command.definition.find(name);
            let option = option.map_or_else(|| format!("--{name}"), names);
            let kind = java_number(std::any::type_name::<T>());
            let value = value.to_owned();
            ArgumentError::NotANumber {
                option,
                value,
                kind,
            }
        })
    }

    pub fn values(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }
}

/// Java's class for a number of this type.
fn java_number(rust: &str) -> &'static str {
    match rust {
        "i16" => "Short",
        "i64" => "Long",
        "f64" => "Double",
        _ => "Integer",
    }
}

/// How parsing ended when there is nothing to run.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// `--help` of the tool (`None`) or of a subcommand: exit code 0.
    Help(Option<&'static str>),
    Error(ArgumentError),
}

/// The texts of argparse4j, without the `PROG: error: ` in front.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum ArgumentError {
    #[error("too few arguments")]
    TooFew,
    #[error("invalid choice: '{given}' (choose from {known})")]
    InvalidCommand { given: String, known: String },
    #[error("argument {0} is required")]
    Required(String),
    #[error("one of the arguments {0} is required")]
    OneRequired(String),
    #[error(
        "argument {option}: could not convert '{value}' to {kind} (For input string: \"{value}\")"
    )]
    NotANumber {
        option: String,
        value: String,
        kind: &'static str,
    },
    #[error("argument {option}: invalid choice: '{value}' (choose from {{{choices}}})")]
    InvalidChoice {
        option: String,
        value: String,
        choices: &'static str,
    },
    #[error("argument {0}: expected one argument")]
    ExpectedOne(String),
    #[error("argument {0}: expected at least one argument")]
    ExpectedSome(String),
    #[error("argument {0}: not allowed with argument {1}")]
    NotAllowedWith(String, String),
    #[error("argument {option}: ignore {how} argument '{value}'")]
    NoValueTaken {
        option: String,
        how: &'static str,
        value: String,
    },
    #[error("ambiguous option: {0} could match {1}")]
    Ambiguous(String, String),
    #[error("unrecognized arguments: '{0}'")]
    Unrecognized(String),
    /// What the tool itself finds wrong.
    #[error("{0}")]
    Other(String),
}

impl From<ArgumentError> for Stop {
    fn from(error: ArgumentError) -> Self {
        Stop::Error(error)
    }
}

type Values = BTreeMap<&'static str, Vec<String>>;

/// Parses the words that follow the tool's name.
pub fn parse(commands: &'static Commands, args: &[String]) -> Result<Parsed, Stop> {
    let mut values = Values::new();
    let mut rest = args;
    if let Some(globals) = commands.globals {
        rest = parse_options(globals, args, true, &mut values)?;
    }
    let (first, rest) = rest.split_first().ok_or(ArgumentError::TooFew)?;
    if is_help(first) {
        return Err(Stop::Help(None));
    }
    if first.starts_with('-') && first.len() > 1 {
        return Err(ArgumentError::Unrecognized(first.clone()).into());
    }
    let command = commands
        .commands
        .iter()
        .find(|command| command.definition.name == first)
        .ok_or_else(|| invalid_command(commands, first))?;
    parse_options(command, rest, false, &mut values)?;
    require(command, &values)?;
    if let Some(globals) = commands.globals {
        require(globals, &values)?;
    }
    Ok(Parsed { command, values })
}

/// Parses the words that follow the name of a tool without subcommands.
pub fn parse_alone(tool: &'static Subcommand, args: &[String]) -> Result<Parsed, Stop> {
    let mut values = Values::new();
    parse_options(tool, args, false, &mut values)?;
    require(tool, &values)?;
    Ok(Parsed {
        command: tool,
        values,
    })
}

/// The subcommand that the words name, if they name one.
pub fn command_of(commands: &'static Commands, args: &[String]) -> Option<&'static Subcommand> {
    let mut known = commands.commands.iter();
    known.find(|command| args.iter().any(|word| word == command.definition.name))
}

fn require(command: &Subcommand, values: &Values) -> Result<(), ArgumentError> {
    let required = command
        .definition
        .options()
        .filter(|option| option.required);
    let missing = required.filter(|option| !values.contains_key(option.name));
    // Of several that are missing, argparse4j names the last.
    if let Some(option) = missing.last() {
        return Err(ArgumentError::Required(names(option)));
    }
    let given = |name: &&str| values.contains_key(*name);
    if command.one_required && !command.exclusive.iter().any(given) {
        let options = command.exclusive.iter();
        let options = options.filter_map(|name| command.definition.find(name));
        let options: Vec<String> = options.map(names).collect();
        return Err(ArgumentError::OneRequired(options.join(" ")));
    }
    Ok(())
}

fn invalid_command(commands: &Commands, given: &str) -> ArgumentError {
    let known: Vec<String> = commands
        .commands
        .iter()
        .map(|command| format!("'{}'", command.definition.name))
        .collect();
    ArgumentError::InvalidCommand {
        given: given.to_owned(),
        known: known.join(", "),
    }
}

/// Reads the options of one command; those before the subcommand end with the first word that is
/// none. What is left is returned.
fn parse_options<'a>(
    command: &'static Subcommand,
    args: &'a [String],
    before_command: bool,
    values: &mut Values,
) -> Result<&'a [String], Stop> {
    let mut rest = args;
    while let Some((word, after)) = rest.split_first() {
        if is_help(word) {
            let name = command.definition.name;
            return Err(Stop::Help((!before_command).then_some(name)));
        }
        if before_command && !word.starts_with('-') {
            return Ok(rest);
        }
        rest = after;
        if let Some(name) = command.words.filter(|_| !word.starts_with('-')) {
            values.entry(name).or_default().push(word.clone());
            continue;
        }
        let (option, attached) = find(&command.definition, word)?;
        refuse_exclusive(command, option, values)?;
        let entry = values.entry(option.name).or_default();
        match (option.takes, attached) {
            (Takes::Nothing, None) => {}
            (Takes::Nothing, Some(value)) => {
                let how = if word.starts_with("--") {
                    "explicit"
                } else {
                    "implicit"
                };
                let (option, value) = (names(option), value.to_owned());
                return Err(ArgumentError::NoValueTaken { option, how, value }.into());
            }
            (_, Some(value)) => entry.push(value.to_owned()),
            (Takes::Values(_), None) => {
                // The last list wins as a whole.
                entry.clear();
                let count = rest.iter().take_while(|word| is_value(word)).count();
                let (list, after) = rest.split_at(count);
                entry.extend_from_slice(list);
                rest = after;
                if list.is_empty() {
                    return Err(ArgumentError::ExpectedSome(names(option)).into());
                }
            }
            (_, None) => match rest.split_first() {
                Some((value, after)) if is_value(value) => {
                    entry.push(value.clone());
                    rest = after;
                }
                _ => return Err(ArgumentError::ExpectedOne(names(option)).into()),
            },
        }
    }
    Ok(rest)
}

fn refuse_exclusive(
    command: &Subcommand,
    option: &Opt,
    given: &Values,
) -> Result<(), ArgumentError> {
    if !command.exclusive.contains(&option.name) {
        return Ok(());
    }
    let other = command
        .exclusive
        .iter()
        .find(|name| **name != option.name && given.contains_key(**name))
        .and_then(|name| command.definition.find(name));
    match other {
        Some(other) => Err(ArgumentError::NotAllowedWith(names(option), names(other))),
        None => Ok(()),
    }
}

/// The option that a word names, and the value attached to it.
fn find<'a>(
    definition: &Definition,
    word: &'a str,
) -> Result<(&'static Opt, Option<&'a str>), ArgumentError> {
    let unrecognized = || ArgumentError::Unrecognized(word.to_owned());
    if let Some(body) = word.strip_prefix("--") {
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (body, None),
        };
        if let Some(option) = definition.find(name) {
            return Ok((option, value));
        }
        let near: Vec<_> = definition
            .options()
            .filter(|o| o.name.starts_with(name))
            .collect();
        return match near.as_slice() {
            [option] if !name.is_empty() => Ok((option, value)),
            [_, _, ..] if !name.is_empty() => {
                let known: Vec<_> = near.iter().map(|o| format!("--{}", o.name)).collect();
                Err(ArgumentError::Ambiguous(
                    format!("--{name}"),
                    known.join(", "),
                ))
            }
            _ => Err(unrecognized()),
        };
    }
    let mut letters = word.strip_prefix('-').ok_or_else(unrecognized)?.chars();
    let letter = letters.next().ok_or_else(unrecognized)?;
    let option = definition
        .options()
        .find(|option| option.short == Some(letter))
        .ok_or_else(unrecognized)?;
    let rest = letters.as_str();
    Ok((
        option,
        (!rest.is_empty()).then(|| rest.strip_prefix('=').unwrap_or(rest)),
    ))
}

/// No option: a word without a dash, a dash alone, or a negative number.
fn is_value(word: &str) -> bool {
    let Some(number) = word.strip_prefix('-') else {
        return true;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match number.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction) && !fraction.is_empty(),
        None => digits(number),
    }
}

fn is_help(word: &str) -> bool {
    matches!(word, "-h" | "--help")
}

/// `--config/-c`, as argparse4j names an option.
pub fn names(option: &Opt) -> String {
    match option.short {
        Some(short) => format!("--{}/-{short}", option.name),
        None => format!("--{}", option.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::Group;

    static SAMPLE: Commands = Commands {
        program: "kafka-sample",
        about: "",
        globals: None,
        commands: &[
            Subcommand {
                definition: Definition {
                    name: "format",
                    about: "",
                    groups: &[Group {
                        heading: "",
                        options: &[
                            Opt::value("config", "FILE", "").short('c').required(),
                            Opt::value("feature", "F", "").short('f').repeatable(),
                            Opt::flag("standalone", "").short('s'),
                            Opt::flag("no-start", "").short('N'),
                            Opt::flag("no-stop", ""),
                        ],
                    }],
                    after: "",
                },
                exclusive: &["standalone", "no-start"],
                one_required: false,
                words: None,
            },
            Subcommand {
                definition: Definition {
                    name: "info",
                    about: "",
                    groups: &[],
                    after: "",
                },
                exclusive: &[],
                one_required: false,
                words: None,
            },
        ],
    };

    fn parsed(line: &str) -> Result<Parsed, Stop> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&SAMPLE, &args)
    }

    fn error(line: &str) -> String {
        match parsed(line) {
            Err(Stop::Error(error)) => error.to_string(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn long_short_attached_and_prefix() {
        for line in [
            "format --config x",
            "format --config=x",
            "format -c x",
            "format -cx",
            "format -c=x",
            "format --con x",
            "format -c y --config x",
        ] {
            assert_eq!(parsed(line).unwrap().value("config"), Some("x"), "{line}");
        }
        let set = parsed("format -c x -f a=1 --feature b=2 -s").unwrap();
        assert_eq!(set.values("feature"), ["a=1", "b=2"]);
        assert!(set.has("standalone") && !set.has("no-start"));
    }

    #[test]
    fn errors_read_as_argparse4j_words_them() {
        assert_eq!(error(""), "too few arguments");
        assert_eq!(
            error("frob"),
            "invalid choice: 'frob' (choose from 'format', 'info')"
        );
        assert_eq!(error("format"), "argument --config/-c is required");
        assert_eq!(
            error("format -c"),
            "argument --config/-c: expected one argument"
        );
        assert_eq!(
            error("format -c --feature x"),
            "argument --config/-c: expected one argument"
        );
        assert_eq!(error("format --frob"), "unrecognized arguments: '--frob'");
        assert_eq!(error("info x"), "unrecognized arguments: 'x'");
        assert_eq!(
            error("format -c x -s -N"),
            "argument --no-start/-N: not allowed with argument --standalone/-s"
        );
        assert_eq!(
            error("format --no"),
            "ambiguous option: --no could match --no-start, --no-stop"
        );
    }

    #[test]
    fn help_wins_over_what_is_missing() {
        assert_eq!(parsed("--help").unwrap_err(), Stop::Help(None));
        assert_eq!(parsed("format -h").unwrap_err(), Stop::Help(Some("format")));
    }
}
