//! DescribeQuorum (key 55), versions 0–2 (KIP-595): the metadata log, whose only voter leads it.
//!
//! - 1: when replicas have fetched (KIP-836). 2: directories, and where voters are reached (KIP-853).

use crate::broker::context::RequestContext;
use crate::protocol::messages::describe_quorum_request::PartitionData as Asked;
use crate::protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use crate::protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use crate::protocol::{ErrorCode, Uuid};

const METADATA_TOPIC: &str = "__cluster_metadata";
const FIRST_WITH_NODES: i16 = 2;

pub async fn handle(
    cx: &RequestContext<'_>,
    request: DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    let is_quorum = matches!(&request.topics[..], [topic] if topic.topic_name == METADATA_TOPIC
        && matches!(&topic.partitions[..], [partition] if partition.partition_index == 0));
    if is_quorum {
        return DescribeQuorumResponse {
            topics: vec![TopicData {
                topic_name: METADATA_TOPIC.to_owned(),
                partitions: vec![described(cx)],
            }],
            nodes: nodes(cx),
            ..Default::default()
        };
    }
    let unknown = |asked: &Asked| PartitionData {
        partition_index: asked.partition_index,
        error_code: ErrorCode::UnknownTopicOrPartition.code(),
        error_message: Some(ErrorCode::UnknownTopicOrPartition.message().to_owned()),
        ..Default::default()
    };
    let topics = request.topics.iter().map(|topic| TopicData {
        topic_name: topic.topic_name.clone(),
        partitions: topic.partitions.iter().map(unknown).collect(),
    });
    DescribeQuorumResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}

fn described(cx: &RequestContext<'_>) -> PartitionData {
    let last = cx.broker.image().provenance;
    let end = last.last_offset + 1;
    let replica = ReplicaState {
        replica_id: cx.broker.node_id,
        // Static voters are known by their ids alone.
        replica_directory_id: Uuid::ZERO,
        log_end_offset: end,
        last_fetch_timestamp: cx.now_ms,
        last_caught_up_timestamp: cx.now_ms,
    };
    PartitionData {
        leader_id: cx.broker.node_id,
        leader_epoch: last.last_epoch,
        high_watermark: end,
        current_voters: vec![replica],
        ..Default::default()
    }
}

fn nodes(cx: &RequestContext<'_>) -> Vec<Node> {
    if cx.api_version < FIRST_WITH_NODES {
        return Vec::new();
    }
    let image = cx.broker.image();
    let controllers = image.cluster.controllers.values();
    let node = |controller: &crate::metadata::image::ControllerRegistration| Node {
        node_id: controller.controller_id,
        listeners: controller
            .end_points
            .iter()
            .map(|end_point| Listener {
                name: end_point.name.clone(),
                host: end_point.host.clone(),
                port: end_point.port,
            })
            .collect(),
    };
    controllers.map(node).collect()
}
