//! Which log is cleaned next, how far, and which of its segments become one. Pure.
use std::ops::Range;

/// A segment as far as the choice needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentFacts {
    pub base_offset: i64,
    pub size: u32,
    /// Bytes of the offset index and of the time index.
    pub index_bytes: [u32; 2],
    pub max_timestamp: i64,
    /// Of the first batch.
    pub first_timestamp: Option<i64>,
}

/// A log with `cleanup.policy` compact.
#[derive(Debug, Clone, PartialEq)]
pub struct LogFacts {
    /// In order; the last is appended to.
    pub segments: Vec<SegmentFacts>,
    pub log_start_offset: i64,
    pub log_end_offset: i64,
    pub last_stable_offset: i64,
    /// Cleaned up to here, says the checkpoint.
    pub checkpoint: Option<i64>,
    pub min_compaction_lag_ms: i64,
    pub max_compaction_lag_ms: i64,
    pub min_cleanable_dirty_ratio: f64,
}

/// Why a checkpoint is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointFault {
    BelowLogStart,
    AboveLogEnd,
}

/// What cleaning a log would come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Nothing from here on was cleaned.
    pub first_dirty_offset: i64,
    /// Where the cleanable segments end.
    pub end_offset: i64,
    pub clean_bytes: u64,
    pub cleanable_bytes: u64,
    /// So much longer than `max.compaction.lag.ms` ago something dirty was written; 0: it was not.
    pub overdue_ms: i64,
    pub fault: Option<CheckpointFault>,
}

impl Plan {
    /// For a log whose facts these are. Never goes beyond the last stable offset, into the active
    /// segment, or from the first segment on that has a record younger than the least lag.
    pub fn new(facts: &LogFacts, now_ms: i64) -> Self {
        let (first_dirty_offset, fault) = first_dirty_offset(facts);
        let closed = facts
            .segments
            .split_last()
            .map_or(&[][..], |(_, rest)| rest);
        let active_base = facts.segments.last().map_or(0, |last| last.base_offset);
        let dirty = closed
            .get(floor(closed, first_dirty_offset)..)
            .filter(|_| first_dirty_offset <= active_base)
            .unwrap_or_default();
        let lag_ms = facts.min_compaction_lag_ms.max(0);
        let young = dirty
            .iter()
            .find(|segment| lag_ms > 0 && segment.max_timestamp > now_ms.saturating_sub(lag_ms));
        let uncleanable = facts
            .last_stable_offset
            .min(active_base)
            .min(young.map_or(i64::MAX, |segment| segment.base_offset))
            .max(first_dirty_offset);
        // Whole segments alone.
        let end_offset = match closed.get(floor(closed, uncleanable)) {
            Some(segment) if uncleanable < active_base => segment.base_offset,
            _ => active_base,
        };
        let dirty_from = first_dirty_offset.min(end_offset);
        let bytes = |of: Range<i64>| -> u64 {
            if of.is_empty() {
                return 0;
            }
            let from = floor(closed, of.start);
            let segments = closed.get(from..).unwrap_or_default().iter();
            let within = segments.take_while(|s| s.base_offset < of.end);
            within.map(|s| u64::from(s.size)).sum()
        };
        Self {
            first_dirty_offset,
            end_offset,
            clean_bytes: bytes(i64::MIN..first_dirty_offset),
            cleanable_bytes: bytes(dirty_from..end_offset),
            overdue_ms: overdue_ms(dirty, facts.max_compaction_lag_ms, now_ms),
            fault,
        }
    }

    /// The dirty part of the bytes that a cleaning would pass.
    pub fn dirty_ratio(&self) -> f64 {
        let total = self.clean_bytes + self.cleanable_bytes;
        if total == 0 {
            return 0.0;
        }
        self.cleanable_bytes as f64 / total as f64
    }

    /// Whether it is worth it.
    pub fn is_due(&self, min_cleanable_dirty_ratio: f64) -> bool {
        self.cleanable_bytes > 0
            && (self.overdue_ms > 0 || self.dirty_ratio() > min_cleanable_dirty_ratio)
    }
}

