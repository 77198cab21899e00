//! Topics and the state of their partitions.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::metadata::version::MetadataVersion;
use crate::protocol::Uuid;
use crate::protocol::records::metadata::{PartitionChangeRecord, PartitionRecord, TopicRecord};
use crate::protocol::wire::UnknownTag;

use super::ReplayError;

/// The leader of a partition that has none.
pub const NO_LEADER: i32 = -1;
/// In a `PartitionChange` record: the leader stays.
pub const NO_LEADER_CHANGE: i32 = -2;

/// All topics. Both maps are shared between images.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TopicsImage {
    by_id: Arc<BTreeMap<Uuid, Arc<TopicImage>>>,
    by_name: Arc<BTreeMap<Arc<str>, Uuid>>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicImage {
    pub id: Uuid,
    pub name: Arc<str>,
    pub partitions: BTreeMap<i32, PartitionImage>,
    pub unknown_tags: Vec<UnknownTag>,
}

/// Whether the leader was elected from outside the ISR and has not caught up on what it missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecoveryState {
    #[default]
    Recovered,
    Recovering,
}

impl RecoveryState {
    pub fn code(self) -> i8 {
        match self {
            RecoveryState::Recovered => 0,
            RecoveryState::Recovering => 1,
        }
    }

    /// The state with this code; None for codes that mean "no change" or nothing.
    pub fn from_code(code: i8) -> Option<RecoveryState> {
        match code {
            0 => Some(RecoveryState::Recovered),
            1 => Some(RecoveryState::Recovering),
            _ => None,
        }
    }
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PartitionImage {
    pub replicas: Vec<i32>,
    /// The log directory of each replica, in their order.
    pub directories: Vec<Uuid>,
    pub isr: Vec<i32>,
    pub removing_replicas: Vec<i32>,
    pub adding_replicas: Vec<i32>,
    /// Eligible leader replicas (KIP-966): not in the ISR, but known to hold everything committed.
    pub elr: Vec<i32>,
    pub last_known_elr: Vec<i32>,
    pub leader: i32,
    pub recovery_state: RecoveryState,
    pub leader_epoch: i32,
    pub partition_epoch: i32,
    pub unknown_tags: Vec<UnknownTag>,
}

impl TopicsImage {
    /// The topic of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.by_id.get(self.by_name.get(name)?)
    }

    /// The topic with this id.
    pub fn get_by_id(&self, id: Uuid) -> Option<&Arc<TopicImage>> {
        self.by_id.get(&id)
    }

    pub fn id_of(&self, name: &str) -> Option<Uuid> {
        self.by_name.get(name).copied()
    }

    pub fn partition(&self, name: &str, index: i32) -> Option<&PartitionImage> {
        self.get(name)?.partitions.get(&index)
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Names in order.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_name.keys()
    }

    /// Names from `from` on, in order.
    pub fn names_from<'a>(&'a self, from: &str) -> impl Iterator<Item = &'a Arc<str>> {
        let from = (Bound::Included(from), Bound::Unbounded);
        self.by_name.range::<str, _>(from).map(|(name, _)| name)
    }

    /// Topics in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.by_id.values()
    }

    /// Every partition of every topic.
    pub fn partitions(&self) -> impl Iterator<Item = (&TopicImage, i32, &PartitionImage)> {
        self.by_id.values().flat_map(|topic| {
            topic
                .partitions
                .iter()
                .map(move |(index, partition)| (&**topic, *index, partition))
        })
    }

    pub(super) fn create(&mut self, record: &TopicRecord) -> Result<(), ReplayError> {
        if self.by_name.contains_key(record.name.as_str()) {
            return Err(ReplayError::DuplicateTopic(record.name.clone()));
        }
        let name: Arc<str> = record.name.as_str().into();
        let topic = TopicImage {
            id: record.topic_id,
            name: name.clone(),
            partitions: BTreeMap::new(),
            unknown_tags: record.unknown_tags.clone(),
        };
        Arc::make_mut(&mut self.by_name).insert(name, record.topic_id);
        Arc::make_mut(&mut self.by_id).insert(record.topic_id, Arc::new(topic));
        Ok(())
    }

    pub(super) fn remove(&mut self, id: Uuid) -> Result<Arc<TopicImage>, ReplayError> {
        let topic = Arc::make_mut(&mut self.by_id)
            .remove(&id)
            .ok_or(ReplayError::NoSuchTopic(id))?;
        Arc::make_mut(&mut self.by_name).remove(&topic.name);
        Ok(topic)
    }

    pub(super) fn topic_mut(&mut self, id: Uuid) -> Result<&mut TopicImage, ReplayError> {
        let topic = Arc::make_mut(&mut self.by_id).get_mut(&id);
        topic.map(Arc::make_mut).ok_or(ReplayError::NoSuchTopic(id))
    }
}

