//! `consumer-groups --describe`: offsets and lag; members and state are in files of their own.
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Command;
use crate::client::TopicPartition;
use crate::client::admin::{CommittedOffset, ConsumerGroupDescription, ConsumerGroupMember};
use crate::tools::cluster::{thrown, thrown_again};
use crate::tools::group_tool::or_dash;
use crate::tools::listing::{self, Column, column, padded, width};
use crate::tools::output::{Format, message};

/// One line: a partition, and who reads it.
struct Row {
    partition: TopicPartition,
    committed: Option<CommittedOffset>,
    log_end_offset: Option<i64>,
    consumer_id: String,
    host: String,
    client_id: String,
}

impl Command<'_> {
    pub(super) async fn describe(&mut self) -> anyhow::Result<()> {
        let names = self.groups().await?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut groups = Vec::with_capacity(names.len());
        for (_, group) in self.admin.describe_consumer_groups(&names).await? {
            groups.push(group.map_err(thrown)?);
        }
        if self.options.has("members") {
            self.describe_members(&groups)
        } else if self.options.has("state") {
            self.describe_states(&groups)
        } else {
            self.describe_offsets(&groups).await
        }
    }

    async fn describe_offsets(
        &mut self,
        groups: &[ConsumerGroupDescription],
    ) -> anyhow::Result<()> {
        let mut described = Vec::with_capacity(groups.len());
        for group in groups {
            described.push((group, self.rows(group).await?));
        }
        if self.format == Format::Json {
            let rows = described
                .iter()
                .flat_map(|(group, rows)| rows.iter().map(|row| row.values(group)));
            let rows: Vec<Vec<Value>> = rows.collect();
            return Ok(listing::show(
                &mut self.printer,
                self.format,
                &COLUMNS,
                &rows,
                "",
            )?);
        }
        for (group, rows) in described {
            if !self.tell_state(group)? || rows.is_empty() {
                continue;
            }
            match self.format {
                Format::Kafka => self.print_offsets(group, &rows)?,
                _ => {
                    let rows: Vec<Vec<Value>> = rows.iter().map(|row| row.values(group)).collect();
                    listing::show(&mut self.printer, self.format, &COLUMNS, &rows, "")?;
                }
            }
        }
        Ok(())
    }

    /// Says what is remarkable about the state; false when there is no such group any more.
    pub(super) fn tell_state(&mut self, group: &ConsumerGroupDescription) -> anyhow::Result<bool> {
        let name = &group.group_id;
        match &*group.state {
            "Dead" => {
                self.error(&format!("Consumer group '{name}' does not exist."))?;
                return Ok(false);
            }
            "Empty" => message(format!("\nConsumer group '{name}' has no active members.")),
            "Stable" => {}
            "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
                message(format!(
                    "\nWarning: Consumer group '{name}' is rebalancing."
                ));
            }
            other => {
                anyhow::bail!("Expected a valid consumer group state, but found '{other}'.")
            }
        }
        Ok(true)
    }

    /// Assigned partitions by member, those with most first, then partitions that nobody reads.
    async fn rows(&self, group: &ConsumerGroupDescription) -> anyhow::Result<Vec<Row>> {
        let offsets = self
            .admin
            .list_consumer_group_offsets(&group.group_id, None);
        let offsets = offsets.await.map_err(thrown_again)?;
        let assigned = |member: &&ConsumerGroupMember| !member.assignment.is_empty();
        let mut members: Vec<&ConsumerGroupMember> =
            group.members.iter().filter(assigned).collect();
        members.sort_by_key(|member| Reverse(member.assignment.len()));
        let mut read: BTreeSet<&TopicPartition> = BTreeSet::new();
        let mut wanted: Vec<(&TopicPartition, [&str; 3])> = Vec::new();
        for member in members {
            let who = [&*member.member_id, &*member.client_host, &*member.client_id];
            let mut partitions: Vec<&TopicPartition> = member.assignment.iter().collect();
            partitions.sort();
            wanted.extend(partitions.iter().map(|partition| (*partition, who)));
            read.extend(partitions);
        }
        let unread = offsets.keys().filter(|partition| !read.contains(partition));
        wanted.extend(unread.map(|partition| (partition, ["-"; 3])));
        let all: Vec<TopicPartition> = wanted.iter().map(|(p, _)| (*p).clone()).collect();
        let ends = self.log_end_offsets(&all).await?;
        let row = |(partition, [consumer_id, host, client_id]): (&TopicPartition, [&str; 3])| Row {
            partition: partition.clone(),
            committed: offsets.get(partition).cloned(),
            log_end_offset: ends.get(partition).copied(),
            consumer_id: consumer_id.to_owned(),
            host: host.to_owned(),
            client_id: client_id.to_owned(),
        };
        Ok(wanted.into_iter().map(row).collect())
    }

    /// The ends of those partitions that have a leader to ask.
    async fn log_end_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> anyhow::Result<BTreeMap<TopicPartition, i64>> {
        let leaderless = self
            .logs()
            .partitions_that(partitions, |p| p.leader < 0)
            .await?;
        let led: Vec<TopicPartition> = partitions
            .iter()
            .filter(|partition| !leaderless.contains(*partition))
            .cloned()
            .collect();
        self.logs().ends(&led).await
    }

    fn print_offsets(
        &mut self,
        group: &ConsumerGroupDescription,
        rows: &[Row],
    ) -> anyhow::Result<()> {
        let verbose = self.options.has("verbose");
        let name = &*group.group_id;
        let topics = rows.iter().map(|row| &*row.partition.topic);
        let mut widths = vec![width(15, [name]), width(15, topics), 10];
        widths.extend([15].repeat(3 + usize::from(verbose)));
        widths.push(width(15, rows.iter().map(|row| &*row.consumer_id)));
        widths.push(width(15, rows.iter().map(|row| &*row.host)));
        widths.push(0);
        let mut header = vec!["GROUP", "TOPIC", "PARTITION"];
        header.extend(verbose.then_some("LEADER-EPOCH"));
        header.extend(["CURRENT-OFFSET", "LOG-END-OFFSET", "LAG"]);
        header.extend(["CONSUMER-ID", "HOST", "CLIENT-ID"]);
        self.printer.line("")?;
        self.printer.line(padded(&header, &widths))?;
        for row in rows {
            let mut cells = vec![
                name.to_owned(),
                row.partition.topic.to_string(),
                row.partition.partition.to_string(),
            ];
            if verbose {
                cells.push(or_dash(row.leader_epoch()));
            }
            cells.extend([
                or_dash(row.offset()),
                or_dash(row.log_end_offset),
                or_dash(row.lag()),
                row.consumer_id.clone(),
                row.host.clone(),
                row.client_id.clone(),
            ]);
            let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
            self.printer.line(padded(&cells, &widths))?;
        }
        Ok(())
    }
}

