//! What transactions ask of a broker beside its coordinator: markers in the partitions that were
//! written to, and that nothing is written to a partition outside of a transaction (KIP-890).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;
use tracing::{error, warn};

use super::auto_create::{OFFSETS_TOPIC, TRANSACTION_TOPIC};
use super::dispatch::now_ms;
use super::node::Broker;
use crate::coordinator::TransactionEnd;
use crate::coordinator::transaction::{Effect, Markers, Partitions, PartitionsOf};
use crate::log::Transactions;
use crate::protocol::ErrorCode;
use crate::record::control::{TransactionMarker, transaction_marker};

/// How long to wait before a marker is tried again.
const MARKER_RETRY: Duration = Duration::from_millis(100);
/// How long a marker may take to be committed.
const MARKER_TIMEOUT: Duration = Duration::from_secs(30);
/// The transaction version from which on writing to a partition adds it to the transaction.
const FIRST_WITH_IMPLICIT_ADD: i16 = 2;

/// Does what follows from the transaction coordinator's decisions, until the broker stops.
pub async fn carry_out(broker: Arc<Broker>, mut effects: UnboundedReceiver<(i32, Effect)>) {
    loop {
        let (partition, effect) = tokio::select! {
            effect = effects.recv() => match effect {
                Some(effect) => effect,
                None => return,
            },
            () = broker.stopping.cancelled() => return,
        };
        let broker = broker.clone();
        match effect {
            Effect::WriteMarkers(markers) => {
                tokio::spawn(complete(broker, partition, markers));
            }
            Effect::AllocateProducerId {
                transactional_id,
                start_ms,
            } => {
                tokio::spawn(async move {
                    match broker.producer_ids.next(&broker).await {
                        Ok(fresh) => {
                            let transactions = &broker.transactions;
                            transactions
                                .abort_timed_out(partition, transactional_id, start_ms, fresh)
                                .await;
                        }
                        Err(e) => warn!(
                            "the transaction of {transactional_id}, which is out of time, stays \
                             open for lack of a producer id: {}",
                            e.name()
                        ),
                    }
                });
            }
        }
    }
}

/// Writes the markers of a decided transaction, as often as it takes, then tells the coordinator.
async fn complete(broker: Arc<Broker>, partition: i32, markers: Markers) {
    let mut left = markers.partitions.clone();
    let mut is_first = true;
    loop {
        // Who leads the coordinator's partition by now fences those who led it before.
        let Some(hosted) = broker.topics.partition(TRANSACTION_TOPIC, partition) else {
            return;
        };
        let end = TransactionEnd {
            producer_id: markers.producer_id,
            producer_epoch: markers.producer_epoch,
            committed: markers.committed,
            coordinator_epoch: hosted.leadership().leader_epoch,
            transaction_version: markers.transaction_version,
        };
        left = write_markers(&broker, &markers.transactional_id, left, end).await;
        if left.is_empty() {
            match broker
                .transactions
                .markers_written(partition, markers.clone())
                .await
            {
                // Whoever leads it next writes them again.
                Ok(()) | Err(ErrorCode::NotCoordinator) => return,
                Err(e) => warn!(
                    "the end of the transaction of {} is not noted yet: {}",
                    markers.transactional_id,
                    e.name()
                ),
            }
        } else if is_first {
            let id = &markers.transactional_id;
            broker.transactions.markers_delayed(partition, id).await;
        }
        is_first = false;
        tokio::select! {
            () = tokio::time::sleep(MARKER_RETRY) => {}
            () = broker.stopping.cancelled() => return,
        }
    }
}

/// Returns the partitions that could not take the marker now.
async fn write_markers(
    broker: &Broker,
    transactional_id: &str,
    partitions: Partitions,
    end: TransactionEnd,
) -> Partitions {
    let mut left = Partitions::new();
    for (topic, indexes) in partitions {
        for index in indexes {
            match write_marker(broker, &topic, index, end).await {
                // A topic that was deleted needs no marker.
                Ok(()) | Err(ErrorCode::UnknownTopicOrPartition) => {}
                // A later epoch has been here: this transaction ended before.
                Err(
                    e @ (ErrorCode::InvalidProducerEpoch | ErrorCode::TransactionCoordinatorFenced),
                ) => error!(
                    "{topic}-{index} refuses the end of the transaction of {transactional_id} \
                     (producer id {}, epoch {}): {}",
                    end.producer_id,
                    end.producer_epoch,
                    e.name()
                ),
                Err(_) => {
                    left.entry(topic.clone()).or_default().insert(index);
                }
            }
        }
    }
    left
}

