//! Share groups (KIP-932) with Java's share consumer: records are accepted, released, rejected and delivered again; locks
//! run out; the broker is killed in between; Kafka's broker goes on with the group on our data directory.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use kafkars::protocol::messages::*;
use support::genuine::Genuine;
use support::wire::Connection;
use support::{Broker, Setup, root, skip, until};

const TOPIC: &str = "t";
const GROUP: &str = "g";
const PARTITIONS: i32 = 2;
/// The resource type of groups in IncrementalAlterConfigs.
const GROUP_RESOURCE: i8 = 32;

fn java(what: &str) -> Option<Genuine> {
    if Command::new("javac").arg("-version").output().is_err() {
        skip(what, "Java's sources need a JDK to run");
        return None;
    }
    Genuine::find(what)
}

fn setup(dir: &Path) -> Setup {
    Setup::at(dir)
        .set("offsets.topic.num.partitions", 2)
        .set("share.coordinator.state.topic.num.partitions", 2)
        .set("share.coordinator.snapshot.update.records.per.snapshot", 5)
        .set("group.share.min.heartbeat.interval.ms", 200)
        .set("group.share.heartbeat.interval.ms", 200)
        .set("group.share.assignment.interval.ms", 0)
        .set("group.share.min.record.lock.duration.ms", 1000)
}

/// A share consumer in the group; killed when dropped.
struct Member {
    child: Child,
    out: PathBuf,
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A record as a member has had it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Record { value: usize, deliveries: i32 },
    Done { value: usize },
}

impl Member {
    fn start(genuine: &Genuine, broker: &Broker, dir: &Path, name: &str, way: &str) -> Member {
        let out = dir.join(name);
        let mut command = genuine.command("class");
        command.arg(root().join("tests/apache-kafka/Share.java"));
        command.args([&broker.bootstrap(), TOPIC, GROUP, way]);
        let child = command
            .stdin(Stdio::piped())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(dir.join(format!("{name}.err"))).unwrap())
            .spawn()
            .unwrap();
        Member { child, out }
    }

    /// What it has written so far, whole lines only.
    fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(&self.out).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let number = |word: Option<&str>| word.unwrap().parse().unwrap();
        let line = |line: &str| {
            let mut words = line.split(' ');
            match words.next().unwrap() {
                "record" => Line::Record {
                    value: number(words.next()),
                    deliveries: words.next().unwrap().parse().unwrap(),
                },
                "done" => Line::Done {
                    value: number(words.next()),
                },
                _ => panic!("{line}"),
            }
        };
        whole.lines().map(line).collect()
    }

    fn done(&self) -> BTreeSet<usize> {
        let done = |line| match line {
            Line::Done { value } => Some(value),
            Line::Record { .. } => None,
        };
        self.lines().into_iter().filter_map(done).collect()
    }

    /// Delivery counts by value, in the order of delivery.
    fn deliveries(&self) -> BTreeMap<usize, Vec<i32>> {
        let mut deliveries: BTreeMap<usize, Vec<i32>> = BTreeMap::new();
        for line in self.lines() {
            if let Line::Record {
                value,
                deliveries: count,
            } = line
            {
                deliveries.entry(value).or_default().push(count);
            }
        }
        deliveries
    }

    fn stop(mut self) {
        drop(self.child.stdin.take());
        let patience = std::time::Duration::from_secs(60);
        assert!(
            support::wait(&mut self.child, patience).is_some(),
            "it does not end"
        );
    }
}

/// The topic, and a group that begins at its first record.
fn begin(broker: &Broker, partitions: i32, configs: &[(&str, &str)]) {
    let mut connection = Connection::open(broker.port);
    connection.create_topic(TOPIC, partitions, &[]);
    let configs = [("share.auto.offset.reset", "earliest")]
        .iter()
        .chain(configs);
    let configs = configs.map(
        |(name, value)| incremental_alter_configs_request::AlterableConfig {
            name: name.to_string(),
            config_operation: 0,
            value: Some(value.to_string()),
        },
    );
    let request = IncrementalAlterConfigsRequest {
        resources: vec![incremental_alter_configs_request::AlterConfigsResource {
            resource_type: GROUP_RESOURCE,
            resource_name: GROUP.to_owned(),
            configs: configs.collect(),
        }],
        validate_only: false,
    };
    let response = connection.ask(&request, 1);
    assert_eq!(response.responses[0].error_code, 0, "{response:?}");
}

/// Records whose values count on from `first`, a few to a batch.
fn produce(broker: &Broker, partitions: i32, first: usize, count: usize) {
    let mut connection = Connection::open(broker.port);
    let values: Vec<String> = (first..first + count).map(|n| n.to_string()).collect();
    for (partition, values) in (0..).zip(values.chunks(7)) {
        let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
        let batch: Bytes = support::wire::batch(&values);
        let (error, _) = connection.produce(TOPIC, partition % partitions, batch);
        assert_eq!(error, 0);
    }
}

/// How many records the group has still to do with.
fn lag(broker: &Broker) -> Option<i64> {
    let request = DescribeShareGroupOffsetsRequest {
        groups: vec![
            describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup {
                group_id: GROUP.to_owned(),
                topics: None,
            },
        ],
    };
    let response = Connection::open(broker.port).ask(&request, 1);
    let partitions = response.groups[0]
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions);
    let lags: Vec<i64> = partitions.map(|partition| partition.lag).collect();
    let is_known = lags.len() == PARTITIONS as usize && lags.iter().all(|lag| *lag >= 0);
    is_known.then(|| lags.iter().sum())
}

