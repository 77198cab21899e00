//! Metadata (key 3), versions 0–13.
//!
//! Topics that are missing are created first, where the request and `auto.create.topics.enable` allow it, and then
//! answered like the others: Kafka answers LEADER_NOT_AVAILABLE meanwhile and makes the client ask again.
//!
//! - 1: controller id; null asks for all topics. 2: cluster id. 4: the request may forbid creation.
//! - 5: offline replicas. 7: leader epochs. 8: authorized operations (KIP-430). 9: flexible.
//! - 10: topic ids. 12: topics may be asked for by id alone. 13: top-level error (KIP-1102).

use crate::broker::auto_create;
use crate::broker::context::RequestContext;
use crate::metadata::image::TopicImage;
use crate::protocol::messages::metadata_request::MetadataRequestTopic;
use crate::protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use crate::protocol::messages::{MetadataRequest, MetadataResponse};
use crate::protocol::{ErrorCode, Uuid};

use super::topic_view::{CLUSTER_OPERATIONS, NO_OPERATIONS, TOPIC_OPERATIONS, is_internal, usable};

pub async fn handle(cx: &RequestContext<'_>, request: MetadataRequest) -> MetadataResponse {
    let operations = if request.include_topic_authorized_operations {
        TOPIC_OPERATIONS
    } else {
        NO_OPERATIONS
    };
    let topics = match request.topics {
        Some(topics) if !(topics.is_empty() && cx.api_version == 0) => {
            let may_create = request.allow_auto_topic_creation || cx.api_version < 4;
            asked(cx, topics, may_create).await
        }
        _ => {
            let image = cx.broker.image();
            image
                .topics
                .iter()
                .map(|topic| describe(cx, topic))
                .collect()
        }
    };
    let with_operations = |mut topic: MetadataResponseTopic| {
        topic.topic_authorized_operations = operations;
        topic
    };
    MetadataResponse {
        brokers: brokers(cx),
        cluster_id: Some(cx.broker.cluster_id.to_string()),
        controller_id: cx.broker.node_id,
        topics: topics.into_iter().map(with_operations).collect(),
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            NO_OPERATIONS
        },
        ..Default::default()
    }
}

fn brokers(cx: &RequestContext<'_>) -> Vec<MetadataResponseBroker> {
    let entry = |node: crate::broker::node::Endpoint| MetadataResponseBroker {
        node_id: node.id,
        host: node.host,
        port: node.port,
        rack: node.rack,
    };
    cx.broker
        .endpoints(&cx.peer.listener)
        .into_iter()
        .map(entry)
        .collect()
}

async fn asked(
    cx: &RequestContext<'_>,
    topics: Vec<MetadataRequestTopic>,
    may_create: bool,
) -> Vec<MetadataResponseTopic> {
    let image = cx.broker.image();
    let mut failed = std::collections::BTreeMap::new();
    if may_create && cx.broker.settings.topics.auto_create_enable {
        let named = topics.iter().filter_map(|t| t.name.as_deref());
        let missing: Vec<String> = named
            .filter(|name| image.topics.get(name).is_none())
            .map(str::to_owned)
            .collect();
        if !missing.is_empty() {
            failed = auto_create::create_missing(cx.broker, missing, cx.permits(false)).await;
        }
    }
    let image = cx.broker.image();
    let answer = |topic: MetadataRequestTopic| {
        if let Some(name) = topic.name {
            return match image.topics.get(&name) {
                Some(found) => describe(cx, found),
                None => {
                    let error = failed.get(&name).copied();
                    let error = error.unwrap_or_else(|| super::unknown_name(&name));
                    absent(error, Some(name), Uuid::ZERO)
                }
            };
        }
        match image.topics.get_by_id(topic.topic_id) {
            Some(found) => describe(cx, found),
            None => absent(ErrorCode::UnknownTopicId, None, topic.topic_id),
        }
    };
    // A topic with neither name nor id is passed over, as in Kafka.
    let says_which = |t: &MetadataRequestTopic| t.name.is_some() || t.topic_id != Uuid::ZERO;
    topics.into_iter().filter(says_which).map(answer).collect()
}

fn absent(error: ErrorCode, name: Option<String>, topic_id: Uuid) -> MetadataResponseTopic {
    let is_internal = name.as_deref().is_some_and(is_internal);
    MetadataResponseTopic {
        error_code: error.code(),
        name,
        topic_id,
        is_internal,
        ..Default::default()
    }
}

fn describe(cx: &RequestContext<'_>, topic: &TopicImage) -> MetadataResponseTopic {
    let partition = |(index, partition): (&i32, &crate::metadata::image::PartitionImage)| {
        let usable = usable(cx, partition);
        MetadataResponsePartition {
            error_code: usable.error.code(),
            partition_index: *index,
            leader_id: usable.leader_id,
            leader_epoch: partition.leader_epoch,
            replica_nodes: partition.replicas.clone(),
            isr_nodes: partition.isr.clone(),
            offline_replicas: usable.offline_replicas,
        }
    };
    MetadataResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: topic.partitions.iter().map(partition).collect(),
        ..Default::default()
    }
}
