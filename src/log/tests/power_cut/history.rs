//! One history: what is done with a few partitions, when the power goes, and what is found then.
use std::path::PathBuf;

use super::super::*;
use super::model::{Appended, Entry, Facts, Left, Partition, UnderWay};
use crate::log::cleaner::{Cleaner, Resources, Supervisor};
use crate::log::storage::power::{Dice, PowerDisk};
use crate::protocol::Uuid;

const DIR: &str = "/d";
/// Each ends with a stop, a kill or a cut.
const LIVES: usize = 4;
const STEPS: usize = 24;
/// Changing operations within which the power goes; a life has about so many.
const CUT_WITHIN: usize = 240;
const RESOURCES: Resources = Resources {
    map_bytes: 1 << 16,
    load_factor: 0.9,
    buffer_bytes: 4096,
};

struct Unwatched;

impl Supervisor for Unwatched {
    fn pass(&self, _tp: &TopicPartition, _bytes: usize) -> bool {
        true
    }
}

pub struct History {
    dice: Dice,
    disk: Arc<PowerDisk>,
    /// Names change in order on this disk.
    ordered: bool,
    flush_messages: i64,
    partitions: Vec<Partition>,
    now_ms: i64,
    /// Makes ids of topics, values and transactions.
    count: u64,
    told: bool,
}

impl History {
    pub fn new(seed: u64, told: bool) -> Self {
        let mut dice = Dice(seed);
        let disk = PowerDisk::new(std::path::Path::new(DIR), dice.roll());
        Self {
            disk: Arc::new(disk),
            ordered: dice.one_in(2),
            flush_messages: if dice.one_in(4) { 1 } else { i64::MAX },
            partitions: Vec::new(),
            now_ms: NOW_MS,
            count: 0,
            dice,
            told,
        }
    }

    pub fn run(mut self) {
        let mut left = Left::InOrder;
        for life in 0..LIVES {
            self.tell(|_| format!("life {life}, left {left:?}"));
            let Some(logs) = self.start() else {
                left = Left::WithoutPower;
                continue;
            };
            self.meet(&logs, left);
            let cut_at = self.dice.below(CUT_WITHIN) as u64;
            self.disk.cut_at(cut_at);
            left = self.live(logs);
            self.disk.spare();
            self.end(&mut left);
        }
        let logs = self.open().unwrap();
        self.meet(&logs, left);
    }

    fn tell(&self, what: impl FnOnce(&Self) -> String) {
        if self.told {
            eprintln!("{}", what(self));
        }
    }

    fn open(&self) -> Result<LogManager, LogError> {
        let mut config = LogManagerConfig::new(vec![PathBuf::from(DIR)], self.now_ms);
        config.disk = self.disk.clone();
        config.recovery_threads_per_dir = 1;
        LogManager::open(config, |topic| self.config(topic))
    }

    /// Opens the logs; `None` if the power goes meanwhile.
    fn start(&mut self) -> Option<LogManager> {
        if self.dice.one_in(3) {
            self.disk.cut_at(self.dice.below(40) as u64);
        }
        let opened = self.open();
        if self.disk.struck() {
            self.tell(|_| "cut while starting".to_owned());
            drop(opened);
            self.disk.lose_power(self.ordered);
            return None;
        }
        self.disk.spare();
        Some(opened.unwrap())
    }

    fn config(&self, topic: &str) -> LogConfig {
        let compact = topic == "compacted";
        LogConfig {
            segment_bytes: 700,
            index_interval_bytes: 100,
            flush_messages: self.flush_messages,
            retention_bytes: if compact { -1 } else { 2500 },
            retention_ms: -1,
            file_delete_delay_ms: 100,
            compact,
            delete: !compact,
            min_cleanable_dirty_ratio: 0.0,
            ..LogConfig::default()
        }
    }

