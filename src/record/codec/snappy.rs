//! Snappy in the framing of the xerial Java library; bare blocks are accepted, as Java does, for
//! older clients of other languages write them.
//!
//! ```text
//! 82 53 4e 41 50 50 59 00 | version i32 = 1 | lowest compatible version i32 = 1 | blocks…
//! block = length u32, raw snappy block of that length
//! ```
//! Snappy itself bounds what a block can expand to, about 21 times; a block that declares more is
//! refused before memory is taken.
use snap::raw;

use super::{CodecError, bad, fill_after};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const VERSION: u32 = 1;
/// What Kafka's producer puts into one block.
const BLOCK: usize = 32 * 1024;
/// A three-byte copy gives 64 bytes, and nothing gives more for its bytes.
const EXPANSION_MAX: usize = 64 / 3 + 1;

pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&VERSION.to_be_bytes());
    let mut encoder = raw::Encoder::new();
    for block in input.chunks(BLOCK) {
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        let len = fill_after(out, raw::max_compress_len(block.len()), |space| {
            Ok(encoder.compress(block, space)?)
        })?;
        let len = u32::try_from(len)?;
        if let Some(field) = out.get_mut(at..at + 4) {
            field.copy_from_slice(&len.to_be_bytes());
        }
    }
    Ok(())
}

pub(super) struct Decoder<'a> {
    rest: &'a [u8],
    bare: bool,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(input: &'a [u8]) -> Result<Self, CodecError> {
        let Some(framed) = input.strip_prefix(&MAGIC) else {
            return Ok(Self {
                rest: input,
                bare: true,
            });
        };
        let Some((versions, rest)) = framed.split_first_chunk::<8>() else {
            return bad("the stream header is cut short");
        };
        let [_, _, _, _, compatible @ ..] = *versions;
        if u32::from_be_bytes(compatible) > VERSION {
            return bad("the stream needs a newer reader");
        }
        Ok(Self { rest, bare: false })
    }

    pub(super) fn next_piece(&mut self, out: &mut Vec<u8>) -> Result<bool, CodecError> {
        loop {
            if self.rest.is_empty() {
                return Ok(false);
            }
            let block = self.next_block()?;
            // Concatenated streams repeat the header: its magic, read as a length, is negative.
            let Some(block) = block else { continue };
            let len = raw::decompress_len(block)?;
            if len > block.len().saturating_mul(EXPANSION_MAX) {
                return bad(format!("a block of {} bytes declares {len}", block.len()));
            }
            if len == 0 {
                continue;
            }
            fill_after(out, len, |space| {
                Ok(raw::Decoder::new().decompress(block, space)?)
            })?;
            return Ok(true);
        }
    }

    fn next_block(&mut self) -> Result<Option<&'a [u8]>, CodecError> {
        if self.bare {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        if let Some(rest) = self.rest.strip_prefix(&MAGIC) {
            let Some((_, rest)) = rest.split_at_checked(8) else {
                return bad("a stream header is cut short");
            };
            self.rest = rest;
            return Ok(None);
        }
        let Some((len, rest)) = self.rest.split_first_chunk() else {
            return bad("a block length is cut short");
        };
        let len = usize::try_from(u32::from_be_bytes(*len))?;
        let Some((block, rest)) = rest.split_at_checked(len) else {
            return bad("a block is cut short");
        };
        self.rest = rest;
        Ok(Some(block))
    }
}
