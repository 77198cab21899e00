//! Against a real broker, genuine or ours: `KAFKARS_TEST_BOOTSTRAP=host:port` names it. Without
//! it these tests say that they did nothing.
mod admin;
mod consume;
mod produce;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::client::TopicPartition;
use crate::client::consumer::{Consumer, ConsumerConfig};
use crate::config::Properties;

/// Settings for the broker under test, or `None` with a loud line.
fn broker(test: &str) -> Option<Properties> {
    let Ok(bootstrap) = std::env::var("KAFKARS_TEST_BOOTSTRAP") else {
        eprintln!("SKIPPED {test}: KAFKARS_TEST_BOOTSTRAP names no broker");
        return None;
    };
    let mut properties = Properties::new();
    properties.set("bootstrap.servers", bootstrap);
    Some(properties)
}

/// A name that no other run uses.
fn unique(name: &str) -> String {
    format!("{name}-{:016x}", fastrand::u64(..))
}

/// A topic of its own for a test.
async fn new_topic(properties: &Properties, name: &str, partitions: i32) -> String {
    new_topic_with(properties, name, partitions, &[]).await
}

async fn new_topic_with(
    properties: &Properties,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> String {
    use crate::client::admin::{Admin, CreateOptions, NewTopic};
    let admin = Admin::from_properties(properties).unwrap();
    let topic = unique(name);
    let wanted = NewTopic {
        name: topic.clone(),
        partitions: Some(partitions),
        configs: configs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        ..NewTopic::default()
    };
    let created = admin
        .create_topics(&[wanted], CreateOptions::default())
        .await
        .unwrap();
    assert!(created[0].1.is_ok(), "{created:?}");
    admin.close().await;
    topic
}

/// A record as a test looks at it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ReadRecord {
    partition: i32,
    offset: i64,
    timestamp: i64,
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
}

impl ReadRecord {
    fn text(&self) -> String {
        let or_null = |text: &Option<String>| text.clone().unwrap_or_else(|| "null".to_owned());
        let mut text = format!("{}={}", or_null(&self.key), or_null(&self.value));
        for (key, value) in &self.headers {
            text.push_str(&format!(" {key}:{}", or_null(value)));
        }
        text
    }
}

/// Reads a topic from its beginning until `count` records are there, by partition and offset.
async fn read_all(properties: &Properties, topic: &str, count: usize) -> Vec<ReadRecord> {
    let mut properties = properties.clone();
    properties.set("auto.offset.reset", "earliest");
    let mut consumer = Consumer::new(ConsumerConfig::from_properties(&properties).unwrap());
    let admin = crate::client::admin::Admin::on(consumer.client().clone());
    let partitions = loop {
        if let Ok(found) = &admin.describe_topics(&[topic], 2000).await.unwrap()[0].1 {
            break found.partitions.len() as i32;
        }
    };
    let all: BTreeSet<_> = (0..partitions)
        .map(|p| TopicPartition::new(topic, p))
        .collect();
    consumer
        .assign(&all.into_iter().collect::<Vec<_>>())
        .unwrap();
    let owned = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut records = Vec::new();
    while records.len() < count {
        for fetched in consumer.poll(Duration::from_secs(1)).await.unwrap() {
            for batch in fetched.batches() {
                for record in batch.unwrap().records().unwrap().iter() {
                    let record = record.unwrap();
                    let headers = record.headers();
                    records.push(ReadRecord {
                        partition: fetched.partition.partition,
                        offset: record.offset,
                        timestamp: record.timestamp,
                        key: record.key.map(owned),
                        value: record.value.map(owned),
                        headers: headers
                            .map(|h| (owned(h.key), h.value.map(owned)))
                            .collect(),
                    });
                }
            }
        }
    }
    consumer.close().await.unwrap();
    records.sort();
    records
}
