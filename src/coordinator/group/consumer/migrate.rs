//! Groups that change their protocol while they have members: to the consumer protocol when the
//! first member of it joins, and back to the classic one when the last has left.
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tracing::info;

use super::Refusal;
use super::embedded;
use super::member::{ConsumerMember, Partitions};
use super::record::ConsumerRecord;
use super::state::ConsumerGroup;
use super::subscription::metadata_hash;
use super::update::Update;
use crate::coordinator::group::classic::{CONSUMER_PROTOCOL_TYPE, ClassicGroup, Member, Protocol};
use crate::coordinator::group::rebalance::{join_error, sync_error};
use crate::coordinator::group::record::GroupRecord;
use crate::coordinator::group::shard::{AfterAppend, GroupDecision, GroupReply, GroupShard};
use crate::coordinator::group::stored::StoredGroup;
use crate::metadata::image::MetadataImage;
use crate::protocol::ErrorCode;
use crate::protocol::records::group::consumer_group_member_metadata_value::{
    ClassicMemberMetadata, ClassicProtocol,
};

impl GroupShard {
    /// The classic group as a consumer group: all its members stay, with what they have.
    pub(super) fn upgrade(
        &self,
        id: &str,
        out: &mut GroupDecision,
    ) -> Result<ConsumerGroup, Refusal> {
        let cannot = |why: &str| {
            let message =
                format!("Cannot upgrade classic group {id} to consumer group because {why}");
            Refusal::not_found(message)
        };
        let Some(classic) = self.live.get(id) else {
            return Err(Refusal::not_found(format!("Group {id} not found.")));
        };
        if !self.config.consumer.migration_policy.allows_upgrade() {
            return Err(cannot("online upgrade is disabled."));
        }
        if !classic.uses_consumer_protocol() {
            return Err(cannot(
                "the group does not use the consumer embedded protocol.",
            ));
        }
        if exceeds(classic.members.len(), self.config.consumer.max_size) {
            return Err(cannot(
                "the group size exceeds the consumer group maximum size.",
            ));
        }
        let mut members = Vec::with_capacity(classic.members.len());
        for (member_id, member) in &classic.members {
            let converted = consumer_member(member_id, member, classic, &self.image);
            members.push(converted.map_err(cannot)?);
        }
        let records = upgrade_records(id, classic.generation, &members, &self.image);
        out.records.push(GroupRecord::classic_group_tombstone(id));
        let mut group = ConsumerGroup::default();
        for record in records {
            group.apply(record.clone());
            out.records.push(record.of(id));
        }
        // Whoever waits for the classic group starts over, and finds the new one.
        for (member_id, member) in &classic.members {
            if let Some(token) = member.awaiting_join {
                let response = join_error(member_id, ErrorCode::RebalanceInProgress);
                out.answer(token, GroupReply::Join(response));
            }
            if let Some(token) = member.awaiting_sync {
                out.answer(
                    token,
                    GroupReply::Sync(sync_error(ErrorCode::RebalanceInProgress)),
                );
            }
        }
        out.after = Some(AfterAppend::Upgraded { group: id.into() });
        info!("group {id} becomes a consumer group");
        Ok(group)
    }

    /// Whether the members that stay all speak the classic protocol, and the group may go back to
    /// it.
    pub(super) fn downgrades_without(
        &self,
        group: &ConsumerGroup,
        gone: &BTreeSet<String>,
    ) -> bool {
        let mut left = group
            .members
            .values()
            .filter(|member| !gone.contains(&member.id));
        let count = group.members.len() - gone.len().min(group.members.len());
        count > 0
            && left.all(ConsumerMember::uses_classic_protocol)
            && self.config.consumer.migration_policy.allows_downgrade()
            && !exceeds(count, self.config.max_size)
    }

