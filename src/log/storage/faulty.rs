//! A disk for tests that fails on demand: the n-th changing operation, a torn write, no room.
use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};

use super::{DirEntry, Disk, OpenMode, RealDisk};

/// Real files in a temporary directory, with faults in front of them. Only operations that change
/// something count and fail; reads fail with [`FaultyDisk::fail_reads`].
#[derive(Debug)]
pub struct FaultyDisk {
    /// Changing operations left before the one that fails; negative: none fails.
    countdown: AtomicI64,
    /// Whether the failure lasts (a crash) or is a single one.
    for_good: AtomicBool,
    /// Bytes that may still be written; negative: no bound.
    room: AtomicI64,
    fail_reads: AtomicBool,
    fail_sync: AtomicBool,
    operations: AtomicI64,
}

impl Default for FaultyDisk {
    fn default() -> Self {
        Self {
            countdown: AtomicI64::new(-1),
            for_good: AtomicBool::new(false),
            room: AtomicI64::new(-1),
            fail_reads: AtomicBool::new(false),
            fail_sync: AtomicBool::new(false),
            operations: AtomicI64::new(0),
        }
    }
}

impl FaultyDisk {
    /// The machine dies at the `n`-th changing operation from now (0 = the next): it and all later
    /// ones fail; a write that dies leaves its first half behind.
    pub fn crash_at(&self, n: i64) {
        self.for_good.store(true, SeqCst);
        self.countdown.store(n, SeqCst);
    }

    /// The `n`-th changing operation from now fails, the others work.
    pub fn fail_once_at(&self, n: i64) {
        self.for_good.store(false, SeqCst);
        self.countdown.store(n, SeqCst);
    }

    /// Whether a fault armed by [`Self::crash_at`] or [`Self::fail_once_at`] has struck.
    pub fn struck(&self) -> bool {
        self.countdown.load(SeqCst) == STRUCK
    }

    pub fn heal(&self) {
        self.countdown.store(-1, SeqCst);
        self.room.store(-1, SeqCst);
        self.fail_reads.store(false, SeqCst);
        self.fail_sync.store(false, SeqCst);
    }

    /// At most `bytes` more fit on the disk.
    pub fn room(&self, bytes: i64) {
        self.room.store(bytes, SeqCst);
    }

    pub fn fail_reads(&self) {
        self.fail_reads.store(true, SeqCst);
    }

    pub fn fail_sync(&self) {
        self.fail_sync.store(true, SeqCst);
    }

    /// Changing operations so far.
    pub fn operations(&self) -> i64 {
        self.operations.load(SeqCst)
    }

    fn change(&self) -> io::Result<()> {
        self.operations.fetch_add(1, SeqCst);
        match self.countdown.load(SeqCst) {
            STRUCK if self.for_good.load(SeqCst) => Err(injected()),
            0 => {
                self.countdown.store(STRUCK, SeqCst);
                Err(injected())
            }
            left if left > 0 => {
                self.countdown.store(left - 1, SeqCst);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

const STRUCK: i64 = i64::MIN;

fn injected() -> io::Error {
    io::Error::other("injected fault")
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<File> {
        if matches!(mode, OpenMode::Write | OpenMode::Truncate) {
            self.change()?;
        }
        RealDisk.open(path, mode)
    }

    fn read_at(&self, file: &File, buf: &mut [u8], position: u64) -> io::Result<usize> {
        if self.fail_reads.load(SeqCst) {
            return Err(injected());
        }
        RealDisk.read_at(file, buf, position)
    }

    fn write_at(&self, file: &File, bufs: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        let was_dead = self.struck() && self.for_good.load(SeqCst);
        if let Err(e) = self.change() {
            if !was_dead {
                let torn = &all[..all.len() / 2];
                RealDisk.write_at(file, &mut [IoSlice::new(torn)], position)?;
            }
            return Err(e);
        }
        let room = self.room.load(SeqCst);
        if room >= 0 {
            let fits = all.len().min(usize::try_from(room).unwrap_or(0));
            self.room.store(room - fits as i64, SeqCst);
            if fits < all.len() {
                RealDisk.write_at(file, &mut [IoSlice::new(&all[..fits])], position)?;
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        RealDisk.write_at(file, bufs, position)
    }

    fn size(&self, file: &File) -> io::Result<u64> {
        RealDisk.size(file)
    }

    fn set_size(&self, file: &File, size: u64) -> io::Result<()> {
        self.change()?;
        RealDisk.set_size(file, size)
    }

    fn allocate(&self, file: &File, size: u64) -> io::Result<()> {
        self.change()?;
        RealDisk.allocate(file, size)
    }

    fn sync(&self, _file: &File) -> io::Result<()> {
        if self.fail_sync.load(SeqCst) {
            return Err(injected());
        }
        self.change()
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        self.change()
    }

    fn sync_filesystem(&self, _path: &Path) -> io::Result<()> {
        if self.fail_sync.load(SeqCst) {
            return Err(injected());
        }
        self.change()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?;
        RealDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change()?;
        RealDisk.remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.change()?;
        RealDisk.create_dir(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.change()?;
        RealDisk.remove_dir_all(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        RealDisk.read_dir(path)
    }

    fn stat(&self, path: &Path) -> io::Result<(u64, i64)> {
        RealDisk.stat(path)
    }
}
