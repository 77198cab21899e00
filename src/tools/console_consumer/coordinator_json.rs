//! The records of the coordinators' internal topics as the JSON that Kafka's formatters print:
//! `{"key":{"type":1,"data":{…}},"value":{"version":4,"data":{…}}}`, fields in the schema's order,
//! fields that the record's version lacks left out, tagged fields left out at their default.
//! As in Kafka nothing separates one record's text from the next.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::protocol::Uuid;
use crate::protocol::records::group::{GroupMetadataValue, GroupRecordKey, GroupRecordValue};
use crate::protocol::records::share::{ShareRecordKey, ShareRecordValue};
use crate::protocol::records::transaction::{
    TransactionLogValue, TransactionRecordKey, TransactionRecordValue,
};
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
    let version = value
        .and_then(|value| value.first_chunk::<2>())
        .map(|v| i16::from_be_bytes(*v));
    let version = version.unwrap_or_default();
    let value = value.map(Bytes::copy_from_slice);
    let (record_type, key, value) = match topic {
        InternalTopic::TransactionLog => {
            let key = TransactionRecordKey::decode(key)?;
            let value = value.map(|value| key.decode_value(value)).transpose()?;
            let TransactionRecordKey::TransactionLog(id) = &key;
            let value = value
                .map(|TransactionRecordValue::TransactionLog(value)| transaction(&value, version));
            (
                key.record_type(),
                json!({ "transactionalId": id.transactional_id }),
                value,
            )
        }
        InternalTopic::ShareGroupState => {
            let key = ShareRecordKey::decode(key)?;
            let value = value.map(|value| key.decode_value(value)).transpose()?;
            (
                key.record_type(),
                share_key(&key),
                value.as_ref().map(share_value),
            )
        }
        InternalTopic::Offsets | InternalTopic::GroupMetadata | InternalTopic::ShareGroup => {
            let key = GroupRecordKey::decode(key)?;
            let Some(key_json) = group_key(topic, &key) else {
                return Ok(None);
            };
            let value = value.map(|value| key.decode_value(value)).transpose()?;
            let value = value.and_then(|value| group_value(&value, version));
            (key.record_type(), key_json, value)
        }
    };
    let value = value.map(|data| json!({ "version": version, "data": data }));
    Ok(Some(
        json!({ "key": { "type": record_type, "data": key }, "value": value }),
    ))
}

/// The key's fields, if records of its type are shown.
fn group_key(topic: InternalTopic, key: &GroupRecordKey) -> Option<Value> {
    use GroupRecordKey as K;
    let share = topic == InternalTopic::ShareGroup;
    Some(match key {
        K::OffsetCommit(key) if topic == InternalTopic::Offsets => {
            json!({ "group": key.group, "topic": key.topic, "partition": key.partition })
        }
        K::LegacyOffsetCommit(key) if topic == InternalTopic::Offsets => {
            json!({ "group": key.group, "topic": key.topic, "partition": key.partition })
        }
        K::GroupMetadata(key) if topic == InternalTopic::GroupMetadata => {
            json!({ "group": key.group })
        }
        K::ShareGroupMemberMetadata(key) if share => {
            json!({ "groupId": key.group_id, "memberId": key.member_id })
        }
        K::ShareGroupTargetAssignmentMember(key) if share => {
            json!({ "groupId": key.group_id, "memberId": key.member_id })
        }
        K::ShareGroupCurrentMemberAssignment(key) if share => {
            json!({ "groupId": key.group_id, "memberId": key.member_id })
        }
        K::ShareGroupMetadata(key) if share => json!({ "groupId": key.group_id }),
        K::ShareGroupTargetAssignmentMetadata(key) if share => json!({ "groupId": key.group_id }),
        K::ShareGroupStatePartitionMetadata(key) if share => json!({ "groupId": key.group_id }),
        _ => return None,
    })
}

