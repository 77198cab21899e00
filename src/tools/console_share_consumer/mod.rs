//! `kafka-console-share-consumer`: prints the records of a topic through a share group.
pub mod options;

use std::time::Duration;

use tracing::error;

use self::options::{DEFINITION, acknowledge_type, check, consumer_properties, deprecated};
use super::cluster::{Interrupt, block_on, exception};
use super::console_consumer::formatter::{self, ConsumedRecord, FormatError, Formatter};
use super::console_consumer::options::formatter_properties;
use super::console_consumer::output::{Closed, Output};
use super::options::jopt::OptionSet;
use super::output::{Invocation, Printer, message};
use super::registry::Exit;
use super::usage::{self, UsageError, not_both};
use crate::client::ClientError;
use crate::client::share::{AcknowledgeType, ShareConsumer, ShareConsumerConfig, ShareFetched};
use crate::config::Properties;

/// What the options ask for.
struct Plan {
    properties: Properties,
    topic: String,
    formatter: Formatter,
    kind: AcknowledgeType,
    reject_on_error: bool,
    systest_events: bool,
}

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
    // From here on mistakes are failures of Kafka's consumer.
    let failed = |text: &str| {
        error!("Unknown error when running consumer: {text}");
        Ok(Exit::FAILURE)
    };
    let config = match ShareConsumerConfig::from_properties(&plan.properties) {
        Ok(config) => config,
        Err(error) => return failed(&error.to_string()),
    };
    let numbers = || -> Result<_, UsageError> {
        Ok((
            set.number::<i32>("timeout-ms")?,
            set.number::<i32>("max-messages")?,
        ))
    };
    let (timeout, max_messages) = match numbers() {
        Ok(numbers) => numbers,
        Err(error) => return failed(&error.0),
    };
    // -1 means no limit; any other negative number is below every count.
    let left = max_messages
        .filter(|count| *count != -1)
        .map(|count| u64::try_from(count).unwrap_or(0));
    let timeout = timeout
        .and_then(|ms| u64::try_from(ms).ok())
        .map(Duration::from_millis);
    block_on(consume(plan, config, left, timeout))
}

/// Reads the options in Kafka's order, so that the first mistake is the one that Kafka names.
fn plan(set: &OptionSet) -> anyhow::Result<Plan> {
    let mut printer = Printer::default();
    for line in check(set)? {
        printer.line(line)?;
    }
    let properties = consumer_properties(set)?;
    not_both(set, "property", "formatter-property")?;
    if set.has("property") {
        printer.line(deprecated("property", "formatter-property"))?;
    }
    printer.flush()?;
    let value = |name| set.value(name).map_err(UsageError::from);
    let class = value("formatter")?.unwrap_or_default();
    let formatter = formatter::by_class(class, &formatter_properties(set)?)
        .ok_or_else(|| UsageError(class.to_owned()))?;
    Ok(Plan {
        properties,
        topic: value("topic")?.unwrap_or_default().to_owned(),
        formatter,
        kind: acknowledge_type(set),
        reject_on_error: set.has("reject-message-on-error"),
        systest_events: set.has("enable-systest-events"),
    })
}

/// How consuming ended.
enum End {
    /// As many records as asked for, or nobody reads the output any more.
    Done,
    TimedOut,
    Failed(ClientError),
    /// A record could not be printed.
    Unprintable(FormatError),
}

impl From<ClientError> for End {
    fn from(error: ClientError) -> Self {
        End::Failed(error)
    }
}

async fn consume(
    plan: Plan,
    config: ShareConsumerConfig,
    left: Option<u64>,
    timeout: Option<Duration>,
) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let mut printing = Printing {
        consumer: ShareConsumer::new(config, &[&plan.topic]),
        formatter: plan.formatter,
        kind: plan.kind,
        reject_on_error: plan.reject_on_error,
        timeout,
        left,
        count: 0,
        output: Output::start()?,
    };
    let ended = tokio::select! {
        end = printing.run() => Ok(end),
        exit = interrupt.first() => Err(exit),
    };
    let count = printing.count;
    let written = printing.output.close().await;
    printing.consumer.close().await;
    let told = || message(format!("Processed a total of {count} messages"));
    let exit = match ended {
        Err(interrupted) => {
            told();
            interrupted
        }
        Ok(end) => report(end, told),
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
fn report(end: End, tell_count: impl Fn()) -> Exit {
    let terminating = "Error processing message, terminating consumer process: ";
    match end {
        End::Done => tell_count(),
        End::TimedOut => {
            error!("{terminating}\norg.apache.kafka.common.errors.TimeoutException");
            tell_count();
        }
        End::Failed(error) => {
            error!("{terminating}\n{}: {error}", exception(&error));
            tell_count();
        }
        End::Unprintable(error) => {
            tell_count();
            error!("Unknown error when running consumer: {error}");
            return Exit::FAILURE;
        }
    }
    Exit::SUCCESS
}

/// The way of the records from the consumer to stdout.
struct Printing {
    consumer: ShareConsumer,
    formatter: Formatter,
    kind: AcknowledgeType,
    reject_on_error: bool,
    timeout: Option<Duration>,
    /// How many records may still be printed.
    left: Option<u64>,
    count: u64,
    output: Output,
}

impl Printing {
    /// Prints until something ends it. May be dropped at any await.
    async fn run(&mut self) -> End {
        loop {
            if self.left == Some(0) {
                return End::Done;
            }
            // What was printed so far is seen before anything is waited for.
            if let Err(Closed) = self.output.flush().await {
                return End::Done;
            }
            let wait = self.timeout.unwrap_or(Duration::from_secs(3600));
            let fetched = match self.consumer.poll(wait).await {
                Ok(fetched) => fetched,
                Err(error) => return End::Failed(error),
            };
            if fetched.is_empty() && self.timeout.is_some() {
                return End::TimedOut;
            }
            for fetched in fetched {
                if let Err(end) = self.print(&fetched) {
                    return end;
                }
            }
        }
    }

    fn print(&mut self, fetched: &ShareFetched) -> Result<(), End> {
        let (consumer, formatter) = (&mut self.consumer, &self.formatter);
        let (left, count, text) = (&mut self.left, &mut self.count, &mut self.output.text);
        fetched.for_each(&mut Vec::new(), |header, record, delivery| {
            if *left == Some(0) {
                // Not seen, so not acknowledged: another member gets it.
                return Ok(());
            }
            *count += 1;
            if let Some(left) = left {
                *left -= 1;
            }
            let consumed = ConsumedRecord {
                partition: fetched.partition.partition,
                offset: record.offset,
                timestamp: header.timestamp_type().map(|kind| (kind, record.timestamp)),
                delivery_count: Some(delivery),
                key: record.key,
                value: record.value,
                headers: record.headers().map(|header| (header.key, header.value)),
            };
            let kind = match formatter.write(consumed, text) {
                Ok(()) => self.kind,
                Err(error) if self.reject_on_error => {
                    error!("Error processing message, rejecting this message: {error}");
                    AcknowledgeType::Reject
                }
                Err(error) => return Err(End::Unprintable(error)),
            };
            consumer.acknowledge(fetched, record.offset, kind);
            Ok(())
        })
    }
}
