//! The entries of a DescribeConfigs response: every value with where it comes from.
use super::definition::{ConfigKey, Default, UpdateMode};
use super::layers::{BrokerLayers, DynamicConfig, broker_key, synonyms};
use super::{broker, resource_keys, topic};
use std::collections::BTreeSet;

/// `ConfigSource` of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    Topic,
    DynamicBroker,
    DynamicDefaultBroker,
    StaticBroker,
    Default,
    Logger,
    ClientMetrics,
    Group,
}

impl ConfigSource {
    pub fn code(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::DynamicBroker => 2,
            Self::DynamicDefaultBroker => 3,
            Self::StaticBroker => 4,
            Self::Default => 5,
            Self::Logger => 6,
            Self::ClientMetrics => 7,
            Self::Group => 8,
        }
    }
}

/// One configuration of a described resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    pub name: String,
    /// None for null and for what must not be shown.
    pub value: Option<String>,
    pub source: ConfigSource,
    pub is_sensitive: bool,
    pub is_read_only: bool,
    /// `ConfigType` of the protocol; 0 for a key that nobody knows.
    pub type_code: i8,
    /// From the most to the least specific. To be left out unless the request asks for them.
    pub synonyms: Vec<ConfigSynonym>,
    /// To be left out unless the request asks for it.
    pub documentation: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    pub name: String,
    pub value: Option<String>,
    pub source: ConfigSource,
}

impl ConfigEntry {
    fn new(
        name: &str,
        key: Option<&'static ConfigKey>,
        value: Option<String>,
        synonyms: Vec<ConfigSynonym>,
    ) -> Self {
        let is_sensitive = is_sensitive(key);
        Self {
            name: name.to_owned(),
            value: value.filter(|_| !is_sensitive),
            source: synonyms
                .first()
                .map_or(ConfigSource::Default, |synonym| synonym.source),
            is_sensitive,
            is_read_only: false,
            type_code: key.map_or(0, |key| key.kind.code()),
            synonyms,
            documentation: key.map(|key| key.doc).filter(|doc| !doc.is_empty()),
        }
    }
}

/// What nobody knows may be a secret.
fn is_sensitive(key: Option<&ConfigKey>) -> bool {
    key.is_none_or(ConfigKey::is_sensitive)
}

/// Every public key of a topic with `overrides`, in Kafka's order.
pub fn describe_topic(layers: &BrokerLayers<'_>, overrides: &DynamicConfig) -> Vec<ConfigEntry> {
    let values = topic::resolve_values(&layers.values(), overrides);
    let entry = |name: &str, key: Option<&'static ConfigKey>| {
        let value = match key {
            Some(key) => values.value(key.name).to_text(),
            None => overrides.get(name).cloned(),
        };
        let own = overrides.contains_key(name).then(|| ConfigSynonym {
            name: name.to_owned(),
            value: value.clone().filter(|_| !is_sensitive(key)),
            source: ConfigSource::Topic,
        });
        let broker_name = topic::SYNONYMS
            .iter()
            .find(|(topic_key, _)| *topic_key == name)
            .and_then(|(_, broker_keys)| Some(broker_keys.first()?.0));
        let inherited = broker_name
            .map(|name| broker_synonyms(layers, name))
            .unwrap_or_default();
        ConfigEntry::new(name, key, value, own.into_iter().chain(inherited).collect())
    };
    // What is set but not public comes first, as in Kafka.
    let is_public = |name: &str| topic::table().key(name).is_some_and(|key| !key.internal);
    overrides
        .keys()
        .filter(|name| !is_public(name))
        .map(|name| entry(name, topic::table().key(name)))
        .chain(
            topic::keys::KEYS
                .iter()
                .filter(|key| !key.internal)
                .map(|key| entry(key.name, Some(key))),
        )
        .collect()
}

