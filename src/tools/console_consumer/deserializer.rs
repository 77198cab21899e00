//! Kafka's deserializers, as far as printing goes: bytes in, the text of Java's `toString` out.
use std::fmt::Write as _;
use std::io::Write as _;

use thiserror::Error;

use crate::config::Properties;
use crate::tools::java_order::string_hash;

const PACKAGE: &str = "org.apache.kafka.common.serialization.";

/// A deserializer that a formatter was told to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deserializer {
    String(Encoding),
    ByteArray,
    ByteBuffer,
    Bytes,
    Boolean,
    Short,
    Integer,
    Long,
    Float,
    Double,
    Uuid(Encoding),
    Void,
}

/// What `deserializer.encoding` may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Latin1,
    Ascii,
    Utf16 { little_endian: bool },
}

/// The record's bytes are not what the deserializer is for; the texts are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DeserializeError {
    #[error("Size of data received by {0} is not {1}")]
    Size(&'static str, usize),
    #[error("Error parsing data into UUID")]
    Uuid,
    #[error("Data should be null for a VoidDeserializer.")]
    Void,
    #[error("Unexpected byte received by BooleanDeserializer: {0}")]
    Boolean(u8),
}

impl Deserializer {
    /// The deserializer of that class, with its settings (without their prefix).
    pub fn by_class(class: &str, is_key: bool, settings: &Properties) -> Option<Self> {
        let encoding = || {
            let own = if is_key {
                "key.deserializer.encoding"
            } else {
                "value.deserializer.encoding"
            };
            let name = settings
                .get(own)
                .or_else(|| settings.get("deserializer.encoding"));
            name.map_or(Some(Encoding::Utf8), Encoding::by_name)
        };
        let name = class.strip_prefix(PACKAGE)?.strip_suffix("Deserializer")?;
        Some(match name {
            "String" => Deserializer::String(encoding()?),
            "ByteArray" => Deserializer::ByteArray,
            "ByteBuffer" => Deserializer::ByteBuffer,
            "Bytes" => Deserializer::Bytes,
            "Boolean" => Deserializer::Boolean,
            "Short" => Deserializer::Short,
            "Integer" => Deserializer::Integer,
            "Long" => Deserializer::Long,
            "Float" => Deserializer::Float,
            "Double" => Deserializer::Double,
            "UUID" => Deserializer::Uuid(encoding()?),
            "Void" => Deserializer::Void,
            _ => return None,
        })
    }

    /// Appends the text of `data` to `out`.
    pub fn write(self, data: &[u8], out: &mut Vec<u8>) -> Result<(), DeserializeError> {
        match self {
            Deserializer::String(encoding) => encoding.write(data, out),
            // The name and a number that is random in Java: here it depends on the bytes alone.
            Deserializer::ByteArray => {
                let hash = string_hash(&String::from_utf8_lossy(data));
                put(out, format_args!("[B@{:x}", hash & 0x7fff_ffff));
            }
            Deserializer::ByteBuffer => {
                let len = data.len();
                put(
                    out,
                    format_args!("java.nio.HeapByteBuffer[pos=0 lim={len} cap={len}]"),
                );
            }
            Deserializer::Bytes => write_escaped(data, out),
            Deserializer::Boolean => match sized::<1>(data, "BooleanDeserializer")? {
                [0] => out.extend_from_slice(b"false"),
                [1] => out.extend_from_slice(b"true"),
                [other] => return Err(DeserializeError::Boolean(other)),
            },
            Deserializer::Short => {
                put(out, i16::from_be_bytes(sized(data, "ShortDeserializer")?));
            }
            Deserializer::Integer => {
                put(out, i32::from_be_bytes(sized(data, "IntegerDeserializer")?));
            }
            Deserializer::Long => put(out, i64::from_be_bytes(sized(data, "LongDeserializer")?)),
            Deserializer::Float => {
                let number = f32::from_be_bytes(sized(data, "Deserializer")?);
                let (long, short) = (format!("{number:e}"), format!("{number:.1e}"));
                put(out, java_number(f64::from(number), &long, &short));
            }
            Deserializer::Double => {
                let number = f64::from_be_bytes(sized(data, "Deserializer")?);
                let (long, short) = (format!("{number:e}"), format!("{number:.1e}"));
                put(out, java_number(number, &long, &short));
            }
            Deserializer::Uuid(encoding) => {
                let mut text = Vec::new();
                encoding.write(data, &mut text);
                let text = std::str::from_utf8(&text).map_err(|_| DeserializeError::Uuid)?;
                put(out, java_uuid(text).ok_or(DeserializeError::Uuid)?);
            }
            Deserializer::Void => return Err(DeserializeError::Void),
        }
        Ok(())
    }
}

