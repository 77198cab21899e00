//! ConsumerGroupHeartbeat (KIP-848): joins, goes on, and leaves.
use super::Refusal;
use super::member::{ConsumerMember, EpochPartitions, LEAVE_EPOCH, Partitions, STATIC_LEAVE_EPOCH};
use super::settings::ConsumerGroupConfig;
use super::update::{RegexUpdate, Update};
use crate::coordinator::group::shard::{Caller, GroupDecision, GroupReply, GroupShard};
use crate::coordinator::shard::{Now, Token};
use crate::protocol::ErrorCode;
use crate::protocol::messages::consumer_group_heartbeat_request as request;
use crate::protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use crate::protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

/// From this version on, members choose their id themselves.
const OWN_MEMBER_ID_FROM: i16 = 1;
const JOIN_EPOCH: i32 = 0;

/// What can be said of a request without looking at the group.
pub fn validate(
    request: &ConsumerGroupHeartbeatRequest,
    version: i16,
    config: &ConsumerGroupConfig,
) -> Result<(), Refusal> {
    let epoch = request.member_epoch;
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message.into()));
    let is_blank = |text: Option<&String>| text.is_some_and(|text| text.trim().is_empty());
    let needs_id = version >= OWN_MEMBER_ID_FROM || epoch > 0 || epoch == LEAVE_EPOCH;
    if needs_id && is_blank(Some(&request.member_id)) {
        return invalid("MemberId can't be empty.");
    }
    if is_blank(Some(&request.group_id)) {
        return invalid("GroupId can't be empty.");
    }
    if is_blank(request.instance_id.as_ref()) {
        return invalid("InstanceId can't be empty.");
    }
    if is_blank(request.rack_id.as_ref()) {
        return invalid("RackId can't be empty.");
    }
    match epoch {
        JOIN_EPOCH if request.rebalance_timeout_ms == -1 => {
            return invalid("RebalanceTimeoutMs must be provided in first request.");
        }
        JOIN_EPOCH
            if request
                .topic_partitions
                .as_ref()
                .is_none_or(|own| !own.is_empty()) =>
        {
            return invalid("TopicPartitions must be empty when (re-)joining.");
        }
        JOIN_EPOCH
            if request.subscribed_topic_names.is_none()
                && request.subscribed_topic_regex.is_none() =>
        {
            return invalid(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when \
                 (re-)joining.",
            );
        }
        STATIC_LEAVE_EPOCH if request.instance_id.is_none() => {
            return invalid("InstanceId can't be null.");
        }
        ..STATIC_LEAVE_EPOCH => return invalid("MemberEpoch is invalid."),
        _ => {}
    }
    match &request.server_assignor {
        Some(name) if !config.assignors.contains(name) => Err(Refusal::new(
            ErrorCode::UnsupportedAssignor,
            format!(
                "ServerAssignor {name} is not supported. Supported assignors: {}.",
                config.assignors.join(", ")
            ),
        )),
        _ => Ok(()),
    }
}

impl GroupShard {
    pub(in crate::coordinator::group) fn consumer_heartbeat(
        &mut self,
        now: Now,
        token: Token,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        let version = caller.api_version;
        let valid = validate(request, version, &self.config.consumer);
        let leaves = matches!(request.member_epoch, LEAVE_EPOCH | STATIC_LEAVE_EPOCH);
        let response = valid.and_then(|()| match leaves {
            true => self.consumer_leave(now, request, &mut out),
            false => self.consumer_update(now, caller, request, &mut out),
        });
        let response = response.unwrap_or_else(|refusal| {
            out = GroupDecision::default();
            refused(&refusal)
        });
        out.answer(token, GroupReply::ConsumerHeartbeat(response));
        out
    }

    fn consumer_update(
        &mut self,
        now: Now,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
        out: &mut GroupDecision,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let joins = request.member_epoch == JOIN_EPOCH;
        let made = self.group_to_update(&request.group_id, joins, out)?;
        let mut update = self.update_of(&request.group_id, made.as_ref(), now, out)?;
        let member_id = match request.member_id.as_str() {
            "" => caller.fresh_id.as_str(),
            id => id,
        };
        let owned = request.topic_partitions.as_deref().map(owned_partitions);
        update.check_size(&request.member_id)?;
        let member = update.member_of(request, member_id, owned.as_ref())?;
        let updated = with_request(&member, caller, request);
        let names_changed = update.write_member(&member, &updated);
        let regex = update.update_regex(&member, &updated)?;
        let has_changed = names_changed || regex != RegexUpdate::Unchanged;
        let bump = names_changed || regex == RegexUpdate::Resolved;
        let epoch = match bump || update.has_metadata_expired() {
            true => update.update_epoch(bump, &updated),
            false => update.group.epoch,
        };
        let target = update.update_target(epoch, &updated);
        let updated = update.reconcile(updated, &target, has_changed, owned.as_ref())?;
        let settings = update.settings;
        update.schedule_session(member_id, settings.session_timeout_ms);
        let says_all = request.rebalance_timeout_ms != -1
            && (request.subscribed_topic_names.is_some()
                || request.subscribed_topic_regex.is_some())
            && request.topic_partitions.is_some();
        let tells = joins || says_all || member.assigned != updated.assigned;
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(updated.id.clone()),
            member_epoch: updated.epoch,
            heartbeat_interval_ms: settings.heartbeat_interval_ms,
            assignment: tells.then(|| assignment(&updated.assigned)),
            ..Default::default()
        })
    }
}

