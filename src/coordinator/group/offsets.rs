//! The committed offsets of all groups of a partition, and those of transactions that are still
//! open.
use std::collections::{BTreeMap, BTreeSet};

use super::record::CommittedOffset;

/// An offset and where in the log it was committed: the newer of two is the one further on,
/// whatever the order in which a transaction's offsets become visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOffset {
    pub committed: CommittedOffset,
    pub record_offset: i64,
}

pub type TopicOffsets = BTreeMap<String, BTreeMap<i32, StoredOffset>>;
type GroupOffsets = BTreeMap<String, TopicOffsets>;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct OffsetStore {
    committed: GroupOffsets,
    /// By producer id. Visible once the transaction commits.
    pending: BTreeMap<i64, GroupOffsets>,
}

impl OffsetStore {
    pub fn group(&self, group: &str) -> Option<&TopicOffsets> {
        self.committed.get(group)
    }

    pub fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        let stored = self.committed.get(group)?.get(topic)?.get(&partition)?;
        Some(&stored.committed)
    }

    /// An open transaction has committed an offset for the partition, and it is not known yet
    /// whether it counts.
    pub fn is_pending(&self, group: &str, topic: &str, partition: i32) -> bool {
        self.pending_of(group).any(|topics| {
            topics
                .get(topic)
                .is_some_and(|offsets| offsets.contains_key(&partition))
        })
    }

    pub fn has_open_transactions(&self, group: &str) -> bool {
        self.pending
            .values()
            .any(|groups| groups.contains_key(group))
    }

    /// Every partition for which the group has an offset, committed or pending.
    pub fn partitions_of(&self, group: &str) -> BTreeSet<(String, i32)> {
        let committed = self.committed.get(group).into_iter();
        committed
            .chain(self.pending_of(group))
            .flat_map(partitions)
            .collect()
    }

    /// The offsets of all groups for one topic: group, partition, offset.
    pub fn of_topic<'a>(
        &'a self,
        topic: &'a str,
    ) -> impl Iterator<Item = (&'a str, i32, &'a CommittedOffset)> {
        let all = std::iter::once(&self.committed).chain(self.pending.values());
        all.flatten().flat_map(move |(group, topics)| {
            let offsets = topics.get(topic).into_iter().flatten();
            offsets.map(move |(partition, stored)| (group.as_str(), *partition, &stored.committed))
        })
    }

    fn pending_of<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a TopicOffsets> {
        self.pending
            .values()
            .filter_map(move |groups| groups.get(group))
    }

    pub(super) fn commit(
        &mut self,
        group: String,
        topic: String,
        partition: i32,
        stored: StoredOffset,
        producer_id: Option<i64>,
    ) {
        let groups = match producer_id {
            Some(id) => self.pending.entry(id).or_default(),
            None => &mut self.committed,
        };
        groups
            .entry(group)
            .or_default()
            .entry(topic)
            .or_default()
            .insert(partition, stored);
    }

    /// Forgets the offset, the pending ones too.
    pub(super) fn remove(&mut self, group: &str, topic: &str, partition: i32) {
        remove_from(&mut self.committed, group, topic, partition);
        self.pending.retain(|_, groups| {
            remove_from(groups, group, topic, partition);
            !groups.is_empty()
        });
    }

    pub(super) fn end_transaction(&mut self, producer_id: i64, committed: bool) {
        let Some(groups) = self.pending.remove(&producer_id) else {
            return;
        };
        if !committed {
            return;
        }
        for (group, topics) in groups {
            for (topic, offsets) in topics {
                for (partition, stored) in offsets {
                    let newer = self
                        .committed
                        .get(&group)
                        .and_then(|topics| topics.get(&topic)?.get(&partition))
                        .is_some_and(|existing| existing.record_offset >= stored.record_offset);
                    if !newer {
                        self.commit(group.clone(), topic.clone(), partition, stored, None);
                    }
                }
            }
        }
    }
}

fn partitions(topics: &TopicOffsets) -> impl Iterator<Item = (String, i32)> {
    topics.iter().flat_map(|(topic, offsets)| {
        offsets
            .keys()
            .map(move |partition| (topic.clone(), *partition))
    })
}

/// Empty maps are not kept, so that "has offsets" is "has an entry".
fn remove_from(groups: &mut GroupOffsets, group: &str, topic: &str, partition: i32) {
    let Some(topics) = groups.get_mut(group) else {
        return;
    };
    if let Some(offsets) = topics.get_mut(topic) {
        offsets.remove(&partition);
        if offsets.is_empty() {
            topics.remove(topic);
        }
    }
    if topics.is_empty() {
        groups.remove(group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Uuid;

    fn stored(offset: i64, record_offset: i64) -> StoredOffset {
        let committed = CommittedOffset {
            offset,
            leader_epoch: -1,
            metadata: String::new(),
            commit_timestamp_ms: 0,
            expire_timestamp_ms: None,
            topic_id: Uuid::ZERO,
        };
        StoredOffset {
            committed,
            record_offset,
        }
    }

    fn put(store: &mut OffsetStore, stored: StoredOffset, producer_id: Option<i64>) {
        store.commit("g".into(), "t".into(), 0, stored, producer_id);
    }

    fn offset(store: &OffsetStore) -> Option<i64> {
        store.get("g", "t", 0).map(|committed| committed.offset)
    }

    #[test]
    fn a_transactions_offset_is_seen_when_it_commits() {
        let mut store = OffsetStore::default();
        put(&mut store, stored(5, 0), Some(7));
        assert_eq!(offset(&store), None);
        assert!(store.is_pending("g", "t", 0) && store.has_open_transactions("g"));
        store.end_transaction(7, true);
        assert_eq!(offset(&store), Some(5));
        assert!(!store.is_pending("g", "t", 0) && !store.has_open_transactions("g"));
    }

    #[test]
    fn an_aborted_transactions_offset_is_never_seen() {
        let mut store = OffsetStore::default();
        put(&mut store, stored(1, 0), None);
        put(&mut store, stored(5, 1), Some(7));
        store.end_transaction(7, false);
        assert_eq!(offset(&store), Some(1));
    }

    #[test]
    fn a_plain_commit_after_a_transactional_one_wins_even_if_the_marker_comes_last() {
        let mut store = OffsetStore::default();
        put(&mut store, stored(5, 0), Some(7));
        put(&mut store, stored(9, 1), None);
        store.end_transaction(7, true);
        assert_eq!(offset(&store), Some(9));
    }

    #[test]
    fn a_tombstone_removes_pending_offsets_too() {
        let mut store = OffsetStore::default();
        put(&mut store, stored(1, 0), None);
        put(&mut store, stored(5, 1), Some(7));
        store.remove("g", "t", 0);
        store.end_transaction(7, true);
        assert_eq!(store, OffsetStore::default());
    }
}
