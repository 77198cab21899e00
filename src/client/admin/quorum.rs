//! The quorum of controllers: its state, and adding and removing voters.
use super::{Admin, not_controller, timeout_ms};
use crate::client::cluster::Route;
use crate::client::errors::{ClientError, Result};
use crate::protocol::messages::RemoveRaftVoterRequest;
use crate::protocol::messages::add_raft_voter_request::{AddRaftVoterRequest, Listener};
use crate::protocol::messages::describe_quorum_request::{
    DescribeQuorumRequest, PartitionData, TopicData,
};
use crate::protocol::messages::describe_quorum_response::{Node, ReplicaState};
use crate::protocol::{ErrorCode, Uuid};

const METADATA_TOPIC: &str = "__cluster_metadata";

/// The quorum as its leader sees it.
#[derive(Debug, Clone)]
pub struct QuorumInfo {
    pub leader_id: i32,
    pub leader_epoch: i32,
    pub high_watermark: i64,
    pub voters: Vec<ReplicaState>,
    pub observers: Vec<ReplicaState>,
    /// Where voters can be reached; empty from brokers before 3.9.
    pub nodes: Vec<Node>,
}

/// Where a controller listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoterEndpoint {
    pub listener: String,
    pub host: String,
    pub port: u16,
}

impl Admin {
    pub async fn describe_metadata_quorum(&self) -> Result<QuorumInfo> {
        let build = |_version| DescribeQuorumRequest {
            topics: vec![TopicData {
                topic_name: METADATA_TOPIC.to_owned(),
                partitions: vec![PartitionData { partition_index: 0 }],
            }],
        };
        let options = self.options("describeMetadataQuorum");
        let response = self
            .client()
            .call(options, Route::Any, build, |response| {
                ErrorCode::from_code(response.error_code)
            })
            .await?;
        ClientError::check(response.error_code, response.error_message.as_deref())?;
        let mut partitions = response
            .topics
            .into_iter()
            .flat_map(|topic| topic.partitions);
        let partition = partitions
            .next()
            .ok_or_else(|| ClientError::protocol("the answer names no metadata partition"))?;
        ClientError::check(partition.error_code, partition.error_message.as_deref())?;
        Ok(QuorumInfo {
            leader_id: partition.leader_id,
            leader_epoch: partition.leader_epoch,
            high_watermark: partition.high_watermark,
            voters: partition.current_voters,
            observers: partition.observers,
            nodes: response.nodes,
        })
    }

    /// Makes a controller a voter.
    pub async fn add_raft_voter(
        &self,
        id: i32,
        directory: Uuid,
        endpoints: &[VoterEndpoint],
    ) -> Result<()> {
        let options = self.options("addRaftVoter");
        let listener = |endpoint: &VoterEndpoint| Listener {
            name: endpoint.listener.clone(),
            host: endpoint.host.clone(),
            port: endpoint.port,
        };
        let build = |_version| AddRaftVoterRequest {
            timeout_ms: timeout_ms(&options),
            voter_id: id,
            voter_directory_id: directory,
            listeners: endpoints.iter().map(listener).collect(),
            ..Default::default()
        };
        let response = self
            .client()
            .call(options, Route::Controller, build, |response| {
                not_controller([response.error_code])
            })
            .await?;
        ClientError::check(response.error_code, response.error_message.as_deref())
    }

    /// Takes a voter's vote.
    pub async fn remove_raft_voter(&self, id: i32, directory: Uuid) -> Result<()> {
        let build = |_version| RemoveRaftVoterRequest {
            voter_id: id,
            voter_directory_id: directory,
            ..Default::default()
        };
        let options = self.options("removeRaftVoter");
        let response = self
            .client()
            .call(options, Route::Controller, build, |response| {
                not_controller([response.error_code])
            })
            .await?;
        ClientError::check(response.error_code, response.error_message.as_deref())
    }
}
