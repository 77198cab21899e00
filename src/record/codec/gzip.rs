//! gzip (RFC 1952), one member or several, as Java's `GZIPInputStream` reads them.
use std::io::{Read, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{CodecError, fill_after};

const PIECE: usize = 64 * 1024;

pub(super) fn compress(
    level: Option<i32>,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let level = match level.and_then(|level| u32::try_from(level).ok()) {
        Some(level) => flate2::Compression::new(level.min(9)),
        None => flate2::Compression::default(),
    };
    let mut encoder = GzEncoder::new(out, level);
    encoder.write_all(input)?;
    encoder.finish()?;
    Ok(())
}

pub(super) struct Decoder<'a>(MultiGzDecoder<&'a [u8]>);

impl<'a> Decoder<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self(MultiGzDecoder::new(input))
    }

    pub(super) fn next_piece(&mut self, out: &mut Vec<u8>) -> Result<bool, CodecError> {
        Ok(fill_after(out, PIECE, |space| Ok(self.0.read(space)?))? > 0)
    }
}
