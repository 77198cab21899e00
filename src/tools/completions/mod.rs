//! `kafkars completions`: what a shell runs to complete command lines.
//!
//! The scripts are a few lines; they ask `kafkars complete` for the words that may stand at the cursor, so that names of
//! topics and groups are those of the cluster.
mod candidates;

use std::time::Duration;

use clap::{Parser, ValueEnum};

use super::output::{Invocation, Printer};
use super::own;
use super::profile::store::Store;
use super::registry::{self, Exit};
use crate::client::ClientConfig;
use crate::client::admin::Admin;
use crate::config::Properties;
use candidates::{Live, candidates};

/// A shell does not wait longer for names from a cluster.
const PATIENCE: Duration = Duration::from_millis(800);
const PATIENCE_MS: &str = "800";

/// Prints what makes a shell complete tools, options, topics and groups
#[derive(Debug, Parser)]
#[command(
    name = "completions",
    after_help = "Topics and groups are those of the cluster that the command line, the environment or a profile names."
)]
pub struct Options {
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let options: Options = match own::read(&invocation)? {
        Ok(options) => options,
        Err(exit) => return Ok(exit),
    };
    let mut printer = Printer::default();
    printer.line(match options.shell {
        Shell::Bash => bash(),
        Shell::Zsh => zsh(),
        Shell::Fish => fish(),
    })?;
    printer.flush()?;
    Ok(Exit::SUCCESS)
}

/// kafkars and the names that its links have.
fn commands() -> Vec<String> {
    let mut names = vec!["kafkars".to_owned()];
    for script in registry::scripts() {
        names.push(format!("{script}.sh"));
        names.push(script);
    }
    names
}

fn bash() -> String {
    let commands = commands().join(" ");
    format!(
        r#"_kafkars() {{
  local IFS=$'\n'
  COMPREPLY=($(kafkars complete "$COMP_CWORD" "${{COMP_WORDS[@]}}" 2>/dev/null | cut -f1))
}}
complete -o default -F _kafkars {commands}"#
    )
}

fn zsh() -> String {
    let commands = commands().join(" ");
    format!(
        r#"#compdef {commands}
_kafkars() {{
  local -a found
  local line
  for line in "${{(@f)$(kafkars complete $((CURRENT - 1)) "${{words[@]}}" 2>/dev/null)}}"; do
    [[ -n $line ]] && found+=("${{${{line%%$'\t'*}}//:/\\:}}:${{line#*$'\t'}}")
  done
  if (( $#found )); then _describe kafkars found; else _files; fi
}}
compdef _kafkars {commands}"#
    )
}

fn fish() -> String {
    let mut text = String::from(
        "function __kafkars\n  \
           set -l words (commandline -opc) (commandline -ct)\n  \
           kafkars complete (math (count $words) - 1) $words 2>/dev/null\n\
         end\n",
    );
    for command in commands() {
        text.push_str(&format!("complete -c {command} -a '(__kafkars)'\n"));
    }
    text.trim_end().to_owned()
}

/// `kafkars complete INDEX WORDS...`: the words that may stand at that place, each with a tab and what it is.
pub fn complete(invocation: Invocation) -> anyhow::Result<Exit> {
    let Some((index, words)) = invocation.args.split_first() else {
        return Ok(Exit::FAILURE);
    };
    let index: usize = index.parse()?;
    let mut printer = Printer::default();
    for (word, about) in candidates(words, index, &Cluster) {
        printer.line(format!("{word}\t{about}"))?;
    }
    printer.flush()?;
    Ok(Exit::SUCCESS)
}

/// The cluster that the words name. A completion that fails is none: a shell has no place for errors.
struct Cluster;

impl Cluster {
    fn ask<T>(
        servers: Option<&str>,
        config: Option<&str>,
        question: impl AsyncFnOnce(&Admin) -> crate::client::Result<T>,
    ) -> Option<T> {
        use super::profile::fill_in::{self, Default};
        let mut properties = Properties::new();
        match servers {
            Some(servers) => {
                if let Some(file) = config {
                    properties = Properties::load(file).ok()?;
                }
                properties.set("bootstrap.servers", servers);
            }
            None => match fill_in::default().ok()?? {
                Default::Address(address) => properties.set("bootstrap.servers", address),
                Default::Profile(profile) => properties = Properties::load(profile.file).ok()?,
            },
        }
        properties.set("default.api.timeout.ms", PATIENCE_MS);
        properties.set("request.timeout.ms", PATIENCE_MS);
        let config = ClientConfig::from_properties(&properties).ok()?;
        super::cluster::block_on(async {
            let admin = Admin::new(config);
            Ok(tokio::time::timeout(PATIENCE, question(&admin)).await?)
        })
        .ok()?
        .ok()
    }
}

impl Live for Cluster {
    fn topics(&self, servers: Option<&str>, config: Option<&str>) -> Vec<String> {
        let listed = Self::ask(servers, config, async |admin| admin.list_topics(true).await);
        let listed = listed.unwrap_or_default().into_iter();
        listed.map(|topic| topic.name.to_string()).collect()
    }

    fn groups(&self, servers: Option<&str>, config: Option<&str>) -> Vec<(String, String)> {
        let listed = Self::ask(servers, config, async |admin| {
            admin.list_groups(&[], &[]).await
        });
        let listed = listed.unwrap_or_default().into_iter();
        listed
            .map(|group| {
                let about = format!("{} {}", group.group_type, group.state);
                (group.group_id, about.trim().to_owned())
            })
            .collect()
    }

    fn profiles(&self) -> Vec<(String, String)> {
        let all = Store::of_user().and_then(|store| store.list().ok());
        let all = all.unwrap_or_default().into_iter();
        all.map(|profile| (profile.name, profile.bootstrap_servers))
            .collect()
    }
}
