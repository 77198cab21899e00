//! AlterShareGroupOffsets and DeleteShareGroupOffsets, and what has to be forgotten before a group is
//! deleted. Offsets are in the share coordinator's states; here it is said which of them there are.
use std::collections::{BTreeMap, BTreeSet};

use super::initialize::name_of;
use super::state::{NamedPartitions, ShareGroup, SharePartitions};
use super::{Deletion, InitializeState, Refusal, ShareReply};
use crate::coordinator::group::shard::{GroupDecision, GroupShard};
use crate::coordinator::shard::Now;
use crate::protocol::messages::alter_share_group_offsets_request::AlterShareGroupOffsetsRequestTopic;
use crate::protocol::messages::alter_share_group_offsets_response::{
    AlterShareGroupOffsetsResponsePartition, AlterShareGroupOffsetsResponseTopic,
};
use crate::protocol::messages::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic;
use crate::protocol::messages::{
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse, DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse,
};
use crate::protocol::{ErrorCode, Uuid};

fn not_empty() -> Refusal {
    let error = ErrorCode::NonEmptyGroup;
    Refusal::new(error, error.message().into())
}

impl GroupShard {
    /// New states, with the offsets that are asked for, take the place of those that there are.
    pub(super) fn alter_offsets(
        &mut self,
        now: Now,
        request: &AlterShareGroupOffsetsRequest,
        out: &mut GroupDecision,
    ) -> ShareReply {
        let id = request.group_id.as_str();
        let group = self.share_group_to_update(id, true);
        let group = match group.map(|group| (group.members.is_empty(), group)) {
            Ok((true, group)) => group,
            Ok((false, _)) => return refused(&not_empty()),
            Err(refusal) => return refused(&refusal),
        };
        let mut begun: BTreeMap<Uuid, NamedPartitions> = BTreeMap::new();
        let mut start_offsets: BTreeMap<Uuid, BTreeMap<i32, i64>> = BTreeMap::new();
        let mut response = AlterShareGroupOffsetsResponse::default();
        for topic in &request.topics {
            let image = self.image.topics.get(&topic.topic_name);
            let count = image.map_or(0, |image| image.partitions.len());
            let exists = |index: i32| usize::try_from(index).is_ok_and(|index| index < count);
            if let Some(image) = image {
                let known = topic
                    .partitions
                    .iter()
                    .filter(|p| exists(p.partition_index));
                let offsets = start_offsets.entry(image.id).or_default();
                offsets.extend(known.map(|p| (p.partition_index, p.start_offset)));
                let partitions = offsets.keys().copied().collect();
                let name = topic.topic_name.clone();
                begun.insert(image.id, NamedPartitions { name, partitions });
            }
            let topic_id = image.map_or(Uuid::ZERO, |image| image.id);
            response.responses.push(altered(topic, topic_id, exists));
        }
        start_offsets.retain(|_, offsets| !offsets.is_empty());
        begun.retain(|_, named| !named.partitions.is_empty());
        if begun.is_empty() {
            return ShareReply::AlterOffsets(response, None);
        }
        let state_epoch = group.epoch;
        let states = group.state_partitions.unwrap_or_default();
        self.begin_states(id, states, &begun, now, out);
        let initialize = InitializeState {
            group: id.into(),
            state_epoch,
            start_offsets,
        };
        ShareReply::AlterOffsets(response, Some(initialize))
    }

    pub(super) fn delete_share_offsets(
        &mut self,
        request: &DeleteShareGroupOffsetsRequest,
        out: &mut GroupDecision,
    ) -> Result<Deletion, Refusal> {
        let id = request.group_id.as_str();
        let group = self.known_share_group(id)?;
        if !group.members.is_empty() {
            return Err(not_empty());
        }
        let mut deletion = Deletion::default();
        let Some(before) = &group.state_partitions else {
            return Ok(deletion);
        };
        let mut states = before.clone();
        for topic in &request.topics {
            let name = topic.topic_name.as_str();
            let refused = |message: &str| DeleteShareGroupOffsetsResponseTopic {
                topic_name: name.into(),
                error_code: ErrorCode::UnknownTopicOrPartition.code(),
                error_message: Some(message.into()),
                ..Default::default()
            };
            let Some(image) = self.image.topics.get(name) else {
                let unknown = ErrorCode::UnknownTopicOrPartition;
                deletion.refused.push(refused(unknown.message()));
                continue;
            };
            let partitions = match states.initialized.remove(&image.id) {
                Some(named) => named.partitions,
                // An earlier deletion got no further.
                None if states.deleting.contains_key(&image.id) => {
                    image.partitions.keys().copied().collect()
                }
                None => {
                    let message = "There is no offset information to delete.";
                    deletion.refused.push(refused(message));
                    continue;
                }
            };
            states.deleting.insert(image.id, name.into());
            deletion.partitions.insert(image.id, partitions);
        }
        if states != *before {
            out.records.push(states.to_record().of(id));
        }
        Ok(deletion)
    }

