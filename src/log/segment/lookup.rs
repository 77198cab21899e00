//! From offsets and timestamps to positions in a segment: by what memory holds of its end, or else
//! by index and a short walk over batch headers.
use std::ops::Range;

use super::{Located, Segment};
use crate::log::error::{At, ReadError};
use crate::log::names::{INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX};
use crate::log::offset_index::OffsetEntry;
use crate::log::place::Place;
use crate::record::{HEADER_LEN, StoredHeader};

/// Bytes read at once while walking over batch headers.
const HEADER_BLOCK_BYTES: usize = 4096;

impl Segment {
    /// Where the batch with `offset` starts, or the first one after it; `None` past the end.
    pub fn locate(&self, place: &Place, offset: i64) -> Result<Option<Located>, ReadError> {
        let mut state = self.loaded(place)?;
        if offset >= state.next_offset {
            return Ok(None);
        }
        if state
            .recent
            .front()
            .is_some_and(|first| first.base_offset <= offset)
        {
            let at = state
                .recent
                .partition_point(|batch| batch.last_offset < offset);
            let found = state.recent.get(at);
            return Ok(found.map(|b| Located {
                position: b.position,
                size: Some(b.size),
            }));
        }
        if let Some(lost) = self.lost(place, offset) {
            return Err(lost);
        }
        let path = place.file(self.base_offset, INDEX_SUFFIX);
        let relative = u32::try_from(offset - self.base_offset).unwrap_or(0);
        let around = state
            .index
            .lookup(place.disk.as_ref(), &path, relative)
            .at(&path)?;
        let from = around.floor.map_or(0, |floor| floor.position);
        if around
            .floor
            .is_some_and(|floor| floor.relative_offset == relative)
        {
            return Ok(Some(Located {
                position: from,
                size: None,
            }));
        }
        let size = state.size;
        drop(state);
        match self.walk_to(place, offset, from..size, around.next) {
            // The index may be what is wrong.
            Err(ReadError::Corrupt { position, .. }) if from > 0 => {
                let found = self.walk_to(place, offset, 0..size, None)?;
                tracing::warn!("{}: wrong at position {position}", path.display());
                Ok(found)
            }
            other => other,
        }
    }

    /// Walks to the batch that holds `offset`, or the first one after it. `indexed` is the entry
    /// behind the start of the walk.
    fn walk_to(
        &self,
        place: &Place,
        offset: i64,
        range: Range<u32>,
        indexed: Option<OffsetEntry>,
    ) -> Result<Option<Located>, ReadError> {
        let mut found = None;
        self.walk(place, range.start, range.end, |position, batch| {
            let after = position.saturating_add(batch.size() as u32);
            if batch.last_offset() >= offset {
                found = Some(Located {
                    position,
                    size: Some(batch.size() as u32),
                });
            } else if indexed.is_some_and(|next| next.position == after) {
                // The next batch is indexed and reaches past the offset.
                found = Some(Located {
                    position: after,
                    size: None,
                });
            }
            found.is_none()
        })?;
        Ok(found)
    }

    /// Where the batches at and after `limit` start: what lies before may be read.
    pub fn end_before(&self, place: &Place, limit: i64) -> Result<u32, ReadError> {
        // Under one lock: an append between two looks must not be taken for readable.
        let state = self.loaded(place)?;
        if limit >= state.next_offset {
            return Ok(state.size);
        }
        drop(state);
        match self.locate(place, limit)? {
            Some(located) => Ok(located.position),
            None => Ok(0),
        }
    }

    /// The size of the batch at `position`.
    pub fn batch_size(&self, place: &Place, position: u32) -> Result<u32, ReadError> {
        let mut size = None;
        let end = self.size(place)?;
        self.walk(place, position, end, |_, batch| {
            size = Some(batch.size() as u32);
            false
        })?;
        let path = || place.file(self.base_offset, LOG_SUFFIX);
        size.ok_or_else(|| ReadError::Corrupt {
            path: path(),
            position: u64::from(position),
        })
    }

