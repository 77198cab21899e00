//! One cleaning of one log: a pass over its dirty part that fills the offset map, and a pass over
//! all of it up to there that writes what stays.
use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;

use super::choice::{Plan, SegmentFacts, group_segments};
use super::chunks::Chunks;
use super::filter::{Filter, FilterStats, Left, pass};
use super::offset_map::{KeyHash, OffsetMap};
use super::output::{Output, discard};
use super::rules::{ActiveProducers, Rules};
use super::transactions::CleanedTransactions;
use super::{CleaningError, Supervisor};
use crate::log::error::{At, LogError, ReadError};
use crate::log::log::Log;
use crate::log::names::LOG_SUFFIX;
use crate::log::segment::Segment;
use crate::record::{BatchError, DECOMPRESSED_MAX, StoredBatch, StoredHeader};

/// Keys put into the map together.
const INSERTS: usize = 32;
/// The least that is read at once, whatever is configured.
const BUFFER_BYTES_MIN: usize = 4096;
/// Memory of a large batch that is kept for the next one.
const SCRATCH_KEPT_BYTES: usize = 8 << 20;

/// The share of one cleaner thread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resources {
    /// Bytes of the offset map at most.
    pub map_bytes: usize,
    /// Part of the map's slots that may be used.
    pub load_factor: f64,
    /// Bytes read at once.
    pub buffer_bytes: usize,
}

/// What a cleaning came to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CleaningStats {
    pub start_offset: i64,
    /// Clean up to here.
    pub end_offset: i64,
    /// Bytes of the dirty part, read for the map.
    pub map_bytes_read: u64,
    pub bytes_read: u64,
    pub bytes_written: u64,
    pub records: FilterStats,
    /// Segments before and after.
    pub segments: (usize, usize),
    /// Used slots of the map as a part of all, and its size in bytes.
    pub map_utilization: f64,
    pub map_memory: usize,
}

/// Cleans one log after the other. Between cleanings it holds no memory but its buffers, which
/// [`Cleaner::rest`] gives up.
#[derive(Debug, Default)]
pub struct Cleaner {
    buffer: Vec<u8>,
    rewritten: Vec<u8>,
    decompressed: Vec<u8>,
    keys: Vec<(KeyHash, i64)>,
    filter: Filter,
}

/// A stretch of bytes to write.
enum Piece {
    /// Of what was read.
    Read(Range<usize>),
    /// Of what was built.
    Built(Range<usize>),
}

impl Cleaner {
    /// Gives the memory of the buffers back.
    pub fn rest(&mut self) {
        *self = Self::default();
    }

    /// Cleans `log` as far as `plan` and the map allow. `seed` is for the hashes of its keys.
    pub fn clean(
        &mut self,
        log: &Log,
        plan: &Plan,
        resources: &Resources,
        seed: u64,
        supervisor: &dyn Supervisor,
        now_ms: i64,
    ) -> Result<CleaningStats, CleaningError> {
        let buffer_bytes = resources.buffer_bytes.max(BUFFER_BYTES_MIN);
        self.buffer.clear();
        self.buffer.shrink_to(buffer_bytes);
        self.buffer.resize(buffer_bytes, 0);
        self.filter.stats = FilterStats::default();
        if log.recovery_point() < plan.end_offset {
            // No record may go for the sake of a later one that a loss of power can take.
            log.flush(now_ms)?;
        }
        let segments = log.segments.load_full();
        let sources = before(&segments, plan.end_offset);
        // No more keys than offsets.
        let keys = plan.end_offset.saturating_sub(plan.first_dirty_offset);
        let mut map = OffsetMap::new(
            u64::try_from(keys).unwrap_or(0),
            resources.map_bytes,
            resources.load_factor,
            seed,
        );
        let mut run = Run {
            cleaner: self,
            log,
            plan,
            supervisor,
            now_ms,
            stats: CleaningStats {
                start_offset: plan.first_dirty_offset,
                ..CleaningStats::default()
            },
        };
        run.fill_map(sources, &mut map)?;
        run.stats.end_offset = map.latest_offset().saturating_add(1);
        run.write_groups(before(sources, run.stats.end_offset), &map)?;
        let mut stats = run.stats;
        stats.records = self.filter.stats;
        stats.map_utilization = map.utilization();
        stats.map_memory = map.memory();
        Ok(stats)
    }
}

