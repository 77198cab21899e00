//! Which offsets `--reset-offsets` sets, for every kind of group: the partitions it is about, and
//! the place in their logs that was asked for.
mod file;
mod options;
mod print;
mod time;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{anyhow, bail};
use tracing::warn;

pub use file::parse_csv;
pub use options::RESET;
pub use print::{Layout, export, print};
pub use time::{parse_duration, parse_time};

use super::cluster::{now_ms, thrown_again};
use super::java_order::partition_order;
use super::options::jopt::OptionSet;
use super::output::{Format, Printer, message};
use super::usage::{UsageError, exclude};
use crate::client::TopicPartition;
use crate::client::admin::{
    Admin, CommittedOffset, OffsetSpec, PARTITIONS_PER_RESPONSE, PartitionDescription,
};
use crate::client::config::IsolationLevel;

/// The offsets to set.
pub type Plan = BTreeMap<TopicPartition, i64>;

/// What a group committed.
pub type Committed = BTreeMap<TopicPartition, CommittedOffset>;

/// Where offsets can be reset to, in the order of Kafka's message.
pub const PLACES: [&str; 8] = [
    "by-duration",
    "from-file",
    "shift-by",
    "to-current",
    "to-datetime",
    "to-earliest",
    "to-latest",
    "to-offset",
];

/// At most one of a tool's places may be named.
pub fn exclusive_places(options: &OptionSet, places: &[&str]) -> Result<(), UsageError> {
    for place in places {
        let others: Vec<&str> = places.iter().copied().filter(|p| p != place).collect();
        exclude(options, place, &others)?;
    }
    Ok(())
}

/// The plan as offsets to commit.
pub fn offsets(plan: &Plan) -> Committed {
    let offsets = plan.iter();
    offsets
        .map(|(partition, offset)| (partition.clone(), CommittedOffset::at(*offset)))
        .collect()
}

/// The place that the options name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Offset(i64),
    Earliest,
    Latest,
    Shift(i64),
    /// The first record since this time.
    Since(i64),
    File(String),
    Current,
}

impl Place {
    /// Tools need not have all of the options.
    pub fn of(options: &OptionSet) -> anyhow::Result<Place> {
        let known = |name| options.definition().find(name).is_some();
        let given = |name| known(name) && options.has(name);
        let value = |name| match known(name) {
            true => options.value(name),
            false => Ok(None),
        };
        let number = |name| match known(name) {
            true => options.number::<i64>(name),
            false => Ok(None),
        };
        Ok(if let Some(offset) = number("to-offset")? {
            Place::Offset(offset)
        } else if given("to-earliest") {
            Place::Earliest
        } else if given("to-latest") {
            Place::Latest
        } else if let Some(by) = number("shift-by")? {
            Place::Shift(by)
        } else if let Some(time) = value("to-datetime")? {
            Place::Since(parse_time(time)?)
        } else if let Some(duration) = value("by-duration")? {
            Place::Since(now_ms().saturating_sub(parse_duration(duration)?))
        } else if let Some(path) = value("from-file")? {
            Place::File(path.to_owned())
        } else if given("to-current") {
            Place::Current
        } else {
            let places: Vec<String> = PLACES.iter().map(|place| format!("[{place}]")).collect();
            return Err(UsageError(format!(
                "Option '[reset-offsets]' requires one of the following scenarios: [{}]",
                places.join(", ")
            ))
            .into());
        })
    }

    /// Whether it is found from what the group committed.
    pub fn is_relative(&self) -> bool {
        matches!(self, Place::Shift(_) | Place::Current)
    }
}

/// Asks a cluster where its logs begin and end.
#[derive(Clone, Copy)]
pub struct LogOffsets<'a> {
    pub admin: &'a Admin,
}

