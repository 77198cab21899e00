//! The share-state machine: one shard per `__share_group_state` partition.
use std::collections::BTreeMap;
use std::convert::Infallible;

use bytes::Bytes;
use tracing::warn;

use super::batches::StateBatch;
use super::config::ShareStateConfig;
use super::record::{ShareKey, ShareStateRecord};
use super::state::{Change, NO_EPOCH, State, StateError};
use crate::coordinator::shard::{Decision, EncodedRecord, Now, Shard, Token};
use crate::protocol::wire::{DecodeError, EncodeError};
use crate::protocol::{ErrorCode, Uuid};

type ShareDecision = Decision<ShareShard>;

/// What is asked of one share partition's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateRequest {
    Initialize {
        state_epoch: i32,
        start_offset: i64,
    },
    /// The leader of the partition takes over: the state, and its epoch is known from now on.
    Read {
        leader_epoch: i32,
    },
    Write(Write),
    Delete,
    Summarize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Write {
    pub state_epoch: i32,
    pub leader_epoch: i32,
    pub start_offset: i64,
    pub delivery_complete_count: i32,
    pub batches: Vec<StateBatch>,
}

/// What of a state its partition's leader wants to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    pub state_epoch: i32,
    /// -1: where `share.auto.offset.reset` says.
    pub start_offset: i64,
    pub batches: Vec<StateBatch>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub state_epoch: i32,
    pub leader_epoch: i32,
    pub start_offset: i64,
    pub delivery_complete_count: i32,
}

#[derive(Clone, Debug)]
pub enum ShardRequest {
    /// `topic_exists`: as the cluster's metadata has it now.
    State {
        key: ShareKey,
        topic_exists: bool,
        request: StateRequest,
    },
    TopicsDeleted(Vec<Uuid>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum StateReply {
    Done,
    Read(Read),
    Summary(Summary),
    Refused(StateError),
}

/// What others have to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Records below this offset are of no use.
    DeleteBefore(i64),
}

#[derive(Debug)]
pub struct ShareShard {
    config: ShareStateConfig,
    states: BTreeMap<ShareKey, State>,
    /// Where a state was forgotten last: what is before it is of no use either.
    last_tombstone: Option<i64>,
    pruned_to: i64,
    next_snapshots_ms: i64,
    next_prune_ms: i64,
}

impl ShareShard {
    pub fn new(config: ShareStateConfig) -> ShareShard {
        ShareShard {
            config,
            states: BTreeMap::new(),
            last_tombstone: None,
            pruned_to: 0,
            next_snapshots_ms: i64::MAX,
            next_prune_ms: i64::MAX,
        }
    }

    /// What the log has added up to.
    pub fn states(&self) -> &BTreeMap<ShareKey, State> {
        &self.states
    }

    fn answer(
        &self,
        now: Now,
        key: &ShareKey,
        topic_exists: bool,
        request: &StateRequest,
        out: &mut ShareDecision,
    ) -> Result<StateReply, StateError> {
        if key.partition < 0 {
            let message = "The partition id cannot be a negative number.";
            return Err(StateError::new(ErrorCode::InvalidRequest, message));
        }
        let state = self.states.get(key);
        let checked = check(state, request);
        let state = checked.and_then(|()| match topic_exists {
            true => Ok(state),
            false => Err(ErrorCode::UnknownTopicOrPartition.into()),
        })?;
        match (request, state) {
            (StateRequest::Initialize { .. }, _) | (_, Some(_)) => {}
            (StateRequest::Summarize, None) => {
                return Ok(StateReply::Summary(Summary {
                    state_epoch: 0,
                    leader_epoch: 0,
                    start_offset: -1,
                    delivery_complete_count: -1,
                }));
            }
            (_, None) => {
                warn!("{key} is to be forgotten, and is not known");
                return Ok(StateReply::Done);
            }
        }
        Ok(self.carry_out(now, key, state, request, out))
    }

