//! Parsing with the habits of Java's jopt-simple, as Kafka's tools configure it: no abbreviations,
//! one dash is as good as two, a value is the next word whatever it looks like, words that belong
//! to no option are ignored, and a bad or repeated value is reported when it is read.
use std::collections::BTreeMap;
use std::str::FromStr;

use thiserror::Error;

use super::{Definition, Opt, Takes};

/// What is wrong with the words of a command line. The texts are jopt-simple's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OptionError {
    #[error("{0} is not a recognized option")]
    Unrecognized(String),
    #[error("Option {0} requires an argument")]
    MissingArgument(&'static str),
    #[error("Found multiple arguments for option {0}, but you asked for only one")]
    Multiple(&'static str),
    #[error("Cannot parse argument '{value}' of option {option}")]
    Conversion { option: &'static str, value: String },
}

/// The options found on a command line, with their values still as text.
#[derive(Clone, Debug)]
pub struct OptionSet {
    definition: &'static Definition,
    found: BTreeMap<&'static str, Vec<String>>,
    /// Every option given, in order.
    given: Vec<&'static str>,
}

/// Parses the words that follow the tool's name.
pub fn parse(definition: &'static Definition, args: &[String]) -> Result<OptionSet, OptionError> {
    let mut set = OptionSet {
        definition,
        found: BTreeMap::new(),
        given: Vec::new(),
    };
    let mut words = args.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        }
        let Some(body) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            continue; // belongs to no option: ignored, as Kafka's tools do
        };
        if body.is_empty() {
            continue; // a lone dash
        }
        let (name, attached) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        let option = definition
            .find(name)
            .ok_or_else(|| unrecognized(word, name))?;
        let value = match (option.takes, attached) {
            (Takes::Nothing, _) => None,
            (_, Some(value)) => Some(value),
            (Takes::Value(_) | Takes::Values(_), None) => {
                let next = words
                    .next()
                    .ok_or(OptionError::MissingArgument(option.name))?;
                Some(next.to_owned())
            }
            (Takes::OptionalValue(_), None) => words
                .next_if(|next| !looks_like_an_option(next))
                .map(str::to_owned),
        };
        set.given.push(option.name);
        set.found.entry(option.name).or_default().extend(value);
    }
    Ok(set)
}

/// A single dash starts a cluster of one-letter options: Kafka's tools have none, so the first
/// letter is the one that is unknown.
fn unrecognized(word: &str, name: &str) -> OptionError {
    let name = if word.starts_with("--") {
        name.to_owned()
    } else {
        name.chars().take(1).collect()
    };
    OptionError::Unrecognized(name)
}

/// Negative numbers do not: no option's name is one.
fn looks_like_an_option(word: &str) -> bool {
    word.starts_with('-') && word.len() > 1 && word.parse::<i64>().is_err()
}

