//! Cleanings of random histories against a model that keeps the whole log in memory.
use std::collections::BTreeSet;

use super::history::History;
use super::*;
use crate::log::AbortedTransaction;

/// Kafka's rules, told of all batches at once.
struct Model {
    batches: Vec<StoredBatch>,
    /// All that there ever were.
    aborted: Vec<AbortedTransaction>,
    /// The offsets of abort markers in transaction indexes.
    indexed: BTreeSet<i64>,
}

/// A cleaning as the model is told of it.
struct Cleaning {
    first_dirty: i64,
    /// The map goes up to here.
    end: i64,
    /// The range that may be cleaned ends here.
    upper: i64,
    /// The segments end here whose batches are looked at.
    segments_end: i64,
    now_ms: i64,
    delete_retention_ms: i64,
    /// Last offset and epoch of producers.
    producers: BTreeMap<i64, (i64, i16)>,
}

impl Model {
    fn is_aborted(&self, batch: &StoredBatch) -> bool {
        batch.transactional
            && !batch.control
            && self.aborted.iter().any(|txn| {
                txn.producer_id == batch.producer.0
                    && (txn.first_offset..txn.last_offset).contains(&batch.base_offset)
            })
    }

    /// Whether a batch of the transaction that ends with the marker at `at` is left.
    fn has_data(&self, at: usize) -> bool {
        let producer = self.batches[at].producer.0;
        let before = self.batches[..at].iter().rev();
        before
            .filter(|batch| batch.transactional && batch.producer.0 == producer)
            .map(|batch| !batch.control)
            .next()
            .unwrap_or(false)
    }

    fn clean(&mut self, cleaning: &Cleaning) {
        let mut newest: BTreeMap<&[u8], i64> = BTreeMap::new();
        for batch in self.batches.iter().filter(|batch| !batch.control) {
            if self.is_aborted(batch) {
                continue;
            }
            for record in &batch.records {
                if (cleaning.first_dirty..cleaning.end).contains(&record.offset) {
                    newest.insert(record.key.as_ref().unwrap(), record.offset);
                }
            }
        }
        let mut left = Vec::new();
        let mut indexed = self.indexed.clone();
        for (at, batch) in self.batches.iter().enumerate() {
            if batch.base_offset >= cleaning.segments_end {
                left.push(batch.clone());
                continue;
            }
            let idle = batch.control && (batch.records.is_empty() || !self.has_data(at));
            if idle {
                indexed.remove(&batch.base_offset);
            }
            left.extend(self.clean_batch(batch, idle, &newest, cleaning));
        }
        self.batches = left;
        self.indexed = indexed;
    }

    fn clean_batch(
        &self,
        batch: &StoredBatch,
        idle: bool,
        newest: &BTreeMap<&[u8], i64>,
        cleaning: &Cleaning,
    ) -> Option<StoredBatch> {
        let passed = |horizon: i64| horizon <= cleaning.now_ms;
        let mut left = batch.clone();
        if batch.control {
            if idle && batch.delete_horizon_ms.is_some_and(passed) {
                left.records.clear();
            }
        } else if self.is_aborted(batch) {
            left.records.clear();
        } else {
            left.records.retain(|record| {
                let key: &[u8] = record.key.as_ref().unwrap();
                let is_newest = newest
                    .get(key)
                    .is_none_or(|offset| record.offset >= *offset);
                let gone = record.value.is_none() && batch.delete_horizon_ms.is_some_and(passed);
                record.offset >= cleaning.end || (is_newest && !gone)
            });
        }
        if left.records.is_empty() {
            let last = cleaning.producers.get(&batch.producer.0);
            let of_producer = last.is_some_and(|(last_offset, epoch)| match *last_offset {
                -1 => batch.control && batch.producer.1 == *epoch,
                offset => batch.last_offset == offset,
            });
            left.compression = Compression::None;
            left.delete_horizon_ms = None;
            return (of_producer || batch.last_offset + 1 == cleaning.upper).then_some(left);
        }
        let tombstones = left.records.iter().any(|record| record.value.is_none());
        if left.delete_horizon_ms.is_none() && (tombstones || idle) {
            left.delete_horizon_ms = Some(cleaning.now_ms + cleaning.delete_retention_ms);
        }
        let timestamps = left.records.iter().map(|record| record.timestamp);
        left.max_timestamp = timestamps.max().unwrap();
        Some(left)
    }

    /// What the log's transaction indexes hold.
    fn expected_index(&self) -> Vec<AbortedTransaction> {
        let indexed = |txn: &&AbortedTransaction| self.indexed.contains(&txn.last_offset);
        self.aborted.iter().filter(indexed).copied().collect()
    }
}

