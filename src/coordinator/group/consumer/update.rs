//! One change of one consumer group on its way through the machine: what ConsumerGroupHeartbeat and
//! a classic member's JoinGroup have in common. Records are collected in `out`.
use std::collections::BTreeSet;

use tracing::{debug, info};

use super::member::{ConsumerMember, MemberState, Partitions, STATIC_LEAVE_EPOCH};
use super::reconcile::Reconciliation;
use super::record::ConsumerRecord;
use super::regex;
use super::settings::{ConsumerGroupConfig, Settings};
use super::state::{ConsumerGroup, ResolvedRegex};
use super::subscription::{Subscribers, TopicIds, metadata_hash};
use super::{MetadataRefresh, Refusal, SoftState, target};
use crate::coordinator::group::shard::GroupDecision;
use crate::coordinator::group::timers::{TimerKey, Timers};
use crate::coordinator::shard::Now;
use crate::metadata::image::MetadataImage;
use crate::protocol::ErrorCode;
use crate::protocol::records::group::ConsumerGroupRegularExpressionValue;

/// Regular expressions are not resolved more often.
const REGEX_BATCH_INTERVAL_MS: i64 = 10_000;
/// A group looks at its topics' metadata anew when they change, and after this time.
pub const METADATA_REFRESH_MS: i64 = i32::MAX as i64;

/// What a member's regular expression has become.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RegexUpdate {
    Unchanged,
    /// Its topics are not known yet.
    Updated,
    /// Its topics are known.
    Resolved,
}

pub struct Update<'a> {
    pub id: &'a str,
    pub group: &'a ConsumerGroup,
    pub config: &'a ConsumerGroupConfig,
    pub settings: Settings,
    pub image: &'a MetadataImage,
    pub timers: &'a mut Timers,
    pub soft: &'a mut SoftState,
    pub now: Now,
    pub out: &'a mut GroupDecision,
}

/// The target assignment as it stands for one member.
pub struct Target {
    pub epoch: i32,
    pub partitions: Partitions,
}

