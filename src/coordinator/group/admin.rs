//! DescribeGroups, ListGroups, DeleteGroups, and the end of what has been kept long enough.
use std::collections::BTreeSet;

use tracing::info;

use super::classic::{CONSUMER_PROTOCOL_TYPE, ClassicGroup, State};
use super::consumer::ConsumerGroup;
use super::record::{CommittedOffset, GroupRecord, GroupType};
use super::shard::{GroupDecision, GroupReply, GroupShard};
use super::stored::StoredGroup;
use super::streams::StreamsGroup;
use super::timers::TimerKey;
use crate::coordinator::shard::{Now, Token};
use crate::protocol::ErrorCode;
use crate::protocol::messages::delete_groups_response::DeletableGroupResult;
use crate::protocol::messages::describe_groups_response::DescribedGroup;
use crate::protocol::messages::list_groups_response::ListedGroup;

/// From this version on a group that is not there is an error, and the error has a text.
const DESCRIBE_ERROR_FROM: i16 = 6;
const DEAD: &str = "Dead";
const SHARE_PROTOCOL_TYPE: &str = "share";

impl GroupShard {
    pub(super) fn describe(
        &self,
        token: Token,
        api_version: i16,
        groups: &[String],
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        let described = groups
            .iter()
            .map(|id| self.describe_one(id, api_version))
            .collect();
        out.answer(token, GroupReply::Describe(described));
        out
    }

    fn describe_one(&self, id: &str, api_version: i16) -> DescribedGroup {
        if let Some(group) = self.live.get(id) {
            return describe_classic(group);
        }
        let missing = match self.stored.groups.get(id) {
            Some(StoredGroup::Classic(value)) => {
                return describe_classic(&ClassicGroup::from_stored(id, value));
            }
            Some(StoredGroup::Simple) => return describe_classic(&ClassicGroup::new(id, 0)),
            Some(StoredGroup::Consumer(_) | StoredGroup::Share(_) | StoredGroup::Streams(_)) => {
                format!("Group {id} is not a classic group.")
            }
            None => format!("Group {id} not found."),
        };
        let mut described = DescribedGroup {
            group_id: id.into(),
            group_state: DEAD.into(),
            ..DescribedGroup::default()
        };
        if api_version >= DESCRIBE_ERROR_FROM {
            described.error_code = ErrorCode::GroupIdNotFound.code();
            described.error_message = Some(missing);
        }
        described
    }

    /// Filters are compared without regard to case; an unknown name matches nothing.
    pub(super) fn list(&self, token: Token, states: &[String], types: &[String]) -> GroupDecision {
        let lower = |names: &[String]| -> BTreeSet<String> {
            names
                .iter()
                // Kafka knows the state NotReady by the name not_ready.
                .map(|name| name.trim().to_lowercase().replace('_', ""))
                .collect()
        };
        let (states, types) = (lower(states), lower(types));
        let wanted = |group: &ListedGroup| {
            (states.is_empty() || states.contains(&group.group_state.to_lowercase()))
                && (types.is_empty() || types.contains(&group.group_type.to_lowercase()))
        };
        let ids: BTreeSet<&String> = self.stored.groups.keys().chain(self.live.keys()).collect();
        let listed = ids
            .into_iter()
            .map(|id| self.list_one(id))
            .filter(wanted)
            .collect();
        let mut out = GroupDecision::default();
        out.answer(token, GroupReply::List(listed));
        out
    }

    fn list_one(&self, id: &str) -> ListedGroup {
        let (protocol_type, state, group_type) =
            match (self.live.get(id), self.stored.groups.get(id)) {
                (Some(group), _) => (
                    group.protocol_type.as_deref(),
                    group.state.name(),
                    GroupType::Classic,
                ),
                (None, Some(StoredGroup::Streams(group))) => (
                    Some(GroupType::Streams.name()),
                    group.state(),
                    GroupType::Streams,
                ),
                (None, Some(StoredGroup::Consumer(group))) => (
                    Some(CONSUMER_PROTOCOL_TYPE),
                    group.state(),
                    GroupType::Consumer,
                ),
                (None, Some(StoredGroup::Share(group))) => {
                    (Some(SHARE_PROTOCOL_TYPE), group.state(), GroupType::Share)
                }
                // Whoever has members has a live half.
                (None, Some(StoredGroup::Classic(value))) => (
                    Some(value.protocol_type.as_str()),
                    State::Empty.name(),
                    GroupType::Classic,
                ),
                (None, Some(StoredGroup::Simple) | None) => {
                    (None, State::Empty.name(), GroupType::Classic)
                }
            };
        ListedGroup {
            group_id: id.into(),
            protocol_type: protocol_type.unwrap_or_default().into(),
            group_state: state.into(),
            group_type: group_type.name().into(),
        }
    }