    /// Makes a classic group of those that stay; they rebalance.
    pub(super) fn downgrade_without(
        &self,
        id: &str,
        group: &ConsumerGroup,
        gone: &BTreeSet<String>,
        now_ms: i64,
        out: &mut GroupDecision,
    ) -> bool {
        let left = group
            .members
            .values()
            .filter(|member| !gone.contains(&member.id));
        let left: Vec<&ConsumerMember> = left.collect();
        let target = |member: &ConsumerMember| group.target.get(&member.id).cloned();
        let record = classic_record(id, group.epoch, &left, target, &self.image, now_ms);
        let Some(record) = record else {
            return false;
        };
        out.records.extend(group.tombstones(id));
        out.records.push(record);
        out.after = Some(AfterAppend::Downgraded {
            group: id.into(),
            rebalances: true,
        });
        info!("group {id} becomes a classic group");
        true
    }

    /// Sessions of members that were somebody else's until now.
    pub(in crate::coordinator::group) fn watch_upgraded(
        &mut self,
        now: crate::coordinator::shard::Now,
        id: &str,
    ) {
        let mut out = GroupDecision::default();
        let Ok(mut update) = self.update_of(id, None, now, &mut out) else {
            return;
        };
        for member in update.group.members.values() {
            let own = member
                .classic
                .as_ref()
                .map(|classic| classic.session_timeout_ms);
            let timeout_ms = own.unwrap_or(update.settings.session_timeout_ms);
            update.schedule_session(&member.id, timeout_ms);
        }
    }

    /// What members of the consumer group were watched for is of no use to the classic group.
    pub(in crate::coordinator::group) fn forget_consumer_deadlines(&mut self, id: &str) {
        if let Some(StoredGroup::Classic(value)) = self.stored.groups.get(id) {
            let members = value.members.iter().map(|member| member.member_id.clone());
            let members: BTreeSet<String> = members.collect();
            self.cancel_consumer_timers(id, &members);
        }
    }

    pub(in crate::coordinator::group) fn has_consumer_members(&self, id: &str) -> bool {
        let stored = self.stored.groups.get(id);
        matches!(stored, Some(StoredGroup::Consumer(group)) if !group.members.is_empty())
    }
}

impl Update<'_> {
    /// The group goes back to the classic protocol: `joining` has taken the place of its last
    /// member that did not speak it. `false`: it cannot.
    pub fn downgrade_with(
        &mut self,
        replaced: &ConsumerMember,
        joining: &ConsumerMember,
        rebalances: bool,
    ) -> bool {
        let group = self.group;
        let stays = |member: &&ConsumerMember| member.id != replaced.id;
        let others = group.members.values().filter(stays);
        let members: Vec<&ConsumerMember> = others.chain([joining]).collect();
        let target = |member: &ConsumerMember| match member.id == joining.id {
            true => group.target.get(&replaced.id).cloned(),
            false => group.target.get(&member.id).cloned(),
        };
        let now_ms = self.now.wall_ms;
        let record = classic_record(self.id, group.epoch, &members, target, self.image, now_ms);
        let Some(record) = record else {
            return false;
        };
        let mut replacing = group.clone();
        for record in &self.out.records {
            if let GroupRecord::Consumer { record, .. } = record {
                replacing.apply(record.clone());
            }
        }
        self.out.records.extend(replacing.tombstones(self.id));
        self.out.records.push(record);
        self.out.after = Some(AfterAppend::Downgraded {
            group: self.id.into(),
            rebalances,
        });
        info!("group {} becomes a classic group", self.id);
        true
    }

    /// Whether the group may be classic once `replaced` is.
    pub fn downgrades_with(&self, replaced: &ConsumerMember, max_size: i32) -> bool {
        let classic = self.group.classic_member_count();
        !replaced.uses_classic_protocol()
            && classic + 1 == self.group.members.len()
            && self.config.migration_policy.allows_downgrade()
            && !exceeds(self.group.members.len(), max_size)
    }
}

fn exceeds(count: usize, max: i32) -> bool {
    count > usize::try_from(max).unwrap_or(0)
}

