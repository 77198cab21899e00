//! What can be said of a StreamsGroupHeartbeat without looking at the group.
use super::member::STATIC_LEAVE_EPOCH;
use crate::coordinator::group::consumer::Refusal;
use crate::protocol::ErrorCode;
use crate::protocol::messages::StreamsGroupHeartbeatRequest;

pub const JOIN_EPOCH: i32 = 0;

pub fn validate(request: &StreamsGroupHeartbeatRequest) -> Result<(), Refusal> {
    uses_only_what_is_supported(request)?;
    let is_blank = |text: Option<&String>| text.is_some_and(|text| text.trim().is_empty());
    if is_blank(Some(&request.member_id)) {
        return invalid("MemberId can't be empty.");
    }
    if is_blank(Some(&request.group_id)) {
        return invalid("GroupId can't be empty.");
    }
    if is_blank(request.rack_id.as_ref()) {
        return invalid("RackId can't be empty.");
    }
    match request.member_epoch {
        JOIN_EPOCH => validate_join(request)?,
        // It needs an instance id, which was refused above.
        STATIC_LEAVE_EPOCH => return invalid("InstanceId can't be null."),
        epoch @ ..STATIC_LEAVE_EPOCH => {
            return invalid(&format!(
                "MemberEpoch is {epoch}, but must be greater than or equal to -2."
            ));
        }
        _ => {}
    }
    let told = [
        &request.active_tasks,
        &request.standby_tasks,
        &request.warmup_tasks,
    ]
    .map(|tasks| tasks.is_some());
    if told.contains(&true) && told.contains(&false) {
        return invalid("If one task-type is non-null, all must be non-null.");
    }
    if request.member_epoch != JOIN_EPOCH && request.topology.is_some() {
        return invalid("Topology can only be provided when (re-)joining.");
    }
    Ok(())
}

fn uses_only_what_is_supported(request: &StreamsGroupHeartbeatRequest) -> Result<(), Refusal> {
    if request.instance_id.is_some() {
        return invalid("Static membership is not yet supported.");
    }
    if request.task_offsets.is_some() {
        return invalid("TaskOffsets are not supported yet.");
    }
    if request.task_end_offsets.is_some() {
        return invalid("TaskEndOffsets are not supported yet.");
    }
    if request
        .warmup_tasks
        .as_ref()
        .is_some_and(|tasks| !tasks.is_empty())
    {
        return invalid("WarmupTasks are not supported yet.");
    }
    let subtopologies = request.topology.iter().flat_map(|t| &t.subtopologies);
    for subtopology in subtopologies {
        if !subtopology.source_topic_regex.is_empty() {
            return invalid("Regular expressions for source topics are not supported yet.");
        }
    }
    Ok(())
}

fn validate_join(request: &StreamsGroupHeartbeatRequest) -> Result<(), Refusal> {
    if request.rebalance_timeout_ms == -1 {
        return invalid("RebalanceTimeoutMs must be provided in first request.");
    }
    for (kind, tasks) in [
        ("ActiveTasks", &request.active_tasks),
        ("StandbyTasks", &request.standby_tasks),
        ("WarmupTasks", &request.warmup_tasks),
    ] {
        if tasks.as_ref().is_none_or(|tasks| !tasks.is_empty()) {
            return invalid(&format!("{kind} must be empty when (re-)joining."));
        }
    }
    let Some(topology) = &request.topology else {
        return invalid("Topology must be non-null when (re-)joining.");
    };
    for changelog in topology
        .subtopologies
        .iter()
        .flat_map(|s| &s.state_changelog_topics)
    {
        if changelog.partitions != 0 {
            return Err(Refusal::new(
                ErrorCode::StreamsInvalidTopology,
                format!(
                    "Changelog topic {} must have an undefined partition count, but it is set to \
                     {}.",
                    changelog.name, changelog.partitions
                ),
            ));
        }
    }
    Ok(())
}

fn invalid(message: &str) -> Result<(), Refusal> {
    Err(Refusal::new(ErrorCode::InvalidRequest, message.into()))
}
