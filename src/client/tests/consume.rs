//! Consuming from a broker: positions, isolation, groups.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{broker, new_topic, unique};
use crate::client::TopicPartition;
use crate::client::consumer::{
    BoxFuture, CommittedOffset, Consumer, ConsumerConfig, OffsetSpec, Offsets, RebalanceListener,
};
use crate::client::errors::{ClientError, Result};
use crate::client::producer::{Producer, ProducerConfig, Record};
use crate::config::Properties;

const POLL: Duration = Duration::from_millis(500);

fn consumer(properties: &Properties, settings: &[(&str, &str)]) -> Consumer {
    let mut properties = properties.clone();
    for (key, value) in settings {
        properties.set(*key, *value);
    }
    Consumer::new(ConsumerConfig::from_properties(&properties).unwrap())
}

/// Values `0..count`, in turn to the partitions.
async fn fill(properties: &Properties, topic: &str, partitions: i32, count: i32) {
    let producer = Producer::new(ProducerConfig::from_properties(properties).unwrap());
    let handle = producer.topic(topic).await.unwrap();
    for n in 0..count {
        let value = n.to_string();
        let record = Record {
            partition: Some(n % partitions),
            timestamp: Some(i64::from(n) * 10),
            ..Record::value(value.as_bytes())
        };
        producer.append(&handle, &record).await.unwrap();
    }
    producer.close().await;
}

/// Polls until `count` values are there.
async fn values(consumer: &mut Consumer, count: usize) -> Vec<i32> {
    let mut values = Vec::new();
    while values.len() < count {
        values.extend(poll_values(consumer).await.unwrap());
    }
    values
}

async fn poll_values(consumer: &mut Consumer) -> Result<Vec<i32>> {
    let mut values = Vec::new();
    for fetched in consumer.poll(POLL).await? {
        for batch in fetched.batches() {
            for record in batch?.records()?.iter() {
                let text = String::from_utf8(record?.value.unwrap().to_vec()).unwrap();
                values.push(text.parse().unwrap());
            }
        }
    }
    Ok(values)
}

#[tokio::test]
async fn assigned_partitions_from_wherever() {
    let Some(properties) = broker("assigned_partitions_from_wherever") else {
        return;
    };
    let topic = new_topic(&properties, "assign", 1).await;
    fill(&properties, &topic, 1, 1_000).await;
    let partition = TopicPartition::new(topic.as_str(), 0);
    let all = [partition.clone()];
    let settings = [
        ("auto.offset.reset", "earliest"),
        ("max.partition.fetch.bytes", "3000"),
    ];
    let mut consumer = consumer(&properties, &settings);
    consumer.assign(&all).unwrap();
    assert_eq!(
        values(&mut consumer, 1_000).await,
        (0..1_000).collect::<Vec<_>>()
    );
    assert_eq!(
        (consumer.position(&partition), consumer.lag(&partition)),
        (Some(1_000), Some(0))
    );

    consumer.seek(&partition, 990).unwrap();
    assert_eq!(
        values(&mut consumer, 10).await,
        (990..1_000).collect::<Vec<_>>()
    );
    consumer.seek_to_beginning(&all).unwrap();
    assert_eq!(values(&mut consumer, 1_000).await.first(), Some(&0));
    consumer.seek_to_end(&all).unwrap();
    assert!(poll_values(&mut consumer).await.unwrap().is_empty());

    // Beyond the end: back to where auto.offset.reset says.
    consumer.seek(&partition, 5_000).unwrap();
    assert_eq!(values(&mut consumer, 1_000).await.first(), Some(&0));

    consumer.pause(&all).unwrap();
    consumer.seek_to_beginning(&all).unwrap();
    assert!(poll_values(&mut consumer).await.unwrap().is_empty());
    consumer.resume(&all).unwrap();
    assert_eq!(values(&mut consumer, 1_000).await.len(), 1_000);

    let wanted = BTreeMap::from([(partition.clone(), OffsetSpec::Timestamp(5_001))]);
    let found = consumer.list_offsets(&wanted).await.unwrap();
    assert_eq!(found[&partition].as_ref().unwrap().offset, 501);
    consumer.close().await.unwrap();
}

