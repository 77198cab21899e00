//! `kafka-groups`: lists groups of every type.
use anyhow::anyhow;
use serde_json::{Value, json};
use tracing::error;

use super::cluster::block_on;
use super::listing::{self, column, padded, width};
use super::options::jopt::OptionSet;
use super::options::{Definition, Group, Opt};
use super::output::{Format, Invocation, OUTPUT, Printer};
use super::registry::Exit;
use super::session::{self, OTHER, WHERE};
use super::usage::{UsageError, exclude};
use crate::client::admin::{Admin, CONSUMER_PROTOCOL, GroupListing};

pub static DEFINITION: Definition = Definition {
    name: "groups",
    about: "Lists groups of every type.",
    groups: &[
        Group {
            heading: "What to do",
            options: &[Opt::flag("list", "List the groups (required)")],
        },
        WHERE,
        Group {
            heading: "Which groups",
            options: &[
                Opt::flag("consumer", "Consumer groups of either protocol"),
                Opt::flag("share", "Share groups"),
                Opt::flag("streams", "Streams groups"),
                Opt::value(
                    "group-type",
                    "TYPE",
                    "Groups of this type: classic, consumer, share, streams",
                ),
                Opt::value("protocol", "NAME", "Groups of this protocol type"),
            ],
        },
        OUTPUT,
        OTHER,
    ],
    after: "",
};

/// The types, as lists show them and (in lower case) as brokers name them.
const TYPES: [&str; 4] = ["Classic", "Consumer", "Share", "Streams"];

/// The group's type as lists show it; empty when the broker is too old to say.
pub fn type_name(group: &GroupListing) -> &'static str {
    known_type(&group.group_type).unwrap_or_default()
}

fn known_type(name: &str) -> Option<&'static str> {
    TYPES
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(name))
}

fn check(set: &OptionSet) -> Result<(), UsageError> {
    if !set.has("bootstrap-server") {
        return Err(UsageError(
            "Missing required option(s) [bootstrap-server]".to_owned(),
        ));
    }
    if !set.has("list") {
        return Err(UsageError(
            "Command must include exactly one action: --list.".to_owned(),
        ));
    }
    if let Some(kind) = set.value("group-type")?
        && known_type(kind).is_none()
    {
        return Err(UsageError(
            "--group-type must be a valid group type.".to_owned(),
        ));
    }
    let filters = ["consumer", "share", "streams"];
    for filter in filters {
        let mut others = vec!["group-type", "protocol"];
        others.extend(filters.into_iter().filter(|other| *other != filter));
        exclude(set, filter, &others)?;
    }
    Ok(())
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let request = match session::read(&DEFINITION, &invocation, check)? {
        Ok(request) => request,
        Err(exit) => return Ok(exit),
    };
    let config = session::admin_config(&request.options)?;
    block_on(async {
        let admin = Admin::new(config);
        let groups = admin.list_groups(&[], &[]).await;
        admin.close().await;
        let mut printer = Printer::default();
        match groups {
            Ok(groups) => {
                print(
                    &mut printer,
                    request.format,
                    &chosen(groups, &request.options)?,
                )?;
                printer.flush()?;
                Ok(Exit::SUCCESS)
            }
            Err(failure) => {
                if request.format == Format::Kafka {
                    printer.line(format!("Error while executing groups command : {failure}"))?;
                }
                printer.flush()?;
                error!("{failure}");
                Ok(Exit::FAILURE)
            }
        }
    })
}

/// The groups that the filters let through.
fn chosen(groups: Vec<GroupListing>, options: &OptionSet) -> anyhow::Result<Vec<GroupListing>> {
    let kind = match options.value("group-type")? {
        Some(name) => Some(known_type(name).ok_or_else(|| anyhow!("unknown type {name}"))?),
        None => None,
    };
    let protocol = options.value("protocol")?;
    let consumer = options.has("consumer");
    let only = [("share", "Share"), ("streams", "Streams")];
    let only = only.iter().find(|(option, _)| options.has(option));
    let fits = |group: &GroupListing| {
        let name = type_name(group);
        kind.is_none_or(|kind| kind == name)
            && protocol.is_none_or(|protocol| protocol == group.protocol_type)
            && (!consumer
                || matches!(&*group.protocol_type, "" | CONSUMER_PROTOCOL)
                || name == "Consumer")
            && only.is_none_or(|(_, kind)| *kind == name)
    };
    Ok(groups.into_iter().filter(fits).collect())
}

fn print(printer: &mut Printer, format: Format, groups: &[GroupListing]) -> std::io::Result<()> {
    if format != Format::Kafka {
        let columns = [
            column("Group", "group"),
            column("Type", "type"),
            column("Protocol", "protocol"),
            column("State", "state"),
        ];
        let row = |group: &GroupListing| -> Vec<Value> {
            vec![
                json!(group.group_id),
                json!(type_name(group)),
                json!(group.protocol_type),
                json!(group.state),
            ]
        };
        let rows: Vec<Vec<Value>> = groups.iter().map(row).collect();
        return listing::show(printer, format, &columns, &rows, "No groups.");
    }
    let texts = groups
        .iter()
        .flat_map(|group| [&*group.group_id, type_name(group), &group.protocol_type]);
    let widths = [width(20, texts); 3];
    printer.line(padded(&["GROUP", "TYPE", "PROTOCOL"], &widths))?;
    for group in groups {
        let row = [&*group.group_id, type_name(group), &group.protocol_type];
        // Kafka ends each of these lines with one more blank.
        printer.line(padded(&row, &widths) + " ")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::jopt::parse;

    fn group(name: &str, group_type: &str, protocol_type: &str) -> GroupListing {
        GroupListing {
            group_id: name.to_owned(),
            protocol_type: protocol_type.to_owned(),
            state: "Stable".to_owned(),
            group_type: group_type.to_owned(),
        }
    }

    #[test]
    fn filters_let_through_what_they_name() {
        let groups = vec![
            group("connect", "classic", "connect"),
            group("old", "classic", "consumer"),
            group("new", "consumer", "consumer"),
            group("sharing", "share", "share"),
            group("simple", "classic", ""),
        ];
        for (line, want) in [
            ("--list", "connect old new sharing simple"),
            ("--consumer", "old new simple"),
            ("--share", "sharing"),
            ("--streams", ""),
            ("--group-type CLASSIC", "connect old simple"),
            ("--group-type classic --protocol consumer", "old"),
            ("--protocol consumer", "old new"),
        ] {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let options = parse(&DEFINITION, &args).unwrap();
            let found = chosen(groups.clone(), &options).unwrap();
            let names: Vec<&str> = found.iter().map(|group| &*group.group_id).collect();
            assert_eq!(names.join(" "), want, "{line}");
        }
    }
}