    fn carry_out(
        &self,
        now: Now,
        key: &ShareKey,
        state: Option<&State>,
        request: &StateRequest,
        out: &mut ShareDecision,
    ) -> StateReply {
        match (request, state) {
            (
                StateRequest::Initialize {
                    state_epoch,
                    start_offset,
                },
                before,
            ) => {
                let begun = State::begun(before, *state_epoch, *start_offset, now.wall_ms);
                out.records.push(begun.snapshot(key));
                StateReply::Done
            }
            (StateRequest::Read { leader_epoch }, Some(state)) => {
                if *leader_epoch != NO_EPOCH && *leader_epoch != state.leader_epoch {
                    let change = Change {
                        leader_epoch: *leader_epoch,
                        start_offset: state.start_offset,
                        delivery_complete_count: state.delivery_complete_count,
                        batches: Vec::new(),
                    };
                    out.records.push(self.record(now, key, state, &change));
                }
                StateReply::Read(Read {
                    state_epoch: state.state_epoch,
                    start_offset: state.start_offset,
                    batches: state.batches.clone(),
                })
            }
            (StateRequest::Write(write), Some(state)) => {
                let change = Change {
                    leader_epoch: state.leader_epoch,
                    start_offset: write.start_offset,
                    delivery_complete_count: write.delivery_complete_count,
                    batches: write.batches.clone(),
                };
                out.records.push(self.record(now, key, state, &change));
                StateReply::Done
            }
            (StateRequest::Delete, Some(_)) => {
                out.records
                    .push(ShareStateRecord::Snapshot(key.clone(), None));
                StateReply::Done
            }
            (StateRequest::Summarize, Some(state)) => StateReply::Summary(Summary {
                state_epoch: state.state_epoch,
                leader_epoch: state.leader_epoch,
                start_offset: state.start_offset,
                delivery_complete_count: state.delivery_complete_count,
            }),
            (_, None) => StateReply::Done,
        }
    }

    /// A change as an update, or with all that there is as a snapshot once updates are many.
    fn record(&self, now: Now, key: &ShareKey, state: &State, change: &Change) -> ShareStateRecord {
        if state.updates < self.config.updates_per_snapshot {
            return state.update(key, change);
        }
        let mut next = state.clone();
        next.change(change);
        next.snapshot_epoch += 1;
        next.create_timestamp_ms = now.wall_ms;
        next.write_timestamp_ms = now.wall_ms;
        next.snapshot(key)
    }

    /// States that nobody has changed for long are written again, so that what is before can go.
    fn snapshot_cold(&self, now: Now) -> Vec<ShareStateRecord> {
        let is_cold_already = |state: &State| state.create_timestamp_ms != state.write_timestamp_ms;
        if self.states.values().all(is_cold_already) {
            return Vec::new();
        }
        let interval_ms = self.config.cold_snapshot_interval_ms;
        let is_old =
            |state: &State| now.wall_ms.saturating_sub(state.write_timestamp_ms) >= interval_ms;
        let cold = self.states.iter().filter(|(_, state)| is_old(state));
        let snapshot = |(key, state): (&ShareKey, &State)| {
            let mut state = state.clone();
            state.snapshot_epoch += 1;
            state.write_timestamp_ms = now.wall_ms;
            state.snapshot(key)
        };
        cold.map(snapshot).collect()
    }

    /// Before it no state has its last snapshot.
    fn redundant_before(&self) -> Option<i64> {
        let mut snapshots = self.states.values().map(|state| state.snapshot_offset);
        match self.states.is_empty() {
            true => self.last_tombstone,
            false => snapshots.try_fold(i64::MAX, |least, at| Some(least.min(at?))),
        }
    }
}

/// What the state itself has against a request.
fn check(state: Option<&State>, request: &StateRequest) -> Result<(), StateError> {
    let invalid = |message| Err(StateError::new(ErrorCode::InvalidRequest, message));
    let is_older = |asked: i32, known: i32| asked != NO_EPOCH && known > asked;
    match (request, state) {
        (StateRequest::Write(_), None) => {
            invalid("Write operation on uninitialized share partition not allowed.")
        }
        (StateRequest::Read { .. }, None) => {
            invalid("Read operation on uninitialized share partition not allowed.")
        }
        (StateRequest::Write(write), Some(state)) => {
            if is_older(write.leader_epoch, state.leader_epoch) {
                return Err(ErrorCode::FencedLeaderEpoch.into());
            }
            match is_older(write.state_epoch, state.state_epoch) {
                true => Err(ErrorCode::FencedStateEpoch.into()),
                false => Ok(()),
            }
        }
        (StateRequest::Read { leader_epoch }, Some(state))
            if is_older(*leader_epoch, state.leader_epoch) =>
        {
            Err(ErrorCode::FencedLeaderEpoch.into())
        }
        (StateRequest::Initialize { state_epoch, .. }, Some(state))
            if is_older(*state_epoch, state.state_epoch) =>
        {
            Err(ErrorCode::FencedStateEpoch.into())
        }
        _ => Ok(()),
    }
}

impl Shard for ShareShard {
    type Request = ShardRequest;
    type Reply = StateReply;
    type Record = ShareStateRecord;
    type AfterAppend = Infallible;
    type Effect = Effect;

