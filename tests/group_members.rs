//! Our console consumers as members of our broker's groups: of the consumer protocol (KIP-848), where partitions move
//! as members come and go, and of a share group (KIP-932), where records are released, rejected and delivered again.

mod support;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use support::{Broker, Setup, kafkars, until};

/// A console consumer that goes on until it is told to end; killed when dropped.
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
    fn start(broker: &Broker, name: &str) -> Member {
        let out = broker.dir.join(name);
        let mut command = Command::new(kafkars());
        command.args([
            "console-consumer",
            "--bootstrap-server",
            &broker.bootstrap(),
        ]);
        command.args(["--topic", "t", "--group", "g", "--from-beginning"]);
        let client = format!("client.id={name}");
        for property in [&client, "group.protocol=consumer"] {
            command.args(["--command-property", property]);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .spawn()
            .unwrap();
        Member { child, out }
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.out).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Ends it as Ctrl-C does: it commits and leaves.
    fn leave(&mut self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", "INT", &pid]).status();
        assert!(sent.unwrap().success());
        support::wait(&mut self.child, std::time::Duration::from_secs(30)).unwrap();
    }
}

/// How many partitions each member has, by client.
fn shares(broker: &Broker) -> Vec<(String, u64)> {
    let args = [
        "consumer-groups",
        "--describe",
        "--group",
        "g",
        "--members",
        "--output",
        "json",
    ];
    let told = broker.tool(&args, b"");
    let members: Vec<serde_json::Value> = serde_json::from_str(&told.stdout).unwrap_or_default();
    let mut shares: Vec<(String, u64)> = members
        .iter()
        .map(|member| {
            let client = member["clientId"].as_str().unwrap().to_owned();
            (client, member["partitions"].as_u64().unwrap())
        })
        .collect();
    shares.sort();
    shares
}

fn produce(broker: &Broker, values: std::ops::Range<u32>) -> BTreeSet<String> {
    for value in values.clone() {
        let line = format!("{value}\t{value}\n");
        let args = [
            "console-producer",
            "--topic",
            "t",
            "--reader-property",
            "parse.key=true",
        ];
        broker.tool(&args, line.as_bytes()).ok();
    }
    values.map(|value| value.to_string()).collect()
}

#[test]
fn partitions_of_the_consumer_protocol_move_with_the_members() {
    let broker = Setup::default()
        .set("group.consumer.min.heartbeat.interval.ms", 100)
        .set("group.consumer.heartbeat.interval.ms", 100)
        .start();
    broker
        .tool(
            &["topics", "--create", "--topic", "t", "--partitions", "4"],
            b"",
        )
        .ok();
    let wait_for = |want: &[(&str, u64)]| {
        let want: Vec<(String, u64)> = want
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect();
        until(&format!("members {want:?}"), || {
            (shares(&broker) == want).then_some(())
        });
    };

    let mut first = Member::start(&broker, "first");
    wait_for(&[("first", 4)]);
    let mut want = produce(&broker, 0..8);
    let second = Member::start(&broker, "second");
    wait_for(&[("first", 2), ("second", 2)]);
    want.extend(produce(&broker, 8..16));
    let all = || -> Vec<String> { [first.lines(), second.lines()].concat() };
    until("sixteen records", || (all().len() >= 16).then_some(()));
    let got = all();
    assert_eq!(got.len(), 16, "some came twice: {got:?}");
    assert_eq!(got.into_iter().collect::<BTreeSet<_>>(), want);

    first.leave();
    wait_for(&[("second", 4)]);
    let more = produce(&broker, 16..24);
    until("what came last", || {
        let lines: BTreeSet<String> = second.lines().into_iter().collect();
        more.is_subset(&lines).then_some(())
    });
}

/// Runs a share consumer to its end; its records, with how often each was delivered.
fn share(broker: &Broker, args: &[&str]) -> Vec<(String, u32)> {
    let mut all = vec!["console-share-consumer", "--topic", "t", "--group", "s"];
    all.extend([
        "--timeout-ms",
        "20000",
        "--formatter-property",
        "print.delivery=true",
    ]);
    all.extend(args);
    let stdout = broker.tool(&all, b"").ok();
    let record = |line: &str| {
        let (delivery, value) = line.split_once('\t').unwrap();
        let count = delivery.strip_prefix("Delivery:").unwrap();
        (value.to_owned(), count.parse().unwrap())
    };
    stdout.lines().map(record).collect()
}

fn values(records: &[(String, u32)]) -> Vec<&str> {
    records.iter().map(|(value, _)| value.as_str()).collect()
}

#[test]
fn share_consumers_release_reject_and_accept() {
    let broker = Setup::default()
        .set("share.coordinator.state.topic.num.partitions", 2)
        .set("group.share.min.heartbeat.interval.ms", 200)
        .set("group.share.heartbeat.interval.ms", 200)
        .start();
    broker
        .tool(&["topics", "--create", "--topic", "t"], b"")
        .ok();
    let earliest = "share.auto.offset.reset=earliest";
    broker
        .tool(
            &[
                "configs",
                "--alter",
                "--group",
                "s",
                "--add-config",
                earliest,
            ],
            b"",
        )
        .ok();
    broker
        .tool(&["console-producer", "--topic", "t"], b"a\nb\nc\nd\n")
        .ok();

    let released = share(&broker, &["--max-messages", "2", "--release"]);
    assert_eq!(released, [("a".to_owned(), 1), ("b".to_owned(), 1)]);
    let rejected = share(&broker, &["--max-messages", "1", "--reject"]);
    assert_eq!(rejected, [("a".to_owned(), 2)]);
    let accepted = share(&broker, &["--max-messages", "3"]);
    assert_eq!(values(&accepted), ["b", "c", "d"]);

    // Nobody has anything left.
    let args = [
        "share-groups",
        "--describe",
        "--group",
        "s",
        "--output",
        "json",
    ];
    let told = until("a group without lag", || {
        let told: serde_json::Value =
            serde_json::from_str(&broker.tool(&args, b"").stdout).unwrap_or_default();
        (told[0]["lag"] == 0).then_some(told)
    });
    assert_eq!(told[0]["topic"], "t");
    let none = broker.tool(
        &[
            "console-share-consumer",
            "--topic",
            "t",
            "--group",
            "s",
            "--timeout-ms",
            "500",
        ],
        b"",
    );
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""));
    assert!(
        none.stderr.contains("Processed a total of 0 messages"),
        "{}",
        none.stderr
    );
}
