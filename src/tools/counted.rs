//! How far a run over a known number of records is, on stderr, for someone who watches.
use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

/// Nothing unless stderr is a terminal. Clones are the same bar.
#[derive(Clone, Default)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// A bar for so many records; without a number only what was done is shown.
    pub fn start(total: Option<u64>, verb: &str) -> Self {
        if !io::stderr().is_terminal() {
            return Progress(None);
        }
        let template = match total {
            Some(_) => format!(
                "{{human_pos}} of {{human_len}} records {verb} {{wide_bar}} {{per_sec}} {{eta}}"
            ),
            None => format!("{{spinner}} {{human_pos}} records {verb}, {{per_sec}}"),
        };
        let style = ProgressStyle::with_template(&template);
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Progress(Some(bar))
    }

    pub fn set(&self, done: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(done);
        }
    }

    /// Prints something else meanwhile: at a terminal the two would mix.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
