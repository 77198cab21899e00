//! From what was acquired and acknowledged to the response.

use bytes::Bytes;

use super::Deliveries;
use crate::broker::context::RequestContext;
use crate::broker::share::acknowledge::Outcomes;
use crate::broker::share::hosted::ShareError;
use crate::broker::share::partition::Acquired;
use crate::broker::share::sessions::{MemberKey, Plan, TopicPartition};
use crate::protocol::messages::ShareFetchResponse;
use crate::protocol::messages::share_fetch_response::{
    AcquiredRecords, LeaderIdAndEpoch, NodeEndpoint, PartitionData, ShareFetchableTopicResponse,
};
use crate::protocol::{ErrorCode, Records, Str};

pub(super) fn answer(
    cx: &RequestContext<'_>,
    key: &MemberKey,
    plan: &Plan,
    deliveries: Deliveries,
    mut outcomes: Outcomes,
    lock_ms: i64,
) -> ShareFetchResponse {
    let mut response = ShareFetchResponse {
        acquisition_lock_timeout_ms: i32::try_from(lock_ms).unwrap_or(i32::MAX),
        ..Default::default()
    };
    let mut leaders = Vec::new();
    for (partition, delivery) in deliveries {
        let mut data = empty(partition.1);
        let has_news = match delivery {
            Ok(delivery) => {
                let has_records = !delivery.acquired.is_empty();
                data.records = Records::Bytes(delivery.records);
                data.acquired_records = delivery.acquired.into_iter().map(acquired).collect();
                has_records
            }
            Err(error) => {
                data.error_code = error.code.code();
                leader(cx, partition, error, &mut data, &mut leaders);
                true
            }
        };
        let outcome = outcomes.remove(&partition);
        let is_acknowledged = outcome.is_some();
        note(outcome, &mut data);
        let must_name = match plan {
            Plan::Changed(_) => cx.broker.share.sessions.lock().must_name(key, partition),
            Plan::All(_) | Plan::Last => true,
        };
        if has_news || is_acknowledged || must_name {
            push(&mut response, partition, data);
        }
    }
    for (partition, outcome) in outcomes {
        let mut data = empty(partition.1);
        note(Some(outcome), &mut data);
        push(&mut response, partition, data);
    }
    for node in cx.broker.endpoints_of(&leaders, &cx.peer.listener) {
        response.node_endpoints.push(NodeEndpoint {
            node_id: node.id,
            host: node.host.into(),
            port: node.port,
            rack: node.rack.map(Str::from),
        });
    }
    response
}

fn empty(partition_index: i32) -> PartitionData {
    PartitionData {
        partition_index,
        records: Records::Bytes(Bytes::new()),
        ..Default::default()
    }
}

fn acquired(acquired: Acquired) -> AcquiredRecords {
    AcquiredRecords {
        first_offset: acquired.first_offset,
        last_offset: acquired.last_offset,
        delivery_count: acquired.deliveries,
    }
}

/// What became of the partition's acknowledgements.
fn note(outcome: Option<Result<(), ShareError>>, data: &mut PartitionData) {
    if let Some(Err(error)) = outcome {
        data.acknowledge_error_code = error.code.code();
        data.acknowledge_error_message = Some(error.message.into());
    }
}

/// Who leads the partition, if it is not this node.
fn leader(
    cx: &RequestContext<'_>,
    (topic_id, index): TopicPartition,
    error: ShareError,
    data: &mut PartitionData,
    leaders: &mut Vec<i32>,
) {
    let moved = matches!(
        error.code,
        ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch
    );
    data.error_message = Some(error.message.into());
    if let Some((leader_id, leader_epoch)) = cx.broker.leader_of(&topic_id, index).filter(|_| moved)
    {
        data.current_leader = LeaderIdAndEpoch {
            leader_id,
            leader_epoch,
        };
        leaders.push(leader_id);
    }
}

fn push(response: &mut ShareFetchResponse, partition: TopicPartition, data: PartitionData) {
    let topics = &mut response.responses;
    match topics
        .iter_mut()
        .find(|topic| topic.topic_id == partition.0)
    {
        Some(topic) => topic.partitions.push(data),
        None => topics.push(ShareFetchableTopicResponse {
            topic_id: partition.0,
            partitions: vec![data],
        }),
    }
}

pub(super) fn refused(error: ErrorCode, message: &str) -> ShareFetchResponse {
    ShareFetchResponse {
        error_code: error.code(),
        error_message: Some(message.into()),
        ..Default::default()
    }
}
