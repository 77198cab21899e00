//! `kafka-verifiable-producer`: produces numbers and prints as JSON which were acknowledged.
pub mod options;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;

use self::options::{PROGRAM, Plan, TOOL};
pub(super) use self::options::{load, with_file};
use super::cluster::{Interrupt, block_on, exception, now_ms};
use super::output::Invocation;
use super::registry::Exit;
use super::throttle::Throttle;
use super::{alone, events};
use crate::client::ClientError;
use crate::client::config::ProducerConfig;
use crate::client::producer::{BatchOutcome, Producer, Record};

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let parsed = match alone::read(PROGRAM, &TOOL, &invocation)? {
        Ok(parsed) => parsed,
        Err(exit) => return Ok(exit),
    };
    alone::end(PROGRAM, &TOOL, options::plan(&parsed).and_then(start))
}

fn start(plan: Plan) -> anyhow::Result<Exit> {
    let config = ProducerConfig::from_properties(&plan.properties)?;
    block_on(produce(plan, config))
}

async fn produce(plan: Plan, config: ProducerConfig) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let started_ms = now_ms();
    let numbers = Arc::new(Numbers {
        topic: plan.topic.clone(),
        value_prefix: plan.value_prefix,
        repeating_keys: plan.repeating_keys.map(i64::from),
        acknowledged: AtomicI64::new(0),
    });
    let told = numbers.clone();
    let producer = Producer::with_handler(config, Arc::new(move |outcome| told.batch(outcome)));
    events::announce("startup_complete")?;
    let mut sent = 0;
    let exit = tokio::select! {
        () = send_all(&plan, &producer, &numbers, started_ms, &mut sent) => Exit::SUCCESS,
        exit = interrupt.first() => exit,
    };
    producer.close().await;
    events::announce("shutdown_complete")?;
    let acknowledged = numbers.acknowledged.load(Ordering::Relaxed);
    let seconds = (now_ms() - started_ms) as f64 / 1000.0;
    events::print([events::line(
        "tool_data",
        json!({
            "sent": sent,
            "acked": acknowledged,
            "target_throughput": plan.throughput,
            "avg_throughput": acknowledged as f64 / seconds,
        }),
    )])?;
    Ok(exit)
}

/// Sends as many as were asked for, or for ever.
async fn send_all(
    plan: &Plan,
    producer: &Producer,
    numbers: &Numbers,
    started_ms: i64,
    sent: &mut i64,
) {
    let mut throttle = Throttle::new(f64::from(plan.throughput), started_ms);
    let mut create_time = plan.create_time;
    while plan.messages.is_none_or(|most| *sent < most) {
        let index = *sent;
        *sent += 1;
        let sent_ms = now_ms();
        if let Err(error) = send(producer, numbers, index, create_time).await {
            numbers.print([numbers.failure(index, &error)]);
        }
        if let Some(time) = &mut create_time {
            *time += now_ms() - started_ms;
        }
        if throttle.is_ahead(index, sent_ms) {
            throttle.pause().await;
        } else {
            // What was appended leaves, and signals are heard.
            tokio::task::yield_now().await;
        }
    }
}

async fn send(
    producer: &Producer,
    numbers: &Numbers,
    index: i64,
    create_time: Option<i64>,
) -> Result<(), ClientError> {
    let topic = producer.topic(&numbers.topic).await?;
    let (key, value) = (numbers.key(index), numbers.value(index));
    let record = Record {
        timestamp: create_time,
        key: key.as_deref().map(str::as_bytes),
        value: Some(value.as_bytes()),
        token: Some(index.unsigned_abs()),
        ..Record::default()
    };
    producer.append(&topic, &record).await.map(|_| ())
}

/// The records by their number, and what is told of them.
struct Numbers {
    topic: String,
    value_prefix: Option<i32>,
    repeating_keys: Option<i64>,
    acknowledged: AtomicI64,
}

impl Numbers {
    fn key(&self, index: i64) -> Option<String> {
        let keys = self.repeating_keys?;
        let key = if keys > 0 { index % keys } else { index };
        Some(key.to_string())
    }

    fn value(&self, index: i64) -> String {
        match self.value_prefix {
            Some(prefix) => format!("{prefix}.{index}"),
            None => index.to_string(),
        }
    }

    fn batch(&self, outcome: &BatchOutcome) {
        let numbers = outcome.tokens.iter().enumerate();
        let lines = numbers.map(|(at, token)| {
            let index = i64::try_from(*token).unwrap_or(i64::MAX);
            match outcome.record(at) {
                Ok(sent) => {
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    self.success(index, sent.partition, sent.offset)
                }
                Err(error) => self.failure(index, &error),
            }
        });
        self.print(lines.collect::<Vec<_>>());
    }

    fn success(&self, index: i64, partition: i32, offset: i64) -> String {
        let fields = json!({
            "key": self.key(index),
            "value": self.value(index),
            "offset": offset,
            "partition": partition,
            "topic": self.topic,
        });
        events::line("producer_send_success", fields)
    }

    fn failure(&self, index: i64, error: &ClientError) -> String {
        let fields = json!({
            "topic": self.topic,
            "key": self.key(index),
            "value": self.value(index),
            "exception": format!("class {}", exception(error)),
            "message": error.to_string(),
        });
        events::line("producer_send_error", fields)
    }

    /// Whoever read it may be gone: the last lines meet the same and end the tool.
    fn print(&self, lines: impl IntoIterator<Item = String>) {
        drop(events::print(lines));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(value_prefix: Option<i32>, repeating_keys: Option<i64>) -> Numbers {
        Numbers {
            topic: "t".to_owned(),
            value_prefix,
            repeating_keys,
            acknowledged: AtomicI64::new(0),
        }
    }

    #[test]
    fn keys_repeat_and_values_have_their_prefix() {
        let numbers = numbers(Some(7), Some(3));
        let keys: Vec<_> = (0..5).filter_map(|index| numbers.key(index)).collect();
        assert_eq!(keys, ["0", "1", "2", "0", "1"]);
        assert_eq!(numbers.value(12), "7.12");
    }

    #[test]
    fn events_have_the_fields_of_kafkas() {
        let numbers = numbers(None, None);
        let rest = |line: String| line.split_once(',').unwrap().1.to_owned();
        assert_eq!(
            rest(numbers.success(1, 0, 9)),
            "\"name\":\"producer_send_success\",\"key\":null,\"value\":\"1\",\"offset\":9,\
             \"partition\":0,\"topic\":\"t\"}"
        );
        assert_eq!(
            rest(numbers.failure(2, &ClientError::RecordTooLarge("too large".into()))),
            "\"name\":\"producer_send_error\",\"topic\":\"t\",\"key\":null,\"value\":\"2\",\
             \"exception\":\"class org.apache.kafka.common.errors.RecordTooLargeException\",\
             \"message\":\"too large\"}"
        );
    }
}
