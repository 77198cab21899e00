//! Data directories that genuine Kafka left behind, one stopped in order and one killed and damaged: we serve what
//! they hold, and keep what we do not serve for the implementation that does.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kafkars::metadata::MetadataImage;
use kafkars::metadata::properties::MetaProperties;
use kafkars::protocol::messages::*;
use kafkars::raft::{SingleVoter, VoterConfig};
use kafkars::record::TimestampType;
use serde_json::{Map, Value, json};
use support::genuine::Genuine;
use support::wire::{Connection, Row, now_ms};
use support::{Broker, Setup, root};
use tempfile::TempDir;

const NEVER: i32 = i32::MAX;
const METADATA_LOG: &str = "__cluster_metadata-0";

struct Fixture {
    dir: TempDir,
    expected: Value,
}

impl Fixture {
    fn unpack(name: &str) -> Fixture {
        let from = root().join("tests/fixtures").join(name);
        let dir = tempfile::tempdir().unwrap();
        // GNU tar: the members are sparse.
        let unpacked = Command::new("tar")
            .arg("-xzf")
            .arg(from.join("data.tar.gz"))
            .arg("-C")
            .arg(dir.path())
            .status();
        assert!(unpacked.unwrap().success());
        let expected = fs::read(from.join("expected.json")).unwrap();
        Fixture {
            dir,
            expected: serde_json::from_slice(&expected).unwrap(),
        }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The settings that the directory was written under, without what ages or aborts its content.
    fn setup(&self) -> Setup {
        Setup::at(self.dir.path())
            .set("offsets.topic.num.partitions", 4)
            .set("transaction.state.log.num.partitions", 3)
            .set("share.coordinator.state.topic.num.partitions", 3)
            .set("offsets.retention.minutes", NEVER)
            .set("transactional.id.expiration.ms", NEVER)
            .set("producer.id.expiration.ms", NEVER)
            .set(
                "transaction.abort.timed.out.transaction.cleanup.interval.ms",
                NEVER,
            )
            .set("log.cleaner.enable", "false")
            .set("log.segment.delete.delay.ms", 0)
    }

    fn start(&self) -> Broker {
        self.setup()
            .set("metadata.log.max.record.bytes.between.snapshots", 100)
            .start()
    }

    fn start_genuine(&self, genuine: &Genuine) -> Broker {
        self.setup()
            .set(
                "authorizer.class.name",
                "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            )
            .set("super.users", "User:ANONYMOUS")
            .set("allow.everyone.if.no.acl.found", "true")
            .start_genuine(genuine)
    }

    /// The metadata as a controller would load it, from a copy: loading begins a new epoch.
    fn metadata(&self) -> MetadataImage {
        let copy = tempfile::tempdir().unwrap();
        let log = copy.path().join(METADATA_LOG);
        fs::create_dir(&log).unwrap();
        for entry in fs::read_dir(self.data().join(METADATA_LOG)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), log.join(entry.file_name())).unwrap();
        }
        let properties = MetaProperties::read(&self.data()).unwrap().unwrap();
        let config = VoterConfig::new(1, properties.directory_id.unwrap(), copy.path().to_owned());
        SingleVoter::open(config, now_ms()).unwrap().1
    }

    /// The segments of partitions whose name passes: path → content.
    fn segments(&self, wanted: impl Fn(&str) -> bool) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut segments = BTreeMap::new();
        for partition in fs::read_dir(self.data()).unwrap() {
            let partition = partition.unwrap();
            let name = partition.file_name().into_string().unwrap();
            if !partition.path().is_dir() || !wanted(&name) {
                continue;
            }
            for file in fs::read_dir(partition.path()).unwrap() {
                let path = file.unwrap().path();
                if path
                    .extension()
                    .is_some_and(|e| e == "log" || e == "txnindex")
                {
                    segments.insert(path.clone(), fs::read(&path).unwrap());
                }
            }
        }
        segments
    }

    /// Whether something is there that was marked for deletion.
    fn has_leftovers(&self) -> bool {
        let marked = |dir: &Path| {
            let names = fs::read_dir(dir).unwrap();
            names.into_iter().any(|entry| {
                let path = entry.unwrap().path();
                let name = path.to_string_lossy();
                name.ends_with("-delete") || name.ends_with(".deleted")
            })
        };
        let data = self.data();
        let dirs = fs::read_dir(&data).unwrap().map(|dir| dir.unwrap().path());
        marked(&data) || dirs.filter(|dir| dir.is_dir()).any(|dir| marked(&dir))
    }

    fn newest_snapshot(&self) -> String {
        let names = fs::read_dir(self.data().join(METADATA_LOG)).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".checkpoint"))
            .max()
            .unwrap()
    }
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hex_or_null(bytes: &Option<Vec<u8>>) -> Value {
    bytes
        .as_ref()
        .map_or(Value::Null, |bytes| json!(hex(bytes)))
}

