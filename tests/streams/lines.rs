//! The lines that the applications count, and the plain computation of what they make of them.

use std::collections::BTreeMap;
use std::ops::Range;

use kafkars::record::{BatchBuilder, BatchMeta};

use crate::support::Broker;
use crate::support::wire::Connection;

pub const TOPIC: &str = "lines";
pub const PARTITIONS: i32 = 3;
const WORDS: [&str; 7] = ["all", "streams", "lead", "to", "kafka", "and", "back"];
pub const WORDS_PER_LINE: usize = 3;
const LINES_PER_BATCH: usize = 1000;
const MS_PER_LINE: i64 = 37;

/// A line: where it goes, when it was written, its key and its words.
pub struct Line {
    partition: i32,
    timestamp_ms: i64,
    key: String,
    text: String,
}

/// The lines of the test; those of one key are in one partition, in order of time.
pub fn lines(since_ms: i64, numbers: Range<usize>) -> Vec<Line> {
    let line = |n: usize| Line {
        partition: (n % 5) as i32 % PARTITIONS,
        timestamp_ms: since_ms + n as i64 * MS_PER_LINE,
        key: format!("key{}", n % 5),
        text: [WORDS[n % 7], WORDS[n * n % 7], WORDS[n / 7 % 7]].join(" "),
    };
    numbers.map(line).collect()
}

/// As [`lines`], the last of them written now: a broker refuses those that are written an hour from now.
pub fn lines_until(now_ms: i64, count: usize) -> Vec<Line> {
    lines(now_ms - count as i64 * MS_PER_LINE, 0..count)
}

impl Line {
    /// The same work goes on after `lines`.
    pub fn after(lines: &[Line], count: usize) -> Vec<Line> {
        self::lines(lines[0].timestamp_ms, lines.len()..lines.len() + count)
    }
}

/// What the application makes of them: how often each word, and each key in each second.
pub fn expected(lines: &[Line]) -> [BTreeMap<String, usize>; 2] {
    let (mut counts, mut windows) = (BTreeMap::new(), BTreeMap::new());
    for line in lines {
        for word in line.text.split(' ') {
            *counts.entry(word.to_owned()).or_default() += 1;
        }
        let window = format!("{}@{}", line.key, line.timestamp_ms / 1000);
        *windows.entry(window).or_default() += 1;
    }
    [counts, windows]
}

pub fn write(broker: &Broker, lines: &[Line]) {
    let mut connection = Connection::open(broker.port);
    for lines in lines.chunks(LINES_PER_BATCH) {
        for partition in 0..PARTITIONS {
            let mut builder = BatchBuilder::new();
            for line in lines.iter().filter(|line| line.partition == partition) {
                let (key, text) = (line.key.as_bytes(), line.text.as_bytes());
                builder
                    .append(line.timestamp_ms, Some(key), Some(text), &[])
                    .unwrap();
            }
            let batch = builder.finish(&BatchMeta::default()).unwrap();
            assert_eq!(connection.produce(TOPIC, partition, batch).0, 0);
        }
    }
}
