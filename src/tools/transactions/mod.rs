//! `kafka-transactions`: shows transactions, and ends those that hang.
mod hanging;
pub mod options;

use anyhow::{anyhow, bail};
use serde_json::{Value, json};

use self::options::COMMANDS;
use super::KAFKA_VERSION;
use super::cluster::{block_on, now_ms};
use super::listing::{self, Column, column, tabbed};
use super::options::argparse::Parsed;
use super::output::{Format, Invocation, Printer};
use super::registry::Exit;
use super::subcommands;
use crate::client::admin::{Admin, ProducerState, TransactionFilter, TransactionToAbort};
use crate::client::{ClientError, TopicPartition};

/// What every subcommand needs.
struct Command<'a> {
    admin: &'a Admin,
    parsed: &'a Parsed,
    format: Format,
    printer: Printer,
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    // It wins over everything else.
    let version = |word: &String| matches!(word.as_str(), "-v" | "--version");
    if invocation.args.iter().any(version) {
        let mut printer = Printer::default();
        printer.line(KAFKA_VERSION)?;
        printer.flush()?;
        return Ok(Exit::SUCCESS);
    }
    let parsed = match subcommands::read(&COMMANDS, &invocation, Exit::FAILURE)? {
        Ok(parsed) => parsed,
        Err(exit) => return Ok(exit),
    };
    let config = subcommands::client_config(&parsed, parsed.value("command-config"))?;
    let format = subcommands::format(&parsed, &invocation)?;
    let result = block_on(async {
        let admin = Admin::new(config);
        let mut command = Command {
            admin: &admin,
            parsed: &parsed,
            format,
            printer: Printer::default(),
        };
        let result = command.execute().await;
        command.printer.flush()?;
        admin.close().await;
        result.map(|()| Exit::SUCCESS)
    });
    subcommands::end(&COMMANDS, &invocation, result)
}

/// A failure in the words of Kafka's tool.
fn failed(what: impl std::fmt::Display) -> impl FnOnce(ClientError) -> anyhow::Error {
    move |error| anyhow!("{what}: {error}. Enable debug logging for additional detail.")
}

