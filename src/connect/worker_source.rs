//! Runs a source task: its records go through the converters to the producer, and the offsets of
//! those that are acknowledged to the offset file.
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::acknowledged::Acknowledged;
use super::convert::Converter;
use super::errors::{ConnectError, Result};
use super::offsets::OffsetStore;
use super::task::{SourceRecord, SourceTask};
use super::tolerance::{Stage, Tolerance};
use crate::client::producer::{
    BatchOutcome, Producer, ProducerConfig, Record, Topic, TryAppendError,
};

/// How long a topic may be missing without a word.
const TOPIC_PATIENCE: Duration = Duration::from_secs(10);

/// A source task and what it needs.
pub struct WorkerSourceTask {
    pub task: Box<dyn SourceTask>,
    pub key_converter: Box<dyn Converter>,
    pub value_converter: Box<dyn Converter>,
    pub producer: ProducerConfig,
    pub offsets: OffsetStore,
    pub tolerance: Tolerance,
    /// `offset.flush.interval.ms`
    pub flush_interval: Duration,
    /// How long the last records may take once the task is to stop.
    pub stop_timeout: Duration,
}

/// What the producer's handler and the task share.
#[derive(Default)]
struct Deliveries {
    acknowledged: Mutex<Acknowledged>,
    failure: Mutex<Option<ConnectError>>,
    failed: Notify,
}

impl WorkerSourceTask {
    /// Runs until `stop`, or until it fails. Either way what is acknowledged is noted.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        let deliveries = Arc::new(Deliveries::default());
        let handler = {
            let (deliveries, tolerance) = (deliveries.clone(), self.tolerance.clone());
            Arc::new(move |outcome: &BatchOutcome| deliveries.take(outcome, &tolerance))
        };
        let producer = Producer::with_handler(self.producer, handler);
        let mut sending = Sending {
            task: self.task,
            key_converter: self.key_converter,
            value_converter: self.value_converter,
            producer,
            deliveries: deliveries.clone(),
            tolerance: self.tolerance,
            topic: None,
            key: Vec::new(),
            value: Vec::new(),
        };
        let ended = tokio::select! {
            ended = sending.run() => ended,
            () = deliveries.failed.notified() => Ok(()),
            () = store_regularly(&deliveries, &self.offsets, self.flush_interval) => Ok(()),
            () = stop.cancelled() => Ok(()),
        };
        let closing = sending.producer.close();
        if tokio::time::timeout(self.stop_timeout, closing)
            .await
            .is_err()
        {
            tracing::warn!(
                "{}: {} records are not acknowledged after {} ms and will be read again",
                sending.tolerance.task,
                deliveries.acknowledged.lock().pending(),
                self.stop_timeout.as_millis()
            );
            sending.producer.abort().await;
        }
        store(&deliveries, &self.offsets).await;
        let failure = deliveries.failure.lock().take();
        ended.and(failure.map_or(Ok(()), Err))
    }
}

impl Deliveries {
    fn take(&self, outcome: &BatchOutcome, tolerance: &Tolerance) {
        let error = match &outcome.result {
            Ok(()) => None,
            // The end of the worker, not of the record.
            Err(crate::client::ClientError::Closed) => return,
            Err(error) => Some(error.clone()),
        };
        let verdict = error.map_or(Ok(()), |error| {
            let record = || {
                format!(
                    "{{topic='{}', partition={}, {} records}}",
                    outcome.topic, outcome.partition, outcome.count
                )
            };
            tolerance.judge(Stage::KafkaProduce, error.into(), record)
        });
        match verdict {
            Ok(()) => self
                .acknowledged
                .lock()
                .acknowledge(outcome.tokens.iter().copied()),
            Err(error) => {
                self.failure.lock().get_or_insert(error);
                self.failed.notify_one();
            }
        }
    }
}

