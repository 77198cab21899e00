//! What is added, what times out, what is forgotten, what is shown.
use std::collections::BTreeSet;

use regex::Regex;

use super::context::*;
use super::init::exhaust;
use crate::coordinator::transaction::{
    ListFilter, TransactionConfig, TransactionReply, TransactionRequest, TransactionState,
};
use crate::protocol::ErrorCode;

#[test]
fn partitions_are_added_once() {
    let mut c = Context::new();
    let owner = c.init(None).unwrap();
    c.add(owner, &partitions("t", &[0]), 2).unwrap();
    let start_ms = c.transaction().start_ms;
    let written = c.log.len();
    c.sleep(10);
    c.add(owner, &partitions("t", &[0]), 2).unwrap();
    assert_eq!(c.log.len(), written, "nothing new, nothing written");
    c.add(owner, &partitions("u", &[1]), 2).unwrap();
    assert_eq!(
        c.transaction().start_ms,
        start_ms,
        "it began with the first"
    );
    let mut all = partitions("t", &[0]);
    all.extend(partitions("u", &[1]));
    assert_eq!(c.verify(owner), Ok(all));
}

#[test]
fn a_transaction_that_is_open_for_too_long_is_aborted() {
    let mut c = Context::new();
    let owner = c.init(None).unwrap();
    c.add(owner, &partitions("t", &[0]), 2).unwrap();
    c.sleep(i64::from(TIMEOUT_MS) - 1);
    assert_eq!(c.state(), TransactionState::Ongoing);
    c.sleep(10_001);
    assert_eq!(c.state(), TransactionState::PrepareAbort);
    c.complete();
    let refused = c.add(owner, &partitions("t", &[0]), 2);
    assert_eq!(refused, Err(ErrorCode::ProducerFenced));
    assert_eq!(c.end(owner, true, 2), Err(ErrorCode::InvalidTxnState));
}

#[test]
fn the_time_out_outlives_a_restart_and_a_clock_set_forward() {
    let mut c = Context::new();
    let owner = c.init(None).unwrap();
    c.add(owner, &partitions("t", &[0]), 2).unwrap();
    c.now.wall_ms += 3_600_000;
    c.sleep(20_000);
    assert_eq!(c.state(), TransactionState::Ongoing, "only the clock moved");
    c.now.wall_ms -= 3_600_000;
    c.restart();
    c.sleep(30_000);
    assert_eq!(c.state(), TransactionState::Ongoing);
    c.sleep(20_001);
    assert_eq!(c.state(), TransactionState::PrepareAbort);
}

#[test]
fn a_time_out_with_the_last_epoch_goes_over_to_a_new_id() {
    let mut c = Context::new();
    let last = exhaust(&mut c);
    c.add(last, &partitions("t", &[0]), 2).unwrap();
    c.sleep(i64::from(TIMEOUT_MS) + 10_001);
    assert_eq!(c.state(), TransactionState::PrepareAbort);
    c.complete();
    assert_eq!(c.init(None), Ok(producer(1001, 1)));
}

#[test]
fn idle_ids_are_forgotten_and_busy_ones_are_not() {
    let config = TransactionConfig {
        id_expiration_ms: 10_000,
        expiration_interval_ms: 1_000,
        ..TransactionConfig::default()
    };
    let mut c = Context::with(config);
    let owner = c.init(None).unwrap();
    c.add(owner, &partitions("t", &[0]), 2).unwrap();
    c.sleep(30_000);
    assert_eq!(c.state(), TransactionState::Ongoing);
    c.end(owner, true, 2).unwrap();
    c.sleep(9_000);
    assert_eq!(c.state(), TransactionState::CompleteCommit);
    c.sleep(2_000);
    assert!(c.shard.transactions().is_empty());
    assert!(c.added_up().is_empty());
    assert_eq!(
        c.end(owner, true, 2),
        Err(ErrorCode::InvalidProducerIdMapping)
    );
}

#[test]
fn nothing_is_due_where_nothing_goes_on() {
    use crate::coordinator::shard::Shard;
    let c = Context::new();
    assert_eq!(c.shard.next_deadline_ms(), None);
}

#[test]
fn lists_are_filtered() {
    let mut c = Context::new();
    let owner = c.init(None).unwrap();
    c.add(owner, &partitions("t", &[0]), 2).unwrap();
    c.sleep(5_000);
    let states = |names: &[&str]| -> BTreeSet<Option<TransactionState>> {
        let states = names.iter();
        states
            .map(|name| TransactionState::from_name(name))
            .collect()
    };
    let pattern = |text: &str| Some(Regex::new(text).unwrap());
    let all = ListFilter::default();
    for (filter, is_listed) in [
        (all.clone(), true),
        (
            ListFilter {
                states: states(&["Ongoing", "Empty"]),
                ..all.clone()
            },
            true,
        ),
        (
            ListFilter {
                states: states(&["Empty"]),
                ..all.clone()
            },
            false,
        ),
        (
            ListFilter {
                states: states(&["Nonsense"]),
                ..all.clone()
            },
            false,
        ),
        (
            ListFilter {
                producer_ids: [1000].into(),
                ..all.clone()
            },
            true,
        ),
        (
            ListFilter {
                producer_ids: [1].into(),
                ..all.clone()
            },
            false,
        ),
        (
            ListFilter {
                duration_ms: Some(4_999),
                ..all.clone()
            },
            true,
        ),
        (
            ListFilter {
                duration_ms: Some(5_000),
                ..all.clone()
            },
            false,
        ),
        (
            ListFilter {
                pattern: pattern("^pay.*$"),
                ..all.clone()
            },
            true,
        ),
        (
            ListFilter {
                pattern: pattern("^x"),
                ..all.clone()
            },
            false,
        ),
    ] {
        let shown = format!("{filter:?}");
        let reply = c.ask(TransactionRequest::List(filter)).unwrap();
        let TransactionReply::Listed(listed) = reply else {
            panic!("{reply:?}");
        };
        assert_eq!(!listed.is_empty(), is_listed, "{shown}");
    }
}

#[test]
fn a_description_tells_all() {
    let mut c = Context::new();
    let owner = c.init(None).unwrap();
    c.add(owner, &partitions("t", &[2, 1]), 2).unwrap();
    let mut describe = |id: &str| match c.ask(TransactionRequest::Describe(id.to_owned())) {
        Ok(TransactionReply::Described(state)) => state,
        other => panic!("{other:?}"),
    };
    let state = describe(ID);
    assert_eq!(state.error_code, 0);
    assert_eq!(state.transaction_state, "Ongoing");
    assert_eq!((state.producer_id, state.producer_epoch), (1000, 0));
    assert_eq!(state.transaction_timeout_ms, TIMEOUT_MS);
    assert_eq!(state.topics[0].partitions, [1, 2]);
    let missing = describe("nobody").error_code;
    assert_eq!(missing, ErrorCode::TransactionalIdNotFound.code());
}
