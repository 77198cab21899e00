//! SyncGroup, Heartbeat and LeaveGroup.
use std::collections::BTreeMap;

use bytes::Bytes;
use tracing::debug;

use super::classic::{ClassicGroup, State};
use super::rebalance::{Step, sync_error};
use super::record::detached;
use super::shard::{GroupDecision, GroupReply, GroupShard};
use crate::coordinator::shard::{Now, Token};
use crate::protocol::ErrorCode;
use crate::protocol::messages::leave_group_request::MemberIdentity;
use crate::protocol::messages::leave_group_response::MemberResponse;
use crate::protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest,
};

impl GroupShard {
    pub(super) fn sync(
        &mut self,
        now: Now,
        token: Token,
        request: &SyncGroupRequest,
    ) -> GroupDecision {
        if self.has_consumer_members(&request.group_id) {
            return self.consumer_sync(now, token, request);
        }
        let mut out = GroupDecision::default();
        // A group that has no live half is empty or is not there: nobody can be in it.
        if !self.live.contains_key(&request.group_id) {
            out.answer(
                token,
                GroupReply::Sync(sync_error(ErrorCode::UnknownMemberId)),
            );
            return out;
        }
        let mut step = self.step(&request.group_id, now, &mut out);
        if let Err(error) = validate_sync(step.group, request) {
            out.answer(token, GroupReply::Sync(sync_error(error)));
            return out;
        }
        step.sync(token, request);
        out
    }

    pub(super) fn heartbeat(
        &mut self,
        now: Now,
        token: Token,
        request: &HeartbeatRequest,
    ) -> GroupDecision {
        if self.has_consumer_members(&request.group_id) {
            return self.consumer_classic_heartbeat(now, token, request);
        }
        let mut out = GroupDecision::default();
        let error = match self.live.get(&request.group_id) {
            None => ErrorCode::UnknownMemberId,
            Some(group) => validate_heartbeat(group, request),
        };
        if matches!(error, ErrorCode::None | ErrorCode::RebalanceInProgress) {
            self.step(&request.group_id, now, &mut out)
                .restart_session(&request.member_id);
        }
        let response = HeartbeatResponse {
            error_code: error.code(),
            ..Default::default()
        };
        out.answer(token, GroupReply::Heartbeat(response));
        out
    }

    pub(super) fn leave(
        &mut self,
        now: Now,
        token: Token,
        request: &LeaveGroupRequest,
    ) -> GroupDecision {
        if self.has_consumer_members(&request.group_id) {
            return self.consumer_classic_leave(now, token, request);
        }
        let mut out = GroupDecision::default();
        let mut members = Vec::with_capacity(request.members.len());
        if self.is_classic(&request.group_id) {
            let mut step = self.step(&request.group_id, now, &mut out);
            members.extend(request.members.iter().map(|member| step.leave(member)));
            let left: Vec<&str> = members
                .iter()
                .filter(|response| response.error_code == ErrorCode::None.code())
                .map(|response| response.member_id.as_str())
                .collect();
            if !left.is_empty() {
                step.after_leave(&left);
            }
        } else {
            let unknown = |member| left_with(member, Err(ErrorCode::UnknownMemberId));
            members.extend(request.members.iter().map(unknown));
        }
        let response = LeaveGroupResponse {
            members,
            ..Default::default()
        };
        out.answer(token, GroupReply::Leave(response));
        out
    }
}

