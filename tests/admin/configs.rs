//! Configurations of topics, brokers, groups, client metrics and loggers.

use kafkars::protocol::messages::*;

use crate::settle;
use crate::support::wire::Connection;
use crate::transcript::Transcript;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const LOGGER: i8 = 8;
const METRICS: i8 = 16;
const GROUP: i8 = 32;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

type Change<'a> = (&'a str, i8, Option<&'a str>);

fn alter(kind: i8, name: &str, changes: &[Change<'_>]) -> IncrementalAlterConfigsRequest {
    use incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let change = |(name, operation, value): &Change<'_>| AlterableConfig {
        name: (*name).to_owned(),
        config_operation: *operation,
        value: value.map(str::to_owned),
    };
    IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: kind,
            resource_name: name.to_owned(),
            configs: changes.iter().map(change).collect(),
        }],
        validate_only: false,
    }
}

fn set(kind: i8, name: &str, key: &str, value: &str) -> IncrementalAlterConfigsRequest {
    alter(kind, name, &[(key, SET, Some(value))])
}

fn replace(kind: i8, name: &str, configs: &[(&str, Option<&str>)]) -> AlterConfigsRequest {
    use alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let config = |(name, value): &(&str, Option<&str>)| AlterableConfig {
        name: (*name).to_owned(),
        value: value.map(str::to_owned),
    };
    AlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: kind,
            resource_name: name.to_owned(),
            configs: configs.iter().map(config).collect(),
        }],
        validate_only: false,
    }
}

fn describe(kind: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsRequest {
    let keys = keys.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect());
    DescribeConfigsRequest {
        resources: vec![describe_configs_request::DescribeConfigsResource {
            resource_type: kind,
            resource_name: name.to_owned(),
            configuration_keys: keys,
        }],
        include_synonyms: true,
        ..Default::default()
    }
}

/// Where, what, and what it is set to.
const REFUSED_VALUES: &[(i8, &str, &str, &str)] = &[
    (0, "x", "k", "v"),
    (1, "x", "k", "v"),
    (64, "x", "k", "v"),
    (TOPIC, "", "retention.ms", "1"),
    (TOPIC, "nowhere", "retention.ms", "1"),
    (TOPIC, "no/name", "retention.ms", "1"),
    (TOPIC, "plain", "retention", "1"),
    (TOPIC, "plain", "retention.ms", "soon"),
    (TOPIC, "plain", "min.insync.replicas", "0"),
    (TOPIC, "plain", "cleanup.policy", "burn"),
    (BROKER, "x", "num.io.threads", "8"),
    (BROKER, "7", "num.io.threads", "8"),
    (BROKER, "-1", "num.io.threads", "8"),
    (BROKER, "1", "broker.rack", "r"),
    (BROKER, "", "node.id", "3"),
    (BROKER, "1", "num.io.threads", "0"),
    (BROKER, "1", "num.io.threads", "some"),
    (BROKER, "1", "num.io.threads", "1000"),
    (BROKER, "1", "num.io.threads", "3"),
    (BROKER, "1", "num.replica.fetchers", "10"),
    (BROKER, "1", "num.recovery.threads.per.data.dir", "0"),
    (BROKER, "", "background.threads", "100"),
    (BROKER, "", "background.threads", "1"),
    (BROKER, "", "advertised.listeners", "PLAINTEXT://h:1"),
    (BROKER, "1", "ssl.keystore.location", "/x"),
    (BROKER, "1", "log.cleaner.threads", "9"),
    (BROKER, "1", "log.cleaner.dedupe.buffer.size", "1"),
    (BROKER, "", "log.retention.ms", "x"),
    (BROKER, "", "min.insync.replicas", "0"),
    (BROKER, "1", "min.insync.replicas", "2"),
    (BROKER, "1", "log.message.timestamp.type", "Never"),
    (BROKER, "1", "compression.type", "zip"),
    (BROKER, "1", "metric.reporters", "no.such.Class"),
    (BROKER, "", "max.connections.per.ip", "-1"),
    (BROKER, "", "max.connections.per.ip.overrides", "h:x"),
    (BROKER, "", "max.connections", "-5"),
    (BROKER, "", "message.max.bytes", "-1"),
    (BROKER, "", "log.segment.bytes", "1"),
    (BROKER, "1", "leader.replication.throttled.rate", "-1"),
    (BROKER, "", "follower.replication.throttled.rate", "x"),
    (BROKER, "", "log.retention.bytes", "x"),
    (
        BROKER,
        "",
        "remote.log.manager.copier.thread.pool.size",
        "0",
    ),
    (BROKER, "", "unclean.leader.election.enable", "maybe"),
    (LOGGER, "x", "root", "INFO"),
    (LOGGER, "7", "root", "INFO"),
    (LOGGER, "", "root", "INFO"),
    (LOGGER, "1", "root", "LOUD"),
    (LOGGER, "1", "no.such.logger", "INFO"),
    (METRICS, "", "interval.ms", "1000"),
    (METRICS, "s", "interval.ms", "1"),
    (METRICS, "s", "interval.ms", "9000000"),
    (METRICS, "s", "interval.ms", "x"),
    (METRICS, "s", "interval", "1000"),
    (METRICS, "s", "match", "nothing"),
    (METRICS, "s", "match", "height=3"),
    (METRICS, "s", "match", "client_id=[a"),
    (GROUP, "", "consumer.session.timeout.ms", "50000"),
    (GROUP, "g", "consumer.session.timeout.ms", "1"),
    (GROUP, "g", "consumer.session.timeout.ms", "x"),
    (GROUP, "g", "consumer.speed", "1"),
    (GROUP, "g", "share.auto.offset.reset", "middle"),
    (GROUP, "g", "streams.num.standby.replicas", "-1"),
];

