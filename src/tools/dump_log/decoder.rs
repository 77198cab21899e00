//! What a record's key and value are, and how they are shown.
use anyhow::bail;
use bytes::Bytes;
use serde_json::{Value, json};

use super::remote_log;
use crate::metadata::record::{MetadataRecord, RecordError, VersionedRecord};
use crate::protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use crate::protocol::records::group::{GroupRecordKey, GroupRecordValue};
use crate::protocol::records::share::ShareRecordKey;
use crate::protocol::records::transaction::TransactionRecordKey;
use crate::protocol::records::{decode_value, value_version};
use crate::protocol::wire::DecodeError;
use crate::protocol::{Message, ToJson};
use crate::record::RecordView;
use crate::tools::{java_json, java_text};

/// The `protocol.type` of groups whose members' bytes are those of Kafka's own consumers.
const CONSUMER_PROTOCOL: &str = "consumer";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoder {
    Plain { key: Codec, value: Codec },
    Offsets,
    TransactionLog,
    ClusterMetadata,
    ShareGroupState,
    RemoteLogMetadata,
}

/// Kafka's own decoders of plain keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Text,
    Integer,
    Long,
}

impl Codec {
    pub fn of_class(class: &str) -> anyhow::Result<Self> {
        Ok(match class.strip_prefix("org.apache.kafka.tools.api.") {
            Some("StringDecoder") => Self::Text,
            Some("IntegerDecoder") => Self::Integer,
            Some("LongDecoder") => Self::Long,
            _ => bail!(
                "The decoder {class} cannot be loaded: kafkars runs no Java classes. It has \
                 StringDecoder, IntegerDecoder and LongDecoder of org.apache.kafka.tools.api."
            ),
        })
    }

    fn decode(self, bytes: &[u8]) -> anyhow::Result<Shown> {
        let number = match self {
            Self::Text => return Ok(Shown::Text(java_text::utf8(bytes).into_owned())),
            Self::Integer => bytes
                .first_chunk()
                .map(|b| i64::from(i32::from_be_bytes(*b))),
            Self::Long => bytes.first_chunk().map(|b| i64::from_be_bytes(*b)),
        };
        match number {
            Some(number) => Ok(Shown::Json(json!(number))),
            None => bail!("{} bytes are too few for a number", bytes.len()),
        }
    }
}

/// A key or a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    Text(String),
    Json(Value),
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Json(json) => f.write_str(&java_json::to_string(json)),
        }
    }
}

impl From<Shown> for Value {
    fn from(shown: Shown) -> Value {
        match shown {
            Shown::Text(text) => Value::from(text),
            Shown::Json(json) => json,
        }
    }
}

type KeyAndValue = (Option<Shown>, Option<Shown>);

impl Decoder {
    /// What cannot be read is said in place of the key, or of a metadata record's value, and the
    /// dump goes on.
    pub fn decode(self, record: &RecordView<'_>) -> anyhow::Result<KeyAndValue> {
        match self {
            Self::Plain { key, value } => Ok((
                record.key.map(|bytes| key.decode(bytes)).transpose()?,
                record.value.map(|bytes| value.decode(bytes)).transpose()?,
            )),
            Self::ClusterMetadata => Ok((None, Some(metadata(record)))),
            Self::RemoteLogMetadata => {
                let text = remote_log::text(record.value.unwrap_or_default());
                let text = text.unwrap_or_else(|error| skipped(record, &error.to_string()));
                Ok((None, Some(Shown::Text(text))))
            }
            Self::Offsets | Self::TransactionLog | Self::ShareGroupState => {
                let Some(key) = record.key else {
                    bail!(
                        "Failed to decode message at offset {} using the specified decoder \
                         (message had a missing key)",
                        record.offset
                    );
                };
                Ok(self.coordinator(record, key))
            }
        }
    }

    fn coordinator(self, record: &RecordView<'_>, key: &[u8]) -> KeyAndValue {
        let read = match self {
            Self::Offsets => group(key, record.value),
            Self::TransactionLog => transaction(key, record.value),
            _ => share(key, record.value),
        };
        match read {
            Ok((record_type, key, value)) => {
                let key = json!({ "type": record_type.to_string(), "data": key });
                let value = match value {
                    Some((version, data)) => {
                        Shown::Json(json!({ "version": version.to_string(), "data": data }))
                    }
                    None => Shown::Text("<DELETE>".to_owned()),
                };
                (Some(Shown::Json(key)), Some(value))
            }
            Err(DecodeError::UnknownRecordType(unknown)) => {
                let offset = record.offset;
                let text = format!("Unknown record type {unknown} at offset {offset}, skipping.");
                (Some(Shown::Text(text)), None)
            }
            Err(error) => (Some(Shown::Text(skipped(record, &error.to_string()))), None),
        }
    }
}

fn skipped(record: &RecordView<'_>, why: &str) -> String {
    format!("Error at offset {}, skipping. {why}", record.offset)
}

