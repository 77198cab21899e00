//! What each of the two does in its turn: every codec, keys, tombstones, headers, rolls, compaction, retention, deleted
//! records, committed offsets, consumers of a classic group, changed configurations, topics that come, grow and go.

use std::collections::BTreeSet;
use std::fs;

use kafkars::protocol::messages::*;
use kafkars::record::{BatchMeta, Compression};

use crate::Dirs;
use crate::contents::{BROKER, Contents, Policy, Sent, TOPIC, batch_of, packed_in};
use crate::support::wire::{Connection, now_ms};
use crate::support::{Broker, until};

pub const GROUP: &str = "readers";
const MEMBERS: &str = "members";
/// Batches of a turn for the compacted topics.
const CLEANED: i64 = 15;
/// Records of a batch there.
const KEYS: i64 = 6;

pub fn create_topics(c: &mut Connection, contents: &mut Contents) {
    // From the start: the feature eligible.leader.replicas.version wants it.
    let elr = ("min.insync.replicas".to_owned(), "1".to_owned());
    let cluster = (BROKER, String::new());
    contents.configs.insert(cluster, [elr].into());
    let mut create = |topic, partitions, configs: &[(&str, &str)]| {
        contents.create(c, topic, partitions, configs);
    };
    create("plain", 3, &[("retention.ms", "-1")]);
    create("packed", 1, &[]);
    create("gzipped", 1, &[("compression.type", "gzip")]);
    create("as-zstd", 1, &[("compression.type", "zstd")]);
    create("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]);
    create("rolled", 1, &[("segment.bytes", "1048576")]);
    create("trimmed", 1, &[]);
    create("growing", 1, &[]);
    create("queue", 2, &[]);
    let moments = ("segment.ms", "500");
    create("kept", 1, &[("cleanup.policy", "compact"), moments]);
    create(
        "fading",
        1,
        &[
            ("cleanup.policy", "compact,delete"),
            ("retention.bytes", "1"),
            moments,
        ],
    );
}

/// One turn's load.
pub fn run(broker: &Broker, dirs: &Dirs, contents: &mut Contents, turn: i64) {
    let c = &mut Connection::open(broker.port);
    write_plainly(c, contents, turn);
    trim(c, contents, turn);
    grow(c, contents, turn);
    come_and_go(c, contents, turn);
    change_configs(c, contents, turn);
    consume(broker, c, contents, turn);
    for topic in ["kept", "fading"] {
        write_keys(c, contents, topic, turn);
    }
    until_cleaned(c, dirs, "kept");
    until_faded(c, contents);
    let places: Vec<_> = contents.partitions.keys().cloned().collect();
    for (topic, partition) in places {
        contents.commit(c, GROUP, &topic, partition);
    }
}

fn write_plainly(c: &mut Connection, contents: &mut Contents, turn: i64) {
    let records = |topic: &str, partition: i32| {
        let text = format!("{topic}-{partition} in turn {turn}");
        let nothing = Sent {
            key: None,
            value: None,
            timestamp: now_ms(),
        };
        let keyless = Sent {
            key: None,
            ..Sent::new("", &text)
        };
        [
            Sent::new("k", &text),
            Sent::new("", ""),
            Sent::new("long", &text.repeat(50)),
            keyless,
            nothing,
        ]
    };
    for compression in Compression::ALL {
        for (topic, partition) in [
            ("plain", 0),
            ("plain", 1),
            ("plain", 2),
            ("packed", 0),
            ("gzipped", 0),
            ("as-zstd", 0),
            ("stamped", 0),
            ("trimmed", 0),
        ] {
            let records = records(topic, partition);
            contents.write(c, (topic, partition), &records, &packed_in(compression));
        }
    }
    // Some segments, with entries in their indexes.
    let value = "y".repeat(10_000);
    let batches = if turn == 0 { 250 } else { 60 };
    let records = [Sent::new("k", &value)];
    let mut base = None;
    let mut sent = Vec::new();
    for _ in 0..batches {
        let batch = batch_of(&records, &BatchMeta::default());
        let (error, at) = c.produce("rolled", 0, batch);
        assert_eq!(error, 0, "rolled");
        base.get_or_insert(at);
        sent.push(Sent::new("k", &value));
    }
    contents.take(c, ("rolled", 0), &sent, base.unwrap());
}

/// Deletes the older half of what there is.
fn trim(c: &mut Connection, contents: &mut Contents, turn: i64) {
    use delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
    let written = contents.written("trimmed", 0);
    // In the middle of a batch.
    let offset = written.rows.last().unwrap().offset - 7 - turn % 3;
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: "trimmed".to_owned(),
            partitions: vec![DeleteRecordsPartition {
                partition_index: 0,
                offset,
            }],
        }],
        timeout_ms: 30_000,
    };
    let response = c.ask(&request, 2);
    let answered = &response.topics[0].partitions[0];
    assert_eq!((answered.error_code, answered.low_watermark), (0, offset));
    written.start = offset;
}

