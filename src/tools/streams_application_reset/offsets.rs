//! The offsets of an application: of input topics to a place, of intermediate ones to the end.
use std::collections::BTreeMap;
use std::fs;

use anyhow::{anyhow, bail};

use super::{Resetting, list};
use crate::client::TopicPartition;
use crate::client::admin::{OffsetSpec, PARTITIONS_PER_RESPONSE};
use crate::tools::cluster::{now_ms, thrown_again};
use crate::tools::java_order::partition_order;
use crate::tools::reset_plan::{self, LogOffsets, Plan, parse_duration, parse_time};

impl Resetting<'_> {
    /// False when a topic is not there: the others are reset all the same.
    pub(super) async fn reset_offsets(&mut self) -> anyhow::Result<bool> {
        if self.options.has("intermediate-topics") {
            self.printer.line(
                "WARN: `--intermediate-topics` is deprecated and will be removed in a future \
                 release",
            )?;
        }
        if self.input.is_empty() && self.intermediate.is_empty() {
            self.printer
                .line("No input or intermediate topics specified. Skipping seek.")?;
            return Ok(true);
        }
        if !self.input.is_empty() {
            let text = format!("Reset-offsets for input topics {}", list(&self.input));
            self.printer.line(text)?;
        }
        if !self.intermediate.is_empty() {
            let topics = list(&self.intermediate);
            self.printer
                .line(format!("Seek-to-end for intermediate topics {topics}"))?;
        }
        let all_found = self.tell_missing()?;
        let input = self.partitions(&self.input).await?;
        let mut intermediate = self.partitions(&self.intermediate).await?;
        intermediate.retain(|partition| !self.input.iter().any(|topic| *topic == *partition.topic));
        if input.is_empty() && intermediate.is_empty() {
            return Ok(all_found);
        }
        let mut plan = self.reset_input(input).await?;
        plan.extend(self.skip_intermediate(intermediate).await?);
        if !self.dry_run {
            let offsets = reset_plan::offsets(&plan);
            let group = self.application;
            let outcomes = self.admin.alter_consumer_group_offsets(group, &offsets);
            for (_, outcome) in outcomes.await.map_err(thrown_again)? {
                outcome.map_err(thrown_again)?;
            }
        }
        self.printer.line("Done.")?;
        Ok(all_found)
    }

    fn tell_missing(&mut self) -> std::io::Result<bool> {
        let missing = |topics: &[String]| -> Vec<String> {
            let topics = topics.iter();
            let missing = topics.filter(|topic| !self.topics.contains(topic));
            missing.cloned().collect()
        };
        let (input, intermediate) = (missing(&self.input), missing(&self.intermediate));
        // Kafka has no blank after the colon of the second kind.
        for (kind, label, topics) in [
            ("input", "Topic: ", &input),
            ("intermediate", "Topic:", &intermediate),
        ] {
            if topics.is_empty() {
                continue;
            }
            self.printer.line(format!(
                "Following {kind} topics are not found, skipping them"
            ))?;
            for topic in topics {
                self.printer.line(format!("{label}{topic}"))?;
            }
        }
        Ok(input.is_empty() && intermediate.is_empty())
    }

    /// The partitions of those topics that are there, in Java's order.
    async fn partitions(&self, topics: &[String]) -> anyhow::Result<Vec<TopicPartition>> {
        let mut names: Vec<&str> = topics.iter().map(String::as_str).collect();
        names.retain(|name| self.topics.iter().any(|topic| topic == name));
        names.sort_unstable();
        names.dedup();
        let mut partitions = Vec::new();
        let described = self.admin.describe_topics(&names, PARTITIONS_PER_RESPONSE);
        for (name, topic) in described.await.map_err(thrown_again)? {
            let of_topic = topic.map_err(thrown_again)?.partitions.into_iter();
            partitions.extend(of_topic.map(|p| TopicPartition::new(&*name, p.partition)));
        }
        partition_order(&mut partitions, |p| (&p.topic, p.partition));
        Ok(partitions)
    }

    async fn reset_input(&mut self, partitions: Vec<TopicPartition>) -> anyhow::Result<Plan> {
        if partitions.is_empty() {
            return Ok(Plan::new());
        }
        self.printer.line(format!(
            "Following input topics offsets will be reset to (for consumer group {})",
            self.application
        ))?;
        let plan = self.place(&partitions).await?;
        for partition in &partitions {
            if let Some(offset) = plan.get(partition) {
                self.printer.line(format!(
                    "Topic: {} Partition: {} Offset: {offset}",
                    partition.topic, partition.partition
                ))?;
            }
        }
        Ok(plan)
    }

    async fn place(&mut self, partitions: &[TopicPartition]) -> anyhow::Result<Plan> {
        let (options, logs) = (self.options, LogOffsets { admin: self.admin });
        if let Some(offset) = options.number::<i64>("to-offset")? {
            let wanted = partitions.iter().map(|p| (p.clone(), offset));
            self.within_range(wanted.collect()).await
        } else if options.has("to-earliest") {
            logs.listed(partitions, OffsetSpec::Earliest).await
        } else if options.has("to-latest") {
            logs.ends(partitions).await
        } else if let Some(by) = options.number::<i64>("shift-by")? {
            let mut wanted = self.present(partitions).await?;
            for offset in wanted.values_mut() {
                *offset = offset.saturating_add(by);
            }
            self.within_range(wanted).await
        } else if let Some(time) = options.value("to-datetime")? {
            self.since(partitions, parse_time(time)?).await
        } else if let Some(duration) = options.value("by-duration")? {
            let start = now_ms().saturating_sub(parse_duration(duration)?);
            self.since(partitions, start).await
        } else if let Some(path) = options.value("from-file")? {
            let text = fs::read_to_string(path).map_err(|error| anyhow!("{path}: {error}"))?;
            let file = parse_plan(&text)?;
            let offset = |partition: &TopicPartition| {
                let offset = file.get(partition).copied();
                offset
                    .map(|offset| (partition.clone(), offset))
                    .ok_or_else(|| anyhow!("The reset plan {path} has no offset for {partition}."))
            };
            let wanted = partitions.iter().map(offset);
            self.within_range(wanted.collect::<anyhow::Result<Plan>>()?)
                .await
        } else {
            logs.listed(partitions, OffsetSpec::Earliest).await
        }
    }

    /// Where the application would go on.
    async fn present(&self, partitions: &[TopicPartition]) -> anyhow::Result<Plan> {
        let committed = self
            .admin
            .list_consumer_group_offsets(self.application, Some(partitions));
        let committed = committed.await.map_err(thrown_again)?;
        let spec = match self.properties.get("auto.offset.reset") {
            Some("earliest") => OffsetSpec::Earliest,
            _ => OffsetSpec::Latest,
        };
        let without: Vec<TopicPartition> = partitions
            .iter()
            .filter(|partition| !committed.contains_key(*partition))
            .cloned()
            .collect();
        let mut present = LogOffsets { admin: self.admin }
            .listed(&without, spec)
            .await?;
        present.extend(
            committed
                .into_iter()
                .map(|(partition, at)| (partition, at.offset)),
        );
        Ok(present)
    }

    async fn since(&mut self, partitions: &[TopicPartition], time: i64) -> anyhow::Result<Plan> {
        let logs = LogOffsets { admin: self.admin };
        let mut plan = logs.listed(partitions, OffsetSpec::Timestamp(time)).await?;
        let mut without: Vec<TopicPartition> = partitions.to_vec();
        without.retain(|partition| plan.get(partition).is_none_or(|offset| *offset < 0));
        for partition in &without {
            self.printer.line(format!(
                "Partition {} from topic {} is empty, without a committed record. Falling back to \
                 latest known offset.",
                partition.partition, partition.topic
            ))?;
        }
        plan.extend(logs.ends(&without).await?);
        Ok(plan)
    }

    /// Offsets moved to where the logs begin and end; Kafka tells so even where one is just there.
    async fn within_range(&mut self, wanted: Plan) -> anyhow::Result<Plan> {
        let logs = LogOffsets { admin: self.admin };
        let mut partitions: Vec<TopicPartition> = wanted.keys().cloned().collect();
        partition_order(&mut partitions, |p| (&p.topic, p.partition));
        let starts = logs.listed(&partitions, OffsetSpec::Earliest).await?;
        let ends = logs.ends(&partitions).await?;
        let mut plan = Plan::new();
        for partition in partitions {
            let known = (
                wanted.get(&partition),
                starts.get(&partition),
                ends.get(&partition),
            );
            let (Some(offset), Some(start), Some(end)) = known else {
                continue;
            };
            let (set, told) = match offset {
                offset if offset >= end => (end, Some("higher than latest")),
                offset if offset <= start => (start, Some("lower than earliest")),
                offset => (offset, None),
            };
            if let Some(told) = told {
                self.printer.line(format!(
                    "New offset ({offset}) is {told} offset. Value will be set to {set}"
                ))?;
            }
            plan.insert(partition, *set);
        }
        Ok(plan)
    }

    async fn skip_intermediate(&mut self, partitions: Vec<TopicPartition>) -> anyhow::Result<Plan> {
        if partitions.is_empty() {
            return Ok(Plan::new());
        }
        self.printer.line(format!(
            "Following intermediate topics offsets will be reset to end (for consumer group {})",
            self.application
        ))?;
        for partition in &partitions {
            self.printer.line(format!("Topic: {}", partition.topic))?;
        }
        LogOffsets { admin: self.admin }.ends(&partitions).await
    }
}

