//! Transactions: who the producer is, which partitions the present one has, and how it ends.
//!
//! From `transaction.version` 2 on (KIP-890) a partition joins with its first batch, and every
//! transaction has an epoch of its own. Older clusters are told of partitions first.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::sealed::ProducerId;
use crate::client::cluster::{CallOptions, Client, Coordinator, Route};
use crate::client::errors::{ClientError, Result};
use crate::protocol::ErrorCode;
use crate::protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use crate::protocol::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, EndTxnRequest, EndTxnResponse,
    InitProducerIdRequest, InitProducerIdResponse,
};

/// The level of `transaction.version` from which partitions join by themselves.
const IMPLICIT_FROM: i16 = 2;
/// The last version of EndTxn without a new epoch.
const END_WITHOUT_EPOCH: i16 = 4;
/// The last version of AddPartitionsToTxn that is for clients.
const ADD_PARTITIONS: i16 = 3;
/// The first version of InitProducerId that takes the producer's last epoch (KIP-360).
const INIT_WITH_EPOCH: i16 = 3;
/// How soon the coordinator is asked again while the last transaction's markers are written.
const MARKERS_PAUSE: Duration = Duration::from_millis(20);

/// The state of a transactional producer, shared with its sender.
pub(super) struct Transactions {
    pub id: Arc<str>,
    timeout_ms: i32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    producer: Option<ProducerId>,
    /// Whether partitions join with their first batch.
    implicit: bool,
    phase: Phase,
    /// Counts the transactions, from 1.
    number: u64,
    /// The lanes whose partitions the coordinator knows, or may know, to be in the transaction.
    lanes: BTreeSet<usize>,
    failure: Option<Failure>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// There is no producer id yet.
    #[default]
    New,
    Ready,
    Open,
    Ending {
        committed: bool,
    },
}

/// What went wrong: the transaction can only be aborted, or nothing can be done any more.
struct Failure {
    fatal: bool,
    error: ClientError,
}

/// What the sender does with what was appended.
pub(super) enum Fate {
    Send,
    /// What was not sent yet ends with this.
    Discard(ClientError),
    /// Everything ends with this.
    Fail(ClientError),
}

impl Transactions {
    pub fn new(id: Arc<str>, timeout_ms: i32) -> Self {
        Self {
            id,
            timeout_ms,
            state: Mutex::default(),
        }
    }

    pub fn producer(&self) -> Option<ProducerId> {
        self.state.lock().producer
    }

    /// Whether records may be appended.
    pub fn check_open(&self) -> Result<()> {
        let state = self.state.lock();
        match &state.failure {
            Some(failure) => Err(failure.error.clone()),
            None if state.phase == Phase::Open => Ok(()),
            None => Err(ClientError::illegal_state(
                "records can only be sent between beginTransaction and its end",
            )),
        }
    }

    pub fn is_implicit(&self) -> bool {
        self.state.lock().implicit
    }

    /// Which transaction of the producer is the present one, or was the last.
    pub fn number(&self) -> u64 {
        self.state.lock().number
    }

    pub fn has(&self, lane: usize) -> bool {
        self.state.lock().lanes.contains(&lane)
    }

    pub fn joined(&self, lane: usize) {
        self.state.lock().lanes.insert(lane);
    }

    pub fn fate(&self) -> Fate {
        let state = self.state.lock();
        match &state.failure {
            Some(failure) if failure.fatal => Fate::Fail(failure.error.clone()),
            Some(_) => Fate::Discard(ClientError::TransactionAborted),
            None if state.phase == (Phase::Ending { committed: false }) => {
                Fate::Discard(ClientError::TransactionAborted)
            }
            None => Fate::Send,
        }
    }

    /// Records were not stored, or could not be appended: the transaction must not be committed.
    pub fn lost(&self, error: &ClientError) {
        let fatal = match error {
            ClientError::UnsupportedVersion(_) => true,
            error if error.is_authentication() => true,
            error => matches!(
                error.code(),
                Some(
                    ErrorCode::ClusterAuthorizationFailed
                        | ErrorCode::TransactionalIdAuthorizationFailed
                        | ErrorCode::ProducerFenced
                        | ErrorCode::InvalidProducerIdMapping
                )
            ),
        };
        self.fail(fatal, error);
    }

    /// The coordinator refused something; gives the error to tell.
    fn refused(&self, error: ClientError) -> ClientError {
        let fatal = match &error {
            ClientError::Closed => return error,
            passing if passing.is_retriable() => return error,
            error => !matches!(
                error.code(),
                Some(
                    ErrorCode::TransactionAbortable
                        | ErrorCode::InvalidProducerIdMapping
                        | ErrorCode::UnknownProducerId
                        | ErrorCode::TopicAuthorizationFailed
                        | ErrorCode::OperationNotAttempted
                )
            ),
        };
        self.fail(fatal, &error)
    }

