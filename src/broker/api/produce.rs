//! Produce (key 0), versions 3–13.
//!
//! Batches are validated and appended inline: one positioned write per partition, straight from the request's frame.
//! With acks=0 there is no response, and an error closes the connection so that the client notices. With acks=all the
//! response leaves once the high watermark covers what was appended: at once, unless there is group commit.
//!
//! - 3: transactional id; record format v2 only. 5: log start offset. 7: zstd. 8: record errors (KIP-467).
//! - 9: flexible. 10: leader hints (KIP-951). 11, 12: transactions (KIP-890). 13: topic ids (KIP-516).
//!
//! Versions 0–2 are advertised, since librdkafka asks for them, and refused, as Kafka does.

mod committed;
mod transactional;

use bytes::Bytes;

use crate::broker::aside::aside;
use crate::broker::context::RequestContext;
use crate::broker::errors::append_error;
use crate::broker::partition::Partition;
use crate::log::{AppendOrigin, Transactions};
use crate::protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use crate::protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    TopicProduceResponse,
};
use crate::protocol::messages::{ProduceRequest, ProduceResponse};
use crate::protocol::{ErrorCode, Records, Str};
use crate::record::{self, BatchError};

use committed::Uncommitted;
use std::sync::Arc;

use transactional::Verified;

/// `acks` of a producer that waits for the whole ISR.
const ALL: i16 = -1;
const FIRST_BY_ID: i16 = 13;
const FIRST_WITH_LEADER_HINTS: i16 = 10;
const FIRST_WITH_ZSTD: i16 = 7;

/// What an acks=0 producer is told: nothing, or that the connection is closed.
pub enum Outcome {
    Response(ProduceResponse),
    Silent,
    Close(String),
}

pub async fn handle(cx: &RequestContext<'_>, request: ProduceRequest) -> Outcome {
    produce(cx, request, &Verified::default()).await
}

/// With a transactional id: what is written is verified first.
pub async fn handle_transactional(cx: &RequestContext<'_>, request: ProduceRequest) -> Outcome {
    let verified = Verified::of(cx, &request).await;
    produce(cx, request, &verified).await
}

async fn produce(cx: &RequestContext<'_>, request: ProduceRequest, verified: &Verified) -> Outcome {
    let (acks, timeout_ms) = (request.acks, request.timeout_ms);
    let Appended {
        mut response,
        uncommitted,
    } = append_all(cx, request, verified);
    if !uncommitted.is_empty() {
        // Rare, and not to weigh on every connection.
        Box::pin(committed::wait(&mut response, uncommitted, timeout_ms)).await;
    }
    if acks == 0 {
        let errors = response
            .responses
            .iter()
            .flat_map(|t| &t.partition_responses);
        let failed = errors
            .map(|p| ErrorCode::from_code(p.error_code))
            .find(|e| !e.is_none());
        return match failed {
            None => Outcome::Silent,
            Some(error) => Outcome::Close(format!("produce with acks=0 failed: {}", error.name())),
        };
    }
    if cx.api_version >= FIRST_WITH_LEADER_HINTS {
        add_leader_hints(cx, &mut response);
    }
    Outcome::Response(response)
}

/// What the logs have taken, and what of it the client has to wait for.
#[derive(Default)]
struct Appended {
    response: ProduceResponse,
    uncommitted: Vec<Uncommitted>,
}

fn append_all(cx: &RequestContext<'_>, request: ProduceRequest, verified: &Verified) -> Appended {
    let mut all = Appended::default();
    for topic in request.topic_data {
        let produced = produce_topic(cx, request.acks, topic, verified, &mut all);
        all.response.responses.push(produced);
    }
    all
}

fn produce_topic(
    cx: &RequestContext<'_>,
    acks: i16,
    topic: TopicProduceData,
    verified: &Verified,
    all: &mut Appended,
) -> TopicProduceResponse {
    let by_id = cx.api_version >= FIRST_BY_ID;
    let hosted = transactional::hosted(cx, &topic);
    let missing = |index| match cx.broker.image().topics.get_by_id(topic.topic_id) {
        None if by_id => ErrorCode::UnknownTopicId,
        Some(known) if by_id => cx.broker.absent_partition(&known.name, index),
        _ => cx.broker.absent_partition(&topic.name, index),
    };
    let topic_at = all.response.responses.len();
    let produce = |(at, data): (usize, PartitionProduceData)| {
        let index = data.index;
        if !(-1..=1).contains(&acks) {
            return Failure::from(ErrorCode::InvalidRequiredAcks).response(index);
        }
        let partition = hosted.as_ref().and_then(|topic| topic.partition(index));
        partition
            .ok_or_else(|| missing(index).into())
            .and_then(|partition| {
                let (response, end) = produce_partition(cx, acks, &partition, data, verified)?;
                if acks == ALL && partition.log.high_watermark() < end {
                    let place = (topic_at, at);
                    all.uncommitted
                        .push(Uncommitted::new(place, partition, end));
                }
                Ok(response)
            })
            .unwrap_or_else(|failure: Failure| failure.response(index))
    };
    let partitions = topic.partition_data.into_iter().enumerate();
    let partition_responses = partitions.map(produce).collect();
    TopicProduceResponse {
        name: topic.name,
        topic_id: topic.topic_id,
        partition_responses,
    }
}

