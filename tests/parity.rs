//! The cases of `tests/parity`, recorded from Apache Kafka 4.3.1: our tools against our broker, and, where Java is there,
//! each crossed with Apache's.

mod support;

use std::process::Command;

use support::genuine::Genuine;
use support::{kafkars, root, skip};

/// The cases of the tools that are built in. Those of `storage` are run in `tools.rs`: they need no broker.
const CASES: [&str; 31] = [
    "topics-*",
    "producer-*",
    "consumer-*",
    "e2e-latency",
    "verifiable-*",
    "groups-*",
    "share-*",
    "streams-groups",
    // On our broker every other call of acls is refused: it has no authorizer yet.
    "acls-args",
    "acls-off",
    "get-offsets-*",
    "delete-records",
    "log-dirs",
    "broker-api-versions",
    "cluster",
    "configs-[!b]*",
    "configs-brokers",
    "client-metrics",
    "features",
    "metadata-quorum",
    "leader-election",
    "connect-plugin-path",
    "dump-log-*",
    "metadata-shell",
    "reassign-*",
    "no-such-tool-*",
    "help-topics",
    "help-con*",
    "help-get-offsets",
    "help-cluster",
    "help-broker-api-versions",
];
/// Of tools that are not built in (or need one that is not, to begin), against what our broker answers them.
const CASES_OF_THEIR_TOOLS: [&str; 1] = ["transaction[s]"];
/// The loggers that these cases name are Kafka's: our broker has others.
const CASES_OF_THEIR_BROKER: [&str; 3] = ["configs-broker-loggers", "acls-on", "delegation-tokens"];

#[test]
fn our_tools_and_our_broker() {
    check("our tools and our broker", "21000-21299", &[], &[]);
}

#[test]
fn their_tools_and_our_broker() {
    let what = "their tools and our broker";
    if Command::new("javac").arg("-version").output().is_err() {
        return skip(
            what,
            "the parity cases need javac to run Java's tools in one process",
        );
    }
    if Genuine::find(what).is_some() {
        check(
            what,
            "21300-21599",
            &["--apache-tools"],
            &CASES_OF_THEIR_TOOLS,
        );
    }
}

#[test]
fn our_tools_and_their_broker() {
    if Genuine::find("our tools and their broker").is_some() {
        check(
            "our tools and their broker",
            "21600-21899",
            &["--against-apache"],
            &CASES_OF_THEIR_BROKER,
        );
    }
}

/// Each crossing has ports of its own: Java takes so long to bind one that another run would find it free.
fn check(what: &str, ports: &str, crossing: &[&str], more_cases: &[&str]) {
    if Command::new("python3").arg("--version").output().is_err() {
        return skip(what, "the parity cases need python3");
    }
    let mut command = Command::new(root().join("tests/parity/run"));
    command
        .env("PARITY_FAST", "1")
        .env("PARITY_PORTS", ports)
        .args(["check", "--kafkars"])
        .arg(kafkars());
    command.args(crossing).args(CASES).args(more_cases);
    // Each command of a case has a time limit of its own.
    let ran = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&ran.stdout);
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{what}:\n{stdout}{stderr}");
    // A misspelt pattern would match nothing and pass.
    let last = stdout.lines().last().unwrap_or_default();
    let passed: usize = last
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .parse()
        .unwrap();
    assert!(passed >= 30, "only {last}");
}
