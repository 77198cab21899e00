//! The transaction machine: one shard per `__transaction_state` partition.
//!
//! `transactions` is what the log says and changes by replay alone; the rest is who waits and until
//! when.
use std::collections::BTreeMap;

use bytes::Bytes;
use tracing::info;

use super::config::TransactionConfig;
use super::describe::ListFilter;
use super::end::{Ended, Markers};
use super::init::{InitProducerId, ProducerIdAndEpoch};
use super::partitions::PartitionsOf;
use super::record::TransactionRecord;
use super::state::{Partitions, Transaction, TransactionState};
use crate::coordinator::shard::{Answer, Decision, EncodedRecord, Now, Shard, Token};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{describe_transactions_response, list_transactions_response};
use crate::protocol::wire::{DecodeError, EncodeError};

pub type TransactionDecision = Decision<TransactionShard>;

#[derive(Clone, Debug)]
pub enum TransactionRequest {
    InitProducerId(InitProducerId),
    AddPartitions(PartitionsOf),
    /// A leader asks what is in a transaction.
    VerifyPartitions(PartitionsOf),
    EndTransaction(Ended),
    Describe(String),
    List(ListFilter),
    /// Not a client's, like those below: the effect of this name is done.
    MarkersWritten(Markers),
    /// The markers of a transaction have to wait for a partition.
    MarkersDelayed(String),
    /// The fresh id that the abort of a timed out transaction needs.
    AbortTimedOut {
        transactional_id: String,
        start_ms: i64,
        fresh: i64,
    },
    /// The finalised `transaction.version` has changed.
    TransactionVersion(i16),
}

#[derive(Clone, Debug, PartialEq)]
pub enum TransactionReply {
    /// The same request, please, with a producer id that nobody has had.
    NeedsProducerId,
    Initialized(Result<ProducerIdAndEpoch, ErrorCode>),
    Added(ErrorCode),
    /// What is in the transaction.
    InTransaction(Result<Partitions, ErrorCode>),
    /// What the producer goes on with, if the client's version raises epochs.
    Ended(Result<ProducerIdAndEpoch, ErrorCode>),
    Described(describe_transactions_response::TransactionState),
    Listed(Vec<list_transactions_response::TransactionState>),
    Done,
}

/// What others have to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    WriteMarkers(Markers),
    /// Then [`TransactionRequest::AbortTimedOut`] of the transaction that began then.
    AllocateProducerId {
        transactional_id: String,
        start_ms: i64,
    },
}

/// What becomes true, or does not, with an append.
#[derive(Debug)]
pub enum AfterAppend {
    /// The time-out of the id's transaction runs from now on.
    Began(String),
    /// The id's transaction is decided; the answer waits until it is complete.
    Ending {
        transactional_id: String,
        answer: Answer<TransactionReply>,
    },
}

#[derive(Debug)]
pub struct TransactionShard {
    pub(super) config: TransactionConfig,
    pub(super) transactions: BTreeMap<String, Transaction>,
    /// Answers that wait for markers, by transactional id.
    pub(super) waiting: BTreeMap<String, Vec<Answer<TransactionReply>>>,
    /// When ongoing transactions time out.
    timeouts: BTreeMap<String, i64>,
    /// When to look at `timeouts` next: Kafka looks at intervals.
    next_timeouts_ms: i64,
    /// When to look for ids to forget next.
    next_expiration_ms: i64,
}

impl TransactionShard {
    pub fn new(config: TransactionConfig) -> TransactionShard {
        TransactionShard {
            config,
            transactions: BTreeMap::new(),
            waiting: BTreeMap::new(),
            timeouts: BTreeMap::new(),
            next_timeouts_ms: 0,
            next_expiration_ms: i64::MAX,
        }
    }

    /// What the log has added up to.
    pub fn transactions(&self) -> &BTreeMap<String, Transaction> {
        &self.transactions
    }

    pub(super) fn record(&self, id: &str, value: Transaction) -> TransactionRecord {
        TransactionRecord {
            transactional_id: id.to_owned(),
            value: Some(value),
            version: self.config.version,
        }
    }