fn consumer_member(
    id: &str,
    member: &Member,
    group: &ClassicGroup,
    image: &MetadataImage,
) -> Result<ConsumerMember, &'static str> {
    const MALFORMED: &str = "the embedded consumer protocol is malformed.";
    let protocol = group.protocol.clone().or_else(|| group.select_protocol());
    let metadata = member.metadata(protocol.as_deref().unwrap_or_default());
    let (subscription, _) = embedded::subscription(&metadata).map_err(|_| MALFORMED)?;
    let assignment = embedded::assignment(&member.assignment).map_err(|_| MALFORMED)?;
    let assignment = assignment.unwrap_or_default();
    if assignment
        .user_data
        .as_ref()
        .is_some_and(|data| !data.is_empty())
    {
        return Err(
            "an unsupported custom assignor is in use. Please refer to the documentation or \
             switch to a default assignor before re-attempting the upgrade.",
        );
    }
    let topics = assignment.assigned_partitions.iter();
    let topics = topics.map(|t| (t.topic.as_str(), t.partitions.as_slice()));
    let generation = group.generation;
    let at_generation = |partitions: Partitions| {
        let topic = |(id, set): (_, BTreeSet<i32>)| {
            (
                id,
                set.into_iter()
                    .map(|partition| (partition, generation))
                    .collect(),
            )
        };
        partitions.into_iter().map(topic).collect()
    };
    Ok(ConsumerMember {
        epoch: generation,
        previous_epoch: generation,
        instance_id: member.instance_id.clone(),
        rack_id: subscription.rack_id.filter(|rack| !rack.is_empty()),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        topic_names: subscription.topics.into_iter().collect(),
        assigned: at_generation(embedded::by_id(topics, image)),
        classic: Some(classic_metadata(
            member.session_timeout_ms,
            &member.protocols,
        )),
        ..ConsumerMember::new(id)
    })
}

pub fn classic_metadata(session_timeout_ms: i32, protocols: &[Protocol]) -> ClassicMemberMetadata {
    let protocol = |protocol: &Protocol| ClassicProtocol {
        name: protocol.name.clone(),
        metadata: protocol.metadata.clone(),
        ..Default::default()
    };
    ClassicMemberMetadata {
        session_timeout_ms,
        supported_protocols: protocols.iter().map(protocol).collect(),
        ..Default::default()
    }
}

fn upgrade_records(
    id: &str,
    generation: i32,
    members: &[ConsumerMember],
    image: &MetadataImage,
) -> Vec<ConsumerRecord> {
    let names = members.iter().flat_map(|member| &member.topic_names);
    let names: BTreeSet<&str> = names.map(String::as_str).collect();
    let hash = metadata_hash(names.into_iter(), image);
    let mut records: Vec<_> = members.iter().map(ConsumerRecord::member).collect();
    records.push(ConsumerRecord::epoch(generation, hash));
    for member in members {
        let target = super::member::without_epochs(&member.assigned);
        records.push(ConsumerRecord::target(&member.id, &target));
    }
    records.push(ConsumerRecord::target_epoch(generation, 0));
    records.extend(members.iter().map(ConsumerRecord::assignment));
    tracing::debug!("group {id}: upgraded in generation {generation}");
    records
}

/// The record of a classic group with these members, each assigned its target. `None`: they have no
/// protocol in common, or say nothing that can be read.
fn classic_record(
    id: &str,
    generation: i32,
    members: &[&ConsumerMember],
    target: impl Fn(&ConsumerMember) -> Option<Partitions>,
    image: &MetadataImage,
    now_ms: i64,
) -> Option<GroupRecord> {
    let mut group = ClassicGroup::new(id, now_ms);
    group.generation = generation;
    for member in members {
        let classic = member.classic.as_ref()?;
        let protocol = |protocol: &ClassicProtocol| Protocol {
            name: protocol.name.clone(),
            metadata: protocol.metadata.clone(),
        };
        let converted = Member {
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: classic.session_timeout_ms,
            protocols: classic.supported_protocols.iter().map(protocol).collect(),
            assignment: Bytes::new(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
        };
        group.add(member.id.clone(), converted, CONSUMER_PROTOCOL_TYPE);
    }
    group.protocol = Some(group.select_protocol()?);
    let mut assignments = BTreeMap::new();
    for member in members {
        let metadata = group.members.get(&member.id)?;
        let metadata = metadata.metadata(group.protocol.as_deref().unwrap_or_default());
        let (_, version) = embedded::subscription(&metadata).ok()?;
        let target = target(member).unwrap_or_default();
        let encoded = embedded::encode_assignment(&target, version, image).ok()?;
        assignments.insert(member.id.clone(), encoded);
    }
    Some(group.to_record(&assignments))
}
