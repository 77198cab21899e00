//! The directory of one partition: which files there are, its segments in order, and what else
//! tells of them.
use std::collections::BTreeSet;
use std::path::Path;

use super::segment::SegmentFacts;
use super::{Inspect, OnStart, Outcome, Verifier};
use crate::log::epochs::{self, LeaderEpochs};
use crate::log::names::{
    CLEANED_SUFFIX, DELETED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX, SNAPSHOT_SUFFIX, SWAP_SUFFIX,
    TEMPORARY_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX, offset_of,
};
use crate::log::{partition_metadata, producer_snapshot};
use crate::protocol::Uuid;

/// A producer snapshot larger than this is not held in memory to be checked.
const SNAPSHOT_BYTES_MAX: u64 = 256 << 20;
const EPOCHS_BYTES_MAX: u64 = 32 << 20;
const SMALL_BYTES_MAX: u64 = 4096;

/// What the log directory says of a partition.
#[derive(Debug, Clone, Copy, Default)]
pub struct PartitionFacts {
    /// The last stop was in order.
    pub clean: bool,
    pub recovery_point: Option<i64>,
    pub high_watermark: Option<i64>,
    pub log_start_offset: Option<i64>,
}

/// What was found of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionEnd {
    pub log_start_offset: i64,
    pub log_end_offset: i64,
    /// Its segments could be read to their ends.
    pub whole: bool,
    pub topic_id: Option<Uuid>,
}

#[derive(Default)]
struct Files {
    logs: BTreeSet<i64>,
    indexes: Vec<(i64, String)>,
    snapshots: BTreeSet<i64>,
    epochs: bool,
    metadata: bool,
    /// Nothing that a partition has.
    others: Vec<String>,
}

