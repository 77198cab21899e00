//! Leaders, in-sync replicas and eligible leader replicas (KIP-966) as brokers come and go.

use super::Controller;
use super::placement::default_directory;
use crate::metadata::image::{
    MetadataImage, NO_LEADER, NO_LEADER_CHANGE, PartitionImage, RecoveryState, TopicImage,
};
use crate::metadata::record::{MetadataRecord, VersionedRecord};
use crate::metadata::version::MetadataVersion;
use crate::protocol::Uuid;
use crate::protocol::records::metadata::PartitionChangeRecord;

/// What happens to a broker, for the partitions it has to do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BrokerChange {
    /// It leaves in order (or is fenced): it may be elected again later.
    Leaves(i32),
    /// It came back without having stopped in order: what it holds may lack acknowledged records.
    WasUnclean(i32),
    /// It may lead from now on.
    Returns(i32),
}

impl BrokerChange {
    /// Whether the broker may lead once the change is made, as far as the change says.
    fn decides(self, replica: i32) -> Option<bool> {
        match self {
            BrokerChange::Leaves(id) | BrokerChange::WasUnclean(id) if id == replica => Some(false),
            BrokerChange::Returns(id) if id == replica => Some(true),
            _ => None,
        }
    }

    fn concerns(self, partition: &PartitionImage) -> bool {
        match self {
            BrokerChange::Leaves(id) => partition.isr.contains(&id),
            BrokerChange::WasUnclean(id) => {
                partition.isr.contains(&id) || partition.elr.contains(&id)
            }
            BrokerChange::Returns(_) => partition.leader == NO_LEADER,
        }
    }
}

/// An election that somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The first replica leads, if it is in sync.
    Preferred,
    /// Any replica leads, though it may lack records.
    Unclean,
}

/// What an election goes by, beside the partition itself.
struct Rules<'a> {
    version: MetadataVersion,
    elr_enabled: bool,
    min_isr: usize,
    /// Rather lose records than stay without a leader.
    unclean: bool,
    may_lead: &'a dyn Fn(i32) -> bool,
}

impl Controller {
    /// Changes to every partition that the broker's coming or going concerns.
    pub(super) fn partition_changes(
        &self,
        image: &MetadataImage,
        change: BrokerChange,
    ) -> Vec<VersionedRecord> {
        self.changes_among(image, change, |_, _, _| true)
    }

    /// The same for those partitions that `among` (topic, partition, its state) picks.
    pub(super) fn changes_among(
        &self,
        image: &MetadataImage,
        change: BrokerChange,
        among: impl Fn(Uuid, i32, &PartitionImage) -> bool,
    ) -> Vec<VersionedRecord> {
        let mut records = Vec::new();
        for topic in image.topics.iter() {
            let mut concerned = topic.partitions.iter().filter(|(index, partition)| {
                change.concerns(partition) && among(topic.id, **index, partition)
            });
            // The settings are looked up for topics that need them only.
            let Some(first) = concerned.next() else {
                continue;
            };
            let min_isr = self.min_isr(image, topic);
            let unclean = self.allows_unclean_election(image, topic);
            for (index, partition) in std::iter::once(first).chain(concerned) {
                let may_lead = |replica: i32| {
                    change
                        .decides(replica)
                        .unwrap_or_else(|| image.cluster.is_active(replica))
                        && image.has_online_directory(partition, replica)
                };
                let rules = Rules {
                    version: image.features.metadata_version(),
                    elr_enabled: image.features.elr_enabled(),
                    min_isr,
                    unclean,
                    may_lead: &may_lead,
                };
                let record = rules.change(topic.id, *index, partition, change);
                records.extend(record.map(|record| {
                    MetadataRecord::from(record).at(rules.version.partition_change_record_version())
                }));
            }
        }
        records
    }

    /// The change that an election comes to; none if there is nobody to elect.
    pub(super) fn asked_election(
        &self,
        image: &MetadataImage,
        topic: &TopicImage,
        index: i32,
        partition: &PartitionImage,
        asked: Asked,
    ) -> Option<VersionedRecord> {
        let may_lead = |replica: i32| {
            image.cluster.is_active(replica) && image.has_online_directory(partition, replica)
        };
        let version = image.features.metadata_version();
        let record = match asked {
            Asked::Preferred => {
                let first = *partition.replicas.first()?;
                let in_sync = partition.isr.contains(&first)
                    || (partition.isr.is_empty() && partition.elr.contains(&first));
                if !in_sync || !may_lead(first) {
                    return None;
                }
                PartitionChangeRecord {
                    topic_id: topic.id,
                    partition_id: index,
                    leader: first,
                    ..Default::default()
                }
            }
            Asked::Unclean => {
                let rules = Rules {
                    version,
                    elr_enabled: image.features.elr_enabled(),
                    min_isr: self.min_isr(image, topic),
                    unclean: true,
                    may_lead: &may_lead,
                };
                // Nobody in particular comes back: whoever is there is looked at.
                let change = BrokerChange::Returns(NO_LEADER);
                let record = rules.change(topic.id, index, partition, change)?;
                (record.leader >= 0).then_some(record)?
            }
        };
        Some(MetadataRecord::from(record).at(version.partition_change_record_version()))
    }

    fn min_isr(&self, image: &MetadataImage, topic: &TopicImage) -> usize {
        let set = self
            .topic_setting(image, &topic.name, "min.insync.replicas")
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(1);
        let replicas = topic
            .partitions
            .values()
            .next()
            .map_or(0, |p| p.replicas.len());
        set.min(replicas)
    }

    fn allows_unclean_election(&self, image: &MetadataImage, topic: &TopicImage) -> bool {
        self.topic_setting(image, &topic.name, "unclean.leader.election.enable")
            .is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
    }
}