impl OptionSet {
    pub fn definition(&self) -> &'static Definition {
        self.definition
    }

    pub fn has(&self, name: &str) -> bool {
        self.option(name)
            .is_some_and(|option| self.found.contains_key(option.name))
    }

    /// The value, or the option's default; an error when it was given more than once.
    pub fn value(&self, name: &str) -> Result<Option<&str>, OptionError> {
        let Some(option) = self.option(name) else {
            return Ok(None);
        };
        match self.found.get(option.name).map(Vec::as_slice) {
            None | Some([]) => Ok(option.default),
            Some([value]) => Ok(Some(value)),
            Some(_) => Err(OptionError::Multiple(option.name)),
        }
    }

    /// The value as a number (or whatever else parses).
    pub fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, OptionError> {
        let Some(option) = self.option(name) else {
            return Ok(None);
        };
        let Some(value) = self.value(name)? else {
            return Ok(None);
        };
        value
            .parse()
            .map(Some)
            .map_err(|_| OptionError::Conversion {
                option: option.name,
                value: value.to_owned(),
            })
    }

    /// Every value given, in order.
    pub fn values(&self, name: &str) -> &[String] {
        self.found.get(name).map_or(&[], Vec::as_slice)
    }

    /// The names of the options in the order they were given, each as often as it was.
    pub fn given(&self) -> &[&'static str] {
        &self.given
    }

    /// A name that is not defined is a slip in the tool itself.
    fn option(&self, name: &str) -> Option<&'static Opt> {
        let option = self.definition.find(name);
        debug_assert!(
            option.is_some(),
            "{name} is no option of {}",
            self.definition.name
        );
        option
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::Group;

    static SAMPLE: Definition = Definition {
        name: "sample",
        about: "",
        groups: &[Group {
            heading: "",
            options: &[
                Opt::flag("list", ""),
                Opt::value("topic", "T", ""),
                Opt::value("partitions", "N", "").default("7"),
                Opt::optional_value("codec", "C", ""),
            ],
        }],
        after: "",
    };

    fn parsed(line: &str) -> Result<OptionSet, OptionError> {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&SAMPLE, &args)
    }

    fn error(line: &str) -> String {
        parsed(line).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn values_follow_or_are_attached() {
        for line in [
            "--topic a=b",
            "--topic=a=b",
            "-topic a=b",
            "-topic=a=b",
            "x --topic a=b y",
        ] {
            assert_eq!(
                parsed(line).unwrap().value("topic"),
                Ok(Some("a=b")),
                "{line}"
            );
        }
        assert_eq!(parsed("--topic=").unwrap().value("topic"), Ok(Some("")));
        assert_eq!(
            parsed("--topic --list").unwrap().value("topic"),
            Ok(Some("--list"))
        );
        assert!(!parsed("--topic --list").unwrap().has("list"));
    }

    #[test]
    fn a_flag_ignores_an_attached_value_and_may_be_repeated() {
        let set = parsed("--list=x --list").unwrap();
        assert!(set.has("list"));
        assert!(set.values("list").is_empty());
    }

    #[test]
    fn an_optional_value_is_not_an_option() {
        let set = parsed("--codec --list").unwrap();
        assert_eq!((set.value("codec"), set.has("codec")), (Ok(None), true));
        assert!(set.has("list"));
        assert_eq!(
            parsed("--codec zstd").unwrap().value("codec"),
            Ok(Some("zstd"))
        );
        assert_eq!(parsed("--codec").unwrap().value("codec"), Ok(None));
        let set = parsed("--codec -1 --list").unwrap();
        assert_eq!(
            (set.value("codec"), set.has("list")),
            (Ok(Some("-1")), true)
        );
    }

    #[test]
    fn nothing_is_abbreviated() {
        assert_eq!(error("--top a"), "top is not a recognized option");
        assert_eq!(error("--topics=a"), "topics is not a recognized option");
        assert_eq!(error("-x"), "x is not a recognized option");
        assert_eq!(error("-lost"), "l is not a recognized option");
        assert_eq!(error("--list --topic"), "Option topic requires an argument");
    }

    #[test]
    fn repeated_and_bad_values_are_reported_when_read() {
        let set = parsed("--topic a --topic b --partitions many").unwrap();
        assert_eq!(set.values("topic"), ["a", "b"]);
        assert_eq!(
            set.value("topic").unwrap_err().to_string(),
            "Found multiple arguments for option topic, but you asked for only one"
        );
        assert_eq!(
            set.number::<i32>("partitions").unwrap_err().to_string(),
            "Cannot parse argument 'many' of option partitions"
        );
        assert_eq!(parsed("--list").unwrap().number("partitions"), Ok(Some(7)));
        assert_eq!(
            parsed("--partitions=+5").unwrap().number("partitions"),
            Ok(Some(5))
        );
    }

    #[test]
    fn two_dashes_end_the_options() {
        let set = parsed("--list -- --topic a").unwrap();
        assert!(set.has("list") && !set.has("topic"));
    }
}
