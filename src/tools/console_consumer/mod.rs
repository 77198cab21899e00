//! `kafka-console-consumer`: prints the records of topics.
mod coordinator_json;
mod deserializer;
pub(super) mod formatter;
pub(super) mod options;
pub(super) mod output;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::Duration;

use tokio::time::Instant;
use tracing::error;

use self::formatter::{ConsumedRecord, FormatError, Formatter};
use self::options::{DEFINITION, Start};
use self::output::{Closed, Output};
use super::cluster::{Interrupt, block_on, exception};
use super::options::jopt::{OptionError, OptionSet};
use super::output::{Invocation, Printer, message};
use super::registry::Exit;
use super::usage::{self, UsageError, not_both};
use crate::client::config::ConsumerConfig;
use crate::client::consumer::{Consumer, Fetched};
use crate::client::{ClientError, TopicPartition};
use crate::config::Properties;

/// The class that prints records unless another is named.
const DEFAULT_FORMATTER: &str = "org.apache.kafka.tools.consumer.DefaultMessageFormatter";

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let set = match usage::parse(&DEFINITION, &invocation)? {
        Ok(set) => set,
        Err(exit) => return Ok(exit),
    };
    let plan = match plan(&set) {
        Ok(plan) => plan,
        Err(error) => match error.downcast::<UsageError>() {
            Ok(error) => return Ok(usage::refuse(&DEFINITION, &invocation, &error)),
            Err(error) => return Err(error),
        },
    };
    // From here on Kafka's consumer is there, and mistakes are its failures.
    let failed = |text: &str| {
        error!("Unknown error when running consumer: {text}");
        Ok(Exit::FAILURE)
    };
    let config = match settings(&plan.properties) {
        Ok(config) => config,
        Err(text) => return failed(&text),
    };
    let max_messages = match max_messages(&set) {
        Ok(max_messages) => max_messages,
        Err(error) => {
            report_count(0);
            return failed(&error.to_string());
        }
    };
    block_on(consume(plan, config, max_messages))
}

/// What the options ask for.
struct Plan {
    properties: Properties,
    topics: Topics,
    timeout: Option<Duration>,
    formatter: Formatter,
    skip_on_error: bool,
    systest_events: bool,
}

enum Topics {
    Topic(String),
    Pattern(String),
    Partition(TopicPartition, Start),
}

/// Reads the options in Kafka's order, so that the first mistake is the one that Kafka names.
fn plan(set: &OptionSet) -> anyhow::Result<Plan> {
    let mut printer = Printer::default();
    options::check(set)?
        .into_iter()
        .try_for_each(|line| printer.line(line))?;
    let properties = options::consumer_properties(set, fastrand::u32(..100_000))?;
    let start = options::start(set)?;
    let timeout = set.number::<i64>("timeout-ms").map_err(UsageError::from)?;
    let timeout = timeout
        .and_then(|ms| u64::try_from(ms).ok())
        .map(Duration::from_millis);
    not_both(set, "property", "formatter-property")?;
    if set.has("property") {
        printer.line(
            "Option --property is deprecated and will be removed in a future version. Use \
             --formatter-property instead.",
        )?;
    }
    printer.flush()?;
    let class = set
        .value("formatter")
        .map_err(UsageError::from)?
        .unwrap_or(DEFAULT_FORMATTER);
    let formatter = formatter::by_class(class, &options::formatter_properties(set)?)
        .ok_or_else(|| UsageError(class.to_owned()))?;
    let text = |name: &str| -> Result<String, UsageError> {
        Ok(set.value(name)?.unwrap_or_default().to_owned())
    };
    let topics = match set.number::<i32>("partition").map_err(UsageError::from)? {
        Some(partition) => Topics::Partition(TopicPartition::new(text("topic")?, partition), start),
        None if set.has("topic") => Topics::Topic(text("topic")?),
        None => Topics::Pattern(text("include")?),
    };
    Ok(Plan {
        properties,
        topics,
        timeout,
        formatter,
        skip_on_error: set.has("skip-message-on-error"),
        systest_events: set.has("enable-systest-events"),
    })
}