/// Every public key of this broker, and what else is set for it.
pub fn describe_broker(layers: &BrokerLayers<'_>) -> Vec<ConfigEntry> {
    let values = layers.values();
    let set = layers.file.iter().map(|(name, _)| name);
    let set = set.chain(layers.cluster.keys().map(String::as_str));
    let set = set.chain(layers.broker.keys().map(String::as_str));
    let others: BTreeSet<&str> = set
        .filter(|name| broker::table().key(name).is_none_or(|key| key.internal))
        .collect();
    let public = broker::table()
        .keys()
        .filter(|key| !key.internal)
        .map(|key| key.name);
    others
        .into_iter()
        .chain(public)
        .map(|name| {
            let value = match broker::table().key(name) {
                Some(_) => values.value(name).to_text(),
                None => {
                    let dynamic = layers.broker.get(name).or_else(|| layers.cluster.get(name));
                    dynamic
                        .map(String::as_str)
                        .or_else(|| layers.file.get(name))
                        .map(str::to_owned)
                }
            };
            broker_entry(name, value, broker_synonyms(layers, name))
        })
        .collect()
}

/// What is set for all brokers of the cluster.
pub fn describe_broker_defaults(cluster: &DynamicConfig) -> Vec<ConfigEntry> {
    cluster
        .iter()
        .map(|(name, value)| {
            let synonym = ConfigSynonym {
                name: name.clone(),
                value: Some(value.clone()).filter(|_| !is_sensitive(broker_key(name))),
                source: ConfigSource::DynamicDefaultBroker,
            };
            broker_entry(name, Some(value.clone()), vec![synonym])
        })
        .collect()
}

fn broker_entry(name: &str, value: Option<String>, synonyms: Vec<ConfigSynonym>) -> ConfigEntry {
    let is_dynamic = broker::dynamic_only().key(name).is_some()
        || broker::table()
            .key(name)
            .is_some_and(|key| key.update_mode != UpdateMode::ReadOnly);
    ConfigEntry {
        is_read_only: !is_dynamic,
        ..ConfigEntry::new(name, broker_key(name), value, synonyms)
    }
}

/// Every key of a group with `overrides`.
pub fn describe_group(layers: &BrokerLayers<'_>, overrides: &DynamicConfig) -> Vec<ConfigEntry> {
    let broker = layers.values();
    resource_keys::GROUP_KEYS
        .iter()
        .map(|key| {
            let broker_name = format!("group.{}", key.name);
            let (inherited, mut synonyms) = match broker::table().key(&broker_name) {
                Some(_) => {
                    let value = broker.value(&broker_name).to_text();
                    (value, broker_synonyms(layers, &broker_name))
                }
                None => (
                    default_text(key),
                    default_synonym(key).into_iter().collect(),
                ),
            };
            let value = match overrides.get(key.name) {
                Some(own) => {
                    let own = parsed_text(key, own);
                    let source = ConfigSource::Group;
                    let name = key.name.to_owned();
                    synonyms.insert(
                        0,
                        ConfigSynonym {
                            name,
                            value: own.clone(),
                            source,
                        },
                    );
                    own
                }
                None => inherited,
            };
            ConfigEntry::new(key.name, Some(key), value, synonyms)
        })
        .collect()
}

/// Every key of a client metrics subscription with `overrides`.
pub fn describe_client_metrics(overrides: &DynamicConfig) -> Vec<ConfigEntry> {
    resource_keys::CLIENT_METRICS_KEYS
        .iter()
        .map(|key| {
            let own = overrides.get(key.name).map(|text| ConfigSynonym {
                name: key.name.to_owned(),
                value: parsed_text(key, text),
                source: ConfigSource::ClientMetrics,
            });
            let value = match &own {
                Some(own) => own.value.clone(),
                None => default_text(key),
            };
            ConfigEntry::new(key.name, Some(key), value, own.into_iter().collect())
        })
        .collect()
}

/// The level of a logger.
pub fn describe_logger(name: &str, level: &str) -> ConfigEntry {
    ConfigEntry {
        name: name.to_owned(),
        value: Some(level.to_owned()),
        source: ConfigSource::Logger,
        is_sensitive: false,
        is_read_only: false,
        type_code: 0,
        synonyms: Vec::new(),
        documentation: Some(""),
    }
}

