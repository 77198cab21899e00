//! What a directory holds: every record that was written and is still to be there, committed offsets, configurations.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kafkars::protocol::messages::*;
use kafkars::record::{BatchBuilder, BatchMeta, Compression};

use crate::support::wire::{Connection, Row, now_ms};

/// A topic and a partition of it.
pub type Place = (String, i32);

/// Configuration resources, as the protocol numbers them.
pub const TOPIC: i8 = 2;
pub const BROKER: i8 = 4;

/// What becomes of a topic's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    Keep,
    /// `compact`, with or without `delete`: the newest of each key stays.
    Compact,
}

/// What was written to a partition.
#[derive(Debug)]
pub struct Written {
    policy: Policy,
    pub rows: Vec<Row>,
    /// Of aborted transactions.
    pub aborted: BTreeSet<i64>,
    /// Where the transaction starts that is still open.
    pub open: Option<i64>,
    /// Where DeleteRecords has put the start.
    pub start: i64,
}

impl Written {
    fn visible(&self, row: &Row, committed: bool) -> bool {
        !committed
            || !self.aborted.contains(&row.offset) && self.open.is_none_or(|open| row.offset < open)
    }
}

/// A record to be: key, value and time.
pub struct Sent {
    pub key: Option<String>,
    pub value: Option<String>,
    pub timestamp: i64,
}

impl Sent {
    pub fn new(key: &str, value: &str) -> Sent {
        Sent {
            key: Some(key.to_owned()),
            value: Some(value.to_owned()),
            timestamp: now_ms(),
        }
    }
}

/// A batch, with headers in some of its records.
pub fn batch_of(records: &[Sent], meta: &BatchMeta) -> Bytes {
    let mut builder = BatchBuilder::new();
    for (at, record) in records.iter().enumerate() {
        let headers: &[(&[u8], Option<&[u8]>)] = match at % 3 {
            0 => &[],
            1 => &[(b"trace", Some(b"1"))],
            _ => &[(b"empty", None), (b"trace", Some(b"2"))],
        };
        let bytes = |text: &Option<String>| text.clone().map(String::into_bytes);
        let (key, value) = (bytes(&record.key), bytes(&record.value));
        builder
            .append(record.timestamp, key.as_deref(), value.as_deref(), headers)
            .unwrap();
    }
    builder.finish(meta).unwrap()
}

pub fn packed_in(compression: Compression) -> BatchMeta {
    BatchMeta {
        compression,
        ..BatchMeta::default()
    }
}

#[derive(Default)]
pub struct Contents {
    pub partitions: BTreeMap<Place, Written>,
    /// group → committed offsets
    pub offsets: BTreeMap<String, BTreeMap<Place, i64>>,
    /// (resource type, name) → what was set there
    pub configs: BTreeMap<(i8, String), BTreeMap<String, String>>,
}

impl Contents {
    pub fn create(
        &mut self,
        c: &mut Connection,
        topic: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) {
        c.create_topic(topic, partitions, configs);
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let place = (TOPIC, topic.to_owned());
        self.configs
            .insert(place, configs.iter().map(owned).collect());
        let compacted =
            |(key, value): &(&str, &str)| *key == "cleanup.policy" && value.contains("compact");
        let policy = match configs.iter().any(compacted) {
            true => Policy::Compact,
            false => Policy::Keep,
        };
        (0..partitions).for_each(|partition| self.add(topic, partition, policy));
    }

    pub fn add(&mut self, topic: &str, partition: i32, policy: Policy) {
        let written = Written {
            policy,
            rows: Vec::new(),
            aborted: BTreeSet::new(),
            open: None,
            start: 0,
        };
        self.partitions
            .insert((topic.to_owned(), partition), written);
    }

    pub fn forget(&mut self, topic: &str) {
        self.partitions.retain(|(name, _), _| name != topic);
        self.configs.remove(&(TOPIC, topic.to_owned()));
        for offsets in self.offsets.values_mut() {
            offsets.retain(|(name, _), _| name != topic);
        }
    }

    pub fn written(&mut self, topic: &str, partition: i32) -> &mut Written {
        let place = (topic.to_owned(), partition);
        self.partitions.get_mut(&place).unwrap()
    }

    /// Produces a batch, reads it back and remembers it; its base offset.
    pub fn write(
        &mut self,
        c: &mut Connection,
        (topic, partition): (&str, i32),
        records: &[Sent],
        meta: &BatchMeta,
    ) -> i64 {
        let (error, base) = c.produce(topic, partition, batch_of(records, meta));
        assert_eq!(error, 0, "{topic}-{partition}");
        self.take(c, (topic, partition), records, base);
        base
    }

    /// Remembers what was written at `base`, as the broker has it: with its epoch and times.
    pub fn take(
        &mut self,
        c: &mut Connection,
        (topic, partition): (&str, i32),
        records: &[Sent],
        base: i64,
    ) {
        let rows = c.read_from(base, topic, partition, false);
        assert_eq!(rows.len(), records.len(), "{topic}-{partition} from {base}");
        for (row, sent) in rows.iter().zip(records) {
            let bytes = |text: &Option<String>| text.clone().map(String::into_bytes);
            assert_eq!(row.key, bytes(&sent.key), "{topic}-{partition}");
            assert_eq!(row.value, bytes(&sent.value), "{topic}-{partition}");
        }
        self.written(topic, partition).rows.extend(rows);
    }

