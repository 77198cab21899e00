//! From one image to the next: what records change, and transactions taken whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::image::{ConfigResource, MetadataImage, Provenance, ReplayError, TopicImage};
use super::record::{MetadataRecord, VersionedRecord};
use crate::protocol::Uuid;

/// What changed between two images.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetadataChanges {
    pub created_topics: BTreeMap<Uuid, Arc<str>>,
    /// As they were before they went.
    pub deleted_topics: BTreeMap<Uuid, Arc<TopicImage>>,
    /// New and changed partitions of topics that still exist.
    pub partitions: BTreeSet<(Uuid, i32)>,
    pub configs: BTreeSet<ConfigResource>,
    pub features: BTreeSet<String>,
    pub brokers: BTreeSet<i32>,
    pub controllers: BTreeSet<i32>,
    pub producer_ids: bool,
    pub acls: bool,
    pub scram: bool,
    pub tokens: bool,
    pub quotas: bool,
}

impl MetadataChanges {
    pub fn is_empty(&self) -> bool {
        *self == MetadataChanges::default()
    }

    /// Takes the changes in that came after these.
    fn absorb(&mut self, later: MetadataChanges) {
        for (id, topic) in later.deleted_topics {
            self.partitions.retain(|(topic_id, _)| *topic_id != id);
            if self.created_topics.remove(&id).is_none() {
                self.deleted_topics.insert(id, topic);
            }
        }
        self.created_topics.extend(later.created_topics);
        self.partitions.extend(later.partitions);
        self.configs.extend(later.configs);
        self.features.extend(later.features);
        self.brokers.extend(later.brokers);
        self.controllers.extend(later.controllers);
        self.producer_ids |= later.producer_ids;
        self.acls |= later.acls;
        self.scram |= later.scram;
        self.tokens |= later.tokens;
        self.quotas |= later.quotas;
    }
}

/// Builds the next image from one and some records.
#[derive(Debug, Clone)]
pub struct MetadataDelta {
    image: MetadataImage,
    changes: MetadataChanges,
}

impl MetadataDelta {
    pub fn new(image: &MetadataImage) -> MetadataDelta {
        MetadataDelta {
            image: image.clone(),
            changes: MetadataChanges::default(),
        }
    }

    /// Applies one record. Transaction markers are ignored here, see [`MetadataLoader`].
    pub fn replay(&mut self, record: &VersionedRecord) -> Result<(), ReplayError> {
        self.image.replay(record, &mut self.changes)
    }

    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    pub fn changes(&self) -> &MetadataChanges {
        &self.changes
    }

    /// The image after the records, which end at `provenance`.
    pub fn finish(mut self, provenance: Provenance) -> (MetadataImage, MetadataChanges) {
        self.image.provenance = provenance;
        (self.image, self.changes)
    }
}

/// Applies `records` to `image` as if they had just been appended and end at `provenance`.
pub fn apply(
    image: &MetadataImage,
    records: &[VersionedRecord],
    provenance: Provenance,
) -> Result<(MetadataImage, MetadataChanges), ReplayError> {
    let mut delta = MetadataDelta::new(image);
    for record in records {
        delta.replay(record)?;
    }
    Ok(delta.finish(provenance))
}

/// Follows the metadata log batch by batch. Its image never holds half a transaction: records
/// between `BeginTransaction` and `EndTransaction` show together, or not at all.
#[derive(Debug, Clone)]
pub struct MetadataLoader {
    committed: MetadataDelta,
    /// Since when a transaction is open, and what it would make of the image.
    open: Option<MetadataDelta>,
    provenance: Provenance,
}

impl MetadataLoader {
    pub fn new(image: &MetadataImage) -> MetadataLoader {
        MetadataLoader {
            committed: MetadataDelta::new(image),
            open: None,
            provenance: image.provenance,
        }
    }

    /// The image as of the last whole transaction.
    pub fn image(&self) -> &MetadataImage {
        &self.committed.image
    }

    /// Whether a transaction was begun and neither ended nor aborted.
    pub fn in_transaction(&self) -> bool {
        self.open.is_some()
    }

    /// Applies the records of one batch whose last record is at `end`.
    pub fn load(
        &mut self,
        records: &[VersionedRecord],
        end: Provenance,
    ) -> Result<(), ReplayError> {
        let first = end.last_offset + 1 - records.len() as i64;
        for (offset, record) in (first..).zip(records) {
            self.load_record(
                record,
                Provenance {
                    last_offset: offset,
                    ..end
                },
            )?;
        }
        self.passed(end);
        Ok(())
    }

    /// Notes that the log goes on to `end` without records that say anything (control batches).
    pub fn passed(&mut self, end: Provenance) {
        self.provenance = end;
        if self.open.is_none() {
            self.committed.image.provenance = end;
        }
    }

