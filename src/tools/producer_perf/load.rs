//! The load itself: records are made and appended in runs without waiting, and what becomes of
//! them is counted where the batches end.
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::options::Plan;
use super::stats::Stats;
use crate::client::ClientError;
use crate::client::config::ProducerConfig;
use crate::client::producer::{BatchOutcome, Producer, Record, Topic};
use crate::tools::client_metrics_report::Report;
use crate::tools::cluster::{exception, now_ms, thrown};
use crate::tools::counted::Progress;
use crate::tools::output::{Printer, message};
use crate::tools::registry::Exit;
use crate::tools::throttle::Throttle;

/// So many records or bytes go without a look at anything else.
const RUN_RECORDS: i64 = 1024;
const RUN_BYTES: usize = 64 << 10;
/// The clock is looked at once for so many records, unless the rate depends on it.
const CLOCK_RECORDS: i64 = 16;

pub struct Load {
    plan: Plan,
    producer: Producer,
    topic: Option<Topic>,
    counted: Arc<Mutex<Counted>>,
    throttle: Throttle,
    started_ms: i64,
    progress: Progress,
    /// The warm-up is over.
    warm: bool,
    /// When the open transaction began.
    transaction: Option<i64>,
}

/// Why a run ended.
enum Stop {
    /// It was long enough.
    Rest,
    /// The last record waits for room.
    Full,
    /// The rate is reached.
    Ahead,
}

impl Load {
    pub async fn start(plan: Plan, config: ProducerConfig) -> anyhow::Result<Self> {
        let counted = Arc::new(Mutex::new(Counted::new(
            &plan,
            now_ms(),
            Progress::default(),
        )));
        let handler = counted.clone();
        let outcome = move |outcome: &BatchOutcome| handler.lock().batch(outcome);
        let producer = Producer::with_handler(config, Arc::new(outcome));
        if plan.transaction_ms.is_some() {
            producer.init_transactions().await.map_err(thrown)?;
        }
        if plan.warmup > 0 {
            let mut printer = Printer::default();
            printer.line(format!(
                "Warmup first {} records. Steady state results will print after the complete test \
                 summary.",
                plan.warmup
            ))?;
            printer.flush()?;
        }
        let progress = Progress::start(u64::try_from(plan.records).ok(), "sent");
        let started_ms = now_ms();
        *counted.lock() = Counted::new(&plan, started_ms, progress.clone());
        Ok(Load {
            producer,
            topic: None,
            throttle: Throttle::new(plan.throughput, started_ms),
            counted,
            started_ms,
            progress,
            warm: false,
            transaction: None,
            plan,
        })
    }

    pub async fn run(mut self) -> anyhow::Result<Exit> {
        if let Err(error) = self.send_all().await {
            self.progress.finish();
            self.producer.close().await;
            return match self.counted.lock().has_told(&error) {
                true => Ok(Exit::FAILURE),
                false => Err(thrown(error)),
            };
        }
        self.finish().await
    }

    /// Only transactions fail: what becomes of other records is counted.
    async fn send_all(&mut self) -> Result<(), ClientError> {
        let mut index = 0;
        while index < self.plan.records {
            self.begin_transaction()?;
            let Some(topic) = self.topic().await? else {
                index += 1;
                continue;
            };
            self.begin_steady_state(index);
            match self.send_run(&topic, &mut index) {
                Stop::Rest => {
                    self.progress.set(index.unsigned_abs());
                    tokio::task::yield_now().await;
                    self.producer.pace(&topic).await;
                }
                Stop::Full => {
                    let record = self.record(now_ms(), index, self.plan.payload.value());
                    let appended = self.producer.append(&topic, &record).await;
                    if let Err(error) = appended {
                        self.not_sent(error)?;
                    }
                    index += 1;
                }
                Stop::Ahead => self.throttle.pause().await,
            }
            self.commit_old_transaction().await?;
        }
        if self.transaction.take().is_some() {
            self.producer.commit_transaction().await?;
        }
        Ok(())
    }

    /// Counts a record that could not be sent; a transaction cannot do without it.
    fn not_sent(&self, error: ClientError) -> Result<(), ClientError> {
        if self.transaction.is_some() {
            return Err(error);
        }
        self.counted.lock().lost(1, &error);
        Ok(())
    }

    /// Begins a transaction where one is needed and none is open.
    fn begin_transaction(&mut self) -> Result<(), ClientError> {
        if self.plan.transaction_ms.is_some() && self.transaction.is_none() {
            self.producer.begin_transaction()?;
            self.transaction = Some(now_ms());
        }
        Ok(())
    }

