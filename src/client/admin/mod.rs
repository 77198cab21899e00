//! The admin client: topics, configurations, offsets, groups, access and the cluster itself.
//!
//! Every call tries until `default.api.timeout.ms`, finds its broker itself and moves on when the
//! controller or a coordinator does. A call over many things answers for each of them: one bad
//! topic name does not hide what happened to the others.
mod acls;
mod cluster;
mod configs;
mod consumer_groups;
mod delegation_tokens;
mod elections;
mod features;
mod groups;
mod log_dirs;
mod membership;
mod nodes;
mod offsets;
mod quorum;
mod quotas;
mod reassignments;
mod records;
mod scram;
mod share_groups;
mod streams_groups;
mod topics;
mod transactions;

use tokio::time::Instant;

pub use acls::{AclBinding, AclEntry, AclFilter, AclResource};
pub use cluster::{ClusterDescription, OngoingReassignment};
pub use configs::{
    AlterConfigOp, ConfigEntry, ConfigResource, ConfigSynonym, DescribeConfigsOptions, OpType,
    ResourceType,
};
pub use consumer_groups::{CONSUMER_PROTOCOL, ConsumerGroupDescription, ConsumerGroupMember};
pub use delegation_tokens::{DelegationToken, Principal};
pub use elections::ElectionType;
pub use features::UpgradeType;
pub use groups::{CommittedOffset, GroupDescription, GroupListing, MemberDescription};
pub use log_dirs::{LogDirDescription, Moves, ReplicaInfo};
pub use nodes::ClusterNode;
pub use offsets::{ListedOffset, OffsetSpec};
pub use quorum::{QuorumInfo, VoterEndpoint};
pub use quotas::{ClientQuota, QuotaEntity, QuotaMatch};
pub use records::DeletedRecords;
pub use scram::{ScramInfo, ScramUpsertion};
pub use share_groups::{ShareGroupDescription, ShareGroupMember, ShareGroupOffset};
pub use streams_groups::{
    StreamsGroupDescription, StreamsGroupMember, StreamsSubtopology, StreamsTasks, SubtopologyTasks,
};
pub use topics::{
    CreateOptions, CreatedTopic, NewPartitions, NewTopic, PartitionDescription, TopicDescription,
    TopicListing,
};

pub use transactions::{
    ProducerState, TransactionDescription, TransactionFilter, TransactionListing,
    TransactionToAbort,
};

pub(crate) use groups::{OFFSETS_BY_NAME, commit_topics, fetch_offsets};
pub(crate) use offsets::list_offsets;

use super::cluster::{CallOptions, Client};
use super::config::ClientConfig;
use super::errors::Result;
use crate::config::Properties;
use crate::protocol::ErrorCode;

/// Partitions that a page of DescribeTopicPartitions may hold, as Kafka's admin client asks.
pub const PARTITIONS_PER_RESPONSE: i32 = 2000;

/// An admin client; clones share its connections.
#[derive(Clone)]
pub struct Admin {
    client: Client,
}

impl Admin {
    /// Makes an admin client; nothing is connected before the first call.
    pub fn new(config: ClientConfig) -> Self {
        Self {
            client: Client::new(config),
        }
    }

    /// From Kafka's admin keys, such as a `--command-config` file.
    pub fn from_properties(properties: &Properties) -> Result<Self> {
        Ok(Self::new(ClientConfig::from_properties(properties)?))
    }

    /// An admin client on the connections of another client.
    pub fn on(client: Client) -> Self {
        Self { client }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Ends the connections and waits for their tasks.
    pub async fn close(&self) {
        self.client.close().await;
    }

    fn options(&self, name: &'static str) -> CallOptions {
        self.client.options(name)
    }
}

/// The time left for the broker to act, as a request's `timeout_ms`.
fn timeout_ms(options: &CallOptions) -> i32 {
    let left = options.deadline.saturating_duration_since(Instant::now());
    i32::try_from(left.min(options.request_timeout).as_millis()).unwrap_or(i32::MAX)
}

/// Retry only when the wrong broker was asked: other errors belong to the single topics.
fn not_controller(codes: impl IntoIterator<Item = i16>) -> ErrorCode {
    let wrong_broker = ErrorCode::NotController.code();
    match codes.into_iter().any(|code| code == wrong_broker) {
        true => ErrorCode::NotController,
        false => ErrorCode::None,
    }
}