    /// The first failure decides, unless a later one is fatal. Gives the error to tell.
    fn fail(&self, fatal: bool, error: &ClientError) -> ClientError {
        let mut state = self.state.lock();
        if state.failure.as_ref().is_some_and(|failure| failure.fatal) {
            return error.clone();
        }
        let error = self.told(&state, fatal, error);
        match state.phase {
            Phase::Open | Phase::Ending { committed: true } if !fatal => {
                state.phase = Phase::Open;
                let error = error.clone();
                state.failure.get_or_insert(Failure { fatal, error });
            }
            _ if fatal => {
                let error = error.clone();
                state.failure = Some(Failure { fatal, error });
            }
            _ => {}
        }
        error
    }

    /// Old epochs are how the one who was fenced hears of it.
    fn told(&self, state: &State, fatal: bool, error: &ClientError) -> ClientError {
        let fenced = matches!(
            error.code(),
            Some(ErrorCode::ProducerFenced | ErrorCode::InvalidProducerEpoch)
        );
        if !(fatal && fenced) {
            return error.clone();
        }
        let producer = state.producer.unwrap_or(ProducerId::NONE);
        let text = format!(
            "Producer with transactionalId '{}' and (producerId={}, epoch={}) has been fenced by \
             another producer with the same transactionalId",
            self.id, producer.id, producer.epoch
        );
        ClientError::broker(ErrorCode::ProducerFenced, Some(&text))
    }

