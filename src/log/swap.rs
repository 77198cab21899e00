//! What a compaction leaves behind when it is interrupted (Kafka's `LogLoader`): its output is
//! written to `.cleaned` files, renamed to `.swap` once complete, and then takes the place of the
//! segments it was made from. From `.swap` on it is carried through, before that it is dropped.
use std::path::Path;

use super::error::{At, LogError};
use super::names::{
    CLEANED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX, SWAP_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX,
    offset_of,
};
use super::place::Place;
use super::storage::{DirEntry, Disk, OpenMode, remove_if_exists};
use crate::record::{HEADER_LEN, StoredHeader};

/// The files that a compaction replaces; producer snapshots stay.
const SUFFIXES: [&str; 4] = [
    LOG_SUFFIX,
    INDEX_SUFFIX,
    TIME_INDEX_SUFFIX,
    TXN_INDEX_SUFFIX,
];

/// Carries interrupted compactions through; whether there were any.
pub(super) fn complete(place: &Place, entries: &[DirEntry]) -> Result<bool, LogError> {
    let swapped = |suffix: &str| {
        let suffix = format!("{LOG_SUFFIX}{suffix}");
        let bases = entries
            .iter()
            .filter_map(move |entry| offset_of(&entry.name, &suffix));
        bases.collect::<Vec<i64>>()
    };
    // One compaction may have several outputs: with one of them incomplete, so is the whole.
    let incomplete_from = swapped(CLEANED_SUFFIX)
        .into_iter()
        .min()
        .unwrap_or(i64::MAX);
    let swaps = swapped(SWAP_SUFFIX);
    for base in &swaps {
        if *base < incomplete_from {
            replace(place, entries, *base)?;
        } else {
            remove(place, *base, SWAP_SUFFIX)?;
        }
    }
    Ok(!swaps.is_empty())
}

/// Puts the output that starts at `base` in the place of the segments it covers.
fn replace(place: &Place, entries: &[DirEntry], base: i64) -> Result<(), LogError> {
    let disk = place.disk.as_ref();
    let path = place.file(base, &format!("{LOG_SUFFIX}{SWAP_SUFFIX}"));
    let end = end_of(disk, &path, base)?;
    tracing::info!(
        "completing the interrupted compaction of {}",
        path.display()
    );
    for entry in entries {
        let covered = offset_of(&entry.name, LOG_SUFFIX).filter(|at| (base..end).contains(at));
        if let Some(at) = covered {
            remove(place, at, "")?;
        }
    }
    remove(place, base, "")?;
    // The log file last: as long as it is there as .swap, all this is done again.
    for suffix in SUFFIXES.iter().rev() {
        let from = place.file(base, &format!("{suffix}{SWAP_SUFFIX}"));
        match disk.rename(&from, &place.file(base, suffix)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            other => other.at(&from)?,
        }
    }
    Ok(())
}

fn remove(place: &Place, base: i64, suffix: &str) -> Result<(), LogError> {
    for kind in SUFFIXES {
        let path = place.file(base, &format!("{kind}{suffix}"));
        remove_if_exists(place.disk.as_ref(), &path).at(&path)?;
    }
    Ok(())
}

/// One past the last offset in the file at `path`; at least one past `base`, for an empty output
/// stands for the segment it was made from.
fn end_of(disk: &dyn Disk, path: &Path, base: i64) -> Result<i64, LogError> {
    let file = disk.open(path, OpenMode::Read).at(path)?;
    let mut end = base.saturating_add(1);
    let mut position = 0;
    let mut header = [0; HEADER_LEN];
    loop {
        let read = disk.read_at(&file, &mut header, position).at(path)?;
        let header = header.get(..read).unwrap_or_default();
        let Ok(Some(batch)) = StoredHeader::parse(header) else {
            break;
        };
        end = end.max(batch.next_offset());
        position += batch.size() as u64;
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::log::file_cache::FileCache;
    use crate::log::storage::RealDisk;
    use crate::record::{BatchBuilder, BatchMeta};

    fn batch(base_offset: i64, count: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        for _ in 0..count {
            builder.append(1, Some(b"k"), Some(b"v"), &[]).unwrap();
        }
        let meta = BatchMeta {
            base_offset,
            ..BatchMeta::default()
        };
        builder.finish(&meta).unwrap().to_vec()
    }

    /// Lays out files with the given names, completes, and gives the names that are left.
    fn after(files: &[(&str, Vec<u8>)]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(dir.path().join(named(0, name)), bytes).unwrap();
        }
        let disk = Arc::new(RealDisk);
        let place = Place::new(dir.path().to_owned(), disk, Arc::new(FileCache::new(1)));
        let entries = RealDisk.read_dir(dir.path()).unwrap();
        complete(&place, &entries).unwrap();
        let names = RealDisk.read_dir(dir.path()).unwrap();
        names
            .into_iter()
            .map(|entry| entry.name[20..].to_owned())
            .collect()
    }

    fn named(offset: i64, suffix: &str) -> String {
        crate::log::names::file_name(offset, suffix)
    }

    #[test]
    fn a_complete_output_replaces_the_segments_it_covers() {
        let dir = tempfile::tempdir().unwrap();
        let write = |offset, suffix: &str, bytes: &[u8]| {
            std::fs::write(dir.path().join(named(offset, suffix)), bytes).unwrap();
        };
        for offset in [0, 6, 12] {
            write(offset, ".log", &batch(offset, 6));
            write(offset, ".index", b"12345678");
            write(offset, ".timeindex", b"");
        }
        write(0, ".log.swap", &batch(0, 12));
        write(0, ".timeindex.swap", b"");
        let place = Place::new(
            dir.path().to_owned(),
            Arc::new(RealDisk),
            Arc::new(FileCache::new(1)),
        );
        let entries = RealDisk.read_dir(dir.path()).unwrap();
        assert!(complete(&place, &entries).unwrap());
        let left: Vec<String> = RealDisk
            .read_dir(dir.path())
            .unwrap()
            .into_iter()
            .map(|e| e.name)
            .collect();
        let expected = [
            named(0, ".log"),
            named(0, ".timeindex"),
            named(12, ".index"),
            named(12, ".log"),
            named(12, ".timeindex"),
        ];
        assert_eq!(left, expected);
        assert_eq!(
            std::fs::read(dir.path().join(&left[0])).unwrap(),
            batch(0, 12)
        );
    }

    #[test]
    fn an_incomplete_output_is_dropped() {
        let files = [
            (".log", batch(0, 1)),
            (".log.swap", batch(0, 1)),
            (".index.swap", Vec::new()),
            (".log.cleaned", Vec::new()),
        ];
        assert_eq!(after(&files), [".log", ".log.cleaned"]);
    }
}
