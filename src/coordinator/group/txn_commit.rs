//! TxnOffsetCommit: offsets that count once a producer's transaction commits.
use super::classic::State;
use super::record::{CommittedOffset, GroupRecord};
use super::shard::{GroupDecision, GroupReply, GroupShard};
use super::stored::StoredGroup;
use crate::coordinator::shard::{Now, Token, Transactional};
use crate::protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use crate::protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use crate::protocol::{ErrorCode, Uuid};

impl GroupShard {
    pub(super) fn txn_offset_commit(
        &self,
        now: Now,
        token: Token,
        request: &TxnOffsetCommitRequest,
        verification: Option<u64>,
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        if let Err(error) = self.validate_txn_commit(request) {
            let response = txn_commit_error(request, error);
            out.answer(token, GroupReply::TxnOffsetCommit(response));
            return out;
        }
        let mut response = TxnOffsetCommitResponse::default();
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let metadata = partition.committed_metadata.as_deref();
                let error = if self.metadata_is_too_large(metadata) {
                    ErrorCode::OffsetMetadataTooLarge
                } else {
                    let value = CommittedOffset {
                        offset: partition.committed_offset,
                        leader_epoch: partition.committed_leader_epoch,
                        metadata: metadata.unwrap_or_default().to_owned(),
                        commit_timestamp_ms: now.wall_ms,
                        expire_timestamp_ms: None,
                        // No version of the request names topics by id.
                        topic_id: Uuid::ZERO,
                    };
                    out.records.push(GroupRecord::OffsetCommit {
                        group: request.group_id.clone(),
                        topic: topic.name.clone(),
                        partition: partition.partition_index,
                        value: Some(value),
                    });
                    ErrorCode::None
                };
                partitions.push(answered(partition.partition_index, error));
            }
            response.topics.push(TxnOffsetCommitResponseTopic {
                name: topic.name.clone(),
                partitions,
            });
        }
        out.transaction = Some(Transactional {
            producer_id: request.producer_id,
            producer_epoch: request.producer_epoch,
            verification,
        });
        out.answer(token, GroupReply::TxnOffsetCommit(response));
        out
    }

    /// Producers of before KIP-447 do not say which member they commit for; what they say is
    /// checked.
    fn validate_txn_commit(&self, request: &TxnOffsetCommitRequest) -> Result<(), ErrorCode> {
        let (member_id, epoch) = (request.member_id.as_str(), request.generation_id);
        let instance_id = request.group_instance_id.as_deref();
        let is_anonymous = epoch < 0 && member_id.is_empty() && instance_id.is_none();
        let live = self.live.get(&request.group_id);
        // Kafka tells members of consumer groups no more than those of classic ones.
        let as_classic = |error| match error {
            ErrorCode::StaleMemberEpoch => ErrorCode::IllegalGeneration,
            other => other,
        };
        match self.stored.groups.get(&request.group_id) {
            Some(StoredGroup::Consumer(_)) if is_anonymous => Ok(()),
            Some(StoredGroup::Consumer(group)) => {
                let image = &self.image;
                let partitions = request.topics.iter().flat_map(|topic| {
                    let id = image.topics.id_of(&topic.name).unwrap_or_default();
                    let partitions = topic.partitions.iter();
                    partitions.map(move |partition| (id, partition.partition_index))
                });
                // Every version may be used by every kind of member.
                group
                    .validate_commit(i16::MAX, member_id, epoch, partitions)
                    .map_err(as_classic)
            }
            // Its offsets are the share coordinator's.
            Some(StoredGroup::Share(_)) => Err(ErrorCode::GroupIdNotFound),
            Some(StoredGroup::Streams(_)) if is_anonymous => Ok(()),
            Some(StoredGroup::Streams(group)) => {
                let partitions = request.topics.iter().flat_map(|topic| {
                    let partitions = topic.partitions.iter();
                    partitions.map(move |p| (topic.name.as_str(), p.partition_index))
                });
                group
                    .validate_commit(i16::MAX, member_id, epoch, partitions)
                    .map_err(as_classic)
            }
            None if live.is_none() && epoch >= 0 => Err(ErrorCode::IllegalGeneration),
            _ => {
                let state = live.map_or(State::Empty, |group| group.state);
                if is_anonymous || (epoch < 0 && state == State::Empty) {
                    return Ok(());
                }
                let group = live.ok_or(ErrorCode::UnknownMemberId)?;
                group.validate_member(member_id, instance_id)?;
                match group.generation == epoch {
                    true => Ok(()),
                    false => Err(ErrorCode::IllegalGeneration),
                }
            }
        }
    }
}

/// The same error for every partition.
pub fn txn_commit_error(
    request: &TxnOffsetCommitRequest,
    error: ErrorCode,
) -> TxnOffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter();
        TxnOffsetCommitResponseTopic {
            name: topic.name.clone(),
            partitions: partitions
                .map(|partition| answered(partition.partition_index, error))
                .collect(),
        }
    });
    TxnOffsetCommitResponse {
        topics: topics.collect(),
        ..TxnOffsetCommitResponse::default()
    }
}

fn answered(partition_index: i32, error: ErrorCode) -> TxnOffsetCommitResponsePartition {
    TxnOffsetCommitResponsePartition {
        partition_index,
        error_code: error.code(),
    }
}
