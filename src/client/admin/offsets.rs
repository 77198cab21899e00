//! Offsets by time: the ends of partitions and what lies between. Consumers ask the same way.
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Admin;
use crate::client::TopicPartition;
use crate::client::cluster::{Client, Role};
use crate::client::config::IsolationLevel;
use crate::client::errors::{ClientError, Result};
use crate::protocol::ErrorCode;
use crate::protocol::messages::ListOffsetsResponse;
use crate::protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};

/// Which offset of a partition is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    Earliest,
    /// The end: the high watermark, or the last stable offset when reading committed.
    Latest,
    /// Of the first record whose timestamp is at least this.
    Timestamp(i64),
    /// Of the record with the highest timestamp.
    MaxTimestamp,
    EarliestLocal,
    LatestTiered,
    EarliestPendingUpload,
}

impl OffsetSpec {
    /// The number that stands for it in a request, and the first version that knows it.
    fn timestamp(self) -> (i64, i16) {
        match self {
            Self::Timestamp(timestamp) => (timestamp, 1),
            Self::Latest => (-1, 1),
            Self::Earliest => (-2, 1),
            Self::MaxTimestamp => (-3, 7),
            Self::EarliestLocal => (-4, 8),
            Self::LatestTiered => (-5, 9),
            Self::EarliestPendingUpload => (-6, 11),
        }
    }
}

/// An answer; the offset is -1 when no record qualifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    pub offset: i64,
    pub timestamp: i64,
    pub leader_epoch: i32,
}

/// What is known about each partition that was asked for.
pub type ListedOffsets = BTreeMap<TopicPartition, Result<ListedOffset>>;

impl Admin {
    /// Offsets of partitions; each has its own outcome.
    pub async fn list_offsets(
        &self,
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
        isolation: IsolationLevel,
    ) -> Result<ListedOffsets> {
        let deadline = self.options("listOffsets").deadline;
        list_offsets(self.client(), wanted, isolation, deadline).await
    }
}

/// Asks the leaders, again where leadership moved, until all partitions are answered or time is
/// up. What is left then carries the last error.
pub(crate) async fn list_offsets(
    client: &Client,
    wanted: &BTreeMap<TopicPartition, OffsetSpec>,
    isolation: IsolationLevel,
    deadline: Instant,
) -> Result<ListedOffsets> {
    client.want_topics(wanted.keys().map(|partition| &*partition.topic));
    let mut pending = wanted.clone();
    let mut done = ListedOffsets::new();
    let mut failures = 0;
    loop {
        let mut round = ask_leaders(client, &pending, isolation, deadline).await?;
        for partition in pending.keys().cloned().collect::<Vec<_>>() {
            let outcome = round
                .remove(&partition)
                .unwrap_or_else(|| Err(no_leader(&partition)));
            if outcome
                .as_ref()
                .err()
                .is_none_or(|error| !error.is_retriable())
            {
                pending.remove(&partition);
            }
            done.insert(partition, outcome);
        }
        if pending.is_empty() {
            return Ok(done);
        }
        failures += 1;
        client.request_update();
        let mut updates = client.updates();
        let wait = client.config().retry_backoff.after(failures);
        if Instant::now() + wait >= deadline {
            return Ok(done);
        }
        // A metadata update is the news that a retry waits for.
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            changed = updates.changed() => changed.map_err(|_| ClientError::Closed)?,
            () = client.cancelled().cancelled() => return Err(ClientError::Closed),
        }
    }
}

fn no_leader(partition: &TopicPartition) -> ClientError {
    ClientError::timeout(format!("no leader is known for partition {partition}"))
}

/// One round: a request to each leader that is known, all at once.
async fn ask_leaders(
    client: &Client,
    pending: &BTreeMap<TopicPartition, OffsetSpec>,
    isolation: IsolationLevel,
    deadline: Instant,
) -> Result<ListedOffsets> {
    let metadata = client.metadata();
    let mut by_leader: BTreeMap<i32, Vec<(TopicPartition, OffsetSpec, i32)>> = BTreeMap::new();
    for (partition, spec) in pending {
        if let Some((leader, epoch)) = metadata.leader(&partition.topic, partition.partition) {
            let asked = (partition.clone(), *spec, epoch);
            by_leader.entry(leader.id).or_default().push(asked);
        }
    }
    let mut requests = JoinSet::new();
    for (leader, asked) in by_leader {
        let client = client.clone();
        requests.spawn(async move {
            let answer = ask(&client, leader, &asked, isolation, deadline).await;
            answer.unwrap_or_else(|error| {
                asked
                    .into_iter()
                    .map(|(partition, ..)| (partition, Err(error.clone())))
                    .collect()
            })
        });
    }
    let mut answers = ListedOffsets::new();
    while let Some(answer) = requests.join_next().await {
        answers.extend(answer.map_err(|_| ClientError::Closed)?);
    }
    Ok(answers)
}

async fn ask(
    client: &Client,
    leader: i32,
    asked: &[(TopicPartition, OffsetSpec, i32)],
    isolation: IsolationLevel,
    deadline: Instant,
) -> Result<ListedOffsets> {
    let timeout = client
        .config()
        .request_timeout
        .min(deadline.saturating_duration_since(Instant::now()));
    let connecting = client.connection(leader, Role::General);
    let connection = tokio::time::timeout_at(deadline, connecting)
        .await
        .map_err(|_| {
            ClientError::timeout(format!("node {leader} could not be reached in time"))
        })??;
    let version = connection.version::<ListOffsetsRequest>()?;
    if let Some((_, spec, _)) = asked
        .iter()
        .find(|(_, spec, _)| spec.timestamp().1 > version)
    {
        return Err(ClientError::UnsupportedVersion(
            format!("the broker does not support {spec:?} in ListOffsets version {version}").into(),
        ));
    }
    let request = request(asked, isolation, version, timeout.as_millis());
    let response = connection.send(&request, version, timeout).await?;
    Ok(answers(response))
}

fn request(
    asked: &[(TopicPartition, OffsetSpec, i32)],
    isolation: IsolationLevel,
    version: i16,
    timeout_ms: u128,
) -> ListOffsetsRequest {
    let mut topics: BTreeMap<&Arc<str>, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for (partition, spec, epoch) in asked {
        topics
            .entry(&partition.topic)
            .or_default()
            .push(ListOffsetsPartition {
                partition_index: partition.partition,
                current_leader_epoch: if version >= 4 { *epoch } else { -1 },
                timestamp: spec.timestamp().0,
            });
    }
    let topic = |(name, partitions): (&Arc<str>, _)| ListOffsetsTopic {
        name: name.to_string(),
        partitions,
    };
    ListOffsetsRequest {
        replica_id: -1,
        isolation_level: if version >= 2 { isolation.code() } else { 0 },
        topics: topics.into_iter().map(topic).collect(),
        timeout_ms: if version >= 10 {
            i32::try_from(timeout_ms).unwrap_or(i32::MAX)
        } else {
            0
        },
    }
}

fn answers(response: ListOffsetsResponse) -> ListedOffsets {
    let mut answers = ListedOffsets::new();
    for topic in response.topics {
        let name: Arc<str> = topic.name.into();
        for p in topic.partitions {
            let outcome = match ErrorCode::from_code(p.error_code) {
                ErrorCode::None => Ok(ListedOffset {
                    offset: p.offset,
                    timestamp: p.timestamp,
                    leader_epoch: p.leader_epoch,
                }),
                code => Err(ClientError::broker(code, None)),
            };
            answers.insert(
                TopicPartition::new(name.clone(), p.partition_index),
                outcome,
            );
        }
    }
    answers
}
