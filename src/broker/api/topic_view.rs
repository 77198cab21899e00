//! What Metadata and DescribeTopicPartitions both say of topics.

use crate::broker::context::RequestContext;
use crate::metadata::image::{NO_LEADER, PartitionImage};
use crate::protocol::ErrorCode;

/// "Not asked for" in an authorized-operations field.
pub const NO_OPERATIONS: i32 = i32::MIN;

/// All operations on a topic, as a bit field of AclOperation codes: without an authorizer everything is allowed.
pub const TOPIC_OPERATIONS: i32 =
    1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;

/// All operations on the cluster, likewise.
pub const CLUSTER_OPERATIONS: i32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

/// Whether Kafka itself writes the topic.
pub fn is_internal(topic: &str) -> bool {
    matches!(
        topic,
        "__consumer_offsets" | "__transaction_state" | "__share_group_state"
    )
}

/// The error, leader and offline replicas of a partition, as a client of this listener may use them.
pub struct Usable {
    pub error: ErrorCode,
    pub leader_id: i32,
    pub offline_replicas: Vec<i32>,
}

pub fn usable(cx: &RequestContext<'_>, partition: &PartitionImage) -> Usable {
    let image = cx.broker.image();
    let alive = |id: i32| image.cluster.is_active(id);
    let offline_replicas = partition
        .replicas
        .iter()
        .copied()
        .filter(|id| !alive(*id) || !image.has_online_directory(partition, *id))
        .collect();
    let leader = partition.leader;
    let (error, leader_id) = if leader == NO_LEADER || !alive(leader) {
        (ErrorCode::LeaderNotAvailable, NO_LEADER)
    } else if cx.broker.endpoint_of(leader, &cx.peer.listener).is_none() {
        (ErrorCode::ListenerNotFound, NO_LEADER)
    } else {
        (ErrorCode::None, leader)
    };
    Usable {
        error,
        leader_id,
        offline_replicas,
    }
}
