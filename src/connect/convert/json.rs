//! `JsonConverter`: values as JSON, with their schema in an envelope or without.
//!
//! | class | in this file's neighbour |
//! | --- | --- |
//! | schemas to JSON and back | `json_schema` |
//! | values to JSON | `json_write` |
//! | JSON to values | `json_read` |
use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize as _;
use serde_json::Value as Json;

use super::{Converter, Role, json_read, json_schema, json_text, json_write, warn_about_unknown};
use crate::config::Properties;
use crate::connect::data::{STRING, Schema, SchemaAndValue, SchemaRef, Value};
use crate::connect::errors::{ConnectError, Result};

/// The envelope of a line of text: by far the most frequent one.
const STRING_HEAD: &[u8] = br#"{"schema":{"type":"string","optional":false},"payload":""#;
const STRING_TAIL: &[u8] = b"\"}";
const PAYLOAD: &[u8] = b",\"payload\":";

/// How Decimals are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalFormat {
    Base64,
    Numeric,
}

/// The settings that matter for single values.
#[derive(Debug, Clone, Copy)]
pub struct JsonSettings {
    pub decimal_format: DecimalFormat,
    /// `replace.null.with.default`
    pub null_is_default: bool,
}

pub struct JsonConverter {
    schemas: bool,
    settings: JsonSettings,
    /// `schema.content`: the schema of everything that is read.
    fixed: Option<Arc<Schema>>,
    /// The last schema that was written, and its JSON: records mostly share one.
    written: Option<(Schema, Vec<u8>)>,
    /// The last schema that was read, as JSON and as it is.
    read: Option<(Json, Option<Arc<Schema>>)>,
}

impl JsonConverter {
    /// With the keys `schemas.enable`, `schemas.cache.size`, `schema.content`, `decimal.format`
    /// and `replace.null.with.default`.
    pub fn new(role: Role, settings: &Properties) -> Result<Self> {
        let flag = |key: &str| flag(role, settings, key);
        let invalid =
            |key: &str, why: String| ConnectError::config(format!("{}.{key}: {why}", role.key()));
        let format = settings.get("decimal.format").unwrap_or("BASE64");
        let decimal_format = match format.to_ascii_uppercase().as_str() {
            "BASE64" => DecimalFormat::Base64,
            "NUMERIC" => DecimalFormat::Numeric,
            _ => {
                let why = format!("{format} is neither BASE64 nor NUMERIC");
                return Err(invalid("decimal.format", why));
            }
        };
        let settings_of_values = JsonSettings {
            decimal_format,
            null_is_default: flag("replace.null.with.default")?,
        };
        let fixed = match settings
            .get("schema.content")
            .filter(|text| !text.is_empty())
        {
            None => None,
            Some(text) => serde_json::from_str(text)
                .map_err(|error| error.to_string())
                .and_then(|json| {
                    json_schema::parse(&json, settings_of_values).map_err(|error| error.to_string())
                })
                .map_err(|error| invalid("schema.content", error))?,
        };
        const KNOWN: &[&str] = &[
            "schemas.enable",
            "schemas.cache.size",
            "schema.content",
            "decimal.format",
            "replace.null.with.default",
        ];
        warn_about_unknown(role, "JsonConverter", settings, KNOWN);
        Ok(Self {
            schemas: flag("schemas.enable")?,
            settings: settings_of_values,
            fixed,
            written: None,
            read: None,
        })
    }

    fn schema_json(&mut self, schema: Option<&Schema>) -> Result<&[u8]> {
        let Some(schema) = schema else {
            return Ok(b"null");
        };
        let known = matches!(&self.written, Some((last, _)) if last == schema);
        if !known {
            let mut json = Vec::new();
            json_schema::write(&mut json, schema, None, self.settings)?;
            self.written = Some((schema.clone(), json));
        }
        Ok(self.written.as_ref().map_or(&[], |(_, json)| json))
    }

