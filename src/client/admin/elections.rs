//! Electing leaders of partitions.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Admin, not_controller, timeout_ms};
use crate::client::TopicPartition;
use crate::client::cluster::Route;
use crate::client::errors::{ClientError, Result};
use crate::protocol::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};

/// Which replica may become leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElectionType {
    /// The first of the replicas.
    Preferred = 0,
    /// One that is not in sync, where no other is left: records may be lost.
    Unclean = 1,
}

impl Admin {
    /// Elects leaders of these partitions, or wherever it makes a difference; each has its own
    /// outcome.
    pub async fn elect_leaders(
        &self,
        kind: ElectionType,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<BTreeMap<TopicPartition, Result<()>>> {
        let options = self.options("electLeaders");
        let mut topics: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
        for partition in partitions.unwrap_or_default() {
            let indexes = topics.entry(&partition.topic).or_default();
            indexes.push(partition.partition);
        }
        let topic = |(name, partitions): (&&Arc<str>, &Vec<i32>)| TopicPartitions {
            topic: name.to_string(),
            partitions: partitions.clone(),
        };
        let build = |version| ElectLeadersRequest {
            election_type: if version >= 1 { kind as i8 } else { 0 },
            topic_partitions: partitions.map(|_| topics.iter().map(topic).collect()),
            timeout_ms: timeout_ms(&options),
        };
        let response = self
            .client()
            .call(options, Route::Controller, build, |response| {
                not_controller([response.error_code])
            })
            .await?;
        ClientError::check(response.error_code, None)?;
        let mut outcomes = BTreeMap::new();
        for topic in response.replica_election_results {
            let name: Arc<str> = topic.topic.into();
            for p in topic.partition_result {
                let partition = TopicPartition::new(name.clone(), p.partition_id);
                let outcome = ClientError::check(p.error_code, p.error_message.as_deref());
                outcomes.insert(partition, outcome);
            }
        }
        Ok(outcomes)
    }
}
