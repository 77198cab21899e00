//! How far a long input is, on stderr, for someone who watches.
use std::fs::Metadata;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Inputs of this size or more show a bar from the start.
const LARGE_BYTES: u64 = 16 << 20;
/// Others show how much was sent once they last longer than this.
const LONG: Duration = Duration::from_secs(1);

/// Nothing unless stderr is a terminal and the input is not typed.
pub enum Progress {
    Silent,
    Waiting { since: Instant, bytes: u64 },
    Shown(ProgressBar),
}

impl Progress {
    pub fn start() -> Self {
        if !io::stderr().is_terminal() || io::stdin().is_terminal() {
            return Progress::Silent;
        }
        match file_size() {
            Some(size) if size >= LARGE_BYTES => Progress::Shown(bar(Some(size))),
            _ => Progress::Waiting {
                since: Instant::now(),
                bytes: 0,
            },
        }
    }

    pub fn add(&mut self, more: usize) {
        match self {
            Progress::Silent => {}
            Progress::Shown(bar) => bar.inc(more as u64),
            Progress::Waiting { since, bytes } => {
                *bytes += more as u64;
                if since.elapsed() > LONG {
                    let shown = bar(file_size());
                    shown.inc(*bytes);
                    *self = Progress::Shown(shown);
                }
            }
        }
    }

    pub fn finish(&self) {
        if let Progress::Shown(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn bar(size: Option<u64>) -> ProgressBar {
    let template = match size {
        Some(_) => "{bytes} of {total_bytes} {wide_bar} {bytes_per_sec} {eta}",
        None => "{spinner} {bytes} sent, {bytes_per_sec}",
    };
    let bar = size.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.with_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}

/// The size of stdin where it is a file.
fn file_size() -> Option<u64> {
    let file = rustix::io::dup(io::stdin()).ok().map(std::fs::File::from)?;
    file.metadata()
        .ok()
        .filter(Metadata::is_file)
        .map(|metadata| metadata.len())
}
