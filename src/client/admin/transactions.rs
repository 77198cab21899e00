//! Transactions and the producers behind them: list, describe, abort.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Admin, PARTITIONS_PER_RESPONSE};
use crate::client::TopicPartition;
use crate::client::cluster::{Coordinator, Route};
use crate::client::errors::{ClientError, Result};
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_producers_request::{
    DescribeProducersRequest, TopicRequest,
};
use crate::protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use crate::protocol::messages::{
    DescribeTransactionsRequest, InitProducerIdRequest, ListTransactionsRequest,
};

/// Which transactions are listed; the default lists all.
#[derive(Debug, Clone, Default)]
pub struct TransactionFilter {
    pub producer_ids: Vec<i64>,
    /// Only those that have been running for longer, in milliseconds.
    pub longer_than_ms: Option<i64>,
    /// A regular expression that the transactional id must match.
    pub id_pattern: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionListing {
    /// The broker that coordinates it.
    pub coordinator: i32,
    pub transactional_id: String,
    pub producer_id: i64,
    pub state: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionDescription {
    pub coordinator: i32,
    pub state: String,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub timeout_ms: i32,
    pub start_time_ms: Option<i64>,
    pub partitions: Vec<TopicPartition>,
}

/// A producer that wrote to a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerState {
    pub producer_id: i64,
    pub producer_epoch: i32,
    pub coordinator_epoch: i32,
    pub last_sequence: i32,
    pub last_timestamp: i64,
    pub transaction_start_offset: Option<i64>,
}

/// A transaction to end from outside, in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionToAbort {
    pub partition: TopicPartition,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub coordinator_epoch: i32,
}

impl Admin {
    /// The transactions of all coordinators, in order of broker and transactional id.
    pub async fn list_transactions(
        &self,
        filter: &TransactionFilter,
    ) -> Result<Vec<TransactionListing>> {
        let mut listings = Vec::new();
        for broker in self.describe_cluster().await?.brokers {
            let connection = self
                .client()
                .connection_to(&broker, crate::client::cluster::Role::General);
            let version = connection.await?.version::<ListTransactionsRequest>()?;
            let needed = match filter {
                TransactionFilter {
                    id_pattern: Some(_),
                    ..
                } => 2,
                TransactionFilter {
                    longer_than_ms: Some(_),
                    ..
                } => 1,
                _ => 0,
            };
            if version < needed {
                return Err(ClientError::UnsupportedVersion(
                    format!("broker {} is too old for this filter", broker.id).into(),
                ));
            }
            let build = |_version| ListTransactionsRequest {
                producer_id_filters: filter.producer_ids.clone(),
                duration_filter: filter.longer_than_ms.unwrap_or(-1),
                transactional_id_pattern: filter.id_pattern.clone(),
                ..Default::default()
            };
            let options = self.options("listTransactions");
            let response = self
                .client()
                .call(options, Route::Broker(broker.id), build, |response| {
                    ErrorCode::from_code(response.error_code)
                })
                .await?;
            ClientError::check(response.error_code, None)?;
            let found = response.transaction_states.into_iter();
            listings.extend(found.map(|found| TransactionListing {
                coordinator: broker.id,
                transactional_id: found.transactional_id,
                producer_id: found.producer_id,
                state: found.transaction_state,
            }));
        }
        listings.sort_by(|a, b| {
            let key = |listing: &TransactionListing| {
                (listing.coordinator, listing.transactional_id.clone())
            };
            key(a).cmp(&key(b))
        });
        Ok(listings)
    }

    pub async fn describe_transaction(&self, id: &str) -> Result<TransactionDescription> {
        let build = |_version| DescribeTransactionsRequest {
            transactional_ids: vec![id.to_owned()],
        };
        let route = Route::Coordinator(Coordinator::Transaction, id);
        let options = self.options("describeTransactions");
        let response = self
            .client()
            .call(options, route, build, |response| {
                let codes = response
                    .transaction_states
                    .iter()
                    .map(|state| state.error_code);
                let mut codes = codes.map(ErrorCode::from_code);
                codes
                    .find(|code| code.is_retriable())
                    .unwrap_or(ErrorCode::None)
            })
            .await?;
        let coordinator = self
            .client()
            .find_coordinator(Coordinator::Transaction, id)
            .await?;
        let found = response.transaction_states.into_iter().next();
        let found = found.ok_or_else(|| {
            ClientError::protocol(format!("the coordinator did not answer for {id}"))
        })?;
        if let Err(error) = ClientError::check(found.error_code, None) {
            // Kafka's words, which tools print.
            let why = match error.code() {
                Some(ErrorCode::TransactionalIdNotFound) => "because the ID could not be found",
                Some(ErrorCode::TransactionalIdAuthorizationFailed) => {
                    "due to authorization failure"
                }
                _ => return Err(error),
            };
            let text =
                format!("DescribeTransactions request for transactionalId `{id}` failed {why}");
            return Err(ClientError::broker(
                ErrorCode::from_code(found.error_code),
                Some(&text),
            ));
        }
        let mut partitions = Vec::new();
        for topic in found.topics {
            let name: Arc<str> = topic.topic.into();
            let indexes = topic.partitions.into_iter();
            partitions.extend(indexes.map(|index| TopicPartition::new(name.clone(), index)));
        }
        Ok(TransactionDescription {
            coordinator: coordinator.id,
            state: found.transaction_state,
            producer_id: found.producer_id,
            producer_epoch: found.producer_epoch,
            timeout_ms: found.transaction_timeout_ms,
            start_time_ms: Some(found.transaction_start_time_ms).filter(|time| *time >= 0),
            partitions,
        })
    }

