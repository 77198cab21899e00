//! Our client's transactional producer, and `producer-perf-test` with it, against both generations of the protocol
//! and both brokers: whoever reads what is committed sees exactly that.

mod support;

use std::future::Future;
use std::time::Duration;

use kafkars::client::consumer::{Consumer, ConsumerConfig};
use kafkars::client::producer::{Producer, ProducerConfig, Record};
use kafkars::client::{ClientError, TopicPartition};
use kafkars::config::Properties;
use kafkars::protocol::ErrorCode;
use support::genuine::Genuine;
use support::{Broker, Setup};

const PARTITIONS: i32 = 3;
/// The last record that is committed to each partition.
const END: &str = "end";

#[test]
fn our_broker() {
    play(&Broker::start());
}

#[test]
fn genuine_broker() {
    let Some(genuine) = Genuine::find("transactions of our producer with a genuine broker") else {
        return;
    };
    play(&Setup::default().start_genuine(&genuine));
}

/// With the protocol of transaction version 2, and with that of the version before.
fn play(broker: &Broker) {
    let scenes = |level: &str| {
        committed_and_aborted(broker, &format!("mixed-{level}"));
        a_lost_record_forbids_to_commit(broker, &format!("lost-{level}"));
        a_successor_fences(broker, &format!("fenced-{level}"));
        the_tool_commits_everything(broker, &format!("tool-{level}"));
        let listed = broker.tool(&["transactions", "list"], b"").ok();
        let open = listed.lines().find(|line| line.contains("Ongoing"));
        assert_eq!(open, None, "nothing is left open");
    };
    scenes("2");
    let downgrade = [
        "features",
        "downgrade",
        "--feature",
        "transaction.version=1",
    ];
    broker.tool(&downgrade, b"").ok();
    scenes("1");
}

/// Some transactions are committed, some are aborted before or after their records are stored, and one is open when
/// its producer closes.
fn committed_and_aborted(broker: &Broker, topic: &str) {
    create(broker, topic);
    block_on(async {
        let producer = producer(broker, topic, &[("batch.size", "200"), ("linger.ms", "1")]);
        producer.init_transactions().await.unwrap();
        let mut expected = Vec::new();
        for round in 0..8 {
            let values: Vec<String> = (0..50).map(|n| format!("{round}-{n}")).collect();
            producer.begin_transaction().unwrap();
            send(&producer, topic, &values).await.unwrap();
            match round % 4 {
                1 => producer.abort_transaction().await.unwrap(),
                2 => {
                    producer.flush().await;
                    producer.abort_transaction().await.unwrap();
                }
                _ => {
                    producer.commit_transaction().await.unwrap();
                    expected.extend(values);
                }
            }
        }
        producer.begin_transaction().unwrap();
        producer.commit_transaction().await.unwrap();
        producer.begin_transaction().unwrap();
        send(&producer, topic, &["left".to_owned()]).await.unwrap();
        producer.close().await;
        assert_eq!(committed(broker, topic).await, sorted(expected));
    });
}

/// A record that is too large cannot be in its transaction, so that the others must not be committed either; the next
/// transaction is a new beginning.
fn a_lost_record_forbids_to_commit(broker: &Broker, topic: &str) {
    create(broker, topic);
    block_on(async {
        let producer = producer(broker, topic, &[("max.request.size", "1000")]);
        producer.init_transactions().await.unwrap();
        producer.begin_transaction().unwrap();
        send(&producer, topic, &["stored".to_owned()])
            .await
            .unwrap();
        producer.flush().await;
        let large = ["large".repeat(1_000), "after it".to_owned()];
        assert!(send(&producer, topic, &large[..1]).await.is_err());
        assert!(send(&producer, topic, &large[1..]).await.is_err());
        let refused = producer.commit_transaction().await.unwrap_err();
        assert!(
            matches!(refused, ClientError::RecordTooLarge(_)),
            "{refused:?}"
        );
        producer.abort_transaction().await.unwrap();
        producer.begin_transaction().unwrap();
        send(&producer, topic, &["mended".to_owned()])
            .await
            .unwrap();
        producer.commit_transaction().await.unwrap();
        producer.close().await;
        assert_eq!(committed(broker, topic).await, ["mended"]);
    });
}