    fn decode(key: Bytes, value: Option<Bytes>) -> Result<Option<ShareStateRecord>, DecodeError> {
        ShareStateRecord::decode(key, value)
    }

    fn encode(record: &ShareStateRecord) -> Result<EncodedRecord, EncodeError> {
        record.encode()
    }

    fn handle(&mut self, now: Now, token: Token, request: ShardRequest) -> ShareDecision {
        let mut out = ShareDecision::default();
        let reply = match request {
            ShardRequest::State {
                key,
                topic_exists,
                request,
            } => {
                let answer = self.answer(now, &key, topic_exists, &request, &mut out);
                answer.unwrap_or_else(StateReply::Refused)
            }
            ShardRequest::TopicsDeleted(topics) => {
                let gone = self
                    .states
                    .keys()
                    .filter(|key| topics.contains(&key.topic_id));
                let tombstones = gone.map(|key| ShareStateRecord::Snapshot(key.clone(), None));
                out.records.extend(tombstones);
                out.atomic = false;
                StateReply::Done
            }
        };
        out.answer(token, reply);
        out
    }

    fn replay(&mut self, offset: i64, _producer_id: Option<i64>, record: ShareStateRecord) {
        match record {
            ShareStateRecord::Snapshot(key, Some(value)) => {
                let before = self.states.remove(&key);
                let state = State::from_snapshot(before, value, offset);
                self.states.insert(key, state);
            }
            ShareStateRecord::Snapshot(key, None) => {
                self.states.remove(&key);
                self.last_tombstone = Some(offset);
            }
            ShareStateRecord::Update(key, value) => {
                let before = self.states.remove(&key);
                self.states.insert(key, State::apply_update(before, value));
            }
        }
    }

    fn replay_end_transaction(&mut self, _producer_id: i64, _committed: bool) {}

    fn appended(
        &mut self,
        _now: Now,
        after: Infallible,
        _outcome: Result<(), ErrorCode>,
    ) -> ShareDecision {
        match after {}
    }

    fn loaded(&mut self, now: Now) -> ShareDecision {
        self.next_snapshots_ms = now.monotonic_ms + self.config.cold_snapshot_interval_ms;
        self.next_prune_ms = now.monotonic_ms + self.config.prune_interval_ms;
        ShareDecision::default()
    }

    fn next_deadline_ms(&self) -> Option<i64> {
        Some(self.next_snapshots_ms.min(self.next_prune_ms))
    }

    fn expire(&mut self, now: Now) -> Option<ShareDecision> {
        let mut out = ShareDecision {
            atomic: false,
            ..Default::default()
        };
        if self.next_snapshots_ms <= now.monotonic_ms {
            self.next_snapshots_ms = now.monotonic_ms + self.config.cold_snapshot_interval_ms;
            out.records = self.snapshot_cold(now);
            return Some(out);
        }
        if self.next_prune_ms > now.monotonic_ms {
            return None;
        }
        self.next_prune_ms = now.monotonic_ms + self.config.prune_interval_ms;
        if let Some(offset) = self.redundant_before().filter(|at| *at > self.pruned_to) {
            self.pruned_to = offset;
            out.effects.push(Effect::DeleteBefore(offset));
        }
        Some(out)
    }

    fn check_invariants(&self) {
        for (key, state) in &self.states {
            let pairs = state.batches.iter().zip(state.batches.iter().skip(1));
            for (batch, next) in pairs {
                assert!(batch.last_offset < next.first_offset, "{key}: {state:?}");
            }
            for batch in &state.batches {
                assert!(batch.first_offset <= batch.last_offset, "{key}: {state:?}");
                assert!(batch.first_offset >= state.start_offset, "{key}: {state:?}");
            }
        }
    }
}
