//! `kafka-e2e-latency`: sends a record, waits until it is read again, and does so many times.
pub mod options;

use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};

use self::options::{DEFINITION, Plan};
use super::cluster::{block_on, load_properties, now_ms};
use super::counted::Progress;
use super::java_format::fixed;
use super::latencies::Latencies;
use super::options::jopt::OptionSet;
use super::output::{Invocation, Printer, message};
use super::registry::Exit;
use super::session::{self, Request};
use crate::client::admin::{Admin, CreateOptions, NewTopic};
use crate::client::config::{ConsumerConfig, ProducerConfig};
use crate::client::consumer::{Consumer, Fetched};
use crate::client::producer::{Producer, Record};
use crate::client::{ClientConfig, TopicPartition};
use crate::config::Properties;
use crate::config::value::java_double;

/// How long a record may take to come back.
const POLL: Duration = Duration::from_secs(60);
/// A line for the first of so many records.
const LINE_RECORDS: i32 = 1000;
/// How much of a topic's description comes at a time.
const PARTITIONS_PER_RESPONSE: i32 = 2000;

pub fn run(mut invocation: Invocation) -> anyhow::Result<Exit> {
    match options::named(&invocation.args) {
        Ok(None) => {}
        Ok(Some(words)) => {
            let mut printer = Printer::default();
            printer.line(
                "WARNING: Positional argument usage is deprecated and will be removed in Apache \
                 Kafka 5.0. Please use named arguments instead: --bootstrap-server, --topic, \
                 --num-records, --producer-acks, --record-size, --command-config",
            )?;
            printer.flush()?;
            invocation.args = words;
        }
        Err(error) => {
            message(error.0);
            return Ok(Exit::FAILURE);
        }
    }
    match session::read(&DEFINITION, &invocation, options::check)? {
        Ok(Request {
            options, checked, ..
        }) => block_on(measure(&options, &checked)),
        Err(exit) => Ok(exit),
    }
}

async fn measure(set: &OptionSet, plan: &Plan) -> anyhow::Result<Exit> {
    let mut shared = load_properties(set.value("command-config")?)?;
    shared.set(
        "bootstrap.servers",
        set.value("bootstrap-server")?.unwrap_or_default(),
    );
    let topic = set.value("topic")?.unwrap_or_default();
    let mut consumer = Consumer::new(ConsumerConfig::from_properties(&consumer_settings(
        &shared,
    ))?);
    let settings = producer_settings(&shared, &plan.acks);
    let producer = Producer::new(ProducerConfig::from_properties(&settings)?);
    let measured = async {
        let partitions = ensure_topic(&shared, topic).await?;
        begin_at_end(&mut consumer, topic, partitions).await?;
        let mut measuring = Measuring {
            topic,
            plan,
            producer: &producer,
            consumer: &mut consumer,
        };
        measuring.run().await
    }
    .await;
    producer.close().await;
    let closed = consumer.close().await;
    measured?;
    closed?;
    Ok(Exit::SUCCESS)
}

fn consumer_settings(shared: &Properties) -> Properties {
    let mut settings = shared.clone();
    settings.set("group.id", format!("test-group-{}", now_ms()));
    settings.set("enable.auto.commit", "false");
    settings.set("auto.offset.reset", "latest");
    // Nothing waits for company.
    settings.set("fetch.max.wait.ms", "0");
    settings
}

fn producer_settings(shared: &Properties, acks: &str) -> Properties {
    let mut settings = shared.clone();
    settings.set("linger.ms", "0");
    settings.set("max.block.ms", i64::MAX.to_string());
    settings.set("acks", acks);
    settings
}

/// The number of the topic's partitions; it is created where it is not there.
async fn ensure_topic(settings: &Properties, topic: &str) -> anyhow::Result<i32> {
    let admin = Admin::new(ClientConfig::from_properties(settings)?);
    let ensured = async {
        let known = admin.list_topics(true).await?;
        if known.iter().any(|known| &*known.name == topic) {
            let described = admin
                .describe_topics(&[topic], PARTITIONS_PER_RESPONSE)
                .await?;
            let described = described.into_iter().next().map(|(_, described)| described);
            let described =
                described.ok_or_else(|| anyhow!("The cluster does not describe {topic}"))??;
            return Ok(i32::try_from(described.partitions.len())?);
        }
        let mut printer = Printer::default();
        printer.line(format!(
            "Topic \"{topic}\" does not exist. Will create topic with 1 partition(s) and \
             replication factor = 1"
        ))?;
        printer.flush()?;
        let new = NewTopic {
            name: topic.to_owned(),
            partitions: Some(1),
            replication_factor: Some(1),
            ..NewTopic::default()
        };
        let created = admin.create_topics(&[new], CreateOptions::default()).await;
        let failed = match created {
            Ok(created) => created.into_iter().find_map(|(_, created)| created.err()),
            Err(error) => Some(error),
        };
        if let Some(error) = failed {
            printer.line(format!("Creation of topic {topic} failed"))?;
            printer.flush()?;
            bail!(error);
        }
        Ok(1)
    }
    .await;
    admin.close().await;
    ensured
}

/// Assigns every partition and waits until its end is known.
async fn begin_at_end(consumer: &mut Consumer, topic: &str, count: i32) -> anyhow::Result<()> {
    let partitions: Vec<TopicPartition> = (0..count)
        .map(|index| TopicPartition::new(topic, index))
        .collect();
    consumer.assign(&partitions)?;
    consumer.seek_to_end(&partitions)?;
    let deadline = Instant::now() + consumer.client().config().api_timeout;
    while partitions
        .iter()
        .any(|partition| consumer.position(partition).is_none())
    {
        if Instant::now() >= deadline {
            bail!("The end of topic {topic} could not be found in time.");
        }
        consumer.poll(Duration::from_millis(10)).await?;
    }
    Ok(())
}

