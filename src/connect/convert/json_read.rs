//! JSON as Connect values, as lenient as Jackson's `JsonNode`.
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value as Json};

use super::json::JsonSettings;
use crate::connect::data::{DATE, DECIMAL, Schema, TIME, TIMESTAMP, Type, Value};
use crate::connect::decimal::Decimal;
use crate::connect::errors::{ConnectError, Result};

/// The value that `json` holds under a schema, or by its own kind without one.
pub fn value(
    schema: Option<&Arc<Schema>>,
    json: Option<Json>,
    settings: JsonSettings,
) -> Result<Value<'static>> {
    let json = json.unwrap_or(Json::Null);
    let Some(schema) = schema else {
        return Ok(untyped(json));
    };
    if json.is_null() {
        if let Some(default) = schema.default.as_ref().filter(|_| settings.null_is_default) {
            return Ok(default.clone());
        }
        if schema.optional {
            return Ok(Value::Null);
        }
        return Err(null_for_required(schema));
    }
    match (&schema.of, schema.name.as_deref()) {
        (Type::Bytes, Some(DECIMAL)) => decimal(schema, &json),
        (Type::Int32, Some(DATE)) => Ok(Value::Date(integer(&json, "Date")? as i32)),
        (Type::Int32, Some(TIME)) => Ok(Value::Time(integer(&json, "Time")? as i32)),
        (Type::Int64, Some(TIMESTAMP)) => Ok(Value::Timestamp(integer(&json, "Timestamp")?)),
        _ => typed(schema, json, settings),
    }
}

fn typed(schema: &Arc<Schema>, json: Json, settings: JsonSettings) -> Result<Value<'static>> {
    Ok(match &schema.of {
        Type::Int8 => Value::Int8(whole(&json) as i8),
        Type::Int16 => Value::Int16(whole(&json) as i16),
        Type::Int32 => Value::Int32(whole(&json) as i32),
        Type::Int64 => Value::Int64(whole(&json)),
        Type::Float32 => Value::Float32(fraction(&json) as f32),
        Type::Float64 => Value::Float64(fraction(&json)),
        Type::Boolean => Value::Boolean(json.as_bool().unwrap_or(false)),
        // What is no text is null, even where that is not allowed: so does Kafka.
        Type::String => match json {
            Json::String(text) => Value::text(text),
            _ => Value::Null,
        },
        Type::Bytes => match json {
            Json::String(text) => Value::Bytes(base64(&text)?.into()),
            _ => Value::Null,
        },
        Type::Array(of) => {
            let Json::Array(items) = json else {
                return Err(unexpected("an array", &json));
            };
            let items = items
                .into_iter()
                .map(|item| value(Some(of), Some(item), settings));
            Value::Array(items.collect::<Result<_>>()?)
        }
        Type::Map(keys, values) => map(keys, values, json, settings)?,
        Type::Struct(fields) => {
            let Json::Object(mut object) = json else {
                return Err(unexpected("a JSON object for a struct", &json));
            };
            let values = fields
                .iter()
                .map(|field| value(Some(&field.schema), object.remove(&field.name), settings));
            let values = values.collect::<Result<_>>()?;
            Value::Struct(schema.clone(), values)
        }
    })
}

fn map(
    keys: &Arc<Schema>,
    values: &Arc<Schema>,
    json: Json,
    settings: JsonSettings,
) -> Result<Value<'static>> {
    let entries = match json {
        Json::Object(object) if keys.of == Type::String => object
            .into_iter()
            .map(|(key, item)| Ok((Value::text(key), value(Some(values), Some(item), settings)?)))
            .collect::<Result<_>>()?,
        Json::Array(pairs) if keys.of != Type::String => pairs
            .into_iter()
            .map(|pair| match pair {
                Json::Array(pair) => match <[Json; 2]>::try_from(pair) {
                    Ok([key, item]) => Ok((
                        value(Some(keys), Some(key), settings)?,
                        value(Some(values), Some(item), settings)?,
                    )),
                    Err(pair) => Err(ConnectError::data(format!(
                        "Found invalid map entry, expected length 2 but found: {}",
                        pair.len()
                    ))),
                },
                other => Err(unexpected("a pair of key and value", &other)),
            })
            .collect::<Result<_>>()?,
        other if keys.of == Type::String => return Err(unexpected("a JSON object", &other)),
        other => return Err(unexpected("an array of pairs", &other)),
    };
    Ok(Value::Map(entries))
}

