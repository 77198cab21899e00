//! The records of the coordinators' internal topics as the JSON that Kafka's formatters print:
//! `{"key":{"type":1,"data":{…}},"value":{"version":4,"data":{…}}}`, fields in the schema's order,
//! fields that the record's version lacks left out, tagged fields left out at their default.
//! As in Kafka nothing separates one record's text from the next.
use bytes::Bytes;
use serde_json::{Value, json};

use crate::protocol::ToJson;
use crate::protocol::records::group::GroupRecordKey;
use crate::protocol::records::share::ShareRecordKey;
use crate::protocol::records::transaction::TransactionRecordKey;
use crate::protocol::records::value_version;
use crate::protocol::wire::DecodeError;

/// Which records are shown; others of the same topic are passed over in silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InternalTopic {
    Offsets,
    GroupMetadata,
    ShareGroup,
    TransactionLog,
    ShareGroupState,
}

/// Appends the record's JSON to `out`, nothing for a record of another kind or of a later release.
pub fn write(
    topic: InternalTopic,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let Some(key) = key else { return Ok(()) };
    let json = match as_json(topic, key, value) {
        Err(DecodeError::UnknownRecordType(_)) | Ok(None) => return Ok(()),
        Err(error) => return Err(error),
        Ok(Some(json)) => json,
    };
    out.extend_from_slice(json.to_string().as_bytes());
    Ok(())
}

