//! The topics that a producer knows, kept up to date with the cluster's metadata.
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::accumulator::{Accumulator, Topic, TopicState};
use crate::client::cluster::Client;
use crate::client::errors::{ClientError, Result};
use crate::client::metadata::ClusterMetadata;
use crate::protocol::ErrorCode;

#[derive(Default)]
pub(super) struct Topics {
    by_name: Mutex<HashMap<Arc<str>, Arc<TopicState>>>,
}

impl Topics {
    /// The handle of a topic; the first time its metadata is waited for, at most `max.block.ms`.
    pub async fn get(
        &self,
        client: &Client,
        accumulator: &Accumulator,
        name: &str,
    ) -> Result<Topic> {
        if let Some(state) = self.by_name.lock().get(name) {
            return Ok(Topic {
                state: state.clone(),
            });
        }
        client.want_topics([name]);
        let block_max = accumulator.config.block_max;
        let late = || {
            format!(
                "Topic {name} not present in metadata after {} ms.",
                block_max.as_millis()
            )
        };
        let deadline = Instant::now() + block_max;
        let found = client
            .wait_for(deadline, late, |metadata| usable(metadata, name))
            .await?;
        let mut by_name = self.by_name.lock();
        let state = by_name
            .entry(found.name.clone())
            .or_insert_with(|| Arc::new(TopicState::new(&found)))
            .clone();
        Ok(Topic { state })
    }

    /// Waits until a topic has this partition, at most `max.block.ms`.
    pub async fn wait_for_partition(
        &self,
        client: &Client,
        accumulator: &Accumulator,
        topic: &Topic,
        partition: i32,
    ) -> Result<()> {
        let name = topic.name();
        let block_max = accumulator.config.block_max;
        let late = || {
            format!(
                "Partition {partition} of topic {name} with partition count {} is not present in \
                 metadata after {} ms.",
                topic.partition_count(),
                block_max.as_millis()
            )
        };
        let grown = |metadata: &ClusterMetadata| {
            let found = usable(metadata, name)?;
            Ok(found.filter(|found| found.partition(partition).is_some()))
        };
        let deadline = Instant::now() + block_max;
        let found = client.wait_for(deadline, late, grown).await?;
        topic.state.update(&found);
        Ok(())
    }

    /// Takes over new leaders and partitions, and forgets topics that nobody produces to.
    pub fn refresh(&self, client: &Client, accumulator: &Accumulator) {
        let metadata = client.metadata();
        let idle_max = accumulator.config.metadata_max_idle.as_millis();
        for (name, state) in self.by_name.lock().iter() {
            if let Some(topic) = metadata
                .topic(name)
                .filter(|topic| !topic.partitions.is_empty())
            {
                state.update(topic);
            }
            if u128::from(accumulator.idle_ms(state)) > idle_max
                && !state.forgotten.swap(true, Ordering::Relaxed)
            {
                client.forget_topic(name);
            }
        }
    }
}

/// The topic, if it can be produced to; `Err` if waiting for it is in vain.
fn usable(
    metadata: &ClusterMetadata,
    name: &str,
) -> Result<Option<Arc<crate::client::metadata::TopicMetadata>>> {
    let Some(topic) = metadata.topic(name) else {
        return Ok(None);
    };
    match topic.error {
        ErrorCode::None if topic.partitions.is_empty() => Ok(None),
        ErrorCode::None => Ok(Some(topic.clone())),
        ErrorCode::InvalidTopicException => Err(ClientError::broker(
            topic.error,
            Some(&format!("Invalid topics: [{name}]")),
        )),
        ErrorCode::TopicAuthorizationFailed => {
            let text = format!("Not authorized to access topics: [{name}]");
            Err(ClientError::broker(topic.error, Some(&text)))
        }
        // Creation and elections take a moment.
        _ => Ok(None),
    }
}
