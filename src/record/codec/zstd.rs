//! zstd frames. Contexts are kept per thread for whole sections; a stream takes its own, so that
//! the window that a hostile frame asks for (128 MB at most, as in Java) goes when it ends.
use std::cell::RefCell;
use std::io::Read;

use zstd::bulk::{Compressor, Decompressor};
use zstd::stream::read;
use zstd::zstd_safe;

use super::{CodecError, fill_after};

const PIECE: usize = 128 * 1024;
/// What is tried at first for a frame that does not tell its content size.
const FIRST_TRY: usize = 256 * 1024;

thread_local! {
    static COMPRESSOR: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

pub(super) fn compress(
    level: Option<i32>,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some((kept_level, compressor)) => {
                if *kept_level != level {
                    compressor.set_compression_level(level)?;
                    *kept_level = level;
                }
                compressor
            }
            None => &mut kept.insert((level, Compressor::new(level)?)).1,
        };
        fill_after(out, zstd_safe::compress_bound(input.len()), |space| {
            Ok(compressor.compress_to_buffer(input, space)?)
        })?;
        Ok(())
    })
}

/// Decompresses without the copy through a window. False, with `out` as it was: more than `cap`
/// bytes, more than can be told cheaply, or not a legal frame.
pub(super) fn decompress_at_once(input: &[u8], cap: usize, out: &mut Vec<u8>) -> bool {
    let space = match zstd_safe::get_frame_content_size(input) {
        Ok(Some(size)) => match usize::try_from(size) {
            // A declared size is believed only as far as memory was asked for anyway.
            Ok(size) if size <= cap.min(FIRST_TRY.max(input.len().saturating_mul(64))) => size,
            _ => return false,
        },
        Ok(None) => cap.min(FIRST_TRY.max(input.len().saturating_mul(16))),
        Err(_) => return false,
    };
    DECOMPRESSOR.with_borrow_mut(|kept| {
        if kept.is_none() {
            *kept = Decompressor::new().ok();
        }
        let Some(decompressor) = kept else {
            return false;
        };
        fill_after(out, space, |space| {
            Ok(decompressor.decompress_to_buffer(input, space)?)
        })
        .is_ok()
    })
}

pub(super) struct Decoder<'a>(read::Decoder<'static, &'a [u8]>);

impl<'a> Decoder<'a> {
    pub(super) fn new(input: &'a [u8]) -> Result<Self, CodecError> {
        Ok(Self(read::Decoder::with_buffer(input)?))
    }

    pub(super) fn next_piece(&mut self, out: &mut Vec<u8>) -> Result<bool, CodecError> {
        Ok(fill_after(out, PIECE, |space| Ok(self.0.read(space)?))? > 0)
    }
}
