//! What the sender does with answers: outcomes, retries, new sequences, splits.
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::lane::{Lane, SequenceFault};
use super::record::BatchOutcome;
use super::sealed::{ProducerId, SealedBatch};
use super::sender::{Event, Sender, Sent};
use crate::client::cluster::Route;
use crate::client::config::Acks;
use crate::client::connection::ResponseFrame;
use crate::client::errors::{ClientError, Result};
use crate::protocol::messages::produce_response::PartitionProduceResponse;
use crate::protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse,
};
use crate::protocol::{ErrorCode, Uuid};

/// The last version whose answers name topics.
const TOPICS_BY_NAME: i16 = 12;

/// The answer for one batch.
pub(super) struct Acknowledged {
    pub base_offset: i64,
    pub log_append_time: Option<i64>,
}

/// A refusal, with the records that are at fault.
pub(super) struct Refused {
    error: ClientError,
    record_errors: Vec<(usize, String)>,
}

impl From<ClientError> for Refused {
    fn from(error: ClientError) -> Self {
        Self {
            error,
            record_errors: Vec::new(),
        }
    }
}

impl Sender {
    pub(super) fn handle(&mut self, event: Event) {
        match event {
            Event::Answer { request, frame } => self.answered(request, frame),
            Event::Connected { node, result } => {
                self.nodes.entry(node).or_default().connecting = false;
                if let Err(error) = result {
                    tracing::debug!("node {node} cannot be reached: {error}");
                    self.client.request_update();
                    if error.is_authentication() {
                        self.fail_everything(&error);
                    }
                }
            }
            Event::PartitionsAdded(result) => self.partitions_added(result),
            Event::ProducerId(result) => {
                self.producer_requested = false;
                match result {
                    Ok(producer) => self.producer = Some(producer),
                    Err(ClientError::Closed) => {}
                    Err(error) => {
                        tracing::error!("no producer id could be had: {error}");
                        self.fail_everything(&error);
                    }
                }
            }
        }
    }

    fn answered(&mut self, request: u64, frame: Result<ResponseFrame>) {
        let Some(Sent { node, batches }) = self.requests.remove(&request) else {
            return;
        };
        if let Some(node) = self.nodes.get_mut(&node) {
            node.in_flight = node.in_flight.saturating_sub(1);
        }
        for (at, _) in &batches {
            if let Some(lane) = self.lanes.get_mut(*at) {
                lane.in_flight = lane.in_flight.saturating_sub(1);
            }
        }
        let response = match frame {
            Ok(_) if self.accumulator.config.acks == Acks::None => {
                for (at, batch) in batches {
                    self.finish(
                        at,
                        batch,
                        Ok(Acknowledged {
                            base_offset: -1,
                            log_append_time: None,
                        }),
                    );
                }
                return;
            }
            Ok(frame) => {
                let version = frame.version;
                frame
                    .decode::<ProduceRequest>()
                    .map(|response| (response, version))
            }
            Err(error) => Err(error),
        };
        match response {
            Ok((response, version)) => {
                self.throttle(node, response.throttle_time_ms);
                self.settle_all(batches, response, version);
            }
            Err(error) => {
                self.client.request_update();
                for (at, batch) in batches {
                    self.retry_or_fail(at, batch, error.clone());
                }
            }
        }
    }

    /// The broker has answered and asks for a pause; it is the client that keeps it (KIP-219).
    fn throttle(&mut self, node: i32, throttle_time_ms: i32) {
        if let Ok(ms @ 1..) = u64::try_from(throttle_time_ms) {
            let until = Instant::now() + Duration::from_millis(ms);
            self.nodes.entry(node).or_default().throttled_until = Some(until);
        }
    }

    fn settle_all(
        &mut self,
        batches: Vec<(usize, SealedBatch)>,
        response: ProduceResponse,
        version: i16,
    ) {
        let mut answers = Vec::with_capacity(batches.len());
        for topic in response.responses {
            let (name, id) = (topic.name, topic.topic_id);
            let partitions = topic.partition_responses.into_iter();
            answers.extend(partitions.map(|p| Some((name.clone(), id, p))));
        }
        for (turn, (at, batch)) in batches.into_iter().enumerate() {
            let Some(lane) = self.lanes.get(at) else {
                continue;
            };
            let id: Uuid = **lane.topic.id.load();
            let own = |answer: &Option<(_, Uuid, PartitionProduceResponse)>| {
                answer
                    .as_ref()
                    .is_some_and(|(name, answered_id, partition)| {
                        let name: &crate::protocol::Str = name;
                        let same_topic = match version > TOPICS_BY_NAME {
                            true => *answered_id == id,
                            false => **name == *lane.topic.name,
                        };
                        same_topic && partition.index == lane.partition.index
                    })
            };
            // Brokers answer in the order of the request: the search is for those that do not.
            let place = match answers.get(turn) {
                Some(answer) if own(answer) => Some(turn),
                _ => answers.iter().position(own),
            };
            match place
                .and_then(|place| answers.get_mut(place))
                .and_then(Option::take)
            {
                Some((_, _, partition)) => self.settle(at, batch, partition),
                None => {
                    let error = ClientError::protocol("the broker did not answer for a partition");
                    self.finish(at, batch, Err(error));
                }
            }
        }
    }

