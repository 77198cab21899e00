//! Which log directories work, which are full, and which have failed.
//!
//! Every file of a log directory is reached through a [`GuardedDisk`]. The first operation that
//! fails for another reason than missing room takes the whole directory offline for good: from
//! then on the guard lets nothing through, so that a failed fsync cannot be tried again as if it
//! had worked. A disk without room only makes the directory full, which passes: see `reserve.rs`.
use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::error::is_disk_full;
use super::reserve;
use super::storage::{DirEntry, Disk, OpenMode, RealDisk};

/// What can be done in a log directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Online,
    /// Appends are refused until there is room again; everything else goes on.
    Full,
    /// Nothing until the next start.
    Offline,
}

type Callback = Box<dyn Fn() + Send + Sync>;

/// Who is told that a directory has changed its state.
#[derive(Default)]
struct Listener(OnceLock<Callback>);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// The state of one log directory.
#[derive(Debug)]
pub struct DirHealth {
    path: PathBuf,
    cause: OnceLock<String>,
    full: AtomicBool,
    listener: Arc<Listener>,
}

impl DirHealth {
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn state(&self) -> Condition {
        if self.is_offline() {
            Condition::Offline
        } else if self.full.load(Ordering::Acquire) {
            Condition::Full
        } else {
            Condition::Online
        }
    }

    pub fn is_offline(&self) -> bool {
        self.cause.get().is_some()
    }

    /// Why the directory is offline.
    pub fn cause(&self) -> Option<&str> {
        self.cause.get().map(String::as_str)
    }

    /// Takes the directory offline; only the first cause counts.
    pub fn fail(&self, cause: impl Into<String>) {
        if self.cause.set(cause.into()).is_ok() {
            tracing::error!(
                "log directory {} is offline: {}; its partitions are, too, until the disk is \
                 mended and the broker restarted",
                self.path.display(),
                self.cause().unwrap_or_default()
            );
            self.tell();
        }
    }

    /// There is no room: what was held in reserve is given back. Whether it was there to give.
    pub fn note_full(&self) -> bool {
        if self.full.swap(true, Ordering::AcqRel) {
            return false;
        }
        let released = reserve::release(&RealDisk, &self.path);
        self.tell();
        released
    }

    /// Tries to set the reserve aside again; the directory takes appends once that works.
    pub fn make_reserve(&self) -> io::Result<()> {
        reserve::make(&RealDisk, &self.path)?;
        self.full.store(false, Ordering::Release);
        Ok(())
    }

    /// An operation on `what` has failed: decides what that means for the directory.
    pub fn note(&self, operation: &str, what: &Path, error: &io::Error) {
        if is_disk_full(error) {
            self.note_full();
        } else if is_fault(error) {
            self.fail(format!("{operation} {}: {error}", what.display()));
        }
    }

    /// The same for an open file.
    pub fn note_of(&self, operation: &str, file: &File, error: &io::Error) {
        self.note(operation, &name_of(file), error);
    }

    fn tell(&self) {
        if let Some(told) = self.listener.0.get() {
            told();
        }
    }
}

/// Whether an error tells of a device that fails. Names that are (not) there, a lack of room or of
/// descriptors, and content that makes no sense do not.
fn is_fault(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    use rustix::io::Errno;
    let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS];
    if Errno::from_io_error(error).is_some_and(|errno| passing.contains(&errno)) {
        return false;
    }
    !matches!(
        error.kind(),
        NotFound
            | AlreadyExists
            | StorageFull
            | QuotaExceeded
            | Interrupted
            | WouldBlock
            | InvalidData
            | InvalidInput
            | InvalidFilename
            | UnexpectedEof
            | OutOfMemory
    )
}

/// The directories of a node.
#[derive(Debug)]
pub struct Health {
    dirs: Vec<Arc<DirHealth>>,
    listener: Arc<Listener>,
}

impl Health {
    pub fn new(dirs: &[PathBuf]) -> Self {
        let listener = Arc::new(Listener::default());
        let health = |path: &PathBuf| {
            Arc::new(DirHealth {
                path: path.clone(),
                cause: OnceLock::new(),
                full: AtomicBool::new(false),
                listener: Arc::clone(&listener),
            })
        };
        Self {
            dirs: dirs.iter().map(health).collect(),
            listener,
        }
    }

    pub fn dirs(&self) -> &[Arc<DirHealth>] {
        &self.dirs
    }

    pub fn of(&self, path: &Path) -> Option<&Arc<DirHealth>> {
        self.dirs.iter().find(|dir| dir.path == path)
    }

