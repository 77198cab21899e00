//! JoinGroup (KIP-394 member ids, KIP-345 static members, KIP-814 skipped assignments).
use tracing::debug;

use super::classic::{CONSUMER_PROTOCOL_TYPE, Member, Protocol, State, is_loadable_subscription};
use super::config::NEW_MEMBER_JOIN_TIMEOUT_MS;
use super::rebalance::Step;
use super::record::GroupRecord;
use super::shard::{AfterAppend, Caller, GroupDecision, GroupReply, GroupShard};
use super::stored::StoredGroup;
use crate::coordinator::shard::{Now, Token};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{JoinGroupRequest, JoinGroupResponse};

/// From this version on, a new dynamic member is told its id first and joins with it.
pub const MEMBER_ID_REQUIRED_FROM: i16 = 4;
/// From this version on, a leader can be told to keep the assignment there is.
const SKIP_ASSIGNMENT_FROM: i16 = 9;

/// A JoinGroup on its way through the machine.
pub struct Join<'a> {
    pub caller: &'a Caller,
    pub request: &'a JoinGroupRequest,
    pub token: Token,
}

impl GroupShard {
    pub(super) fn join(&mut self, now: Now, join: &Join) -> GroupDecision {
        let mut out = GroupDecision::default();
        let group_id = join.request.group_id.as_str();
        let is_unknown = join.request.member_id.is_empty();
        if !is_loadable(join.request) {
            return refused(join, "", ErrorCode::InconsistentGroupProtocol);
        }
        match self.stored.groups.get(group_id) {
            Some(StoredGroup::Streams(group)) if group.members.is_empty() => {
                if !is_unknown {
                    return refused(join, &join.request.member_id, ErrorCode::UnknownMemberId);
                }
                // The empty group becomes a classic one; its offsets stay.
                out.records = group.tombstones(group_id);
                self.forget_streams_group(group_id);
            }
            Some(StoredGroup::Streams(_) | StoredGroup::Share(_)) => {
                return refused(join, "", ErrorCode::InconsistentGroupProtocol);
            }
            _ => {}
        }
        if self.has_consumer_members(group_id) {
            return self.consumer_join(now, join);
        }
        if let Some(StoredGroup::Consumer(group)) = self.stored.groups.get(group_id) {
            if !is_unknown {
                return refused(join, &join.request.member_id, ErrorCode::UnknownMemberId);
            }
            out.records = group.tombstones(group_id);
        }
        let is_new_group = !self.is_classic(group_id);
        if is_new_group && !is_unknown {
            return refused(join, &join.request.member_id, ErrorCode::UnknownMemberId);
        }
        let mut step = self.step(group_id, now, &mut out);
        if !step.accepts(&join.request.member_id) {
            step.group.remove(&join.request.member_id);
            step.refuse_join(join.token, "", ErrorCode::GroupMaxSizeReached);
        } else if is_unknown {
            step.join_new(join);
        } else {
            step.join_known(join);
        }
        if is_new_group {
            let empty = step.group.to_empty_record();
            out.records.push(empty);
            out.after = Some(AfterAppend::NewGroup {
                group: group_id.into(),
            });
        }
        out
    }

    /// A group that could not be written does not exist; whoever waits in it starts over.
    pub(super) fn new_group_failed(&mut self, group_id: &str, error: ErrorCode) -> GroupDecision {
        let mut out = GroupDecision::default();
        if let Some(group) = self.drop_live(group_id) {
            for (id, member) in group.members {
                if let Some(token) = member.awaiting_join {
                    let response = super::rebalance::join_error(&id, error);
                    out.answer(token, GroupReply::Join(response));
                }
            }
        }
        out
    }
}

/// Whether Kafka can take over a member of a consumer group with these subscriptions.
fn is_loadable(request: &JoinGroupRequest) -> bool {
    let mut protocols = request.protocols.iter();
    request.protocol_type != CONSUMER_PROTOCOL_TYPE
        || protocols.all(|protocol| is_loadable_subscription(protocol.metadata.clone()))
}

fn refused(join: &Join, member_id: &str, error: ErrorCode) -> GroupDecision {
    let mut out = GroupDecision::default();
    out.answer(
        join.token,
        GroupReply::Join(super::rebalance::join_error(member_id, error)),
    );
    out
}

