//! What Kafka's load tools count of records that were sent, and the lines they print of it.
use crate::tools::java_format::fixed;
use crate::tools::latencies::Latencies;

const MEBIBYTE: f64 = 1024.0 * 1024.0;
/// Percentiles come from about this many records, evenly spread.
const SAMPLES: i64 = 500_000;

/// Counts of a whole run and of the window since the last line. Times are milliseconds.
pub struct Stats {
    started_ms: i64,
    interval_ms: i64,
    total: Counts,
    window: Counts,
    window_started_ms: i64,
    latencies: Latencies,
    /// The records after those of the warm-up.
    steady: bool,
    silent: bool,
}

#[derive(Default)]
struct Counts {
    records: i64,
    bytes: i64,
    latency: i64,
    latency_max: i64,
}

impl Counts {
    fn add(&mut self, bytes: i64, latency: i64) {
        self.records += 1;
        self.bytes += bytes;
        self.latency += latency;
        self.latency_max = self.latency_max.max(latency);
    }

    fn per_second(&self, count: f64, elapsed_ms: i64) -> f64 {
        1000.0 * count / elapsed_ms as f64
    }
}

impl Stats {
    pub fn new(records: i64, interval_ms: i64, steady: bool, now_ms: i64) -> Self {
        Stats {
            started_ms: now_ms,
            interval_ms,
            total: Counts::default(),
            window: Counts::default(),
            window_started_ms: now_ms,
            latencies: Latencies::new((records / records.clamp(1, SAMPLES)).max(1)),
            steady,
            silent: false,
        }
    }

    /// No more lines of windows: those of the steady state take their place.
    pub fn silence(&mut self) {
        self.silent = true;
    }

    /// Counts a record that was acknowledged; lines that are due are added to `lines`.
    #[inline]
    pub fn record(&mut self, latency: i64, bytes: i64, now_ms: i64, lines: &mut Vec<String>) {
        self.total.add(bytes, latency);
        self.window.add(bytes, latency);
        self.latencies.add(latency);
        if now_ms - self.window_started_ms >= self.interval_ms {
            if self.steady && self.total.records == self.window.records {
                lines.push("In steady state.".to_owned());
            }
            if !self.silent {
                lines.push(self.window_line(now_ms));
            }
            self.window = Counts::default();
            self.window_started_ms = now_ms;
        }
    }

    fn window_line(&self, now_ms: i64) -> String {
        let (window, elapsed) = (&self.window, now_ms - self.window_started_ms);
        format!(
            "{} records sent, {} records/sec ({} MB/sec), {} ms avg latency, {} ms max latency.",
            window.records,
            fixed(window.per_second(window.records as f64, elapsed), 1),
            fixed(
                window.per_second(window.bytes as f64, elapsed) / MEBIBYTE,
                2
            ),
            fixed(window.latency as f64 / window.records as f64, 1),
            fixed(window.latency_max as f64, 1),
        )
    }

    /// The line of the whole run.
    pub fn total_line(&self, now_ms: i64) -> String {
        let (total, elapsed) = (&self.total, now_ms - self.started_ms);
        let [half, p95, p99, p999] = self.latencies.percentiles([0.5, 0.95, 0.99, 0.999]);
        format!(
            "{}{} records sent, {} records/sec ({} MB/sec), {} ms avg latency, {} ms max latency, \
             {half} ms 50th, {p95} ms 95th, {p99} ms 99th, {p999} ms 99.9th.",
            total.records,
            if self.steady { " steady state" } else { "" },
            fixed(total.per_second(total.records as f64, elapsed), 6),
            fixed(total.per_second(total.bytes as f64, elapsed) / MEBIBYTE, 2),
            fixed(total.latency as f64 / total.records as f64, 2),
            fixed(total.latency_max as f64, 2),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_as_kafkas() {
        let mut stats = Stats::new(4, 5_000, false, 1_000);
        let mut lines = Vec::new();
        for (latency, now) in [(1, 1_500), (2, 2_000), (10, 6_000), (3, 11_000)] {
            stats.record(latency, 1_048_576, now, &mut lines);
        }
        assert_eq!(
            lines,
            [
                "3 records sent, 0.6 records/sec (0.60 MB/sec), 4.3 ms avg latency, 10.0 ms max latency.",
                "1 records sent, 0.2 records/sec (0.20 MB/sec), 3.0 ms avg latency, 3.0 ms max latency."
            ]
        );
        assert_eq!(
            stats.total_line(11_000),
            "4 records sent, 0.400000 records/sec (0.40 MB/sec), 4.00 ms avg latency, 10.00 ms max \
             latency, 3 ms 50th, 10 ms 95th, 10 ms 99th, 10 ms 99.9th."
        );
    }

    /// Printed by Kafka when no record could be sent.
    #[test]
    fn nothing_sent_is_no_number() {
        let stats = Stats::new(2, 5_000, false, 0);
        assert_eq!(
            stats.total_line(1_000),
            "0 records sent, 0.000000 records/sec (0.00 MB/sec), NaN ms avg latency, 0.00 ms max \
             latency, 0 ms 50th, 0 ms 95th, 0 ms 99th, 0 ms 99.9th."
        );
    }

    #[test]
    fn the_steady_state_is_announced_and_named() {
        let mut stats = Stats::new(2, 10, true, 0);
        let mut lines = Vec::new();
        stats.record(1, 1, 10, &mut lines);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], "In steady state.");
        stats.silence();
        stats.record(1, 1, 20, &mut lines);
        assert_eq!(lines.len(), 2);
        assert!(
            stats
                .total_line(20)
                .starts_with("2 steady state records sent, ")
        );
    }
}
