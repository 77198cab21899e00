//! ListOffsets: offsets by timestamp.
use std::sync::Arc;

use super::error::{At, ReadError};
use super::log::Log;
use super::names::LOG_SUFFIX;
use super::read::ReadLimit;
use super::segment::Segment;
use crate::record::{NO_TIMESTAMP, StoredBatch};

/// The largest batch that is read into memory to find a record by its timestamp. A segment's
/// batches are at most as large as the broker's `max.message.bytes` ever was.
const BATCH_BYTES_MAX: usize = 1 << 30;

/// What is asked for; the numbers are those of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOffset {
    /// -1: the end, as far as the limit allows.
    Latest,
    /// -2
    Earliest,
    /// -3: the first record with the greatest timestamp.
    MaxTimestamp,
    /// -4: the first offset on this node's own disks.
    EarliestLocal,
    /// -5 and -6 ask for offsets in tiers, of which there are none.
    Tiered,
    /// The first record with this timestamp or a later one.
    Timestamp(i64),
}

impl ListOffset {
    /// From the timestamp field of the protocol.
    pub fn from_timestamp(timestamp: i64) -> Self {
        match timestamp {
            -1 => Self::Latest,
            -2 => Self::Earliest,
            -3 => Self::MaxTimestamp,
            -4 => Self::EarliestLocal,
            -5 | -6 => Self::Tiered,
            other => Self::Timestamp(other),
        }
    }
}

/// An offset with the timestamp and the leader epoch of its record, where they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetAndEpoch {
    pub offset: i64,
    /// -1 for the start and the end of the log.
    pub timestamp: i64,
    pub leader_epoch: Option<i32>,
}

impl Log {
    /// Answers ListOffsets; `None` if no record is asked for. Records at or past the limit are not
    /// found by their timestamps.
    pub fn list_offset(
        &self,
        what: ListOffset,
        limit: ReadLimit,
    ) -> Result<Option<OffsetAndEpoch>, ReadError> {
        let bound = match limit {
            ReadLimit::HighWatermark => self.high_watermark(),
            ReadLimit::LastStable => self.last_stable_offset()?,
            ReadLimit::LogEnd => self.log_end_offset(),
        };
        match what {
            ListOffset::Latest => {
                let leader_epoch = self.latest_epoch()?;
                Ok(Some(OffsetAndEpoch {
                    offset: bound,
                    timestamp: NO_TIMESTAMP,
                    leader_epoch,
                }))
            }
            ListOffset::Earliest | ListOffset::EarliestLocal => {
                let offset = self.log_start_offset();
                let earliest = self.epochs()?.earliest();
                let epoch = earliest
                    .filter(|e| e.start_offset <= offset)
                    .map(|e| e.epoch);
                let timestamp = NO_TIMESTAMP;
                Ok(Some(OffsetAndEpoch {
                    offset,
                    timestamp,
                    leader_epoch: epoch,
                }))
            }
            ListOffset::Tiered => Ok(None),
            ListOffset::MaxTimestamp => {
                self.look(|segments| self.max_timestamp(self.served(segments), bound))
            }
            ListOffset::Timestamp(timestamp) => self
                .look(|segments| self.first_at_or_after(self.served(segments), timestamp, bound)),
        }
    }

    /// The segments from the log start on. Those before may stay for a time: nothing of them is looked at.
    fn served<'a>(&self, segments: &'a [Arc<Segment>]) -> &'a [Arc<Segment>] {
        let start = self.log_start_offset();
        let begun = segments.partition_point(|segment| segment.base_offset() <= start);
        segments.get(begun.saturating_sub(1)..).unwrap_or_default()
    }

    fn max_timestamp(
        &self,
        segments: &[Arc<Segment>],
        bound: i64,
    ) -> Result<Option<OffsetAndEpoch>, ReadError> {
        let mut greatest: Option<(&Arc<Segment>, i64)> = None;
        for segment in segments.iter() {
            let max = segment.max_timestamp(&self.place)?;
            // Of equal ones the first.
            if max.timestamp >= 0 && greatest.is_none_or(|(_, known)| max.timestamp > known) {
                greatest = Some((segment, max.timestamp));
            }
        }
        match greatest {
            Some((segment, timestamp)) => self.search(segment, timestamp, bound),
            None => Ok(None),
        }
    }

    fn first_at_or_after(
        &self,
        segments: &[Arc<Segment>],
        timestamp: i64,
        bound: i64,
    ) -> Result<Option<OffsetAndEpoch>, ReadError> {
        for segment in segments.iter() {
            if segment.max_timestamp(&self.place)?.timestamp < timestamp {
                continue;
            }
            if let Some(found) = self.search(segment, timestamp, bound)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first record of a segment at or after `timestamp`, within the log start and `bound`.
    fn search(
        &self,
        segment: &Segment,
        timestamp: i64,
        bound: i64,
    ) -> Result<Option<OffsetAndEpoch>, ReadError> {
        let start = self.log_start_offset();
        let from = segment.position_before_timestamp(&self.place, timestamp)?;
        let size = segment.size(&self.place)?;
        let mut found = Ok(None);
        segment.walk(&self.place, from, size, |position, batch| {
            if batch.base_offset().is_some_and(|first| first >= bound) {
                return false;
            }
            if batch.max_timestamp() < timestamp || batch.last_offset() < start {
                return true;
            }
            found = self.search_batch(segment, position, batch.size(), timestamp, start);
            matches!(found, Ok(None))
        })?;
        Ok(found?.filter(|found| found.offset < bound))
    }

    fn search_batch(
        &self,
        segment: &Segment,
        position: u32,
        size: usize,
        timestamp: i64,
        start: i64,
    ) -> Result<Option<OffsetAndEpoch>, ReadError> {
        let path = self.place.file(segment.base_offset(), LOG_SUFFIX);
        let corrupt = || ReadError::Corrupt {
            path: path.clone(),
            position: u64::from(position),
        };
        if size > BATCH_BYTES_MAX {
            return Err(corrupt());
        }
        let mut bytes = vec![0; size];
        let file = segment.file(&self.place)?;
        self.place
            .disk
            .read_at(&file, &mut bytes, u64::from(position))
            .at(&path)?;
        let batch = StoredBatch::first(&bytes)
            .ok()
            .flatten()
            .ok_or_else(corrupt)?;
        let records = batch.records().map_err(|_| corrupt())?;
        for record in &records {
            let record = record.map_err(|_| corrupt())?;
            if record.timestamp >= timestamp && record.offset >= start {
                return Ok(Some(OffsetAndEpoch {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    leader_epoch: Some(batch.header().leader_epoch()).filter(|epoch| *epoch >= 0),
                }));
            }
        }
        Ok(None)
    }
}