impl Verifier<'_> {
    /// Checks the directory of a partition. `knows` says of a file that is none of a partition's
    /// whether its room knows it, and checks it then.
    pub fn partition(
        &mut self,
        dir: &Path,
        facts: PartitionFacts,
        inspect: Inspect<'_>,
        knows: &mut dyn FnMut(&mut Self, &str) -> bool,
    ) -> Option<PartitionEnd> {
        self.counts.partitions += 1;
        let files = match self.list(dir) {
            Ok(files) => files,
            Err(e) => {
                self.unreadable(dir, &e);
                return None;
            }
        };
        for name in &files.others {
            if !knows(self, name) {
                self.note(&dir.join(name), "unknown file");
            }
        }
        for (base, name) in &files.indexes {
            if !files.logs.contains(base) {
                self.note(
                    &dir.join(name),
                    "index without a segment: deleted at the next start",
                );
            }
        }
        let epochs = self.epochs(dir, files.epochs);
        let topic_id = self.topic_id(dir, files.metadata);
        let first = files.logs.first().copied()?;
        let log_start_offset = facts.log_start_offset.unwrap_or(first).max(first);
        let (log_end_offset, whole) =
            self.segments(dir, facts, &files.logs, epochs.as_ref(), inspect);
        let end = PartitionEnd {
            log_start_offset,
            log_end_offset,
            whole,
            topic_id,
        };
        self.snapshots(dir, &files.snapshots, &end);
        self.epoch_ends(dir, epochs.as_ref(), &end, facts);
        Some(end)
    }

    fn list(&mut self, dir: &Path) -> std::io::Result<Files> {
        let mut files = Files::default();
        let mut left_overs = 0;
        for entry in self.disk.read_dir(dir)? {
            let name = entry.name;
            let left_over = [DELETED_SUFFIX, CLEANED_SUFFIX, TEMPORARY_SUFFIX];
            if entry.is_dir {
                self.note(&dir.join(&name), "unknown directory");
            } else if left_over.iter().any(|suffix| name.ends_with(suffix)) {
                left_overs += 1;
            } else if name.ends_with(SWAP_SUFFIX) {
                self.note(
                    &dir.join(&name),
                    "left over: put in its place at the next start",
                );
            } else if let Some(base) = offset_of(&name, LOG_SUFFIX) {
                files.logs.insert(base);
            } else if let Some(offset) = offset_of(&name, SNAPSHOT_SUFFIX) {
                files.snapshots.insert(offset);
            } else if let Some(base) = [INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX]
                .iter()
                .find_map(|suffix| offset_of(&name, suffix))
            {
                files.indexes.push((base, name));
            } else if name == epochs::FILE_NAME {
                files.epochs = true;
            } else if name == partition_metadata::FILE_NAME {
                files.metadata = true;
            } else {
                files.others.push(name);
            }
        }
        if left_overs > 0 {
            let what = format!("files left over, deleted at the next start: {left_overs}");
            self.note(dir, what);
        }
        Ok(files)
    }

    /// One past the last offset, and whether all could be read.
    fn segments(
        &mut self,
        dir: &Path,
        facts: PartitionFacts,
        logs: &BTreeSet<i64>,
        epochs: Option<&LeaderEpochs>,
        inspect: Inspect<'_>,
    ) -> (i64, bool) {
        let bases: Vec<i64> = logs.iter().copied().collect();
        let first = bases.first().copied().unwrap_or_default();
        let recovery_point = facts.recovery_point.unwrap_or(first);
        let start = facts.log_start_offset.unwrap_or(first).max(first);
        let mut end = first;
        let mut whole = true;
        for (at, base) in bases.iter().enumerate() {
            let next_base = bases.get(at + 1).copied();
            let recovered = !facts.clean && next_base.is_none_or(|next| next > recovery_point);
            let checked_epochs = epochs.filter(|epochs| !recovered && !epochs.entries().is_empty());
            let segment = SegmentFacts {
                dir,
                base_offset: *base,
                next_base,
                recovered,
                sealed: facts.clean || (next_base.is_some() && !recovered),
                epochs: checked_epochs.map(|epochs| (epochs, start)),
            };
            let found = self.segment(&segment, inspect);
            end = end.max(found.next_offset).max(*base);
            whole &= found.whole;
        }
        (end, whole)
    }

    fn snapshots(&mut self, dir: &Path, offsets: &BTreeSet<i64>, end: &PartitionEnd) {
        for offset in offsets {
            self.counts.producer_snapshots += 1;
            let path = dir.join(crate::log::names::file_name(*offset, SNAPSHOT_SUFFIX));
            let Some(bytes) = self.small_file(&path, SNAPSHOT_BYTES_MAX) else {
                continue;
            };
            let what = match producer_snapshot::decode(&bytes) {
                None => "its checksum, size or version is wrong".to_owned(),
                Some(_) if *offset > end.log_end_offset => format!(
                    "is of offset {offset}, the log ends at {}",
                    end.log_end_offset
                ),
                Some(entries) => match entries.iter().find(|entry| entry.last_offset >= *offset) {
                    Some(entry) => format!(
                        "producer {} has offset {} already",
                        entry.producer_id, entry.last_offset
                    ),
                    None => continue,
                },
            };
            let remedy = "delete it: producers are read from the log";
            let outcome = Outcome::both(OnStart::Repairs);
            self.fault(&path, Some(0), what, outcome, remedy);
        }
    }

    fn epochs(&mut self, dir: &Path, exists: bool) -> Option<LeaderEpochs> {
        let path = dir.join(epochs::FILE_NAME);
        let bytes = self
            .small_file(&path, EPOCHS_BYTES_MAX)
            .filter(|_| exists)?;
        self.counts.checkpoints += 1;
        match LeaderEpochs::parse(&bytes) {
            Ok(epochs) => Some(epochs),
            Err(what) => {
                let outcome = Outcome {
                    kafkars: OnStart::Repairs,
                    kafka: OnStart::DirectoryFails,
                };
                let remedy = "delete it and .kafka_cleanshutdown: epochs are read from the batches";
                self.fault(&path, None, what, outcome, remedy);
                None
            }
        }
    }

    fn epoch_ends(
        &mut self,
        dir: &Path,
        epochs: Option<&LeaderEpochs>,
        end: &PartitionEnd,
        facts: PartitionFacts,
    ) {
        let Some(last) = epochs.and_then(|epochs| epochs.entries().last()) else {
            return;
        };
        // After a crash the log may have lost its end; both cut the epochs then.
        if facts.clean && last.start_offset > end.log_end_offset {
            let what = format!(
                "epoch {} starts at {}, the log ends at {}",
                last.epoch, last.start_offset, end.log_end_offset
            );
            let path = dir.join(epochs::FILE_NAME);
            let remedy = "nothing: such epochs are forgotten";
            self.fault(&path, None, what, Outcome::both(OnStart::Repairs), remedy);
        }
    }

    fn topic_id(&mut self, dir: &Path, exists: bool) -> Option<Uuid> {
        let path = dir.join(partition_metadata::FILE_NAME);
        if !exists {
            return None;
        }
        let bytes = self.small_file(&path, SMALL_BYTES_MAX)?;
        if bytes.is_empty() {
            return None;
        }
        let id = partition_metadata::parse(&bytes);
        if id.is_none() {
            let outcome = Outcome {
                kafkars: OnStart::PartitionFails,
                kafka: OnStart::DirectoryFails,
            };
            let what = "is no version 0 partition metadata with a topic id";
            let remedy = "write 'version: 0' and 'topic_id: ID', with the id that kafka-topics \
                          --describe shows, on two lines";
            self.fault(&path, None, what, outcome, remedy);
        }
        id
    }
}
