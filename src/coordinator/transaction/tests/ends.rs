//! EndTxn, in both generations of the protocol, whatever the state it meets.
use super::context::*;
use super::init::exhaust;
use crate::coordinator::transaction::{ProducerIdAndEpoch, TransactionState};
use crate::protocol::ErrorCode;

const COMMIT: bool = true;
const ABORT: bool = false;

/// The shard in a state, and its producer as it was before the state was reached.
fn reach(state: TransactionState, version: i16) -> (Context, ProducerIdAndEpoch) {
    let mut c = Context::new();
    let owner = c.init(None).unwrap();
    if state == TransactionState::Empty {
        return (c, owner);
    }
    c.add(owner, &partitions("t", &[0]), version).unwrap();
    let committed = matches!(
        state,
        TransactionState::PrepareCommit | TransactionState::CompleteCommit
    );
    if state != TransactionState::Ongoing {
        c.send_end(owner, committed, version);
    }
    if state.is_idle() {
        c.complete();
    }
    assert_eq!(c.state(), state);
    (c, owner)
}

#[test]
fn every_state_answers_as_kafka_does() {
    use ErrorCode::{ConcurrentTransactions, InvalidTxnState, ProducerFenced};
    use TransactionState::*;
    /// `None`: the transaction ends, or has ended.
    type Answer = Option<ErrorCode>;
    // State; commit and abort of clients whose epoch stays.
    let without_bump: [(TransactionState, Answer, Answer); 6] = [
        (Empty, Some(InvalidTxnState), Some(InvalidTxnState)),
        (Ongoing, None, None),
        (
            PrepareCommit,
            Some(ConcurrentTransactions),
            Some(InvalidTxnState),
        ),
        (
            PrepareAbort,
            Some(InvalidTxnState),
            Some(ConcurrentTransactions),
        ),
        (CompleteCommit, None, Some(InvalidTxnState)),
        (CompleteAbort, Some(InvalidTxnState), None),
    ];
    for (state, commit, abort) in without_bump {
        for (committed, expected) in [(COMMIT, commit), (ABORT, abort)] {
            let (mut c, owner) = reach(state, 0);
            let seen = c.end(owner, committed, 0);
            assert_eq!(seen.err(), expected, "{state:?} commit {committed}");
        }
    }
    // State; commit and abort with the epoch of before, then with the epoch of now.
    let with_bump: [(TransactionState, [Answer; 2], [Answer; 2]); 6] = [
        (
            Empty,
            [Some(InvalidTxnState), None],
            [Some(InvalidTxnState), None],
        ),
        (Ongoing, [None, None], [None, None]),
        (
            PrepareCommit,
            [Some(ConcurrentTransactions), Some(InvalidTxnState)],
            [Some(ProducerFenced), Some(ProducerFenced)],
        ),
        (
            PrepareAbort,
            [Some(InvalidTxnState), Some(ConcurrentTransactions)],
            [Some(ProducerFenced), Some(ProducerFenced)],
        ),
        (
            CompleteCommit,
            [None, Some(InvalidTxnState)],
            [Some(InvalidTxnState), None],
        ),
        (
            CompleteAbort,
            [Some(InvalidTxnState), None],
            [Some(InvalidTxnState), None],
        ),
    ];
    for (state, before, now) in with_bump {
        for (is_now, expected) in [(false, before), (true, now)] {
            for (committed, expected) in [(COMMIT, expected[0]), (ABORT, expected[1])] {
                let (mut c, owner) = reach(state, 2);
                let epoch = match is_now {
                    true => c.transaction().producer_epoch,
                    false => owner.epoch,
                };
                let seen = c.end(producer(owner.producer_id, epoch), committed, 2);
                let shown = format!("{state:?} commit {committed} epoch {epoch}");
                assert_eq!(seen.err(), expected, "{shown}");
            }
        }
    }
}

