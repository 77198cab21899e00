//! Topics that Kafka Streams made for a group: found by the group's topology, deleted with the
//! group or its offsets.
use std::collections::BTreeMap;

use crate::client::ClientError;
use crate::client::admin::StreamsGroupDescription;
use crate::protocol::ErrorCode;
use crate::tools::cluster::{exception, thrown_again};
use crate::tools::group_tool::GroupTool;
use crate::tools::java_order::hash_order;

/// Whether a name looks like one that Kafka Streams gives.
pub fn has_internal_name(topic: &str) -> bool {
    const ENDS: [&str; 4] = [
        "-changelog",
        "-repartition",
        "-subscription-registration-topic",
        "-subscription-response-topic",
    ];
    // `.+-KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-\d+-topic`, of a foreign key join.
    let of_join = |kind: &str| {
        let middle = format!("-KTABLE-FK-JOIN-SUBSCRIPTION-{kind}-");
        topic
            .strip_suffix("-topic")
            .and_then(|topic| topic.rsplit_once(&middle))
            .is_some_and(|(before, number)| {
                let digits = number.bytes().all(|byte| byte.is_ascii_digit());
                !before.is_empty() && !number.is_empty() && digits
            })
    };
    ENDS.iter().any(|end| topic.ends_with(end)) || of_join("REGISTRATION") || of_join("RESPONSE")
}

fn belongs_to(topic: &str, group: &str) -> bool {
    let rest = topic.strip_prefix(group);
    rest.is_some_and(|rest| rest.starts_with('-')) && has_internal_name(topic)
}

/// Deletes groups, and with `--delete-all-internal-topics` their topics.
pub async fn delete_groups(tool: &mut GroupTool<'_>) -> anyhow::Result<()> {
    let mut deletion = tool.deletion().await?;
    let mut topics = BTreeMap::new();
    if tool.options.has("delete-all-internal-topics") && !deletion.fit.is_empty() {
        topics = of_groups(tool, &deletion.fit).await?;
    }
    tool.execute(&mut deletion).await?;
    let mut failures = Vec::new();
    for group in &deletion.deleted {
        let Some(topics) = topics.get(group) else {
            continue;
        };
        if let Some(error) = delete_topics(tool, topics).await? {
            failures.push((group.clone(), error));
        }
    }
    tool.tell_deletion(&deletion)?;
    if topics.is_empty() || deletion.deleted.is_empty() {
        return Ok(());
    }
    hash_order(&mut failures, 16, |(group, _)| group);
    if failures.is_empty() {
        let of = deletion
            .deleted
            .iter()
            .filter(|group| topics.contains_key(*group));
        let of: Vec<&str> = of.map(String::as_str).collect();
        tool.printer.line(format!(
            "Deletion of associated internal topics of the streams groups ('{}') was successful.",
            of.join("', '")
        ))?;
        return Ok(());
    }
    tool.printer
        .line("Deletion of some associated internal topics failed:")?;
    for (group, error) in failures {
        tool.printer.line(format!(
            "* Internal topics of the streams group '{group}' could not be deleted due to: {}: \
             {error}",
            exception(&error)
        ))?;
    }
    Ok(())
}

/// The first failure among the topics; each is told.
async fn delete_topics(
    tool: &mut GroupTool<'_>,
    topics: &[String],
) -> anyhow::Result<Option<ClientError>> {
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut first = None;
    for (topic, outcome) in tool.admin.delete_topics(&names).await? {
        if let Err(error) = outcome {
            tool.printer
                .line(format!("Failed to delete internal topic: {topic}"))?;
            first = first.or(Some(error));
        }
    }
    Ok(first)
}