/// The segments that start before `offset`.
fn before(segments: &[Arc<Segment>], offset: i64) -> &[Arc<Segment>] {
    let count = segments.partition_point(|segment| segment.base_offset() < offset);
    segments.get(..count).unwrap_or_default()
}

/// A cleaning under way.
struct Run<'a> {
    cleaner: &'a mut Cleaner,
    log: &'a Log,
    plan: &'a Plan,
    supervisor: &'a dyn Supervisor,
    now_ms: i64,
    stats: CleaningStats,
}

impl Run<'_> {
    /// Accounts for bytes read or written; an error ends the cleaning.
    fn pass(&self, bytes: usize) -> Result<(), CleaningError> {
        if self.supervisor.pass(self.log.topic_partition(), bytes) {
            Ok(())
        } else {
            Err(CleaningError::Aborted)
        }
    }

    /// Notes the newest offset of each key from the first dirty offset on, until the map is full.
    fn fill_map(
        &mut self,
        sources: &[Arc<Segment>],
        map: &mut OffsetMap,
    ) -> Result<(), CleaningError> {
        let start = self.plan.first_dirty_offset;
        map.set_latest_offset(start - 1);
        let mut transactions = CleanedTransactions::default();
        transactions.add_aborted(self.log.aborted_transactions(start, self.plan.end_offset)?);
        let first = sources
            .partition_point(|segment| segment.base_offset() <= start)
            .saturating_sub(1);
        for (at, segment) in sources.iter().enumerate().skip(first) {
            if !self.fill_from(segment, map, &mut transactions)? {
                return Ok(());
            }
            // Offsets that are missing at the end of a segment are known to be.
            let next = sources.get(at + 1).map(|next| next.base_offset());
            map.set_latest_offset(next.unwrap_or(self.plan.end_offset) - 1);
        }
        Ok(())
    }

    /// False once the map is full.
    fn fill_from(
        &mut self,
        segment: &Segment,
        map: &mut OffsetMap,
        transactions: &mut CleanedTransactions,
    ) -> Result<bool, CleaningError> {
        let start = self.plan.first_dirty_offset;
        let place = &self.log.place;
        let path = place.file(segment.base_offset(), LOG_SUFFIX);
        let file = segment.file(place)?;
        let from = match start > segment.base_offset() {
            true => segment.locate(place, start)?,
            false => None,
        };
        let end = u64::from(segment.size(place)?);
        let from = match from {
            Some(located) => u64::from(located.position),
            None if start > segment.base_offset() => end,
            None => 0,
        };
        let mut buffer = std::mem::take(&mut self.cleaner.buffer);
        let mut chunks = Chunks::new(place.disk.as_ref(), file, &path, from..end, &mut buffer);
        let mut consumed = 0;
        let mut room = true;
        while room && let Some(bytes) = chunks.next(consumed)? {
            consumed = 0;
            let mut fault = None;
            while room {
                let rest = bytes.get(consumed..).unwrap_or_default();
                match self.map_batch(rest, map, transactions) {
                    Ok(Some((size, fits))) => {
                        consumed += size;
                        room = fits;
                    }
                    Ok(None) => break,
                    Err(e) => {
                        fault = Some(e);
                        break;
                    }
                }
            }
            if let Some(e) = fault {
                return Err(chunks.corrupt(consumed, e));
            }
            self.stats.map_bytes_read += consumed as u64;
            self.pass(consumed)?;
        }
        self.cleaner.buffer = buffer;
        Ok(room)
    }

    /// Notes the keys of the batch at the front of `bytes`. Gives its size, and whether the map had
    /// room for all of it; `None` if it is not whole.
    fn map_batch(
        &mut self,
        bytes: &[u8],
        map: &mut OffsetMap,
        transactions: &mut CleanedTransactions,
    ) -> Result<Option<(usize, bool)>, BatchError> {
        let Some(batch) = StoredBatch::first(bytes)? else {
            return Ok(None);
        };
        batch.check_crc()?;
        let header = batch.header();
        let of_aborted = match &batch {
            StoredBatch::V2(batch) => pass(batch, transactions),
            StoredBatch::Legacy(_) => false,
        };
        let is_control = header.v2().is_some_and(|header| header.is_control());
        if !is_control && !of_aborted && !self.map_records(&batch, map)? {
            return Ok(Some((header.size(), false)));
        }
        let last_offset = header.last_offset();
        if last_offset >= self.plan.first_dirty_offset {
            map.set_latest_offset(last_offset);
        }
        Ok(Some((header.size(), true)))
    }

    fn map_records(
        &mut self,
        batch: &StoredBatch<'_>,
        map: &mut OffsetMap,
    ) -> Result<bool, BatchError> {
        let Cleaner {
            decompressed, keys, ..
        } = &mut *self.cleaner;
        if decompressed.capacity() > SCRATCH_KEPT_BYTES {
            *decompressed = Vec::new();
        }
        keys.clear();
        let records = batch.records_with(decompressed, DECOMPRESSED_MAX)?;
        for record in &records {
            let record = record?;
            if let Some(key) = record.key
                && record.offset >= self.plan.first_dirty_offset
            {
                keys.push((map.hash(key), record.offset));
            }
        }
        for keys in keys.chunks(INSERTS) {
            map.prefetch(keys.iter().map(|(hash, _)| *hash));
            for (hash, offset) in keys {
                if !map.insert(*hash, *offset) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn write_groups(
        &mut self,
        sources: &[Arc<Segment>],
        map: &OffsetMap,
    ) -> Result<(), CleaningError> {
        let facts: Vec<SegmentFacts> = sources
            .iter()
            .map(|segment| segment.cleaning_facts(&self.log.place, false))
            .collect::<Result<_, _>>()?;
        let horizon_ms = self.legacy_horizon(sources)?;
        let config = self.log.config();
        let groups = group_segments(
            &facts,
            config.segment_bytes,
            config.segment_index_bytes,
            self.plan.end_offset,
        );
        let mut transactions = CleanedTransactions::default();
        self.stats.segments = (sources.len(), groups.len());
        for group in groups {
            let group = sources.get(group).unwrap_or_default();
            let Some(first) = group.first() else { continue };
            let retained = self
                .write_group(group, map, &mut transactions, horizon_ms)
                .inspect_err(|_| discard(&self.log.place, first.base_offset()))?;
            self.log
                .replace_segments(group, retained > 0, self.now_ms)?;
        }
        Ok(())
    }

    /// Tombstones of before Kafka 0.11 go from segments that were last written to before this.
    fn legacy_horizon(&self, sources: &[Arc<Segment>]) -> Result<i64, LogError> {
        let clean = before(sources, self.plan.first_dirty_offset);
        let Some(newest) = clean.last() else {
            return Ok(0);
        };
        let retention_ms = self.log.config_now().delete_retention_ms;
        Ok(self.modified_ms(newest)?.saturating_sub(retention_ms))
    }

    fn modified_ms(&self, segment: &Segment) -> Result<i64, LogError> {
        let place = &self.log.place;
        let path = place.file(segment.base_offset(), LOG_SUFFIX);
        Ok(place.disk.stat(&path).at(&path)?.1)
    }

    /// Makes one segment of `group`. Gives the number of aborted transactions in its index.
    fn write_group(
        &mut self,
        group: &[Arc<Segment>],
        map: &OffsetMap,
        transactions: &mut CleanedTransactions,
        legacy_horizon_ms: i64,
    ) -> Result<usize, CleaningError> {
        let config = self.log.config();
        let base_offset = group.first().map_or(0, |first| first.base_offset());
        let producers = ActiveProducers::new(&self.log.producer_snapshot()?);
        let mut output = Output::create(&self.log.place, base_offset, config.index_interval_bytes)?;
        let mut modified_ms = 0;
        for (at, segment) in group.iter().enumerate() {
            let next = group.get(at + 1).map(|next| next.base_offset());
            let end = match next {
                Some(next) => next,
                None => segment.next_offset(&self.log.place)?,
            };
            let aborted = self.log.aborted_transactions(segment.base_offset(), end)?;
            transactions.add_aborted(aborted);
            modified_ms = self.modified_ms(segment)?;
            let rules = Rules {
                map,
                producers: &producers,
                now_ms: self.now_ms,
                delete_retention_ms: config.delete_retention_ms,
                end_offset: self.plan.end_offset,
                keep_legacy_tombstones: modified_ms > legacy_horizon_ms,
            };
            self.write_from(segment, &rules, transactions, &mut output)?;
        }
        let retained = transactions.take_retained();
        output.finish(&retained, modified_ms)?;
        self.pass(0)?;
        Ok(retained.len())
    }

    fn write_from(
        &mut self,
        segment: &Segment,
        rules: &Rules<'_>,
        transactions: &mut CleanedTransactions,
        output: &mut Output<'_>,
    ) -> Result<(), CleaningError> {
        let place = &self.log.place;
        let path = place.file(segment.base_offset(), LOG_SUFFIX);
        let end = u64::from(segment.size(place)?);
        let file = segment.file(place)?;
        let mut buffer = std::mem::take(&mut self.cleaner.buffer);
        let mut built = std::mem::take(&mut self.cleaner.rewritten);
        let mut chunks = Chunks::new(place.disk.as_ref(), file, &path, 0..end, &mut buffer);
        let mut pieces = Vec::new();
        let mut consumed = 0;
        while let Some(bytes) = chunks.next(consumed)? {
            pieces.clear();
            built.clear();
            let position = output.position();
            let mut fault = None;
            consumed = 0;
            while let Some(rest) = bytes.get(consumed..).filter(|rest| !rest.is_empty()) {
                let filter = &mut self.cleaner.filter;
                match filter_batch(rest, filter, rules, transactions, output, &mut built) {
                    Ok(Some((size, left))) => {
                        add_piece(&mut pieces, left, consumed, size, built.len());
                        consumed += size;
                    }
                    Ok(None) => break,
                    Err(e) => {
                        fault = Some(e);
                        break;
                    }
                }
            }
            let mut bufs: Vec<IoSlice<'_>> = pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Read(range) => bytes.get(range.clone()),
                    Piece::Built(range) => built.get(range.clone()),
                })
                .map(|bytes| IoSlice::new(bytes.unwrap_or_default()))
                .collect();
            if let Some(e) = fault {
                drop(bufs);
                return Err(chunks.corrupt(consumed, e));
            }
            output.write(&mut bufs, position)?;
            let written = (output.position() - position) as usize;
            self.stats.bytes_read += consumed as u64;
            self.stats.bytes_written += written as u64;
            self.pass(consumed + written)?;
        }
        built.clear();
        built.shrink_to(SCRATCH_KEPT_BYTES);
        self.cleaner.buffer = buffer;
        self.cleaner.rewritten = built;
        Ok(())
    }
}