/// The settings, or what is wrong with them in Kafka's words.
fn settings(properties: &Properties) -> Result<ConsumerConfig, String> {
    ConsumerConfig::from_properties(properties).map_err(|error| {
        let text = error.to_string();
        match text.contains("bootstrap.servers") {
            true => format!("Failed to construct kafka consumer\n{text}"),
            false => text,
        }
    })
}

/// -1 means no limit; any other negative number is below every count.
fn max_messages(set: &OptionSet) -> Result<Option<u64>, OptionError> {
    Ok(match set.number::<i32>("max-messages")? {
        None | Some(-1) => None,
        Some(count) => Some(u64::try_from(count).unwrap_or(0)),
    })
}

fn report_count(count: u64) {
    message(format!("Processed a total of {count} messages"));
}

/// How long one poll waits when nothing limits it.
const NO_TIMEOUT: Duration = Duration::from_secs(3600);

/// How consuming ended.
enum End {
    /// As many records as asked for, or nobody reads the output any more.
    Done,
    TimedOut,
    Failed(ClientError),
    /// The consumer did not take what it was told to read.
    Refused(ClientError),
    /// A record could not be printed.
    Unprintable(FormatError),
}

async fn consume(
    plan: Plan,
    config: ConsumerConfig,
    max_messages: Option<u64>,
) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let mut printing = Printing {
        consumer: Consumer::new(config),
        formatter: plan.formatter,
        skip_on_error: plan.skip_on_error,
        timeout: plan.timeout,
        left: max_messages,
        count: 0,
        pending: VecDeque::new(),
        next_offset: None,
        output: Output::start()?,
    };
    let ended = match printing.begin(&plan.topics) {
        Err(error) => Ok(End::Refused(error)),
        Ok(()) => tokio::select! {
            end = printing.run() => Ok(end),
            exit = interrupt.first() => Err(exit),
        },
    };
    let count = printing.count;
    let written = printing.close().await;
    let exit = match ended {
        Err(interrupted) => {
            report_count(count);
            interrupted
        }
        Ok(end) => report(end, count),
    };
    written?;
    if plan.systest_events {
        let mut printer = Printer::default();
        printer.line("shutdown_complete")?;
        printer.flush()?;
    }
    Ok(exit)
}

/// Says why consuming ended, and how many records there were, in Kafka's order.
fn report(end: End, count: u64) -> Exit {
    match end {
        End::Done => {
            report_count(count);
            Exit::SUCCESS
        }
        End::TimedOut => {
            error!(
                "Error processing message, terminating consumer process: \n\
                 org.apache.kafka.common.errors.TimeoutException"
            );
            report_count(count);
            Exit::SUCCESS
        }
        End::Failed(error) => {
            let class = exception(&error);
            error!("Error processing message, terminating consumer process: \n{class}: {error}");
            report_count(count);
            Exit::SUCCESS
        }
        End::Unprintable(error) => {
            report_count(count);
            error!("Unknown error when running consumer: {error}");
            Exit::FAILURE
        }
        End::Refused(error) => {
            error!("Unknown error when running consumer: {error}");
            Exit::FAILURE
        }
    }
}

/// The way of the records from the consumer to stdout.
struct Printing {
    consumer: Consumer,
    formatter: Formatter,
    skip_on_error: bool,
    timeout: Option<Duration>,
    /// How many records may still be printed.
    left: Option<u64>,
    count: u64,
    /// What was fetched and not printed yet.
    pending: VecDeque<Fetched>,
    /// Where the first of those goes on, once some of it was printed.
    next_offset: Option<i64>,
    output: Output,
}

impl Printing {
    fn begin(&mut self, topics: &Topics) -> Result<(), ClientError> {
        match topics {
            Topics::Topic(topic) => self.consumer.subscribe(&[topic]),
            Topics::Pattern(pattern) => self.consumer.subscribe_pattern(pattern),
            Topics::Partition(partition, start) => {
                let one = std::slice::from_ref(partition);
                self.consumer.assign(one)?;
                match start {
                    Start::Earliest => self.consumer.seek_to_beginning(one),
                    Start::Latest => self.consumer.seek_to_end(one),
                    Start::Offset(offset) => self.consumer.seek(partition, *offset),
                }
            }
        }
    }

