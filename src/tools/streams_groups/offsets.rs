//! `streams-groups --reset-offsets` and `--delete-offsets`.
use std::collections::{BTreeMap, BTreeSet};

use super::internal_topics;
use crate::client::TopicPartition;
use crate::client::admin::StreamsGroupDescription;
use crate::protocol::ErrorCode;
use crate::tools::cluster::{thrown, thrown_again};
use crate::tools::forget_offsets;
use crate::tools::group_tool::GroupTool;
use crate::tools::reset_plan::{self, Committed, Layout, LogOffsets, Place, Plan, Warnings};
use crate::tools::usage::UsageError;

/// What the group committed of the topics that its topology reads.
pub async fn committed(
    tool: &GroupTool<'_>,
    group: &StreamsGroupDescription,
) -> anyhow::Result<Committed> {
    let read = group.subtopologies.iter().flat_map(|subtopology| {
        let topics = subtopology.source_topics.iter();
        topics.chain(&subtopology.repartition_source_topics)
    });
    let read: BTreeSet<&str> = read.map(String::as_str).collect();
    committed_of(tool, &group.group_id, &read).await
}

async fn committed_of(
    tool: &GroupTool<'_>,
    group: &str,
    topics: &BTreeSet<&str>,
) -> anyhow::Result<Committed> {
    let offsets = tool.admin.list_consumer_group_offsets(group, None).await;
    let mut offsets = offsets.map_err(thrown_again)?;
    offsets.retain(|partition, _| topics.contains(&*partition.topic));
    Ok(offsets)
}

/// The partitions of input topics that the group committed offsets of.
async fn input_partitions(
    tool: &GroupTool<'_>,
    group: &str,
) -> anyhow::Result<Vec<TopicPartition>> {
    let described = tool.admin.describe_streams_group(group).await;
    let described = described.map_err(thrown_again)?;
    let subtopologies = described.subtopologies.iter();
    let topics = subtopologies.flat_map(|subtopology| &subtopology.source_topics);
    let topics: BTreeSet<&str> = topics.map(String::as_str).collect();
    Ok(committed_of(tool, group, &topics)
        .await?
        .into_keys()
        .collect())
}

pub async fn reset(tool: &mut GroupTool<'_>) -> anyhow::Result<()> {
    let execute = tool.options.has("execute");
    let mut plans: BTreeMap<String, Plan> = BTreeMap::new();
    for group in tool.groups().await? {
        match tool.admin.describe_streams_group(&group).await {
            Ok(described) if !matches!(&*described.state, "Empty" | "Dead") => {
                tool.error(&format!(
                    "Assignments can only be reset if the group '{group}' is inactive, but the \
                     current state is {}.",
                    described.state
                ))?;
                plans.insert(group, Plan::new());
            }
            Err(error) if error.code() != Some(ErrorCode::GroupIdNotFound) => {
                return Err(thrown_again(error));
            }
            // A group may be given offsets before its first member comes.
            described => {
                let plan = reset_inactive(tool, &group, execute).await?;
                plans.insert(group.clone(), plan);
                if execute && described.is_ok() {
                    internal_topics::delete_after_reset(tool, &group).await?;
                }
            }
        }
    }
    let printer = &mut tool.printer;
    if tool.options.has("export") {
        let several = tool.options.values("group").len() != 1;
        return Ok(reset_plan::export(printer, several, &plans)?);
    }
    Ok(reset_plan::print(
        printer,
        tool.format,
        Layout::Fixed,
        &plans,
    )?)
}

async fn reset_inactive(
    tool: &mut GroupTool<'_>,
    group: &str,
    execute: bool,
) -> anyhow::Result<Plan> {
    let partitions = partitions_to_reset(tool, group).await?;
    let plan = plan(tool, group, partitions).await?;
    if execute && !plan.is_empty() {
        let offsets = reset_plan::offsets(&plan);
        let outcomes = tool.admin.alter_consumer_group_offsets(group, &offsets);
        for (_, outcome) in outcomes.await? {
            outcome?;
        }
    }
    Ok(plan)
}

async fn partitions_to_reset(
    tool: &mut GroupTool<'_>,
    group: &str,
) -> anyhow::Result<Vec<TopicPartition>> {
    let topics = tool.options.values("input-topic");
    if tool.options.has("all-input-topics") {
        return input_partitions(tool, group).await;
    }
    if topics.is_empty() {
        if tool.options.has("from-file") {
            return Ok(Vec::new());
        }
        let text = "One of the reset scopes should be defined: --all-topics, --topic.";
        return Err(UsageError(text.to_owned()).into());
    }
    let logs = LogOffsets { admin: tool.admin };
    let partitions = logs.named(topics).await?;
    logs.ensure_there(&partitions).await?;
    let known = tool.admin.list_consumer_group_offsets(group, None).await;
    let known = known.map_err(thrown_again)?;
    if partitions
        .iter()
        .all(|partition| known.contains_key(partition))
    {
        return Ok(partitions);
    }
    tool.error(&format!(
        "One or more topics are not part of the group '{group}'."
    ))?;
    Ok(Vec::new())
}

async fn plan(
    tool: &mut GroupTool<'_>,
    group: &str,
    partitions: Vec<TopicPartition>,
) -> anyhow::Result<Plan> {
    let logs = LogOffsets { admin: tool.admin };
    let place = Place::of(tool.options)?;
    if let Place::File(path) = &place {
        let groups = tool.options.values("group");
        return match logs.planned_in(group, groups, path).await? {
            Some(plan) => Ok(plan),
            None => {
                tool.error(&format!("No reset plan for group {group} found"))?;
                Ok(Plan::new())
            }
        };
    }
    let known = match place.is_relative() {
        true => {
            let described = tool.admin.describe_streams_group(group).await;
            committed(tool, &described.map_err(thrown_again)?).await?
        }
        false => Committed::new(),
    };
    let mut warnings = Warnings {
        printer: &mut tool.printer,
        format: tool.format,
    };
    logs.plan(&place, partitions, &known, &mut warnings).await
}

pub async fn delete(tool: &mut GroupTool<'_>) -> anyhow::Result<()> {
    let group = tool.options.value("group")?.unwrap_or_default();
    if tool.options.has("all-input-topics") {
        let partitions = input_partitions(tool, group).await?;
        let (printer, known) = (&mut tool.printer, BTreeMap::new());
        return forget_offsets::of_partitions(tool.admin, printer, group, &partitions, known).await;
    }
    let topics = tool.options.values("input-topic");
    forget_offsets::of_topics(tool.admin, &mut tool.printer, group, topics)
        .await
        .map_err(
            |error| match error.downcast::<crate::client::ClientError>() {
                Ok(error) => thrown(error),
                Err(error) => error,
            },
        )
}
