//! Where each leader epoch starts in a partition's log, and `leader-epoch-checkpoint`, the file
//! that remembers it:
//!
//! ```text
//! 0                  version
//! 2                  entries
//! epoch offset       one line per entry, both ascending
//! ```
use std::fmt::Write;
use std::path::Path;

use super::checkpoints::checkpoint_lines;
use super::error::{At, LogError};
use super::storage::{Disk, read_file, replace_file, replace_file_unsynced};

pub const FILE_NAME: &str = "leader-epoch-checkpoint";
/// Room for a million epochs.
const BYTES_MAX: u64 = 32 << 20;

/// A leader epoch and the offset of its first batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEntry {
    pub epoch: i32,
    pub start_offset: i64,
}

/// The epochs of one log, oldest first (Kafka's `LeaderEpochFileCache`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeaderEpochs {
    entries: Vec<EpochEntry>,
}

impl LeaderEpochs {
    /// Reads the file at `path`; a missing or empty one holds no epochs.
    pub fn read(disk: &dyn Disk, path: &Path) -> Result<Self, LogError> {
        let bytes = read_file(disk, path, BYTES_MAX)
            .at(path)?
            .unwrap_or_default();
        if bytes.last().is_some_and(|last| *last != b'\n') {
            // Where it was not forced to the device, an offset may have lost its last digits.
            return Err(LogError::malformed(path, "ends within a line"));
        }
        Self::parse(&bytes).map_err(|reason| LogError::malformed(path, reason))
    }

    /// Replaces the file; with `sync` it outlives a loss of power.
    pub fn write(&self, disk: &dyn Disk, path: &Path, sync: bool) -> Result<(), LogError> {
        let replace = if sync {
            replace_file
        } else {
            replace_file_unsynced
        };
        replace(disk, path, self.format().as_bytes()).at(path)
    }

    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    pub fn latest_epoch(&self) -> Option<i32> {
        self.entries.last().map(|entry| entry.epoch)
    }

    pub fn earliest(&self) -> Option<EpochEntry> {
        self.entries.first().copied()
    }

    /// Notes that `epoch` starts at `start_offset`; entries that contradict it go. Returns whether
    /// anything changed.
    pub fn assign(&mut self, epoch: i32, start_offset: i64) -> bool {
        if epoch < 0 || start_offset < 0 {
            return false;
        }
        if let Some(last) = self.entries.last()
            && epoch == last.epoch
            && start_offset >= last.start_offset
        {
            return false;
        }
        let contradicts = |e: &EpochEntry| e.epoch >= epoch || e.start_offset >= start_offset;
        while self.entries.last().is_some_and(contradicts) {
            self.entries.pop();
        }
        self.entries.push(EpochEntry {
            epoch,
            start_offset,
        });
        true
    }

    /// The epoch that the record at `offset` was written in.
    pub fn epoch_for_offset(&self, offset: i64) -> Option<i32> {
        let after = self
            .entries
            .partition_point(|entry| entry.start_offset <= offset);
        after
            .checked_sub(1)
            .and_then(|at| self.entries.get(at))
            .map(|entry| entry.epoch)
    }

    /// The largest epoch ≤ `epoch` that is known, and the offset where it ends; `None` if `epoch`
    /// is newer than all (the answer to OffsetForLeaderEpoch).
    pub fn end_offset_for(&self, epoch: i32, log_end_offset: i64) -> Option<(i32, i64)> {
        const UNDEFINED: i32 = -1;
        if epoch == UNDEFINED {
            return None;
        }
        if self.latest_epoch() == Some(epoch) {
            return Some((epoch, log_end_offset));
        }
        let after = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let next = self.entries.get(after)?;
        let floor = after.checked_sub(1).and_then(|at| self.entries.get(at));
        Some((floor.map_or(epoch, |entry| entry.epoch), next.start_offset))
    }

