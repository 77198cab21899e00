//! Text in JSON as Jackson writes it: UTF-8 as it is, but for control characters, quotes and
//! backslashes, and characters above U+FFFF, which become two `\uXXXX`.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// How many bytes are looked at together.
const CHUNK: usize = 32;

/// Whether a byte cannot stand in a JSON string as it is. 0xf0 and above begin characters that
/// Java holds as two units.
#[inline]
const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\' || byte >= 0xf0
}

/// The length of the front that needs no escape.
#[inline]
fn plain_len(text: &[u8]) -> usize {
    let mut plain = 0;
    // Without a branch for each byte, so that the compiler looks at many at once.
    for chunk in text.chunks_exact(CHUNK) {
        if chunk
            .iter()
            .fold(false, |any, byte| any | needs_escape(*byte))
        {
            break;
        }
        plain += CHUNK;
    }
    let rest = text.get(plain..).unwrap_or_default();
    plain
        + rest
            .iter()
            .position(|byte| needs_escape(*byte))
            .unwrap_or(rest.len())
}

/// Writes a string with its quotes.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text;
    loop {
        let (plain, tail) = rest.split_at(plain_len(rest.as_bytes()));
        out.extend_from_slice(plain.as_bytes());
        let mut chars = tail.chars();
        let Some(char) = chars.next() else {
            break;
        };
        write_escape(out, char);
        rest = chars.as_str();
    }
    out.push(b'"');
}

#[cold]
fn write_escape(out: &mut Vec<u8>, char: char) {
    let short = match char {
        '"' => b'"',
        '\\' => b'\\',
        '\u{8}' => b'b',
        '\t' => b't',
        '\n' => b'n',
        '\u{c}' => b'f',
        '\r' => b'r',
        _ => {
            for unit in char.encode_utf16(&mut [0; 2]) {
                let digit = |shift: u16| HEX[usize::from((*unit >> shift) & 15)];
                out.extend([b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
            }
            return;
        }
    };
    out.extend([b'\\', short]);
}

/// Writes bytes as Base64 with padding, in quotes.
pub fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    out.extend(STANDARD.encode(bytes).into_bytes());
    out.push(b'"');
}

/// Reads the inside of a JSON string (no quotes around it) into `out`; `None` if it is not one
/// that can be read here.
pub fn unescape(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(rest.get(..at)?);
        let code = *rest.get(at + 1)?;
        rest = rest.get(at + 2..)?;
        let byte = match code {
            b'"' | b'\\' | b'/' => code,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'f' => 0xc,
            b'r' => b'\r',
            b'u' => {
                let (char, length) = unicode_escape(rest)?;
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                rest = rest.get(length..)?;
                continue;
            }
            _ => return None,
        };
        out.push(byte);
    }
    out.extend_from_slice(rest);
    Some(())
}

/// The character of `XXXX`, or of `XXXX\uXXXX`, and how many bytes that took.
fn unicode_escape(text: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = std::str::from_utf8(text.get(at..at + 4)?).ok()?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)
    };
    let first = unit(0)?;
    if let Some(char) = char::from_u32(first.into()) {
        return Some((char, 4));
    }
    if text.get(4..6)? != b"\\u" {
        return None;
    }
    let char = char::decode_utf16([first, unit(6)?]).next()?.ok()?;
    Some((char, 10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_are_jacksons() {
        for (text, json) in [
            ("", r#""""#),
            ("a/b", r#""a/b""#),
            (
                "\"\\\u{8}\t\n\u{c}\r\u{1}\u{1f}\u{7f}",
                "\"\\\"\\\\\\b\\t\\n\\f\\r\\u0001\\u001F\u{7f}\"",
            ),
            ("é\u{2028}€", "\"é\u{2028}€\""),
            ("x😀y", r#""x\uD83D\uDE00y""#),
        ] {
            assert_eq!(written(text), json);
        }
    }

    #[test]
    fn what_is_no_json_text_is_left_to_the_parser() {
        for text in [
            "\\",
            "\\x",
            "\\u12",
            "\\uD83D",
            "\\uD83Dxx",
            "\\uD83D\\u0041",
            "\\u+123",
        ] {
            assert_eq!(unescape(text.as_bytes(), &mut Vec::new()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC*|[\"\\\\\u{0}-\u{20}a😀é]{0,80}") {
            let json = written(&text);
            prop_assert_eq!(&serde_json::from_str::<String>(&json).unwrap(), &text);
            let mut back = Vec::new();
            prop_assert!(unescape(&json.as_bytes()[1..json.len() - 1], &mut back).is_some());
            prop_assert_eq!(back, text.into_bytes());
        }
    }
}