impl TopicImage {
    pub fn record(&self) -> TopicRecord {
        TopicRecord {
            name: self.name.to_string(),
            topic_id: self.id,
            unknown_tags: self.unknown_tags.clone(),
        }
    }
}

impl PartitionImage {
    pub fn from_record(record: &PartitionRecord) -> PartitionImage {
        let mut directories = record.directories.clone();
        // Versions without directories, and records that were cut, say nothing: "migrating".
        directories.resize(record.replicas.len(), Uuid::ZERO);
        PartitionImage {
            replicas: record.replicas.clone(),
            directories,
            isr: record.isr.clone(),
            removing_replicas: record.removing_replicas.clone(),
            adding_replicas: record.adding_replicas.clone(),
            elr: record.eligible_leader_replicas.clone().unwrap_or_default(),
            last_known_elr: record.last_known_elr.clone().unwrap_or_default(),
            leader: record.leader,
            recovery_state: RecoveryState::from_code(record.leader_recovery_state)
                .unwrap_or_default(),
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            unknown_tags: record.unknown_tags.clone(),
        }
    }

    /// The log directory of a broker's replica; `None` if it has none.
    pub fn directory_of(&self, broker_id: i32) -> Option<Uuid> {
        let at = self.replicas.iter().position(|id| *id == broker_id)?;
        self.directories.get(at).copied()
    }

    /// The record that says all of this, with what `version` can hold.
    pub fn record(&self, topic_id: Uuid, index: i32, version: MetadataVersion) -> PartitionRecord {
        let elr = |ids: &Vec<i32>| (version.supports_elr() && !ids.is_empty()).then(|| ids.clone());
        PartitionRecord {
            partition_id: index,
            topic_id,
            replicas: self.replicas.clone(),
            isr: self.isr.clone(),
            removing_replicas: self.removing_replicas.clone(),
            adding_replicas: self.adding_replicas.clone(),
            leader: self.leader,
            leader_recovery_state: self.recovery_state.code(),
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            directories: match version.supports_directories() {
                true => self.directories.clone(),
                false => Vec::new(),
            },
            eligible_leader_replicas: elr(&self.elr),
            last_known_elr: elr(&self.last_known_elr),
            unknown_tags: self.unknown_tags.clone(),
        }
    }

    /// Applies a change. Every change raises the partition epoch, one that names a leader (be it
    /// the same) the leader epoch too.
    pub fn merge(&mut self, change: &PartitionChangeRecord) {
        fn set<T: Clone>(field: &mut Vec<T>, change: &Option<Vec<T>>) {
            if let Some(change) = change {
                field.clone_from(change);
            }
        }
        set(&mut self.replicas, &change.replicas);
        set(&mut self.directories, &change.directories);
        self.directories.resize(self.replicas.len(), Uuid::ZERO);
        set(&mut self.isr, &change.isr);
        set(&mut self.removing_replicas, &change.removing_replicas);
        set(&mut self.adding_replicas, &change.adding_replicas);
        set(&mut self.elr, &change.eligible_leader_replicas);
        set(&mut self.last_known_elr, &change.last_known_elr);
        if change.leader != NO_LEADER_CHANGE {
            self.leader = change.leader;
            self.leader_epoch = self.leader_epoch.saturating_add(1);
        }
        if let Some(state) = RecoveryState::from_code(change.leader_recovery_state) {
            self.recovery_state = state;
        }
        self.partition_epoch = self.partition_epoch.saturating_add(1);
    }
}
