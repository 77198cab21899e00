//! Reading length-prefixed frames, taking memory only as bytes arrive.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::Interest;
use tokio::net::TcpStream;

const PREFIX: usize = 4;
/// What is taken for a connection that starts to speak.
const FIRST_READ: usize = 4 * 1024;
/// Up to this size a frame's memory is taken when its length is known; beyond it grows with what has arrived.
const TRUSTED: usize = 128 * 1024;
/// Frames up to this size are read several at a time when they come in a row: one system call for all of them.
const READ_TOGETHER: usize = 32 * 1024;
const TOGETHER: usize = 4;

#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {size} bytes, where at most {max} (socket.request.max.bytes) are allowed")]
    TooLarge { size: i32, max: usize },
    #[error("the connection ended within a frame")]
    Truncated,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The frames of one connection. The buffer is reused once the frames cut from it are dropped.
#[derive(Debug)]
pub struct FrameReader {
    buffer: BytesMut,
    max: usize,
    /// The size of the last frame, prefix included: the next one is likely to be as large.
    last: usize,
}

impl FrameReader {
    /// `max`: the largest frame accepted, in bytes.
    pub fn new(max: usize) -> FrameReader {
        FrameReader {
            buffer: BytesMut::new(),
            max,
            last: 0,
        }
    }

    /// The next whole frame among the bytes that have arrived, without its length prefix.
    pub fn take(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(size) = self.size()? else {
            return Ok(None);
        };
        if self.buffer.len() < PREFIX + size {
            return Ok(None);
        }
        self.last = PREFIX + size;
        self.buffer.advance(PREFIX);
        Ok(Some(self.buffer.split_to(size).freeze()))
    }

    /// Whether [`Self::take`] has a frame to give without reading.
    pub fn has_frame(&self) -> bool {
        matches!(self.size(), Ok(Some(size)) if self.buffer.len() >= PREFIX + size)
    }

    fn size(&self) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let size = i32::from_be_bytes(*prefix);
        match usize::try_from(size) {
            Ok(wanted) if wanted <= self.max => Ok(Some(wanted)),
            _ => Err(FrameError::TooLarge {
                size,
                max: self.max,
            }),
        }
    }

    /// Reads once what the socket has. `Ok(false)`: the peer has ended the connection.
    /// An error of kind `WouldBlock` means that nothing has arrived.
    pub fn fill(&mut self, stream: &TcpStream) -> Result<bool, FrameError> {
        let ahead = match self.last {
            last if last > READ_TOGETHER => 0,
            last => last * TOGETHER,
        };
        let wanted = match self.size()? {
            None => FIRST_READ.max(self.last).max(ahead),
            Some(size) => (PREFIX + size).max(ahead).saturating_sub(self.buffer.len()),
        };
        let granted = wanted.min(TRUSTED.max(self.buffer.len())).max(1);
        if self.buffer.capacity() - self.buffer.len() < granted {
            self.buffer.reserve(granted);
        }
        match self.read(stream) {
            Ok(0) if self.buffer.is_empty() => Ok(false),
            Ok(0) => Err(FrameError::Truncated),
            Ok(_) => Ok(true),
            Err(e) => Err(e.into()),
        }
    }

    /// Reads once. A read that leaves room has emptied the socket: it is taken for not readable from then on, which
    /// saves the read that would say so.
    fn read(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let would_block = || io::Error::from(io::ErrorKind::WouldBlock);
        let mut read = Err(would_block());
        // What it answers is forgotten: it is there to unset the readiness that was known before the read. What has
        // arrived since makes the socket ready again.
        let _ = stream.try_io(Interest::READABLE, || {
            read = stream.try_read_buf(&mut self.buffer);
            match &read {
                Ok(1..) if self.buffer.len() < self.buffer.capacity() => Err(would_block()),
                _ => Ok(()),
            }
        });
        read
    }

    /// Gives the buffer back while nothing is in it: an idle connection costs no buffer.
    pub fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.last = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &[u8]) -> FrameReader {
        FrameReader {
            buffer: BytesMut::from(bytes),
            max: 100,
            last: 0,
        }
    }

    #[test]
    fn takes_whole_frames_in_order() {
        let mut frames = reader(b"\0\0\0\x02ab\0\0\0\0\0\0\0\x03c");
        assert_eq!(frames.take().unwrap().as_deref(), Some(&b"ab"[..]));
        assert_eq!(frames.take().unwrap().as_deref(), Some(&b""[..]));
        assert_eq!(frames.take().unwrap(), None);
    }

    #[test]
    fn knows_whether_a_whole_frame_is_there() {
        assert!(reader(b"\0\0\0\x02ab").has_frame());
        assert!(reader(b"\0\0\0\0").has_frame());
        assert!(!reader(b"\0\0\0\x02a").has_frame());
        assert!(!reader(b"\0\0\0").has_frame());
        assert!(!reader(b"\xff\0\0\0").has_frame());
    }

    #[test]
    fn refuses_negative_and_large_lengths() {
        for prefix in [-1, i32::MIN, 101, i32::MAX] {
            let error = reader(&prefix.to_be_bytes()).take().unwrap_err();
            assert!(matches!(error, FrameError::TooLarge { size, .. } if size == prefix));
        }
    }
}
