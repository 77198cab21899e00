//! AddPartitionsToTxn (key 24), versions 0–5: partitions become part of a transaction before they are written to.
//!
//! - 2: PRODUCER_FENCED. 3: flexible. 4: of leaders, for several transactions, adding or only asking (KIP-890).
//! - 5: TRANSACTION_ABORTABLE.
//!
//! A partition that does not exist makes the whole of its transaction's part fail: nothing is added.

use std::collections::BTreeMap;

use crate::broker::context::RequestContext;
use crate::coordinator::transaction::{Partitions, PartitionsOf};
use crate::protocol::ErrorCode;
use crate::protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use crate::protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use crate::protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

const FIRST_OF_LEADERS: i16 = 4;
/// Leaders add for clients of transaction version 2 alone.
const VERSION_OF_LEADERS: i16 = 2;

type Results = BTreeMap<String, BTreeMap<i32, ErrorCode>>;

pub async fn handle(
    cx: &RequestContext<'_>,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    let mut response = AddPartitionsToTxnResponse::default();
    if cx.api_version < FIRST_OF_LEADERS {
        let transaction = AddPartitionsToTxnTransaction {
            transactional_id: request.v3_and_below_transactional_id,
            producer_id: request.v3_and_below_producer_id,
            producer_epoch: request.v3_and_below_producer_epoch,
            verify_only: false,
            topics: request.v3_and_below_topics,
        };
        response.results_by_topic_v3_and_below = topics(add(cx, &transaction, 0).await);
        return response;
    }
    for transaction in request.transactions {
        let results = if transaction.verify_only {
            verify(cx, &transaction).await
        } else {
            add(cx, &transaction, VERSION_OF_LEADERS).await
        };
        response
            .results_by_transaction
            .push(AddPartitionsToTxnResult {
                transactional_id: transaction.transactional_id,
                topic_results: topics(results),
            });
    }
    response
}

async fn add(
    cx: &RequestContext<'_>,
    transaction: &AddPartitionsToTxnTransaction,
    client_version: i16,
) -> Results {
    let partitions = partitions_of(&transaction.topics);
    if let Some(refused) = unknown_partitions(cx, &partitions) {
        return refused;
    }
    let request = request_of(transaction, partitions.clone(), client_version);
    let added = cx.broker.transactions.add_partitions(request).await;
    let error = ErrorCode::from_code(super::fenced_for(cx.api_version, added));
    all_with(&partitions, error)
}

async fn verify(cx: &RequestContext<'_>, transaction: &AddPartitionsToTxnTransaction) -> Results {
    let partitions = partitions_of(&transaction.topics);
    if let Some(refused) = unknown_partitions(cx, &partitions) {
        return refused;
    }
    let request = request_of(transaction, partitions.clone(), VERSION_OF_LEADERS);
    let known = match cx.broker.transactions.partitions_of(request).await {
        Ok(known) => known,
        Err(error) => return all_with(&partitions, error),
    };
    let mut results = all_with(&partitions, ErrorCode::TransactionAbortable);
    for (topic, indexes) in &mut results {
        let known = known.get(topic);
        for (index, error) in indexes {
            if known.is_some_and(|known| known.contains(index)) {
                *error = ErrorCode::None;
            }
        }
    }
    results
}

fn request_of(
    transaction: &AddPartitionsToTxnTransaction,
    partitions: Partitions,
    client_version: i16,
) -> PartitionsOf {
    PartitionsOf {
        transactional_id: transaction.transactional_id.clone(),
        producer_id: transaction.producer_id,
        producer_epoch: transaction.producer_epoch,
        partitions,
        client_version,
    }
}

fn partitions_of(topics: &[AddPartitionsToTxnTopic]) -> Partitions {
    let mut partitions = Partitions::new();
    for topic in topics {
        let indexes = partitions.entry(topic.name.clone()).or_default();
        indexes.extend(&topic.partitions);
    }
    partitions
}

/// `None`: all of them exist.
fn unknown_partitions(cx: &RequestContext<'_>, partitions: &Partitions) -> Option<Results> {
    let image = cx.broker.image();
    let mut results = all_with(partitions, ErrorCode::OperationNotAttempted);
    let mut all_known = true;
    for (topic, indexes) in &mut results {
        for (index, error) in indexes {
            if image.topics.partition(topic, *index).is_none() {
                *error = ErrorCode::UnknownTopicOrPartition;
                all_known = false;
            }
        }
    }
    (!all_known).then_some(results)
}

fn all_with(partitions: &Partitions, error: ErrorCode) -> Results {
    let topics = partitions.iter().map(|(topic, indexes)| {
        let indexes = indexes.iter().map(|index| (*index, error)).collect();
        (topic.clone(), indexes)
    });
    topics.collect()
}

fn topics(results: Results) -> Vec<AddPartitionsToTxnTopicResult> {
    let partition =
        |(partition_index, error): (i32, ErrorCode)| AddPartitionsToTxnPartitionResult {
            partition_index,
            partition_error_code: error.code(),
        };
    let topics = results
        .into_iter()
        .map(|(name, results)| AddPartitionsToTxnTopicResult {
            name,
            results_by_partition: results.into_iter().map(partition).collect(),
        });
    topics.collect()
}