/// Appends, cleans and compares; `resources` may let a cleaning come to its end early.
fn run(seed: u64, resources: &Resources) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), config());
    let mut history = History::new(seed);
    let mut model = Model {
        batches: Vec::new(),
        aborted: Vec::new(),
        indexed: BTreeSet::new(),
    };
    let mut first_dirty = 0;
    let mut cleanings = 0;
    for round in 0..6 {
        for _ in 0..history.random.u32(5..40) {
            history.step(&log);
        }
        if round > 3 {
            history.end_all(&log);
            log.roll(history.now_ms).unwrap();
        }
        let known = model.batches.last().map_or(-1, |batch| batch.last_offset);
        let new = stored(&log)
            .into_iter()
            .filter(|batch| batch.base_offset > known);
        model.batches.extend(new);
        for txn in log.aborted_transactions(0, i64::MAX).unwrap() {
            if !model.aborted.contains(&txn) {
                model.aborted.push(txn);
                model.indexed.insert(txn.last_offset);
            }
        }
        let expected = consumed(&log);
        if let Some(cleaning) = clean(&log, &mut first_dirty, resources, history.now_ms) {
            model.clean(&cleaning);
            cleanings += 1;
        }
        let context = format!("seed {seed}, round {round}");
        assert_eq!(stored(&log), model.batches, "{context}");
        let index = log.aborted_transactions(0, i64::MAX).unwrap();
        assert_eq!(index, model.expected_index(), "{context}");
        assert_eq!(consumed(&log), expected, "{context}");
        check_indexes(&log, &model.batches);
        history.now_ms += history.random.i64(0..2000);
    }
    let (expected, producers) = (consumed(&log), producers(&log));
    drop(log);
    // The same after a crash, which has all indexes made anew.
    let log = open(dir.path(), config());
    log.commit_all().unwrap();
    assert_eq!(stored(&log), model.batches, "seed {seed}");
    assert_eq!(consumed(&log), expected, "seed {seed}");
    assert_eq!(self::producers(&log), producers, "seed {seed}");
    cleanings
}

/// What duplicates and gaps are found by. The newest timestamp may have gone with its record.
fn producers(log: &Log) -> Vec<(i64, i16, i32, i64)> {
    let entries = log.producer_snapshot().unwrap();
    entries
        .iter()
        .map(|p| (p.producer_id, p.epoch, p.last_sequence, p.last_offset))
        .collect()
}

fn clean(log: &Log, first_dirty: &mut i64, resources: &Resources, now_ms: i64) -> Option<Cleaning> {
    let plan = log.plan_cleaning(Some(*first_dirty), now_ms).unwrap()?;
    let producers = log.producer_snapshot().unwrap();
    let bases: Vec<i64> = log
        .segments
        .load()
        .iter()
        .map(|s| s.base_offset())
        .collect();
    let stats = clean_from(log, *first_dirty, resources, now_ms).unwrap()?;
    assert!(stats.end_offset > *first_dirty && stats.end_offset <= plan.end_offset);
    let segments_end = *bases
        .iter()
        .find(|base| **base >= stats.end_offset)
        .unwrap();
    let cleaning = Cleaning {
        first_dirty: *first_dirty,
        end: stats.end_offset,
        upper: plan.end_offset,
        segments_end,
        now_ms,
        delete_retention_ms: log.config().delete_retention_ms,
        producers: producers
            .iter()
            .map(|p| (p.producer_id, (p.last_offset, p.epoch)))
            .collect(),
    };
    *first_dirty = stats.end_offset;
    Some(cleaning)
}

/// A read at any offset finds the batch that holds it, or the next one.
fn check_indexes(log: &Log, batches: &[StoredBatch]) {
    let end = log.log_end_offset();
    for offset in log.log_start_offset()..end {
        let read = log.read(offset, 1, ReadLimit::LogEnd, true).unwrap();
        let bytes = read.slice.map(|slice| slice.to_vec().unwrap());
        let found = bytes.map(|bytes| StoredBatch::of(&BatchView::first(&bytes).unwrap().unwrap()));
        let expected = batches.iter().find(|batch| batch.last_offset >= offset);
        assert_eq!(found.as_ref(), expected, "offset {offset}");
    }
}

#[test]
fn random_histories_are_cleaned_as_the_model_says() {
    let mut cleanings = 0;
    for seed in 0..40 {
        cleanings += run(seed, &AMPLE);
    }
    assert!(cleanings > 100, "{cleanings}");
}

#[test]
fn a_map_too_small_takes_several_cleanings() {
    for seed in 100..120 {
        let resources = Resources {
            map_bytes: 24 * (2 + seed as usize % 9),
            ..AMPLE
        };
        run(seed, &resources);
    }
}

#[test]
fn small_segments_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), config());
    for n in 0..40 {
        put(
            &log,
            &[("a", Some("x")), (&format!("{}", n % 3), Some("y"))],
        );
        log.roll(NOW_MS).unwrap();
    }
    assert_eq!(log.segment_count(), 41);
    let stats = clean_from(&log, 0, &AMPLE, NOW_MS).unwrap().unwrap();
    assert_eq!((stats.start_offset, stats.end_offset), (0, 80));
    assert_eq!(log.segment_count(), stats.segments.1 + 1);
    assert!(stats.segments.1 < 10, "{stats:?}");
    assert_eq!(
        (stats.records.records_read, stats.records.records_kept),
        (80, 4)
    );
    let offsets: Vec<i64> = stored(&log)
        .iter()
        .flat_map(|batch| batch.records.iter().map(|record| record.offset))
        .collect();
    assert_eq!(offsets, [75, 77, 78, 79]);
    log.remove_deleted_files(i64::MAX).unwrap();
    let names = std::fs::read_dir(log.dir()).unwrap();
    let names: Vec<_> = names.map(|e| e.unwrap().file_name()).collect();
    assert!(names.len() < 4 * 11, "nothing is left behind: {names:?}");
}
