//! LZ4's high compression: the same block format, with matches searched along hash chains. For
//! `compression.lz4.level` other than the default, which is the fast compressor, as in Java.
use super::{CodecError, bad};

const MATCH_MIN: usize = 4;
/// The format wants the last bytes of a block as literals, and no match to begin close to its end.
const LAST_LITERALS: usize = 5;
const LAST_MATCH_START: usize = 12;
/// The highest level that makes a difference, as in the C library.
const LEVEL_MAX: u32 = 12;
const HASH_BITS: u32 = 15;
/// Positions are kept plus one: zero is none.
const NONE: u32 = 0;

/// Compresses blocks of at most 64 KiB, so that every earlier byte of a block is within reach.
pub(super) struct Compressor {
    attempts: usize,
    /// The latest position of each hash, and for each position the one before it of equal hash.
    heads: Vec<u32>,
    previous: Vec<u32>,
    /// Positions below this are in the chains.
    inserted: usize,
}

#[derive(Clone, Copy)]
struct Match {
    distance: usize,
    len: usize,
}

impl Compressor {
    /// `level` from 1: each doubles how many earlier places are looked at.
    pub(super) fn new(level: u32) -> Self {
        let attempts = 1 << (level.clamp(1, LEVEL_MAX) - 1);
        Self {
            attempts,
            heads: Vec::new(),
            previous: Vec::new(),
            inserted: 0,
        }
    }

    /// Appends the compressed `block` to `out`.
    pub(super) fn compress(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        if block.len() > 1 << 16 {
            return bad("a block is longer than the window");
        }
        self.heads.clear();
        self.heads.resize(1 << HASH_BITS, NONE);
        self.previous.clear();
        self.previous.resize(block.len(), NONE);
        self.inserted = 0;
        let (mut at, mut literals_from) = (0, 0);
        while at + LAST_MATCH_START <= block.len() {
            let Some(mut found) = self.longest(block, at) else {
                at += 1;
                continue;
            };
            // A literal more may buy a longer match.
            while at + 1 + LAST_MATCH_START <= block.len() {
                match self.longest(block, at + 1) {
                    Some(next) if next.len > found.len + 1 => (at, found) = (at + 1, next),
                    _ => break,
                }
            }
            put_sequence(
                out,
                block.get(literals_from..at).unwrap_or_default(),
                Some(found),
            );
            at += found.len;
            literals_from = at;
        }
        put_sequence(out, block.get(literals_from..).unwrap_or_default(), None);
        Ok(())
    }

    fn longest(&mut self, block: &[u8], at: usize) -> Option<Match> {
        self.insert_below(block, at);
        let here = block.get(at..block.len() - LAST_LITERALS)?;
        let mut best: Option<Match> = None;
        let mut candidate = *self.heads.get(hash(here)?)?;
        for _ in 0..self.attempts {
            let Some(from) = (candidate as usize).checked_sub(1) else {
                break;
            };
            let len = common_len(block.get(from..)?, here);
            if len >= MATCH_MIN && best.is_none_or(|best| len > best.len) {
                best = Some(Match {
                    distance: at - from,
                    len,
                });
                if len == here.len() {
                    break;
                }
            }
            candidate = *self.previous.get(from)?;
        }
        best
    }

    fn insert_below(&mut self, block: &[u8], end: usize) {
        for at in self.inserted..end {
            let Some(head) = block
                .get(at..)
                .and_then(hash)
                .and_then(|h| self.heads.get_mut(h))
            else {
                break;
            };
            if let Some(previous) = self.previous.get_mut(at) {
                *previous = *head;
            }
            *head = at as u32 + 1;
        }
        self.inserted = self.inserted.max(end);
    }
}

fn hash(bytes: &[u8]) -> Option<usize> {
    let word = u32::from_le_bytes(*bytes.first_chunk()?);
    Some((word.wrapping_mul(2_654_435_761) >> (32 - HASH_BITS)) as usize)
}

fn common_len(a: &[u8], b: &[u8]) -> usize {
    let words = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    let equal = words.take_while(|(a, b)| a == b).count() * 8;
    let (a, b) = (
        a.get(equal..).unwrap_or_default(),
        b.get(equal..).unwrap_or_default(),
    );
    equal + a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Literals and the match after them; the last sequence of a block has none.
fn put_sequence(out: &mut Vec<u8>, literals: &[u8], found: Option<Match>) {
    let match_code = found.map_or(0, |found| found.len - MATCH_MIN);
    out.push(((literals.len().min(15) << 4) | match_code.min(15)) as u8);
    put_length(out, literals.len());
    out.extend_from_slice(literals);
    if let Some(found) = found {
        out.extend_from_slice(&(found.distance as u16).to_le_bytes());
        put_length(out, match_code);
    }
}

/// What of a length does not fit the four bits of the token.
fn put_length(out: &mut Vec<u8>, len: usize) {
    let Some(mut rest) = len.checked_sub(15) else {
        return;
    };
    while rest >= 255 {
        out.push(255);
        rest -= 255;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_come_back(
            pieces in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..40), 1..60usize), 0..40),
            level in 1..14u32,
        ) {
            let mut block: Vec<u8> =
                pieces.iter().flat_map(|(piece, times)| piece.repeat(*times)).collect();
            block.truncate(1 << 16);
            let mut out = Vec::new();
            Compressor::new(level).compress(&block, &mut out).unwrap();
            prop_assert_eq!(lz4_flex::block::decompress(&out, block.len()).unwrap(), block);
        }
    }

    #[test]
    fn higher_levels_compress_better() {
        let mut state = 1u32;
        let words = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            format!("word{} ", (state >> 16) % 300)
        });
        let text: String = words.take(6000).collect();
        let block = text.as_bytes();
        let size = |level| {
            let mut out = Vec::new();
            Compressor::new(level).compress(block, &mut out).unwrap();
            out.len()
        };
        assert!(
            size(1) > size(4) && size(4) > size(12),
            "{} {} {}",
            size(1),
            size(4),
            size(12)
        );
        assert!(size(12) < lz4_flex::block::compress(block).len());
    }

    #[test]
    fn a_full_block_of_zeros_is_tiny() {
        let mut out = Vec::new();
        Compressor::new(17)
            .compress(&[0; 1 << 16], &mut out)
            .unwrap();
        assert!(out.len() < 300, "{}", out.len());
    }
}
