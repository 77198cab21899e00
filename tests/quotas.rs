//! Clients that use more than their quotas allow are told to wait, and are left alone meanwhile.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use kafkars::protocol::messages::*;
use support::genuine::Genuine;
use support::wire::{
    Connection, FETCH_BY_NAME, PRODUCE_BY_NAME, batch, fetch_request, produce_request,
};
use support::{Broker, Setup, until};

const THROTTLING_QUOTA_EXCEEDED: i16 = 89;
/// What connections of the tests call themselves.
const CLIENT: (&str, Option<&str>) = ("client-id", Some("test"));

/// Two seconds' worth may pass at once.
fn start() -> Broker {
    Setup::default()
        .set("quota.window.num", 3)
        .set("controller.quota.window.num", 2)
        .start()
}

/// Sets a quota, or removes it.
fn alter(c: &mut Connection, entity: (&str, Option<&str>), key: &str, value: Option<f64>) {
    use alter_client_quotas_request::{EntityData, EntryData, OpData};
    let request = AlterClientQuotasRequest {
        entries: vec![EntryData {
            entity: vec![EntityData {
                entity_type: entity.0.to_owned(),
                entity_name: entity.1.map(str::to_owned),
            }],
            ops: vec![OpData {
                key: key.to_owned(),
                value: value.unwrap_or_default(),
                remove: value.is_none(),
            }],
        }],
        validate_only: false,
    };
    assert_eq!(c.ask(&request, 1).entries[0].error_code, 0);
}

#[test]
fn a_producer_is_held_to_its_rate() {
    const RATE: f64 = 400_000.0;
    const SIZE: usize = 100_000;
    const COUNT: usize = 24;
    /// From the answer's leaving to the next request's, on a busy machine.
    const ON_THE_WAY_MS: i32 = 50;
    let broker = start();
    let mut c = Connection::open(broker.port);
    c.create_topic("t", 1, &[]);
    alter(&mut c, CLIENT, "producer_byte_rate", Some(RATE));
    let began = Instant::now();
    let value = vec![7; SIZE];
    let mut throttled = 0;
    for _ in 0..COUNT {
        let sent = Instant::now();
        let request = produce_request("t", 0, batch(&[&value]));
        let response = c.ask(&request, PRODUCE_BY_NAME);
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
        // The answer to this one comes once the wait for the one before is over, which began as that left the broker.
        let waited = i32::try_from(sent.elapsed().as_millis()).unwrap();
        assert!(
            waited + ON_THE_WAY_MS >= throttled,
            "{waited} ms after being told {throttled}"
        );
        throttled = response.throttle_time_ms;
    }
    let seconds = began.elapsed().as_secs_f64();
    let expected = (SIZE * COUNT) as f64 / RATE - 2.0;
    assert!(throttled > 0);
    assert!(
        seconds >= expected * 0.9 - 1.0,
        "{seconds} s instead of {expected}"
    );
    assert!(
        seconds <= expected * 1.5 + 3.0,
        "{seconds} s instead of {expected}"
    );
    // Nothing is left of it once it is removed.
    alter(&mut c, CLIENT, "producer_byte_rate", None);
    let request = produce_request("t", 0, batch(&[&value]));
    assert_eq!(c.ask(&request, PRODUCE_BY_NAME).throttle_time_ms, 0);
}

#[test]
fn a_fetch_beyond_the_rate_is_answered_later() {
    let broker = start();
    let mut c = Connection::open(broker.port);
    c.create_topic("t", 1, &[]);
    for _ in 0..8 {
        assert_eq!(c.produce("t", 0, batch(&[&vec![7; 50_000]])).0, 0);
    }
    // Two batches at once are within two seconds' worth.
    alter(&mut c, CLIENT, "consumer_byte_rate", Some(60_000.0));
    let (mut offset, mut throttled) = (0, 0);
    until("all has been fetched", || {
        let response = c.ask(&fetch_request("t", 0, offset, false), FETCH_BY_NAME);
        if response.throttle_time_ms > 0 {
            assert!(response.responses.is_empty(), "{response:?}");
            throttled += 1;
            return None;
        }
        let records = response.responses[0].partitions[0].records.clone();
        let Some(kafkars::protocol::Records::Bytes(bytes)) = records else {
            panic!("nothing at {offset}");
        };
        let batches = kafkars::record::batches(&bytes).flatten().count();
        assert!(batches <= 3, "{batches} batches at once");
        offset += i64::try_from(batches).unwrap();
        (offset == 8).then_some(())
    });
    assert!(throttled > 0);
}

#[test]
fn time_on_the_threads_is_limited_for_all_requests() {
    let broker = start();
    let mut c = Connection::open(broker.port);
    alter(&mut c, ("user", None), "request_percentage", Some(0.0001));
    let request = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let throttled = until("a request is throttled", || {
        let ms = c.ask(&request, 12).throttle_time_ms;
        (ms > 0).then_some(ms)
    });
    assert!(throttled <= 1000, "more than a window: {throttled}");
    alter(&mut c, ("user", None), "request_percentage", None);
}

