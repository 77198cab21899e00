//! The topology that the members of a streams group agree on: what each subtopology reads and
//! writes, as the log keeps it.
use std::collections::{BTreeMap, BTreeSet};

use crate::protocol::messages::streams_group_describe_response as described;
use crate::protocol::messages::streams_group_heartbeat_request as request;
use crate::protocol::records::group::StreamsGroupTopologyValue;
use crate::protocol::records::group::streams_group_topology_value::{
    CopartitionGroup, Subtopology, TopicConfig, TopicInfo,
};

#[derive(Clone, Debug)]
pub struct Topology {
    value: StreamsGroupTopologyValue,
    /// Where in `value` the subtopology is that reads a topic.
    by_source: BTreeMap<String, usize>,
}

/// The order of the subtopologies does not matter.
impl PartialEq for Topology {
    fn eq(&self, other: &Topology) -> bool {
        self.epoch() == other.epoch() && self.by_id() == other.by_id()
    }
}

impl Topology {
    pub fn from_value(value: StreamsGroupTopologyValue) -> Topology {
        let mut by_source = BTreeMap::new();
        for (at, subtopology) in value.subtopologies.iter().enumerate() {
            by_source.extend(source_names(subtopology).map(|name| (name.to_owned(), at)));
        }
        Topology { value, by_source }
    }

    pub fn from_request(topology: &request::Topology) -> Topology {
        Topology::from_value(StreamsGroupTopologyValue {
            epoch: topology.epoch,
            subtopologies: topology.subtopologies.iter().map(subtopology).collect(),
            unknown_tags: Vec::new(),
        })
    }

    pub fn epoch(&self) -> i32 {
        self.value.epoch
    }

    pub fn value(&self) -> &StreamsGroupTopologyValue {
        &self.value
    }

    pub fn subtopologies(&self) -> &[Subtopology] {
        &self.value.subtopologies
    }

    pub fn by_id(&self) -> BTreeMap<&str, &Subtopology> {
        let subtopologies = self.value.subtopologies.iter();
        subtopologies
            .map(|subtopology| (subtopology.subtopology_id.as_str(), subtopology))
            .collect()
    }

    /// The subtopology that reads the topic.
    pub fn subtopology_of(&self, topic: &str) -> Option<&str> {
        let subtopology = self.value.subtopologies.get(*self.by_source.get(topic)?)?;
        Some(&subtopology.subtopology_id)
    }

    /// All topics that have to be there: what is read, and changelogs.
    pub fn required_topics(&self) -> BTreeSet<&str> {
        let topics = self.value.subtopologies.iter().flat_map(|subtopology| {
            let changelogs = subtopology.state_changelog_topics.iter();
            source_names(subtopology).chain(changelogs.map(|topic| topic.name.as_str()))
        });
        topics.collect()
    }

    /// As it was told, before numbers of partitions are filled in.
    pub fn describe(&self) -> described::Topology {
        let infos = |topics: &[TopicInfo]| {
            let mut infos: Vec<described::TopicInfo> = topics.iter().map(describe_topic).collect();
            infos.sort_by(|a, b| a.name.cmp(&b.name));
            infos
        };
        let subtopology = |(id, subtopology): (&str, &Subtopology)| described::Subtopology {
            subtopology_id: id.into(),
            source_topics: sorted(&subtopology.source_topics),
            repartition_sink_topics: sorted(&subtopology.repartition_sink_topics),
            state_changelog_topics: infos(&subtopology.state_changelog_topics),
            repartition_source_topics: infos(&subtopology.repartition_source_topics),
        };
        described::Topology {
            epoch: self.epoch(),
            subtopologies: Some(self.by_id().into_iter().map(subtopology).collect()),
        }
    }
}

/// The topics that a subtopology reads.
pub fn source_names(subtopology: &Subtopology) -> impl Iterator<Item = &str> {
    let repartition = subtopology.repartition_source_topics.iter();
    let own = subtopology.source_topics.iter().map(String::as_str);
    own.chain(repartition.map(|topic| topic.name.as_str()))
}

pub fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort();
    names
}

fn describe_topic(topic: &TopicInfo) -> described::TopicInfo {
    let config = |config: &TopicConfig| described::KeyValue {
        key: config.key.clone(),
        value: config.value.clone(),
    };
    described::TopicInfo {
        name: topic.name.clone(),
        partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        topic_configs: topic.topic_configs.iter().map(config).collect(),
    }
}

fn subtopology(told: &request::Subtopology) -> Subtopology {
    let copartitioned = |group: &request::CopartitionGroup| CopartitionGroup {
        source_topics: group.source_topics.clone(),
        source_topic_regex: group.source_topic_regex.clone(),
        repartition_source_topics: group.repartition_source_topics.clone(),
        unknown_tags: Vec::new(),
    };
    Subtopology {
        subtopology_id: told.subtopology_id.clone(),
        source_topics: told.source_topics.clone(),
        source_topic_regex: told.source_topic_regex.clone(),
        state_changelog_topics: told.state_changelog_topics.iter().map(topic).collect(),
        repartition_sink_topics: told.repartition_sink_topics.clone(),
        repartition_source_topics: told.repartition_source_topics.iter().map(topic).collect(),
        copartition_groups: told.copartition_groups.iter().map(copartitioned).collect(),
        unknown_tags: Vec::new(),
    }
}

fn topic(told: &request::TopicInfo) -> TopicInfo {
    let config = |config: &request::KeyValue| TopicConfig {
        key: config.key.clone(),
        value: config.value.clone(),
        unknown_tags: Vec::new(),
    };
    TopicInfo {
        name: told.name.clone(),
        partitions: told.partitions,
        replication_factor: told.replication_factor,
        topic_configs: told.topic_configs.iter().map(config).collect(),
        unknown_tags: Vec::new(),
    }
}
