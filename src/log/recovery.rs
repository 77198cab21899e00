//! What an unclean stop asks for: what lies past the recovery point is read in full, cut at the first
//! byte that is not part of a whole valid batch, and indexed anew; producer state is restored from
//! the newest good snapshot and what lies behind it.
//!
//! Within a segment the scan begins at the newest producer snapshot that is not past the recovery
//! point. Such a snapshot is from a clean stop, which forced the indexes to the device with it: what
//! they say of offsets before it is believed, and never written again, so that a crash of the
//! recovery itself cannot take it away.
use std::collections::BTreeSet;
use std::sync::Arc;

use super::epochs::LeaderEpochs;
use super::error::{At, LogError, ReadError};
use super::names::{
    INDEX_SUFFIX, LOG_SUFFIX, SNAPSHOT_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX, TopicPartition,
    offset_of,
};
use super::place::Place;
use super::producer_state::{ProducerBatch, ProducerStates, TxnMarker};
use super::progress::Progress;
use super::salvage::Cut;
use super::scan::{SCAN_BLOCK_BYTES, ScanStart, Scanned, ScannedBatch, Scanner};
use super::segment::Segment;
use super::storage::remove_if_exists;
use super::txn_index::AbortedTransaction;
use super::{offset_index, producer_snapshot, time_index, txn_index};
use crate::record::{BatchHeader, BatchView, StoredBatch};

/// What producer state is told of a stored batch; `None` for one without producer.
pub(super) fn producer_batch(
    header: &BatchHeader<'_>,
    batch: Option<&BatchView<'_>>,
) -> Option<ProducerBatch> {
    if !header.has_producer_id() {
        return None;
    }
    Some(ProducerBatch {
        producer_id: header.producer_id(),
        epoch: header.producer_epoch(),
        base_sequence: header.base_sequence(),
        last_sequence: header.last_sequence(),
        first_offset: header.base_offset(),
        last_offset: header.last_offset(),
        max_timestamp: header.max_timestamp(),
        transactional: header.is_transactional(),
        control: header.is_control(),
        marker: batch.filter(|_| header.is_control()).and_then(txn_marker),
    })
}

/// The marker in a control batch: key {version i16, type i16: 0 abort, 1 commit}, value
/// {version i16, coordinator epoch i32}.
pub(super) fn txn_marker(batch: &BatchView<'_>) -> Option<TxnMarker> {
    let records = batch.records().ok()?;
    let record = records.iter().next()?.ok()?;
    let abort = match record.key?.get(2..4)? {
        [0, 0] => true,
        [0, 1] => false,
        _ => return None,
    };
    let coordinator_epoch = i32::from_be_bytes(record.value?.get(2..6)?.try_into().ok()?);
    Some(TxnMarker {
        abort,
        coordinator_epoch,
        timestamp: record.timestamp,
    })
}

/// What is needed to restore a log.
pub(super) struct Recovery<'a> {
    pub tp: &'a TopicPartition,
    pub place: &'a Place,
    pub index_interval_bytes: u32,
    pub now_ms: i64,
    pub producer_expiration_ms: i64,
    pub progress: &'a Progress,
}

/// A log as recovery left it.
pub(super) struct Recovered {
    pub segments: Vec<Arc<Segment>>,
    pub producers: ProducerStates,
    pub log_end_offset: i64,
}

/// What a segment's recovery goes on from.
#[derive(Default)]
struct From {
    /// Producers have seen what lies before.
    offset: i64,
    producers: ProducerStates,
    scan: ScanStart,
    aborted: Vec<AbortedTransaction>,
    /// A batch was scanned.
    begun: bool,
}