    /// The producers of partitions, as their leaders or one broker know them.
    pub async fn describe_producers(
        &self,
        partitions: &[TopicPartition],
        broker: Option<i32>,
    ) -> Result<BTreeMap<TopicPartition, Vec<ProducerState>>> {
        let mut by_broker: BTreeMap<i32, Vec<&TopicPartition>> = BTreeMap::new();
        let leaders = match broker {
            Some(_) => BTreeMap::new(),
            None => self.leaders(partitions).await?,
        };
        for partition in partitions {
            let asked = broker.or_else(|| leaders.get(partition).copied());
            let asked = asked
                .ok_or_else(|| ClientError::broker(ErrorCode::UnknownTopicOrPartition, None))?;
            by_broker.entry(asked).or_default().push(partition);
        }
        let mut found = BTreeMap::new();
        for (broker, partitions) in by_broker {
            found.extend(self.producers_at(broker, &partitions).await?);
        }
        Ok(found)
    }

    async fn leaders(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i32>> {
        let mut topics: Vec<&str> = partitions.iter().map(|p| &*p.topic).collect();
        topics.dedup();
        let mut leaders = BTreeMap::new();
        for (name, topic) in self
            .describe_topics(&topics, PARTITIONS_PER_RESPONSE)
            .await?
        {
            for p in topic?.partitions {
                leaders.insert(TopicPartition::new(&*name, p.partition), p.leader);
            }
        }
        Ok(leaders)
    }

    async fn producers_at(
        &self,
        broker: i32,
        partitions: &[&TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Vec<ProducerState>>> {
        let mut topics: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
        for partition in partitions {
            let indexes = topics.entry(&partition.topic).or_default();
            indexes.push(partition.partition);
        }
        let topic = |(name, indexes): (&&Arc<str>, &Vec<i32>)| TopicRequest {
            name: name.to_string(),
            partition_indexes: indexes.clone(),
        };
        let build = |_version| DescribeProducersRequest {
            topics: topics.iter().map(topic).collect(),
        };
        let options = self.options("describeProducers");
        let response = self
            .client()
            .call(options, Route::Broker(broker), build, |_| ErrorCode::None)
            .await?;
        let mut found = BTreeMap::new();
        for topic in response.topics {
            let name: Arc<str> = topic.name.into();
            for p in topic.partitions {
                ClientError::check(p.error_code, p.error_message.as_deref())?;
                let producers = p
                    .active_producers
                    .into_iter()
                    .map(|producer| ProducerState {
                        producer_id: producer.producer_id,
                        producer_epoch: producer.producer_epoch,
                        coordinator_epoch: producer.coordinator_epoch,
                        last_sequence: producer.last_sequence,
                        last_timestamp: producer.last_timestamp,
                        transaction_start_offset: Some(producer.current_txn_start_offset)
                            .filter(|offset| *offset >= 0),
                    });
                let partition = TopicPartition::new(name.clone(), p.partition_index);
                found.insert(partition, producers.collect());
            }
        }
        Ok(found)
    }

    /// Writes the marker that its coordinator did not write: for transactions that hang.
    pub async fn abort_transaction(&self, transaction: &TransactionToAbort) -> Result<()> {
        let partition = &transaction.partition;
        let leaders = self.leaders(std::slice::from_ref(partition)).await?;
        let leader = leaders.get(partition).copied();
        let leader =
            leader.ok_or_else(|| ClientError::broker(ErrorCode::UnknownTopicOrPartition, None))?;
        let build = |_version| WriteTxnMarkersRequest {
            markers: vec![WritableTxnMarker {
                producer_id: transaction.producer_id,
                producer_epoch: transaction.producer_epoch,
                coordinator_epoch: transaction.coordinator_epoch,
                transaction_result: false,
                topics: vec![WritableTxnMarkerTopic {
                    name: partition.topic.to_string(),
                    partition_indexes: vec![partition.partition],
                }],
                ..Default::default()
            }],
        };
        let options = self.options("abortTransaction");
        let response = self
            .client()
            .call(options, Route::Broker(leader), build, |_| ErrorCode::None)
            .await?;
        let topics = response
            .markers
            .into_iter()
            .flat_map(|marker| marker.topics);
        for p in topics.flat_map(|topic| topic.partitions) {
            ClientError::check(p.error_code, None)?;
        }
        Ok(())
    }

    /// Ends a transactional id's transaction by fencing its producer.
    pub async fn force_terminate_transaction(&self, id: &str) -> Result<()> {
        let timeout = self.client().config().api_timeout.as_millis();
        let build = |_version| InitProducerIdRequest {
            transactional_id: Some(id.to_owned()),
            transaction_timeout_ms: i32::try_from(timeout).unwrap_or(i32::MAX),
            producer_id: -1,
            producer_epoch: -1,
        };
        let route = Route::Coordinator(Coordinator::Transaction, id);
        let options = self.options("fenceProducer");
        let response = self
            .client()
            .call(options, route, build, |response| {
                ErrorCode::from_code(response.error_code)
            })
            .await?;
        ClientError::check(response.error_code, None)
    }
}
