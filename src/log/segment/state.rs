//! What is known of a segment's end and indexes, kept up by each append.
use std::collections::VecDeque;

use super::{PlacedBatch, TimestampAndOffset};
use crate::log::error::{At, LogError};
use crate::log::names::{INDEX_SUFFIX, TIME_INDEX_SUFFIX};
use crate::log::offset_index::{OffsetEntry, OffsetIndex};
use crate::log::place::Place;
use crate::log::time_index::{TimeEntry, TimeIndex};
use crate::record::NO_TIMESTAMP;

/// Batches at the end of a segment whose positions are kept in memory.
const RECENT_BATCHES_MAX: usize = 64;

#[derive(Debug)]
pub(in crate::log) struct State {
    pub loaded: bool,
    /// Bytes of whole batches.
    pub size: u32,
    /// One past the last offset.
    pub next_offset: i64,
    pub index: OffsetIndex,
    pub time_index: TimeIndex,
    pub bytes_since_entry: u32,
    /// The greatest timestamp, with the last offset of the batch that holds it.
    pub max_timestamp: TimestampAndOffset,
    pub first_timestamp: Option<i64>,
    pub recent: VecDeque<PlacedBatch>,
}

impl State {
    pub fn empty(base_offset: i64) -> Self {
        Self {
            loaded: false,
            size: 0,
            next_offset: base_offset,
            index: OffsetIndex::default(),
            time_index: TimeIndex::default(),
            bytes_since_entry: 0,
            max_timestamp: TimestampAndOffset {
                timestamp: NO_TIMESTAMP,
                offset: -1,
            },
            first_timestamp: None,
            recent: VecDeque::new(),
        }
    }

    /// Takes a batch in. An index entry names the batch that made the bytes since the last entry
    /// exceed the interval, and is added before that batch, as Kafka does.
    pub fn add(
        &mut self,
        place: &Place,
        base_offset: i64,
        batch: &PlacedBatch,
        index_interval_bytes: u32,
    ) -> Result<(), LogError> {
        if batch.max_timestamp > self.max_timestamp.timestamp {
            self.max_timestamp = TimestampAndOffset {
                timestamp: batch.max_timestamp,
                offset: batch.last_offset,
            };
        }
        let wants_entry = self.bytes_since_entry > index_interval_bytes;
        if wants_entry {
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry = self.bytes_since_entry.saturating_add(batch.size);
        self.first_timestamp = self.first_timestamp.or(Some(batch.max_timestamp));
        self.size = batch.position.saturating_add(batch.size);
        self.next_offset = batch.last_offset + 1;
        if self.recent.len() == RECENT_BATCHES_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(*batch);
        if wants_entry {
            self.add_entries(place, base_offset, batch)
        } else {
            Ok(())
        }
    }

    fn add_entries(
        &mut self,
        place: &Place,
        base_offset: i64,
        batch: &PlacedBatch,
    ) -> Result<(), LogError> {
        let relative = |offset: i64| u32::try_from(offset - base_offset).unwrap_or(u32::MAX);
        let disk = place.disk.as_ref();
        let entry = OffsetEntry {
            relative_offset: relative(batch.last_offset),
            position: batch.position,
        };
        let path = place.file(base_offset, INDEX_SUFFIX);
        self.index.append(disk, &path, entry).at(&path)?;
        let max = self.max_timestamp;
        let entry = TimeEntry {
            timestamp: max.timestamp,
            relative_offset: relative(max.offset),
        };
        let path = place.file(base_offset, TIME_INDEX_SUFFIX);
        self.time_index.append(disk, &path, entry).at(&path)
    }

    pub fn store_indexes(&mut self, place: &Place, base_offset: i64) -> Result<(), LogError> {
        let path = place.file(base_offset, INDEX_SUFFIX);
        self.index.store(place.disk.as_ref(), &path).at(&path)?;
        let path = place.file(base_offset, TIME_INDEX_SUFFIX);
        self.time_index.store(place.disk.as_ref(), &path).at(&path)
    }
}
