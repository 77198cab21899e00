//! InitProducerId.
use super::context::*;
use crate::coordinator::transaction::{TransactionConfig, TransactionState};
use crate::protocol::ErrorCode;

#[test]
fn each_start_raises_the_epoch() {
    let mut c = Context::new();
    for epoch in 0..3 {
        assert_eq!(c.init(None), Ok(producer(1000, epoch)));
    }
    assert_eq!(c.state(), TransactionState::Empty);
}

#[test]
fn a_producer_that_goes_on_says_what_it_had() {
    let mut c = Context::new();
    c.init(None).unwrap();
    let second = c.init(Some(producer(1000, 0)));
    assert_eq!(second, Ok(producer(1000, 1)));
    // The answer was lost: the same request again is no new producer.
    assert_eq!(c.init(Some(producer(1000, 0))), second);
    // Somebody else took over.
    assert_eq!(c.init(None), Ok(producer(1000, 2)));
    for stale in [0, 1] {
        let refused = c.init(Some(producer(1000, stale)));
        assert_eq!(refused, Err(ErrorCode::ProducerFenced), "epoch {stale}");
    }
    let refused = c.init(Some(producer(999, 2)));
    assert_eq!(refused, Err(ErrorCode::ProducerFenced), "another id");
}

#[test]
fn who_takes_over_aborts_what_is_under_way() {
    for version in [2, 0] {
        let config = TransactionConfig {
            version,
            ..TransactionConfig::default()
        };
        let mut c = Context::with(config);
        let first = c.init(None).unwrap();
        c.add(first, &partitions("t", &[0, 1]), version).unwrap();
        let token = c.send_init(None);
        assert_eq!(c.state(), TransactionState::PrepareAbort);
        assert!(c.answer(token).is_none(), "answered once that is complete");
        let markers = c.complete();
        assert_eq!(markers.len(), 1);
        assert_eq!(markers[0].producer_epoch, 1, "fences the first");
        assert_eq!(markers[0].partitions, partitions("t", &[0, 1]));
        assert!(!markers[0].committed);
        assert!(c.answer(token).is_some());
        assert_eq!(c.state(), TransactionState::CompleteAbort);
        // Where epochs are raised this looks like the request that aborted, said again otherwise.
        let expected = match version {
            2 => ErrorCode::InvalidTxnState,
            _ => ErrorCode::ProducerFenced,
        };
        let refused = c.end(first, true, version);
        assert_eq!(refused, Err(expected), "version {version}");
        assert_eq!(c.init(None), Ok(producer(1000, 2)));
    }
}

#[test]
fn a_transaction_that_ends_is_waited_for() {
    let mut c = Context::new();
    let owner = c.init(None).unwrap();
    c.add(owner, &partitions("t", &[0]), 2).unwrap();
    c.send_end(owner, true, 2);
    assert_eq!(c.init(None), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(c.init(None), Ok(producer(1000, 2)), "complete by now");
}

#[test]
fn used_up_epochs_ask_for_a_new_id() {
    let mut c = Context::new();
    let last = exhaust(&mut c);
    assert_eq!(c.init(Some(last)), Ok(producer(1001, 0)));
    assert_eq!(
        c.init(Some(last)),
        Ok(producer(1001, 0)),
        "the answer was lost"
    );
    assert_eq!(c.transaction().previous_producer_id, 1001);
    let mut c = Context::new();
    exhaust(&mut c);
    assert_eq!(c.init(None), Ok(producer(1001, 0)));
    assert_eq!(c.transaction().previous_producer_id, 1000);
}

/// Starts producers until one has the last epoch there is.
pub fn exhaust(c: &mut Context) -> crate::coordinator::transaction::ProducerIdAndEpoch {
    loop {
        let owner = c.init(None).unwrap();
        if owner.epoch == i16::MAX - 1 {
            return owner;
        }
    }
}

#[test]
fn a_log_that_refuses_leaves_all_as_it_was() {
    let mut c = Context::new();
    let owner = c.init(None).unwrap();
    c.add(owner, &partitions("t", &[0]), 2).unwrap();
    c.failure = Some(ErrorCode::NotEnoughReplicas);
    assert_eq!(c.init(None), Err(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(
        c.end(owner, true, 2),
        Err(ErrorCode::CoordinatorNotAvailable)
    );
    assert_eq!(c.state(), TransactionState::Ongoing);
    assert!(c.markers.is_empty());
    c.failure = None;
    assert_eq!(c.end(owner, true, 2), Ok(producer(1000, 1)));
}
