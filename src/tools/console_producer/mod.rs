//! `kafka-console-producer`: sends the lines of stdin to a topic.
//!
//! Stdin comes in blocks, the main thread cuts them into lines and copies each line
//! straight into its batch: memory stays constant however long the input is.
mod failures;
mod input;
mod line_reader;
mod lines;
pub(super) mod options;
mod progress;

use std::io::{self, IsTerminal, Write as _};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use self::failures::Failures;
use self::input::{Block, Input};
use self::line_reader::LineReader;
use self::lines::{Found, Line, LineSplitter};
use self::options::DEFINITION;
use self::progress::Progress;
use super::cluster::{Interrupt, block_on};
use super::options::jopt::OptionSet;
use super::output::{Invocation, Printer, message};
use super::registry::Exit;
use super::usage;
use crate::client::config::ProducerConfig;
use crate::client::producer::{Producer, Record, Topic};

/// The class that reads lines; there is no other.
const LINE_READER: &str = "org.apache.kafka.tools.LineMessageReader";

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let set = match usage::parse(&DEFINITION, &invocation)? {
        Ok(set) => set,
        Err(exit) => return Ok(exit),
    };
    let checked = options::check(&set).and_then(|told| {
        options::check_bootstrap(set.value("bootstrap-server")?)?;
        Ok(told)
    });
    match checked {
        Err(error) => return Ok(usage::refuse(&DEFINITION, &invocation, &error)),
        Ok(told) => {
            let mut printer = Printer::default();
            told.into_iter().try_for_each(|line| printer.line(line))?;
            printer.flush()?;
        }
    }
    let class = set.value("line-reader")?.unwrap_or(LINE_READER);
    if class != LINE_READER {
        message(format!("{class}\nThere is one line reader: {LINE_READER}."));
        return Ok(Exit::FAILURE);
    }
    let properties = options::reader_properties(&set)?;
    let reader = LineReader::new(set.value("topic")?.unwrap_or_default(), &properties)?;
    let config = ProducerConfig::from_properties(&options::producer_properties(&set)?)?;
    block_on(produce(&set, reader, config))
}

/// Sends all lines, then waits for what is on its way.
async fn produce(
    set: &OptionSet,
    reader: LineReader,
    config: ProducerConfig,
) -> anyhow::Result<Exit> {
    let failures = Arc::new(Failures::default());
    let splitter = LineSplitter::new(config.request_bytes_max);
    let handler = failures.clone();
    let request_bytes_max = config.request_bytes_max;
    let producer = Producer::with_handler(config, Arc::new(move |outcome| handler.batch(outcome)));
    let mut sending = Sending {
        producer: &producer,
        topic: None,
        reader,
        sync: set.has("sync"),
        failures: &failures,
        request_bytes_max,
        line: 0,
        now_ms: 0,
    };
    let interrupt = Interrupt::listen()?;
    let result = tokio::select! {
        result = sending.run(splitter) => result.map(|()| Exit::SUCCESS),
        exit = interrupt.first() => Ok(exit),
    };
    // Lines before a bad one were taken: they are sent.
    producer.close().await;
    failures.sum_up();
    result
}

/// The way of the lines from stdin to the producer.
struct Sending<'a> {
    producer: &'a Producer,
    /// Known after the first record.
    topic: Option<Topic>,
    reader: LineReader,
    sync: bool,
    failures: &'a Failures,
    request_bytes_max: usize,
    /// The number of the last line, from 1.
    line: u64,
    now_ms: i64,
}

