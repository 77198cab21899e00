//! What the log says about groups: the durable half of the state, changed by replay alone.
use std::collections::BTreeMap;

use super::consumer::{ConsumerGroup, ConsumerRecord};
use super::offsets::{OffsetStore, StoredOffset};
use super::record::{GroupMetadataValue, GroupRecord};
use super::share::{ShareGroup, ShareRecord};
use super::streams::{StreamsGroup, StreamsRecord};

#[derive(Clone, Debug, PartialEq)]
pub enum StoredGroup {
    /// Offsets were committed under this id, but nobody ever joined.
    Simple,
    Classic(GroupMetadataValue),
    Consumer(ConsumerGroup),
    Share(ShareGroup),
    Streams(StreamsGroup),
}

/// Everything that the records of one `__consumer_offsets` partition add up to.
#[derive(Debug, Default, PartialEq)]
pub struct Stored {
    pub groups: BTreeMap<String, StoredGroup>,
    pub offsets: OffsetStore,
}

impl Stored {
    pub fn replay(&mut self, offset: i64, producer_id: Option<i64>, record: GroupRecord) {
        match record {
            GroupRecord::OffsetCommit {
                group,
                topic,
                partition,
                value: Some(committed),
            } => {
                // Whoever commits without joining makes a group by it.
                if !self.groups.contains_key(&group) {
                    self.groups.insert(group.clone(), StoredGroup::Simple);
                }
                let stored = StoredOffset {
                    committed,
                    record_offset: offset,
                };
                self.offsets
                    .commit(group, topic, partition, stored, producer_id);
            }
            GroupRecord::OffsetCommit {
                group,
                topic,
                partition,
                value: None,
            } => {
                self.offsets.remove(&group, &topic, partition);
            }
            GroupRecord::ClassicGroup {
                group,
                value: Some(value),
            } => {
                self.groups.insert(group, StoredGroup::Classic(value));
            }
            GroupRecord::ClassicGroup { group, value: None } => {
                let is_other = matches!(
                    self.groups.get(&group),
                    Some(
                        StoredGroup::Consumer(_) | StoredGroup::Share(_) | StoredGroup::Streams(_)
                    )
                );
                if !is_other {
                    self.groups.remove(&group);
                }
            }
            GroupRecord::Consumer { group, record } => self.replay_consumer(group, record),
            GroupRecord::Share { group, record } => self.replay_share(group, record),
            GroupRecord::Streams { group, record } => self.replay_streams(group, record),
        }
    }

    pub fn end_transaction(&mut self, producer_id: i64, committed: bool) {
        self.offsets.end_transaction(producer_id, committed);
    }

    /// A tombstone makes no group: it is left over from one that is gone.
    fn replay_consumer(&mut self, id: String, record: ConsumerRecord) {
        if record == ConsumerRecord::Epoch(None) {
            if matches!(self.groups.get(&id), Some(StoredGroup::Consumer(_))) {
                self.groups.remove(&id);
            }
            return;
        }
        match self.groups.get_mut(&id) {
            Some(StoredGroup::Consumer(group)) => group.apply(record),
            _ if record.is_tombstone() => {}
            _ => {
                let mut group = ConsumerGroup::default();
                group.apply(record);
                self.groups.insert(id, StoredGroup::Consumer(group));
            }
        }
    }

    fn replay_share(&mut self, id: String, record: ShareRecord) {
        if record == ShareRecord::Epoch(None) {
            if matches!(self.groups.get(&id), Some(StoredGroup::Share(_))) {
                self.groups.remove(&id);
            }
            return;
        }
        match self.groups.get_mut(&id) {
            Some(StoredGroup::Share(group)) => group.apply(record),
            _ if record.is_tombstone() => {}
            _ => {
                let mut group = ShareGroup::default();
                group.apply(record);
                self.groups.insert(id, StoredGroup::Share(group));
            }
        }
    }

    fn replay_streams(&mut self, id: String, record: StreamsRecord) {
        if record == StreamsRecord::Epoch(None) {
            if matches!(self.groups.get(&id), Some(StoredGroup::Streams(_))) {
                self.groups.remove(&id);
            }
            return;
        }
        match self.groups.get_mut(&id) {
            Some(StoredGroup::Streams(group)) => group.apply(record),
            _ if record.is_tombstone() => {}
            _ => {
                let mut group = StreamsGroup::default();
                group.apply(record);
                self.groups.insert(id, StoredGroup::Streams(group));
            }
        }
    }
}