/// A record as expected.json writes it.
fn shown(row: &Row) -> Value {
    let kind = match row.timestamp_type {
        TimestampType::Create => "CreateTime",
        TimestampType::LogAppend => "LogAppendTime",
    };
    let mut shown = json!({
        "o": row.offset, "ts": row.timestamp, "tt": kind, "le": row.leader_epoch,
        "k": hex_or_null(&row.key), "v": hex_or_null(&row.value),
    });
    if !row.headers.is_empty() {
        let headers = row.headers.iter();
        shown["h"] = headers
            .map(|(name, value)| json!([name, hex_or_null(value)]))
            .collect();
    }
    shown
}

/// Topics, their configurations, offsets and records.
fn assert_serves(broker: &Broker, expected: &Value) {
    let mut c = Connection::open(broker.port);
    let metadata = c.ask(
        &MetadataRequest {
            topics: None,
            ..Default::default()
        },
        13,
    );
    let served: BTreeMap<&str, &_> = metadata
        .topics
        .iter()
        .map(|topic| (topic.name.as_deref().unwrap(), topic))
        .collect();
    let topics = object(&expected["topics"]);
    assert_eq!(
        served.keys().copied().collect::<Vec<_>>(),
        topics.keys().map(String::as_str).collect::<Vec<_>>()
    );
    for (name, topic) in topics {
        let seen = served[name.as_str()];
        assert_eq!(seen.error_code, 0, "{name}");
        assert_eq!(seen.topic_id.to_string(), topic["id"], "{name}");
        assert_eq!(json!(seen.is_internal), topic["internal"], "{name}");
        assert_eq!(topic_configs(&mut c, name), topic["configs"], "{name}");
        let partitions = object(&topic["partitions"]);
        assert_eq!(seen.partitions.len(), partitions.len(), "{name}");
        for (index, partition) in partitions {
            assert_partition(&mut c, name, index.parse().unwrap(), partition);
        }
    }
}

fn topic_configs(c: &mut Connection, name: &str) -> Value {
    const TOPIC: i8 = 2;
    const DYNAMIC_TOPIC_CONFIG: i8 = 1;
    let own = configs(c, TOPIC, name)
        .into_iter()
        .filter(|config| config.config_source == DYNAMIC_TOPIC_CONFIG)
        .map(|config| (config.name, json!(config.value)));
    Value::Object(own.collect())
}

fn configs(
    c: &mut Connection,
    kind: i8,
    name: &str,
) -> Vec<describe_configs_response::DescribeConfigsResourceResult> {
    let request = DescribeConfigsRequest {
        resources: vec![describe_configs_request::DescribeConfigsResource {
            resource_type: kind,
            resource_name: name.to_owned(),
            configuration_keys: None,
        }],
        ..Default::default()
    };
    let mut response = c.ask(&request, 4);
    let mut result = response.results.remove(0);
    assert_eq!(result.error_code, 0, "{name}: {result:?}");
    result.configs.sort_by(|a, b| a.name.cmp(&b.name));
    result.configs
}

fn assert_partition(c: &mut Connection, topic: &str, index: i32, expected: &Value) {
    let tp = format!("{topic}-{index}");
    let (start, _) = c.offset(topic, index, -2, false);
    assert_eq!(json!(start), expected["log_start_offset"], "{tp}");
    let (end, _) = c.offset(topic, index, -1, false);
    assert_eq!(json!(end), expected["high_watermark"], "{tp}");
    let (stable, _) = c.offset(topic, index, -1, true);
    assert_eq!(json!(stable), expected["last_stable_offset"], "{tp}");
    let (offset, timestamp) = c.offset(topic, index, -3, false);
    let greatest = &expected["max_timestamp"];
    assert_eq!(json!(timestamp), greatest["timestamp"], "{tp}");
    assert_eq!(json!(offset), greatest["offset"], "{tp}");
    let Some(records) = expected.get("records") else {
        // Internal topics are not told record by record; they must be readable all the same.
        c.read(topic, index, false);
        return;
    };
    let rows: Vec<Value> = c.read(topic, index, false).iter().map(shown).collect();
    assert_eq!(json!(rows), *records, "{tp}");
    let committed = c.read(topic, index, true);
    let offsets: Vec<i64> = committed.iter().map(|row| row.offset).collect();
    assert_eq!(json!(offsets), expected["read_committed_offsets"], "{tp}");
}

