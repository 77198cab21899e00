//! `consumer-groups --describe --members`.
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Command;
use crate::client::TopicPartition;
use crate::client::admin::{ConsumerGroupDescription, ConsumerGroupMember};
use crate::tools::group_tool::or_dash;
use crate::tools::listing::{self, Column, column, padded, width};
use crate::tools::output::Format;

const COLUMNS: [Column; 11] = [
    column("Group", "group"),
    column("Consumer", "consumerId"),
    column("Instance", "groupInstanceId"),
    column("Host", "host"),
    column("Client", "clientId"),
    column("Partitions", "partitions"),
    column("Epoch", "currentEpoch"),
    column("Assignment", "currentAssignment"),
    column("Target epoch", "targetEpoch"),
    column("Target", "targetAssignment"),
    column("Upgraded", "upgraded"),
];

impl Command<'_> {
    pub(super) fn describe_members(
        &mut self,
        groups: &[ConsumerGroupDescription],
    ) -> anyhow::Result<()> {
        let verbose = self.options.has("verbose");
        if self.format != Format::Kafka {
            let mut rows = Vec::new();
            for group in groups {
                if self.format == Format::Json || self.tell_state(group)? {
                    rows.extend(group.members.iter().map(|member| values(group, member)));
                }
            }
            // The first six columns are what is shown without --verbose.
            let shown = if verbose { COLUMNS.len() } else { 6 };
            let columns = COLUMNS.get(..shown).unwrap_or(&COLUMNS);
            let none = "No members.";
            return Ok(listing::show(
                &mut self.printer,
                self.format,
                columns,
                &rows,
                none,
            )?);
        }
        for group in groups {
            self.tell_state(group)?;
            let table = MemberTable::new(group, verbose);
            self.printer.line("")?;
            self.printer.line(table.header())?;
            for member in &group.members {
                self.printer.line(table.row(member))?;
            }
        }
        Ok(())
    }
}

/// The widths and columns that the members of one group need.
struct MemberTable<'a> {
    group: &'a ConsumerGroupDescription,
    verbose: bool,
    instance_ids: bool,
    /// Members of both protocols: the group is being migrated.
    upgrades: bool,
    widths: Vec<usize>,
}

impl<'a> MemberTable<'a> {
    fn new(group: &'a ConsumerGroupDescription, verbose: bool) -> Self {
        let members = || group.members.iter();
        let instances = || members().filter_map(|member| member.group_instance_id.as_deref());
        let instance_ids = instances().any(|id| !id.is_empty());
        let any = |upgraded| members().any(|member| member.upgraded == Some(upgraded));
        let upgrades = any(false) && any(true);
        let group_width = if group.members.is_empty() {
            15
        } else {
            width(15, [&*group.group_id])
        };
        let mut widths = vec![
            group_width,
            width(15, members().map(|member| &*member.member_id)),
        ];
        if instance_ids {
            widths.push(width(17, instances()));
        }
        widths.push(width(15, members().map(|member| &*member.client_host)));
        widths.push(width(15, members().map(|member| &*member.client_id)));
        widths.push(15);
        if verbose {
            let current: Vec<String> = members().map(|m| assignment(&m.assignment)).collect();
            let target: Vec<String> = members()
                .map(|m| assignment(&m.target_assignment))
                .collect();
            widths.push(15);
            widths.push(width(20, current.iter().map(String::as_str)));
            widths.push(15);
            widths.push(width(20, target.iter().map(String::as_str)));
            widths.extend(upgrades.then_some(0));
        }
        MemberTable {
            group,
            verbose,
            instance_ids,
            upgrades,
            widths,
        }
    }

    fn header(&self) -> String {
        let mut cells = vec!["GROUP", "CONSUMER-ID"];
        cells.extend(self.instance_ids.then_some("GROUP-INSTANCE-ID"));
        cells.extend(["HOST", "CLIENT-ID", "#PARTITIONS"]);
        if self.verbose {
            cells.extend(["CURRENT-EPOCH", "CURRENT-ASSIGNMENT"]);
            cells.extend(["TARGET-EPOCH", "TARGET-ASSIGNMENT"]);
            cells.extend(self.upgrades.then_some("UPGRADED"));
        }
        self.line(&cells)
    }

    fn row(&self, member: &ConsumerGroupMember) -> String {
        let mut cells = vec![self.group.group_id.clone(), member.member_id.clone()];
        if self.instance_ids {
            cells.push(member.group_instance_id.clone().unwrap_or_default());
        }
        cells.push(member.client_host.clone());
        cells.push(member.client_id.clone());
        cells.push(member.assignment.len().to_string());
        if self.verbose {
            cells.push(or_dash(member.epoch));
            cells.push(assignment(&member.assignment));
            cells.push(or_dash(self.group.target_assignment_epoch));
            cells.push(assignment(&member.target_assignment));
            if self.upgrades {
                cells.push(or_dash(member.upgraded));
            }
        }
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        self.line(&cells)
    }

    /// Without the verbose columns Kafka ends lines with one more blank.
    fn line(&self, cells: &[&str]) -> String {
        let line = padded(cells, &self.widths);
        if self.verbose { line } else { line + " " }
    }
}

/// `topic:0,1;other:2`, or a dash for nothing.
fn assignment(partitions: &[TopicPartition]) -> String {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        let indexes = topics.entry(&partition.topic).or_default();
        indexes.push(partition.partition);
    }
    let topic = |(name, indexes): (&str, Vec<i32>)| {
        let mut indexes = indexes;
        indexes.sort_unstable();
        let indexes: Vec<String> = indexes.iter().map(i32::to_string).collect();
        format!("{name}:{}", indexes.join(","))
    };
    let mut texts: Vec<String> = topics.into_iter().map(topic).collect();
    texts.sort();
    match texts.is_empty() {
        true => "-".to_owned(),
        false => texts.join(";"),
    }
}

fn values(group: &ConsumerGroupDescription, member: &ConsumerGroupMember) -> Vec<Value> {
    vec![
        json!(group.group_id),
        json!(member.member_id),
        json!(member.group_instance_id),
        json!(member.client_host),
        json!(member.client_id),
        json!(member.assignment.len()),
        json!(member.epoch),
        json!(assignment(&member.assignment)),
        json!(group.target_assignment_epoch),
        json!(assignment(&member.target_assignment)),
        json!(member.upgraded),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_written_by_topic() {
        let partitions =
            [("b", 2), ("a", 1), ("b", 0)].map(|(topic, index)| TopicPartition::new(topic, index));
        assert_eq!(assignment(&partitions), "a:1;b:0,2");
        assert_eq!(assignment(&[]), "-");
    }
}
