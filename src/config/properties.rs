//! Java `.properties` files: reading them as `java.util.Properties.load(InputStream)` does, and
//! writing them as `store` does.
//!
//! Java takes the bytes as ISO-8859-1, so what is not ASCII must be written as `\uXXXX`. Reading UTF-8
//! here would be kinder, but would look for other directories and groups than Kafka did with the
//! same file.
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Keys and values in the order of their first appearance; a later duplicate replaces the value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    entries: Vec<(String, String)>,
}

/// Why a file could not be taken as properties.
#[derive(Debug, thiserror::Error)]
pub enum PropertiesError {
    /// `\u` is not followed by four hexadecimal digits.
    #[error("line {line}: malformed \\u escape, it needs four hexadecimal digits")]
    MalformedUnicodeEscape { line: usize },
    /// The problem of `source`, in the file at `path`.
    #[error("{}: {source}", path.display())]
    InFile {
        path: PathBuf,
        source: Box<PropertiesError>,
    },
    #[error("cannot read {}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot write {}: {source}", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl Properties {
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses text in the syntax of `java.util.Properties`.
    pub fn parse(text: &str) -> Result<Self, PropertiesError> {
        let mut properties = Self::new();
        for (line, text) in logical_lines(text) {
            let (key, value) = split_key(&text);
            properties.set(unescape(key, line)?, unescape(value, line)?);
        }
        Ok(properties)
    }

    /// As [`Properties::parse`], of the bytes of a file: ISO-8859-1, as Java takes them.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, PropertiesError> {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.is_ascii() => Self::parse(text),
            _ => Self::parse(
                &bytes
                    .iter()
                    .map(|byte| char::from(*byte))
                    .collect::<String>(),
            ),
        }
    }

    pub fn load(path: impl AsRef<Path>) -> Result<Self, PropertiesError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| PropertiesError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse_bytes(&bytes).map_err(|source| PropertiesError::InFile {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let (key, value) = (key.into(), value.into());
        match self.entries.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = value,
            None => self.entries.push((key, value)),
        }
    }

    /// Takes `key` out and returns what it held.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        let at = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.entries.remove(at).1)
    }

    /// In file order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes over all of `other`; its values win.
    pub fn extend(&mut self, other: &Properties) {
        for (key, value) in other.iter() {
            self.set(key, value);
        }
    }

    /// The keys that start with `prefix`, without it: `producer.acks=1` → `acks=1`.
    pub fn with_prefix(&self, prefix: &str) -> Properties {
        self.iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value)))
            .collect()
    }

    /// The text that Java's `store` writes, without its date line: ASCII only, everything else
    /// escaped. Each line of `comments` becomes a `#` line; Java puts its date there.
    pub fn to_text(&self, comments: &[&str]) -> String {
        let mut text = String::new();
        for comment in comments.iter().flat_map(|comment| comment.split('\n')) {
            text.push('#');
            push_escaped(&mut text, comment, Part::Comment);
            text.push('\n');
        }
        for (key, value) in self.iter() {
            push_escaped(&mut text, key, Part::Key);
            text.push('=');
            push_escaped(&mut text, value, Part::Value);
            text.push('\n');
        }
        text
    }

    pub fn store(&self, path: impl AsRef<Path>, comments: &[&str]) -> Result<(), PropertiesError> {
        let path = path.as_ref();
        std::fs::write(path, self.to_text(comments)).map_err(|source| PropertiesError::Write {
            path: path.to_owned(),
            source,
        })
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut properties = Self::new();
        for (key, value) in pairs {
            properties.set(key, value);
        }
        properties
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// The natural lines with continuations joined, comments and blank lines left out, each with the
/// number of its first line. Only `\n`, `\r` and `\r\n` end a line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    // As long as nothing has been joined, a line is not a continuation to Java.
    let mut open = (0, String::new());
    let natural = natural_lines(text);
    let ends_in_line_end = text.ends_with(['\n', '\r']) && !text.ends_with("\r\n");
    let last = natural.len() - if ends_in_line_end { 2 } else { 1 };
    for (number, natural_line) in natural.iter().enumerate() {
        let content = natural_line.trim_start_matches(is_blank);
        if open.1.is_empty() {
            if content.is_empty() || content.starts_with(['#', '!']) {
                continue;
            }
            open.0 = number + 1;
        }
        let backslashes = content.len() - content.trim_end_matches('\\').len();
        if backslashes % 2 == 0 {
            open.1.push_str(content);
            lines.push(std::mem::take(&mut open));
            continue;
        }
        open.1.push_str(&content[..content.len() - 1]);
        // A backslash at the very end of the file continues into nothing, but makes a line.
        if number == last {
            lines.push(std::mem::take(&mut open));
        }
    }
    lines.extend(Some(open).filter(|(_, line)| !line.is_empty()));
    lines
}