    fn settle(&mut self, at: usize, batch: SealedBatch, answer: PartitionProduceResponse) {
        let code = ErrorCode::from_code(answer.error_code);
        let idempotent = self.accumulator.config.idempotence;
        match code {
            ErrorCode::None => {
                self.acknowledge(at, &batch);
                let log_append_time =
                    (answer.log_append_time_ms >= 0).then_some(answer.log_append_time_ms);
                let base_offset = answer.base_offset;
                self.finish(
                    at,
                    batch,
                    Ok(Acknowledged {
                        base_offset,
                        log_append_time,
                    }),
                );
            }
            // The broker has it already: only its offset is not known any more.
            ErrorCode::DuplicateSequenceNumber => {
                self.acknowledge(at, &batch);
                self.finish(
                    at,
                    batch,
                    Ok(Acknowledged {
                        base_offset: -1,
                        log_append_time: None,
                    }),
                );
            }
            ErrorCode::MessageTooLarge if batch.count > 1 => self.split(at, batch),
            ErrorCode::OutOfOrderSequenceNumber
            | ErrorCode::UnknownProducerId
            | ErrorCode::InvalidProducerEpoch
                if idempotent && self.transactions.is_none() =>
            {
                self.sequence_fault(at, batch, code);
            }
            // An earlier batch is on its way again; in a transaction nothing else mends it.
            ErrorCode::OutOfOrderSequenceNumber if self.is_early(at, &batch) => {
                self.retry_or_fail(at, batch, ClientError::broker(code, None));
            }
            code => {
                if code.invalidates_metadata() {
                    self.client.request_update();
                }
                let records = answer.record_errors.into_iter().map(|record| {
                    let text = record.batch_index_error_message;
                    let text = text.or_else(|| answer.error_message.clone());
                    let index = usize::try_from(record.batch_index).unwrap_or_default();
                    (
                        index,
                        text.map_or_else(|| code.message().to_owned(), |text| text.to_string()),
                    )
                });
                let record_errors = records.collect();
                let error = ClientError::broker(code, answer.error_message.as_deref());
                if code.is_retriable() {
                    self.retry_or_fail(at, batch, error);
                } else {
                    self.refuse(
                        at,
                        batch,
                        Refused {
                            error,
                            record_errors,
                        },
                    );
                }
            }
        }
    }

    fn is_early(&self, at: usize, batch: &SealedBatch) -> bool {
        let early = |lane: &Lane| lane.is_early(batch) && !lane.is_overtaken(batch);
        self.lanes.get(at).is_some_and(early)
    }

