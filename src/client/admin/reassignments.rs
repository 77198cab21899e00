//! Moving partitions between brokers: starting and cancelling. What is under way is listed with
//! the cluster.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Admin, not_controller, timeout_ms};
use crate::client::TopicPartition;
use crate::client::cluster::Route;
use crate::client::errors::{ClientError, Result};
use crate::protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};

impl Admin {
    /// Gives partitions new replicas; without any, cancels their reassignment. Each has its own
    /// outcome.
    pub async fn alter_partition_reassignments(
        &self,
        wanted: &BTreeMap<TopicPartition, Option<Vec<i32>>>,
        allow_factor_change: bool,
    ) -> Result<BTreeMap<TopicPartition, Result<()>>> {
        let mut topics: BTreeMap<&Arc<str>, Vec<ReassignablePartition>> = BTreeMap::new();
        for (partition, replicas) in wanted {
            let partitions = topics.entry(&partition.topic).or_default();
            partitions.push(ReassignablePartition {
                partition_index: partition.partition,
                replicas: replicas.clone(),
            });
        }
        let options = self.options("alterPartitionReassignments");
        let topic = |(name, partitions): (&&Arc<str>, &Vec<_>)| ReassignableTopic {
            name: name.to_string(),
            partitions: partitions.clone(),
        };
        let build = |version| AlterPartitionReassignmentsRequest {
            timeout_ms: timeout_ms(&options),
            allow_replication_factor_change: allow_factor_change || version == 0,
            topics: topics.iter().map(topic).collect(),
        };
        let response = self
            .client()
            .call(options, Route::Controller, build, |response| {
                not_controller([response.error_code])
            })
            .await?;
        ClientError::check(response.error_code, response.error_message.as_deref())?;
        let mut outcomes = BTreeMap::new();
        for topic in response.responses {
            let name: Arc<str> = topic.name.into();
            for p in topic.partitions {
                let partition = TopicPartition::new(name.clone(), p.partition_index);
                let outcome = ClientError::check(p.error_code, p.error_message.as_deref());
                outcomes.insert(partition, outcome);
            }
        }
        Ok(outcomes)
    }
}