    /// The transaction began `ago_ms` ago.
    fn await_timeout(&mut self, now: Now, id: String, ago_ms: i64) {
        let Some(known) = self.transactions.get(&id) else {
            return;
        };
        if known.state != TransactionState::Ongoing || known.never_times_out() {
            return;
        }
        let left = i64::from(known.timeout_ms).saturating_sub(ago_ms).max(0);
        self.timeouts.insert(id, now.monotonic_ms + left);
        if self.next_timeouts_ms <= now.monotonic_ms {
            self.next_timeouts_ms = now.monotonic_ms + self.config.timeout_interval_ms;
        }
    }

    fn dispatch(
        &mut self,
        now: Now,
        token: Token,
        request: TransactionRequest,
    ) -> TransactionDecision {
        match request {
            TransactionRequest::InitProducerId(request) => {
                self.init_producer_id(now, token, &request)
            }
            TransactionRequest::AddPartitions(request) => self.add_partitions(now, token, &request),
            TransactionRequest::VerifyPartitions(request) => {
                self.verify_partitions(token, &request)
            }
            TransactionRequest::EndTransaction(request) => {
                self.end_transaction(now, token, &request)
            }
            TransactionRequest::Describe(id) => self.describe(token, &id),
            TransactionRequest::List(filter) => self.list(now, token, &filter),
            TransactionRequest::MarkersWritten(markers) => {
                self.markers_written(now, token, &markers)
            }
            TransactionRequest::MarkersDelayed(id) => self.markers_delayed(token, &id),
            TransactionRequest::AbortTimedOut {
                transactional_id: id,
                start_ms,
                fresh,
            } => {
                let known = self.transactions.get(&id);
                let is_same = known.is_some_and(|known| known.start_ms == start_ms);
                let aborted = is_same
                    .then(|| self.abort_timed_out(now, &id, Some(fresh)))
                    .flatten();
                let mut out = aborted.unwrap_or_default();
                out.answer(token, TransactionReply::Done);
                out
            }
            TransactionRequest::TransactionVersion(version) => {
                self.config.version = version;
                let mut out = TransactionDecision::default();
                out.answer(token, TransactionReply::Done);
                out
            }
        }
    }

    /// One transaction whose time is over.
    fn next_timed_out(&mut self, now: Now) -> Option<TransactionDecision> {
        if self.next_timeouts_ms > now.monotonic_ms {
            return None;
        }
        let mut due = self.timeouts.iter();
        let due = due.find(|(_, deadline)| **deadline <= now.monotonic_ms);
        let Some(id) = due.map(|(id, _)| id.clone()) else {
            self.next_timeouts_ms = now.monotonic_ms + self.config.timeout_interval_ms;
            return None;
        };
        // If it cannot be aborted now, the next look tries again.
        let again_ms = now.monotonic_ms + self.config.timeout_interval_ms;
        self.timeouts.insert(id.clone(), again_ms);
        self.abort_timed_out(now, &id, None)
    }

    /// Tombstones for the ids that nobody used for long.
    fn forget_expired(&mut self, now: Now) -> TransactionDecision {
        self.next_expiration_ms = now.monotonic_ms + self.config.expiration_interval_ms;
        let since_ms = now.wall_ms.saturating_sub(self.config.id_expiration_ms);
        let is_expired = |transaction: &Transaction| {
            transaction.state.is_idle() && transaction.last_update_ms <= since_ms
        };
        let expired = self.transactions.iter();
        let expired = expired
            .filter(|(_, transaction)| is_expired(transaction))
            .map(|(id, _)| TransactionRecord {
                transactional_id: id.clone(),
                value: None,
                version: self.config.version,
            });
        let records: Vec<TransactionRecord> = expired.collect();
        if !records.is_empty() {
            info!("{} transactional ids are forgotten", records.len());
        }
        TransactionDecision {
            records,
            atomic: false,
            ..Default::default()
        }
    }
}

impl Shard for TransactionShard {
    type Request = TransactionRequest;
    type Reply = TransactionReply;
    type Record = TransactionRecord;
    type AfterAppend = AfterAppend;
    type Effect = Effect;

    fn decode(key: Bytes, value: Option<Bytes>) -> Result<Option<TransactionRecord>, DecodeError> {
        TransactionRecord::decode(key, value)
    }

    fn encode(record: &TransactionRecord) -> Result<EncodedRecord, EncodeError> {
        record.encode()
    }

