//! Where the files of a partition are.
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;

use super::file_cache::FileCache;
use super::names::file_name;
use super::storage::Disk;

/// The directory of one partition, and how to reach files in it.
#[derive(Debug)]
pub struct Place {
    dir: RwLock<PathBuf>,
    pub disk: Arc<dyn Disk>,
    pub files: Arc<FileCache>,
}

impl Place {
    pub fn new(dir: PathBuf, disk: Arc<dyn Disk>, files: Arc<FileCache>) -> Self {
        Self {
            dir: RwLock::new(dir),
            disk,
            files,
        }
    }

    pub fn dir(&self) -> PathBuf {
        self.dir.read().clone()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.read().join(name)
    }

    pub fn file(&self, offset: i64, suffix: &str) -> PathBuf {
        self.path(&file_name(offset, suffix))
    }

    /// The directory has a new name.
    pub fn moved(&self, dir: PathBuf) {
        *self.dir.write() = dir;
    }
}
