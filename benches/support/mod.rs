//! What the benchmarks share: options, scratch space, what a run leaves behind.
#![allow(dead_code)] // each benchmark uses its part

pub mod load;
pub mod node;
pub mod process;
pub mod report;
pub mod turns;
pub mod wire;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// How much is measured: `cargo bench --bench broker -- [--quick] [--reps N] [--only WORD]`.
#[derive(Debug, Clone)]
pub struct Options {
    pub quick: bool,
    /// Pairs of measurements of each case.
    pub reps: usize,
    /// Cases whose name holds this word; all if empty.
    only: String,
}

impl Options {
    pub fn from_args() -> Options {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let after = |flag: &str| {
            let at = args.iter().position(|arg| arg == flag)?;
            args.get(at + 1).cloned()
        };
        let quick = args.iter().any(|arg| arg == "--quick");
        let reps = after("--reps").map(|n| n.parse().expect("--reps takes a number"));
        Options {
            quick,
            reps: reps.unwrap_or(if quick { 1 } else { 3 }),
            only: after("--only").unwrap_or_default(),
        }
    }

    pub fn wants(&self, case: &str) -> bool {
        case.contains(&self.only)
    }

    /// The environment's number, or one that suits `--quick` or a full run.
    pub fn size(&self, variable: &str, full: u64, quick: u64) -> u64 {
        match std::env::var(variable) {
            Ok(text) => text.parse().expect("a number"),
            Err(_) if self.quick => quick,
            Err(_) => full,
        }
    }
}

/// A throw-away directory, under `BENCH_DIR` if that is set: its disk is the one that is measured.
pub fn scratch() -> tempfile::TempDir {
    let made = match std::env::var_os("BENCH_DIR") {
        Some(dir) => tempfile::tempdir_in(dir),
        None => tempfile::tempdir(),
    };
    made.expect("a directory for scratch files")
}

/// Has the system back `bytes` of page cache with memory before a measurement needs them.
///
/// A virtual machine may hand freed pages to its host and take them back at the first touch, which costs more than
/// all that is measured here and would be put down to whoever writes first.
pub fn warm_page_cache(dir: &Path, bytes: u64) -> io::Result<()> {
    let path = dir.join("warm");
    File::create(&path)?.set_len(bytes)?;
    let mut file = File::open(&path)?;
    let mut buffer = vec![0; 1 << 20];
    while file.read(&mut buffer)? > 0 {}
    fs::remove_file(&path)
}