#[tokio::test]
async fn no_position_and_no_reset_is_an_error() {
    let Some(properties) = broker("no_position_and_no_reset_is_an_error") else {
        return;
    };
    let topic = new_topic(&properties, "none", 1).await;
    let group = unique("none");
    let settings = [("auto.offset.reset", "none"), ("group.id", group.as_str())];
    let mut consumer = consumer(&properties, &settings);
    let partition = TopicPartition::new(topic.as_str(), 0);
    consumer.assign(std::slice::from_ref(&partition)).unwrap();
    let failure = loop {
        if let Err(failure) = consumer.poll(POLL).await {
            break failure;
        }
    };
    assert!(matches!(failure, ClientError::NoOffset(_)), "{failure}");
    let text = format!("Undefined offset with no reset policy for partition: {partition}");
    assert_eq!(failure.to_string(), text);
    consumer.close().await.unwrap();
}

#[tokio::test]
async fn many_partitions_and_late_records() {
    let Some(properties) = broker("many_partitions_and_late_records") else {
        return;
    };
    let topic = new_topic(&properties, "many", 20).await;
    let mut consumer = consumer(&properties, &[("auto.offset.reset", "earliest")]);
    let all: Vec<_> = (0..20)
        .map(|index| TopicPartition::new(topic.as_str(), index))
        .collect();
    consumer.assign(&all).unwrap();
    assert!(poll_values(&mut consumer).await.unwrap().is_empty());
    for _ in 0..3 {
        fill(&properties, &topic, 20, 200).await;
        let mut seen = values(&mut consumer, 200).await;
        seen.sort_unstable();
        assert_eq!(seen, (0..200).collect::<Vec<_>>());
    }
    consumer.close().await.unwrap();
}

#[tokio::test]
async fn committed_offsets_are_where_the_next_member_starts() {
    let Some(properties) = broker("committed_offsets_are_where_the_next_member_starts") else {
        return;
    };
    let topic = new_topic(&properties, "commit", 1).await;
    fill(&properties, &topic, 1, 100).await;
    let group = unique("commit");
    let manual = [
        ("group.id", group.as_str()),
        ("enable.auto.commit", "false"),
        ("auto.offset.reset", "earliest"),
    ];
    let partition = TopicPartition::new(topic.as_str(), 0);
    let mut first = consumer(&properties, &manual);
    first.subscribe(&[&topic]).unwrap();
    assert_eq!(values(&mut first, 100).await.len(), 100);
    let offsets = Offsets::from([(partition.clone(), CommittedOffset::at(40))]);
    first.commit_offsets(offsets).await.unwrap();
    first.close().await.unwrap();

    let automatic = [
        ("group.id", group.as_str()),
        ("auto.offset.reset", "earliest"),
    ];
    let mut second = consumer(&properties, &automatic);
    second.subscribe(&[&topic]).unwrap();
    assert_eq!(values(&mut second, 60).await.first(), Some(&40));
    second.close().await.unwrap();

    let third = consumer(&properties, &manual);
    let committed = third
        .committed(std::slice::from_ref(&partition))
        .await
        .unwrap();
    assert_eq!(committed[&partition].offset, 100, "closing commits");
    third.close().await.unwrap();
}

