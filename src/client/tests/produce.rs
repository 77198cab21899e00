//! Producing to a broker, and reading back.
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{broker, new_topic, read_all, unique};
use crate::client::errors::ClientError;
use crate::client::producer::{BatchOutcome, Producer, ProducerConfig, Record};
use crate::config::Properties;

fn producer(properties: &Properties, settings: &[(&str, &str)]) -> ProducerConfig {
    let mut properties = properties.clone();
    for (key, value) in settings {
        properties.set(*key, *value);
    }
    ProducerConfig::from_properties(&properties).unwrap()
}

#[tokio::test]
async fn a_record_and_where_it_went() {
    let Some(properties) = broker("a_record_and_where_it_went") else {
        return;
    };
    let topic = new_topic(&properties, "one", 3).await;
    let producer = Producer::new(producer(&properties, &[("linger.ms", "0")]));
    let headers: [(&[u8], Option<&[u8]>); 2] = [(b"h", Some(b"1")), (b"n", None)];
    for offset in 0..2 {
        let record = Record {
            partition: Some(2),
            timestamp: Some(1_000 + offset),
            key: Some(b"k"),
            value: Some(b"v"),
            headers: &headers,
            ..Record::default()
        };
        let sent = producer.send(&topic, &record).await.unwrap();
        assert_eq!(
            (sent.partition, sent.offset, sent.log_append_time),
            (2, offset, None)
        );
    }
    let gone = Record {
        partition: Some(0),
        ..Record::default()
    };
    producer.send(&topic, &gone).await.unwrap();
    producer.close().await;
    let refused = producer.send(&topic, &gone).await;
    assert!(matches!(refused, Err(ClientError::Closed)));

    let read = read_all(&properties, &topic, 3).await;
    let brief: Vec<_> = read
        .iter()
        .map(|r| (r.partition, r.offset, r.timestamp, r.text()))
        .collect();
    assert_eq!(
        brief[1..],
        [
            (2, 0, 1_000, "k=v h:1 n:null".into()),
            (2, 1, 1_001, "k=v h:1 n:null".into())
        ]
    );
    assert_eq!(brief[0].3, "null=null");
}

#[tokio::test]
async fn every_codec_and_acks_in_order() {
    let Some(properties) = broker("every_codec_and_acks_in_order") else {
        return;
    };
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        for acks in ["all", "1", "0"] {
            let topic = new_topic(&properties, codec, 1).await;
            let settings = [
                ("compression.type", codec),
                ("acks", acks),
                ("linger.ms", "1"),
            ];
            let producer = Producer::new(producer(&properties, &settings));
            let handle = producer.topic(&topic).await.unwrap();
            let values: Vec<String> = (0..3_000).map(|n| format!("value number {n}")).collect();
            for value in &values {
                producer
                    .append(&handle, &Record::value(value.as_bytes()))
                    .await
                    .unwrap();
            }
            producer.close().await;
            let read = read_all(&properties, &topic, values.len()).await;
            let read: Vec<_> = read
                .iter()
                .map(|record| record.value.clone().unwrap())
                .collect();
            assert_eq!(read, values, "{codec}, acks {acks}");
        }
    }
}

#[tokio::test]
async fn back_pressure_tokens_and_flush() {
    let Some(properties) = broker("back_pressure_tokens_and_flush") else {
        return;
    };
    let topic = new_topic(&properties, "pressure", 2).await;
    let outcomes: Arc<Mutex<Vec<BatchOutcome>>> = Arc::default();
    let sink = outcomes.clone();
    let settings = [
        ("buffer.memory", "65536"),
        ("linger.ms", "60000"),
        ("batch.size", "8192"),
    ];
    let handler = Arc::new(move |outcome: &BatchOutcome| sink.lock().push(outcome.clone()));
    let mut settings = settings.to_vec();
    settings.push(("delivery.timeout.ms", "120000"));
    let producer = Producer::with_handler(producer(&properties, &settings), handler);
    let handle = producer.topic(&topic).await.unwrap();
    let value = [b'x'; 1000];
    // Fifteen times the memory there is: appends must wait for answers.
    for token in 0..1_000 {
        let record = Record {
            token: Some(token),
            ..Record::value(&value)
        };
        producer.append(&handle, &record).await.unwrap();
    }
    producer.flush().await;
    let mut tokens: Vec<u64> = Vec::new();
    for outcome in outcomes.lock().iter() {
        assert!(outcome.result.is_ok() && outcome.tokens.len() == outcome.count);
        assert!(outcome.base_offset >= 0 && outcome.tokens.is_sorted());
        tokens.extend(&outcome.tokens);
    }
    tokens.sort_unstable();
    assert_eq!(tokens, (0..1_000).collect::<Vec<_>>());
    producer.close().await;
}