fn natural_lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find(['\n', '\r']) {
        lines.push(&rest[..end]);
        let after = &rest[end..];
        rest = after.strip_prefix("\r\n").unwrap_or(&after[1..]);
    }
    lines.push(rest);
    lines
}

/// Cuts at the first unescaped `=`, `:` or blank; blanks and at most one `=` or `:` separate.
fn split_key(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let key_end = line
        .char_indices()
        .find(|(_, c)| {
            let ends = !escaped && (is_blank(*c) || matches!(c, '=' | ':'));
            escaped = *c == '\\' && !escaped;
            ends
        })
        .map_or(line.len(), |(at, _)| at);
    let (key, rest) = line.split_at(key_end);
    let rest = rest.trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(is_blank))
}

fn unescape(text: &str, line: usize) -> Result<String, PropertiesError> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    let malformed = || PropertiesError::MalformedUnicodeEscape { line };
    // Collected as UTF-16, because a pair of \u escapes may make up one character.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let plain = match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some('u') => {
                    let mut unit = 0u16;
                    for _ in 0..4 {
                        let digit = chars.next().and_then(|c| c.to_digit(16));
                        unit = unit << 4 | digit.ok_or_else(malformed)? as u16;
                    }
                    units.push(unit);
                    continue;
                }
                Some(other) => other,
                None => break,
            },
            c => c,
        };
        units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
    }
    Ok(String::from_utf16_lossy(&units))
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Comment,
    Key,
    Value,
}

