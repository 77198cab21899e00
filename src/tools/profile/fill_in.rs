//! What a command line leaves out about its cluster, from the environment and from profiles.
use super::store::{Profile, Store};
use crate::tools::catalog::{self, Options};
use crate::tools::options::Definition;

const BOOTSTRAP_SERVER: &str = "bootstrap-server";
const COMMAND_CONFIG: &str = "command-config";
/// Who asks for these wants no cluster.
const NEEDS_NO_CLUSTER: [&str; 3] = ["help", "version", "h"];

/// Where the cluster is when the command line does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Default {
    /// `BOOTSTRAP_SERVER`.
    Address(String),
    Profile(Profile),
}

/// From the environment, or the profile in use.
pub fn default() -> anyhow::Result<Option<Default>> {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(address) = set("BOOTSTRAP_SERVER") {
        return Ok(Some(Default::Address(address)));
    }
    let Some(store) = Store::of_user() else {
        return Ok(None);
    };
    let name = match set("KAFKARS_PROFILE") {
        Some(name) => Some(name),
        None => store.current()?,
    };
    let profile = name.map(|name| store.get(&name)).transpose()?;
    Ok(profile.map(Default::Profile))
}

/// Adds to the words of `kafkars TOOL` the options that say where the cluster is, if they are missing there and the
/// tool has them.
pub fn fill_in(
    tool: &str,
    args: &mut Vec<String>,
    default: impl FnOnce() -> anyhow::Result<Option<Default>>,
) -> anyhow::Result<()> {
    let Some((definition, at)) = place(tool, args) else {
        return Ok(());
    };
    let says = |names: &[&str]| args.iter().any(|word| is_option(word, definition, names));
    if definition.find(BOOTSTRAP_SERVER).is_none()
        || says(&NEEDS_NO_CLUSTER)
        || says(&[BOOTSTRAP_SERVER, "bootstrap-controller", "broker-list"])
    {
        return Ok(());
    }
    let mut words = Vec::new();
    match default()? {
        None => return Ok(()),
        Some(Default::Address(address)) => {
            words.extend([format!("--{BOOTSTRAP_SERVER}"), address]);
        }
        Some(Default::Profile(profile)) => {
            words.extend([format!("--{BOOTSTRAP_SERVER}"), profile.bootstrap_servers]);
            let other = [
                "config",
                "producer.config",
                "consumer.config",
                "admin.config",
            ];
            if definition.find(COMMAND_CONFIG).is_some()
                && !says(&[COMMAND_CONFIG])
                && !says(&other)
            {
                let file = profile.file.display().to_string();
                words.extend([format!("--{COMMAND_CONFIG}"), file]);
            }
        }
    }
    args.splice(at..at, words);
    Ok(())
}

/// Whose options say where the cluster is, and where in the words they may stand.
fn place(tool: &str, args: &[String]) -> Option<(&'static Definition, usize)> {
    if args.is_empty() {
        return None;
    }
    match catalog::of(tool) {
        Options::Flat(definition) => Some((definition, 0)),
        Options::Commands(commands) => {
            if let Some(globals) = commands.globals {
                return Some((&globals.definition, 0));
            }
            args.iter().enumerate().find_map(|(at, word)| {
                let mut all = commands.commands.iter();
                let command = all.find(|command| command.definition.name == word)?;
                Some((&command.definition, at + 1))
            })
        }
        Options::Files(_) | Options::Own(_) | Options::Nothing => None,
    }
}

/// `--name`, `--name=value`, with one dash or two, or the option's letter.
fn is_option(word: &str, definition: &Definition, names: &[&str]) -> bool {
    let Some(name) = word.strip_prefix('-') else {
        return false;
    };
    let name = name.strip_prefix('-').unwrap_or(name);
    let name = name.split_once('=').map_or(name, |(name, _)| name);
    names.iter().any(|wanted| {
        let short = definition.find(wanted).and_then(|option| option.short);
        name == *wanted || short.is_some_and(|short| name == short.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(tool: &str, words: &str, default: Option<Default>) -> String {
        let mut args: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        fill_in(tool, &mut args, || Ok(default)).unwrap();
        args.join(" ")
    }

    fn address() -> Option<Default> {
        Some(Default::Address("a:1".to_owned()))
    }

    fn profile() -> Option<Default> {
        Some(Default::Profile(Profile {
            name: "p".to_owned(),
            file: "p.properties".into(),
            bootstrap_servers: "b:2".to_owned(),
        }))
    }

    #[test]
    fn what_is_missing_is_added_where_the_tool_takes_it() {
        for (tool, words, default, want) in [
            (
                "topics",
                "--list",
                address(),
                "--bootstrap-server a:1 --list",
            ),
            (
                "topics",
                "--list",
                profile(),
                "--bootstrap-server b:2 --command-config p.properties --list",
            ),
            (
                "topics",
                "--list --command-config=mine",
                profile(),
                "--bootstrap-server b:2 --list --command-config=mine",
            ),
            (
                "cluster",
                "cluster-id",
                address(),
                "cluster-id --bootstrap-server a:1",
            ),
            (
                "transactions",
                "list",
                address(),
                "--bootstrap-server a:1 list",
            ),
        ] {
            assert_eq!(filled(tool, words, default), want, "{tool} {words}");
        }
    }

    #[test]
    fn what_the_command_line_says_wins() {
        for (tool, words) in [
            ("topics", ""),
            ("topics", "--help"),
            ("topics", "--list --bootstrap-server=c:3"),
            ("topics", "--list -bootstrap-server c:3"),
            ("cluster", "cluster-id -b c:3"),
            (
                "metadata-quorum",
                "--bootstrap-controller c:3 describe --status",
            ),
            ("storage", "info -c server.properties"),
            ("server-start", "server.properties"),
        ] {
            assert_eq!(filled(tool, words, profile()), words, "{tool}");
        }
        assert_eq!(filled("topics", "--list", None), "--list");
    }
}