    /// Prints until something ends it. May be dropped at any await.
    async fn run(&mut self) -> End {
        loop {
            if self.left == Some(0) {
                return End::Done;
            }
            match self.poll().await {
                Ok(fetched) => self.pending.extend(fetched),
                Err(end) => return end,
            }
            while let Some(fetched) = self.pending.front().cloned() {
                if let Err(end) = self.print(&fetched).await {
                    return end;
                }
                // The limit may stand in the middle of what was fetched: the rest stays pending.
                if self.left == Some(0) {
                    return End::Done;
                }
                self.pending.pop_front();
                self.next_offset = None;
            }
        }
    }

    /// What comes next; while nothing does, all that was printed so far is shown.
    async fn poll(&mut self) -> Result<Vec<Fetched>, End> {
        let fetched = self
            .consumer
            .poll(Duration::ZERO)
            .await
            .map_err(End::Failed)?;
        if !fetched.is_empty() {
            return Ok(fetched);
        }
        self.output.flush().await.map_err(|Closed| End::Done)?;
        let began = Instant::now();
        loop {
            let wait = self.timeout.unwrap_or(NO_TIMEOUT);
            let fetched = self.consumer.poll(wait).await.map_err(End::Failed)?;
            if !fetched.is_empty() {
                return Ok(fetched);
            }
            if self
                .timeout
                .is_some_and(|timeout| began.elapsed() >= timeout)
            {
                return Err(End::TimedOut);
            }
        }
    }

    async fn print(&mut self, fetched: &Fetched) -> Result<(), End> {
        for batch in fetched.batches() {
            let batch = batch.map_err(End::Failed)?;
            let timestamp_type = batch.view.header().timestamp_type();
            let records = batch.records().map_err(End::Failed)?;
            for record in records.iter() {
                let record = record.map_err(End::Failed)?;
                if self.next_offset.is_some_and(|next| record.offset < next) {
                    continue;
                }
                self.count += 1;
                self.next_offset = Some(record.offset + 1);
                let consumed = ConsumedRecord {
                    partition: fetched.partition.partition,
                    offset: record.offset,
                    timestamp: timestamp_type.map(|kind| (kind, record.timestamp)),
                    delivery_count: None,
                    key: record.key,
                    value: record.value,
                    headers: record.headers().map(|header| (header.key, header.value)),
                };
                match self.formatter.write(consumed, &mut self.output.text) {
                    Err(error) if self.skip_on_error => {
                        error!("Error processing message, skipping this message: {error}");
                    }
                    Err(error) => return Err(End::Unprintable(error)),
                    Ok(()) => {}
                }
                if let Some(left) = &mut self.left {
                    *left -= 1;
                    if *left == 0 {
                        return Ok(());
                    }
                }
                if self.output.is_full() {
                    self.output.flush().await.map_err(|Closed| End::Done)?;
                }
            }
        }
        Ok(())
    }

    /// Shows what is left, commits no more than was printed, and leaves the group.
    async fn close(mut self) -> io::Result<()> {
        for (partition, offset) in self.unprinted() {
            // It may have been taken away by now: then another member reads on.
            let _ = self.consumer.seek(&partition, offset);
        }
        let written = self.output.close().await;
        if let Err(error) = self.consumer.close().await {
            error!("the consumer could not be closed in order: {error}");
        }
        written
    }

    /// The first record of each partition that was fetched and not printed.
    fn unprinted(&self) -> BTreeMap<TopicPartition, i64> {
        let mut offsets = BTreeMap::new();
        let mut next = self.next_offset;
        for fetched in &self.pending {
            let first = next.take().or_else(|| first_offset(fetched));
            // At its end nothing of it is left, and the position is right as it is.
            if let Some(offset) = first.filter(|offset| *offset < fetched.next_offset) {
                offsets.entry(fetched.partition.clone()).or_insert(offset);
            }
        }
        offsets
    }
}

fn first_offset(fetched: &Fetched) -> Option<i64> {
    let batch = fetched.batches().next()?.ok()?;
    let records = batch.records().ok()?;
    records.iter().next()?.ok().map(|record| record.offset)
}
