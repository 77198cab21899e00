//! A topology with its topics looked up: how many tasks each subtopology has, how many partitions
//! the internal topics have or are to have, and what is wrong with the topics there are.
use std::collections::BTreeMap;

use super::partition_counts::{PartitionCounts, TopologyError};
use super::topology::{Topology, sorted, source_names};
use crate::metadata::image::MetadataImage;
use crate::protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use crate::protocol::messages::streams_group_describe_response as described;
use crate::protocol::messages::streams_group_heartbeat_response::Status;
use crate::protocol::records::group::streams_group_topology_value::{Subtopology, TopicInfo};

const MAX_NAMED: usize = 3;

/// The codes of what a heartbeat has to say beside its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusCode {
    StaleTopology = 0,
    MissingSourceTopics = 1,
    IncorrectlyPartitionedTopics = 2,
    MissingInternalTopics = 3,
    ShutdownApplication = 4,
    AssignmentDelayed = 5,
}

impl StatusCode {
    pub fn with(self, detail: String) -> Status {
        Status {
            status_code: self as i8,
            status_detail: detail,
        }
    }
}

/// An internal topic as it is or shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalTopic {
    pub partitions: i32,
    /// The broker's default unless told.
    pub replication_factor: Option<i16>,
    pub configs: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredSubtopology {
    pub tasks: i32,
    pub source_topics: Vec<String>,
    pub repartition_sink_topics: Vec<String>,
    pub repartition_source_topics: BTreeMap<String, InternalTopic>,
    pub changelog_topics: BTreeMap<String, InternalTopic>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ConfiguredTopology {
    pub epoch: i32,
    /// Of the topics' metadata that it was made from.
    pub metadata_hash: i64,
    /// Nothing if the topics do not go together.
    pub subtopologies: Option<BTreeMap<String, ConfiguredSubtopology>>,
    pub to_create: Vec<CreatableTopic>,
    /// Why no task can be assigned.
    pub problem: Option<Status>,
}

impl ConfiguredTopology {
    /// The subtopologies, if all of their topics are there.
    pub fn ready(&self) -> Option<&BTreeMap<String, ConfiguredSubtopology>> {
        let subtopologies = self.subtopologies.as_ref();
        subtopologies.filter(|_| self.problem.is_none())
    }

    pub fn describe(&self) -> described::Topology {
        let subtopologies = self.subtopologies.iter().flatten();
        described::Topology {
            epoch: self.epoch,
            subtopologies: Some(
                subtopologies
                    .map(|(id, subtopology)| subtopology.describe(id))
                    .collect(),
            ),
        }
    }
}

/// Looks the topics of a topology up.
pub fn configure(
    topology: &Topology,
    image: &MetadataImage,
    metadata_hash: i64,
) -> Result<ConfiguredTopology, TopologyError> {
    let with_problem = |problem| ConfiguredTopology {
        epoch: topology.epoch(),
        metadata_hash,
        subtopologies: None,
        to_create: Vec::new(),
        problem: Some(problem),
    };
    match try_configure(topology, image, metadata_hash) {
        Ok(configured) => Ok(configured),
        Err(TopologyError::Topics(problem)) => Ok(with_problem(problem)),
        Err(error) => Err(error),
    }
}

fn try_configure(
    topology: &Topology,
    image: &MetadataImage,
    metadata_hash: i64,
) -> Result<ConfiguredTopology, TopologyError> {
    let missing: Vec<&str> = missing_source_topics(topology, image);
    if !missing.is_empty() {
        let detail = format!("Source topics {} are missing.", summary(&missing));
        let problem = StatusCode::MissingSourceTopics.with(detail);
        return Err(TopologyError::Topics(problem));
    }
    let counts = PartitionCounts::decide(topology, image)?;
    let mut subtopologies = BTreeMap::new();
    for (id, subtopology) in topology.by_id() {
        subtopologies.insert(id.to_owned(), configured(subtopology, &counts)?);
    }
    let to_create = missing_internal_topics(&subtopologies, image)?;
    let problem = (!to_create.is_empty()).then(|| {
        let names: Vec<&str> = to_create.iter().map(|topic| topic.name.as_str()).collect();
        let detail = format!("Internal topics are missing: {}", summary(&names));
        StatusCode::MissingInternalTopics.with(detail)
    });
    Ok(ConfiguredTopology {
        epoch: topology.epoch(),
        metadata_hash,
        subtopologies: Some(subtopologies),
        to_create,
        problem,
    })
}

fn missing_source_topics<'a>(topology: &'a Topology, image: &MetadataImage) -> Vec<&'a str> {
    let subtopologies = topology.subtopologies().iter();
    let topics = subtopologies.flat_map(|subtopology| &subtopology.source_topics);
    let missing = topics.filter(|topic| image.topics.get(topic).is_none());
    let mut missing: Vec<&str> = missing.map(String::as_str).collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

