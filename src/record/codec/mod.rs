//! The codecs of the records section: gzip, snappy in Java's framing, LZ4 frames, zstd.
//!
//! [`compress`] and [`decompress`] work on whole sections and append to the caller's buffer.
//! [`Decoder`] gives a section piece by piece, so that a few bytes that stand for gigabytes are
//! found out without taking memory for them.
mod gzip;
mod lz4;
mod lz4_hc;
mod snappy;
mod zstd;

use super::{BatchError, Compression};

/// The levels that Kafka accepts for a codec in `compression.<codec>.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    pub min: i32,
    pub max: i32,
    pub default: i32,
}

/// `None` for codecs without levels.
pub const fn levels(compression: Compression) -> Option<Levels> {
    match compression {
        // 1 to 9, and -1 for the codec's own default
        Compression::Gzip => Some(Levels {
            min: 1,
            max: 9,
            default: -1,
        }),
        Compression::Lz4 => Some(Levels {
            min: 1,
            max: 17,
            default: 9,
        }),
        Compression::Zstd => Some(Levels {
            min: -131_072,
            max: 22,
            default: 3,
        }),
        Compression::None | Compression::Snappy => None,
    }
}

/// Appends the compressed `input` to `out`. `level`: `None` for the codec's default.
pub fn compress(
    compression: Compression,
    level: Option<i32>,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), BatchError> {
    let done = match compression {
        Compression::None => {
            out.extend_from_slice(input);
            Ok(())
        }
        Compression::Gzip => gzip::compress(level, input, out),
        Compression::Snappy => snappy::compress(input, out),
        Compression::Lz4 => lz4::compress(level, input, out),
        Compression::Zstd => zstd::compress(level, input, out),
    };
    done.map_err(|error| BatchError::Compress {
        compression,
        reason: error.0,
    })
}

/// As [`compress`], for message sets of magic 0, whose readers expect a wrong header checksum in
/// LZ4 frames.
pub(super) fn compress_for_magic_0(
    compression: Compression,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), BatchError> {
    let start = out.len();
    compress(compression, None, input, out)?;
    if compression == Compression::Lz4 {
        lz4::break_header_checksum(out.get_mut(start..).unwrap_or_default());
    }
    Ok(())
}

/// Appends the decompressed `input` to `out`, which grows by no more than `cap` bytes plus one
/// piece of the codec.
pub fn decompress(
    compression: Compression,
    input: &[u8],
    cap: usize,
    out: &mut Vec<u8>,
) -> Result<(), BatchError> {
    let start = out.len();
    if decompress_at_once(compression, input, cap, out) {
        return Ok(());
    }
    let mut decoder = Decoder::new(compression, input)?;
    while decoder.next_piece(out)? {
        if out.len() - start > cap {
            return Err(BatchError::DecompressedTooLarge { cap });
        }
    }
    Ok(())
}

/// Appends the decompressed `input` to `out` where that is faster at once than by pieces. False,
/// with `out` as it was, when there is no such way or the result may exceed `cap`: then the
/// [`Decoder`] has the verdict.
pub(super) fn decompress_at_once(
    compression: Compression,
    input: &[u8],
    cap: usize,
    out: &mut Vec<u8>,
) -> bool {
    match compression {
        Compression::Zstd => zstd::decompress_at_once(input, cap, out),
        // Their pieces go straight to the buffer.
        _ => false,
    }
}

/// Decompresses piece by piece: memory stays at one piece, whatever the whole expands to.
pub struct Decoder<'a> {
    compression: Compression,
    state: State<'a>,
}

enum State<'a> {
    Plain(&'a [u8]),
    Gzip(Box<gzip::Decoder<'a>>),
    Snappy(snappy::Decoder<'a>),
    Lz4(lz4::Decoder<'a>),
    Zstd(Box<zstd::Decoder<'a>>),
}

impl<'a> Decoder<'a> {
    pub fn new(compression: Compression, input: &'a [u8]) -> Result<Self, BatchError> {
        let state = match compression {
            Compression::None => Ok(State::Plain(input)),
            Compression::Gzip => Ok(State::Gzip(Box::new(gzip::Decoder::new(input)))),
            Compression::Snappy => snappy::Decoder::new(input).map(State::Snappy),
            Compression::Lz4 => lz4::Decoder::new(input, true).map(State::Lz4),
            Compression::Zstd => zstd::Decoder::new(input).map(|d| State::Zstd(Box::new(d))),
        };
        match state {
            Ok(state) => Ok(Self { compression, state }),
            Err(error) => Err(failed(compression, error)),
        }
    }

    /// For message sets of magic 0: Java wrote a wrong header checksum into their LZ4 frames.
    pub(super) fn for_magic_0(
        compression: Compression,
        input: &'a [u8],
    ) -> Result<Self, BatchError> {
        match compression {
            Compression::Lz4 => {
                let state = lz4::Decoder::new(input, false)
                    .map(State::Lz4)
                    .map_err(|error| failed(compression, error))?;
                Ok(Self { compression, state })
            }
            _ => Self::new(compression, input),
        }
    }

    /// Appends the next piece, tens of kilobytes as a rule. False at the end of the section.
    pub fn next_piece(&mut self, out: &mut Vec<u8>) -> Result<bool, BatchError> {
        let before = out.len();
        let more = match &mut self.state {
            State::Plain(rest) => {
                out.extend_from_slice(std::mem::take(rest));
                Ok(out.len() > before)
            }
            State::Gzip(decoder) => decoder.next_piece(out),
            State::Snappy(decoder) => decoder.next_piece(out),
            State::Lz4(decoder) => decoder.next_piece(out),
            State::Zstd(decoder) => decoder.next_piece(out),
        };
        more.map_err(|error| failed(self.compression, error))
    }
}

/// Why a codec gave up.
#[derive(Debug)]
struct CodecError(String);

impl<E: std::error::Error> From<E> for CodecError {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

fn bad<T>(what: impl Into<String>) -> Result<T, CodecError> {
    Err(CodecError(what.into()))
}

fn failed(compression: Compression, error: CodecError) -> BatchError {
    BatchError::Decompress {
        compression,
        reason: error.0,
    }
}

/// Lets `fill` write up to `len` bytes after the end of `out`; it gives how many it wrote.
fn fill_after(
    out: &mut Vec<u8>,
    len: usize,
    fill: impl FnOnce(&mut [u8]) -> Result<usize, CodecError>,
) -> Result<usize, CodecError> {
    let before = out.len();
    out.resize(before + len, 0);
    let filled = match out.get_mut(before..) {
        Some(space) => fill(space),
        None => Ok(0),
    };
    out.truncate(before + filled.as_ref().copied().unwrap_or(0));
    filled
}
