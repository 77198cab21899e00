//! `transactions find-hanging`: open transactions that their coordinator knows nothing of.
use std::collections::BTreeMap;

use anyhow::bail;
use serde_json::{Value, json};

use super::{Command, failed};
use crate::client::TopicPartition;
use crate::client::admin::{PARTITIONS_PER_RESPONSE, ProducerState, TransactionFilter};
use crate::protocol::ErrorCode;
use crate::tools::cluster::now_ms;

/// Partitions and topics asked about at a time.
const BATCH: usize = 500;
const MINUTE_MS: i64 = 60_000;

impl Command<'_> {
    pub(super) async fn find_hanging(&mut self) -> anyhow::Result<()> {
        let broker: Option<i32> = self.parsed.number("broker-id")?;
        let topic = self.parsed.value("topic").map(str::to_owned);
        let partition: Option<i32> = self.parsed.number("partition")?;
        if topic.is_none() && broker.is_none() {
            bail!(
                "The `find-hanging` command requires either --topic or --broker-id to limit the \
                 scope of the search"
            );
        }
        if partition.is_some() && topic.is_none() {
            bail!("The --partition argument requires --topic to be provided");
        }
        let minutes: i64 = self.parsed.number("max-transaction-timeout")?.unwrap_or(15);
        let partitions = match (topic, partition) {
            (Some(topic), Some(index)) => vec![TopicPartition::new(topic, index)],
            (topic, _) => self.partitions_of(topic, broker).await?,
        };
        let open = self
            .open_for_longer(&partitions, broker, minutes.saturating_mul(MINUTE_MS))
            .await?;
        let mut hanging = Vec::new();
        if !open.is_empty() {
            let owned = self.partitions_in_transactions(&open).await?;
            hanging = open;
            hanging.retain(|(partition, producer)| {
                let known = owned.get(&producer.producer_id);
                !known.is_some_and(|partitions| partitions.contains(partition))
            });
        }
        let now = now_ms();
        let rows: Vec<Vec<Value>> = hanging
            .iter()
            .map(|(partition, producer)| {
                vec![
                    json!(&*partition.topic),
                    json!(partition.partition),
                    json!(producer.producer_id),
                    json!(producer.producer_epoch),
                    json!(producer.coordinator_epoch),
                    json!(producer.transaction_start_offset.unwrap_or(-1)),
                    json!(producer.last_timestamp),
                    json!((now - producer.last_timestamp) / MINUTE_MS),
                ]
            })
            .collect();
        let header = [
            "Topic",
            "Partition",
            "ProducerId",
            "ProducerEpoch",
            "CoordinatorEpoch",
            "StartOffset",
            "LastTimestamp",
            "Duration(min)",
        ];
        self.print(&header, &rows)
    }

    /// The partitions of a topic, or of all, that the broker (if one is named) has a replica of.
    async fn partitions_of(
        &self,
        topic: Option<String>,
        broker: Option<i32>,
    ) -> anyhow::Result<Vec<TopicPartition>> {
        let topics = match topic {
            Some(topic) => vec![topic],
            None => {
                let all = self.admin.list_topics(true).await;
                let all = all.map_err(failed("Failed to list topics"))?;
                all.iter().map(|topic| topic.name.to_string()).collect()
            }
        };
        let mut partitions = Vec::new();
        for batch in topics.chunks(BATCH) {
            let names: Vec<&str> = batch.iter().map(String::as_str).collect();
            let what = format!("Failed to describe {} topics", batch.len());
            let described = self
                .admin
                .describe_topics(&names, PARTITIONS_PER_RESPONSE)
                .await;
            for (name, topic) in described.map_err(failed(&what))? {
                let topic = topic.map_err(failed(&what))?;
                let held = topic
                    .partitions
                    .iter()
                    .filter(|p| broker.is_none_or(|broker| p.replicas.contains(&broker)));
                partitions.extend(held.map(|p| TopicPartition::new(&*name, p.partition)));
            }
        }
        Ok(partitions)
    }

    /// Producers with a transaction open for longer than that.
    async fn open_for_longer(
        &self,
        partitions: &[TopicPartition],
        broker: Option<i32>,
        ms: i64,
    ) -> anyhow::Result<Vec<(TopicPartition, ProducerState)>> {
        let mut open = Vec::new();
        for batch in partitions.chunks(BATCH) {
            let on = broker.map_or("Optional.empty".to_owned(), |id| format!("Optional[{id}]"));
            let what = format!(
                "Failed to describe producers for {} partitions on broker {on}",
                batch.len()
            );
            let found = self.admin.describe_producers(batch, broker).await;
            let now = now_ms();
            for (partition, producers) in found.map_err(failed(what))? {
                let long_open = producers.into_iter().filter(|producer| {
                    producer.transaction_start_offset.is_some()
                        && now - producer.last_timestamp > ms
                });
                open.extend(long_open.map(|producer| (partition.clone(), producer)));
            }
        }
        Ok(open)
    }

    /// What the coordinators know: the partitions in the transaction of each producer.
    async fn partitions_in_transactions(
        &self,
        open: &[(TopicPartition, ProducerState)],
    ) -> anyhow::Result<BTreeMap<i64, Vec<TopicPartition>>> {
        let mut producer_ids: Vec<i64> = open.iter().map(|(_, p)| p.producer_id).collect();
        producer_ids.sort_unstable();
        producer_ids.dedup();
        let what = format!(
            "Failed to list transactions for {} producers",
            producer_ids.len()
        );
        let filter = TransactionFilter {
            producer_ids,
            ..Default::default()
        };
        let listed = self
            .admin
            .list_transactions(&filter)
            .await
            .map_err(failed(what))?;
        let what = format!("Failed to describe {} transactions", listed.len());
        let mut known = BTreeMap::new();
        for listing in listed {
            match self
                .admin
                .describe_transaction(&listing.transactional_id)
                .await
            {
                Ok(found) => {
                    known.insert(listing.producer_id, found.partitions);
                }
                Err(error) if error.code() == Some(ErrorCode::TransactionalIdNotFound) => {}
                Err(error) => return Err(failed(what)(error)),
            }
        }
        Ok(known)
    }
}
