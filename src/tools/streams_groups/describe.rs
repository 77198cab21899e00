//! `streams-groups --describe`: lag, members with their tasks, or state.
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::offsets::committed;
use crate::client::TopicPartition;
use crate::client::admin::{
    OffsetSpec, StreamsGroupDescription, StreamsGroupMember, StreamsTasks, SubtopologyTasks,
};
use crate::tools::cluster::thrown;
use crate::tools::group_tool::{GroupTool, or_dash};
use crate::tools::java_order::partition_order;
use crate::tools::listing::{self, Column, column, padded, width};
use crate::tools::output::Format;
use crate::tools::reset_plan::LogOffsets;
use crate::tools::usage::UsageError;

pub async fn describe(tool: &mut GroupTool<'_>) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let (columns, none): (&[Column], _) = if tool.options.has("members") {
        (&MEMBER_COLUMNS, "No members.")
    } else if tool.options.has("state") {
        (&STATE_COLUMNS, "No streams groups.")
    } else {
        (&OFFSET_COLUMNS, "No offsets.")
    };
    for name in tool.groups().await? {
        let group = tool.admin.describe_streams_group(&name).await;
        let group = group.map_err(thrown)?;
        if tool.options.has("members") {
            rows.extend(members(tool, &group)?);
        } else if tool.options.has("state") {
            rows.push(state(tool, &group)?);
        } else {
            rows.extend(offsets(tool, &group).await?);
        }
    }
    if tool.format == Format::Kafka {
        return Ok(());
    }
    let printer = &mut tool.printer;
    Ok(listing::show(printer, tool.format, columns, &rows, none)?)
}

/// Whether there is anything to show, as Kafka sees it; says so of an empty group.
fn has_rows(group: &StreamsGroupDescription) -> bool {
    group.state != "Dead" && !group.members.is_empty()
}

fn tell_state(tool: &mut GroupTool<'_>, group: &StreamsGroupDescription) -> anyhow::Result<()> {
    let name = &group.group_id;
    match &*group.state {
        "Dead" => tool.error(&format!("Streams group '{name}' does not exist."))?,
        "Empty" => tool.error(&format!("Streams group '{name}' has no active members."))?,
        _ => {}
    }
    Ok(())
}

const OFFSET_COLUMNS: [Column; 7] = [
    column("Group", "group"),
    column("Topic", "topic"),
    column("Partition", "partition"),
    column("Offset", "currentOffset"),
    column("Leader epoch", "leaderEpoch"),
    column("Log end", "logEndOffset"),
    column("Lag", "lag"),
];

/// A partition that the group reads.
struct Reading {
    partition: TopicPartition,
    offset: Option<i64>,
    leader_epoch: Option<i32>,
    log_end_offset: i64,
    lag: i64,
}

async fn offsets(
    tool: &mut GroupTool<'_>,
    group: &StreamsGroupDescription,
) -> anyhow::Result<Vec<Vec<Value>>> {
    let readings = readings(tool, group).await?;
    if tool.format != Format::Kafka {
        let row = |reading: &Reading| {
            vec![
                json!(group.group_id),
                json!(&*reading.partition.topic),
                json!(reading.partition.partition),
                json!(reading.offset),
                json!(reading.leader_epoch),
                json!(reading.log_end_offset),
                json!(reading.lag),
            ]
        };
        return Ok(readings.iter().map(row).collect());
    }
    if !has_rows(group) {
        return Ok(Vec::new());
    }
    tell_state(tool, group)?;
    let verbose = tool.options.has("verbose");
    let topics = readings.iter().map(|reading| &*reading.partition.topic);
    let mut widths = vec![width(15, [&*group.group_id]), width(15, topics), 10];
    let mut header = vec!["GROUP", "TOPIC", "PARTITION"];
    if verbose {
        widths.extend([15; 4]);
        header.extend(["CURRENT-OFFSET", "LEADER-EPOCH", "LOG-END-OFFSET"]);
    } else {
        widths.push(0);
    }
    header.push("OFFSET-LAG");
    tool.printer.line(padded(&header, &widths))?;
    for reading in readings {
        let mut cells = vec![
            group.group_id.clone(),
            reading.partition.topic.to_string(),
            reading.partition.partition.to_string(),
        ];
        if verbose {
            cells.push(or_dash(reading.offset));
            cells.push(or_dash(reading.leader_epoch));
            cells.push(reading.log_end_offset.to_string());
        }
        cells.push(reading.lag.to_string());
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        tool.printer.line(padded(&cells, &widths))?;
    }
    Ok(Vec::new())
}

