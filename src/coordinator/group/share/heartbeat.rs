//! ShareGroupHeartbeat: joins, goes on, and leaves.
use std::collections::{BTreeMap, BTreeSet};

use tracing::{debug, info};

use super::assignor::{self, MemberSpec};
use super::record::ShareRecord;
use super::settings::ShareSettings;
use super::state::{LEAVE_EPOCH, ShareGroup, ShareMember, SharePartitions};
use super::{Refusal, ShareReply};
use crate::coordinator::group::consumer::{MetadataRefresh, metadata_hash};
use crate::coordinator::group::shard::{Caller, GroupDecision, GroupShard};
use crate::coordinator::group::stored::StoredGroup;
use crate::coordinator::group::timers::TimerKey;
use crate::coordinator::shard::Now;
use crate::metadata::image::MetadataImage;
use crate::protocol::messages::share_group_heartbeat_response::{Assignment, TopicPartitions};
use crate::protocol::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};
use crate::protocol::{ErrorCode, Uuid};

const JOIN_EPOCH: i32 = 0;
/// A group looks at its topics' metadata anew when they change, and after this time.
const METADATA_REFRESH_MS: i64 = i32::MAX as i64;

/// What can be said of a request without looking at the group.
fn validate(request: &ShareGroupHeartbeatRequest) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message.into()));
    let is_blank = |text: &str| text.trim().is_empty();
    if is_blank(&request.member_id) {
        return invalid("MemberId can't be empty.");
    }
    if is_blank(&request.group_id) {
        return invalid("GroupId can't be empty.");
    }
    if request.rack_id.as_deref().is_some_and(is_blank) {
        return invalid("RackId can't be empty.");
    }
    let names_topics = request
        .subscribed_topic_names
        .as_ref()
        .is_some_and(|names| !names.is_empty());
    match request.member_epoch {
        JOIN_EPOCH if !names_topics => {
            invalid("SubscribedTopicNames must be set in first request.")
        }
        LEAVE_EPOCH.. => Ok(()),
        _ => invalid("MemberEpoch is invalid."),
    }
}

impl GroupShard {
    pub(super) fn share_heartbeat(
        &mut self,
        now: Now,
        caller: &Caller,
        request: &ShareGroupHeartbeatRequest,
        out: &mut GroupDecision,
    ) -> ShareReply {
        let answered = validate(request).and_then(|()| match request.member_epoch {
            LEAVE_EPOCH => Ok(ShareReply::Heartbeat(self.share_leave(request, out)?, None)),
            _ => self.share_update(now, caller, request, out),
        });
        answered.unwrap_or_else(|refusal| {
            *out = GroupDecision::default();
            ShareReply::Heartbeat(refused(&refusal), None)
        })
    }

    fn share_update(
        &mut self,
        now: Now,
        caller: &Caller,
        request: &ShareGroupHeartbeatRequest,
        out: &mut GroupDecision,
    ) -> Result<ShareReply, Refusal> {
        let id = request.group_id.as_str();
        let joins = request.member_epoch == JOIN_EPOCH;
        let group = self.share_group_to_update(id, joins)?;
        self.check_share_size(&group, &request.member_id)?;
        let member = member_of(id, &group, request)?;
        let settings = ShareSettings::of(id, &self.config.share, &self.image);
        let mut step = Step {
            id,
            group: &group,
            settings,
            image: &self.image,
            now,
            out,
        };
        let subscribed = with_request(&member, caller, request);
        let mut bump = step.write_member(&member, &subscribed);
        bump |= group.assignment_epoch >= group.epoch && group.assignment_is_pending();
        let names = names_with(&group, &subscribed);
        let is_stale = self.soft.refreshed.get(id).is_none_or(|refresh| {
            now.monotonic_ms >= refresh.deadline_ms || group.epoch < refresh.epoch
        });
        let mut epoch = group.epoch;
        if bump || is_stale {
            epoch = step.update_epoch(&names, bump);
            let deadline_ms = now.monotonic_ms + METADATA_REFRESH_MS;
            let refresh = MetadataRefresh { deadline_ms, epoch };
            self.soft.refreshed.insert(id.into(), refresh);
        }
        let (target_epoch, target) = step.update_target(epoch, &subscribed);
        let has_changed = epoch != group.epoch;
        let updated = step.reconcile(subscribed.clone(), target_epoch, &target, has_changed);
        let initialize = self.states_to_begin(id, &group, epoch, &names, now, out);
        let key = TimerKey::Session(id.into(), updated.id.clone());
        let timeout_ms = i64::from(settings.session_timeout_ms);
        self.timers.set(key, now.monotonic_ms + timeout_ms);
        let tells = joins
            || request.subscribed_topic_names.is_some()
            || member.assigned != updated.assigned;
        let response = ShareGroupHeartbeatResponse {
            member_id: Some(updated.id.clone()),
            member_epoch: updated.epoch,
            heartbeat_interval_ms: settings.heartbeat_interval_ms,
            assignment: tells.then(|| assignment(&updated.assigned)),
            ..Default::default()
        };
        Ok(ShareReply::Heartbeat(response, initialize))
    }

