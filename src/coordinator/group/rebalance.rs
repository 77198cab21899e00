//! How a generation comes about: the join phase, the sync phase and what ends them. Every function
//! here works on one group in one step; what it decides is collected in the step's [`Decision`].
use std::collections::BTreeMap;

use bytes::Bytes;
use tracing::{debug, info};

use super::classic::{ClassicGroup, Member, State};
use super::config::GroupConfig;
use super::shard::{AfterAppend, GroupDecision, GroupReply};
use super::timers::{TimerKey, Timers};
use crate::coordinator::shard::{Now, Token};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{JoinGroupResponse, SyncGroupResponse};

/// One step of one group.
pub struct Step<'a> {
    pub group: &'a mut ClassicGroup,
    pub timers: &'a mut Timers,
    pub config: &'a GroupConfig,
    pub now: Now,
    pub out: &'a mut GroupDecision,
}

impl Step<'_> {
    pub fn answer_join(&mut self, token: Token, response: JoinGroupResponse) {
        self.out.answer(token, GroupReply::Join(response));
    }

    pub fn refuse_join(&mut self, token: Token, member_id: &str, error: ErrorCode) {
        self.answer_join(token, join_error(member_id, error));
    }

    fn answer_sync(&mut self, token: Token, response: SyncGroupResponse) {
        self.out.answer(token, GroupReply::Sync(response));
    }

    /// Starts the session of a member anew.
    pub fn restart_session(&mut self, member_id: &str) {
        if let Some(member) = self.group.members.get(member_id) {
            self.set_session(member_id, member.session_timeout_ms.into());
        }
    }

    pub fn set_session(&mut self, member_id: &str, timeout_ms: i64) {
        let key = TimerKey::Session(self.group.id.clone(), member_id.into());
        self.timers.set(key, self.now.monotonic_ms + timeout_ms);
    }

    fn cancel_session(&mut self, member_id: &str) {
        self.timers
            .cancel(&TimerKey::Session(self.group.id.clone(), member_id.into()));
    }

    fn join_key(&self) -> TimerKey {
        TimerKey::Join(self.group.id.clone())
    }

    fn sync_key(&self) -> TimerKey {
        TimerKey::Sync(self.group.id.clone())
    }

    /// A group with members has been loaded: their sessions start anew.
    pub fn resume(&mut self) {
        let ids: Vec<String> = self.group.members.keys().cloned().collect();
        for id in &ids {
            self.restart_session(id);
        }
        if ids.len() > usize::try_from(self.config.max_size).unwrap_or(0) {
            self.prepare_rebalance("the group is larger than group.max.size");
        }
    }

    /// Rebalances, or, if a rebalance is under way, ends its join phase if everybody is there.
    pub fn rebalance_or_complete_join(&mut self, reason: &str) {
        if self.group.state == State::PreparingRebalance {
            self.maybe_complete_join();
        } else {
            self.prepare_rebalance(reason);
        }
    }

    /// Ends the join phase if all members have joined. The initial rebalance waits for its delay
    /// all the same.
    pub fn maybe_complete_join(&mut self) {
        let is_preparing = self.group.state == State::PreparingRebalance;
        if is_preparing && !self.group.is_initial_rebalance() && self.group.all_have_joined() {
            self.complete_join();
        }
    }

    pub fn prepare_rebalance(&mut self, reason: &str) {
        if self.group.state == State::CompletingRebalance {
            self.fail_syncs(ErrorCode::RebalanceInProgress);
        }
        self.group.pending_sync.clear();
        self.timers.cancel(&self.sync_key());

        let is_initial = self.group.state == State::Empty;
        self.group
            .transition(State::PreparingRebalance, self.now.wall_ms);
        debug!(
            "preparing to rebalance group {}, generation {}: {reason}",
            self.group.id, self.group.generation
        );
        if is_initial {
            let delay = i64::from(self.config.initial_rebalance_delay_ms);
            self.group.initial_delay_ms = delay;
            self.group.initial_remaining_ms = (self.group.rebalance_timeout_ms() - delay).max(0);
            self.timers
                .set(self.join_key(), self.now.monotonic_ms + delay);
        } else if self.group.all_have_joined() {
            self.complete_join();
        } else {
            self.wait_for_joins();
        }
    }

    fn wait_for_joins(&mut self) {
        let deadline = self.now.monotonic_ms + self.group.rebalance_timeout_ms();
        self.timers.set(self.join_key(), deadline);
    }

    /// The time for joining is up.
    pub fn join_deadline(&mut self) {
        let group = &mut *self.group;
        if group.state != State::PreparingRebalance {
            return;
        }
        let more = group.new_member_added && group.initial_remaining_ms != 0;
        if group.is_initial_rebalance() && more {
            group.new_member_added = false;
            let delay = i64::from(self.config.initial_rebalance_delay_ms);
            let next_delay = delay.min(group.initial_remaining_ms);
            group.initial_remaining_ms =
                (group.initial_remaining_ms - group.initial_delay_ms).max(0);
            group.initial_delay_ms = next_delay;
            self.timers
                .set(self.join_key(), self.now.monotonic_ms + next_delay);
        } else {
            self.complete_join();
        }
    }

    /// Ends the join phase: who has not rejoined is out (static members stay), the rest is the next
    /// generation.
    pub fn complete_join(&mut self) {
        self.timers.cancel(&self.join_key());
        self.drop_absent_members();
        if !self.group.elect_joined_leader() && !self.group.members.is_empty() {
            // Only static members are left, and none of them is here: their sessions will decide.
            debug!("group {} waits: no member has rejoined", self.group.id);
            self.wait_for_joins();
            return;
        }
        self.group.generation = self.group.generation.wrapping_add(1);
        self.group.protocol = self.group.select_protocol();
        self.group.pending_sync.clear();
        self.group.new_member_added = false;
        if self.group.members.is_empty() {
            self.group.transition(State::Empty, self.now.wall_ms);
            info!(
                "group {} is empty in generation {}",
                self.group.id, self.group.generation
            );
            self.out
                .records
                .push(self.group.to_record(&BTreeMap::new()));
        } else {
            self.group
                .transition(State::CompletingRebalance, self.now.wall_ms);
            info!(
                "group {} has {} members in generation {}",
                self.group.id,
                self.group.members.len(),
                self.group.generation
            );
            self.send_generation();
        }
    }

    fn drop_absent_members(&mut self) {
        let absent =
            |member: &Member| member.awaiting_join.is_none() && member.instance_id.is_none();
        let ids: Vec<String> = self
            .group
            .members
            .iter()
            .filter(|(_, member)| absent(member))
            .map(|(id, _)| id.clone())
            .collect();
        for id in &ids {
            self.group.remove(id);
            self.cancel_session(id);
        }
        if !ids.is_empty() {
            info!(
                "group {} removed members that have not rejoined: {ids:?}",
                self.group.id
            );
        }
    }

    /// Answers every JoinGroup and starts to wait for every SyncGroup.
    fn send_generation(&mut self) {
        let ids: Vec<String> = self.group.members.keys().cloned().collect();
        for id in ids {
            let response = self.generation_for(&id);
            let Some(member) = self.group.members.get_mut(&id) else {
                continue;
            };
            member.is_new = false;
            if let Some(token) = member.awaiting_join.take() {
                self.answer_join(token, response);
            }
            self.restart_session(&id);
            self.group.pending_sync.insert(id);
        }
        let deadline = self.now.monotonic_ms + self.group.rebalance_timeout_ms();
        self.timers.set(self.sync_key(), deadline);
    }

    /// What a member is told of the current generation; the leader gets all members.
    pub fn generation_for(&self, member_id: &str) -> JoinGroupResponse {
        let group = &*self.group;
        let members = match group.is_leader(member_id) {
            true => group.join_response_members(),
            false => Vec::new(),
        };
        JoinGroupResponse {
            generation_id: group.generation,
            protocol_type: group.protocol_type.clone(),
            protocol_name: group.protocol.clone(),
            leader: group.leader.clone().unwrap_or_default(),
            member_id: member_id.into(),
            members,
            ..JoinGroupResponse::default()
        }
    }

    /// Members that got the generation but never asked for their assignment are out.
    pub fn sync_deadline(&mut self) {
        let in_sync_phase = matches!(self.group.state, State::CompletingRebalance | State::Stable);
        if !in_sync_phase || self.group.pending_sync.is_empty() {
            return;
        }
        let late = std::mem::take(&mut self.group.pending_sync);
        for id in &late {
            self.group.remove(id);
            self.cancel_session(id);
        }
        self.prepare_rebalance(&format!("no SyncGroup from {late:?} in time"));
    }

    /// A member has asked for its assignment.
    pub fn has_synced(&mut self, member_id: &str) {
        self.group.pending_sync.remove(member_id);
        if self.group.pending_sync.is_empty() {
            self.timers.cancel(&self.sync_key());
        }
    }

    /// The leader has assigned: the generation goes to the log, and from there to the members.
    pub fn store_assignment(&mut self, assignments: BTreeMap<String, Bytes>) {
        let record = self.group.to_record(&assignments);
        self.out.records.push(record);
        self.out.after = Some(AfterAppend::Assignment {
            group: self.group.id.clone(),
            generation: self.group.generation,
            assignments,
        });
    }

    pub fn assignment_stored(&mut self, assignments: BTreeMap<String, Bytes>) {
        for (id, member) in &mut self.group.members {
            member.assignment = assignments.get(id).cloned().unwrap_or_default();
        }
        let ids: Vec<String> = self.group.members.keys().cloned().collect();
        for id in ids {
            self.send_assignment(&id);
        }
        self.group.transition(State::Stable, self.now.wall_ms);
    }

    fn send_assignment(&mut self, member_id: &str) {
        let response = self.assignment_for(member_id);
        let token = self
            .group
            .members
            .get_mut(member_id)
            .and_then(|member| member.awaiting_sync.take());
        if let Some(token) = token {
            self.answer_sync(token, response);
            // Its session may have run out unnoticed while it waited for us.
            self.restart_session(member_id);
        }
    }

    pub fn assignment_for(&self, member_id: &str) -> SyncGroupResponse {
        let member = self.group.members.get(member_id);
        SyncGroupResponse {
            protocol_type: self.group.protocol_type.clone(),
            protocol_name: self.group.protocol.clone(),
            assignment: member
                .map(|member| member.assignment.clone())
                .unwrap_or_default(),
            ..SyncGroupResponse::default()
        }
    }

    pub fn assignment_failed(&mut self, error: ErrorCode) {
        self.fail_syncs(error);
        self.rebalance_or_complete_join(&format!(
            "storing the assignment failed: {}",
            error.name()
        ));
    }

    /// Takes the assignments back and answers everyone who waits for theirs with `error`.
    fn fail_syncs(&mut self, error: ErrorCode) {
        let mut waiting = Vec::new();
        for (id, member) in &mut self.group.members {
            member.assignment = Bytes::new();
            waiting.extend(member.awaiting_sync.take().map(|token| (id.clone(), token)));
        }
        for (id, token) in waiting {
            self.answer_sync(token, sync_error(error));
            self.restart_session(&id);
        }
    }

    /// Removes a member; if it waits in a join, it is told to start over.
    pub fn remove_member(&mut self, member_id: &str) {
        self.cancel_session(member_id);
        let Some(member) = self.group.remove(member_id) else {
            return;
        };
        if let Some(token) = member.awaiting_join {
            self.refuse_join(token, "", ErrorCode::UnknownMemberId);
        }
        if let Some(token) = member.awaiting_sync {
            self.answer_sync(token, sync_error(ErrorCode::UnknownMemberId));
        }
    }

    /// The session of a member, or of an id that was given out and never used, has run out.
    pub fn session_deadline(&mut self, member_id: &str) {
        if self.group.pending_join.remove(member_id) {
            info!(
                "group {}: pending member {member_id} never joined",
                self.group.id
            );
            if self.group.state == State::PreparingRebalance && self.group.all_have_joined() {
                self.complete_join();
            }
            return;
        }
        match self.group.members.get(member_id) {
            Some(member) if !member.may_be_silent() => {}
            _ => return,
        }
        info!(
            "group {}: the session of member {member_id} has expired",
            self.group.id
        );
        self.remove_member(member_id);
        match self.group.state {
            State::Stable | State::CompletingRebalance => {
                self.prepare_rebalance(&format!("the session of {member_id} expired"));
            }
            State::PreparingRebalance if self.group.all_have_joined() => self.complete_join(),
            State::PreparingRebalance | State::Empty => {}
        }
    }
}

pub fn join_error(member_id: &str, error: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: error.code(),
        member_id: member_id.into(),
        ..JoinGroupResponse::default()
    }
}

pub fn sync_error(error: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse {
        error_code: error.code(),
        ..SyncGroupResponse::default()
    }
}
