//! One log directory: what belongs to it as a whole, and its partitions.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::metadata;
use crate::log::TopicPartition;
use crate::log::directory::{CLEAN_SHUTDOWN_FILE, CleanShutdown, LOCK_FILE};
use crate::log::names::{CLUSTER_METADATA_TOPIC, PartitionDir};
use crate::log::reserve::RESERVE_FILE;
use crate::log::verify::{Checkpoints, OnStart, Outcome, Verifier};
use crate::metadata::properties::{self, MetaProperties};
use crate::metadata::snapshot::BOOTSTRAP_FILE_NAME;

/// A log directory that was checked.
pub struct Directory {
    pub path: PathBuf,
    pub clean: bool,
    pub properties: Option<MetaProperties>,
    /// The names of the partitions' directories, without the metadata log.
    pub partitions: BTreeSet<String>,
}

pub fn check(verifier: &mut Verifier<'_>, dir: &Path) -> Directory {
    verifier.counts.directories += 1;
    let clean = match CleanShutdown::read(verifier.disk, dir) {
        Ok(found) => found.is_some(),
        Err(e) => {
            verifier.unreadable(&dir.join(CLEAN_SHUTDOWN_FILE), &e);
            false
        }
    };
    let mut checked = Directory {
        path: dir.to_owned(),
        clean,
        properties: None,
        partitions: BTreeSet::new(),
    };
    let entries = match verifier.disk.read_dir(dir) {
        Ok(entries) => entries,
        Err(e) => {
            verifier.unreadable(dir, &e);
            return checked;
        }
    };
    checked.properties = meta_properties(verifier, dir, entries.is_empty());
    let checkpoints = verifier.checkpoints(dir, clean);
    let mut hosted = BTreeSet::new();
    for entry in entries {
        let path = dir.join(&entry.name);
        if !entry.is_dir {
            file(verifier, &path, &entry.name);
            continue;
        }
        match PartitionDir::parse(&entry.name) {
            PartitionDir::Live(tp) if &*tp.topic == CLUSTER_METADATA_TOPIC => {
                metadata::check(verifier, &path, checkpoints.of(&tp));
                hosted.insert(tp);
            }
            PartitionDir::Live(tp) => {
                partition(verifier, &path, &tp, &checkpoints);
                checked.partitions.insert(entry.name);
                hosted.insert(tp);
            }
            PartitionDir::Future(tp) => partition(verifier, &path, &tp, &Checkpoints::default()),
            PartitionDir::Deleted => verifier.note(&path, "deleted topic: removed by a node"),
            PartitionDir::Stray => {
                verifier.note(
                    &path,
                    "was not assigned to this node: neither looks into it",
                );
            }
            PartitionDir::Other => verifier.note(&path, "unknown directory"),
        }
    }
    verifier.orphans(&checkpoints, &|tp| hosted.contains(tp));
    checked
}

fn partition(
    verifier: &mut Verifier<'_>,
    path: &Path,
    tp: &TopicPartition,
    checkpoints: &Checkpoints,
) {
    let facts = checkpoints.of(tp);
    let end = verifier.partition(path, facts, &mut |_| Ok(()), &mut |_, _| false);
    if let Some(end) = end {
        verifier.compare(checkpoints, tp, &end);
    }
}

fn file(verifier: &mut Verifier<'_>, path: &Path, name: &str) {
    match name {
        LOCK_FILE | CLEAN_SHUTDOWN_FILE | RESERVE_FILE | properties::FILE_NAME => {}
        BOOTSTRAP_FILE_NAME => metadata::bootstrap(verifier, path),
        name if Checkpoints::is_one(name) => {}
        name if name.ends_with(".tmp") => {
            verifier.note(path, "left over by a crash: written anew or ignored");
        }
        _ => verifier.note(path, "unknown file"),
    }
}

fn meta_properties(
    verifier: &mut Verifier<'_>,
    dir: &Path,
    is_empty: bool,
) -> Option<MetaProperties> {
    let path = dir.join(properties::FILE_NAME);
    let refuses = Outcome::both(OnStart::Refuses);
    let remedy = "write it anew: version=1, cluster.id, node.id and directory.id as they were; the \
                  other log.dirs of the node have the same cluster.id and node.id";
    match MetaProperties::read(dir) {
        Ok(Some(properties)) => {
            if properties.directory_id.is_some_and(properties::is_reserved) {
                let what = "its directory.id is a reserved one";
                verifier.fault(&path, None, what, refuses, remedy);
            }
            Some(properties)
        }
        Ok(None) if is_empty => {
            verifier.note(dir, "is empty: not formatted yet");
            None
        }
        Ok(None) => {
            let what = "is missing, though the directory has content";
            verifier.fault(&path, None, what, refuses, remedy);
            None
        }
        Err(e) => {
            verifier.fault(&path, None, e.to_string(), refuses, remedy);
            None
        }
    }
}
