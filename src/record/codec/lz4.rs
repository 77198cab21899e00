//! LZ4 frames as Kafka's Java classes write and read them: independent blocks of 64 KB, neither
//! content size nor checksums when writing; larger blocks, block checksums and a content size are
//! accepted. What follows the end mark (a content checksum) is ignored as Java does: the batch
//! has its CRC.
use lz4_flex::block;
use twox_hash::XxHash32;

use super::{CodecError, bad, fill_after, lz4_hc};

const MAGIC: [u8; 4] = 0x184D_2204u32.to_le_bytes();
/// Version 1, independent blocks.
const FLAGS: u8 = 0x60;
/// Blocks of up to 64 KB.
const BLOCK_DESCRIPTOR: u8 = 0x40;
const BLOCK: usize = 64 * 1024;
const STORED: u32 = 0x8000_0000;
/// The level that stands for the fast compressor.
const DEFAULT_LEVEL: i32 = 9;

const INDEPENDENT: u8 = 1 << 5;
const BLOCK_CHECKSUM: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;

pub(super) fn compress(
    level: Option<i32>,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let mut high = level
        .filter(|level| *level != DEFAULT_LEVEL)
        .map(|level| lz4_hc::Compressor::new(level.max(1).unsigned_abs()));
    out.extend_from_slice(&MAGIC);
    let descriptor = [FLAGS, BLOCK_DESCRIPTOR];
    out.extend_from_slice(&descriptor);
    out.push(header_checksum(&descriptor));
    for chunk in input.chunks(BLOCK) {
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        match &mut high {
            Some(high) => high.compress(chunk, out)?,
            None => compress_fast(chunk, out)?,
        }
        let mut len = out.len() - at - 4;
        let mut stored = 0;
        if len >= chunk.len() {
            out.truncate(at + 4);
            out.extend_from_slice(chunk);
            (len, stored) = (chunk.len(), STORED);
        }
        if let Some(field) = out.get_mut(at..at + 4) {
            field.copy_from_slice(&(u32::try_from(len)? | stored).to_le_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    Ok(())
}

fn compress_fast(chunk: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
    let space = block::get_maximum_output_size(chunk.len());
    fill_after(out, space, |space| Ok(block::compress_into(chunk, space)?))?;
    Ok(())
}

fn header_checksum(descriptor: &[u8]) -> u8 {
    (XxHash32::oneshot(0, descriptor) >> 8) as u8
}

/// Turns the frame header of [`compress`] into that of Java's first version, which took the
/// checksum over the magic number too.
pub(super) fn break_header_checksum(frame: &mut [u8]) {
    const CHECKSUM_AT: usize = MAGIC.len() + 2;
    if let Some((covered, [checksum, ..])) = frame.split_at_mut_checked(CHECKSUM_AT) {
        *checksum = header_checksum(covered);
    }
}

pub(super) struct Decoder<'a> {
    rest: &'a [u8],
    block_max: usize,
    block_checksums: bool,
    finished: bool,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(input: &'a [u8], check_header: bool) -> Result<Self, CodecError> {
        let Some(rest) = input.strip_prefix(&MAGIC) else {
            return bad("not an LZ4 frame");
        };
        let &[flags, block_descriptor, ..] = rest else {
            return bad("the frame header is cut short");
        };
        if flags >> 6 != 1 {
            return bad(format!("frame version {} is unsupported", flags >> 6));
        }
        if flags & INDEPENDENT == 0 {
            return bad("dependent blocks are unsupported");
        }
        let block_max = match (block_descriptor >> 4) & 7 {
            size @ 4..=7 => 1 << (8 + 2 * size),
            size => return bad(format!("block size {size} is invalid")),
        };
        let descriptor_len = if flags & CONTENT_SIZE == 0 { 2 } else { 10 };
        let (Some(descriptor), Some(&checksum), Some(blocks)) = (
            rest.get(..descriptor_len),
            rest.get(descriptor_len),
            rest.get(descriptor_len + 1..),
        ) else {
            return bad("the frame header is cut short");
        };
        if check_header && checksum != header_checksum(descriptor) {
            return bad("the checksum of the frame header does not match");
        }
        let block_checksums = flags & BLOCK_CHECKSUM != 0;
        Ok(Self {
            rest: blocks,
            block_max,
            block_checksums,
            finished: false,
        })
    }

    pub(super) fn next_piece(&mut self, out: &mut Vec<u8>) -> Result<bool, CodecError> {
        while !self.finished {
            let Some((word, rest)) = self.rest.split_first_chunk() else {
                return bad("the stream ended before its end mark");
            };
            let word = u32::from_le_bytes(*word);
            if word == 0 {
                self.finished = true;
                break;
            }
            let len = usize::try_from(word & !STORED)?;
            if len > self.block_max {
                return bad(format!(
                    "a block of {len} bytes exceeds the frame's {}",
                    self.block_max
                ));
            }
            let Some((block, rest)) = rest.split_at_checked(len) else {
                return bad("a block is cut short");
            };
            self.rest = rest;
            if self.block_checksums {
                self.check_block(block)?;
            }
            let filled = if word & STORED != 0 {
                out.extend_from_slice(block);
                len
            } else {
                // No input gives more than 255 times its bytes.
                let space = self
                    .block_max
                    .min(len.saturating_mul(255).saturating_add(64));
                fill_after(out, space, |space| {
                    Ok(block::decompress_into(block, space)?)
                })?
            };
            if filled > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn check_block(&mut self, block: &[u8]) -> Result<(), CodecError> {
        let Some((checksum, rest)) = self.rest.split_first_chunk() else {
            return bad("a block checksum is cut short");
        };
        self.rest = rest;
        if u32::from_le_bytes(*checksum) != XxHash32::oneshot(0, block) {
            return bad("a block checksum does not match");
        }
        Ok(())
    }
}
