//! The time that a request takes on the threads of the runtime: while it waits for something else it costs nothing.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Counts the time during which one future is polled.
#[derive(Debug)]
pub struct Meter {
    created: Instant,
    /// Nanoseconds of the polls that are over.
    spent: AtomicU64,
    /// When the present poll began, in nanoseconds since `created`.
    began: AtomicU64,
}

impl Default for Meter {
    fn default() -> Meter {
        Meter {
            created: Instant::now(),
            spent: AtomicU64::new(0),
            began: AtomicU64::new(0),
        }
    }
}

impl Meter {
    fn now(&self) -> u64 {
        u64::try_from(self.created.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Runs a future to its end, counting.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        std::future::poll_fn(|context| {
            let began = self.now();
            self.began.store(began, Ordering::Relaxed);
            let polled = future.as_mut().poll(context);
            self.spent.fetch_add(self.now() - began, Ordering::Relaxed);
            polled
        })
        .await
    }

    /// As hundredths of a second of one thread, from within the future: Kafka's unit of
    /// `request_percentage`.
    pub fn percent(&self) -> f64 {
        let present = self.now() - self.began.load(Ordering::Relaxed);
        (self.spent.load(Ordering::Relaxed) + present) as f64 * 100.0 / 1e9
    }
}