    /// Tells the coordinator of partitions, `(topic, partition)`.
    pub async fn add(&self, client: &Client, partitions: Vec<(Arc<str>, i32)>) -> Result<()> {
        let producer = self.producer().ok_or(ClientError::Closed)?;
        let mut topics: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in partitions {
            topics.entry(topic).or_default().push(partition);
        }
        let topics = topics.into_iter();
        let topics = topics.map(|(topic, partitions)| AddPartitionsToTxnTopic {
            name: topic.to_string(),
            partitions,
        });
        let topics: Vec<AddPartitionsToTxnTopic> = topics.collect();
        let build = |_version| AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.id.to_string(),
            v3_and_below_producer_id: producer.id,
            v3_and_below_producer_epoch: producer.epoch,
            v3_and_below_topics: topics.clone(),
            ..Default::default()
        };
        // Asked again here, sooner than other calls.
        let retried = |response: &AddPartitionsToTxnResponse| match added(response) {
            ErrorCode::ConcurrentTransactions => ErrorCode::None,
            code => code,
        };
        let options = CallOptions {
            version_max: ADD_PARTITIONS,
            ..client.options("addPartitionsToTxn")
        };
        let route = Route::Coordinator(Coordinator::Transaction, &self.id);
        loop {
            let response = client.call(options, route, build, retried).await?;
            let code = added(&response);
            if code == ErrorCode::ConcurrentTransactions && Instant::now() < options.deadline {
                tokio::time::sleep(MARKERS_PAUSE).await;
                continue;
            }
            return ClientError::check(code.code(), None).map_err(|error| self.refused(error));
        }
    }

    /// The first producer id; it fences earlier producers of the transactional id.
    pub async fn init_first(&self, client: &Client, wait: &Wait) -> Result<()> {
        if self.state.lock().phase != Phase::New {
            let text = "initTransactions was called already";
            return Err(ClientError::illegal_state(text));
        }
        self.init(client, wait, ProducerId::NONE).await
    }

    /// Gets a producer id, which fences earlier producers of the transactional id, or another
    /// epoch for the one that is `known`.
    async fn init(&self, client: &Client, wait: &Wait, known: ProducerId) -> Result<()> {
        let build = |version| {
            let known = match version {
                ..INIT_WITH_EPOCH => ProducerId::NONE,
                _ => known,
            };
            InitProducerIdRequest {
                transactional_id: Some(self.id.to_string()),
                transaction_timeout_ms: self.timeout_ms,
                producer_id: known.id,
                producer_epoch: known.epoch,
            }
        };
        let verdict = |response: &InitProducerIdResponse| ErrorCode::from_code(response.error_code);
        let options = CallOptions {
            deadline: wait.deadline,
            ..client.options("initTransactions")
        };
        let route = Route::Coordinator(Coordinator::Transaction, &self.id);
        let response = client.call(options, route, build, verdict).await;
        let response = response
            .and_then(|response| {
                expected(
                    response.error_code,
                    INIT_ERRORS,
                    "Unexpected error in InitProducerIdResponse;",
                )?;
                Ok(response)
            })
            .map_err(|error| wait.timed("InitProducerId", self.refused(error)))?;
        {
            let mut state = self.state.lock();
            state.producer = Some(ProducerId {
                id: response.producer_id,
                epoch: response.producer_epoch,
            });
            state.phase = Phase::Ready;
        }
        self.learn_version(client).await
    }

    /// Which kind of transactions the cluster has.
    async fn learn_version(&self, client: &Client) -> Result<()> {
        let connection = client.any_connection().await?;
        let level = connection
            .versions()
            .finalized_feature("transaction.version");
        self.state.lock().implicit = level >= IMPLICIT_FROM;
        Ok(())
    }

    pub fn begin(&self) -> Result<()> {
        let mut state = self.state.lock();
        if let Some(failure) = &state.failure {
            return Err(failure.error.clone());
        }
        let wrong = match state.phase {
            Phase::Ready => {
                state.phase = Phase::Open;
                state.number += 1;
                return Ok(());
            }
            Phase::New => "initTransactions comes first",
            Phase::Open => "a transaction is open already",
            Phase::Ending { .. } => "the last transaction has not ended yet",
        };
        Err(ClientError::illegal_state(format!(
            "no transaction can begin: {wrong}"
        )))
    }

    /// From here on nothing can be appended.
    pub fn begin_end(&self, committed: bool) -> Result<()> {
        let mut state = self.state.lock();
        if let Some(failure) = &state.failure
            && (failure.fatal || committed)
        {
            return Err(failure.error.clone());
        }
        let ending = Phase::Ending { committed };
        if state.phase != Phase::Open && state.phase != ending {
            return Err(ClientError::illegal_state(match state.phase {
                Phase::Ending { .. } => "the transaction is ending in the other way",
                _ => "no transaction is open",
            }));
        }
        state.phase = ending;
        Ok(())
    }

    /// Has the coordinator commit or abort what is settled, and takes the next epoch.
    pub async fn end(&self, client: &Client, wait: &Wait, committed: bool) -> Result<()> {
        let (touched, failed) = {
            let state = self.state.lock();
            match &state.failure {
                Some(failure) if failure.fatal || committed => return Err(failure.error.clone()),
                failure => (!state.lanes.is_empty(), failure.is_some()),
            }
        };
        if touched {
            self.tell_end(client, wait, committed).await?;
        }
        if failed && !self.is_implicit() {
            // Sequences may have holes: they begin anew in another epoch.
            let known = self.producer().unwrap_or(ProducerId::NONE);
            self.init(client, wait, known).await?;
        } else if !self.is_implicit() {
            // It may have been upgraded since.
            self.learn_version(client).await?;
        }
        let mut state = self.state.lock();
        state.phase = Phase::Ready;
        state.failure = None;
        Ok(())
    }

    async fn tell_end(&self, client: &Client, wait: &Wait, committed: bool) -> Result<()> {
        let producer = self.producer().ok_or(ClientError::Closed)?;
        let build = |_version| EndTxnRequest {
            transactional_id: self.id.to_string(),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            committed,
        };
        let verdict = |response: &EndTxnResponse| ErrorCode::from_code(response.error_code);
        let implicit = self.is_implicit();
        let version_max = match implicit {
            true => i16::MAX,
            false => END_WITHOUT_EPOCH,
        };
        let options = CallOptions {
            deadline: wait.deadline,
            version_max,
            ..client.options("endTxn")
        };
        let route = Route::Coordinator(Coordinator::Transaction, &self.id);
        let response = client.call(options, route, build, verdict).await;
        let response = response
            .and_then(|response| {
                expected(
                    response.error_code,
                    END_ERRORS,
                    "Unhandled error in EndTxnResponse:",
                )?;
                Ok(response)
            })
            .map_err(|error| wait.timed("EndTxn", self.refused(error)))?;
        let mut state = self.state.lock();
        state.lanes.clear();
        if implicit && response.producer_id >= 0 {
            state.producer = Some(ProducerId {
                id: response.producer_id,
                epoch: response.producer_epoch,
            });
        }
        Ok(())
    }

    pub fn is_open(&self) -> bool {
        let state = self.state.lock();
        let fatal = state.failure.as_ref().is_some_and(|failure| failure.fatal);
        state.phase == Phase::Open && !fatal
    }
}

/// How long a call may take: `max.block.ms`.
pub(super) struct Wait {
    pub deadline: Instant,
    total: Duration,
}

impl Wait {
    pub fn of(total: Duration) -> Self {
        Self {
            deadline: Instant::now() + total,
            total,
        }
    }

    /// What there is to say when time is up.
    pub fn timed(&self, what: &str, error: ClientError) -> ClientError {
        match error.is_retriable() {
            true => ClientError::timeout(format!(
                "Timeout expired after {}ms while awaiting {what}",
                self.total.as_millis()
            )),
            false => error,
        }
    }
}

