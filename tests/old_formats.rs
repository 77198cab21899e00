//! Segments in the message formats of before Kafka 0.11, in a directory that an upgraded cluster left: served as they
//! are stored, found by timestamp, and indexed as genuine Kafka does.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use kafkars::protocol::Records;
use kafkars::record::legacy::build::{Message, MessageFormat};
use kafkars::record::{Compression, TimestampType, stored_batches};
use support::genuine::Genuine;
use support::wire::{
    Connection, FETCH_BY_NAME, PRODUCE_BY_NAME, batch, fetch_request, produce_request,
};
use support::{Broker, Setup};

const OLD_MS: i64 = 1_400_000_000_000;
/// In each segment of old messages.
const RECORDS: i64 = 200;
const TOPICS: [&str; 3] = ["v0", "v1", "mixed"];

fn format(magic: u8, compression: Compression, timestamp_type: TimestampType) -> MessageFormat {
    MessageFormat {
        magic,
        compression,
        timestamp_type,
        append_time: -1,
    }
}

/// [`RECORDS`] messages from `base` on: some plain, the others ten at a time in wrappers of every codec of the time.
fn segment(magic: u8, base: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let value = |n: i64| format!("value {n} {}", "x".repeat(100)).into_bytes();
    let formats = [
        format(magic, Compression::None, TimestampType::Create),
        format(magic, Compression::Gzip, TimestampType::Create),
        format(magic, Compression::Snappy, TimestampType::Create),
        format(magic, Compression::Lz4, TimestampType::Create),
        format(magic, Compression::Gzip, TimestampType::LogAppend),
    ];
    for (n, format) in (0..RECORDS / 10).zip(formats.iter().cycle()) {
        let offsets = base + n * 10..base + n * 10 + 10;
        let values: Vec<Vec<u8>> = offsets.clone().map(value).collect();
        let messages = offsets.zip(&values).map(|(offset, value)| Message {
            offset,
            timestamp: OLD_MS + offset * 1000,
            key: (offset % 3 > 0).then_some(b"key"),
            value: (offset % 7 > 0).then_some(value),
        });
        let format = MessageFormat {
            append_time: OLD_MS + (base + n * 10 + 9) * 1000,
            ..*format
        };
        format.write(messages, &mut bytes).unwrap();
    }
    bytes
}

/// Makes a directory with old segments, as after a crash: nothing but the logs themselves is there.
fn lay(dir: &Path) {
    let mut broker = Setup::at(dir).start();
    let mut c = Connection::open(broker.port);
    for topic in TOPICS {
        c.create_topic(
            topic,
            1,
            &[("retention.ms", "-1"), ("index.interval.bytes", "500")],
        );
    }
    assert!(broker.stop().success());
    let data = dir.join("data");
    fs::remove_file(data.join(".kafka_cleanshutdown")).unwrap();
    fs::remove_file(data.join("recovery-point-offset-checkpoint")).unwrap();
    for (topic, segments) in [
        ("v0", vec![(0, 0)]),
        ("v1", vec![(1, 0)]),
        ("mixed", vec![(0, 0), (1, RECORDS)]),
    ] {
        let partition = data.join(format!("{topic}-0"));
        for entry in fs::read_dir(&partition).unwrap() {
            let path = entry.unwrap().path();
            if !path.ends_with("partition.metadata") {
                fs::remove_file(path).unwrap();
            }
        }
        for (magic, base) in segments {
            let path = partition.join(format!("{base:020}.log"));
            fs::write(&path, segment(magic, base)).unwrap();
            // Written long ago: for magic 0 that is all the time there is.
            let file = fs::File::options().append(true).open(&path).unwrap();
            let written = UNIX_EPOCH + Duration::from_millis(OLD_MS as u64 - 10_000);
            file.set_modified(written).unwrap();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            let file = fs::File::options().append(true).open(&target).unwrap();
            file.set_modified(modified).unwrap();
        }
    }
}

