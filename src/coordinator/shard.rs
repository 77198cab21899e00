//! What a coordinator machine is: two kinds of method and no third. Request handlers look at the
//! state that the log built and decide (records, answers); `replay` applies one record. The same
//! replay runs live and when a partition is loaded, so recovery is the path that every request
//! tests.
use bytes::Bytes;

use crate::protocol::ErrorCode;
use crate::protocol::wire::{DecodeError, EncodeError};

/// The time, given from outside. Deadlines use the monotonic clock, records the wall clock, so that
/// a clock that is set forward expires no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the epoch.
    pub wall_ms: i64,
    /// Milliseconds since an arbitrary moment; never goes back.
    pub monotonic_ms: i64,
}

/// Names a request that waits for its answer. The driver gives it out and keeps whatever is needed
/// to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// An answer to the request that `token` names.
#[derive(Debug)]
pub struct Answer<R> {
    pub token: Token,
    pub reply: R,
}

/// The transaction that records belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transactional {
    pub producer_id: i64,
    pub producer_epoch: i16,
    /// What the partition's log gave out before the transaction coordinator was asked about it.
    pub verification: Option<u64>,
}

/// The end of a producer's transaction in a partition of the coordinator's topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionEnd {
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub committed: bool,
    /// Fences markers of a transaction coordinator that has been replaced.
    pub coordinator_epoch: i32,
    /// 2 and above: the epoch was raised for this marker.
    pub transaction_version: i16,
}

/// What a request, a timer or an append decided.
///
/// The driver appends `records`, replays them, tells the shard through [`Shard::appended`], and
/// sends `answers` and hands out `effects` once the log's high watermark covers all that was
/// appended so far. If the append fails nothing is replayed, the shard is told, the tokens of
/// `answers` get the error instead, and there are no effects.
#[derive(Debug)]
pub struct Decision<S: Shard> {
    pub records: Vec<S::Record>,
    pub answers: Vec<Answer<S::Reply>>,
    /// The transaction whose commit the records wait for; none: they count at once.
    pub transaction: Option<Transactional>,
    /// A marker that is appended behind the records.
    pub marker: Option<TransactionEnd>,
    /// What has to be done outside of this partition.
    pub effects: Vec<S::Effect>,
    /// What the shard wants to hear about once the records are in the log (or could not be
    /// appended).
    pub after: Option<S::AfterAppend>,
    /// The records go into one batch. Clean-ups say no: they may be many, and each stands alone.
    pub atomic: bool,
}

impl<S: Shard> Default for Decision<S> {
    fn default() -> Self {
        Decision {
            records: Vec::new(),
            answers: Vec::new(),
            transaction: None,
            marker: None,
            effects: Vec::new(),
            after: None,
            atomic: true,
        }
    }
}

impl<S: Shard> Decision<S> {
    pub fn answer(&mut self, token: Token, reply: S::Reply) {
        self.answers.push(Answer { token, reply });
    }
}

/// A record's key and value as they are in the log.
pub type EncodedRecord = (Bytes, Option<Bytes>);

/// The machine behind one partition of a coordinator's topic.
pub trait Shard: Sized + Send + 'static {
    type Request: Send;
    type Reply: Send;
    type Record: Send;
    type AfterAppend: Send;
    /// Work for others that follows from a decision.
    type Effect: Send;

    /// Reads a record; `None` if its kind is unknown to this version: it is skipped and stays in
    /// the log.
    fn decode(key: Bytes, value: Option<Bytes>) -> Result<Option<Self::Record>, DecodeError>;
    fn encode(record: &Self::Record) -> Result<EncodedRecord, EncodeError>;

    /// Durable state is only looked at; soft state (who waits, deadlines) may change.
    fn handle(&mut self, now: Now, token: Token, request: Self::Request) -> Decision<Self>;

    /// The only place where durable state changes. Cannot fail: a record that was stored was legal.
    /// `producer_id` is that of the transaction which the record belongs to.
    fn replay(&mut self, offset: i64, producer_id: Option<i64>, record: Self::Record);

    /// The end of a transaction in this partition.
    fn replay_end_transaction(&mut self, producer_id: i64, committed: bool);

    /// The records of the decision that carried `after` are in the log and replayed, or `outcome`
    /// says why not.
    fn appended(
        &mut self,
        now: Now,
        after: Self::AfterAppend,
        outcome: Result<(), ErrorCode>,
    ) -> Decision<Self>;

    /// Everything in the log has been replayed and the partition starts to serve.
    fn loaded(&mut self, now: Now) -> Decision<Self>;

    /// When [`Shard::expire`] wants to be called next, on the monotonic clock.
    fn next_deadline_ms(&self) -> Option<i64>;

    /// Handles one deadline that has passed, if there is one.
    fn expire(&mut self, now: Now) -> Option<Decision<Self>>;

    /// Panics if the state contradicts itself. Run after every step in debug builds.
    fn check_invariants(&self);
}

/// What a client is told when the log refused an append, as Kafka maps it: an error that sends the
/// client back to find its coordinator, or makes it try again.
pub fn append_error_to_client(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge
        | ErrorCode::RecordListTooLarge
        | ErrorCode::InvalidFetchSize => ErrorCode::UnknownServerError,
        other => other,
    }
}
