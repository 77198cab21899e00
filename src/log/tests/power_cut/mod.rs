//! A power cut at any moment: histories of whole log directories on a disk that forgets what was
//! not forced to it, each cut short several times, and after each start held against a model.
//!
//! `KAFKARS_POWER_CUTS` says how many histories; `KAFKARS_POWER_CUT=seed` replays one, with all
//! that is done told.
mod history;
mod model;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use history::History;

/// Histories where nothing else is said.
const HISTORIES: u64 = 1500;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

#[test]
fn what_was_promised_outlives_a_loss_of_power() {
    if let Some(seed) = number("KAFKARS_POWER_CUT") {
        return History::new(seed, true).run();
    }
    let histories = number("KAFKARS_POWER_CUTS").unwrap_or(HISTORIES);
    let next = AtomicU64::new(number("KAFKARS_POWER_CUTS_FROM").unwrap_or(0));
    let failed = AtomicU64::new(u64::MAX);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= histories || failed.load(Relaxed) < seed {
                        break;
                    }
                    let run = AssertUnwindSafe(|| History::new(seed, false).run());
                    if catch_unwind(run).is_err() {
                        failed.fetch_min(seed, Relaxed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    assert!(
        failed == u64::MAX,
        "history {failed} failed, see above; KAFKARS_POWER_CUT={failed} replays it"
    );
}
