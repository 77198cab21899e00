//! OffsetForLeaderEpoch (key 23), versions 2–4 (KIP-101): where an epoch ends in the leader's log.
//!
//! - 3: which replica asks. 4: flexible.

use crate::broker::context::RequestContext;
use crate::protocol::ErrorCode;
use crate::protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use crate::protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use crate::protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

/// Neither an epoch nor an offset is known.
const UNDEFINED: (i32, i64) = (-1, -1);

pub async fn handle(
    cx: &RequestContext<'_>,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let mut response = OffsetForLeaderEpochResponse::default();
    for topic in request.topics {
        let answer = |asked: &OffsetForLeaderPartition| {
            let found = find(cx, &topic.topic, asked);
            let error = found.err().unwrap_or(ErrorCode::None);
            let (leader_epoch, end_offset) = found.unwrap_or(UNDEFINED);
            EpochEndOffset {
                error_code: error.code(),
                partition: asked.partition,
                leader_epoch,
                end_offset,
            }
        };
        response.topics.push(OffsetForLeaderTopicResult {
            partitions: topic.partitions.iter().map(answer).collect(),
            topic: topic.topic,
        });
    }
    response
}

fn find(
    cx: &RequestContext<'_>,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<(i32, i64), ErrorCode> {
    let partition = cx
        .broker
        .topics
        .partition(topic, asked.partition)
        .ok_or_else(|| cx.broker.absent_partition(topic, asked.partition))?;
    let leadership = partition.lead(asked.current_leader_epoch)?;
    let (epoch, end) = (asked.leader_epoch, partition.log.log_end_offset());
    let found = partition.log.end_offset_for_epoch(epoch);
    match found.map_err(|_| ErrorCode::KafkaStorageError)? {
        Some(found) if found.0 == epoch || epoch != leadership.leader_epoch => Ok(found),
        _ if epoch == UNDEFINED.0 || epoch > leadership.leader_epoch => Ok(UNDEFINED),
        // The epoch that it leads in begins at the end though nothing may have been written in it.
        _ if epoch == leadership.leader_epoch => Ok((epoch, end)),
        _ => {
            let last = partition.log.latest_epoch();
            let last = last.map_err(|_| ErrorCode::KafkaStorageError)?;
            Ok((last.unwrap_or(epoch), end))
        }
    }
}