fn grow(c: &mut Connection, contents: &mut Contents, turn: i64) {
    let count = i32::try_from(turn).unwrap() + 2;
    let request = CreatePartitionsRequest {
        topics: vec![create_partitions_request::CreatePartitionsTopic {
            name: "growing".to_owned(),
            count,
            assignments: None,
        }],
        timeout_ms: 30_000,
        ..Default::default()
    };
    let response = c.ask(&request, 3).results.remove(0);
    assert_eq!(response.error_code, 0, "{response:?}");
    contents.add("growing", count - 1, Policy::Keep);
    c.until_led();
    for partition in 0..count {
        let records = [Sent::new("k", &format!("growing in turn {turn}"))];
        contents.write(c, ("growing", partition), &records, &BatchMeta::default());
    }
}

/// A topic of each turn lives until the next.
fn come_and_go(c: &mut Connection, contents: &mut Contents, turn: i64) {
    let name = format!("made-{turn}");
    contents.create(c, &name, 2, &[("max.message.bytes", "70000")]);
    c.until_led();
    let records = [Sent::new("k", &name)];
    contents.write(c, (&name, 1), &records, &BatchMeta::default());
    if turn > 0 {
        let before = format!("made-{}", turn - 1);
        let request = DeleteTopicsRequest {
            topic_names: vec![before.clone()],
            timeout_ms: 30_000,
            ..Default::default()
        };
        assert_eq!(c.ask(&request, 5).responses[0].error_code, 0, "{before}");
        contents.forget(&before);
        until("the topic's directories are put aside", || {
            (!c.topics().contains(&before)).then_some(())
        });
    }
}

fn change_configs(c: &mut Connection, contents: &mut Contents, turn: i64) {
    let value = (1_000_000 + turn).to_string();
    contents.configure(c, (TOPIC, "plain"), "max.message.bytes", &value);
    let index = ["segment.index.bytes", "flush.messages", "retention.bytes"];
    let key = index[turn as usize % index.len()];
    contents.configure(
        c,
        (TOPIC, "growing"),
        key,
        &(100_000_000 + turn).to_string(),
    );
    contents.configure(c, (BROKER, ""), "message.max.bytes", &value);
}

/// A console consumer reads what is new to its group.
fn consume(broker: &Broker, c: &mut Connection, contents: &mut Contents, turn: i64) {
    let mut expected = BTreeSet::new();
    for partition in 0..2 {
        let records: Vec<Sent> = (0..5)
            .map(|n| Sent::new("k", &format!("queue-{partition} {turn} {n}")))
            .collect();
        expected.extend(records.iter().filter_map(|sent| sent.value.clone()));
        contents.write(
            c,
            ("queue", partition),
            &records,
            &packed_in(Compression::Lz4),
        );
    }
    let ran = broker.tool(
        &[
            "console-consumer",
            "--topic=queue",
            &format!("--group={MEMBERS}"),
            "--from-beginning",
            "--max-messages=10",
            "--timeout-ms=30000",
        ],
        b"",
    );
    let printed: BTreeSet<String> = ran.ok().lines().map(str::to_owned).collect();
    assert_eq!(printed, expected, "turn {turn}");
    for partition in 0..2 {
        let (end, _) = c.offset("queue", partition, -1, false);
        contents.note_commit(MEMBERS, "queue", partition, end);
    }
}

/// Batches that each get a segment: most keys were there before, some are new, one is deleted.
fn write_keys(c: &mut Connection, contents: &mut Contents, topic: &str, turn: i64) {
    for (at, compression) in (0..CLEANED).zip(Compression::ALL.into_iter().cycle()) {
        let timestamp = now_ms() - 3_600_000 + turn * 60_000 + at * 1000;
        let again = (0..KEYS - 2).map(|key| (format!("k{key}"), Some(format!("{turn} {at}"))));
        let once = (format!("once {turn} {at}"), Some("stays".to_owned()));
        let gone = ("gone".to_owned(), None);
        let records: Vec<Sent> = again
            .chain([once, gone])
            .map(|(key, value)| Sent {
                key: Some(key),
                value,
                timestamp,
            })
            .collect();
        contents.write(c, (topic, 0), &records, &packed_in(compression));
    }
}

/// Waits until all but the newest batch is clean.
fn until_cleaned(c: &mut Connection, dirs: &Dirs, topic: &str) {
    let (end, _) = c.offset(topic, 0, -1, false);
    until("all is cleaned", || {
        let cleaned = dirs.all().iter().find_map(|dir| {
            let text = fs::read_to_string(dir.join("cleaner-offset-checkpoint")).ok()?;
            let start = format!("{topic} 0 ");
            let line = text.lines().find(|line| line.starts_with(&start))?;
            line.rsplit(' ').next()?.parse::<i64>().ok()
        });
        (cleaned == Some(end - KEYS)).then_some(())
    });
    // One of each key, the tombstone, and the newest batch.
    let rows = c.read(topic, 0, false);
    let keys: BTreeSet<_> = rows.iter().map(|row| &row.key).collect();
    assert!(rows.len() <= keys.len() + KEYS as usize, "{}", rows.len());
}

/// Waits until retention has taken what was before this turn.
fn until_faded(c: &mut Connection, contents: &mut Contents) {
    let rows = &contents.written("fading", 0).rows;
    let turns_first = rows[rows.len() - (CLEANED * KEYS) as usize].offset;
    until("retention has deleted segments", || {
        let (start, _) = c.offset("fading", 0, -2, false);
        (start > turns_first).then_some(())
    });
}
