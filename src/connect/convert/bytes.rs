//! `ByteArrayConverter`: bytes as they are.
use super::Converter;
use crate::connect::data::{OPTIONAL_BYTES, Schema, SchemaAndValue, Type, Value};
use crate::connect::errors::{ConnectError, Result};

pub struct ByteArrayConverter;

impl Converter for ByteArrayConverter {
    fn write(
        &mut self,
        schema: Option<&Schema>,
        value: &Value<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        if let Some(schema) = schema
            && schema.of != Type::Bytes
        {
            return Err(ConnectError::data(format!(
                "Invalid schema type for ByteArrayConverter: {}",
                schema.of.name()
            )));
        }
        match value {
            Value::Null => Ok(false),
            Value::Bytes(bytes) => {
                out.extend_from_slice(bytes);
                Ok(true)
            }
            other => Err(ConnectError::data(format!(
                "ByteArrayConverter is not compatible with objects of type {}",
                other.java_class()
            ))),
        }
    }

    fn read<'a>(&mut self, bytes: Option<&'a [u8]>) -> Result<SchemaAndValue<'a>> {
        let value = bytes.map_or(Value::Null, |bytes| Value::Bytes(bytes.into()));
        Ok(SchemaAndValue::new(OPTIONAL_BYTES, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::data::STRING;

    #[test]
    fn only_bytes_pass() {
        let mut out = Vec::new();
        let value = Value::Bytes(b"\xff"[..].into());
        assert!(ByteArrayConverter.write(None, &value, &mut out).unwrap());
        assert_eq!(out, b"\xff");
        assert!(
            !ByteArrayConverter
                .write(None, &Value::Null, &mut out)
                .unwrap()
        );
        let text = ByteArrayConverter.write(Some(STRING), &Value::text("x"), &mut out);
        assert_eq!(
            text.unwrap_err().to_string(),
            "Invalid schema type for ByteArrayConverter: STRING"
        );
        let read = ByteArrayConverter.read(Some(b"\xff")).unwrap();
        assert_eq!(read, SchemaAndValue::new(OPTIONAL_BYTES, value));
        assert!(ByteArrayConverter.read(None).unwrap().value.is_null());
    }
}
