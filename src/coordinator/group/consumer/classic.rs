//! Members of a consumer group that speak the classic protocol: their JoinGroup, SyncGroup,
//! Heartbeat and LeaveGroup. To them an epoch is a generation, and nobody leads.
use std::collections::BTreeSet;

use tracing::info;

use super::embedded;
use super::member::{ConsumerMember, MemberState, without_epochs};
use super::migrate::classic_metadata;
use super::state::ConsumerGroup;
use super::update::{RegexUpdate, Target, Update};
use super::{MigrationPolicy, Refusal};
use crate::coordinator::group::classic::{CONSUMER_PROTOCOL_TYPE, Protocol};
use crate::coordinator::group::join::{Join, MEMBER_ID_REQUIRED_FROM};
use crate::coordinator::group::rebalance::{join_error, sync_error};
use crate::coordinator::group::shard::{GroupDecision, GroupReply, GroupShard};
use crate::coordinator::group::timers::TimerKey;
use crate::coordinator::shard::{Now, Token};
use crate::protocol::ErrorCode;
use crate::protocol::messages::leave_group_request::MemberIdentity;
use crate::protocol::messages::leave_group_response::MemberResponse;
use crate::protocol::messages::{
    ConsumerProtocolSubscription, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};

impl GroupShard {
    pub(in crate::coordinator::group) fn consumer_join(
        &mut self,
        now: Now,
        join: &Join,
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        let max_size = self.config.max_size;
        let response = self
            .update_of(&join.request.group_id, None, now, &mut out)
            .and_then(|mut update| update.join_classic(join, max_size));
        let response = response.unwrap_or_else(|refusal| {
            out = GroupDecision::default();
            join_error("", refusal.code)
        });
        out.answer(join.token, GroupReply::Join(response));
        out
    }

    pub(in crate::coordinator::group) fn consumer_sync(
        &mut self,
        now: Now,
        token: Token,
        request: &SyncGroupRequest,
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        let response = self
            .update_of(&request.group_id, None, now, &mut out)
            .and_then(|mut update| update.sync_classic(request));
        let response = response.unwrap_or_else(|refusal| sync_error(refusal.code));
        out.answer(token, GroupReply::Sync(response));
        out
    }

    pub(in crate::coordinator::group) fn consumer_classic_heartbeat(
        &mut self,
        now: Now,
        token: Token,
        request: &HeartbeatRequest,
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        let beaten = self
            .update_of(&request.group_id, None, now, &mut out)
            .and_then(|mut update| update.beat_classic(request));
        let error = beaten.unwrap_or_else(|refusal| refusal.code);
        let response = HeartbeatResponse {
            error_code: error.code(),
            ..Default::default()
        };
        out.answer(token, GroupReply::Heartbeat(response));
        out
    }

    /// Administrators remove members of either protocol with it.
    pub(in crate::coordinator::group) fn consumer_classic_leave(
        &mut self,
        now: Now,
        token: Token,
        request: &LeaveGroupRequest,
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        let id = request.group_id.as_str();
        let mut gone = BTreeSet::new();
        let mut members = Vec::with_capacity(request.members.len());
        for member in &request.members {
            let found = self
                .known_consumer_group(id)
                .and_then(|group| leaver(id, group, member));
            let error_code = match &found {
                Ok(_) => ErrorCode::None,
                Err(refusal) => refusal.code,
            };
            gone.extend(found.ok());
            members.push(MemberResponse {
                member_id: member.member_id.clone(),
                group_instance_id: member.group_instance_id.clone(),
                error_code: error_code.code(),
            });
        }
        if !gone.is_empty() {
            info!("group {id}: members leave: {gone:?}");
            self.fence(now, id, &gone, &mut out);
        }
        let response = LeaveGroupResponse {
            members,
            ..Default::default()
        };
        out.answer(token, GroupReply::Leave(response));
        out
    }
}

fn leaver(id: &str, group: &ConsumerGroup, member: &MemberIdentity) -> Result<String, Refusal> {
    let member_id = member.member_id.as_str();
    let found = match member.group_instance_id.as_deref() {
        None => group.members.get(member_id),
        Some(instance) if member_id.is_empty() => group.static_member(Some(instance)),
        Some(instance) => Some(group.static_member_as(member_id, instance)?),
    };
    let found = found.ok_or_else(|| Refusal::unknown_member(id, member_id))?;
    Ok(found.id.clone())
}