struct Measuring<'a> {
    topic: &'a str,
    plan: &'a Plan,
    producer: &'a Producer,
    consumer: &'a mut Consumer,
}

/// What is sent: parts of one repeated letter each.
struct Sent {
    key: Vec<u8>,
    value: Vec<u8>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Measuring<'_> {
    async fn run(&mut self) -> anyhow::Result<()> {
        let mut printer = Printer::default();
        let progress = Progress::start(u64::try_from(self.plan.records).ok(), "measured");
        let mut total = Duration::ZERO;
        let mut latencies = Latencies::new(1);
        for index in 0..self.plan.records {
            let elapsed = self.one().await;
            let Ok(elapsed) = elapsed else {
                progress.finish();
                // What was read counts as read, whatever it was.
                self.consumer.commit().await?;
                return elapsed.map(drop);
            };
            if index % LINE_RECORDS == 0 {
                let ms = elapsed.as_nanos() as f64 / 1000.0 / 1000.0;
                progress.aside(|| {
                    printer.line(format!("{index}\t{}", java_double(ms)))?;
                    printer.flush()
                })?;
            }
            progress.set(u64::try_from(index + 1).unwrap_or_default());
            total += elapsed;
            latencies.add(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX));
        }
        progress.finish();
        let mean = total.as_nanos() as f64 / f64::from(self.plan.records) / 1000.0 / 1000.0;
        let [half, p99, p999] = latencies.percentiles([0.5, 0.99, 0.999]);
        printer.line(format!("Avg latency: {} ms", fixed(mean, 4)))?;
        printer.line(format!(
            "Percentiles: 50th = {half}, 99th = {p99}, 99.9th = {p999}"
        ))?;
        printer.flush()?;
        self.consumer.commit().await?;
        Ok(())
    }

    /// Sends a record and reads it again.
    async fn one(&mut self) -> anyhow::Result<Duration> {
        let sent = self.compose();
        let headers: Vec<(&[u8], Option<&[u8]>)> = sent
            .headers
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
            .collect();
        let record = Record {
            key: Some(&sent.key),
            value: Some(&sent.value),
            headers: &headers,
            ..Record::default()
        };
        let began = Instant::now();
        self.producer.send(self.topic, &record).await?;
        let fetched = self.consumer.poll(POLL).await?;
        let elapsed = began.elapsed();
        validate(&sent, &fetched)?;
        Ok(elapsed)
    }

    fn compose(&self) -> Sent {
        let letters = |size: usize| vec![fastrand::u8(b'A'..=b'Z'); size];
        let plan = self.plan;
        Sent {
            key: letters(plan.key_size),
            value: letters(plan.value_size),
            headers: (0..plan.headers)
                .map(|_| {
                    (
                        letters(plan.header_key_size),
                        plan.header_value_size.map(letters),
                    )
                })
                .collect(),
        }
    }
}

/// The one record that was read is the one that was sent.
fn validate(sent: &Sent, fetched: &[Fetched]) -> anyhow::Result<()> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut count = 0;
    for fetched in fetched {
        fetched.for_each(&mut Vec::new(), |_, record| -> anyhow::Result<()> {
            count += 1;
            if count > 1 {
                return Ok(());
            }
            let value = record.value.unwrap_or_default();
            if value != sent.value {
                bail!(
                    "The message value read [{}] did not match the message value sent [{}]",
                    text(value),
                    text(&sent.value)
                );
            }
            match record.key {
                None => bail!("Expected message key but received null"),
                Some(key) if key != sent.key => bail!(
                    "The message key read [{}] did not match the message key sent [{}]",
                    text(key),
                    text(&sent.key)
                ),
                Some(_) => {}
            }
            let headers = record
                .headers()
                .map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)));
            let headers: Vec<_> = headers.collect();
            check_headers(&sent.headers, &headers)
        })?;
    }
    match count {
        0 => bail!(
            "poll() timed out before finding a result (timeout:[{}ms])",
            POLL.as_millis()
        ),
        1 => Ok(()),
        count => bail!("Only one result was expected during this test. We found [{count}]"),
    }
}

type Header = (Vec<u8>, Option<Vec<u8>>);

fn check_headers(sent: &[Header], read: &[Header]) -> anyhow::Result<()> {
    if read.is_empty() && !sent.is_empty() {
        bail!("Expected message headers but received none");
    }
    let shown = |(key, value): &Header| {
        let value = value
            .as_ref()
            .map_or("null".to_owned(), |value| format!("{value:?}"));
        format!("{}:{value}", String::from_utf8_lossy(key))
    };
    if let Some((sent, read)) = sent.iter().zip(read).find(|(sent, read)| sent != read) {
        bail!(
            "The message header read [{}] did not match the message header sent [{}]",
            shown(read),
            shown(sent)
        );
    }
    if sent.len() != read.len() {
        bail!("Header count mismatch between sent and received messages");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_compared_one_by_one() {
        let header =
            |key: &str, value: Option<&[u8]>| (key.as_bytes().to_vec(), value.map(<[u8]>::to_vec));
        let sent = [header("AA", Some(b"B")), header("CC", None)];
        assert!(check_headers(&sent, &sent).is_ok());
        let error = |read: &[Header]| check_headers(&sent, read).unwrap_err().to_string();
        assert_eq!(error(&[]), "Expected message headers but received none");
        assert_eq!(
            error(&sent[..1]),
            "Header count mismatch between sent and received messages"
        );
        assert_eq!(
            error(&[header("AA", None)]),
            "The message header read [AA:null] did not match the message header sent [AA:[66]]"
        );
    }
}