    /// The group, or one that comes into being with the records of this request.
    pub(super) fn share_group_to_update(
        &self,
        id: &str,
        create: bool,
    ) -> Result<ShareGroup, Refusal> {
        let is_live = self.live.contains_key(id);
        match self.stored.groups.get(id) {
            Some(StoredGroup::Share(group)) => Ok(group.clone()),
            None if !is_live && create => Ok(ShareGroup::default()),
            None if !is_live => Err(Refusal::not_found(format!("Share group {id} not found."))),
            _ => Err(Refusal::not_found(format!(
                "Group {id} is not a share group."
            ))),
        }
    }

    fn check_share_size(&self, group: &ShareGroup, member_id: &str) -> Result<(), Refusal> {
        let max = self.config.share.max_size;
        let has_room = group.members.len() < usize::try_from(max).unwrap_or(0);
        if has_room || group.members.contains_key(member_id) {
            return Ok(());
        }
        Err(Refusal::new(
            ErrorCode::GroupMaxSizeReached,
            format!("The share group has reached its maximum capacity of {max} members."),
        ))
    }
}

fn member_of(
    id: &str,
    group: &ShareGroup,
    request: &ShareGroupHeartbeatRequest,
) -> Result<ShareMember, Refusal> {
    let member = match group.members.get(&request.member_id) {
        Some(member) => member.clone(),
        None if request.member_epoch == JOIN_EPOCH => {
            info!("share group {id}: member {} joins", request.member_id);
            ShareMember::new(&request.member_id)
        }
        None => return Err(Refusal::unknown_member(id, &request.member_id)),
    };
    let (epoch, known, previous) = (request.member_epoch, member.epoch, member.previous_epoch);
    let why = match epoch {
        JOIN_EPOCH => return Ok(member),
        _ if epoch > known => format!(
            "The share group member has a greater member epoch ({epoch}) than the one known by the \
             group coordinator ({known}). The member must abandon all its partitions and rejoin."
        ),
        _ if epoch < known && epoch != previous => format!(
            "The share group member has a smaller member epoch ({epoch}) than the one known by the \
             group coordinator ({known}), and it does not match the previous member epoch \
             ({previous}). The member must abandon all its partitions and rejoin."
        ),
        _ => return Ok(member),
    };
    Err(Refusal::new(ErrorCode::FencedMemberEpoch, why))
}

fn with_request(
    member: &ShareMember,
    caller: &Caller,
    request: &ShareGroupHeartbeatRequest,
) -> ShareMember {
    let mut updated = member.clone();
    if request.rack_id.is_some() {
        updated.rack_id.clone_from(&request.rack_id);
    }
    if let Some(names) = &request.subscribed_topic_names {
        updated.topic_names = names.iter().cloned().collect();
    }
    updated.client_id.clone_from(&caller.client_id);
    updated.client_host.clone_from(&caller.client_host);
    updated
}

/// The topics that members subscribe to, with one of them changed.
fn names_with<'a>(group: &'a ShareGroup, updated: &'a ShareMember) -> BTreeSet<&'a str> {
    let others = group.members.values().filter(|m| m.id != updated.id);
    let names = others.chain([updated]).flat_map(|m| &m.topic_names);
    names.map(String::as_str).collect()
}

/// One heartbeat on its way; records are collected in `out`.
struct Step<'a> {
    id: &'a str,
    group: &'a ShareGroup,
    settings: ShareSettings,
    image: &'a MetadataImage,
    now: Now,
    out: &'a mut GroupDecision,
}