#[tokio::test]
async fn what_cannot_be_sent_fails_with_a_reason() {
    let Some(properties) = broker("what_cannot_be_sent_fails_with_a_reason") else {
        return;
    };
    let topic = new_topic(&properties, "refused", 1).await;
    let settings = [("max.block.ms", "300"), ("max.request.size", "2000")];
    let producer = Producer::new(producer(&properties, &settings));
    let large = producer
        .send(&topic, &Record::value(&[0; 3000]))
        .await
        .unwrap_err();
    let expected = "which is larger than 2000, which is the value of the max.request.size";
    assert!(large.to_string().contains(expected), "{large}");
    let record = Record {
        partition: Some(7),
        ..Record::value(b"v")
    };
    let missing = producer.send(&topic, &record).await.unwrap_err();
    let expected = format!(
        "Partition 7 of topic {topic} with partition count 1 is not present in metadata after 300 ms."
    );
    assert_eq!(missing.to_string(), expected);
    let invalid = producer
        .send("a/b", &Record::value(b"v"))
        .await
        .unwrap_err();
    assert_eq!(invalid.to_string(), "Invalid topics: [a/b]");
    producer.close().await;
}

#[tokio::test]
async fn a_topic_is_created_on_the_way() {
    let Some(properties) = broker("a_topic_is_created_on_the_way") else {
        return;
    };
    let topic = unique("auto");
    let producer = Producer::new(producer(&properties, &[]));
    let sent = producer.send(&topic, &Record::value(b"v")).await.unwrap();
    assert_eq!((sent.partition, sent.offset), (0, 0));
    producer.close().await;
}

/// A batch that is larger than the topic allows is split; its records keep their handles.
#[tokio::test]
async fn too_large_a_batch_is_split() {
    let Some(properties) = broker("too_large_a_batch_is_split") else {
        return;
    };
    let topic =
        super::new_topic_with(&properties, "split", 1, &[("max.message.bytes", "2000")]).await;
    let settings = [("linger.ms", "1000"), ("batch.size", "16000")];
    let producer = Producer::new(producer(&properties, &settings));
    let handle = producer.topic(&topic).await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..12 {
        let value = format!("{n:>700}");
        let record = Record::value(value.as_bytes());
        deliveries.push(producer.enqueue(&handle, &record).await.unwrap());
    }
    let alone = producer
        .enqueue(&handle, &Record::value(&[b'x'; 3000]))
        .await
        .unwrap();
    producer.flush().await;
    for (offset, delivery) in deliveries.into_iter().enumerate() {
        assert_eq!(delivery.wait().await.unwrap().offset, offset as i64);
    }
    let refused = alone.wait().await.unwrap_err();
    assert_eq!(refused.exception(), "RecordTooLargeException");
    producer.close().await;
    let read = read_all(&properties, &topic, 12).await;
    let order: Vec<_> = read
        .iter()
        .map(|r| r.value.as_deref().unwrap().trim().to_owned())
        .collect();
    assert_eq!(order, (0..12).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn without_a_broker_appends_time_out_and_batches_expire() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let text = format!("bootstrap.servers=127.0.0.1:{port}\nmax.block.ms=200");
    let properties = Properties::parse(&text).unwrap();
    let producer = Producer::new(producer(&properties, &[]));
    let late = producer.send("t", &Record::value(b"v")).await.unwrap_err();
    assert_eq!(
        late.to_string(),
        "Topic t not present in metadata after 200 ms."
    );
    tokio::time::timeout(Duration::from_secs(5), producer.close())
        .await
        .unwrap();
}
