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
pub(super) const SUFFIXES: [&str; 4] = [
    LOG_SUFFIX,
    INDEX_SUFFIX,
    TIME_INDEX_SUFFIX,
    TXN_INDEX_SUFFIX,
];

/// Carries interrupted compactions through; whether there were any.
///
/// May itself be interrupted anywhere and run again: what marks a compaction as incomplete, or a
/// segment as covered, goes last.
pub(super) fn complete(place: &Place, entries: &[DirEntry]) -> Result<bool, LogError> {
    // One compaction may have several outputs of several files: with one of them incomplete, so is
    // the whole, from the least on.
    let incomplete_from = bases(entries, CLEANED_SUFFIX).map(|(base, _)| base).min();
    let incomplete_from = incomplete_from.unwrap_or(i64::MAX);
    let mut complete = Vec::new();
    let mut any = false;
    for (base, kind) in bases(entries, SWAP_SUFFIX) {
        any = true;
        if base < incomplete_from {
            complete.push((base, kind));
        } else {
            let path = place.file(base, &format!("{kind}{SWAP_SUFFIX}"));
            remove_if_exists(place.disk.as_ref(), &path).at(&path)?;
        }
    }
    if !complete.is_empty() {
        replace(place, entries, &complete)?;
    } else if any {
        // Before what marks them as incomplete.
        let dir = place.dir();
        place.disk.sync_dir(&dir).at(&dir)?;
    }
    Ok(any)
}

/// Base offset and kind of the files that end in `suffix`.
fn bases<'a>(
    entries: &'a [DirEntry],
    suffix: &'a str,
) -> impl Iterator<Item = (i64, &'static str)> + 'a {
    entries.iter().flat_map(move |entry| {
        let name = entry.name.strip_suffix(suffix).unwrap_or_default();
        SUFFIXES
            .iter()
            .filter_map(move |kind| Some((offset_of(name, kind)?, *kind)))
    })
}

/// Puts complete outputs in the place of the segments they cover. Of an output whose log file is in
/// its place already, only the rest is moved.
fn replace(
    place: &Place,
    entries: &[DirEntry],
    complete: &[(i64, &'static str)],
) -> Result<(), LogError> {
    let disk = place.disk.as_ref();
    let dir = place.dir();
    let is_log = |(_, kind): &&(i64, &'static str)| *kind == LOG_SUFFIX;
    for (base, _) in complete.iter().filter(is_log) {
        let path = place.file(*base, &format!("{LOG_SUFFIX}{SWAP_SUFFIX}"));
        let end = end_of(disk, &path, *base)?;
        tracing::info!(
            "completing the interrupted compaction of {}",
            path.display()
        );
        for entry in entries {
            let at = offset_of(&entry.name, LOG_SUFFIX);
            if let Some(at) = at.filter(|at| (*base + 1..end).contains(at)) {
                remove(place, at, &SUFFIXES)?;
            }
        }
        // Of its own name, what is renamed over may stay until then.
        let renamed = |kind: &&str| complete.contains(&(*base, kind));
        let kinds: Vec<&str> = SUFFIXES.into_iter().filter(|kind| !renamed(kind)).collect();
        remove(place, *base, &kinds)?;
    }
    let (logs, others): (Vec<_>, Vec<_>) = complete.iter().partition(is_log);
    for files in [logs, others] {
        disk.sync_dir(&dir).at(&dir)?;
        for (base, kind) in files {
            let from = place.file(base, &format!("{kind}{SWAP_SUFFIX}"));
            disk.rename(&from, &place.file(base, kind)).at(&from)?;
        }
    }
    disk.sync_dir(&dir).at(&dir)
}

/// Removes files of a segment.
fn remove(place: &Place, base: i64, kinds: &[&str]) -> Result<(), LogError> {
    for kind in kinds {
        let path = place.file(base, kind);
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
        write(0, ".index.swap", b"");
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
            named(0, ".index"),
            named(0, ".log"),
            named(0, ".timeindex"),
            named(12, ".index"),
            named(12, ".log"),
            named(12, ".timeindex"),
        ];
        assert_eq!(left, expected);
        assert_eq!(
            std::fs::read(dir.path().join(&left[1])).unwrap(),
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
    /// Kafka renames the log file first.
    #[test]
    fn an_output_of_which_one_file_is_incomplete_is_dropped() {
        let files = [
            (".log", batch(0, 1)),
            (".index", Vec::new()),
            (".log.swap", batch(0, 2)),
            (".index.cleaned", Vec::new()),
        ];
        assert_eq!(after(&files), [".index", ".index.cleaned", ".log"]);
    }

    #[test]
    fn what_is_left_of_a_completed_output_takes_its_place() {
        let files = [
            (".log", batch(0, 1)),
            (".txnindex.swap", b"new".to_vec()),
            (".index.swap", Vec::new()),
        ];
        assert_eq!(after(&files), [".index", ".log", ".txnindex"]);
    }

    /// An aborted transaction must not be told of any more once its marker is gone.
    #[test]
    fn a_transaction_index_that_the_output_has_not_goes() {
        let files = [
            (".log", batch(0, 1)),
            (".txnindex", b"old".to_vec()),
            (".index", b"old".to_vec()),
            (".log.swap", batch(0, 2)),
            (".index.swap", Vec::new()),
        ];
        assert_eq!(after(&files), [".index", ".log"]);
    }
}
