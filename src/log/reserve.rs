//! A small file in each log directory that is given back when the disk is full, so that a node can
//! still start, write its checkpoints and take a topic's deletion down. Apache Kafka looks at the
//! directories in a log directory only and lets the file be.
use std::io::{self, IoSlice};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::storage::{Disk, OpenMode, RealDisk};

pub const RESERVE_FILE: &str = ".kafkars-reserve";
/// Room for some ten thousand records of metadata and the checkpoints of as many partitions.
pub const RESERVE_BYTES: u64 = 8 << 20;
/// What has to be free beside the reserve before appends are taken again: a disk that fills up
/// once a second helps nobody.
const SPARE_BYTES: u64 = 4 << 20;
/// What has to be free for appends to be taken again.
pub const WANTED_BYTES: u64 = RESERVE_BYTES + SPARE_BYTES;
/// With less than this free a node starts on its reserve.
pub const START_BYTES: u64 = 1 << 20;
/// Bytes of one write where a file system cannot set blocks aside.
const FILL_BYTES: usize = 1 << 20;

/// Makes the reserve, unless it is there; fails while there is not that much room.
pub fn make(disk: &RealDisk, dir: &Path) -> io::Result<()> {
    let path = dir.join(RESERVE_FILE);
    if disk
        .stat(&path)
        .is_ok_and(|(size, _)| size == RESERVE_BYTES)
    {
        return Ok(());
    }
    // Not tried in vain: a try takes, for a moment, what others may need.
    if room(dir)?.0 < WANTED_BYTES {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let made = fill(disk, &path);
    if made.is_err() {
        // What is half there would only take room away.
        let _ = disk.remove_file(&path);
    }
    made
}

fn fill(disk: &RealDisk, path: &Path) -> io::Result<()> {
    let file = disk.open(path, OpenMode::Truncate)?;
    disk.allocate(&file, WANTED_BYTES)?;
    if file.metadata()?.blocks() * 512 < WANTED_BYTES {
        // Bytes that no file system can press together.
        let mut noise = vec![0; FILL_BYTES];
        let mut state = 1_u64;
        for position in (0..WANTED_BYTES).step_by(FILL_BYTES) {
            for word in noise.chunks_exact_mut(8) {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                word.copy_from_slice(&state.rotate_left(23).to_le_bytes());
            }
            disk.write_at(&file, &mut [IoSlice::new(&noise)], position)?;
        }
        disk.sync(&file)?;
    }
    disk.set_size(&file, WANTED_BYTES)?;
    disk.set_size(&file, RESERVE_BYTES)
}

/// Gives the reserve back; whether there was one.
pub fn release(disk: &RealDisk, dir: &Path) -> bool {
    disk.remove_file(&dir.join(RESERVE_FILE)).is_ok()
}

/// Bytes that are free and in all for this process on the file system of `dir`.
pub fn room(dir: &Path) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::statvfs(dir)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok((bytes(stat.f_bavail), bytes(stat.f_blocks)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_holds_blocks_until_it_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        make(&RealDisk, dir.path()).unwrap();
        let path = dir.path().join(RESERVE_FILE);
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!(metadata.len(), RESERVE_BYTES);
        assert!(metadata.blocks() * 512 >= RESERVE_BYTES, "{metadata:?}");
        make(&RealDisk, dir.path()).unwrap();
        assert!(release(&RealDisk, dir.path()));
        assert!(!path.exists());
        assert!(!release(&RealDisk, dir.path()));
    }
}
