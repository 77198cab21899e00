//! Blocks of input in, lines out, in constant memory.
//!
//! A line ends at `\n`, `\r` or `\r\n`, as Java's `BufferedReader` has it; what follows the last
//! end is a line too, unless it is empty. Bytes pass through as they came: Kafka's tool would turn
//! those that are not UTF-8 into U+FFFD, which loses data and helps nobody.
use std::ops::Range;

use memchr::memchr2;

/// One line, or word of one that is longer than the limit.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    Whole(&'a [u8]),
    /// Longer than the limit; its bytes were dropped as they arrived.
    TooLong {
        bytes: u64,
    },
}

/// Where a line is: see [`LineSplitter::line`].
#[derive(Debug, Clone)]
pub enum Found {
    Block(Range<usize>),
    /// It began in an earlier block.
    Carried,
    TooLong {
        bytes: u64,
    },
}

/// Splits a stream that arrives block by block.
#[derive(Debug)]
pub struct LineSplitter {
    /// The start of a line that goes on in the next block.
    carry: Vec<u8>,
    /// The carry was handed out and is to be emptied.
    handed_out: bool,
    /// The last line ended in `\r` at the very end of a block: a `\n` to come belongs to it.
    skip_newline: bool,
    /// Bytes of the current line that were dropped, it being too long.
    dropped: u64,
    limit: usize,
}

impl LineSplitter {
    /// `limit`: how many bytes a line may have.
    pub fn new(limit: usize) -> Self {
        LineSplitter {
            carry: Vec::new(),
            handed_out: false,
            skip_newline: false,
            dropped: 0,
            limit,
        }
    }

    /// Where the next whole line of `block` is, which is read from `*at` on; `None` when the rest of
    /// the block is the start of a line and has been put aside.
    #[inline]
    pub fn next(&mut self, block: &[u8], at: &mut usize) -> Option<Found> {
        if self.handed_out {
            self.carry.clear();
            self.handed_out = false;
        }
        if self.skip_newline && *at < block.len() {
            self.skip_newline = false;
            if block.get(*at) == Some(&b'\n') {
                *at += 1;
            }
        }
        let rest = block.get(*at..).unwrap_or_default();
        let Some(end) = memchr2(b'\n', b'\r', rest) else {
            *at = block.len();
            self.put_aside(rest);
            return None;
        };
        let line = *at..*at + end;
        let mut next = end + 1;
        if rest.get(end) == Some(&b'\r') {
            match rest.get(next) {
                Some(b'\n') => next += 1,
                Some(_) => {}
                None => self.skip_newline = true,
            }
        }
        *at += next;
        Some(self.complete(block, line))
    }

    /// The line that was found last.
    pub fn line<'a>(&'a self, block: &'a [u8], found: Found) -> Line<'a> {
        match found {
            Found::Block(range) => Line::Whole(block.get(range).unwrap_or_default()),
            Found::Carried => Line::Whole(&self.carry),
            Found::TooLong { bytes } => Line::TooLong { bytes },
        }
    }

    /// What is left when the input has ended.
    pub fn finish(&mut self) -> Option<Line<'_>> {
        if self.handed_out {
            self.carry.clear();
            self.handed_out = false;
        }
        if self.carry.is_empty() && self.dropped == 0 {
            return None;
        }
        let found = self.complete(&[], 0..0);
        Some(self.line(&[], found))
    }

    fn put_aside(&mut self, part: &[u8]) {
        if self.dropped > 0 || self.carry.len() + part.len() > self.limit {
            self.dropped += (self.carry.len() + part.len()) as u64;
            self.carry = Vec::new();
        } else {
            self.carry.extend_from_slice(part);
        }
    }

    fn complete(&mut self, block: &[u8], end: Range<usize>) -> Found {
        if self.dropped == 0 && self.carry.is_empty() && end.len() <= self.limit {
            return Found::Block(end);
        }
        self.put_aside(block.get(end).unwrap_or_default());
        if self.dropped > 0 {
            return Found::TooLong {
                bytes: std::mem::take(&mut self.dropped),
            };
        }
        self.handed_out = true;
        Found::Carried
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lines of `blocks`; too long ones as their length in brackets.
    fn lines(blocks: &[&[u8]], limit: usize) -> Vec<Vec<u8>> {
        fn own(line: Line<'_>) -> Vec<u8> {
            match line {
                Line::Whole(line) => line.to_vec(),
                Line::TooLong { bytes } => format!("[{bytes}]").into_bytes(),
            }
        }
        let mut splitter = LineSplitter::new(limit);
        let mut lines = Vec::new();
        for block in blocks {
            let mut at = 0;
            while let Some(found) = splitter.next(block, &mut at) {
                lines.push(own(splitter.line(block, found)));
            }
        }
        lines.extend(splitter.finish().map(own));
        lines
    }

    fn check(input: &str, want: &[&str]) {
        let got = lines(&[input.as_bytes()], 10);
        let got: Vec<_> = got
            .iter()
            .map(|line| String::from_utf8_lossy(line))
            .collect();
        assert_eq!(got, want, "{input:?}");
    }

    #[test]
    fn lines_end_as_java_has_it() {
        check("", &[]);
        check("a", &["a"]);
        check("a\n", &["a"]);
        check("\n", &[""]);
        check("a\n\nb", &["a", "", "b"]);
        check("a\rb\r\nc\n\rd\r", &["a", "b", "c", "", "d"]);
        check("\r\n\r\n", &["", ""]);
    }

    #[test]
    fn a_line_over_the_limit_is_named_and_the_next_one_is_whole() {
        check("1234567890\n12345678901\nx\n", &["1234567890", "[11]", "x"]);
        check("123456789012345", &["[15]"]);
    }

    proptest! {
        #[test]
        fn block_boundaries_do_not_matter(
            input in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a'), Just(b'b')], 0..60),
            cuts in proptest::collection::vec(0usize..60, 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
            cuts.sort_unstable();
            let mut blocks = Vec::new();
            let mut from = 0;
            for cut in cuts {
                blocks.push(&input[from..cut]);
                from = cut;
            }
            blocks.push(&input[from..]);
            prop_assert_eq!(lines(&blocks, 5), lines(&[&input], 5));
        }
    }
}
