//! `share-groups --reset-offsets` and `--delete-offsets`.
use std::collections::BTreeMap;

use crate::client::ClientError;
use crate::protocol::ErrorCode;
use crate::tools::cluster::exception;
use crate::tools::group_tool::{Ended, GroupTool};
use crate::tools::listing::{padded, width};
use crate::tools::registry::Exit;
use crate::tools::reset_plan::{self, Committed, Layout, LogOffsets, Place, Warnings};

pub async fn reset(tool: &mut GroupTool<'_>) -> anyhow::Result<()> {
    let group = tool.options.value("group")?.unwrap_or_default();
    let described = tool.admin.describe_share_groups(&[group]).await?;
    let ended = |text: String| {
        let exit = Exit::FAILURE;
        Err(Ended { text, exit }.into())
    };
    match described.into_iter().next() {
        Some((_, Ok(described))) if !matches!(&*described.state, "Empty" | "Dead") => {
            ended(format!("Share group '{group}' is not empty."))
        }
        // A group may be given offsets before its first member comes.
        Some((_, Err(error))) if error.code() != Some(ErrorCode::GroupIdNotFound) => {
            ended(error.to_string())
        }
        _ => reset_inactive(tool, group).await,
    }
}

async fn reset_inactive(tool: &mut GroupTool<'_>, group: &str) -> anyhow::Result<()> {
    let logs = LogOffsets { admin: tool.admin };
    let topics = tool.options.values("topic");
    let partitions = if topics.is_empty() {
        let offsets = tool.admin.list_share_group_offsets(group).await?;
        offsets.into_keys().collect()
    } else {
        logs.named(topics).await?
    };
    logs.ensure_there(&partitions).await?;
    let place = Place::of(tool.options)?;
    let mut warnings = Warnings {
        printer: &mut tool.printer,
        format: tool.format,
    };
    let plan = logs
        .plan(&place, partitions, &Committed::new(), &mut warnings)
        .await?;
    if tool.options.has("execute") && !plan.is_empty() {
        let outcomes = tool.admin.alter_share_group_offsets(group, &plan).await?;
        for (_, outcome) in outcomes {
            outcome?;
        }
    }
    let plans = BTreeMap::from([(group.to_owned(), plan)]);
    let layout = Layout::Fitting;
    Ok(reset_plan::print(
        &mut tool.printer,
        tool.format,
        layout,
        &plans,
    )?)
}

pub async fn delete(tool: &mut GroupTool<'_>) -> anyhow::Result<()> {
    let group = tool.options.value("group")?.unwrap_or_default();
    let mut topics: Vec<&str> = tool
        .options
        .values("topic")
        .iter()
        .map(String::as_str)
        .collect();
    topics.sort_unstable();
    topics.dedup();
    let answered = tool.admin.delete_share_group_offsets(group, &topics).await;
    let mut statuses: Vec<(&str, Option<ClientError>)> = Vec::with_capacity(topics.len());
    let mut worst = answered.as_ref().err().cloned();
    for topic in topics {
        let error = match &answered {
            Err(error) => Some(error.clone()),
            Ok(outcomes) => match outcomes.get(topic) {
                Some(outcome) => outcome.as_ref().err().cloned(),
                None => Some(ClientError::broker(
                    ErrorCode::UnknownServerError,
                    Some(&format!(
                        "Offset deletion result for topic \"{topic}\" was not included in the \
                         response"
                    )),
                )),
            },
        };
        worst = worst.or_else(|| error.clone());
        statuses.push((topic, error));
    }
    if let Some(error) = worst {
        tell_worst(tool, &error)?;
    }
    let widths = [width(15, statuses.iter().map(|(topic, _)| *topic)), 0];
    tool.printer.line("")?;
    tool.printer.line(padded(&["TOPIC", "STATUS"], &widths))?;
    for (topic, error) in statuses {
        let status = error.map_or("Successful".to_owned(), |error| format!("Error: {error}"));
        tool.printer.line(padded(&[topic, &status], &widths))?;
    }
    Ok(())
}

fn tell_worst(tool: &mut GroupTool<'_>, error: &ClientError) -> std::io::Result<()> {
    match error.code() {
        Some(
            ErrorCode::InvalidGroupId
            | ErrorCode::GroupIdNotFound
            | ErrorCode::GroupAuthorizationFailed
            | ErrorCode::NonEmptyGroup,
        ) => tool.error(&error.to_string()),
        // The table tells of them.
        Some(ErrorCode::TopicAuthorizationFailed | ErrorCode::UnknownTopicOrPartition) => Ok(()),
        _ => tool.error(&format!(
            "Encounter some unknown error: {}: {error}",
            exception(error)
        )),
    }
}
