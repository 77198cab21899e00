//! How far the check of large directories is, on stderr, for someone who watches.
use std::io::{self, IsTerminal};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

/// Less is checked before anyone asks how far it is.
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