fn put(out: &mut Vec<u8>, text: impl std::fmt::Display) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "{text}");
}

fn sized<const N: usize>(data: &[u8], who: &'static str) -> Result<[u8; N], DeserializeError> {
    data.try_into().map_err(|_| DeserializeError::Size(who, N))
}

/// `Bytes.toString`: printable ASCII as it is, the rest as `\x0A`.
fn write_escaped(data: &[u8], out: &mut Vec<u8>) {
    for byte in data {
        match byte {
            b' '..=b'~' if *byte != b'\\' => out.push(*byte),
            _ => put(out, format_args!("\\x{byte:02X}")),
        }
    }
}

/// Java's text of a floating-point number, from Rust's shortest and two-digit scientific forms.
fn java_number(number: f64, shortest: &str, two_digits: &str) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let absolute = number.abs();
    if number == 0.0 {
        return format!("{mantissa}.0");
    }
    if (1e-3..1e7).contains(&absolute) {
        return plain(mantissa, exponent);
    }
    // Java shows at least one digit after the point, and then the one that is nearest.
    if mantissa.contains('.') {
        return format!("{mantissa}E{exponent}");
    }
    two_digits.replacen('e', "E", 1)
}

/// `-1.25` and an exponent as a plain decimal with at least one digit on either side of the point.
fn plain(mantissa: &str, exponent: i32) -> String {
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let mut digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let mut text = sign.to_owned();
    if exponent < 0 {
        let zeros = "0".repeat((-exponent - 1).unsigned_abs() as usize);
        let _ = write!(text, "0.{zeros}{digits}");
        return text;
    }
    let whole = exponent.unsigned_abs() as usize + 1;
    while digits.len() <= whole {
        digits.push('0');
    }
    let (before, after) = digits.split_at(whole);
    let _ = write!(text, "{before}.{after}");
    text
}

/// `UUID.fromString(text).toString()`: five groups of hexadecimal digits, each cut to its width.
fn java_uuid(text: &str) -> Option<String> {
    let groups: Vec<&str> = text.split('-').collect();
    let widths = [8, 4, 4, 4, 12];
    if text.len() > 36 || groups.len() != widths.len() {
        return None;
    }
    let mut parts = Vec::with_capacity(widths.len());
    for (group, width) in groups.iter().zip(widths) {
        let value = u64::from_str_radix(group, 16).ok()?;
        let value = value & (u64::MAX >> (64 - 4 * width));
        parts.push(format!("{value:0width$x}"));
    }
    Some(parts.join("-"))
}

