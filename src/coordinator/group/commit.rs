//! OffsetCommit and OffsetDelete: who may write a group's offsets, and the records that do.
use super::classic::State;
use super::record::{CommittedOffset, GroupRecord};
use super::shard::{GroupDecision, GroupReply, GroupShard};
use super::stored::StoredGroup;
use super::timers::TimerKey;
use crate::coordinator::shard::{Now, Token};
use crate::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use crate::protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use crate::protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
};
use crate::protocol::{ErrorCode, Uuid};

/// From this version on a missing group is GROUP_ID_NOT_FOUND; and members of modern groups need
/// it.
const MEMBER_EPOCH_FROM: i16 = 9;
/// OffsetCommit 2-4: keep the offset for as long as the broker says.
const DEFAULT_RETENTION: i64 = -1;

impl GroupShard {
    /// The topics' ids, if the handler above knows them, are stored with the offsets.
    pub(super) fn offset_commit(
        &mut self,
        now: Now,
        token: Token,
        api_version: i16,
        request: &OffsetCommitRequest,
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        if let Err(error) = self.validate_commit(api_version, request) {
            out.answer(
                token,
                GroupReply::OffsetCommit(commit_error(request, error)),
            );
            return out;
        }
        self.commit_keeps_session(now, request);
        let expire_timestamp_ms = match request.retention_time_ms {
            DEFAULT_RETENTION => None,
            retention => Some(now.wall_ms.saturating_add(retention)),
        };
        let mut response = OffsetCommitResponse::default();
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let error = if self.metadata_is_too_large(partition.committed_metadata.as_deref()) {
                    ErrorCode::OffsetMetadataTooLarge
                } else {
                    let value = CommittedOffset {
                        offset: partition.committed_offset,
                        leader_epoch: partition.committed_leader_epoch,
                        metadata: partition.committed_metadata.clone().unwrap_or_default(),
                        commit_timestamp_ms: now.wall_ms,
                        expire_timestamp_ms,
                        topic_id: topic.topic_id,
                    };
                    out.records.push(GroupRecord::OffsetCommit {
                        group: request.group_id.clone(),
                        topic: topic.name.clone(),
                        partition: partition.partition_index,
                        value: Some(value),
                    });
                    ErrorCode::None
                };
                partitions.push(committed(partition, error));
            }
            response.topics.push(committed_topic(topic, partitions));
        }
        out.answer(token, GroupReply::OffsetCommit(response));
        out
    }

    /// Kafka counts UTF-16 units against a limit in bytes.
    pub(super) fn metadata_is_too_large(&self, metadata: Option<&str>) -> bool {
        let max = usize::try_from(self.config.offset_metadata_max_bytes).unwrap_or(0);
        metadata.is_some_and(|metadata| metadata.encode_utf16().count() > max)
    }

    fn validate_commit(
        &self,
        api_version: i16,
        request: &OffsetCommitRequest,
    ) -> Result<(), ErrorCode> {
        let epoch = request.generation_id_or_member_epoch;
        let member_id = request.member_id.as_str();
        let instance_id = request.group_instance_id.as_deref();
        match self.stored.groups.get(&request.group_id) {
            Some(StoredGroup::Streams(group)) => {
                let partitions = request.topics.iter().flat_map(|topic| {
                    let fitting = self.fitting(topic);
                    fitting.map(|partition| (topic.name.as_str(), partition))
                });
                group.validate_commit(api_version, member_id, epoch, partitions)
            }
            // Its offsets are the share coordinator's.
            Some(StoredGroup::Share(_)) => Err(ErrorCode::GroupIdNotFound),
            Some(StoredGroup::Consumer(group)) => {
                let partitions = request.topics.iter().flat_map(|topic| {
                    let fitting = self.fitting(topic);
                    fitting.map(|partition| (topic.topic_id, partition))
                });
                group.validate_commit(api_version, member_id, epoch, partitions)
            }
            None if !self.live.contains_key(&request.group_id) => match epoch {
                // Offsets without membership: the group comes into being by this.
                ..0 => Ok(()),
                _ if api_version >= MEMBER_EPOCH_FROM => Err(ErrorCode::GroupIdNotFound),
                _ => Err(ErrorCode::IllegalGeneration),
            },
            None | Some(StoredGroup::Simple | StoredGroup::Classic(_)) => {
                self.validate_classic_commit(&request.group_id, member_id, instance_id, epoch)
            }
        }
    }

    /// What is refused for its own reason is not looked at.
    fn fitting<'a>(
        &'a self,
        topic: &'a OffsetCommitRequestTopic,
    ) -> impl Iterator<Item = i32> + 'a {
        let partitions = topic.partitions.iter().filter(|partition| {
            !self.metadata_is_too_large(partition.committed_metadata.as_deref())
        });
        partitions.map(|partition| partition.partition_index)
    }

    fn validate_classic_commit(
        &self,
        group_id: &str,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        let group = self.live.get(group_id);
        let state = group.map_or(State::Empty, |group| group.state);
        if generation < 0 && state == State::Empty {
            return Ok(());
        }
        if generation < 0 && member_id.is_empty() && instance_id.is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        let group = group.ok_or(ErrorCode::UnknownMemberId)?;
        group.validate_member(member_id, instance_id)?;
        if generation != group.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        match state {
            // The member has its generation but no assignment yet: it is to rejoin, not to give up.
            State::CompletingRebalance => Err(ErrorCode::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// A member that commits is alive.
    fn commit_keeps_session(&mut self, now: Now, request: &OffsetCommitRequest) {
        let Some(group) = self.live.get(&request.group_id) else {
            return;
        };
        if !matches!(group.state, State::Stable | State::PreparingRebalance) {
            return;
        }
        if let Some(member) = group.members.get(&request.member_id) {
            let key = TimerKey::Session(request.group_id.clone(), request.member_id.clone());
            let deadline = now.monotonic_ms + i64::from(member.session_timeout_ms);
            self.timers.set(key, deadline);
        }
    }

    pub(super) fn offset_delete(
        &mut self,
        token: Token,
        request: &OffsetDeleteRequest,
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        if let Err(error) = self.validate_offset_delete(&request.group_id) {
            let response = OffsetDeleteResponse {
                error_code: error.code(),
                ..Default::default()
            };
            out.answer(token, GroupReply::OffsetDelete(response));
            return out;
        }
        let mut response = OffsetDeleteResponse::default();
        for topic in &request.topics {
            response
                .topics
                .push(self.delete_topic_offsets(&request.group_id, topic, &mut out));
        }
        out.answer(token, GroupReply::OffsetDelete(response));
        out
    }

    fn validate_offset_delete(&self, group_id: &str) -> Result<(), ErrorCode> {
        match self.stored.groups.get(group_id) {
            Some(StoredGroup::Share(_)) => Err(ErrorCode::GroupIdNotFound),
            Some(StoredGroup::Consumer(_) | StoredGroup::Streams(_)) => Ok(()),
            None if !self.live.contains_key(group_id) => Err(ErrorCode::GroupIdNotFound),
            _ => match self.live.get(group_id) {
                Some(group) if group.state != State::Empty && !group.uses_consumer_protocol() => {
                    Err(ErrorCode::NonEmptyGroup)
                }
                _ => Ok(()),
            },
        }
    }

    fn delete_topic_offsets(
        &self,
        group_id: &str,
        topic: &OffsetDeleteRequestTopic,
        out: &mut GroupDecision,
    ) -> OffsetDeleteResponseTopic {
        let subscribed = match (self.live.get(group_id), self.stored.groups.get(group_id)) {
            (Some(group), _) => group.is_subscribed_to(&topic.name),
            (None, Some(StoredGroup::Consumer(group))) => group.is_subscribed_to(&topic.name),
            (None, Some(StoredGroup::Streams(group))) => group.is_subscribed_to(&topic.name),
            (None, _) => false,
        };
        let offsets = &self.stored.offsets;
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let exists = offsets.get(group_id, &topic.name, index).is_some()
                || offsets.is_pending(group_id, &topic.name, index);
            if exists && !subscribed {
                out.records
                    .push(GroupRecord::offset_tombstone(group_id, &topic.name, index));
            }
            let error = if subscribed {
                ErrorCode::GroupSubscribedToTopic
            } else {
                ErrorCode::None
            };
            partitions.push(OffsetDeleteResponsePartition {
                partition_index: index,
                error_code: error.code(),
            });
        }
        OffsetDeleteResponseTopic {
            name: topic.name.clone(),
            partitions,
        }
    }

    /// Offsets of a topic that is gone. One that was made anew under the same name keeps what was
    /// committed for it.
    pub(super) fn topics_deleted(&self, topics: &[(String, Uuid)]) -> GroupDecision {
        let mut out = GroupDecision {
            atomic: false,
            ..Default::default()
        };
        for (name, id) in topics {
            for (group, partition, committed) in self.stored.offsets.of_topic(name) {
                if committed.topic_id == Uuid::ZERO
                    || *id == Uuid::ZERO
                    || committed.topic_id == *id
                {
                    out.records
                        .push(GroupRecord::offset_tombstone(group, name, partition));
                }
            }
        }
        self.forget_share_topics(topics, &mut out);
        out
    }
}

/// The same error for every partition.
pub fn commit_error(request: &OffsetCommitRequest, error: ErrorCode) -> OffsetCommitResponse {
    let topic = |topic: &OffsetCommitRequestTopic| {
        let partitions = topic
            .partitions
            .iter()
            .map(|partition| committed(partition, error));
        committed_topic(topic, partitions.collect())
    };
    OffsetCommitResponse {
        topics: request.topics.iter().map(topic).collect(),
        ..OffsetCommitResponse::default()
    }
}

fn committed(
    partition: &OffsetCommitRequestPartition,
    error: ErrorCode,
) -> OffsetCommitResponsePartition {
    OffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code: error.code(),
    }
}

fn committed_topic(
    topic: &OffsetCommitRequestTopic,
    partitions: Vec<OffsetCommitResponsePartition>,
) -> OffsetCommitResponseTopic {
    OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions,
    }
}