/// What a coordinator may answer to InitProducerId, in words of its own.
const INIT_ERRORS: &[ErrorCode] = &[
    ErrorCode::TransactionalIdAuthorizationFailed,
    ErrorCode::ClusterAuthorizationFailed,
    ErrorCode::InvalidProducerEpoch,
    ErrorCode::ProducerFenced,
    ErrorCode::TransactionAbortable,
];

/// The same for EndTxn.
const END_ERRORS: &[ErrorCode] = &[
    ErrorCode::TransactionalIdAuthorizationFailed,
    ErrorCode::InvalidProducerEpoch,
    ErrorCode::ProducerFenced,
    ErrorCode::InvalidTxnState,
    ErrorCode::InvalidProducerIdMapping,
    ErrorCode::UnknownProducerId,
    ErrorCode::TransactionAbortable,
];

/// The error of a code; of others than are known it is told where they came from.
fn expected(code: i16, known: &[ErrorCode], otherwise: &str) -> Result<()> {
    let code = ErrorCode::from_code(code);
    if code.is_none() {
        return Ok(());
    }
    if known.contains(&code) || code.is_retriable() {
        return Err(ClientError::broker(code, None));
    }
    let text = format!("{otherwise} {}", code.message());
    Err(ClientError::broker(code, Some(&text)))
}

/// The first error among the partitions.
fn added(response: &AddPartitionsToTxnResponse) -> ErrorCode {
    let topics = response.results_by_topic_v3_and_below.iter();
    let partitions = topics.flat_map(|topic| &topic.results_by_partition);
    let mut codes =
        partitions.map(|partition| ErrorCode::from_code(partition.partition_error_code));
    // Where one was refused, others were not attempted: that is not the reason.
    let told =
        |code: &ErrorCode| !matches!(code, ErrorCode::None | ErrorCode::OperationNotAttempted);
    codes.find(told).unwrap_or(ErrorCode::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Transactions {
        let transactions = Transactions::new("x".into(), 1_000);
        transactions.state.lock().phase = Phase::Ready;
        transactions.begin().unwrap();
        transactions
    }

    fn broker(code: ErrorCode) -> ClientError {
        ClientError::broker(code, None)
    }

    #[test]
    fn records_need_an_open_transaction_without_failure() {
        let transactions = Transactions::new("x".into(), 1_000);
        assert!(transactions.begin().is_err(), "there is no producer id");
        assert!(transactions.check_open().is_err());
        let transactions = open();
        assert!(transactions.check_open().is_ok());
        assert!(transactions.begin().is_err(), "one at a time");
        transactions.lost(&ClientError::timeout("first"));
        transactions.lost(&ClientError::timeout("second"));
        assert_eq!(transactions.check_open().unwrap_err().to_string(), "first");
        assert!(matches!(transactions.fate(), Fate::Discard(_)));
    }

    #[test]
    fn a_failed_transaction_can_only_be_aborted() {
        let transactions = open();
        transactions.begin_end(true).unwrap();
        assert!(transactions.check_open().is_err());
        assert!(
            transactions.begin_end(false).is_err(),
            "it is being committed"
        );
        transactions.lost(&broker(ErrorCode::InvalidProducerEpoch));
        assert!(transactions.begin_end(true).is_err());
        transactions.begin_end(false).unwrap();
        transactions.begin_end(false).unwrap();
        assert!(matches!(transactions.fate(), Fate::Discard(_)));
    }

    #[test]
    fn whoever_is_fenced_can_do_nothing_more() {
        let transactions = open();
        transactions.lost(&ClientError::timeout("first"));
        let told = transactions.refused(broker(ErrorCode::InvalidProducerEpoch));
        assert_eq!(
            told.to_string(),
            "Producer with transactionalId 'x' and (producerId=-1, epoch=-1) has been fenced by \
             another producer with the same transactionalId"
        );
        assert_eq!(told.code(), Some(ErrorCode::ProducerFenced));
        assert!(transactions.begin_end(false).is_err());
        assert!(matches!(transactions.fate(), Fate::Fail(_)));
        transactions.lost(&ClientError::timeout("later"));
        assert_eq!(
            transactions.check_open().unwrap_err().to_string(),
            told.to_string()
        );
    }

    #[test]
    fn an_abort_without_failure_discards_what_was_not_sent() {
        let transactions = open();
        assert!(matches!(transactions.fate(), Fate::Send));
        transactions.begin_end(false).unwrap();
        assert!(matches!(transactions.fate(), Fate::Discard(_)));
        transactions.lost(&ClientError::TransactionAborted);
        assert!(transactions.state.lock().failure.is_none());
    }
}
