//! The layers of a running broker's configuration: what is set for the broker, for all brokers, in
//! the file, and the defaults; the more specific wins. And the rules for changing the dynamic ones.
use super::Properties;
use super::broker;
use super::definition::{ConfigError, ConfigKey, Origin, UpdateMode, Values};
use std::collections::BTreeMap;

/// Configuration that is kept in the metadata log, of one broker, all brokers, a topic or a group.
pub type DynamicConfig = BTreeMap<String, String>;

/// What is set, layer by layer.
#[derive(Debug, Clone, Copy)]
pub struct BrokerLayers<'a> {
    /// The properties file with `--override` applied, as [`super::broker_config::Report`] has it.
    pub file: &'a Properties,
    /// The checked values of `file` over the defaults.
    pub static_values: &'a Values,
    /// Set for all brokers of the cluster.
    pub cluster: &'a DynamicConfig,
    /// Set for this broker.
    pub broker: &'a DynamicConfig,
}

impl BrokerLayers<'_> {
    /// What holds. A dynamic value that does not parse is passed over, as Kafka does.
    pub fn values(&self) -> Values {
        let mut values = self.static_values.clone();
        for (name, text) in self.cluster.iter().chain(self.broker) {
            let Some(key) = broker::table().key(name) else {
                continue;
            };
            let Ok(value) = key.parse(text) else { continue };
            // Whatever the file says under another name for the same thing no longer counts.
            for synonym in synonyms(name).into_iter().filter(|synonym| synonym != name) {
                if let Some(key) = broker::table().key(synonym)
                    && values.origin(synonym) == Origin::File
                {
                    values.reset(key);
                }
            }
            values.set(key, value, Origin::Dynamic);
        }
        values
    }
}

const SYNONYMS: [&[&str]; 3] = [
    &["log.roll.ms", "log.roll.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    &[
        "log.retention.ms",
        "log.retention.minutes",
        "log.retention.hours",
    ],
];

/// The names under which a broker setting is looked for, the most specific first.
pub fn synonyms(name: &str) -> Vec<&str> {
    if let Some(synonyms) = SYNONYMS.iter().find(|synonyms| synonyms.contains(&name)) {
        return synonyms.to_vec();
    }
    if name == "log.flush.interval.ms" {
        return vec![name, "log.flush.scheduler.interval.ms"];
    }
    match without_listener_prefix(name) {
        Some(base) => vec![name, base],
        None => vec![name],
    }
}

/// `listener.name.internal.ssl.keystore.type` → `ssl.keystore.type`.
pub fn without_listener_prefix(name: &str) -> Option<&str> {
    let (_, base) = name.strip_prefix("listener.name.")?.split_once('.')?;
    let mechanism_keys = [
        "sasl.jaas.config",
        "sasl.login.callback.handler.class",
        "sasl.login.class",
        "sasl.server.callback.handler.class",
        "connections.max.reauth.ms",
    ];
    mechanism_keys
        .into_iter()
        .find(|key| base.ends_with(key))
        .or(Some(base))
}

/// The key of a broker setting, also of one with a listener prefix or one that is only dynamic.
pub fn broker_key(name: &str) -> Option<&'static ConfigKey> {
    let exact = |name| {
        broker::table()
            .key(name)
            .or_else(|| broker::dynamic_only().key(name))
    };
    exact(name).or_else(|| without_listener_prefix(name).and_then(exact))
}

/// Checks what IncrementalAlterConfigs or AlterConfigs wants to set for one broker (`per_broker`)
/// or for all.
pub fn validate_dynamic(updates: &DynamicConfig, per_broker: bool) -> Result<(), ConfigError> {
    let names = |is_bad: &dyn Fn(&str) -> bool| -> Vec<&str> {
        updates
            .keys()
            .map(String::as_str)
            .filter(|name| is_bad(name))
            .collect()
    };
    let refuse = |problem: &str, names: Vec<&str>| match names.is_empty() {
        true => Ok(()),
        false => Err(ConfigError::Other(format!(
            "{problem}: [{}]",
            names.join(", ")
        ))),
    };
    let mode = |name: &str| broker::table().key(name).map(|key| key.update_mode);
    refuse(
        "Cannot update these configs dynamically",
        names(&|name| mode(name) == Some(UpdateMode::ReadOnly)),
    )?;
    refuse(
        "These security configs can be dynamically updated only per-listener using the listener \
         prefix",
        names(&|name| is_listener_security_key(name)),
    )?;
    for (name, text) in updates {
        if let Some(key) = broker_key(name) {
            key.parse(text)?;
        }
    }
    if per_broker {
        return Ok(());
    }
    refuse(
        "Cannot update these configs at default cluster level, broker id must be specified",
        names(&|name| broker_key(name).is_some_and(|key| key.update_mode == UpdateMode::PerBroker)),
    )
}

fn is_listener_security_key(name: &str) -> bool {
    let key = broker::table().key(name);
    let is_security =
        name.starts_with("ssl.") || name.starts_with("sasl.") || name == "principal.builder.class";
    is_security && key.is_some_and(|key| key.update_mode == UpdateMode::PerBroker)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dynamic(pairs: &[(&str, &str)]) -> DynamicConfig {
        pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn the_more_specific_layer_wins() {
        let file = Properties::parse(
            "node.id=1\nprocess.roles=broker\ncontroller.listener.names=C\n\
             log.retention.hours=100\nmessage.max.bytes=10\nnum.io.threads=4",
        )
        .unwrap();
        let layers = BrokerLayers {
            file: &file,
            static_values: &broker::table().parse(&file).unwrap(),
            cluster: &dynamic(&[
                ("log.retention.ms", "5000"),
                ("message.max.bytes", "20"),
                ("num.io.threads", "nonsense"),
            ]),
            broker: &dynamic(&[("message.max.bytes", "30"), ("unknown", "x")]),
        };
        let values = layers.values();
        assert_eq!(values.int("message.max.bytes"), 30);
        assert_eq!(values.origin("message.max.bytes"), Origin::Dynamic);
        assert_eq!(values.long("log.retention.ms"), 5000);
        assert_eq!(values.int("log.retention.hours"), 168);
        assert_eq!(values.int("num.io.threads"), 4);
    }

    #[test]
    fn refuses_what_cannot_change_at_run_time() {
        let check = |name, value, per_broker| {
            validate_dynamic(&dynamic(&[(name, value)]), per_broker)
                .map_or_else(|error| error.to_string(), |()| "OK".into())
        };
        assert_eq!(
            check("broker.rack", "r1", true),
            "Cannot update these configs dynamically: [broker.rack]"
        );
        assert_eq!(
            check("num.io.threads", "zero", false),
            "Invalid value zero for configuration num.io.threads: Not a number of type INT"
        );
        assert_eq!(
            check("listeners", "PLAINTEXT://:1", false),
            "Cannot update these configs at default cluster level, broker id must be specified: \
             [listeners]"
        );
        assert_eq!(check("listeners", "PLAINTEXT://:1", true), "OK");
        assert_eq!(
            check("leader.replication.throttled.rate", "100", true),
            "OK"
        );
        assert_eq!(check("listener.name.x.max.connections", "5", true), "OK");
        assert!(check("ssl.keystore.type", "PEM", true).contains("only per-listener"));
    }
}