/// Where a broker setting is set, from the most to the least specific. Kafka leaves out what
/// stands before the first mention of `name` itself.
fn broker_synonyms(layers: &BrokerLayers<'_>, name: &str) -> Vec<ConfigSynonym> {
    let hidden = is_sensitive(broker_key(name));
    let names = synonyms(name);
    let mut found = Vec::new();
    let mut look = |source, get: &dyn Fn(&str) -> Option<String>| {
        for name in &names {
            if let Some(value) = get(name) {
                let value = Some(value).filter(|_| !hidden);
                found.push(ConfigSynonym {
                    name: (*name).to_owned(),
                    value,
                    source,
                });
            }
        }
    };
    look(ConfigSource::DynamicBroker, &|name| {
        layers.broker.get(name).cloned()
    });
    look(ConfigSource::DynamicDefaultBroker, &|name| {
        layers.cluster.get(name).cloned()
    });
    look(ConfigSource::StaticBroker, &|name| {
        layers.file.get(name).map(str::to_owned)
    });
    look(ConfigSource::Default, &|name| {
        broker::table().key(name).and_then(default_text)
    });
    found
        .into_iter()
        .skip_while(|synonym| synonym.name != name)
        .collect()
}

fn default_text(key: &'static ConfigKey) -> Option<String> {
    match key.default {
        Default::Value(text) => parsed_text(key, text),
        Default::Required | Default::Null => None,
    }
}

fn default_synonym(key: &'static ConfigKey) -> Option<ConfigSynonym> {
    let value = Some(default_text(key)?);
    Some(ConfigSynonym {
        name: key.name.to_owned(),
        value,
        source: ConfigSource::Default,
    })
}

