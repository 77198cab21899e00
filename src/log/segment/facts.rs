//! What the choice of the log to clean next goes by.
use super::Segment;
use crate::log::cleaner::choice::SegmentFacts;
use crate::log::error::LogError;
use crate::log::place::Place;
use crate::log::{offset_index, time_index};

impl Segment {
    /// The first batch's timestamp takes a read of the file, once.
    pub fn cleaning_facts(
        &self,
        place: &Place,
        with_first_timestamp: bool,
    ) -> Result<SegmentFacts, LogError> {
        let first_timestamp = match with_first_timestamp {
            true => self.first_timestamp(place)?,
            false => None,
        };
        let state = self.loaded(place)?;
        Ok(SegmentFacts {
            base_offset: self.base_offset,
            size: state.size,
            index_bytes: [
                state.index.len() * offset_index::ENTRY_BYTES as u32,
                state.time_index.len() * time_index::ENTRY_BYTES as u32,
            ],
            max_timestamp: state.max_timestamp.timestamp,
            first_timestamp,
        })
    }
}
