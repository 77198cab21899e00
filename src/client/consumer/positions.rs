//! The assigned partitions: where each stands, what is paused, what needs a position.
use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::client::TopicPartition;
use crate::client::config::AutoOffsetReset;

/// Where the next record is read, and the epoch of the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub offset: i64,
    /// −1 when unknown.
    pub leader_epoch: i32,
}

#[derive(Debug, Clone)]
pub struct PartitionState {
    /// What the application has been given, or told to start at.
    pub position: Option<Position>,
    /// What has been fetched; ahead of `position` by what is buffered.
    pub fetch_offset: i64,
    /// How to find a position; `None` asks for the committed offset first.
    pub reset: Option<AutoOffsetReset>,
    pub paused: bool,
    /// Counts seeks, so that answers to older fetches are told apart.
    pub seeks: u64,
    /// Bytes fetched and not yet handed out.
    pub buffered_bytes: usize,
    pub high_watermark: Option<i64>,
    pub last_stable_offset: Option<i64>,
    pub log_start_offset: Option<i64>,
    /// Not fetched before this, after an error.
    pub retry_at: Option<Instant>,
    /// The replica to read from (KIP-392), and until when.
    pub preferred_replica: Option<(i32, Instant)>,
    /// What is asked for is being looked up.
    pub looking_up: bool,
}

impl PartitionState {
    fn new() -> Self {
        Self {
            position: None,
            fetch_offset: 0,
            reset: None,
            paused: false,
            seeks: 0,
            buffered_bytes: 0,
            high_watermark: None,
            last_stable_offset: None,
            log_start_offset: None,
            retry_at: None,
            preferred_replica: None,
            looking_up: false,
        }
    }

    pub fn seek(&mut self, position: Position) {
        self.position = Some(position);
        self.fetch_offset = position.offset;
        self.reset = None;
        self.invalidate();
    }

    pub fn ask_reset(&mut self, reset: AutoOffsetReset) {
        self.position = None;
        self.reset = Some(reset);
        self.invalidate();
    }

    fn invalidate(&mut self) {
        self.seeks += 1;
        self.buffered_bytes = 0;
        self.retry_at = None;
        self.looking_up = false;
    }
}

/// The partitions of a consumer.
#[derive(Debug, Default)]
pub struct Positions {
    pub partitions: BTreeMap<TopicPartition, PartitionState>,
    /// Given to new partitions, so that answers from an earlier assignment are told apart.
    assignments: u64,
}

impl Positions {
    /// Replaces the assignment; partitions that stay keep their state.
    pub fn assign(&mut self, wanted: impl IntoIterator<Item = TopicPartition>) {
        let mut next = BTreeMap::new();
        for partition in wanted {
            let state = self
                .partitions
                .remove(&partition)
                .unwrap_or_else(|| self.fresh());
            next.insert(partition, state);
        }
        self.partitions = next;
    }

    fn fresh(&mut self) -> PartitionState {
        self.assignments += 1;
        PartitionState {
            seeks: self.assignments << 32,
            ..PartitionState::new()
        }
    }

    pub fn get_mut(&mut self, partition: &TopicPartition) -> Option<&mut PartitionState> {
        self.partitions.get_mut(partition)
    }

    pub fn names(&self) -> Vec<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    /// What has been handed out, for committing.
    pub fn consumed(&self) -> BTreeMap<TopicPartition, Position> {
        let known = self.partitions.iter();
        known
            .filter_map(|(name, state)| Some((name.clone(), state.position?)))
            .collect()
    }
}