impl Update<'_> {
    fn member_of(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
        member_id: &str,
        owned: Option<&Partitions>,
    ) -> Result<ConsumerMember, Refusal> {
        let joins = request.member_epoch == JOIN_EPOCH;
        let member = match request.instance_id.as_deref() {
            Some(instance) if joins => return self.join_static(member_id, instance, false),
            Some(instance) => self.static_member(member_id, instance)?.clone(),
            None => match self.group.members.get(member_id) {
                Some(member) => member.clone(),
                None if joins => ConsumerMember::new(member_id),
                None => return Err(Refusal::unknown_member(self.id, member_id)),
            },
        };
        validate_epoch(&member, request.member_epoch, owned)?;
        Ok(member)
    }
}

/// The epoch must be the member's. The one before is taken from a member that owns no more than it
/// had then: it may not have had the answer.
fn validate_epoch(
    member: &ConsumerMember,
    epoch: i32,
    owned: Option<&Partitions>,
) -> Result<(), Refusal> {
    let repeats = epoch == member.previous_epoch && is_subset(owned, &member.assigned);
    if epoch == JOIN_EPOCH || epoch == member.epoch || epoch < member.epoch && repeats {
        return Ok(());
    }
    let which = if epoch > member.epoch {
        "greater"
    } else {
        "smaller"
    };
    Err(Refusal::new(
        ErrorCode::FencedMemberEpoch,
        format!(
            "The consumer group member has a {which} member epoch ({epoch}) than the one known by \
             the group coordinator ({}). The member must abandon all its partitions and rejoin.",
            member.epoch
        ),
    ))
}

fn is_subset(owned: Option<&Partitions>, assigned: &EpochPartitions) -> bool {
    owned.is_some_and(|owned| {
        owned.iter().all(|(topic, partitions)| {
            let own = assigned.get(topic);
            own.is_some_and(|own| partitions.iter().all(|p| own.contains_key(p)))
        })
    })
}

fn with_request(
    member: &ConsumerMember,
    caller: &Caller,
    request: &ConsumerGroupHeartbeatRequest,
) -> ConsumerMember {
    let mut updated = member.clone();
    let replace = |field: &mut Option<String>, value: &Option<String>| {
        if value.is_some() {
            field.clone_from(value);
        }
    };
    replace(&mut updated.instance_id, &request.instance_id);
    replace(&mut updated.rack_id, &request.rack_id);
    replace(&mut updated.server_assignor, &request.server_assignor);
    replace(&mut updated.topic_regex, &request.subscribed_topic_regex);
    if request.rebalance_timeout_ms != -1 {
        updated.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    if let Some(names) = &request.subscribed_topic_names {
        updated.topic_names = names.iter().cloned().collect();
    }
    updated.client_id.clone_from(&caller.client_id);
    updated.client_host.clone_from(&caller.client_host);
    updated.classic = None;
    updated
}

fn owned_partitions(topics: &[request::TopicPartitions]) -> Partitions {
    let mut owned = Partitions::new();
    for topic in topics {
        let partitions = owned.entry(topic.topic_id).or_default();
        partitions.extend(topic.partitions.iter().copied());
    }
    owned
}

fn assignment(partitions: &EpochPartitions) -> Assignment {
    let topic = |(id, partitions): (&_, &std::collections::BTreeMap<i32, i32>)| TopicPartitions {
        topic_id: *id,
        partitions: partitions.keys().copied().collect(),
    };
    Assignment {
        topic_partitions: partitions.iter().map(topic).collect(),
    }
}

pub fn refused(refusal: &Refusal) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code: refusal.code.code(),
        error_message: Some(refusal.message.clone()),
        ..Default::default()
    }
}

/// The shard could not be asked, or could not write.
pub fn failed(code: ErrorCode) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code: code.code(),
        error_message: Some(code.message().into()),
        ..Default::default()
    }
}
