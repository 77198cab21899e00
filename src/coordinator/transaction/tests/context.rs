//! The driver of the tests: appends, replays and answers as `runtime.rs` does, and writes markers
//! when the test says so.
use std::collections::{BTreeMap, VecDeque};

use crate::coordinator::shard::{EncodedRecord, Now, Shard, Token, append_error_to_client};
use crate::coordinator::transaction::shard::TransactionDecision;
use crate::coordinator::transaction::{
    Effect, Ended, InitProducerId, Markers, Partitions, PartitionsOf, ProducerIdAndEpoch,
    Transaction, TransactionConfig, TransactionReply, TransactionRequest, TransactionShard,
    TransactionState,
};
use crate::protocol::ErrorCode;

pub const ID: &str = "payments";
pub const TIMEOUT_MS: i32 = 60_000;

pub struct Context {
    pub shard: TransactionShard,
    pub log: Vec<EncodedRecord>,
    pub now: Now,
    /// The next appends fail with this.
    pub failure: Option<ErrorCode>,
    /// Markers that nobody has written yet.
    pub markers: VecDeque<Markers>,
    pub next_producer_id: i64,
    answers: BTreeMap<Token, Result<TransactionReply, ErrorCode>>,
    next_token: u64,
}

/// What every version of EndTxn does with what it is asked.
pub type End = Result<ProducerIdAndEpoch, ErrorCode>;

pub fn producer(producer_id: i64, epoch: i16) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch { producer_id, epoch }
}

pub fn partitions(topic: &str, indexes: &[i32]) -> Partitions {
    Partitions::from([(topic.to_owned(), indexes.iter().copied().collect())])
}

impl Context {
    pub fn new() -> Context {
        Context::with(TransactionConfig::default())
    }

    pub fn with(config: TransactionConfig) -> Context {
        let mut context = Context {
            shard: TransactionShard::new(config),
            log: Vec::new(),
            now: Now {
                wall_ms: 1_700_000_000_000,
                monotonic_ms: 5_000,
            },
            failure: None,
            markers: VecDeque::new(),
            next_producer_id: 1000,
            answers: BTreeMap::new(),
            next_token: 0,
        };
        let decision = context.shard.loaded(context.now);
        context.carry_out(decision);
        context
    }

    pub fn send(&mut self, request: TransactionRequest) -> Token {
        let token = Token(self.next_token);
        self.next_token += 1;
        let decision = self.shard.handle(self.now, token, request);
        self.carry_out(decision);
        token
    }

    pub fn ask(&mut self, request: TransactionRequest) -> Result<TransactionReply, ErrorCode> {
        let token = self.send(request);
        self.answer(token).expect("an answer at once")
    }

    pub fn answer(&mut self, token: Token) -> Option<Result<TransactionReply, ErrorCode>> {
        self.answers.remove(&token)
    }

    fn carry_out(&mut self, decision: TransactionDecision) {
        let mut decisions = VecDeque::from([decision]);
        while let Some(decision) = decisions.pop_front() {
            let outcome = match self.failure {
                Some(error) if !decision.records.is_empty() => Err(append_error_to_client(error)),
                _ => Ok(()),
            };
            if outcome.is_ok() {
                for record in decision.records {
                    let encoded = record.encode().expect("a record can be written");
                    let offset = self.log.len() as i64;
                    self.log.push(encoded);
                    self.shard.replay(offset, None, record);
                }
                for effect in decision.effects {
                    self.take(effect);
                }
            }
            for answer in decision.answers {
                let result = outcome.map(|()| answer.reply);
                let before = self.answers.insert(answer.token, result);
                assert!(before.is_none(), "answered twice");
            }
            if let Some(after) = decision.after {
                decisions.push_back(self.shard.appended(self.now, after, outcome));
            }
        }
        self.shard.check_invariants();
    }

    fn take(&mut self, effect: Effect) {
        match effect {
            Effect::WriteMarkers(markers) => self.markers.push_back(markers),
            Effect::AllocateProducerId {
                transactional_id,
                start_ms,
            } => {
                let fresh = self.fresh();
                let token = Token(self.next_token);
                self.next_token += 1;
                let request = TransactionRequest::AbortTimedOut {
                    transactional_id,
                    start_ms,
                    fresh,
                };
                let decision = self.shard.handle(self.now, token, request);
                self.carry_out(decision);
            }
        }
    }

    fn fresh(&mut self) -> i64 {
        self.next_producer_id += 1;
        self.next_producer_id - 1
    }

    /// Moves the clock and handles what becomes due on the way.
    pub fn sleep(&mut self, ms: i64) {
        let end_ms = self.now.monotonic_ms + ms;
        while let Some(due_ms) = self.shard.next_deadline_ms().filter(|due| *due <= end_ms) {
            self.move_clock(due_ms.max(self.now.monotonic_ms));
            while let Some(decision) = self.shard.expire(self.now) {
                self.carry_out(decision);
            }
        }
        self.move_clock(end_ms);
    }