    /// A known start of a batch at or before `position`, as near as memory or the index tell.
    pub fn boundary_before(&self, place: &Place, position: u32) -> Result<u32, ReadError> {
        let mut state = self.loaded(place)?;
        if state
            .recent
            .front()
            .is_some_and(|first| first.position <= position)
        {
            let at = state
                .recent
                .partition_point(|batch| batch.position <= position);
            return Ok(state.recent.get(at - 1).map_or(0, |batch| batch.position));
        }
        let path = place.file(self.base_offset, INDEX_SUFFIX);
        let floor = state
            .index
            .at_or_before(place.disk.as_ref(), &path, position)
            .at(&path)?;
        Ok(floor.map_or(0, |entry| entry.position))
    }

    /// An offset that is not below any of the batches before `position`; `None`: the segment's end.
    pub fn offset_bound(&self, place: &Place, position: u32) -> Result<Option<i64>, ReadError> {
        let mut state = self.loaded(place)?;
        if state
            .recent
            .front()
            .is_some_and(|first| first.position <= position)
        {
            let at = state
                .recent
                .partition_point(|batch| batch.position < position);
            return Ok(state.recent.get(at).map(|batch| batch.base_offset));
        }
        let path = place.file(self.base_offset, INDEX_SUFFIX);
        let entry = state
            .index
            .at_or_after(place.disk.as_ref(), &path, position)
            .at(&path)?;
        Ok(entry.map(|entry| {
            self.base_offset
                .saturating_add(i64::from(entry.relative_offset))
        }))
    }

    /// Where to begin looking for a timestamp: no batch before holds it or a later one.
    pub fn position_before_timestamp(
        &self,
        place: &Place,
        timestamp: i64,
    ) -> Result<u32, ReadError> {
        let mut state = self.loaded(place)?;
        let path = place.file(self.base_offset, TIME_INDEX_SUFFIX);
        let disk = place.disk.as_ref();
        let Some(entry) = state.time_index.before(disk, &path, timestamp).at(&path)? else {
            return Ok(0);
        };
        let path = place.file(self.base_offset, INDEX_SUFFIX);
        let around = state
            .index
            .lookup(disk, &path, entry.relative_offset)
            .at(&path)?;
        Ok(around.floor.map_or(0, |floor| floor.position))
    }

    /// Calls `each` with the headers of the batches from `from` on, until it says false or `to` is
    /// reached. Reads headers, not records.
    pub fn walk(
        &self,
        place: &Place,
        from: u32,
        to: u32,
        mut each: impl FnMut(u32, &StoredHeader<'_>) -> bool,
    ) -> Result<(), ReadError> {
        let file = self.file(place)?;
        let path = || place.file(self.base_offset, LOG_SUFFIX);
        let mut block = [0; HEADER_BLOCK_BYTES];
        let (mut start, mut len) = (0_u64, 0_usize);
        let mut position = u64::from(from);
        let is_damaged = self.is_damaged();
        while position < u64::from(to) {
            if is_damaged {
                let behind = self.past_fault(position);
                if behind != position {
                    position = behind;
                    continue;
                }
            }
            let mut at = position.wrapping_sub(start) as usize;
            if position < start || at + HEADER_LEN > len {
                start = position;
                at = 0;
                len = place.disk.read_at(&file, &mut block, start).at(&path())?;
            }
            let header = block.get(at..len).unwrap_or_default();
            let corrupt = || ReadError::Corrupt {
                path: path(),
                position,
            };
            let Ok(Some(batch)) = StoredHeader::parse(header) else {
                return Err(corrupt());
            };
            let next = position + batch.size() as u64;
            if next > u64::from(to) || batch.last_offset() < self.base_offset {
                return Err(corrupt());
            }
            if !each(position as u32, &batch) {
                return Ok(());
            }
            position = next;
        }
        Ok(())
    }
}