impl Step<'_> {
    fn sync(&mut self, token: Token, request: &SyncGroupRequest) {
        match self.group.state {
            State::PreparingRebalance => {
                let response = sync_error(ErrorCode::RebalanceInProgress);
                self.out.answer(token, GroupReply::Sync(response));
            }
            State::CompletingRebalance => self.wait_for_assignment(token, request),
            State::Stable => {
                self.has_synced(&request.member_id);
                let response = self.assignment_for(&request.member_id);
                self.out.answer(token, GroupReply::Sync(response));
            }
            State::Empty => {
                let response = sync_error(ErrorCode::UnknownMemberId);
                self.out.answer(token, GroupReply::Sync(response));
            }
        }
    }

    fn wait_for_assignment(&mut self, token: Token, request: &SyncGroupRequest) {
        let Some(member) = self.group.members.get_mut(&request.member_id) else {
            return;
        };
        if let Some(earlier) = member.awaiting_sync.replace(token) {
            let response = sync_error(ErrorCode::RebalanceInProgress);
            self.out.answer(earlier, GroupReply::Sync(response));
        }
        self.has_synced(&request.member_id);
        if !self.group.is_leader(&request.member_id) {
            return;
        }
        debug!(
            "group {}: leader {} has assigned generation {}",
            self.group.id, request.member_id, self.group.generation
        );
        let mut assignments: BTreeMap<String, Bytes> = BTreeMap::new();
        for assignment in &request.assignments {
            if self.group.members.contains_key(&assignment.member_id) {
                let bytes = detached(&assignment.assignment);
                assignments.insert(assignment.member_id.clone(), bytes);
            }
        }
        self.store_assignment(assignments);
    }

    /// One member of a LeaveGroup. An administrator names static members by their instance id
    /// alone.
    fn leave(&mut self, member: &MemberIdentity) -> MemberResponse {
        let instance_id = member.group_instance_id.as_deref();
        let reason = member.reason.as_deref().unwrap_or("not provided");
        let leaving = if member.member_id.is_empty() {
            let known = instance_id.and_then(|id| self.group.static_members.get(id));
            known.cloned().ok_or(ErrorCode::UnknownMemberId)
        } else if self.group.pending_join.contains(&member.member_id) {
            Ok(member.member_id.clone())
        } else {
            let valid = self.group.validate_member(&member.member_id, instance_id);
            valid.map(|()| member.member_id.clone())
        };
        if let Ok(member_id) = &leaving {
            debug!(
                "group {}: member {member_id} leaves, reason: {reason}",
                self.group.id
            );
            self.remove_member(member_id);
        }
        left_with(member, leaving.map(drop))
    }

    fn after_leave(&mut self, left: &[&str]) {
        match self.group.state {
            State::Stable | State::CompletingRebalance => {
                self.prepare_rebalance(&format!("members left: {left:?}"));
            }
            State::PreparingRebalance => self.maybe_complete_join(),
            State::Empty => {}
        }
    }
}

fn left_with(member: &MemberIdentity, result: Result<(), ErrorCode>) -> MemberResponse {
    MemberResponse {
        member_id: member.member_id.clone(),
        group_instance_id: member.group_instance_id.clone(),
        error_code: result.err().unwrap_or(ErrorCode::None).code(),
    }
}

fn validate_sync(group: &ClassicGroup, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
    if group.state == State::Empty {
        return Err(ErrorCode::UnknownMemberId);
    }
    group.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
    if request.generation_id != group.generation {
        return Err(ErrorCode::IllegalGeneration);
    }
    let differs = |theirs: &Option<String>, ours: &Option<String>| {
        theirs.is_some() && ours.is_some() && theirs != ours
    };
    if differs(&request.protocol_type, &group.protocol_type)
        || differs(&request.protocol_name, &group.protocol)
    {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    Ok(())
}

fn validate_heartbeat(group: &ClassicGroup, request: &HeartbeatRequest) -> ErrorCode {
    let instance_id = request.group_instance_id.as_deref();
    if let Err(error) = group.validate_member(&request.member_id, instance_id) {
        return error;
    }
    if request.generation_id != group.generation {
        return ErrorCode::IllegalGeneration;
    }
    match group.state {
        State::Empty => ErrorCode::UnknownMemberId,
        State::PreparingRebalance => ErrorCode::RebalanceInProgress,
        State::CompletingRebalance | State::Stable => ErrorCode::None,
    }
}