impl Sending<'_> {
    async fn run(&mut self, mut splitter: LineSplitter) -> anyhow::Result<()> {
        let mut input = Input::start()?;
        let mut progress = Progress::start();
        let prompt = io::stdin().is_terminal() && io::stdout().is_terminal();
        loop {
            if prompt {
                let mut out = io::stdout().lock();
                out.write_all(b">").and_then(|()| out.flush())?;
            }
            let Some(block) = input.next().await? else {
                break;
            };
            // One look at the clock for all lines that came together.
            self.now_ms = now_ms();
            self.block(&block, &mut splitter).await?;
            progress.add(block.bytes().len());
            input.give_back(block);
            // Let the connections work before the next block.
            tokio::task::yield_now().await;
            if let Some(topic) = &self.topic {
                self.producer.pace(topic).await;
            }
        }
        if let Some(line) = splitter.finish() {
            self.line(line).await?;
        }
        progress.finish();
        Ok(())
    }

    async fn block(&mut self, block: &Block, splitter: &mut LineSplitter) -> anyhow::Result<()> {
        let mut at = 0;
        while let Some(found) = self.at_once(block, splitter, &mut at)? {
            self.line(splitter.line(block.bytes(), found)).await?;
        }
        Ok(())
    }

    /// The fast way, while the topic is known and there is room in its batches. Returns the first line that has to go
    /// the patient way, or none at the end of the block.
    fn at_once(
        &mut self,
        block: &Block,
        splitter: &mut LineSplitter,
        at: &mut usize,
    ) -> anyhow::Result<Option<Found>> {
        let block = block.bytes();
        let Some(topic) = self.topic.as_ref().filter(|_| !self.sync) else {
            return Ok(splitter.next(block, at));
        };
        let (reader, now_ms, line_number) = (&self.reader, self.now_ms, &mut self.line);
        self.producer.append_run(topic, |run| {
            while let Some(found) = splitter.next(block, at) {
                let Line::Whole(line) = splitter.line(block, found.clone()) else {
                    return Ok(Some(found));
                };
                let parts = reader.parse(*line_number + 1, line)?;
                let record = Record {
                    timestamp: Some(now_ms),
                    key: parts.key,
                    value: parts.value,
                    headers: &parts.headers,
                    ..Record::default()
                };
                if run.try_append(&record).is_err() {
                    return Ok(Some(found));
                }
                *line_number += 1;
            }
            Ok(None)
        })
    }

    /// The patient way: waits for the topic, for room, and with `--sync` for the answer.
    async fn line(&mut self, line: Line<'_>) -> anyhow::Result<()> {
        self.line += 1;
        let bytes = match line {
            Line::Whole(bytes) => bytes,
            Line::TooLong { bytes } => {
                self.failures.too_long(
                    &self.reader.topic,
                    self.line,
                    bytes,
                    self.request_bytes_max,
                );
                if self.sync {
                    anyhow::bail!("Line {} was not sent.", self.line);
                }
                return Ok(());
            }
        };
        let parts = self.reader.parse(self.line, bytes)?;
        let record = Record {
            timestamp: Some(self.now_ms),
            key: parts.key,
            value: parts.value,
            headers: &parts.headers,
            ..Record::default()
        };
        let sent = match &self.topic {
            Some(topic) => send(self.producer, topic, &record, self.sync).await,
            None => match self.producer.topic(&self.reader.topic).await {
                Ok(topic) => {
                    let sent = send(self.producer, &topic, &record, self.sync).await;
                    self.topic = Some(topic);
                    sent
                }
                Err(error) => Err(error),
            },
        };
        match sent {
            Ok(()) => Ok(()),
            Err(error) if self.sync => Err(error.into()),
            Err(error) => {
                self.failures
                    .record(&self.reader.topic, self.line, &record, &error);
                Ok(())
            }
        }
    }
}

async fn send(
    producer: &Producer,
    topic: &Topic,
    record: &Record<'_>,
    sync: bool,
) -> crate::client::Result<()> {
    if sync {
        let delivery = producer.enqueue(topic, record).await?;
        // Nothing else will come to fill the batch.
        let (_, delivered) = tokio::join!(producer.flush(), delivery.wait());
        delivered.map(|_| ())
    } else {
        producer.append(topic, record).await.map(|_| ())
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