    fn move_clock(&mut self, monotonic_ms: i64) {
        self.now.wall_ms += monotonic_ms - self.now.monotonic_ms;
        self.now.monotonic_ms = monotonic_ms;
    }

    /// What the log adds up to.
    pub fn added_up(&self) -> BTreeMap<String, Transaction> {
        let mut shard = TransactionShard::new(TransactionConfig::default());
        for (offset, (key, value)) in self.log.iter().enumerate() {
            let record = TransactionShard::decode(key.clone(), value.clone());
            let record = record.expect("our own record").expect("of a kind we know");
            shard.replay(offset as i64, None, record);
        }
        shard.transactions().clone()
    }

    /// The log is all there is; a broker starts on it.
    pub fn restart(&mut self) {
        let mut shard = TransactionShard::new(self.shard.config.clone());
        for (id, transaction) in self.added_up() {
            let record = crate::coordinator::transaction::TransactionRecord {
                transactional_id: id,
                value: Some(transaction),
                version: 0,
            };
            shard.replay(0, None, record);
        }
        self.shard = shard;
        self.answers.clear();
        self.markers.clear();
        let decision = self.shard.loaded(self.now);
        self.carry_out(decision);
    }

    /// Writes the markers of every decided transaction; returns them.
    pub fn complete(&mut self) -> Vec<Markers> {
        let written: Vec<Markers> = std::mem::take(&mut self.markers).into();
        for markers in &written {
            let request = TransactionRequest::MarkersWritten(markers.clone());
            assert_eq!(self.ask(request), Ok(TransactionReply::Done));
        }
        written
    }

    // ---- shorthands ----

    pub fn state(&self) -> TransactionState {
        self.transaction().state
    }

    pub fn transaction(&self) -> &Transaction {
        &self.shard.transactions()[ID]
    }

    pub fn init(&mut self, current: Option<ProducerIdAndEpoch>) -> End {
        let token = self.send_init(current);
        self.complete();
        match self.answer(token).expect("an answer") {
            Ok(TransactionReply::Initialized(result)) => result,
            Err(error) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    /// Asks again with a producer id if one is needed.
    pub fn send_init(&mut self, current: Option<ProducerIdAndEpoch>) -> Token {
        let mut request = InitProducerId {
            transactional_id: ID.to_owned(),
            timeout_ms: TIMEOUT_MS,
            current,
            fresh: None,
        };
        let token = self.send(TransactionRequest::InitProducerId(request.clone()));
        match self.answers.get(&token) {
            Some(Ok(TransactionReply::NeedsProducerId)) => {
                request.fresh = Some(self.fresh());
                self.send(TransactionRequest::InitProducerId(request))
            }
            _ => token,
        }
    }

    pub fn add(
        &mut self,
        owner: ProducerIdAndEpoch,
        partitions: &Partitions,
        version: i16,
    ) -> Result<(), ErrorCode> {
        let request = PartitionsOf {
            transactional_id: ID.to_owned(),
            producer_id: owner.producer_id,
            producer_epoch: owner.epoch,
            partitions: partitions.clone(),
            client_version: version,
        };
        match self.ask(TransactionRequest::AddPartitions(request))? {
            TransactionReply::Added(ErrorCode::None) => Ok(()),
            TransactionReply::Added(error) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    pub fn verify(&mut self, owner: ProducerIdAndEpoch) -> Result<Partitions, ErrorCode> {
        let request = PartitionsOf {
            transactional_id: ID.to_owned(),
            producer_id: owner.producer_id,
            producer_epoch: owner.epoch,
            partitions: Partitions::new(),
            client_version: 0,
        };
        match self.ask(TransactionRequest::VerifyPartitions(request))? {
            TransactionReply::InTransaction(result) => result,
            other => panic!("{other:?}"),
        }
    }

    /// Ends the transaction and writes its markers.
    pub fn end(&mut self, owner: ProducerIdAndEpoch, committed: bool, version: i16) -> End {
        let token = self.send_end(owner, committed, version);
        self.complete();
        self.ended(token).expect("an answer")
    }

    pub fn send_end(&mut self, owner: ProducerIdAndEpoch, committed: bool, version: i16) -> Token {
        let mut request = Ended {
            transactional_id: ID.to_owned(),
            producer_id: owner.producer_id,
            producer_epoch: owner.epoch,
            committed,
            client_version: version,
            fresh: None,
        };
        let token = self.send(TransactionRequest::EndTransaction(request.clone()));
        match self.answers.get(&token) {
            Some(Ok(TransactionReply::NeedsProducerId)) => {
                request.fresh = Some(self.fresh());
                self.send(TransactionRequest::EndTransaction(request))
            }
            _ => token,
        }
    }

    pub fn ended(&mut self, token: Token) -> Option<End> {
        match self.answer(token)? {
            Ok(TransactionReply::Ended(result)) => Some(result),
            Err(error) => Some(Err(error)),
            other => panic!("{other:?}"),
        }
    }
}
