//! Stdin in large blocks, read by a thread of its own so that a slow pipe or disk never holds up
//! the connections.
use std::io::{self, Read as _};
use std::sync::mpsc as std_mpsc;
use std::thread;

use tokio::sync::mpsc;

const BLOCK_BYTES: usize = 256 << 10;
/// One is read, one is worked on, one waits.
const BLOCKS: usize = 3;

/// Some bytes of the input.
pub struct Block {
    buffer: Box<[u8]>,
    filled: usize,
}

impl Block {
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }
}

/// The reading end; dropping it ends the thread at its next block.
pub struct Input {
    full: mpsc::Receiver<io::Result<Block>>,
    empty: std_mpsc::Sender<Block>,
}

impl Input {
    pub fn start() -> io::Result<Self> {
        let (full_sender, full) = mpsc::channel(BLOCKS);
        let (empty, empty_receiver) = std_mpsc::channel();
        for _ in 0..BLOCKS {
            let block = Block {
                buffer: vec![0; BLOCK_BYTES].into_boxed_slice(),
                filled: 0,
            };
            // The receiver is right here.
            let _ = empty.send(block);
        }
        thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || read_all(&empty_receiver, &full_sender))?;
        Ok(Input { full, empty })
    }

    /// The next block, `None` at the end of the input.
    pub async fn next(&mut self) -> io::Result<Option<Block>> {
        self.full.recv().await.transpose()
    }

    /// Gives a block back to be filled again.
    pub fn give_back(&self, block: Block) {
        // Fails when the input has ended: then nobody needs it.
        let _ = self.empty.send(block);
    }
}

fn read_all(empty: &std_mpsc::Receiver<Block>, full: &mpsc::Sender<io::Result<Block>>) {
    let mut stdin = io::stdin().lock();
    while let Ok(mut block) = empty.recv() {
        let read = loop {
            match stdin.read(&mut block.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let outcome = match read {
            Ok(0) => return,
            Ok(filled) => Ok(Block { filled, ..block }),
            Err(error) => Err(error),
        };
        if full.blocking_send(outcome).is_err() {
            return;
        }
    }
}
