//! Which words may stand at a place of a command line.
use std::ffi::OsStr;

use clap::Command;

use crate::tools::catalog;
use crate::tools::output::base_name;
use crate::tools::registry::{self, SECTIONS, Tool};

/// A word, and what it is.
type Candidate = (String, String);

/// What is not known before it is asked for.
pub trait Live {
    fn topics(&self, servers: Option<&str>, config: Option<&str>) -> Vec<String>;
    fn groups(&self, servers: Option<&str>, config: Option<&str>) -> Vec<Candidate>;
    fn profiles(&self) -> Vec<Candidate>;
}

/// The words that may stand at `index` of `words`, of which the first is the command. None: a file, perhaps.
pub fn candidates(words: &[String], index: usize, live: &dyn Live) -> Vec<Candidate> {
    let current = words.get(index).map_or("", String::as_str);
    let before = words.get(..index.min(words.len())).unwrap_or_default();
    let mut found = possible(before, current, live);
    found.retain(|(word, _)| word.starts_with(current));
    found
}

fn possible(before: &[String], current: &str, live: &dyn Live) -> Vec<Candidate> {
    let Some((called, rest)) = before.split_first() else {
        return Vec::new();
    };
    let called = base_name(OsStr::new(called));
    let (tool, rest) = match (registry::find(&called), rest.split_first()) {
        (Some(tool), _) => (tool, rest),
        (None, None) => return tools(),
        (None, Some((name, rest))) => match registry::find(name) {
            Some(tool) => (tool, rest),
            None => return Vec::new(),
        },
    };
    of_tool(tool, rest, current, live)
}

fn tools() -> Vec<Candidate> {
    let tools = SECTIONS.iter().flat_map(|section| section.tools);
    tools
        .filter(|tool| tool.run.is_some())
        .map(|tool| (tool.name.to_owned(), tool.summary.to_owned()))
        .collect()
}

fn of_tool(tool: &Tool, before: &[String], current: &str, live: &dyn Live) -> Vec<Candidate> {
    let whole = catalog::command(tool);
    let named = |name: &&String| whole.find_subcommand(name.as_str());
    let command = before
        .iter()
        .find_map(|word| named(&word))
        .unwrap_or(&whole);
    // After an option that wants a value, its values; after anything else, subcommands and options.
    if let Some(option) = before.last().and_then(|word| word.strip_prefix("--"))
        && let Some(argument) = [command, &whole].iter().find_map(|c| argument(c, option))
        && argument.get_num_args().is_none_or(|n| n.takes_values())
    {
        return values(argument, before, live);
    }
    let mut found = Vec::new();
    if !current.starts_with('-') {
        let subcommands = command.get_subcommands();
        found.extend(subcommands.map(|c| (c.get_name().to_owned(), said(c.get_about()))));
        found.extend(
            command
                .get_positionals()
                .flat_map(|a| values(a, before, live)),
        );
    }
    // Where a file may stand, a shell completes it.
    let takes_files = found.is_empty() && command.get_positionals().next().is_some();
    if current.starts_with('-') || (found.is_empty() && !takes_files) {
        found.extend(options(command));
        if command.get_name() != whole.get_name() {
            found.extend(options(&whole));
        }
    }
    found
}

fn argument<'a>(command: &'a Command, long: &str) -> Option<&'a clap::Arg> {
    command
        .get_arguments()
        .find(|argument| argument.get_long() == Some(long))
}

fn options(command: &Command) -> impl Iterator<Item = Candidate> {
    command.get_arguments().filter_map(|option| {
        let name = format!("--{}", option.get_long()?);
        Some((name, said(option.get_help())))
    })
}

/// The first line of what is said of it.
fn said(help: Option<&clap::builder::StyledStr>) -> String {
    let text = help.map(ToString::to_string).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

fn values(argument: &clap::Arg, words: &[String], live: &dyn Live) -> Vec<Candidate> {
    let plain = |names: &[&str]| -> Vec<Candidate> {
        let names = names.iter();
        names
            .map(|name| ((*name).to_owned(), String::new()))
            .collect()
    };
    let possible = argument.get_possible_values();
    if !possible.is_empty() {
        let possible = possible.iter();
        let value =
            |v: &clap::builder::PossibleValue| (v.get_name().to_owned(), said(v.get_help()));
        return possible.map(value).collect();
    }
    let servers = after(words, "--bootstrap-server");
    let config = after(words, "--command-config");
    match argument.get_long().unwrap_or(argument.get_id().as_str()) {
        "topic" => {
            let topics = live.topics(servers, config).into_iter();
            topics.map(|topic| (topic, String::new())).collect()
        }
        "group" => live.groups(servers, config),
        "bootstrap-server" => {
            let profiles = live.profiles().into_iter();
            profiles.map(|(name, servers)| (servers, name)).collect()
        }
        "output" => plain(&["kafka", "table", "json"]),
        "entity-type" => plain(&[
            "topics",
            "clients",
            "users",
            "brokers",
            "broker-loggers",
            "ips",
            "client-metrics",
            "groups",
        ]),
        "name" => live.profiles(),
        "tool" => tools(),
        _ => Vec::new(),
    }
}

/// The word that follows an option.
fn after<'a>(words: &'a [String], option: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| word == option)?;
    words.get(at + 1).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Known;

    impl Live for Known {
        fn topics(&self, servers: Option<&str>, _: Option<&str>) -> Vec<String> {
            match servers {
                Some("other:1") => vec!["elsewhere".to_owned()],
                _ => vec!["events".to_owned(), "orders".to_owned()],
            }
        }

        fn groups(&self, _: Option<&str>, _: Option<&str>) -> Vec<Candidate> {
            vec![("billing".to_owned(), "classic Stable".to_owned())]
        }

        fn profiles(&self) -> Vec<Candidate> {
            vec![("prod".to_owned(), "kafka:9092".to_owned())]
        }
    }

    /// What may stand at the end of a line; a line that ends with a blank asks for a new word.
    fn at_end_of(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let found = candidates(&words, words.len() - 1, &Known);
        found.into_iter().map(|(word, _)| word).collect()
    }

    #[test]
    fn tools_options_and_names_are_completed() {
        for (line, want) in [
            ("kafkars top", &["topics", "top"][..]),
            ("kafkars consumer-groups --desc", &["--describe"]),
            ("kafka-consumer-groups.sh --group ", &["billing"]),
            ("kafkars topics --describe --topic ", &["events", "orders"]),
            ("kafkars topics --describe --topic o", &["orders"]),
            (
                "kafkars topics --bootstrap-server other:1 --topic ",
                &["elsewhere"],
            ),
            ("kafkars groups --output j", &["json"]),
            ("kafkars cluster cl", &["cluster-id"]),
            (
                "kafkars cluster cluster-id --bootstrap-s",
                &["--bootstrap-server"],
            ),
            ("kafkars profile use ", &["prod"]),
            ("kafkars topics --bootstrap-server ", &["kafka:9092"]),
            ("kafkars completions ", &["bash", "zsh", "fish"]),
            ("kafkars nonsense ", &[]),
            // A file.
            ("kafkars topics --command-config ", &[]),
            ("kafkars server-start ", &[]),
            ("kafkars connect-standalone worker.properties ", &[]),
            ("kafkars server-start a.properties --ov", &["--override"]),
        ] {
            let mut found = at_end_of(line);
            let mut want = want.to_vec();
            found.sort_unstable();
            want.sort_unstable();
            assert_eq!(found, want, "{line:?}");
        }
        let options = at_end_of("kafkars topics --");
        assert!(options.contains(&"--create".to_owned()), "{options:?}");
    }
}
