//! The broker itself: what its parts share.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::auto_create::{OFFSETS_TOPIC, SHARE_STATE_TOPIC, TRANSACTION_TOPIC};
use super::controller_driver::ControllerHandle;
use super::coordinator_log::CoordinatorLog;
use super::directories::Directories;
use super::fetch_session::FetchSessions;
use super::group_commit::GroupCommit;
use super::internal_topics::CreationErrors;
use super::loggers::Loggers;
use super::partition::{Leadership, Topics};
use super::producer_ids::ProducerIds;
use super::quotas::Quotas;
use super::relocation::Relocations;
use super::share::ShareGroups;
use super::topic_config::layers;
use crate::config::BrokerConfig;
use crate::config::layers::BrokerLayers;
use crate::coordinator::share::ShareKey;
use crate::coordinator::{GroupCoordinator, ShareCoordinator, TransactionCoordinator};
use crate::log::LogManager;
use crate::metadata::feature;
use crate::metadata::image::{MetadataImage, PartitionImage};
use crate::protocol::{ErrorCode, Uuid};

/// Where a node is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub id: i32,
    pub host: String,
    pub port: i32,
    pub rack: Option<String>,
}

/// A running broker. Shared by all connections and tasks.
pub struct Broker {
    pub settings: BrokerConfig,
    pub cluster_id: Arc<str>,
    pub node_id: i32,
    /// The epoch of this registration.
    pub epoch: i64,
    pub topics: Topics,
    /// Partitions that are this node's and whose logs could not be made, for want of room say.
    pub unhosted: Mutex<BTreeSet<(Uuid, i32)>>,
    pub logs: LogManager,
    pub directories: Directories,
    pub relocations: Relocations,
    pub fetch_sessions: Mutex<FetchSessions>,
    pub producer_ids: ProducerIds,
    /// Of internal topics of Kafka Streams applications.
    pub creation_errors: CreationErrors,
    pub controller: ControllerHandle,
    pub groups: Arc<GroupCoordinator<CoordinatorLog>>,
    pub transactions: Arc<TransactionCoordinator<CoordinatorLog>>,
    pub share_states: Arc<ShareCoordinator<CoordinatorLog>>,
    pub share: ShareGroups,
    /// With `kafkars.group.commit`.
    pub group_commit: Option<Arc<GroupCommit>>,
    /// Long polls end early once this is cancelled.
    pub stopping: CancellationToken,
    /// The controller's thread ends once this is cancelled.
    pub retired: CancellationToken,
    pub image: ArcSwap<MetadataImage>,
    pub loggers: Loggers,
    pub quotas: Quotas,
    /// Tells of changes of this broker's own configuration.
    pub reconfigured: watch::Sender<()>,
    /// Where tasks run that threads outside of it start.
    pub runtime: tokio::runtime::Handle,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("node_id", &self.node_id)
            .finish_non_exhaustive()
    }
}

impl Broker {
    pub fn image(&self) -> Arc<MetadataImage> {
        self.image.load_full()
    }

    pub fn is_controller_listener(&self, listener: &str) -> bool {
        self.settings
            .listeners
            .controller
            .iter()
            .any(|known| known.name == listener)
    }

    /// Brokers that clients of this listener can reach.
    pub fn endpoints(&self, listener: &str) -> Vec<Endpoint> {
        let image = self.image();
        let ids: Vec<i32> = image.cluster.alive_brokers().map(|b| b.broker_id).collect();
        ids.into_iter()
            .filter_map(|id| self.endpoint_of(id, listener))
            .collect()
    }

    pub fn endpoint_of(&self, broker_id: i32, listener: &str) -> Option<Endpoint> {
        let image = self.image();
        let broker = image
            .cluster
            .broker(broker_id)
            .filter(|broker| !broker.fenced)?;
        let end_point = broker.end_points.iter().find(|e| e.name == listener)?;
        Some(Endpoint {
            id: broker_id,
            host: end_point.host.clone(),
            port: i32::from(end_point.port),
            rack: broker.rack.clone(),
        })
    }

    pub fn controller_endpoints(&self, listener: &str) -> Vec<Endpoint> {
        let image = self.image();
        let endpoint = |controller: &crate::metadata::image::ControllerRegistration| {
            let end_point = controller.end_points.iter().find(|e| e.name == listener)?;
            Some(Endpoint {
                id: controller.controller_id,
                host: end_point.host.clone(),
                port: i32::from(end_point.port),
                rack: None,
            })
        };
        image
            .cluster
            .controllers
            .values()
            .filter_map(endpoint)
            .collect()
    }

    /// The endpoints of these brokers, each once.
    pub fn endpoints_of(&self, brokers: &[i32], listener: &str) -> Vec<Endpoint> {
        let mut ids: Vec<i32> = brokers.iter().copied().filter(|id| *id >= 0).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter()
            .filter_map(|id| self.endpoint_of(id, listener))
            .collect()
    }

    /// Leader and leader epoch of a partition, as the metadata has them.
    pub fn leader_of(&self, topic_id: &Uuid, index: i32) -> Option<(i32, i32)> {
        let image = self.image();
        let partition = image.topics.get_by_id(*topic_id)?.partitions.get(&index)?;
        Some((partition.leader, partition.leader_epoch))
    }

    /// The error for a partition that is not hosted here.
    pub fn absent_partition(&self, topic: &str, index: i32) -> ErrorCode {
        match self.image().topics.partition(topic, index) {
            None => ErrorCode::UnknownTopicOrPartition,
            Some(partition) if partition.replicas.contains(&self.node_id) => {
                ErrorCode::KafkaStorageError
            }
            Some(_) => ErrorCode::NotLeaderOrFollower,
        }
    }

    /// What a partition's metadata makes of this node.
    pub fn leadership(&self, partition: &PartitionImage) -> Leadership {
        Leadership {
            is_leader: partition.leader == self.node_id,
            leader_epoch: partition.leader_epoch,
            isr_len: partition.isr.len(),
            replicas_len: partition.replicas.len(),
        }
    }

    /// The broker that coordinates a group: the leader of the group's partition of the offsets topic.
    pub fn group_coordinator_of(&self, group_id: &str) -> Option<i32> {
        let partition = self.groups.partition_for(group_id);
        let image = self.image();
        let leader = image.topics.partition(OFFSETS_TOPIC, partition)?.leader;
        (leader >= 0).then_some(leader)
    }

    /// The broker that coordinates the transactions of a transactional id.
    pub fn transaction_coordinator_of(&self, transactional_id: &str) -> Option<i32> {
        let partition = self.transactions.partition_for(transactional_id);
        let image = self.image();
        let leader = image.topics.partition(TRANSACTION_TOPIC, partition)?.leader;
        (leader >= 0).then_some(leader)
    }

    /// The broker that remembers what a group has done with a partition.
    pub fn share_coordinator_of(&self, key: &ShareKey) -> Option<i32> {
        let partition = self.share_states.partition_for(key);
        let image = self.image();
        let leader = image.topics.partition(SHARE_STATE_TOPIC, partition)?.leader;
        (leader >= 0).then_some(leader)
    }

    pub fn offers_share_groups(&self) -> bool {
        self.image().features.level(feature::SHARE_VERSION) > 0
    }

    /// Runs `look` on this broker's configuration, layer by layer.
    pub fn with_layers<R>(
        &self,
        image: &MetadataImage,
        look: impl FnOnce(&BrokerLayers<'_>) -> R,
    ) -> R {
        look(&layers(&self.settings, image))
    }
}