/// The value's fields; `None` for a type that [`group_key`] does not show.
fn group_value(value: &GroupRecordValue, version: i16) -> Option<Value> {
    use GroupRecordValue as V;
    let mut fields = Fields::default();
    match value {
        V::OffsetCommit(value) => {
            fields.put("offset", value.offset);
            fields.put_if(version >= 3, "leaderEpoch", value.leader_epoch);
            fields.put("metadata", value.metadata.as_str());
            fields.put("commitTimestamp", value.commit_timestamp);
            fields.put_if(version == 1, "expireTimestamp", value.expire_timestamp);
            let named = version >= 4 && value.topic_id != Uuid::ZERO;
            fields.put_if(named, "topicId", value.topic_id.to_string());
        }
        V::LegacyOffsetCommit(value) => {
            fields.put("offset", value.offset);
            fields.put("metadata", value.metadata.as_str());
            fields.put("commitTimestamp", value.commit_timestamp);
        }
        V::GroupMetadata(value) => return Some(group_metadata(value, version)),
        _ => return share_group_value(value),
    }
    Some(fields.into())
}

/// The values of share groups' records, which have one version each.
fn share_group_value(value: &GroupRecordValue) -> Option<Value> {
    use GroupRecordValue as V;
    let mut fields = Fields::default();
    match value {
        V::ShareGroupMemberMetadata(value) => {
            fields.put("rackId", value.rack_id.clone());
            fields.put("clientId", value.client_id.as_str());
            fields.put("clientHost", value.client_host.as_str());
            fields.put("subscribedTopicNames", value.subscribed_topic_names.clone());
        }
        V::ShareGroupMetadata(value) => {
            fields.put("epoch", value.epoch);
            fields.put("metadataHash", value.metadata_hash);
        }
        V::ShareGroupTargetAssignmentMetadata(value) => {
            fields.put("assignmentEpoch", value.assignment_epoch);
            let at = value.assignment_timestamp;
            fields.put_if(at != 0, "assignmentTimestamp", at);
        }
        V::ShareGroupTargetAssignmentMember(value) => {
            let partitions = value.topic_partitions.iter();
            let partitions: Vec<Value> = partitions
                .map(|topic| topic_partitions(topic.topic_id, &topic.partitions))
                .collect();
            fields.put("topicPartitions", partitions);
        }
        V::ShareGroupCurrentMemberAssignment(value) => {
            fields.put("memberEpoch", value.member_epoch);
            fields.put("previousMemberEpoch", value.previous_member_epoch);
            fields.put("state", value.state);
            let partitions = value.assigned_partitions.iter();
            let partitions: Vec<Value> = partitions
                .map(|topic| topic_partitions(topic.topic_id, &topic.partitions))
                .collect();
            fields.put("assignedPartitions", partitions);
        }
        V::ShareGroupStatePartitionMetadata(value) => {
            let named = |id: Uuid, name: &str, partitions: &[i32]| json!({ "topicId": id.to_string(), "topicName": name, "partitions": partitions });
            let initializing = value.initializing_topics.iter();
            let initializing: Vec<Value> = initializing
                .map(|t| named(t.topic_id, &t.topic_name, &t.partitions))
                .collect();
            let initialized = value.initialized_topics.iter();
            let initialized: Vec<Value> = initialized
                .map(|t| named(t.topic_id, &t.topic_name, &t.partitions))
                .collect();
            let deleting = value.deleting_topics.iter();
            let deleting: Vec<Value> = deleting
                .map(|t| json!({ "topicId": t.topic_id.to_string(), "topicName": t.topic_name }))
                .collect();
            fields.put("initializingTopics", initializing);
            fields.put("initializedTopics", initialized);
            fields.put("deletingTopics", deleting);
        }
        _ => return None,
    }
    Some(fields.into())
}

fn topic_partitions(topic_id: Uuid, partitions: &[i32]) -> Value {
    json!({ "topicId": topic_id.to_string(), "partitions": partitions })
}

fn group_metadata(value: &GroupMetadataValue, version: i16) -> Value {
    let members = value.members.iter().map(|member| {
        let mut fields = Fields::default();
        fields.put("memberId", member.member_id.as_str());
        fields.put_if(
            version >= 3,
            "groupInstanceId",
            member.group_instance_id.clone(),
        );
        fields.put("clientId", member.client_id.as_str());
        fields.put("clientHost", member.client_host.as_str());
        fields.put_if(version >= 1, "rebalanceTimeout", member.rebalance_timeout);
        fields.put("sessionTimeout", member.session_timeout);
        fields.put("subscription", BASE64.encode(&member.subscription));
        fields.put("assignment", BASE64.encode(&member.assignment));
        fields.into()
    });
    let members: Vec<Value> = members.collect();
    let mut fields = Fields::default();
    fields.put("protocolType", value.protocol_type.as_str());
    fields.put("generation", value.generation);
    fields.put("protocol", value.protocol.clone());
    fields.put("leader", value.leader.clone());
    fields.put_if(
        version >= 2,
        "currentStateTimestamp",
        value.current_state_timestamp,
    );
    fields.put("members", members);
    fields.into()
}