impl Step<'_> {
    fn push(&mut self, record: ShareRecord) {
        self.out.records.push(record.of(self.id));
    }

    /// Records what the member says of itself; whether the topics that it names are others now.
    fn write_member(&mut self, member: &ShareMember, updated: &ShareMember) -> bool {
        if updated != member {
            self.push(ShareRecord::member(updated));
        }
        updated.topic_names != member.topic_names
    }

    /// The group's epoch, raised if it is told to be or the topics' metadata has changed.
    fn update_epoch(&mut self, names: &BTreeSet<&str>, bump: bool) -> i32 {
        let hash = metadata_hash(names.iter().copied(), self.image);
        if !bump && hash == self.group.metadata_hash {
            return self.group.epoch;
        }
        let epoch = self.group.epoch + 1;
        self.push(ShareRecord::epoch(epoch, hash));
        debug!(
            "share group {}: epoch {epoch}, metadata hash {hash}",
            self.id
        );
        epoch
    }

    /// The target assignment, made anew if the group is ahead of it and the last is old enough.
    fn update_target(&mut self, epoch: i32, updated: &ShareMember) -> (i32, SharePartitions) {
        let group = self.group;
        let since_ms = group.assignment_timestamp_ms;
        let age_ms = self.now.wall_ms.saturating_sub(since_ms);
        let interval_ms = i64::from(self.settings.assignment_interval_ms);
        let is_too_soon = since_ms != 0 && (0..interval_ms).contains(&age_ms);
        if group.assignment_epoch >= epoch || is_too_soon {
            let target = group.target.get(&updated.id).cloned();
            return (group.assignment_epoch, target.unwrap_or_default());
        }
        let mut members = BTreeMap::new();
        let others = group.members.values().filter(|m| m.id != updated.id);
        for member in others.chain([updated]) {
            let ids = member.topic_names.iter();
            let spec = MemberSpec {
                topics: ids
                    .filter_map(|name| self.image.topics.id_of(name))
                    .collect(),
                assigned: group.target.get(&member.id).cloned().unwrap_or_default(),
            };
            members.insert(member.id.clone(), spec);
        }
        let mut assigned = assignor::assign(&members, &self.assignable());
        for id in members.keys() {
            let new = assigned.entry(id.clone()).or_default();
            if group.target.get(id) != Some(new) {
                let record = ShareRecord::target(id, new);
                self.push(record);
            }
        }
        self.push(ShareRecord::target_epoch(epoch, self.now.wall_ms));
        info!(
            "share group {}: target assignment of epoch {epoch} for {} members",
            self.id,
            members.len()
        );
        (epoch, assigned.remove(&updated.id).unwrap_or_default())
    }

    /// The partitions that have a state and still exist.
    fn assignable(&self) -> SharePartitions {
        let states = self.group.state_partitions.as_ref();
        let mut initialized = states.map(|s| s.initialized()).unwrap_or_default();
        let image = self.image;
        initialized.retain(|id, partitions| match image.topics.get_by_id(*id) {
            Some(topic) => {
                partitions.retain(|partition| topic.partitions.contains_key(partition));
                true
            }
            None => false,
        });
        initialized
    }

    /// The member as its target makes it.
    fn reconcile(
        &mut self,
        member: ShareMember,
        target_epoch: i32,
        target: &SharePartitions,
        has_subscription_changed: bool,
    ) -> ShareMember {
        if member.epoch == target_epoch && !has_subscription_changed {
            return member;
        }
        let names = member.topic_names.iter();
        let subscribed: BTreeSet<Uuid> = names
            .filter_map(|name| self.image.topics.id_of(name))
            .collect();
        let mut assigned = target.clone();
        assigned.retain(|topic, _| subscribed.contains(topic));
        let next = match member.epoch == target_epoch {
            true => ShareMember {
                assigned,
                ..member.clone()
            },
            false => member.reconciled(target_epoch, assigned),
        };
        if next != member {
            self.push(ShareRecord::assignment(&next));
        }
        next
    }
}

impl ShareGroup {
    /// Whether partitions that have a state by now are not assigned, or the other way round.
    fn assignment_is_pending(&self) -> bool {
        let Some(states) = &self.state_partitions else {
            return false;
        };
        let names = self.topic_names();
        if self.members.is_empty() || states.initialized.is_empty() || names.is_empty() {
            return false;
        }
        let mut assigned = SharePartitions::new();
        for (topic, partitions) in self.target.values().flatten() {
            assigned.entry(*topic).or_default().extend(partitions);
        }
        let mut initialized = states.initialized.iter();
        initialized.any(|(topic, named)| {
            names.contains(named.name.as_str()) && assigned.get(topic) != Some(&named.partitions)
        })
    }
}

fn assignment(partitions: &SharePartitions) -> Assignment {
    let topic = |(id, partitions): (&Uuid, &BTreeSet<i32>)| TopicPartitions {
        topic_id: *id,
        partitions: partitions.iter().copied().collect(),
    };
    Assignment {
        topic_partitions: partitions.iter().map(topic).collect(),
    }
}

pub fn refused(refusal: &Refusal) -> ShareGroupHeartbeatResponse {
    ShareGroupHeartbeatResponse {
        error_code: refusal.code.code(),
        error_message: Some(refusal.message.clone()),
        ..Default::default()
    }
}

/// The shard could not be asked, or could not write.
pub fn failed(code: ErrorCode) -> ShareGroupHeartbeatResponse {
    ShareGroupHeartbeatResponse {
        error_code: code.code(),
        error_message: Some(code.message().into()),
        ..Default::default()
    }
}
