//! One share partition's state, and what a record makes of it.
use super::batches::{StateBatch, combine};
use super::record::{ShareKey, ShareStateRecord};
use crate::protocol::ErrorCode;
use crate::protocol::records::share as schema;

/// Stands for no epoch in requests: it is not compared.
pub const NO_EPOCH: i32 = -1;
const NO_OFFSET: i64 = -1;
const NO_COUNT: i32 = -1;

/// Why a request is not done, in Kafka's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateError {
    pub code: ErrorCode,
    pub message: String,
}

impl StateError {
    pub fn new(code: ErrorCode, message: &str) -> StateError {
        StateError {
            code,
            message: message.to_owned(),
        }
    }
}

impl From<ErrorCode> for StateError {
    fn from(code: ErrorCode) -> StateError {
        StateError::new(code, code.message())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub snapshot_epoch: i32,
    pub state_epoch: i32,
    pub leader_epoch: i32,
    pub start_offset: i64,
    /// How many records from the start offset on need not be delivered any more; -1: unknown.
    pub delivery_complete_count: i32,
    pub batches: Vec<StateBatch>,
    /// When it was changed last, as of the last snapshot.
    pub create_timestamp_ms: i64,
    /// When the last snapshot was written.
    pub write_timestamp_ms: i64,
    /// Update records since the last snapshot.
    pub updates: i32,
    /// The offset of the last snapshot; none of a state whose snapshot is not in the log.
    pub snapshot_offset: Option<i64>,
}

impl State {
    /// A new state; one that it replaces is older.
    pub fn begun(
        before: Option<&State>,
        state_epoch: i32,
        start_offset: i64,
        now_ms: i64,
    ) -> State {
        let has_start = start_offset != NO_OFFSET;
        State {
            snapshot_epoch: before.map_or(0, |before| before.snapshot_epoch + 1),
            state_epoch,
            leader_epoch: 0,
            start_offset,
            delivery_complete_count: if has_start { 0 } else { NO_COUNT },
            batches: Vec::new(),
            create_timestamp_ms: now_ms,
            write_timestamp_ms: now_ms,
            updates: 0,
            snapshot_offset: None,
        }
    }

    pub fn snapshot(&self, key: &ShareKey) -> ShareStateRecord {
        use schema::share_snapshot_value::StateBatch;
        let batch = |batch: &super::StateBatch| StateBatch {
            first_offset: batch.first_offset,
            last_offset: batch.last_offset,
            delivery_state: batch.delivery_state,
            delivery_count: batch.delivery_count,
            unknown_tags: Vec::new(),
        };
        let value = schema::ShareSnapshotValue {
            snapshot_epoch: self.snapshot_epoch,
            state_epoch: self.state_epoch,
            leader_epoch: self.leader_epoch,
            start_offset: self.start_offset,
            delivery_complete_count: self.delivery_complete_count,
            create_timestamp: self.create_timestamp_ms,
            write_timestamp: self.write_timestamp_ms,
            state_batches: self.batches.iter().map(batch).collect(),
            unknown_tags: Vec::new(),
        };
        ShareStateRecord::Snapshot(key.clone(), Some(value))
    }

    /// What is in the log of a change, as a record of its own.
    pub fn update(&self, key: &ShareKey, change: &Change) -> ShareStateRecord {
        use schema::share_update_value::StateBatch;
        let batch = |batch: super::StateBatch| StateBatch {
            first_offset: batch.first_offset,
            last_offset: batch.last_offset,
            delivery_state: batch.delivery_state,
            delivery_count: batch.delivery_count,
            unknown_tags: Vec::new(),
        };
        let batches = combine(&[], &change.batches, change.start_offset);
        let value = schema::ShareUpdateValue {
            snapshot_epoch: self.snapshot_epoch,
            leader_epoch: change.leader_epoch,
            start_offset: change.start_offset,
            delivery_complete_count: change.delivery_complete_count,
            state_batches: batches.into_iter().map(batch).collect(),
            unknown_tags: Vec::new(),
        };
        ShareStateRecord::Update(key.clone(), value)
    }

    pub fn from_snapshot(
        before: Option<State>,
        value: schema::ShareSnapshotValue,
        at: i64,
    ) -> State {
        let batches = value.state_batches.into_iter().map(|batch| StateBatch {
            first_offset: batch.first_offset,
            last_offset: batch.last_offset,
            delivery_state: batch.delivery_state,
            delivery_count: batch.delivery_count,
        });
        let newest = before.map_or((value.state_epoch, value.leader_epoch), |before| {
            let state_epoch = before.state_epoch.max(value.state_epoch);
            (state_epoch, before.leader_epoch.max(value.leader_epoch))
        });
        State {
            snapshot_epoch: value.snapshot_epoch,
            state_epoch: newest.0,
            leader_epoch: newest.1,
            start_offset: value.start_offset,
            delivery_complete_count: value.delivery_complete_count,
            batches: batches.collect(),
            create_timestamp_ms: value.create_timestamp,
            write_timestamp_ms: value.write_timestamp,
            updates: 0,
            snapshot_offset: Some(at),
        }
    }

    pub fn apply_update(before: Option<State>, value: schema::ShareUpdateValue) -> State {
        let batches = value.state_batches.into_iter().map(|batch| StateBatch {
            first_offset: batch.first_offset,
            last_offset: batch.last_offset,
            delivery_state: batch.delivery_state,
            delivery_count: batch.delivery_count,
        });
        let change = Change {
            leader_epoch: value.leader_epoch,
            start_offset: value.start_offset,
            delivery_complete_count: value.delivery_complete_count,
            batches: batches.collect(),
        };
        let mut state = before.unwrap_or_else(|| State {
            snapshot_epoch: value.snapshot_epoch,
            ..State::begun(None, 0, NO_OFFSET, 0)
        });
        state.change(&change);
        state.updates += 1;
        state
    }

    pub fn change(&mut self, change: &Change) {
        if change.start_offset != NO_OFFSET {
            self.start_offset = change.start_offset;
        }
        self.leader_epoch = self.leader_epoch.max(change.leader_epoch);
        self.delivery_complete_count = change.delivery_complete_count;
        self.batches = combine(&self.batches, &change.batches, self.start_offset);
    }
}

/// What a write changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub leader_epoch: i32,
    /// -1: as it is.
    pub start_offset: i64,
    pub delivery_complete_count: i32,
    pub batches: Vec<StateBatch>,
}
