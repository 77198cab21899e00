//! Keeps all who share it together to a rate, as Kafka's `Throttler` does.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How often the brake compares.
const THROTTLE_WINDOW: Duration = Duration::from_millis(300);

#[derive(Debug, Default)]
pub struct Throttle(Mutex<ThrottleState>);

#[derive(Debug)]
struct ThrottleState {
    bytes_per_second: f64,
    since: Option<Instant>,
    bytes: f64,
}

impl Default for ThrottleState {
    fn default() -> Self {
        Self {
            bytes_per_second: f64::MAX,
            since: None,
            bytes: 0.0,
        }
    }
}

impl Throttle {
    pub fn set_rate(&self, bytes_per_second: f64) {
        let mut state = self.0.lock();
        if state.bytes_per_second != bytes_per_second {
            // What was passed at another rate does not count.
            *state = ThrottleState {
                bytes_per_second,
                ..ThrottleState::default()
            };
        }
    }

    /// How long to wait after so many more bytes.
    pub fn pass(&self, bytes: usize, now: Instant) -> Option<Duration> {
        let mut state = self.0.lock();
        state.bytes += bytes as f64;
        let since = *state.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        if elapsed < THROTTLE_WINDOW && state.bytes / state.bytes_per_second < 1.0 {
            return None;
        }
        let due = Duration::try_from_secs_f64(state.bytes / state.bytes_per_second);
        let pause = due.unwrap_or(THROTTLE_WINDOW).checked_sub(elapsed);
        state.bytes = 0.0;
        state.since = Some(now + pause.unwrap_or_default());
        pause.filter(|pause| !pause.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brake_holds_the_rate() {
        let throttle = Throttle::default();
        let start = Instant::now();
        assert_eq!(throttle.pass(1 << 40, start), None, "without a limit");
        throttle.set_rate(1_000_000.0);
        let mut now = start + THROTTLE_WINDOW;
        throttle.pass(0, now);
        let begin = now;
        for _ in 0..1000 {
            now += Duration::from_millis(1);
            if let Some(pause) = throttle.pass(10_000, now) {
                now += pause;
            }
        }
        let took = (now - begin).as_secs_f64();
        assert!((9.0..=10.5).contains(&took), "10 MB in {took} s");
    }
}