impl LogOffsets<'_> {
    /// Offsets of the place; `committed` is looked at where the place is relative.
    pub async fn plan(
        self,
        place: &Place,
        partitions: Vec<TopicPartition>,
        committed: &Committed,
        warnings: &mut Warnings<'_>,
    ) -> anyhow::Result<Plan> {
        match place {
            Place::Offset(offset) => {
                let wanted = partitions.into_iter().map(|partition| (partition, *offset));
                self.within_range(wanted.collect()).await
            }
            Place::Earliest => self.listed(&partitions, OffsetSpec::Earliest).await,
            Place::Latest => self.ends(&partitions).await,
            Place::Shift(by) => self.shifted(partitions, committed, *by).await,
            Place::Since(time) => self.since(&partitions, *time, warnings).await,
            Place::Current => self.current(&partitions, committed).await,
            // Files tell of their group's partitions themselves.
            Place::File(_) => Ok(Plan::new()),
        }
    }

    /// The partitions that values of `--topic` name.
    pub async fn named(self, texts: &[String]) -> anyhow::Result<Vec<TopicPartition>> {
        let (mut partitions, topics) = split_topics(texts)?;
        let described = self.admin.describe_topics(&topics, PARTITIONS_PER_RESPONSE);
        for (name, topic) in described.await? {
            let of_topic = topic?.partitions.into_iter();
            partitions.extend(of_topic.map(|p| TopicPartition::new(&*name, p.partition)));
        }
        partitions.sort();
        partitions.dedup();
        Ok(partitions)
    }

    /// Every partition must exist and have a leader.
    pub async fn ensure_there(self, partitions: &[TopicPartition]) -> anyhow::Result<()> {
        let there = self.partitions_that(partitions, |_| true).await?;
        let missing: Vec<String> = partitions
            .iter()
            .filter(|partition| !there.contains(*partition))
            .map(ToString::to_string)
            .collect();
        if !missing.is_empty() {
            bail!("The partitions \"{}\" do not exist", missing.join(","));
        }
        let leaderless = self.partitions_that(partitions, |p| p.leader < 0).await?;
        let leaderless: Vec<String> = leaderless.iter().map(ToString::to_string).collect();
        if !leaderless.is_empty() {
            bail!("The partitions \"{}\" have no leader", leaderless.join(","));
        }
        Ok(())
    }

    /// Those of the partitions that exist and are as asked.
    pub async fn partitions_that(
        self,
        partitions: &[TopicPartition],
        are: impl Fn(&PartitionDescription) -> bool,
    ) -> anyhow::Result<BTreeSet<TopicPartition>> {
        let topics: BTreeSet<&str> = partitions.iter().map(|p| &*p.topic).collect();
        let topics: Vec<&str> = topics.into_iter().collect();
        let described = self.admin.describe_topics(&topics, PARTITIONS_PER_RESPONSE);
        let mut found = BTreeSet::new();
        for (name, topic) in described.await.map_err(thrown_again)? {
            let topic = topic.map_err(thrown_again)?;
            let fitting = topic.partitions.iter().filter(|p| are(p));
            found.extend(fitting.map(|p| TopicPartition::new(&*name, p.partition)));
        }
        let asked: BTreeSet<&TopicPartition> = partitions.iter().collect();
        found.retain(|partition| asked.contains(partition));
        Ok(found)
    }

    /// Where the logs end.
    pub async fn ends(self, partitions: &[TopicPartition]) -> anyhow::Result<Plan> {
        self.listed(partitions, OffsetSpec::Latest).await
    }

    pub async fn listed(
        self,
        partitions: &[TopicPartition],
        spec: OffsetSpec,
    ) -> anyhow::Result<Plan> {
        let wanted: BTreeMap<TopicPartition, OffsetSpec> = partitions
            .iter()
            .map(|partition| (partition.clone(), spec))
            .collect();
        if wanted.is_empty() {
            return Ok(Plan::new());
        }
        let level = IsolationLevel::ReadUncommitted;
        let listed = self.admin.list_offsets(&wanted, level).await;
        let mut offsets = Plan::new();
        for (partition, listed) in listed.map_err(thrown_again)? {
            offsets.insert(partition, listed.map_err(thrown_again)?.offset);
        }
        Ok(offsets)
    }

    /// Offsets moved to where the logs begin and end.
    pub async fn within_range(self, wanted: Plan) -> anyhow::Result<Plan> {
        let partitions: Vec<TopicPartition> = wanted.keys().cloned().collect();
        let starts = self.listed(&partitions, OffsetSpec::Earliest).await?;
        let ends = self.ends(&partitions).await?;
        let mut plan = Plan::new();
        for (partition, offset) in wanted {
            let start = starts.get(&partition).copied().unwrap_or(offset);
            let end = ends.get(&partition).copied().unwrap_or(offset);
            let set = if offset > end {
                warn!(
                    "New offset ({offset}) is higher than latest offset for topic partition \
                     {partition}. Value will be set to {end}"
                );
                end
            } else if offset < start {
                warn!(
                    "New offset ({offset}) is lower than earliest offset for topic partition \
                     {partition}. Value will be set to {start}"
                );
                start
            } else {
                offset
            };
            plan.insert(partition, set);
        }
        Ok(plan)
    }

    async fn shifted(
        self,
        partitions: Vec<TopicPartition>,
        committed: &Committed,
        by: i64,
    ) -> anyhow::Result<Plan> {
        let mut wanted = Plan::new();
        for partition in partitions {
            let Some(committed) = committed.get(&partition) else {
                return Err(UsageError(format!(
                    "Cannot shift offset for partition {partition} since there is no current \
                     committed offset"
                ))
                .into());
            };
            wanted.insert(partition, committed.offset.saturating_add(by));
        }
        self.within_range(wanted).await
    }

    /// The first records since a time; the ends where there are none.
    async fn since(
        self,
        partitions: &[TopicPartition],
        time: i64,
        warnings: &mut Warnings<'_>,
    ) -> anyhow::Result<Plan> {
        let mut plan = self.listed(partitions, OffsetSpec::Timestamp(time)).await?;
        let mut without: Vec<TopicPartition> = plan
            .iter()
            .filter(|(_, offset)| **offset == -1)
            .map(|(partition, _)| partition.clone())
            .collect();
        partition_order(&mut without, |p| (&p.topic, p.partition));
        for partition in &without {
            warnings.empty(partition)?;
        }
        plan.extend(self.ends(&without).await?);
        Ok(plan)
    }

    async fn current(
        self,
        partitions: &[TopicPartition],
        committed: &Committed,
    ) -> anyhow::Result<Plan> {
        let (with, without): (Vec<_>, Vec<_>) = partitions
            .iter()
            .cloned()
            .partition(|partition| committed.contains_key(partition));
        let mut plan = self.ends(&without).await?;
        for partition in with {
            if let Some(committed) = committed.get(&partition) {
                plan.insert(partition, committed.offset);
            }
        }
        Ok(plan)
    }

    /// The offsets that a file has for a group; none when it does not tell of the group.
    pub async fn planned_in(
        self,
        group: &str,
        groups: &[String],
        path: &str,
    ) -> anyhow::Result<Option<Plan>> {
        let text = fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => anyhow!("java.nio.file.NoSuchFileException: {path}"),
            _ => anyhow!("{path}: {error}"),
        })?;
        let only = match groups {
            [group] => Some(group.as_str()),
            _ => None,
        };
        match parse_csv(&text, only)?.remove(group) {
            Some(plan) => Ok(Some(self.within_range(plan).await?)),
            None => Ok(None),
        }
    }
}

