//! The metadata image: what the records of the metadata log add up to.
//!
//! An image never changes; its parts are shared, so that the next one costs only what the
//! records touched. `apply` is the one door through which records enter.

pub mod acls;
mod apply;
pub mod cluster;
pub mod configs;
pub mod features;
pub mod quotas;
pub mod scram;
pub mod tokens;
pub mod topics;
mod write;

use std::sync::Arc;

pub use acls::AclsImage;
pub use apply::ReplayError;
pub use cluster::{BrokerRegistration, ClusterImage, ControllerRegistration};
pub use configs::{ConfigResource, ConfigResourceType, ConfigsImage};
pub use features::FeaturesImage;
pub use quotas::{QuotaEntity, QuotasImage};
pub use scram::ScramImage;
pub use tokens::TokensImage;
pub use topics::{
    NO_LEADER, NO_LEADER_CHANGE, PartitionImage, RecoveryState, TopicImage, TopicsImage,
};
pub use write::{broker_record, feature_level};

use super::MetadataRecord;
use crate::protocol::Uuid;
use crate::protocol::records::metadata::ProducerIdsRecord;

/// The last record an image contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance {
    /// Offset of the last record, -1 for an image of nothing.
    pub last_offset: i64,
    /// Leader epoch of that record.
    pub last_epoch: i32,
    /// Append time of that record's batch, milliseconds.
    pub last_timestamp_ms: i64,
}

impl Default for Provenance {
    fn default() -> Self {
        Provenance {
            last_offset: -1,
            last_epoch: -1,
            last_timestamp_ms: 0,
        }
    }
}

/// All cluster metadata up to one offset.
#[derive(Debug, Clone, Default)]
pub struct MetadataImage {
    pub provenance: Provenance,
    pub features: Arc<FeaturesImage>,
    pub cluster: Arc<ClusterImage>,
    pub topics: TopicsImage,
    pub configs: Arc<ConfigsImage>,
    pub quotas: Arc<QuotasImage>,
    /// The last block of producer ids handed out.
    pub producer_ids: Option<ProducerIdsRecord>,
    pub acls: Arc<AclsImage>,
    pub scram: Arc<ScramImage>,
    pub tokens: Arc<TokensImage>,
    /// Records of kinds that this version does not know, as they came: a snapshot keeps them for
    /// the implementation that does.
    pub unknown: Arc<Vec<MetadataRecord>>,
}

/// The directory of a replica whose broker has lost it.
pub const LOST_DIRECTORY: Uuid = Uuid::from_u128(2);

impl MetadataImage {
    /// Whether the directory that a replica is in is one that its broker has online.
    pub fn has_online_directory(&self, partition: &PartitionImage, replica: i32) -> bool {
        let directory = partition.directory_of(replica).unwrap_or_default();
        // 0 and 1: not assigned yet.
        if directory.as_u128() < 2 {
            return true;
        }
        let online = self
            .cluster
            .broker(replica)
            .map(|broker| &*broker.log_dirs)
            .unwrap_or_default();
        directory != LOST_DIRECTORY && (online.is_empty() || online.contains(&directory))
    }

    /// Whether no record has been applied.
    pub fn is_empty(&self) -> bool {
        self.same_content(&MetadataImage::default())
    }

    /// Whether both hold the same metadata, whatever offset they were taken at.
    pub fn same_content(&self, other: &MetadataImage) -> bool {
        self.features == other.features
            && self.cluster == other.cluster
            && self.topics == other.topics
            && self.configs == other.configs
            && self.quotas == other.quotas
            && self.producer_ids == other.producer_ids
            && self.acls == other.acls
            && self.scram == other.scram
            && self.tokens == other.tokens
            && self.unknown == other.unknown
    }
}
