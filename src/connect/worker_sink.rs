//! Runs a sink task: what its consumer reads goes through the converters to the task, and the
//! offsets of what it took are committed for the group.
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::convert::Converter;
use super::errors::{ConnectError, Result};
use super::task::{SinkRecord, SinkTask};
use super::tolerance::{Stage, Tolerance};
use crate::client::TopicPartition;
use crate::client::consumer::{
    BoxFuture, CommittedOffset, Consumer, ConsumerConfig, Fetched, Offsets, RebalanceListener,
};
use crate::record::RecordView;

/// How long a poll waits; it only bounds how often the loop turns when nothing arrives.
const POLL_WAIT: Duration = Duration::from_secs(60);

/// What a sink reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topics {
    Names(Vec<String>),
    Pattern(String),
}

/// A sink task and what it needs.
pub struct WorkerSinkTask {
    pub task: Box<dyn SinkTask>,
    pub topics: Topics,
    pub key_converter: Box<dyn Converter>,
    pub value_converter: Box<dyn Converter>,
    pub consumer: ConsumerConfig,
    pub tolerance: Tolerance,
    /// `offset.flush.interval.ms`
    pub commit_interval: Duration,
}

/// Where the task is: what it took and flushed, by partition.
#[derive(Default)]
struct Progress {
    taken: Offsets,
    /// What the group has, as far as this task knows.
    committed: Offsets,
}

struct Rebalances {
    task: String,
    progress: Arc<Mutex<Progress>>,
}

impl RebalanceListener for Rebalances {
    fn revoked<'a>(&'a mut self, partitions: &'a [TopicPartition]) -> BoxFuture<'a, Offsets> {
        // Nothing is forgotten yet: after an interruption the same is asked again.
        let mut due = self.progress.lock().due();
        due.retain(|partition, _| partitions.contains(partition));
        Box::pin(std::future::ready(due))
    }

    fn assigned<'a>(&'a mut self, partitions: &'a [TopicPartition]) -> BoxFuture<'a, Offsets> {
        if !partitions.is_empty() {
            let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
            tracing::info!("task {} reads {}", self.task, names.join(", "));
        }
        // They start where the group is, which may be further than this task was.
        self.progress.lock().forget(partitions);
        Box::pin(std::future::ready(Offsets::new()))
    }

    fn lost<'a>(&'a mut self, partitions: &'a [TopicPartition]) -> BoxFuture<'a, ()> {
        self.progress.lock().forget(partitions);
        Box::pin(std::future::ready(()))
    }
}

impl Progress {
    /// What was taken and is not committed yet.
    fn due(&self) -> Offsets {
        let taken = self.taken.iter();
        taken
            .filter(|(partition, offset)| self.committed.get(partition) != Some(offset))
            .map(|(partition, offset)| (partition.clone(), offset.clone()))
            .collect()
    }

    fn took(&mut self, partition: &TopicPartition, offset: i64, leader_epoch: i32) {
        let taken = CommittedOffset {
            offset,
            leader_epoch: Some(leader_epoch).filter(|epoch| *epoch >= 0),
            metadata: String::new(),
        };
        self.taken.insert(partition.clone(), taken);
    }

    fn forget(&mut self, partitions: &[TopicPartition]) {
        self.taken
            .retain(|partition, _| !partitions.contains(partition));
        self.committed
            .retain(|partition, _| !partitions.contains(partition));
    }
}

impl WorkerSinkTask {
    /// Runs until `stop`, or until it fails. Either way what the task took is committed.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        let mut consumer = Consumer::new(self.consumer);
        let progress = Arc::new(Mutex::new(Progress::default()));
        consumer.set_listener(Box::new(Rebalances {
            task: self.tolerance.task.clone(),
            progress: progress.clone(),
        }));
        match &self.topics {
            Topics::Names(names) => {
                consumer.subscribe(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
            }
            Topics::Pattern(pattern) => consumer.subscribe_pattern(pattern)?,
        }
        let mut putting = Putting {
            task: self.task,
            key_converter: self.key_converter,
            value_converter: self.value_converter,
            tolerance: self.tolerance,
            progress,
            buffer: Vec::new(),
        };
        let ended = tokio::select! {
            ended = putting.run(&mut consumer, self.commit_interval) => ended,
            () = stop.cancelled() => Ok(()),
        };
        // Leaving the group commits through the listener.
        if let Err(error) = consumer.close().await {
            let task = &putting.tolerance.task;
            tracing::warn!("{task}: the last offsets could not be committed: {error}");
        }
        ended
    }
}

/// From the consumer to the task.
struct Putting {
    task: Box<dyn SinkTask>,
    key_converter: Box<dyn Converter>,
    value_converter: Box<dyn Converter>,
    tolerance: Tolerance,
    progress: Arc<Mutex<Progress>>,
    /// Decompressed batches.
    buffer: Vec<u8>,
}

