//! The offset checkpoints of a log directory, by themselves and against the partitions.
use std::path::{Path, PathBuf};

use super::{OnStart, Outcome, PartitionEnd, PartitionFacts, Verifier};
use crate::log::TopicPartition;
use crate::log::checkpoints::{self, Offsets};

const BYTES_MAX: u64 = 1 << 30;
/// Which reader fails on a damaged file: Kafka reads all but the first as it needs them.
const NAMES: [&str; 4] = [
    checkpoints::RECOVERY_POINT,
    checkpoints::HIGH_WATERMARK,
    checkpoints::LOG_START,
    checkpoints::CLEANER,
];

/// What the checkpoints of a directory say.
#[derive(Debug, Clone, Default)]
pub struct Checkpoints {
    dir: PathBuf,
    recovery_points: Offsets,
    high_watermarks: Offsets,
    log_starts: Offsets,
    cleaner: Offsets,
    /// The last stop was in order.
    pub clean: bool,
}

impl Checkpoints {
    /// Whether a file of a log directory is one of these.
    pub fn is_one(name: &str) -> bool {
        NAMES.contains(&name)
    }

    pub fn of(&self, tp: &TopicPartition) -> PartitionFacts {
        let get = |offsets: &Offsets| offsets.get(tp).copied();
        PartitionFacts {
            clean: self.clean,
            recovery_point: get(&self.recovery_points),
            high_watermark: get(&self.high_watermarks),
            log_start_offset: get(&self.log_starts),
        }
    }
}

impl Verifier<'_> {
    /// Reads the checkpoints of a log directory.
    pub fn checkpoints(&mut self, dir: &Path, clean: bool) -> Checkpoints {
        let [recovery_points, high_watermarks, log_starts, cleaner] =
            NAMES.map(|name| self.checkpoint(&dir.join(name)));
        Checkpoints {
            dir: dir.to_owned(),
            recovery_points,
            high_watermarks,
            log_starts,
            cleaner,
            clean,
        }
    }

    fn checkpoint(&mut self, path: &Path) -> Offsets {
        let Some(bytes) = self.small_file(path, BYTES_MAX) else {
            return Offsets::new();
        };
        self.counts.checkpoints += 1;
        let parsed = checkpoints::parse(&bytes).and_then(|offsets| {
            let negative = offsets.iter().find(|(_, offset)| **offset < 0);
            match negative {
                Some((tp, offset)) => Err(format!("{tp} has offset {offset}")),
                None => Ok(offsets),
            }
        });
        parsed.unwrap_or_else(|what| {
            let outcome = Outcome {
                kafkars: OnStart::Ignores,
                kafka: OnStart::DirectoryFails,
            };
            let remedy = "delete it: what it says is found out from the logs, which takes longer";
            self.fault(path, None, what, outcome, remedy);
            Offsets::new()
        })
    }

    /// What the checkpoints say of a partition that was read to its end.
    pub fn compare(&mut self, said: &Checkpoints, tp: &TopicPartition, end: &PartitionEnd) {
        let log_end = end.log_end_offset;
        let recovery_point = said.recovery_points.get(tp).copied();
        if said.clean && end.whole && recovery_point.is_some_and(|point| point != log_end) {
            let path = said.dir.join(checkpoints::RECOVERY_POINT);
            let what = format!(
                "{tp} is said to end at {}, it ends at {log_end}",
                recovery_point.unwrap_or_default()
            );
            let outcome = Outcome {
                kafkars: OnStart::PartitionFails,
                kafka: OnStart::Overlooks,
            };
            let remedy = "delete .kafka_cleanshutdown: the logs are recovered then";
            self.fault(&path, None, what, outcome, remedy);
        }
        for (name, offsets) in [
            (checkpoints::HIGH_WATERMARK, &said.high_watermarks),
            (checkpoints::LOG_START, &said.log_starts),
            (checkpoints::CLEANER, &said.cleaner),
        ] {
            let Some(offset) = offsets.get(tp).filter(|offset| **offset > log_end) else {
                continue;
            };
            let what = format!("{tp} has {offset}, its log ends at {log_end}");
            let remedy = "nothing, but records that were acknowledged are missing";
            let outcome = Outcome::both(OnStart::Repairs);
            self.fault(&said.dir.join(name), None, what, outcome, remedy);
        }
    }

    /// Entries without a partition are harmless.
    pub fn orphans(&mut self, said: &Checkpoints, hosted: &dyn Fn(&TopicPartition) -> bool) {
        for (name, offsets) in NAMES.iter().zip([
            &said.recovery_points,
            &said.high_watermarks,
            &said.log_starts,
            &said.cleaner,
        ]) {
            let gone = offsets.keys().filter(|tp| !hosted(tp)).count();
            if gone > 0 {
                let what = format!("{gone} entries of partitions that are not here");
                self.note(&said.dir.join(name), what);
            }
        }
    }
}
