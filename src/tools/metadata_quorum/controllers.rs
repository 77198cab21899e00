//! `metadata-quorum add-controller` and `remove-controller`.
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{anyhow, bail};

use crate::client::admin::{Admin, VoterEndpoint};
use crate::config::Properties;
use crate::protocol::Uuid;
use crate::tools::cluster::thrown;
use crate::tools::java_uuid::parse_id;
use crate::tools::options::argparse::Parsed;
use crate::tools::output::Printer;

const A_CONTROLLERS: &str = "Is this a valid controller configuration file?";

pub async fn add(
    admin: &Admin,
    parsed: &Parsed,
    printer: &mut Printer,
    properties: &Properties,
) -> anyhow::Result<()> {
    let id = node_id(properties)?;
    let directory = directory_id(&metadata_directory(properties)?)?;
    let endpoints = endpoints(properties)?;
    let dry_run = parsed.has("dry-run");
    if !dry_run {
        let added = admin.add_raft_voter(id, directory, &endpoints).await;
        added.map_err(thrown)?;
    }
    let done = if dry_run {
        "DRY RUN of adding"
    } else {
        "Added"
    };
    let endpoints: Vec<String> = endpoints.iter().map(shown).collect();
    Ok(printer.line(format!(
        "{done} controller {id} with directory id {directory} and endpoints: {}",
        endpoints.join(", ")
    ))?)
}

pub async fn remove(admin: &Admin, parsed: &Parsed, printer: &mut Printer) -> anyhow::Result<()> {
    let id: i32 = parsed.number("controller-id")?.unwrap_or_default();
    if id < 0 {
        bail!("Invalid negative --controller-id: {id}");
    }
    let text = parsed.value("controller-directory-id").unwrap_or_default();
    let directory = parse_id(text)
        .map_err(|error| anyhow!("Failed to parse --controller-directory-id: {error}"))?;
    let dry_run = parsed.has("dry-run");
    if !dry_run {
        let removed = admin.remove_raft_voter(id, directory).await;
        removed.map_err(thrown)?;
    }
    // Kafka leaves two blanks here.
    let done = if dry_run {
        "DRY RUN of removing "
    } else {
        "Removed "
    };
    Ok(printer.line(format!(
        "{done} KRaft controller {id} with directory id {directory}"
    ))?)
}

fn node_id(properties: &Properties) -> anyhow::Result<i32> {
    let Some(text) = properties.get("node.id") else {
        bail!("node.id not found in configuration file. {A_CONTROLLERS}");
    };
    let Ok(id) = text.trim().parse::<i32>() else {
        bail!("For input string: \"{text}\"");
    };
    if id < 0 {
        bail!("node.id was negative in configuration file. {A_CONTROLLERS}");
    }
    let roles = properties.get("process.roles").unwrap_or_default();
    if !roles.contains("controller") {
        bail!("process.roles did not contain 'controller' in configuration file. {A_CONTROLLERS}");
    }
    Ok(id)
}

fn metadata_directory(properties: &Properties) -> anyhow::Result<String> {
    let own = properties.get("metadata.log.dir").map(str::to_owned);
    let shared = properties.get("log.dirs");
    let shared = shared.and_then(|dirs| Some(dirs.trim().split(',').next()?.to_owned()));
    own.or(shared)
        .ok_or_else(|| anyhow!("Neither metadata.log.dir nor log.dirs were found. {A_CONTROLLERS}"))
}

fn directory_id(directory: &str) -> anyhow::Result<Uuid> {
    let path = Path::new(directory).join("meta.properties");
    let Ok(properties) = Properties::load(&path) else {
        bail!("Unable to read meta.properties from {directory}");
    };
    let id = properties.get("directory.id").map(str::trim);
    let id = id.ok_or_else(|| anyhow!("No directory id found in {directory}"))?;
    parse_id(id)
}

/// Where the controller says that it can be reached; else where it listens.
fn endpoints(properties: &Properties) -> anyhow::Result<Vec<VoterEndpoint>> {
    let mut listeners: BTreeMap<String, VoterEndpoint> = BTreeMap::new();
    for key in ["listeners", "advertised.listeners"] {
        let list = properties.get(key).unwrap_or_default();
        for text in list
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty())
        {
            let endpoint = parse_listener(text)?;
            listeners.insert(endpoint.listener.clone(), endpoint);
        }
    }
    let Some(names) = properties.get("controller.listener.names") else {
        bail!("controller.listener.names was not found. {A_CONTROLLERS}");
    };
    let mut endpoints = Vec::new();
    for name in names.split(',') {
        let name = name.trim().to_uppercase();
        let endpoint = listeners.get(&name).ok_or_else(|| {
            anyhow!("Cannot find information about controller listener name: {name}")
        })?;
        endpoints.push(endpoint.clone());
    }
    Ok(endpoints)
}

/// `CONTROLLER://host:9093`; without a host it is this machine.
fn parse_listener(text: &str) -> anyhow::Result<VoterEndpoint> {
    let wrong = || anyhow!("Unable to parse {text} to a broker endpoint");
    let (listener, address) = text.split_once("://").ok_or_else(wrong)?;
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok(VoterEndpoint {
        listener: listener.to_uppercase(),
        host: if host.is_empty() { "localhost" } else { host }.to_owned(),
        port: port.parse().map_err(|_| wrong())?,
    })
}

fn shown(endpoint: &VoterEndpoint) -> String {
    let VoterEndpoint {
        listener,
        host,
        port,
    } = endpoint;
    match host.contains(':') {
        true => format!("{listener}://[{host}]:{port}"),
        false => format!("{listener}://{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controllers_file_says_who_it_is_and_where() {
        let text = "node.id=3\nprocess.roles=controller\nlisteners=CONTROLLER://:9093\n\
                    advertised.listeners=CONTROLLER://[::1]:9094\n\
                    controller.listener.names=CONTROLLER\nlog.dirs=/a,/b";
        let properties = Properties::parse(text).unwrap();
        assert_eq!(node_id(&properties).unwrap(), 3);
        assert_eq!(metadata_directory(&properties).unwrap(), "/a");
        let found = endpoints(&properties).unwrap();
        let found: Vec<String> = found.iter().map(shown).collect();
        assert_eq!(found, ["CONTROLLER://[::1]:9094"]);
        let broker = Properties::parse("node.id=3\nprocess.roles=broker").unwrap();
        assert!(node_id(&broker).is_err());
    }
}
