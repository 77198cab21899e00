//! The wait of an acks=all producer for what it appended to be committed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::broker::partition::Partition;
use crate::protocol::ErrorCode;
use crate::protocol::messages::ProduceResponse;

/// Records that were appended and are above the high watermark.
#[derive(Debug)]
pub(super) struct Uncommitted {
    /// Where in the response their partition is: topic, partition.
    place: (usize, usize),
    partition: Arc<Partition>,
    end: i64,
}

impl Uncommitted {
    pub fn new(place: (usize, usize), partition: Arc<Partition>, end: i64) -> Uncommitted {
        Uncommitted {
            place,
            partition,
            end,
        }
    }
}

/// Waits for all, at most `timeout_ms`; partitions that are not committed by then get an error.
pub(super) async fn wait(
    response: &mut ProduceResponse,
    uncommitted: Vec<Uncommitted>,
    timeout_ms: i32,
) {
    let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    let deadline = Instant::now() + timeout;
    for records in uncommitted {
        let waited = records
            .partition
            .until_committed(records.end, deadline)
            .await;
        let (topic, partition) = records.place;
        let answered = response
            .responses
            .get_mut(topic)
            .and_then(|topic| topic.partition_responses.get_mut(partition));
        if let (Err(error), Some(answered)) = (waited, answered) {
            answered.error_code = error.code();
            if error == ErrorCode::KafkaStorageError {
                answered.base_offset = -1;
                answered.log_start_offset = -1;
            }
        }
    }
}
