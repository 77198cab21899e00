//! Streams groups (KIP-1071): the coordinator knows the topology of a Kafka Streams application,
//! has its internal topics created, and assigns its tasks.
//!
//! A heartbeat joins or goes on. If a member, the topics or the configuration have changed, the
//! group's epoch rises; once all topics are there a new target assignment is made for it; each
//! member is moved towards its part of that with its own heartbeats.
//!
//! As Kafka 4.3: no static members, no warm-ups, no regular expressions, no change of topology.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `state.rs`, `member.rs`, `tasks.rs`, `topology.rs` | the durable half, replay |
//! | `record.rs` | its records |
//! | `request.rs`, `heartbeat.rs`, `leave.rs`, `describe.rs` | the APIs, and deadlines |
//! | `update.rs` | the steps of a heartbeat: member, topology, epoch, target, reconciliation |
//! | `configure.rs`, `partition_counts.rs` | topics of a topology |
//! | `target.rs`, `assignor.rs` | target assignments |
//! | `reconcile.rs` | one member's next step |
//! | `endpoint.rs` | where members are asked for what their stores have |
//! | `settings.rs` | configuration |
mod assignor;
mod configure;
mod describe;
mod endpoint;
mod heartbeat;
mod leave;
mod member;
mod partition_counts;
mod reconcile;
mod record;
mod request;
mod settings;
mod state;
mod target;
mod tasks;
mod topology;
mod update;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use describe::describe_error;
pub use heartbeat::failed as heartbeat_error;
pub use record::StreamsRecord;
pub use settings::StreamsGroupConfig;
pub use state::StreamsGroup;

use self::configure::ConfiguredTopology;
use self::settings::Settings;
use self::update::Update;
use super::consumer::{MetadataRefresh, Refusal};
use super::record::GroupRecord;
use super::shard::{GroupDecision, GroupShard};
use super::stored::StoredGroup;
use crate::coordinator::shard::Now;

/// What is known of a streams group beside the log, and forgotten with the process.
#[derive(Clone, Debug, Default)]
pub struct SoftGroup {
    pub refresh: Option<MetadataRefresh>,
    pub configured: Option<Arc<ConfiguredTopology>>,
    /// A member has asked for the end of the whole application.
    pub shutdown_by: Option<String>,
    /// Rises when tasks of a member with an endpoint change.
    pub endpoint_epoch: i32,
}

pub type SoftState = BTreeMap<String, SoftGroup>;

impl GroupShard {
    fn known_streams_group(&self, id: &str) -> Result<&StreamsGroup, Refusal> {
        match self.stored.groups.get(id) {
            Some(StoredGroup::Streams(group)) => Ok(group),
            None if !self.live.contains_key(id) => {
                Err(Refusal::not_found(format!("Group {id} not found.")))
            }
            _ => Err(not_a_streams_group(id)),
        }
    }

    /// The group as this request makes it, if it is not in the log as a streams group yet.
    fn streams_group_to_update(
        &self,
        id: &str,
        create: bool,
        out: &mut GroupDecision,
    ) -> Result<Option<StreamsGroup>, Refusal> {
        let is_live = self.live.contains_key(id);
        match self.stored.groups.get(id) {
            Some(StoredGroup::Streams(_)) => Ok(None),
            None if !is_live && create => Ok(Some(StreamsGroup::default())),
            None if !is_live => {
                let message = format!("Streams group {id} not found.");
                Err(Refusal::not_found(message))
            }
            _ if create && self.is_empty_classic(id) => {
                // The empty group becomes a streams group; its offsets stay.
                out.records.push(GroupRecord::classic_group_tombstone(id));
                Ok(Some(StreamsGroup::default()))
            }
            _ => Err(not_a_streams_group(id)),
        }
    }

    fn streams_update<'a>(
        &'a mut self,
        id: &'a str,
        made: Option<&'a StreamsGroup>,
        now: Now,
        out: &'a mut GroupDecision,
    ) -> Result<Update<'a>, Refusal> {
        let group = match (made, self.stored.groups.get(id)) {
            (Some(made), _) => made,
            (None, Some(StoredGroup::Streams(group))) => group,
            _ => return Err(Refusal::not_found(format!("Group {id} not found."))),
        };
        let soft = self.soft_streams.get(id).filter(|_| made.is_none());
        let mut soft = soft.cloned().unwrap_or_default();
        if group.members.is_empty() {
            // It was asked of those that have ended.
            soft.shutdown_by = None;
        }
        Ok(Update {
            id,
            group,
            is_new: made.is_some(),
            config: &self.config.streams,
            settings: Settings::of(id, &self.config.streams, &self.image),
            image: &self.image,
            timers: &mut self.timers,
            soft,
            now,
            out,
        })
    }

    /// Groups that use a topic of these look at it with their next heartbeat.
    pub(super) fn refresh_streams_groups(&mut self, topics: &BTreeSet<Arc<str>>) {
        let groups = &self.stored.groups;
        self.soft_streams.retain(|id, soft| {
            let Some(StoredGroup::Streams(group)) = groups.get(id) else {
                return false;
            };
            let topology = group.topology.as_ref();
            let required = topology.map(|topology| topology.required_topics());
            let required = required.unwrap_or_default();
            if topics.iter().any(|topic| required.contains(&**topic)) {
                soft.refresh = None;
            }
            true
        });
    }
}

fn not_a_streams_group(id: &str) -> Refusal {
    Refusal::not_found(format!("Group {id} is not a streams group."))
}
