//! The disk as the log sees it: the one seam through which the room touches files, so that a test
//! can fail the n-th operation, tear a write or fill the disk.
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

pub use at_once::at_once;

use super::health::{Condition, DirHealth};

/// Copied at a time.
const COPY_BYTES: usize = 1 << 20;

/// How [`Disk::open`] opens a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    Existing,
    /// Reading and writing; created empty if missing.
    Write,
    /// Reading and writing; created, or cut to nothing if it exists.
    Truncate,
}

/// A name found in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    pub name: String,
    pub is_dir: bool,
}

/// File operations of the log. Every call may block. Files are `std::fs::File`s so that a read can
/// hand a descriptor to `sendfile`.
pub trait Disk: Debug + Send + Sync {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<File>;
    /// Reads until `buf` is full or the file ends; returns the bytes read.
    fn read_at(&self, file: &File, buf: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes all of `bufs` at `position`. After an error the file may hold any part of them.
    fn write_at(&self, file: &File, bufs: &mut [IoSlice<'_>], position: u64) -> io::Result<()>;
    fn size(&self, file: &File) -> io::Result<u64>;
    fn set_size(&self, file: &File, size: u64) -> io::Result<()>;
    /// Gives the file a time of modification, in ms since the epoch.
    fn set_modified(&self, file: &File, modified_ms: i64) -> io::Result<()> {
        let since_epoch = Duration::from_millis(u64::try_from(modified_ms).unwrap_or(0));
        file.set_modified(UNIX_EPOCH + since_epoch)
    }
    /// Sets aside `size` bytes of disk for the file without changing its length.
    fn allocate(&self, file: &File, size: u64) -> io::Result<()>;
    /// Another name leads to the same file.
    fn is_shared(&self, file: &File) -> io::Result<bool> {
        Ok(file.metadata()?.nlink() > 1)
    }
    /// Forces data, and the metadata needed to read it back, to the device.
    fn sync(&self, file: &File) -> io::Result<()>;
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Forces all that was written to the file system of `path`.
    fn sync_filesystem(&self, path: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// The directory's entries, sorted by name. Names that are not UTF-8 are left out.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;
    /// Size of the file at `path` and its modification time in ms since the epoch.
    fn stat(&self, path: &Path) -> io::Result<(u64, i64)>;

    /// What may be done on this disk.
    fn state(&self) -> Condition {
        Condition::Online
    }

    /// Takes the disk offline for an error that says more than the operation's own.
    fn give_up(&self, _cause: &str) {}

    /// Who keeps the state of the directory that this disk is for.
    fn health(&self) -> Option<Arc<DirHealth>> {
        None
    }
}

/// The machine's own file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<File> {
        match mode {
            OpenMode::Read => File::open(path),
            OpenMode::Existing => OpenOptions::new().read(true).write(true).open(path),
            OpenMode::Write => OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path),
            OpenMode::Truncate => OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(path),
        }
    }

    fn read_at(&self, file: &File, buf: &mut [u8], position: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match at_once::read(file, rest, position + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn write_at(&self, file: &File, bufs: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        /// Linux takes at most this many buffers in one call.
        const IOV_MAX: usize = 1024;
        let mut bufs = bufs;
        let mut position = position;
        IoSlice::advance_slices(&mut bufs, 0);
        while !bufs.is_empty() {
            let count = bufs.len().min(IOV_MAX);
            match rustix::io::pwritev(file, &bufs[..count], position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    position += written as u64;
                    IoSlice::advance_slices(&mut bufs, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn size(&self, file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.len())
    }

    fn set_size(&self, file: &File, size: u64) -> io::Result<()> {
        file.set_len(size)
    }

    fn allocate(&self, file: &File, size: u64) -> io::Result<()> {
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, size) {
            // A file system without this call loses an optimisation, nothing else.
            Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            other => other.map_err(io::Error::from),
        }
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_filesystem(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(path)?)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(DirEntry {
                    name,
                    is_dir: entry.file_type()?.is_dir(),
                });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn stat(&self, path: &Path) -> io::Result<(u64, i64)> {
        let metadata = fs::metadata(path)?;
        let modified_ms = metadata
            .modified()?
            .duration_since(UNIX_EPOCH)
            .map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        Ok((metadata.len(), modified_ms))
    }
}

/// Replaces `path` by `bytes` so that after a crash either the old or the new content is there:
/// written to `path` + `.tmp`, synced, renamed, and the directory synced.
pub fn replace_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(disk, path, bytes, true)
}

/// As [`replace_file`] without forcing it to the device: safe against kill -9, not power loss.
pub fn replace_file_unsynced(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(disk, path, bytes, false)
}

fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let aside = with_suffix(path, ".tmp");
    let file = disk.open(&aside, OpenMode::Truncate)?;
    disk.write_at(&file, &mut [IoSlice::new(bytes)], 0)?;
    if sync {
        disk.sync(&file)?;
    }
    drop(file);
    disk.rename(&aside, path)?;
    match path.parent() {
        Some(dir) if sync => disk.sync_dir(dir),
        _ => Ok(()),
    }
}

/// Puts a copy of `file` in the place of `path`, which is its name: crash-safe as [`replace_file`] is.
pub fn copy_aside(disk: &dyn Disk, file: &File, path: &Path) -> io::Result<()> {
    let aside = with_suffix(path, ".tmp");
    let copy = disk.open(&aside, OpenMode::Truncate)?;
    let mut buf = vec![0; COPY_BYTES];
    let mut position = 0;
    loop {
        let read = disk.read_at(file, &mut buf, position)?;
        let Some(read) = buf.get(..read).filter(|read| !read.is_empty()) else {
            break;
        };
        disk.write_at(&copy, &mut [IoSlice::new(read)], position)?;
        position += read.len() as u64;
    }
    disk.sync(&copy)?;
    disk.rename(&aside, path)?;
    path.parent().map_or(Ok(()), |dir| disk.sync_dir(dir))
}

/// Reads a whole file, refusing one longer than `limit` bytes; `None` if there is none.
pub fn read_file(disk: &dyn Disk, path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let size = disk.size(&file)?;
    if size > limit {
        let reason = format!("{} has {size} bytes, more than {limit}", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    let read = disk.read_at(&file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Removes a file if it is there.
pub fn remove_if_exists(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// `path` with `suffix` added to its last component.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
pub mod faulty;
#[cfg(test)]
pub mod power;

mod at_once;