    /// After a start.
    fn meet(&mut self, logs: &LogManager, left: Left) {
        let mut partitions = std::mem::take(&mut self.partitions);
        for partition in &mut partitions {
            let tp = partition.tp.clone();
            let log = logs.log(&tp);
            self.tell(|_| {
                let end = log
                    .as_ref()
                    .map(|l| (l.log_start_offset(), l.log_end_offset()));
                format!(
                    "{tp}: {end:?}, known from {} to {}, {:?}",
                    partition.start,
                    partition.end(),
                    partition.under_way
                )
            });
            match (&partition.under_way, partition.exists) {
                (UnderWay::Create, _) if log.is_some() => partition.exists = true,
                (UnderWay::Delete, _) if log.is_none() => partition.exists = false,
                _ => {}
            }
            let Some(log) = log else {
                let nothing_durable = partition.flushed == 0 && left == Left::WithoutPower;
                assert!(!partition.exists || nothing_durable, "{tp} is gone");
                partition.exists = false;
                partition.under_way = UnderWay::Nothing;
                continue;
            };
            assert!(partition.exists, "{tp} was deleted");
            let id = log.topic_id().unwrap();
            assert!(id.is_none_or(|id| id == partition.id), "{tp} has an old id");
            if id.is_none() {
                assert_eq!(left, Left::WithoutPower);
                log.set_topic_id(partition.id).unwrap();
            }
            partition.meet(&log, left);
            log.commit_all().unwrap();
        }
        self.partitions = partitions;
    }

    /// Does this and that until the power goes or it is enough.
    fn live(&mut self, logs: LogManager) -> Left {
        for (topic, compact) in [("plain", false), ("compacted", true)] {
            let at = self.partitions.iter().position(|p| &*p.tp.topic == topic);
            if at.is_none_or(|at| !self.partitions[at].exists) && !self.disk.struck() {
                self.create(&logs, topic, compact);
            }
        }
        for _ in 0..STEPS {
            if self.disk.struck() {
                return Left::WithoutPower;
            }
            self.now_ms += 20;
            let at = self.dice.below(self.partitions.len());
            if self.partitions[at].exists {
                self.step(&logs, at);
            }
        }
        if self.disk.struck() || self.dice.one_in(3) {
            return Left::WithoutPower;
        }
        if self.dice.one_in(3) {
            return Left::Killed;
        }
        self.tell(|_| "stop".to_owned());
        match logs.shutdown(1) {
            Ok(()) => {
                for partition in &mut self.partitions {
                    partition.flushed = partition.end();
                    partition.durable_start = partition.start;
                }
                Left::InOrder
            }
            Err(e) => {
                assert!(self.disk.struck(), "{e}");
                Left::WithoutPower
            }
        }
    }

    /// The end of a life; after a stop in order the power may go, too, and takes nothing.
    fn end(&mut self, left: &mut Left) {
        match *left {
            Left::Killed => return,
            Left::InOrder if self.dice.one_in(2) => return,
            _ => {}
        }
        self.tell(|_| "the power goes".to_owned());
        self.disk.lose_power(self.ordered);
        self.tell(|this| this.disk.describe());
    }

    fn create(&mut self, logs: &LogManager, topic: &str, compact: bool) {
        self.count += 1;
        let tp = TopicPartition::new(topic, 0);
        let id = Uuid::from_u128(u128::from(self.count));
        let mut partition = Partition::new(tp.clone(), compact, id);
        self.partitions.retain(|p| p.tp != tp);
        self.tell(|_| format!("create {tp}"));
        if let Err(e) = logs.create(&tp, id, None, self.config(topic), self.now_ms) {
            assert!(self.disk.struck(), "{e}");
            partition.exists = false;
            partition.under_way = UnderWay::Create;
        }
        self.partitions.push(partition);
    }

    fn step(&mut self, logs: &LogManager, at: usize) {
        let tp = self.partitions[at].tp.clone();
        let log = logs.log(&tp).unwrap();
        match self.dice.below(100) {
            0..45 => self.append(&log, at),
            45..55 => self.end_transaction(&log, at),
            55..61 => self.flush(&log, at),
            61..64 => self.flush_due(logs),
            64..72 => self.checkpoint(logs),
            72..75 => self.outcome("roll", log.roll(self.now_ms)),
            75..80 => self.retain(logs, at),
            80..84 => self.delete_records(&log, at),
            84..87 => self.truncate(logs, &log, at),
            87..93 => self.clean(logs),
            93..96 => self.outcome("remove", logs.remove_deleted(self.now_ms)),
            96..98 => self.partitions[at].epoch += 1,
            _ if self.dice.one_in(2) => self.delete(logs, at),
            _ => {}
        }
    }

    fn outcome<E: std::fmt::Display>(&self, what: &str, result: Result<(), E>) {
        self.tell(|_| match &result {
            Ok(()) => what.to_owned(),
            Err(e) => format!("{what}: {e}"),
        });
        if let Err(e) = result {
            assert!(self.disk.struck(), "{what}: {e}");
        }
    }

