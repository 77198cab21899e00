//! Acknowledgements on their way: with a fetch, on their own, or with the end of the session.
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::acknowledgements::{AcknowledgeType, Acknowledged, Taken};
use super::session::{self, acknowledge_request};
use super::{Answer, Reply, ShareConsumer};
use crate::client::TopicPartition;
use crate::client::errors::{ClientError, Result};
use crate::protocol::messages::{ShareAcknowledgeResponse, ShareFetchResponse};
use crate::protocol::{ErrorCode, Uuid};

/// How long closing waits for a fetch that is under way, beyond what brokers may take for it.
const CLOSE_MARGIN: Duration = Duration::from_secs(2);

/// What a broker said of acknowledgements, by topic id and partition.
type Codes = BTreeMap<(Uuid, i32), ErrorCode>;

impl ShareConsumer {
    /// Sends what was acknowledged and waits for the answers, at most `default.api.timeout.ms`.
    pub async fn commit(&mut self) -> Result<Vec<Acknowledged>> {
        let deadline = Instant::now() + self.client.config().api_timeout;
        loop {
            self.begin_commit();
            let waits = |node: &session::Node| node.telling || !node.pending.is_empty();
            if !self.nodes.values().any(waits) {
                return Ok(std::mem::take(&mut self.outcomes));
            }
            let answer = tokio::time::timeout_at(deadline, self.inbox.recv()).await;
            let Ok(Some(answer)) = answer else {
                return Err(ClientError::timeout(
                    "Acknowledgements were not answered within default.api.timeout.ms",
                ));
            };
            let fetched = self.answered(answer)?;
            self.ready.extend(fetched);
        }
    }

    /// Sends what was acknowledged, but where a fetch is under way: there it follows. The answers
    /// come with later polls.
    pub fn begin_commit(&mut self) {
        self.accept_delivered();
        let (config, member_id) = (&self.config, self.membership.member_id());
        let mut all_lost = Vec::new();
        for (id, node) in &mut self.nodes {
            all_lost.push(node.take_lost());
            let Some((epoch, told)) = node.acknowledge() else {
                continue;
            };
            let request = acknowledge_request(&config.group_id, member_id, epoch, &told);
            let (id, client, answers) = (*id, self.client.clone(), self.answers.clone());
            self.client.tasks().spawn(async move {
                let cancelled = client.cancelled().clone();
                let response = tokio::select! {
                    response = session::acknowledge(&client, id, &request) => response,
                    () = cancelled.cancelled() => Err(ClientError::Closed),
                };
                let _consumer_gone = answers.send(Answer {
                    node: id,
                    told,
                    reply: Reply::Acknowledged(response),
                });
            });
        }
        for lost in all_lost {
            self.session_lost(lost);
        }
    }

    /// What the last poll returned is done with, unless the application says so itself.
    pub(super) fn accept_delivered(&mut self) {
        for fetched in std::mem::take(&mut self.delivered) {
            let node = self.nodes.entry(fetched.node).or_default();
            let key = (fetched.topic_id, fetched.partition.partition);
            for (first, last) in &fetched.present {
                node.pending
                    .add(key, *first, *last, AcknowledgeType::Accept);
            }
        }
    }

    /// What a fetch says of the acknowledgements that went with it.
    pub(super) fn fetch_told(&mut self, told: Taken, response: &Result<ShareFetchResponse>) {
        if told.is_empty() {
            return;
        }
        let result = response
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|response| {
                ClientError::check(response.error_code, response.error_message.as_deref())?;
                let topics = response.responses.iter();
                let partitions = topics.flat_map(|topic| {
                    let code = |code: i16| ErrorCode::from_code(code);
                    let partitions = topic.partitions.iter();
                    partitions.map(move |partition| {
                        let key = (topic.topic_id, partition.partition_index);
                        (key, code(partition.acknowledge_error_code))
                    })
                });
                Ok(partitions.collect())
            });
        self.tell(told, result);
    }

    /// The answer to acknowledgements that went on their own.
    pub(super) fn acknowledged(
        &mut self,
        id: i32,
        told: Taken,
        response: Result<ShareAcknowledgeResponse>,
    ) {
        let result = response.and_then(answer_codes);
        if let Some(node) = self.nodes.get_mut(&id) {
            match &result {
                Ok(_) => node.advance(),
                Err(error) => {
                    tracing::debug!("acknowledging to node {id} failed: {error}");
                    node.restart();
                    self.client.request_update();
                }
            }
        }
        self.tell(told, result);
    }

    pub(super) fn session_lost(&mut self, lost: Taken) {
        let gone = ClientError::broker(ErrorCode::ShareSessionNotFound, None);
        self.tell(lost, Err(gone));
    }

    fn tell(&mut self, told: Taken, result: Result<Codes>) {
        let metadata = self.client.metadata();
        for (key, ranges) in told {
            let name = match metadata.topic_by_id(key.0) {
                Some(topic) => topic.name.clone(),
                None => key.0.to_string().into(),
            };
            let partition = TopicPartition::new(name, key.1);
            let result = match &result {
                Ok(codes) => match codes.get(&key) {
                    Some(code) => ClientError::check(code.code(), None),
                    None => Err(ClientError::protocol(format!(
                        "the broker said nothing of the acknowledgements for {partition}"
                    ))),
                },
                Err(error) => Err(error.clone()),
            };
            if let Err(error) = &result {
                // Other members get the records again: nothing is lost.
                tracing::warn!("acknowledgements for {partition} were refused: {error}");
            }
            self.outcomes.push(Acknowledged {
                partition,
                ranges,
                result,
            });
        }
    }

    /// Acknowledges what is left to, gives everything else back, and leaves the group. Gives what
    /// became of acknowledgements that nobody was told of.
    pub async fn close(mut self) -> Vec<Acknowledged> {
        let patience = Instant::now() + self.config.fetch_wait_max + CLOSE_MARGIN;
        while self.nodes.values().any(|node| node.busy) {
            match tokio::time::timeout_at(patience, self.inbox.recv()).await {
                // Its records go back with the session.
                Ok(Some(answer)) => drop(self.answered(answer)),
                _ => break,
            }
        }
        let (mut ended, mut all_lost) = (Vec::new(), Vec::new());
        for (id, node) in &mut self.nodes {
            all_lost.push(node.take_lost());
            ended.extend(node.end().map(|(epoch, told)| (*id, epoch, told)));
        }
        for lost in all_lost {
            self.session_lost(lost);
        }
        for (id, epoch, told) in ended {
            let (group, member) = (&self.config.group_id, self.membership.member_id());
            let request = acknowledge_request(group, member, epoch, &told);
            let answer = session::acknowledge(&self.client, id, &request);
            let answer = tokio::time::timeout_at(patience, answer).await;
            let late = ClientError::timeout("the node did not answer in time");
            let result = answer.unwrap_or(Err(late)).and_then(answer_codes);
            self.tell(told, result);
        }
        self.membership.leave().await;
        self.client.close().await;
        self.outcomes
    }
}

fn answer_codes(response: ShareAcknowledgeResponse) -> Result<Codes> {
    ClientError::check(response.error_code, response.error_message.as_deref())?;
    let topics = response.responses.iter();
    let partitions = topics.flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(move |partition| {
            let key = (topic.topic_id, partition.partition_index);
            (key, ErrorCode::from_code(partition.error_code))
        })
    });
    Ok(partitions.collect())
}
