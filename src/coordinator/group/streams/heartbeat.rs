//! StreamsGroupHeartbeat: joins, goes on, and leaves.
use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::info;

use super::configure::{ConfiguredSubtopology, ConfiguredTopology, StatusCode};
use super::endpoint;
use super::member::{LEAVE_EPOCH, STATIC_LEAVE_EPOCH, StreamsMember};
use super::request::{JOIN_EPOCH, validate};
use super::tasks::{Tasks, told, without_epochs};
use super::update::Update;
use crate::coordinator::group::consumer::Refusal;
use crate::coordinator::group::shard::{Caller, GroupDecision, GroupReply, GroupShard};
use crate::coordinator::group::stored::StoredGroup;
use crate::coordinator::shard::{Now, Token};
use crate::protocol::ErrorCode;
use crate::protocol::messages::create_topics_request::CreatableTopic;
use crate::protocol::messages::streams_group_heartbeat_request::TaskIds;
use crate::protocol::messages::streams_group_heartbeat_response::Status;
use crate::protocol::messages::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse};
use crate::protocol::records::group::streams_group_member_metadata_value::Endpoint;

/// What a heartbeat is answered, and the internal topics that somebody has to create.
pub type Heartbeat = (StreamsGroupHeartbeatResponse, Vec<CreatableTopic>);

impl GroupShard {
    pub(in crate::coordinator::group) fn streams_heartbeat(
        &mut self,
        now: Now,
        token: Token,
        caller: &Caller,
        request: &StreamsGroupHeartbeatRequest,
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        let leaves = matches!(request.member_epoch, LEAVE_EPOCH | STATIC_LEAVE_EPOCH);
        let answered = validate(request).and_then(|()| match leaves {
            true => self.streams_leave(request, &mut out),
            false => self.streams_go_on(now, caller, request, &mut out),
        });
        let (response, to_create) = answered.unwrap_or_else(|refusal| {
            out = GroupDecision::default();
            (refused(&refusal), Vec::new())
        });
        out.answer(token, GroupReply::StreamsHeartbeat(response, to_create));
        out
    }

    fn streams_go_on(
        &mut self,
        now: Now,
        caller: &Caller,
        request: &StreamsGroupHeartbeatRequest,
        out: &mut GroupDecision,
    ) -> Result<Heartbeat, Refusal> {
        let id = request.group_id.as_str();
        let joins = request.member_epoch == JOIN_EPOCH;
        let made = self.streams_group_to_update(id, joins, out)?;
        if made.is_some() {
            self.soft_streams.remove(id);
        }
        let mut update = self.streams_update(id, made.as_ref(), now, out)?;
        let heartbeat = update.heartbeat(caller, request)?;
        let soft = update.soft;
        if matches!(self.stored.groups.get(id), Some(StoredGroup::Streams(_))) {
            self.soft_streams.insert(id.into(), soft);
        }
        Ok(heartbeat)
    }
}

impl Update<'_> {
    fn heartbeat(
        &mut self,
        caller: &Caller,
        request: &StreamsGroupHeartbeatRequest,
    ) -> Result<Heartbeat, Refusal> {
        let joins = request.member_epoch == JOIN_EPOCH;
        if joins {
            self.check_size()?;
        }
        let owned = Tasks::of_request(
            request.active_tasks.as_deref(),
            request.standby_tasks.as_deref(),
            request.warmup_tasks.as_deref(),
        );
        let member = self.member_of(request, owned.as_ref())?;
        let updated = with_request(&member, caller, request);
        let has_changed = self.write_member(&member, &updated);
        let topology = self.update_topology(request.topology.as_ref())?;
        let mut status = self.stale_topology_status(&updated);
        let (configured, hash) = self.configure(&topology)?;
        if let Some(subtopologies) = configured.ready() {
            check_tasks(subtopologies, request)?;
        }
        let epoch = self.update_epoch(has_changed, &configured, hash);
        let target = self.update_target(epoch, &updated, &configured, &mut status);
        let updated = self.reconcile(updated, &target, owned.as_ref())?;
        self.schedule_session(&updated.id);
        if request.shutdown_application && self.soft.shutdown_by.is_none() {
            info!("group {}: {} asks all members to end", self.id, updated.id);
            self.soft.shutdown_by = Some(updated.id.clone());
        }
        let mut response = StreamsGroupHeartbeatResponse {
            member_id: updated.id.clone(),
            member_epoch: updated.epoch,
            heartbeat_interval_ms: self.settings.heartbeat_interval_ms,
            ..Default::default()
        };
        let changed = joins || member.assigned != updated.assigned;
        // Who runs something else than it should has not heard what.
        let is_mistaken = |owned: &Tasks| *owned != updated.assigned.plain();
        if changed || owned.as_ref().is_some_and(is_mistaken) {
            tell_tasks(&mut response, &updated);
        }
        if changed && updated.endpoint.is_some() {
            self.soft.endpoint_epoch = self.soft.endpoint_epoch.wrapping_add(1);
        }
        self.tell_endpoints(&mut response, &updated, &configured, request);
        status.extend(configured.problem.clone());
        if let Some(member) = &self.soft.shutdown_by {
            let detail = format!(
                "Streams group member {member} encountered a fatal error and requested a shutdown \
                 for the entire application."
            );
            status.push(StatusCode::ShutdownApplication.with(detail));
        }
        response.status = Some(status);
        Ok((response, configured.to_create.clone()))
    }

    fn member_of(
        &self,
        request: &StreamsGroupHeartbeatRequest,
        owned: Option<&Tasks>,
    ) -> Result<StreamsMember, Refusal> {
        let joins = request.member_epoch == JOIN_EPOCH;
        let member = match self.group.members.get(&request.member_id) {
            Some(member) => member.clone(),
            None if joins => StreamsMember::new(&request.member_id),
            None => return Err(Refusal::unknown_member(self.id, &request.member_id)),
        };
        if joins {
            info!("group {}: streams member {} joins", self.id, member.id);
        }
        validate_epoch(&member, request.member_epoch, owned)?;
        Ok(member)
    }

    fn stale_topology_status(&self, member: &StreamsMember) -> Vec<Status> {
        let known = self
            .group
            .topology
            .as_ref()
            .map(|topology| topology.epoch());
        let newer = known.filter(|known| member.topology_epoch < *known);
        let status = newer.map(|known| {
            StatusCode::StaleTopology.with(format!(
                "The member's topology epoch {} is behind the group's topology epoch {known}.",
                member.topology_epoch
            ))
        });
        status.into_iter().collect()
    }

    fn tell_endpoints(
        &self,
        response: &mut StreamsGroupHeartbeatResponse,
        updated: &StreamsMember,
        configured: &Arc<ConfiguredTopology>,
        request: &StreamsGroupHeartbeatRequest,
    ) {
        if self.soft.endpoint_epoch != request.endpoint_information_epoch {
            let others = self.group.members.values();
            let others = others.filter(|member| member.id != updated.id);
            let told = others
                .chain([updated])
                .filter_map(|member| endpoint::partitions_of(member, configured, self.image));
            response.partitions_by_user_endpoint = Some(told.collect());
        }
        // Of a group that is not in the log yet nothing is remembered.
        if !self.is_new {
            response.endpoint_information_epoch = self.soft.endpoint_epoch;
        }
    }
}

