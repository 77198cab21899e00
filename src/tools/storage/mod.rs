//! `kafka-storage`: formats log directories, looks at them, and tells of versions and features.
mod features;
mod format;
mod info;
pub mod options;
mod verify;

use std::collections::BTreeSet;

use anyhow::bail;

pub use self::features::{dependencies, version_mapping};
use self::options::COMMANDS;
use super::cluster::load_properties;
use super::options::argparse::Parsed;
use super::output::{Invocation, Printer};
use super::registry::Exit;
use super::subcommands;
use crate::config::{Values, broker};
use crate::protocol::Uuid;

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let parsed = match subcommands::read(&COMMANDS, &invocation, Exit::SUCCESS)? {
        Ok(parsed) => parsed,
        Err(exit) => return Ok(exit),
    };
    let mut printer = Printer::default();
    let result = execute(&parsed, &mut printer);
    printer.flush()?;
    result
}

fn execute(parsed: &Parsed, printer: &mut Printer) -> anyhow::Result<Exit> {
    match parsed.command.definition.name {
        "info" => info::run(&config(parsed)?, printer),
        "format" => format::run(parsed, &config(parsed)?, printer),
        "verify" => verify::run(parsed, printer),
        "version-mapping" => features::version_mapping(parsed, printer),
        "feature-dependencies" => features::dependencies(parsed, printer),
        _ => {
            printer.line(random_uuid().to_string())?;
            Ok(Exit::SUCCESS)
        }
    }
}

/// The broker's settings from the file of `--config`.
fn config(parsed: &Parsed) -> anyhow::Result<Values> {
    let file = load_properties(parsed.value("config"))?;
    let (values, errors) = broker::table().parse_all(&file);
    match errors.into_iter().next() {
        Some(error) => bail!(error),
        None => Ok(values),
    }
}

/// All storage directories of the node, in order of their paths.
fn log_directories(config: &Values) -> BTreeSet<String> {
    let mut directories: BTreeSet<String> = data_directories(config).iter().cloned().collect();
    directories.extend(config.string_option("metadata.log.dir").map(str::to_owned));
    directories
}

fn data_directories(config: &Values) -> &[String] {
    config
        .list_option("log.dirs")
        .unwrap_or_else(|| config.list("log.dir"))
}

/// An id as Kafka makes them: never reserved, and without a dash in front that options would trip
/// over.
fn random_uuid() -> Uuid {
    Uuid::from_random(fastrand::u128(..))
}
