//! Values as Java's `String.valueOf` prints them, map entries in the order of its `HashMap`.
use std::fmt::{self, Write};

use super::data::Value;
use crate::config::value::java_double;

/// `String.valueOf(value)`, but for bytes: Java prints their class and address, which helps nobody,
/// so here they are text.
pub fn write(out: &mut impl Write, value: &Value<'_>) -> fmt::Result {
    match value {
        Value::Null => out.write_str("null"),
        Value::Int8(n) => write!(out, "{n}"),
        Value::Int16(n) => write!(out, "{n}"),
        Value::Int32(n) => write!(out, "{n}"),
        Value::Int64(n) => write!(out, "{n}"),
        Value::Float32(n) => out.write_str(&java_float(*n)),
        Value::Float64(n) => out.write_str(&java_double(*n)),
        Value::Boolean(yes) => write!(out, "{yes}"),
        Value::String(text) => out.write_str(text),
        Value::Bytes(bytes) => out.write_str(&String::from_utf8_lossy(bytes)),
        Value::Array(items) => {
            out.write_char('[')?;
            for (at, item) in items.iter().enumerate() {
                out.write_str(if at == 0 { "" } else { ", " })?;
                write(out, item)?;
            }
            out.write_char(']')
        }
        Value::Map(entries) => {
            out.write_char('{')?;
            for (at, (key, value)) in hash_order(entries).into_iter().enumerate() {
                out.write_str(if at == 0 { "" } else { ", " })?;
                write(out, key)?;
                out.write_char('=')?;
                write(out, value)?;
            }
            out.write_char('}')
        }
        Value::Struct(schema, values) => {
            out.write_str("Struct{")?;
            let mut comma = "";
            for (field, value) in schema.fields().iter().zip(values) {
                if !value.is_null() {
                    write!(out, "{comma}{}=", field.name)?;
                    write(out, value)?;
                    comma = ",";
                }
            }
            out.write_char('}')
        }
        Value::Decimal(number) => write!(out, "{number}"),
        Value::Date(days) => write_date(out, i64::from(*days) * 86_400_000),
        Value::Time(ms) => write_date(out, i64::from(*ms)),
        Value::Timestamp(ms) => write_date(out, *ms),
    }
}

/// `java.util.Date.toString`, in UTC.
fn write_date(out: &mut impl Write, ms: i64) -> fmt::Result {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => write!(out, "{}", time.strftime("%a %b %d %H:%M:%S UTC %Y")),
        Err(_) => write!(out, "{ms}"),
    }
}

/// `Float.toString`.
pub fn java_float(number: f32) -> String {
    let magnitude = number.abs();
    if !number.is_finite() || number == 0.0 {
        return java_double(f64::from(number));
    }
    if (1e-3..1e7).contains(&magnitude) {
        return with_point(number.to_string());
    }
    let text = format!("{number:E}");
    match text.split_once('E') {
        Some((digits, exponent)) => format!("{}E{exponent}", with_point(digits.to_owned())),
        None => text,
    }
}

fn with_point(text: String) -> String {
    if text.contains('.') {
        text
    } else {
        text + ".0"
    }
}

/// The entries as a Java `HashMap` that took them in this order hands them out: by bucket, and
/// within one in order of arrival. Exact for keys that are text, numbers or booleans.
fn hash_order<'v, 'a>(
    entries: &'v [(Value<'a>, Value<'a>)],
) -> Vec<(&'v Value<'a>, &'v Value<'a>)> {
    let mut buckets = 16_u32;
    while entries.len() as u64 * 4 > u64::from(buckets) * 3 && buckets < 1 << 30 {
        buckets *= 2;
    }
    let mut ordered: Vec<_> = entries.iter().map(|(key, value)| (key, value)).collect();
    ordered.sort_by_key(|(key, _)| {
        let hash = hash_code(key);
        (hash ^ (hash >> 16)) & (buckets - 1)
    });
    ordered
}

fn hash_code(value: &Value<'_>) -> u32 {
    let of_long = |n: u64| (n ^ (n >> 32)) as u32;
    match value {
        Value::String(text) => text.encode_utf16().fold(0_u32, |hash, unit| {
            hash.wrapping_mul(31).wrapping_add(unit.into())
        }),
        Value::Int8(n) => i32::from(*n) as u32,
        Value::Int16(n) => i32::from(*n) as u32,
        Value::Int32(n) => *n as u32,
        Value::Int64(n) => of_long(*n as u64),
        Value::Float32(n) => n.to_bits(),
        Value::Float64(n) => of_long(n.to_bits()),
        Value::Boolean(yes) => {
            if *yes {
                1231
            } else {
                1237
            }
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::data::{Field, Schema, Type};
    use super::super::decimal::Decimal;
    use super::*;
    use std::sync::Arc;

    #[test]
    fn as_java_prints_them() {
        let field = |name: &str, of| Field {
            name: name.into(),
            schema: Arc::new(Schema::optional(of)),
        };
        let fields = vec![
            field("a", Type::Int32),
            field("none", Type::Int32),
            field("b", Type::String),
        ];
        let schema = Arc::new(Schema::required(Type::Struct(fields)));
        for (value, text) in [
            (Value::Null, "null"),
            (Value::Float64(1e20), "1.0E20"),
            (Value::Float32(1.1), "1.1"),
            (Value::Float32(1.5e10), "1.5E10"),
            (Value::Float32(f32::NAN), "NaN"),
            (Value::Boolean(true), "true"),
            (
                Value::Array(vec![Value::Int64(1), Value::Float64(2.5)]),
                "[1, 2.5]",
            ),
            (
                Value::Struct(schema, vec![Value::Int32(1), Value::Null, Value::text("x")]),
                "Struct{a=1,b=x}",
            ),
            (Value::Decimal(Decimal::parse("-1.00").unwrap()), "-1.00"),
            (Value::Timestamp(0), "Thu Jan 01 00:00:00 UTC 1970"),
            (Value::Bytes(b"raw"[..].into()), "raw"),
        ] {
            assert_eq!(value.to_string(), text);
        }
    }

    #[test]
    fn maps_print_in_the_order_of_a_java_hash_map() {
        let entries = ["zeta", "a", "c", "b"].map(|key| (Value::text(key), Value::Int64(1)));
        // "zeta".hashCode() is 3735208: bucket 1 of 16 after spreading.
        assert_eq!(
            Value::Map(entries.to_vec()).to_string(),
            "{zeta=1, a=1, b=1, c=1}"
        );
    }
}
