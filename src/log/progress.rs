//! How far the recovery of a log directory is, told on the log: a line a second at most.
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

const INTERVAL: Duration = Duration::from_secs(1);

/// The recovery of one directory; by default one that nothing is said of.
#[derive(Debug, Default)]
pub struct Progress {
    dir: Option<PathBuf>,
    work: Mutex<Work>,
}

#[derive(Debug, Default)]
struct Work {
    logs: usize,
    recovered: usize,
    segments: usize,
    bytes: u64,
    began: Option<Instant>,
    told: Option<Instant>,
}

impl Progress {
    pub fn new(dir: &Path, logs: usize) -> Self {
        let now = Some(Instant::now());
        let work = Work {
            logs,
            began: now,
            told: now,
            ..Work::default()
        };
        Self {
            dir: Some(dir.to_owned()),
            work: Mutex::new(work),
        }
    }

    /// So many bytes more were read.
    pub fn read(&self, bytes: u64) {
        let mut work = self.work.lock();
        work.bytes += bytes;
        self.tell(&mut work);
    }

    pub fn segment_done(&self) {
        self.work.lock().segments += 1;
    }

    pub fn log_done(&self) {
        let mut work = self.work.lock();
        work.recovered += 1;
        self.tell(&mut work);
    }

    /// All is recovered.
    pub fn finish(&self) {
        let work = self.work.lock();
        if let (Some(dir), Some(began)) = (&self.dir, work.began) {
            tracing::info!(
                "{}: recovered {} logs, {} MiB in {} segments read, in {} ms",
                dir.display(),
                work.recovered,
                work.bytes >> 20,
                work.segments,
                began.elapsed().as_millis()
            );
        }
    }

    fn tell(&self, work: &mut Work) {
        let Some(dir) = &self.dir else { return };
        if work.told.is_none_or(|told| told.elapsed() < INTERVAL) {
            return;
        }
        work.told = Some(Instant::now());
        tracing::info!(
            "{}: {} of {} logs left to recover, {} MiB in {} segments read",
            dir.display(),
            work.logs.saturating_sub(work.recovered),
            work.logs,
            work.bytes >> 20,
            work.segments
        );
    }
}