/// Where warnings about partitions go: Kafka's to stdout, people's to stderr.
pub struct Warnings<'a> {
    pub printer: &'a mut Printer,
    pub format: Format,
}

impl Warnings<'_> {
    fn empty(&mut self, partition: &TopicPartition) -> std::io::Result<()> {
        let text = format!(
            "Warn: Partition {} from topic {} is empty. Falling back to latest known offset.",
            partition.partition, partition.topic
        );
        match self.format {
            Format::Kafka => self.printer.line(format!("\n{text}")),
            _ => {
                message(text);
                Ok(())
            }
        }
    }
}

/// `--topic` values: those with partitions, as partitions, and the names of whole topics.
pub fn split_topics(texts: &[String]) -> Result<(Vec<TopicPartition>, Vec<&str>), UsageError> {
    let (mut partitions, mut topics) = (Vec::new(), Vec::new());
    for text in texts {
        if !text.contains(':') {
            topics.push(text.as_str());
            continue;
        }
        let parts: Vec<&str> = text.trim_end_matches(':').split(':').collect();
        let [topic, indexes] = parts.as_slice() else {
            return Err(UsageError(format!(
                "Invalid topic arg '{text}', expected topic name and partitions"
            )));
        };
        for index in indexes.split(',') {
            let Ok(number) = index.parse() else {
                return Err(UsageError(format!(
                    "Invalid partition '{index}' specified in topic arg '{text}''"
                )));
            };
            partitions.push(TopicPartition::new(*topic, number));
        }
    }
    Ok((partitions, topics))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_with_and_without_partitions() {
        let texts = ["a", "b:0,2"].map(str::to_owned);
        let (partitions, topics) = split_topics(&texts).unwrap();
        assert_eq!(topics, ["a"]);
        let want = [0, 2].map(|index| TopicPartition::new("b", index));
        assert_eq!(partitions, want);
        assert!(split_topics(&["b:x".to_owned()]).is_err());
        assert!(split_topics(&["b:1:2".to_owned()]).is_err());
    }
}
