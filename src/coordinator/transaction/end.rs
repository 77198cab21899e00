//! How transactions end: by EndTxn, by the coordinator's own decision, and for good once every
//! partition has its marker.
use tracing::info;

use super::init::ProducerIdAndEpoch;
use super::shard::{AfterAppend, Effect, TransactionDecision, TransactionReply, TransactionShard};
use super::state::{
    FIRST_WITH_EPOCH_BUMP, NO_EPOCH, NO_PRODUCER_ID, Partitions, Transaction, TransactionState,
};
use crate::coordinator::shard::{Answer, Now, Token};
use crate::protocol::ErrorCode;

/// EndTxn.
#[derive(Clone, Debug)]
pub struct Ended {
    pub transactional_id: String,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub committed: bool,
    /// The transaction version that the client uses.
    pub client_version: i16,
    /// An id that no producer has had, once it was asked for.
    pub fresh: Option<i64>,
}

/// The markers that end a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markers {
    pub transactional_id: String,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub committed: bool,
    pub transaction_version: i16,
    pub partitions: Partitions,
}

impl Markers {
    pub(super) fn of(transactional_id: &str, prepared: &Transaction) -> Markers {
        Markers {
            transactional_id: transactional_id.to_owned(),
            producer_id: prepared.producer_id,
            producer_epoch: prepared.producer_epoch,
            committed: prepared.state == TransactionState::PrepareCommit,
            transaction_version: prepared.client_version,
            partitions: prepared.partitions.clone(),
        }
    }

    fn are_for(&self, transaction: &Transaction) -> bool {
        transaction.state.is_ending()
            && transaction.producer_id == self.producer_id
            && transaction.producer_epoch == self.producer_epoch
    }
}

/// What becomes of an EndTxn.
enum Verdict {
    Refused(ErrorCode),
    /// The answer to an earlier one was lost.
    AlreadyDone,
    Ends,
}

pub(super) enum AbortOutcome {
    Decided(Box<TransactionDecision>),
    NeedsProducerId,
}

impl TransactionShard {
    pub(super) fn end_transaction(
        &self,
        now: Now,
        token: Token,
        request: &Ended,
    ) -> TransactionDecision {
        let mut out = TransactionDecision::default();
        let id = &request.transactional_id;
        let bumps = request.client_version >= FIRST_WITH_EPOCH_BUMP;
        let Some(known) = self.transactions.get(id) else {
            out.answer(token, refused(ErrorCode::InvalidProducerIdMapping));
            return out;
        };
        let verdict = if bumps {
            judge(known, request)
        } else {
            judge_without_bump(known, request)
        };
        match verdict {
            Verdict::Refused(error) => out.answer(token, refused(error)),
            Verdict::AlreadyDone if bumps => {
                let producer = ProducerIdAndEpoch::of(known);
                out.answer(token, TransactionReply::Ended(Ok(producer)));
            }
            Verdict::AlreadyDone => {
                out.answer(token, TransactionReply::Ended(Ok(ProducerIdAndEpoch::NONE)));
            }
            Verdict::Ends => {
                let next_id = match (bumps && known.has_epoch_exhausted(), request.fresh) {
                    (false, _) => NO_PRODUCER_ID,
                    (true, Some(fresh)) => fresh,
                    (true, None) => {
                        out.answer(token, TransactionReply::NeedsProducerId);
                        return out;
                    }
                };
                let version = if bumps { request.client_version } else { 0 };
                let next = known.prepared(request.committed, version, next_id, now.wall_ms);
                // What the producer has once this is complete.
                let producer = match bumps {
                    true => ProducerIdAndEpoch::of(&next.completed(now.wall_ms)),
                    false => ProducerIdAndEpoch::NONE,
                };
                let reply = TransactionReply::Ended(Ok(producer));
                self.prepare(&mut out, id, next, Some((token, reply)));
            }
        }
        out
    }

    /// Aborts an ongoing transaction so that its producer is fenced. `waiting` is answered once
    /// that is complete.
    pub(super) fn abort(
        &self,
        now: Now,
        id: &str,
        known: &Transaction,
        fresh: Option<i64>,
        waiting: Option<(Token, TransactionReply)>,
    ) -> AbortOutcome {
        let version = self.config.version;
        let next = if version >= FIRST_WITH_EPOCH_BUMP {
            let next_id = match (known.has_epoch_exhausted(), fresh) {
                (false, _) => NO_PRODUCER_ID,
                (true, Some(fresh)) => fresh,
                (true, None) => return AbortOutcome::NeedsProducerId,
            };
            known.prepared(false, version, next_id, now.wall_ms)
        } else {
            let mut next = known.prepared(false, 0, NO_PRODUCER_ID, now.wall_ms);
            next.producer_epoch = known.producer_epoch.saturating_add(1);
            next.last_producer_epoch = NO_EPOCH;
            next
        };
        let mut out = TransactionDecision::default();
        self.prepare(&mut out, id, next, waiting);
        AbortOutcome::Decided(Box::new(out))
    }