impl Command<'_> {
    async fn execute(&mut self) -> anyhow::Result<()> {
        match self.parsed.command.definition.name {
            "list" => self.list().await,
            "describe" => self.describe().await,
            "describe-producers" => self.describe_producers().await,
            "abort" => self.abort().await,
            "find-hanging" => self.find_hanging().await,
            _ => {
                let id = self.parsed.value("transactionalId").unwrap_or_default();
                let ended = self.admin.force_terminate_transaction(id).await;
                let what = format!("Failed to force terminate transactionalId `{id}`");
                ended.map_err(failed(what))
            }
        }
    }

    /// Rows with columns that are named alike for people, programs and Kafka.
    fn print(&mut self, header: &[&'static str], rows: &[Vec<Value>]) -> anyhow::Result<()> {
        if self.format == Format::Kafka {
            let text = |value: &Value| match value {
                Value::Null => "None".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let rows: Vec<Vec<String>> = rows
                .iter()
                .map(|row| row.iter().map(text).collect())
                .collect();
            return Ok(tabbed(&mut self.printer, header, &rows)?);
        }
        let columns: Vec<Column> = header.iter().map(|name| column(name, name)).collect();
        let none = "Nothing found.";
        Ok(listing::show(
            &mut self.printer,
            self.format,
            &columns,
            rows,
            none,
        )?)
    }

    fn partition(&self) -> anyhow::Result<TopicPartition> {
        let topic = self.parsed.value("topic").unwrap_or_default();
        let index = self.parsed.number::<i32>("partition")?;
        Ok(TopicPartition::new(topic, index.unwrap_or_default()))
    }

    async fn list(&mut self) -> anyhow::Result<()> {
        let filter = TransactionFilter {
            producer_ids: Vec::new(),
            longer_than_ms: self.parsed.number("duration-filter")?,
            id_pattern: self
                .parsed
                .value("transactional-id-pattern")
                .map(str::to_owned),
        };
        let listed = self.admin.list_transactions(&filter).await;
        let listed = listed.map_err(failed("Failed to list transactions"))?;
        let rows: Vec<Vec<Value>> = listed
            .iter()
            .map(|found| {
                vec![
                    json!(found.transactional_id),
                    json!(found.coordinator),
                    json!(found.producer_id),
                    json!(found.state),
                ]
            })
            .collect();
        let header = [
            "TransactionalId",
            "Coordinator",
            "ProducerId",
            "TransactionState",
        ];
        self.print(&header, &rows)
    }

    async fn describe(&mut self) -> anyhow::Result<()> {
        let id = self.parsed.value("transactional-id").unwrap_or_default();
        let what = format!("Failed to describe transaction state of transactional-id `{id}`");
        let found = self
            .admin
            .describe_transaction(id)
            .await
            .map_err(failed(what))?;
        let partitions: Vec<String> = found.partitions.iter().map(ToString::to_string).collect();
        let row = vec![
            json!(found.coordinator),
            json!(id),
            json!(found.producer_id),
            json!(found.producer_epoch),
            json!(found.state),
            json!(found.timeout_ms),
            json!(found.start_time_ms),
            json!(found.start_time_ms.map(|start| now_ms() - start)),
            json!(partitions.join(",")),
        ];
        let header = [
            "CoordinatorId",
            "TransactionalId",
            "ProducerId",
            "ProducerEpoch",
            "TransactionState",
            "TransactionTimeoutMs",
            "CurrentTransactionStartTimeMs",
            "TransactionDurationMs",
            "TopicPartitions",
        ];
        self.print(&header, &[row])
    }

    async fn describe_producers(&mut self) -> anyhow::Result<()> {
        let partition = self.partition()?;
        let broker = self.parsed.number::<i32>("broker-id")?;
        let on = broker.map_or("leader".to_owned(), |id| format!("broker {id}"));
        let asked = std::slice::from_ref(&partition);
        let what = format!("Failed to describe producers for partition {partition} on {on}");
        let found = self.admin.describe_producers(asked, broker).await;
        let found = found.map_err(failed(what))?;
        let row = |producer: &ProducerState| -> Vec<Value> {
            vec![
                json!(producer.producer_id),
                json!(producer.producer_epoch),
                json!(producer.coordinator_epoch),
                json!(producer.last_sequence),
                json!(producer.last_timestamp),
                json!(producer.transaction_start_offset),
            ]
        };
        let rows: Vec<Vec<Value>> = found.values().flatten().map(row).collect();
        let header = [
            "ProducerId",
            "ProducerEpoch",
            "LatestCoordinatorEpoch",
            "LastSequence",
            "LastTimestamp",
            "CurrentTransactionStartOffset",
        ];
        self.print(&header, &rows)
    }

    async fn abort(&mut self) -> anyhow::Result<()> {
        let partition = self.partition()?;
        let start: Option<i64> = self.parsed.number("start-offset")?;
        let producer: Option<i64> = self.parsed.number("producer-id")?;
        let transaction = match (start, producer) {
            (None, None) => bail!(
                "The transaction to abort must be identified either with --start-offset (for \
                 brokers on 3.0 or above) or with --producer-id, --producer-epoch, and \
                 --coordinator-epoch (for older brokers)"
            ),
            (Some(start), _) => self.transaction_at(partition, start).await?,
            (None, Some(producer_id)) => {
                let missing = |name: &str| anyhow!("Missing required argument --{name}");
                let epoch: Option<i16> = self.parsed.number("producer-epoch")?;
                let coordinator: Option<i32> = self.parsed.number("coordinator-epoch")?;
                TransactionToAbort {
                    partition,
                    producer_id,
                    producer_epoch: epoch.ok_or_else(|| missing("producer-epoch"))?,
                    coordinator_epoch: coordinator
                        .ok_or_else(|| missing("coordinator-epoch"))?
                        .max(0),
                }
            }
        };
        let what = format!(
            "Failed to abort transaction AbortTransactionSpec(topicPartition={}, producerId={}, \
             producerEpoch={}, coordinatorEpoch={})",
            transaction.partition,
            transaction.producer_id,
            transaction.producer_epoch,
            transaction.coordinator_epoch
        );
        let aborted = self.admin.abort_transaction(&transaction).await;
        aborted.map_err(failed(what))
    }

    /// The open transaction that begins at an offset.
    async fn transaction_at(
        &self,
        partition: TopicPartition,
        start: i64,
    ) -> anyhow::Result<TransactionToAbort> {
        let asked = std::slice::from_ref(&partition);
        let what = format!("Failed to validate producer state for partition {partition}");
        let found = self.admin.describe_producers(asked, None).await;
        let found = found.map_err(failed(what))?;
        let mut producers = found.values().flatten();
        let producer = producers.find(|producer| producer.transaction_start_offset == Some(start));
        let Some(producer) = producer else {
            bail!(
                "Could not find any open transactions starting at offset {start} on partition \
                 {partition}"
            );
        };
        Ok(TransactionToAbort {
            producer_id: producer.producer_id,
            producer_epoch: i16::try_from(producer.producer_epoch).unwrap_or(i16::MAX),
            coordinator_epoch: producer.coordinator_epoch.max(0),
            partition,
        })
    }
}
