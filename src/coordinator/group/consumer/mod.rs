//! Consumer groups of the new protocol (KIP-848): the coordinator assigns, members follow.
//!
//! A heartbeat joins or goes on. If it changes what the group subscribes to, or the topics have
//! changed, the group's epoch rises; a new target assignment is made for it; each member is moved
//! towards its part of that with its own heartbeats.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `state.rs`, `member.rs` | the durable half: groups and members, replay |
//! | `record.rs` | their records |
//! | `heartbeat.rs`, `leave.rs`, `describe.rs` | the APIs, and deadlines |
//! | `update.rs` | the steps of a change: member, regex, epoch, target, reconciliation |
//! | `subscription.rs`, `topic_hash.rs`, `regex.rs` | what members subscribe to |
//! | `target.rs`, `assignor/` | target assignments |
//! | `reconcile.rs` | one member's next step |
//! | `migrate.rs`, `classic.rs`, `embedded.rs` | from and to classic groups; classic members |
//! | `settings.rs` | configuration |
mod assignor;
mod classic;
mod describe;
mod embedded;
mod heartbeat;
mod leave;
mod member;
mod migrate;
mod reconcile;
mod record;
mod regex;
mod settings;
mod state;
mod subscription;
mod target;
mod topic_hash;
mod update;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use describe::describe_error;
pub use heartbeat::failed as heartbeat_error;
pub use record::ConsumerRecord;
pub use regex::{RegexError, compile as compile_regex};
pub use settings::{ConsumerGroupConfig, MigrationPolicy};
pub use state::ConsumerGroup;
pub use subscription::metadata_hash;
pub use update::METADATA_REFRESH_MS;

use self::settings::Settings;
use self::update::Update;
use super::shard::{GroupDecision, GroupShard};
use super::stored::StoredGroup;
use crate::coordinator::shard::Now;
use crate::metadata::delta::MetadataChanges;
use crate::protocol::ErrorCode;

/// Why a request is not done, in Kafka's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: ErrorCode,
    pub message: String,
}

impl Refusal {
    pub fn new(code: ErrorCode, message: String) -> Refusal {
        Refusal { code, message }
    }

    pub fn not_found(message: String) -> Refusal {
        Refusal::new(ErrorCode::GroupIdNotFound, message)
    }

    pub fn unknown_member(group: &str, member: &str) -> Refusal {
        let message = format!("Member {member} is not a member of group {group}.");
        Refusal::new(ErrorCode::UnknownMemberId, message)
    }

    fn unknown_instance(instance: &str) -> Refusal {
        let message = format!("Instance id {instance} is unknown.");
        Refusal::new(ErrorCode::UnknownMemberId, message)
    }

    fn fenced_instance(member: &str, instance: &str, owner: &str) -> Refusal {
        let message = format!(
            "Static member {member} with instance id {instance} was fenced by member {owner}."
        );
        Refusal::new(ErrorCode::FencedInstanceId, message)
    }

    fn must_rejoin() -> Refusal {
        let message = "The consumer group member is in a unknown state. The member must abandon \
                       all its partitions and rejoin.";
        Refusal::new(ErrorCode::FencedMemberEpoch, message.into())
    }

    fn regex(pattern: &str, error: regex::RegexError) -> Refusal {
        let message =
            format!("SubscribedTopicRegex `{pattern}` is not a valid regular expression: {error}.");
        Refusal::new(ErrorCode::InvalidRegularExpression, message)
    }
}

/// When a group looks at its topics' metadata again, and the epoch that this is good for: if the
/// group falls behind it, the record of that epoch was not written.
#[derive(Clone, Copy, Debug)]
pub struct MetadataRefresh {
    pub deadline_ms: i64,
    pub epoch: i32,
}

/// What is known of consumer groups beside the log, and forgotten with the process.
#[derive(Debug, Default)]
pub struct SoftState {
    pub refreshed: BTreeMap<String, MetadataRefresh>,
    /// The offset of the last metadata that brought new topics.
    pub new_topics_at: i64,
    pub share_asked: super::share::Asked,
}

