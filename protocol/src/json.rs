//! What is stored, as the JSON that Kafka's generated converters make of it: the schema's names with
//! a small first letter, in the schema's order; no field that the version lacks; tagged fields only
//! where they are not at their default; bytes in base 64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{Records, Str, Uuid};

/// A stored message, or a part of one.
pub trait ToJson {
    /// The form of it that this version can say.
    fn to_json(&self, version: i16) -> Value;
}

/// The fields of a message, in the order in which they are put in.
#[derive(Debug, Default)]
pub struct JsonObject(Map<String, Value>);

impl JsonObject {
    pub fn put(&mut self, name: &str, value: &impl ToJson, version: i16) {
        self.0.insert(name.to_owned(), value.to_json(version));
    }
}

impl From<JsonObject> for Value {
    fn from(object: JsonObject) -> Value {
        Value::Object(object.0)
    }
}

macro_rules! as_is {
    ($($scalar:ty)*) => {$(
        impl ToJson for $scalar {
            fn to_json(&self, _version: i16) -> Value {
                Value::from(*self)
            }
        }
    )*};
}

as_is!(bool i8 i16 i32 i64 u16 u32);

impl ToJson for f64 {
    fn to_json(&self, _version: i16) -> Value {
        // JSON has no such numbers: Kafka's writer puts Java's names for them in quotes.
        match self {
            number if number.is_nan() => Value::from("NaN"),
            &f64::INFINITY => Value::from("Infinity"),
            &f64::NEG_INFINITY => Value::from("-Infinity"),
            number => Value::from(*number),
        }
    }
}

impl ToJson for String {
    fn to_json(&self, _version: i16) -> Value {
        Value::from(self.as_str())
    }
}

impl ToJson for Str {
    fn to_json(&self, _version: i16) -> Value {
        Value::from(&**self)
    }
}

impl ToJson for Uuid {
    fn to_json(&self, _version: i16) -> Value {
        Value::from(self.to_string())
    }
}

impl ToJson for Bytes {
    fn to_json(&self, _version: i16) -> Value {
        Value::from(BASE64.encode(self))
    }
}

/// Records are not shown, as in Kafka.
impl ToJson for Records {
    fn to_json(&self, _version: i16) -> Value {
        Value::from("")
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn to_json(&self, version: i16) -> Value {
        self.as_ref()
            .map_or(Value::Null, |value| value.to_json(version))
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn to_json(&self, version: i16) -> Value {
        self.iter().map(|value| value.to_json(version)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use crate::records::metadata::{ClientQuotaRecord, PartitionChangeRecord, PartitionRecord};

    #[test]
    fn fields_follow_the_schema_and_the_version() {
        let mut partition = PartitionRecord {
            partition_id: 3,
            replicas: vec![1, 2],
            ..PartitionRecord::default()
        };
        let shown = |partition: &PartitionRecord, version| partition.to_json(version).to_string();
        let zero = Uuid::ZERO;
        assert_eq!(
            shown(&partition, 0),
            format!(
                r#"{{"partitionId":3,"topicId":"{zero}","replicas":[1,2],"isr":[],"removingReplicas":[],"addingReplicas":[],"leader":-1,"leaderEpoch":-1,"partitionEpoch":-1}}"#
            )
        );
        partition.leader_recovery_state = 1;
        partition.eligible_leader_replicas = Some(vec![2]);
        let latest = shown(&partition, PartitionRecord::MAX_VERSION);
        assert!(
            latest.contains(r#""leader":-1,"leaderRecoveryState":1,"leaderEpoch":-1"#),
            "{latest}"
        );
        assert!(
            latest.ends_with(r#""directories":[],"eligibleLeaderReplicas":[2]}"#),
            "{latest}"
        );
    }

    #[test]
    fn tagged_fields_are_left_out_at_their_default() {
        let change = PartitionChangeRecord {
            isr: Some(Vec::new()),
            ..PartitionChangeRecord::default()
        };
        assert_eq!(
            change.to_json(0).to_string(),
            format!(
                r#"{{"partitionId":-1,"topicId":"{}","isr":[]}}"#,
                Uuid::ZERO
            )
        );
    }

    #[test]
    fn numbers_that_json_lacks_are_words() {
        for (number, text) in [
            (f64::NAN, r#""NaN""#),
            (f64::NEG_INFINITY, r#""-Infinity""#),
            (0.5, "0.5"),
        ] {
            let quota = ClientQuotaRecord {
                value: number,
                ..ClientQuotaRecord::default()
            };
            let shown = quota.to_json(0).to_string();
            assert!(shown.contains(&format!(r#""value":{text},"#)), "{shown}");
        }
    }
}