    fn append(&mut self, log: &Log, at: usize) {
        // Producers 1 to 3 are idempotent, 4 and 5 transactional; 0 is none.
        let producer_id = self.dice.below(6) as i64 - 1;
        let transactional = producer_id >= 3;
        let first = self.partitions[at].end();
        let mut entries = Vec::new();
        for _ in 0..=self.dice.below(3) {
            self.count += 1;
            let tombstone = self.partitions[at].compact && self.dice.one_in(5);
            let length = if self.dice.one_in(8) { 150 } else { 10 };
            let value = format!("{:0length$}", self.count).into_bytes();
            entries.push(Entry {
                offset: first + entries.len() as i64,
                timestamp: self.now_ms - self.dice.below(50) as i64,
                key: format!("key {}", self.dice.below(6)).into_bytes(),
                value: (!tombstone).then_some(value),
            });
        }
        let partition = &self.partitions[at];
        let producers = log.producer_snapshot();
        if self.disk.struck() {
            return;
        }
        let mut producers = producers.unwrap().into_iter();
        let known = producers.find(|producer| producer.producer_id == producer_id);
        let base_sequence = known.map_or(0, |producer| producer.last_sequence + 1);
        let mut batch = Appended {
            producer_id,
            transaction: if transactional {
                open_transaction(partition, producer_id)
            } else {
                -1
            },
            control: false,
            epoch: partition.epoch,
            after: None,
            entries,
        };
        if transactional && batch.transaction < 0 {
            self.count += 1;
            batch.transaction = self.count as i64;
        }
        let meta = BatchMeta {
            producer_id,
            producer_epoch: if producer_id < 0 { -1 } else { 0 },
            base_sequence: if producer_id < 0 { -1 } else { base_sequence },
            transactional,
            ..BatchMeta::default()
        };
        self.append_batch(log, at, batch, &meta, AppendOrigin::Client);
    }

    fn append_batch(
        &mut self,
        log: &Log,
        at: usize,
        mut batch: Appended,
        meta: &BatchMeta,
        origin: AppendOrigin,
    ) {
        let mut builder = BatchBuilder::new();
        for entry in &batch.entries {
            let value = entry.value.as_deref();
            builder
                .append(entry.timestamp, Some(&entry.key), value, &[])
                .unwrap();
        }
        let records = builder.finish(meta).unwrap();
        let result = log.append_as_leader(records, origin, batch.epoch, self.now_ms);
        let kind = (batch.producer_id, batch.transaction, batch.control);
        let partition = &mut self.partitions[at];
        match result {
            Ok(info) => {
                assert_eq!((info.first_offset, info.duplicate), (batch.base(), false));
                if !self.disk.struck() {
                    log.commit_all().unwrap();
                    batch.after = Some(Facts::of(log));
                }
                if self.flush_messages == 1 {
                    partition.flushed = batch.end();
                }
                partition.batches.push(batch);
            }
            Err(e) => {
                assert!(self.disk.struck(), "append: {e}");
                partition.under_way = UnderWay::Append(batch);
            }
        }
        self.tell(|this| {
            let partition = &this.partitions[at];
            let (producer, transaction, control) = kind;
            let end = partition.end();
            format!(
                "append to {}, to {end}: producer {producer}, transaction {transaction}, {control}",
                partition.tp
            )
        });
    }

    fn end_transaction(&mut self, log: &Log, at: usize) {
        let producer_id = 3 + self.dice.below(2) as i64;
        let partition = &mut self.partitions[at];
        let transaction = open_transaction(partition, producer_id);
        if transaction < 0 {
            return;
        }
        let commit = self.dice.one_in(2);
        let entry = Entry {
            offset: partition.end(),
            timestamp: self.now_ms,
            key: vec![0, 0, 0, u8::from(commit)],
            value: Some(vec![0, 0, 0, 0, 0, 1]),
        };
        let batch = Appended {
            entries: vec![entry],
            producer_id,
            transaction,
            control: true,
            epoch: partition.epoch,
            after: None,
        };
        if !commit {
            partition.aborted.insert(transaction);
        }
        let meta = BatchMeta {
            producer_id,
            producer_epoch: 0,
            transactional: true,
            control: true,
            ..BatchMeta::default()
        };
        self.append_batch(log, at, batch, &meta, AppendOrigin::Coordinator);
    }

    fn flush(&mut self, log: &Log, at: usize) {
        let flushed = log.flush(self.now_ms);
        if flushed.is_ok() {
            self.partitions[at].flushed = self.partitions[at].end();
        }
        self.outcome("flush", flushed);
    }