pub fn refused(t: &mut Transcript, c: &mut Connection, controller: &mut Connection) {
    for (kind, name, key, value) in REFUSED_VALUES {
        let what = format!("{key}={value} of {kind} {name:?}");
        t.ask(c, &what, &set(*kind, name, key, value));
        t.ask(c, &what, &replace(*kind, name, &[(key, Some(value))]));
        // The controller takes a broker's word for its configuration.
        let is_checked = *kind != BROKER || ["x", "7", "-1"].contains(name);
        if *kind != LOGGER && is_checked {
            let what = format!("{what}, of the controller");
            t.ask(controller, &what, &set(*kind, name, key, value));
        }
    }
    operations(t, c);
    for kind in [0, 1, 3, 64] {
        t.ask(c, &format!("type {kind}"), &describe(kind, "x", None));
    }
    for (kind, name) in [
        (TOPIC, ""),
        (TOPIC, "nowhere"),
        (TOPIC, "no/name"),
        (BROKER, "x"),
        (BROKER, "7"),
        (LOGGER, ""),
        (LOGGER, "x"),
        (LOGGER, "7"),
        (METRICS, ""),
        (GROUP, ""),
        (METRICS, "nobody"),
    ] {
        let what = format!("{name:?} of {kind}");
        t.ask(c, &what, &describe(kind, name, None));
        t.ask(
            controller,
            &format!("{what}, of the controller"),
            &describe(kind, name, None),
        );
    }
    t.ask(
        c,
        "an unknown type",
        &ListConfigResourcesRequest {
            resource_types: vec![7],
        },
    );
}

