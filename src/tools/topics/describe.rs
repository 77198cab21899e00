//! `topics --describe`.
use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use serde_json::{Value, json};

use super::Command;
use crate::client::ClientError;
use crate::client::TopicPartition;
use crate::client::admin::{
    ConfigEntry, ConfigResource, DescribeConfigsOptions, OngoingReassignment,
    PARTITIONS_PER_RESPONSE, PartitionDescription, TopicDescription,
};
use crate::protocol::{ErrorCode, Uuid};
use crate::tools::java_order::hash_order;
use crate::tools::java_uuid::parse_id;
use crate::tools::output::{Format, message};

/// `ConfigEntry::source` of a value that nobody set.
const DEFAULT_CONFIG: i8 = 5;

type Reassignments = BTreeMap<TopicPartition, OngoingReassignment>;

/// A topic with what else is shown of it.
struct Topic<'a> {
    description: &'a TopicDescription,
    /// Those that somebody set.
    configs: Vec<&'a ConfigEntry>,
    min_isr: usize,
    reassignments: &'a Reassignments,
}

/// The filters, as asked for.
struct Filters {
    under_replicated: bool,
    unavailable: bool,
    under_min_isr: bool,
    at_min_isr: bool,
    overrides: bool,
    live_brokers: BTreeSet<i32>,
}