    pub fn commit(&mut self, c: &mut Connection, group: &str, topic: &str, partition: i32) {
        let (end, _) = c.offset(topic, partition, -1, false);
        c.commit(group, topic, partition, end);
        self.note_commit(group, topic, partition, end);
    }

    pub fn note_commit(&mut self, group: &str, topic: &str, partition: i32, offset: i64) {
        let offsets = self.offsets.entry(group.to_owned()).or_default();
        offsets.insert((topic.to_owned(), partition), offset);
    }

    /// Sets a configuration of a resource that takes part in the check.
    pub fn configure(
        &mut self,
        c: &mut Connection,
        (resource_type, resource): (i8, &str),
        key: &str,
        value: &str,
    ) {
        configure(c, (resource_type, resource), key, value);
        let place = (resource_type, resource.to_owned());
        let configs = self.configs.entry(place).or_default();
        configs.insert(key.to_owned(), value.to_owned());
    }

    /// How many have been written.
    pub fn records(&self) -> usize {
        self.partitions
            .values()
            .map(|written| written.rows.len())
            .sum()
    }

    /// Asks for everything and compares it.
    pub fn check(&self, c: &mut Connection) {
        let topics: BTreeSet<String> = c.topics();
        let topics = topics.into_iter().filter(|name| !name.starts_with("__"));
        let known = self.partitions.keys().map(|(topic, _)| topic.clone());
        assert_eq!(
            topics.collect::<BTreeSet<_>>(),
            known.collect::<BTreeSet<_>>()
        );
        for (place, written) in &self.partitions {
            for committed in [false, true] {
                check_partition(c, place, written, committed);
            }
        }
        for (group, expected) in &self.offsets {
            let committed = c.committed(group).into_iter();
            let committed: BTreeMap<_, _> = committed.map(|(place, o)| (place, o.0)).collect();
            assert_eq!(committed, *expected, "{group}");
        }
        for ((resource_type, resource), expected) in &self.configs {
            let found = configured(c, *resource_type, resource);
            assert_eq!(found, *expected, "{resource_type} {resource:?}");
        }
    }
}

fn check_partition(c: &mut Connection, place: &Place, written: &Written, committed: bool) {
    let (topic, partition) = place;
    let shown = format!("{topic}-{partition}, read committed: {committed}");
    let found = c.read(topic, *partition, committed);
    let expected = || {
        let rows = written.rows.iter();
        rows.filter(|row| written.visible(row, committed))
    };
    if written.policy == Policy::Keep {
        let (start, _) = c.offset(topic, *partition, -2, false);
        assert_eq!(start, written.start, "{shown}");
        let expected: Vec<&Row> = expected().filter(|row| row.offset >= start).collect();
        let differs = found.iter().zip(&expected).find(|(a, b)| a != *b);
        assert_eq!(differs, None, "{shown}");
        assert_eq!(found.len(), expected.len(), "{shown}");
        return;
    }
    // Retention may have taken more since; what is above its start is compaction's.
    let (start, _) = c.offset(topic, *partition, -2, false);
    let sent: BTreeMap<i64, &Row> = expected().map(|row| (row.offset, row)).collect();
    for row in &found {
        assert_eq!(sent.get(&row.offset), Some(&row), "{shown}");
    }
    let found: BTreeSet<i64> = found.iter().map(|row| row.offset).collect();
    // Compaction looks at what was not aborted alone.
    let rows = written.rows.iter();
    let newest: BTreeMap<_, _> = rows
        .filter(|row| written.visible(row, true))
        .map(|row| (&row.key, row))
        .collect();
    for row in newest.values() {
        let stays = row.value.is_some() && row.offset >= start;
        assert!(
            !stays || found.contains(&row.offset),
            "{shown}: {row:?} is gone"
        );
    }
}

pub fn configure(
    c: &mut Connection,
    (resource_type, resource): (i8, &str),
    key: &str,
    value: &str,
) {
    use incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
    const SET: i8 = 0;
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type,
            resource_name: resource.to_owned(),
            configs: vec![AlterableConfig {
                name: key.to_owned(),
                config_operation: SET,
                value: Some(value.to_owned()),
            }],
        }],
        ..Default::default()
    };
    let response = c.ask(&request, 1).responses.remove(0);
    assert_eq!(response.error_code, 0, "{response:?}");
}

/// What was set of a resource, without what it has from elsewhere.
fn configured(c: &mut Connection, resource_type: i8, resource: &str) -> BTreeMap<String, String> {
    const TOPIC_SOURCE: i8 = 1;
    const CLUSTER_SOURCE: i8 = 3;
    let request = DescribeConfigsRequest {
        resources: vec![describe_configs_request::DescribeConfigsResource {
            resource_type,
            resource_name: resource.to_owned(),
            configuration_keys: None,
        }],
        ..Default::default()
    };
    let result = c.ask(&request, 4).results.remove(0);
    assert_eq!(result.error_code, 0, "{result:?}");
    // A topic shows with CLUSTER_SOURCE what the cluster's default gives it.
    let own = if resource_type == TOPIC {
        TOPIC_SOURCE
    } else {
        CLUSTER_SOURCE
    };
    let configs = result.configs.into_iter();
    configs
        .filter(|config| config.config_source == own)
        .map(|config| (config.name, config.value.unwrap_or_default()))
        .collect()
}
