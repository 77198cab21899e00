//! Groups of `group.protocol=consumer` (KIP-848) with Java's own consumer: a group of three forms, loses a member that
//! is killed, and is described by Kafka's tool; then Kafka's broker goes on with it on our data directory.

mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use support::genuine::Genuine;
use support::{Broker, Setup, until};

const GROUP: &str = "g";
const TOPIC: &str = "t";
const PARTITIONS: usize = 6;

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
    fn start(genuine: &Genuine, broker: &Broker, dir: &Path, name: &str) -> Member {
        let out = dir.join(name);
        let mut command = genuine.command("console-consumer");
        command.args(["--bootstrap-server", &broker.bootstrap(), "--group", GROUP]);
        command.args(["--topic", TOPIC, "--from-beginning"]);
        for property in [
            "group.protocol=consumer",
            &format!("client.id={name}"),
            "auto.commit.interval.ms=200",
        ] {
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

fn produce(broker: &Broker, count: usize) {
    let lines: String = (0..count).map(|n| format!("{n}:value {n}\n")).collect();
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
    let partitions = PARTITIONS.to_string();
    broker
        .tool(
            &[
                "topics",
                "--create",
                "--topic",
                TOPIC,
                "--partitions",
                &partitions,
            ],
            b"",
        )
        .ok();
    produce(&broker, 60);
    let mut group: Vec<Member> = ["member-a", "member-b", "member-c"]
        .iter()
        .map(|name| Member::start(&genuine, &broker, dir.path(), name))
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
    produce(&broker, 60);
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
    produce(&broker, 60);
    until("they consume from Kafka", || {
        (consumed(&group) + had >= 180).then_some(())
    });
}