/// From the task to the producer.
struct Sending {
    task: Box<dyn SourceTask>,
    key_converter: Box<dyn Converter>,
    value_converter: Box<dyn Converter>,
    producer: Producer,
    deliveries: Arc<Deliveries>,
    tolerance: Tolerance,
    /// The topic of the last record.
    topic: Option<Topic>,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Sending {
    async fn run(&mut self) -> Result<()> {
        loop {
            self.task.poll().await?;
            while let Some(record) = self.task.next_record() {
                self.key.clear();
                self.value.clear();
                let (schema, value) = &record.key;
                let key = self.key_converter.write(*schema, value, &mut self.key);
                let (schema, value) = &record.value;
                let value = self.value_converter.write(*schema, value, &mut self.value);
                let (has_key, has_value) = match (key, value) {
                    (Ok(key), Ok(value)) => (key, value),
                    (key, value) => {
                        skip(
                            &self.tolerance,
                            &self.deliveries,
                            &record,
                            key.err(),
                            value.err(),
                        )?;
                        continue;
                    }
                };
                let topic = match &self.topic {
                    Some(topic) if **topic.name() == *record.topic => topic,
                    _ => self
                        .topic
                        .insert(topic(&self.producer, record.topic).await?),
                };
                let token = self.deliveries.acknowledged.lock().submit(record.source);
                let record = Record {
                    partition: record.partition,
                    timestamp: record.timestamp,
                    key: has_key.then_some(&self.key),
                    value: has_value.then_some(&self.value),
                    headers: &[],
                    token: Some(token),
                };
                let appended = match self.producer.try_append(topic, &record) {
                    Ok(_) => continue,
                    Err(TryAppendError::Failed(error)) => Err(error),
                    Err(_) => self.producer.append(topic, &record).await,
                };
                if let Err(error) = appended {
                    let place = || format!("{{topic='{}'}}", topic.name());
                    self.tolerance
                        .judge(Stage::KafkaProduce, error.into(), place)?;
                    self.deliveries.acknowledged.lock().acknowledge([token]);
                }
            }
            // One poll's records leave others some of the thread's time.
            tokio::task::yield_now().await;
        }
    }
}

/// The topic's handle. It may take long where nobody creates the topic, so that is told.
async fn topic(producer: &Producer, name: &str) -> Result<Topic> {
    let found = producer.topic(name);
    tokio::pin!(found);
    match tokio::time::timeout(TOPIC_PATIENCE, &mut found).await {
        Ok(found) => Ok(found?),
        Err(_) => {
            tracing::warn!("no metadata of topic {name} yet, waiting until it can be written");
            Ok(found.await?)
        }
    }
}

/// A record that cannot be converted ends the task, or is left out; its offset counts as done.
fn skip(
    tolerance: &Tolerance,
    deliveries: &Deliveries,
    record: &SourceRecord<'_>,
    key: Option<ConnectError>,
    value: Option<ConnectError>,
) -> Result<()> {
    let error = key
        .map(|error| (Stage::KeyConverter, error))
        .or(value.map(|error| (Stage::ValueConverter, error)));
    if let Some((stage, error)) = error {
        let place = || format!("{{topic='{}', value='{}'}}", record.topic, record.value.1);
        tolerance.judge(stage, error, place)?;
    }
    let mut acknowledged = deliveries.acknowledged.lock();
    let token = acknowledged.submit(record.source.clone());
    acknowledged.acknowledge([token]);
    Ok(())
}

async fn store_regularly(deliveries: &Deliveries, offsets: &OffsetStore, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        store(deliveries, offsets).await;
    }
}

/// Writes the offsets of what is acknowledged by now. A failure is told; the next time tries again.
async fn store(deliveries: &Deliveries, offsets: &OffsetStore) {
    let storable = deliveries.acknowledged.lock().take_storable();
    for (key, offset) in storable {
        offsets.set(&key, Some(offset.to_json()));
    }
    let offsets = offsets.clone();
    match tokio::task::spawn_blocking(move || offsets.flush()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!("offsets could not be written: {error}"),
        Err(error) => tracing::error!("offsets could not be written: {error}"),
    }
}
