//! What is produced in a transaction is verified before it is appended (KIP-890): the partition has to be part of the
//! transaction. For clients of transaction version 2 it becomes part of it by this.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Failure;
use crate::broker::context::RequestContext;
use crate::broker::partition::{Partition, Topic};
use crate::broker::transactions::ClientProtocol;
use crate::coordinator::transaction::{Partitions, PartitionsOf};
use crate::log::{Transactions, UnverifiedBatch, VerificationGuard};
use crate::protocol::messages::ProduceRequest;
use crate::protocol::messages::produce_request::TopicProduceData;
use crate::protocol::{ErrorCode, Records};
use crate::record::BatchView;

const FIRST_WITH_ABORTABLE: i16 = 11;
const FIRST_WITH_IMPLICIT_ADD: i16 = 12;

/// What was found out of the partitions of a request, before any of it is appended.
#[derive(Debug, Default)]
pub struct Verified {
    guards: BTreeMap<(Arc<str>, i32), VerificationGuard>,
    refused: BTreeMap<(Arc<str>, i32), ErrorCode>,
    all_refused: Option<ErrorCode>,
    in_version_2: bool,
}

/// A transactional batch and where it is to go.
struct Written {
    partition: Arc<Partition>,
    producer: (i64, i16),
    base_sequence: i32,
}

impl Verified {
    /// Asks the transaction coordinator about the partitions in which the producer's transaction has not begun yet.
    pub async fn of(cx: &RequestContext<'_>, request: &ProduceRequest) -> Verified {
        let client = match cx.api_version {
            FIRST_WITH_IMPLICIT_ADD.. => ClientProtocol::AddsImplicitly,
            FIRST_WITH_ABORTABLE.. => ClientProtocol::KnowsAbortable,
            _ => ClientProtocol::Old,
        };
        let mut verified = Verified {
            in_version_2: client == ClientProtocol::AddsImplicitly,
            ..Verified::default()
        };
        let written = transactional_batches(cx, request);
        let producers: BTreeSet<(i64, i16)> = written.iter().map(|w| w.producer).collect();
        let mut producers = producers.into_iter();
        let (Some(producer), transactional_id) = (producers.next(), &request.transactional_id)
        else {
            return verified;
        };
        if producers.next().is_some() {
            verified.all_refused = Some(ErrorCode::InvalidProducerIdMapping);
            return verified;
        }
        let Some(transactional_id) = transactional_id else {
            return verified;
        };
        if !cx.broker.verifies_transactions() {
            return verified;
        }
        let partitions = verified.begin(cx, &written);
        if partitions.is_empty() {
            return verified;
        }
        let asked = PartitionsOf {
            transactional_id: transactional_id.to_string(),
            producer_id: producer.0,
            producer_epoch: producer.1,
            partitions,
            client_version: 0,
        };
        for (topic, index, error) in cx.broker.verify_partitions(asked, client).await {
            verified.refused.insert((topic.into(), index), error);
        }
        verified
    }

    /// Begins the verification of every batch that needs one; the partitions to ask about.
    fn begin(&mut self, cx: &RequestContext<'_>, written: &[Written]) -> Partitions {
        let mut partitions = Partitions::new();
        for Written {
            partition,
            producer,
            base_sequence,
        } in written
        {
            let batch = UnverifiedBatch {
                producer_id: producer.0,
                epoch: producer.1,
                base_sequence: *base_sequence,
                has_epoch_bump: self.in_version_2,
            };
            let place = (partition.topic.clone(), partition.index);
            match partition.log.begin_verification(&batch, cx.now_ms) {
                Ok(None) => {}
                Ok(Some(guard)) => {
                    self.guards.insert(place, guard);
                    let topic = partition.topic.to_string();
                    partitions.entry(topic).or_default().insert(partition.index);
                }
                Err(e) => {
                    let (topic, index) = &place;
                    tracing::warn!("cannot append to {topic}-{index}: {e}");
                    self.refused.insert(place, ErrorCode::KafkaStorageError);
                }
            }
        }
        partitions
    }

    /// What the log has to be shown to append a transactional batch to the partition.
    pub fn check(
        &self,
        cx: &RequestContext<'_>,
        partition: &Partition,
    ) -> Result<Transactions, Failure> {
        let place = (partition.topic.clone(), partition.index);
        if let Some(error) = self.all_refused {
            return Err(error.into());
        }
        if let Some(error) = self.refused.get(&place) {
            return Err(self.failure(*error));
        }
        if !cx.broker.verifies_transactions() {
            return Ok(Transactions::Unverified);
        }
        Ok(Transactions::Verified(self.guards.get(&place).copied()))
    }

    /// The coordinator's error in words that producers understand: those that pass are ones that they retry.
    fn failure(&self, error: ErrorCode) -> Failure {
        let passes = match error {
            ErrorCode::ConcurrentTransactions => !self.in_version_2,
            ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator => true,
            _ => false,
        };
        let (error, message) = if passes {
            let text = format!(
                "Unable to verify the partition has been added to the transaction. Underlying error: {}",
                error.name()
            );
            (ErrorCode::NotEnoughReplicas, Some(text))
        } else if error == ErrorCode::InvalidTxnState {
            let text = "Partition was not added to the transaction".to_owned();
            (error, Some(text))
        } else {
            (error, None)
        };
        let mut failure = Failure::from(error);
        failure.message = message;
        failure
    }
}

fn transactional_batches(cx: &RequestContext<'_>, request: &ProduceRequest) -> Vec<Written> {
    let mut written = Vec::new();
    for topic in &request.topic_data {
        let Some(hosted) = hosted(cx, topic) else {
            continue;
        };
        for data in &topic.partition_data {
            let Some(Records::Bytes(records)) = &data.records else {
                continue;
            };
            // What is wrong with a batch is told when it is to be appended.
            let Ok(Some(batch)) = BatchView::first(records) else {
                continue;
            };
            if !batch.is_transactional() || !batch.has_producer_id() {
                continue;
            }
            if let Some(partition) = hosted.partition(data.index) {
                written.push(Written {
                    partition,
                    producer: (batch.producer_id(), batch.producer_epoch()),
                    base_sequence: batch.base_sequence(),
                });
            }
        }
    }
    written
}

/// The topic that a part of a request is for, if it is here.
pub fn hosted(cx: &RequestContext<'_>, topic: &TopicProduceData) -> Option<Arc<Topic>> {
    if cx.api_version >= super::FIRST_BY_ID {
        cx.broker.topics.by_id(&topic.topic_id)
    } else {
        cx.broker.topics.by_name(&topic.name)
    }
}