/// What a broker makes of the directory.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// (topic, fetch offset) → error code and what is served.
    fetched: BTreeMap<(String, i64), (i16, Vec<u8>)>,
    /// (topic, timestamp) → offset and timestamp.
    offsets: BTreeMap<(String, i64), (i64, i64)>,
    /// The answers to a message set of each old magic, produced.
    refused: Vec<(i16, Option<String>)>,
    /// What a console consumer prints of each topic.
    printed: BTreeMap<String, String>,
}

fn look(broker: &Broker, genuine: Option<&Genuine>) -> Seen {
    let mut seen = Seen::default();
    let mut c = Connection::open(broker.port);
    for topic in TOPICS {
        let (end, _) = c.offset(topic, 0, -1, false);
        for offset in [
            0, 1, 9, 10, 14, 25, 57, 99, 131, 199, 200, 201, 263, 399, 400, 401,
        ] {
            if offset <= end {
                let request = fetch_request(topic, 0, offset, offset % 2 == 0);
                let mut response = c.ask(&request, FETCH_BY_NAME);
                let data = response.responses.remove(0).partitions.remove(0);
                let bytes = match data.records {
                    Some(Records::Bytes(bytes)) => bytes.to_vec(),
                    _ => Vec::new(),
                };
                let key = (topic.to_owned(), offset);
                seen.fetched.insert(key, (data.error_code, bytes));
            }
        }
        let times = [
            0, 1, 9, 10, 14, 25, 57, 99, 131, 199, 200, 263, 399, 400, 999,
        ];
        let times = times.map(|n| OLD_MS + n * 1000 - 1);
        for at in [-1, -2, -3, -4, 0].into_iter().chain(times) {
            let found = c.offset(topic, 0, at, false);
            seen.offsets.insert((topic.to_owned(), at), found);
        }
        let printed = print(broker, genuine, topic, end);
        seen.printed.insert(topic.to_owned(), printed);
    }
    for magic in [0, 1] {
        let mut set = Vec::new();
        let message = Message {
            offset: 0,
            timestamp: OLD_MS,
            key: None,
            value: Some(b"new in an old format"),
        };
        let plain = format(magic, Compression::None, TimestampType::Create);
        plain.write([message], &mut set).unwrap();
        let request = produce_request("v1", 0, Bytes::from(set));
        let mut response = c.ask(&request, PRODUCE_BY_NAME);
        let answer = response.responses.remove(0).partition_responses.remove(0);
        let message = answer.error_message.map(|message| message.to_string());
        seen.refused.push((answer.error_code, message));
    }
    seen
}

fn print(broker: &Broker, genuine: Option<&Genuine>, topic: &str, count: i64) -> String {
    let bootstrap = broker.bootstrap();
    let count = count.to_string();
    let mut args = vec![
        "--bootstrap-server",
        &bootstrap,
        "--topic",
        topic,
        "--from-beginning",
    ];
    args.extend(["--max-messages", &count, "--timeout-ms", "60000"]);
    for what in ["timestamp", "offset", "key"] {
        args.push("--formatter-property");
        args.push(match what {
            "timestamp" => "print.timestamp=true",
            "offset" => "print.offset=true",
            _ => "print.key=true",
        });
    }
    match genuine {
        Some(genuine) => genuine.tool("console-consumer", &args, b"").ok(),
        None => {
            args.insert(0, "console-consumer");
            support::tool(&args, b"").ok()
        }
    }
}

/// Appends a batch to each topic.
fn append(broker: &Broker) {
    let mut c = Connection::open(broker.port);
    for topic in TOPICS {
        let (end, _) = c.offset(topic, 0, -1, false);
        assert_eq!(c.produce(topic, 0, batch(&[b"new"])), (0, end), "{topic}");
        assert_eq!(c.offset(topic, 0, -1, false).0, end + 1);
    }
}

