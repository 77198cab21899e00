//! What an unclean stop asks for: segments past the recovery point are read in full, cut at the
//! first byte that is not part of a whole valid batch, and indexed anew; producer state is restored
//! from the newest good snapshot and what lies behind it.
use std::sync::Arc;

use super::epochs::LeaderEpochs;
use super::error::{At, LogError, ReadError};
use super::names::{LOG_SUFFIX, SNAPSHOT_SUFFIX, TXN_INDEX_SUFFIX, TopicPartition, offset_of};
use super::offset_index::OffsetEntry;
use super::place::Place;
use super::producer_state::{ProducerBatch, ProducerStates, TxnMarker};
use super::segment::{Segment, TimestampAndOffset};
use super::storage::remove_if_exists;
use super::time_index::TimeEntry;
use super::{producer_snapshot, txn_index};
use crate::record::{
    BatchError, BatchHeader, BatchView, Checksum, HEADER_LEN, NO_TIMESTAMP, StoredBatch,
    StoredHeader,
};

/// Bytes of a segment read at once. Larger batches are summed piece by piece: memory does not
/// depend on what a damaged length says.
const SCAN_BLOCK_BYTES: usize = 1 << 20;
/// A larger segment is announced on the log before it is read.
const ANNOUNCED_BYTES: u64 = 256 << 20;

/// A valid batch met by [`scan_segment`].
pub(super) struct ScannedBatch<'a> {
    pub header: StoredHeader<'a>,
    /// The whole batch, unless it is larger than a block.
    pub batch: Option<StoredBatch<'a>>,
}

/// What a scan found.
#[derive(Debug)]
pub struct Scanned {
    /// Bytes of whole valid batches.
    pub size: u32,
    pub next_offset: i64,
    pub max_timestamp: TimestampAndOffset,
    pub first_timestamp: Option<i64>,
    pub bytes_since_entry: u32,
    pub index: Vec<OffsetEntry>,
    pub time_index: Vec<TimeEntry>,
    /// Why the scan ended before the end of the file.
    pub fault: Option<String>,
}

/// Reads a segment from its start to the first fault, checking length, CRC and offsets.
pub(super) fn scan_segment(
    place: &Place,
    segment: &Segment,
    index_interval_bytes: u32,
    mut on_batch: impl FnMut(&ScannedBatch<'_>),
) -> Result<Scanned, LogError> {
    let mut scanner = Scanner::new(place, segment)?;
    let mut found = Scanned::new(segment.base_offset());
    while found.fault.is_none() && u64::from(found.size) < scanner.end {
        let position = found.size;
        match scanner.batch_at(u64::from(position))? {
            Ok(batch) => {
                match found.add(segment.base_offset(), &batch.header, index_interval_bytes) {
                    Ok(()) => on_batch(&batch),
                    Err(fault) => found.fault = Some(fault),
                }
            }
            Err(fault) => found.fault = Some(fault),
        }
    }
    found.close(segment.base_offset());
    Ok(found)
}

impl Scanned {
    pub fn new(base_offset: i64) -> Self {
        Self {
            size: 0,
            next_offset: base_offset,
            max_timestamp: TimestampAndOffset {
                timestamp: NO_TIMESTAMP,
                offset: -1,
            },
            first_timestamp: None,
            bytes_since_entry: 0,
            index: Vec::new(),
            time_index: Vec::new(),
            fault: None,
        }
    }

    /// Takes a batch in that lies behind the others; an error says why it cannot.
    pub fn add(
        &mut self,
        base_offset: i64,
        batch: &StoredHeader<'_>,
        index_interval_bytes: u32,
    ) -> Result<(), String> {
        let last_offset = batch.last_offset();
        let relative = last_offset
            .checked_sub(base_offset)
            .and_then(|relative| u32::try_from(relative).ok())
            .filter(|r| *r <= MAX_RELATIVE && last_offset < i64::MAX);
        let size = u32::try_from(batch.size())
            .ok()
            .and_then(|size| self.size.checked_add(size));
        let (Some(relative_offset), Some(size)) = (relative, size) else {
            return Err(format!("offset {last_offset} does not fit the segment"));
        };
        // A compressed message set says where it ends alone.
        let base_offset_of_batch = batch.base_offset().unwrap_or(last_offset);
        if base_offset_of_batch < self.next_offset || last_offset < base_offset_of_batch {
            return Err(format!(
                "offsets {base_offset_of_batch} to {last_offset} do not follow {}",
                self.next_offset
            ));
        }
        if batch.max_timestamp() > self.max_timestamp.timestamp {
            self.max_timestamp = TimestampAndOffset {
                timestamp: batch.max_timestamp(),
                offset: last_offset,
            };
        }
        if self.bytes_since_entry > index_interval_bytes {
            self.index.push(OffsetEntry {
                relative_offset,
                position: self.size,
            });
            self.add_time_entry(base_offset);
            self.bytes_since_entry = 0;
        }
        self.first_timestamp = self.first_timestamp.or(Some(batch.max_timestamp()));
        self.bytes_since_entry = self.bytes_since_entry.saturating_add(size - self.size);
        self.size = size;
        self.next_offset = last_offset + 1;
        Ok(())
    }

    /// The last entry of the time index is that of the whole segment.
    pub fn close(&mut self, base_offset: i64) {
        if self.max_timestamp.timestamp >= 0 {
            self.add_time_entry(base_offset);
        }
    }

    fn add_time_entry(&mut self, base_offset: i64) {
        let max = self.max_timestamp;
        if let Ok(relative_offset) = u32::try_from(max.offset - base_offset) {
            self.time_index.push(TimeEntry {
                timestamp: max.timestamp,
                relative_offset,
            });
        }
    }
}

const MAX_RELATIVE: u32 = i32::MAX as u32;

/// Reads batches one after the other through one block of memory.
struct Scanner<'a> {
    place: &'a Place,
    segment: &'a Segment,
    file: Arc<std::fs::File>,
    /// Bytes in the file.
    end: u64,
    block: Vec<u8>,
    /// Where in the file the block starts, and how much of it is filled.
    start: u64,
    len: usize,
}