#[test]
fn strangers_end_nothing() {
    for version in [0, 2] {
        for (stranger, expected) in [
            (producer(999, 0), ErrorCode::InvalidProducerIdMapping),
            (producer(1000, 5), ErrorCode::ProducerFenced),
            (producer(1000, -1), ErrorCode::ProducerFenced),
        ] {
            let (mut c, _) = reach(TransactionState::Ongoing, version);
            let shown = format!("{stranger:?} in version {version}");
            assert_eq!(c.end(stranger, COMMIT, version), Err(expected), "{shown}");
            let added = c.add(stranger, &partitions("t", &[1]), version);
            assert_eq!(added, Err(expected), "{shown}");
            assert_eq!(c.verify(stranger), Err(expected), "{shown}");
            assert_eq!(c.state(), TransactionState::Ongoing, "{shown}");
        }
    }
    let mut c = Context::new();
    let unknown = Err(ErrorCode::InvalidProducerIdMapping);
    assert_eq!(c.end(producer(1000, 0), COMMIT, 2), unknown);
}

#[test]
fn an_end_raises_the_epoch_and_says_so_again() {
    let (mut c, owner) = reach(TransactionState::Ongoing, 2);
    let ended = c.end(owner, COMMIT, 2);
    assert_eq!(ended, Ok(producer(1000, 1)));
    assert_eq!(c.end(owner, COMMIT, 2), ended, "the answer was lost");
    c.restart();
    assert_eq!(c.end(owner, COMMIT, 2), ended, "and the coordinator too");
    let next = ended.unwrap();
    c.add(next, &partitions("t", &[0]), 2).unwrap();
    assert_eq!(c.end(next, ABORT, 2), Ok(producer(1000, 2)));
}

#[test]
fn the_last_epoch_goes_over_to_a_new_id() {
    let mut c = Context::new();
    let last = exhaust(&mut c);
    c.add(last, &partitions("t", &[0]), 2).unwrap();
    let token = c.send_end(last, COMMIT, 2);
    let markers = c.complete();
    assert_eq!(
        (markers[0].producer_id, markers[0].producer_epoch),
        (1000, i16::MAX)
    );
    assert_eq!(c.ended(token), Some(Ok(producer(1001, 0))));
    assert_eq!(c.end(last, COMMIT, 2), Ok(producer(1001, 0)), "again");
    let next = producer(1001, 0);
    c.add(next, &partitions("t", &[0]), 2).unwrap();
    assert_eq!(c.end(next, COMMIT, 2), Ok(producer(1001, 1)));
}

#[test]
fn an_answer_waits_for_the_markers_but_not_for_ever() {
    let (mut c, owner) = reach(TransactionState::Ongoing, 2);
    let token = c.send_end(owner, COMMIT, 2);
    assert!(c.ended(token).is_none());
    c.ask(crate::coordinator::transaction::TransactionRequest::MarkersDelayed(ID.into()))
        .unwrap();
    assert_eq!(c.ended(token), Some(Ok(producer(1000, 1))));
    assert_eq!(c.state(), TransactionState::PrepareCommit);
    let busy = c.add(producer(1000, 1), &partitions("t", &[0]), 2);
    assert_eq!(busy, Err(ErrorCode::ConcurrentTransactions));
    c.complete();
    assert_eq!(c.state(), TransactionState::CompleteCommit);
}

#[test]
fn what_was_decided_is_completed_after_a_restart() {
    for committed in [COMMIT, ABORT] {
        let (mut c, owner) = reach(TransactionState::Ongoing, 2);
        c.send_end(owner, committed, 2);
        c.restart();
        let markers = c.complete();
        assert_eq!(markers.len(), 1);
        assert_eq!(markers[0].committed, committed);
        assert_eq!(markers[0].partitions, partitions("t", &[0]));
        assert!(c.state().is_idle());
        c.restart();
        assert!(c.markers.is_empty(), "once is enough");
    }
}

#[test]
fn late_word_of_markers_does_not_end_the_next_transaction() {
    let (mut c, owner) = reach(TransactionState::Ongoing, 2);
    c.send_end(owner, COMMIT, 2);
    let late = c.markers[0].clone();
    c.complete();
    let next = producer(1000, 1);
    c.add(next, &partitions("t", &[0]), 2).unwrap();
    c.send_end(next, ABORT, 2);
    let request = crate::coordinator::transaction::TransactionRequest::MarkersWritten(late);
    c.ask(request).unwrap();
    assert_eq!(c.state(), TransactionState::PrepareAbort);
}