/// Deletes the topics that the options name, once a group's offsets are set.
pub async fn delete_after_reset(tool: &mut GroupTool<'_>, group: &str) -> anyhow::Result<()> {
    let topics = if tool.options.has("delete-all-internal-topics") {
        let groups = [group.to_owned()];
        of_groups(tool, &groups)
            .await?
            .remove(group)
            .unwrap_or_default()
    } else {
        tool.options.values("delete-internal-topic").to_vec()
    };
    if topics.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let outcomes = tool.admin.delete_topics(&names).await?;
    let Some(error) = outcomes.into_iter().find_map(|(_, outcome)| outcome.err()) else {
        return Ok(());
    };
    if error.code() == Some(ErrorCode::UnknownTopicOrPartition) {
        tool.error(&format!(
            "Deleting internal topics for group '{group}' failed because the topics do not exist."
        ))?;
    } else {
        let name = exception(&error);
        tool.error(&format!(
            "Deleting internal topics for group '{group}' failed due to {name}: {error}"
        ))?;
    }
    Ok(())
}

/// The internal topics of groups, those that have some. Not knowing them is told, and no failure.
async fn of_groups(
    tool: &mut GroupTool<'_>,
    groups: &[String],
) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut found = BTreeMap::new();
    for group in groups {
        let described = match tool.admin.describe_streams_group(group).await {
            Ok(described) => described,
            Err(error) => {
                tell_unknown(tool, groups, error).await?;
                return Ok(BTreeMap::new());
            }
        };
        let mut topics = internal_topics(&described);
        let mut foreign = Vec::new();
        topics.retain(|topic| {
            let own = belongs_to(topic, group);
            if !own {
                foreign.push(topic.clone());
            }
            own
        });
        for topic in foreign {
            tool.error(&format!(
                "The internal topic '{topic}' is not inferred as internal and thus will not be \
                 deleted with the group '{group}'."
            ))?;
        }
        if !topics.is_empty() {
            found.insert(group.clone(), topics);
        }
    }
    Ok(found)
}

/// What a topology writes for itself, and does not read as input.
fn internal_topics(group: &StreamsGroupDescription) -> Vec<String> {
    let read = |topic: &String| {
        let mut subtopologies = group.subtopologies.iter();
        subtopologies.any(|subtopology| subtopology.source_topics.contains(topic))
    };
    let topics = group.subtopologies.iter().flat_map(|subtopology| {
        let topics = subtopology.repartition_source_topics.iter();
        topics.chain(&subtopology.state_changelog_topics)
    });
    topics.filter(|topic| !read(topic)).cloned().collect()
}

async fn tell_unknown(
    tool: &mut GroupTool<'_>,
    groups: &[String],
    error: ClientError,
) -> anyhow::Result<()> {
    let unsupported = matches!(error, ClientError::UnsupportedVersion(_))
        || error.code() == Some(ErrorCode::UnsupportedVersion);
    if unsupported {
        let topics = tool.admin.list_topics(true).await?;
        let names = topics.iter().map(|topic| &*topic.name);
        let own = names.filter(|name| groups.iter().any(|group| belongs_to(name, group)));
        let own: Vec<&str> = own.collect();
        tool.error(&format!(
            "Retrieving internal topics is not supported by the broker version.\n\
             Internal topics: ({}).\n\
             Use 'kafka-topics.sh' to delete the group's internal topics.",
            own.join(",")
        ))?;
    }
    let failure = thrown_again(error);
    tool.error(&format!(
        "Retrieving internal topics failed due to {failure}"
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_streams_gives() {
        for (topic, want) in [
            ("app-counts-changelog", true),
            ("app-by-key-repartition", true),
            (
                "app-KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-0000000012-topic",
                true,
            ),
            ("app-KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-x-topic", false),
            ("-KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-1-topic", false),
            ("app-subscription-response-topic", true),
            ("app-output", false),
        ] {
            assert_eq!(has_internal_name(topic), want, "{topic}");
        }
        assert!(belongs_to("app-counts-changelog", "app"));
        assert!(!belongs_to("application-counts-changelog", "app"));
    }
}