fn tell_tasks(response: &mut StreamsGroupHeartbeatResponse, member: &StreamsMember) {
    response.active_tasks = Some(told(&without_epochs(&member.assigned.active)));
    response.standby_tasks = Some(told(&member.assigned.standby));
    response.warmup_tasks = Some(told(&member.assigned.warmup));
}

/// The epoch must be the member's. The one before is taken from a member that runs no more than it
/// was given: it may not have had the answer.
fn validate_epoch(
    member: &StreamsMember,
    epoch: i32,
    owned: Option<&Tasks>,
) -> Result<(), Refusal> {
    let is_within = |owned: &Tasks| owned.is_within(&member.assigned);
    let missed_the_answer = || epoch == member.previous_epoch && owned.is_some_and(is_within);
    let relation = match epoch.cmp(&member.epoch) {
        _ if epoch == JOIN_EPOCH => return Ok(()),
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Less if missed_the_answer() => return Ok(()),
        std::cmp::Ordering::Less => "smaller",
        std::cmp::Ordering::Greater => "greater",
    };
    Err(Refusal::new(
        ErrorCode::FencedMemberEpoch,
        format!(
            "The streams group member has a {relation} member epoch ({epoch}) than the one known \
             by the group coordinator ({}). The member must abandon all its partitions and rejoin.",
            member.epoch
        ),
    ))
}

fn with_request(
    member: &StreamsMember,
    caller: &Caller,
    request: &StreamsGroupHeartbeatRequest,
) -> StreamsMember {
    let mut updated = member.clone();
    updated.client_id = caller.client_id.clone();
    updated.client_host = caller.client_host.clone();
    if let Some(rack) = &request.rack_id {
        updated.rack_id = Some(rack.clone());
    }
    if request.rebalance_timeout_ms != -1 {
        updated.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    if let Some(topology) = &request.topology {
        updated.topology_epoch = topology.epoch;
    }
    if let Some(process) = &request.process_id {
        updated.process_id = process.clone();
    }
    if let Some(tags) = &request.client_tags {
        let tags = tags.iter();
        updated.client_tags = tags
            .map(|tag| (tag.key.clone(), tag.value.clone()))
            .collect();
    }
    if let Some(endpoint) = &request.user_endpoint {
        updated.endpoint = Some(Endpoint {
            host: endpoint.host.clone(),
            port: endpoint.port,
            unknown_tags: Vec::new(),
        });
    }
    updated
}

/// Members run tasks of the topology.
fn check_tasks(
    subtopologies: &BTreeMap<String, ConfiguredSubtopology>,
    request: &StreamsGroupHeartbeatRequest,
) -> Result<(), Refusal> {
    let invalid = |message| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    let kinds: [&Option<Vec<TaskIds>>; 3] = [
        &request.active_tasks,
        &request.standby_tasks,
        &request.warmup_tasks,
    ];
    for task in kinds.into_iter().flatten().flatten() {
        let id = &task.subtopology_id;
        let Some(subtopology) = subtopologies.get(id) else {
            return invalid(format!("Subtopology {id} does not exist in the topology."));
        };
        for partition in &task.partitions {
            if !(0..subtopology.tasks).contains(partition) {
                return invalid(format!(
                    "Task {partition} for subtopology {id} is invalid. Number of tasks for this \
                     subtopology: {}",
                    subtopology.tasks
                ));
            }
        }
    }
    Ok(())
}

fn refused(refusal: &Refusal) -> StreamsGroupHeartbeatResponse {
    StreamsGroupHeartbeatResponse {
        error_code: refusal.code.code(),
        error_message: Some(refusal.message.clone()),
        ..Default::default()
    }
}

/// The response for a request that did not get to a shard.
pub fn failed(error: ErrorCode) -> StreamsGroupHeartbeatResponse {
    refused(&Refusal::new(error, error.message().into()))
}