/// Lines of `topic,partition,offset`.
fn parse_plan(text: &str) -> anyhow::Result<BTreeMap<TopicPartition, i64>> {
    if text.is_empty() {
        bail!("java.text.ParseException: Error parsing reset plan CSV file. It is empty,");
    }
    let mut plan = BTreeMap::new();
    for line in text.trim_end_matches('\n').split('\n') {
        let fields: Vec<&str> = line.trim_end_matches(',').split(',').collect();
        let [topic, partition, offset] = fields.as_slice() else {
            bail!(
                "java.text.ParseException: Reset plan CSV file is not following the format \
                 `TOPIC,PARTITION,OFFSET`."
            );
        };
        let number = |text: &str| -> anyhow::Result<i64> {
            text.parse().map_err(|_| {
                anyhow!("java.lang.NumberFormatException: For input string: \"{text}\"")
            })
        };
        let index = i32::try_from(number(partition)?)?;
        plan.insert(TopicPartition::new(*topic, index), number(offset)?);
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_have_three_fields() {
        let plan = parse_plan("t,0,5\nt,1,6\n").unwrap();
        assert_eq!(plan.get(&TopicPartition::new("t", 1)), Some(&6));
        for (text, want) in [
            ("", "It is empty"),
            ("t,0\n", "not following the format"),
            ("t,x,1\n", "For input string: \"x\""),
        ] {
            let error = parse_plan(text).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