    fn prepare(
        &self,
        out: &mut TransactionDecision,
        id: &str,
        next: Transaction,
        waiting: Option<(Token, TransactionReply)>,
    ) {
        out.effects
            .push(Effect::WriteMarkers(Markers::of(id, &next)));
        out.records.push(self.record(id, next));
        out.after = waiting.map(|(token, reply)| AfterAppend::Ending {
            transactional_id: id.to_owned(),
            answer: Answer { token, reply },
        });
    }

    /// A transaction that was open for longer than its time-out.
    pub(super) fn abort_timed_out(
        &self,
        now: Now,
        id: &str,
        fresh: Option<i64>,
    ) -> Option<TransactionDecision> {
        let known = self.transactions.get(id)?;
        if known.state != TransactionState::Ongoing {
            return None;
        }
        info!(
            "the transaction of {id} is aborted: it was open for more than {} ms",
            known.timeout_ms
        );
        match self.abort(now, id, known, fresh, None) {
            AbortOutcome::Decided(decision) => Some(*decision),
            AbortOutcome::NeedsProducerId => {
                let mut out = TransactionDecision::default();
                out.effects.push(Effect::AllocateProducerId {
                    transactional_id: id.to_owned(),
                    start_ms: known.start_ms,
                });
                Some(out)
            }
        }
    }

    /// Every partition has its marker: the transaction is complete, and whoever ended it is told.
    pub(super) fn markers_written(
        &mut self,
        now: Now,
        token: Token,
        markers: &Markers,
    ) -> TransactionDecision {
        let mut out = TransactionDecision::default();
        let id = &markers.transactional_id;
        if let Some(known) = self.transactions.get(id)
            && markers.are_for(known)
        {
            let next = known.completed(now.wall_ms);
            out.records.push(self.record(id, next));
            out.answers = self.waiting.remove(id).unwrap_or_default();
        }
        out.answer(token, TransactionReply::Done);
        out
    }

    /// Some partition cannot take its marker now: whoever ended the transaction is told that it is
    /// decided.
    pub(super) fn markers_delayed(&mut self, token: Token, id: &str) -> TransactionDecision {
        let mut out = TransactionDecision {
            answers: self.waiting.remove(id).unwrap_or_default(),
            ..Default::default()
        };
        out.answer(token, TransactionReply::Done);
        out
    }
}

/// EndTxn of clients whose epoch stays as it is: a retry looks like the first.
fn judge_without_bump(known: &Transaction, request: &Ended) -> Verdict {
    if known.producer_id != request.producer_id {
        return Verdict::Refused(ErrorCode::InvalidProducerIdMapping);
    }
    if known.producer_epoch != request.producer_epoch {
        return Verdict::Refused(ErrorCode::ProducerFenced);
    }
    match (known.state, request.committed) {
        (TransactionState::Ongoing, _) => Verdict::Ends,
        (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false) => {
            Verdict::AlreadyDone
        }
        (TransactionState::PrepareCommit, true) | (TransactionState::PrepareAbort, false) => {
            Verdict::Refused(ErrorCode::ConcurrentTransactions)
        }
        _ => Verdict::Refused(ErrorCode::InvalidTxnState),
    }
}

/// EndTxn of clients whose epoch is raised by it: a retry comes with the epoch before.
///
/// ```text
///                  abort, again   abort      commit, again  commit
/// Empty            fenced         ends       fenced         invalid
/// CompleteAbort    done           ends       invalid        invalid
/// CompleteCommit   invalid        ends       done           invalid
/// ```
fn judge(known: &Transaction, request: &Ended) -> Verdict {
    let epoch = request.producer_epoch;
    let raised = known.producer_epoch.checked_sub(1) == Some(epoch);
    // The retried request used the last epoch up.
    let rotated = known.previous_producer_id == request.producer_id
        && epoch == i16::MAX - 1
        && known.producer_epoch == 0;
    if known.producer_id != request.producer_id && !rotated {
        return Verdict::Refused(ErrorCode::InvalidProducerIdMapping);
    }
    let is_current = epoch == known.producer_epoch;
    let is_valid = match known.state {
        TransactionState::PrepareCommit | TransactionState::PrepareAbort => raised,
        TransactionState::CompleteCommit | TransactionState::CompleteAbort => {
            raised || rotated || is_current
        }
        _ => is_current,
    };
    if !is_valid {
        return Verdict::Refused(ErrorCode::ProducerFenced);
    }
    let again = raised || rotated;
    match (known.state, request.committed) {
        (TransactionState::Ongoing, _) => Verdict::Ends,
        (TransactionState::PrepareCommit, true) | (TransactionState::PrepareAbort, false) => {
            Verdict::Refused(ErrorCode::ConcurrentTransactions)
        }
        (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false)
            if again =>
        {
            Verdict::AlreadyDone
        }
        (TransactionState::Empty, false) => Verdict::Ends,
        (TransactionState::CompleteCommit | TransactionState::CompleteAbort, false) if !again => {
            Verdict::Ends
        }
        _ => Verdict::Refused(ErrorCode::InvalidTxnState),
    }
}

pub(super) fn refused(error: ErrorCode) -> TransactionReply {
    TransactionReply::Ended(Err(error))
}
