//! Members that leave a streams group or are fenced from it: on request, or when time is up.
use std::collections::BTreeMap;

use tracing::info;

use super::heartbeat::Heartbeat;
use super::member::MemberState;
use super::record::StreamsRecord;
use crate::coordinator::group::consumer::Refusal;
use crate::coordinator::group::shard::{GroupDecision, GroupShard};
use crate::coordinator::group::stored::StoredGroup;
use crate::coordinator::group::timers::TimerKey;
use crate::coordinator::shard::Now;
use crate::protocol::messages::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse};
use crate::protocol::records::group::StreamsGroupMetadataValue;
use crate::protocol::records::group::streams_group_metadata_value::LastAssignmentConfig;

impl GroupShard {
    pub(super) fn streams_leave(
        &mut self,
        request: &StreamsGroupHeartbeatRequest,
        out: &mut GroupDecision,
    ) -> Result<Heartbeat, Refusal> {
        let (id, member_id) = (request.group_id.as_str(), request.member_id.as_str());
        let group = self.known_streams_group(id)?;
        if !group.members.contains_key(member_id) {
            return Err(Refusal::unknown_member(id, member_id));
        }
        info!("group {id}: streams member {member_id} leaves");
        if request.shutdown_application {
            let soft = self.soft_streams.entry(id.into()).or_default();
            soft.shutdown_by.get_or_insert_with(|| member_id.into());
        }
        self.streams_fence(id, member_id, out);
        let response = StreamsGroupHeartbeatResponse {
            member_id: member_id.into(),
            member_epoch: request.member_epoch,
            status: Some(Vec::new()),
            ..Default::default()
        };
        Ok((response, Vec::new()))
    }

    /// Removes a member for good; the rest of the group is assigned anew.
    fn streams_fence(&mut self, id: &str, member_id: &str, out: &mut GroupDecision) {
        let Some(StoredGroup::Streams(group)) = self.stored.groups.get(id) else {
            return;
        };
        let tombstones = StreamsRecord::member_tombstones(member_id).into_iter();
        out.records.extend(tombstones.map(|record| record.of(id)));
        let configs: &BTreeMap<String, String> = &group.assignment_configs;
        let config = |(key, value): (&String, &String)| LastAssignmentConfig {
            key: key.clone(),
            value: value.clone(),
            unknown_tags: Vec::new(),
        };
        let value = StreamsGroupMetadataValue {
            epoch: group.epoch + 1,
            metadata_hash: group.metadata_hash,
            validated_topology_epoch: group.validated_topology_epoch,
            last_assignment_configs: Some(configs.iter().map(config).collect()),
            unknown_tags: Vec::new(),
        };
        let record = StreamsRecord::Epoch(Some(value));
        out.records.push(record.of(id));
        for key in [TimerKey::Session, TimerKey::Rebalance] {
            self.timers.cancel(&key(id.into(), member_id.into()));
        }
    }

    /// A member has not been heard of in time, or has not done what it was to do.
    pub(in crate::coordinator::group) fn streams_deadline(
        &mut self,
        now: Now,
        key: &TimerKey,
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        let (id, member_id, why) = match key {
            TimerKey::Session(id, member) => (id, member, "its session has expired"),
            TimerKey::Rebalance(id, member) => (id, member, "it has not given up its tasks"),
            TimerKey::FirstAssignment(id) => {
                if let Ok(mut update) = self.streams_update(id, None, now, &mut out) {
                    update.assign_delayed();
                }
                return out;
            }
            _ => return out,
        };
        let Some(StoredGroup::Streams(group)) = self.stored.groups.get(id) else {
            return out;
        };
        let is_late = group.members.get(member_id).is_some_and(|member| {
            !matches!(key, TimerKey::Rebalance(..)) || member.state == MemberState::UnrevokedTasks
        });
        if is_late {
            info!("group {id}: streams member {member_id} is fenced: {why}");
            self.streams_fence(id, member_id, &mut out);
        }
        out
    }

    /// Sessions of a group's members start anew, as after a load.
    pub(in crate::coordinator::group) fn resume_streams_group(&mut self, now: Now, id: &str) {
        let mut out = GroupDecision::default();
        let Ok(mut update) = self.streams_update(id, None, now, &mut out) else {
            return;
        };
        for member in update.group.members.values() {
            update.schedule_session(&member.id);
            update.watch_revocation(member);
        }
    }

    /// The group is not in the log any more, or will not be.
    pub(in crate::coordinator::group) fn forget_streams_group(&mut self, id: &str) {
        self.soft_streams.remove(id);
        self.timers.cancel(&TimerKey::FirstAssignment(id.into()));
    }
}
