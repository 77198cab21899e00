//! `StringConverter`: a value's text.
use std::borrow::Cow;
use std::io::Write as _;

use super::{Converter, Role, warn_about_unknown};
use crate::config::Properties;
use crate::connect::data::{OPTIONAL_STRING, Schema, SchemaAndValue, Value};
use crate::connect::errors::{ConnectError, Result};

pub struct StringConverter;

impl StringConverter {
    pub fn new(role: Role, settings: &Properties) -> Result<Self> {
        let encoding = settings.get("converter.encoding").unwrap_or("UTF-8");
        if !["UTF-8", "UTF8"]
            .iter()
            .any(|name| encoding.eq_ignore_ascii_case(name))
        {
            return Err(ConnectError::config(format!(
                "{}.converter.encoding={encoding}: only UTF-8 is supported yet",
                role.key()
            )));
        }
        warn_about_unknown(
            role,
            "StringConverter",
            settings,
            &["converter.encoding", "schemas.enable"],
        );
        Ok(Self)
    }
}

impl Converter for StringConverter {
    fn write(&mut self, _: Option<&Schema>, value: &Value<'_>, out: &mut Vec<u8>) -> Result<bool> {
        match value {
            Value::Null => return Ok(false),
            Value::String(text) => out.extend_from_slice(text.as_bytes()),
            other => {
                write!(out, "{other}").map_err(|error| ConnectError::data(error.to_string()))?
            }
        }
        Ok(true)
    }

    fn read<'a>(&mut self, bytes: Option<&'a [u8]>) -> Result<SchemaAndValue<'a>> {
        let value = match bytes.map(String::from_utf8_lossy) {
            None => Value::Null,
            Some(Cow::Borrowed(text)) => Value::text(text),
            Some(Cow::Owned(text)) => Value::text(text),
        };
        Ok(SchemaAndValue::new(OPTIONAL_STRING, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_goes_the_text_and_in_comes_an_optional_string() {
        let mut converter = StringConverter::new(Role::Key, &Properties::new()).unwrap();
        for (value, text) in [
            (Value::text("é😀"), Some("é😀")),
            (Value::Float64(1e20), Some("1.0E20")),
            (Value::Null, None),
        ] {
            let mut out = Vec::new();
            let there = converter.write(None, &value, &mut out).unwrap();
            assert_eq!(
                there.then_some(out),
                text.map(|text| text.as_bytes().to_vec())
            );
        }
        let read = converter.read(Some(b"a\xff")).unwrap();
        assert_eq!(
            read,
            SchemaAndValue::new(OPTIONAL_STRING, Value::text("a\u{fffd}"))
        );
    }

    #[test]
    fn other_encodings_are_refused() {
        let mut settings = Properties::new();
        settings.set("converter.encoding", "UTF-16");
        let error = StringConverter::new(Role::Value, &settings)
            .map(drop)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("value.converter.converter.encoding=UTF-16: only")
        );
    }
}
