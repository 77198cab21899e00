//! Which partitions have a state in `__share_group_state`: what to ask the share coordinator for,
//! and what it said.
use std::collections::{BTreeMap, BTreeSet};

use super::InitializeState;
use super::state::{NamedPartitions, ShareGroup, SharePartitions, StatePartitions, add};
use crate::coordinator::group::shard::{GroupDecision, GroupShard};
use crate::coordinator::group::stored::StoredGroup;
use crate::coordinator::shard::Now;
use crate::metadata::image::MetadataImage;
use crate::protocol::Uuid;

/// What stands for the name of a topic that is gone.
const UNKNOWN_TOPIC: &str = "<UNKNOWN>";
/// Where `share.auto.offset.reset` says.
const NO_OFFSET: i64 = -1;

/// When the share coordinator was asked last, by group and topic. What is asked for is in the log,
/// when it was asked is not: after a load it is asked again at once.
pub type Asked = BTreeMap<String, BTreeMap<Uuid, i64>>;

impl GroupShard {
    /// The states that subscribed topics lack and that were not asked for lately.
    pub(super) fn states_to_begin(
        &mut self,
        id: &str,
        group: &ShareGroup,
        epoch: i32,
        names: &BTreeSet<&str>,
        now: Now,
        out: &mut GroupDecision,
    ) -> Option<InitializeState> {
        let states = group.state_partitions.clone().unwrap_or_default();
        let retry_ms = i64::from(self.config.share.initialize_retry_interval_ms);
        let asked = self.soft.share_asked.get(id);
        let is_under_way = |topic: &Uuid| {
            let at = asked.and_then(|asked| asked.get(topic));
            at.is_some_and(|at| now.monotonic_ms - at < retry_ms)
        };
        let mut missing: BTreeMap<Uuid, NamedPartitions> = BTreeMap::new();
        for name in names {
            let Some(topic) = self.image.topics.get(name) else {
                continue;
            };
            let mut partitions: BTreeSet<i32> = topic.partitions.keys().copied().collect();
            let under_way = states.initializing.get(&topic.id);
            let under_way = under_way.filter(|_| is_under_way(&topic.id));
            for known in states
                .initialized
                .get(&topic.id)
                .into_iter()
                .chain(under_way)
            {
                partitions.retain(|partition| !known.partitions.contains(partition));
            }
            if !partitions.is_empty() {
                let name = (*name).to_owned();
                missing.insert(topic.id, NamedPartitions { name, partitions });
            }
        }
        if missing.is_empty() {
            return None;
        }
        let start_offsets = missing.iter().map(|(topic, named)| {
            let partitions = named.partitions.iter();
            (*topic, partitions.map(|p| (*p, NO_OFFSET)).collect())
        });
        let start_offsets = start_offsets.collect();
        self.begin_states(id, states, &missing, now, out);
        Some(InitializeState {
            group: id.into(),
            state_epoch: epoch,
            start_offsets,
        })
    }

    /// Notes that the share coordinator is asked to begin these states.
    pub(super) fn begin_states(
        &mut self,
        id: &str,
        mut states: StatePartitions,
        missing: &BTreeMap<Uuid, NamedPartitions>,
        now: Now,
        out: &mut GroupDecision,
    ) {
        add(&mut states.initializing, missing);
        states
            .deleting
            .retain(|topic, _| !missing.contains_key(topic));
        out.records.push(states.to_record().of(id));
        let asked = self.soft.share_asked.entry(id.into()).or_default();
        asked.extend(missing.keys().map(|topic| (*topic, now.monotonic_ms)));
    }

    /// The share coordinator has answered. What it refused is asked for again with a heartbeat.
    pub(super) fn state_initialized(
        &mut self,
        id: &str,
        partitions: &SharePartitions,
        is_done: bool,
        out: &mut GroupDecision,
    ) {
        if let Some(asked) = self.soft.share_asked.get_mut(id) {
            asked.retain(|topic, _| !partitions.contains_key(topic));
            if asked.is_empty() {
                self.soft.share_asked.remove(id);
            }
        }
        let Some(StoredGroup::Share(group)) = self.stored.groups.get(id) else {
            return;
        };
        let Some(mut states) = group.state_partitions.clone() else {
            return;
        };
        for (topic, answered) in partitions {
            if let Some(named) = states.initializing.get_mut(topic) {
                named
                    .partitions
                    .retain(|partition| !answered.contains(partition));
            }
        }
        states
            .initializing
            .retain(|_, named| !named.partitions.is_empty());
        if is_done {
            add(
                &mut states.initialized,
                &with_names(partitions, &self.image),
            );
        }
        if group.state_partitions.as_ref() != Some(&states) {
            out.records.push(states.to_record().of(id));
        }
    }

    pub(super) fn initialized_partitions(&self, id: &str) -> SharePartitions {
        match self.stored.groups.get(id) {
            Some(StoredGroup::Share(ShareGroup {
                state_partitions: Some(states),
                ..
            })) => states.initialized(),
            _ => SharePartitions::new(),
        }
    }

    /// Topics are gone, and their states with them.
    pub(in crate::coordinator::group) fn forget_share_topics(
        &self,
        topics: &[(String, Uuid)],
        out: &mut GroupDecision,
    ) {
        let is_gone = |topic: &Uuid| topics.iter().any(|(_, gone)| gone == topic);
        for (id, group) in &self.stored.groups {
            let StoredGroup::Share(ShareGroup {
                state_partitions: Some(before),
                ..
            }) = group
            else {
                continue;
            };
            let mut states = before.clone();
            states.initializing.retain(|topic, _| !is_gone(topic));
            states.initialized.retain(|topic, _| !is_gone(topic));
            states.deleting.retain(|topic, _| !is_gone(topic));
            if states != *before {
                out.records.push(states.to_record().of(id));
            }
        }
    }
}

/// The name of a topic as it is now.
pub fn name_of(topic: Uuid, image: &MetadataImage) -> String {
    let topic = image.topics.get_by_id(topic);
    topic.map_or(UNKNOWN_TOPIC, |topic| &topic.name).to_owned()
}

fn with_names(
    partitions: &SharePartitions,
    image: &MetadataImage,
) -> BTreeMap<Uuid, NamedPartitions> {
    let named = |(topic, partitions): (&Uuid, &BTreeSet<i32>)| {
        let named = NamedPartitions {
            name: name_of(*topic, image),
            partitions: partitions.clone(),
        };
        (*topic, named)
    };
    partitions.iter().map(named).collect()
}