fn operations(t: &mut Transcript, c: &mut Connection) {
    let plain = |changes: &[Change<'_>]| alter(TOPIC, "plain", changes);
    t.ask(c, "null value", &plain(&[("retention.ms", SET, None)]));
    t.ask(
        c,
        "two nulls",
        &plain(&[("retention.ms", SET, None), ("x", APPEND, None)]),
    );
    t.ask(
        c,
        "unknown operation",
        &plain(&[("retention.ms", 9, Some("1"))]),
    );
    t.ask(
        c,
        "append to a number",
        &plain(&[("retention.ms", APPEND, Some("1"))]),
    );
    t.ask(
        c,
        "subtract from a number",
        &plain(&[("retention.ms", SUBTRACT, Some("1"))]),
    );
    t.ask(
        c,
        "append a wrong item",
        &plain(&[("cleanup.policy", APPEND, Some("burn"))]),
    );
    t.ask(
        c,
        "the same key twice",
        &plain(&[
            ("retention.ms", SET, Some("1")),
            ("retention.ms", DELETE, None),
        ]),
    );
    t.ask(
        c,
        "delete what is not set",
        &plain(&[("retention.ms", DELETE, None)]),
    );
    t.ask(c, "no change", &plain(&[]));
    let mut twice = set(TOPIC, "plain", "retention.ms", "1");
    twice.resources.extend(twice.resources.clone());
    t.ask(c, "the same resource twice", &twice);
    let dry = IncrementalAlterConfigsRequest {
        validate_only: true,
        ..set(TOPIC, "plain", "retention.ms", "1")
    };
    t.ask(c, "only validated", &dry);
    let dry = AlterConfigsRequest {
        validate_only: true,
        ..replace(TOPIC, "set", &[])
    };
    t.ask(c, "only validated", &dry);
    t.ask(
        c,
        "logger: delete",
        &alter(LOGGER, "1", &[("no.such.logger", DELETE, None)]),
    );
    t.ask(
        c,
        "logger: append",
        &alter(LOGGER, "1", &[("root", APPEND, Some("INFO"))]),
    );
    t.ask(
        c,
        "logger: root cannot be unset",
        &alter(LOGGER, "1", &[("root", DELETE, None)]),
    );
    t.ask(
        c,
        "logger: null",
        &alter(LOGGER, "1", &[("root", SET, None)]),
    );
    t.ask(
        c,
        "minimum removed",
        &alter(BROKER, "", &[("min.insync.replicas", DELETE, None)]),
    );
}

/// Sets the level of one logger; the error code.
pub fn set_level(c: &mut Connection, logger: &str, level: &str) -> i16 {
    let request = set(LOGGER, "1", logger, level);
    c.ask(&request, 1).responses[0].error_code
}

/// Waits until the broker goes by what is set on it: genuine Kafka takes it over after the image.
fn until_taken_over(c: &mut Connection, key: &str) {
    const DYNAMIC_BROKER: i8 = 2;
    crate::support::until("the broker has taken its configuration over", || {
        let described = c.ask(&describe(BROKER, "1", Some(&[key])), 4);
        let entry = described.results[0].configs.first()?;
        (entry.config_source == DYNAMIC_BROKER).then_some(())
    });
}

pub fn accepted(t: &mut Transcript, c: &mut Connection, controller: &mut Connection) {
    t.ask(c, "a topic", &set(TOPIC, "plain", "retention.ms", "5000"));
    t.ask(c, "again", &set(TOPIC, "plain", "retention.ms", "5000"));
    t.ask(
        c,
        "append",
        &alter(
            TOPIC,
            "plain",
            &[("cleanup.policy", APPEND, Some("compact"))],
        ),
    );
    let keys = ["retention.ms", "cleanup.policy"];
    settle(c, controller);
    t.ask(c, "the topic", &describe(TOPIC, "plain", Some(&keys)));
    t.ask(
        c,
        "replaced",
        &replace(TOPIC, "plain", &[("cleanup.policy", Some("delete"))]),
    );
    settle(c, controller);
    t.ask(
        c,
        "the topic, replaced",
        &describe(TOPIC, "plain", Some(&keys)),
    );
    settle(c, controller);
    t.ask(
        c,
        "unknown keys",
        &describe(TOPIC, "plain", Some(&["speed"])),
    );
    settle(c, controller);
    t.ask(c, "no keys", &describe(TOPIC, "plain", Some(&[])));
    t.ask(
        c,
        "one broker",
        &set(BROKER, "1", "log.retention.ms", "7000"),
    );
    t.ask(
        controller,
        "all brokers, of the controller",
        &set(BROKER, "", "log.retention.ms", "9000"),
    );
    settle(c, controller);
    until_taken_over(c, "log.retention.ms");
    // One key each: the order of more is that of a hash table.
    for key in [
        "log.retention.ms",
        "log.retention.hours",
        "min.insync.replicas",
    ] {
        let what = format!("{key} of the broker");
        t.ask(c, &what, &describe(BROKER, "1", Some(&[key])));
        let what = format!("{key} of all brokers");
        t.ask(c, &what, &describe(BROKER, "", Some(&[key])));
    }
    settle(c, controller);
    t.ask(
        c,
        "the topic, inherited",
        &describe(TOPIC, "plain", Some(&["retention.ms"])),
    );
    t.ask(
        c,
        "an unknown key of a broker",
        &set(BROKER, "1", "speed", "7"),
    );
    until_taken_over(c, "speed");
    t.ask(
        c,
        "the unknown key",
        &describe(BROKER, "1", Some(&["speed"])),
    );
    t.ask(
        c,
        "a secret",
        &set(BROKER, "1", "listener.name.x.ssl.key.password", "s"),
    );
    until_taken_over(c, "listener.name.x.ssl.key.password");
    t.ask(
        c,
        "the secret",
        &describe(BROKER, "1", Some(&["listener.name.x.ssl.key.password"])),
    );
    t.ask(
        c,
        "a group",
        &set(GROUP, "g", "consumer.session.timeout.ms", "50000"),
    );
    settle(c, controller);
    t.ask(c, "the group", &describe(GROUP, "g", None));
    settle(c, controller);
    t.ask(
        c,
        "any group",
        &describe(GROUP, "h", Some(&["consumer.session.timeout.ms"])),
    );
    metrics(t, c, controller);
    t.ask(c, "a logger", &set(LOGGER, "1", "root", "WARN"));
    settle(c, controller);
    t.ask(c, "the logger", &describe(LOGGER, "1", Some(&["root"])));
    t.ask(c, "and back", &set(LOGGER, "1", "root", "INFO"));
    settle(c, controller);
    for kind in [METRICS, GROUP, BROKER, LOGGER] {
        t.ask(
            c,
            &format!("type {kind}"),
            &ListConfigResourcesRequest {
                resource_types: vec![kind],
            },
        );
    }
}

fn metrics(t: &mut Transcript, c: &mut Connection, controller: &mut Connection) {
    let subscription = [
        ("interval.ms", SET, Some("5000")),
        ("metrics", SET, Some("org.apache.kafka.,x")),
        (
            "match",
            SET,
            Some("client_id=a.*,client_software_name=java"),
        ),
    ];
    t.ask(c, "client metrics", &alter(METRICS, "s", &subscription));
    t.ask(
        c,
        "append to a list",
        &alter(METRICS, "s", &[("metrics", APPEND, Some("y"))]),
    );
    settle(c, controller);
    t.ask(c, "the subscription", &describe(METRICS, "s", None));
    let unset = subscription.map(|(name, _, _)| (name, DELETE, None));
    t.ask(c, "some of it unset", &alter(METRICS, "s", &unset[..1]));
    settle(c, controller);
    t.ask(c, "what is left", &describe(METRICS, "s", None));
}
