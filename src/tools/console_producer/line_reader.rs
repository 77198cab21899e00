//! What a line means: headers, key and value, as Kafka's `LineMessageReader` splits them.

use memchr::memmem;
use regex::bytes::Regex;
use thiserror::Error;

use crate::config::Properties;

/// The settings of `--reader-property` and `--reader-config`.
#[derive(Debug)]
pub struct LineReader {
    pub topic: String,
    parse_key: bool,
    key_separator: String,
    parse_headers: bool,
    headers_delimiter: String,
    headers_separator: Separator,
    headers_key_separator: String,
    ignore_error: bool,
    null_marker: Option<String>,
}

/// `headers.separator` is a regular expression; almost always it is plain text.
#[derive(Debug)]
enum Separator {
    Text(String),
    Pattern(Regex),
}

/// A header's name and value.
type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// The parts of a line, borrowed from it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LineRecord<'a> {
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Vec<Header<'a>>,
}

/// Why a line is no record; the texts are Kafka's.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum LineError {
    #[error("No {what} found on line number {number}: '{line}'")]
    Separator {
        what: &'static str,
        number: u64,
        line: String,
    },
    #[error("No header key separator found in pair '{pair}' on line number {number}")]
    HeaderKeySeparator { pair: String, number: u64 },
    #[error("Header keys should not be equal to the null marker '{0}' as they can't be null")]
    NullHeaderKey(String),
}

/// Why the settings make no reader; the texts are Kafka's.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum ReaderError {
    #[error("{0} and {1} may not be equal")]
    Equal(&'static str, &'static str),
    #[error("headers.separator '{0}' is not a regular expression")]
    Pattern(String),
}

impl LineReader {
    pub fn new(topic: &str, properties: &Properties) -> Result<Self, ReaderError> {
        let get = |name: &str| properties.get(name).map(str::to_owned);
        let is_true =
            |name: &str| get(name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let text = |name: &str, default: &str| get(name).unwrap_or_else(|| default.to_owned());
        let headers_separator = text("headers.separator", ",");
        let reader = LineReader {
            topic: text("topic", topic),
            parse_key: is_true("parse.key"),
            key_separator: text("key.separator", "\t"),
            parse_headers: is_true("parse.headers"),
            headers_delimiter: text("headers.delimiter", "\t"),
            headers_key_separator: text("headers.key.separator", ":"),
            ignore_error: is_true("ignore.error"),
            null_marker: get("null.marker"),
            headers_separator: Separator::new(&headers_separator)?,
        };
        let marker = reader.null_marker.as_deref();
        let named = [
            ("headers.delimiter", reader.headers_delimiter.as_str()),
            ("headers.separator", headers_separator.as_str()),
            (
                "headers.key.separator",
                reader.headers_key_separator.as_str(),
            ),
        ];
        for (i, (name, text)) in named.iter().enumerate() {
            if let Some((other, _)) = named.iter().skip(i + 1).find(|(_, other)| other == text) {
                return Err(ReaderError::Equal(name, other));
            }
        }
        let [delimiter, separator, key_separator] = named;
        let key = ("key.separator", reader.key_separator.as_str());
        for (name, text) in [key, separator, delimiter, key_separator] {
            if marker == Some(text) {
                return Err(ReaderError::Equal("null.marker", name));
            }
        }
        Ok(reader)
    }

    /// Splits line number `number` (from 1).
    #[inline]
    pub fn parse<'a>(&self, number: u64, line: &'a [u8]) -> Result<LineRecord<'a>, LineError> {
        if !self.parse_key && !self.parse_headers {
            return Ok(LineRecord {
                value: self.unless_null(line),
                ..LineRecord::default()
            });
        }
        let mut rest = line;
        let headers = self.part(
            self.parse_headers,
            &mut rest,
            &self.headers_delimiter,
            ("headers delimiter", number, line),
        )?;
        let key = self.part(
            self.parse_key,
            &mut rest,
            &self.key_separator,
            ("key separator", number, line),
        )?;
        let headers = match headers.and_then(|headers| self.unless_null(headers)) {
            Some(headers) => self.headers(headers, number)?,
            None => Vec::new(),
        };
        Ok(LineRecord {
            key: key.and_then(|key| self.unless_null(key)),
            value: self.unless_null(rest),
            headers,
        })
    }

    fn unless_null<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        match &self.null_marker {
            Some(marker) if marker.as_bytes() == text => None,
            _ => Some(text),
        }
    }

    /// The part of `rest` before the separator, which is cut off with it.
    fn part<'a>(
        &self,
        wanted: bool,
        rest: &mut &'a [u8],
        separator: &str,
        (what, number, line): (&'static str, u64, &[u8]),
    ) -> Result<Option<&'a [u8]>, LineError> {
        if !wanted {
            return Ok(None);
        }
        match cut(rest, separator) {
            Some((part, after)) => {
                *rest = after;
                Ok(Some(part))
            }
            None if self.ignore_error => Ok(None),
            None => {
                let line = String::from_utf8_lossy(line).into_owned();
                Err(LineError::Separator { what, number, line })
            }
        }
    }

    fn headers<'a>(&self, text: &'a [u8], number: u64) -> Result<Vec<Header<'a>>, LineError> {
        let mut headers = Vec::new();
        for pair in self.headers_separator.split(text) {
            let Some((key, value)) = cut(pair, &self.headers_key_separator) else {
                if self.ignore_error {
                    headers.push((pair, None));
                    continue;
                }
                let pair = String::from_utf8_lossy(pair).into_owned();
                return Err(LineError::HeaderKeySeparator { pair, number });
            };
            if self.unless_null(key).is_none() {
                let marker = self.null_marker.clone().unwrap_or_default();
                return Err(LineError::NullHeaderKey(marker));
            }
            headers.push((key, self.unless_null(value)));
        }
        Ok(headers)
    }
}

