//! Stdin in large blocks. A pipe is read by a thread of its own, so that a slow one never holds up
//! the connections.
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::sync::mpsc as std_mpsc;
use std::thread;

use tokio::sync::mpsc;

const BLOCK_BYTES: usize = 256 << 10;
/// Small enough to be worked on while it is in the cache.
const FILE_BLOCK_BYTES: usize = 64 << 10;
/// One is read, one is worked on, one waits.
const BLOCKS: usize = 3;

/// Some bytes of the input.
pub struct Block {
    buffer: Box<[u8]>,
    filled: usize,
}

impl Block {
    fn new(size: usize) -> Self {
        Block {
            buffer: vec![0; size].into_boxed_slice(),
            filled: 0,
        }
    }

    /// Reads once; `None` at the end.
    fn fill(mut self, from: &mut File) -> io::Result<Option<Self>> {
        self.filled = loop {
            match from.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        Ok((self.filled > 0).then_some(self))
    }

    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }
}

/// Where the lines come from.
pub enum Input {
    /// A file is always there to be read: no thread, and its bytes stay in this core's cache.
    File { file: File, block: Option<Block> },
    /// A pipe or a terminal may keep us waiting. Dropping this end stops the thread at its next block.
    Thread {
        full: mpsc::Receiver<io::Result<Block>>,
        empty: std_mpsc::Sender<Block>,
    },
}

impl Input {
    pub fn start() -> io::Result<Self> {
        let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        if stdin.metadata()?.is_file() {
            return Ok(Input::File {
                file: stdin,
                block: Some(Block::new(FILE_BLOCK_BYTES)),
            });
        }
        let (full_sender, full) = mpsc::channel(BLOCKS);
        let (empty, empty_receiver) = std_mpsc::channel();
        for _ in 0..BLOCKS {
            // The receiver is right here.
            let _ = empty.send(Block::new(BLOCK_BYTES));
        }
        thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || read_all(stdin, &empty_receiver, &full_sender))?;
        Ok(Input::Thread { full, empty })
    }

    /// The next block, `None` at the end of the input.
    pub async fn next(&mut self) -> io::Result<Option<Block>> {
        match self {
            Input::File { file, block } => match block.take() {
                Some(block) => block.fill(file),
                None => Ok(None),
            },
            Input::Thread { full, .. } => full.recv().await.transpose(),
        }
    }

    /// Gives a block back to be filled again.
    pub fn give_back(&mut self, used: Block) {
        match self {
            Input::File { block, .. } => *block = Some(used),
            Input::Thread { empty, .. } => {
                // Fails when the input has ended: then nobody needs it.
                let _ = empty.send(used);
            }
        }
    }
}

fn read_all(
    mut stdin: File,
    empty: &std_mpsc::Receiver<Block>,
    full: &mpsc::Sender<io::Result<Block>>,
) {
    while let Ok(block) = empty.recv() {
        let Some(outcome) = block.fill(&mut stdin).transpose() else {
            return;
        };
        if full.blocking_send(outcome).is_err() {
            return;
        }
    }
}
