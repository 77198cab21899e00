//! What belongs to a log directory as a whole: its lock, and the file that a clean stop leaves
//! behind. (`meta.properties` is in the `metadata` room.)
//!
//! ```text
//! .lock                 empty; held under an exclusive fcntl record lock while in use
//! .kafka_cleanshutdown  {"version":0,"brokerEpoch":11}
//! ```
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, fcntl_lock};
use serde::{Deserialize, Serialize};

use super::error::{At, LogError};
use super::storage::{Disk, read_file, remove_if_exists, replace_file};

pub const LOCK_FILE: &str = ".lock";
pub const CLEAN_SHUTDOWN_FILE: &str = ".kafka_cleanshutdown";
const CLEAN_SHUTDOWN_BYTES_MAX: u64 = 4096;

/// Directories locked by this process. A record lock does not conflict with another one of the
/// same process, and closing any descriptor of the file drops it, so the file must not even be
/// opened twice.
static HELD: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());

/// Exclusive use of a log directory, until dropped. Conflicts with Java's `FileChannel.tryLock`
/// on the same file, in both directions.
#[derive(Debug)]
pub struct DirectoryLock {
    identity: (u64, u64),
    _file: File,
}

impl DirectoryLock {
    /// Locks `dir`, which must exist; fails at once with [`LogError::Locked`] when it is in use.
    pub fn acquire(dir: &Path) -> Result<Self, LogError> {
        let metadata = std::fs::metadata(dir).at(dir)?;
        let identity = (metadata.dev(), metadata.ino());
        let mut held = HELD.lock();
        if held.contains(&identity) {
            return Err(LogError::Locked {
                path: dir.to_owned(),
            });
        }
        let path = dir.join(LOCK_FILE);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .at(&path)?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                held.insert(identity);
                Ok(Self {
                    identity,
                    _file: file,
                })
            }
            Err(rustix::io::Errno::ACCESS | rustix::io::Errno::AGAIN) => Err(LogError::Locked {
                path: dir.to_owned(),
            }),
            Err(e) => Err(e.into()).at(&path),
        }
    }
}

/// Keeps whoever would use a log directory from starting, without writing to it, until dropped.
#[derive(Debug)]
pub struct StoppedDirectory {
    /// Of a directory that was never used there is none.
    _file: Option<File>,
}

impl StoppedDirectory {
    /// Fails at once with [`LogError::Locked`] when `dir` is in use.
    pub fn hold(dir: &Path) -> Result<Self, LogError> {
        let metadata = std::fs::metadata(dir).at(dir)?;
        let locked = || LogError::Locked {
            path: dir.to_owned(),
        };
        if HELD.lock().contains(&(metadata.dev(), metadata.ino())) {
            return Err(locked());
        }
        let path = dir.join(LOCK_FILE);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { _file: None });
            }
            Err(e) => return Err(e).at(&path),
        };
        match fcntl_lock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(Self { _file: Some(file) }),
            Err(rustix::io::Errno::ACCESS | rustix::io::Errno::AGAIN) => Err(locked()),
            Err(e) => Err(e.into()).at(&path),
        }
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // The descriptor, and with it the lock, goes after this: until then a second attempt in
        // this process meets the kernel's lock as its own and would succeed, so unlock first.
        let _ = fcntl_lock(&self._file, FlockOperation::NonBlockingUnlock);
        HELD.lock().remove(&self.identity);
    }
}

/// The content of `.kafka_cleanshutdown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanShutdown {
    /// Epoch of the broker's last registration, -1 when unknown.
    pub broker_epoch: i64,
}

#[derive(Serialize, Deserialize)]
struct CleanShutdownJson {
    version: i32,
    #[serde(rename = "brokerEpoch", default = "unknown_epoch")]
    broker_epoch: i64,
}

fn unknown_epoch() -> i64 {
    -1
}

impl CleanShutdown {
    /// What the last stop left in `dir`; `None` after an unclean stop. A file whose content makes
    /// no sense still tells a clean stop, as for Kafka, but no epoch.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Self>, LogError> {
        let path = dir.join(CLEAN_SHUTDOWN_FILE);
        let Some(bytes) = read_file(disk, &path, CLEAN_SHUTDOWN_BYTES_MAX).at(&path)? else {
            return Ok(None);
        };
        let broker_epoch = serde_json::from_slice::<CleanShutdownJson>(&bytes)
            .ok()
            .filter(|json| json.version == 0)
            .map_or(-1, |json| json.broker_epoch);
        Ok(Some(Self { broker_epoch }))
    }

    /// The last thing that a clean stop writes.
    pub fn write(self, disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
        let path = dir.join(CLEAN_SHUTDOWN_FILE);
        let json = format!("{{\"version\":0,\"brokerEpoch\":{}}}", self.broker_epoch);
        replace_file(disk, &path, json.as_bytes()).at(&path)
    }

    /// From here on a crash is an unclean stop.
    pub fn remove(disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
        let path = dir.join(CLEAN_SHUTDOWN_FILE);
        remove_if_exists(disk, &path).at(&path)?;
        disk.sync_dir(dir).at(dir)
    }
}

/// Creates a log directory, with its parents, unless it exists.
pub fn create_log_dir(dir: &Path) -> Result<PathBuf, LogError> {
    std::fs::create_dir_all(dir).at(dir)?;
    std::fs::canonicalize(dir).at(dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::storage::RealDisk;

    #[test]
    fn a_directory_is_locked_once() {
        let dir = tempfile::tempdir().unwrap();
        let lock = DirectoryLock::acquire(dir.path()).unwrap();
        let again = DirectoryLock::acquire(dir.path());
        assert!(matches!(again, Err(LogError::Locked { .. })), "{again:?}");
        drop(lock);
        DirectoryLock::acquire(dir.path()).unwrap();
    }

    #[test]
    fn a_directory_in_use_cannot_be_held_as_a_stopped_one() {
        let dir = tempfile::tempdir().unwrap();
        let hold = || StoppedDirectory::hold(dir.path());
        drop(hold().unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let lock = DirectoryLock::acquire(dir.path()).unwrap();
        assert!(matches!(hold(), Err(LogError::Locked { .. })));
        drop(lock);
        hold().unwrap();
    }

    #[test]
    fn the_clean_shutdown_file_is_kafkas() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(CleanShutdown::read(&RealDisk, dir.path()).unwrap(), None);
        CleanShutdown { broker_epoch: 11 }
            .write(&RealDisk, dir.path())
            .unwrap();
        let path = dir.path().join(CLEAN_SHUTDOWN_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"version\":0,\"brokerEpoch\":11}");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            CleanShutdown::read(&RealDisk, dir.path())
                .unwrap()
                .unwrap()
                .broker_epoch
        };
        assert_eq!(read("{\"brokerEpoch\":11, \"version\":0}"), 11);
        assert_eq!(read(""), -1);
        assert_eq!(read("{\"version\":1,\"brokerEpoch\":11}"), -1);
        CleanShutdown::remove(&RealDisk, dir.path()).unwrap();
        assert_eq!(CleanShutdown::read(&RealDisk, dir.path()).unwrap(), None);
    }
}