    /// A required string in its envelope, without building anything but the string.
    fn read_string<'a>(&self, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
        let text = bytes.strip_prefix(STRING_HEAD)?.strip_suffix(STRING_TAIL)?;
        if memchr::memchr(b'"', text).is_none() && memchr::memchr(b'\\', text).is_none() {
            return std::str::from_utf8(text).ok().map(Cow::Borrowed);
        }
        // A quote that is not escaped ends the string: that is for the parser.
        let mut escaped = false;
        for byte in text {
            match (escaped, byte) {
                (true, _) => escaped = false,
                (false, b'\\') => escaped = true,
                (false, b'"') => return None,
                _ => {}
            }
        }
        let mut out = Vec::with_capacity(text.len());
        json_text::unescape(text, &mut out)?;
        String::from_utf8(out).ok().map(Cow::Owned)
    }

    fn read_envelope(&mut self, bytes: &[u8]) -> Result<SchemaAndValue<'static>> {
        let mut json = parse(bytes)?;
        let parts = json
            .as_object_mut()
            .filter(|object| object.len() == 2)
            .and_then(|object| {
                let schema = object.get_mut("schema").map(Json::take)?;
                Some((schema, object.get_mut("payload").map(Json::take)?))
            });
        let Some((schema, payload)) = parts else {
            return Err(ConnectError::data(
                "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and \
                 may not contain additional fields. If you are trying to deserialize plain JSON \
                 data, set schemas.enable=false in your converter configuration.",
            ));
        };
        let known = match &self.read {
            Some((last, known)) if *last == schema => Some(known.clone()),
            _ => None,
        };
        let parsed = match known {
            Some(known) => known,
            None => {
                let parsed = json_schema::parse(&schema, self.settings)?;
                self.read = Some((schema, parsed.clone()));
                parsed
            }
        };
        let value = json_read::value(parsed.as_ref(), Some(payload), self.settings)?;
        Ok(SchemaAndValue {
            schema: parsed.map(SchemaRef::Shared),
            value,
        })
    }
}

impl Converter for JsonConverter {
    fn write(
        &mut self,
        schema: Option<&Schema>,
        value: &Value<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        if schema.is_none() && value.is_null() {
            return Ok(false);
        }
        if !self.schemas {
            json_write::value(out, schema, value, self.settings)?;
            return Ok(true);
        }
        if let (Some(schema), Value::String(text)) = (schema, value)
            && std::ptr::eq(schema, STRING)
        {
            out.extend_from_slice(STRING_HEAD);
            out.pop();
            json_text::write_string(out, text);
        } else {
            out.extend_from_slice(b"{\"schema\":");
            out.extend_from_slice(self.schema_json(schema)?);
            out.extend_from_slice(PAYLOAD);
            json_write::value(out, schema, value, self.settings)?;
        }
        out.push(b'}');
        Ok(true)
    }

    fn read<'a>(&mut self, bytes: Option<&'a [u8]>) -> Result<SchemaAndValue<'a>> {
        let Some(bytes) = bytes else {
            return Ok(SchemaAndValue::NULL);
        };
        if let Some(schema) = &self.fixed {
            let value = json_read::value(Some(schema), Some(parse(bytes)?), self.settings)?;
            return Ok(SchemaAndValue {
                schema: Some(SchemaRef::Shared(schema.clone())),
                value,
            });
        }
        if !self.schemas {
            let json = if bytes.is_empty() {
                Json::Null
            } else {
                parse(bytes)?
            };
            let value = json_read::value(None, Some(json), self.settings)?;
            return Ok(SchemaAndValue::schemaless(value));
        }
        match self.read_string(bytes) {
            Some(text) => Ok(SchemaAndValue::new(STRING, Value::String(text))),
            None => self.read_envelope(bytes),
        }
    }
}

/// The first JSON value of the bytes; what follows it is of no interest, as for Kafka.
fn parse(bytes: &[u8]) -> Result<Json> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Json::deserialize(&mut deserializer).map_err(|error| {
        ConnectError::data(format!(
            "Converting byte[] to Kafka Connect data failed due to serialization error: {error}"
        ))
    })
}

fn flag(role: Role, settings: &Properties, key: &str) -> Result<bool> {
    match settings.get(key).map(str::trim) {
        None => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(text) => Err(ConnectError::config(format!(
            "Invalid value {text} for configuration {}.{key}: Expected value to be either true or \
             false",
            role.key()
        ))),
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