/// The offsets of groups of the given types.
fn assert_group_offsets(broker: &Broker, expected: &Value, types: &[&str]) {
    let mut c = Connection::open(broker.port);
    for (name, group) in object(&expected["groups"]) {
        if !types.contains(&group["type"].as_str().unwrap()) {
            continue;
        }
        let mut seen = Map::new();
        for ((topic, partition), (offset, epoch, metadata)) in c.committed(name) {
            let epoch = (epoch >= 0).then_some(epoch);
            let offset = json!({"offset": offset, "leader_epoch": epoch, "metadata": metadata});
            seen.insert(format!("{topic}-{partition}"), offset);
        }
        assert_eq!(Value::Object(seen), group["offsets"], "{name}");
    }
}

/// What a run of ours may not change in the metadata: everything but epochs, registrations and leaders.
fn assert_same_metadata(before: &MetadataImage, after: &MetadataImage) {
    assert_eq!(before.features, after.features);
    assert_eq!(before.configs, after.configs);
    assert_eq!(before.quotas, after.quotas);
    assert_eq!(before.acls, after.acls);
    assert_eq!(before.scram, after.scram);
    assert_eq!(before.tokens, after.tokens);
    assert_eq!(before.unknown, after.unknown);
    assert_eq!(before.producer_ids, after.producer_ids);
    let topics = |image: &MetadataImage| -> Vec<String> {
        let partitions = image.topics.partitions();
        let shown = partitions.map(|(topic, index, partition)| {
            let (name, id) = (&topic.name, topic.id);
            let (replicas, dirs) = (&partition.replicas, &partition.directories);
            format!("{name} {id} {index} {replicas:?} {dirs:?}")
        });
        shown.collect()
    };
    assert_eq!(topics(before), topics(after));
}

/// Serves the directory three times, stopped in order and killed between, with snapshots all the way.
fn run_ours(fixture: &Fixture) {
    let before = fixture.metadata();
    let snapshot = fixture.newest_snapshot();
    for stop_in_order in [true, false, true] {
        let mut broker = fixture.start();
        assert_serves(&broker, &fixture.expected);
        assert_group_offsets(&broker, &fixture.expected, &["Classic"]);
        let mut c = Connection::open(broker.port);
        assert_transactions(&mut c, &fixture.expected);
        assert_share_offsets(&mut c, &fixture.expected);
        drop(c);
        if stop_in_order {
            support::until("what genuine Kafka was about to delete is deleted", || {
                (!fixture.has_leftovers()).then_some(())
            });
            assert!(broker.stop().success());
        } else {
            broker.kill();
        }
    }
    assert!(
        fixture.newest_snapshot() > snapshot,
        "the run wrote no snapshot, so it proves little"
    );
    assert_same_metadata(&before, &fixture.metadata());
}

fn run_genuine(fixture: &Fixture, name: &str) {
    let Some(genuine) = Genuine::find(name) else {
        return;
    };
    let expected = &fixture.expected;
    let mut broker = fixture.start_genuine(&genuine);
    assert_serves(&broker, expected);
    assert_group_offsets(&broker, expected, &["Classic", "Consumer", "Streams"]);
    let mut c = Connection::open(broker.port);
    assert_groups(&mut c, expected);
    assert_share_offsets(&mut c, expected);
    assert_transactions(&mut c, expected);
    assert_security(&mut c, expected);
    assert_quotas(&mut c, expected);
    assert_dynamic_configs(&mut c, expected);
    broker.kill();
}

fn assert_groups(c: &mut Connection, expected: &Value) {
    let response = c.ask(&ListGroupsRequest::default(), 5);
    let seen: BTreeMap<String, (String, String)> = response
        .groups
        .into_iter()
        .map(|group| {
            let kind = group.group_type.to_lowercase();
            (group.group_id, (kind, group.group_state))
        })
        .collect();
    let groups = object(&expected["groups"]).iter();
    let told = groups.map(|(name, group)| {
        let kind = group["type"].as_str().unwrap().to_lowercase();
        (
            name.clone(),
            (kind, group["state"].as_str().unwrap().to_owned()),
        )
    });
    assert_eq!(seen, told.collect());
}