/// The first names, and how many more there are.
fn summary(names: &[&str]) -> String {
    let shown = names.len().min(MAX_NAMED);
    let mut text = names[..shown].join(", ");
    if names.len() > shown {
        text += &format!(" and {} additional topics", names.len() - shown);
    }
    text
}

fn configured(
    subtopology: &Subtopology,
    counts: &PartitionCounts,
) -> Result<ConfiguredSubtopology, TopologyError> {
    let internal = |topics: &[TopicInfo]| {
        let topics = topics.iter();
        topics
            .map(|topic| Ok((topic.name.clone(), internal_topic(topic, counts)?)))
            .collect::<Result<BTreeMap<String, InternalTopic>, TopologyError>>()
    };
    Ok(ConfiguredSubtopology {
        tasks: counts.max_of(source_names(subtopology), &subtopology.subtopology_id)?,
        source_topics: sorted(&subtopology.source_topics),
        repartition_sink_topics: sorted(&subtopology.repartition_sink_topics),
        repartition_source_topics: internal(&subtopology.repartition_source_topics)?,
        changelog_topics: internal(&subtopology.state_changelog_topics)?,
    })
}

fn internal_topic(
    topic: &TopicInfo,
    counts: &PartitionCounts,
) -> Result<InternalTopic, TopologyError> {
    let partitions = match topic.partitions {
        0 => counts.decided(&topic.name),
        told => Some(told),
    };
    let partitions = partitions.filter(|partitions| *partitions > 0);
    let configs = topic.topic_configs.iter();
    Ok(InternalTopic {
        partitions: partitions.ok_or_else(|| TopologyError::no_count(&topic.name))?,
        replication_factor: (topic.replication_factor != 0).then_some(topic.replication_factor),
        configs: configs
            .map(|config| (config.key.clone(), config.value.clone()))
            .collect(),
    })
}

fn missing_internal_topics(
    subtopologies: &BTreeMap<String, ConfiguredSubtopology>,
    image: &MetadataImage,
) -> Result<Vec<CreatableTopic>, TopologyError> {
    let all: BTreeMap<&String, &InternalTopic> = subtopologies
        .values()
        .flat_map(|subtopology| {
            let changelogs = subtopology.changelog_topics.iter();
            subtopology
                .repartition_source_topics
                .iter()
                .chain(changelogs)
        })
        .collect();
    let mut missing = Vec::new();
    for (name, topic) in all {
        let Some(existing) = image.topics.get(name) else {
            missing.push(topic.to_creatable(name));
            continue;
        };
        let found = existing.partitions.len();
        if usize::try_from(topic.partitions) != Ok(found) {
            let detail = format!(
                "Existing topic {name} has different number of partitions: expected {}, found \
                 {found}",
                topic.partitions
            );
            let problem = StatusCode::IncorrectlyPartitionedTopics.with(detail);
            return Err(TopologyError::Topics(problem));
        }
    }
    Ok(missing)
}

impl InternalTopic {
    fn to_creatable(&self, name: &str) -> CreatableTopic {
        let config = |(name, value): (&String, &String)| CreatableTopicConfig {
            name: name.clone(),
            value: Some(value.clone()),
        };
        CreatableTopic {
            name: name.into(),
            num_partitions: self.partitions,
            replication_factor: self.replication_factor.unwrap_or(-1),
            configs: self.configs.iter().map(config).collect(),
            ..CreatableTopic::default()
        }
    }

    fn describe(&self, name: &str) -> described::TopicInfo {
        let config = |(key, value): (&String, &String)| described::KeyValue {
            key: key.clone(),
            value: value.clone(),
        };
        described::TopicInfo {
            name: name.into(),
            partitions: self.partitions,
            replication_factor: self.replication_factor.unwrap_or(0),
            topic_configs: self.configs.iter().map(config).collect(),
        }
    }
}

impl ConfiguredSubtopology {
    fn describe(&self, id: &str) -> described::Subtopology {
        let infos = |topics: &BTreeMap<String, InternalTopic>| {
            let topics = topics.iter();
            topics.map(|(name, topic)| topic.describe(name)).collect()
        };
        described::Subtopology {
            subtopology_id: id.into(),
            source_topics: self.source_topics.clone(),
            repartition_sink_topics: self.repartition_sink_topics.clone(),
            state_changelog_topics: infos(&self.changelog_topics),
            repartition_source_topics: infos(&self.repartition_source_topics),
        }
    }
}
