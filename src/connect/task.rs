//! What a connector's tasks are to the worker: the built-in ones, and later those in another
//! process, stand behind the same two traits.
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::data::{Schema, SchemaAndValue, Value};
use super::errors::Result;
use super::offsets::OffsetKey;
use crate::client::TopicPartition;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where a source is after a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceOffset {
    /// `{"position":N}`: bytes before the next line.
    Position(u64),
    /// Any offset, as its JSON.
    Json(Arc<[u8]>),
}

impl SourceOffset {
    /// The offset as the offset file holds it.
    pub fn to_json(&self) -> Vec<u8> {
        match self {
            SourceOffset::Position(position) => format!("{{\"position\":{position}}}").into_bytes(),
            SourceOffset::Json(json) => json.to_vec(),
        }
    }
}

/// A record on its way to Kafka; it borrows from the task that read it.
#[derive(Debug, Clone)]
pub struct SourceRecord<'a> {
    /// The source partition, and the offset behind this record; `None` if none is kept.
    pub source: Option<(&'a Arc<OffsetKey>, SourceOffset)>,
    pub topic: &'a str,
    /// `None` leaves it to the producer.
    pub partition: Option<i32>,
    pub timestamp: Option<i64>,
    pub key: (Option<&'a Schema>, Value<'a>),
    pub value: (Option<&'a Schema>, Value<'a>),
}

/// Reads from somewhere.
pub trait SourceTask: Send {
    /// Waits until there are records. May be dropped while it waits, without loss.
    fn poll(&mut self) -> BoxFuture<'_, Result<()>>;

    /// The next record of this poll; `None` at its end.
    fn next_record(&mut self) -> Option<SourceRecord<'_>>;
}

/// A record from Kafka; it borrows from the fetched batch.
#[derive(Debug, Clone)]
pub struct SinkRecord<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
    pub key: SchemaAndValue<'a>,
    pub value: SchemaAndValue<'a>,
}

/// Writes to somewhere.
pub trait SinkTask: Send {
    /// Partitions that come to this task; records of them follow.
    fn open(&mut self, _partitions: &[TopicPartition]) -> Result<()> {
        Ok(())
    }

    /// Partitions that leave this task; their offsets are committed.
    fn close(&mut self, _partitions: &[TopicPartition]) -> Result<()> {
        Ok(())
    }

    /// Takes a record.
    fn put(&mut self, record: &SinkRecord<'_>) -> Result<()>;

    /// What was put is to be seen outside now: the end of a poll, or offsets are to be committed.
    fn flush(&mut self) -> Result<()>;
}