impl Command<'_> {
    pub(super) async fn describe(&mut self) -> anyhow::Result<()> {
        if self.options.has("if-exists")
            && self.options.has("topic")
            && self.options.has("topic-id")
        {
            self.printer.line(
                "Only topic id will be used when both --topic and --topic-id are specified and \
                 topicId is not Uuid.ZERO_UUID",
            )?;
        }
        let descriptions = self.descriptions().await?;
        let resources: Vec<ConfigResource> = descriptions
            .iter()
            .map(|topic| ConfigResource::topic(topic.name.to_string()))
            .collect();
        let mut configs = BTreeMap::new();
        if !resources.is_empty() {
            let how = DescribeConfigsOptions::default();
            for (resource, entries) in self.admin.describe_configs(&resources, how).await? {
                configs.insert(resource.name, entries?);
            }
        }
        let filters = self.filters().await?;
        let reassignments = self.reassignments(&descriptions).await?;
        let topics: Vec<Topic<'_>> = descriptions
            .iter()
            .map(|description| {
                let entries = configs
                    .get(&*description.name)
                    .map_or(&[][..], Vec::as_slice);
                Topic::new(description, entries, &reassignments)
            })
            .collect();
        match self.format {
            Format::Kafka => self.print_as_kafka(&topics, &filters),
            Format::Table => self.print_tables(&topics, &filters),
            Format::Json => {
                let topics = topics.iter().filter_map(|topic| topic.json(&filters));
                Ok(self.printer.json(&topics.collect())?)
            }
        }
    }

    /// The topics asked for, in the order of the Java map that Kafka's tool holds them in.
    async fn descriptions(&self) -> anyhow::Result<Vec<TopicDescription>> {
        let exclude_internal = self.options.has("exclude-internal");
        let id = self.options.value("topic-id")?.map(parse_id).transpose()?;
        let mut descriptions = Vec::new();
        if let Some(id) = id.filter(|id| *id != Uuid::ZERO) {
            let known = self.admin.list_topics(!exclude_internal).await?;
            if known.iter().any(|topic| topic.id == id) {
                for (_, topic) in self.admin.describe_topics_by_id(&[id]).await? {
                    descriptions.push(topic?);
                }
            } else if !self.options.has("if-exists") {
                bail!("TopicId '{id}' does not exist as expected");
            }
            return Ok(descriptions);
        }
        let names = self.matching_topics(exclude_internal).await?;
        self.ensure_found(&names)?;
        if names.is_empty() {
            return Ok(descriptions);
        }
        let limit = self.options.number("partition-size-limit-per-response")?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let limit = limit.unwrap_or(PARTITIONS_PER_RESPONSE);
        for (_, topic) in self.admin.describe_topics(&names, limit).await? {
            descriptions.push(topic?);
        }
        if self.format == Format::Kafka {
            let count = descriptions.len();
            hash_order(&mut descriptions, count, |topic| &topic.name);
        }
        Ok(descriptions)
    }

    async fn filters(&self) -> anyhow::Result<Filters> {
        let cluster = self.admin.describe_cluster().await?;
        Ok(Filters {
            under_replicated: self.options.has("under-replicated-partitions"),
            unavailable: self.options.has("unavailable-partitions"),
            under_min_isr: self.options.has("under-min-isr-partitions"),
            at_min_isr: self.options.has("at-min-isr-partitions"),
            overrides: self.options.has("topics-with-overrides"),
            live_brokers: cluster.brokers.iter().map(|broker| broker.id).collect(),
        })
    }

    /// Who may not or cannot ask for reassignments sees none.
    async fn reassignments(
        &self,
        descriptions: &[TopicDescription],
    ) -> anyhow::Result<Reassignments> {
        let partitions: Vec<TopicPartition> = descriptions
            .iter()
            .flat_map(|topic| {
                let partitions = topic.partitions.iter();
                partitions.map(|p| TopicPartition::new(topic.name.clone(), p.partition))
            })
            .collect();
        if partitions.is_empty() {
            return Ok(Reassignments::new());
        }
        match self
            .admin
            .list_partition_reassignments(Some(&partitions))
            .await
        {
            Err(ClientError::UnsupportedVersion(_)) => Ok(Reassignments::new()),
            Err(error) if error.code() == Some(ErrorCode::ClusterAuthorizationFailed) => {
                Ok(Reassignments::new())
            }
            outcome => Ok(outcome?),
        }
    }

    fn print_as_kafka(&mut self, topics: &[Topic<'_>], filters: &Filters) -> anyhow::Result<()> {
        for topic in topics {
            if !filters.partitions_only() && (!filters.overrides || !topic.configs.is_empty()) {
                self.printer.line(topic.header())?;
            }
            if !filters.overrides {
                for partition in topic.shown(filters) {
                    self.printer.line(topic.partition_line(partition))?;
                }
            }
        }
        Ok(())
    }

    fn print_tables(&mut self, topics: &[Topic<'_>], filters: &Filters) -> anyhow::Result<()> {
        let header = [
            "Partition",
            "Leader",
            "Replicas",
            "In sync",
            "Eligible leaders",
        ];
        let mut shown = 0;
        for topic in topics {
            if filters.overrides && topic.configs.is_empty() {
                continue;
            }
            let partitions = topic.shown(filters);
            if filters.partitions_only() && partitions.is_empty() {
                continue;
            }
            if shown > 0 {
                self.printer.line("")?;
            }
            shown += 1;
            let description = topic.description;
            self.printer.line(format!(
                "{}  {} partition(s), replication factor {}, id {}",
                description.name,
                description.partitions.len(),
                topic.replication_factor(),
                description.id
            ))?;
            for config in &topic.configs {
                self.printer.line(format!(
                    "  {} = {}",
                    config.name,
                    config.value.as_deref().unwrap_or("(hidden)")
                ))?;
            }
            if !filters.overrides {
                let rows: Vec<Vec<String>> = partitions.iter().map(|p| table_row(p)).collect();
                self.printer.table(&header, &rows)?;
            }
        }
        if shown == 0 {
            message("No topics match.");
        }
        Ok(())
    }
}

impl Filters {
    /// A filter on partitions shows those alone, without the topic's line.
    fn partitions_only(&self) -> bool {
        self.under_replicated || self.unavailable || self.under_min_isr || self.at_min_isr
    }
}

impl<'a> Topic<'a> {
    fn new(
        description: &'a TopicDescription,
        entries: &'a [ConfigEntry],
        reassignments: &'a Reassignments,
    ) -> Self {
        let min_isr = entries
            .iter()
            .find(|entry| entry.name == "min.insync.replicas");
        let min_isr = min_isr
            .and_then(|entry| entry.value.as_deref()?.parse().ok())
            .unwrap_or(1);
        let configs = entries
            .iter()
            .filter(|entry| entry.source != DEFAULT_CONFIG)
            .collect();
        Topic {
            description,
            configs,
            min_isr,
            reassignments,
        }
    }

    fn reassignment(&self, partition: &PartitionDescription) -> Option<&'a OngoingReassignment> {
        let name = self.description.name.clone();
        self.reassignments
            .get(&TopicPartition::new(name, partition.partition))
    }

    /// How many replicas the partition is to have; while it is moved it has more.
    fn replicas_wanted(&self, partition: &PartitionDescription) -> usize {
        match self.reassignment(partition) {
            // It may have ended between the two questions: then none of them is there any more.
            Some(moving)
                if partition.replicas.iter().any(|replica| {
                    moving.adding.contains(replica) || moving.removing.contains(replica)
                }) =>
            {
                moving.replicas.len().saturating_sub(moving.adding.len())
            }
            _ => partition.replicas.len(),
        }
    }

    fn replication_factor(&self) -> usize {
        self.description
            .partitions
            .first()
            .map_or(0, |first| self.replicas_wanted(first))
    }

    fn shown(&self, filters: &Filters) -> Vec<&'a PartitionDescription> {
        let partitions = self.description.partitions.iter();
        partitions
            .filter(|p| {
                let has_leader = p.leader >= 0;
                !filters.partitions_only()
                    || filters.under_replicated && self.replicas_wanted(p) > p.isr.len()
                    || filters.unavailable
                        && (!has_leader || !filters.live_brokers.contains(&p.leader))
                    || filters.under_min_isr && (!has_leader || p.isr.len() < self.min_isr)
                    || filters.at_min_isr && p.isr.len() == self.min_isr
            })
            .collect()
    }

    fn header(&self) -> String {
        let configs: Vec<String> = self
            .configs
            .iter()
            .map(|entry| {
                format!(
                    "{}={}",
                    entry.name,
                    entry.value.as_deref().unwrap_or("null")
                )
            })
            .collect();
        let id = match self.description.id {
            Uuid::ZERO => String::new(),
            id => format!("\tTopicId: {id}"),
        };
        format!(
            "Topic: {}{id}\tPartitionCount: {}\tReplicationFactor: {}\tConfigs: {}",
            self.description.name,
            self.description.partitions.len(),
            self.replication_factor(),
            configs.join(",")
        )
    }

    fn partition_line(&self, partition: &PartitionDescription) -> String {
        let leader = match partition.leader {
            id if id >= 0 => id.to_string(),
            _ => "none".to_owned(),
        };
        let mut line = format!(
            "\tTopic: {}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}",
            self.description.name,
            partition.partition,
            join(&partition.replicas),
            join(&partition.isr)
        );
        if let Some(moving) = self.reassignment(partition) {
            line.push_str(&format!(
                "\tAdding Replicas: {}\tRemoving Replicas: {}",
                join(&moving.adding),
                join(&moving.removing)
            ));
        }
        let eligible = |ids: &Option<Vec<i32>>| ids.as_deref().map_or("N/A".to_owned(), join);
        line.push_str(&format!(
            "\tElr: {}\tLastKnownElr: {}",
            eligible(&partition.elr),
            eligible(&partition.last_known_elr)
        ));
        line
    }

    /// The topic as JSON, unless the filters leave it out.
    fn json(&self, filters: &Filters) -> Option<Value> {
        let shown = self.shown(filters);
        if filters.overrides && self.configs.is_empty()
            || filters.partitions_only() && shown.is_empty()
        {
            return None;
        }
        let partitions = shown.iter().map(|p| {
            json!({
                "partition": p.partition,
                "leader": (p.leader >= 0).then_some(p.leader),
                "replicas": p.replicas,
                "isr": p.isr,
                "elr": p.elr,
                "lastKnownElr": p.last_known_elr,
            })
        });
        let partitions: Vec<Value> = partitions.collect();
        let configs = self.configs.iter();
        let configs: serde_json::Map<String, Value> = configs
            .map(|entry| (entry.name.clone(), json!(entry.value)))
            .collect();
        Some(json!({
            "topic": &*self.description.name,
            "topicId": self.description.id.to_string(),
            "replicationFactor": self.replication_factor(),
            "configs": configs,
            "partitions": partitions,
        }))
    }
}