impl Update<'_> {
    pub fn push(&mut self, record: ConsumerRecord) {
        self.out.records.push(record.of(self.id));
    }

    pub fn check_size(&self, member_id: &str) -> Result<(), Refusal> {
        let max = usize::try_from(self.config.max_size).unwrap_or(0);
        if self.group.members.len() < max || self.group.members.contains_key(member_id) {
            return Ok(());
        }
        Err(Refusal::new(
            ErrorCode::GroupMaxSizeReached,
            format!(
                "The consumer group has reached its maximum capacity of {} members.",
                self.config.max_size
            ),
        ))
    }

    /// A new or returning static member; whoever had its instance id is replaced.
    pub fn join_static(
        &mut self,
        member_id: &str,
        instance_id: &str,
        uses_classic_protocol: bool,
    ) -> Result<ConsumerMember, Refusal> {
        let Some(existing) = self.group.static_member(Some(instance_id)) else {
            let known = self.group.members.get(member_id).cloned();
            return Ok(known.unwrap_or_else(|| ConsumerMember::new(member_id)));
        };
        let both_new = !uses_classic_protocol && !existing.uses_classic_protocol();
        if both_new && existing.epoch != STATIC_LEAVE_EPOCH {
            return Err(Refusal::new(
                ErrorCode::UnreleasedInstanceId,
                format!(
                    "Static member {member_id} with instance id {instance_id} cannot join the group \
                     because the instance id is owned by {} member.",
                    existing.id
                ),
            ));
        }
        let member = ConsumerMember {
            id: member_id.into(),
            epoch: 0,
            previous_epoch: 0,
            ..existing.clone()
        };
        info!(
            "group {}: static member {instance_id} is back as {member_id}",
            self.id
        );
        let target = self
            .group
            .target
            .get(&existing.id)
            .cloned()
            .unwrap_or_default();
        for record in ConsumerRecord::member_tombstones(&existing.id) {
            self.push(record);
        }
        self.push(ConsumerRecord::member(&member));
        self.push(ConsumerRecord::target(&member.id, &target));
        self.push(ConsumerRecord::assignment(&member));
        Ok(member)
    }

    /// Records what the member says of itself; whether the topics that it names are others now.
    pub fn write_member(&mut self, member: &ConsumerMember, updated: &ConsumerMember) -> bool {
        if updated != member {
            self.push(ConsumerRecord::member(updated));
        }
        updated.topic_names != member.topic_names
    }

    /// Drops regular expressions that nobody uses now, and has them resolved when it is time.
    pub fn update_regex(
        &mut self,
        member: &ConsumerMember,
        updated: &ConsumerMember,
    ) -> Result<RegexUpdate, Refusal> {
        let mut update = RegexUpdate::Unchanged;
        let mut must_resolve = false;
        if member.topic_regex != updated.topic_regex {
            update = RegexUpdate::Updated;
            if let Some(old) = member.regex()
                && self.group.regex_subscribers(old) == 1
            {
                self.push(ConsumerRecord::regex_tombstone(old));
            }
            match updated.regex() {
                Some(new) if self.group.regex_subscribers(new) == 0 => {
                    regex::compile(new).map_err(|error| Refusal::regex(new, error))?;
                    must_resolve = true;
                }
                Some(new) if self.group.regexes.contains_key(new) => update = RegexUpdate::Resolved,
                Some(_) => {}
                None if member.regex().is_some() => update = RegexUpdate::Resolved,
                None => {}
            }
        }
        self.schedule_resolution(updated, must_resolve);
        Ok(update)
    }

    fn schedule_resolution(&mut self, updated: &ConsumerMember, must_resolve: bool) {
        let in_use = Subscribers::with(self.group, updated).regexes().len();
        let key = TimerKey::Regex(self.id.into());
        if in_use == 0 || self.timers.contains(&key) {
            return;
        }
        let resolved = &self.group.regexes;
        let age_ms = match resolved.values().next() {
            None => i64::MAX,
            Some(last) => self.now.wall_ms.saturating_sub(last.timestamp_ms),
        };
        // A clock that was set back does not stop the resolution until it has caught up.
        if (0..=REGEX_BATCH_INTERVAL_MS).contains(&age_ms) {
            return;
        }
        let version = resolved.values().next().map_or(0, |last| last.version);
        if must_resolve
            || in_use != resolved.len()
            || version < self.soft.new_topics_at
            || age_ms > i64::from(self.config.regex_refresh_interval_ms)
        {
            // Not here: a request does not wait until all topics have been looked at.
            self.timers.set(key, self.now.monotonic_ms);
        }
    }

    pub fn has_metadata_expired(&self) -> bool {
        match self.soft.refreshed.get(self.id) {
            None => true,
            Some(refresh) => {
                self.now.monotonic_ms >= refresh.deadline_ms || self.group.epoch < refresh.epoch
            }
        }
    }

    /// Looks at the topics' metadata; the group's epoch, bumped if it is told to or they changed.
    pub fn update_epoch(&mut self, bump: bool, updated: &ConsumerMember) -> i32 {
        let hash = Subscribers::with(self.group, updated).metadata_hash(self.image);
        let mut epoch = self.group.epoch;
        if bump || hash != self.group.metadata_hash {
            epoch += 1;
            self.push(ConsumerRecord::epoch(epoch, hash));
            debug!("group {}: epoch {epoch}, metadata hash {hash}", self.id);
        }
        self.note_refresh(epoch);
        if self.group.has_topic_metadata {
            self.push(ConsumerRecord::TopicMetadata(None));
        }
        epoch
    }

    fn note_refresh(&mut self, epoch: i32) {
        let deadline_ms = self.now.monotonic_ms + METADATA_REFRESH_MS;
        let refresh = MetadataRefresh { deadline_ms, epoch };
        self.soft.refreshed.insert(self.id.into(), refresh);
    }

    /// The target assignment, made anew if the group is ahead of it and the last is old enough.
    pub fn update_target(&mut self, epoch: i32, updated: &ConsumerMember) -> Target {
        let group = self.group;
        let age_ms = self
            .now
            .wall_ms
            .saturating_sub(group.assignment_timestamp_ms);
        let interval_ms = i64::from(self.settings.assignment_interval_ms);
        let is_too_soon = group.assignment_timestamp_ms != 0 && (0..interval_ms).contains(&age_ms);
        if group.assignment_epoch >= epoch || is_too_soon {
            return self.last_target(updated);
        }
        let members = Subscribers::with(group, updated).members;
        let preferred = ConsumerGroup::preferred_assignor(members.into_iter());
        let assignor = preferred.and_then(|name| self.config.assignor(name));
        let default = || self.config.assignor(self.config.default_assignor());
        let Some(assignor) = assignor.or_else(default) else {
            return self.last_target(updated);
        };
        let (records, partitions) = target::assign(
            self.id,
            group,
            epoch,
            updated,
            assignor,
            self.image,
            self.now.wall_ms,
        );
        self.out.records.extend(records);
        Target { epoch, partitions }
    }

    pub fn last_target(&self, member: &ConsumerMember) -> Target {
        Target {
            epoch: self.group.assignment_epoch,
            partitions: self
                .group
                .target_of(&member.id, member.instance_id.as_deref()),
        }
    }

    /// Moves the member towards its target, and watches that it gives up what it has to.
    pub fn reconcile(
        &mut self,
        member: ConsumerMember,
        target: &Target,
        has_subscription_changed: bool,
        owned: Option<&Partitions>,
    ) -> Result<ConsumerMember, Refusal> {
        let subscribed = TopicIds::new(self.group, self.image).of(&member);
        let reconciliation = Reconciliation {
            group: self.group,
            target_epoch: target.epoch,
            target: &target.partitions,
            subscribed: &subscribed,
            has_subscription_changed,
            owned,
        };
        let next = reconciliation
            .next(&member)
            .map_err(|_| Refusal::must_rejoin())?;
        if next == member {
            return Ok(next);
        }
        self.push(ConsumerRecord::assignment(&next));
        if !next.uses_classic_protocol() {
            let key = TimerKey::Rebalance(self.id.into(), next.id.clone());
            match next.state {
                MemberState::UnrevokedPartitions => {
                    let timeout_ms = i64::from(next.rebalance_timeout_ms.max(0));
                    self.timers.set(key, self.now.monotonic_ms + timeout_ms);
                }
                _ => self.timers.cancel(&key),
            }
        }
        Ok(next)
    }

    pub fn schedule_session(&mut self, member_id: &str, timeout_ms: i32) {
        let key = TimerKey::Session(self.id.into(), member_id.into());
        let deadline_ms = self.now.monotonic_ms + i64::from(timeout_ms);
        self.timers.set(key, deadline_ms);
    }

    /// Looks for the topics of all regular expressions that members use.
    pub fn resolve_regexes(&mut self) {
        let group = self.group;
        let patterns: BTreeSet<&str> = group.members.values().filter_map(|m| m.regex()).collect();
        if patterns.is_empty() {
            return;
        }
        let mut bump = false;
        let mut after = group.regexes.clone();
        for pattern in patterns {
            let Ok(compiled) = regex::compile(pattern) else {
                continue;
            };
            let names = self
                .image
                .topics
                .names()
                .filter(|name| compiled.is_match(name));
            let resolved = ResolvedRegex {
                topics: names.map(|name| name.to_string()).collect(),
                version: self.image.provenance.last_offset,
                timestamp_ms: self.now.wall_ms,
            };
            let before = group.regexes.get(pattern).map(|before| &before.topics);
            bump |= *before.unwrap_or(&BTreeSet::new()) != resolved.topics;
            self.push(ConsumerRecord::Regex {
                regex: pattern.into(),
                value: Some(resolved.to_value()),
            });
            after.insert(pattern.into(), resolved);
        }
        let names = group
            .members
            .values()
            .flat_map(|member| &member.topic_names);
        let names = names.chain(after.values().flat_map(|resolved| &resolved.topics));
        let names: BTreeSet<&str> = names.map(String::as_str).collect();
        let hash = metadata_hash(names.into_iter(), self.image);
        if bump || hash != group.metadata_hash {
            let epoch = group.epoch + 1;
            self.push(ConsumerRecord::epoch(epoch, hash));
            self.note_refresh(epoch);
        }
    }
}

impl ResolvedRegex {
    fn to_value(&self) -> ConsumerGroupRegularExpressionValue {
        ConsumerGroupRegularExpressionValue {
            topics: self.topics.iter().cloned().collect(),
            version: self.version,
            timestamp: self.timestamp_ms,
            unknown_tags: Vec::new(),
        }
    }
}
