//! TxnOffsetCommit (key 28), versions 0–5: offsets that count once the producer's transaction commits.
//!
//! - 2: leader epochs. 3: flexible; the member that commits (KIP-447). 4: TRANSACTION_ABORTABLE (KIP-890).
//! - 5: the group's partition of `__consumer_offsets` becomes part of the transaction (KIP-890).
//!
//! Offsets for topics or partitions that do not exist are refused one by one; the others are committed.

use crate::broker::auto_create::OFFSETS_TOPIC;
use crate::broker::context::RequestContext;
use crate::broker::transactions::ClientProtocol;
use crate::coordinator::transaction::{Partitions, PartitionsOf};
use crate::log::UnverifiedBatch;
use crate::protocol::ErrorCode;
use crate::protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestTopic;
use crate::protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use crate::protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

/// Older clients do not know what to make of a coordinator that is loading.
const FIRST_WITH_LOADING: i16 = 2;
const FIRST_WITH_ABORTABLE: i16 = 4;
const FIRST_WITH_IMPLICIT_ADD: i16 = 5;
const NO_SEQUENCE: i32 = -1;

pub async fn handle(
    cx: &RequestContext<'_>,
    mut request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let mut refused = Vec::new();
    let mut known = Vec::new();
    for topic in std::mem::take(&mut request.topics) {
        let (found, missing) = resolve(cx, topic);
        known.extend(found);
        refused.extend(missing);
    }
    request.topics = known;
    let mut response = if request.topics.is_empty() {
        TxnOffsetCommitResponse::default()
    } else {
        commit(cx, request).await
    };
    for topic in refused {
        merge(&mut response.topics, topic);
    }
    if cx.api_version < FIRST_WITH_LOADING {
        let partitions = response.topics.iter_mut().flat_map(|t| &mut t.partitions);
        for partition in partitions {
            if partition.error_code == ErrorCode::CoordinatorLoadInProgress.code() {
                partition.error_code = ErrorCode::CoordinatorNotAvailable.code();
            }
        }
    }
    response
}

async fn commit(
    cx: &RequestContext<'_>,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    if request.group_id.is_empty() {
        return all_with(request.topics, ErrorCode::InvalidGroupId);
    }
    match verify(cx, &request).await {
        Ok(verification) => {
            let groups = &cx.broker.groups;
            groups.txn_offset_commit(request, verification).await
        }
        Err(error) => all_with(request.topics, error),
    }
}

/// Whether the group's offsets are part of the transaction; what the log gave out before it was asked.
async fn verify(
    cx: &RequestContext<'_>,
    request: &TxnOffsetCommitRequest,
) -> Result<Option<u64>, ErrorCode> {
    let index = cx.broker.groups.partition_for(&request.group_id);
    let partition = cx.broker.topics.partition(OFFSETS_TOPIC, index);
    let partition = partition.ok_or(ErrorCode::NotCoordinator)?;
    let client = match cx.api_version {
        FIRST_WITH_IMPLICIT_ADD.. => ClientProtocol::AddsImplicitly,
        FIRST_WITH_ABORTABLE.. => ClientProtocol::KnowsAbortable,
        _ => ClientProtocol::Old,
    };
    let batch = UnverifiedBatch {
        producer_id: request.producer_id,
        epoch: request.producer_epoch,
        base_sequence: NO_SEQUENCE,
        has_epoch_bump: client == ClientProtocol::AddsImplicitly,
    };
    let guard = partition.log.begin_verification(&batch, cx.now_ms);
    let Some(guard) = guard.map_err(|_| ErrorCode::NotCoordinator)? else {
        return Ok(None);
    };
    let asked = PartitionsOf {
        transactional_id: request.transactional_id.clone(),
        producer_id: request.producer_id,
        producer_epoch: request.producer_epoch,
        partitions: Partitions::from([(OFFSETS_TOPIC.to_owned(), [index].into())]),
        client_version: 0,
    };
    let refused = cx.broker.verify_partitions(asked, client).await;
    match refused.first() {
        None => Ok(Some(guard.0)),
        Some((_, _, error)) => Err(*error),
    }
}

/// The part of a topic that exists, and the answer for the part that does not.
fn resolve(
    cx: &RequestContext<'_>,
    mut topic: TxnOffsetCommitRequestTopic,
) -> (
    Option<TxnOffsetCommitRequestTopic>,
    Option<TxnOffsetCommitResponseTopic>,
) {
    let image = cx.broker.image();
    let (present, absent): (Vec<_>, Vec<_>) = std::mem::take(&mut topic.partitions)
        .into_iter()
        .partition(|p| {
            image
                .topics
                .partition(&topic.name, p.partition_index)
                .is_some()
        });
    let missing = TxnOffsetCommitRequestTopic {
        name: topic.name.clone(),
        partitions: absent,
    };
    let missing = (!missing.partitions.is_empty())
        .then(|| refusal(missing, ErrorCode::UnknownTopicOrPartition));
    topic.partitions = present;
    ((!topic.partitions.is_empty()).then_some(topic), missing)
}

fn refusal(topic: TxnOffsetCommitRequestTopic, error: ErrorCode) -> TxnOffsetCommitResponseTopic {
    let partitions = topic.partitions.iter();
    TxnOffsetCommitResponseTopic {
        partitions: partitions
            .map(|p| TxnOffsetCommitResponsePartition {
                partition_index: p.partition_index,
                error_code: error.code(),
            })
            .collect(),
        name: topic.name,
    }
}

fn all_with(topics: Vec<TxnOffsetCommitRequestTopic>, error: ErrorCode) -> TxnOffsetCommitResponse {
    let topics = topics.into_iter().map(|topic| refusal(topic, error));
    TxnOffsetCommitResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}

fn merge(topics: &mut Vec<TxnOffsetCommitResponseTopic>, refused: TxnOffsetCommitResponseTopic) {
    match topics.iter_mut().find(|topic| topic.name == refused.name) {
        Some(topic) => topic.partitions.extend(refused.partitions),
        None => topics.push(refused),
    }
}
