//! `BooleanConverter`, `ShortConverter` and their like: the big-endian form of Kafka's serializers.
use super::Converter;
use crate::connect::data::{Schema, SchemaAndValue, Type, Value};
use crate::connect::errors::{ConnectError, Result};

pub struct NumberConverter {
    name: &'static str,
    schema: &'static Schema,
}

const BOOLEAN: &Schema = &Schema::optional(Type::Boolean);
const SHORT: &Schema = &Schema::optional(Type::Int16);
const INTEGER: &Schema = &Schema::optional(Type::Int32);
const LONG: &Schema = &Schema::optional(Type::Int64);
const FLOAT: &Schema = &Schema::optional(Type::Float32);
const DOUBLE: &Schema = &Schema::optional(Type::Float64);

impl NumberConverter {
    /// By the first word of its name.
    pub fn named(name: &str) -> Option<Self> {
        let (name, schema) = match name {
            "Boolean" => ("boolean", BOOLEAN),
            "Short" => ("short", SHORT),
            "Integer" => ("integer", INTEGER),
            "Long" => ("long", LONG),
            "Float" => ("float", FLOAT),
            "Double" => ("double", DOUBLE),
            _ => return None,
        };
        Some(Self { name, schema })
    }

    fn decode(&self, bytes: &[u8]) -> Option<Value<'static>> {
        Some(match self.schema.of {
            Type::Boolean => match bytes {
                [0] => Value::Boolean(false),
                [1] => Value::Boolean(true),
                _ => return None,
            },
            Type::Int16 => Value::Int16(i16::from_be_bytes(bytes.try_into().ok()?)),
            Type::Int32 => Value::Int32(i32::from_be_bytes(bytes.try_into().ok()?)),
            Type::Int64 => Value::Int64(i64::from_be_bytes(bytes.try_into().ok()?)),
            Type::Float32 => Value::Float32(f32::from_be_bytes(bytes.try_into().ok()?)),
            _ => Value::Float64(f64::from_be_bytes(bytes.try_into().ok()?)),
        })
    }
}

impl Converter for NumberConverter {
    fn write(
        &mut self,
        schema: Option<&Schema>,
        value: &Value<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        if let Some(schema) = schema
            && schema.of != self.schema.of
        {
            return Err(ConnectError::data(format!(
                "Invalid schema type for {} converter: {}",
                self.name,
                schema.of.name()
            )));
        }
        match (&self.schema.of, value) {
            (_, Value::Null) => return Ok(false),
            (Type::Boolean, Value::Boolean(yes)) => out.push(u8::from(*yes)),
            (Type::Int16, Value::Int16(n)) => out.extend(n.to_be_bytes()),
            (Type::Int32, Value::Int32(n)) => out.extend(n.to_be_bytes()),
            (Type::Int64, Value::Int64(n)) => out.extend(n.to_be_bytes()),
            (Type::Float32, Value::Float32(n)) => out.extend(n.to_be_bytes()),
            (Type::Float64, Value::Float64(n)) => out.extend(n.to_be_bytes()),
            (_, other) => {
                return Err(ConnectError::data(format!(
                    "Failed to serialize to a {}: it is a {}",
                    self.name,
                    other.java_class()
                )));
            }
        }
        Ok(true)
    }

    fn read<'a>(&mut self, bytes: Option<&'a [u8]>) -> Result<SchemaAndValue<'a>> {
        let value = match bytes {
            None => Value::Null,
            Some(bytes) => self.decode(bytes).ok_or_else(|| {
                ConnectError::data(format!(
                    "Failed to deserialize {}: {} bytes do not make one",
                    self.name,
                    bytes.len()
                ))
            })?,
        };
        Ok(SchemaAndValue::new(self.schema, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::data::STRING;

    #[test]
    fn numbers_come_back_and_others_do_not_pass() {
        for (name, value) in [
            ("Boolean", Value::Boolean(true)),
            ("Short", Value::Int16(-2)),
            ("Integer", Value::Int32(-2)),
            ("Long", Value::Int64(i64::MIN)),
            ("Float", Value::Float32(1.5)),
            ("Double", Value::Float64(-1.5)),
        ] {
            let mut converter = NumberConverter::named(name).unwrap();
            let mut out = Vec::new();
            assert!(converter.write(None, &value, &mut out).unwrap());
            assert_eq!(converter.read(Some(&out)).unwrap().value, value);
            assert!(converter.read(Some(b"123")).is_err());
            assert!(converter.read(None).unwrap().value.is_null());
            assert!(
                converter
                    .write(Some(STRING), &Value::text("x"), &mut out)
                    .is_err()
            );
            assert!(converter.write(None, &Value::text("x"), &mut out).is_err());
        }
    }
}