    pub(super) fn share_offsets_deleted(
        &mut self,
        id: &str,
        topics: BTreeMap<Uuid, String>,
        refused: Vec<DeleteShareGroupOffsetsResponseTopic>,
        out: &mut GroupDecision,
    ) -> DeleteShareGroupOffsetsResponse {
        let group = self.known_share_group(id).ok();
        if let Some(before) = group.and_then(|group| group.state_partitions.as_ref()) {
            let mut states = before.clone();
            states
                .deleting
                .retain(|topic, _| !topics.contains_key(topic));
            if states != *before {
                out.records.push(states.to_record().of(id));
            }
        }
        let deleted =
            topics.into_iter().map(
                |(topic_id, topic_name)| DeleteShareGroupOffsetsResponseTopic {
                    topic_id,
                    topic_name,
                    ..Default::default()
                },
            );
        DeleteShareGroupOffsetsResponse {
            responses: deleted.chain(refused).collect(),
            ..Default::default()
        }
    }

    /// All states of a group that is to be deleted; none if it is no share group.
    pub(super) fn begin_share_deletion(
        &mut self,
        id: &str,
        out: &mut GroupDecision,
    ) -> Result<SharePartitions, ErrorCode> {
        let Ok(group) = self.known_share_group(id) else {
            return Ok(SharePartitions::new());
        };
        let ShareGroup {
            members,
            state_partitions,
            ..
        } = group;
        if !members.is_empty() {
            return Err(ErrorCode::NonEmptyGroup);
        }
        let Some(before) = state_partitions else {
            return Ok(SharePartitions::new());
        };
        let mut partitions = before.initialized();
        for (topic, named) in &before.initializing {
            let of_topic: &mut BTreeSet<i32> = partitions.entry(*topic).or_default();
            of_topic.extend(&named.partitions);
        }
        for topic in before.deleting.keys() {
            if let Some(image) = self.image.topics.get_by_id(*topic) {
                let of_topic = partitions.entry(*topic).or_default();
                of_topic.extend(image.partitions.keys());
            }
        }
        let mut states = before.clone();
        states.initializing.clear();
        states.initialized.clear();
        let deleting = partitions.keys();
        states.deleting = deleting.map(|t| (*t, name_of(*t, &self.image))).collect();
        if states != *before {
            out.records.push(states.to_record().of(id));
        }
        Ok(partitions)
    }
}

fn altered(
    topic: &AlterShareGroupOffsetsRequestTopic,
    topic_id: Uuid,
    exists: impl Fn(i32) -> bool,
) -> AlterShareGroupOffsetsResponseTopic {
    let partition = |index: i32| {
        let unknown = ErrorCode::UnknownTopicOrPartition;
        let error = (!exists(index)).then_some(unknown);
        AlterShareGroupOffsetsResponsePartition {
            partition_index: index,
            error_code: error.unwrap_or(ErrorCode::None).code(),
            error_message: error.map(|error| error.message().into()),
        }
    };
    let indexes = topic.partitions.iter().map(|p| p.partition_index);
    AlterShareGroupOffsetsResponseTopic {
        topic_name: topic.topic_name.clone(),
        topic_id,
        partitions: indexes.map(partition).collect(),
    }
}

fn refused(refusal: &Refusal) -> ShareReply {
    let response = AlterShareGroupOffsetsResponse {
        error_code: refusal.code.code(),
        error_message: Some(refusal.message.clone()),
        ..Default::default()
    };
    ShareReply::AlterOffsets(response, None)
}