impl Encoding {
    fn by_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Encoding::Utf8,
            "ISO-8859-1" | "ISO8859_1" | "LATIN1" => Encoding::Latin1,
            "US-ASCII" | "ASCII" => Encoding::Ascii,
            "UTF-16" | "UTF-16BE" => Encoding::Utf16 {
                little_endian: false,
            },
            "UTF-16LE" => Encoding::Utf16 {
                little_endian: true,
            },
            _ => return None,
        })
    }

    fn write(self, data: &[u8], out: &mut Vec<u8>) {
        match self {
            Encoding::Utf8 => {
                out.extend_from_slice(String::from_utf8_lossy(data).as_bytes());
            }
            Encoding::Latin1 => {
                data.iter().for_each(|byte| put(out, char::from(*byte)));
            }
            Encoding::Ascii => data.iter().for_each(|byte| {
                put(
                    out,
                    if byte.is_ascii() {
                        char::from(*byte)
                    } else {
                        '\u{fffd}'
                    },
                );
            }),
            Encoding::Utf16 { little_endian } => {
                let units = data.chunks_exact(2).map(|pair| match pair {
                    [a, b] if little_endian => u16::from_le_bytes([*a, *b]),
                    [a, b] => u16::from_be_bytes([*a, *b]),
                    _ => 0xfffd,
                });
                char::decode_utf16(units).for_each(|unit| put(out, unit.unwrap_or('\u{fffd}')));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, data: &[u8]) -> String {
        let class = format!("{PACKAGE}{name}Deserializer");
        let deserializer = Deserializer::by_class(&class, false, &Properties::new()).unwrap();
        let mut out = Vec::new();
        match deserializer.write(data, &mut out) {
            Ok(()) => String::from_utf8(out).unwrap(),
            Err(error) => error.to_string(),
        }
    }

    /// What Kafka 4.3.1 printed for these bytes.
    #[test]
    fn texts_are_javas() {
        assert_eq!(text("Integer", b"abcd"), "1633837924");
        assert_eq!(text("Long", b"abcdefgh"), "7017280452245743464");
        assert_eq!(text("Short", b"ab"), "24930");
        assert_eq!(text("Double", b"abcdefgh"), "1.2926117907728089E161");
        assert_eq!(text("Float", b"abcd"), "2.6100788E20");
        assert_eq!(
            text("ByteBuffer", b"abc"),
            "java.nio.HeapByteBuffer[pos=0 lim=3 cap=3]"
        );
        assert_eq!(text("Bytes", b"a\n\\\xff"), "a\\x0A\\x5C\\xFF");
        assert_eq!(text("Boolean", &[1]), "true");
        assert_eq!(text("String", "grün".as_bytes()), "grün");
        assert_eq!(text("String", b"d\xff"), "d\u{fffd}");
        assert!(text("ByteArray", b"abc").starts_with("[B@"));
        let uuid = "123e4567-e89b-12d3-a456-426614174000";
        assert_eq!(text("UUID", uuid.as_bytes()), uuid);
        assert_eq!(
            text("UUID", b"1-2-3-4-5"),
            "00000001-0002-0003-0004-000000000005"
        );
    }

    #[test]
    fn what_does_not_fit_is_named_as_kafka_names_it() {
        assert_eq!(
            text("Long", b"abc"),
            "Size of data received by LongDeserializer is not 8"
        );
        assert_eq!(
            text("Double", b"abc"),
            "Size of data received by Deserializer is not 8"
        );
        assert_eq!(text("UUID", b"abc"), "Error parsing data into UUID");
        assert_eq!(
            text("Void", b""),
            "Data should be null for a VoidDeserializer."
        );
    }

    #[test]
    fn numbers_read_as_in_java() {
        for (number, want) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-12.5, "-12.5"),
            (0.1, "0.1"),
            (100.0, "100.0"),
            (0.001, "0.001"),
            (0.0009999, "9.999E-4"),
            (1e6, "1000000.0"),
            (1e7, "1.0E7"),
            (1e21, "1.0E21"),
            (123456789012.5, "1.234567890125E11"),
            (f64::MAX, "1.7976931348623157E308"),
            (5e-324, "4.9E-324"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(text("Double", &f64::to_be_bytes(number)), want);
        }
        for (number, want) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e10, "1.0E10"),
            (1.4e-45, "1.4E-45"),
            (2e-44, "2.0E-44"),
        ] {
            assert_eq!(text("Float", &f32::to_be_bytes(number)), want);
        }
    }

    #[test]
    fn encodings_come_from_the_settings() {
        let class = format!("{PACKAGE}StringDeserializer");
        let by = |key: &str, value: &str, is_key| {
            let settings = Properties::from_iter([(key, value)]);
            Deserializer::by_class(&class, is_key, &settings)
        };
        let latin1 = Some(Deserializer::String(Encoding::Latin1));
        assert_eq!(by("deserializer.encoding", "iso-8859-1", false), latin1);
        assert_eq!(by("key.deserializer.encoding", "ISO-8859-1", true), latin1);
        assert_eq!(by("deserializer.encoding", "nonsense", false), None);
        let mut out = Vec::new();
        Deserializer::String(Encoding::Latin1)
            .write(b"gr\xfcn", &mut out)
            .unwrap();
        assert_eq!(out, "grün".as_bytes());
        assert_eq!(
            Deserializer::by_class("no.such.Des", false, &Properties::new()),
            None
        );
    }
}
