//! The share session with one broker: what it was told to fetch, and what it must be told.
use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::acknowledgements::{Acknowledgements, Range};
use super::by_topic;
use super::member::Partitions;
use crate::client::cluster::{Client, Role};
use crate::client::errors::{ClientError, Result};
use crate::protocol::messages::share_acknowledge_request::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch as AcknowledgeBatch,
    ShareAcknowledgeRequest,
};
use crate::protocol::messages::share_fetch_request::{
    AcknowledgementBatch, FetchPartition, FetchTopic, ForgottenTopic,
};
use crate::protocol::{ErrorCode, Uuid};

/// The epochs that begin and end a session.
const FIRST: i32 = 0;
const FINAL: i32 = -1;

#[derive(Default)]
pub struct Node {
    epoch: i32,
    /// What the broker fetches for this member.
    partitions: Partitions,
    /// Acknowledgements that were not sent yet.
    pub pending: Acknowledgements,
    pub busy: bool,
    /// Not to be asked before.
    pub retry_at: Option<Instant>,
}

/// What changes in a session with a request.
pub struct Sending {
    pub epoch: i32,
    pub wants_records: bool,
    pub topics: Vec<FetchTopic>,
    pub forgotten: Vec<ForgottenTopic>,
}

impl Node {
    /// Whether the broker must be told something although nothing is wanted of it.
    pub fn has_news(&self) -> bool {
        self.epoch != FIRST && (!self.pending.is_empty() || !self.partitions.is_empty())
    }

    pub fn begin(&mut self, wanted: &Partitions) -> Sending {
        self.busy = true;
        self.retry_at = None;
        let mut acknowledged = self.pending.take();
        if self.epoch == FIRST && !acknowledged.is_empty() {
            // The session that they belong to is gone, and its locks with it.
            tracing::warn!("acknowledgements were lost with their share session");
            acknowledged.clear();
        }
        let added = wanted.difference(&self.partitions);
        let told: BTreeSet<(Uuid, i32)> = added.chain(acknowledged.keys()).copied().collect();
        let partition = |id: Uuid, index: i32| FetchPartition {
            partition_index: index,
            acknowledgement_batches: acknowledged
                .get(&(id, index))
                .into_iter()
                .flatten()
                .map(batch)
                .collect(),
        };
        let topics = by_topic(&told).into_iter().map(|(id, indexes)| FetchTopic {
            topic_id: id,
            partitions: indexes
                .into_iter()
                .map(|index| partition(id, index))
                .collect(),
        });
        let forgotten = by_topic(self.partitions.difference(wanted)).into_iter();
        let forgotten = forgotten.map(|(id, indexes)| ForgottenTopic {
            topic_id: id,
            partitions: indexes.into_iter().collect(),
        });
        Sending {
            epoch: self.epoch,
            wants_records: !wanted.is_empty(),
            topics: topics.collect(),
            forgotten: forgotten.collect(),
        }
    }

    pub fn answered(&mut self, asked: Partitions) {
        self.partitions = asked;
        self.epoch = self.epoch.checked_add(1).unwrap_or(FIRST + 1);
    }

    /// The broker knows nothing of the session any more.
    pub fn restart(&mut self) {
        self.epoch = FIRST;
        self.partitions.clear();
        self.pending.take();
    }

    /// The last request of a session; none where there is no session.
    pub fn end(&mut self, group_id: &str, member_id: &str) -> Option<ShareAcknowledgeRequest> {
        if self.epoch == FIRST {
            return None;
        }
        let mut topics: BTreeMap<Uuid, Vec<AcknowledgePartition>> = BTreeMap::new();
        for ((id, index), ranges) in self.pending.take() {
            let batch = |range: &Range| AcknowledgeBatch {
                first_offset: range.first,
                last_offset: range.last,
                acknowledge_types: vec![range.kind as i8],
            };
            topics.entry(id).or_default().push(AcknowledgePartition {
                partition_index: index,
                acknowledgement_batches: ranges.iter().map(batch).collect(),
            });
        }
        let topics = topics.into_iter();
        let topics = topics.map(|(topic_id, partitions)| AcknowledgeTopic {
            topic_id,
            partitions,
        });
        Some(ShareAcknowledgeRequest {
            group_id: Some(group_id.into()),
            member_id: Some(member_id.into()),
            share_session_epoch: FINAL,
            topics: topics.collect(),
            ..Default::default()
        })
    }
}

fn batch(range: &Range) -> AcknowledgementBatch {
    AcknowledgementBatch {
        first_offset: range.first,
        last_offset: range.last,
        acknowledge_types: vec![range.kind as i8],
    }
}

/// Sends acknowledgements; the first that is refused is the error.
pub async fn acknowledge(
    client: &Client,
    node: i32,
    request: &ShareAcknowledgeRequest,
) -> Result<()> {
    let connection = client.connection(node, Role::Fetch).await?;
    let version = connection.version::<ShareAcknowledgeRequest>()?;
    let timeout = client.config().request_timeout;
    let response = connection.send(request, version, timeout).await?;
    if ErrorCode::from_code(response.error_code) == ErrorCode::ShareSessionNotFound {
        return Ok(());
    }
    ClientError::check(response.error_code, response.error_message.as_deref())?;
    for partition in response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions)
    {
        ClientError::check(partition.error_code, partition.error_message.as_deref())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::AcknowledgeType;
    use super::*;

    #[test]
    fn a_session_tells_what_changed() {
        let (a, b) = (Uuid::from_random(1), Uuid::from_random(2));
        let mut node = Node::default();
        let wanted = Partitions::from([(a, 0), (a, 1)]);
        let first = node.begin(&wanted);
        assert_eq!((first.epoch, first.topics.len()), (0, 1));
        assert!(node.end("g", "m").is_none());
        node.answered(wanted);

        node.pending.add((a, 1), 5, 6, AcknowledgeType::Accept);
        let wanted = Partitions::from([(a, 1), (b, 0)]);
        let second = node.begin(&wanted);
        assert_eq!(second.epoch, 1);
        let told: Vec<(Uuid, i32, usize)> = second
            .topics
            .iter()
            .flat_map(|topic| {
                let partitions = topic.partitions.iter();
                partitions.map(|p| {
                    let batches = p.acknowledgement_batches.len();
                    (topic.topic_id, p.partition_index, batches)
                })
            })
            .collect();
        let mut want = vec![(a, 1, 1), (b, 0, 0)];
        want.sort();
        assert_eq!(told, want);
        assert_eq!(second.forgotten[0].partitions, [0]);
        node.answered(wanted);

        node.pending.add((b, 0), 0, 0, AcknowledgeType::Release);
        let end = node.end("g", "m").unwrap();
        assert_eq!((end.share_session_epoch, end.topics.len()), (-1, 1));
        node.restart();
        assert_eq!(node.begin(&Partitions::new()).epoch, 0);
    }
}
