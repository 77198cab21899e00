//! A copy of a log directory that takes milliseconds: what nobody writes to any more is shared.
//!
//! Of the log files wholly below the recovery point, which recovery leaves alone, the copy has clones where the file
//! system makes them (btrfs, XFS), else hard links: a segment gives a file with other names a copy before it writes to
//! it. Everything else is copied: active segments, indexes, snapshots, checkpoints, the metadata log.
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::ops::AddAssign;
use std::path::Path;

use super::checkpoints::{self, RECOVERY_POINT};
use super::directory::{LOCK_FILE, StoppedDirectory};
use super::error::{At, LogError};
use super::names::{CLUSTER_METADATA_TOPIC, DELETED_SUFFIX, LOG_SUFFIX, PartitionDir, offset_of};
use super::reserve::RESERVE_FILE;
use super::storage::RealDisk;

/// What a fork took.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Forked {
    pub shared_files: u64,
    pub shared_bytes: u64,
    pub copied_files: u64,
    pub copied_bytes: u64,
}

impl AddAssign for Forked {
    fn add_assign(&mut self, other: Forked) {
        self.shared_files += other.shared_files;
        self.shared_bytes += other.shared_bytes;
        self.copied_files += other.copied_files;
        self.copied_bytes += other.copied_bytes;
    }
}

/// Makes `to`, a directory that is there and empty, a fork of the log directory `from`, which nobody may be using.
pub fn fork(from: &Path, to: &Path) -> Result<Forked, LogError> {
    let _stopped = StoppedDirectory::hold(from)?;
    let recovery_points = checkpoints::read(&RealDisk, &from.join(RECOVERY_POINT))?;
    let mut forked = Forked::default();
    for entry in fs::read_dir(from).at(from)? {
        let entry = entry.at(from)?;
        let (path, name) = (entry.path(), entry.file_name());
        let target = to.join(&name);
        let name = name.to_string_lossy();
        if !entry.file_type().at(&path)?.is_dir() {
            if name != LOCK_FILE && name != RESERVE_FILE {
                forked += copy(&path, &target).at(&path)?;
            }
            continue;
        }
        let recovery_point = match PartitionDir::parse(&name) {
            PartitionDir::Live(partition) if &*partition.topic != CLUSTER_METADATA_TOPIC => {
                recovery_points.get(&partition).copied()
            }
            PartitionDir::Live(_) | PartitionDir::Future(_) => None,
            PartitionDir::Deleted | PartitionDir::Stray | PartitionDir::Other => continue,
        };
        fs::create_dir(&target).at(&target)?;
        forked += fork_partition(&path, &target, recovery_point)?;
    }
    Ok(forked)
}

/// Without a recovery point nothing is shared.
fn fork_partition(from: &Path, to: &Path, recovery_point: Option<i64>) -> Result<Forked, LogError> {
    let mut forked = Forked::default();
    let mut segments = BTreeMap::new();
    for entry in fs::read_dir(from).at(from)? {
        let entry = entry.at(from)?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if !entry.file_type().at(&path)?.is_file() || name.ends_with(DELETED_SUFFIX) {
            continue;
        }
        match offset_of(&name, LOG_SUFFIX) {
            Some(base_offset) => {
                segments.insert(base_offset, path);
            }
            None => forked += copy(&path, &to.join(&*name)).at(&path)?,
        }
    }
    let ends: Vec<i64> = segments.keys().skip(1).copied().collect();
    let ends = ends.into_iter().map(Some).chain([None]);
    for (path, end) in segments.values().zip(ends) {
        let Some(name) = path.file_name() else {
            continue;
        };
        // The last one is the active one: it has no end.
        let flushed = end.is_some_and(|end| recovery_point.is_some_and(|point| end <= point));
        let take = if flushed { share } else { copy };
        forked += take(path, &to.join(name)).at(path)?;
    }
    Ok(forked)
}

fn share(from: &Path, to: &Path) -> io::Result<Forked> {
    let size = fs::metadata(from)?.len();
    if clone(from, to).is_err() {
        match fs::hard_link(from, to) {
            Ok(()) => {}
            // Another file system, one without links, or a file of too many names.
            Err(_) => return copy(from, to),
        }
    }
    Ok(Forked {
        shared_files: 1,
        shared_bytes: size,
        ..Forked::default()
    })
}

#[cfg(target_os = "linux")]
fn clone(from: &Path, to: &Path) -> io::Result<()> {
    let (source, target) = (File::open(from)?, File::create_new(to)?);
    let cloned = rustix::fs::ioctl_ficlone(&target, &source)
        .map_err(io::Error::from)
        .and_then(|()| keep_times(&source, &target));
    if cloned.is_err() {
        fs::remove_file(to)?;
    }
    cloned
}

#[cfg(not(target_os = "linux"))]
fn clone(_from: &Path, _to: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn copy(from: &Path, to: &Path) -> io::Result<Forked> {
    let copied_bytes = fs::copy(from, to)?;
    keep_times(&File::open(from)?, &File::options().write(true).open(to)?)?;
    Ok(Forked {
        copied_files: 1,
        copied_bytes,
        ..Forked::default()
    })
}

/// Retention may go by the time of a file.
fn keep_times(from: &File, to: &File) -> io::Result<()> {
    to.set_modified(from.metadata()?.modified()?)
}
