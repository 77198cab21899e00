//! Names of files and directories, as Kafka's `LogFileUtils` and `UnifiedLog` build them.
use std::fmt;
use std::sync::Arc;

use crate::protocol::Uuid;

pub const LOG_SUFFIX: &str = ".log";
pub const INDEX_SUFFIX: &str = ".index";
pub const TIME_INDEX_SUFFIX: &str = ".timeindex";
pub const TXN_INDEX_SUFFIX: &str = ".txnindex";
pub const SNAPSHOT_SUFFIX: &str = ".snapshot";
/// Waits for `file.delete.delay.ms`, then goes.
pub const DELETED_SUFFIX: &str = ".deleted";
/// A compaction's output that is not complete.
pub const CLEANED_SUFFIX: &str = ".cleaned";
/// A compaction's complete output that has yet to take its place.
pub const SWAP_SUFFIX: &str = ".swap";
/// A file being written that will replace another.
pub const TEMPORARY_SUFFIX: &str = ".tmp";
pub const DELETE_DIR_SUFFIX: &str = "-delete";
pub const FUTURE_DIR_SUFFIX: &str = "-future";
pub const STRAY_DIR_SUFFIX: &str = "-stray";
/// The metadata log, which the `raft` room opens by itself.
pub const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// Longest name of a directory that common file systems take.
const DIR_NAME_LEN_MAX: usize = 255;

/// A topic's name and a partition's number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }

    /// Parses `<topic>-<partition>`; the number is what follows the last dash.
    pub fn from_dir_name(name: &str) -> Option<Self> {
        let (topic, partition) = name.rsplit_once('-')?;
        let partition: i32 = partition.parse().ok().filter(|p| *p >= 0)?;
        (!topic.is_empty()).then(|| Self::new(topic, partition))
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// What a directory inside a log directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionDir {
    Live(TopicPartition),
    /// Waits for its removal.
    Deleted,
    /// Was not assigned to this node when it last looked.
    Stray,
    /// The target of a move between log directories.
    Future(TopicPartition),
    /// Nothing of ours.
    Other,
}

impl PartitionDir {
    pub fn parse(name: &str) -> Self {
        if name.ends_with(DELETE_DIR_SUFFIX) {
            return Self::Deleted;
        }
        if name.ends_with(STRAY_DIR_SUFFIX) {
            return Self::Stray;
        }
        if let Some(rest) = name.strip_suffix(FUTURE_DIR_SUFFIX) {
            let live = rest
                .rsplit_once('.')
                .and_then(|(tp, _)| TopicPartition::from_dir_name(tp));
            return live.map_or(Self::Other, Self::Future);
        }
        TopicPartition::from_dir_name(name).map_or(Self::Other, Self::Live)
    }
}

/// `<topic>-<partition>.<32 hex digits><suffix>`, the topic cut so that the name fits.
pub fn renamed_dir(tp: &TopicPartition, unique: Uuid, suffix: &str) -> String {
    let tail = format!("-{}.{}{suffix}", tp.partition, hex(unique));
    let mut keep = tp
        .topic
        .len()
        .min(DIR_NAME_LEN_MAX.saturating_sub(tail.len()));
    while !tp.topic.is_char_boundary(keep) {
        keep -= 1;
    }
    format!("{}{tail}", tp.topic.get(..keep).unwrap_or_default())
}

fn hex(id: Uuid) -> String {
    id.as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// `offset` as the 20 digits that every file of a segment starts with.
pub fn file_name(offset: i64, suffix: &str) -> String {
    format!("{offset:020}{suffix}")
}

/// The offset in a name made by [`file_name`] with this suffix.
pub fn offset_of(name: &str, suffix: &str) -> Option<i64> {
    let digits = name.strip_suffix(suffix)?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_names_are_told_apart() {
        let live = |topic: &str, n| PartitionDir::Live(TopicPartition::new(topic, n));
        for (name, expected) in [
            ("plain-0", live("plain", 0)),
            (
                "name.with.dots_and-dashes-12",
                live("name.with.dots_and-dashes", 12),
            ),
            (
                "todelete-0.0123456789abcdef0123456789abcdef-delete",
                PartitionDir::Deleted,
            ),
            (
                "t-0.0123456789abcdef0123456789abcdef-stray",
                PartitionDir::Stray,
            ),
            (
                "t-7.0123456789abcdef0123456789abcdef-future",
                PartitionDir::Future(TopicPartition::new("t", 7)),
            ),
            ("lost+found", PartitionDir::Other),
            ("-1", PartitionDir::Other),
            ("t-", PartitionDir::Other),
            ("t-99999999999", PartitionDir::Other),
        ] {
            assert_eq!(PartitionDir::parse(name), expected, "{name}");
        }
    }

    #[test]
    fn a_long_topic_is_cut_when_its_directory_is_renamed() {
        let tp = TopicPartition::new("x".repeat(249), 123);
        let name = renamed_dir(&tp, Uuid::METADATA_TOPIC_ID, DELETE_DIR_SUFFIX);
        assert_eq!(name.len(), DIR_NAME_LEN_MAX);
        assert!(
            name.ends_with("x-123.00000000000000000000000000000001-delete"),
            "{name}"
        );
    }

    #[test]
    fn file_names_carry_their_offset() {
        assert_eq!(file_name(81, LOG_SUFFIX), "00000000000000000081.log");
        assert_eq!(offset_of("00000000000000000081.log", LOG_SUFFIX), Some(81));
        assert_eq!(
            offset_of("00000000000000000081.log.deleted", LOG_SUFFIX),
            None
        );
        assert_eq!(offset_of("+1.log", LOG_SUFFIX), None);
        assert_eq!(offset_of("99999999999999999999.log", LOG_SUFFIX), None);
    }
}
