//! `kafka-consumer-perf-test`: consumes as fast as it can, and says how fast that was.
pub mod options;
pub mod stats;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use self::options::{DEFINITION, POLL, Plan, Topics};
use self::stats::{Read, Span};
use super::client_metrics_report::Report;
use super::cluster::{block_on, now_ms};
use super::counted::Progress;
use super::output::{Invocation, Printer};
use super::registry::Exit;
use super::session::{self, Request};
use crate::client::config::ConsumerConfig;
use crate::client::consumer::{BoxFuture, Consumer, Offsets, RebalanceListener};
use crate::client::{ClientError, TopicPartition};

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let Request { options, .. } = match session::read(&DEFINITION, &invocation, options::check)? {
        Ok(request) => request,
        Err(exit) => return Ok(exit),
    };
    let plan = options::plan(&options)?;
    if plan.header {
        let mut printer = Printer::default();
        printer.line(stats::header(plan.detailed))?;
        printer.flush()?;
    }
    let config = ConsumerConfig::from_properties(&plan.properties)?;
    block_on(measure(plan, config))
}

async fn measure(plan: Plan, config: ConsumerConfig) -> anyhow::Result<Exit> {
    let mut consumer = Consumer::new(config);
    let start_ms = now_ms();
    let joins = Arc::new(Mutex::new(Joins::new(start_ms)));
    consumer.set_listener(Box::new(Listener(joins.clone())));
    let progress = Progress::start(u64::try_from(plan.records).ok(), "read");
    let read = consume(&mut consumer, &plan, &joins, &progress).await;
    progress.finish();
    let read = read?;
    let span = Span {
        start_ms,
        end_ms: now_ms(),
        rebalance_ms: joins.lock().total_ms,
    };
    let report = plan.print_metrics.then(|| report(&consumer, read, span));
    consumer.close().await?;
    let mut printer = Printer::default();
    if !plan.detailed {
        printer.line(stats::total_line(&plan.dates, read, span))?;
    }
    if let Some(report) = report {
        report.print(&mut printer)?;
    }
    printer.flush()?;
    Ok(Exit::SUCCESS)
}

/// Reads until there were enough records, or none for too long.
async fn consume(
    consumer: &mut Consumer,
    plan: &Plan,
    joins: &Mutex<Joins>,
    progress: &Progress,
) -> anyhow::Result<Read> {
    match &plan.topics {
        Topics::Named(topic) => consumer.subscribe(&[topic])?,
        Topics::Matching(pattern) => consumer.subscribe_pattern(pattern)?,
    }
    let mut now = now_ms();
    let (mut reported_ms, mut consumed_ms) = (now, now);
    let (mut read, mut reported) = (Read::default(), Read::default());
    let mut buffer = Vec::new();
    while read.records < plan.records && now - consumed_ms <= plan.timeout_ms {
        let fetched = consumer.poll(POLL).await?;
        now = now_ms();
        if fetched.is_empty() {
            continue;
        }
        consumed_ms = now;
        for fetched in &fetched {
            fetched.for_each(&mut buffer, |_, record| -> Result<(), ClientError> {
                read.records += 1;
                read.bytes += stats::size(record);
                Ok(())
            })?;
        }
        progress.set(read.records.unsigned_abs());
        if now - reported_ms >= plan.interval_ms {
            let span = Span {
                start_ms: reported_ms,
                end_ms: now,
                rebalance_ms: std::mem::take(&mut joins.lock().round_ms),
            };
            if plan.detailed {
                let line = stats::interval_line(&plan.dates, reported, read, span);
                print(progress, &line)?;
            }
            (reported_ms, reported) = (now, read);
        }
    }
    if read.records < plan.records {
        print(progress, &stats::too_few(plan.timeout_ms))?;
    }
    Ok(read)
}

/// Prints a line beside the progress that a terminal shows.
pub fn print(progress: &Progress, line: &str) -> std::io::Result<()> {
    progress.aside(|| {
        let mut printer = Printer::default();
        printer.line(line)?;
        printer.flush()
    })
}

fn report(consumer: &Consumer, read: Read, span: Span) -> Report {
    let elapsed = Duration::from_millis((span.end_ms - span.start_ms).unsigned_abs());
    let mut report = Report::new("consumer", consumer.client(), span.start_ms, elapsed);
    let group = "consumer-fetch-manager-metrics";
    report.total(group, "records-consumed", "", read.records as f64);
    report.total(group, "bytes-consumed", "", read.bytes as f64);
    let assigned = consumer.assignment();
    for partition in &assigned {
        let tag = format!(
            ", topic={}, partition={}",
            partition.topic, partition.partition
        );
        let lag = consumer.lag(partition).map_or(f64::NAN, |lag| lag as f64);
        report.add(group, "records-lag", &tag, lag);
        report.insert(group, "preferred-read-replica", &tag, "-1".to_owned());
    }
    let group = "consumer-coordinator-metrics";
    report.add(group, "assigned-partitions", "", assigned.len() as f64);
    report
}

/// How long the group took to rebalance: from losing the last partition to getting the first.
struct Joins {
    owned: BTreeSet<TopicPartition>,
    began_ms: i64,
    total_ms: i64,
    /// Since the last line.
    round_ms: i64,
}

impl Joins {
    fn new(now_ms: i64) -> Self {
        Joins {
            owned: BTreeSet::new(),
            began_ms: now_ms,
            total_ms: 0,
            round_ms: 0,
        }
    }

    fn assigned(&mut self, partitions: &[TopicPartition], now_ms: i64) {
        if self.owned.is_empty() {
            let elapsed = now_ms - self.began_ms;
            self.total_ms += elapsed;
            self.round_ms += elapsed;
        }
        self.owned.extend(partitions.iter().cloned());
    }

    fn revoked(&mut self, partitions: &[TopicPartition], now_ms: i64) {
        for partition in partitions {
            self.owned.remove(partition);
        }
        if self.owned.is_empty() {
            self.began_ms = now_ms;
        }
    }
}

struct Listener(Arc<Mutex<Joins>>);

impl RebalanceListener for Listener {
    fn revoked<'a>(&'a mut self, partitions: &'a [TopicPartition]) -> BoxFuture<'a, Offsets> {
        self.0.lock().revoked(partitions, now_ms());
        Box::pin(async { Offsets::new() })
    }

    fn assigned<'a>(&'a mut self, partitions: &'a [TopicPartition]) -> BoxFuture<'a, Offsets> {
        self.0.lock().assigned(partitions, now_ms());
        Box::pin(async { Offsets::new() })
    }

    fn lost<'a>(&'a mut self, partitions: &'a [TopicPartition]) -> BoxFuture<'a, ()> {
        self.0.lock().revoked(partitions, now_ms());
        Box::pin(async {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rebalances_last_from_the_last_partition_to_the_first() {
        let of = |index| [TopicPartition::new("t", index)];
        let mut joins = Joins::new(100);
        joins.assigned(&of(0), 130);
        joins.assigned(&of(1), 200);
        assert_eq!(joins.total_ms, 30);
        joins.revoked(&of(0), 300);
        joins.assigned(&of(0), 310);
        assert_eq!(joins.total_ms, 30, "it still had a partition");
        joins.revoked(&[of(0), of(1)].concat(), 400);
        joins.assigned(&of(1), 450);
        assert_eq!((joins.total_ms, joins.round_ms), (80, 80));
    }
}
