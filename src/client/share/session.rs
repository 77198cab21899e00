//! The share session with one broker: what it was told to fetch, and what it must be told.
use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::acknowledgements::{Acknowledgements, Range, Taken};
use super::by_topic;
use super::member::Partitions;
use crate::client::cluster::{Client, Role};
use crate::client::errors::Result;
use crate::protocol::Uuid;
use crate::protocol::messages::ShareAcknowledgeResponse;
use crate::protocol::messages::share_acknowledge_request::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch as AcknowledgeBatch,
    ShareAcknowledgeRequest,
};
use crate::protocol::messages::share_fetch_request::{
    AcknowledgementBatch, FetchPartition, FetchTopic, ForgottenTopic,
};

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
    /// What it is busy with carries acknowledgements.
    pub telling: bool,
    /// Not to be asked before.
    pub retry_at: Option<Instant>,
}

/// What changes in a session with a request.
pub struct Sending {
    pub epoch: i32,
    pub wants_records: bool,
    pub topics: Vec<FetchTopic>,
    pub forgotten: Vec<ForgottenTopic>,
    /// The acknowledgements in it.
    pub told: Taken,
}

impl Node {
    /// Whether the broker must be told something although nothing is wanted of it.
    pub fn has_news(&self) -> bool {
        self.epoch != FIRST && (!self.pending.is_empty() || !self.partitions.is_empty())
    }

    pub fn begin(&mut self, wanted: &Partitions) -> Sending {
        self.busy = true;
        self.retry_at = None;
        let acknowledged = self.pending.take();
        self.telling = !acknowledged.is_empty();
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
        let (topics, forgotten) = (topics.collect(), forgotten.collect());
        Sending {
            epoch: self.epoch,
            wants_records: !wanted.is_empty(),
            topics,
            forgotten,
            told: acknowledged,
        }
    }

    pub fn answered(&mut self, asked: Partitions) {
        self.partitions = asked;
        self.advance();
    }

    /// The broker has taken a request of the session.
    pub fn advance(&mut self) {
        self.epoch = self.epoch.checked_add(1).unwrap_or(FIRST + 1);
    }

    /// The broker knows nothing of the session any more.
    pub fn restart(&mut self) {
        self.epoch = FIRST;
        self.partitions.clear();
    }

    /// The acknowledgements of a session that is gone, and their locks with it.
    pub fn take_lost(&mut self) -> Taken {
        match self.epoch {
            FIRST => self.pending.take(),
            _ => Taken::new(),
        }
    }

    /// A request that only acknowledges; none where there is nothing to tell.
    pub fn acknowledge(&mut self) -> Option<(i32, Taken)> {
        if self.busy || self.epoch == FIRST || self.pending.is_empty() {
            return None;
        }
        (self.busy, self.telling) = (true, true);
        Some((self.epoch, self.pending.take()))
    }

    /// The last request of a session; none where there is no session.
    pub fn end(&mut self) -> Option<(i32, Taken)> {
        (self.epoch != FIRST).then(|| (FINAL, self.pending.take()))
    }
}

pub fn acknowledge_request(
    group_id: &str,
    member_id: &str,
    epoch: i32,
    told: &Taken,
) -> ShareAcknowledgeRequest {
    let mut topics: BTreeMap<Uuid, Vec<AcknowledgePartition>> = BTreeMap::new();
    for ((id, index), ranges) in told {
        let batch = |range: &Range| AcknowledgeBatch {
            first_offset: range.first,
            last_offset: range.last,
            acknowledge_types: vec![range.kind as i8],
        };
        topics.entry(*id).or_default().push(AcknowledgePartition {
            partition_index: *index,
            acknowledgement_batches: ranges.iter().map(batch).collect(),
        });
    }
    let topics = topics.into_iter();
    let topics = topics.map(|(topic_id, partitions)| AcknowledgeTopic {
        topic_id,
        partitions,
    });
    ShareAcknowledgeRequest {
        group_id: Some(group_id.into()),
        member_id: Some(member_id.into()),
        share_session_epoch: epoch,
        topics: topics.collect(),
        ..Default::default()
    }
}

fn batch(range: &Range) -> AcknowledgementBatch {
    AcknowledgementBatch {
        first_offset: range.first,
        last_offset: range.last,
        acknowledge_types: vec![range.kind as i8],
    }
}

/// Sends acknowledgements.
pub async fn acknowledge(
    client: &Client,
    node: i32,
    request: &ShareAcknowledgeRequest,
) -> Result<ShareAcknowledgeResponse> {
    let connection = client.connection(node, Role::Fetch).await?;
    let version = connection.version::<ShareAcknowledgeRequest>()?;
    let timeout = client.config().request_timeout;
    connection.send(request, version, timeout).await
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
        assert!(node.end().is_none());
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
        let (epoch, told) = node.end().unwrap();
        let end = acknowledge_request("g", "m", epoch, &told);
        assert_eq!((end.share_session_epoch, end.topics.len()), (-1, 1));
        node.restart();
        assert_eq!(node.begin(&Partitions::new()).epoch, 0);
    }
}