const COLUMNS: [Column; 10] = [
    column("Group", "group"),
    column("Topic", "topic"),
    column("Partition", "partition"),
    column("Leader epoch", "leaderEpoch"),
    column("Offset", "currentOffset"),
    column("Log end", "logEndOffset"),
    column("Lag", "lag"),
    column("Consumer", "consumerId"),
    column("Host", "host"),
    column("Client", "clientId"),
];

impl Row {
    fn offset(&self) -> Option<i64> {
        self.committed.as_ref().map(|committed| committed.offset)
    }

    fn leader_epoch(&self) -> Option<i32> {
        self.committed.as_ref()?.leader_epoch
    }

    fn lag(&self) -> Option<i64> {
        Some(self.log_end_offset?.saturating_sub(self.offset()?))
    }

    fn values(&self, group: &ConsumerGroupDescription) -> Vec<Value> {
        let text = |text: &str| match text {
            "-" => Value::Null,
            text => json!(text),
        };
        vec![
            json!(group.group_id),
            json!(&*self.partition.topic),
            json!(self.partition.partition),
            json!(self.leader_epoch()),
            json!(self.offset()),
            json!(self.log_end_offset),
            json!(self.lag()),
            text(&self.consumer_id),
            text(&self.host),
            text(&self.client_id),
        ]
    }
}
