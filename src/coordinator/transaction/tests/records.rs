//! The records, as Kafka 4.3.1 writes them.
use bytes::Bytes;

use super::context::partitions;
use crate::coordinator::transaction::{
    Partitions, Transaction, TransactionRecord, TransactionState,
};

fn transaction(state: TransactionState, partitions: Partitions) -> Transaction {
    Transaction {
        producer_id: 7,
        previous_producer_id: 7,
        next_producer_id: -1,
        producer_epoch: 3,
        last_producer_epoch: -1,
        timeout_ms: 60_000,
        state,
        partitions,
        start_ms: 1_000,
        last_update_ms: 2_000,
        client_version: 2,
    }
}

fn record(value: Option<Transaction>, version: i16) -> TransactionRecord {
    TransactionRecord {
        transactional_id: "x".to_owned(),
        value,
        version,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn values_are_laid_out_as_kafka_does() {
    let ongoing = transaction(TransactionState::Ongoing, partitions("probe", &[0]));
    let (key, value) = record(Some(ongoing.clone()), 2).encode().unwrap();
    assert_eq!(hex(&key), "0000000178");
    let fields = "00000000000000070003\
                  0000ea6001\
                  020670726f6265020000000000\
                  00000000000007d0\
                  00000000000003e8\
                  02\
                  00080000000000000007\
                  02020002";
    assert_eq!(hex(&value.unwrap()), format!("0001{fields}"));
    // Clusters with transaction.version 0 write what older brokers read.
    let (_, value) = record(Some(ongoing), 0).encode().unwrap();
    let fields = "00000000000000070003\
                  0000ea6001\
                  00000001000570726f62650000000100000000\
                  00000000000007d0\
                  00000000000003e8";
    assert_eq!(hex(&value.unwrap()), format!("0000{fields}"));
}

#[test]
fn what_is_written_is_read() {
    for state in TransactionState::ALL {
        let is_written = !matches!(
            state,
            TransactionState::Dead | TransactionState::PrepareEpochFence
        );
        let partitions = match state.is_idle() {
            true => Partitions::new(),
            false => partitions("probe", &[0, 3]),
        };
        let written = record(Some(transaction(state, partitions)), 2);
        let (key, value) = written.encode().unwrap();
        let read = TransactionRecord::decode(key, value);
        if is_written {
            let read = read.unwrap().unwrap();
            assert_eq!(read.value, written.value, "{state:?}");
        } else {
            assert!(read.is_err(), "{state:?}");
        }
    }
    let (key, value) = record(None, 2).encode().unwrap();
    assert_eq!(value, None);
    let read = TransactionRecord::decode(key, None).unwrap().unwrap();
    assert_eq!(read.value, None);
}

#[test]
fn other_kinds_of_records_are_passed_over() {
    let unknown = Bytes::from_static(&[0, 1, 0, 1, b'x']);
    assert_eq!(TransactionRecord::decode(unknown, None), Ok(None));
    assert!(TransactionRecord::decode(Bytes::from_static(&[0]), None).is_err());
}
