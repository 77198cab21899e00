//! Records that were not delivered: each reason is told once, their number at the end.
use std::collections::BTreeSet;

use parking_lot::Mutex;
use tracing::error;

use crate::client::ClientError;
use crate::client::producer::{BatchOutcome, Record};
use crate::tools::cluster::exception;

#[derive(Default)]
pub struct Failures {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    records: u64,
    told: BTreeSet<String>,
}

impl Failures {
    /// A batch has come to its end.
    pub fn batch(&self, outcome: &BatchOutcome) {
        let Err(error) = &outcome.result else { return };
        let reason = format!("{}: {error}", exception(error));
        if self.count(outcome.count as u64, &reason) {
            error!(
                "Error when sending {} message(s) to partition {} of topic {} with error:\n{reason}",
                outcome.count, outcome.partition, outcome.topic
            );
        }
    }

    /// A record was not taken by the producer.
    pub fn record(&self, topic: &str, line: u64, record: &Record<'_>, error: &ClientError) {
        let reason = format!("{}: {error}", exception(error));
        // Each of these names its own size.
        let first = self.count(1, &reason) || matches!(error, ClientError::RecordTooLarge(_));
        if first {
            tell(topic, line, size(record.key), size(record.value), &reason);
        }
    }

    /// A line was longer than any record may be, and so was not even kept.
    pub fn too_long(&self, topic: &str, line: u64, bytes: u64, limit: usize) {
        let reason = format!(
            "org.apache.kafka.common.errors.RecordTooLargeException: The message is {} bytes when \
             serialized which is larger than {limit}, which is the value of the max.request.size \
             configuration.",
            serialized(bytes)
        );
        self.count(1, &reason);
        tell(
            topic,
            line,
            "null".to_owned(),
            format!("{bytes} bytes"),
            &reason,
        );
    }

    /// Counts, and says whether this reason is a new one.
    fn count(&self, records: u64, reason: &str) -> bool {
        let mut state = self.state.lock();
        state.records += records;
        state.told.insert(reason.to_owned())
    }

    /// Tells how many there were, if that was not told yet.
    pub fn sum_up(&self) {
        let state = self.state.lock();
        if state.records > 1 {
            error!("{} records were not delivered.", state.records);
        }
    }
}

fn tell(topic: &str, line: u64, key: String, value: String, reason: &str) {
    error!(
        "Error when sending message to topic {topic} with key: {key}, value: {value} with error:\n\
         {reason}\nLine {line} of the input was not sent."
    );
}

fn size(part: Option<&[u8]>) -> String {
    part.map_or("null".to_owned(), |part| format!("{} bytes", part.len()))
}

/// Kafka's bound for the size of a record with such a value, alone in a batch.
fn serialized(value: u64) -> u64 {
    const BATCH_HEADER: u64 = 61;
    const RECORD_FIELDS: u64 = 21;
    let zigzag = value * 2;
    let length = u64::from((64 - zigzag.leading_zeros()).max(1).div_ceil(7));
    // A null key and no headers take a byte each.
    BATCH_HEADER + RECORD_FIELDS + 1 + length + value + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bounded_as_kafka_bounds_them() {
        assert_eq!(serialized(2_000_000), 2_000_088);
    }

    #[test]
    fn a_reason_is_told_once() {
        let failures = Failures::default();
        assert!(failures.count(3, "down"));
        assert!(!failures.count(2, "down"));
        assert!(failures.count(1, "refused"));
        assert_eq!(failures.state.lock().records, 6);
    }
}