    fn handle(
        &mut self,
        now: Now,
        token: Token,
        request: TransactionRequest,
    ) -> TransactionDecision {
        self.dispatch(now, token, request)
    }

    fn replay(&mut self, _offset: i64, _producer_id: Option<i64>, record: TransactionRecord) {
        let id = record.transactional_id;
        let is_ongoing = |value: &Transaction| value.state == TransactionState::Ongoing;
        if !record.value.as_ref().is_some_and(is_ongoing) {
            self.timeouts.remove(&id);
        }
        match record.value {
            Some(value) => drop(self.transactions.insert(id, value)),
            None => drop(self.transactions.remove(&id)),
        }
    }

    /// The records of this topic belong to no transaction.
    fn replay_end_transaction(&mut self, _producer_id: i64, _committed: bool) {}

    fn appended(
        &mut self,
        now: Now,
        after: AfterAppend,
        outcome: Result<(), ErrorCode>,
    ) -> TransactionDecision {
        let mut out = TransactionDecision::default();
        match (after, outcome) {
            (AfterAppend::Began(id), Ok(())) => self.await_timeout(now, id, 0),
            (AfterAppend::Began(_), Err(_)) => {}
            (
                AfterAppend::Ending {
                    transactional_id,
                    answer,
                },
                Ok(()),
            ) => self
                .waiting
                .entry(transactional_id)
                .or_default()
                .push(answer),
            (AfterAppend::Ending { answer, .. }, Err(error)) => {
                let reply = match answer.reply {
                    TransactionReply::Initialized(_) => TransactionReply::Initialized(Err(error)),
                    _ => super::end::refused(error),
                };
                out.answer(answer.token, reply);
            }
        }
        out
    }

    /// Transactions that were decided are ended; those under way time out.
    fn loaded(&mut self, now: Now) -> TransactionDecision {
        let mut out = TransactionDecision::default();
        let mut ongoing = Vec::new();
        for (id, transaction) in &self.transactions {
            if transaction.state.is_ending() {
                let markers = Markers::of(id, transaction);
                out.effects.push(Effect::WriteMarkers(markers));
            } else if transaction.state == TransactionState::Ongoing {
                let ago_ms = now.wall_ms.saturating_sub(transaction.start_ms);
                ongoing.push((id.clone(), ago_ms.max(0)));
            }
        }
        for (id, ago_ms) in ongoing {
            self.await_timeout(now, id, ago_ms);
        }
        self.next_expiration_ms = now.monotonic_ms + self.config.expiration_interval_ms;
        out
    }

    fn next_deadline_ms(&self) -> Option<i64> {
        let timeouts = (!self.timeouts.is_empty()).then_some(self.next_timeouts_ms);
        let expiration = (!self.transactions.is_empty()).then_some(self.next_expiration_ms);
        timeouts.into_iter().chain(expiration).min()
    }

    fn expire(&mut self, now: Now) -> Option<TransactionDecision> {
        if !self.timeouts.is_empty()
            && let Some(decision) = self.next_timed_out(now)
        {
            return Some(decision);
        }
        let is_due = !self.transactions.is_empty() && self.next_expiration_ms <= now.monotonic_ms;
        is_due.then(|| self.forget_expired(now))
    }

    fn check_invariants(&self) {
        for (id, transaction) in &self.transactions {
            let is_ongoing = transaction.state == TransactionState::Ongoing;
            assert_eq!(
                self.timeouts.contains_key(id),
                is_ongoing && !transaction.never_times_out(),
                "{id}: {transaction:?}"
            );
            assert!(
                transaction.partitions.is_empty() || !transaction.state.is_idle(),
                "{id}: {transaction:?}"
            );
            assert!(transaction.producer_epoch >= 0, "{id}: {transaction:?}");
            assert_eq!(
                transaction.start_ms == -1,
                transaction.state == TransactionState::Empty,
                "{id}: {transaction:?}"
            );
        }
        for id in self.waiting.keys() {
            let known = self.transactions.get(id);
            assert!(
                known.is_some_and(|known| known.state.is_ending()),
                "{id} waits for markers that nobody writes: {known:?}"
            );
        }
        for id in self.timeouts.keys() {
            assert!(self.transactions.contains_key(id), "{id} is not known");
        }
    }
}
