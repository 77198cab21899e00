//! The text files of a log directory that hold one offset per partition, as Kafka's
//! `OffsetCheckpointFile`:
//!
//! ```text
//! 0                          version
//! 2                          entries
//! topic partition offset     one line per entry
//! ```
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::error::{At, LogError};
use super::names::TopicPartition;
use super::storage::{Disk, read_file, replace_file};

/// Flushed up to here; recovery after an unclean stop starts here.
pub const RECOVERY_POINT: &str = "recovery-point-offset-checkpoint";
/// High watermarks.
pub const HIGH_WATERMARK: &str = "replication-offset-checkpoint";
/// Log start offsets that no segment's name tells.
pub const LOG_START: &str = "log-start-offset-checkpoint";
/// First offsets that compaction has not seen; kept for whoever compacts.
pub const CLEANER: &str = "cleaner-offset-checkpoint";

/// No file with so many bytes is one of ours: room for five million partitions.
const BYTES_MAX: u64 = 1 << 30;

/// Offsets by partition.
pub type Offsets = BTreeMap<TopicPartition, i64>;

/// Reads a checkpoint; a missing or an empty file is an empty checkpoint, as it is for Kafka.
pub fn read(disk: &dyn Disk, path: &Path) -> Result<Offsets, LogError> {
    let Some(bytes) = read_file(disk, path, BYTES_MAX).at(path)? else {
        return Ok(Offsets::new());
    };
    parse(&bytes).map_err(|reason| LogError::malformed(path, reason))
}

/// Replaces a checkpoint atomically and durably.
pub fn write(disk: &dyn Disk, path: &Path, offsets: &Offsets) -> Result<(), LogError> {
    replace_file(disk, path, format(offsets).as_bytes()).at(path)
}

fn format(offsets: &Offsets) -> String {
    let mut text = format!("0\n{}\n", offsets.len());
    for (tp, offset) in offsets {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {} {offset}", tp.topic, tp.partition);
    }
    text
}

pub(super) fn parse(bytes: &[u8]) -> Result<Offsets, String> {
    let text = str::from_utf8(bytes).map_err(|_| "is not text".to_owned())?;
    let mut offsets = Offsets::new();
    for line in checkpoint_lines(text)? {
        let entry = parse_entry(line).ok_or_else(|| format!("line {line:?} is no entry"))?;
        offsets.insert(entry.0, entry.1);
    }
    Ok(offsets)
}

fn parse_entry(line: &str) -> Option<(TopicPartition, i64)> {
    let mut words = line.split_ascii_whitespace();
    let (topic, partition, offset) = (words.next()?, words.next()?, words.next()?);
    let entry = (
        TopicPartition::new(topic, partition.parse().ok()?),
        offset.parse().ok()?,
    );
    words.next().is_none().then_some(entry)
}

/// The entries of a version 0 checkpoint, after checking its version and count.
pub(super) fn checkpoint_lines(text: &str) -> Result<Vec<&str>, String> {
    let mut lines = text.lines();
    let Some(version) = lines.next() else {
        return Ok(Vec::new());
    };
    if version.trim() != "0" {
        return Err(format!(
            "has version {version:?}, not 0; was it written by a newer Kafka?"
        ));
    }
    let count = lines.next().unwrap_or_default();
    let expected: usize = count
        .trim()
        .parse()
        .map_err(|_| format!("holds {count:?} in place of a count"))?;
    let entries: Vec<&str> = lines.collect();
    if entries.len() != expected {
        return Err(format!(
            "holds {} entries, not {expected} as it says",
            entries.len()
        ));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::storage::RealDisk;
    use proptest::prelude::*;

    #[test]
    fn is_written_as_kafka_does() {
        let offsets = Offsets::from([
            (TopicPartition::new("b", 0), 7),
            (TopicPartition::new("a", 10), 2),
            (TopicPartition::new("a", 9), 1),
        ]);
        assert_eq!(format(&offsets), "0\n3\na 9 1\na 10 2\nb 0 7\n");
        assert_eq!(parse(format(&offsets).as_bytes()), Ok(offsets));
    }

    #[test]
    fn a_damaged_file_is_refused() {
        for text in [
            "1\n0\n",
            "0\n",
            "0\n2\na 0 1\n",
            "0\n1\na 0\n",
            "0\n1\na 0 1 2\n",
            "\u{0}",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert_eq!(parse(b""), Ok(Offsets::new()));
    }

    #[test]
    fn a_missing_file_is_an_empty_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(RECOVERY_POINT);
        assert_eq!(read(&RealDisk, &path).unwrap(), Offsets::new());
        let offsets = Offsets::from([(TopicPartition::new("t", 0), 5)]);
        write(&RealDisk, &path, &offsets).unwrap();
        assert_eq!(read(&RealDisk, &path).unwrap(), offsets);
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "no file is left aside"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_offsets_come_back(offsets in prop::collection::btree_map(
            ("[a-z._-]{1,9}", 0..100i32).prop_map(|(t, p)| TopicPartition::new(t, p)),
            any::<i64>(), 0..9))
        {
            prop_assert_eq!(parse(format(&offsets).as_bytes()), Ok(offsets));
        }
    }
}
