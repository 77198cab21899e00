//! `kafka-verifiable-consumer`: consumes and prints assignments, records and commits as JSON.
pub mod options;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use self::options::{PROGRAM, Plan, TOOL};
use super::cluster::{Interrupt, block_on, exception};
use super::output::Invocation;
use super::registry::Exit;
use super::{alone, events};
use crate::client::admin::CommittedOffset;
use crate::client::config::ConsumerConfig;
use crate::client::consumer::{BoxFuture, Consumer, Fetched, Offsets, RebalanceListener};
use crate::client::{ClientError, TopicPartition};
use crate::record::RecordView;

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let parsed = match alone::read(PROGRAM, &TOOL, &invocation)? {
        Ok(parsed) => parsed,
        Err(exit) => return Ok(exit),
    };
    alone::end(PROGRAM, &TOOL, options::plan(&parsed).and_then(start))
}

fn start(plan: Plan) -> anyhow::Result<Exit> {
    let config = ConsumerConfig::from_properties(&plan.properties)?;
    block_on(consume(plan, config))
}

async fn consume(plan: Plan, config: ConsumerConfig) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let mut consumer = Consumer::new(config);
    consumer.set_listener(Box::new(Listener));
    events::announce("startup_complete")?;
    let exit = tokio::select! {
        ended = consume_all(&mut consumer, &plan) => {
            if let Err(error) = ended {
                tracing::error!(
                    "Error during processing, terminating consumer process: {error}"
                );
            }
            None
        }
        exit = interrupt.first() => Some(exit),
    };
    // Kafka's tool says so when its process ends, for whatever reason.
    if exit.is_some() {
        events::announce("shutdown_requested")?;
    }
    if let Err(error) = consumer.close().await {
        tracing::error!("the consumer could not be closed in order: {error}");
    }
    events::announce("shutdown_complete")?;
    if exit.is_none() {
        events::announce("shutdown_requested")?;
    }
    Ok(exit.unwrap_or(Exit::SUCCESS))
}

/// Consumes as many as were asked for, or for ever.
async fn consume_all(consumer: &mut Consumer, plan: &Plan) -> anyhow::Result<()> {
    consumer
        .subscribe(&[&plan.topic])
        .map_err(|error| anyhow::anyhow!("{}: {error}", exception(&error)))?;
    let mut consumed = 0;
    while plan.messages.is_none_or(|most| consumed < most) {
        let fetched = consumer.poll(Duration::MAX).await?;
        let mut polled = Polled {
            left: plan.messages.map(|most| most - consumed),
            verbose: plan.verbose,
            ..Polled::default()
        };
        polled.take(&fetched)?;
        consumed += polled.taken;
        let offsets = polled.offsets();
        events::print(polled.into_lines())?;
        if !plan.auto_commit {
            let committed = consumer.commit_offsets(offsets.clone()).await;
            if let Err(error) = &committed
                && error.code() == Some(crate::protocol::ErrorCode::FencedInstanceId)
            {
                anyhow::bail!("{}: {error}", exception(error));
            }
            events::print([committed_line(&offsets, committed.err().as_ref())])?;
        }
    }
    Ok(())
}

/// What one poll returned.
#[derive(Default)]
struct Polled {
    /// How many records may still be taken.
    left: Option<usize>,
    verbose: bool,
    taken: usize,
    /// All records of the poll, those beyond the limit included.
    count: usize,
    lines: Vec<String>,
    partitions: BTreeMap<TopicPartition, Range>,
}

struct Range {
    count: usize,
    first: i64,
    last: i64,
}

