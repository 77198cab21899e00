//! ListOffsets (key 2), versions 1–11.
//!
//! Timestamps below zero are questions: -1 the end (for read_committed the last stable offset), -2 the start, -3 the
//! record with the largest timestamp (7, KIP-734), -4 the local start (8, KIP-405), -5 the last tiered offset (9,
//! KIP-1005), -6 the earliest offset still to be tiered (11). Without tiered storage -4 is -2, and -5 and -6 know none.
//!
//! - 2: isolation level. 4: leader epochs. 6: flexible. 10: timeout, for lookups in tiers.

use crate::broker::context::RequestContext;
use crate::broker::errors::read_error;
use crate::broker::partition::Partition;
use crate::log::{ListOffset, OffsetAndEpoch, ReadLimit};
use crate::protocol::ErrorCode;
use crate::protocol::messages::list_offsets_request::ListOffsetsPartition;
use crate::protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use crate::protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

const LATEST: i64 = -1;
const FIRST_WITH_LEADER_EPOCH: i16 = 4;
/// The first version that knows each question.
const SPECIAL: [(i64, i16); 4] = [(-3, 7), (-4, 8), (-5, 9), (-6, 11)];

pub async fn handle(cx: &RequestContext<'_>, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let limit = match request.isolation_level {
        1 => ReadLimit::LastStable,
        _ => ReadLimit::HighWatermark,
    };
    let mut response = ListOffsetsResponse::default();
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let found = match cx
                .broker
                .topics
                .partition(&topic.name, asked.partition_index)
            {
                None => Err(cx
                    .broker
                    .absent_partition(&topic.name, asked.partition_index)),
                Some(partition) => find(cx, &partition, asked, limit),
            };
            partitions.push(answer(cx.api_version, asked.partition_index, found));
        }
        response.topics.push(ListOffsetsTopicResponse {
            name: topic.name,
            partitions,
        });
    }
    response
}

fn find(
    cx: &RequestContext<'_>,
    partition: &Partition,
    asked: &ListOffsetsPartition,
    limit: ReadLimit,
) -> Result<Option<OffsetAndEpoch>, ErrorCode> {
    let first = SPECIAL
        .iter()
        .find(|(question, _)| *question == asked.timestamp);
    if first.is_some_and(|(_, version)| cx.api_version < *version) || asked.timestamp < -6 {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let leadership = partition.lead(asked.current_leader_epoch)?;
    let what = ListOffset::from_timestamp(asked.timestamp);
    let mut found = partition
        .log
        .list_offset(what, limit)
        .map_err(|e| read_error(partition, e))?;
    if let Some(found) = &mut found {
        // The end is where the leader appends next; an empty log has no epoch of its own.
        if asked.timestamp == LATEST || found.leader_epoch.is_none() {
            found.leader_epoch = Some(leadership.leader_epoch);
        }
    }
    Ok(found)
}

fn answer(
    version: i16,
    partition_index: i32,
    found: Result<Option<OffsetAndEpoch>, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let none = ListOffsetsPartitionResponse {
        partition_index,
        ..Default::default()
    };
    match found {
        Err(error) => ListOffsetsPartitionResponse {
            error_code: error.code(),
            ..none
        },
        Ok(None) => none,
        Ok(Some(found)) => ListOffsetsPartitionResponse {
            timestamp: found.timestamp,
            offset: found.offset,
            leader_epoch: found
                .leader_epoch
                .filter(|_| version >= FIRST_WITH_LEADER_EPOCH)
                .unwrap_or(-1),
            ..none
        },
    }
}