/// The text as Kafka shows it once parsed; as it stands when it does not parse.
fn parsed_text(key: &'static ConfigKey, text: &str) -> Option<String> {
    key.parse(text)
        .ok()
        .and_then(|value| value.to_text())
        .or_else(|| Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::Properties;
    use super::super::tests::rows;
    use super::*;

    /// The broker that the fixtures are from.
    const FILE: &str = "process.roles=broker,controller\nnode.id=1\nbroker.id=1\n\
        controller.quorum.voters=1@127.0.0.1:24893\n\
        listeners=PLAINTEXT://127.0.0.1:24892,CONTROLLER://127.0.0.1:24893\n\
        advertised.listeners=PLAINTEXT://127.0.0.1:24892\ncontroller.listener.names=CONTROLLER\n\
        log.dirs=/tmp/kafka-logs\noffsets.topic.replication.factor=1\n\
        transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
        share.coordinator.state.topic.replication.factor=1\n\
        share.coordinator.state.topic.min.isr=1\ngroup.initial.rebalance.delay.ms=0\n\
        log.retention.hours=100\nlog.roll.ms=7200000\nunknown.key=zzz\ncompression.type=gzip\n\
        ssl.key.password=secret\n";

    fn dynamic(pairs: &[(&str, &str)]) -> DynamicConfig {
        pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect()
    }

    fn shown(entry: &ConfigEntry) -> String {
        let source = |source: ConfigSource| match source {
            ConfigSource::Topic => "TOPIC",
            ConfigSource::DynamicBroker => "DYN_BROKER",
            ConfigSource::DynamicDefaultBroker => "DYN_DEFAULT",
            ConfigSource::StaticBroker => "STATIC",
            ConfigSource::Default => "DEFAULT",
            ConfigSource::ClientMetrics => "CM",
            ConfigSource::Logger => "LOGGER",
            ConfigSource::Group => "GROUP",
        };
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "None".into());
        let synonyms: Vec<String> = entry
            .synonyms
            .iter()
            .map(|it| format!("{}:{}={}", source(it.source), it.name, text(&it.value)))
            .collect();
        [
            entry.name.as_str(),
            &text(&entry.value),
            source(entry.source),
            if entry.is_read_only { "ro" } else { "rw" },
            if entry.is_sensitive { "sens" } else { "-" },
            &entry.type_code.to_string(),
            &synonyms.join(" "),
        ]
        .join("\t")
    }

    fn check(entries: Vec<ConfigEntry>, fixture: &'static str, in_order: bool) {
        let mut found: Vec<String> = entries.iter().map(shown).collect();
        let mut expected: Vec<String> = rows(fixture).map(|row| row.join("\t")).collect();
        if !in_order {
            found.sort();
            expected.sort();
        }
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected);
        }
        assert_eq!(found.len(), expected.len());
    }

    fn with_layers(
        cluster: &[(&str, &str)],
        broker: &[(&str, &str)],
        test: impl FnOnce(&BrokerLayers<'_>),
    ) {
        let file = Properties::parse(FILE).unwrap();
        test(&BrokerLayers {
            file: &file,
            static_values: &broker::table().parse(&file).unwrap(),
            cluster: &dynamic(cluster),
            broker: &dynamic(broker),
        });
    }

    const CLUSTER: &[(&str, &str)] = &[
        ("log.retention.ms", "600000"),
        ("message.max.bytes", "2000000"),
        ("min.insync.replicas", "1"),
    ];
    const BROKER: &[(&str, &str)] = &[
        ("log.cleaner.threads", "2"),
        ("message.max.bytes", "3000000"),
    ];

    #[test]
    fn a_topic_is_described_as_by_kafka() {
        let overrides = dynamic(&[
            ("retention.ms", "5000"),
            ("cleanup.policy", "compact,delete"),
        ]);
        with_layers(&CLUSTER[2..], &[], |layers| {
            let fixture = include_str!("../../tests/fixtures/config/describe-topic.tsv");
            check(describe_topic(layers, &overrides), fixture, true);
        });
        with_layers(CLUSTER, BROKER, |layers| {
            let fixture = include_str!("../../tests/fixtures/config/describe-topic2.tsv");
            check(describe_topic(layers, &overrides), fixture, true);
        });
    }

    #[test]
    fn a_broker_is_described_as_by_kafka() {
        with_layers(CLUSTER, BROKER, |layers| {
            let fixture = include_str!("../../tests/fixtures/config/describe-broker.tsv");
            check(describe_broker(layers), fixture, false);
        });
        let fixture = include_str!("../../tests/fixtures/config/describe-default.tsv");
        check(describe_broker_defaults(&dynamic(CLUSTER)), fixture, false);
    }

    #[test]
    fn groups_and_client_metrics_are_described_as_by_kafka() {
        with_layers(CLUSTER, BROKER, |layers| {
            let fixture = include_str!("../../tests/fixtures/config/describe-group.tsv");
            check(describe_group(layers, &dynamic(&[])), fixture, true);
            let own = dynamic(&[("consumer.session.timeout.ms", "50000")]);
            assert_eq!(
                shown(&describe_group(layers, &own)[0]),
                "consumer.session.timeout.ms\t50000\tGROUP\trw\t-\t3\t\
                 GROUP:consumer.session.timeout.ms=50000 \
                 DEFAULT:group.consumer.session.timeout.ms=45000"
            );
        });
        let fixture = include_str!("../../tests/fixtures/config/describe-cm.tsv");
        check(describe_client_metrics(&dynamic(&[])), fixture, true);
        let own = describe_client_metrics(&dynamic(&[("metrics", "a.b,c.d")]));
        assert_eq!(
            shown(&own[2]),
            "metrics\ta.b,c.d\tCM\trw\t-\t7\tCM:metrics=a.b,c.d"
        );
    }

    #[test]
    fn what_nobody_knows_is_not_shown() {
        with_layers(&[], &[], |layers| {
            let entries = describe_topic(layers, &dynamic(&[("from.the.future", "x")]));
            assert_eq!(entries.len(), 34);
            assert_eq!(
                (entries[0].value.as_deref(), entries[0].is_sensitive),
                (None, true)
            );
        });
    }
}