    pub(super) fn delete(&mut self, token: Token, groups: &[String]) -> GroupDecision {
        let mut out = GroupDecision::default();
        let mut results = Vec::with_capacity(groups.len());
        for id in groups {
            let result = self.validate_delete(id);
            if result.is_ok() {
                self.delete_group(id, &mut out.records);
                self.forget_streams_group(id);
            }
            results.push(DeletableGroupResult {
                group_id: id.clone(),
                error_code: result.err().unwrap_or(ErrorCode::None).code(),
            });
        }
        out.answer(token, GroupReply::Delete(results));
        out
    }

    fn validate_delete(&self, id: &str) -> Result<(), ErrorCode> {
        match (self.live.get(id), self.stored.groups.get(id)) {
            (Some(group), _) if group.state != State::Empty => Err(ErrorCode::NonEmptyGroup),
            (_, Some(StoredGroup::Consumer(group))) if !group.members.is_empty() => {
                Err(ErrorCode::NonEmptyGroup)
            }
            (_, Some(StoredGroup::Share(group))) if !group.members.is_empty() => {
                Err(ErrorCode::NonEmptyGroup)
            }
            (_, Some(StoredGroup::Streams(group))) if !group.members.is_empty() => {
                Err(ErrorCode::NonEmptyGroup)
            }
            (None, None) => Err(ErrorCode::GroupIdNotFound),
            _ => Ok(()),
        }
    }

    /// Tombstones for the offsets, then for the group.
    fn delete_group(&self, id: &str, records: &mut Vec<GroupRecord>) {
        for (topic, partition) in self.stored.offsets.partitions_of(id) {
            records.push(GroupRecord::offset_tombstone(id, &topic, partition));
        }
        match self.stored.groups.get(id) {
            Some(StoredGroup::Consumer(group)) => records.extend(group.tombstones(id)),
            Some(StoredGroup::Share(group)) => records.extend(group.tombstones(id)),
            Some(StoredGroup::Streams(group)) => records.extend(group.tombstones(id)),
            _ => records.push(GroupRecord::classic_group_tombstone(id)),
        }
    }

    /// Offsets past their retention, and empty groups that have none left (KIP-211).
    pub(super) fn expire_offsets(&mut self, now: Now) -> GroupDecision {
        let interval = self.config.offsets_retention_check_interval_ms;
        self.timers
            .set(TimerKey::Retention, now.monotonic_ms + interval);
        let mut out = GroupDecision {
            atomic: false,
            ..Default::default()
        };
        for (id, stored) in &self.stored.groups {
            let Some(rule) = self.expiry_rule(id, stored) else {
                continue;
            };
            let mut all_expired = true;
            for (topic, offsets) in self.stored.offsets.group(id).into_iter().flatten() {
                let in_use = rule.subscriber.is_subscribed_to(topic);
                for (partition, offset) in offsets {
                    let expired = !in_use
                        && rule.has_expired(
                            &offset.committed,
                            now,
                            self.config.offsets_retention_ms,
                        )
                        && !self.stored.offsets.is_pending(id, topic, *partition);
                    if expired {
                        out.records
                            .push(GroupRecord::offset_tombstone(id, topic, *partition));
                    }
                    all_expired &= expired;
                }
            }
            if all_expired && rule.group_may_go && !self.stored.offsets.has_open_transactions(id) {
                match stored {
                    StoredGroup::Consumer(group) => out.records.extend(group.tombstones(id)),
                    StoredGroup::Streams(group) => out.records.extend(group.tombstones(id)),
                    _ => out.records.push(GroupRecord::classic_group_tombstone(id)),
                }
            }
        }
        if !out.records.is_empty() {
            info!(
                "{} tombstones for expired offsets and groups",
                out.records.len()
            );
        }
        out
    }