impl Putting {
    async fn run(&mut self, consumer: &mut Consumer, commit_interval: Duration) -> Result<()> {
        let mut next_commit = Instant::now() + commit_interval;
        loop {
            // Not dropped at the time of a commit, so that a rebalance is never interrupted.
            let wait = next_commit
                .saturating_duration_since(Instant::now())
                .min(POLL_WAIT);
            match consumer.poll(wait).await {
                Ok(fetched) => self.take(&fetched)?,
                Err(error) if error.is_retriable() => {
                    tracing::warn!("{}: {error}", self.tolerance.task);
                }
                Err(error) => return Err(error.into()),
            }
            if Instant::now() >= next_commit {
                next_commit = Instant::now() + commit_interval;
                self.commit(consumer);
            }
        }
    }

    /// Commits in the background what is new.
    fn commit(&self, consumer: &mut Consumer) {
        let assigned = consumer.assignment();
        let mut due = self.progress.lock().due();
        due.retain(|partition, _| assigned.contains(partition));
        if due.is_empty() {
            return;
        }
        let (progress, task) = (self.progress.clone(), self.tolerance.task.clone());
        consumer.commit_async(due.clone(), move |committed| match committed {
            Ok(()) => progress.lock().committed.extend(due),
            // The next interval tries again; records that are read twice are written twice.
            Err(error) => tracing::warn!("{task}: offsets could not be committed: {error}"),
        });
    }

    /// Hands a poll to the task. What it took is noted, up to a record that fails.
    fn take(&mut self, polled: &[Fetched]) -> Result<()> {
        let mut done = Ok(());
        let mut progress = Progress::default();
        for fetched in polled {
            let mut next = None;
            let mut buffer = std::mem::take(&mut self.buffer);
            done = fetched.for_each(&mut buffer, |batch, record| {
                if !batch.is_control() {
                    self.put(&fetched.partition, record).inspect_err(|_| {
                        next.get_or_insert(record.offset);
                    })?;
                }
                Ok::<(), ConnectError>(())
            });
            self.buffer = buffer;
            let next = match &done {
                Ok(()) => Some(fetched.next_offset),
                Err(_) => next,
            };
            if let Some(next) = next {
                progress.took(&fetched.partition, next, fetched.leader_epoch);
            }
            if done.is_err() {
                break;
            }
        }
        self.task.flush()?;
        self.progress.lock().taken.extend(progress.taken);
        done
    }

    fn put(&mut self, partition: &TopicPartition, record: &RecordView<'_>) -> Result<()> {
        let key = self.key_converter.read(record.key);
        let value = self.value_converter.read(record.value);
        let (key, value) = match (key, value) {
            (Ok(key), Ok(value)) => (key, value),
            (key, value) => {
                let stage = match key {
                    Err(_) => Stage::KeyConverter,
                    Ok(_) => Stage::ValueConverter,
                };
                let Some(error) = key.err().or(value.err()) else {
                    return Ok(());
                };
                let place = || {
                    format!(
                        "{{topic='{}', partition={}, offset={}, timestamp={}}}",
                        partition.topic, partition.partition, record.offset, record.timestamp
                    )
                };
                return self.tolerance.judge(stage, error, place);
            }
        };
        self.task.put(&SinkRecord {
            topic: &partition.topic,
            partition: partition.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            key,
            value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_changed_is_committed_and_given_up_partitions_are_forgotten() {
        let (a, b) = (TopicPartition::new("t", 0), TopicPartition::new("t", 1));
        let progress = Arc::new(Mutex::new(Progress::default()));
        progress.lock().took(&a, 5, 1);
        progress.lock().took(&b, 7, -1);
        let due = progress.lock().due();
        assert_eq!(due.len(), 2);
        progress.lock().committed.extend(due);
        assert!(progress.lock().due().is_empty());
        progress.lock().took(&a, 6, 1);
        progress.lock().took(&b, 8, 1);
        let mut listener = Rebalances {
            task: "c-0".into(),
            progress: progress.clone(),
        };
        let partitions = std::slice::from_ref(&a);
        let revoked = listener.revoked(partitions).await;
        let offsets: Vec<_> = revoked
            .iter()
            .map(|(p, offset)| (p.clone(), offset.offset))
            .collect();
        assert_eq!(offsets, [(a.clone(), 6)]);
        assert_eq!(
            listener.revoked(partitions).await.len(),
            1,
            "asked again, the same answer"
        );
        listener.assigned(partitions).await;
        let due: Vec<_> = progress.lock().due().into_keys().collect();
        assert_eq!(due, [b]);
    }
}