impl Step<'_> {
    /// `group.max.size`. While the group rebalances those count that have rejoined, so that the
    /// last ones to come are turned away.
    fn accepts(&self, member_id: &str) -> bool {
        let max = usize::try_from(self.config.max_size).unwrap_or(0);
        match self.group.state {
            State::Empty => true,
            State::PreparingRebalance => {
                let member = self.group.members.get(member_id);
                member.is_some_and(|member| member.awaiting_join.is_some())
                    || self.group.awaiting_join_count() < max
            }
            State::CompletingRebalance | State::Stable => {
                self.group.members.contains_key(member_id) || self.group.members.len() < max
            }
        }
    }

    fn speaks_our_protocols(&self, request: &JoinGroupRequest) -> bool {
        self.group
            .accepts_protocols(&request.protocol_type, &request.protocols)
    }

    fn join_new(&mut self, join: &Join) {
        let Join {
            caller,
            request,
            token,
        } = *join;
        if !self.speaks_our_protocols(request) {
            return self.refuse_join(token, "", ErrorCode::InconsistentGroupProtocol);
        }
        let prefix = request
            .group_instance_id
            .as_deref()
            .unwrap_or(&caller.client_id);
        let new_id = format!("{prefix}-{}", caller.fresh_id);
        let known = request
            .group_instance_id
            .as_ref()
            .and_then(|instance_id| self.group.static_members.get(instance_id).cloned());
        if let Some(old_id) = known {
            self.rejoin_static(join, &old_id, &new_id);
        } else if request.group_instance_id.is_none()
            && caller.api_version >= MEMBER_ID_REQUIRED_FROM
        {
            self.group.pending_join.insert(new_id.clone());
            self.set_session(&new_id, request.session_timeout_ms.into());
            self.refuse_join(token, &new_id, ErrorCode::MemberIdRequired);
        } else {
            self.add_member(join, new_id);
        }
    }

    fn add_member(&mut self, join: &Join, member_id: String) {
        let Join {
            caller,
            request,
            token,
        } = *join;
        if self.group.is_initial_rebalance() {
            self.group.new_member_added = true;
        }
        let member = Member {
            instance_id: request.group_instance_id.clone(),
            client_id: caller.client_id.clone(),
            client_host: caller.client_host.clone(),
            rebalance_timeout_ms: rebalance_timeout(request),
            session_timeout_ms: request.session_timeout_ms,
            protocols: Protocol::list(&request.protocols),
            assignment: Default::default(),
            awaiting_join: Some(token),
            awaiting_sync: None,
            is_new: true,
        };
        self.group
            .add(member_id.clone(), member, &request.protocol_type);
        self.set_session(&member_id, NEW_MEMBER_JOIN_TIMEOUT_MS);
        let reason = format!("member {member_id} joins{}", client_reason(request));
        self.rebalance_or_complete_join(&reason);
    }

    fn join_known(&mut self, join: &Join) {
        let Join { request, token, .. } = *join;
        let member_id = request.member_id.as_str();
        let instance_id = request.group_instance_id.as_deref();
        if !self.speaks_our_protocols(request) {
            return self.refuse_join(token, member_id, ErrorCode::InconsistentGroupProtocol);
        }
        if self.group.pending_join.contains(member_id) {
            // Ids are given out to dynamic members alone.
            if instance_id.is_some() {
                return self.refuse_join(token, member_id, ErrorCode::UnknownServerError);
            }
            return self.add_member(join, member_id.into());
        }
        if let Err(error) = self.group.validate_member(member_id, instance_id) {
            return self.refuse_join(token, member_id, error);
        }
        let protocols = Protocol::list(&request.protocols);
        let unchanged = self
            .group
            .members
            .get(member_id)
            .is_some_and(|member| member.protocols == protocols);
        match self.group.state {
            // A repeated join, perhaps because the answer to the first was lost: it gets the same
            // answer.
            State::CompletingRebalance if unchanged => {
                let response = self.generation_for(member_id);
                self.answer_join(token, response);
            }
            // The leader rejoins to assign anew; a follower without news has just lost its way.
            State::Stable if unchanged && !self.group.is_leader(member_id) => {
                let response = self.generation_for(member_id);
                self.answer_join(token, response);
            }
            State::PreparingRebalance | State::CompletingRebalance | State::Stable => {
                self.update_member(request, member_id, protocols, token);
                let reason = format!("member {member_id} rejoins{}", client_reason(request));
                self.rebalance_or_complete_join(&reason);
            }
            State::Empty => self.refuse_join(token, member_id, ErrorCode::UnknownMemberId),
        }
    }

    fn update_member(
        &mut self,
        request: &JoinGroupRequest,
        member_id: &str,
        protocols: Vec<Protocol>,
        token: Token,
    ) {
        let Some(member) = self.group.members.get_mut(member_id) else {
            return;
        };
        member.protocols = protocols;
        member.rebalance_timeout_ms = rebalance_timeout(request);
        member.session_timeout_ms = request.session_timeout_ms;
        // The same member joining twice: only its last request is answered with the generation.
        if let Some(earlier) = member.awaiting_join.replace(token) {
            self.refuse_join(earlier, member_id, ErrorCode::RebalanceInProgress);
        }
    }

    /// A static member has restarted and takes its place again under a new member id.
    fn rejoin_static(&mut self, join: &Join, old_id: &str, new_id: &str) {
        let Join {
            caller,
            request,
            token,
        } = *join;
        let instance_id = request.group_instance_id.as_deref().unwrap_or_default();
        let protocols = Protocol::list(&request.protocols);
        if self.group.state == State::Stable {
            let mut next = self.group.clone();
            next.rename_static(instance_id, old_id, new_id);
            if let Some(member) = next.members.get_mut(new_id) {
                member.protocols.clone_from(&protocols);
                member.rebalance_timeout_ms = rebalance_timeout(request);
                member.session_timeout_ms = request.session_timeout_ms;
            }
            if next.select_protocol() == next.protocol {
                debug!(
                    "group {}: static member {instance_id} is back as {new_id}",
                    next.id
                );
                self.out.records.push(next.to_record(&next.assignments()));
                self.out.after = Some(AfterAppend::StaticMember {
                    group: Box::new(next),
                    old_id: old_id.into(),
                    new_id: new_id.into(),
                    token,
                    can_skip_assignment: caller.api_version >= SKIP_ASSIGNMENT_FROM,
                });
                return;
            }
        }
        self.replace_static(instance_id, old_id, new_id);
        self.update_member(request, new_id, protocols, token);
        match self.group.state {
            State::Stable | State::CompletingRebalance => {
                let reason = format!(
                    "static member {instance_id} is back as {new_id}{}",
                    client_reason(request)
                );
                self.prepare_rebalance(&reason);
            }
            State::PreparingRebalance | State::Empty => self.maybe_complete_join(),
        }
    }

    /// Whoever still waits under the old id is fenced.
    fn replace_static(&mut self, instance_id: &str, old_id: &str, new_id: &str) {
        let old = self.group.rename_static(instance_id, old_id, new_id);
        if let Some(token) = old.as_ref().and_then(|member| member.awaiting_join) {
            self.refuse_join(token, old_id, ErrorCode::FencedInstanceId);
        }
        if let Some(token) = old.and_then(|member| member.awaiting_sync) {
            let response = super::rebalance::sync_error(ErrorCode::FencedInstanceId);
            self.out.answer(token, GroupReply::Sync(response));
        }
        self.timers.cancel(&super::timers::TimerKey::Session(
            self.group.id.clone(),
            old_id.to_string(),
        ));
        self.restart_session(new_id);
    }

    /// The new id of a static member is in the log: it goes on where the old one stopped, without a
    /// rebalance.
    pub(super) fn static_member_stored(
        &mut self,
        old_id: &str,
        new_id: &str,
        token: Token,
        can_skip_assignment: bool,
    ) {
        self.timers.cancel(&super::timers::TimerKey::Session(
            self.group.id.clone(),
            old_id.to_string(),
        ));
        self.restart_session(new_id);
        let mut response = self.generation_for(new_id);
        let is_leader = self.group.is_leader(new_id);
        if can_skip_assignment {
            response.skip_assignment = is_leader;
        } else {
            // Older clients would assign if they thought that they lead: they are told the leader
            // that was.
            response.members = Vec::new();
            if is_leader {
                response.leader = old_id.into();
            }
        }
        self.answer_join(token, response);
    }
}

impl super::classic::ClassicGroup {
    /// What is written when a group comes into being, before anyone has joined for good.
    fn to_empty_record(&self) -> GroupRecord {
        let value = super::record::GroupMetadataValue {
            protocol_type: String::new(),
            generation: 0,
            protocol: None,
            leader: None,
            current_state_timestamp: self.state_since_ms.unwrap_or(-1),
            ..Default::default()
        };
        GroupRecord::ClassicGroup {
            group: self.id.clone(),
            value: Some(value),
        }
    }
}

/// JoinGroup 0 has no rebalance timeout; the session timeout stood for both.
fn rebalance_timeout(request: &JoinGroupRequest) -> i32 {
    match request.rebalance_timeout_ms {
        -1 => request.session_timeout_ms,
        timeout => timeout,
    }
}

fn client_reason(request: &JoinGroupRequest) -> String {
    request
        .reason
        .as_ref()
        .map(|reason| format!(", saying: {reason}"))
        .unwrap_or_default()
}

/// A JoinGroup response as old versions can carry it: they have no null.
pub fn for_version(mut response: JoinGroupResponse, version: i16) -> JoinGroupResponse {
    if version < 7 && response.protocol_name.is_none() {
        response.protocol_name = Some(String::new());
    }
    response
}
