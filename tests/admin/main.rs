//! The admin APIs, asked by hand: what genuine Kafka answers is recorded beside this file, and both implementations
//! are held to it.
//!
//! `KAFKARS_RECORD=1` records genuine Kafka's answers anew.

mod configs;
mod offered;
mod partitions;
mod quorum;
mod quotas;
mod security;
#[path = "../support/mod.rs"]
mod support;
mod transcript;

use support::genuine::Genuine;
use support::wire::Connection;
use support::{Broker, Setup, root};
use transcript::Transcript;

type Questions = fn(&mut Transcript, &mut Connection, &mut Connection);

/// What is refused, by API.
const REFUSED: [(&str, Questions); 5] = [
    ("configs", configs::refused),
    ("partitions", partitions::refused),
    ("quorum", quorum::refused),
    ("quotas", quotas::refused),
    ("security", security::refused),
];

/// What is carried out, and how it shows afterwards.
const ACCEPTED: [(&str, Questions); 5] = [
    ("configs", configs::accepted),
    ("partitions", partitions::accepted),
    ("quorum", quorum::accepted),
    ("quotas", quotas::accepted),
    ("security", security::accepted),
];

fn setup() -> Setup {
    Setup::default()
        .set("num.partitions", 1)
        .set("log.retention.hours", 100)
}

fn asked(broker: &Broker, rooms: &[(&str, Questions)]) -> Vec<(String, String)> {
    let (mut c, mut controller) = (
        Connection::open(broker.port),
        Connection::open(broker.controller_port),
    );
    let one = |(name, ask): &(&str, Questions)| {
        let mut transcript = Transcript::of(broker);
        ask(&mut transcript, &mut c, &mut controller);
        ((*name).to_owned(), transcript.text())
    };
    rooms.iter().map(one).collect()
}

fn golden(kind: &str, room: &str) -> std::path::PathBuf {
    root().join(format!("tests/admin/answers/{kind}-{room}.txt"))
}

fn compare(kind: &str, answers: &[(String, String)]) {
    for (room, text) in answers {
        let path = golden(kind, room);
        if std::env::var_os("KAFKARS_RECORD").is_some_and(|v| v == "1") {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        }
        let recorded = std::fs::read_to_string(&path).unwrap();
        transcript::assert_same(&path, &recorded, text);
    }
}

/// The offset of the last change that the broker knows of.
fn last_change(c: &mut Connection) -> i64 {
    use kafkars::protocol::messages::ApiVersionsRequest;
    let request = ApiVersionsRequest {
        client_software_name: "test".to_owned(),
        client_software_version: "1".to_owned(),
    };
    c.ask(&request, 4).finalized_features_epoch
}

/// Waits until the broker knows what the controller has decided: genuine Kafka answers before.
fn settle(c: &mut Connection, controller: &mut Connection) {
    let described = controller.ask(&quorum::quorum("__cluster_metadata", 0), 2);
    let end = described.topics[0].partitions[0].high_watermark;
    support::until("the broker has caught up", || {
        (last_change(c) + 1 >= end).then_some(())
    });
}

fn prepare(c: &mut Connection) {
    c.create_topic("plain", 2, &[]);
    c.create_topic(
        "set",
        1,
        &[("retention.ms", "1000"), ("cleanup.policy", "compact")],
    );
    c.commit("group", "plain", 0, 5);
}

#[test]
fn what_is_refused_has_no_effect() {
    let broker = setup().start();
    let mut c = Connection::open(broker.port);
    prepare(&mut c);
    let before = last_change(&mut c);
    let mut answers = Vec::new();
    for room in REFUSED {
        answers.extend(asked(&broker, &[room]));
        let name = room.0;
        assert_eq!(
            last_change(&mut c),
            before,
            "a refusal in {name} has changed the metadata"
        );
    }
    if std::env::var_os("KAFKARS_RECORD").is_none() {
        compare("refused", &answers);
    }
}

#[test]
fn what_is_asked_for_shows() {
    let broker = setup().start();
    prepare(&mut Connection::open(broker.port));
    let answers = asked(&broker, &ACCEPTED);
    if std::env::var_os("KAFKARS_RECORD").is_none() {
        compare("accepted", &answers);
    }
}

#[test]
fn log_levels_change_while_the_broker_runs() {
    use std::io::Write;
    let broker = setup().start();
    let mut c = Connection::open(broker.port);
    let cut_off = || {
        // A frame that ends early: noted at the level DEBUG.
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", broker.port)).unwrap();
        stream.write_all(&[0, 0, 0, 9, 0]).unwrap();
    };
    assert!(!broker.log().contains("DEBUG"), "{}", broker.log());
    assert_eq!(configs::set_level(&mut c, "kafkars.net", "DEBUG"), 0);
    cut_off();
    support::until("the level is that of the logger", || {
        broker.log().contains("DEBUG connection from").then_some(())
    });
    assert_eq!(configs::set_level(&mut c, "kafkars.net", "WARN"), 0);
    assert_eq!(configs::set_level(&mut c, "root", "OFF"), 40);
}

#[test]
fn the_apis_versions_and_features_are_those_of_genuine_kafka() {
    let broker = setup().start();
    let mut c = Connection::open(broker.port);
    let mut controller = Connection::open(broker.controller_port);
    let recorded = std::fs::read_to_string(golden("offered", "apis")).unwrap();
    let (alone, missing) = offered::differences(&recorded, &mut c, &mut controller);
    assert_eq!((alone, missing), (Vec::new(), Vec::new()));
}

#[test]
fn genuine_kafka_answers_as_recorded() {
    let Some(genuine) = Genuine::find("genuine_kafka_answers_as_recorded") else {
        return;
    };
    let broker = setup().start_genuine(&genuine);
    prepare(&mut Connection::open(broker.port));
    compare("offered", &asked(&broker, &[("apis", offered::note)]));
    compare("refused", &asked(&broker, &REFUSED));
    compare("accepted", &asked(&broker, &ACCEPTED));
}
