//! What is added to a transaction before it is written to, and what leaders ask of it (KIP-890).
use super::shard::{AfterAppend, TransactionDecision, TransactionReply, TransactionShard};
use super::state::{Partitions, Transaction, TransactionState};
use crate::coordinator::shard::{Now, Token};
use crate::protocol::ErrorCode;

/// Partitions that a producer writes to in its transaction.
#[derive(Clone, Debug)]
pub struct PartitionsOf {
    pub transactional_id: String,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub partitions: Partitions,
    /// The transaction version that the client uses.
    pub client_version: i16,
}

impl TransactionShard {
    pub(super) fn add_partitions(
        &self,
        now: Now,
        token: Token,
        request: &PartitionsOf,
    ) -> TransactionDecision {
        let mut out = TransactionDecision::default();
        let result = match self.transaction_of(request) {
            Ok(known) if known.state.is_ending() => Err(ErrorCode::ConcurrentTransactions),
            // Nothing new: nothing to write.
            Ok(known)
                if known.state == TransactionState::Ongoing
                    && known.has_all(&request.partitions) =>
            {
                Ok(())
            }
            Ok(known) => {
                let (partitions, version) = (&request.partitions, request.client_version);
                let next = known.with_partitions(partitions, version, now.wall_ms);
                if known.state != TransactionState::Ongoing {
                    out.after = Some(AfterAppend::Began(request.transactional_id.clone()));
                }
                out.records
                    .push(self.record(&request.transactional_id, next));
                Ok(())
            }
            Err(error) => Err(error),
        };
        let error = result.err().unwrap_or(ErrorCode::None);
        out.answer(token, TransactionReply::Added(error));
        out
    }

    pub(super) fn verify_partitions(
        &self,
        token: Token,
        request: &PartitionsOf,
    ) -> TransactionDecision {
        let mut out = TransactionDecision::default();
        let reply = match self.transaction_of(request) {
            Ok(known) if known.state.is_ending() => Err(ErrorCode::ConcurrentTransactions),
            Ok(known) => Ok(known.partitions.clone()),
            Err(error) => Err(error),
        };
        out.answer(token, TransactionReply::InTransaction(reply));
        out
    }

    fn transaction_of(&self, request: &PartitionsOf) -> Result<&Transaction, ErrorCode> {
        let known = self.transactions.get(&request.transactional_id);
        let known = known.ok_or(ErrorCode::InvalidProducerIdMapping)?;
        if known.producer_id != request.producer_id {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        if known.producer_epoch != request.producer_epoch {
            return Err(ErrorCode::ProducerFenced);
        }
        Ok(known)
    }
}
