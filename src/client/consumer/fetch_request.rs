//! Fetch requests out of sessions, and what an answer says about one partition.
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::time::Instant;

use super::completed::{Completed, CompletedFacts};
use super::fetcher::{Fetcher, TOPICS_BY_NAME, fatal, is_transient};
use super::positions::PartitionState;
use super::session::{Asked, SessionRequest};
use crate::client::TopicPartition;
use crate::client::config::{AutoOffsetReset, ConsumerConfig, IsolationLevel};
use crate::client::connection::Connection;
use crate::client::errors::{ClientError, Result};
use crate::protocol::messages::FetchRequest;
use crate::protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use crate::protocol::messages::fetch_response::PartitionData;
use crate::protocol::{ErrorCode, Str, Uuid};

/// The request of a session, and the version to send it in.
pub(super) fn build(
    config: &ConsumerConfig,
    connection: &Connection,
    by_id: bool,
    session: SessionRequest,
) -> Result<(FetchRequest, i16)> {
    let newest = if by_id { i16::MAX } else { TOPICS_BY_NAME };
    let version = connection.version_up_to::<FetchRequest>(newest)?;
    let mut request = FetchRequest {
        max_wait_ms: i32::try_from(config.fetch_wait_max.as_millis()).unwrap_or(i32::MAX),
        min_bytes: config.fetch_bytes_min,
        max_bytes: config.fetch_bytes_max,
        isolation_level: config.isolation_level.code(),
        ..Default::default()
    };
    if version >= 7 {
        (request.session_id, request.session_epoch) = (session.id, session.epoch);
        request.forgotten_topics_data = forgotten(session.forget, version);
    }
    if version >= 11 {
        request.rack_id = Str::from(config.rack.as_str());
    }
    let mut topics: BTreeMap<Arc<str>, FetchTopic> = BTreeMap::new();
    for (name, asked) in session.ask {
        let topic = topics.entry(name.topic.clone()).or_insert_with(|| {
            let mut topic = FetchTopic::default();
            if version > TOPICS_BY_NAME {
                topic.topic_id = asked.topic_id;
            } else {
                topic.topic = Str::from(&*name.topic);
            }
            topic
        });
        topic.partitions.push(FetchPartition {
            partition: name.partition,
            current_leader_epoch: if version >= 9 { asked.leader_epoch } else { -1 },
            fetch_offset: asked.offset,
            partition_max_bytes: config.partition_fetch_bytes_max,
            ..Default::default()
        });
    }
    request.topics = topics.into_values().collect();
    Ok((request, version))
}

fn forgotten(partitions: Vec<(TopicPartition, Uuid)>, version: i16) -> Vec<ForgottenTopic> {
    let mut topics: BTreeMap<(Arc<str>, [u8; 16]), ForgottenTopic> = BTreeMap::new();
    for (name, id) in partitions {
        let topic = topics
            .entry((name.topic.clone(), *id.as_bytes()))
            .or_insert_with(|| {
                let mut topic = ForgottenTopic::default();
                if version > TOPICS_BY_NAME {
                    topic.topic_id = id;
                } else {
                    topic.topic = Str::from(&*name.topic);
                }
                topic
            });
        topic.partitions.push(name.partition);
    }
    topics.into_values().collect()
}

/// Names of the asked topics by id, for answers that know only ids.
pub(super) fn names_by_id(asked: &BTreeMap<TopicPartition, Asked>) -> HashMap<Uuid, Arc<str>> {
    asked
        .iter()
        .map(|(name, asked)| (asked.topic_id, name.topic.clone()))
        .collect()
}

impl Fetcher {
    /// Takes the answer for one partition; `state` is as it was when the fetch was sent.
    pub(super) fn take(
        &mut self,
        name: &TopicPartition,
        asked: &Asked,
        state: &mut PartitionState,
        data: PartitionData,
        now: Instant,
    ) -> Result<()> {
        let code = ErrorCode::from_code(data.error_code);
        if code != ErrorCode::None {
            return self.take_error(name, state, code, now);
        }
        if data.high_watermark >= 0 {
            state.high_watermark = Some(data.high_watermark);
        }
        if data.last_stable_offset >= 0 {
            state.last_stable_offset = Some(data.last_stable_offset);
        }
        if data.log_start_offset >= 0 {
            state.log_start_offset = Some(data.log_start_offset);
        }
        if data.preferred_read_replica >= 0 {
            let until = now + self.client().config().metadata_max_age;
            state.preferred_replica = Some((data.preferred_read_replica, until));
            return Ok(());
        }
        let records = data.records.and_then(|records| records.as_bytes().cloned());
        let Some(records) = records.filter(|records| !records.is_empty()) else {
            return Ok(());
        };
        let aborted = data.aborted_transactions.unwrap_or_default();
        let facts = CompletedFacts {
            high_watermark: data.high_watermark,
            last_stable_offset: data.last_stable_offset,
            log_start_offset: data.log_start_offset,
            aborted: aborted
                .iter()
                .map(|a| (a.producer_id, a.first_offset))
                .collect(),
        };
        let committed = self.config.isolation_level == IsolationLevel::ReadCommitted;
        let how = (self.config.check_crcs, committed);
        let completed =
            Completed::new(name.clone(), asked.seeks, asked.offset, records, facts, how);
        // A damaged batch is reported when its turn comes; nothing is fetched behind it.
        state.fetch_offset = completed.end_offset().unwrap_or(asked.offset);
        state.buffered_bytes += completed.bytes();
        self.buffered_bytes += completed.bytes();
        self.buffered.push_back(completed);
        Ok(())
    }

    fn take_error(
        &mut self,
        name: &TopicPartition,
        state: &mut PartitionState,
        code: ErrorCode,
        now: Instant,
    ) -> Result<()> {
        if code == ErrorCode::OffsetOutOfRange {
            return self.out_of_range(name, state);
        }
        if !is_transient(code) {
            return Err(fatal(name, code));
        }
        tracing::debug!("fetching from {name}: {}", code.name());
        if code.invalidates_metadata() || code == ErrorCode::UnknownServerError {
            self.client().request_update();
        }
        state.preferred_replica = None;
        state.retry_at = Some(now + self.client().config().retry_backoff.first);
        Ok(())
    }

    fn out_of_range(&mut self, name: &TopicPartition, state: &mut PartitionState) -> Result<()> {
        if state.preferred_replica.take().is_some() {
            // A follower may be behind: ask the leader.
            return Ok(());
        }
        if state.buffered_bytes > 0 {
            // Records before it wait for the application; look again after them.
            state.fetch_offset = state.position.map_or(0, |position| position.offset);
            state.retry_at = Some(Instant::now() + self.client().config().retry_backoff.first);
            return Ok(());
        }
        let offset = state.position.map_or(-1, |position| position.offset);
        if self.config.auto_offset_reset == AutoOffsetReset::None {
            return Err(ClientError::NoOffset(
                format!(
                    "Fetch position {offset} is out of range for partition {name} and \
                     auto.offset.reset is none"
                )
                .into(),
            ));
        }
        tracing::info!("fetch position {offset} is out of range for {name}, resetting offset");
        state.ask_reset(self.config.auto_offset_reset);
        Ok(())
    }
}