    /// Calls `told` whenever a directory fails or fills up, from whatever thread notices. Set once.
    pub fn listen(&self, told: impl Fn() + Send + Sync + 'static) {
        // A second listener is a mistake without consequence for the directories.
        let _ = self.listener.0.set(Box::new(told));
    }

    /// The disk as whoever works in `dir` should see it; `inner` itself for a directory that is
    /// not watched.
    pub fn guard(&self, dir: &Path, inner: &Arc<dyn Disk>, use_of: DiskUse) -> Arc<dyn Disk> {
        match self.of(dir) {
            Some(health) => Arc::new(GuardedDisk {
                inner: Arc::clone(inner),
                health: Arc::clone(health),
                use_of,
            }),
            None => Arc::clone(inner),
        }
    }
}

/// What a [`GuardedDisk`] is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskUse {
    /// Partitions: a full disk refuses their appends.
    Partitions,
    /// What a node needs to stay up, the metadata log and checkpoints: may use the reserve.
    Essential,
}

/// A disk that watches over one log directory.
#[derive(Debug)]
struct GuardedDisk {
    inner: Arc<dyn Disk>,
    health: Arc<DirHealth>,
    use_of: DiskUse,
}

impl GuardedDisk {
    fn run<T>(
        &self,
        operation: &str,
        what: impl FnOnce() -> PathBuf,
        mut work: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        if let Some(cause) = self.health.cause() {
            return Err(io::Error::other(format!(
                "log directory {} is offline after: {cause}",
                self.health.path.display()
            )));
        }
        let error = match work() {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if is_disk_full(&error) {
            let released = self.health.note_full();
            return match released && self.use_of == DiskUse::Essential {
                true => work(),
                false => Err(error),
            };
        }
        if is_fault(&error) {
            self.health.note(operation, &what(), &error);
        }
        Err(error)
    }
}

/// The name of an open file, for messages.
fn name_of(file: &File) -> PathBuf {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::fs::read_link(link).unwrap_or_else(|_| PathBuf::from("a file"))
}

impl Disk for GuardedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<File> {
        self.run("open", || path.to_owned(), || self.inner.open(path, mode))
    }

    fn read_at(&self, file: &File, buf: &mut [u8], position: u64) -> io::Result<usize> {
        let work = || self.inner.read_at(file, buf, position);
        self.run("read", || name_of(file), work)
    }

    fn write_at(&self, file: &File, bufs: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        if self.use_of == DiskUse::Partitions {
            let work = || self.inner.write_at(file, bufs, position);
            return self.run("write", || name_of(file), work);
        }
        // A failed write leaves its buffers advanced: each try has its own list of them.
        let slices: Vec<IoSlice<'_>> = bufs.to_vec();
        let work = || self.inner.write_at(file, &mut slices.clone(), position);
        self.run("write", || name_of(file), work)
    }

    fn size(&self, file: &File) -> io::Result<u64> {
        self.run("stat", || name_of(file), || self.inner.size(file))
    }

    fn set_size(&self, file: &File, size: u64) -> io::Result<()> {
        let work = || self.inner.set_size(file, size);
        self.run("truncate", || name_of(file), work)
    }

    fn allocate(&self, file: &File, size: u64) -> io::Result<()> {
        let work = || self.inner.allocate(file, size);
        self.run("allocate", || name_of(file), work)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.run("fsync", || name_of(file), || self.inner.sync(file))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.run("fsync", || path.to_owned(), || self.inner.sync_dir(path))
    }

    fn sync_filesystem(&self, path: &Path) -> io::Result<()> {
        let work = || self.inner.sync_filesystem(path);
        self.run("syncfs", || path.to_owned(), work)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let work = || self.inner.rename(from, to);
        self.run("rename", || from.to_owned(), work)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.run(
            "remove",
            || path.to_owned(),
            || self.inner.remove_file(path),
        )
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.run("create", || path.to_owned(), || self.inner.create_dir(path))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let work = || self.inner.remove_dir_all(path);
        self.run("remove", || path.to_owned(), work)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.run("list", || path.to_owned(), || self.inner.read_dir(path))
    }

    fn stat(&self, path: &Path) -> io::Result<(u64, i64)> {
        self.run("stat", || path.to_owned(), || self.inner.stat(path))
    }

    fn state(&self) -> Condition {
        match (self.health.state(), self.use_of) {
            (Condition::Full, DiskUse::Essential) => Condition::Online,
            (state, _) => state,
        }
    }

    fn give_up(&self, cause: &str) {
        self.health.fail(cause);
    }

    fn health(&self) -> Option<Arc<DirHealth>> {
        Some(Arc::clone(&self.health))
    }
}
