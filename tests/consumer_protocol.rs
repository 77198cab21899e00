//! Groups of Java's own consumers. Of `group.protocol=consumer` (KIP-848): a group of three forms, loses a member that
//! is killed, and is described by Kafka's tool; then Kafka's broker goes on with it on our data directory. Of the classic
//! protocol with cooperative rebalances: members come, are killed and leave.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use kafkars::protocol::messages::DescribeGroupsRequest;
use support::genuine::Genuine;
use support::wire::Connection;
use support::{Broker, Setup, until};

const GROUP: &str = "g";
const TOPIC: &str = "t";
const PARTITIONS: usize = 6;
const CONSUMER: [&str; 1] = ["group.protocol=consumer"];
const COOPERATIVE: [&str; 4] = [
    "group.protocol=classic",
    "partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
    "session.timeout.ms=3000",
    "heartbeat.interval.ms=300",
];

/// Kafka's console consumer in the group; killed when dropped.
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

impl Member {
    fn start(
        genuine: &Genuine,
        broker: &Broker,
        dir: &Path,
        name: &str,
        properties: &[&str],
    ) -> Member {
        let out = dir.join(name);
        let mut command = genuine.command("console-consumer");
        command.args(["--bootstrap-server", &broker.bootstrap(), "--group", GROUP]);
        command.args(["--topic", TOPIC, "--from-beginning"]);
        let client = format!("client.id={name}");
        for property in [&client, "auto.commit.interval.ms=200"]
            .iter()
            .chain(properties)
        {
            command.args(["--command-property", property]);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(dir.join(format!("{name}.err"))).unwrap())
            .spawn()
            .unwrap();
        Member { child, out }
    }

    fn lines(&self) -> usize {
        std::fs::read_to_string(&self.out).unwrap().lines().count()
    }
}

fn quick(setup: Setup) -> Setup {
    setup
        .set("group.consumer.min.session.timeout.ms", 3000)
        .set("group.consumer.session.timeout.ms", 3000)
        .set("group.consumer.min.heartbeat.interval.ms", 200)
        .set("group.consumer.heartbeat.interval.ms", 200)
        .set("group.consumer.assignment.interval.ms", 0)
        .set("offsets.topic.num.partitions", 3)
}

/// Partitions by client id, as Kafka's tool tells it.
fn members(genuine: &Genuine, broker: &Broker) -> BTreeMap<String, usize> {
    let bootstrap = broker.bootstrap();
    let args = [
        "--bootstrap-server",
        &bootstrap,
        "--describe",
        "--group",
        GROUP,
        "--members",
    ];
    let told = genuine.tool("consumer-groups", &args, b"");
    let lines = told.stdout.lines().filter(|line| line.starts_with(GROUP));
    let columns = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    columns
        .filter_map(|columns| {
            let client = columns
                .iter()
                .find(|column| column.starts_with("member-"))?;
            Some((client.to_string(), columns.get(4)?.parse().ok()?))
        })
        .collect()
}

fn create_topic(broker: &Broker) {
    let partitions = PARTITIONS.to_string();
    let args = ["topics", "--create", "--topic", TOPIC, "--partitions"];
    broker.tool(&[&args[..], &[&partitions]].concat(), b"").ok();
}

fn produce(broker: &Broker, numbers: Range<usize>) {
    let lines: String = numbers.map(|n| format!("{n}:value {n}\n")).collect();
    let args = [
        "console-producer",
        "--topic",
        TOPIC,
        "--reader-property",
        "parse.key=true",
        "--reader-property",
        "key.separator=:",
    ];
    broker.tool(&args, lines.as_bytes()).ok();
}