    /// The broker has the batch.
    fn acknowledge(&mut self, at: usize, batch: &SealedBatch) {
        let transaction = self.transactions.as_ref().map(|open| open.number());
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.acknowledge(batch);
            lane.proven = transaction.unwrap_or(0);
        }
    }

    fn sequence_fault(&mut self, at: usize, batch: SealedBatch, code: ErrorCode) {
        if let Some(lane) = self.lanes.get_mut(at) {
            let fault = lane.sequence_fault(&batch);
            if code == ErrorCode::InvalidProducerEpoch {
                lane.renew = true;
            }
            if fault == SequenceFault::Renew {
                tracing::debug!(
                    "{}-{} starts a new producer epoch after {}",
                    lane.partition.topic,
                    lane.partition.index,
                    code.name()
                );
            }
        }
        self.retry_or_fail(at, batch, ClientError::broker(code, None));
    }

    fn retry_or_fail(&mut self, at: usize, mut batch: SealedBatch, error: ClientError) {
        let config = &self.accumulator.config;
        if batch.created.elapsed() >= config.delivery_timeout {
            self.expired(at, batch);
            return;
        }
        if !error.is_retriable() && !renews(&error) || batch.attempts > config.retries {
            self.refuse(at, batch, error.into());
            return;
        }
        let wait = self.client.config().retry_backoff.after(batch.attempts);
        batch.retry_at = Some(Instant::now() + wait);
        if let Some(lane) = self.lanes.get_mut(at) {
            tracing::debug!(
                "{}-{}: sending {} records again: {error}",
                lane.partition.topic,
                lane.partition.index,
                batch.count
            );
            lane.put_back(batch);
        }
    }

    /// The batch fails for good.
    fn refuse(&mut self, at: usize, batch: SealedBatch, refused: Refused) {
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.abandon(&batch);
        }
        self.conclude(at, batch, Err(refused));
    }

    /// The broker takes smaller batches than `batch.size`: send it in two.
    fn split(&mut self, at: usize, batch: SealedBatch) {
        let meta = self.batch_meta(at);
        let parts = batch.split(&meta);
        let Some((first, second)) = parts else {
            let error = ClientError::broker(ErrorCode::MessageTooLarge, None);
            self.refuse(at, batch, error.into());
            return;
        };
        self.accumulator.add_part(batch.id);
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.put_back(first);
            lane.put_back(second);
        }
    }

    pub(super) fn finish(&mut self, at: usize, batch: SealedBatch, result: Result<Acknowledged>) {
        self.conclude(at, batch, result.map_err(Refused::from));
    }

    /// Tells everyone who waits, and gives the memory back.
    fn conclude(&mut self, at: usize, batch: SealedBatch, result: Result<Acknowledged, Refused>) {
        let Some(lane) = self.lanes.get(at) else {
            return;
        };
        let mut outcome = BatchOutcome {
            topic: lane.partition.topic.clone(),
            partition: lane.partition.index,
            count: batch.count,
            first_record: batch.first_record,
            bytes: batch.bytes.len(),
            base_offset: -1,
            log_append_time: None,
            tokens: batch.tokens,
            result: Ok(()),
            record_errors: Vec::new(),
        };
        match result {
            Ok(acknowledged) => {
                outcome.base_offset = acknowledged.base_offset;
                outcome.log_append_time = acknowledged.log_append_time;
            }
            Err(refused) => {
                if let Some(transactions) = &self.transactions {
                    transactions.lost(&refused.error);
                }
                outcome.result = Err(refused.error);
                outcome.record_errors = refused.record_errors;
            }
        }
        if let Some(handler) = &self.handler {
            handler(&outcome);
        }
        if let Some(delivery) = batch.delivery {
            let outcome = Arc::new(outcome);
            delivery.send_modify(|outcomes| outcomes.push(outcome));
        }
        let keep = 2 * self.accumulator.config.batch_bytes;
        let buffer = batch
            .bytes
            .try_into_mut()
            .ok()
            .filter(|buffer| buffer.capacity() <= keep);
        self.accumulator.memory.give(batch.reserved, buffer);
        self.accumulator.complete(batch.id);
    }

    pub(super) fn needs_producer_id(&self) -> bool {
        self.accumulator.config.idempotence && self.producer.is_none()
    }

    pub(super) fn request_producer_id(&mut self) {
        if std::mem::replace(&mut self.producer_requested, true) {
            return;
        }
        let (client, events) = (self.client.clone(), self.events.clone());
        self.client.tasks().spawn(async move {
            let result = tokio::select! {
                result = init_producer_id(&client) => result,
                () = client.cancelled().cancelled() => Err(ClientError::Closed),
            };
            let _sender_gone = events.send(Event::ProducerId(result));
        });
    }
}

/// Errors that a new epoch mends.
fn renews(error: &ClientError) -> bool {
    matches!(
        error.code(),
        Some(
            ErrorCode::OutOfOrderSequenceNumber
                | ErrorCode::UnknownProducerId
                | ErrorCode::InvalidProducerEpoch
        )
    )
}

/// Asks for a producer id until a broker gives one: batches that wait for it expire on their own.
async fn init_producer_id(client: &crate::client::Client) -> Result<ProducerId> {
    loop {
        let build = |_version| InitProducerIdRequest {
            // The schema has an empty id, which brokers refuse, where it is not said.
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..Default::default()
        };
        let verdict = |response: &InitProducerIdResponse| ErrorCode::from_code(response.error_code);
        match client
            .call(client.options("initProducerId"), Route::Any, build, verdict)
            .await
        {
            Ok(response) => {
                ClientError::check(response.error_code, None)?;
                return Ok(ProducerId {
                    id: response.producer_id,
                    epoch: response.producer_epoch,
                });
            }
            Err(error) if error.is_retriable() => {}
            Err(error) => return Err(error),
        }
    }
}