/// The partitions of all active tasks, in Java's order.
async fn readings(
    tool: &GroupTool<'_>,
    group: &StreamsGroupDescription,
) -> anyhow::Result<Vec<Reading>> {
    let partitions: Vec<TopicPartition> = read_partitions(group)?.into_iter().collect();
    let logs = LogOffsets { admin: tool.admin };
    let starts = logs.listed(&partitions, OffsetSpec::Earliest).await?;
    let ends = logs.ends(&partitions).await?;
    let committed = committed(tool, group).await?;
    let mut readings = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let (Some(start), Some(end)) = (starts.get(&partition), ends.get(&partition)) else {
            continue;
        };
        let known = committed.get(&partition);
        let offset = known.map(|known| known.offset);
        readings.push(Reading {
            offset,
            leader_epoch: known.and_then(|known| known.leader_epoch),
            log_end_offset: *end,
            // What was never committed is to be read from the start.
            lag: end.saturating_sub(offset.unwrap_or(*start)),
            partition,
        });
    }
    partition_order(&mut readings, |reading| {
        (&reading.partition.topic, reading.partition.partition)
    });
    Ok(readings)
}

fn read_partitions(group: &StreamsGroupDescription) -> anyhow::Result<BTreeSet<TopicPartition>> {
    let subtopologies: BTreeMap<&str, _> = group
        .subtopologies
        .iter()
        .map(|subtopology| (&*subtopology.id, subtopology))
        .collect();
    let mut partitions = BTreeSet::new();
    let tasks = group.members.iter().flat_map(|m| &m.assignment.active);
    for task in tasks {
        let Some(subtopology) = subtopologies.get(&*task.subtopology) else {
            let text = format!(
                "Subtopology {} not found in group description!",
                task.subtopology
            );
            return Err(UsageError(text).into());
        };
        let topics = subtopology.source_topics.iter();
        for topic in topics.chain(&subtopology.repartition_source_topics) {
            let of_topic = task.partitions.iter();
            partitions.extend(of_topic.map(|index| TopicPartition::new(&**topic, *index)));
        }
    }
    Ok(partitions)
}

const STATE_COLUMNS: [Column; 8] = [
    column("Group", "group"),
    column("State", "state"),
    column("Members", "members"),
    column("Coordinator", "coordinator"),
    column("Coordinator id", "coordinatorId"),
    column("Epoch", "groupEpoch"),
    column("Target epoch", "targetAssignmentEpoch"),
    column("Topology epoch", "topologyEpoch"),
];

fn state(tool: &mut GroupTool<'_>, group: &StreamsGroupDescription) -> anyhow::Result<Vec<Value>> {
    if tool.format != Format::Kafka {
        return Ok(vec![
            json!(group.group_id),
            json!(group.state),
            json!(group.members.len()),
            json!(group.coordinator.to_string()),
            json!(group.coordinator.id),
            json!(group.epoch),
            json!(group.target_assignment_epoch),
            json!(group.topology_epoch),
        ]);
    }
    tell_state(tool, group)?;
    let node = &group.coordinator;
    let coordinator = format!("{}:{} ({})", node.host, node.port, node.id);
    let mut widths = vec![
        width(15, [&*group.group_id]),
        width(25, [&*coordinator]),
        25,
    ];
    let mut header = vec!["GROUP", "COORDINATOR (ID)", "STATE"];
    let mut row = vec![&*group.group_id, &*coordinator, &*group.state];
    let epochs = [group.epoch, group.target_assignment_epoch].map(|epoch| epoch.to_string());
    if tool.options.has("verbose") {
        widths.extend([15, 25]);
        header.extend(["GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH"]);
        row.extend(epochs.iter().map(String::as_str));
    }
    let members = group.members.len().to_string();
    widths.push(0);
    header.push("#MEMBERS");
    row.push(&members);
    tool.printer.line(padded(&header, &widths))?;
    tool.printer.line(padded(&row, &widths))?;
    Ok(Vec::new())
}

const MEMBER_COLUMNS: [Column; 11] = [
    column("Group", "group"),
    column("Member", "memberId"),
    column("Process", "processId"),
    column("Client", "clientId"),
    column("Host", "host"),
    column("Protocol", "protocol"),
    column("Epoch", "memberEpoch"),
    column("Tasks", "assignment"),
    column("Target epoch", "targetAssignmentEpoch"),
    column("Target", "targetAssignment"),
    column("Topology epoch", "topologyEpoch"),
];

fn protocol(member: &StreamsGroupMember) -> &'static str {
    match member.is_classic {
        true => "classic",
        false => "streams",
    }
}

