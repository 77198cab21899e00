//! DescribeProducers (key 61), version 0 (KIP-664): what leaders know of those who write to a partition.

use crate::broker::context::RequestContext;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_producers_request::TopicRequest;
use crate::protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use crate::protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let topic = |topic: TopicRequest| {
        let indexes = topic.partition_indexes.iter();
        TopicResponse {
            partitions: indexes
                .map(|index| describe(cx, &topic.name, *index))
                .collect(),
            name: topic.name,
        }
    };
    DescribeProducersResponse {
        topics: request.topics.into_iter().map(topic).collect(),
        ..Default::default()
    }
}

fn describe(cx: &RequestContext<'_>, topic: &str, partition_index: i32) -> PartitionResponse {
    match producers(cx, topic, partition_index) {
        Ok(active_producers) => PartitionResponse {
            partition_index,
            active_producers,
            ..Default::default()
        },
        Err(error) => PartitionResponse {
            partition_index,
            error_code: error.code(),
            error_message: Some(error.message().to_owned()),
            ..Default::default()
        },
    }
}

fn producers(
    cx: &RequestContext<'_>,
    topic: &str,
    index: i32,
) -> Result<Vec<ProducerState>, ErrorCode> {
    if cx.broker.image().topics.get(topic).is_none() {
        return Err(super::unknown_name(topic));
    }
    let partition = cx.broker.topics.partition(topic, index);
    let partition = partition.ok_or_else(|| cx.broker.absent_partition(topic, index))?;
    partition.lead(-1)?;
    let known = partition.log.producers();
    let known = known.map_err(|e| {
        tracing::error!("cannot tell the producers of {topic}-{index}: {e}");
        ErrorCode::KafkaStorageError
    })?;
    let producer = known.into_iter().map(|known| ProducerState {
        producer_id: known.producer_id,
        producer_epoch: i32::from(known.epoch),
        last_sequence: known.last_sequence(),
        last_timestamp: known.last_timestamp,
        coordinator_epoch: known.coordinator_epoch,
        current_txn_start_offset: known.current_txn_first_offset.unwrap_or(-1),
    });
    Ok(producer.collect())
}