fn table_row(p: &PartitionDescription) -> Vec<String> {
    vec![
        p.partition.to_string(),
        if p.leader >= 0 {
            p.leader.to_string()
        } else {
            "none".to_owned()
        },
        join(&p.replicas),
        join(&p.isr),
        p.elr.as_deref().map_or(String::new(), join),
    ]
}

fn join(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(leader: i32, replicas: &[i32], isr: &[i32]) -> PartitionDescription {
        PartitionDescription {
            leader,
            replicas: replicas.to_vec(),
            isr: isr.to_vec(),
            elr: Some(Vec::new()),
            last_known_elr: None,
            ..PartitionDescription::default()
        }
    }

    fn description(partitions: Vec<PartitionDescription>) -> TopicDescription {
        TopicDescription {
            name: "t".into(),
            id: "lggAA1mWS_OtT3vlwtASDw".parse().unwrap(),
            internal: false,
            partitions,
            authorized_operations: 0,
        }
    }

    fn entry(name: &str, value: &str, source: i8) -> ConfigEntry {
        ConfigEntry {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            source,
            read_only: false,
            sensitive: false,
            synonyms: Vec::new(),
            config_type: 0,
            documentation: None,
        }
    }

    #[test]
    fn lines_are_kafkas() {
        let description = description(vec![partition(1, &[1, 2], &[1, 2])]);
        let configs = [
            entry("min.insync.replicas", "1", 3),
            entry("retention.ms", "604800000", 5),
        ];
        let none = Reassignments::new();
        let topic = Topic::new(&description, &configs, &none);
        assert_eq!(
            topic.header(),
            "Topic: t\tTopicId: lggAA1mWS_OtT3vlwtASDw\tPartitionCount: 1\t\
             ReplicationFactor: 2\tConfigs: min.insync.replicas=1"
        );
        assert_eq!(
            topic.partition_line(&description.partitions[0]),
            "\tTopic: t\tPartition: 0\tLeader: 1\tReplicas: 1,2\tIsr: 1,2\tElr: \
             \tLastKnownElr: N/A"
        );
    }

    #[test]
    fn a_partition_on_the_move_shows_what_is_added_and_its_old_factor() {
        let description = description(vec![partition(-1, &[1, 2, 3], &[])]);
        let moving = OngoingReassignment {
            replicas: vec![1, 2, 3],
            adding: vec![3],
            removing: vec![1],
        };
        let moving = Reassignments::from([(TopicPartition::new("t", 0), moving)]);
        let topic = Topic::new(&description, &[], &moving);
        assert_eq!(topic.replication_factor(), 2);
        let line = topic.partition_line(&description.partitions[0]);
        assert!(line.contains("\tLeader: none\t"), "{line}");
        assert!(
            line.contains("\tAdding Replicas: 3\tRemoving Replicas: 1\tElr: \t"),
            "{line}"
        );
    }

    #[test]
    fn filters_choose_partitions() {
        let description = description(vec![
            partition(1, &[1, 2], &[1, 2]),
            partition(1, &[1, 2], &[1]),
            partition(-1, &[1, 2], &[]),
        ]);
        let configs = [entry("min.insync.replicas", "1", 3)];
        let none = Reassignments::new();
        let topic = Topic::new(&description, &configs, &none);
        let check = |choose: fn(&mut Filters), want: &[usize]| {
            let mut filters = Filters {
                under_replicated: false,
                unavailable: false,
                under_min_isr: false,
                at_min_isr: false,
                overrides: false,
                live_brokers: BTreeSet::from([1]),
            };
            choose(&mut filters);
            let isr: Vec<usize> = topic.shown(&filters).iter().map(|p| p.isr.len()).collect();
            assert_eq!(isr, want);
        };
        check(|_| {}, &[2, 1, 0]);
        check(|filters| filters.under_replicated = true, &[1, 0]);
        check(|filters| filters.unavailable = true, &[0]);
        check(|filters| filters.under_min_isr = true, &[0]);
        check(|filters| filters.at_min_isr = true, &[1]);
    }

    #[test]
    fn ids_that_are_none_are_refused_in_javas_words() {
        assert_eq!(
            parse_id("xyz").unwrap_err().to_string(),
            "Input string `xyz` decoded as 2 bytes, which is not equal to the expected 16 bytes \
             of a base64-encoded UUID"
        );
    }
}
