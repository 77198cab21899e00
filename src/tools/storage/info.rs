//! `storage info`: which directories there are, what they belong to, and what is wrong with them.
use std::collections::BTreeMap;
use std::path::Path;

use super::log_directories;
use crate::config::Values;
use crate::metadata::properties::MetaProperties;
use crate::tools::output::Printer;
use crate::tools::registry::Exit;

pub fn run(config: &Values, printer: &mut Printer) -> anyhow::Result<Exit> {
    let directories = log_directories(config);
    if directories.is_empty() {
        printer.line("No directories specified.")?;
        return Ok(Exit::SUCCESS);
    }
    let mut found = Vec::new();
    let mut problems = Vec::new();
    let mut metadata: Option<MetaProperties> = None;
    for directory in &directories {
        let path = Path::new(directory);
        if !path.exists() {
            problems.push(format!("{directory} does not exist"));
            continue;
        }
        if !path.is_dir() {
            problems.push(format!("{directory} is not a directory"));
            continue;
        }
        found.push(directory.clone());
        match (MetaProperties::read(path), &metadata) {
            (Ok(None), _) => problems.push(format!("{directory} is not formatted.")),
            (Ok(Some(own)), None) => metadata = Some(own),
            (Ok(Some(own)), Some(first)) => {
                if own.cluster_id != first.cluster_id {
                    problems.push("Mismatched cluster IDs between storage directories.".to_owned());
                } else if own.node_id != first.node_id {
                    problems.push("Mismatched node IDs between storage directories.".to_owned());
                }
            }
            (Err(error), _) => {
                let path = path.join("meta.properties");
                problems.push(format!("Error loading {}: {error}", path.display()));
            }
        }
    }
    if metadata.is_some() && config.list("process.roles").is_empty() {
        problems.push(
            "The kafka configuration file appears to be for a legacy cluster, but the \
             directories are formatted for a cluster in KRaft mode."
                .to_owned(),
        );
    }
    section(
        printer,
        &found,
        "Found log directory:",
        "Found log directories:",
    )?;
    if let Some(metadata) = &metadata {
        printer.line(format!("Found metadata: {{{}}}", shown(metadata)))?;
        printer.line("")?;
    }
    section(printer, &problems, "Found problem:", "Found problems:")?;
    Ok(if problems.is_empty() {
        Exit::SUCCESS
    } else {
        Exit::FAILURE
    })
}

/// A heading for one or for many, the items, an empty line; nothing at all without items.
fn section(printer: &mut Printer, items: &[String], one: &str, many: &str) -> std::io::Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    printer.line(if items.len() == 1 { one } else { many })?;
    for item in items {
        printer.line(format!("  {item}"))?;
    }
    printer.line("")
}

fn shown(metadata: &MetaProperties) -> String {
    let mut entries = BTreeMap::from([
        ("cluster.id", metadata.cluster_id.clone()),
        ("node.id", metadata.node_id.to_string()),
        ("version", "1".to_owned()),
    ]);
    entries.extend(
        metadata
            .directory_id
            .map(|id| ("directory.id", id.to_string())),
    );
    let entries: Vec<String> = entries
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    entries.join(", ")
}
