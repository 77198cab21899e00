//! `kafka-verifiable-share-consumer`: consumes through a share group and prints records and
//! acknowledgements as JSON.
pub mod options;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use self::options::{Mode, PROGRAM, Plan, TOOL};
use super::cluster::{Interrupt, block_on, exception};
use super::output::Invocation;
use super::registry::Exit;
use super::{alone, events};
use crate::client::admin::{Admin, AlterConfigOp, ConfigResource, OpType, ResourceType};
use crate::client::share::{Acknowledged, ShareConsumer, ShareConsumerConfig, ShareFetched};
use crate::client::{ClientError, TopicPartition};
use crate::config::Properties;

/// How long a poll waits.
const POLL: Duration = Duration::from_secs(5);

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let parsed = match alone::read(PROGRAM, &TOOL, &invocation)? {
        Ok(parsed) => parsed,
        Err(exit) => return Ok(exit),
    };
    alone::end(PROGRAM, &TOOL, options::plan(&parsed).and_then(start))
}

fn start(plan: Plan) -> anyhow::Result<Exit> {
    let config = ShareConsumerConfig::from_properties(&plan.properties)?;
    block_on(consume(plan, config))
}

async fn consume(plan: Plan, config: ShareConsumerConfig) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::listen()?;
    events::announce("startup_complete")?;
    let mut run = Run {
        implicit: config.implicit,
        consumer: None,
        acknowledged: 0,
        plan,
    };
    let exit = tokio::select! {
        ended = run.consume_all(config) => {
            if let Err(error) = ended {
                tracing::error!(
                    "Error during processing, terminating share consumer process: {error}"
                );
            }
            Exit::SUCCESS
        }
        exit = interrupt.first() => exit,
    };
    if let Some(consumer) = run.consumer.take() {
        let outcomes = consumer.close().await;
        events::print(outcomes.iter().map(acknowledged_line))?;
    }
    events::announce("shutdown_complete")?;
    Ok(exit)
}

struct Run {
    plan: Plan,
    implicit: bool,
    consumer: Option<ShareConsumer>,
    /// How many offsets were acknowledged, gaps included.
    acknowledged: u64,
}

impl Run {
    /// Consumes until as many were acknowledged as were asked for, or for ever. May be dropped at
    /// any await.
    async fn consume_all(&mut self, config: ShareConsumerConfig) -> anyhow::Result<()> {
        if let Some(reset) = &self.plan.reset {
            let told = set_reset(&self.plan.properties, &self.plan.group_id, reset).await?;
            let fields = json!({"offsetResetStrategy": told});
            events::print([events::line("offset_reset_strategy_set", fields)])?;
        }
        let consumer = self
            .consumer
            .insert(ShareConsumer::new(config, &[&self.plan.topic]));
        while self
            .plan
            .messages
            .is_none_or(|most| self.acknowledged < most)
        {
            let (fetched, mut outcomes) = consumer.poll_with_answers(POLL).await.map_err(told)?;
            if !fetched.is_empty() {
                tell(&mut self.acknowledged, &std::mem::take(&mut outcomes))?;
                events::print(Polled::of(&fetched, self.plan.verbose)?.into_lines())?;
                match self.plan.mode {
                    Mode::Auto => {}
                    Mode::Async => consumer.begin_commit(),
                    Mode::Sync => outcomes = consumer.commit().await.map_err(told)?,
                }
            }
            tell(&mut self.acknowledged, &outcomes)?;
            if !self.implicit && !fetched.is_empty() {
                anyhow::bail!("All records must be acknowledged in explicit acknowledgement mode.");
            }
        }
        Ok(())
    }
}

fn told(error: ClientError) -> anyhow::Error {
    anyhow::anyhow!("{}: {error}", exception(&error))
}

/// Prints what became of acknowledgements, and counts what is done.
fn tell(done: &mut u64, outcomes: &[Acknowledged]) -> std::io::Result<()> {
    for outcome in outcomes.iter().filter(|outcome| outcome.result.is_ok()) {
        *done += offsets(outcome).count() as u64;
    }
    events::print(outcomes.iter().map(acknowledged_line))
}

fn offsets(outcome: &Acknowledged) -> impl Iterator<Item = i64> + '_ {
    let ranges = outcome.ranges.iter();
    ranges.flat_map(|range| range.first..=range.last)
}

fn acknowledged_line(outcome: &Acknowledged) -> String {
    let offsets: Vec<i64> = offsets(outcome).collect();
    let mut fields = json!({
        "count": offsets.len(),
        "partitions": [partition_fields(&outcome.partition, offsets)],
        "success": outcome.result.is_ok(),
    });
    if let Err(error) = &outcome.result {
        fields["error"] = error.to_string().into();
    }
    events::line("offsets_acknowledged", fields)
}

