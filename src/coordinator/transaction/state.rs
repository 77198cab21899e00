//! One transactional id, as the log has it, and the transitions between its states.
use std::collections::{BTreeMap, BTreeSet};

pub const NO_PRODUCER_ID: i64 = -1;
pub const NO_EPOCH: i16 = -1;
/// From this version on each end of a transaction raises the epoch.
pub const FIRST_WITH_EPOCH_BUMP: i16 = 2;

/// Topic → partitions.
pub type Partitions = BTreeMap<String, BTreeSet<i32>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransactionState {
    Empty,
    Ongoing,
    PrepareCommit,
    PrepareAbort,
    CompleteCommit,
    CompleteAbort,
    /// Kafka's name for an id that is being forgotten; never in the log.
    Dead,
    /// Kafka's name for a step on the way to PrepareAbort; never in the log.
    PrepareEpochFence,
}

impl TransactionState {
    pub const ALL: [TransactionState; 8] = [
        TransactionState::Empty,
        TransactionState::Ongoing,
        TransactionState::PrepareCommit,
        TransactionState::PrepareAbort,
        TransactionState::CompleteCommit,
        TransactionState::CompleteAbort,
        TransactionState::Dead,
        TransactionState::PrepareEpochFence,
    ];

    /// As it is in the log.
    pub fn id(self) -> i8 {
        self as i8
    }

    pub fn from_id(id: i8) -> Option<TransactionState> {
        Self::ALL.into_iter().find(|state| state.id() == id)
    }

    pub fn name(self) -> &'static str {
        match self {
            TransactionState::Empty => "Empty",
            TransactionState::Ongoing => "Ongoing",
            TransactionState::PrepareCommit => "PrepareCommit",
            TransactionState::PrepareAbort => "PrepareAbort",
            TransactionState::CompleteCommit => "CompleteCommit",
            TransactionState::CompleteAbort => "CompleteAbort",
            TransactionState::Dead => "Dead",
            TransactionState::PrepareEpochFence => "PrepareEpochFence",
        }
    }

    pub fn from_name(name: &str) -> Option<TransactionState> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Decided, and not yet told to all partitions.
    pub fn is_ending(self) -> bool {
        matches!(
            self,
            TransactionState::PrepareCommit | TransactionState::PrepareAbort
        )
    }

    /// No transaction: the id may be taken over, or forgotten.
    pub fn is_idle(self) -> bool {
        matches!(
            self,
            TransactionState::Empty
                | TransactionState::CompleteCommit
                | TransactionState::CompleteAbort
        )
    }
}

/// What is known of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub producer_id: i64,
    /// That of the transition before.
    pub previous_producer_id: i64,
    /// The id that the producer goes on with once the transaction is complete: its epochs are used
    /// up.
    pub next_producer_id: i64,
    pub producer_epoch: i16,
    /// The epoch that the client had before its last request raised it. Not in the log: whoever
    /// sends that request again after a restart of the coordinator is fenced, as by Kafka.
    pub last_producer_epoch: i16,
    pub timeout_ms: i32,
    pub state: TransactionState,
    pub partitions: Partitions,
    /// -1: there was no transaction yet.
    pub start_ms: i64,
    pub last_update_ms: i64,
    /// The transaction version that the client used last.
    pub client_version: i16,
}

impl Transaction {
    /// An id that nobody has used.
    pub fn new(producer_id: i64, timeout_ms: i32, now_ms: i64) -> Transaction {
        Transaction {
            producer_id,
            previous_producer_id: NO_PRODUCER_ID,
            next_producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_EPOCH,
            last_producer_epoch: NO_EPOCH,
            timeout_ms,
            state: TransactionState::Empty,
            partitions: Partitions::new(),
            start_ms: -1,
            last_update_ms: now_ms,
            client_version: 0,
        }
    }

    /// One epoch has to remain to fence the producer with.
    pub fn is_epoch_exhausted(epoch: i16) -> bool {
        epoch >= i16::MAX - 1
    }

    pub fn has_epoch_exhausted(&self) -> bool {
        Self::is_epoch_exhausted(self.producer_epoch)
    }

    /// A transaction without a time-out is ended by whoever coordinates it with others (KIP-939).
    pub fn never_times_out(&self) -> bool {
        self.timeout_ms == i32::MAX
    }

    pub fn has_all(&self, partitions: &Partitions) -> bool {
        partitions.iter().all(|(topic, indexes)| {
            let known = self.partitions.get(topic);
            known.is_some_and(|known| indexes.is_subset(known))
        })
    }

    /// Every transition starts from here.
    fn next(&self, state: TransactionState, now_ms: i64) -> Transaction {
        Transaction {
            state,
            previous_producer_id: self.producer_id,
            last_update_ms: now_ms,
            ..self.clone()
        }
    }

    /// For a producer that starts, with the epoch that is now its own.
    pub fn initialized(
        &self,
        epoch: i16,
        last_epoch: i16,
        timeout_ms: i32,
        now_ms: i64,
    ) -> Transaction {
        Transaction {
            producer_epoch: epoch,
            last_producer_epoch: last_epoch,
            timeout_ms,
            partitions: Partitions::new(),
            start_ms: -1,
            ..self.next(TransactionState::Empty, now_ms)
        }
    }

    /// For a producer that starts when the epochs of the id are used up.
    pub fn rotated(
        &self,
        producer_id: i64,
        last_epoch: i16,
        timeout_ms: i32,
        now_ms: i64,
    ) -> Transaction {
        Transaction {
            producer_id,
            ..self.initialized(0, last_epoch, timeout_ms, now_ms)
        }
    }

    pub fn with_partitions(
        &self,
        added: &Partitions,
        client_version: i16,
        now_ms: i64,
    ) -> Transaction {
        let mut next = self.next(TransactionState::Ongoing, now_ms);
        for (topic, indexes) in added {
            next.partitions
                .entry(topic.clone())
                .or_default()
                .extend(indexes);
        }
        if self.state.is_idle() {
            next.start_ms = now_ms;
        }
        next.client_version = client_version;
        next
    }

    /// The decision to commit or to abort. `next_producer_id` is taken once this is complete.
    pub fn prepared(
        &self,
        committed: bool,
        client_version: i16,
        next_producer_id: i64,
        now_ms: i64,
    ) -> Transaction {
        let state = match committed {
            true => TransactionState::PrepareCommit,
            false => TransactionState::PrepareAbort,
        };
        let mut next = self.next(state, now_ms);
        if client_version >= FIRST_WITH_EPOCH_BUMP {
            next.producer_epoch = self.producer_epoch.saturating_add(1);
            next.last_producer_epoch = self.producer_epoch;
        }
        // In version 2 a client may abort what it never began.
        if self.state != TransactionState::Ongoing {
            next.start_ms = now_ms;
        }
        next.next_producer_id = next_producer_id;
        next.client_version = client_version;
        next
    }

    /// All partitions know.
    pub fn completed(&self, now_ms: i64) -> Transaction {
        let state = match self.state {
            TransactionState::PrepareCommit => TransactionState::CompleteCommit,
            _ => TransactionState::CompleteAbort,
        };
        let mut next = self.next(state, now_ms);
        if self.client_version >= FIRST_WITH_EPOCH_BUMP && self.next_producer_id != NO_PRODUCER_ID {
            next.producer_id = self.next_producer_id;
            next.producer_epoch = 0;
        }
        next.next_producer_id = NO_PRODUCER_ID;
        next.partitions = Partitions::new();
        next
    }
}
