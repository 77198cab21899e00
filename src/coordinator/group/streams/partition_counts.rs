//! How many partitions the internal topics of a topology are to have: repartition topics as many as
//! what is read before them, topics that are read together as many as each other, changelogs as
//! many as their subtopology has tasks.
use std::collections::{BTreeMap, BTreeSet};

use super::configure::StatusCode;
use super::topology::{Topology, source_names};
use crate::metadata::image::MetadataImage;
use crate::protocol::messages::streams_group_heartbeat_response::Status;
use crate::protocol::records::group::streams_group_topology_value::{
    CopartitionGroup, Subtopology,
};

/// What is wrong with a topology.
#[derive(Clone, Debug, PartialEq)]
pub enum TopologyError {
    /// Its topics; it may come right when they change.
    Topics(Status),
    /// It makes no sense by itself.
    Invalid(String),
    /// It contradicts itself in a way that Kafka does not expect.
    Unexpected(String),
}

impl TopologyError {
    pub fn no_count(topic: &str) -> TopologyError {
        TopologyError::Unexpected(format!(
            "Number of partitions must be set for topic {topic}"
        ))
    }

    fn not_same(topics: &BTreeMap<&str, i32>) -> TopologyError {
        let topics: Vec<String> = topics
            .iter()
            .map(|(name, n)| format!("{name}={n}"))
            .collect();
        let detail = format!(
            "Following topics do not have the same number of partitions: [{{{}}}]",
            topics.join(", ")
        );
        TopologyError::Topics(StatusCode::IncorrectlyPartitionedTopics.with(detail))
    }
}

pub struct PartitionCounts<'a> {
    image: &'a MetadataImage,
    decided: BTreeMap<String, i32>,
    /// Repartition topics whose number the application sets.
    fixed: BTreeSet<&'a str>,
    flexible: BTreeSet<&'a str>,
}

impl<'a> PartitionCounts<'a> {
    pub fn decide(
        topology: &'a Topology,
        image: &'a MetadataImage,
    ) -> Result<PartitionCounts<'a>, TopologyError> {
        let subtopologies = topology.subtopologies();
        let repartition = || {
            let topics = subtopologies.iter();
            topics.flat_map(|subtopology| &subtopology.repartition_source_topics)
        };
        let named = |is_fixed: bool| {
            let topics = repartition().filter(|topic| (topic.partitions != 0) == is_fixed);
            topics.map(|topic| topic.name.as_str()).collect()
        };
        let mut counts = PartitionCounts {
            image,
            decided: repartition_counts(subtopologies, image)?,
            fixed: named(true),
            flexible: named(false),
        };
        if repartition().any(|topic| !counts.decided.contains_key(&topic.name)) {
            return Err(TopologyError::Invalid(
                "Failed to compute number of partitions for all repartition topics, because a \
                 repartition source topic is never used as a sink topic."
                    .into(),
            ));
        }
        for subtopology in subtopologies {
            for group in &subtopology.copartition_groups {
                counts.enforce(&copartitioned(subtopology, group)?)?;
            }
        }
        for subtopology in subtopologies {
            let tasks = counts.max_of(source_names(subtopology), &subtopology.subtopology_id)?;
            let changelogs = subtopology.state_changelog_topics.iter();
            let changelogs = changelogs.map(|topic| (topic.name.clone(), tasks));
            counts.decided.extend(changelogs);
        }
        Ok(counts)
    }

    pub fn decided(&self, topic: &str) -> Option<i32> {
        self.decided.get(topic).copied()
    }

    /// Of the topic as it is, or as it was decided.
    fn of(&self, topic: &str) -> Result<i32, TopologyError> {
        let count = existing(self.image, topic).or_else(|| self.decided(topic));
        count.ok_or_else(|| TopologyError::no_count(topic))
    }

    pub fn max_of<'t>(
        &self,
        topics: impl Iterator<Item = &'t str>,
        subtopology: &str,
    ) -> Result<i32, TopologyError> {
        let mut max = None;
        for topic in topics {
            max = max.max(Some(self.of(topic)?));
        }
        max.ok_or_else(|| {
            let message = format!("No source topics found for subtopology {subtopology}");
            TopologyError::Invalid(message)
        })
    }

    /// Gives topics that are read together the same number of partitions, if they can be changed.
    fn enforce(&mut self, topics: &BTreeSet<&str>) -> Result<(), TopologyError> {
        if topics.is_empty() {
            return Ok(());
        }
        let mut repartition = BTreeMap::new();
        let mut given = BTreeMap::new();
        for topic in topics {
            let is_repartition = self.fixed.contains(topic) || self.flexible.contains(topic);
            let side = if is_repartition {
                &mut repartition
            } else {
                &mut given
            };
            side.insert(*topic, self.of(topic)?);
        }
        let count = if !given.is_empty() {
            same(given.values().copied()).ok_or_else(|| TopologyError::not_same(&given))?
        } else if !self.fixed.is_empty() {
            let fixed = self.fixed.iter().map(|topic| self.of(topic));
            let fixed = fixed.collect::<Result<Vec<i32>, _>>()?;
            same(fixed.into_iter()).ok_or_else(|| TopologyError::not_same(&repartition))?
        } else {
            repartition.values().copied().max().unwrap_or(0)
        };
        if count == 0 {
            let names: Vec<&str> = topics.iter().copied().collect();
            return Err(TopologyError::Invalid(format!(
                "All topics in the copartition group had undefined partition number: [{}]",
                names.join(", ")
            )));
        }
        for (topic, found) in repartition {
            if self.fixed.contains(topic) && found != count {
                let detail = format!(
                    "Number of partitions [{found}] of repartition topic [{topic}] doesn't match \
                     number of partitions [{count}] of the source topic."
                );
                let problem = StatusCode::IncorrectlyPartitionedTopics.with(detail);
                return Err(TopologyError::Topics(problem));
            }
            self.decided.insert(topic.into(), count);
        }
        Ok(())
    }
}