fn cut<'a>(text: &'a [u8], separator: &str) -> Option<(&'a [u8], &'a [u8])> {
    let at = memmem::find(text, separator.as_bytes())?;
    Some((text.get(..at)?, text.get(at + separator.len()..)?))
}

impl Separator {
    fn new(text: &str) -> Result<Self, ReaderError> {
        if regex::escape(text) == text && !text.is_empty() {
            return Ok(Separator::Text(text.to_owned()));
        }
        let pattern = Regex::new(text).map_err(|_| ReaderError::Pattern(text.to_owned()))?;
        Ok(Separator::Pattern(pattern))
    }

    /// As Java's `Pattern.split`: empty parts at the end are left out, unless nothing was split.
    fn split<'a>(&self, text: &'a [u8]) -> Vec<&'a [u8]> {
        let mut parts: Vec<&[u8]> = match self {
            Separator::Text(separator) => {
                let mut parts = Vec::new();
                let mut rest = text;
                while let Some((part, after)) = cut(rest, separator) {
                    parts.push(part);
                    rest = after;
                }
                parts.push(rest);
                parts
            }
            Separator::Pattern(pattern) => pattern.split(text).collect(),
        };
        if parts.len() > 1 {
            while parts.last().is_some_and(|part| part.is_empty()) {
                parts.pop();
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(properties: &[(&str, &str)]) -> Result<LineReader, ReaderError> {
        let properties = properties.iter().copied().collect();
        LineReader::new("t", &properties)
    }

    /// `headers|key|value`, with `-` for null.
    fn check(properties: &[(&str, &str)], line: &str, want: &str) {
        let reader = reader(properties).unwrap();
        let show = |part: Option<&[u8]>| {
            part.map_or("-".to_owned(), |part| {
                String::from_utf8_lossy(part).into_owned()
            })
        };
        let got = match reader.parse(2, line.as_bytes()) {
            Ok(record) => {
                let headers: Vec<String> = record
                    .headers
                    .iter()
                    .map(|(key, value)| format!("{}={}", show(Some(key)), show(*value)))
                    .collect();
                format!(
                    "{}|{}|{}",
                    headers.join(","),
                    show(record.key),
                    show(record.value)
                )
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(got, want, "{line}");
    }

    const KEY: (&str, &str) = ("parse.key", "true");
    const HEADERS: (&str, &str) = ("parse.headers", " TRUE ");
    const LENIENT: (&str, &str) = ("ignore.error", "true");
    const NULL: (&str, &str) = ("null.marker", "NIL");

    #[test]
    fn values_keys_and_headers() {
        check(&[], "a\tb", "|-|a\tb");
        check(&[KEY], "k\tv\tw", "|k|v\tw");
        check(&[KEY, ("key.separator", "::")], "k::v", "|k|v");
        check(&[KEY, HEADERS], "h1:v1,h2:v2\tk\tval", "h1=v1,h2=v2|k|val");
        check(&[KEY, HEADERS], "a:\tk\tv", "a=|k|v");
        check(
            &[HEADERS, ("headers.separator", "[;,]")],
            "a:1;b:2,c:3\tv",
            "a=1,b=2,c=3|-|v",
        );
        check(
            &[HEADERS, ("headers.separator", "\\|")],
            "a:1|b:2\tv",
            "a=1,b=2|-|v",
        );
        check(&[HEADERS], "a:1,,\tv", "a=1|-|v");
    }

    #[test]
    fn what_is_missing_is_named_or_ignored() {
        check(
            &[KEY],
            "nosep",
            "No key separator found on line number 2: 'nosep'",
        );
        check(&[KEY, LENIENT], "nosep", "|-|nosep");
        check(
            &[HEADERS],
            "v",
            "No headers delimiter found on line number 2: 'v'",
        );
        check(
            &[HEADERS],
            "a:1,b\tv",
            "No header key separator found in pair 'b' on line number 2",
        );
        check(&[HEADERS, LENIENT], "a:1,b\tv", "a=1,b=-|-|v");
        check(&[HEADERS, LENIENT], "\tv", "=-|-|v");
    }

    #[test]
    fn the_marker_makes_nulls() {
        check(&[NULL], "NIL", "|-|-");
        check(&[KEY, NULL], "NIL\tv1", "|-|v1");
        check(&[KEY, NULL], "k\tNIL", "|k|-");
        check(&[HEADERS, NULL], "NIL\tv", "|-|v");
        check(&[HEADERS, NULL], "a:NIL\tv", "a=-|-|v");
        check(
            &[HEADERS, NULL],
            "NIL:1\tv",
            "Header keys should not be equal to the null marker 'NIL' as they can't be null",
        );
    }

    #[test]
    fn separators_must_differ() {
        let error = |properties: &[(&str, &str)]| reader(properties).unwrap_err().to_string();
        assert_eq!(
            error(&[("headers.delimiter", ",")]),
            "headers.delimiter and headers.separator may not be equal"
        );
        assert_eq!(
            error(&[("headers.key.separator", ",")]),
            "headers.separator and headers.key.separator may not be equal"
        );
        assert_eq!(
            error(&[("null.marker", "\t")]),
            "null.marker and key.separator may not be equal"
        );
    }
}