/// Ends a producer's transaction in one partition.
pub async fn write_marker(
    broker: &Broker,
    topic: &str,
    index: i32,
    end: TransactionEnd,
) -> Result<(), ErrorCode> {
    let Some(partition) = broker.topics.partition(topic, index) else {
        return Err(broker.absent_partition(topic, index));
    };
    if topic == OFFSETS_TOPIC {
        let ended = broker.groups.end_transaction(index, end).await;
        return ended.map_err(|error| match error {
            ErrorCode::CoordinatorNotAvailable
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::NotCoordinator => ErrorCode::NotLeaderOrFollower,
            other => other,
        });
    }
    let marker = TransactionMarker {
        commit: end.committed,
        coordinator_epoch: end.coordinator_epoch,
    };
    let now_ms = now_ms();
    let batch = transaction_marker(marker, end.producer_id, end.producer_epoch, now_ms)
        .map_err(|_| ErrorCode::UnknownServerError)?;
    let transactions = Transactions::Marker(end.transaction_version);
    let appended = partition.append_as_coordinator(batch, transactions, now_ms)?;
    // Only what is committed may be reported: the coordinator forgets the transaction then.
    let deadline = Instant::now() + MARKER_TIMEOUT;
    partition
        .until_committed(appended.last_offset + 1, deadline)
        .await
}

/// What a client that writes in a transaction knows of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientProtocol {
    /// INVALID_TXN_STATE is all that it can be told.
    Old,
    /// TRANSACTION_ABORTABLE tells it that the transaction can be aborted and tried again.
    KnowsAbortable,
    /// What it writes to becomes part of its transaction.
    AddsImplicitly,
}

impl Broker {
    /// Whether writing in a transaction is checked at all.
    pub fn verifies_transactions(&self) -> bool {
        const KEY: &str = "transaction.partition.verification.enable";
        let image = self.image();
        self.with_layers(&image, |layers| {
            let set = layers.broker.get(KEY).or_else(|| layers.cluster.get(KEY));
            set.and_then(|text| text.parse().ok())
                .unwrap_or_else(|| layers.static_values.bool(KEY))
        })
    }

    /// Asks the transaction coordinator whether partitions may be written to; those which may not,
    /// with the error for the client.
    pub async fn verify_partitions(
        &self,
        mut request: PartitionsOf,
        client: ClientProtocol,
    ) -> Vec<(String, i32, ErrorCode)> {
        if self.image().topics.get(TRANSACTION_TOPIC).is_none() {
            return refuse_all(&request.partitions, ErrorCode::CoordinatorNotAvailable);
        }
        let refused = if client == ClientProtocol::AddsImplicitly {
            request.client_version = FIRST_WITH_IMPLICIT_ADD;
            match self.add_to_transaction(&request).await {
                Ok(()) => Vec::new(),
                Err(error) => refuse_all(&request.partitions, error),
            }
        } else {
            match self.transactions.partitions_of(request.clone()).await {
                Err(error) => refuse_all(&request.partitions, error),
                Ok(known) => missing(&request.partitions, &known),
            }
        };
        let for_client = |error| match error {
            ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
            ErrorCode::TransactionAbortable if client == ClientProtocol::Old => {
                ErrorCode::InvalidTxnState
            }
            other => other,
        };
        let refused = refused.into_iter();
        refused
            .map(|(topic, index, error)| (topic, index, for_client(error)))
            .collect()
    }

    /// While the transaction before is being completed it is worth to wait a little.
    async fn add_to_transaction(&self, request: &PartitionsOf) -> Result<(), ErrorCode> {
        let values = &self.settings.values;
        let millis = |key| Duration::from_millis(u64::try_from(values.int(key)).unwrap_or(0));
        let backoff = millis("add.partitions.to.txn.retry.backoff.ms");
        let give_up = Instant::now() + millis("add.partitions.to.txn.retry.backoff.max.ms");
        loop {
            match self.transactions.add_partitions(request.clone()).await {
                Err(ErrorCode::ConcurrentTransactions) if Instant::now() < give_up => {
                    tokio::time::sleep(backoff).await;
                }
                outcome => return outcome,
            }
        }
    }
}

fn refuse_all(partitions: &Partitions, error: ErrorCode) -> Vec<(String, i32, ErrorCode)> {
    let all = partitions.iter().flat_map(|(topic, indexes)| {
        let of_topic = indexes.iter();
        of_topic.map(|index| (topic.clone(), *index, error))
    });
    all.collect()
}

fn missing(asked: &Partitions, known: &Partitions) -> Vec<(String, i32, ErrorCode)> {
    let mut refused = refuse_all(asked, ErrorCode::TransactionAbortable);
    refused.retain(|(topic, index, _)| {
        !known
            .get(topic)
            .is_some_and(|indexes| indexes.contains(index))
    });
    refused
}