fn untyped(json: Json) -> Value<'static> {
    match json {
        Json::Null => Value::Null,
        Json::Bool(yes) => Value::Boolean(yes),
        Json::Number(number) if is_whole(&number) => Value::Int64(wrapped(&number)),
        Json::Number(number) => Value::Float64(number.as_f64().unwrap_or(f64::INFINITY)),
        Json::String(text) => Value::text(text),
        Json::Array(items) => Value::Array(items.into_iter().map(untyped).collect()),
        Json::Object(object) => {
            let entries = object.into_iter();
            Value::Map(
                entries
                    .map(|(key, item)| (Value::text(key), untyped(item)))
                    .collect(),
            )
        }
    }
}

fn decimal(schema: &Schema, json: &Json) -> Result<Value<'static>> {
    let scale = schema.scale().ok_or_else(|| {
        ConnectError::data("Invalid Decimal schema: scale parameter not found or not a number.")
    })?;
    let number = match json {
        Json::String(text) => Decimal::from_unscaled(&base64(text)?, scale),
        // The scale of the number itself is the one that counts, as for Kafka.
        Json::Number(number) => Decimal::parse(&number.to_string()),
        _ => None,
    };
    let number = number.ok_or_else(|| {
        ConnectError::data("Only numeric or binary types are supported for Decimal")
    })?;
    Ok(Value::Decimal(number))
}

/// A whole number, as days or milliseconds.
fn integer(json: &Json, of: &str) -> Result<i64> {
    match json {
        Json::Number(number) if is_whole(number) => Ok(wrapped(number)),
        _ => Err(ConnectError::data(format!(
            "Invalid type for {of}, underlying representation should be an integer but was {}",
            kind(json)
        ))),
    }
}

fn base64(text: &str) -> Result<Vec<u8>> {
    STANDARD
        .decode(text)
        .map_err(|error| ConnectError::data(format!("Invalid bytes field: {error}")))
}

fn is_whole(number: &Number) -> bool {
    let text = number.as_str();
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// A whole number of any size, modulo 2⁶⁴ as Java's `longValue`.
fn wrapped(number: &Number) -> i64 {
    let text = number.as_str();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let add = |sum: i64, digit: u8| sum.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
    let magnitude = digits.bytes().filter(u8::is_ascii_digit).fold(0, add);
    if negative {
        magnitude.wrapping_neg()
    } else {
        magnitude
    }
}

/// `JsonNode.longValue`: 0 for what is no number.
fn whole(json: &Json) -> i64 {
    match json {
        Json::Number(number) if is_whole(number) => wrapped(number),
        Json::Number(number) => number.as_f64().unwrap_or(0.0) as i64,
        _ => 0,
    }
}

fn fraction(json: &Json) -> f64 {
    match json {
        Json::Number(number) => number.as_f64().unwrap_or(f64::INFINITY),
        _ => 0.0,
    }
}

/// The name of Jackson's node type.
fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "NULL",
        Json::Bool(_) => "BOOLEAN",
        Json::Number(_) => "NUMBER",
        Json::String(_) => "STRING",
        Json::Array(_) => "ARRAY",
        Json::Object(_) => "OBJECT",
    }
}

fn unexpected(wanted: &str, json: &Json) -> ConnectError {
    ConnectError::data(format!("Expected {wanted}, but found {}", kind(json)))
}

fn null_for_required(schema: &Schema) -> ConnectError {
    ConnectError::data(format!(
        "Invalid null value for required {} field",
        schema.of.name()
    ))
}