impl<'a> Scanner<'a> {
    fn new(place: &'a Place, segment: &'a Segment) -> Result<Self, LogError> {
        let file = segment.file(place)?;
        let path = place.file(segment.base_offset(), LOG_SUFFIX);
        let end = place.disk.size(&file).at(&path)?;
        let block = vec![0; SCAN_BLOCK_BYTES.min(usize::try_from(end).unwrap_or(usize::MAX))];
        Ok(Self {
            place,
            segment,
            file,
            end,
            block,
            start: 0,
            len: 0,
        })
    }

    /// The valid batch at `position`, or what is wrong with it.
    fn batch_at(&mut self, position: u64) -> Result<Result<ScannedBatch<'_>, String>, LogError> {
        self.fill(position, HEADER_LEN)?;
        let header = match StoredHeader::parse(self.bytes_at(position)) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(Err("the file ends within a batch".to_owned())),
            Err(e) => return Ok(Err(e.to_string())),
        };
        let (size, mut checksum) = (header.size(), header.checksum());
        if size as u64 > self.end - position {
            return Ok(Err("the file ends within a batch".to_owned()));
        }
        if size > self.block.len() {
            self.sum(position, size, &mut checksum)?;
        }
        self.fill(position, size.min(self.block.len()))?;
        let bytes = self.bytes_at(position);
        if size <= self.block.len() {
            let covered = bytes.get(checksum.covers_from()..size);
            checksum.update(covered.unwrap_or_default());
        }
        let Ok(Some(header)) = StoredHeader::parse(bytes) else {
            return Ok(Err("the file changed while it was read".to_owned()));
        };
        let (stored, computed) = (header.crc(), checksum.sum());
        if stored != computed {
            return Ok(Err(BatchError::CrcMismatch { stored, computed }.to_string()));
        }
        let batch = StoredBatch::first(bytes).ok().flatten();
        Ok(Ok(ScannedBatch { header, batch }))
    }

    fn bytes_at(&self, position: u64) -> &[u8] {
        let at = position.saturating_sub(self.start) as usize;
        self.block.get(at..self.len).unwrap_or_default()
    }

    /// Makes at least `wanted` bytes from `position` on available, if the file has them.
    fn fill(&mut self, position: u64, wanted: usize) -> Result<(), LogError> {
        let filled = self.start + self.len as u64;
        if position >= self.start && position + wanted as u64 <= filled {
            return Ok(());
        }
        let keep = if (self.start..filled).contains(&position) {
            let at = (position - self.start) as usize;
            self.block.copy_within(at..self.len, 0);
            self.len - at
        } else {
            0
        };
        let path = self.place.file(self.segment.base_offset(), LOG_SUFFIX);
        let room = self.block.get_mut(keep..).unwrap_or_default();
        let read = self
            .place
            .disk
            .read_at(&self.file, room, position + keep as u64)
            .at(&path)?;
        self.start = position;
        self.len = keep + read;
        Ok(())
    }

    /// The CRC of a batch larger than the block.
    fn sum(&mut self, position: u64, size: usize, crc: &mut Checksum) -> Result<(), LogError> {
        let end = position + size as u64;
        let mut at = position + crc.covers_from() as u64;
        while at < end {
            let wanted = self.block.len().min((end - at) as usize);
            self.fill(at, wanted)?;
            let piece = self.bytes_at(at);
            let piece = piece.get(..wanted).unwrap_or(piece);
            if piece.is_empty() {
                break;
            }
            crc.update(piece);
            at += piece.len() as u64;
        }
        Ok(())
    }
}

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
}