/// Filters the batch at the front of `bytes`. Gives its size and what is left of it; `None` if it
/// is not whole.
fn filter_batch(
    bytes: &[u8],
    filter: &mut Filter,
    rules: &Rules<'_>,
    transactions: &mut CleanedTransactions,
    output: &mut Output<'_>,
    built: &mut Vec<u8>,
) -> Result<Option<(usize, Left)>, String> {
    let text = |e: BatchError| e.to_string();
    let Some(batch) = StoredBatch::first(bytes).map_err(text)? else {
        return Ok(None);
    };
    batch.check_crc().map_err(text)?;
    let start = built.len();
    let left = filter
        .batch(&batch, rules, transactions, built)
        .map_err(text)?;
    match left {
        Left::Nothing => {}
        Left::Whole => output.add(&batch.header())?,
        Left::Rewritten => {
            let new = built.get(start..).unwrap_or_default();
            match StoredHeader::parse(new).map_err(text)? {
                Some(header) => output.add(&header)?,
                None => return Err("what was written of it is cut short".to_owned()),
            }
        }
    }
    Ok(Some((batch.header().size(), left)))
}

/// Notes what to write for the batch at `consumed`; `built` is where the built bytes end.
fn add_piece(pieces: &mut Vec<Piece>, left: Left, consumed: usize, size: usize, built: usize) {
    match (left, pieces.last_mut()) {
        (Left::Nothing, _) => {}
        (Left::Whole, Some(Piece::Read(last))) if last.end == consumed => last.end += size,
        (Left::Whole, _) => pieces.push(Piece::Read(consumed..consumed + size)),
        (Left::Rewritten, Some(Piece::Built(last))) => last.end = built,
        (Left::Rewritten, _) => {
            let start = pieces
                .iter()
                .rev()
                .find_map(|piece| match piece {
                    Piece::Built(range) => Some(range.end),
                    Piece::Read(_) => None,
                })
                .unwrap_or(0);
            pieces.push(Piece::Built(start..built));
        }
    }
}

impl From<ReadError> for CleaningError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Corrupt { path, position } => Self::Corrupt {
                path,
                position,
                reason: "no batch starts there".to_owned(),
            },
            ReadError::Storage(e) => e.into(),
            ReadError::OffsetOutOfRange { .. } => Self::Aborted,
        }
    }
}
