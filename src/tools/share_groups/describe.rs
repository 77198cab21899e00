//! `share-groups --describe`: offsets, members or state.
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::client::TopicPartition;
use crate::client::admin::{ShareGroupDescription, ShareGroupMember, ShareGroupOffset};
use crate::tools::cluster::{thrown, thrown_again};
use crate::tools::group_tool::{GroupTool, or_dash};
use crate::tools::listing::{self, Column, column, padded, width};
use crate::tools::output::{Format, message};

/// Where a group begins in the partitions it knows.
type Offsets = BTreeMap<TopicPartition, Option<ShareGroupOffset>>;

pub async fn describe(tool: &mut GroupTool<'_>) -> anyhow::Result<()> {
    let mut names = tool.groups().await?;
    names.sort();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut groups = Vec::with_capacity(names.len());
    for (_, group) in tool.admin.describe_share_groups(&names).await? {
        groups.push(group.map_err(thrown)?);
    }
    if tool.options.has("members") {
        members(tool, groups)
    } else if tool.options.has("state") {
        states(tool, &groups)
    } else {
        offsets(tool, &groups).await
    }
}

/// Says what is remarkable about the state; false when there are no rows to show.
fn tell_state(
    tool: &mut GroupTool<'_>,
    group: &ShareGroupDescription,
    rows: usize,
) -> anyhow::Result<bool> {
    let name = &group.group_id;
    match &*group.state {
        "Dead" => tool.error(&format!("Share group '{name}' does not exist."))?,
        "Empty" => message(format!("\nShare group '{name}' has no active members.")),
        _ => {}
    }
    Ok(group.state != "Dead" && rows > 0)
}

const OFFSET_COLUMNS: [Column; 6] = [
    column("Group", "group"),
    column("Topic", "topic"),
    column("Partition", "partition"),
    column("Leader epoch", "leaderEpoch"),
    column("Start offset", "startOffset"),
    column("Lag", "lag"),
];

async fn offsets(tool: &mut GroupTool<'_>, groups: &[ShareGroupDescription]) -> anyhow::Result<()> {
    let mut described: Vec<(&str, Offsets)> = Vec::with_capacity(groups.len());
    for group in groups {
        let offsets = tool.admin.list_share_group_offsets(&group.group_id).await;
        described.push((&group.group_id, offsets.map_err(thrown_again)?));
    }
    if tool.format != Format::Kafka {
        let rows = described.iter().flat_map(|(group, offsets)| {
            offsets.iter().map(move |(partition, offset)| {
                let offset = offset.as_ref();
                vec![
                    json!(group),
                    json!(&*partition.topic),
                    json!(partition.partition),
                    json!(offset.and_then(|offset| offset.leader_epoch)),
                    json!(offset.map(|offset| offset.start_offset)),
                    json!(offset.and_then(|offset| offset.lag)),
                ]
            })
        });
        let rows: Vec<Vec<Value>> = rows.collect();
        let none = "No offsets.";
        let printer = &mut tool.printer;
        let format = tool.format;
        return Ok(listing::show(
            printer,
            format,
            &OFFSET_COLUMNS,
            &rows,
            none,
        )?);
    }
    for (group, offsets) in described {
        print_offsets(tool, group, &offsets)?;
    }
    Ok(())
}

fn print_offsets(tool: &mut GroupTool<'_>, group: &str, offsets: &Offsets) -> anyhow::Result<()> {
    if offsets.is_empty() {
        let text = format!("\nShare group '{group}' has no offset information.");
        return Ok(tool.printer.line(text)?);
    }
    let verbose = tool.options.has("verbose");
    let topics = offsets.keys().map(|partition| &*partition.topic);
    let mut widths = vec![width(15, [group]), width(15, topics), 10];
    widths.extend(verbose.then_some(13));
    widths.extend([13, 0]);
    let mut header = vec!["GROUP", "TOPIC", "PARTITION"];
    header.extend(verbose.then_some("LEADER-EPOCH"));
    header.extend(["START-OFFSET", "LAG"]);
    tool.printer.line("")?;
    tool.printer.line(padded(&header, &widths))?;
    for (partition, offset) in offsets {
        let offset = offset.as_ref();
        let mut cells = vec![
            group.to_owned(),
            partition.topic.to_string(),
            partition.partition.to_string(),
        ];
        if verbose {
            cells.push(or_dash(offset.and_then(|offset| offset.leader_epoch)));
        }
        cells.push(or_dash(offset.map(|offset| offset.start_offset)));
        cells.push(or_dash(offset.and_then(|offset| offset.lag)));
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        tool.printer.line(padded(&cells, &widths))?;
    }
    Ok(())
}

const STATE_COLUMNS: [Column; 7] = [
    column("Group", "group"),
    column("State", "state"),
    column("Members", "members"),
    column("Coordinator", "coordinator"),
    column("Coordinator id", "coordinatorId"),
    column("Epoch", "groupEpoch"),
    column("Assignment epoch", "assignmentEpoch"),
];