/// What a listener was told, with the partitions.
type Told = Vec<(&'static str, BTreeSet<i32>)>;

/// Notes what it is told.
struct Notes(Arc<Mutex<Told>>);

impl Notes {
    fn note(&self, what: &'static str, partitions: &[TopicPartition]) {
        self.0
            .lock()
            .push((what, partitions.iter().map(|p| p.partition).collect()));
    }
}

impl RebalanceListener for Notes {
    fn revoked<'a>(&'a mut self, partitions: &'a [TopicPartition]) -> BoxFuture<'a, Offsets> {
        self.note("revoked", partitions);
        Box::pin(async { Offsets::new() })
    }

    fn assigned<'a>(&'a mut self, partitions: &'a [TopicPartition]) -> BoxFuture<'a, Offsets> {
        self.note("assigned", partitions);
        Box::pin(async { Offsets::new() })
    }

    fn lost<'a>(&'a mut self, partitions: &'a [TopicPartition]) -> BoxFuture<'a, ()> {
        self.note("lost", partitions);
        Box::pin(async {})
    }
}

/// Polls both until the group has settled as wanted.
async fn settle(members: &mut [&mut Consumer], counts: &[usize]) {
    loop {
        for member in members.iter_mut() {
            member.poll(Duration::from_millis(50)).await.unwrap();
        }
        let now: Vec<_> = members
            .iter()
            .map(|member| member.assignment().len())
            .collect();
        if now == counts {
            return;
        }
    }
}

async fn two_members_share(assignor: &str, kept: bool) {
    let Some(properties) = broker("two_members_share") else {
        return;
    };
    let topic = new_topic(&properties, "share", 4).await;
    let group = unique("share");
    let class = format!("org.apache.kafka.clients.consumer.{assignor}");
    let settings = [
        ("group.id", group.as_str()),
        ("partition.assignment.strategy", class.as_str()),
        ("heartbeat.interval.ms", "100"),
        ("auto.offset.reset", "earliest"),
    ];
    let notes = Arc::new(Mutex::new(Vec::new()));
    let mut first = consumer(&properties, &settings);
    first.set_listener(Box::new(Notes(notes.clone())));
    first.subscribe(&[&topic]).unwrap();
    settle(&mut [&mut first], &[4]).await;
    let mut second = consumer(&properties, &settings);
    second.subscribe(&[&topic]).unwrap();
    settle(&mut [&mut first, &mut second], &[2, 2]).await;
    let all: BTreeSet<_> = first
        .assignment()
        .into_iter()
        .chain(second.assignment())
        .collect();
    assert_eq!(all.len(), 4, "{assignor}: nothing is shared");
    second.close().await.unwrap();
    settle(&mut [&mut first], &[4]).await;
    first.close().await.unwrap();

    let told = notes.lock().clone();
    let all: BTreeSet<i32> = (0..4).collect();
    assert_eq!(told[0], ("assigned", all.clone()), "{assignor}");
    let revoked = told.iter().find(|(what, _)| *what == "revoked").unwrap();
    assert_eq!(
        revoked.1.len(),
        if kept { 2 } else { 4 },
        "{assignor}: {told:?}"
    );
    assert_eq!(told.last().unwrap(), &("revoked", all), "{assignor}");
}

#[tokio::test]
async fn two_members_share_by_range() {
    two_members_share("RangeAssignor", false).await;
}

#[tokio::test]
async fn two_members_share_cooperatively() {
    two_members_share("CooperativeStickyAssignor", true).await;
}

#[tokio::test]
async fn a_pattern_follows_new_topics() {
    let Some(mut properties) = broker("a_pattern_follows_new_topics") else {
        return;
    };
    properties.set("metadata.max.age.ms", "300");
    let prefix = unique("pattern");
    let group = unique("pattern");
    let settings = [
        ("group.id", group.as_str()),
        ("auto.offset.reset", "earliest"),
    ];
    let mut consumer = consumer(&properties, &settings);
    consumer.subscribe_pattern(&format!("{prefix}.*")).unwrap();
    for n in 0..2 {
        let topic = new_topic(&properties, &format!("{prefix}-{n}"), 1).await;
        fill(&properties, &topic, 1, 10).await;
        assert_eq!(values(&mut consumer, 10).await.len(), 10);
    }
    assert_eq!(consumer.subscription().len(), 2);
    consumer.close().await.unwrap();
}

#[tokio::test]
async fn misuse_is_told() {
    let properties = Properties::parse("bootstrap.servers=127.0.0.1:9").unwrap();
    let mut idle = consumer(&properties, &[]);
    let unsubscribed = idle.poll(POLL).await.unwrap_err();
    assert!(matches!(unsubscribed, ClientError::IllegalState(_)));
    assert!(
        matches!(idle.subscribe(&["t"]), Err(ClientError::Config(_))),
        "no group.id"
    );
    let partition = TopicPartition::new("t", 0);
    assert!(matches!(
        idle.seek(&partition, 0),
        Err(ClientError::IllegalState(_))
    ));
    idle.assign(std::slice::from_ref(&partition)).unwrap();
    assert!(matches!(
        idle.seek(&partition, -1),
        Err(ClientError::IllegalState(_))
    ));
    idle.close().await.unwrap();
}
