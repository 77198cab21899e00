//! Produce requests out of batches.
use std::collections::HashMap;
use std::time::Duration;

use super::sealed::SealedBatch;
use super::sender::Sender;
use crate::client::connection::Connection;
use crate::client::errors::{ClientError, Result};
use crate::protocol::messages::ProduceRequest;
use crate::protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use crate::protocol::{Records, Str, Uuid};
use crate::record::Compression;

/// The last version that names topics; later ones know only their ids.
const TOPICS_BY_NAME: i16 = 12;
/// The last version that does not make a partition part of a transaction.
const BEFORE_JOINING: i16 = 11;
/// The first version that may carry zstd.
const FIRST_WITH_ZSTD: i16 = 7;

/// The request for some batches, and the version to send it in.
pub(super) fn produce(
    sender: &Sender,
    batches: &[(usize, SealedBatch)],
    connection: &Connection,
    timeout: Duration,
) -> Result<(ProduceRequest, i16)> {
    let (config, lanes) = (&sender.accumulator.config, &sender.lanes);
    let transactions = sender.transactions.as_ref();
    let named = |at: &usize| lanes.get(*at);
    let has_id = |(at, _): &(usize, SealedBatch)| {
        named(at).is_some_and(|lane| **lane.topic.id.load() != Uuid::ZERO)
    };
    let newest = if transactions.is_some_and(|transactions| !transactions.is_implicit()) {
        // Later ones let partitions join.
        BEFORE_JOINING
    } else if batches.iter().all(has_id) {
        i16::MAX
    } else {
        TOPICS_BY_NAME
    };
    let version = connection.version_up_to::<ProduceRequest>(newest)?;
    if config.compression == Compression::Zstd && version < FIRST_WITH_ZSTD {
        return Err(ClientError::UnsupportedVersion(
            "The broker is too old for compression.type=zstd".into(),
        ));
    }
    let mut request = ProduceRequest {
        transactional_id: transactions.map(|transactions| Str::from(&*transactions.id)),
        acks: config.acks.code(),
        timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
        ..Default::default()
    };
    let mut place: HashMap<*const u8, usize> = HashMap::new();
    for (at, batch) in batches {
        let Some(lane) = named(at) else { continue };
        let data = PartitionProduceData {
            index: lane.partition.index,
            records: Some(Records::Bytes(batch.bytes.clone())),
        };
        let topic = *place.entry(lane.topic.name.as_ptr()).or_insert_with(|| {
            let mut topic = TopicProduceData::default();
            if version > TOPICS_BY_NAME {
                topic.topic_id = **lane.topic.id.load();
            } else {
                topic.name = lane.topic.wire_name.clone();
            }
            request.topic_data.push(topic);
            request.topic_data.len() - 1
        });
        if let Some(topic) = request.topic_data.get_mut(topic) {
            topic.partition_data.push(data);
        }
    }
    Ok((request, version))
}