/// The index files of the segments that took nothing new. (Magic 0 does not age: that of `v0` was not rolled.)
fn indexes(data: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for (topic, base) in [("v1", 0), ("mixed", 0), ("mixed", RECORDS)] {
        for suffix in ["index", "timeindex"] {
            let name = format!("{topic}-0/{base:020}.{suffix}");
            let bytes = fs::read(data.join(&name)).unwrap();
            found.insert(name, bytes);
        }
    }
    found
}

/// What must be served of a topic, by the bytes that were laid.
fn expect(seen: &Seen) {
    for ((topic, offset), (error, bytes)) in &seen.fetched {
        assert_eq!(*error, 0, "{topic} at {offset}");
        let stored = match (topic.as_str(), *offset) {
            ("v0", _) => segment(0, 0),
            ("v1", _) => segment(1, 0),
            (_, 0..RECORDS) => segment(0, 0),
            _ => segment(1, RECORDS),
        };
        if *offset % RECORDS > 0 || !bytes.is_empty() {
            assert!(
                stored.ends_with(bytes),
                "{topic} at {offset} is served as stored"
            );
            let first = stored_batches(bytes).next().unwrap().unwrap();
            assert!(
                first.header().last_offset() >= *offset,
                "{topic} at {offset}"
            );
            let records = first.records().unwrap();
            let base = records.iter().next().unwrap().unwrap().offset;
            assert!(base <= *offset, "{topic} at {offset}");
        }
    }
    let at = |topic: &str, n: i64| seen.offsets[&(topic.to_owned(), OLD_MS + n * 1000 - 1)];
    assert_eq!(at("v1", 57), (57, OLD_MS + 57_000));
    assert_eq!(at("mixed", 263), (263, OLD_MS + 263_000));
    assert_eq!(at("v0", 57), (-1, -1), "magic 0 has no timestamps");
    let lines = |topic: &str| seen.printed[topic].lines().count();
    assert_eq!(TOPICS.map(lines), [200, 200, 400]);
    assert!(
        seen.printed["v0"].starts_with("NO_TIMESTAMP\tOffset:0\t"),
        "{}",
        seen.printed["v0"]
    );
}

#[test]
fn a_directory_of_an_old_cluster_is_served_as_it_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (dir.path().join("ours"), dir.path().join("theirs"));
    lay(&ours);
    copy(&ours, &theirs);
    let mut broker = Setup::at(&ours).start();
    let seen = look(&broker, None);
    expect(&seen);
    append(&broker);
    assert!(broker.stop().success());
    let mut broker = Setup::at(&ours).start();
    let again = look(&broker, None);
    assert_eq!(again.fetched[&("v1".to_owned(), 25)].0, 0);
    assert!(again.printed["v1"].starts_with(&seen.printed["v1"]));
    broker.stop();

    let Some(genuine) = Genuine::find("old formats are served as Apache Kafka does") else {
        return;
    };
    let mut broker = Setup::at(&theirs).start_genuine(&genuine);
    let mut judge = look(&broker, Some(&genuine));
    // Kafka takes the time of the file for that of a segment without timestamps, searches no other, and finds nothing.
    let before_all = ("mixed".to_owned(), 0);
    let differs = judge
        .offsets
        .insert(before_all.clone(), seen.offsets[&before_all]);
    assert_eq!(differs, Some((-1, -1)));
    assert_eq!(
        seen.offsets[&before_all],
        (RECORDS, OLD_MS + RECORDS * 1000)
    );
    assert_eq!(seen.offsets, judge.offsets);
    for (at, found) in &judge.fetched {
        assert!(seen.fetched[at] == *found, "fetch of {at:?}");
    }
    assert_eq!(seen.printed, judge.printed);
    assert_eq!(seen.refused, judge.refused);
    append(&broker);
    broker.stop();
    let (mine, judged) = (indexes(&ours.join("data")), indexes(&theirs.join("data")));
    for (name, bytes) in &judged {
        assert_eq!(mine[name], *bytes, "{name}");
    }
}
