//! Connect values as JSON, in Java's text.
use super::json::{DecimalFormat, JsonSettings};
use super::json_text::{write_base64, write_string};
use crate::config::value::java_double;
use crate::connect::data::{Schema, Type, Value};
use crate::connect::errors::{ConnectError, Result};
use crate::connect::java_text::java_float;

/// Writes a value. With a schema it must fit, as in Java.
pub fn value(
    out: &mut Vec<u8>,
    schema: Option<&Schema>,
    value: &Value<'_>,
    settings: JsonSettings,
) -> Result<()> {
    match (schema, value) {
        (_, Value::Null) => null(out, schema, settings),
        (Some(schema), value) if !fits(schema, value) => Err(ConnectError::data(format!(
            "Invalid type for {}: {}",
            schema.of.name(),
            value.java_class()
        ))),
        (_, Value::Array(items)) => {
            let of = schema.and_then(|schema| match &schema.of {
                Type::Array(items) => Some(&**items),
                _ => None,
            });
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                out.extend(if at == 0 { &b""[..] } else { b"," });
                self::value(out, of, item, settings)?;
            }
            out.push(b']');
            Ok(())
        }
        (_, Value::Map(entries)) => map(out, schema, entries, settings),
        (_, Value::Struct(own, values)) => {
            out.push(b'{');
            for (at, (field, item)) in own.fields().iter().zip(values).enumerate() {
                out.extend(if at == 0 { &b""[..] } else { b"," });
                write_string(out, &field.name);
                out.push(b':');
                self::value(out, Some(&field.schema), item, settings)?;
            }
            out.push(b'}');
            Ok(())
        }
        (_, simple) => {
            scalar(out, simple, settings);
            Ok(())
        }
    }
}

fn null(out: &mut Vec<u8>, schema: Option<&Schema>, settings: JsonSettings) -> Result<()> {
    if let Some(schema) = schema {
        if let Some(default) = schema.default.as_ref().filter(|_| settings.null_is_default) {
            return value(out, Some(schema), default, settings);
        }
        if !schema.optional && schema.default.is_none() {
            return Err(ConnectError::data(
                "Conversion error: null value for field that is required and has no default value",
            ));
        }
    }
    out.extend(b"null");
    Ok(())
}

fn scalar(out: &mut Vec<u8>, value: &Value<'_>, settings: JsonSettings) {
    let number = match value {
        Value::Int8(n) => i64::from(*n),
        Value::Int16(n) => i64::from(*n),
        Value::Int32(n) | Value::Date(n) | Value::Time(n) => i64::from(*n),
        Value::Int64(n) | Value::Timestamp(n) => *n,
        Value::Float32(n) => return float(out, n.is_finite(), java_float(*n)),
        Value::Float64(n) => return float(out, n.is_finite(), java_double(*n)),
        Value::Boolean(yes) => return out.extend(if *yes { &b"true"[..] } else { b"false" }),
        Value::String(text) => return write_string(out, text),
        Value::Bytes(bytes) => return write_base64(out, bytes),
        Value::Decimal(decimal) => {
            return match settings.decimal_format {
                DecimalFormat::Base64 => write_base64(out, &decimal.unscaled()),
                DecimalFormat::Numeric => out.extend(decimal.to_string().into_bytes()),
            };
        }
        Value::Null | Value::Array(_) | Value::Map(_) | Value::Struct(..) => return,
    };
    out.extend(number.to_string().into_bytes());
}

/// JSON has no word for what is not finite: Jackson writes it as text.
fn float(out: &mut Vec<u8>, finite: bool, text: String) {
    if finite {
        out.extend(text.into_bytes());
    } else {
        write_string(out, &text);
    }
}

/// An object if all keys are text, else a list of pairs.
fn map(
    out: &mut Vec<u8>,
    schema: Option<&Schema>,
    entries: &[(Value<'_>, Value<'_>)],
    settings: JsonSettings,
) -> Result<()> {
    let (keys, values) = match schema.map(|schema| &schema.of) {
        Some(Type::Map(keys, values)) => (Some(&**keys), Some(&**values)),
        _ => (None, None),
    };
    let by_name = match keys {
        Some(keys) => keys.of == Type::String && !keys.optional,
        None => entries
            .iter()
            .all(|(key, _)| matches!(key, Value::String(_))),
    };
    out.push(if by_name { b'{' } else { b'[' });
    for (at, (key, item)) in entries.iter().enumerate() {
        out.extend(if at == 0 { &b""[..] } else { b"," });
        if !by_name {
            out.push(b'[');
        }
        value(out, keys, key, settings)?;
        out.push(if by_name { b':' } else { b',' });
        value(out, values, item, settings)?;
        if !by_name {
            out.push(b']');
        }
    }
    out.push(if by_name { b'}' } else { b']' });
    Ok(())
}

fn fits(schema: &Schema, value: &Value<'_>) -> bool {
    match (&schema.of, value) {
        (Type::Int8, Value::Int8(_))
        | (Type::Int16, Value::Int16(_))
        | (Type::Int32, Value::Int32(_) | Value::Date(_) | Value::Time(_))
        | (Type::Int64, Value::Int64(_) | Value::Timestamp(_))
        | (Type::Float32, Value::Float32(_))
        | (Type::Float64, Value::Float64(_))
        | (Type::Boolean, Value::Boolean(_))
        | (Type::String, Value::String(_))
        | (Type::Bytes, Value::Bytes(_) | Value::Decimal(_))
        | (Type::Array(_), Value::Array(_))
        | (Type::Map(..), Value::Map(_)) => true,
        (Type::Struct(_), Value::Struct(own, _)) => **own == *schema,
        _ => false,
    }
}
