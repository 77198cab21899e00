//! `storage format`.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{anyhow, bail};

use super::{data_directories, log_directories, random_uuid};
use crate::config::Values;
use crate::metadata::MetadataVersion;
use crate::metadata::format::{
    DynamicVoter, Formatter, InitialQuorum, describe_bootstrap, parse_voters,
};
use crate::tools::options::argparse::Parsed;
use crate::tools::output::Printer;
use crate::tools::registry::Exit;

pub fn run(parsed: &Parsed, config: &Values, printer: &mut Printer) -> anyhow::Result<Exit> {
    let roles = config.list("process.roles");
    if roles.is_empty() {
        bail!(
            "The kafka configuration file appears to be for a legacy cluster. Formatting is only \
             supported for clusters in KRaft mode."
        );
    }
    let unstable = config.bool("unstable.feature.versions.enable");
    let release_version = parsed
        .value("release-version")
        .map(|version| MetadataVersion::parse(version, unstable))
        .transpose()?;
    let metadata_directory = match config.string_option("metadata.log.dir") {
        Some(directory) => PathBuf::from(directory),
        None => data_directories(config)
            .first()
            .map(PathBuf::from)
            .unwrap_or_default(),
    };
    let formatter = Formatter {
        node_id: config.int("node.id"),
        cluster_id: parsed.value("cluster-id").unwrap_or_default().to_owned(),
        directories: log_directories(config)
            .into_iter()
            .map(PathBuf::from)
            .collect(),
        metadata_directory,
        release_version,
        feature_levels: feature_levels(parsed.values("feature"))?,
        scram: parsed.values("add-scram").to_vec(),
        quorum: quorum(parsed, config)?,
        ignore_formatted: parsed.has("ignore-formatted"),
        unstable,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let formatted = formatter.run(i64::try_from(now)?, || fastrand::u128(..))?;
    if formatted.directories.is_empty() {
        printer.line("All of the log directories are already formatted.")?;
        return Ok(Exit::SUCCESS);
    }
    printer.line(describe_bootstrap(&formatted.records))?;
    for (directory, kind) in &formatted.directories {
        printer.line(format!(
            "Formatting {} {} with metadata.version {}.",
            kind.description(),
            directory.display(),
            formatted.version
        ))?;
    }
    Ok(Exit::SUCCESS)
}

/// `NAME=LEVEL` pairs.
fn feature_levels(pairs: &[String]) -> anyhow::Result<BTreeMap<String, i16>> {
    let mut levels = BTreeMap::new();
    for pair in pairs {
        let (name, level) = pair.split_once('=').ok_or_else(|| {
            anyhow!("Can't parse feature=level string {pair}: equals sign not found.")
        })?;
        let level = level.parse().map_err(|_| {
            anyhow!("Can't parse feature=level string {pair}: unable to parse {level} as a short.")
        })?;
        levels.insert(name.to_owned(), level);
    }
    Ok(levels)
}

/// How the controllers of the new node find each other.
fn quorum(parsed: &Parsed, config: &Values) -> anyhow::Result<InitialQuorum> {
    let is_static = !config.list("controller.quorum.voters").is_empty();
    let named = parsed.value("initial-controllers");
    let standalone = parsed.has("standalone");
    if is_static && (named.is_some() || standalone) {
        bail!(
            "You cannot specify controller.quorum.voters and format the node with \
             --initial-controllers or --standalone. If you want to use dynamic quorum, please \
             remove controller.quorum.voters and specify controller.quorum.bootstrap.servers \
             instead."
        );
    }
    let listener = config
        .list("controller.listener.names")
        .first()
        .cloned()
        .unwrap_or_default();
    let is_controller = config
        .list("process.roles")
        .iter()
        .any(|role| role == "controller");
    let voters = match named {
        Some(named) => parse_voters(named)?,
        None if standalone && !is_controller => {
            bail!("You can only use --standalone on a controller.")
        }
        None if standalone => vec![own_voter(config, &listener)?],
        None if is_static => return Ok(InitialQuorum::Static),
        None if is_controller && !parsed.has("no-initial-controllers") => bail!(
            "Because controller.quorum.voters is not set on this controller, you must specify one \
             of the following: --standalone, --initial-controllers, or --no-initial-controllers."
        ),
        None => return Ok(InitialQuorum::Joining),
    };
    Ok(InitialQuorum::Dynamic { listener, voters })
}

/// This node as the one voter, where its controller listener can be reached.
fn own_voter(config: &Values, listener: &str) -> anyhow::Result<DynamicVoter> {
    let prefix = format!("{listener}://");
    let advertised = config
        .list_option("advertised.listeners")
        .unwrap_or_default();
    let address = advertised
        .iter()
        .chain(config.list("listeners"))
        .find_map(|entry| entry.trim().strip_prefix(&prefix))
        .ok_or_else(|| anyhow!("No controller listeners found."))?;
    let (host, port) = address
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)))
        .ok_or_else(|| anyhow!("{listener}://{address} in listeners has no port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() { "localhost" } else { host };
    Ok(DynamicVoter {
        id: config.int("node.id"),
        directory_id: random_uuid(),
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Properties, broker};
    use crate::tools::options::argparse::parse;
    use crate::tools::storage::options::COMMANDS;

    fn quorum_of(file: &str, flags: &str) -> Result<InitialQuorum, String> {
        let line = format!("format -c x -t y {flags}");
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let parsed = parse(&COMMANDS, &args).unwrap();
        let base = "process.roles=broker,controller\nnode.id=7\n\
                    controller.listener.names=CONTROLLER\n\
                    listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n";
        let file = Properties::parse(&format!("{base}{file}")).unwrap();
        let (values, errors) = broker::table().parse_all(&file);
        assert!(errors.is_empty(), "{errors:?}");
        quorum(&parsed, &values).map_err(|error| error.to_string())
    }

    const VOTERS: &str = "controller.quorum.voters=7@localhost:9093\n";

    #[test]
    fn the_quorum_is_static_with_voters() {
        assert_eq!(quorum_of(VOTERS, ""), Ok(InitialQuorum::Static));
        assert_eq!(quorum_of(VOTERS, "-N"), Ok(InitialQuorum::Static));
        assert!(
            quorum_of(VOTERS, "-s")
                .unwrap_err()
                .starts_with("You cannot specify")
        );
    }

    #[test]
    fn without_voters_the_user_must_choose() {
        assert!(
            quorum_of("", "")
                .unwrap_err()
                .starts_with("Because controller.quorum.voters")
        );
        assert_eq!(quorum_of("", "-N"), Ok(InitialQuorum::Joining));
        let Ok(InitialQuorum::Dynamic { listener, voters }) = quorum_of("", "--standalone") else {
            panic!("not dynamic");
        };
        assert_eq!(listener, "CONTROLLER");
        let [voter] = voters.as_slice() else {
            panic!("{voters:?}")
        };
        assert_eq!(
            (voter.id, voter.host.as_str(), voter.port),
            (7, "localhost", 9093)
        );
    }

    #[test]
    fn feature_levels_are_numbers() {
        let parsed = |text: &str| feature_levels(&[text.to_owned()]).map_err(|e| e.to_string());
        assert_eq!(
            parsed("group.version=1"),
            Ok(BTreeMap::from([("group.version".into(), 1)]))
        );
        assert_eq!(
            parsed("group.version"),
            Err("Can't parse feature=level string group.version: equals sign not found.".into())
        );
        assert_eq!(
            parsed("a=b"),
            Err("Can't parse feature=level string a=b: unable to parse b as a short.".into())
        );
    }
}
