//! Members that leave a consumer group or are fenced from it: on request, or when time is up.
use std::collections::BTreeSet;

use tracing::info;

use super::Refusal;
use super::member::{ConsumerMember, MemberState, STATIC_LEAVE_EPOCH};
use super::record::ConsumerRecord;
use super::state::ConsumerGroup;
use super::subscription::Subscribers;
use super::update::Update;
use crate::coordinator::group::shard::{GroupDecision, GroupShard};
use crate::coordinator::group::stored::StoredGroup;
use crate::coordinator::group::timers::TimerKey;
use crate::coordinator::shard::Now;
use crate::protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

impl GroupShard {
    pub(super) fn consumer_leave(
        &mut self,
        now: Now,
        request: &ConsumerGroupHeartbeatRequest,
        out: &mut GroupDecision,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let (id, member_id) = (request.group_id.as_str(), request.member_id.as_str());
        let group = self.known_consumer_group(id)?;
        let member = match request.instance_id.as_deref() {
            None => group.members.get(member_id),
            Some(instance) => Some(group.static_member_as(member_id, instance)?),
        };
        let member = member
            .ok_or_else(|| Refusal::unknown_member(id, member_id))?
            .clone();
        let stays_away =
            request.instance_id.is_some() && request.member_epoch == STATIC_LEAVE_EPOCH;
        if stays_away {
            info!("group {id}: static member {member_id} is away");
            let away = away(member);
            out.records.push(ConsumerRecord::assignment(&away).of(id));
        } else {
            info!("group {id}: member {member_id} leaves");
            self.fence(now, id, &BTreeSet::from([member.id]), out);
        }
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(member_id.into()),
            member_epoch: request.member_epoch,
            ..Default::default()
        })
    }

    /// Removes members for good; the rest of the group is assigned anew.
    pub(super) fn fence(
        &mut self,
        now: Now,
        id: &str,
        members: &BTreeSet<String>,
        out: &mut GroupDecision,
    ) {
        let Some(StoredGroup::Consumer(group)) = self.stored.groups.get(id) else {
            return;
        };
        if self.downgrades_without(group, members)
            && self.downgrade_without(id, group, members, now.wall_ms, out)
        {
            return;
        }
        for member in members {
            let tombstones = ConsumerRecord::member_tombstones(member);
            out.records
                .extend(tombstones.into_iter().map(|record| record.of(id)));
        }
        let left = Subscribers::without(group, members);
        let in_use = left.regexes();
        for regex in group.members.values().filter_map(ConsumerMember::regex) {
            let tombstone = ConsumerRecord::regex_tombstone(regex).of(id);
            if !in_use.contains_key(regex) && !out.records.contains(&tombstone) {
                out.records.push(tombstone);
            }
        }
        let hash = left.metadata_hash(&self.image);
        out.records
            .push(ConsumerRecord::epoch(group.epoch + 1, hash).of(id));
        self.cancel_consumer_timers(id, members);
    }

    pub(super) fn cancel_consumer_timers(&mut self, id: &str, members: &BTreeSet<String>) {
        for member in members {
            for key in [
                TimerKey::Session(id.into(), member.clone()),
                TimerKey::Rebalance(id.into(), member.clone()),
                TimerKey::ConsumerJoin(id.into(), member.clone()),
                TimerKey::ConsumerSync(id.into(), member.clone()),
            ] {
                self.timers.cancel(&key);
            }
        }
    }

    /// A member has not been heard of in time, or has not done what it was to do.
    pub(in crate::coordinator::group) fn consumer_deadline(
        &mut self,
        now: Now,
        key: &TimerKey,
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        let (id, member_id, why) = match key {
            TimerKey::Session(id, member) => (id, member, "its session has expired"),
            TimerKey::Rebalance(id, member) => (id, member, "it has not revoked its partitions"),
            TimerKey::ConsumerJoin(id, member) => (id, member, "it has not rejoined"),
            TimerKey::ConsumerSync(id, member) => (id, member, "it has not synced"),
            _ => return out,
        };
        let Some(StoredGroup::Consumer(group)) = self.stored.groups.get(id) else {
            return out;
        };
        let is_late = group.members.get(member_id).is_some_and(|member| {
            !matches!(key, TimerKey::Rebalance(..))
                || member.state == MemberState::UnrevokedPartitions
        });
        if is_late {
            info!("group {id}: member {member_id} is fenced: {why}");
            let (id, members) = (id.clone(), BTreeSet::from([member_id.clone()]));
            self.fence(now, &id, &members, &mut out);
        }
        out
    }

    /// Sessions of a group's members start anew, as after a load.
    pub(in crate::coordinator::group) fn resume_consumer_group(&mut self, now: Now, id: &str) {
        let mut out = GroupDecision::default();
        let Ok(mut update) = self.update_of(id, None, now, &mut out) else {
            return;
        };
        let timeout_ms = update.settings.session_timeout_ms;
        for member in update.group.members.values() {
            update.schedule_session(&member.id, timeout_ms);
            if member.state == MemberState::UnrevokedPartitions {
                let key = TimerKey::Rebalance(id.into(), member.id.clone());
                let timeout_ms = i64::from(member.rebalance_timeout_ms.max(0));
                update.timers.set(key, now.monotonic_ms + timeout_ms);
            }
        }
    }
}

impl ConsumerGroup {
    /// The static member, if it is the caller.
    pub fn static_member_as(
        &self,
        member_id: &str,
        instance_id: &str,
    ) -> Result<&ConsumerMember, Refusal> {
        let member = self.static_member(Some(instance_id));
        let member = member.ok_or_else(|| Refusal::unknown_instance(instance_id))?;
        match member.id == member_id {
            true => Ok(member),
            false => Err(Refusal::fenced_instance(member_id, instance_id, &member.id)),
        }
    }
}

impl Update<'_> {
    pub fn static_member(
        &self,
        member_id: &str,
        instance_id: &str,
    ) -> Result<&ConsumerMember, Refusal> {
        self.group.static_member_as(member_id, instance_id)
    }
}

/// A static member that will come back: it keeps its partitions, owned by nobody else meanwhile.
fn away(member: ConsumerMember) -> ConsumerMember {
    let mut away = member;
    away.epoch = STATIC_LEAVE_EPOCH;
    away.revoking.clear();
    for epoch in away
        .assigned
        .values_mut()
        .flat_map(|partitions| partitions.values_mut())
    {
        *epoch = 0;
    }
    away
}
