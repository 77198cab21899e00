//! `storage verify`: checks every file of stopped log directories without writing to them.
mod directory;
mod metadata;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use self::directory::Directory;
use self::report::Report;
use super::{config, log_directories};
use crate::log::directory::StoppedDirectory;
use crate::log::storage::RealDisk;
use crate::log::verify::{OnStart, Outcome, Verifier, total_bytes};
use crate::metadata::properties;
use crate::protocol::Uuid;
use crate::tools::options::argparse::Parsed;
use crate::tools::output::Printer;
use crate::tools::progress::Progress;
use crate::tools::registry::Exit;

pub fn run(parsed: &Parsed, printer: &mut Printer) -> anyhow::Result<Exit> {
    let directories = directories(parsed)?;
    let mut held = Vec::new();
    for dir in &directories {
        if !dir.is_dir() {
            bail!(
                "{} is no directory; name a log.dirs of a node",
                dir.display()
            );
        }
        let lock = StoppedDirectory::hold(dir)
            .with_context(|| format!("{} cannot be checked while a node uses it", dir.display()));
        held.push(lock.map_err(|e| anyhow::anyhow!("{e:#}"))?);
    }
    let total = directories
        .iter()
        .map(|dir| total_bytes(&RealDisk, dir))
        .sum::<Result<u64, _>>()?;
    let progress = Progress::start(total);
    let mut on_bytes = |bytes| progress.add(bytes);
    let mut verifier = Verifier::new(&RealDisk, &mut on_bytes);
    let mut checked = Vec::new();
    for dir in &directories {
        progress.message(dir);
        checked.push(directory::check(&mut verifier, dir));
    }
    compare(&mut verifier, &checked);
    progress.finish();
    let report = Report::new(&verifier, &checked);
    if parsed.has("json") {
        printer.json(&report.json())?;
    } else {
        report.print(printer)?;
    }
    Ok(if report.is_clean() {
        Exit::SUCCESS
    } else {
        Exit::FAILURE
    })
}

/// Those that are named, and those of the configuration, each once.
fn directories(parsed: &Parsed) -> anyhow::Result<BTreeSet<PathBuf>> {
    let mut directories: BTreeSet<PathBuf> =
        parsed.values("DIR").iter().map(PathBuf::from).collect();
    if parsed.has("config") {
        let config = config(parsed)?;
        directories.extend(log_directories(&config).iter().map(PathBuf::from));
    }
    if directories.is_empty() {
        bail!("name the directories to check, or the node's properties file with --config FILE");
    }
    Ok(directories)
}

/// What the directories of one node must agree on.
fn compare(verifier: &mut Verifier<'_>, directories: &[Directory]) {
    let refuses = Outcome::both(OnStart::Refuses);
    let path = |dir: &Path| dir.join(properties::FILE_NAME);
    let mut first = None;
    let mut ids: BTreeMap<Uuid, &Path> = BTreeMap::new();
    let mut logs: BTreeMap<&str, &Path> = BTreeMap::new();
    for directory in directories {
        for log in &directory.partitions {
            if let Some(other) = logs.insert(log, &directory.path) {
                let what = format!("is in {} too", other.display());
                let remedy = "move one of the two away: the one that holds less";
                verifier.fault(&directory.path.join(log), None, what, refuses, remedy);
            }
        }
        let Some(own) = &directory.properties else {
            continue;
        };
        let known = first.get_or_insert((own.cluster_id.clone(), own.node_id));
        if *known != (own.cluster_id.clone(), own.node_id) {
            let what = format!(
                "is of node {} of cluster {}, the first directory of node {} of cluster {}",
                own.node_id, own.cluster_id, known.1, known.0
            );
            let remedy = "check the directories of one node at a time; a node needs its own alone";
            verifier.fault(&path(&directory.path), None, what, refuses, remedy);
        }
        if let Some(other) = own
            .directory_id
            .and_then(|id| ids.insert(id, &directory.path))
        {
            let what = format!("has the directory.id of {}", other.display());
            let remedy = "one is a copy of the other: remove it";
            verifier.fault(&path(&directory.path), None, what, refuses, remedy);
        }
    }
}