    /// Commits once the transaction has lasted long enough.
    async fn commit_old_transaction(&mut self) -> Result<(), ClientError> {
        let (Some(began), Some(lasts)) = (self.transaction, self.plan.transaction_ms) else {
            return Ok(());
        };
        if now_ms() - began >= lasts {
            self.transaction = None;
            self.producer.commit_transaction().await?;
        }
        Ok(())
    }

    /// The topic, once the cluster has told of it. Every record that finds none is lost.
    async fn topic(&mut self) -> Result<Option<Topic>, ClientError> {
        if self.topic.is_none() {
            match self.producer.topic(&self.plan.topic).await {
                Ok(topic) => self.topic = Some(topic),
                Err(error) => self.not_sent(error)?,
            }
        }
        Ok(self.topic.clone())
    }

    /// Counts anew once the records of the warm-up are through.
    fn begin_steady_state(&mut self, index: i64) {
        let warmup = self.plan.warmup;
        if warmup == 0 || index < warmup || self.warm {
            return;
        }
        self.warm = true;
        let records = self.plan.records - warmup;
        let mut counted = self.counted.lock();
        counted.steady = Some(Stats::new(records, self.plan.interval_ms, true, now_ms()));
        counted.all.silence();
    }

    /// Appends records without waiting. `index` is that of the next one.
    fn send_run(&mut self, topic: &Topic, index: &mut i64) -> Stop {
        let first = *index;
        let boundary = if first < self.plan.warmup {
            self.plan.warmup
        } else {
            self.plan.records
        };
        let end = boundary.min(first + RUN_RECORDS);
        let limited = self.throttle.is_limited();
        let (plan, throttle) = (&mut self.plan, &self.throttle);
        let (started_ms, warmup) = (self.started_ms, plan.warmup);
        let mut now = now_ms();
        let mut bytes = 0;
        self.producer.append_run(topic, |run| {
            while *index < end && bytes < RUN_BYTES {
                if limited || (*index - first) % CLOCK_RECORDS == 0 {
                    now = now_ms();
                }
                let value = plan.payload.advance(*index);
                bytes += value.len();
                let record = record(now, started_ms, *index, warmup, value);
                if run.try_append(&record).is_err() {
                    return Stop::Full;
                }
                *index += 1;
                if throttle.is_ahead(*index - 1, now) {
                    return Stop::Ahead;
                }
            }
            Stop::Rest
        })
    }

    fn record<'a>(&self, now: i64, index: i64, value: &'a [u8]) -> Record<'a> {
        record(now, self.started_ms, index, self.plan.warmup, value)
    }

    /// Waits for all that is on its way, and sums up.
    async fn finish(self) -> anyhow::Result<Exit> {
        if self.plan.print_metrics {
            self.producer.flush().await;
        } else {
            self.producer.close().await;
        }
        self.print_sum()?;
        self.producer.close().await;
        Ok(Exit::SUCCESS)
    }

    fn print_sum(&self) -> std::io::Result<()> {
        self.progress.finish();
        let mut printer = Printer::default();
        let counted = self.counted.lock();
        let now = now_ms();
        printer.line(counted.all.total_line(now))?;
        if let Some(steady) = &counted.steady {
            printer.line(steady.total_line(now))?;
        }
        if self.plan.print_metrics {
            counted.report(self).print(&mut printer)?;
        }
        printer.flush()?;
        counted.sum_up();
        Ok(())
    }
}

/// A record whose token says when it was sent and how long its value is.
#[inline]
fn record(now_ms: i64, started_ms: i64, index: i64, warmup: i64, value: &[u8]) -> Record<'_> {
    let steady = warmup > 0 && index >= warmup;
    Record {
        timestamp: Some(now_ms),
        value: Some(value),
        token: Some(Token::pack(now_ms - started_ms, value.len(), steady)),
        ..Record::default()
    }
}

/// When a record was sent, the length of its value, and whether it is past the warm-up, in the
/// number that its batch gives back.
struct Token {
    sent_ms: i64,
    bytes: i64,
    steady: bool,
}

impl Token {
    #[inline]
    fn pack(sent_ms: i64, bytes: usize, steady: bool) -> u64 {
        let ms = sent_ms.clamp(0, i64::from(u32::MAX)).unsigned_abs();
        ms << 32 | (bytes as u64 & 0x7fff_ffff) << 1 | u64::from(steady)
    }