fn as_json(
    topic: InternalTopic,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<Option<Value>, DecodeError> {
    let key = Bytes::copy_from_slice(key);
    let version = value.and_then(value_version).unwrap_or_default();
    let value = value.map(Bytes::copy_from_slice);
    let (record_type, key, value) = match topic {
        InternalTopic::TransactionLog => {
            let key = TransactionRecordKey::decode(key)?;
            let value = value.map(|value| key.decode_value(value)).transpose()?;
            let value = value.map(|value| value.to_json(version));
            (key.record_type(), key.to_json(), value)
        }
        InternalTopic::ShareGroupState => {
            let key = ShareRecordKey::decode(key)?;
            let value = value.map(|value| key.decode_value(value)).transpose()?;
            let value = value.map(|value| value.to_json(version));
            (key.record_type(), key.to_json(), value)
        }
        InternalTopic::Offsets | InternalTopic::GroupMetadata | InternalTopic::ShareGroup => {
            let key = GroupRecordKey::decode(key)?;
            if !is_shown(topic, &key) {
                return Ok(None);
            }
            let value = value.map(|value| key.decode_value(value)).transpose()?;
            let value = value.map(|value| value.to_json(version));
            (key.record_type(), key.to_json(), value)
        }
    };
    let value = value.map(|data| json!({ "version": version, "data": data }));
    Ok(Some(
        json!({ "key": { "type": record_type, "data": key }, "value": value }),
    ))
}

/// Whether records with this key are of those that the formatter is for.
fn is_shown(topic: InternalTopic, key: &GroupRecordKey) -> bool {
    use GroupRecordKey as K;
    match key {
        K::OffsetCommit(_) | K::LegacyOffsetCommit(_) => topic == InternalTopic::Offsets,
        K::GroupMetadata(_) => topic == InternalTopic::GroupMetadata,
        K::ShareGroupMemberMetadata(_)
        | K::ShareGroupTargetAssignmentMember(_)
        | K::ShareGroupCurrentMemberAssignment(_)
        | K::ShareGroupMetadata(_)
        | K::ShareGroupTargetAssignmentMetadata(_)
        | K::ShareGroupStatePartitionMetadata(_) => topic == InternalTopic::ShareGroup,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Message;
    use crate::protocol::records::group::GroupMetadataValue;
    use crate::protocol::records::group::group_metadata_value::MemberMetadata;
    use crate::protocol::records::group::{GroupMetadataKey, OffsetCommitKey, OffsetCommitValue};
    use crate::protocol::records::transaction::TransactionLogKey;
    use crate::protocol::records::transaction::TransactionLogValue;
    use crate::protocol::records::transaction::transaction_log_value::PartitionsSchema;
    use crate::protocol::records::{encode_key, encode_value};

    fn shown<M: Message>(topic: InternalTopic, key: &Bytes, value: Option<(&M, i16)>) -> String {
        let value = value.map(|(value, version)| encode_value(value, version).unwrap());
        let mut out = Vec::new();
        write(topic, Some(key), value.as_deref(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn offset_key() -> Bytes {
        let key = OffsetCommitKey {
            group: "g-txn".into(),
            topic: "plain".into(),
            partition: 1,
        };
        encode_key(&key).unwrap()
    }

    /// The texts here are what Kafka 4.3.1 printed for such records.
    #[test]
    fn committed_offsets() {
        let value = OffsetCommitValue {
            offset: 2,
            leader_epoch: -1,
            commit_timestamp: 1795210506374,
            ..OffsetCommitValue::default()
        };
        assert_eq!(
            shown(InternalTopic::Offsets, &offset_key(), Some((&value, 4))),
            r#"{"key":{"type":1,"data":{"group":"g-txn","topic":"plain","partition":1}},"value":{"version":4,"data":{"offset":2,"leaderEpoch":-1,"metadata":"","commitTimestamp":1795210506374}}}"#
        );
        let named = OffsetCommitValue {
            topic_id: "lggAA1mWS_OtT3vlwtASDw".parse().unwrap(),
            ..value
        };
        let text = shown(InternalTopic::Offsets, &offset_key(), Some((&named, 4)));
        assert!(
            text.ends_with(r#","topicId":"lggAA1mWS_OtT3vlwtASDw"}}}"#),
            "{text}"
        );
    }

    #[test]
    fn a_tombstone_has_a_null_value_and_other_records_are_passed_over() {
        let none = None::<(&OffsetCommitValue, i16)>;
        assert_eq!(
            shown(InternalTopic::Offsets, &offset_key(), none),
            r#"{"key":{"type":1,"data":{"group":"g-txn","topic":"plain","partition":1}},"value":null}"#
        );
        assert_eq!(shown(InternalTopic::GroupMetadata, &offset_key(), none), "");
        assert_eq!(
            shown(InternalTopic::Offsets, &Bytes::from_static(&[0, 99]), none),
            ""
        );
        assert!(write(InternalTopic::Offsets, Some(&[0]), None, &mut Vec::new()).is_err());
    }

    #[test]
    fn groups_show_bytes_in_base_64() {
        let key = encode_key(&GroupMetadataKey { group: "g".into() }).unwrap();
        let value = GroupMetadataValue {
            protocol_type: "consumer".into(),
            generation: 1,
            protocol: Some("range".into()),
            leader: Some("m".into()),
            current_state_timestamp: 1795210521669,
            members: vec![MemberMetadata {
                member_id: "m".into(),
                client_id: "c".into(),
                client_host: "/127.0.0.1".into(),
                rebalance_timeout: 300000,
                session_timeout: 45000,
                subscription: Bytes::from_static(b"\0\x03\0"),
                assignment: Bytes::from_static(b"\xff"),
                ..MemberMetadata::default()
            }],
            ..GroupMetadataValue::default()
        };
        assert_eq!(
            shown(InternalTopic::GroupMetadata, &key, Some((&value, 3))),
            r#"{"key":{"type":2,"data":{"group":"g"}},"value":{"version":3,"data":{"protocolType":"consumer","generation":1,"protocol":"range","leader":"m","currentStateTimestamp":1795210521669,"members":[{"memberId":"m","groupInstanceId":null,"clientId":"c","clientHost":"/127.0.0.1","rebalanceTimeout":300000,"sessionTimeout":45000,"subscription":"AAMA","assignment":"/w=="}]}}}"#
        );
    }

    #[test]
    fn transactions_leave_out_tags_at_their_default() {
        let key = encode_key(&TransactionLogKey {
            transactional_id: "tx-a".into(),
        })
        .unwrap();
        let value = TransactionLogValue {
            producer_id: 11,
            previous_producer_id: 11,
            transaction_timeout_ms: 60000,
            transaction_status: 1,
            transaction_partitions: Some(vec![PartitionsSchema {
                topic: "txn".into(),
                partition_ids: vec![0, 1],
                ..PartitionsSchema::default()
            }]),
            transaction_last_update_timestamp_ms: 1795210504458,
            transaction_start_timestamp_ms: 1795210504042,
            client_transaction_version: 2,
            ..TransactionLogValue::default()
        };
        assert_eq!(
            shown(InternalTopic::TransactionLog, &key, Some((&value, 1))),
            r#"{"key":{"type":0,"data":{"transactionalId":"tx-a"}},"value":{"version":1,"data":{"producerId":11,"previousProducerId":11,"producerEpoch":0,"transactionTimeoutMs":60000,"transactionStatus":1,"transactionPartitions":[{"topic":"txn","partitionIds":[0,1]}],"transactionLastUpdateTimestampMs":1795210504458,"transactionStartTimestampMs":1795210504042,"clientTransactionVersion":2}}}"#
        );
    }
}