/// The segment that includes `offset`, or the first.
fn floor(segments: &[SegmentFacts], offset: i64) -> usize {
    segments
        .partition_point(|segment| segment.base_offset <= offset)
        .saturating_sub(1)
}

fn first_dirty_offset(facts: &LogFacts) -> (i64, Option<CheckpointFault>) {
    let start = facts.log_start_offset;
    match facts.checkpoint {
        None => (start, None),
        Some(offset) if offset < start => (start, Some(CheckpointFault::BelowLogStart)),
        Some(offset) if offset > facts.log_end_offset => {
            (start, Some(CheckpointFault::AboveLogEnd))
        }
        Some(offset) => (offset, None),
    }
}

fn overdue_ms(dirty: &[SegmentFacts], max_lag_ms: i64, now_ms: i64) -> i64 {
    let timestamps = dirty.iter().filter_map(|segment| segment.first_timestamp);
    let earliest = timestamps.filter(|timestamp| *timestamp > 0).min();
    let until = now_ms.saturating_sub(max_lag_ms.max(0));
    earliest.map_or(0, |earliest| until.saturating_sub(earliest).max(0))
}

/// Runs of neighbouring segments, each of which becomes one: together no larger than a segment and
/// its indexes may be, and with offsets that fit in one. `end_offset` is where the last of
/// `segments` ends at most.
pub fn group_segments(
    segments: &[SegmentFacts],
    segment_bytes_max: u32,
    index_bytes_max: u32,
    end_offset: i64,
) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut sum = [0_u64; 3];
    let mut first_base = 0;
    for (at, segment) in segments.iter().enumerate() {
        let bytes = [segment.size, segment.index_bytes[0], segment.index_bytes[1]];
        let limits = [segment_bytes_max, index_bytes_max, index_bytes_max];
        let end = segments.get(at + 1).map_or(end_offset, |s| s.base_offset);
        // An empty one always fits, or there would be an empty one per 2^31 offsets for ever.
        let offsets_fit = segment.size == 0 || end - 1 - first_base <= i64::from(i32::MAX);
        let bytes_fit = (0..3).all(|n| sum[n] + u64::from(bytes[n]) <= u64::from(limits[n]));
        match groups.last_mut() {
            Some(group) if offsets_fit && bytes_fit => group.end = at + 1,
            _ => {
                groups.push(at..at + 1);
                sum = [0; 3];
                first_base = segment.base_offset;
            }
        }
        (0..3).for_each(|n| sum[n] += u64::from(bytes[n]));
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_000_000;

    /// A segment of ten offsets and a hundred bytes, written at `timestamp`.
    fn segment(base_offset: i64, timestamp: i64) -> SegmentFacts {
        SegmentFacts {
            base_offset,
            size: 100,
            index_bytes: [8, 12],
            max_timestamp: timestamp,
            first_timestamp: Some(timestamp),
        }
    }

    fn facts(checkpoint: Option<i64>) -> LogFacts {
        LogFacts {
            segments: (0..5).map(|n| segment(n * 10, n * 1000 + 1)).collect(),
            log_start_offset: 0,
            log_end_offset: 50,
            last_stable_offset: 50,
            checkpoint,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
        }
    }

    /// First dirty offset, end, clean and cleanable bytes.
    fn plan(facts: &LogFacts) -> (i64, i64, u64, u64) {
        let plan = Plan::new(facts, NOW_MS);
        (
            plan.first_dirty_offset,
            plan.end_offset,
            plan.clean_bytes,
            plan.cleanable_bytes,
        )
    }

    #[test]
    fn all_but_the_active_segment_is_cleaned() {
        assert_eq!(plan(&facts(None)), (0, 40, 0, 400));
        assert_eq!(plan(&facts(Some(20))), (20, 40, 200, 200));
        assert_eq!(plan(&facts(Some(25))), (25, 40, 300, 200));
        assert_eq!(plan(&facts(Some(40))), (40, 40, 400, 0));
        assert_eq!(plan(&facts(Some(45))), (45, 40, 400, 0));
        let mut one = facts(None);
        one.segments.truncate(1);
        assert_eq!(plan(&one), (0, 0, 0, 0));
        assert!(!Plan::new(&one, NOW_MS).is_due(0.0));
    }

    #[test]
    fn nothing_from_the_last_stable_offset_on_is_cleaned() {
        let mut facts = facts(None);
        for (last_stable, end) in [(0, 0), (9, 0), (10, 10), (35, 30), (39, 30), (40, 40)] {
            facts.last_stable_offset = last_stable;
            assert_eq!(plan(&facts).1, end, "{last_stable}");
        }
    }

    #[test]
    fn the_young_stay_dirty() {
        let mut facts = facts(None);
        facts.min_compaction_lag_ms = NOW_MS - 2000;
        assert_eq!(plan(&facts), (0, 20, 0, 200));
        facts.min_compaction_lag_ms = NOW_MS - 2001;
        assert_eq!(plan(&facts), (0, 30, 0, 300));
        // Behind the checkpoint they are clean already.
        facts.min_compaction_lag_ms = NOW_MS;
        facts.checkpoint = Some(30);
        assert_eq!(plan(&facts), (30, 30, 300, 0));
    }

    #[test]
    fn a_log_is_due_by_its_dirt_or_its_age() {
        let mut facts = facts(Some(20));
        let due = |facts: &LogFacts, ratio| Plan::new(facts, NOW_MS).is_due(ratio);
        assert!(due(&facts, 0.49));
        assert!(!due(&facts, 0.5), "it has to be exceeded");
        facts.max_compaction_lag_ms = NOW_MS - 2001;
        assert!(!due(&facts, 0.5));
        facts.max_compaction_lag_ms = NOW_MS - 2002;
        assert!(due(&facts, 0.5));
        assert_eq!(Plan::new(&facts, NOW_MS).overdue_ms, 1);
        facts.checkpoint = Some(40);
        assert!(!due(&facts, 0.0), "there is nothing to clean");
    }

    #[test]
    fn a_checkpoint_outside_of_the_log_is_dropped() {
        let mut facts = facts(Some(51));
        let found = |facts: &LogFacts| {
            let plan = Plan::new(facts, NOW_MS);
            (plan.first_dirty_offset, plan.fault)
        };
        assert_eq!(found(&facts), (0, Some(CheckpointFault::AboveLogEnd)));
        facts.log_start_offset = 7;
        facts.checkpoint = Some(6);
        assert_eq!(found(&facts), (7, Some(CheckpointFault::BelowLogStart)));
        facts.checkpoint = Some(7);
        assert_eq!(found(&facts), (7, None));
        facts.checkpoint = None;
        assert_eq!(found(&facts), (7, None));
    }

    #[test]
    fn small_segments_become_one() {
        let segments: Vec<_> = (0..5).map(|n| segment(n * 10, 1)).collect();
        let groups = |bytes, index| group_segments(&segments, bytes, index, 50);
        assert_eq!(groups(1000, 1000), vec![0..5; 1]);
        assert_eq!(groups(250, 1000), [0..2, 2..4, 4..5]);
        assert_eq!(groups(99, 1000), [0..1, 1..2, 2..3, 3..4, 4..5]);
        assert_eq!(groups(1000, 36), [0..3, 3..5]);
        assert!(group_segments(&[], 1, 1, 0).is_empty());
    }

    #[test]
    fn offsets_of_a_group_fit_in_a_segment() {
        let far = i64::from(i32::MAX);
        let mut segments = [segment(0, 1), segment(10, 1), segment(far, 1)];
        assert_eq!(
            group_segments(&segments, 1000, 1000, far + 1),
            vec![0..3; 1]
        );
        assert_eq!(group_segments(&segments, 1000, 1000, far + 2), [0..2, 2..3]);
        segments[2].size = 0;
        assert_eq!(
            group_segments(&segments, 1000, 1000, far + 2),
            vec![0..3; 1]
        );
    }
}
