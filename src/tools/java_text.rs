//! Bytes as text the way Java's `String` reads UTF-8.
use std::borrow::Cow;

/// The text; what is not UTF-8 becomes U+FFFD. Java differs from Rust in one case: a surrogate, of
/// three bytes, is replaced as a whole.
pub fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    let (mut at, mut replaced_to) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        at += chunk.valid().len();
        let invalid = chunk.invalid();
        if !invalid.is_empty() && at >= replaced_to {
            text.push(char::REPLACEMENT_CHARACTER);
            let is_surrogate = invalid == [0xed] && matches!(bytes.get(at + 1), Some(0xa0..=0xbf));
            replaced_to = match bytes.get(at + 2) {
                Some(0x80..=0xbf) if is_surrogate => at + 3,
                _ if is_surrogate => at + 2,
                _ => at + invalid.len(),
            };
        }
        at += invalid.len();
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Java 17 made of the same bytes.
    #[test]
    fn surrogates_are_replaced_as_a_whole() {
        for (bytes, text) in [
            (&b"caf\xc3\xa9"[..], "café"),
            (b"a\xed\xa0\x80b", "a\u{fffd}b"),
            (b"a\xed\xa0b", "a\u{fffd}b"),
            (b"\xed\xa0", "\u{fffd}"),
            (b"\xed\xb0\x80\x80", "\u{fffd}\u{fffd}"),
            (b"\xed\x41", "\u{fffd}A"),
            (b"\xe0\x80\x80", "\u{fffd}\u{fffd}\u{fffd}"),
            (b"\xf0\x9f\x98", "\u{fffd}"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(utf8(bytes), text, "{bytes:x?}");
        }
    }
}
