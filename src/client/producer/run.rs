//! Records in a row: what one append looks up and locks is kept for the next.
use parking_lot::MutexGuard;
use std::sync::Arc;

use super::Producer;
use super::accumulator::{Accumulator, Partition, Queue, TopicState};
use super::record::{Record, TryAppendError};
use crate::client::config::Partitioning;
use crate::record::HEADER_LEN;

/// Appends records to one topic; see [`Producer::append_run`](super::Producer::append_run).
pub struct Run<'a> {
    producer: &'a Producer,
    accumulator: &'a Accumulator,
    topic: &'a Arc<TopicState>,
    partitions: &'a [Arc<Partition>],
    /// The partition of the last record, locked.
    held: Option<(usize, MutexGuard<'a, Queue>)>,
    /// Records without a key stay with a partition.
    sticks: bool,
    /// Records of up to this many bytes need no closer look at the limits.
    size_max: usize,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        producer: &'a Producer,
        topic: &'a Arc<TopicState>,
        partitions: &'a [Arc<Partition>],
    ) -> Self {
        let accumulator = &*producer.accumulator;
        let config = &accumulator.config;
        let limit = config.request_bytes_max.min(accumulator.memory.total());
        Self {
            producer,
            accumulator,
            topic,
            partitions,
            held: None,
            sticks: partitions.len() == 1 || config.partitioning != Partitioning::RoundRobin,
            size_max: limit.saturating_sub(HEADER_LEN),
        }
    }

    /// As [`Producer::try_append`](super::Producer::try_append).
    #[inline]
    pub fn try_append(&mut self, record: &Record<'_>) -> Result<i32, TryAppendError> {
        if let Some(partition) = self.append_here(record) {
            return Ok(partition);
        }
        self.held = None;
        let index = self.producer.try_place(self.topic, record, None)?;
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        if let Some(partition) = self.partitions.get(at) {
            self.held = Some((at, partition.queue.lock()));
        }
        Ok(index)
    }

    /// Appends to the batch that the last record went to, if that is the place and there is room.
    #[inline]
    fn append_here(&mut self, record: &Record<'_>) -> Option<i32> {
        if !self.sticks || record.key.is_some() || record.partition.is_some() {
            return None;
        }
        let (at, queue) = self.held.as_mut()?;
        let (at, sticky) = (*at, &self.topic.sticky);
        let several = self.partitions.len() > 1;
        if several && sticky.current(self.partitions.len()) != Some(at) {
            return None;
        }
        let bound = record.size_bound();
        if bound > self.size_max
            || !self
                .accumulator
                .has_room(self.topic, queue.open.as_mut(), bound)
        {
            return None;
        }
        let open = queue.open.as_mut()?;
        let timestamp = record.timestamp.unwrap_or_else(super::accumulator::now_ms);
        open.builder
            .append(timestamp, record.key, record.value, record.headers)
            .ok()?;
        open.tokens.extend(record.token);
        if several && sticky.took(bound, 2 * self.accumulator.config.batch_bytes.max(1)) {
            self.held = None;
            self.accumulator.switch_sticky(self.topic, self.partitions);
        }
        i32::try_from(at).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::errors::ClientError;
    use crate::client::metadata::{PartitionMetadata, TopicMetadata};
    use crate::client::producer::{ProducerConfig, Topic, partition_for_key};
    use crate::config::Properties;
    use crate::protocol::{ErrorCode, Uuid};

    fn producer(settings: &[(&str, &str)]) -> Producer {
        let mut properties = Properties::new();
        properties.set("bootstrap.servers", "127.0.0.1:1");
        for (key, value) in settings {
            properties.set(*key, *value);
        }
        Producer::new(ProducerConfig::from_properties(&properties).unwrap())
    }

    fn topic(partitions: i32) -> Topic {
        let partition = |partition| PartitionMetadata {
            partition,
            leader: 1,
            leader_epoch: 0,
            replicas: vec![1],
            isr: vec![1],
            offline_replicas: vec![],
            error: ErrorCode::None,
        };
        Topic {
            state: Arc::new(TopicState::new(&TopicMetadata {
                name: "t".into(),
                id: Uuid::ZERO,
                internal: false,
                error: ErrorCode::None,
                partitions: (0..partitions).map(partition).collect(),
                authorized_operations: 0,
            })),
        }
    }

    /// The tokens that each partition's batches hold, in order.
    fn taken(producer: &Producer, topic: &Topic) -> Vec<Vec<u64>> {
        let partitions = topic.state.partitions.load();
        let tokens = |partition: &Arc<Partition>| {
            let batches = std::iter::from_fn(|| producer.accumulator.take_batch(partition));
            batches.flat_map(|batch| batch.tokens).collect()
        };
        partitions.iter().map(tokens).collect()
    }

    #[tokio::test]
    async fn a_run_is_as_its_records_one_by_one() {
        for (partitions, codec) in [(1, "none"), (3, "none"), (3, "lz4")] {
            let settings = [("batch.size", "2000"), ("compression.type", codec)];
            let (producer, topic) = (producer(&settings), topic(partitions));
            let value = [b'v'; 50];
            let place_of = |token: u64| (token % 7 == 3).then(|| token.to_be_bytes());
            let places: Vec<i32> = producer.append_run(&topic, |run| {
                let append = |token| {
                    let key = place_of(token);
                    run.try_append(&Record {
                        token: Some(token),
                        key: key.as_ref().map(|key| &key[..]),
                        ..Record::value(&value)
                    })
                    .unwrap()
                };
                (0..1_000).map(append).collect()
            });
            let count = partitions as usize;
            let mut expected = vec![Vec::new(); count];
            for (token, place) in (0..).zip(&places) {
                expected[*place as usize].push(token);
                if let Some(key) = place_of(token) {
                    assert_eq!(*place as usize, partition_for_key(&key, count));
                }
            }
            assert_eq!(taken(&producer, &topic), expected, "{partitions} {codec}");
            let changes = places.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert!(partitions == 1 || (10..600).contains(&changes), "{changes}");
        }
    }

    #[tokio::test]
    async fn a_run_ends_where_memory_does_and_when_the_producer_is_closed() {
        let settings = [("batch.size", "2000"), ("buffer.memory", "6000")];
        let (producer, topic) = (producer(&settings), topic(1));
        let value = [b'v'; 500];
        let append = || {
            producer.append_run(&topic, |run| {
                let results = std::iter::repeat_with(|| run.try_append(&Record::value(&value)));
                results
                    .take(100)
                    .enumerate()
                    .find_map(|(n, result)| result.err().map(|error| (n, error)))
            })
        };
        assert!(matches!(append(), Some((9, TryAppendError::Full { .. }))));
        producer
            .closed
            .store(true, std::sync::atomic::Ordering::Relaxed);
        let closed = append();
        assert!(
            matches!(
                closed,
                Some((0, TryAppendError::Failed(ClientError::Closed)))
            ),
            "{closed:?}"
        );
    }
}
