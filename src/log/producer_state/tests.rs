use super::*;

fn data(epoch: i16, base_sequence: i32, first_offset: i64, count: i32) -> ProducerBatch {
    ProducerBatch {
        producer_id: 1,
        epoch,
        base_sequence,
        last_sequence: base_sequence.wrapping_add(count - 1),
        first_offset,
        last_offset: first_offset + i64::from(count) - 1,
        max_timestamp: 1000,
        transactional: false,
        control: false,
        marker: None,
    }
}

fn txn(producer_id: i64, base_sequence: i32, first_offset: i64) -> ProducerBatch {
    let batch = data(0, base_sequence, first_offset, 1);
    ProducerBatch {
        producer_id,
        transactional: true,
        ..batch
    }
}

fn end(producer_id: i64, epoch: i16, offset: i64, abort: bool) -> ProducerBatch {
    let marker = TxnMarker {
        abort,
        coordinator_epoch: 3,
        timestamp: 2000,
    };
    ProducerBatch {
        producer_id,
        transactional: true,
        control: true,
        marker: Some(marker),
        ..data(epoch, -1, offset, 1)
    }
}

fn append(
    states: &mut ProducerStates,
    batch: &ProducerBatch,
) -> Result<Vec<AbortedTransaction>, AppendError> {
    let origin = if batch.control {
        AppendOrigin::Coordinator
    } else {
        AppendOrigin::Client
    };
    let mut updates = ProducerUpdates::default();
    states.check(&TopicPartition::new("t", 0), batch, origin, &mut updates)?;
    Ok(states.apply(updates))
}

