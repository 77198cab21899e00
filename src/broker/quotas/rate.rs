//! How fast something happens, over the last windows: Kafka's `Rate` and `TokenBucket`.

use std::collections::VecDeque;

/// `quota.window.num` windows of `quota.window.size.seconds` each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Windows {
    pub count: i64,
    pub ms: i64,
}

impl Windows {
    /// How much may pass at once with `limit` per second, without certainly exceeding it.
    pub fn allowance(self, limit: f64) -> f64 {
        limit * ((self.count - 1) * self.ms) as f64 / 1000.0
    }
}

/// What has been counted, by windows that begin with the first event after the last one.
#[derive(Debug, Clone, Default)]
pub struct Rate {
    /// Start and sum, the oldest first.
    samples: VecDeque<(i64, f64)>,
}

impl Rate {
    pub fn record(&mut self, windows: Windows, now_ms: i64, amount: f64) {
        self.purge(windows, now_ms);
        match self.samples.back_mut() {
            Some((start, sum)) if now_ms - *start < windows.ms => *sum += amount,
            _ => self.samples.push_back((now_ms, amount)),
        }
    }

    /// Until when this must wait to come down to `limit` per second; 0 if it keeps to it.
    pub fn throttle_ms(&mut self, windows: Windows, now_ms: i64, limit: f64) -> i64 {
        self.purge(windows, now_ms);
        let elapsed = self.elapsed_ms(windows, now_ms) as f64;
        let sum: f64 = self.samples.iter().map(|(_, sum)| sum).sum();
        let rate = sum * 1000.0 / elapsed.max(1.0);
        if rate <= limit {
            return 0;
        }
        ((rate - limit) / limit * elapsed).round() as i64
    }

    /// Whether nothing has been counted for so long that it makes no difference.
    pub fn is_over(&mut self, windows: Windows, now_ms: i64) -> bool {
        self.purge(windows, now_ms);
        self.samples.is_empty()
    }

    fn purge(&mut self, windows: Windows, now_ms: i64) {
        let kept_ms = windows.count * windows.ms;
        while self
            .samples
            .front()
            .is_some_and(|(start, _)| now_ms - start >= kept_ms)
        {
            self.samples.pop_front();
        }
    }

    /// The time that the rate is taken over: all windows but the current one count as whole.
    fn elapsed_ms(&self, windows: Windows, now_ms: i64) -> i64 {
        let since = self.samples.front().map_or(0, |(start, _)| now_ms - start);
        let missing = windows.count - 1 - since / windows.ms.max(1);
        since + missing.max(0) * windows.ms
    }
}

/// Tokens that come in at a steady rate and are paid out as they are needed, on credit once (KIP-599).
#[derive(Debug, Clone)]
pub struct TokenBucket {
    tokens: f64,
    updated_ms: i64,
}

impl TokenBucket {
    pub fn full(windows: Windows, limit: f64, now_ms: i64) -> TokenBucket {
        TokenBucket {
            tokens: burst(windows, limit),
            updated_ms: now_ms,
        }
    }

    pub fn take(&mut self, windows: Windows, limit: f64, now_ms: i64, amount: f64) {
        self.refill(windows, limit, now_ms);
        self.tokens = (self.tokens - amount).min(burst(windows, limit));
    }

    /// How long it is until nothing is owed; 0 if nothing is.
    pub fn throttle_ms(&mut self, windows: Windows, limit: f64, now_ms: i64) -> i64 {
        self.refill(windows, limit, now_ms);
        if self.tokens >= 0.0 {
            return 0;
        }
        (-self.tokens / limit * 1000.0).round() as i64
    }

    pub fn is_full(&mut self, windows: Windows, limit: f64, now_ms: i64) -> bool {
        self.refill(windows, limit, now_ms);
        self.tokens >= burst(windows, limit)
    }

    fn refill(&mut self, windows: Windows, limit: f64, now_ms: i64) {
        let seconds = (now_ms - self.updated_ms).max(0) as f64 / 1000.0;
        self.tokens = (self.tokens + seconds * limit).min(burst(windows, limit));
        self.updated_ms = now_ms;
    }
}

fn burst(windows: Windows, limit: f64) -> f64 {
    limit * (windows.count * windows.ms) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Windows = Windows {
        count: 11,
        ms: 1000,
    };

    #[test]
    fn a_burst_waits_until_its_average_is_within_the_limit() {
        let mut rate = Rate::default();
        // Ten windows count as whole from the start: ten seconds' worth pass.
        rate.record(WINDOWS, 5000, 10_000.0);
        assert_eq!(rate.throttle_ms(WINDOWS, 5000, 1000.0), 0);
        rate.record(WINDOWS, 5000, 5000.0);
        assert_eq!(rate.throttle_ms(WINDOWS, 5000, 1000.0), 5000);
        // What is taken back does not count.
        rate.record(WINDOWS, 5001, -5000.0);
        assert_eq!(rate.throttle_ms(WINDOWS, 5001, 1000.0), 0);
    }

    #[test]
    fn old_windows_are_forgotten() {
        let mut rate = Rate::default();
        rate.record(WINDOWS, 0, 50_000.0);
        assert_eq!(rate.throttle_ms(WINDOWS, 10_999, 1000.0), 39_001);
        assert_eq!(rate.throttle_ms(WINDOWS, 11_000, 1000.0), 0);
        assert!(rate.is_over(WINDOWS, 11_000));
    }

    #[test]
    fn a_bucket_gives_on_credit_once() {
        let mut bucket = TokenBucket::full(WINDOWS, 2.0, 0);
        // 22 tokens are there; 30 may still be taken.
        assert_eq!(bucket.throttle_ms(WINDOWS, 2.0, 0), 0);
        bucket.take(WINDOWS, 2.0, 0, 30.0);
        assert_eq!(bucket.throttle_ms(WINDOWS, 2.0, 0), 4000);
        assert_eq!(bucket.throttle_ms(WINDOWS, 2.0, 3000), 1000);
        assert_eq!(bucket.throttle_ms(WINDOWS, 2.0, 4000), 0);
        assert!(bucket.is_full(WINDOWS, 2.0, 100_000));
    }
}
