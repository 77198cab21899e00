//! `kafka-share-consumer-perf-test`: consumes through a share group as fast as it can, and says how
//! fast that was.
pub mod options;
mod stats;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use self::options::{DEFINITION, Plan};
use self::stats::Span;
use super::client_metrics_report::Report;
use super::cluster::{block_on, now_ms, thrown};
use super::consumer_perf::options::{POLL, warn_of_old_names};
use super::consumer_perf::print;
use super::consumer_perf::stats::{Read, size, too_few};
use super::counted::Progress;
use super::output::{Invocation, Printer};
use super::registry::Exit;
use super::session::{self, Request};
use crate::client::ClientError;
use crate::client::share::{ShareConsumer, ShareConsumerConfig};

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let Request { options, .. } = match session::read(&DEFINITION, &invocation, options::check)? {
        Ok(request) => request,
        Err(exit) => return Ok(exit),
    };
    warn_of_old_names(&options)?;
    if !options.has("hide-header") {
        let mut printer = Printer::default();
        printer.line(stats::HEADER)?;
        printer.flush()?;
    }
    let plan = options::plan(&options)?;
    let configs = configs(&plan)?;
    block_on(measure(Arc::new(plan), configs))
}

/// One for each consumer, with its `client.id`.
fn configs(plan: &Plan) -> Result<Vec<(String, ShareConsumerConfig)>, ClientError> {
    let client_id = plan.properties.get("client.id").unwrap_or_default();
    let one = |number: usize| {
        let client_id = match plan.threads {
            1 => client_id.to_owned(),
            _ => format!("{client_id}-{number}"),
        };
        let mut properties = plan.properties.clone();
        properties.set("client.id", client_id.as_str());
        let config = ShareConsumerConfig::from_properties(&properties)?;
        Ok((client_id, config))
    };
    (1..=plan.threads).map(one).collect()
}

async fn measure(
    plan: Arc<Plan>,
    configs: Vec<(String, ShareConsumerConfig)>,
) -> anyhow::Result<Exit> {
    let total = Total {
        records: Arc::default(),
        progress: Progress::start(u64::try_from(plan.records).ok(), "read"),
    };
    let topic = plan.topic.clone();
    let consumers = configs.into_iter().map(|(client_id, config)| Member {
        consumer: ShareConsumer::new(config, &[&topic]),
        client_id,
        read: Read::default(),
    });
    let consumers: Vec<Member> = consumers.collect();
    let start_ms = now_ms();
    let consumed = consume_all(consumers, &plan, &total).await;
    total.progress.finish();
    let mut members = consumed.map_err(thrown)?;
    let mut span = Span {
        start_ms,
        end_ms: now_ms(),
    };
    let mut printer = Printer::default();
    if plan.each_consumer {
        for (number, member) in (1..).zip(&members) {
            let name = (number, member.client_id.as_str());
            printer.line(stats::consumer_line(&plan.dates, member.read, span, name))?;
        }
    }
    let read = members.iter().fold(Read::default(), |sum, member| Read {
        records: sum.records + member.read.records,
        bytes: sum.bytes + member.read.bytes,
    });
    if read.records < plan.records {
        printer.line(too_few(plan.timeout_ms))?;
    }
    printer.flush()?;
    span.end_ms = now_ms();
    let reports: Vec<Report> = match plan.print_metrics {
        true => members.iter().map(|member| member.report(span)).collect(),
        false => Vec::new(),
    };
    for member in &mut members {
        member.consumer.commit().await.map_err(thrown)?;
    }
    printer.line(stats::line(&plan.dates, read, span))?;
    for report in reports {
        report.print(&mut printer)?;
    }
    printer.flush()?;
    close_all(members).await;
    Ok(Exit::SUCCESS)
}

/// What all consumers have read, as they go.
#[derive(Clone)]
struct Total {
    records: Arc<AtomicI64>,
    progress: Progress,
}

struct Member {
    consumer: ShareConsumer,
    client_id: String,
    read: Read,
}

/// Runs the consumers side by side until there were enough records, or none for too long.
async fn consume_all(
    members: Vec<Member>,
    plan: &Arc<Plan>,
    total: &Total,
) -> Result<Vec<Member>, ClientError> {
    let mut tasks = JoinSet::new();
    for (number, mut member) in (1..).zip(members) {
        let (plan, total) = (plan.clone(), total.clone());
        tasks.spawn(async move {
            let consumed = member.consume(number, &plan, &total).await;
            consumed.map(|()| (number, member))
        });
    }
    let mut members = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        // A consumer that panicked has been told of by the runtime.
        members.push(ended.map_err(|_| ClientError::Closed)??);
    }
    members.sort_by_key(|(number, _)| *number);
    Ok(members.into_iter().map(|(_, member)| member).collect())
}

impl Member {
    async fn consume(
        &mut self,
        number: usize,
        plan: &Plan,
        total: &Total,
    ) -> Result<(), ClientError> {
        let mut now = now_ms();
        let (mut reported_ms, mut consumed_ms) = (now, now);
        let (mut read, mut reported) = (Read::default(), Read::default());
        let mut buffer = Vec::new();
        while total.records.load(Ordering::Relaxed) < plan.records
            && now - consumed_ms <= plan.timeout_ms
        {
            let fetched = self.consumer.poll(POLL).await?;
            now = now_ms();
            if fetched.is_empty() {
                continue;
            }
            consumed_ms = now;
            let before = read.records;
            for fetched in &fetched {
                fetched.for_each(&mut buffer, |_, record, _| -> Result<(), ClientError> {
                    read.records += 1;
                    read.bytes += size(record);
                    if now - reported_ms >= plan.interval_ms {
                        let span = Span {
                            start_ms: reported_ms,
                            end_ms: now,
                        };
                        if plan.detailed {
                            let dates = &plan.dates;
                            let line = stats::interval_line(dates, reported, read, span, number);
                            // Whoever read it is gone; the last lines will meet the same.
                            drop(print(&total.progress, &line));
                        }
                        (reported_ms, reported) = (now, read);
                    }
                    Ok(())
                })?;
            }
            let polled = read.records - before;
            let all = total.records.fetch_add(polled, Ordering::Relaxed) + polled;
            total.progress.set(all.unsigned_abs());
            self.read = read;
        }
        Ok(())
    }

    fn report(&self, span: Span) -> Report {
        let elapsed = Duration::from_millis((span.end_ms - span.start_ms).unsigned_abs());
        let client = self.consumer.client();
        let mut report = Report::new("consumer", client, span.start_ms, elapsed);
        let group = "consumer-share-fetch-manager-metrics";
        report.total(group, "records-consumed", "", self.read.records as f64);
        report.total(group, "bytes-consumed", "", self.read.bytes as f64);
        report
    }
}

async fn close_all(members: Vec<Member>) {
    let mut tasks = JoinSet::new();
    for member in members {
        tasks.spawn(member.consumer.close());
    }
    tasks.join_all().await;
}
