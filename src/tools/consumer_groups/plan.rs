//! Which offsets a reset sets: the partitions it is about, and the place that was asked for.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{anyhow, bail};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{Span, SpanRelativeTo};
use tracing::warn;

use super::Command;
use super::options::PLACES;
use crate::client::TopicPartition;
use crate::client::admin::{
    CommittedOffset, OffsetSpec, PARTITIONS_PER_RESPONSE, PartitionDescription,
};
use crate::client::config::IsolationLevel;
use crate::tools::cluster::{now_ms, thrown_again};
use crate::tools::java_order::partition_order;
use crate::tools::output::{Format, message};
use crate::tools::usage::UsageError;

/// The offsets to set.
pub type Plan = BTreeMap<TopicPartition, i64>;

impl Command<'_> {
    pub(super) async fn plan(&mut self, group: &str) -> anyhow::Result<Plan> {
        let partitions = self.partitions_to_reset(group).await?;
        self.ensure_there(&partitions).await?;
        let options = self.options;
        if let Some(offset) = options.number::<i64>("to-offset")? {
            let wanted = partitions.into_iter().map(|partition| (partition, offset));
            self.within_range(wanted.collect()).await
        } else if options.has("to-earliest") {
            self.offsets(&partitions, OffsetSpec::Earliest).await
        } else if options.has("to-latest") {
            self.end_offsets(&partitions).await
        } else if let Some(by) = options.number::<i64>("shift-by")? {
            self.shifted(group, partitions, by).await
        } else if let Some(time) = options.value("to-datetime")? {
            self.since(&partitions, parse_time(time)?).await
        } else if let Some(duration) = options.value("by-duration")? {
            let start = now_ms().saturating_sub(parse_duration(duration)?);
            self.since(&partitions, start).await
        } else if let Some(path) = options.value("from-file")? {
            self.planned_in(group, path).await
        } else if options.has("to-current") {
            self.current(group, &partitions).await
        } else {
            let places: Vec<String> = PLACES.iter().map(|place| format!("[{place}]")).collect();
            Err(UsageError(format!(
                "Option '[reset-offsets]' requires one of the following scenarios: [{}]",
                places.join(", ")
            ))
            .into())
        }
    }

    async fn partitions_to_reset(&self, group: &str) -> anyhow::Result<Vec<TopicPartition>> {
        if self.options.has("all-topics") {
            return Ok(self.committed(group).await?.into_keys().collect());
        }
        if !self.options.has("topic") {
            if self.options.has("from-file") {
                return Ok(Vec::new());
            }
            return Err(UsageError(
                "One of the reset scopes should be defined: --all-topics, --topic.".to_owned(),
            )
            .into());
        }
        let (mut partitions, topics) = split_topics(self.options.values("topic"))?;
        let described = self
            .admin
            .describe_topics(&topics, PARTITIONS_PER_RESPONSE)
            .await?;
        for (name, topic) in described {
            let of_topic = topic?.partitions.into_iter();
            partitions.extend(of_topic.map(|p| TopicPartition::new(&*name, p.partition)));
        }
        partitions.sort();
        partitions.dedup();
        Ok(partitions)
    }

    async fn committed(
        &self,
        group: &str,
    ) -> anyhow::Result<BTreeMap<TopicPartition, CommittedOffset>> {
        let offsets = self.admin.list_consumer_group_offsets(group, None).await;
        offsets.map_err(thrown_again)
    }

    /// Every partition must exist and have a leader.
    async fn ensure_there(&self, partitions: &[TopicPartition]) -> anyhow::Result<()> {
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
    pub(super) async fn partitions_that(
        &self,
        partitions: &[TopicPartition],
        are: impl Fn(&PartitionDescription) -> bool,
    ) -> anyhow::Result<BTreeSet<TopicPartition>> {
        let topics: BTreeSet<&str> = partitions.iter().map(|p| &*p.topic).collect();
        let topics: Vec<&str> = topics.into_iter().collect();
        let described = self
            .admin
            .describe_topics(&topics, PARTITIONS_PER_RESPONSE)
            .await;
        let mut found = BTreeSet::new();
        for (name, topic) in described.map_err(thrown_again)? {
            let topic = topic.map_err(thrown_again)?;
            let fitting = topic.partitions.iter().filter(|p| are(p));
            found.extend(fitting.map(|p| TopicPartition::new(&*name, p.partition)));
        }
        let asked: BTreeSet<&TopicPartition> = partitions.iter().collect();
        found.retain(|partition| asked.contains(partition));
        Ok(found)
    }

    pub(super) async fn end_offsets(&self, partitions: &[TopicPartition]) -> anyhow::Result<Plan> {
        self.offsets(partitions, OffsetSpec::Latest).await
    }

    async fn offsets(
        &self,
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
        let listed = self
            .admin
            .list_offsets(&wanted, IsolationLevel::ReadUncommitted);
        let mut offsets = Plan::new();
        for (partition, listed) in listed.await.map_err(thrown_again)? {
            offsets.insert(partition, listed.map_err(thrown_again)?.offset);
        }
        Ok(offsets)
    }

    /// Offsets moved to where the logs begin and end.
    async fn within_range(&self, wanted: Plan) -> anyhow::Result<Plan> {
        let partitions: Vec<TopicPartition> = wanted.keys().cloned().collect();
        let starts = self.offsets(&partitions, OffsetSpec::Earliest).await?;
        let ends = self.end_offsets(&partitions).await?;
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
        &self,
        group: &str,
        partitions: Vec<TopicPartition>,
        by: i64,
    ) -> anyhow::Result<Plan> {
        let current = self.committed(group).await?;
        let mut wanted = Plan::new();
        for partition in partitions {
            let Some(committed) = current.get(&partition) else {
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
    async fn since(&mut self, partitions: &[TopicPartition], time: i64) -> anyhow::Result<Plan> {
        let mut plan = self
            .offsets(partitions, OffsetSpec::Timestamp(time))
            .await?;
        let mut without: Vec<TopicPartition> = plan
            .iter()
            .filter(|(_, offset)| **offset == -1)
            .map(|(partition, _)| partition.clone())
            .collect();
        partition_order(&mut without, |p| (&p.topic, p.partition));
        for partition in &without {
            let text = format!(
                "\nWarn: Partition {} from topic {} is empty. Falling back to latest known offset.",
                partition.partition, partition.topic
            );
            match self.format {
                Format::Kafka => self.printer.line(text)?,
                _ => message(text.trim_start()),
            }
        }
        plan.extend(self.end_offsets(&without).await?);
        Ok(plan)
    }

    async fn planned_in(&mut self, group: &str, path: &str) -> anyhow::Result<Plan> {
        let text = fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => anyhow!("java.nio.file.NoSuchFileException: {path}"),
            _ => anyhow!("{path}: {error}"),
        })?;
        let only = match self.options.values("group") {
            [group] => Some(group.as_str()),
            _ => None,
        };
        let mut plans = parse_csv(&text, only)?;
        match plans.remove(group) {
            Some(plan) => self.within_range(plan).await,
            None => {
                self.error(&format!("No reset plan for group {group} found"))?;
                Ok(Plan::new())
            }
        }
    }

    async fn current(&self, group: &str, partitions: &[TopicPartition]) -> anyhow::Result<Plan> {
        let current = self.committed(group).await?;
        let (with, without): (Vec<_>, Vec<_>) = partitions
            .iter()
            .cloned()
            .partition(|partition| current.contains_key(partition));
        let mut plan = self.end_offsets(&without).await?;
        for partition in with {
            if let Some(committed) = current.get(&partition) {
                plan.insert(partition, committed.offset);
            }
        }
        Ok(plan)
    }
}

/// `--topic` values: those with partitions, as partitions, and the names of whole topics.
pub(super) fn split_topics(
    texts: &[String],
) -> Result<(Vec<TopicPartition>, Vec<&str>), UsageError> {
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

/// Lines of `topic,partition,offset`, for the one group asked for, or with the group in front.
fn parse_csv(text: &str, only: Option<&str>) -> anyhow::Result<BTreeMap<String, Plan>> {
    let mut plans: BTreeMap<String, Plan> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let fields: Vec<&str> = line
            .split(',')
            .map(|field| field.trim().trim_matches('"'))
            .collect();
        let (group, topic, partition, offset) = match (fields.as_slice(), only) {
            ([topic, partition, offset], Some(group)) => (group, topic, partition, offset),
            ([group, topic, partition, offset], _) => (*group, topic, partition, offset),
            _ => bail!(
                "Cannot read '{line}': a line is topic,partition,offset, with the group in front for several groups"
            ),
        };
        let (Ok(partition), Ok(offset)) = (partition.parse(), offset.parse()) else {
            bail!("Cannot read '{line}': partition and offset must be numbers");
        };
        let plan = plans.entry(group.to_owned()).or_default();
        plan.insert(TopicPartition::new(*topic, partition), offset);
    }
    Ok(plans)
}

/// `2020-01-01T00:00:00.000`, in UTC unless it ends in `Z` or an offset such as `+02:00`.
fn parse_time(text: &str) -> anyhow::Result<i64> {
    let Some((_, time)) = text.split_once('T') else {
        bail!(
            "java.text.ParseException: Error parsing timestamp. It does not contain a 'T' \
             according to ISO8601 format"
        );
    };
    let unparseable = || anyhow!("java.text.ParseException: Unparseable date: \"{text}\"");
    let zone_at = time.find(['+', '-', 'Z']);
    let (time, zone) = time.split_at(zone_at.unwrap_or(time.len()));
    let local = text.get(..text.len() - zone.len()).unwrap_or(text);
    if !time.contains('.') {
        return Err(unparseable());
    }
    let local: DateTime = local.parse().map_err(|_| unparseable())?;
    let offset = zone_offset(zone).ok_or_else(unparseable)?;
    let instant = offset.to_timestamp(local).map_err(|_| unparseable())?;
    Ok(instant.as_millisecond())
}

/// ``, `Z`, `+02`, `+0230`, `+02:30`.
fn zone_offset(zone: &str) -> Option<Offset> {
    let Some(sign) = zone.chars().next().filter(|sign| *sign != 'Z') else {
        return matches!(zone, "" | "Z").then_some(Offset::UTC);
    };
    let digits: String = zone.chars().skip(1).filter(|c| *c != ':').collect();
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes: i32 = match digits.get(2..)? {
        "" => 0,
        minutes => minutes.parse().ok()?,
    };
    let seconds = hours * 3600 + minutes * 60;
    Offset::from_seconds(if sign == '-' { -seconds } else { seconds }).ok()
}

/// `PnDTnHnMnS` in milliseconds; days have 24 hours.
fn parse_duration(text: &str) -> anyhow::Result<i64> {
    let wrong = || anyhow!("Text cannot be parsed to a Duration");
    // Other notations, such as 1h, are not Java's.
    let unsigned = text.trim_start_matches(['+', '-']);
    if !unsigned.starts_with(['P', 'p']) {
        return Err(wrong());
    }
    let span: Span = text.parse().map_err(|_| wrong())?;
    if span.get_years() != 0 || span.get_months() != 0 || span.get_weeks() != 0 {
        return Err(wrong());
    }
    let days = SpanRelativeTo::days_are_24_hours();
    let duration = span.to_duration(days).map_err(|_| wrong())?;
    i64::try_from(duration.as_millis()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_unless_they_say() {
        for (text, want) in [
            ("2020-01-01T00:00:00.000", 1_577_836_800_000),
            ("2020-01-01T00:00:00.250Z", 1_577_836_800_250),
            ("2020-01-01T02:00:00.000+02:00", 1_577_836_800_000),
            ("2019-12-31T22:30:00.000-0130", 1_577_836_800_000),
        ] {
            assert_eq!(parse_time(text).unwrap(), want, "{text}");
        }
        for text in [
            "2020-01-01",
            "2020-01-01T00:00:00",
            "noonT.",
            "2020-01-01T00:00:00.0+x",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_iso_8601() {
        for (text, want) in [
            ("PT0S", 0),
            ("P1DT2H3M4S", 93_784_000),
            ("PT0.5S", 500),
            ("-PT1S", -1_000),
        ] {
            assert_eq!(parse_duration(text).unwrap(), want, "{text}");
        }
        for text in ["", "1h", "P1Y", "P1W", "PT"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn csv_for_one_group_or_several() {
        let plan = |offset| Plan::from([(TopicPartition::new("t", 0), offset)]);
        let one = parse_csv("t,0,5\n", Some("g")).unwrap();
        assert_eq!(one, BTreeMap::from([("g".to_owned(), plan(5))]));
        let two = parse_csv("g,t,0,5\nh,\"t\",0,6", None).unwrap();
        let want = BTreeMap::from([("g".to_owned(), plan(5)), ("h".to_owned(), plan(6))]);
        assert_eq!(two, want);
        assert!(parse_csv("t,0,5", None).is_err());
        assert!(parse_csv("t,x,5", Some("g")).is_err());
    }

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
