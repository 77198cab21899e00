//! Reads that do not wait for a device: who must not be held up asks for what is in the page cache, and if that is not
//! enough asks again where waiting is allowed.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

thread_local! {
    static AT_ONCE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, in which reads of [`super::RealDisk`] on this thread fail with `WouldBlock` where they would have to
/// wait for the device. Where the system cannot tell, they wait.
pub fn at_once<T>(work: impl FnOnce() -> T) -> T {
    struct Restored(bool);
    impl Drop for Restored {
        fn drop(&mut self) {
            AT_ONCE.set(self.0);
        }
    }
    let _restored = Restored(AT_ONCE.replace(true));
    work()
}

/// One read, waiting or not as the caller's caller wishes.
pub(super) fn read(file: &File, buf: &mut [u8], position: u64) -> io::Result<usize> {
    if AT_ONCE.get() {
        read_cached(file, buf, position)
    } else {
        file.read_at(buf, position)
    }
}

#[cfg(target_os = "linux")]
fn read_cached(file: &File, buf: &mut [u8], position: u64) -> io::Result<usize> {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};
    let bufs = &mut [io::IoSliceMut::new(buf)];
    match preadv2(file, bufs, position, ReadWriteFlags::NOWAIT) {
        Ok(read) => Ok(read),
        // Not every file system knows the flag.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.read_at(buf, position),
        Err(e) => Err(e.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn read_cached(file: &File, buf: &mut [u8], position: u64) -> io::Result<usize> {
    file.read_at(buf, position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_just_written_is_read_at_once_and_the_wish_ends_with_its_scope() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"abc", 0).unwrap();
        let mut buf = [0; 4];
        assert_eq!(at_once(|| read(&file, &mut buf, 0)).unwrap(), 3);
        assert_eq!(&buf[..3], b"abc");
        assert!(!AT_ONCE.get());
        let nested = at_once(|| {
            at_once(|| ());
            AT_ONCE.get()
        });
        assert!(nested);
    }
}
