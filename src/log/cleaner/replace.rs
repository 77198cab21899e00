//! A cleaned segment takes the place of those it was made from.
//!
//! The names on the disk say at any moment how far it has come, see `swap.rs`. In memory the old
//! segments are marked before the first of their files is renamed: whoever looks at them after that
//! waits for the writer's lock and looks at the new ones. Whoever holds a file open reads on in it.
use std::io::ErrorKind;
use std::sync::Arc;

use super::CleaningError;
use super::output::{discard, to_swap};
use crate::log::error::{At, LogError};
use crate::log::log::{Log, Writer};
use crate::log::names::{
    DELETED_SUFFIX, LOG_SUFFIX, SNAPSHOT_SUFFIX, SWAP_SUFFIX, TXN_INDEX_SUFFIX, file_name,
};
use crate::log::retention::PendingRemoval;
use crate::log::segment::Segment;
use crate::log::storage::remove_if_exists;
use crate::log::swap::SUFFIXES;

impl Log {
    /// Puts the output, complete and on the device, in the place of `sources`, which follow each
    /// other in the log. If they are not there any more, it is not used.
    pub(super) fn replace_segments(
        &self,
        sources: &[Arc<Segment>],
        has_txn_index: bool,
        now_ms: i64,
    ) -> Result<(), CleaningError> {
        let Some(first) = sources.first() else {
            return Ok(());
        };
        let base_offset = first.base_offset();
        to_swap(&self.place, base_offset).inspect_err(|_| discard(&self.place, base_offset))?;
        let writer = self.writer.lock();
        let Some(at) = self.place_of(sources, &writer) else {
            discard(&self.place, base_offset);
            return Err(CleaningError::Aborted);
        };
        sources.iter().for_each(|source| source.replace());
        let mut moved = 0;
        if let Err(e) = self.swap_files(sources, has_txn_index, &mut moved, now_ms) {
            if moved == 0 {
                sources.iter().for_each(|source| source.keep());
                discard(&self.place, base_offset);
            } else {
                // Neither the old nor the new segment is whole: the next start completes it.
                self.give_up(&format!("a cleaned segment was put in place by half: {e}"));
            }
            return Err(e.into());
        }
        let output = Segment::existing(base_offset, first.created_ms(), has_txn_index);
        let mut segments = self.segments.load().to_vec();
        segments.splice(at..at + sources.len(), [Arc::new(output)]);
        self.segments.store(Arc::new(segments));
        self.forget_snapshots(sources);
        drop(writer);
        let dir = self.place.dir();
        Ok(self.place.disk.sync_dir(&dir).at(&dir)?)
    }

    /// Where in the log the sources are, unless one of them went, as others do by retention or by a
    /// truncation, or the log is closed.
    fn place_of(&self, sources: &[Arc<Segment>], writer: &Writer) -> Option<usize> {
        self.check_usable(writer).ok()?;
        let segments = self.segments.load();
        let first = sources.first()?;
        let at = segments.iter().position(|s| Arc::ptr_eq(s, first))?;
        let there = segments.get(at..at + sources.len())?;
        let same = there.iter().zip(sources).all(|(a, b)| Arc::ptr_eq(a, b));
        // The last segment is appended to.
        (same && segments.len() > at + sources.len()).then_some(at)
    }

    /// Counts in `moved` the files that were renamed.
    fn swap_files(
        &self,
        sources: &[Arc<Segment>],
        has_txn_index: bool,
        moved: &mut usize,
        now_ms: i64,
    ) -> Result<(), LogError> {
        let disk = self.place.disk.as_ref();
        let dir = self.place.dir();
        let due_ms = now_ms.saturating_add(self.config_now().file_delete_delay_ms);
        for source in sources {
            source.close();
            for kind in SUFFIXES {
                self.set_aside(&file_name(source.base_offset(), kind), due_ms)?;
                *moved += 1;
            }
        }
        if sources.len() > 1 {
            // A log file in its place while those it covers are still there would double records.
            disk.sync_dir(&dir).at(&dir)?;
        }
        let base_offset = sources.first().map_or(0, |first| first.base_offset());
        for kind in SUFFIXES {
            if kind == TXN_INDEX_SUFFIX && !has_txn_index {
                continue;
            }
            let from = self
                .place
                .file(base_offset, &format!("{kind}{SWAP_SUFFIX}"));
            let to = self.place.file(base_offset, kind);
            disk.rename(&from, &to).at(&from)?;
            if kind == LOG_SUFFIX && has_txn_index {
                // With the log file on its way, a start takes what else is in place for the old.
                disk.sync_dir(&dir).at(&dir)?;
            }
        }
        Ok(())
    }

    /// Renames a file of a segment that left the log; it goes after `file.delete.delay.ms`.
    fn set_aside(&self, name: &str, due_ms: i64) -> Result<(), LogError> {
        let deleted = format!("{name}{DELETED_SUFFIX}");
        let from = self.place.path(name);
        match self.place.disk.rename(&from, &self.place.path(&deleted)) {
            Ok(()) => {
                self.removals.lock().push(PendingRemoval {
                    name: deleted,
                    due_ms,
                });
                Ok(())
            }
            Err(e) if e.kind() == ErrorKind::NotFound && !name.ends_with(LOG_SUFFIX) => Ok(()),
            Err(e) => Err(e).at(&from),
        }
    }

    /// Producer snapshots at the bases of segments that are no more.
    fn forget_snapshots(&self, sources: &[Arc<Segment>]) {
        for source in sources.iter().skip(1) {
            let path = self.place.file(source.base_offset(), SNAPSHOT_SUFFIX);
            if let Err(e) = remove_if_exists(self.place.disk.as_ref(), &path) {
                tracing::warn!("{} is left behind: {e}", path.display());
            }
        }
    }
}
