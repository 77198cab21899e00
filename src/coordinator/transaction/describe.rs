//! DescribeTransactions and ListTransactions.
use std::collections::BTreeSet;

use regex::Regex;

use super::shard::{TransactionDecision, TransactionReply, TransactionShard};
use super::state::{Transaction, TransactionState};
use crate::coordinator::shard::{Now, Token};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{describe_transactions_response, list_transactions_response};

/// Which transactions are listed; what is empty, or `None`, lets all pass.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// `None` in it: a state that does not exist, which nothing is in.
    pub states: BTreeSet<Option<TransactionState>>,
    pub producer_ids: BTreeSet<i64>,
    /// Open for longer than this many milliseconds.
    pub duration_ms: Option<i64>,
    /// Matches the whole transactional id.
    pub pattern: Option<Regex>,
}

impl ListFilter {
    fn lets_pass(&self, id: &str, transaction: &Transaction, now: Now) -> bool {
        let age_ms = now.wall_ms.saturating_sub(transaction.start_ms);
        (self.producer_ids.is_empty() || self.producer_ids.contains(&transaction.producer_id))
            && (self.states.is_empty() || self.states.contains(&Some(transaction.state)))
            && self.duration_ms.is_none_or(|duration| age_ms > duration)
            && self.pattern.as_ref().is_none_or(|p| p.is_match(id))
    }
}

impl TransactionShard {
    pub(super) fn describe(&self, token: Token, id: &str) -> TransactionDecision {
        let mut state = describe_transactions_response::TransactionState {
            transactional_id: id.to_owned(),
            ..Default::default()
        };
        match self.transactions.get(id) {
            None => state.error_code = ErrorCode::TransactionalIdNotFound.code(),
            Some(known) => {
                let topics = known.partitions.iter().map(|(topic, indexes)| {
                    describe_transactions_response::TopicData {
                        topic: topic.clone(),
                        partitions: indexes.iter().copied().collect(),
                    }
                });
                state.topics = topics.collect();
                state.producer_id = known.producer_id;
                state.producer_epoch = known.producer_epoch;
                state.transaction_state = known.state.name().to_owned();
                state.transaction_timeout_ms = known.timeout_ms;
                state.transaction_start_time_ms = known.start_ms;
            }
        }
        let mut out = TransactionDecision::default();
        out.answer(token, TransactionReply::Described(state));
        out
    }

    pub(super) fn list(&self, now: Now, token: Token, filter: &ListFilter) -> TransactionDecision {
        let listed = self.transactions.iter();
        let listed = listed
            .filter(|(id, transaction)| filter.lets_pass(id, transaction, now))
            .map(
                |(id, transaction)| list_transactions_response::TransactionState {
                    transactional_id: id.clone(),
                    producer_id: transaction.producer_id,
                    transaction_state: transaction.state.name().to_owned(),
                },
            );
        let listed = listed.collect();
        let mut out = TransactionDecision::default();
        out.answer(token, TransactionReply::Listed(listed));
        out
    }
}