/// Record type, key, and the value with its version.
type CoordinatorRecord = (i16, Value, Option<(i16, Value)>);

fn group(key: &[u8], value: Option<&[u8]>) -> Result<CoordinatorRecord, DecodeError> {
    let key = GroupRecordKey::decode(Bytes::copy_from_slice(key))?;
    let value = match value {
        None => None,
        Some(bytes) => {
            let version = value_version(bytes).unwrap_or_default();
            let value = key.decode_value(Bytes::copy_from_slice(bytes))?;
            let mut json = value.to_json(version);
            if let GroupRecordValue::GroupMetadata(group) = &value
                && group.protocol_type == CONSUMER_PROTOCOL
            {
                let members = group.members.iter();
                let members = members.map(|member| (&member.subscription, &member.assignment));
                open_members(&mut json, members);
            }
            Some((version, json))
        }
    };
    Ok((key.record_type(), key.to_json(), value))
}

fn transaction(key: &[u8], value: Option<&[u8]>) -> Result<CoordinatorRecord, DecodeError> {
    let key = TransactionRecordKey::decode(Bytes::copy_from_slice(key))?;
    let read = |bytes: &[u8]| {
        let version = value_version(bytes).unwrap_or_default();
        let value = key.decode_value(Bytes::copy_from_slice(bytes))?;
        Ok((version, value.to_json(version)))
    };
    Ok((
        key.record_type(),
        key.to_json(),
        value.map(read).transpose()?,
    ))
}

fn share(key: &[u8], value: Option<&[u8]>) -> Result<CoordinatorRecord, DecodeError> {
    let key = ShareRecordKey::decode(Bytes::copy_from_slice(key))?;
    let read = |bytes: &[u8]| {
        let version = value_version(bytes).unwrap_or_default();
        let value = key.decode_value(Bytes::copy_from_slice(bytes))?;
        Ok((version, value.to_json(version)))
    };
    Ok((
        key.record_type(),
        key.to_json(),
        value.map(read).transpose()?,
    ))
}

/// Puts what members subscribe to and are assigned in place of its bytes, where it can be read.
fn open_members<'m>(group: &mut Value, members: impl Iterator<Item = (&'m Bytes, &'m Bytes)>) {
    let shown = group.get_mut("members").and_then(Value::as_array_mut);
    for (shown, (subscription, assignment)) in shown.into_iter().flatten().zip(members) {
        if let Some(opened) = opened::<ConsumerProtocolSubscription>(subscription) {
            shown["subscription"] = opened;
        }
        if let Some(opened) = opened::<ConsumerProtocolAssignment>(assignment) {
            shown["assignment"] = opened;
        }
    }
}

fn opened<M: Message + ToJson>(bytes: &Bytes) -> Option<Value> {
    let version = value_version(bytes)?;
    let message = decode_value::<M>(bytes.clone()).ok()?;
    Some(message.to_json(version))
}

fn metadata(record: &RecordView<'_>) -> Shown {
    let value = record.value.map(Bytes::copy_from_slice);
    let read = value
        .ok_or(RecordError::NoValue)
        .and_then(VersionedRecord::decode);
    let why = match read {
        Ok(VersionedRecord {
            record: MetadataRecord::Unknown(unknown),
            ..
        }) => {
            format!("Unknown metadata id {}", unknown.api_key)
        }
        Ok(VersionedRecord { record, version }) => {
            return Shown::Json(json!({
                "type": type_name(record.name()),
                "version": version,
                "data": record.to_json(version),
            }));
        }
        Err(error) => error.to_string(),
    };
    Shown::Text(format!("Error at {}, skipping. {why}", record.offset))
}

/// `NoOpRecord` → `NO_OP_RECORD`.
fn type_name(schema: &str) -> String {
    let mut name = String::new();
    for letter in schema.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_that_are_not_kafkas_are_refused() {
        let text = |class| Codec::of_class(class).map_err(|error| error.to_string());
        assert_eq!(
            text("org.apache.kafka.tools.api.LongDecoder"),
            Ok(Codec::Long)
        );
        let refused = text("com.example.AvroDecoder").unwrap_err();
        assert!(refused.starts_with("The decoder com.example.AvroDecoder cannot be loaded"));
        assert!(Codec::Long.decode(&[0; 7]).is_err());
        assert_eq!(
            Codec::Integer.decode(&[255; 9]).unwrap(),
            Shown::Json(json!(-1))
        );
    }

    #[test]
    fn types_are_written_as_kafkas_enum() {
        for (schema, name) in [
            ("NoOpRecord", "NO_OP_RECORD"),
            ("ClearElrRecord", "CLEAR_ELR_RECORD"),
            (
                "RemoveUserScramCredentialRecord",
                "REMOVE_USER_SCRAM_CREDENTIAL_RECORD",
            ),
        ] {
            assert_eq!(type_name(schema), name);
        }
    }
}
