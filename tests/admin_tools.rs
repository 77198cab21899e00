//! Genuine Kafka's admin tools, with Java's admin client in them, against our broker.

mod support;

use std::fs;

use support::genuine::Genuine;
use support::wire::{Connection, batch};
use support::{Broker, Ran};

struct Tools {
    genuine: Genuine,
    broker: Broker,
}

impl Tools {
    fn run(&self, tool: &str, args: &[&str]) -> Ran {
        let bootstrap = self.broker.bootstrap();
        let mut all = vec!["--bootstrap-server", &bootstrap];
        all.extend(args);
        self.genuine.tool(tool, &all, b"")
    }

    /// Runs a tool, which must succeed and show all of these.
    fn shows(&self, tool: &str, args: &[&str], expected: &[&str]) {
        let shown = self.run(tool, args).ok();
        for part in expected {
            assert!(
                shown.contains(part),
                "{tool} {args:?} does not show {part:?}:\n{shown}"
            );
        }
    }

    fn configs(&self, entity: &[&str], config: &str, expected: &[&str]) {
        let alter = ["--alter", "--add-config", config];
        self.shows(
            "configs",
            &[&alter, entity].concat(),
            &["Completed updating config for"],
        );
        self.shows("configs", &[&["--describe"], entity].concat(), expected);
    }
}

#[test]
fn javas_admin_tools_work() {
    let Some(genuine) = Genuine::find("javas_admin_tools_work") else {
        return;
    };
    let broker = Broker::start();
    let mut c = Connection::open(broker.port);
    c.create_topic("t", 1, &[]);
    for _ in 0..3 {
        assert_eq!(c.produce("t", 0, batch(&[b"v"])).0, 0);
    }
    let tools = Tools { genuine, broker };
    configs(&tools);
    quorum_and_features(&tools);
    partitions(&tools);
    let acls = tools.run("acls", &["--list"]);
    let said = format!("{}{}", acls.stdout, acls.stderr);
    assert!(said.contains("SecurityDisabledException"), "{said}");
}

fn configs(tools: &Tools) {
    let topic = ["--entity-type", "topics", "--entity-name", "t"];
    tools.configs(
        &topic,
        "retention.ms=700000000",
        &["retention.ms=700000000", "DYNAMIC_TOPIC_CONFIG"],
    );
    let broker = ["--entity-type", "brokers", "--entity-name", "1"];
    tools.configs(&broker, "log.cleaner.threads=2", &["log.cleaner.threads=2"]);
    let logger = ["--entity-type", "broker-loggers", "--entity-name", "1"];
    tools.configs(&logger, "kafkars.raft=DEBUG", &["kafkars.raft=DEBUG"]);
    let user = ["--entity-type", "users", "--entity-name", "alice"];
    let scram = "SCRAM-SHA-256=[iterations=8192,password=secret]";
    tools.configs(&user, scram, &["SCRAM-SHA-256=iterations=8192"]);
    let quota = "producer_byte_rate=1000000";
    tools.configs(&user, quota, &["producer_byte_rate=1000000.0"]);
    let group = ["--entity-type", "groups", "--entity-name", "g"];
    tools.configs(&group, "consumer.session.timeout.ms=50000", &["50000"]);
    let subscription = [
        "--alter",
        "--name",
        "s",
        "--metrics",
        "a,b",
        "--interval",
        "5000",
    ];
    tools.shows("client-metrics", &subscription, &[]);
    let described = ["interval.ms=5000", "metrics=a,b"];
    tools.shows("client-metrics", &["--describe", "--name", "s"], &described);
}

fn quorum_and_features(tools: &Tools) {
    let status = ["LeaderId:", "CurrentVoters:"];
    tools.shows("metadata-quorum", &["describe", "--status"], &status);
    tools.shows(
        "metadata-quorum",
        &["describe", "--replication"],
        &["Leader"],
    );
    let features = ["Feature: metadata.version", "Feature: transaction.version"];
    tools.shows("features", &["describe"], &features);
    tools.shows(
        "features",
        &["downgrade", "--feature", "share.version=0"],
        &["downgraded"],
    );
    tools.shows(
        "features",
        &["upgrade", "--feature", "share.version=1"],
        &["upgraded"],
    );
}

fn partitions(tools: &Tools) {
    let write = |name: &str, text: &str| {
        let path = tools.broker.dir.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let moves = write(
        "moves.json",
        r#"{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1]}]}"#,
    );
    let execute = ["--reassignment-json-file", &moves, "--execute"];
    tools.shows(
        "reassign-partitions",
        &execute,
        &["Successfully started partition reassignment"],
    );
    let verify = ["--reassignment-json-file", &moves, "--verify"];
    tools.shows("reassign-partitions", &verify, &["is complete"]);
    let election = [
        "--election-type",
        "preferred",
        "--topic",
        "t",
        "--partition",
        "0",
    ];
    tools.shows(
        "leader-election",
        &election,
        &["Valid replica already elected"],
    );
    let cut = write(
        "cut.json",
        r#"{"version":1,"partitions":[{"topic":"t","partition":0,"offset":2}]}"#,
    );
    let delete = ["--offset-json-file", &cut];
    tools.shows("delete-records", &delete, &["low_watermark: 2"]);
    let directories = ["--describe", "--topic-list", "t"];
    tools.shows("log-dirs", &directories, &[r#""partition":"t-0""#]);
}