/// Escapes as `store` does: in keys every blank, in values only a leading one.
fn push_escaped(out: &mut String, text: &str, part: Part) {
    for (at, c) in text.chars().enumerate() {
        match c {
            ' '..='~' if part == Part::Comment => out.push(c),
            ' ' if part == Part::Value && at > 0 => out.push(' '),
            ' ' | '\\' | '=' | ':' | '#' | '!' => out.extend(['\\', c]),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{unit:04X}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let parsed = Properties::parse(text).unwrap();
        assert_eq!(parsed.iter().collect::<Vec<_>>(), expected, "of {text:?}");
    }

    #[test]
    fn reads_every_separator() {
        check(
            "a=1\nb:2\nc 3\nd = 4\ne\t:\t5\n f=6",
            &[
                ("a", "1"),
                ("b", "2"),
                ("c", "3"),
                ("d", "4"),
                ("e", "5"),
                ("f", "6"),
            ],
        );
        check("a==b", &[("a", "=b")]);
        check("a = = b", &[("a", "= b")]);
        check("key", &[("key", "")]);
        check("=value", &[("", "value")]);
    }

    #[test]
    fn keeps_blanks_at_the_end_of_a_value() {
        check("a=1 \n", &[("a", "1 ")]);
    }

    #[test]
    fn skips_comments_and_blank_lines() {
        check(
            "# a=1\n  ! b=2\n\n \t\nc=3 # not a comment\r\n#d\\\ne=4",
            &[("c", "3 # not a comment"), ("e", "4")],
        );
    }

    #[test]
    fn joins_continuation_lines() {
        check(
            "fruits  apple, \\\n    pear\\\r\n    ,kiwi",
            &[("fruits", "apple, pear,kiwi")],
        );
        check("a=1\\\\\nb=2", &[("a", "1\\"), ("b", "2")]);
        check("a=1\\\n# 2", &[("a", "1# 2")]);
        check("a=1\\\n\nb=2", &[("a", "1"), ("b", "2")]);
        check("a=1\\", &[("a", "1")]);
    }

    #[test]
    fn resolves_escapes() {
        check(r"a\ b\=c\:d=\ x\ty\nz\\", &[("a b=c:d", " x\ty\nz\\")]);
        check(r"k=\u00e9\uD83D\uDE00\q", &[("k", "é😀q")]);
    }

    #[test]
    fn names_the_line_of_a_malformed_escape() {
        let error = Properties::parse("a=1\nb=2\\\n  3\nc=\\u12g4").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 4: malformed \\u escape, it needs four hexadecimal digits"
        );
        assert!(Properties::parse("a=\\u12").is_err());
    }

    #[test]
    fn later_duplicates_win_in_the_first_place() {
        check("a=1\nb=2\na=3", &[("a", "3"), ("b", "2")]);
    }

    #[test]
    fn takes_bytes_as_latin1_as_java_does() {
        assert_eq!(
            Properties::parse_bytes(b"a=\xe9").unwrap().get("a"),
            Some("é")
        );
        assert_eq!(
            Properties::parse_bytes("a=é".as_bytes()).unwrap().get("a"),
            Some("Ã©")
        );
        assert_eq!(
            Properties::parse_bytes(b"a=b\\u00e9").unwrap().get("a"),
            Some("bé")
        );
    }

    #[test]
    fn cuts_prefixes() {
        let all = Properties::parse("producer.acks=1\nacks=2").unwrap();
        assert_eq!(
            all.with_prefix("producer."),
            Properties::parse("acks=1").unwrap()
        );
    }

    #[test]
    fn writes_as_java_stores() {
        let properties: Properties = [("a b", " x  y"), ("k=:#!", "#!=:\\\t\né"), ("", "")]
            .into_iter()
            .collect();
        assert_eq!(
            properties.to_text(&["", "by é"]),
            "#\n#by \\u00E9\na\\ b=\\ x  y\nk\\=\\:\\#\\!=\\#\\!\\=\\:\\\\\\t\\n\\u00E9\n=\n"
        );
    }

    fn from_hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn reads_odd_bytes_as_java_does() {
        let fixture = include_str!("../../tests/fixtures/config/properties.tsv");
        for line in fixture.lines().filter(|line| !line.starts_with('#')) {
            let (bytes, expected) = line.split_once('\t').unwrap();
            let found = match Properties::parse_bytes(&from_hex(bytes)) {
                Err(_) => "malformed".to_owned(),
                Ok(properties) => {
                    let hex = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect();
                    let mut pairs: Vec<(String, String)> = properties
                        .iter()
                        .map(|(key, value)| (hex(key), hex(value)))
                        .collect();
                    pairs.sort();
                    let pairs: Vec<String> = pairs
                        .iter()
                        .map(|(key, value)| format!("{key}={value}"))
                        .collect();
                    pairs.join(" ")
                }
            };
            let text = String::from_utf8_lossy(&from_hex(bytes)).into_owned();
            assert_eq!(found, expected, "of {text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(pairs in prop::collection::vec((".*", ".*"), 0..8)) {
            let properties: Properties = pairs.into_iter().collect();
            prop_assert_eq!(Properties::parse(&properties.to_text(&["c"])).unwrap(), properties);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Properties::parse_bytes(&bytes);
        }

        #[test]
        fn any_escape_soup_is_read_without_panic(text in r"[\\u0-9a-f=: \r\n#!é]{0,60}") {
            let _ = Properties::parse(&text);
        }
    }
}