    /// Forgets epochs that start at or after `end_offset`.
    pub fn truncate_from_end(&mut self, end_offset: i64) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.start_offset < end_offset);
        before != self.entries.len()
    }

    /// Forgets epochs that end at or before `start_offset`; the one that holds it starts there.
    pub fn truncate_from_start(&mut self, start_offset: i64) -> bool {
        let started = self
            .entries
            .partition_point(|entry| entry.start_offset <= start_offset);
        let Some(at) = started.checked_sub(1) else {
            return false;
        };
        let Some(holder) = self.entries.get_mut(at) else {
            return false;
        };
        let changed = at > 0 || holder.start_offset != start_offset;
        holder.start_offset = start_offset;
        self.entries.drain(..at);
        changed
    }

    fn format(&self) -> String {
        let mut text = format!("0\n{}\n", self.entries.len());
        for entry in &self.entries {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{} {}", entry.epoch, entry.start_offset);
        }
        text
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(bytes).map_err(|_| "is not text".to_owned())?;
        let mut epochs = Self::default();
        for line in checkpoint_lines(text)? {
            let entry = parse_entry(line).ok_or_else(|| format!("line {line:?} is no entry"))?;
            epochs.assign(entry.epoch, entry.start_offset);
        }
        Ok(epochs)
    }
}

fn parse_entry(line: &str) -> Option<EpochEntry> {
    let (epoch, start_offset) = line.trim().split_once(' ')?;
    Some(EpochEntry {
        epoch: epoch.parse().ok()?,
        start_offset: start_offset.trim().parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for (epoch, start_offset) in entries {
            epochs.assign(*epoch, *start_offset);
        }
        epochs
    }

    #[test]
    fn is_written_as_kafka_does() {
        assert_eq!(epochs(&[(0, 0), (3, 17)]).format(), "0\n2\n0 0\n3 17\n");
        assert_eq!(
            LeaderEpochs::parse(b"0\n2\n0 0\n3 17\n").unwrap(),
            epochs(&[(0, 0), (3, 17)])
        );
        assert_eq!(LeaderEpochs::parse(b"").unwrap(), epochs(&[]));
    }

    #[test]
    fn an_epoch_is_assigned_once_and_wins_over_what_contradicts_it() {
        let mut some = epochs(&[(1, 10), (2, 20), (4, 40)]);
        assert!(!some.assign(4, 50));
        assert!(some.assign(3, 30));
        assert_eq!(some, epochs(&[(1, 10), (2, 20), (3, 30)]));
        assert!(some.assign(5, 15));
        assert_eq!(some, epochs(&[(1, 10), (5, 15)]));
    }

    #[test]
    fn answers_where_an_epoch_ends() {
        let some = epochs(&[(1, 10), (2, 20), (4, 40)]);
        for (epoch, expected) in [
            (-1, None),
            (0, Some((0, 10))),
            (1, Some((1, 20))),
            (3, Some((2, 40))),
            (4, Some((4, 55))),
            (5, None),
        ] {
            assert_eq!(some.end_offset_for(epoch, 55), expected, "epoch {epoch}");
        }
        assert_eq!(epochs(&[]).end_offset_for(0, 5), None);
    }

    #[test]
    fn answers_the_epoch_of_an_offset() {
        let some = epochs(&[(1, 10), (2, 20)]);
        for (offset, expected) in [(9, None), (10, Some(1)), (19, Some(1)), (20, Some(2))] {
            assert_eq!(some.epoch_for_offset(offset), expected, "offset {offset}");
        }
    }

    #[test]
    fn is_cut_at_both_ends() {
        let mut some = epochs(&[(1, 10), (2, 20), (4, 40)]);
        assert!(some.truncate_from_end(40));
        assert!(!some.truncate_from_end(40));
        assert_eq!(some, epochs(&[(1, 10), (2, 20)]));
        assert!(some.truncate_from_start(15));
        assert_eq!(some, epochs(&[(1, 15), (2, 20)]));
        assert!(some.truncate_from_start(25));
        assert!(!some.truncate_from_start(25));
        assert_eq!(some, epochs(&[(2, 25)]));
        assert!(!some.truncate_from_start(5));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = LeaderEpochs::parse(&bytes);
        }
    }
}
