//! The log directories of a [`LogManager`], each by itself: what is in one, and what is left when it
//! fails.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::LogError;
use super::health::Condition;
use super::log::Log;
use super::manager::{LogDir, LogManager, PendingDeletion};
use super::names::TopicPartition;
use super::storage::Disk;

/// A log in a directory, as whoever lists directories sees it.
#[derive(Debug, Clone)]
pub struct HostedLog {
    pub log: Arc<Log>,
    /// It is to replace the log of the same partition in another directory.
    pub is_future: bool,
}

impl LogDir {
    pub(super) fn is_offline(&self) -> bool {
        self.disk.state() == Condition::Offline
    }

    /// A directory that fails stands alone: what went wrong in it is no error of the node's.
    pub(super) fn unless_offline<T>(
        &self,
        result: Result<T, LogError>,
    ) -> Result<Option<T>, LogError> {
        match result {
            Err(e) if self.is_offline() => {
                tracing::debug!("{}: {e}", self.path.display());
                Ok(None)
            }
            other => other.map(Some),
        }
    }
}

impl LogManager {
    /// Gives up the logs of a directory that has failed: which they were.
    pub fn forget_dir(&self, path: &Path) -> Vec<TopicPartition> {
        let Some(at) = self.dirs.iter().position(|dir| dir.path == path) else {
            return Vec::new();
        };
        let mut gone = Vec::new();
        self.logs.write().retain(|tp, hosted| {
            if hosted.dir == at {
                gone.push(tp.clone());
            }
            hosted.dir != at
        });
        let moved_from = |tp: &TopicPartition| gone.contains(tp);
        self.futures
            .write()
            .retain(|tp, hosted| hosted.dir != at && !moved_from(tp));
        self.deletions
            .lock()
            .retain(|deletion| !deletion.path.starts_with(path));
        gone.sort();
        gone
    }

    /// Removes what waits for its deletion in one directory, whatever the delay.
    pub fn remove_deleted_in(&self, dir: &Path) -> Result<(), LogError> {
        for deletion in self.deletions.lock().iter_mut() {
            if deletion.path.starts_with(dir) {
                deletion.due_ms = i64::MIN;
            }
        }
        let result = self.remove_deleted(i64::MIN);
        let logs = self.logs_in(dir);
        let removed = logs.iter().map(|log| log.remove_deleted_files(i64::MAX));
        result.and(removed.fold(Ok(()), Result::and))
    }

    /// The logs in one directory with their sizes in bytes; those that cannot tell are left out.
    pub fn sizes_in(&self, dir: &Path) -> Vec<(TopicPartition, u64)> {
        let logs = self.logs_in(dir).into_iter();
        logs.filter_map(|log| Some((log.topic_partition().clone(), log.size().ok()?)))
            .collect()
    }

    /// Everything that is hosted in one directory, in the order of topic and partition.
    pub fn hosted_in(&self, dir: &Path) -> Vec<HostedLog> {
        let mut hosted: Vec<HostedLog> = Vec::new();
        for (is_future, logs) in [(false, &self.logs), (true, &self.futures)] {
            let logs = logs.read();
            let here = logs.values().filter(|hosted| {
                let path = self.dirs.get(hosted.dir).map(|dir| dir.path.as_path());
                path == Some(dir)
            });
            hosted.extend(here.map(|hosted| HostedLog {
                log: Arc::clone(&hosted.log),
                is_future,
            }));
        }
        hosted.sort_by(|a, b| a.log.topic_partition().cmp(b.log.topic_partition()));
        hosted
    }

    fn logs_in(&self, dir: &Path) -> Vec<Arc<Log>> {
        let mut logs = self.logs();
        logs.retain(|log| log.dir().starts_with(dir));
        logs
    }

    /// Has a directory removed when its time has come.
    pub(super) fn delete_later(&self, path: PathBuf, due_ms: i64) {
        self.deletions.lock().push(PendingDeletion { path, due_ms });
    }

    pub(super) fn disk_of(&self, path: &Path) -> Option<&Arc<dyn Disk>> {
        let dir = self.dirs.iter().find(|dir| path.starts_with(&dir.path))?;
        Some(&dir.disk)
    }
}
