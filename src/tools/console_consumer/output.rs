//! Stdout through a thread of its own: a reader that stops reading (`| less`) must not stop the
//! heartbeats that keep the group's membership alive.
use std::io::{self, Write as _};
use std::sync::mpsc as std_mpsc;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

/// Text is handed over in pieces of about this size, or when there is nothing else to do.
const PIECE_BYTES: usize = 128 << 10;
/// Pieces that may wait to be written; then the consumer waits.
const PIECES: usize = 4;

pub struct Output {
    /// The text under construction.
    pub text: Vec<u8>,
    full: mpsc::Sender<Vec<u8>>,
    written: std_mpsc::Receiver<Vec<u8>>,
    writer: JoinHandle<io::Result<()>>,
}

/// The writer has ended: [`Output::close`] tells why.
#[derive(Debug)]
pub struct Closed;

impl Output {
    pub fn start() -> io::Result<Self> {
        let (full, mut pieces) = mpsc::channel::<Vec<u8>>(PIECES);
        let (give_back, written) = std_mpsc::channel();
        let writer = thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(move || {
                // Unbuffered: the pieces are large, and are to be seen at once.
                let mut stdout = std::fs::File::from(rustix::io::dup(io::stdout())?);
                while let Some(piece) = pieces.blocking_recv() {
                    stdout.write_all(&piece)?;
                    // Nobody needs it back when the consumer is closing.
                    let _ = give_back.send(piece);
                }
                Ok(())
            })?;
        Ok(Output {
            text: Vec::with_capacity(2 * PIECE_BYTES),
            full,
            written,
            writer,
        })
    }

    /// Hands the text over if there is a lot of it.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.text.len() >= PIECE_BYTES
    }

    /// Hands the text over.
    pub async fn flush(&mut self) -> Result<(), Closed> {
        if self.text.is_empty() {
            return Ok(());
        }
        let mut next = self.written.try_recv().unwrap_or_default();
        next.clear();
        let piece = std::mem::replace(&mut self.text, next);
        self.full.send(piece).await.map_err(|_| Closed)
    }

    /// Writes what is left and waits for it.
    pub async fn close(mut self) -> io::Result<()> {
        let _ = self.flush().await;
        drop(self.full);
        let writer = self.writer;
        let joined = tokio::task::spawn_blocking(move || writer.join()).await;
        match joined {
            Ok(Ok(written)) => written,
            _ => Err(io::Error::other("the thread that writes to stdout failed")),
        }
    }
}