impl Recovery<'_> {
    /// Recovers what lies past `recovery_point`. `segments` are in order, at least one; `snapshots`
    /// are those in the directory.
    pub fn run(
        &self,
        mut segments: Vec<Arc<Segment>>,
        mut snapshots: BTreeSet<i64>,
        recovery_point: i64,
        epochs: &mut LeaderEpochs,
    ) -> Result<Recovered, LogError> {
        let passed = segments.partition_point(|s| s.base_offset() <= recovery_point);
        let first = passed.saturating_sub(1);
        let mut from = self.start(&segments, first, &mut snapshots, recovery_point)?;
        if epochs.entries().is_empty() {
            self.walk_epochs(&segments, first, &from, epochs)?;
        }
        let mut log_end_offset = from.offset;
        for at in first..segments.len() {
            let Some(segment) = segments.get(at) else {
                break;
            };
            let base_offset = segment.base_offset();
            if at > first || (at > 0 && !snapshots.contains(&base_offset)) {
                self.write_snapshot(&from.producers, base_offset, false)?;
                snapshots.insert(base_offset);
            }
            let mut scanned = self.recover_segment(segment, &mut from, epochs)?;
            if scanned.next_offset < from.offset {
                tracing::warn!(
                    "{}: a producer snapshot tells of offset {}, but the log ends before",
                    self.tp,
                    from.offset
                );
                from = self.start_at(&segments, base_offset, &mut snapshots)?;
                scanned = self.recover_segment(segment, &mut from, epochs)?;
            }
            if from.offset > base_offset && scanned.rebuilds_before(base_offset, from.offset) {
                self.forget_snapshots(&mut snapshots, |offset| offset > base_offset)?;
            }
            log_end_offset = scanned.next_offset;
            if let Some(fault) = scanned.fault.take() {
                let later = segments.split_off(at + 1);
                self.cut(segments.last(), &later, &scanned, &fault)?;
                break;
            }
            segment.rebuild(self.place, &scanned)?;
            self.progress.segment_done();
        }
        self.forget_snapshots(&mut snapshots, |offset| offset > log_end_offset)?;
        Ok(Recovered {
            segments,
            producers: from.producers,
            log_end_offset,
        })
    }

    /// What recovery may go on from: the newest snapshot in the segment `first` that is not past
    /// the recovery point, or else the segment's start.
    fn start(
        &self,
        segments: &[Arc<Segment>],
        first: usize,
        snapshots: &mut BTreeSet<i64>,
        recovery_point: i64,
    ) -> Result<From, LogError> {
        let Some(segment) = segments.get(first) else {
            return Ok(From::default());
        };
        let base_offset = segment.base_offset();
        self.forget_snapshots(snapshots, |offset| offset > recovery_point.max(base_offset))?;
        let newest = snapshots.last().copied();
        if let Some(offset) = newest.filter(|offset| *offset > base_offset)
            && let Some(from) = self.start_within(segment, offset)?
        {
            return Ok(from);
        }
        self.start_at(segments, base_offset, snapshots)
    }

    /// Goes on from the start of a segment.
    fn start_at(
        &self,
        segments: &[Arc<Segment>],
        base_offset: i64,
        snapshots: &mut BTreeSet<i64>,
    ) -> Result<From, LogError> {
        // From here on the indexes are not what a later snapshot vouches for.
        self.forget_snapshots(snapshots, |offset| offset > base_offset)?;
        Ok(From {
            offset: base_offset,
            producers: self.restore_producers(segments, base_offset)?,
            ..From::default()
        })
    }

    fn start_within(&self, segment: &Segment, offset: i64) -> Result<Option<From>, LogError> {
        let disk = self.place.disk.as_ref();
        let base_offset = segment.base_offset();
        let path = self.place.file(offset, SNAPSHOT_SUFFIX);
        let Some(entries) = producer_snapshot::read(disk, &path)? else {
            tracing::warn!("{} is damaged", path.display());
            return Ok(None);
        };
        let path = self.place.file(base_offset, TXN_INDEX_SUFFIX);
        let aborted = txn_index::read_before(disk, &path, base_offset, offset).at(&path)?;
        let Some(aborted) = aborted else {
            return Ok(None);
        };
        let relative = u32::try_from(offset - base_offset).unwrap_or(u32::MAX);
        let path = self.place.file(base_offset, INDEX_SUFFIX);
        let index = offset_index::read_before(disk, &path, relative).at(&path)?;
        let path = self.place.file(base_offset, TIME_INDEX_SUFFIX);
        let mut scan = ScanStart::default();
        if let Some(last) = index.last().copied() {
            scan.time_index = time_index::read_before(disk, &path, relative).at(&path)?;
            scan.index = index;
            let mut scanner = Scanner::new(self.place, segment)?;
            let named = scanner.batch_at(u64::from(last.position))?;
            let last_offset = base_offset + i64::from(last.relative_offset);
            if !named.is_ok_and(|batch| batch.header.last_offset() == last_offset) {
                tracing::warn!("{} names no batch", path.display());
                return Ok(None);
            }
        }
        Ok(Some(From {
            offset,
            producers: ProducerStates::from_snapshot(
                &entries,
                self.now_ms,
                self.producer_expiration_ms,
            ),
            scan,
            aborted,
            begun: false,
        }))
    }

    /// Without the file of epochs the headers of what is not scanned have to tell them.
    fn walk_epochs(
        &self,
        segments: &[Arc<Segment>],
        first: usize,
        from: &From,
        epochs: &mut LeaderEpochs,
    ) -> Result<(), LogError> {
        for (at, segment) in segments.iter().enumerate().take(first + 1) {
            let scanned_from = from.scan.index.last().map_or(0, |last| last.position);
            let end = match at == first {
                true => scanned_from,
                false => {
                    let size = segment.size(self.place).map_err(ReadError::from);
                    self.as_far_as_possible(segment, size)?.unwrap_or(0)
                }
            };
            let walked = segment.walk(self.place, 0, end, |_, header| {
                if let Some(header) = header.v2() {
                    epochs.assign(header.leader_epoch(), header.base_offset());
                }
                true
            });
            self.as_far_as_possible(segment, walked)?;
        }
        Ok(())
    }

    fn recover_segment(
        &self,
        segment: &Segment,
        from: &mut From,
        epochs: &mut LeaderEpochs,
    ) -> Result<Scanned, LogError> {
        let From {
            offset,
            producers,
            scan,
            aborted,
            begun,
        } = from;
        let durable = aborted.len();
        let mut scanner = Scanner::new(self.place, segment)?;
        let on_batch = |scanned: &ScannedBatch<'_>| {
            if !std::mem::replace(begun, true) {
                // From here on the batches tell: what they say must not contradict what is known.
                let header = &scanned.header;
                epochs.truncate_from_end(header.base_offset().unwrap_or(header.last_offset()));
            }
            // Neither epochs nor producers before v2.
            let Some(header) = scanned.header.v2() else {
                return;
            };
            epochs.assign(header.leader_epoch(), header.base_offset());
            let batch = scanned.batch.as_ref().and_then(StoredBatch::v2);
            if header.base_offset() >= *offset
                && let Some(batch) = producer_batch(header, batch)
            {
                aborted.extend(producers.replay(&batch));
            }
        };
        let start = std::mem::take(scan);
        let interval = self.index_interval_bytes;
        let scanned = scanner.scan_from(start, interval, self.progress, on_batch)?;
        let aborted = std::mem::take(aborted);
        let path = self.place.file(segment.base_offset(), TXN_INDEX_SUFFIX);
        txn_index::replace_after(self.place.disk.as_ref(), &path, durable, &aborted).at(&path)?;
        segment.set_has_txn_index(!aborted.is_empty());
        Ok(scanned)
    }

    /// Cuts a log where `scanned` ends: what lies behind is kept aside or goes.
    fn cut(
        &self,
        segment: Option<&Arc<Segment>>,
        later: &[Arc<Segment>],
        scanned: &Scanned,
        fault: &str,
    ) -> Result<(), LogError> {
        let Some(segment) = segment else {
            return Ok(());
        };
        let cut = Cut {
            place: self.place,
            segment,
            position: scanned.size,
            next_offset: scanned.next_offset,
            later,
        };
        let kept = cut.keep()?;
        let mut told = String::new();
        if !kept.is_empty() {
            let names: Vec<String> = kept.iter().map(|path| path.display().to_string()).collect();
            told = format!(
                "; valid batches lie behind, all that is cut off is kept in {}",
                names.join(", ")
            );
        }
        tracing::warn!(
            "{}: cut at position {}, offset {}: {fault}; {} later segments removed{told}",
            self.place.file(segment.base_offset(), LOG_SUFFIX).display(),
            scanned.size,
            scanned.next_offset,
            later.len(),
        );
        for segment in later {
            self.remove_segment(segment)?;
        }
        if !later.is_empty() {
            // As long as they are there, so must be the fault that they are found by.
            let dir = self.place.dir();
            self.place.disk.sync_dir(&dir).at(&dir)?;
        }
        segment.rebuild(self.place, scanned)?;
        // What is gone must not come back in the place of what is appended from now on.
        segment.sync(self.place, false)
    }

    /// Producer state as of `offset`, which is the base of a segment or the end of the log: the
    /// newest good snapshot at or below it, and the batches since.
    pub fn restore_producers(
        &self,
        segments: &[Arc<Segment>],
        offset: i64,
    ) -> Result<ProducerStates, LogError> {
        let first = segments
            .first()
            .map_or(offset, |segment| segment.base_offset());
        let mut states = ProducerStates::default();
        let mut from = first;
        for snapshot in self.snapshots()?.into_iter().rev() {
            if snapshot > offset || snapshot < first {
                continue;
            }
            let path = self.place.file(snapshot, SNAPSHOT_SUFFIX);
            if let Some(entries) = producer_snapshot::read(self.place.disk.as_ref(), &path)? {
                let expiration = self.producer_expiration_ms;
                states = ProducerStates::from_snapshot(&entries, self.now_ms, expiration);
                from = snapshot;
                break;
            }
            tracing::warn!("{} is damaged; it is removed", path.display());
            remove_if_exists(self.place.disk.as_ref(), &path).at(&path)?;
        }
        for (at, segment) in segments.iter().enumerate() {
            let ends = segments
                .get(at + 1)
                .map_or(i64::MAX, |next| next.base_offset());
            if ends > from && segment.base_offset() < offset {
                self.replay_segment(segment, from, offset, &mut states)?;
            }
        }
        Ok(states)
    }

    /// Replays the batches with offsets in `from..to`, trusting them.
    fn replay_segment(
        &self,
        segment: &Segment,
        from: i64,
        to: i64,
        states: &mut ProducerStates,
    ) -> Result<(), LogError> {
        let located = segment.locate(self.place, from);
        let Some(Some(position)) = self.as_far_as_possible(segment, located)? else {
            return Ok(());
        };
        // It was asked for when the position was looked for.
        let size = segment.size(self.place)?;
        let mut fault = None;
        let walked = segment.walk(self.place, position.position, size, |position, header| {
            let Some(header) = header.v2() else {
                return header.last_offset() < to;
            };
            if header.base_offset() >= to {
                return false;
            }
            match self.read_control(segment, position, header) {
                Ok(bytes) => {
                    let batch = BatchView::first(&bytes).ok().flatten();
                    if let Some(batch) = producer_batch(header, batch.as_ref()) {
                        states.replay(&batch);
                    }
                }
                Err(e) => fault = Some(e),
            }
            fault.is_none()
        });
        self.as_far_as_possible(segment, walked)?;
        fault.map_or(Ok(()), Err)
    }

    /// The bytes of a control batch; nothing for other batches.
    fn read_control(
        &self,
        segment: &Segment,
        position: u32,
        header: &BatchHeader<'_>,
    ) -> Result<Vec<u8>, LogError> {
        if !header.is_control() || header.size() > SCAN_BLOCK_BYTES {
            return Ok(Vec::new());
        }
        let path = self.place.file(segment.base_offset(), LOG_SUFFIX);
        let mut bytes = vec![0; header.size()];
        let file = segment.file(self.place)?;
        self.place
            .disk
            .read_at(&file, &mut bytes, u64::from(position))
            .at(&path)?;
        Ok(bytes)
    }

    /// Writes the snapshot for `offset`; with `sync` it outlives a loss of power.
    pub fn write_snapshot(
        &self,
        producers: &ProducerStates,
        offset: i64,
        sync: bool,
    ) -> Result<(), LogError> {
        let path = self.place.file(offset, SNAPSHOT_SUFFIX);
        let entries = producers.to_snapshot();
        producer_snapshot::write(self.place.disk.as_ref(), &path, &entries, sync)
    }

    /// Offsets of the snapshot files, ascending.
    pub fn snapshots(&self) -> Result<Vec<i64>, LogError> {
        let dir = self.place.dir();
        let entries = self.place.disk.read_dir(&dir).at(&dir)?;
        let offsets = entries
            .iter()
            .filter_map(|entry| offset_of(&entry.name, SNAPSHOT_SUFFIX));
        Ok(offsets.collect())
    }

    /// Removes the snapshots whose offset `gone` holds for.
    pub fn remove_snapshots(&self, gone: impl Fn(i64) -> bool) -> Result<(), LogError> {
        let mut snapshots = self.snapshots()?.into_iter().collect();
        self.forget_snapshots(&mut snapshots, gone)
    }

    /// As [`Self::remove_snapshots`], of `snapshots`. None of them comes back after a loss of power,
    /// when the log may have gone on differently.
    fn forget_snapshots(
        &self,
        snapshots: &mut BTreeSet<i64>,
        gone: impl Fn(i64) -> bool,
    ) -> Result<(), LogError> {
        let before = snapshots.len();
        for offset in snapshots.iter().filter(|offset| gone(**offset)) {
            let path = self.place.file(*offset, SNAPSHOT_SUFFIX);
            remove_if_exists(self.place.disk.as_ref(), &path).at(&path)?;
        }
        snapshots.retain(|offset| !gone(*offset));
        let dir = self.place.dir();
        match snapshots.len() < before {
            true => self.place.disk.sync_dir(&dir).at(&dir),
            false => Ok(()),
        }
    }

    /// Removes the files of a segment at once.
    pub fn remove_segment(&self, segment: &Segment) -> Result<(), LogError> {
        segment.close();
        for suffix in super::retention::SEGMENT_SUFFIXES {
            let path = self.place.file(segment.base_offset(), suffix);
            remove_if_exists(self.place.disk.as_ref(), &path).at(&path)?;
        }
        Ok(())
    }

    /// Damage in the middle of a log takes from epochs and producers what it says of them, and nothing else: the
    /// rest of the log can be read.
    fn as_far_as_possible<T>(
        &self,
        segment: &Segment,
        result: Result<T, ReadError>,
    ) -> Result<Option<T>, LogError> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(ReadError::Storage(e @ LogError::Malformed { .. })) => {
                tracing::error!(
                    "{}: {e}; epochs and producers behind are restored without",
                    self.tp
                );
                Ok(None)
            }
            Err(ReadError::Storage(e)) => Err(e),
            Err(other) => {
                let path = self.place.file(segment.base_offset(), LOG_SUFFIX);
                tracing::error!(
                    "{}: {}: {other}; epochs and producers behind are restored without",
                    self.tp,
                    path.display()
                );
                Ok(None)
            }
        }
    }
}
