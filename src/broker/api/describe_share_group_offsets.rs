//! DescribeShareGroupOffsets (key 90), versions 0–1 (KIP-932): where groups start in the partitions that they share.
//!
//! - 1: lag (KIP-1226).

use std::collections::BTreeMap;

use crate::broker::context::RequestContext;
use crate::broker::share::states;
use crate::coordinator::share::ShareKey;
use crate::protocol::messages::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup;
use crate::protocol::messages::describe_share_group_offsets_response::{
    DescribeShareGroupOffsetsResponseGroup, DescribeShareGroupOffsetsResponsePartition,
    DescribeShareGroupOffsetsResponseTopic,
};
use crate::protocol::messages::{
    DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse,
};
use crate::protocol::{ErrorCode, Uuid};

const UNKNOWN: i64 = -1;

pub async fn handle(
    cx: &RequestContext<'_>,
    request: DescribeShareGroupOffsetsRequest,
) -> DescribeShareGroupOffsetsResponse {
    let mut response = DescribeShareGroupOffsetsResponse::default();
    for group in request.groups {
        let group_id = group.group_id.clone();
        let described = match cx.broker.offers_share_groups() {
            true => describe(cx, group).await,
            false => Err(ErrorCode::UnsupportedVersion),
        };
        let described = match described {
            Ok(topics) => DescribeShareGroupOffsetsResponseGroup {
                group_id,
                topics,
                ..Default::default()
            },
            Err(error) => DescribeShareGroupOffsetsResponseGroup {
                group_id,
                error_code: error.code(),
                error_message: Some(error.message().to_owned()),
                ..Default::default()
            },
        };
        response.groups.push(described);
    }
    response
}

async fn describe(
    cx: &RequestContext<'_>,
    group: DescribeShareGroupOffsetsRequestGroup,
) -> Result<Vec<DescribeShareGroupOffsetsResponseTopic>, ErrorCode> {
    let image = cx.broker.image();
    let mut asked: BTreeMap<Uuid, (String, Vec<i32>)> = BTreeMap::new();
    let mut unknown = Vec::new();
    match group.topics {
        None => {
            for (id, partitions) in cx.broker.groups.shared_partitions(&group.group_id).await? {
                if let Some(topic) = image.topics.get_by_id(id) {
                    let partitions = partitions.into_iter().collect();
                    asked.insert(id, (topic.name.to_string(), partitions));
                }
            }
        }
        Some(topics) => {
            for topic in topics {
                match image.topics.id_of(&topic.topic_name) {
                    Some(id) => drop(asked.insert(id, (topic.topic_name, topic.partitions))),
                    None => unknown.push((topic.topic_name, topic.partitions)),
                }
            }
        }
    }
    let mut described = Vec::with_capacity(asked.len() + unknown.len());
    for (topic_id, (topic_name, indexes)) in asked {
        let mut partitions = Vec::with_capacity(indexes.len());
        for partition in indexes {
            let key = ShareKey {
                group: group.group_id.clone(),
                topic_id,
                partition,
            };
            partitions.push(describe_partition(cx, &key, &topic_name).await);
        }
        described.push(DescribeShareGroupOffsetsResponseTopic {
            topic_name,
            topic_id,
            partitions,
        });
    }
    let nothing = |partition_index: i32| DescribeShareGroupOffsetsResponsePartition {
        partition_index,
        start_offset: UNKNOWN,
        ..Default::default()
    };
    described.extend(unknown.into_iter().map(|(topic_name, indexes)| {
        DescribeShareGroupOffsetsResponseTopic {
            topic_name,
            topic_id: Uuid::ZERO,
            partitions: indexes.into_iter().map(nothing).collect(),
        }
    }));
    Ok(described)
}

async fn describe_partition(
    cx: &RequestContext<'_>,
    key: &ShareKey,
    topic: &str,
) -> DescribeShareGroupOffsetsResponsePartition {
    let described = DescribeShareGroupOffsetsResponsePartition {
        partition_index: key.partition,
        start_offset: UNKNOWN,
        lag: UNKNOWN,
        ..Default::default()
    };
    let Ok(summary) = states::summarize(cx.broker, key).await else {
        return described;
    };
    let (start_offset, leader_epoch) = (summary.start_offset, summary.leader_epoch);
    let done = i64::from(summary.delivery_complete_count);
    if start_offset == UNKNOWN || done == UNKNOWN {
        return DescribeShareGroupOffsetsResponsePartition {
            start_offset,
            leader_epoch,
            ..described
        };
    }
    match cx.broker.topics.partition(topic, key.partition) {
        Some(partition) => DescribeShareGroupOffsetsResponsePartition {
            start_offset,
            leader_epoch,
            lag: partition.log.high_watermark() - start_offset - done,
            ..described
        },
        None => {
            let error = cx.broker.absent_partition(topic, key.partition);
            DescribeShareGroupOffsetsResponsePartition {
                error_code: error.code(),
                error_message: Some(error.message().to_owned()),
                start_offset: 0,
                ..described
            }
        }
    }
}