fn partition_fields(partition: &TopicPartition, offsets: impl IntoIterator<Item = i64>) -> Value {
    let offsets: Vec<i64> = offsets.into_iter().collect();
    json!({
        "topic": &*partition.topic,
        "partition": partition.partition,
        "count": offsets.len(),
        "offsets": offsets,
    })
}

/// Has the group begin there where it has no offsets; gives the word that was set.
async fn set_reset(properties: &Properties, group: &str, reset: &str) -> anyhow::Result<String> {
    let word = match reset.split_once(':').unwrap_or((reset, "")) {
        ("earliest", "") | ("latest", "") => reset,
        // Kafka's tool sets the word alone, which brokers refuse.
        ("by_duration", duration) if !duration.is_empty() => "by_duration",
        _ => anyhow::bail!("Unknown auto offset reset strategy: {reset}"),
    };
    // The group's id is the consumer's.
    let keys = properties.iter().filter(|(key, _)| *key != "group.id");
    let mut own = Properties::new();
    keys.for_each(|(key, value)| own.set(key, value));
    let admin = Admin::from_properties(&own)?;
    let group = ConfigResource {
        kind: ResourceType::Group,
        name: group.to_owned(),
    };
    let change = AlterConfigOp {
        name: "share.auto.offset.reset".to_owned(),
        value: Some(word.to_owned()),
        op: OpType::Set,
    };
    let altered = admin
        .incremental_alter_configs(&[(group, vec![change])], false)
        .await;
    admin.close().await;
    for (_, outcome) in altered.map_err(told)? {
        outcome.map_err(told)?;
    }
    Ok(word.to_owned())
}

/// What one poll returned.
#[derive(Default)]
struct Polled {
    lines: Vec<String>,
    partitions: BTreeMap<TopicPartition, BTreeSet<i64>>,
}

impl Polled {
    fn of(all_fetched: &[ShareFetched], verbose: bool) -> Result<Self, ClientError> {
        let mut polled = Self::default();
        let mut buffer = Vec::new();
        for fetched in all_fetched {
            let partition = &fetched.partition;
            let lines = &mut polled.lines;
            let offsets = polled.partitions.entry(partition.clone()).or_default();
            fetched.for_each(&mut buffer, |_, record, _| -> Result<(), ClientError> {
                offsets.insert(record.offset);
                if verbose {
                    lines.push(events::record_line(partition, record));
                }
                Ok(())
            })?;
        }
        Ok(polled)
    }

    fn into_lines(mut self) -> Vec<String> {
        let count: usize = self.partitions.values().map(BTreeSet::len).sum();
        let partitions = self.partitions.into_iter();
        let partitions: Vec<Value> = partitions
            .filter(|(_, offsets)| !offsets.is_empty())
            .map(|(partition, offsets)| partition_fields(&partition, offsets))
            .collect();
        let fields = json!({"count": count, "partitions": partitions});
        self.lines.push(events::line("records_consumed", fields));
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::share::{AcknowledgeType, Range};

    fn fields(line: &str) -> &str {
        line.split_once(',').unwrap().1
    }

    /// The fields of lines that Kafka printed.
    #[test]
    fn acknowledgements_are_told_with_their_offsets() {
        let range = |first, last, kind| Range { first, last, kind };
        let mut outcome = Acknowledged {
            partition: TopicPartition::new("txs", 0),
            ranges: vec![
                range(0, 2, AcknowledgeType::Accept),
                range(3, 3, AcknowledgeType::Gap),
            ],
            result: Ok(()),
        };
        assert_eq!(
            fields(&acknowledged_line(&outcome)),
            "\"name\":\"offsets_acknowledged\",\"count\":4,\"partitions\":[{\"topic\":\"txs\",\
             \"partition\":0,\"count\":4,\"offsets\":[0,1,2,3]}],\"success\":true}"
        );
        outcome.result = Err(ClientError::Timeout("late".into()));
        let line = acknowledged_line(&outcome);
        assert!(
            line.ends_with(",\"success\":false,\"error\":\"late\"}"),
            "{line}"
        );
        let mut done = 0;
        tell(&mut done, &[]).unwrap();
        assert_eq!(done, 0);
    }

    #[test]
    fn a_poll_is_summed_up_by_partition() {
        let mut polled = Polled::default();
        let of = |index| TopicPartition::new("vs", index);
        polled.partitions.insert(of(1), BTreeSet::from([0, 1, 4]));
        polled.partitions.insert(of(2), BTreeSet::new());
        assert_eq!(
            fields(&polled.into_lines()[0]),
            "\"name\":\"records_consumed\",\"count\":3,\"partitions\":[{\"topic\":\"vs\",\
             \"partition\":1,\"count\":3,\"offsets\":[0,1,4]}]}"
        );
    }
}