fn states(tool: &mut GroupTool<'_>, groups: &[ShareGroupDescription]) -> anyhow::Result<()> {
    if tool.format != Format::Kafka {
        let row = |group: &ShareGroupDescription| {
            vec![
                json!(group.group_id),
                json!(group.state),
                json!(group.members.len()),
                json!(group.coordinator.to_string()),
                json!(group.coordinator.id),
                json!(group.epoch),
                json!(group.target_assignment_epoch),
            ]
        };
        let rows: Vec<Vec<Value>> = groups.iter().map(row).collect();
        let (printer, none) = (&mut tool.printer, "No share groups.");
        let format = tool.format;
        return Ok(listing::show(printer, format, &STATE_COLUMNS, &rows, none)?);
    }
    let verbose = tool.options.has("verbose");
    for group in groups {
        tell_state(tool, group, 1)?;
        let node = &group.coordinator;
        let coordinator = format!("{}:{}  ({})", node.host, node.port, node.id);
        let mut widths = vec![
            width(15, [&*group.group_id]),
            width(25, [&*coordinator]),
            15,
        ];
        let mut header = vec!["GROUP", "COORDINATOR (ID)", "STATE"];
        let mut row = vec![&*group.group_id, &*coordinator, &*group.state];
        let epochs = [group.epoch, group.target_assignment_epoch].map(|epoch| epoch.to_string());
        if verbose {
            widths.extend([12, 17]);
            header.extend(["GROUP-EPOCH", "ASSIGNMENT-EPOCH"]);
            row.extend(epochs.iter().map(String::as_str));
        }
        let members = group.members.len().to_string();
        widths.push(0);
        header.push("#MEMBERS");
        row.push(&members);
        tool.printer.line("")?;
        tool.printer.line(padded(&header, &widths))?;
        tool.printer.line(padded(&row, &widths))?;
    }
    Ok(())
}

const MEMBER_COLUMNS: [Column; 7] = [
    column("Group", "group"),
    column("Consumer", "consumerId"),
    column("Host", "host"),
    column("Client", "clientId"),
    column("Partitions", "partitions"),
    column("Epoch", "memberEpoch"),
    column("Assignment", "assignment"),
];

fn members(tool: &mut GroupTool<'_>, groups: Vec<ShareGroupDescription>) -> anyhow::Result<()> {
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for mut group in groups {
        group.members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
        let shown = tool.format == Format::Json || tell_state(tool, &group, group.members.len())?;
        if !shown {
            continue;
        }
        if tool.format == Format::Kafka {
            print_members(tool, &group)?;
            continue;
        }
        rows.extend(group.members.iter().map(|member| {
            vec![
                json!(group.group_id),
                json!(member.member_id),
                json!(member.client_host),
                json!(member.client_id),
                json!(member.assignment.len()),
                json!(member.epoch),
                json!(assignment(&member.assignment)),
            ]
        }));
    }
    if tool.format == Format::Kafka {
        return Ok(());
    }
    let (printer, none) = (&mut tool.printer, "No members.");
    let format = tool.format;
    Ok(listing::show(
        printer,
        format,
        &MEMBER_COLUMNS,
        &rows,
        none,
    )?)
}

fn print_members(tool: &mut GroupTool<'_>, group: &ShareGroupDescription) -> anyhow::Result<()> {
    let verbose = tool.options.has("verbose");
    let members = || group.members.iter();
    let mut widths = vec![
        width(15, [&*group.group_id]),
        width(15, members().map(|member| &*member.member_id)),
        width(15, members().map(|member| &*member.client_host)),
        width(15, members().map(|member| &*member.client_id)),
        12,
    ];
    widths.extend(verbose.then_some(13));
    widths.push(0);
    let mut header = vec!["GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID", "#PARTITIONS"];
    header.extend(verbose.then_some("MEMBER-EPOCH"));
    header.push("ASSIGNMENT");
    tool.printer.line("")?;
    tool.printer.line(padded(&header, &widths))?;
    let row = |member: &ShareGroupMember| {
        let mut cells = vec![
            group.group_id.clone(),
            member.member_id.clone(),
            member.client_host.clone(),
            member.client_id.clone(),
            member.assignment.len().to_string(),
        ];
        cells.extend(verbose.then(|| member.epoch.to_string()));
        cells.push(assignment(&member.assignment));
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        padded(&cells, &widths)
    };
    for member in &group.members {
        tool.printer.line(row(member))?;
    }
    Ok(())
}

/// `topic:0,1;other:2`.
fn assignment(partitions: &[TopicPartition]) -> String {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        let indexes = topics.entry(&partition.topic).or_default();
        indexes.push(partition.partition);
    }
    let topic = |(name, mut indexes): (&str, Vec<i32>)| {
        indexes.sort_unstable();
        let indexes: Vec<String> = indexes.iter().map(i32::to_string).collect();
        format!("{name}:{}", indexes.join(","))
    };
    let mut topics: Vec<String> = topics.into_iter().map(topic).collect();
    topics.sort();
    topics.join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_written_by_topic() {
        let partitions =
            [("b", 2), ("a", 1), ("b", 0)].map(|(topic, index)| TopicPartition::new(topic, index));
        assert_eq!(assignment(&partitions), "a:1;b:0,2");
        assert_eq!(assignment(&[]), "");
    }
}
