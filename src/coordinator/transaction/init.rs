//! InitProducerId: gives a transactional id to the producer that asks, and fences who had it.
use tracing::info;

use super::end::AbortOutcome;
use super::shard::{TransactionDecision, TransactionReply, TransactionShard};
use super::state::{NO_EPOCH, NO_PRODUCER_ID, Transaction};
use crate::coordinator::shard::{Now, Token};
use crate::protocol::ErrorCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdAndEpoch {
    pub producer_id: i64,
    pub epoch: i16,
}

impl ProducerIdAndEpoch {
    pub const NONE: ProducerIdAndEpoch = ProducerIdAndEpoch {
        producer_id: NO_PRODUCER_ID,
        epoch: NO_EPOCH,
    };

    pub fn of(transaction: &Transaction) -> ProducerIdAndEpoch {
        ProducerIdAndEpoch {
            producer_id: transaction.producer_id,
            epoch: transaction.producer_epoch,
        }
    }
}

#[derive(Clone, Debug)]
pub struct InitProducerId {
    pub transactional_id: String,
    pub timeout_ms: i32,
    /// What a producer that goes on after an error had (KIP-360).
    pub current: Option<ProducerIdAndEpoch>,
    /// An id that no producer has had, once it was asked for.
    pub fresh: Option<i64>,
}

impl TransactionShard {
    pub(super) fn init_producer_id(
        &self,
        now: Now,
        token: Token,
        request: &InitProducerId,
    ) -> TransactionDecision {
        let mut out = TransactionDecision::default();
        let id = &request.transactional_id;
        let next = match self.transactions.get(id) {
            None => request.fresh.map(|fresh| {
                let new = Transaction::new(fresh, request.timeout_ms, now.wall_ms);
                Ok(new.initialized(0, NO_EPOCH, request.timeout_ms, now.wall_ms))
            }),
            Some(known) if !is_owner(known, request.current) => {
                Some(Err(ErrorCode::ProducerFenced))
            }
            Some(known) if known.state.is_ending() => Some(Err(ErrorCode::ConcurrentTransactions)),
            Some(known) if !known.state.is_idle() => {
                return self.fence(now, token, request, known);
            }
            Some(known) => next_epoch(known, request, now),
        };
        match next {
            None => out.answer(token, TransactionReply::NeedsProducerId),
            Some(Err(error)) => out.answer(token, refused(error)),
            Some(Ok(next)) => {
                let owner = ProducerIdAndEpoch::of(&next);
                info!(
                    "transactional id {id} is initialized with producer id {} and epoch {}",
                    owner.producer_id, owner.epoch
                );
                out.records.push(self.record(id, next));
                out.answer(token, TransactionReply::Initialized(Ok(owner)));
            }
        }
        out
    }

    /// The transaction of the producer before is aborted; whoever asks comes again when that is
    /// done.
    fn fence(
        &self,
        now: Now,
        token: Token,
        request: &InitProducerId,
        known: &Transaction,
    ) -> TransactionDecision {
        let reply = refused(ErrorCode::ConcurrentTransactions);
        let id = &request.transactional_id;
        match self.abort(now, id, known, request.fresh, Some((token, reply))) {
            AbortOutcome::Decided(decision) => *decision,
            AbortOutcome::NeedsProducerId => {
                let mut out = TransactionDecision::default();
                out.answer(token, TransactionReply::NeedsProducerId);
                out
            }
        }
    }
}

/// Whether the producer that says what it had may go on: it names the id's own producer id, or the
/// one before if its epochs were used up and the answer that told of the new one was lost.
fn is_owner(known: &Transaction, current: Option<ProducerIdAndEpoch>) -> bool {
    let Some(current) = current else {
        return true;
    };
    known.producer_epoch == NO_EPOCH
        || current.producer_id == known.producer_id
        || (current.producer_id == known.previous_producer_id
            && Transaction::is_epoch_exhausted(current.epoch))
}

/// `None`: a fresh producer id is needed.
fn next_epoch(
    known: &Transaction,
    request: &InitProducerId,
    now: Now,
) -> Option<Result<Transaction, ErrorCode>> {
    let (timeout_ms, now_ms) = (request.timeout_ms, now.wall_ms);
    let current = request.current.map(|current| current.epoch);
    let epoch = known.producer_epoch;
    let goes_on = current.is_none_or(|current| current == epoch);
    if goes_on && known.has_epoch_exhausted() {
        let last = if current.is_some() { epoch } else { NO_EPOCH };
        return request
            .fresh
            .map(|fresh| Ok(known.rotated(fresh, last, timeout_ms, now_ms)));
    }
    Some(match current {
        None => Ok(known.initialized(epoch + 1, NO_EPOCH, timeout_ms, now_ms)),
        Some(current) if current == epoch => {
            Ok(known.initialized(epoch + 1, epoch, timeout_ms, now_ms))
        }
        // Its last request again: nobody else has asked since.
        Some(current) if current == known.last_producer_epoch => {
            Ok(known.initialized(epoch, current, timeout_ms, now_ms))
        }
        Some(_) => Err(ErrorCode::ProducerFenced),
    })
}

fn refused(error: ErrorCode) -> TransactionReply {
    TransactionReply::Initialized(Err(error))
}
