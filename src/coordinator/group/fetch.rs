//! OffsetFetch: one group at a time, as versions 8 and later ask. `for_old_versions` makes one of
//! an older request.
use super::offsets::StoredOffset;
use super::record::CommittedOffset;
use super::shard::{GroupDecision, GroupReply, GroupShard};
use super::stored::StoredGroup;
use crate::coordinator::shard::Token;
use crate::protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use crate::protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use crate::protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use crate::protocol::{ErrorCode, Uuid};

const INVALID_OFFSET: i64 = -1;
const NO_LEADER_EPOCH: i32 = -1;

impl GroupShard {
    pub(super) fn offset_fetch(
        &self,
        token: Token,
        request: &OffsetFetchRequestGroup,
        require_stable: bool,
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        let response = match self.validate_fetch(request) {
            Ok(known) => OffsetFetchResponseGroup {
                group_id: request.group_id.clone(),
                topics: match &request.topics {
                    Some(topics) => {
                        let topic = |topic| self.fetch_topic(request, topic, known, require_stable);
                        topics.iter().map(topic).collect()
                    }
                    None if known => self.fetch_all(&request.group_id, require_stable),
                    None => Vec::new(),
                },
                error_code: ErrorCode::None.code(),
            },
            Err(error) => fetch_error(&request.group_id, error),
        };
        out.answer(token, GroupReply::OffsetFetch(response));
        out
    }

    /// Whether the group has offsets to give; a group that does not exist is no error.
    fn validate_fetch(&self, request: &OffsetFetchRequestGroup) -> Result<bool, ErrorCode> {
        match self.stored.groups.get(&request.group_id) {
            // Its offsets are the share coordinator's.
            Some(StoredGroup::Share(_)) => Ok(false),
            Some(StoredGroup::Streams(group)) => group
                .validate_fetch(request.member_id.as_deref(), request.member_epoch)
                .map(|()| true),
            Some(StoredGroup::Consumer(group)) => group
                .validate_fetch(request.member_id.as_deref(), request.member_epoch)
                .map(|()| true),
            Some(StoredGroup::Simple | StoredGroup::Classic(_)) => Ok(true),
            None => Ok(self.live.contains_key(&request.group_id)),
        }
    }

    fn fetch_topic(
        &self,
        request: &OffsetFetchRequestGroup,
        topic: &OffsetFetchRequestTopics,
        group_is_known: bool,
        require_stable: bool,
    ) -> OffsetFetchResponseTopics {
        let group = request.group_id.as_str();
        let offsets = &self.stored.offsets;
        let partition = |&index: &i32| {
            if require_stable && offsets.is_pending(group, &topic.name, index) {
                return unstable(index);
            }
            let committed = offsets.get(group, &topic.name, index);
            let of_this_topic = |offset: &&CommittedOffset| {
                offset.topic_id == Uuid::ZERO
                    || topic.topic_id == Uuid::ZERO
                    || offset.topic_id == topic.topic_id
            };
            match committed.filter(of_this_topic).filter(|_| group_is_known) {
                Some(committed) => fetched(index, committed),
                None => without_offset(index, ErrorCode::None),
            }
        };
        OffsetFetchResponseTopics {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partition_indexes.iter().map(partition).collect(),
        }
    }

    fn fetch_all(&self, group: &str, require_stable: bool) -> Vec<OffsetFetchResponseTopics> {
        let offsets = &self.stored.offsets;
        let mut topics = Vec::new();
        for (name, partitions) in offsets.group(group).into_iter().flatten() {
            let partition = |(&index, stored): (&i32, &StoredOffset)| {
                if require_stable && offsets.is_pending(group, name, index) {
                    unstable(index)
                } else {
                    fetched(index, &stored.committed)
                }
            };
            topics.push(OffsetFetchResponseTopics {
                name: name.clone(),
                partitions: partitions.iter().map(partition).collect(),
                ..OffsetFetchResponseTopics::default()
            });
        }
        topics
    }
}

pub fn fetch_error(group_id: &str, error: ErrorCode) -> OffsetFetchResponseGroup {
    OffsetFetchResponseGroup {
        group_id: group_id.into(),
        error_code: error.code(),
        ..OffsetFetchResponseGroup::default()
    }
}

fn fetched(index: i32, committed: &CommittedOffset) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: committed.offset,
        committed_leader_epoch: committed.leader_epoch,
        metadata: Some(committed.metadata.clone()),
        error_code: ErrorCode::None.code(),
    }
}

fn unstable(index: i32) -> OffsetFetchResponsePartitions {
    without_offset(index, ErrorCode::UnstableOffsetCommit)
}

fn without_offset(index: i32, error: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: INVALID_OFFSET,
        committed_leader_epoch: NO_LEADER_EPOCH,
        metadata: Some(String::new()),
        error_code: error.code(),
    }
}

/// The one group that a request of versions 1-7 asks for. Version 1 has no "all topics": an empty
/// list is empty.
pub fn from_old_request(request: &OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.as_ref().map(|topics| {
        let topic =
            |topic: &crate::protocol::messages::offset_fetch_request::OffsetFetchRequestTopic| {
                OffsetFetchRequestTopics {
                    name: topic.name.clone(),
                    partition_indexes: topic.partition_indexes.clone(),
                    ..OffsetFetchRequestTopics::default()
                }
            };
        topics.iter().map(topic).collect()
    });
    OffsetFetchRequestGroup {
        group_id: request.group_id.clone(),
        topics,
        ..OffsetFetchRequestGroup::default()
    }
}

/// The response of versions 1-7. Version 1 has no error for the whole: each partition asked for
/// gets it.
pub fn to_old_response(
    version: i16,
    asked: &OffsetFetchRequestGroup,
    group: OffsetFetchResponseGroup,
) -> OffsetFetchResponse {
    let mut response = OffsetFetchResponse::default();
    let partition = |p: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: p.partition_index,
        committed_offset: p.committed_offset,
        committed_leader_epoch: p.committed_leader_epoch,
        metadata: p.metadata,
        error_code: p.error_code,
    };
    let mut topics = group.topics;
    let error = ErrorCode::from_code(group.error_code);
    if error != ErrorCode::None {
        if version >= 2 {
            response.error_code = group.error_code;
        } else {
            let failed = |topic: &OffsetFetchRequestTopics| OffsetFetchResponseTopics {
                name: topic.name.clone(),
                partitions: topic
                    .partition_indexes
                    .iter()
                    .map(|index| without_offset(*index, error))
                    .collect(),
                ..OffsetFetchResponseTopics::default()
            };
            topics = asked.topics.iter().flatten().map(failed).collect();
        }
    }
    response.topics = topics
        .into_iter()
        .map(|topic| OffsetFetchResponseTopic {
            name: topic.name,
            partitions: topic.partitions.into_iter().map(partition).collect(),
        })
        .collect();
    response
}
