//! Lines out of a stream of bytes, however it is cut into reads.
//!
//! A line ends with `\n`, `\r\n`, or a `\r` that something else follows: a `\r` at the end of what
//! is there waits for the next byte, as what has no end yet does.
use std::ops::Range;

use memchr::memchr2;

/// Bytes that were read and the lines in them.
#[derive(Debug, Default)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    /// Where the first line that was not handed out begins.
    start: usize,
    /// Up to here there is no end of a line after `start`.
    scanned: usize,
    /// Where `start` is in the stream.
    position: u64,
}

/// A line: where it is in the buffer, and where in the stream it ends with its terminator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub text: Range<usize>,
    pub end: u64,
}

impl LineBuffer {
    /// For a stream that is read from `position` on.
    pub fn at(position: u64) -> Self {
        Self {
            position,
            ..Self::default()
        }
    }

    /// Where the next line begins in the stream.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes that wait for the end of their line.
    pub fn pending(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub fn text(&self, line: &Line) -> &[u8] {
        self.bytes.get(line.text.clone()).unwrap_or_default()
    }

    /// Room of `len` bytes at the end, for the next read; [`LineBuffer::filled`] says how many of
    /// them are used. Ranges of earlier lines end their life here.
    pub fn space(&mut self, len: usize) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        let used = self.bytes.len();
        self.bytes.resize(used + len, 0);
        self.bytes.get_mut(used..).unwrap_or_default()
    }

    /// Of the `len` bytes of the last [`LineBuffer::space`], keeps the first `used`.
    pub fn filled(&mut self, len: usize, used: usize) {
        let spare = len.saturating_sub(used);
        self.bytes
            .truncate(self.bytes.len() - spare.min(self.bytes.len()));
    }

    /// The next complete line.
    pub fn next_line(&mut self) -> Option<Line> {
        let found = memchr2(b'\n', b'\r', self.bytes.get(self.scanned..)?);
        let Some(end) = found.map(|at| self.scanned + at) else {
            self.scanned = self.bytes.len();
            return None;
        };
        let length = match (self.bytes.get(end), self.bytes.get(end + 1)) {
            (Some(b'\n'), _) => 1,
            (_, Some(b'\n')) => 2,
            (_, Some(_)) => 1,
            (_, None) => {
                self.scanned = end;
                return None;
            }
        };
        let next = end + length;
        let line = Line {
            text: self.start..end,
            end: self.position + (next - self.start) as u64,
        };
        self.position = line.end;
        self.start = next;
        self.scanned = next;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `pieces` and collects the lines with their ends.
    fn split(pieces: &[&[u8]]) -> (Vec<(Vec<u8>, u64)>, LineBuffer) {
        let mut buffer = LineBuffer::default();
        let mut lines = Vec::new();
        for piece in pieces {
            let room = piece.len() + 7;
            buffer.space(room)[..piece.len()].copy_from_slice(piece);
            buffer.filled(room, piece.len());
            while let Some(line) = buffer.next_line() {
                lines.push((buffer.text(&line).to_vec(), line.end));
            }
        }
        (lines, buffer)
    }

    /// The rule, said plainly.
    fn expected(text: &[u8]) -> Vec<(Vec<u8>, u64)> {
        let mut lines = Vec::new();
        let (mut start, mut at) = (0, 0);
        while at < text.len() {
            let length = match (text[at], text.get(at + 1)) {
                (b'\n', _) | (b'\r', Some(0..=9 | 11..)) => 1,
                (b'\r', Some(b'\n')) => 2,
                _ => 0,
            };
            if length > 0 {
                lines.push((text[start..at].to_vec(), (at + length) as u64));
                start = at + length;
            }
            at += length.max(1);
        }
        lines
    }

    #[test]
    fn the_three_ends_of_a_line() {
        let (lines, buffer) = split(&[b"a\nb\r\nc\rd\r\r\n\ne\r"]);
        let texts: Vec<_> = lines.iter().map(|(text, _)| text.as_slice()).collect();
        assert_eq!(texts, [&b"a"[..], b"b", b"c", b"d", b"", b""]);
        assert_eq!((buffer.position(), buffer.pending()), (12, 2));
    }

    #[test]
    fn a_carriage_return_waits_for_what_follows() {
        assert_eq!(split(&[b"a\r"]).0, []);
        assert_eq!(split(&[b"a\r", b"\n"]).0, [(b"a".to_vec(), 3)]);
        assert_eq!(split(&[b"a\r", b"b"]).0, [(b"a".to_vec(), 2)]);
    }

    proptest! {
        #[test]
        fn torn_reads_change_nothing(
            text in prop::collection::vec(prop::sample::select(&b"ab\r\n\xc3\xa9"[..]), 0..60),
            mut cuts in prop::collection::vec(0_usize..60, 0..8),
        ) {
            cuts.retain(|cut| *cut <= text.len());
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&text[from..cut]);
                from = cut;
            }
            pieces.push(&text[from..]);
            let (lines, buffer) = split(&pieces);
            prop_assert_eq!(&lines, &expected(&text));
            let last = lines.last().map_or(0, |(_, end)| *end);
            prop_assert_eq!(buffer.position(), last);
            prop_assert_eq!(buffer.pending() as u64, text.len() as u64 - last);
        }
    }
}
