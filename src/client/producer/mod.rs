//! The producer: records go straight into the batch of their partition, batches go to the
//! leaders, outcomes come back by batch.
//!
//! ```no_run
//! use kafkars::client::producer::{Producer, ProducerConfig, Record};
//! use kafkars::config::Properties;
//!
//! # async fn example() -> kafkars::client::Result<()> {
//! let mut properties = Properties::new();
//! properties.set("bootstrap.servers", "localhost:9092");
//! let producer = Producer::new(ProducerConfig::from_properties(&properties)?);
//!
//! // One record, and where it went:
//! let sent = producer.send("events", &Record::value(b"hello").with_key(b"k")).await?;
//! println!("partition {} offset {}", sent.partition, sent.offset);
//!
//! // Many records: the handle of the topic spares a look-up for each.
//! let topic = producer.topic("events").await?;
//! for line in ["a", "b", "c"] {
//!     producer.append(&topic, &Record::value(line.as_bytes())).await?;
//! }
//! producer.flush().await;
//! producer.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Order: records of one partition are stored in the order in which they were appended, retries
//! included (without idempotence: with one request in flight). Idempotence is on by default.
//! With a `transactional.id` records go between [`Producer::begin_transaction`] and
//! [`Producer::commit_transaction`], after [`Producer::init_transactions`].
mod accumulator;
mod answers;
mod joining;
mod lane;
mod memory;
mod partitioner;
mod record;
mod requests;
mod run;
mod sealed;
mod sender;
mod topics;
mod transactional;
mod transactions;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use accumulator::Topic;
pub use partitioner::{murmur2, partition_for_key};
pub use record::{BatchOutcome, Delivery, OutcomeHandler, Record, RecordMetadata, TryAppendError};
pub use run::Run;

use super::cluster::Client;
pub use super::config::{Acks, Partitioning, ProducerConfig};
use super::errors::{ClientError, Result};
use accumulator::{Accumulator, TopicState};
use topics::Topics;
use transactions::Transactions;

/// What may wait to be sent, beside the open batches, before [`Producer::pace`] waits: some dozens of batches.
const PACED_BYTES: usize = 1 << 20;
/// How long it waits at most: while the brokers do not answer, `buffer.memory` goes on to fill.
const PACED_FOR: Duration = Duration::from_millis(100);

/// A producer; share it by reference or in an `Arc`.
pub struct Producer {
    client: Client,
    accumulator: Arc<Accumulator>,
    topics: Arc<Topics>,
    transactions: Option<Arc<Transactions>>,
    closing: CancellationToken,
    closed: AtomicBool,
    sender: Mutex<Option<JoinHandle<()>>>,
}

impl Producer {
    /// Starts a producer. Must be called inside a tokio runtime.
    pub fn new(config: ProducerConfig) -> Self {
        Self::start(config, None)
    }

    /// As [`Producer::new`]; `handler` is told of every batch's end.
    pub fn with_handler(config: ProducerConfig, handler: OutcomeHandler) -> Self {
        Self::start(config, Some(handler))
    }

