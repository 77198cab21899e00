//! Joining a generation: JoinGroup, the leader's assignment, SyncGroup.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::member::{Member, moved};
use super::metadata::{
    Subscription, decode_assignment, decode_subscription, encode_assignment, encode_subscription,
};
use crate::client::TopicPartition;
use crate::client::config::AssignorKind;
use crate::client::consumer::assignor::Members;
use crate::client::errors::{ClientError, Result};
use crate::protocol::ErrorCode;
use crate::protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use crate::protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use crate::protocol::messages::{JoinGroupResponse, SyncGroupResponse};

const PROTOCOL_TYPE: &str = "consumer";
/// Beyond the rebalance timeout, in which the coordinator answers a join.
const JOIN_MARGIN: Duration = Duration::from_secs(5);

impl Member {
    /// Joins until the coordinator names a generation; returns this member's partitions.
    pub(super) async fn join_group(
        &mut self,
        subscription: &Subscription,
    ) -> Result<Vec<TopicPartition>> {
        let joined = loop {
            let response = self.send_join(subscription).await?;
            match ErrorCode::from_code(response.error_code) {
                ErrorCode::None => break response,
                // The id comes first, so that members that never return leave no ghosts (KIP-394).
                ErrorCode::MemberIdRequired => {
                    self.set_identity(response.member_id, super::NO_GENERATION);
                }
                code => {
                    if matches!(
                        code,
                        ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration
                    ) {
                        self.forget_generation();
                    }
                    return Err(ClientError::broker(code, None));
                }
            }
        };
        self.set_identity(joined.member_id.clone(), joined.generation_id);
        let leads = joined.leader == joined.member_id;
        self.led = None;
        let assignments = match leads && !joined.skip_assignment {
            true => self.assign(&joined).await?,
            false => Vec::new(),
        };
        let synced = self.send_sync(&joined, assignments).await?;
        match ErrorCode::from_code(synced.error_code) {
            ErrorCode::None => decode_assignment(synced.assignment),
            code => {
                if matches!(
                    code,
                    ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration
                ) {
                    self.forget_generation();
                }
                Err(ClientError::broker(code, None))
            }
        }
    }

    async fn send_join(&self, subscription: &Subscription) -> Result<JoinGroupResponse> {
        let identity = self.identity();
        let mut protocols = Vec::new();
        for kind in &self.config.assignors {
            let rack = &self.config.rack;
            protocols.push(JoinGroupRequestProtocol {
                name: kind.name().to_owned(),
                metadata: encode_subscription(*kind, subscription, identity.generation, rack)?,
            });
        }
        let ms = |duration: Duration| i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
        let instance = self.config.group_instance_id.as_deref();
        let build = |version: i16| {
            let mut request = JoinGroupRequest {
                group_id: self.group_id.to_string(),
                session_timeout_ms: ms(self.config.session_timeout),
                member_id: identity.member_id.clone(),
                protocol_type: PROTOCOL_TYPE.to_owned(),
                protocols: protocols.clone(),
                ..Default::default()
            };
            if version >= 1 {
                request.rebalance_timeout_ms = ms(self.config.poll_interval_max);
            }
            if version >= 5 {
                request.group_instance_id = instance.map(str::to_owned);
            }
            request
        };
        // The coordinator answers when all members are there or the rebalance timeout has passed.
        let patience = self.config.poll_interval_max.saturating_add(JOIN_MARGIN);
        let mut options = self.call_options("joinGroup", patience);
        options.request_timeout = options.request_timeout.max(patience);
        let verdict = |response: &JoinGroupResponse| moved(response.error_code);
        self.client
            .call(options, self.coordinator(), build, verdict)
            .await
    }

    /// The leader's duty: everyone's partitions.
    async fn assign(&mut self, joined: &JoinGroupResponse) -> Result<Vec<(String, Bytes)>> {
        let name = joined.protocol_name.as_deref().unwrap_or_default();
        let kind = self
            .config
            .assignors
            .iter()
            .copied()
            .find(|kind| kind.name() == name);
        let Some(kind) = kind else {
            let text = format!("the group chose the assignor {name:?}, which was not offered");
            return Err(ClientError::protocol(text));
        };
        let mut members = Members::new();
        for member in &joined.members {
            let mut subscription = decode_subscription(kind, member.metadata.clone())?;
            subscription
                .group_instance_id
                .clone_from(&member.group_instance_id);
            members.insert(member.member_id.clone(), subscription);
        }
        let mut counts = self.partition_counts(&members).await?;
        self.led = Some(counts.clone());
        counts.retain(|_, count| *count > 0);
        let assignment = kind.assign(&members, &counts);
        let encoded = assignment
            .into_iter()
            .map(|(id, partitions)| Ok((id, encode_assignment(&partitions)?)));
        encoded.collect()
    }

    /// Partitions of every topic of the group; none for topics that do not exist (yet).
    async fn partition_counts(&self, members: &Members) -> Result<BTreeMap<Arc<str>, usize>> {
        let topics: Vec<Arc<str>> = members.values().flat_map(|m| m.topics.clone()).collect();
        self.client.want_topics(topics.iter().map(|topic| &**topic));
        let deadline = Instant::now() + self.config.client.request_timeout;
        let late = || "the topics of the group are not in the metadata yet".to_owned();
        self.client
            .wait_for(deadline, late, |metadata| {
                let mut counts = BTreeMap::new();
                for topic in &topics {
                    let Some(found) = metadata.topic(topic) else {
                        return Ok(None);
                    };
                    counts.insert(topic.clone(), found.partitions.len());
                }
                Ok(Some(counts))
            })
            .await
    }

    async fn send_sync(
        &self,
        joined: &JoinGroupResponse,
        assignments: Vec<(String, Bytes)>,
    ) -> Result<SyncGroupResponse> {
        let instance = self.config.group_instance_id.as_deref();
        let build = |version: i16| {
            let mut request = SyncGroupRequest {
                group_id: self.group_id.to_string(),
                generation_id: joined.generation_id,
                member_id: joined.member_id.clone(),
                ..Default::default()
            };
            let assigned = assignments.iter().cloned();
            request.assignments = assigned
                .map(|(member_id, assignment)| SyncGroupRequestAssignment {
                    member_id,
                    assignment,
                })
                .collect();
            if version >= 3 {
                request.group_instance_id = instance.map(str::to_owned);
            }
            if version >= 5 {
                request.protocol_type = Some(PROTOCOL_TYPE.to_owned());
                request.protocol_name.clone_from(&joined.protocol_name);
            }
            request
        };
        let patience = self.config.poll_interval_max.saturating_add(JOIN_MARGIN);
        let mut options = self.call_options("syncGroup", patience);
        options.request_timeout = options.request_timeout.max(patience);
        let verdict = |response: &SyncGroupResponse| moved(response.error_code);
        self.client
            .call(options, self.coordinator(), build, verdict)
            .await
    }
}

/// Whether all assignors let members keep their partitions while they rejoin.
pub(in crate::client::consumer) fn is_cooperative(assignors: &[AssignorKind]) -> bool {
    assignors.iter().all(|kind| kind.is_cooperative())
}