fn transaction(value: &TransactionLogValue, version: i16) -> Value {
    let partitions = value.transaction_partitions.as_ref().map(|topics| {
        let topics = topics.iter();
        let topics = topics
            .map(|topic| json!({ "topic": topic.topic, "partitionIds": topic.partition_ids }));
        topics.collect::<Vec<Value>>()
    });
    let tagged = version >= 1;
    let mut fields = Fields::default();
    fields.put("producerId", value.producer_id);
    let previous = value.previous_producer_id;
    fields.put_if(tagged && previous != -1, "previousProducerId", previous);
    let next = value.next_producer_id;
    fields.put_if(tagged && next != -1, "nextProducerId", next);
    fields.put("producerEpoch", value.producer_epoch);
    let next = value.next_producer_epoch;
    fields.put_if(tagged && next != -1, "nextProducerEpoch", next);
    fields.put("transactionTimeoutMs", value.transaction_timeout_ms);
    fields.put("transactionStatus", value.transaction_status);
    fields.put("transactionPartitions", partitions);
    fields.put(
        "transactionLastUpdateTimestampMs",
        value.transaction_last_update_timestamp_ms,
    );
    fields.put(
        "transactionStartTimestampMs",
        value.transaction_start_timestamp_ms,
    );
    let client = value.client_transaction_version;
    fields.put_if(tagged && client != 0, "clientTransactionVersion", client);
    fields.into()
}

fn share_key(key: &ShareRecordKey) -> Value {
    let (group, topic, partition) = match key {
        ShareRecordKey::ShareSnapshot(key) => (&key.group_id, key.topic_id, key.partition),
        ShareRecordKey::ShareUpdate(key) => (&key.group_id, key.topic_id, key.partition),
    };
    json!({ "groupId": group, "topicId": topic.to_string(), "partition": partition })
}

fn share_value(value: &ShareRecordValue) -> Value {
    let batch = |first: i64, last: i64, state: i8, count: i16| {
        json!({
            "firstOffset": first, "lastOffset": last,
            "deliveryState": state, "deliveryCount": count,
        })
    };
    let mut fields = Fields::default();
    match value {
        ShareRecordValue::ShareSnapshot(value) => {
            fields.put("snapshotEpoch", value.snapshot_epoch);
            fields.put("stateEpoch", value.state_epoch);
            fields.put("leaderEpoch", value.leader_epoch);
            fields.put("startOffset", value.start_offset);
            let complete = value.delivery_complete_count;
            fields.put_if(complete != -1, "deliveryCompleteCount", complete);
            fields.put("createTimestamp", value.create_timestamp);
            fields.put("writeTimestamp", value.write_timestamp);
            let batches = value.state_batches.iter();
            let batches = batches.map(|b| {
                batch(
                    b.first_offset,
                    b.last_offset,
                    b.delivery_state,
                    b.delivery_count,
                )
            });
            fields.put("stateBatches", batches.collect::<Vec<Value>>());
        }
        ShareRecordValue::ShareUpdate(value) => {
            fields.put("snapshotEpoch", value.snapshot_epoch);
            fields.put("leaderEpoch", value.leader_epoch);
            fields.put("startOffset", value.start_offset);
            let complete = value.delivery_complete_count;
            fields.put_if(complete != -1, "deliveryCompleteCount", complete);
            let batches = value.state_batches.iter();
            let batches = batches.map(|b| {
                batch(
                    b.first_offset,
                    b.last_offset,
                    b.delivery_state,
                    b.delivery_count,
                )
            });
            fields.put("stateBatches", batches.collect::<Vec<Value>>());
        }
    }
    fields.into()
}

/// A JSON object under construction, in the order of its fields.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn put_if(&mut self, there: bool, name: &str, value: impl Into<Value>) {
        if there {
            self.put(name, value);
        }
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Value::Object(fields.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Message;
    use crate::protocol::records::group::group_metadata_value::MemberMetadata;
    use crate::protocol::records::group::{GroupMetadataKey, OffsetCommitKey, OffsetCommitValue};
    use crate::protocol::records::transaction::TransactionLogKey;
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