#[test]
fn java_consumers_form_a_group_and_kafka_goes_on_with_it() {
    let Some(genuine) = Genuine::find("a group of the consumer protocol with Java's consumer")
    else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut broker = quick(Setup::at(dir.path())).start();
    create_topic(&broker);
    produce(&broker, 0..60);
    let mut group: Vec<Member> = ["member-a", "member-b", "member-c"]
        .iter()
        .map(|name| Member::start(&genuine, &broker, dir.path(), name, &CONSUMER))
        .collect();
    let shares = |broker: &Broker| members(&genuine, broker).into_values().collect::<Vec<_>>();
    until("three members have two partitions each", || {
        (shares(&broker) == [2, 2, 2]).then_some(())
    });
    let consumed = |group: &[Member]| group.iter().map(Member::lines).sum::<usize>();
    until("all is consumed", || (consumed(&group) >= 60).then_some(()));

    let gone = group.remove(1);
    let had = gone.lines();
    drop(gone);
    until("two members have three each", || {
        (shares(&broker) == [3, 3]).then_some(())
    });
    produce(&broker, 60..120);
    until("the two consume all", || {
        (consumed(&group) + had >= 120).then_some(())
    });

    let ports = (broker.port, broker.controller_port);
    broker.stop();
    drop(broker);
    let broker = quick(Setup::at(dir.path()).on(ports)).start_genuine(&genuine);
    until("Kafka knows the two", || {
        (shares(&broker) == [3, 3]).then_some(())
    });
    produce(&broker, 120..180);
    until("they consume from Kafka", || {
        (consumed(&group) + had >= 180).then_some(())
    });
}

/// How many partitions each member of a stable classic group has, fewest first; none if it is not stable.
fn classic_shares(connection: &mut Connection) -> Option<Vec<usize>> {
    let request = DescribeGroupsRequest {
        groups: vec![GROUP.to_owned()],
        ..Default::default()
    };
    let group = connection.ask(&request, 6).groups.remove(0);
    let mut shares: Vec<usize> = group
        .members
        .iter()
        .map(|member| partitions_of(&member.member_assignment))
        .collect();
    shares.sort_unstable();
    (group.group_state == "Stable").then_some(shares)
}

/// Of an assignment of one topic: version, number of topics, name, number of partitions.
fn partitions_of(assignment: &[u8]) -> usize {
    let name = 2 + 4;
    let count = name + 2 + TOPIC.len();
    match assignment.get(count..count + 4) {
        Some(count) => i32::from_be_bytes(count.try_into().unwrap()) as usize,
        None => 0,
    }
}

#[test]
fn cooperative_members_come_and_go() {
    let Some(genuine) = Genuine::find("cooperative rebalances with Java's consumer") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let setup = quick(Setup::at(dir.path()));
    let broker = setup.set("group.min.session.timeout.ms", 1000).start();
    create_topic(&broker);
    let mut connection = Connection::open(broker.port);
    connection.find_group(GROUP);
    let start = |name| Member::start(&genuine, &broker, dir.path(), name, &COOPERATIVE);
    let mut produced = 0;
    let mut check = |shares: &[usize]| {
        until(&format!("the shares are {shares:?}"), || {
            (classic_shares(&mut connection)? == shares).then_some(())
        });
        produce(&broker, produced..produced + 60);
        produced += 60;
        until("all is consumed", || {
            (received(dir.path()).len() == produced).then_some(())
        });
    };

    let mut group = vec![start("member-a"), start("member-b"), start("member-c")];
    check(&[2, 2, 2]);
    group.push(start("member-d"));
    check(&[1, 1, 2, 2]);

    group.remove(0).child.kill().unwrap();
    check(&[2, 2, 2]);

    let leaving = rustix::process::Pid::from_child(&group[0].child);
    rustix::process::kill_process(leaving, rustix::process::Signal::TERM).unwrap();
    group[0].child.wait().unwrap();
    check(&[3, 3]);
}

/// What all members got, those that are gone too.
fn received(dir: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let outputs = files.filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("member-") && !name.ends_with(".err")
    });
    let lines = |path| {
        let text = std::fs::read_to_string(path).unwrap();
        // What is being written may end anywhere.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    outputs.flat_map(lines).collect()
}