fn existing(image: &MetadataImage, topic: &str) -> Option<i32> {
    let topic = image.topics.get(topic)?;
    Some(i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX))
}

/// The number that all have.
fn same(mut counts: impl Iterator<Item = i32>) -> Option<i32> {
    let first = counts.next()?;
    counts.all(|count| count == first).then_some(first)
}

/// The topics that a copartition group points at.
fn copartitioned<'a>(
    subtopology: &'a Subtopology,
    group: &CopartitionGroup,
) -> Result<BTreeSet<&'a str>, TopologyError> {
    let id = &subtopology.subtopology_id;
    let outside =
        || TopologyError::Unexpected(format!("Copartition group of subtopology {id} is invalid"));
    let mut topics = BTreeSet::new();
    for at in &group.source_topics {
        let at = usize::try_from(*at).map_err(|_| outside())?;
        topics.insert(
            subtopology
                .source_topics
                .get(at)
                .ok_or_else(outside)?
                .as_str(),
        );
    }
    for at in &group.repartition_source_topics {
        let at = usize::try_from(*at).map_err(|_| outside())?;
        let topic = subtopology.repartition_source_topics.get(at);
        topics.insert(&topic.ok_or_else(outside)?.name);
    }
    Ok(topics)
}

/// As the application sets them; else as many as what the subtopologies read that write them, which
/// may be repartition topics too.
fn repartition_counts(
    subtopologies: &[Subtopology],
    image: &MetadataImage,
) -> Result<BTreeMap<String, i32>, TopologyError> {
    let fixed = subtopologies
        .iter()
        .flat_map(|subtopology| &subtopology.repartition_source_topics)
        .filter(|topic| topic.partitions != 0);
    let mut counts: BTreeMap<String, i32> = fixed
        .map(|topic| (topic.name.clone(), topic.partitions))
        .collect();
    loop {
        let (mut is_missing, mut has_progressed) = (false, false);
        for subtopology in subtopologies {
            for sink in &subtopology.repartition_sink_topics {
                if counts.contains_key(sink) {
                    continue;
                }
                let repartition = subtopology.repartition_source_topics.iter();
                let repartition = repartition.filter_map(|topic| counts.get(&topic.name).copied());
                let sources = subtopology.source_topics.iter();
                let sources = sources.filter_map(|topic| existing(image, topic));
                match repartition.chain(sources).max() {
                    Some(count) => {
                        counts.insert(sink.clone(), count);
                        has_progressed = true;
                    }
                    None => is_missing = true,
                }
            }
        }
        if !is_missing {
            return Ok(counts);
        }
        if !has_progressed {
            return Err(TopologyError::Invalid(
                "Failed to compute number of partitions for all repartition topics. There may be \
                 loops in the topology that cannot be resolved."
                    .into(),
            ));
        }
    }
}