    fn start(config: ProducerConfig, handler: Option<OutcomeHandler>) -> Self {
        let client = Client::new(config.client.clone());
        let transactions = config.transactional.clone().map(|(id, timeout)| {
            let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
            Arc::new(Transactions::new(id, timeout_ms))
        });
        let accumulator = Arc::new(Accumulator::new(config));
        let topics = Arc::new(Topics::default());
        let closing = CancellationToken::new();
        let shared = (accumulator.clone(), topics.clone(), transactions.clone());
        let sender = sender::Sender::new(client.clone(), shared, handler);
        let sender = tokio::spawn(sender.run(closing.clone()));
        Self {
            client,
            accumulator,
            topics,
            transactions,
            closing,
            closed: AtomicBool::new(false),
            sender: Mutex::new(Some(sender)),
        }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The handle of a topic. The first time it waits for the topic's metadata, at most
    /// `max.block.ms`; brokers that create topics on their own do it now.
    pub async fn topic(&self, name: &str) -> Result<Topic> {
        let topic = self.topics.get(&self.client, &self.accumulator, name).await;
        topic.inspect_err(|error| self.not_appended(error))
    }

    /// Appends a record without waiting; returns its partition. The bytes are copied.
    pub fn try_append(&self, topic: &Topic, record: &Record<'_>) -> Result<i32, TryAppendError> {
        self.try_place(&topic.state, record, None)
    }

    /// Has `work` append records to one topic without waiting, at less cost each than alone. What is looked up is kept
    /// between records, and the partition of the last one stays locked until `work` returns: it must not wait.
    pub fn append_run<T>(&self, topic: &Topic, work: impl FnOnce(&mut Run<'_>) -> T) -> T {
        let partitions = topic.state.partitions.load();
        work(&mut Run::new(self, &topic.state, &partitions))
    }

    /// Waits a moment if more is buffered than keeps the connections busy. Someone who can read as fast as he likes calls
    /// it between blocks: what is sent soon is still in the processor's cache.
    pub async fn pace(&self, topic: &Topic) {
        let partitions = topic.state.partitions.load().len();
        let open = partitions.saturating_mul(self.accumulator.config.batch_bytes);
        let most = PACED_BYTES.saturating_add(open);
        self.accumulator.memory.settle(most, PACED_FOR).await;
    }

    /// Appends a record; returns its partition. Waits while `buffer.memory` is in use, at most
    /// `max.block.ms`. Acknowledgement comes later: to the handler, or by [`Producer::flush`].
    pub async fn append(&self, topic: &Topic, record: &Record<'_>) -> Result<i32> {
        match self.try_place(&topic.state, record, None) {
            Ok(partition) => Ok(partition),
            Err(reason) => self.place(topic, record, reason, None).await,
        }
    }

    /// Appends a record and returns a handle to its fate.
    pub async fn enqueue(&self, topic: &Topic, record: &Record<'_>) -> Result<Delivery> {
        let mut delivery = None;
        if let Err(reason) = self.try_place(&topic.state, record, Some(&mut delivery)) {
            self.place(topic, record, reason, Some(&mut delivery))
                .await?;
        }
        delivery.ok_or(ClientError::Closed)
    }

    /// Sends one record and waits for its acknowledgement. For many records in a row,
    /// [`Producer::append`] or [`Producer::enqueue`] let batches fill.
    pub async fn send(&self, topic: &str, record: &Record<'_>) -> Result<RecordMetadata> {
        let topic = self.topic(topic).await?;
        self.enqueue(&topic, record).await?.wait().await
    }

    fn try_place(
        &self,
        topic: &Arc<TopicState>,
        record: &Record<'_>,
        delivery: Option<&mut Option<Delivery>>,
    ) -> Result<i32, TryAppendError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(TryAppendError::Failed(ClientError::Closed));
        }
        if let Some(transactions) = &self.transactions {
            transactions.check_open().map_err(TryAppendError::Failed)?;
        }
        let appended = self.accumulator.try_append(topic, record, delivery);
        if let Err(TryAppendError::Failed(error)) = &appended {
            self.not_appended(error);
        }
        appended
    }

    /// A transaction that lacks a record must not be committed.
    fn not_appended(&self, error: &ClientError) {
        if let Some(transactions) = &self.transactions {
            transactions.lost(error);
        }
    }

    /// Waits for what `reason` says is missing, and tries again.
    async fn place(
        &self,
        topic: &Topic,
        record: &Record<'_>,
        reason: TryAppendError,
        delivery: Option<&mut Option<Delivery>>,
    ) -> Result<i32> {
        let placed = self.place_in_time(topic, record, reason, delivery).await;
        placed.inspect_err(|error| self.not_appended(error))
    }

    async fn place_in_time(
        &self,
        topic: &Topic,
        record: &Record<'_>,
        mut reason: TryAppendError,
        mut delivery: Option<&mut Option<Delivery>>,
    ) -> Result<i32> {
        let deadline = Instant::now() + self.accumulator.config.block_max;
        loop {
            match reason {
                TryAppendError::Failed(error) => return Err(error),
                TryAppendError::Full { bytes } => {
                    let wake = || self.accumulator.wake.notify_one();
                    tokio::select! {
                        freed = self.accumulator.memory.wait(bytes, deadline, wake) => freed?,
                        () = self.closing.cancelled() => return Err(ClientError::Closed),
                    }
                }
                TryAppendError::UnknownPartition(partition) => {
                    let topics = &self.topics;
                    topics
                        .wait_for_partition(&self.client, &self.accumulator, topic, partition)
                        .await?;
                }
            }
            match self.try_place(&topic.state, record, delivery.as_deref_mut()) {
                Ok(partition) => return Ok(partition),
                Err(again) => reason = again,
            }
        }
    }

    /// Sends what was appended so far without lingering and waits for all its outcomes, which may
    /// take `delivery.timeout.ms`.
    pub async fn flush(&self) {
        self.accumulator.flush().await;
    }

    /// Takes nothing more, waits until everything has its outcome, and ends the tasks. A
    /// transaction that is open is aborted.
    pub async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.end_open_transaction().await;
        self.accumulator.flush_all();
        self.closing.cancel();
        let mut sender = self.sender.lock().await;
        if let Some(task) = sender.as_mut() {
            if let Err(failure) = task.await {
                tracing::error!("the producer's task failed: {failure}");
            }
            *sender = None;
        }
        self.client.close().await;
    }

    /// As [`Producer::close`], but gives up what has no outcome when `patience` is at its end.
    pub async fn close_within(&self, patience: std::time::Duration) {
        if tokio::time::timeout(patience, self.close()).await.is_err() {
            self.abort().await;
        }
    }

    /// Ends at once: what is not acknowledged fails with [`ClientError::Closed`].
    pub async fn abort(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.client.cancelled().cancel();
        self.close().await;
    }
}

impl Drop for Producer {
    /// Without [`Producer::close`], what is not acknowledged is given up.
    fn drop(&mut self) {
        self.client.cancelled().cancel();
    }
}
