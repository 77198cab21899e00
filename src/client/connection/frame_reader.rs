//! Cuts a byte stream into length-prefixed frames. Memory is taken as bytes arrive, and a large
//! frame is read straight into the buffer that is handed on.
use bytes::{Bytes, BytesMut};

const LENGTH_BYTES: usize = 4;
/// The read size while nothing large is expected.
const SMALL_READ_BYTES: usize = 16 * 1024;
/// The first reservation for a large frame; after it, memory at most doubles with what arrived.
const FIRST_RESERVE_BYTES: usize = 1024 * 1024 + 4096;

/// A length that no frame can have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid response size {size} (at most {max} bytes)")]
pub struct InvalidFrameSize {
    pub size: i32,
    pub max: usize,
}

pub struct FrameReader {
    buf: BytesMut,
    max_frame_bytes: usize,
}

impl FrameReader {
    pub fn new(max_frame_bytes: usize) -> Self {
        Self {
            buf: BytesMut::new(),
            max_frame_bytes,
        }
    }

    /// Makes room and says how many bytes the next read may put into [`FrameReader::buffer`].
    /// While a large frame is under way the limit ends with it, so that it is never copied to
    /// make room for the start of the next.
    pub fn prepare(&mut self) -> Result<usize, InvalidFrameSize> {
        let missing = match self.frame_bytes()? {
            Some(total) => total.saturating_sub(self.buf.len()),
            None => 0,
        };
        if missing <= SMALL_READ_BYTES {
            self.buf.reserve(SMALL_READ_BYTES);
            return Ok(SMALL_READ_BYTES);
        }
        let room = missing.min(self.buf.len().max(FIRST_RESERVE_BYTES));
        if self.buf.capacity() - self.buf.len() < room.min(SMALL_READ_BYTES) {
            self.buf.reserve(room);
        }
        Ok(missing.min(self.buf.capacity() - self.buf.len()))
    }

    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buf
    }

    /// The next whole frame without its length.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, InvalidFrameSize> {
        match self.frame_bytes()? {
            Some(total) if self.buf.len() >= total => {
                let mut frame = self.buf.split_to(total).freeze();
                let _length = frame.split_to(LENGTH_BYTES);
                Ok(Some(frame))
            }
            _ => Ok(None),
        }
    }

    fn frame_bytes(&self) -> Result<Option<usize>, InvalidFrameSize> {
        let Some(length) = self.buf.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let size = i32::from_be_bytes(*length);
        match usize::try_from(size) {
            Ok(bytes) if bytes <= self.max_frame_bytes => Ok(Some(LENGTH_BYTES + bytes)),
            _ => Err(InvalidFrameSize {
                size,
                max: self.max_frame_bytes,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;
    use proptest::prelude::*;

    use super::*;

    /// Feeds `stream` in pieces of the given sizes, never more than the reader asks for.
    fn feed(stream: &[u8], pieces: &[usize], max: usize) -> Result<Vec<Bytes>, InvalidFrameSize> {
        let mut reader = FrameReader::new(max);
        let (mut frames, mut at, mut turn) = (Vec::new(), 0, 0);
        while at < stream.len() {
            let allowed = reader.prepare()?;
            let piece = pieces
                .get(turn % pieces.len().max(1))
                .copied()
                .unwrap_or(1)
                .max(1);
            let n = piece.min(allowed).min(stream.len() - at);
            reader.buffer().put_slice(&stream[at..at + n]);
            (at, turn) = (at + n, turn + 1);
            while let Some(frame) = reader.next_frame()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    proptest! {
        #[test]
        fn frames_survive_any_fragmentation(
            frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40_000), 0..5),
            pieces in proptest::collection::vec(1usize..30_000, 1..8),
        ) {
            let mut stream = Vec::new();
            for frame in &frames {
                stream.extend_from_slice(&(frame.len() as i32).to_be_bytes());
                stream.extend_from_slice(frame);
            }
            let read = feed(&stream, &pieces, 100_000).unwrap();
            prop_assert_eq!(read, frames);
        }
    }

    #[test]
    fn negative_and_giant_lengths_are_refused_before_memory_is_taken() {
        for size in [-1, i32::MIN, 1_000_001, i32::MAX] {
            let refused = feed(&size.to_be_bytes(), &[4], 1_000_000);
            // The error shows once the four bytes are there, on whichever call comes next.
            let mut reader = FrameReader::new(1_000_000);
            reader.buffer().put_slice(&size.to_be_bytes());
            assert_eq!(
                reader.prepare(),
                Err(InvalidFrameSize {
                    size,
                    max: 1_000_000
                })
            );
            assert_eq!(
                refused,
                Err(InvalidFrameSize {
                    size,
                    max: 1_000_000
                })
            );
        }
    }

    #[test]
    fn memory_follows_the_bytes_that_arrived() {
        let mut reader = FrameReader::new(usize::MAX);
        reader.buffer().put_slice(&(1_i32 << 30).to_be_bytes());
        assert!(reader.prepare().unwrap() <= 2 * FIRST_RESERVE_BYTES);
        assert!(reader.buffer().capacity() <= 2 * FIRST_RESERVE_BYTES);
    }
}
