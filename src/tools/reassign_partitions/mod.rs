//! `kafka-reassign-partitions`: moves partitions between brokers and directories.
mod directories;
mod execute;
mod generate;
pub mod options;
mod plan;
mod throttles;
mod verify;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::anyhow;

use self::options::{Action, DEFINITION, check};
use super::cluster::{block_on, thrown};
use super::json_input::read_file;
use super::options::jopt::OptionSet;
use super::output::{Invocation, Printer};
use super::registry::Exit;
use super::session;
use crate::client::admin::{Admin, PARTITIONS_PER_RESPONSE};
use crate::client::{ClientError, TopicPartition};
use crate::protocol::ErrorCode;

/// What every action needs.
struct Command<'a> {
    admin: &'a Admin,
    options: &'a OptionSet,
    printer: Printer,
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let request = match session::read(&DEFINITION, &invocation, check)? {
        Ok(request) => request,
        Err(exit) => return Ok(exit),
    };
    let config = session::admin_config(&request.options)?;
    block_on(async {
        let admin = Admin::new(config);
        let mut command = Command {
            admin: &admin,
            options: &request.options,
            printer: Printer::default(),
        };
        let result = command.execute_action(request.checked).await;
        let exit = match result {
            Ok(()) => Exit::SUCCESS,
            Err(failure) if failure.is::<std::io::Error>() => return Err(failure),
            // Kafka's tool tells of failures on stdout.
            Err(failure) => {
                command.printer.line(format!("Error: {failure}"))?;
                Exit::FAILURE
            }
        };
        command.printer.flush()?;
        admin.close().await;
        Ok(exit)
    })
}

impl Command<'_> {
    async fn execute_action(&mut self, action: Action) -> anyhow::Result<()> {
        match action {
            Action::Generate => self.generate().await,
            Action::Execute => self.execute().await,
            Action::Verify => self.verify().await,
            Action::Cancel => self.cancel().await,
            Action::List => self.list().await,
        }
    }

    /// The plan of `--reassignment-json-file`.
    fn plan(&self) -> anyhow::Result<plan::Plan> {
        let path = self.options.value("reassignment-json-file")?;
        plan::parse(&read_file(path.unwrap_or_default())?)
    }

    /// The replicas of all partitions of topics, which must exist.
    async fn assignments(
        &self,
        topics: &BTreeSet<&str>,
    ) -> anyhow::Result<BTreeMap<TopicPartition, Vec<i32>>> {
        let names: Vec<&str> = topics.iter().copied().collect();
        let described = self.admin.describe_topics(&names, PARTITIONS_PER_RESPONSE);
        let mut assignments = BTreeMap::new();
        for (name, topic) in described.await.map_err(thrown)? {
            let topic = topic.map_err(|error| match error.code() {
                Some(code @ ErrorCode::UnknownTopicOrPartition) => {
                    let text = format!("Topic {name} not found.");
                    thrown(ClientError::broker(code, Some(&text)))
                }
                _ => thrown(error),
            })?;
            for p in topic.partitions {
                assignments.insert(TopicPartition::new(&*name, p.partition), p.replicas);
            }
        }
        Ok(assignments)
    }

    async fn list(&mut self) -> anyhow::Result<()> {
        let ongoing = self.admin.list_partition_reassignments(None).await;
        let ongoing = ongoing.map_err(thrown)?;
        if ongoing.is_empty() {
            return Ok(self.printer.line("No partition reassignments found.")?);
        }
        self.printer.line("Current partition reassignments:")?;
        for (partition, moving) in ongoing {
            let part = |what: &str, ids: &[i32]| match ids {
                [] => String::new(),
                ids => format!(" {what}: {}.", join(ids)),
            };
            self.printer.line(format!(
                "{partition}: replicas: {}.{}{}",
                join(&moving.replicas),
                part("adding", &moving.adding),
                part("removing", &moving.removing)
            ))?;
        }
        Ok(())
    }
}

fn join(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

/// Partitions as Kafka lists them, with what is wrong with each.
fn failures(
    outcomes: BTreeMap<TopicPartition, crate::client::Result<()>>,
    what: impl FnOnce(usize) -> String,
) -> anyhow::Result<()> {
    let failed: Vec<String> = outcomes
        .into_iter()
        .filter_map(|(partition, outcome)| Some(format!("{partition}: {}", outcome.err()?)))
        .collect();
    match failed.len() {
        0 => Ok(()),
        count => Err(anyhow!("{}\n{}", what(count), failed.join("\n"))),
    }
}
