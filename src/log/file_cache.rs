//! Descriptors of segment files, opened on first use and closed again when too many are open, so
//! that ten thousand partitions do not need thirty thousand descriptors.
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::storage::{Disk, OpenMode};

/// One file that is opened when asked for. A file handed out stays usable after the cache has
/// dropped its own reference.
#[derive(Debug, Default)]
pub struct CachedFile {
    slot: Arc<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    file: Mutex<Option<Arc<File>>>,
    used: AtomicBool,
}

/// Bounds the number of open [`CachedFile`]s: past the limit, one that was not used since it was
/// last looked at is closed (second chance).
#[derive(Debug)]
pub struct FileCache {
    limit: usize,
    open: Mutex<VecDeque<Weak<Slot>>>,
}

impl FileCache {
    pub fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            open: Mutex::new(VecDeque::new()),
        }
    }

    /// The existing file at `path`, opened for reading and writing unless `cached` holds it already.
    pub fn get(
        &self,
        cached: &CachedFile,
        disk: &dyn Disk,
        path: impl FnOnce() -> PathBuf,
    ) -> io::Result<Arc<File>> {
        let mut held = cached.slot.file.lock();
        if let Some(file) = held.as_ref() {
            cached.slot.used.store(true, Relaxed);
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(disk.open(&path(), OpenMode::Existing)?);
        *held = Some(Arc::clone(&file));
        drop(held);
        self.admit(&cached.slot);
        Ok(file)
    }

    /// Entries of the queue; those of closed files linger until their turn comes.
    #[cfg(test)]
    fn open_files(&self) -> usize {
        let queue = self.open.lock();
        queue
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|slot| slot.file.lock().is_some())
            .count()
    }

    fn admit(&self, slot: &Arc<Slot>) {
        let mut queue = self.open.lock();
        queue.push_back(Arc::downgrade(slot));
        // Twice around at most: once to take the marks away, once to close.
        for _ in 0..queue.len() * 2 {
            if queue.len() <= self.limit {
                return;
            }
            let Some(candidate) = queue.pop_front() else {
                return;
            };
            let Some(slot) = candidate.upgrade() else {
                continue;
            };
            if slot.used.swap(false, Relaxed) {
                queue.push_back(candidate);
            } else if let Some(mut held) = slot.file.try_lock() {
                *held = None;
            } else {
                queue.push_back(candidate);
            }
        }
    }
}

impl CachedFile {
    /// Lets go of the descriptor; the next use opens the file anew.
    pub fn close(&self) {
        *self.slot.file.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::storage::RealDisk;

    #[test]
    fn holds_no_more_files_than_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let cache = FileCache::new(3);
        let files: Vec<CachedFile> = (0..10).map(|_| CachedFile::default()).collect();
        for n in 0..10 {
            std::fs::write(dir.path().join(n.to_string()), b"").unwrap();
        }
        for round in 0..3 {
            for (n, file) in files.iter().enumerate() {
                let opened = cache
                    .get(file, &RealDisk, || dir.path().join(n.to_string()))
                    .unwrap();
                assert!(cache.open_files() <= 3, "round {round}");
                assert_eq!(opened.metadata().unwrap().len(), 0);
            }
        }
    }

    #[test]
    fn a_closed_file_opens_again() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), b"").unwrap();
        let cache = FileCache::new(3);
        let file = CachedFile::default();
        let first = cache
            .get(&file, &RealDisk, || dir.path().join("a"))
            .unwrap();
        let again = cache
            .get(&file, &RealDisk, || dir.path().join("a"))
            .unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        file.close();
        let anew = cache
            .get(&file, &RealDisk, || dir.path().join("a"))
            .unwrap();
        assert!(!Arc::ptr_eq(&first, &anew));
    }
}
