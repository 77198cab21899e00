//! What a connection still has to write: slices in order, written with as few system calls and
//! copies as the kernel allows.
use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::client::errors::{ClientError, Result};
use crate::protocol::wire::{Encoded, Insertion};

/// Slices for one `writev`; Linux allows 1,024, more than a few dozen gain nothing.
const SLICES_MAX: usize = 48;

#[derive(Default)]
pub struct Output {
    slices: VecDeque<Bytes>,
    bytes: usize,
    /// The stream keeps what it is given until it is flushed.
    buffered: bool,
    unflushed: bool,
}

impl Output {
    /// For a stream that keeps what is written: it is flushed after the last of it.
    pub fn new(buffered: bool) -> Self {
        Self {
            buffered,
            ..Self::default()
        }
    }

    /// Whether the peer may have everything.
    pub fn is_sent(&self) -> bool {
        self.slices.is_empty() && !self.unflushed
    }

    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Queues an encoded frame. Its large parts are not copied.
    pub fn push(&mut self, encoded: Encoded) -> Result<()> {
        let mut at = 0;
        for insert in encoded.inserts {
            self.push_bytes(encoded.buf.slice(at..insert.at));
            at = insert.at;
            match insert.what {
                Insertion::Bytes(bytes) => self.push_bytes(bytes),
                Insertion::External { .. } => {
                    return Err(ClientError::protocol("a client cannot send file ranges"));
                }
            }
        }
        self.push_bytes(encoded.buf.slice(at..));
        Ok(())
    }

    fn push_bytes(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.slices.push_back(bytes);
        }
    }

    /// Writes once, or flushes what was written. Cancel-safe: nothing is taken off before the kernel has it.
    pub async fn write_to<W: AsyncWrite + Unpin>(&mut self, stream: &mut W) -> io::Result<()> {
        if self.slices.is_empty() {
            stream.flush().await?;
            self.unflushed = false;
            return Ok(());
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for (slot, bytes) in slices.iter_mut().zip(&self.slices) {
            *slot = IoSlice::new(bytes);
            count += 1;
        }
        let written = match slices.get(..count) {
            Some([one]) => stream.write(one).await?,
            Some(many) => stream.write_vectored(many).await?,
            None => 0,
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.unflushed = self.buffered;
        self.advance(written);
        Ok(())
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes = self.bytes.saturating_sub(written);
        while let Some(front) = self.slices.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.slices.pop_front();
        }
    }
}
