//! Keeping to a rate on average, as Kafka's load tools do.
use std::time::Duration;

use tokio::time::sleep;

/// Shorter pauses are saved up: timers are not that fine.
const PAUSE_MIN: Duration = Duration::from_millis(2);

/// Counts against the time since the beginning.
pub struct Throttle {
    /// Per second; negative for no limit, 0 to stop for ever.
    rate: f64,
    started_ms: i64,
    pause: Duration,
    owed: Duration,
}

impl Throttle {
    pub fn new(rate: f64, started_ms: i64) -> Self {
        let pause = match rate {
            rate if rate > 0.0 => Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX),
            _ => Duration::ZERO,
        };
        Throttle {
            rate,
            started_ms,
            pause,
            owed: Duration::ZERO,
        }
    }

    pub fn is_limited(&self) -> bool {
        self.rate >= 0.0
    }

    /// Whether `count` until `now_ms` is more than the rate allows.
    pub fn is_ahead(&self, count: i64, now_ms: i64) -> bool {
        let seconds = (now_ms - self.started_ms) as f64 / 1000.0;
        self.is_limited() && seconds > 0.0 && count as f64 / seconds > self.rate
    }

    /// Owes the pause of one more, and takes what is owed once it is long enough.
    pub async fn pause(&mut self) {
        if self.rate == 0.0 {
            return std::future::pending().await;
        }
        if let Some(pause) = self.owe() {
            sleep(pause).await;
        }
    }

    /// Adds one pause to those that are saved up; all of them together once they are long enough.
    fn owe(&mut self) -> Option<Duration> {
        self.owed = self.owed.saturating_add(self.pause);
        (self.owed >= PAUSE_MIN).then(|| std::mem::take(&mut self.owed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_since_the_beginning() {
        let throttle = Throttle::new(100.0, 1_000);
        assert!(!throttle.is_ahead(500, 1_000), "no time has passed");
        assert!(throttle.is_ahead(101, 2_000));
        assert!(!throttle.is_ahead(100, 2_000));
        assert!(!Throttle::new(-1.0, 0).is_ahead(i64::MAX, 1));
        assert!(Throttle::new(0.0, 0).is_ahead(1, 1));
    }

    #[test]
    fn short_pauses_are_saved_up() {
        let mut throttle = Throttle::new(1_000.0, 0);
        assert_eq!(throttle.owe(), None);
        assert_eq!(throttle.owe(), Some(Duration::from_millis(2)));
        assert_eq!(throttle.owe(), None);
    }
}