/// Where share groups begin: `SharePartitionOffsetInfo{startOffset=0, …}` by partition, or null.
fn assert_share_offsets(c: &mut Connection, expected: &Value) {
    for (name, group) in object(&expected["groups"]) {
        if group["type"] != "Share" {
            continue;
        }
        let request = DescribeShareGroupOffsetsRequest {
            groups: vec![
                describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup {
                    group_id: name.clone(),
                    topics: None,
                },
            ],
        };
        let seen = support::until("the share group's state is loaded", || {
            let described = c.ask(&request, 1).groups.remove(0);
            let topics = described.topics.into_iter();
            let partitions = topics.flat_map(|topic| {
                let name = topic.topic_name;
                let partitions = topic.partitions.into_iter();
                partitions.map(move |p| (format!("{name}-{}", p.partition_index), p))
            });
            let partitions: BTreeMap<_, _> = partitions.collect();
            let settled = partitions.values().all(|p| p.error_code == 0);
            (described.error_code == 0 && settled).then_some(partitions)
        });
        for (tp, told) in object(&group["offsets"]) {
            let told = told.as_str().unwrap();
            let Some(start) = told.split("startOffset=").nth(1) else {
                let start = seen.get(tp).map_or(-1, |p| p.start_offset);
                assert_eq!(start, -1, "{name} {tp}");
                continue;
            };
            let start: i64 = start.split(',').next().unwrap().parse().unwrap();
            assert_eq!(seen[tp].start_offset, start, "{name} {tp}");
        }
    }
}

fn assert_transactions(c: &mut Connection, expected: &Value) {
    let transactions = object(&expected["transactions"]);
    let request = DescribeTransactionsRequest {
        transactional_ids: transactions.keys().cloned().collect(),
    };
    let described = support::until("the transactions are loaded", || {
        let response = c.ask(&request, 0);
        let settled = response
            .transaction_states
            .iter()
            .all(|t| t.error_code == 0);
        settled.then_some(response.transaction_states)
    });
    let seen = described.into_iter().map(|t| {
        let topics = t.topics.iter();
        let partitions: Vec<String> = topics
            .flat_map(|topic| {
                let name = &topic.topic;
                topic.partitions.iter().map(move |p| format!("{name}-{p}"))
            })
            .collect();
        let shown = json!({
            "state": t.transaction_state, "producer_id": t.producer_id,
            "producer_epoch": t.producer_epoch, "timeout_ms": t.transaction_timeout_ms,
            "partitions": partitions,
        });
        (t.transactional_id, shown)
    });
    assert_eq!(Value::Object(seen.collect()), expected["transactions"]);
}

/// Names of the codes in DescribeAcls.
const RESOURCES: [&str; 7] = [
    "UNKNOWN",
    "ANY",
    "TOPIC",
    "GROUP",
    "CLUSTER",
    "TRANSACTIONAL_ID",
    "DELEGATION_TOKEN",
];
const PATTERNS: [&str; 5] = ["UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"];
const OPERATIONS: [&str; 13] = [
    "UNKNOWN",
    "ANY",
    "ALL",
    "READ",
    "WRITE",
    "CREATE",
    "DELETE",
    "ALTER",
    "DESCRIBE",
    "CLUSTER_ACTION",
    "DESCRIBE_CONFIGS",
    "ALTER_CONFIGS",
    "IDEMPOTENT_WRITE",
];

fn assert_security(c: &mut Connection, expected: &Value) {
    const ANY: i8 = 1;
    let request = DescribeAclsRequest {
        resource_type_filter: ANY,
        resource_name_filter: None,
        pattern_type_filter: ANY,
        principal_filter: None,
        host_filter: None,
        operation: ANY,
        permission_type: ANY,
    };
    let response = c.ask(&request, 3);
    assert_eq!(response.error_code, 0, "{response:?}");
    let seen = response.resources.iter().flat_map(|resource| {
        let pattern = format!(
            "resourceType={}, name={}, patternType={}",
            RESOURCES[resource.resource_type as usize],
            resource.resource_name,
            PATTERNS[resource.pattern_type as usize]
        );
        resource.acls.iter().map(move |acl| {
            format!(
                "(pattern=ResourcePattern({pattern}), entry=(principal={}, host={}, operation={}, permissionType={}))",
                acl.principal,
                acl.host,
                OPERATIONS[acl.operation as usize],
                ["UNKNOWN", "ANY", "DENY", "ALLOW"][acl.permission_type as usize]
            )
        })
    });
    let mut seen: Vec<String> = seen.collect();
    seen.sort();
    assert_eq!(json!(seen), expected["acls"]);
    let response = c.ask(&DescribeUserScramCredentialsRequest { users: None }, 0);
    let seen = response.results.into_iter().map(|user| {
        let infos = user.credential_infos.iter().map(|info| {
            let mechanism = ["UNKNOWN", "SCRAM_SHA_256", "SCRAM_SHA_512"][info.mechanism as usize];
            let iterations = info.iterations;
            format!("ScramCredentialInfo{{mechanism={mechanism}, iterations={iterations}}}")
        });
        let mut infos: Vec<String> = infos.collect();
        infos.sort();
        (user.user, json!(infos))
    });
    assert_eq!(Value::Object(seen.collect()), expected["scram"]);
}

