//! Topics that come into being because somebody asks for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::info;

use super::full_disk::check_room;
use super::node::Broker;
use crate::controller::ApiError;
use crate::protocol::ErrorCode;
use crate::protocol::messages::CreateTopicsRequest;
use crate::protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};

pub const OFFSETS_TOPIC: &str = "__consumer_offsets";
pub const TRANSACTION_TOPIC: &str = "__transaction_state";
pub const SHARE_STATE_TOPIC: &str = "__share_group_state";

/// Creates the topics and returns the errors of those that could not be. `permits` counts their partitions.
pub async fn create_missing(
    broker: &Arc<Broker>,
    names: Vec<String>,
    permits: impl FnMut(usize) -> Result<(), ApiError> + Send + 'static,
) -> BTreeMap<String, ErrorCode> {
    if let Err(error) = check_room(broker) {
        return names.into_iter().map(|name| (name, error.code)).collect();
    }
    let topics = names.iter().map(|name| topic(broker, name)).collect();
    let request = CreateTopicsRequest {
        topics,
        ..Default::default()
    };
    let response = match broker.controller.create_topics(request, permits).await {
        Ok(response) => response,
        Err(error) => return names.into_iter().map(|name| (name, error.code)).collect(),
    };
    let mut failed = BTreeMap::new();
    for topic in response.topics {
        match ErrorCode::from_code(topic.error_code) {
            ErrorCode::None => info!("created topic {}, which a client asked for", topic.name),
            // Somebody else was faster: it is there.
            ErrorCode::TopicAlreadyExists => {}
            error => {
                failed.insert(topic.name, error);
            }
        }
    }
    failed
}

/// Creates a coordinator's topic if it is missing.
pub async fn ensure_topic(broker: &Arc<Broker>, topic: &str) -> Result<(), ErrorCode> {
    if broker.image().topics.get(topic).is_some() {
        return Ok(());
    }
    match create_missing(broker, vec![topic.to_owned()], |_| Ok(()))
        .await
        .remove(topic)
    {
        None => Ok(()),
        Some(error) => {
            tracing::warn!("cannot create {topic}: {}", error.message());
            Err(ErrorCode::CoordinatorNotAvailable)
        }
    }
}

fn topic(broker: &Broker, name: &str) -> CreatableTopic {
    let settings = &broker.settings;
    let config = |name: &str, value: String| CreatableTopicConfig {
        name: name.to_owned(),
        value: Some(value),
    };
    if name == TRANSACTION_TOPIC {
        let transactions = &settings.transactions;
        return CreatableTopic {
            name: name.to_owned(),
            num_partitions: transactions.topic_partitions,
            replication_factor: transactions.topic_replication_factor,
            configs: vec![
                config("unclean.leader.election.enable", "false".to_owned()),
                config("compression.type", "uncompressed".to_owned()),
                config("cleanup.policy", "compact".to_owned()),
                config(
                    "min.insync.replicas",
                    transactions.topic_min_isr.to_string(),
                ),
                config(
                    "segment.bytes",
                    transactions.topic_segment_bytes.to_string(),
                ),
            ],
            ..Default::default()
        };
    }
    if name == SHARE_STATE_TOPIC {
        let values = &settings.values;
        let of_topic = |key: &str| format!("share.coordinator.state.topic.{key}");
        return CreatableTopic {
            name: name.to_owned(),
            num_partitions: values.int(&of_topic("num.partitions")),
            replication_factor: values.short(&of_topic("replication.factor")),
            configs: vec![
                config("cleanup.policy", "delete".to_owned()),
                config("compression.type", "producer".to_owned()),
                config(
                    "segment.bytes",
                    values.int(&of_topic("segment.bytes")).to_string(),
                ),
                config(
                    "min.insync.replicas",
                    values.short(&of_topic("min.isr")).to_string(),
                ),
                config("retention.ms", "-1".to_owned()),
            ],
            ..Default::default()
        };
    }
    if name == OFFSETS_TOPIC {
        return CreatableTopic {
            name: name.to_owned(),
            num_partitions: settings.groups.offsets_topic_partitions,
            replication_factor: settings.groups.offsets_topic_replication_factor,
            configs: vec![
                config("compression.type", "producer".to_owned()),
                config("cleanup.policy", "compact".to_owned()),
                config(
                    "segment.bytes",
                    settings.groups.offsets_topic_segment_bytes.to_string(),
                ),
            ],
            ..Default::default()
        };
    }
    CreatableTopic {
        name: name.to_owned(),
        num_partitions: -1,
        replication_factor: -1,
        ..Default::default()
    }
}