#[test]
fn a_gap_or_an_old_epoch_is_refused() {
    let mut states = ProducerStates::default();
    append(&mut states, &data(1, 40, 0, 2)).expect("an unknown producer starts anywhere");
    for (batch, expected) in [
        (
            data(1, 43, 2, 1),
            "Out of order sequence number for producer 1 at offset 2",
        ),
        (
            data(1, 41, 2, 1),
            "Out of order sequence number for producer 1 at offset 2",
        ),
        (
            data(2, 1, 2, 1),
            "Invalid sequence number for new epoch of producer 1",
        ),
        (
            data(0, 42, 2, 1),
            "Epoch of producer 1 at offset 2 in t-0 is 0, which is smaller",
        ),
    ] {
        let message = append(&mut states, &batch).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
    append(&mut states, &data(1, 42, 2, 1)).unwrap();
    append(&mut states, &data(2, 0, 3, 1)).unwrap();
}

#[test]
fn the_last_five_batches_are_known_again() {
    let mut states = ProducerStates::default();
    for n in 0..7 {
        append(&mut states, &data(0, n * 2, i64::from(n) * 2, 2)).unwrap();
    }
    for n in 0..7 {
        let found = states.find_duplicate(&data(0, n * 2, 100, 2));
        let expected = (n >= 2).then_some(i64::from(n) * 2);
        assert_eq!(
            found.map(|batch| batch.first_offset()),
            expected,
            "batch {n}"
        );
    }
    assert_eq!(
        states.find_duplicate(&data(0, 12, 100, 1)),
        None,
        "another range"
    );
    assert_eq!(
        states.find_duplicate(&data(1, 12, 100, 2)),
        None,
        "another epoch"
    );
}

#[test]
fn sequences_wrap() {
    let mut states = ProducerStates::default();
    let mut last = data(0, i32::MAX - 1, 0, 4);
    last.last_sequence = 1;
    append(&mut states, &last).unwrap();
    assert_eq!(states.find_duplicate(&last).unwrap().first_offset(), 0);
    append(&mut states, &data(0, 2, 4, 1)).unwrap();
    let mut states = ProducerStates::default();
    append(&mut states, &data(0, i32::MAX, 0, 1)).unwrap();
    append(&mut states, &data(0, 0, 1, 1)).unwrap();
}

#[test]
fn an_open_transaction_keeps_the_stable_offset_back() {
    let mut states = ProducerStates::default();
    append(&mut states, &txn(11, 0, 0)).unwrap();
    append(&mut states, &txn(12, 0, 1)).unwrap();
    assert_eq!(states.first_unstable_offset(), Some(0));
    assert_eq!(append(&mut states, &end(11, 0, 2, false)).unwrap(), []);
    assert_eq!(
        states.first_unstable_offset(),
        Some(0),
        "until the marker is replicated"
    );
    states.on_high_watermark(3);
    assert_eq!(states.first_unstable_offset(), Some(1));
    append(&mut states, &txn(11, 1, 3)).unwrap();
    let aborted = |producer_id, first_offset, last_offset, last_stable_offset| {
        vec![AbortedTransaction {
            producer_id,
            first_offset,
            last_offset,
            last_stable_offset,
        }]
    };
    assert_eq!(
        append(&mut states, &end(12, 0, 4, true)).unwrap(),
        aborted(12, 1, 4, 3)
    );
    assert_eq!(
        append(&mut states, &end(11, 0, 5, true)).unwrap(),
        aborted(11, 3, 5, 6)
    );
    states.on_high_watermark(6);
    assert_eq!(states.first_unstable_offset(), None);
    assert_eq!(
        append(&mut states, &end(11, 0, 6, true)).unwrap(),
        [],
        "empty transaction"
    );
}

#[test]
fn a_marker_of_a_new_epoch_clears_the_batches() {
    let mut states = ProducerStates::default();
    append(&mut states, &txn(1, 0, 0)).unwrap();
    append(&mut states, &end(1, 1, 1, false)).unwrap();
    let entry = states.to_snapshot()[0];
    let expected = ProducerEntry {
        producer_id: 1,
        epoch: 1,
        last_sequence: -1,
        last_offset: -1,
        offset_delta: 0,
        timestamp: 2000,
        coordinator_epoch: 3,
        current_txn_first_offset: -1,
    };
    assert_eq!(entry, expected);
    append(
        &mut states,
        &ProducerBatch {
            epoch: 1,
            ..txn(1, 0, 2)
        },
    )
    .unwrap();
}

#[test]
fn a_transactional_producer_writes_nothing_outside() {
    let mut states = ProducerStates::default();
    append(&mut states, &txn(1, 0, 0)).unwrap();
    let error = append(&mut states, &data(0, 1, 1, 1)).unwrap_err();
    assert!(matches!(error, AppendError::InvalidTxnState(_)), "{error}");
    let stale = TxnMarker {
        abort: true,
        coordinator_epoch: 2,
        timestamp: 0,
    };
    append(&mut states, &end(1, 0, 1, false)).unwrap();
    let batch = ProducerBatch {
        marker: Some(stale),
        ..end(1, 0, 2, true)
    };
    let error = append(&mut states, &batch).unwrap_err();
    assert!(
        matches!(error, AppendError::CoordinatorFenced(_)),
        "{error}"
    );
}

#[test]
fn a_snapshot_keeps_all_but_the_older_batches_and_the_expired() {
    let mut states = ProducerStates::default();
    append(&mut states, &data(0, 0, 0, 3)).unwrap();
    append(&mut states, &txn(2, 0, 3)).unwrap();
    let entries = states.to_snapshot();
    assert_eq!(ProducerStates::from_snapshot(&entries, 1999, 1000), states);
    let later = ProducerStates::from_snapshot(&entries, 2000, 1000);
    let left: Vec<i64> = later.producers().map(|p| p.producer_id).collect();
    assert_eq!(left, [2], "a transaction under way keeps its producer");
    states.expire(2000, 1000);
    assert_eq!(states, later);
}

#[test]
fn batches_of_one_append_are_checked_on_top_of_each_other() {
    let states = ProducerStates::default();
    let tp = TopicPartition::new("t", 0);
    let mut updates = ProducerUpdates::default();
    states
        .check(&tp, &txn(1, 0, 0), AppendOrigin::Client, &mut updates)
        .unwrap();
    states
        .check(&tp, &txn(1, 1, 1), AppendOrigin::Client, &mut updates)
        .unwrap();
    let mut states = states;
    states.apply(updates);
    assert_eq!(states.producers().next().unwrap().last_sequence(), 1);
    assert_eq!(states.first_unstable_offset(), Some(0));
}
