//! JSON as Kafka's tools write it: that of Java's Jackson, which spells a few numbers and control
//! characters otherwise than `serde_json` does.
use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CharEscape, Formatter, Serializer};

use crate::config::value::java_double;

/// The value on one line.
pub fn to_string(value: &Value) -> String {
    let mut out = Vec::new();
    // Neither the vector nor a value that is JSON already can fail.
    let _ = value.serialize(&mut Serializer::with_formatter(&mut out, Jackson));
    String::from_utf8(out).unwrap_or_default()
}

struct Jackson;

impl Formatter for Jackson {
    fn write_number_str<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        text: &str,
    ) -> io::Result<()> {
        match text.parse::<f64>() {
            Ok(number) if text.contains(['.', 'e', 'E']) => {
                writer.write_all(java_double(number).as_bytes())
            }
            _ => writer.write_all(text.as_bytes()),
        }
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::Quote => writer.write_all(br#"\""#),
            CharEscape::ReverseSolidus => writer.write_all(br"\\"),
            CharEscape::Solidus => writer.write_all(b"/"),
            CharEscape::Backspace => writer.write_all(br"\b"),
            CharEscape::FormFeed => writer.write_all(br"\f"),
            CharEscape::LineFeed => writer.write_all(br"\n"),
            CharEscape::CarriageReturn => writer.write_all(br"\r"),
            CharEscape::Tab => writer.write_all(br"\t"),
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04X}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What Jackson made of the same.
    #[test]
    fn numbers_and_control_characters_are_javas() {
        for (value, text) in [
            (
                json!({"a": 1, "b": [true, null]}),
                r#"{"a":1,"b":[true,null]}"#,
            ),
            (json!(1048576.0), "1048576.0"),
            (json!(1e7), "1.0E7"),
            (json!(0.0001), "1.0E-4"),
            (json!(-9_223_372_036_854_775_808i64), "-9223372036854775808"),
            (json!("a\u{1f}\n\"/é"), r#""a\u001F\n\"/é""#),
        ] {
            assert_eq!(to_string(&value), text);
        }
    }
}