    /// `None`: nothing of the group expires now.
    fn expiry_rule<'a>(&'a self, id: &str, stored: &'a StoredGroup) -> Option<ExpiryRule<'a>> {
        let simple = ExpiryRule {
            subscriber: Subscriber::Nobody,
            empty_since_ms: None,
            group_may_go: true,
        };
        let group = match (self.live.get(id), stored) {
            (Some(group), _) => group,
            (None, StoredGroup::Simple) => return Some(simple),
            (None, StoredGroup::Classic(value)) => {
                let since = value.current_state_timestamp;
                let empty_since_ms =
                    (!value.protocol_type.is_empty() && since != -1).then_some(since);
                return Some(ExpiryRule {
                    empty_since_ms,
                    ..simple
                });
            }
            (None, StoredGroup::Consumer(group)) => {
                return Some(ExpiryRule {
                    subscriber: Subscriber::Consumer(group),
                    empty_since_ms: None,
                    group_may_go: group.members.is_empty(),
                });
            }
            // Its states are the share coordinator's, and do not expire.
            (None, StoredGroup::Share(_)) => return None,
            (None, StoredGroup::Streams(group)) => {
                return Some(ExpiryRule {
                    subscriber: Subscriber::Streams(group),
                    empty_since_ms: None,
                    group_may_go: group.members.is_empty(),
                });
            }
        };
        match (&group.protocol_type, group.state) {
            (None, state) => {
                let group_may_go = state == State::Empty && group.pending_join.is_empty();
                Some(ExpiryRule {
                    group_may_go,
                    ..simple
                })
            }
            (Some(_), State::Empty) => Some(ExpiryRule {
                subscriber: Subscriber::Nobody,
                empty_since_ms: group.state_since_ms,
                group_may_go: group.pending_join.is_empty(),
            }),
            (Some(_), State::Stable) if group.subscribed_topics().is_some() => Some(ExpiryRule {
                subscriber: Subscriber::Classic(group),
                empty_since_ms: None,
                group_may_go: false,
            }),
            (Some(_), _) => None,
        }
    }
}

/// Whose subscriptions keep offsets alive.
enum Subscriber<'a> {
    Nobody,
    Classic(&'a ClassicGroup),
    Consumer(&'a ConsumerGroup),
    Streams(&'a StreamsGroup),
}

impl Subscriber<'_> {
    fn is_subscribed_to(&self, topic: &str) -> bool {
        match self {
            Subscriber::Nobody => false,
            Subscriber::Classic(group) => group.is_subscribed_to(topic),
            Subscriber::Consumer(group) => group.is_subscribed_to(topic),
            Subscriber::Streams(group) => group.is_subscribed_to(topic),
        }
    }
}

struct ExpiryRule<'a> {
    subscriber: Subscriber<'a>,
    /// Retention counts from here, not from each commit.
    empty_since_ms: Option<i64>,
    group_may_go: bool,
}

impl ExpiryRule<'_> {
    fn has_expired(&self, offset: &CommittedOffset, now: Now, retention_ms: i64) -> bool {
        match offset.expire_timestamp_ms {
            Some(expires) => now.wall_ms >= expires,
            None => {
                let from = self.empty_since_ms.unwrap_or(offset.commit_timestamp_ms);
                now.wall_ms.saturating_sub(from) >= retention_ms
            }
        }
    }
}

fn describe_classic(group: &ClassicGroup) -> DescribedGroup {
    let protocol = group
        .protocol
        .as_ref()
        .filter(|_| group.state == State::Stable);
    DescribedGroup {
        group_id: group.id.clone(),
        group_state: group.state.name().into(),
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        protocol_data: protocol.cloned().unwrap_or_default(),
        members: group.describe_members(),
        ..DescribedGroup::default()
    }
}

/// Every group of a request that could not be looked at.
pub fn describe_error(groups: &[String], error: ErrorCode) -> Vec<DescribedGroup> {
    let described = |id: &String| DescribedGroup {
        error_code: error.code(),
        group_id: id.clone(),
        ..DescribedGroup::default()
    };
    groups.iter().map(described).collect()
}

pub fn delete_error(groups: &[String], error: ErrorCode) -> Vec<DeletableGroupResult> {
    let result = |id: &String| DeletableGroupResult {
        group_id: id.clone(),
        error_code: error.code(),
    };
    groups.iter().map(result).collect()
}
