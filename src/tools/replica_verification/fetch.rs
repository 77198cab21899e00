//! One broker, asked for its replicas whether it leads them or not.
use std::collections::BTreeMap;
use std::time::Duration;

use super::compare::Fetched;
use crate::client::TopicPartition;
use crate::client::admin::Admin;
use crate::client::cluster::Role;
use crate::client::connection::Endpoint;
use crate::protocol::messages::fetch_request::{
    FetchPartition, FetchRequest, FetchTopic, ReplicaState,
};
use crate::protocol::messages::fetch_response::PartitionData;
use crate::protocol::{ErrorCode, Records, Uuid};
use crate::tools::output::message;

/// The id of a reader that may ask any replica.
const DEBUGGING_CONSUMER: i32 = -2;
/// Of all partitions of a broker together; what does not fit comes with the next round.
const RESPONSE_BYTES_MAX: i32 = 32 << 20;
/// For the answer, beyond what the broker may wait for records.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// First version that names topics by id, and that tells who asks in a field of its own.
const BY_ID: i16 = 13;
const REPLICA_STATE: i16 = 15;

/// Where a partition is to be read next.
#[derive(Debug, Clone, Copy)]
pub struct Position {
    pub topic_id: Uuid,
    pub offset: i64,
}

pub struct Source {
    broker: i32,
    /// `None` while the cluster does not know the broker.
    endpoint: Option<Endpoint>,
    partitions: Vec<TopicPartition>,
    /// What went wrong last, so that it is told once.
    trouble: String,
}

impl Source {
    pub fn new(broker: i32, endpoint: Option<Endpoint>, partitions: Vec<TopicPartition>) -> Self {
        Self {
            broker,
            endpoint,
            partitions,
            trouble: String::new(),
        }
    }

    /// What the broker has of each partition; nothing of those that it cannot give, and then false.
    pub async fn fetch(
        &mut self,
        admin: &Admin,
        positions: &BTreeMap<TopicPartition, Position>,
        limits: (i32, i32),
    ) -> (Vec<(TopicPartition, Fetched)>, bool) {
        let (data, mut trouble) = match self.ask(admin, positions, limits).await {
            Ok(data) => (data, String::new()),
            Err(error) => (BTreeMap::new(), error.to_string()),
        };
        let mut fetched = Vec::with_capacity(self.partitions.len());
        for partition in &self.partitions {
            let found = data.get(partition);
            if let Some(code) = found.map(|data| ErrorCode::from_code(data.error_code))
                && code != ErrorCode::None
                && trouble.is_empty()
            {
                trouble = format!("{partition}: {}", code.message());
            }
            let records = found.and_then(|data| data.records.as_ref());
            let of_replica = Fetched {
                replica: self.broker,
                high_watermark: found.map_or(-1, |data| data.high_watermark),
                records: records
                    .and_then(Records::as_bytes)
                    .cloned()
                    .unwrap_or_default(),
            };
            fetched.push((partition.clone(), of_replica));
        }
        let well = trouble.is_empty();
        if !well && trouble != self.trouble {
            message(format!("Broker {}: {trouble}", self.broker));
        }
        self.trouble = trouble;
        (fetched, well)
    }

    async fn ask(
        &self,
        admin: &Admin,
        positions: &BTreeMap<TopicPartition, Position>,
        (fetch_bytes, max_wait_ms): (i32, i32),
    ) -> anyhow::Result<BTreeMap<TopicPartition, PartitionData>> {
        let Some(endpoint) = &self.endpoint else {
            anyhow::bail!("it is not there");
        };
        let connection = admin.client().connection_to(endpoint, Role::Fetch).await?;
        let version = connection.version::<FetchRequest>()?;
        let mut request = FetchRequest {
            max_wait_ms,
            min_bytes: 1,
            max_bytes: RESPONSE_BYTES_MAX,
            ..FetchRequest::default()
        };
        match version >= REPLICA_STATE {
            true => {
                request.replica_state = ReplicaState {
                    replica_id: DEBUGGING_CONSUMER,
                    ..ReplicaState::default()
                };
            }
            false => request.replica_id = DEBUGGING_CONSUMER,
        }
        let mut names = BTreeMap::new();
        for partition in &self.partitions {
            let Some(position) = positions.get(partition) else {
                continue;
            };
            names.insert(position.topic_id, partition.topic.clone());
            let wanted = FetchPartition {
                partition: partition.partition,
                fetch_offset: position.offset,
                log_start_offset: 0,
                partition_max_bytes: fetch_bytes,
                ..FetchPartition::default()
            };
            match request.topics.last_mut() {
                Some(topic) if *topic.topic == *partition.topic => topic.partitions.push(wanted),
                _ => request.topics.push(FetchTopic {
                    topic: (&*partition.topic).into(),
                    topic_id: position.topic_id,
                    partitions: vec![wanted],
                }),
            }
        }
        let waits = Duration::from_millis(u64::try_from(max_wait_ms).unwrap_or(0));
        let response = connection
            .send(&request, version, waits + ANSWER_PATIENCE)
            .await?;
        let code = ErrorCode::from_code(response.error_code);
        if code != ErrorCode::None {
            anyhow::bail!("{}", code.message());
        }
        let mut found = BTreeMap::new();
        for topic in response.responses {
            let name = match version >= BY_ID {
                true => names.get(&topic.topic_id).cloned(),
                false => Some((*topic.topic).into()),
            };
            let Some(name) = name else { continue };
            for data in topic.partitions {
                found.insert(
                    TopicPartition::new(name.clone(), data.partition_index),
                    data,
                );
            }
        }
        Ok(found)
    }
}
