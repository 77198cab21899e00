//! Deleting records from the start of partitions.
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Admin, timeout_ms};
use crate::client::TopicPartition;
use crate::client::cluster::Route;
use crate::client::errors::{ClientError, Result};
use crate::protocol::ErrorCode;
use crate::protocol::messages::DeleteRecordsResponse;
use crate::protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};

/// What became of each partition: its new first offset.
pub type DeletedRecords = BTreeMap<TopicPartition, Result<i64>>;

impl Admin {
    /// Deletes the records before the given offsets (-1 is the end), asking the leaders again
    /// where leadership moved; each partition has its own outcome.
    pub async fn delete_records(
        &self,
        before: &BTreeMap<TopicPartition, i64>,
    ) -> Result<DeletedRecords> {
        let client = self.client();
        client.want_topics(before.keys().map(|partition| &*partition.topic));
        let deadline = self.options("deleteRecords").deadline;
        let mut pending = before.clone();
        let mut done = DeletedRecords::new();
        let mut failures = 0;
        loop {
            let mut round = self.delete_led_records(&pending).await;
            for partition in pending.keys().cloned().collect::<Vec<_>>() {
                let outcome = round.remove(&partition).unwrap_or_else(|| {
                    let text = format!("no leader is known for partition {partition}");
                    Err(ClientError::timeout(text))
                });
                let failure = outcome.as_ref().err();
                if failure.is_none_or(|error| !error.is_retriable()) {
                    pending.remove(&partition);
                }
                done.insert(partition, outcome);
            }
            failures += 1;
            let wait = client.config().retry_backoff.after(failures);
            if pending.is_empty() || Instant::now() + wait >= deadline {
                break;
            }
            client.request_update();
            let mut updates = client.updates();
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                changed = updates.changed() => changed.map_err(|_| ClientError::Closed)?,
            }
        }
        // Whatever could still have succeeded ran out of time.
        for partition in pending.into_keys() {
            if let Some(outcome @ Err(_)) = done.get_mut(&partition) {
                let last = outcome.as_ref().err().map(ToString::to_string);
                let text = format!("deleteRecords timed out: {}", last.unwrap_or_default());
                *outcome = Err(ClientError::timeout(text));
            }
        }
        Ok(done)
    }

    /// One round: a request to each leader that is known.
    async fn delete_led_records(&self, pending: &BTreeMap<TopicPartition, i64>) -> DeletedRecords {
        let metadata = self.client().metadata();
        let mut by_leader: BTreeMap<i32, BTreeMap<TopicPartition, i64>> = BTreeMap::new();
        for (partition, offset) in pending {
            if let Some((leader, _)) = metadata.leader(&partition.topic, partition.partition) {
                let asked = by_leader.entry(leader.id).or_default();
                asked.insert(partition.clone(), *offset);
            }
        }
        let mut outcomes = DeletedRecords::new();
        for (leader, asked) in by_leader {
            let options = self.options("deleteRecords");
            let build = |_version| DeleteRecordsRequest {
                topics: topics(&asked),
                timeout_ms: timeout_ms(&options),
            };
            let route = Route::Broker(leader);
            match self
                .client()
                .call(options, route, build, |_| ErrorCode::None)
                .await
            {
                Ok(response) => outcomes.extend(answers(response)),
                Err(error) => {
                    let failed = asked.into_keys();
                    outcomes.extend(failed.map(|partition| (partition, Err(error.clone()))));
                }
            }
        }
        outcomes
    }
}

fn topics(asked: &BTreeMap<TopicPartition, i64>) -> Vec<DeleteRecordsTopic> {
    let mut topics: BTreeMap<&Arc<str>, Vec<DeleteRecordsPartition>> = BTreeMap::new();
    for (partition, offset) in asked {
        let partitions = topics.entry(&partition.topic).or_default();
        partitions.push(DeleteRecordsPartition {
            partition_index: partition.partition,
            offset: *offset,
        });
    }
    let topic = |(name, partitions): (&Arc<str>, _)| DeleteRecordsTopic {
        name: name.to_string(),
        partitions,
    };
    topics.into_iter().map(topic).collect()
}

fn answers(response: DeleteRecordsResponse) -> DeletedRecords {
    let mut outcomes = DeletedRecords::new();
    for topic in response.topics {
        let name: Arc<str> = topic.name.into();
        for p in topic.partitions {
            let outcome = ClientError::check(p.error_code, None).map(|()| p.low_watermark);
            outcomes.insert(
                TopicPartition::new(name.clone(), p.partition_index),
                outcome,
            );
        }
    }
    outcomes
}
