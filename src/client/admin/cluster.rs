//! The cluster itself: its brokers, and reassignments under way.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Admin, not_controller, timeout_ms};
use crate::client::TopicPartition;
use crate::client::cluster::Route;
use crate::client::connection::Endpoint;
use crate::client::errors::{ClientError, Result};
use crate::client::metadata::ClusterMetadata;
use crate::protocol::ErrorCode;
use crate::protocol::messages::list_partition_reassignments_request::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics,
};
use crate::protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    pub cluster_id: String,
    /// -1 when unknown; under KRaft a broker that forwards to the controller.
    pub controller_id: i32,
    pub brokers: Vec<Endpoint>,
    pub authorized_operations: i32,
}

/// A partition that is being moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OngoingReassignment {
    pub replicas: Vec<i32>,
    pub adding: Vec<i32>,
    pub removing: Vec<i32>,
}

impl Admin {
    /// Who forms the cluster. Brokers older than DescribeCluster (2.8) are asked for Metadata.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription> {
        let options = self.options("describeCluster");
        let controllers = self.client().config().controllers;
        let build = |_version| DescribeClusterRequest {
            endpoint_type: if controllers { 2 } else { 1 },
            ..Default::default()
        };
        let verdict =
            |response: &DescribeClusterResponse| ErrorCode::from_code(response.error_code);
        match self
            .client()
            .call(options, Route::Any, build, verdict)
            .await
        {
            Err(ClientError::UnsupportedVersion(_)) => self.describe_by_metadata_request().await,
            response => described(response?),
        }
    }

    async fn describe_by_metadata_request(&self) -> Result<ClusterDescription> {
        let response = self
            .client()
            .inner()
            .fetch_metadata(Some(&[]), false)
            .await?;
        let metadata = ClusterMetadata::default().updated(&response, |_| false);
        Ok(ClusterDescription {
            cluster_id: metadata
                .cluster_id
                .as_deref()
                .unwrap_or_default()
                .to_owned(),
            controller_id: metadata.controller_id,
            brokers: metadata.brokers.into_values().collect(),
            authorized_operations: i32::MIN,
        })
    }

    /// Partitions that are being moved: all, or those of the list that are.
    pub async fn list_partition_reassignments(
        &self,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<BTreeMap<TopicPartition, OngoingReassignment>> {
        let options = self.options("listPartitionReassignments");
        let mut topics: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
        for partition in partitions.unwrap_or_default() {
            topics
                .entry(&partition.topic)
                .or_default()
                .push(partition.partition);
        }
        let topic =
            |(name, partitions): (&&Arc<str>, &Vec<i32>)| ListPartitionReassignmentsTopics {
                name: name.to_string(),
                partition_indexes: partitions.clone(),
            };
        let build = |_version| ListPartitionReassignmentsRequest {
            timeout_ms: timeout_ms(&options),
            topics: partitions.map(|_| topics.iter().map(topic).collect()),
        };
        let response = self
            .client()
            .call(options, Route::Controller, build, |response| {
                not_controller([response.error_code])
            })
            .await?;
        ClientError::check(response.error_code, response.error_message.as_deref())?;
        let mut ongoing = BTreeMap::new();
        for topic in response.topics {
            let name: Arc<str> = topic.name.into();
            for p in topic.partitions {
                let reassignment = OngoingReassignment {
                    replicas: p.replicas,
                    adding: p.adding_replicas,
                    removing: p.removing_replicas,
                };
                ongoing.insert(
                    TopicPartition::new(name.clone(), p.partition_index),
                    reassignment,
                );
            }
        }
        Ok(ongoing)
    }
}

fn described(response: DescribeClusterResponse) -> Result<ClusterDescription> {
    ClientError::check(response.error_code, response.error_message.as_deref())?;
    let mut brokers = Vec::with_capacity(response.brokers.len());
    for broker in response.brokers {
        let port = u16::try_from(broker.port)
            .map_err(|_| ClientError::protocol(format!("a broker has the port {}", broker.port)))?;
        brokers.push(Endpoint {
            id: broker.broker_id,
            host: broker.host.into(),
            port,
            rack: broker.rack.map(Into::into),
        });
    }
    brokers.sort();
    Ok(ClusterDescription {
        cluster_id: response.cluster_id,
        controller_id: response.controller_id,
        brokers,
        authorized_operations: response.cluster_authorized_operations,
    })
}
