//! Converters: between Connect's values and the bytes of a record, as Kafka's own converters.
mod bytes;
mod json;
mod json_read;
mod json_schema;
pub mod json_text;
mod json_write;
mod numbers;
mod string;

use super::data::{Schema, SchemaAndValue, Value};
use super::errors::{ConnectError, Result};
use crate::config::Properties;

pub use json::JsonConverter;

/// Turns values into bytes and back. One instance serves all records of a task.
pub trait Converter: Send {
    /// Writes the bytes of a value at the end of `out`; false if they are null.
    fn write(
        &mut self,
        schema: Option<&Schema>,
        value: &Value<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool>;

    /// The value of bytes; it may borrow from them.
    fn read<'a>(&mut self, bytes: Option<&'a [u8]>) -> Result<SchemaAndValue<'a>>;
}

/// What a converter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Key,
    Value,
}

impl Role {
    /// The configuration key that names the class.
    pub fn key(self) -> &'static str {
        match self {
            Role::Key => "key.converter",
            Role::Value => "value.converter",
        }
    }
}

/// Every converter there is, for messages.
const AVAILABLE: &str = "org.apache.kafka.connect.json.JsonConverter, \
    org.apache.kafka.connect.storage.StringConverter, and ByteArrayConverter, BooleanConverter, \
    ShortConverter, IntegerConverter, LongConverter, FloatConverter, DoubleConverter of \
    org.apache.kafka.connect.converters";

/// The only header converter yet.
pub const SIMPLE_HEADER_CONVERTER: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";

/// Makes the converter of a class; `settings` are its keys without the prefix.
pub fn create(class: &str, role: Role, settings: &Properties) -> Result<Box<dyn Converter>> {
    let (package, simple) = class.rsplit_once('.').unwrap_or(("", class));
    let packages: &[&str] = match simple {
        "JsonConverter" => &["org.apache.kafka.connect.json"],
        "StringConverter" => &["org.apache.kafka.connect.storage"],
        _ => &["org.apache.kafka.connect.converters"],
    };
    // Kafka also takes the simple name, with and without its ending.
    let known = package.is_empty() || packages.contains(&package);
    let simple = simple.strip_suffix("Converter").unwrap_or(simple);
    let converter: Box<dyn Converter> = match simple {
        "Json" if known => Box::new(JsonConverter::new(role, settings)?),
        "String" if known => Box::new(string::StringConverter::new(role, settings)?),
        "ByteArray" if known => Box::new(bytes::ByteArrayConverter),
        _ => match numbers::NumberConverter::named(simple) {
            Some(converter) if known => Box::new(converter),
            _ => {
                return Err(ConnectError::config(format!(
                    "{}={class}: there is no such converter here; available: {AVAILABLE}",
                    role.key()
                )));
            }
        },
    };
    Ok(converter)
}

/// Keys of the worker's or connector's file that a converter does not know have no effect.
fn warn_about_unknown(role: Role, class: &str, settings: &Properties, known: &[&str]) {
    for (key, _) in settings.iter() {
        if !known.contains(&key) && key != "converter.type" && key != "plugin.version" {
            tracing::warn!(
                "{}.{key} has no effect: {class} does not know it",
                role.key()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(class: &str) -> Result<Box<dyn Converter>> {
        create(class, Role::Value, &Properties::new())
    }

    #[test]
    fn converters_are_found_as_kafka_finds_them() {
        for class in [
            "org.apache.kafka.connect.json.JsonConverter",
            "JsonConverter",
            "Json",
            "org.apache.kafka.connect.storage.StringConverter",
            "org.apache.kafka.connect.converters.ByteArrayConverter",
            "org.apache.kafka.connect.converters.LongConverter",
        ] {
            assert!(make(class).is_ok(), "{class}");
        }
    }

    #[test]
    fn an_unknown_class_is_named_with_what_there_is() {
        for class in [
            "io.confluent.connect.avro.AvroConverter",
            "a.b.JsonConverter",
            "",
        ] {
            let error = make(class).map(drop).unwrap_err().to_string();
            let start = format!("value.converter={class}: there is no such converter");
            assert!(
                error.starts_with(&start) && error.contains("JsonConverter,"),
                "{error}"
            );
        }
    }
}