impl Update<'_> {
    fn join_classic(&mut self, join: &Join, max_size: i32) -> Result<JoinGroupResponse, Refusal> {
        let Join {
            caller, request, ..
        } = *join;
        let inconsistent = || Refusal::new(ErrorCode::InconsistentGroupProtocol, String::new());
        if self.config.migration_policy == MigrationPolicy::Disabled {
            return Err(inconsistent());
        }
        let is_unknown = request.member_id.is_empty();
        let member_id = match is_unknown {
            true => caller.fresh_id.as_str(),
            false => request.member_id.as_str(),
        };
        let instance_id = request.group_instance_id.as_deref();
        self.check_size(member_id)?;
        let protocols = Protocol::list(&request.protocols);
        if request.protocol_type != CONSUMER_PROTOCOL_TYPE || !self.speaks(&protocols) {
            return Err(inconsistent());
        }
        if is_unknown && instance_id.is_none() && caller.api_version >= MEMBER_ID_REQUIRED_FROM {
            return Ok(join_error(member_id, ErrorCode::MemberIdRequired));
        }
        let replaced = self.group.static_member(instance_id).cloned();
        let member = match instance_id {
            Some(instance) if is_unknown => self.join_static(member_id, instance, true)?,
            Some(instance) => self.static_member(member_id, instance)?.clone(),
            None => match self.group.members.get(member_id) {
                Some(member) => member.clone(),
                None => ConsumerMember::new(member_id),
            },
        };
        let metadata = protocols.first().map(|protocol| protocol.metadata.clone());
        let subscription = embedded::subscription(&metadata.unwrap_or_default());
        let (subscription, _) =
            subscription.map_err(|_| Refusal::new(ErrorCode::UnknownServerError, String::new()))?;
        let mut updated = with_subscription(&member, join, &subscription);
        updated.classic = Some(classic_metadata(request.session_timeout_ms, &protocols));
        let updated = self.apply_join(&member, updated, &subscription, replaced, max_size)?;
        self.watch_join(request, &updated.id);
        Ok(JoinGroupResponse {
            member_id: updated.id.clone(),
            generation_id: updated.epoch,
            protocol_type: Some(CONSUMER_PROTOCOL_TYPE.into()),
            protocol_name: protocols.first().map(|protocol| protocol.name.clone()),
            ..JoinGroupResponse::default()
        })
    }

    /// At least one of the protocols is spoken by all classic members.
    fn speaks(&self, protocols: &[Protocol]) -> bool {
        let classic = || {
            self.group
                .members
                .values()
                .filter_map(|member| member.classic.as_ref())
        };
        protocols.iter().any(|protocol| {
            classic().all(|member| {
                let mut supported = member.supported_protocols.iter();
                supported.any(|supported| supported.name == protocol.name)
            })
        })
    }

    fn apply_join(
        &mut self,
        member: &ConsumerMember,
        updated: ConsumerMember,
        subscription: &ConsumerProtocolSubscription,
        replaced: Option<ConsumerMember>,
        max_size: i32,
    ) -> Result<ConsumerMember, Refusal> {
        let names_changed = self.write_member(member, &updated);
        let regex = self.update_regex(member, &updated)?;
        let bump = names_changed || regex != RegexUpdate::Unchanged;
        let epoch = match bump || self.has_metadata_expired() {
            true => self.update_epoch(bump, &updated),
            false => self.group.epoch,
        };
        let topics = subscription.owned_partitions.iter();
        let topics = topics.map(|t| (t.topic.as_str(), t.partitions.as_slice()));
        let owned = embedded::by_id(topics, self.image);
        if let Some(replaced) = replaced.filter(|old| self.downgrades_with(old, max_size)) {
            let rebalances = self.group.assignment_epoch < epoch;
            let next = match rebalances {
                true => updated,
                false => {
                    let target = self.last_target(&updated);
                    self.reconcile(updated, &target, bump, Some(&owned))?
                }
            };
            if self.downgrade_with(&replaced, &next, rebalances) {
                return Ok(next);
            }
            return Err(Refusal::new(ErrorCode::UnknownServerError, String::new()));
        }
        let target: Target = self.update_target(epoch, &updated);
        self.reconcile(updated, &target, bump, Some(&owned))
    }

    fn watch_join(&mut self, request: &JoinGroupRequest, member_id: &str) {
        let key = TimerKey::ConsumerJoin(self.id.into(), member_id.into());
        self.timers.cancel(&key);
        self.schedule_session(member_id, request.session_timeout_ms);
        let key = TimerKey::ConsumerSync(self.id.into(), member_id.into());
        let timeout_ms = i64::from(request.rebalance_timeout_ms.max(0));
        self.timers.set(key, self.now.monotonic_ms + timeout_ms);
    }

    /// The member in its generation, if it speaks the classic protocol.
    fn classic_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<&ConsumerMember, Refusal> {
        let member = match instance_id {
            Some(instance) => self.static_member(member_id, instance)?,
            None => {
                let member = self.group.members.get(member_id);
                member.ok_or_else(|| Refusal::unknown_member(self.id, member_id))?
            }
        };
        if !member.uses_classic_protocol() {
            return Err(Refusal::unknown_member(self.id, member_id));
        }
        if member.epoch != generation {
            return Err(Refusal::new(ErrorCode::IllegalGeneration, String::new()));
        }
        Ok(member)
    }

    fn sync_classic(&mut self, request: &SyncGroupRequest) -> Result<SyncGroupResponse, Refusal> {
        let instance_id = request.group_instance_id.as_deref();
        let generation = request.generation_id;
        let member = self
            .classic_member(&request.member_id, instance_id, generation)?
            .clone();
        let classic = member.classic.clone().unwrap_or_default();
        let protocol = classic.supported_protocols.first();
        let type_differs = |theirs: &String| theirs != CONSUMER_PROTOCOL_TYPE;
        let name_differs = |theirs: &String| protocol.is_none_or(|own| own.name != *theirs);
        if request.protocol_type.as_ref().is_some_and(type_differs)
            || request.protocol_name.as_ref().is_some_and(name_differs)
        {
            let code = ErrorCode::InconsistentGroupProtocol;
            return Err(Refusal::new(code, String::new()));
        }
        let is_behind = self.group.assignment_epoch > member.epoch;
        if is_behind && member.state != MemberState::UnrevokedPartitions {
            self.expect_join(&member);
            return Err(Refusal::new(ErrorCode::RebalanceInProgress, String::new()));
        }
        let unreadable = || Refusal::new(ErrorCode::UnknownServerError, String::new());
        let metadata = protocol
            .map(|protocol| protocol.metadata.clone())
            .unwrap_or_default();
        let (_, version) = embedded::subscription(&metadata).map_err(|_| unreadable())?;
        let owned = without_epochs(&member.assigned);
        let assignment = embedded::encode_assignment(&owned, version, self.image);
        let key = TimerKey::ConsumerSync(self.id.into(), member.id.clone());
        self.timers.cancel(&key);
        self.schedule_session(&member.id, classic.session_timeout_ms);
        Ok(SyncGroupResponse {
            protocol_type: request.protocol_type.clone(),
            protocol_name: request.protocol_name.clone(),
            assignment: assignment.map_err(|_| unreadable())?,
            ..SyncGroupResponse::default()
        })
    }

    fn beat_classic(&mut self, request: &HeartbeatRequest) -> Result<ErrorCode, Refusal> {
        let instance_id = request.group_instance_id.as_deref();
        let generation = request.generation_id;
        let member = self
            .classic_member(&request.member_id, instance_id, generation)?
            .clone();
        let classic = member.classic.clone().unwrap_or_default();
        self.schedule_session(&member.id, classic.session_timeout_ms);
        let must_rejoin = match member.state {
            MemberState::UnrevokedPartitions => true,
            MemberState::UnreleasedPartitions => !member.waits_for_release(self.group),
            MemberState::Stable | MemberState::Unknown => false,
        };
        if must_rejoin || member.epoch < self.group.assignment_epoch {
            self.expect_join(&member);
            return Ok(ErrorCode::RebalanceInProgress);
        }
        Ok(ErrorCode::None)
    }

    /// It has been told to rejoin, and has its rebalance timeout for that.
    fn expect_join(&mut self, member: &ConsumerMember) {
        let key = TimerKey::ConsumerJoin(self.id.into(), member.id.clone());
        if !self.timers.contains(&key) {
            let timeout_ms = i64::from(member.rebalance_timeout_ms.max(0));
            self.timers.set(key, self.now.monotonic_ms + timeout_ms);
        }
    }
}

fn with_subscription(
    member: &ConsumerMember,
    join: &Join,
    subscription: &ConsumerProtocolSubscription,
) -> ConsumerMember {
    let Join {
        caller, request, ..
    } = *join;
    let mut updated = member.clone();
    if request.group_instance_id.is_some() {
        updated.instance_id.clone_from(&request.group_instance_id);
    }
    if subscription
        .rack_id
        .as_ref()
        .is_some_and(|rack| !rack.is_empty())
    {
        updated.rack_id.clone_from(&subscription.rack_id);
    }
    if request.rebalance_timeout_ms != -1 {
        updated.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    updated.topic_names = subscription.topics.iter().cloned().collect();
    updated.topic_regex = Some(String::new());
    updated.client_id.clone_from(&caller.client_id);
    updated.client_host.clone_from(&caller.client_host);
    updated
}
