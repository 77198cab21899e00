//! How far the reading of large files is, on stderr, for someone who watches.
use std::io::{self, IsTerminal};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

/// Less is read before anyone asks how far it is.
const LARGE_BYTES: u64 = 64 << 20;

pub struct Progress(Option<ProgressBar>);

impl Progress {
    pub fn start(total: u64) -> Self {
        if total < LARGE_BYTES || !io::stderr().is_terminal() {
            return Self(None);
        }
        let template = "{msg} {bytes} of {total_bytes} {wide_bar} {bytes_per_sec} {eta}";
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(Some(ProgressBar::new(total).with_style(style)))
    }

    /// Of a tool whose output would come between where both are on one terminal.
    pub fn beside_output(total: u64) -> Self {
        if io::stdout().is_terminal() {
            return Self(None);
        }
        Self::start(total)
    }

    pub fn add(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(bytes);
        }
    }

    pub fn message(&self, dir: &Path) {
        if let Some(bar) = &self.0 {
            bar.set_message(dir.display().to_string());
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