/// The state that a partition is to get.
struct Target {
    isr: Vec<i32>,
    elr: Vec<i32>,
}

impl Rules<'_> {
    fn change(
        &self,
        topic_id: Uuid,
        partition_id: i32,
        partition: &PartitionImage,
        change: BrokerChange,
    ) -> Option<PartitionChangeRecord> {
        let mut target = self.target(partition, change);
        let mut record = PartitionChangeRecord {
            topic_id,
            partition_id,
            ..PartitionChangeRecord::default()
        };
        let is_unclean = self.elect(partition, &mut target, &mut record);
        if is_unclean || !self.elr_enabled {
            target.elr.clear();
        }
        if target.elr != partition.elr {
            record.eligible_leader_replicas = Some(target.elr);
        }
        // Without ELR the last in-sync replica stays in the ISR while it is away.
        if record.isr.is_none()
            && (!target.isr.is_empty() || self.elr_enabled)
            && target.isr != partition.isr
        {
            record.isr = Some(target.isr);
        }
        let shrinks = record
            .isr
            .as_ref()
            .is_some_and(|isr| partition.isr.iter().any(|replica| !isr.contains(replica)));
        if shrinks && self.version.bumps_epoch_on_isr_shrink() && record.leader == NO_LEADER_CHANGE
        {
            record.leader = partition.leader;
        }
        self.note_last_known_leader(partition, &mut record);
        let nothing = PartitionChangeRecord {
            topic_id,
            partition_id,
            ..Default::default()
        };
        (record != nothing).then_some(record)
    }

    fn target(&self, partition: &PartitionImage, change: BrokerChange) -> Target {
        let (gone, unclean) = match change {
            BrokerChange::Leaves(id) => (Some(id), None),
            BrokerChange::WasUnclean(id) => (Some(id), Some(id)),
            BrokerChange::Returns(_) => (None, None),
        };
        let isr: Vec<i32> = partition
            .isr
            .iter()
            .copied()
            .filter(|replica| Some(*replica) != gone)
            .collect();
        if !self.elr_enabled {
            return Target {
                isr,
                elr: partition.elr.clone(),
            };
        }
        if isr.len() >= self.min_isr {
            return Target {
                isr,
                elr: Vec::new(),
            };
        }
        // Whoever was in the ISR when it fell below the minimum holds all that was committed.
        let mut elr: Vec<i32> = partition
            .elr
            .iter()
            .chain(&partition.isr)
            .copied()
            .collect();
        elr.sort_unstable();
        elr.dedup();
        elr.retain(|replica| !isr.contains(replica) && Some(*replica) != unclean);
        Target { isr, elr }
    }

    /// Puts a new leader into the record, if there is to be another; tells whether it comes from
    /// outside the ISR and the ELR.
    fn elect(
        &self,
        partition: &PartitionImage,
        target: &mut Target,
        record: &mut PartitionChangeRecord,
    ) -> bool {
        let is_valid = |replica: i32| {
            let in_sync = target.isr.contains(&replica)
                || (target.isr.is_empty() && target.elr.contains(&replica));
            in_sync && (self.may_lead)(replica)
        };
        let clean = std::iter::once(partition.leader)
            .chain(partition.replicas.iter().copied())
            .find(|replica| is_valid(*replica));
        let (leader, is_unclean) = match clean.or_else(|| self.last_known(partition, target)) {
            Some(leader) => (leader, clean.is_none()),
            None => {
                let mut replicas = partition.replicas.iter().copied();
                match replicas.find(|replica| self.unclean && (self.may_lead)(*replica)) {
                    Some(leader) => (leader, true),
                    None => (NO_LEADER, false),
                }
            }
        };
        if leader == partition.leader {
            return false;
        }
        record.leader = leader;
        if target.elr.contains(&leader) {
            target.isr = vec![leader];
            target.elr.retain(|replica| *replica != leader);
        }
        if is_unclean {
            record.isr = Some(vec![leader]);
            if partition.recovery_state != RecoveryState::Recovering {
                record.leader_recovery_state = RecoveryState::Recovering.code();
            }
        }
        is_unclean
    }

    /// The leader that was the last one, when nobody else is known to hold everything.
    fn last_known(&self, partition: &PartitionImage, target: &Target) -> Option<i32> {
        if !self.elr_enabled || !target.elr.is_empty() || !target.isr.is_empty() {
            return None;
        }
        match partition.last_known_elr[..] {
            [last] if (self.may_lead)(last) => Some(last),
            _ => None,
        }
    }

    fn note_last_known_leader(
        &self,
        partition: &PartitionImage,
        record: &mut PartitionChangeRecord,
    ) {
        if !self.elr_enabled {
            return;
        }
        let becomes_empty = record.isr.as_ref().is_some_and(Vec::is_empty);
        let has_leader =
            record.leader >= 0 || (partition.leader != NO_LEADER && record.leader != NO_LEADER);
        if becomes_empty && partition.last_known_elr != [partition.leader] {
            record.last_known_elr = Some(vec![partition.leader]);
        } else if has_leader && !partition.last_known_elr.is_empty() {
            record.last_known_elr = Some(Vec::new());
        }
    }
}

/// The state of a new partition with these replicas, of which `isr` are there.
pub(super) fn new_partition(
    image: &MetadataImage,
    replicas: Vec<i32>,
    isr: Vec<i32>,
) -> PartitionImage {
    PartitionImage {
        directories: replicas
            .iter()
            .map(|id| default_directory(&image.cluster, *id))
            .collect(),
        leader: isr.first().copied().unwrap_or(NO_LEADER),
        replicas,
        isr,
        ..PartitionImage::default()
    }
}