    #[inline]
    fn unpack(token: u64) -> Self {
        Token {
            sent_ms: i64::from((token >> 32) as u32),
            bytes: i64::from((token as u32) >> 1),
            steady: token & 1 == 1,
        }
    }
}

/// What became of the records.
struct Counted {
    started_ms: i64,
    all: Stats,
    steady: Option<Stats>,
    batches: Batches,
    lost: u64,
    /// Reasons that were told already.
    reasons: Vec<String>,
    progress: Progress,
}

/// The batches that were acknowledged.
#[derive(Default)]
struct Batches {
    count: u64,
    records: u64,
    bytes: u64,
    bytes_max: u64,
}

/// No more than so many different reasons are remembered and told.
const REASONS_MAX: usize = 100;

impl Counted {
    fn new(plan: &Plan, started_ms: i64, progress: Progress) -> Self {
        Counted {
            started_ms,
            all: Stats::new(plan.records, plan.interval_ms, false, started_ms),
            steady: None,
            batches: Batches::default(),
            lost: 0,
            reasons: Vec::new(),
            progress,
        }
    }

    fn batch(&mut self, outcome: &BatchOutcome) {
        if let Err(error) = &outcome.result {
            self.lost(outcome.count as u64, error);
            return;
        }
        self.batches.count += 1;
        self.batches.records += outcome.count as u64;
        self.batches.bytes += outcome.bytes as u64;
        self.batches.bytes_max = self.batches.bytes_max.max(outcome.bytes as u64);
        let now = now_ms();
        let mut lines = Vec::new();
        for token in &outcome.tokens {
            let token = Token::unpack(*token);
            let latency = now - self.started_ms - token.sent_ms;
            self.all.record(latency, token.bytes, now, &mut lines);
            if let Some(steady) = self.steady.as_mut().filter(|_| token.steady) {
                steady.record(latency, token.bytes, now, &mut lines);
            }
        }
        if !lines.is_empty() {
            self.print(&lines);
        }
    }

    fn print(&self, lines: &[String]) {
        let printed: std::io::Result<()> = self.progress.aside(|| {
            let mut printer = Printer::default();
            lines.iter().try_for_each(|line| printer.line(line))?;
            printer.flush()
        });
        // Whoever read it is gone; the last lines will meet the same and end the tool.
        drop(printed);
    }

    /// Says each reason once: Kafka prints it for every record.
    fn lost(&mut self, records: u64, error: &ClientError) {
        self.lost += records;
        let reason = reason(error);
        if self.reasons.len() < REASONS_MAX && !self.reasons.contains(&reason) {
            self.progress.aside(|| message(&reason));
            self.reasons.push(reason);
        }
    }

    fn has_told(&self, error: &ClientError) -> bool {
        self.reasons.contains(&reason(error))
    }

    fn report(&self, load: &Load) -> Report {
        let elapsed = Duration::from_millis((now_ms() - self.started_ms).unsigned_abs());
        let client = load.producer.client();
        let mut report = Report::new("producer", client, self.started_ms, elapsed);
        let batches = &self.batches;
        let by_topic = format!(", topic={}", load.plan.topic);
        for (group, tag) in [
            ("producer-metrics", ""),
            ("producer-topic-metrics", &by_topic),
        ] {
            report.total(group, "record-send", tag, batches.records as f64);
            report.total(group, "record-error", tag, self.lost as f64);
        }
        report.total(
            "producer-topic-metrics",
            "byte",
            &by_topic,
            batches.bytes as f64,
        );
        let group = "producer-metrics";
        let mean = batches.bytes as f64 / batches.count as f64;
        report.add(group, "batch-size-avg", "", mean);
        report.add(group, "batch-size-max", "", batches.bytes_max as f64);
        report
    }

    fn sum_up(&self) {
        if self.lost > 0 {
            message(format!("{} records were not delivered.", self.lost));
        }
    }
}

fn reason(error: &ClientError) -> String {
    format!("{}: {error}", exception(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_keep_time_size_and_phase() {
        for (ms, bytes, steady) in [(0, 0, false), (1, 1, true), (4_000_000_000, 1 << 30, true)] {
            let token = Token::unpack(Token::pack(ms, bytes, steady));
            assert_eq!(token.sent_ms, ms);
            assert_eq!((token.bytes, token.steady), (bytes as i64, steady));
        }
    }
}
