//! Transactions as compaction passes over them: which batches are of aborted ones, which markers
//! have nothing left to mark. Kafka's `CleanedTransactionMetadata`. Pure.
use std::collections::{BTreeMap, BTreeSet};

use crate::log::txn_index::AbortedTransaction;

/// What a control batch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    Abort,
    Commit,
    /// Its record was removed by an earlier cleaning.
    Empty,
    /// Nothing about a transaction.
    Other,
}

#[derive(Debug)]
struct Aborted {
    transaction: AbortedTransaction,
    /// A batch of it is still in the log.
    observed: bool,
}

/// Transactions under way at the point that a pass over the log has reached.
#[derive(Debug, Default)]
pub struct CleanedTransactions {
    /// Producers with batches of a transaction that will be committed.
    committed: BTreeSet<i64>,
    aborted: BTreeMap<i64, Aborted>,
    /// Aborted transactions that begin further on, by first offset and producer.
    upcoming: BTreeMap<(i64, i64), AbortedTransaction>,
    /// Aborted transactions whose markers stay.
    retained: Vec<AbortedTransaction>,
}

impl CleanedTransactions {
    /// Tells of aborted transactions before the pass comes to their first offsets; of one it may be
    /// told again until it comes to their markers.
    pub fn add_aborted(&mut self, transactions: impl IntoIterator<Item = AbortedTransaction>) {
        for transaction in transactions {
            let key = (transaction.first_offset, transaction.producer_id);
            self.upcoming.insert(key, transaction);
        }
    }

    /// A data batch is passed. Whether it is of an aborted transaction: its records go.
    pub fn on_data(&mut self, transactional: bool, producer_id: i64, last_offset: i64) -> bool {
        self.reach(last_offset);
        if !transactional {
            return false;
        }
        if let Some(aborted) = self.aborted.get_mut(&producer_id) {
            aborted.observed = true;
            return true;
        }
        self.committed.insert(producer_id);
        false
    }

    /// A control batch is passed. Whether it may go: nothing that it marks is left in the log.
    pub fn on_control(&mut self, marker: Marker, producer_id: i64, last_offset: i64) -> bool {
        self.reach(last_offset);
        match marker {
            Marker::Abort => match self.aborted.remove(&producer_id) {
                Some(aborted) if aborted.observed => {
                    self.retained.push(aborted.transaction);
                    false
                }
                _ => true,
            },
            Marker::Commit => !self.committed.remove(&producer_id),
            Marker::Empty => true,
            Marker::Other => false,
        }
    }

    /// The aborted transactions whose markers were passed, and stay, since this was last asked:
    /// what the transaction index of the output holds.
    pub fn take_retained(&mut self) -> Vec<AbortedTransaction> {
        std::mem::take(&mut self.retained)
    }

    fn reach(&mut self, offset: i64) {
        while let Some(first) = self.upcoming.first_entry() {
            if first.key().0 > offset {
                return;
            }
            let transaction = first.remove();
            self.aborted
                .entry(transaction.producer_id)
                .or_insert(Aborted {
                    transaction,
                    observed: false,
                });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aborted(producer_id: i64, first_offset: i64, last_offset: i64) -> AbortedTransaction {
        AbortedTransaction {
            producer_id,
            first_offset,
            last_offset,
            last_stable_offset: last_offset + 1,
        }
    }

    #[test]
    fn data_of_aborted_transactions_goes_and_its_marker_after_it() {
        let mut passing = CleanedTransactions::default();
        let transaction = aborted(7, 2, 5);
        passing.add_aborted([transaction, transaction]);
        assert!(!passing.on_data(true, 7, 1), "an earlier one");
        assert!(!passing.on_control(Marker::Commit, 7, 1));
        assert!(passing.on_data(true, 7, 3));
        assert!(!passing.on_data(false, 7, 4), "not transactional");
        assert!(!passing.on_data(true, 8, 4), "another producer's");
        assert!(
            !passing.on_control(Marker::Abort, 7, 5),
            "what it marks was still there"
        );
        assert_eq!(passing.take_retained(), [transaction]);
        assert!(!passing.on_data(true, 7, 6), "the next transaction");

        // The next cleaning finds the marker alone.
        let mut passing = CleanedTransactions::default();
        passing.add_aborted([transaction]);
        assert!(passing.on_control(Marker::Abort, 7, 5));
        assert_eq!(passing.take_retained(), []);
    }

    #[test]
    fn a_commit_stays_while_data_is_there() {
        let mut passing = CleanedTransactions::default();
        assert!(passing.on_control(Marker::Commit, 1, 0));
        assert!(!passing.on_data(true, 1, 1));
        assert!(!passing.on_control(Marker::Commit, 1, 2));
        assert!(passing.on_control(Marker::Commit, 1, 3));
        assert!(passing.on_control(Marker::Empty, 1, 4));
        assert!(!passing.on_control(Marker::Other, 1, 5));
    }
}