impl Polled {
    fn take(&mut self, fetched: &[Fetched]) -> Result<(), ClientError> {
        let mut buffer = Vec::new();
        for fetched in fetched {
            fetched.for_each(&mut buffer, |_, record| -> Result<(), ClientError> {
                self.record(&fetched.partition, record);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn record(&mut self, partition: &TopicPartition, record: &RecordView<'_>) {
        self.count += 1;
        if self.left.is_some_and(|left| self.taken >= left) {
            return;
        }
        self.taken += 1;
        let offset = record.offset;
        match self.partitions.get_mut(partition) {
            Some(range) => {
                range.count += 1;
                range.last = offset;
            }
            None => {
                let range = Range {
                    count: 1,
                    first: offset,
                    last: offset,
                };
                self.partitions.insert(partition.clone(), range);
            }
        }
        if self.verbose {
            self.lines.push(events::record_line(partition, record));
        }
    }

    fn offsets(&self) -> Offsets {
        let committed = |range: &Range| CommittedOffset {
            offset: range.last + 1,
            leader_epoch: None,
            metadata: String::new(),
        };
        let partitions = self.partitions.iter();
        partitions
            .map(|(partition, range)| (partition.clone(), committed(range)))
            .collect()
    }

    fn into_lines(mut self) -> Vec<String> {
        let partitions = self.partitions.iter().map(|(partition, range)| {
            json!({
                "topic": &*partition.topic,
                "partition": partition.partition,
                "count": range.count,
                "minOffset": range.first,
                "maxOffset": range.last,
            })
        });
        let fields = json!({
            "count": self.count,
            "partitions": partitions.collect::<Vec<_>>(),
        });
        self.lines.push(events::line("records_consumed", fields));
        self.lines
    }
}

fn committed_line(offsets: &Offsets, error: Option<&ClientError>) -> String {
    let offsets = offsets.iter().map(|(partition, committed)| {
        json!({
            "topic": &*partition.topic,
            "partition": partition.partition,
            "offset": committed.offset,
        })
    });
    let mut fields = json!({"offsets": offsets.collect::<Vec<_>>()});
    if let Some(error) = error {
        fields["error"] = error.to_string().into();
    }
    fields["success"] = error.is_none().into();
    events::line("offsets_committed", fields)
}

struct Listener;

impl Listener {
    fn tell(name: &str, partitions: &[TopicPartition]) {
        let one = |partition: &TopicPartition| -> Value {
            json!({"topic": &*partition.topic, "partition": partition.partition})
        };
        let partitions: Vec<Value> = partitions.iter().map(one).collect();
        let line = events::line(name, json!({"partitions": partitions}));
        // Whoever read it may be gone: the next lines meet the same and end the tool.
        drop(events::print([line]));
    }
}

impl RebalanceListener for Listener {
    fn revoked<'a>(&'a mut self, partitions: &'a [TopicPartition]) -> BoxFuture<'a, Offsets> {
        Self::tell("partitions_revoked", partitions);
        Box::pin(async { Offsets::new() })
    }

    fn assigned<'a>(&'a mut self, partitions: &'a [TopicPartition]) -> BoxFuture<'a, Offsets> {
        Self::tell("partitions_assigned", partitions);
        Box::pin(async { Offsets::new() })
    }

    fn lost<'a>(&'a mut self, partitions: &'a [TopicPartition]) -> BoxFuture<'a, ()> {
        Self::tell("partitions_revoked", partitions);
        Box::pin(async {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str) -> &str {
        line.split_once(',').unwrap().1
    }

    /// The fields of lines that Kafka printed.
    #[test]
    fn commits_are_told_with_their_offsets() {
        let committed = CommittedOffset {
            offset: 2,
            leader_epoch: None,
            metadata: String::new(),
        };
        let offsets = Offsets::from([(TopicPartition::new("vg", 0), committed)]);
        assert_eq!(
            fields(&committed_line(&offsets, None)),
            "\"name\":\"offsets_committed\",\"offsets\":[{\"topic\":\"vg\",\"partition\":0,\
             \"offset\":2}],\"success\":true}"
        );
        let error = ClientError::Timeout("late".into());
        assert_eq!(
            fields(&committed_line(&Offsets::new(), Some(&error))),
            "\"name\":\"offsets_committed\",\"offsets\":[],\"error\":\"late\",\"success\":false}"
        );
    }

    #[test]
    fn a_poll_is_summed_up_by_partition_as_far_as_the_limit() {
        let mut polled = Polled {
            left: Some(3),
            partitions: BTreeMap::new(),
            ..Polled::default()
        };
        let mut builder = crate::record::BatchBuilder::new();
        for _ in 0..4 {
            builder.append(0, None, Some(b"v"), &[]).unwrap();
        }
        let bytes = builder
            .finish(&crate::record::BatchMeta::default())
            .unwrap();
        for batch in crate::record::batches(&bytes) {
            for record in batch.unwrap().records().unwrap().iter() {
                polled.record(&TopicPartition::new("t", 1), &record.unwrap());
            }
        }
        assert_eq!((polled.taken, polled.count), (3, 4));
        assert_eq!(polled.offsets()[&TopicPartition::new("t", 1)].offset, 3);
        assert_eq!(
            fields(&polled.into_lines()[0]),
            "\"name\":\"records_consumed\",\"count\":4,\"partitions\":[{\"topic\":\"t\",\
             \"partition\":1,\"count\":3,\"minOffset\":0,\"maxOffset\":2}]}"
        );
    }
}
