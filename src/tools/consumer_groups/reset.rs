//! `consumer-groups --reset-offsets`.
use std::collections::BTreeMap;

use super::Command;
use super::plan::Plan;
use crate::client::admin::CommittedOffset;
use crate::protocol::ErrorCode;
use crate::tools::cluster::thrown_again;
use crate::tools::listing::{self, column, padded, width};
use crate::tools::output::{Format, message};

impl Command<'_> {
    pub(super) async fn reset(&mut self) -> anyhow::Result<()> {
        let names = self.groups().await?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut plans: BTreeMap<String, Plan> = BTreeMap::new();
        for (group, described) in self.admin.describe_consumer_groups(&names).await? {
            match described {
                Ok(group) if !matches!(&*group.state, "Empty" | "Dead") => {
                    let text = format!(
                        "Assignments can only be reset if the group '{}' is inactive, but the \
                         current state is {}.",
                        group.group_id, group.state
                    );
                    match self.format {
                        Format::Kafka => self.error(&text)?,
                        _ => message(text),
                    }
                    plans.insert(group.group_id, Plan::new());
                    continue;
                }
                Ok(_) => {}
                // A group may be given offsets before its first member comes.
                Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => {}
                Err(error) => return Err(thrown_again(error)),
            }
            let plan = self.plan(&group).await?;
            if self.options.has("execute") {
                self.commit(&group, &plan).await?;
            }
            plans.insert(group, plan);
        }
        if self.options.has("export") {
            self.export(&plans)
        } else {
            self.print_plans(&plans)
        }
    }

    async fn commit(&self, group: &str, plan: &Plan) -> anyhow::Result<()> {
        let offsets: BTreeMap<_, _> = plan
            .iter()
            .map(|(partition, offset)| (partition.clone(), CommittedOffset::at(*offset)))
            .collect();
        if offsets.is_empty() {
            return Ok(());
        }
        let outcomes = self
            .admin
            .alter_consumer_group_offsets(group, &offsets)
            .await?;
        for (_, outcome) in outcomes {
            outcome?;
        }
        Ok(())
    }

    /// As CSV, with the group in front when there may be several.
    fn export(&mut self, plans: &BTreeMap<String, Plan>) -> anyhow::Result<()> {
        let one = self.options.values("group").len() == 1;
        for (group, plan) in plans {
            for (partition, offset) in plan {
                let group = if one {
                    String::new()
                } else {
                    format!("{group},")
                };
                self.printer.line(format!(
                    "{group}{},{},{offset}",
                    partition.topic, partition.partition
                ))?;
            }
        }
        Ok(self.printer.line("")?)
    }

    fn print_plans(&mut self, plans: &BTreeMap<String, Plan>) -> anyhow::Result<()> {
        let rows: Vec<[String; 4]> = plans
            .iter()
            .flat_map(|(group, plan)| {
                plan.iter().map(|(partition, offset)| {
                    [
                        group.clone(),
                        partition.topic.to_string(),
                        partition.partition.to_string(),
                        offset.to_string(),
                    ]
                })
            })
            .collect();
        if self.format != Format::Kafka {
            let columns = [
                column("Group", "group"),
                column("Topic", "topic"),
                column("Partition", "partition"),
                column("New offset", "newOffset"),
            ];
            let number = |text: &String| text.parse::<i64>().ok().into();
            let rows: Vec<Vec<serde_json::Value>> = rows
                .iter()
                .map(|[group, topic, partition, offset]| {
                    vec![
                        group.as_str().into(),
                        topic.as_str().into(),
                        number(partition),
                        number(offset),
                    ]
                })
                .collect();
            let none = "No offsets to reset.";
            return Ok(listing::show(
                &mut self.printer,
                self.format,
                &columns,
                &rows,
                none,
            )?);
        }
        let topics = plans.values().flat_map(Plan::keys);
        let widths = [
            width(15, plans.keys().map(String::as_str)),
            width(15, topics.map(|partition| &*partition.topic)),
            10,
            0,
        ];
        if !plans.is_empty() {
            let header = ["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"];
            self.printer.line("")?;
            self.printer.line(padded(&header, &widths))?;
        }
        for row in rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            self.printer.line(padded(&cells, &widths))?;
        }
        if plans.is_empty() {
            self.printer.line("")?;
        }
        Ok(())
    }
}