#[test]
fn java_accepts_releases_and_rejects() {
    let Some(genuine) = java("java_accepts_releases_and_rejects") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let broker = setup(dir.path()).start();
    begin(&broker, PARTITIONS, &[]);
    produce(&broker, PARTITIONS, 0, 100);
    let member = Member::start(&genuine, &broker, dir.path(), "mixed", "mixed");
    until("all is done with", || (lag(&broker)? == 0).then_some(()));
    until("the member has heard of it", || {
        (member.done().len() == 100).then_some(())
    });
    let deliveries = member.deliveries();
    for value in 0..100 {
        let expected: &[i32] = if value % 10 == 3 { &[1, 2] } else { &[1] };
        assert_eq!(deliveries[&value], expected, "{value}");
    }
    member.stop();

    // Without a word about each record: what was polled is accepted with the next poll.
    produce(&broker, PARTITIONS, 100, 30);
    let member = Member::start(&genuine, &broker, dir.path(), "implicit", "implicit");
    until("all is done with", || (lag(&broker)? == 0).then_some(()));
    assert_eq!(
        member.deliveries().keys().copied().collect::<Vec<_>>(),
        (100..130).collect::<Vec<_>>()
    );
}

#[test]
fn locks_run_out_and_members_that_leave_give_back() {
    let Some(genuine) = java("locks_run_out_and_members_that_leave_give_back") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let broker = setup(dir.path()).start();
    // One partition, which both have.
    begin(&broker, 1, &[("share.record.lock.duration.ms", "2000")]);
    produce(&broker, 1, 0, 20);
    let holder = Member::start(&genuine, &broker, dir.path(), "holder", "hold");
    until("the holder has records", || {
        (!holder.lines().is_empty()).then_some(())
    });
    let other = Member::start(&genuine, &broker, dir.path(), "other", "accept");
    until("another is done with all", || {
        (other.done().len() == 20).then_some(())
    });
    let held = holder.deliveries();
    for (value, deliveries) in other.deliveries() {
        let before = held.get(&value).map_or(0, |counts| counts.len() as i32);
        assert_eq!(
            deliveries,
            [before + 1],
            "{value} was held by another {before} times"
        );
    }
    assert!(!held.is_empty());
    other.stop();
    drop(holder);

    // Who has the records dies: they are for others before its locks run out.
    produce(&broker, 1, 20, 20);
    let holder = Member::start(&genuine, &broker, dir.path(), "dead", "hold");
    until("the holder has records", || {
        (!holder.lines().is_empty()).then_some(())
    });
    drop(holder);
    let other = Member::start(&genuine, &broker, dir.path(), "heir", "accept");
    until("another is done with all", || {
        (other.done() == (20..40).collect()).then_some(())
    });
}

#[test]
fn what_was_acknowledged_is_not_delivered_again_after_a_crash() {
    let Some(genuine) = java("what_was_acknowledged_is_not_delivered_again_after_a_crash") else {
        return;
    };
    const COUNT: usize = 2_000;
    let dir = tempfile::tempdir().unwrap();
    let mut broker = setup(dir.path()).start();
    begin(&broker, PARTITIONS, &[]);
    let ports = (broker.port, broker.port + 1);
    let members =
        ["one", "two"].map(|name| Member::start(&genuine, &broker, dir.path(), name, "accept"));
    let done = || -> BTreeSet<usize> { members.iter().flat_map(Member::done).collect() };
    for round in 0..4 {
        let produced = COUNT / 4;
        produce(&broker, PARTITIONS, round * produced, produced);
        until("some is done", || {
            (done().len() > round * produced + produced / 4).then_some(())
        });
        broker.kill();
        broker = setup(dir.path()).on(ports).start();
    }
    until("all is done with", || (lag(&broker)? == 0).then_some(()));
    let mut delivered = BTreeSet::new();
    for member in &members {
        let mut own = BTreeSet::new();
        for line in member.lines() {
            match line {
                Line::Record { value, .. } => {
                    assert!(
                        !own.contains(&value),
                        "{value} was done, and is delivered again"
                    );
                    delivered.insert(value);
                }
                Line::Done { value } => drop(own.insert(value)),
            }
        }
    }
    assert_eq!(delivered, (0..COUNT).collect(), "each was delivered");
}

#[test]
fn kafka_goes_on_with_our_share_group() {
    let Some(genuine) = java("kafka_goes_on_with_our_share_group") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut broker = setup(dir.path()).start();
    begin(&broker, PARTITIONS, &[]);
    produce(&broker, PARTITIONS, 0, 40);
    let member = Member::start(&genuine, &broker, dir.path(), "ours", "accept");
    until("ours is done", || (lag(&broker)? == 0).then_some(()));
    member.stop();
    produce(&broker, PARTITIONS, 40, 20);
    broker.stop();
    let mut broker = setup(dir.path()).start_genuine(&genuine);
    let member = Member::start(&genuine, &broker, dir.path(), "theirs", "accept");
    until("Kafka's is done", || {
        (member.done() == (40..60).collect()).then_some(())
    });
    member.stop();
    broker.stop();
    let broker = setup(dir.path()).start();
    produce(&broker, PARTITIONS, 60, 20);
    let member = Member::start(&genuine, &broker, dir.path(), "ours again", "accept");
    until("ours again is done", || {
        (member.done() == (60..80).collect()).then_some(())
    });
}