    /// What changed since the last call, with the image that has it.
    pub fn take_changes(&mut self) -> (MetadataImage, MetadataChanges) {
        let changes = std::mem::take(&mut self.committed.changes);
        (self.committed.image.clone(), changes)
    }

    fn load_record(&mut self, record: &VersionedRecord, at: Provenance) -> Result<(), ReplayError> {
        match (&record.record, self.open.is_some()) {
            (MetadataRecord::BeginTransaction(_), false) => {
                self.committed.image.provenance = self.provenance;
                self.open = Some(MetadataDelta::new(&self.committed.image));
            }
            (MetadataRecord::EndTransaction(_), true) => {
                if let Some(open) = self.open.take() {
                    self.committed.image = open.image;
                    self.committed.changes.absorb(open.changes);
                }
            }
            (MetadataRecord::AbortTransaction(_), true) => self.open = None,
            (MetadataRecord::BeginTransaction(_), true) => {
                return Err(ReplayError::Transaction {
                    found: "begin",
                    state: "within",
                });
            }
            (MetadataRecord::EndTransaction(_) | MetadataRecord::AbortTransaction(_), false) => {
                return Err(ReplayError::Transaction {
                    found: "closing",
                    state: "outside",
                });
            }
            _ => self
                .open
                .as_mut()
                .unwrap_or(&mut self.committed)
                .replay(record)?,
        }
        self.provenance = at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::image::feature_level;
    use crate::metadata::record::v0;
    use crate::protocol::records::metadata::{
        AbortTransactionRecord, BeginTransactionRecord, ConfigRecord, EndTransactionRecord,
        RemoveTopicRecord, TopicRecord,
    };

    fn at(last_offset: i64) -> Provenance {
        Provenance {
            last_offset,
            ..Provenance::default()
        }
    }

    fn group_level(loader: &MetadataLoader) -> i16 {
        loader.image().features.level("group.version")
    }

    fn load(loader: &mut MetadataLoader, records: &[VersionedRecord]) {
        let end = loader.provenance.last_offset + records.len() as i64;
        loader.load(records, at(end)).unwrap();
    }

    #[test]
    fn a_transaction_shows_when_it_ends() {
        let mut loader = MetadataLoader::new(&MetadataImage::default());
        load(
            &mut loader,
            &[feature_level("a", 1), v0(BeginTransactionRecord::default())],
        );
        load(&mut loader, &[feature_level("group.version", 1)]);
        assert!(loader.in_transaction());
        assert_eq!(group_level(&loader), 0);
        assert_eq!(loader.image().provenance.last_offset, 0);
        load(&mut loader, &[v0(EndTransactionRecord::default())]);
        assert_eq!(group_level(&loader), 1);
        assert_eq!(loader.image().provenance.last_offset, 3);
        let (_, changes) = loader.take_changes();
        assert_eq!(changes.features.len(), 2);
        assert!(loader.take_changes().1.is_empty());
    }

    #[test]
    fn an_aborted_transaction_leaves_nothing() {
        let mut loader = MetadataLoader::new(&MetadataImage::default());
        let begin = v0(BeginTransactionRecord::default());
        let abort = v0(AbortTransactionRecord::default());
        load(
            &mut loader,
            &[begin, feature_level("group.version", 1), abort],
        );
        assert_eq!(group_level(&loader), 0);
        assert!(!loader.in_transaction());
        assert!(loader.take_changes().1.is_empty());
        let lone_end = loader.load(&[v0(EndTransactionRecord::default())], at(3));
        assert!(matches!(lone_end, Err(ReplayError::Transaction { .. })));
    }

    #[test]
    fn a_removed_topic_takes_its_configurations_along() {
        let topic_id = Uuid::from_u128(1000);
        let create = [
            v0(TopicRecord {
                name: "t".to_owned(),
                topic_id,
                ..Default::default()
            }),
            v0(ConfigRecord {
                resource_type: 2,
                resource_name: "t".to_owned(),
                name: "retention.ms".to_owned(),
                value: Some("1".to_owned()),
                ..Default::default()
            }),
        ];
        let remove = [v0(RemoveTopicRecord {
            topic_id,
            ..Default::default()
        })];
        let empty = MetadataImage::default();
        let (created, _) = apply(&empty, &create, at(1)).unwrap();
        assert!(!created.is_empty());
        let (removed, changes) = apply(&created, &remove, at(2)).unwrap();
        assert!(removed.is_empty());
        assert_eq!(&*changes.deleted_topics[&topic_id].name, "t");
        assert_eq!(changes.configs.len(), 1);
        // The image before is as it was.
        assert_eq!(&*created.topics.get("t").unwrap().name, "t");
        let twice = apply(&removed, &remove, at(3));
        assert_eq!(twice.unwrap_err(), ReplayError::NoSuchTopic(topic_id));
    }
}