fn create(name: &str, partitions: i32) -> CreateTopicsRequest {
    CreateTopicsRequest {
        topics: vec![create_topics_request::CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: 1,
            ..Default::default()
        }],
        timeout_ms: 30_000,
        ..Default::default()
    }
}

#[test]
fn partitions_are_created_at_the_rate_that_is_set() {
    let broker = start();
    let mut c = Connection::open(broker.port);
    alter(&mut c, CLIENT, "controller_mutation_rate", Some(2.0));
    // Four are there, and some may be owed.
    let first = c.ask(&create("first", 8), 7);
    assert_eq!(first.topics[0].error_code, 0);
    assert!(first.throttle_time_ms > 0);
    // Another connection is not held up, and refused.
    let mut other = Connection::open(broker.port);
    let refused = other.ask(&create("second", 1), 7);
    assert_eq!(refused.topics[0].error_code, THROTTLING_QUOTA_EXCEEDED);
    assert!(refused.throttle_time_ms > 0);
    assert!(!Connection::open(broker.port).topics().contains("second"));
    // Clients that do not know the error wait instead.
    let old = Connection::open(broker.port).ask(&create("third", 1), 5);
    assert_eq!(old.topics[0].error_code, 0);
    assert!(old.throttle_time_ms > 0);
    let grow = CreatePartitionsRequest {
        topics: vec![create_partitions_request::CreatePartitionsTopic {
            name: "first".to_owned(),
            count: 9,
            assignments: None,
        }],
        timeout_ms: 1000,
        validate_only: false,
    };
    let refused = Connection::open(broker.port).ask(&grow, 3);
    assert_eq!(refused.results[0].error_code, THROTTLING_QUOTA_EXCEEDED);
    let delete = DeleteTopicsRequest {
        topics: vec![delete_topics_request::DeleteTopicState {
            name: Some("first".to_owned()),
            ..Default::default()
        }],
        timeout_ms: 1000,
        ..Default::default()
    };
    let refused = Connection::open(broker.port).ask(&delete, 6);
    assert_eq!(refused.responses[0].error_code, THROTTLING_QUOTA_EXCEEDED);
    // In time all is paid.
    until("a topic can be created again", || {
        let created = Connection::open(broker.port).ask(&create("fourth", 1), 7);
        (created.topics[0].error_code == 0).then_some(())
    });
}

#[test]
fn an_address_opens_so_many_connections_a_second() {
    let broker = start();
    let mut c = Connection::open(broker.port);
    alter(
        &mut c,
        ("ip", Some("127.0.0.1")),
        "connection_creation_rate",
        Some(1.0),
    );
    let connect = |_| {
        let mut stream = TcpStream::connect(("127.0.0.1", broker.port)).unwrap();
        let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
        stream.write_all(&request).unwrap();
        stream
    };
    let streams: Vec<TcpStream> = (0..6).map(connect).collect();
    // Who is not served is cut off within a window, without an answer.
    let is_served = |mut stream: &TcpStream| matches!(stream.read(&mut [0; 4]), Ok(4));
    let served = streams.iter().filter(|stream| is_served(stream)).count();
    assert!((1..6).contains(&served), "{served} of 6 are served");
    alter(
        &mut c,
        ("ip", Some("127.0.0.1")),
        "connection_creation_rate",
        None,
    );
    Connection::open(broker.port).topics();
}

#[test]
fn javas_producer_is_held_to_its_rate() {
    const RATE: f64 = 500_000.0;
    let Some(genuine) = Genuine::find("javas_producer_is_held_to_its_rate") else {
        return;
    };
    let broker = start();
    let mut c = Connection::open(broker.port);
    c.create_topic("t", 1, &[]);
    alter(
        &mut c,
        ("client-id", Some("java")),
        "producer_byte_rate",
        Some(RATE),
    );
    let bootstrap = format!("bootstrap.servers={}", broker.bootstrap());
    let args = [
        "--topic",
        "t",
        "--num-records",
        "4000",
        "--record-size",
        "1000",
        "--throughput",
        "-1",
        "--command-property",
        &bootstrap,
        "client.id=java",
        "acks=all",
    ];
    let began = Instant::now();
    let shown = genuine.tool("producer-perf-test", &args, b"").ok();
    let seconds = began.elapsed().as_secs_f64();
    assert!(shown.contains("4000 records sent"), "{shown}");
    assert_eq!(c.offset("t", 0, -1, false).0, 4000);
    // Two seconds' worth pass at once; what follows does so at the rate.
    let expected = 4_000_000.0 / RATE - 2.0;
    assert!(
        seconds >= expected * 0.9,
        "{seconds} s instead of {expected}"
    );
    assert!(
        seconds <= expected * 2.0 + 10.0,
        "{seconds} s instead of {expected}"
    );
}