fn assert_quotas(c: &mut Connection, expected: &Value) {
    let response = c.ask(&DescribeClientQuotasRequest::default(), 1);
    assert_eq!(response.error_code, 0, "{response:?}");
    let entries = response.entries.unwrap_or_default();
    let seen: BTreeMap<String, BTreeMap<String, String>> = entries
        .iter()
        .map(|entry| {
            let parts = entry.entity.iter().map(|part| {
                let name = part.entity_name.as_deref().unwrap_or("null");
                format!("{}={name}", part.entity_type)
            });
            let entity = parts.collect::<Vec<_>>().join(", ");
            let values = entry.values.iter();
            let values = values.map(|v| (v.key.clone(), format!("{:?}", v.value)));
            (
                format!("ClientQuotaEntity(entries={{{entity}}})"),
                values.collect(),
            )
        })
        .collect();
    let told = object(&expected["quotas"]).iter().map(|(entity, values)| {
        let values = object(values).iter();
        let values = values.map(|(key, value)| (key.clone(), value.to_string()));
        (entity.clone(), values.collect())
    });
    assert_eq!(seen, told.collect());
}

/// Those of brokers, groups and client metrics.
fn assert_dynamic_configs(c: &mut Connection, expected: &Value) {
    const BROKER: i8 = 4;
    const CLIENT_METRICS: i8 = 16;
    const GROUP: i8 = 32;
    let value_of = |c: &mut Connection, kind: i8, name: &str, key: &str| {
        let configs = configs(c, kind, name);
        let found = configs.into_iter().find(|config| config.name == key);
        found.and_then(|config| config.value).unwrap_or_default()
    };
    for (broker, told) in object(&expected["dynamic_broker_configs"]) {
        let name = if broker == "<default>" { "" } else { broker };
        for (key, told) in object(told) {
            let (_, value) = told.as_str().unwrap().split_once('=').unwrap();
            assert_eq!(value_of(c, BROKER, name, key), value, "{broker} {key}");
        }
    }
    for (resource, told) in object(&expected["dynamic_other_configs"]) {
        let (kind, name) = resource.split_once(':').unwrap();
        let kind = match kind {
            "GROUP" => GROUP,
            "CLIENT_METRICS" => CLIENT_METRICS,
            other => panic!("{other}"),
        };
        for (key, value) in object(told) {
            assert_eq!(json!(value_of(c, kind, name, key)), *value, "{name} {key}");
        }
    }
}

#[test]
fn a_directory_stopped_in_order_is_served_and_kept() {
    let fixture = Fixture::unpack("clean");
    let partitions = |name: &str| name != METADATA_LOG && !name.ends_with("-delete");
    let before = fixture.segments(partitions);
    run_ours(&fixture);
    // Nobody wrote: what the logs hold, transactions and groups of all kinds among it, is as it was.
    assert_same_segments(&before, &fixture.segments(partitions));
    run_genuine(
        &fixture,
        "a_directory_stopped_in_order_is_served_and_kept (genuine)",
    );
}

#[test]
fn a_directory_killed_and_damaged_is_recovered_and_kept() {
    let fixture = Fixture::unpack("unclean");
    let undamaged =
        |name: &str| name == "u-txn-0" || name.starts_with("__") && name != METADATA_LOG;
    let before = fixture.segments(undamaged);
    run_ours(&fixture);
    assert_same_segments(&before, &fixture.segments(undamaged));
    run_genuine(
        &fixture,
        "a_directory_killed_and_damaged_is_recovered_and_kept (genuine)",
    );
}

fn assert_same_segments(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>) {
    for (path, content) in before.iter().filter(|(_, content)| !content.is_empty()) {
        let now = after
            .get(path)
            .unwrap_or_else(|| panic!("{path:?} is gone"));
        assert_eq!(hex(now), hex(content), "{path:?}");
    }
}
