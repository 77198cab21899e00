//! What the client knows about the cluster: brokers, topics, leaders. An immutable value that is
//! replaced whole, so that readers never wait.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::connection::Endpoint;
use crate::protocol::messages::MetadataResponse;
use crate::protocol::messages::metadata_response::MetadataResponseTopic;
use crate::protocol::{ErrorCode, Uuid};

/// No leader, or none known.
pub const NO_LEADER: i32 = -1;

/// One partition as the brokers last described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionMetadata {
    pub partition: i32,
    /// [`NO_LEADER`] while there is none.
    pub leader: i32,
    pub leader_epoch: i32,
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
    pub offline_replicas: Vec<i32>,
    pub error: ErrorCode,
}

/// One topic as the brokers last described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMetadata {
    pub name: Arc<str>,
    /// Zero when the broker is older than topic ids.
    pub id: Uuid,
    pub internal: bool,
    pub error: ErrorCode,
    /// In order of their index.
    pub partitions: Vec<PartitionMetadata>,
    pub authorized_operations: i32,
}

impl TopicMetadata {
    pub fn partition(&self, index: i32) -> Option<&PartitionMetadata> {
        let at = usize::try_from(index).ok()?;
        // Indexes are dense in practice; the search is for the day they are not.
        match self.partitions.get(at) {
            Some(partition) if partition.partition == index => Some(partition),
            _ => self
                .partitions
                .iter()
                .find(|partition| partition.partition == index),
        }
    }
}

/// The cluster as last described; see [`super::Client::metadata`].
#[derive(Debug, Clone, Default)]
pub struct ClusterMetadata {
    pub cluster_id: Option<Arc<str>>,
    /// Under KRaft a random live broker, which forwards to the controller.
    pub controller_id: i32,
    pub brokers: BTreeMap<i32, Endpoint>,
    pub topics: BTreeMap<Arc<str>, Arc<TopicMetadata>>,
    /// Counts the updates; 0 before the first.
    pub version: u64,
}

impl ClusterMetadata {
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicMetadata>> {
        self.topics.get(name)
    }

    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<TopicMetadata>> {
        self.topics.values().find(|topic| topic.id == id)
    }

    /// The broker that leads a partition, if one does.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<(&Endpoint, i32)> {
        let partition = self.topic(topic)?.partition(partition)?;
        Some((self.brokers.get(&partition.leader)?, partition.leader_epoch))
    }

    /// The state after a response. Topics that were not asked for are kept, except those that
    /// `keep` rejects.
    pub(crate) fn updated(
        &self,
        response: &MetadataResponse,
        keep: impl Fn(&str) -> bool,
    ) -> ClusterMetadata {
        let mut topics: BTreeMap<_, _> = self.topics.clone();
        topics.retain(|name, _| keep(name));
        for topic in &response.topics {
            if let Some(topic) = topic_metadata(topic) {
                let topic = newer_leaders(topic, &self.topics);
                topics.insert(topic.name.clone(), Arc::new(topic));
            }
        }
        ClusterMetadata {
            cluster_id: response.cluster_id.as_deref().map(Into::into),
            controller_id: response.controller_id,
            brokers: brokers(response),
            topics,
            version: self.version + 1,
        }
    }
}

fn brokers(response: &MetadataResponse) -> BTreeMap<i32, Endpoint> {
    let endpoint =
        |broker: &crate::protocol::messages::metadata_response::MetadataResponseBroker| {
            Some(Endpoint {
                id: broker.node_id,
                host: broker.host.as_str().into(),
                port: u16::try_from(broker.port).ok()?,
                rack: broker.rack.as_deref().map(Into::into),
            })
        };
    response
        .brokers
        .iter()
        .filter_map(endpoint)
        .map(|node| (node.id, node))
        .collect()
}

/// A topic of a response; `None` for an answer by id that found no topic.
pub(crate) fn topic_metadata(topic: &MetadataResponseTopic) -> Option<TopicMetadata> {
    let mut partitions: Vec<_> = topic
        .partitions
        .iter()
        .map(|p| PartitionMetadata {
            partition: p.partition_index,
            leader: p.leader_id,
            leader_epoch: p.leader_epoch,
            replicas: p.replica_nodes.clone(),
            isr: p.isr_nodes.clone(),
            offline_replicas: p.offline_replicas.clone(),
            error: ErrorCode::from_code(p.error_code),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.partition);
    Some(TopicMetadata {
        name: topic.name.as_deref()?.into(),
        id: topic.topic_id,
        internal: topic.is_internal,
        error: ErrorCode::from_code(topic.error_code),
        partitions,
        authorized_operations: topic.topic_authorized_operations,
    })
}

/// A broker that lags behind may name an older leader: the one with the higher epoch stays.
fn newer_leaders(
    mut topic: TopicMetadata,
    known: &BTreeMap<Arc<str>, Arc<TopicMetadata>>,
) -> TopicMetadata {
    let Some(known) = known.get(&topic.name).filter(|known| known.id == topic.id) else {
        return topic;
    };
    for partition in &mut topic.partitions {
        match known.partition(partition.partition) {
            Some(before) if before.leader_epoch > partition.leader_epoch => {
                *partition = before.clone();
            }
            _ => {}
        }
    }
    topic
}
