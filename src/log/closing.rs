//! A clean stop: all logs closed, forced to the device, and their directories marked.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

use super::directory::CleanShutdown;
use super::error::{At, LogError};
use super::log::Log;
use super::manager::{Hosted, LogDir, LogManager};

/// Up to so many changed logs are forced to the device one by one at a stop; more by one call for
/// the whole file system.
const SYNCED_SINGLY_MAX: usize = 16;

impl LogManager {
    /// Closes all logs in order and leaves `broker_epoch` for the next start. A directory in which
    /// something failed is not marked as clean, and recovered by the next start.
    pub fn shutdown(&self, broker_epoch: i64) -> Result<(), LogError> {
        let mut hosted: Vec<Hosted> = self.logs.read().values().cloned().collect();
        hosted.sort_by(|a, b| a.log.topic_partition().cmp(b.log.topic_partition()));
        let mut result = Ok(());
        for copy in self.futures.read().values() {
            if let Err(e) = copy.log.close(true) {
                tracing::warn!("{}: {e}", copy.log.dir().display());
            }
        }
        let online = self.dirs.iter().enumerate();
        for (at, dir) in online.filter(|(_, dir)| !dir.is_offline()) {
            let logs: Vec<_> = hosted
                .iter()
                .filter(|hosted| hosted.dir == at)
                .map(|h| &h.log)
                .collect();
            let closed = self.close_dir(dir, &logs);
            let stopped = closed.and_then(|()| {
                self.checkpoint_recovery_points()?;
                self.checkpoint_high_watermarks()?;
                CleanShutdown { broker_epoch }.write(dir.essential.as_ref(), &dir.path)
            });
            if let Err(e) = stopped {
                tracing::error!("{} is not stopped in order: {e}", dir.path.display());
                result = Err(e);
            }
        }
        result
    }

    fn close_dir(&self, dir: &LogDir, logs: &[&Arc<Log>]) -> Result<(), LogError> {
        let changed = logs.iter().filter(|log| log.is_active()).count();
        let singly = changed <= SYNCED_SINGLY_MAX;
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        let close = || {
            while let Some(log) = logs.get(next.fetch_add(1, Relaxed)) {
                if let Err(e) = log.close(singly) {
                    failure.lock().get_or_insert(e);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.threads_per_dir.clamp(1, changed.max(1)) {
                scope.spawn(close);
            }
        });
        if let Some(e) = failure.into_inner() {
            return Err(e);
        }
        if !singly {
            dir.disk.sync_filesystem(&dir.path).at(&dir.path)?;
        }
        logs.iter().for_each(|log| log.mark_flushed());
        Ok(())
    }
}