impl GroupShard {
    fn known_consumer_group(&self, id: &str) -> Result<&ConsumerGroup, Refusal> {
        match self.stored.groups.get(id) {
            Some(StoredGroup::Consumer(group)) => Ok(group),
            None if !self.live.contains_key(id) => {
                Err(Refusal::not_found(format!("Group {id} not found.")))
            }
            _ => Err(Refusal::not_found(format!(
                "Group {id} is not a consumer group."
            ))),
        }
    }

    /// The group as this request makes it, if it is not in the log as a consumer group yet.
    fn group_to_update(
        &self,
        id: &str,
        create: bool,
        out: &mut GroupDecision,
    ) -> Result<Option<ConsumerGroup>, Refusal> {
        let is_live = self.live.contains_key(id);
        match self.stored.groups.get(id) {
            Some(StoredGroup::Consumer(_)) => Ok(None),
            None if !is_live && create => Ok(Some(ConsumerGroup::default())),
            None if !is_live => {
                let message = format!("Consumer group {id} not found.");
                Err(Refusal::not_found(message))
            }
            Some(StoredGroup::Share(_) | StoredGroup::Streams(_)) => Err(Refusal::not_found(
                format!("Group {id} is not a consumer group."),
            )),
            _ if !create => Err(Refusal::not_found(format!(
                "Group {id} is not a consumer group."
            ))),
            _ if self.is_empty_classic(id) => {
                // The empty group becomes a consumer group; its offsets stay.
                let tombstone = super::record::GroupRecord::classic_group_tombstone(id);
                out.records.push(tombstone);
                Ok(Some(ConsumerGroup::default()))
            }
            _ => self.upgrade(id, out).map(Some),
        }
    }

    fn update_of<'a>(
        &'a mut self,
        id: &'a str,
        made: Option<&'a ConsumerGroup>,
        now: Now,
        out: &'a mut GroupDecision,
    ) -> Result<Update<'a>, Refusal> {
        let group = match (made, self.stored.groups.get(id)) {
            (Some(made), _) => made,
            (None, Some(StoredGroup::Consumer(group))) => group,
            _ => return Err(Refusal::not_found(format!("Group {id} not found."))),
        };
        Ok(Update {
            id,
            group,
            config: &self.config.consumer,
            settings: Settings::of(id, &self.config.consumer, &self.image),
            image: &self.image,
            timers: &mut self.timers,
            soft: &mut self.soft,
            now,
            out,
        })
    }

    /// Groups that use a topic which has changed look at it with their next heartbeat.
    pub(super) fn metadata_changed(&mut self, changes: &MetadataChanges) {
        let image = &self.image;
        if !changes.created_topics.is_empty() {
            self.soft.new_topics_at = image.provenance.last_offset;
        }
        let mut names: BTreeSet<Arc<str>> = BTreeSet::new();
        let deleted = changes.deleted_topics.values();
        names.extend(deleted.map(|topic| topic.name.clone()));
        for (id, _) in &changes.partitions {
            names.extend(image.topics.get_by_id(*id).map(|topic| topic.name.clone()));
        }
        self.refresh_streams_groups(&names);
        let SoftState { refreshed, .. } = &mut self.soft;
        refreshed.retain(|id, _| match self.stored.groups.get(id) {
            Some(StoredGroup::Consumer(group)) => {
                !names.iter().any(|name| group.is_subscribed_to(name))
            }
            Some(StoredGroup::Share(group)) => {
                let subscribed = group.topic_names();
                !names.iter().any(|name| subscribed.contains(&**name))
            }
            _ => false,
        });
    }

    /// Regular expressions are looked up now.
    pub(super) fn resolve_regexes(&mut self, now: Now, id: &str) -> GroupDecision {
        let mut out = GroupDecision::default();
        if let Ok(mut update) = self.update_of(id, None, now, &mut out) {
            update.resolve_regexes();
        }
        out
    }
}