/// Why a partition's records were not appended.
#[derive(Debug)]
pub struct Failure {
    pub error: ErrorCode,
    pub message: Option<String>,
    /// The records at fault: index in the batch, and what is wrong with it.
    pub records: Vec<(i32, String)>,
    pub log_start_offset: i64,
    pub leader: Option<(i32, i32)>,
}

impl From<ErrorCode> for Failure {
    fn from(error: ErrorCode) -> Failure {
        Failure {
            error,
            message: None,
            records: Vec::new(),
            log_start_offset: -1,
            leader: None,
        }
    }
}

impl Failure {
    fn response(self, index: i32) -> PartitionProduceResponse {
        let record_error = |(batch_index, message): (i32, String)| BatchIndexAndErrorMessage {
            batch_index,
            batch_index_error_message: Some(Str::from(message)),
        };
        let mut response = PartitionProduceResponse {
            index,
            error_code: self.error.code(),
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: self.log_start_offset,
            record_errors: self.records.into_iter().map(record_error).collect(),
            error_message: self.message.map(Str::from),
            ..Default::default()
        };
        if let Some((leader_id, leader_epoch)) = self.leader {
            response.current_leader = LeaderIdAndEpoch {
                leader_id,
                leader_epoch,
            };
        }
        response
    }
}

/// Appends to a partition; the answer, and the offset up to which the log must be committed for it.
fn produce_partition(
    cx: &RequestContext<'_>,
    acks: i16,
    partition: &Arc<Partition>,
    data: PartitionProduceData,
    verified: &Verified,
) -> Result<(PartitionProduceResponse, i64), Failure> {
    let records = match data.records {
        Some(Records::Bytes(records)) => records,
        _ => Bytes::new(),
    };
    let (is_transactional, takes_long) = check_batch(cx, partition, &records)?;
    let transactions = match is_transactional {
        true => verified.check(cx, partition)?,
        false => Transactions::Unverified,
    };
    let leadership = partition
        .lead(-1)
        .map_err(|error| not_leader(cx, partition, error))?;
    if acks == ALL && !partition.has_enough_in_sync(leadership) {
        return Err(ErrorCode::NotEnoughReplicas.into());
    }
    let (origin, epoch) = (AppendOrigin::Client, leadership.leader_epoch);
    let append = || {
        let log = &partition.log;
        log.append_in_transaction(records, origin, transactions, epoch, cx.now_ms)
    };
    let appended = if takes_long { aside(append) } else { append() };
    let appended = appended.map_err(|e| append_error(partition, e))?;
    partition
        .advance_high_watermark()
        .map_err(|e| append_error(partition, e.into()))?;
    let response = PartitionProduceResponse {
        index: data.index,
        base_offset: appended.first_offset,
        log_append_time_ms: appended.log_append_time_ms,
        log_start_offset: appended.log_start_offset,
        ..Default::default()
    };
    Ok((response, appended.last_offset + 1))
}

/// What is the request's own affair, beyond what the log checks: one batch per partition, codecs of the version.
/// Whether it is transactional, and whether appending it takes long.
fn check_batch(
    cx: &RequestContext<'_>,
    partition: &Arc<Partition>,
    records: &Bytes,
) -> Result<(bool, bool), Failure> {
    let batch = match record::BatchView::first(records) {
        Ok(Some(batch)) => batch,
        Ok(None) | Err(BatchError::OldMagic(_)) => return Err(ErrorCode::InvalidRecord.into()),
        Err(e) => {
            let mut failure = Failure::from(ErrorCode::CorruptMessage);
            failure.message = Some(e.to_string());
            return Err(failure);
        }
    };
    if batch.size() != records.len() {
        let mut failure = Failure::from(ErrorCode::InvalidRecord);
        failure.message =
            Some("Produce requests must hold exactly one record batch per partition".into());
        return Err(failure);
    }
    if batch
        .compression()
        .is_ok_and(|c| c == record::Compression::Zstd)
        && cx.api_version < FIRST_WITH_ZSTD
    {
        return Err(ErrorCode::UnsupportedCompressionType.into());
    }
    let takes_long = partition.log.append_takes_long(&batch);
    Ok((batch.is_transactional(), takes_long))
}

fn not_leader(cx: &RequestContext<'_>, partition: &Partition, error: ErrorCode) -> Failure {
    let mut failure = Failure::from(error);
    failure.leader = cx.broker.leader_of(&partition.topic_id, partition.index);
    failure
}

/// Tells where the leaders are of the partitions that this node does not lead.
fn add_leader_hints(cx: &RequestContext<'_>, response: &mut ProduceResponse) {
    let partitions = response
        .responses
        .iter()
        .flat_map(|t| &t.partition_responses);
    let leaders: Vec<i32> = partitions
        .map(|p| p.current_leader.leader_id)
        .filter(|id| *id >= 0)
        .collect();
    for node in cx.broker.endpoints_of(&leaders, &cx.peer.listener) {
        response.node_endpoints.push(NodeEndpoint {
            node_id: node.id,
            host: node.host.into(),
            port: node.port,
            rack: node.rack.map(Str::from),
        });
    }
}
