//! The records of `__transaction_state`: one per transactional id, its value null once it is
//! forgotten.
//!
//! ```text
//! key    i16 type = 0, transactional id
//! value  i16 version, then the fields; 1 where transaction.version is 1 or above, else 0
//! ```
use std::collections::BTreeSet;

use bytes::Bytes;

use super::state::{NO_EPOCH, NO_PRODUCER_ID, Partitions, Transaction, TransactionState};
use crate::coordinator::shard::EncodedRecord;
use crate::protocol::Message;
use crate::protocol::records::transaction::transaction_log_value::PartitionsSchema;
use crate::protocol::records::transaction::{TransactionLogKey, TransactionLogValue};
use crate::protocol::records::{decode_value, encode_key, encode_value};
use crate::protocol::wire::{DecodeError, EncodeError, Reader};

const KEY_TYPE: i16 = 0;
/// The first value version with tagged fields.
const FLEXIBLE: i16 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionRecord {
    pub transactional_id: String,
    /// `None`: forgotten.
    pub value: Option<Transaction>,
    /// The finalised `transaction.version` when it is written.
    pub version: i16,
}

impl TransactionRecord {
    /// `None`: a kind of record that is not known here.
    pub fn decode(
        key: Bytes,
        value: Option<Bytes>,
    ) -> Result<Option<TransactionRecord>, DecodeError> {
        let mut reader = Reader::new(key);
        if reader.i16()? != KEY_TYPE {
            return Ok(None);
        }
        let key = TransactionLogKey::decode(&mut reader, 0)?;
        Ok(Some(TransactionRecord {
            transactional_id: key.transactional_id,
            value: value.map(decode).transpose()?,
            version: 0,
        }))
    }

    pub fn encode(&self) -> Result<EncodedRecord, EncodeError> {
        let key = TransactionLogKey {
            transactional_id: self.transactional_id.clone(),
        };
        let value = self.value.as_ref().map(|value| encode(value, self.version));
        Ok((encode_key(&key)?, value.transpose()?))
    }
}

fn decode(value: Bytes) -> Result<Transaction, DecodeError> {
    let value: TransactionLogValue = decode_value(value)?;
    let state = TransactionState::from_id(value.transaction_status);
    // These two are never written.
    let state = state
        .filter(|s| {
            !matches!(
                s,
                TransactionState::Dead | TransactionState::PrepareEpochFence
            )
        })
        .ok_or(DecodeError::UnknownRecordType(i16::from(
            value.transaction_status,
        )))?;
    let mut partitions = Partitions::new();
    for topic in value.transaction_partitions.into_iter().flatten() {
        let indexes: &mut BTreeSet<i32> = partitions.entry(topic.topic).or_default();
        indexes.extend(topic.partition_ids);
    }
    Ok(Transaction {
        producer_id: value.producer_id,
        previous_producer_id: value.previous_producer_id,
        next_producer_id: value.next_producer_id,
        producer_epoch: value.producer_epoch,
        last_producer_epoch: NO_EPOCH,
        timeout_ms: value.transaction_timeout_ms,
        state,
        partitions,
        start_ms: value.transaction_start_timestamp_ms,
        last_update_ms: value.transaction_last_update_timestamp_ms,
        client_version: value.client_transaction_version,
    })
}

fn encode(transaction: &Transaction, version: i16) -> Result<Bytes, EncodeError> {
    let topics = transaction
        .partitions
        .iter()
        .map(|(topic, indexes)| PartitionsSchema {
            topic: topic.clone(),
            partition_ids: indexes.iter().copied().collect(),
            ..PartitionsSchema::default()
        });
    let is_empty = transaction.state == TransactionState::Empty;
    let mut value = TransactionLogValue {
        producer_id: transaction.producer_id,
        producer_epoch: transaction.producer_epoch,
        transaction_timeout_ms: transaction.timeout_ms,
        transaction_status: transaction.state.id(),
        transaction_partitions: (!is_empty).then(|| topics.collect()),
        transaction_last_update_timestamp_ms: transaction.last_update_ms,
        transaction_start_timestamp_ms: transaction.start_ms,
        previous_producer_id: NO_PRODUCER_ID,
        next_producer_id: NO_PRODUCER_ID,
        ..TransactionLogValue::default()
    };
    if version < FLEXIBLE {
        return encode_value(&value, 0);
    }
    value.previous_producer_id = transaction.previous_producer_id;
    value.next_producer_id = transaction.next_producer_id;
    value.client_transaction_version = transaction.client_version;
    encode_value(&value, FLEXIBLE)
}
