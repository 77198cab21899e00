//! The values of the records: random letters, pieces of a file, or numbers that count up.
use std::path::Path;

use anyhow::{anyhow, bail};
use fastrand::Rng;
use regex::bytes::Regex;

/// Where values come from; [`Payload::advance`] makes the next one in place.
pub enum Payload {
    Random {
        rng: Rng,
        value: Vec<u8>,
    },
    Pieces {
        rng: Rng,
        pieces: Vec<Vec<u8>>,
        at: usize,
    },
    Number(Vec<u8>),
}

impl Payload {
    pub fn random(size: usize) -> Self {
        Payload::Random {
            rng: Rng::with_seed(0),
            value: vec![0; size],
        }
    }

    pub fn pieces(pieces: Vec<Vec<u8>>) -> Self {
        Payload::Pieces {
            rng: Rng::with_seed(0),
            pieces,
            at: 0,
        }
    }

    pub fn numbers() -> Self {
        Payload::Number(Vec::new())
    }

    /// The value of the record with this index.
    #[inline]
    pub fn advance(&mut self, index: i64) -> &[u8] {
        match self {
            Payload::Random { rng, value } => letters(rng, value),
            Payload::Pieces { rng, pieces, at } => *at = rng.usize(..pieces.len().max(1)),
            Payload::Number(digits) => {
                digits.clear();
                digits.extend_from_slice(index.to_string().as_bytes());
            }
        }
        self.value()
    }

    /// The last value again.
    pub fn value(&self) -> &[u8] {
        match self {
            Payload::Random { value, .. } => value,
            Payload::Pieces { pieces, at, .. } => pieces.get(*at).map_or(&[], Vec::as_slice),
            Payload::Number(digits) => digits,
        }
    }
}

/// Upper-case letters, eight from each random number.
fn letters(rng: &mut Rng, value: &mut [u8]) {
    for chunk in value.chunks_mut(8) {
        let random = rng.u64(..).to_le_bytes();
        for (letter, byte) in chunk.iter_mut().zip(random) {
            *letter = b'A' + ((u16::from(byte) * 26) >> 8) as u8;
        }
    }
}

/// The pieces of a file between delimiters, a regular expression.
pub fn read(path: &Path, delimiter: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let missing = || anyhow!("File does not exist or empty file provided.");
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => missing(),
        _ => anyhow!("{}: {error}", path.display()),
    })?;
    if bytes.is_empty() {
        bail!(missing());
    }
    let delimiter = Regex::new(delimiter)
        .map_err(|error| anyhow!("The payload delimiter is no regular expression: {error}"))?;
    Ok(split(&bytes, &delimiter))
}

/// As Java's `Scanner`: one delimiter before a piece is passed over, two have an empty piece
/// between them, and what ends the text ends the last piece.
fn split(bytes: &[u8], delimiter: &Regex) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    loop {
        let next = delimiter.find_at(bytes, at);
        if let Some(found) = next.filter(|found| found.start() == at) {
            at = found.end();
        }
        if at >= bytes.len() {
            return pieces;
        }
        let mut ahead = delimiter.find_at(bytes, at);
        if ahead.is_some_and(|found| found.is_empty() && found.start() == at) {
            // A delimiter that may be nothing still leaves pieces of one byte at least.
            ahead = delimiter.find_at(bytes, at + 1);
        }
        let end = ahead.map_or(bytes.len(), |found| found.start());
        let piece = bytes.get(at..end).unwrap_or_default();
        pieces.push(String::from_utf8_lossy(piece).into_owned().into_bytes());
        at = end;
        if ahead.is_none() {
            return pieces;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str, delimiter: &str) -> Vec<String> {
        split(text.as_bytes(), &Regex::new(delimiter).unwrap())
            .into_iter()
            .map(|piece| String::from_utf8(piece).unwrap())
            .collect()
    }

    #[test]
    fn files_are_split_as_a_java_scanner_does() {
        assert_eq!(pieces("a\nb\n", "\n"), ["a", "b"]);
        assert_eq!(pieces("\na\n\nb", "\n"), ["a", "", "b"]);
        assert_eq!(pieces("\n", "\n"), [""; 0]);
        assert_eq!(pieces("a1b22c", "[0-9]+"), ["a", "b", "c"]);
        assert_eq!(pieces("abc", "x*"), ["a", "b", "c"]);
    }

    #[test]
    fn values_are_letters_numbers_or_pieces() {
        let mut random = Payload::random(13);
        let first = random.advance(0).to_vec();
        assert!(first.len() == 13 && first.iter().all(u8::is_ascii_uppercase));
        assert_ne!(random.advance(1), first);
        let mut numbers = Payload::numbers();
        assert_eq!(
            (numbers.advance(0).to_vec(), numbers.advance(41)),
            (b"0".to_vec(), &b"41"[..])
        );
        let mut pieces = Payload::pieces(vec![b"a".to_vec(), b"b".to_vec()]);
        let seen: std::collections::BTreeSet<Vec<u8>> = (0..50)
            .map(|index| pieces.advance(index).to_vec())
            .collect();
        assert_eq!(seen.len(), 2);
    }
}