    fn flush_due(&mut self, logs: &LogManager) {
        let due: Vec<bool> = self
            .partitions
            .iter()
            .map(|p| {
                logs.log(&p.tp)
                    .is_some_and(|log| log.flush_is_due(self.now_ms))
            })
            .collect();
        let flushed = logs.flush_due(self.now_ms);
        if flushed.is_ok() {
            for (partition, _) in self.partitions.iter_mut().zip(due).filter(|(_, due)| *due) {
                partition.flushed = partition.end();
            }
        }
        self.outcome("flush what is due", flushed);
    }

    fn checkpoint(&mut self, logs: &LogManager) {
        let result = match self.dice.below(3) {
            0 => return self.outcome("checkpoint", logs.checkpoint_high_watermarks()),
            1 => logs.checkpoint_log_start_offsets(),
            _ => logs.checkpoint_recovery_points(),
        };
        if result.is_ok() {
            for partition in &mut self.partitions {
                partition.durable_start = partition.start;
            }
        }
        self.outcome("checkpoint", result);
    }

    fn retain(&mut self, logs: &LogManager, at: usize) {
        let result = match self.partitions[at].compact {
            true => logs.retain_compacted(self.now_ms).map(drop),
            false => logs.apply_retention(self.now_ms).map(drop),
        };
        for partition in &mut self.partitions {
            match (logs.log(&partition.tp), &result) {
                (Some(log), Ok(())) => partition.start = log.log_start_offset(),
                _ => partition.under_way = UnderWay::Retention,
            }
        }
        self.outcome("retain", result);
    }

    fn delete_records(&mut self, log: &Log, at: usize) {
        let partition = &mut self.partitions[at];
        if partition.compact || partition.end() == partition.start {
            return;
        }
        let part = (partition.end() - partition.start) as usize / 2;
        let to = partition.start + self.dice.below(part + 1) as i64;
        let result = log.increment_log_start_offset(to).map(drop);
        match &result {
            Ok(()) => partition.start = to,
            Err(_) => partition.under_way = UnderWay::Start(to),
        }
        self.outcome("delete records", result);
    }

    fn truncate(&mut self, logs: &LogManager, log: &Log, at: usize) {
        let partition = &mut self.partitions[at];
        let first = partition.start.max(partition.cleaned);
        let ends: Vec<i64> = partition.batches.iter().map(Appended::end).collect();
        let ends: Vec<i64> = ends.into_iter().filter(|end| *end >= first).collect();
        if ends.is_empty() {
            return;
        }
        let skipped = ends.len().saturating_sub(1 + self.dice.below(8));
        let to = ends[skipped];
        let result = logs.truncate_to(log.topic_partition(), to);
        match &result {
            Ok(()) => partition.truncate(to),
            Err(_) => partition.under_way = UnderWay::Truncate(to),
        }
        partition.epoch += 1;
        self.outcome(&format!("truncate to {to}"), result);
    }

    fn clean(&mut self, logs: &LogManager) {
        for partition in self.partitions.iter_mut().filter(|p| p.compact && p.exists) {
            partition.cleaned = partition.end();
        }
        let cleaned = Cleaner::default();
        let mut cleaner = cleaned;
        let result = logs.clean_filthiest(
            &mut cleaner,
            &RESOURCES,
            self.count,
            &Unwatched,
            self.now_ms,
        );
        if !self.disk.struck() {
            assert_eq!(logs.uncleanable_partitions(), []);
        }
        self.outcome("clean", result.map(drop));
    }

    fn delete(&mut self, logs: &LogManager, at: usize) {
        self.count += 1;
        let unique = Uuid::from_u128(u128::from(self.count));
        let tp = self.partitions[at].tp.clone();
        let result = logs.delete(&[tp], || unique, self.now_ms);
        match &result {
            Ok(()) => self.partitions[at].exists = false,
            Err(_) => self.partitions[at].under_way = UnderWay::Delete,
        }
        self.outcome("delete", result);
    }
}

/// The transaction that a producer has under way; -1 if none.
fn open_transaction(partition: &Partition, producer_id: i64) -> i64 {
    let mut own = partition.batches.iter().rev();
    let last = own.find(|batch| batch.producer_id == producer_id && batch.transaction >= 0);
    match last {
        Some(batch) if !batch.control => batch.transaction,
        _ => -1,
    }
}
