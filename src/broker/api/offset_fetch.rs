//! OffsetFetch (key 9), versions 1–10. The group coordinator answers; here topic ids become names and back.
//!
//! - 2: all topics of a group. 3: throttling. 5: leader epochs. 6: flexible. 7: only stable offsets (KIP-447).
//! - 8: several groups (KIP-709). 9: member epochs (KIP-848). 10: topic ids (KIP-848).

use crate::broker::context::RequestContext;
use crate::protocol::messages::offset_fetch_request::OffsetFetchRequestTopics;
use crate::protocol::messages::offset_fetch_response::{
    OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use crate::protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use crate::protocol::{ErrorCode, Uuid};

const FIRST_BY_ID: i16 = 10;

pub async fn handle(
    cx: &RequestContext<'_>,
    mut request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    if cx.api_version < FIRST_BY_ID {
        return cx.broker.groups.offset_fetch(&cx.group(), request).await;
    }
    let image = cx.broker.image();
    // By group: the topics whose id nobody knows.
    let mut unknown: Vec<Vec<OffsetFetchRequestTopics>> = Vec::new();
    for group in &mut request.groups {
        let Some(topics) = group.topics.take() else {
            unknown.push(Vec::new());
            continue;
        };
        let (known, missing): (Vec<_>, Vec<_>) = topics
            .into_iter()
            .partition(|t| image.topics.get_by_id(t.topic_id).is_some());
        let named = |mut topic: OffsetFetchRequestTopics| {
            if let Some(found) = image.topics.get_by_id(topic.topic_id) {
                topic.name = found.name.to_string();
            }
            topic
        };
        group.topics = Some(known.into_iter().map(named).collect());
        unknown.push(missing);
    }
    let mut response = cx.broker.groups.offset_fetch(&cx.group(), request).await;
    for (group, unknown) in response.groups.iter_mut().zip(unknown) {
        for topic in &mut group.topics {
            topic.topic_id = image.topics.id_of(&topic.name).unwrap_or(topic.topic_id);
        }
        // Offsets of topics that are gone cannot be named by id.
        group.topics.retain(|topic| topic.topic_id != Uuid::ZERO);
        if group.error_code == 0 {
            group.topics.extend(unknown.into_iter().map(refusal));
        }
    }
    response
}

fn refusal(topic: OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
    let partition = |index: &i32| OffsetFetchResponsePartitions {
        partition_index: *index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(String::new()),
        error_code: ErrorCode::UnknownTopicId.code(),
    };
    let partitions = topic.partition_indexes.iter().map(partition).collect();
    OffsetFetchResponseTopics {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions,
    }
}
