//! How often each latency was seen: percentiles without keeping every record's.
use std::collections::BTreeMap;

/// Milliseconds, of every so many records. Records of a batch bring the same latency many times in
/// a row, so these are counted together.
pub struct Latencies {
    sampling: i64,
    until_next: i64,
    seen: BTreeMap<i64, u64>,
    run: (i64, u64),
}

impl Latencies {
    /// Takes the first of every `sampling` records.
    pub fn new(sampling: i64) -> Self {
        Latencies {
            sampling,
            until_next: 0,
            seen: BTreeMap::new(),
            run: (0, 0),
        }
    }

    #[inline]
    pub fn add(&mut self, latency: i64) {
        if self.until_next > 0 {
            self.until_next -= 1;
            return;
        }
        self.until_next = self.sampling - 1;
        if self.run.0 != latency {
            if self.run.1 > 0 {
                *self.seen.entry(self.run.0).or_default() += self.run.1;
            }
            self.run = (latency, 0);
        }
        self.run.1 += 1;
    }

    /// For each share, the latency that so many of the records were faster than; 0 without any.
    pub fn percentiles<const N: usize>(&self, shares: [f64; N]) -> [i64; N] {
        let mut seen = self.seen.clone();
        *seen.entry(self.run.0).or_default() += self.run.1;
        let count: u64 = seen.values().sum();
        shares.map(|share| {
            let mut index = (share * count as f64) as u64;
            let reached = seen.iter().find(|(_, times)| {
                let here = index < **times;
                index = index.saturating_sub(**times);
                here
            });
            reached.map_or(0, |(latency, _)| *latency)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_places_in_the_sorted_latencies() {
        let mut latencies = Latencies::new(1);
        assert_eq!(latencies.percentiles([0.5]), [0]);
        [5, 1, 1, 9].into_iter().for_each(|ms| latencies.add(ms));
        assert_eq!(
            latencies.percentiles([0.0, 0.5, 0.74, 0.75, 0.999]),
            [1, 5, 5, 9, 9]
        );
    }

    #[test]
    fn long_runs_are_sampled() {
        let mut latencies = Latencies::new(3);
        (0..9).for_each(|latency| latencies.add(latency));
        assert_eq!(latencies.percentiles([0.0, 0.5, 0.99]), [0, 3, 6]);
    }
}