fn members(
    tool: &mut GroupTool<'_>,
    group: &StreamsGroupDescription,
) -> anyhow::Result<Vec<Vec<Value>>> {
    if tool.format != Format::Kafka {
        let row = |member: &StreamsGroupMember| {
            vec![
                json!(group.group_id),
                json!(member.member_id),
                json!(member.process_id),
                json!(member.client_id),
                json!(member.client_host),
                json!(protocol(member)),
                json!(member.epoch),
                json!(tasks("", &member.assignment).trim_end_matches("; ")),
                json!(group.target_assignment_epoch),
                json!(tasks("", &member.target_assignment).trim_end_matches("; ")),
                json!(group.topology_epoch),
            ]
        };
        return Ok(group.members.iter().map(row).collect());
    }
    if !has_rows(group) {
        return Ok(Vec::new());
    }
    tell_state(tool, group)?;
    let members = || group.members.iter();
    let group_width = width(15, [&*group.group_id]);
    let member_width = width(15, members().map(|member| &*member.member_id));
    let process_width = width(15, members().map(|member| &*member.process_id));
    let client_width = width(15, members().map(|member| &*member.client_id));
    if !tool.options.has("verbose") {
        let widths = [group_width, member_width, process_width, client_width, 0];
        let header = ["GROUP", "MEMBER", "PROCESS", "CLIENT-ID", "ASSIGNMENTS"];
        tool.printer.line(padded(&header, &widths))?;
        for member in members() {
            let tasks = tasks("", &member.assignment);
            let ids = [&member.member_id, &member.process_id, &member.client_id];
            let mut cells = vec![&*group.group_id];
            cells.extend(ids.map(|id| &**id));
            cells.push(&tasks);
            tool.printer.line(padded(&cells, &widths))?;
        }
        return Ok(Vec::new());
    }
    let (left, right) = (
        [group_width, 25, 15],
        [member_width, 15, 15, process_width, client_width, 0],
    );
    // Kafka has no blank before the member.
    let line = |cells: [&str; 3], rest: [&str; 6]| padded(&cells, &left) + &padded(&rest, &right);
    tool.printer.line(line(
        ["GROUP", "TARGET-ASSIGNMENT-EPOCH", "TOPOLOGY-EPOCH"],
        [
            "MEMBER",
            "MEMBER-PROTOCOL",
            "MEMBER-EPOCH",
            "PROCESS",
            "CLIENT-ID",
            "ASSIGNMENTS",
        ],
    ))?;
    let target_epoch = group.target_assignment_epoch.to_string();
    let topology_epoch = group.topology_epoch.unwrap_or(0).to_string();
    for member in members() {
        let (epoch, tasks) = (
            member.epoch.to_string(),
            tasks("", &member.assignment) + &tasks("TARGET-", &member.target_assignment),
        );
        let (id, process) = (&*member.member_id, &*member.process_id);
        tool.printer.line(line(
            [&group.group_id, &target_epoch, &topology_epoch],
            [
                id,
                protocol(member),
                &epoch,
                process,
                &member.client_id,
                &tasks,
            ],
        ))?;
    }
    Ok(Vec::new())
}

/// `ACTIVE: 0:[0,1]; 1:[0]; STANDBY: 0:[2]; `.
fn tasks(prefix: &str, tasks: &StreamsTasks) -> String {
    let kinds = [
        ("ACTIVE", &tasks.active),
        ("STANDBY", &tasks.standby),
        ("WARMUP", &tasks.warmup),
    ];
    let kind = |(name, tasks): (&str, &Vec<SubtopologyTasks>)| {
        if tasks.is_empty() {
            return String::new();
        }
        let of_subtopology = |tasks: &SubtopologyTasks| {
            let partitions: Vec<String> = tasks.partitions.iter().map(i32::to_string).collect();
            format!("{}:[{}]; ", tasks.subtopology, partitions.join(","))
        };
        let text: String = tasks.iter().map(of_subtopology).collect();
        format!("{prefix}{name}: {text}")
    };
    kinds.into_iter().map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_written_by_kind_and_subtopology() {
        let of = |subtopology: &str, partitions: &[i32]| SubtopologyTasks {
            subtopology: subtopology.to_owned(),
            partitions: partitions.to_vec(),
        };
        let assignment = StreamsTasks {
            active: vec![of("0", &[0, 1]), of("1", &[0])],
            standby: vec![of("0", &[2])],
            warmup: Vec::new(),
        };
        assert_eq!(
            tasks("", &assignment),
            "ACTIVE: 0:[0,1]; 1:[0]; STANDBY: 0:[2]; "
        );
        assert_eq!(
            tasks(
                "TARGET-",
                &StreamsTasks {
                    active: assignment.standby,
                    ..Default::default()
                }
            ),
            "TARGET-ACTIVE: 0:[2]; "
        );
    }
}