/// A log as recovery left it.
pub(super) struct Recovered {
    pub segments: Vec<Arc<Segment>>,
    pub producers: ProducerStates,
    pub log_end_offset: i64,
}

impl Recovery<'_> {
    /// Recovers the segments at and after `recovery_point`. `segments` are in order, at least one.
    pub fn run(
        &self,
        mut segments: Vec<Arc<Segment>>,
        recovery_point: i64,
        epochs: &mut LeaderEpochs,
    ) -> Result<Recovered, LogError> {
        let passed = segments.partition_point(|s| s.base_offset() <= recovery_point);
        let from = passed.saturating_sub(1);
        let start = segments
            .get(from)
            .map_or(0, |segment| segment.base_offset());
        self.remove_snapshots(|offset| offset > start)?;
        let mut producers = self.restore_producers(&segments, start)?;
        let mut log_end_offset = start;
        for at in from..segments.len() {
            let Some(segment) = segments.get(at) else {
                break;
            };
            if at > 0 {
                self.write_snapshot(&producers, segment.base_offset(), false)?;
            }
            let scanned = self.recover_segment(segment, &mut producers, epochs)?;
            log_end_offset = scanned.next_offset;
            if let Some(fault) = &scanned.fault {
                let later = segments.split_off(at + 1);
                self.report_cut(&segments, &scanned, fault, later.len());
                for segment in later {
                    self.remove_segment(&segment)?;
                }
                break;
            }
        }
        self.remove_snapshots(|offset| offset > log_end_offset)?;
        Ok(Recovered {
            segments,
            producers,
            log_end_offset,
        })
    }

    fn recover_segment(
        &self,
        segment: &Segment,
        producers: &mut ProducerStates,
        epochs: &mut LeaderEpochs,
    ) -> Result<Scanned, LogError> {
        let path = self.place.file(segment.base_offset(), LOG_SUFFIX);
        let (bytes, _) = self.place.disk.stat(&path).at(&path)?;
        if bytes >= ANNOUNCED_BYTES {
            tracing::info!("recovering {} ({} MiB)", path.display(), bytes >> 20);
        }
        let mut aborted = Vec::new();
        let scanned = scan_segment(self.place, segment, self.index_interval_bytes, |scanned| {
            // Neither epochs nor producers before v2.
            let Some(header) = scanned.header.v2() else {
                return;
            };
            epochs.assign(header.leader_epoch(), header.base_offset());
            let batch = scanned.batch.as_ref().and_then(StoredBatch::v2);
            if let Some(batch) = producer_batch(header, batch) {
                aborted.extend(producers.replay(&batch));
            }
        })?;
        segment.rebuild(self.place, &scanned)?;
        let path = self.place.file(segment.base_offset(), TXN_INDEX_SUFFIX);
        txn_index::replace(self.place.disk.as_ref(), &path, &aborted).at(&path)?;
        segment.set_has_txn_index(!aborted.is_empty());
        Ok(scanned)
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
        let position = segment
            .locate(self.place, from)
            .map_err(|e| self.unreadable(segment, e))?;
        let Some(position) = position else {
            return Ok(());
        };
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
        walked.map_err(|e| self.unreadable(segment, e))?;
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
        for offset in self.snapshots()?.into_iter().filter(|offset| gone(*offset)) {
            let path = self.place.file(offset, SNAPSHOT_SUFFIX);
            remove_if_exists(self.place.disk.as_ref(), &path).at(&path)?;
        }
        Ok(())
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

    fn report_cut(&self, kept: &[Arc<Segment>], scanned: &Scanned, fault: &str, later: usize) {
        let base_offset = kept.last().map_or(0, |segment| segment.base_offset());
        tracing::warn!(
            "{}: cut at position {}, offset {}: {fault}; {later} later segments removed",
            self.place.file(base_offset, LOG_SUFFIX).display(),
            scanned.size,
            scanned.next_offset,
        );
    }

    fn unreadable(&self, segment: &Segment, error: ReadError) -> LogError {
        match error {
            ReadError::Storage(e) => e,
            other => {
                let path = self.place.file(segment.base_offset(), LOG_SUFFIX);
                LogError::malformed(&path, format!("{other}, while restoring {}", self.tp))
            }
        }
    }
}
