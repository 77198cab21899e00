//! Parts of a segment that hold no batches, as reads meet them: remembered, so that what lies before
//! and behind can be read, and whoever asks for what was there is told.
use std::ops::Range;
use std::sync::atomic::Ordering;

use super::Segment;
use crate::log::error::{At, LogError, ReadError};
use crate::log::names::LOG_SUFFIX;
use crate::log::place::Place;
use crate::record::{BatchHeader, HEADER_LEN};

/// Bytes looked through at once for the next batch.
const BLOCK_BYTES: usize = 1 << 16;
/// Where a batch of the current format says so.
const MAGIC_AT: usize = 16;
/// What a batch's CRC covers starts here.
const CRC_START: u64 = 21;

/// A part of a segment without batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    positions: Range<u32>,
    /// The offsets that were, or could have been, there.
    offsets: Range<i64>,
}

impl Segment {
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Acquire)
    }

    /// The error of a read at an offset that is known to be lost.
    pub(super) fn lost(&self, place: &Place, offset: i64) -> Option<ReadError> {
        if !self.is_damaged() {
            return None;
        }
        let faults = self.faults.lock();
        let fault = faults
            .iter()
            .find(|fault| fault.offsets.contains(&offset))?;
        Some(ReadError::Corrupt {
            path: place.file(self.base_offset, LOG_SUFFIX),
            position: u64::from(fault.positions.start),
        })
    }

    /// The first known fault at or behind `position`, or else `end`.
    pub fn sound_until(&self, position: u32, end: u32) -> u32 {
        if !self.is_damaged() {
            return end;
        }
        let faults = self.faults.lock();
        let starts = faults.iter().map(|fault| fault.positions.start);
        starts
            .filter(|start| *start >= position)
            .fold(end, u32::min)
    }

    /// Where a walk that has come to `position` goes on.
    pub(super) fn past_fault(&self, position: u64) -> u64 {
        let faults = self.faults.lock();
        let found = faults
            .iter()
            .find(|fault| u64::from(fault.positions.start) == position);
        found.map_or(position, |fault| u64::from(fault.positions.end))
    }

    pub(super) fn forget_faults(&self) {
        self.faults.lock().clear();
        self.damaged.store(false, Ordering::Release);
    }

    /// Finds out how far the damage at `position` reaches; `false` if it is known, or none of the
    /// segment's batches starts there. Says so on the log once.
    pub fn note_fault(&self, place: &Place, position: u64) -> Result<bool, ReadError> {
        let (size, end_offset) = (self.size(place)?, self.next_offset(place)?);
        let mut before = self.base_offset;
        let mut last = None;
        let walked = self.walk(place, 0, size, |at, batch| {
            let reached = u64::from(at) >= position;
            if !reached {
                last = Some((at, before));
                before = batch.next_offset();
            }
            !reached
        });
        let mut start = match walked {
            Err(ReadError::Corrupt { position, .. }) => u32::try_from(position).unwrap_or(u32::MAX),
            Err(e) => return Err(e),
            Ok(()) => return Ok(false),
        };
        // It may be the batch before that says a wrong length.
        if let Some((at, offset)) = last
            && !self.is_sound(place, at)?
        {
            (start, before) = (at, offset);
        }
        let next = self.next_batch(place, start.saturating_add(1)..size, before..end_offset)?;
        let (end, after) = next.unwrap_or((size, end_offset));
        let fault = Fault {
            positions: start..end,
            offsets: before..after,
        };
        let mut faults = self.faults.lock();
        if faults.contains(&fault) {
            return Ok(false);
        }
        tracing::error!(
            "{} is damaged from position {start} to {end}: offsets {before} to {} cannot be read",
            place.file(self.base_offset, LOG_SUFFIX).display(),
            after - 1
        );
        faults.push(fault);
        self.damaged.store(true, Ordering::Release);
        Ok(true)
    }

    /// Whether the batch at `position` has the CRC that it says; nobody says so of old formats.
    fn is_sound(&self, place: &Place, position: u32) -> Result<bool, LogError> {
        let file = self.file(place)?;
        let path = place.file(self.base_offset, LOG_SUFFIX);
        let mut header = [0; HEADER_LEN];
        let start = u64::from(position);
        place.disk.read_at(&file, &mut header, start).at(&path)?;
        let Ok(Some(header)) = BatchHeader::parse(&header) else {
            return Ok(true);
        };
        let covered = start + CRC_START..start + header.size() as u64;
        Ok(self.sum(place, &file, covered)? == header.crc())
    }

    /// The first valid batch in `positions` with one of `offsets`: its position and base offset.
    fn next_batch(
        &self,
        place: &Place,
        positions: Range<u32>,
        offsets: Range<i64>,
    ) -> Result<Option<(u32, i64)>, LogError> {
        let file = self.file(place)?;
        let path = place.file(self.base_offset, LOG_SUFFIX);
        let end = u64::from(positions.end);
        let mut block = vec![0; BLOCK_BYTES];
        let mut start = u64::from(positions.start);
        while start + (HEADER_LEN as u64) <= end {
            let len = place.disk.read_at(&file, &mut block, start).at(&path)?;
            let read = block.get(..len).unwrap_or_default();
            let Some(last) = len.checked_sub(HEADER_LEN) else {
                return Ok(None);
            };
            for at in 0..=last {
                let bytes = read.get(at..).unwrap_or_default();
                if bytes.get(MAGIC_AT) != Some(&2) {
                    continue;
                }
                let Ok(Some(header)) = BatchHeader::parse(bytes) else {
                    continue;
                };
                let position = start + at as u64;
                let (size, base_offset) = (header.size() as u64, header.base_offset());
                if !offsets.contains(&base_offset) || position + size > end {
                    continue;
                }
                let stored = header.crc();
                let covered = position + CRC_START..position + size;
                if self.sum(place, &file, covered)? == stored {
                    return Ok(Some((position as u32, base_offset)));
                }
            }
            start += last as u64 + 1;
        }
        Ok(None)
    }

    fn sum(&self, place: &Place, file: &std::fs::File, range: Range<u64>) -> Result<u32, LogError> {
        let path = place.file(self.base_offset, LOG_SUFFIX);
        let mut piece = vec![0; BLOCK_BYTES];
        let (mut at, mut crc) = (range.start, 0);
        while at < range.end {
            let wanted = BLOCK_BYTES.min((range.end - at) as usize);
            let piece = piece.get_mut(..wanted).unwrap_or_default();
            let len = place.disk.read_at(file, piece, at).at(&path)?;
            if len == 0 {
                break;
            }
            crc = crc32c::crc32c_append(crc, piece.get(..len).unwrap_or_default());
            at += len as u64;
        }
        Ok(crc)
    }
}
