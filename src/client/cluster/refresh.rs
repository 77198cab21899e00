//! The task that keeps metadata fresh: when asked, when it grows old, never more often than the
//! retry backoff allows.
use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::Inner;
use crate::client::connection::Connection;
use crate::client::errors::{ClientError, Result};
use crate::client::metadata::ClusterMetadata;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_cluster_response::DescribeClusterBroker;
use crate::protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use crate::protocol::messages::metadata_response::MetadataResponseBroker;
use crate::protocol::messages::{DescribeClusterRequest, MetadataResponse};

/// The `endpoint_type` of DescribeCluster that asks for controllers.
const CONTROLLERS: i8 = 2;

/// After this many updates in a row that lack something, it is said, once.
const TELL_AFTER: u32 = 5;

/// The topics that metadata is kept for.
#[derive(Default)]
pub struct Wanted {
    topics: BTreeSet<Arc<str>>,
    all: bool,
}

impl Wanted {
    pub fn add(&mut self, topic: &str) {
        if !self.topics.contains(topic) {
            self.topics.insert(topic.into());
        }
    }

    pub fn remove(&mut self, topic: &str) {
        self.topics.remove(topic);
    }

    pub fn set(&mut self, topics: Vec<Arc<str>>) {
        self.all = false;
        self.topics = topics.into_iter().collect();
    }

    pub fn set_all(&mut self) {
        self.all = true;
    }

    fn keeps(&self, topic: &str) -> bool {
        self.all || self.topics.contains(topic)
    }

    /// What to ask for: `None` is everything.
    fn names(&self) -> Option<Vec<Arc<str>>> {
        (!self.all).then(|| self.topics.iter().cloned().collect())
    }
}

pub async fn run(inner: Arc<Inner>) {
    let (mut failures, mut last) = (0, None::<Instant>);
    loop {
        let age = inner.config.metadata_max_age;
        let expiry = last.map(|last| last + age);
        tokio::select! {
            () = inner.cancel.cancelled() => return,
            () = inner.refresh.notified() => {}
            () = async { tokio::time::sleep_until(expiry.unwrap_or_else(Instant::now)).await },
                if expiry.is_some() => {}
        }
        let pause = match last {
            Some(last) => (last + inner.config.retry_backoff.after(failures.max(1))).into(),
            None => None::<Instant>,
        };
        let update = async {
            if let Some(until) = pause {
                tokio::time::sleep_until(until).await;
            }
            inner.update().await
        };
        let updated = tokio::select! {
            () = inner.cancel.cancelled() => return,
            updated = update => updated,
        };
        last = Some(Instant::now());
        let refused = updated
            .as_ref()
            .err()
            .filter(|error| error.is_authentication());
        *inner.refused.lock() = refused.cloned();
        if refused.is_some() {
            // Whoever waits for metadata is to see why there is none.
            inner.updates.send_modify(|_| {});
        }
        match updated {
            // A topic or leader that is missing now may be there in a moment.
            Ok(unsettled) if !unsettled.is_empty() => {
                failures += 1;
                if failures == TELL_AFTER {
                    tracing::warn!("waiting for topics: {}", unsettled.join(", "));
                }
                inner.request_update();
            }
            Ok(_) => failures = 0,
            Err(error) => {
                tracing::debug!("metadata update failed: {error}");
                failures += 1;
                inner.request_update();
            }
        }
    }
}

impl Inner {
    /// Updates; returns what is wanted and not there yet, with the broker's reason.
    async fn update(&self) -> Result<Vec<String>> {
        let names = self.wanted.lock().names();
        let response = self
            .fetch_metadata(names.as_deref(), self.config.auto_create_topics)
            .await?;
        self.store(&response);
        let unsettled = response.topics.iter().filter_map(|topic| {
            let partitions = topic
                .partitions
                .iter()
                .map(|partition| partition.error_code);
            let mut codes = partitions
                .chain([topic.error_code])
                .map(ErrorCode::from_code);
            let code = codes.find(|code| code.invalidates_metadata())?;
            Some(format!(
                "{} ({})",
                topic.name.as_deref().unwrap_or("?"),
                code.name()
            ))
        });
        Ok(unsettled.collect())
    }

    /// Takes over a response and wakes whoever waits for it.
    pub(crate) fn store(&self, response: &MetadataResponse) {
        let updated = {
            let wanted = self.wanted.lock();
            self.metadata
                .load()
                .updated(response, |topic| wanted.keeps(topic))
        };
        let version = updated.version;
        self.metadata.store(Arc::new(updated));
        self.updates.send_replace(version);
    }

    /// One Metadata request to any broker; `None` asks for all topics.
    pub(crate) async fn fetch_metadata(
        &self,
        topics: Option<&[Arc<str>]>,
        create: bool,
    ) -> Result<MetadataResponse> {
        let connection = self.any_connection().await?;
        if self.config.controllers {
            return self.fetch_controllers(&connection).await;
        }
        let version = connection.version::<MetadataRequest>()?;
        let named = |name: &Arc<str>| MetadataRequestTopic {
            name: Some(name.to_string()),
            ..Default::default()
        };
        let mut request = MetadataRequest {
            topics: topics.map(|topics| topics.iter().map(named).collect()),
            ..Default::default()
        };
        if version == 0 {
            // In version 0 an empty list means all topics, and there is no null.
            request.topics.get_or_insert_default();
        }
        // Versions before 4 always create; the field is not ignorable there.
        request.allow_auto_topic_creation = create || version < 4;
        let response = connection
            .send(&request, version, self.config.request_timeout)
            .await?;
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None if response.brokers.is_empty() => Err(ClientError::disconnected(
                "the broker knows no live brokers yet",
            )),
            ErrorCode::None => Ok(response),
            code => {
                if code == ErrorCode::RebootstrapRequired && self.config.rebootstrap_after.is_some()
                {
                    self.forget_brokers();
                }
                Err(ClientError::broker(code, None))
            }
        }
    }

    /// Controllers know of no topics: what they say of themselves, in the shape of metadata.
    async fn fetch_controllers(&self, connection: &Connection) -> Result<MetadataResponse> {
        let version = connection.version::<DescribeClusterRequest>()?;
        let request = DescribeClusterRequest {
            endpoint_type: if version >= 1 { CONTROLLERS } else { 1 },
            ..Default::default()
        };
        let response = connection
            .send(&request, version, self.config.request_timeout)
            .await?;
        ClientError::check(response.error_code, response.error_message.as_deref())?;
        let node = |node: DescribeClusterBroker| MetadataResponseBroker {
            node_id: node.broker_id,
            host: node.host,
            port: node.port,
            rack: node.rack,
        };
        Ok(MetadataResponse {
            brokers: response.brokers.into_iter().map(node).collect(),
            cluster_id: Some(response.cluster_id),
            controller_id: response.controller_id,
            ..Default::default()
        })
    }

    /// Without known brokers the bootstrap addresses are asked again (KIP-1102).
    fn forget_brokers(&self) {
        let mut metadata = ClusterMetadata::clone(&self.metadata.load());
        metadata.brokers.clear();
        self.metadata.store(Arc::new(metadata));
    }
}