/// The successor aborts what its predecessor has left open; that one can commit nothing any more.
fn a_successor_fences(broker: &Broker, topic: &str) {
    create(broker, topic);
    block_on(async {
        let first = producer(broker, topic, &[]);
        first.init_transactions().await.unwrap();
        first.begin_transaction().unwrap();
        send(&first, topic, &["fenced".to_owned()]).await.unwrap();
        first.flush().await;
        let second = producer(broker, topic, &[]);
        second.init_transactions().await.unwrap();
        let refused = first.commit_transaction().await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::ProducerFenced), "{refused}");
        assert!(first.begin_transaction().is_err());
        first.close().await;
        second.begin_transaction().unwrap();
        send(&second, topic, &["kept".to_owned()]).await.unwrap();
        second.commit_transaction().await.unwrap();
        second.close().await;
        assert_eq!(committed(broker, topic).await, ["kept"]);
    });
}

fn the_tool_commits_everything(broker: &Broker, topic: &str) {
    create(broker, topic);
    let line = format!(
        "producer-perf-test --topic {topic} --num-records 2000 --payload-monotonic --throughput 4000 \
         --transactional-id {topic} --transaction-duration-ms 20"
    );
    let args: Vec<&str> = line.split(' ').collect();
    let told = broker.tool(&args, b"").ok();
    assert!(told.starts_with("2000 records sent, "), "{told}");
    let expected = (0..2_000).map(|n| n.to_string()).collect();
    block_on(async {
        assert_eq!(committed(broker, topic).await, sorted(expected));
    });
}

fn create(broker: &Broker, topic: &str) {
    let partitions = PARTITIONS.to_string();
    let args = [
        "topics",
        "--create",
        "--topic",
        topic,
        "--partitions",
        &partitions,
    ];
    broker.tool(&args, b"").ok();
}

fn producer(broker: &Broker, id: &str, settings: &[(&str, &str)]) -> Producer {
    let mut properties = Properties::new();
    properties.set("bootstrap.servers", broker.bootstrap());
    properties.set("transactional.id", id);
    for (key, value) in settings {
        properties.set(*key, *value);
    }
    Producer::new(ProducerConfig::from_properties(&properties).unwrap())
}

async fn send(producer: &Producer, topic: &str, values: &[String]) -> Result<(), ClientError> {
    let topic = producer.topic(topic).await?;
    for value in values {
        producer
            .append(&topic, &Record::value(value.as_bytes()))
            .await?;
    }
    Ok(())
}

/// All values that are committed, in order. They are followed by a record of our own in each partition, so that the
/// end is known.
async fn committed(broker: &Broker, topic: &str) -> Vec<String> {
    let last = producer(broker, &format!("{topic}-end"), &[]);
    last.init_transactions().await.unwrap();
    last.begin_transaction().unwrap();
    let handle = last.topic(topic).await.unwrap();
    let partitions: Vec<i32> = (0..PARTITIONS).collect();
    for partition in &partitions {
        let record = Record {
            partition: Some(*partition),
            ..Record::value(END.as_bytes())
        };
        last.append(&handle, &record).await.unwrap();
    }
    last.commit_transaction().await.unwrap();
    last.close().await;

    let mut properties = Properties::new();
    properties.set("bootstrap.servers", broker.bootstrap());
    properties.set("isolation.level", "read_committed");
    properties.set("auto.offset.reset", "earliest");
    let mut consumer = Consumer::new(ConsumerConfig::from_properties(&properties).unwrap());
    let all: Vec<TopicPartition> = partitions
        .iter()
        .map(|partition| TopicPartition::new(topic, *partition))
        .collect();
    consumer.assign(&all).unwrap();
    let (mut values, mut ended) = (Vec::new(), 0);
    while ended < PARTITIONS {
        let mut buffer = Vec::new();
        for fetched in consumer.poll(Duration::from_secs(1)).await.unwrap() {
            let read = fetched.for_each(&mut buffer, |_, record| -> Result<(), ClientError> {
                let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                match value.as_str() {
                    END => ended += 1,
                    _ => values.push(value),
                }
                Ok(())
            });
            read.unwrap();
        }
    }
    consumer.close().await.unwrap();
    sorted(values)
}

fn sorted(mut values: Vec<String>) -> Vec<String> {
    values.sort();
    values
}

/// Fails a test that hangs.
fn block_on(scene: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let within = async { tokio::time::timeout(support::PATIENCE, scene).await };
    runtime.block_on(within).expect("the scene ends in time");
}
