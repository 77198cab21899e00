//! The tables against the facts of Apache Kafka 4.3.1 in `tests/fixtures/config`.
use super::definition::{Bound, Default, Validator};
use super::*;

fn table(name: &str) -> &'static ConfigDef {
    match name {
        "broker" => broker::table(),
        "broker-dynamic-only" => broker::dynamic_only(),
        "topic" => topic::table(),
        "group" => group::table(),
        "client-metrics" => group::client_metrics_table(),
        "producer" => client::producer(),
        "consumer" => client::consumer(),
        "admin" => client::admin(),
        "connect-standalone" => connect::standalone(),
        "connect-distributed" => connect::distributed(),
        "source-connector" => connect::source(),
        "sink-connector" => connect::sink(),
        "file-source" => connect::file_source(),
        "file-sink" => connect::file_sink(),
        other => panic!("no table {other}"),
    }
}

pub(super) fn rows(fixture: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    fixture
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
}

const TABLES: [&str; 14] = [
    "broker",
    "broker-dynamic-only",
    "topic",
    "group",
    "client-metrics",
    "producer",
    "consumer",
    "admin",
    "connect-standalone",
    "connect-distributed",
    "source-connector",
    "sink-connector",
    "file-source",
    "file-sink",
];

#[test]
fn tables_hold_the_keys_of_kafka() {
    let expected: Vec<String> = rows(include_str!("../../tests/fixtures/config/keys.tsv"))
        .map(|row| row.join("\t"))
        .collect();
    let mut found = Vec::new();
    for name in TABLES {
        for key in table(name).keys() {
            let default = match key.default {
                Default::Required => "<required>",
                Default::Null => "<null>",
                Default::Value(text) => text,
            };
            let mode = if name.starts_with("broker") {
                key.update_mode.name()
            } else {
                "-"
            };
            let visibility = if key.internal { "internal" } else { "public" };
            found.push(
                [
                    name,
                    key.name,
                    key.kind.name(),
                    default,
                    &key.validator.allows(),
                    key.importance.name(),
                    visibility,
                    mode,
                ]
                .join("\t"),
            );
        }
    }
    for line in &expected {
        assert!(found.contains(line), "missing or different: {line}");
    }
    for line in &found {
        assert!(expected.contains(line), "not in Kafka: {line}");
    }
}

#[test]
fn values_are_taken_and_refused_as_by_kafka() {
    let mut wrong = Vec::new();
    for row in rows(include_str!("../../tests/fixtures/config/values.tsv")) {
        let [name, key, value, expected] = row[..] else {
            panic!("{row:?}")
        };
        let value = value
            .replace("\\t", "\t")
            .replace("\\n", "\n")
            .replace("\\\\", "\\");
        let found = match table(name).key(key).expect(key).parse(&value) {
            Ok(Value::Password(_)) => "OK pw".to_owned(),
            Ok(value) => format!("OK {}", value.to_text().unwrap_or_default()),
            Err(error) => error.to_string(),
        };
        if found != expected {
            wrong.push(format!(
                "{name} {key}={value:?}\n  kafka: {expected}\n  found: {found}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn bounds_are_small_enough_for_doubles() {
    for name in TABLES {
        for key in table(name).keys() {
            if let Validator::Range { min, max } = key.validator {
                for bound in [min, max] {
                    assert!(
                        !matches!(bound, Bound::Whole(n) if n.abs() > 1 << 52),
                        "{}",
                        key.name
                    );
                }
            }
        }
    }
}

#[test]
fn what_kafkars_acts_on_is_documented() {
    for name in TABLES {
        for key in table(name)
            .keys()
            .filter(|key| key.support == Support::Active)
        {
            assert!(!key.doc.is_empty(), "{name} {}", key.name);
        }
    }
}

fn shipped(file: &str) -> Properties {
    Properties::load(format!("{}/config/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_shipped_server_properties_start_without_a_warning() {
    let report = check(&shipped("server.properties"));
    assert_eq!(report.errors, [""; 0]);
    assert_eq!(report.warnings, [""; 0]);
    let config = report.config.unwrap();
    assert_eq!(
        config.log_dirs,
        [std::path::PathBuf::from("/tmp/kafka-logs")]
    );
    assert_eq!(
        config.listeners.advertised[0].to_string(),
        "PLAINTEXT://localhost:9092"
    );
}

#[test]
fn the_shipped_client_and_connect_files_hold_known_keys() {
    let converter_settings = [
        "key.converter.schemas.enable",
        "value.converter.schemas.enable",
    ];
    for (file, tables) in [
        (
            "producer.properties",
            [client::producer(), client::producer()],
        ),
        (
            "consumer.properties",
            [client::consumer(), client::consumer()],
        ),
        (
            "connect-standalone.properties",
            [connect::standalone(), connect::standalone()],
        ),
        (
            "connect-file-source.properties",
            [connect::source(), connect::file_source()],
        ),
        (
            "connect-console-source.properties",
            [connect::source(), connect::file_source()],
        ),
        (
            "connect-file-sink.properties",
            [connect::sink(), connect::file_sink()],
        ),
        (
            "connect-console-sink.properties",
            [connect::sink(), connect::file_sink()],
        ),
    ] {
        let properties = shipped(file);
        for (name, value) in properties.iter() {
            if converter_settings.contains(&name) {
                continue;
            }
            let key = tables.iter().find_map(|table| table.key(name));
            let key = key.unwrap_or_else(|| panic!("{file}: {name} is unknown"));
            key.parse(value)
                .unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!(
                key.support,
                Support::Active,
                "{file}: {name} is not acted on"
            );
        }
    }
}
