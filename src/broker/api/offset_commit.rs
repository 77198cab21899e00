//! OffsetCommit (key 8), versions 2–10. The group coordinator decides; here topics are found.
//!
//! - 6: leader epochs. 7: static members (KIP-345). 8: flexible. 9: member epochs (KIP-848). 10: topic ids (KIP-848).
//!
//! Offsets for topics or partitions that do not exist are refused one by one; the others are committed.

use crate::broker::context::RequestContext;
use crate::protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use crate::protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use crate::protocol::{ErrorCode, Uuid};

const FIRST_BY_ID: i16 = 10;

pub async fn handle(
    cx: &RequestContext<'_>,
    mut request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let mut refused = Vec::new();
    let mut known = Vec::new();
    for topic in std::mem::take(&mut request.topics) {
        let (found, missing) = resolve(cx, topic);
        refused.extend(missing);
        known.extend(found);
    }
    request.topics = known;
    let mut response = if request.topics.is_empty() && !refused.is_empty() {
        OffsetCommitResponse::default()
    } else {
        cx.broker.groups.offset_commit(&cx.group(), request).await
    };
    for topic in refused {
        merge(&mut response.topics, topic);
    }
    if cx.api_version >= FIRST_BY_ID {
        let image = cx.broker.image();
        for topic in response
            .topics
            .iter_mut()
            .filter(|topic| topic.topic_id == Uuid::ZERO)
        {
            topic.topic_id = image.topics.id_of(&topic.name).unwrap_or(Uuid::ZERO);
        }
    }
    response
}

/// The part of a topic that exists, name and id filled in, and the answer for the part that does not.
fn resolve(
    cx: &RequestContext<'_>,
    mut topic: OffsetCommitRequestTopic,
) -> (
    Option<OffsetCommitRequestTopic>,
    Option<OffsetCommitResponseTopic>,
) {
    let image = cx.broker.image();
    let by_id = cx.api_version >= FIRST_BY_ID;
    let found = if by_id {
        image.topics.get_by_id(topic.topic_id)
    } else {
        image.topics.get(&topic.name)
    };
    let Some(found) = found else {
        let error = if by_id {
            ErrorCode::UnknownTopicId
        } else {
            ErrorCode::UnknownTopicOrPartition
        };
        return (None, Some(refusal(topic, error)));
    };
    topic.name = found.name.to_string();
    topic.topic_id = found.id;
    let (present, absent) = std::mem::take(&mut topic.partitions)
        .into_iter()
        .partition(|p| found.partitions.contains_key(&p.partition_index));
    let missing = OffsetCommitRequestTopic {
        partitions: absent,
        ..topic.clone()
    };
    let missing = (!missing.partitions.is_empty())
        .then(|| refusal(missing, ErrorCode::UnknownTopicOrPartition));
    topic.partitions = present;
    ((!topic.partitions.is_empty()).then_some(topic), missing)
}

fn refusal(topic: OffsetCommitRequestTopic, error: ErrorCode) -> OffsetCommitResponseTopic {
    let partition = |index| OffsetCommitResponsePartition {
        partition_index: index,
        error_code: error.code(),
    };
    let partitions = topic
        .partitions
        .iter()
        .map(|p| partition(p.partition_index))
        .collect();
    OffsetCommitResponseTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions,
    }
}

fn merge(topics: &mut Vec<OffsetCommitResponseTopic>, refused: OffsetCommitResponseTopic) {
    let same = |t: &&mut OffsetCommitResponseTopic| {
        t.name == refused.name && !(t.name.is_empty() && t.topic_id != refused.topic_id)
    };
    match topics.iter_mut().find(same) {
        Some(topic) => topic.partitions.extend(refused.partitions),
        None => topics.push(refused),
    }
}
