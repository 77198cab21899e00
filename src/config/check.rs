//! What `server-start` does with a properties file: everything is looked at before anything runs.
use super::broker_config::BrokerConfig;
use super::definition::{Support, Values};
use super::layers::{broker_key, without_listener_prefix};
use super::{ConfigDef, ConfigKey, Properties, broker};

/// The outcome of [`check`]; each warning and each error is one line.
#[derive(Debug)]
pub struct Report {
    /// Present unless there are errors.
    pub config: Option<BrokerConfig>,
    pub warnings: Vec<String>,
    pub errors: Vec<String>,
}

/// A `--override` that is not `KEY=VALUE`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("Missing value for key {0}")]
pub struct OverrideError(String);

/// Applies each `KEY=VALUE` of `--override`; the later wins.
pub fn apply_overrides(
    file: &mut Properties,
    overrides: &[impl AsRef<str>],
) -> Result<(), OverrideError> {
    for argument in overrides {
        let (key, value) = argument
            .as_ref()
            .split_once('=')
            .unwrap_or((argument.as_ref(), ""));
        if value.is_empty() {
            return Err(OverrideError(key.to_owned()));
        }
        file.set(key, value);
    }
    Ok(())
}

/// Checks a `server.properties` with overrides applied.
pub fn check(file: &Properties) -> Report {
    let mut file = file.clone();
    let mut warnings = Vec::new();
    if is_from_zookeeper_times(&file) {
        warnings.push(translate_zookeeper_file(&mut file));
    }
    equate_node_and_broker_id(&mut file);
    let (values, errors) = broker::table().parse_all(&file);
    let (own, own_errors) = broker::own().parse_all(&file);
    let mut errors: Vec<String> = errors
        .iter()
        .chain(&own_errors)
        .map(ToString::to_string)
        .collect();
    errors.extend(refused(changed(&file, &values), &file));
    let names = file.iter().map(|(name, _)| name);
    warnings.extend(unknown(
        names
            .filter(|name| broker_key(name).is_none() && broker::own().key(name).is_none())
            .collect(),
    ));
    warnings.extend(without_effect(changed(&file, &values), &file));
    let mut config = None;
    if errors.is_empty() {
        match BrokerConfig::resolve(file, values, &own) {
            Ok(resolved) => config = Some(resolved),
            Err(error) => errors.push(error.to_string()),
        }
    }
    Report {
        config,
        warnings,
        errors,
    }
}

fn is_from_zookeeper_times(file: &Properties) -> bool {
    file.contains("zookeeper.connect") && !file.contains("process.roles")
}

/// Makes a combined node of a broker that ran with ZooKeeper. Its controller listens on a port that
/// the system chooses, as the file keeps none free for it.
fn translate_zookeeper_file(file: &mut Properties) -> String {
    let id = file
        .get("broker.id")
        .filter(|id| *id != "-1")
        .unwrap_or("1001")
        .to_owned();
    file.remove("broker.id");
    let controller = "CONTROLLER";
    let listeners = file
        .get("listeners")
        .unwrap_or("PLAINTEXT://:9092")
        .to_owned();
    if let Some(map) = file.get("listener.security.protocol.map") {
        let map = format!("{map},{controller}:PLAINTEXT");
        file.set("listener.security.protocol.map", map);
    }
    file.set(
        "listeners",
        format!("{listeners},{controller}://localhost:0"),
    );
    file.set("process.roles", "broker,controller");
    file.set("node.id", id.clone());
    file.set("controller.listener.names", controller);
    file.set("controller.quorum.voters", format!("{id}@localhost:0"));
    let gone: Vec<String> = file
        .iter()
        .map(|(key, _)| key)
        .filter(|key| key.starts_with("zookeeper.") || GONE_WITH_ZOOKEEPER.contains(key))
        .map(str::to_owned)
        .collect();
    for key in &gone {
        file.remove(key);
    }
    format!(
        "this file is from the times of ZooKeeper, which is no longer used: starting as node {id} \
         with process.roles=broker,controller, without regard to {}",
        gone.join(", ")
    )
}

/// Keys of 3.x that 4.x does not know, and that change nothing on a single node.
const GONE_WITH_ZOOKEEPER: [&str; 7] = [
    "broker.id.generation.enable",
    "reserved.broker.max.id",
    "control.plane.listener.name",
    "inter.broker.protocol.version",
    "log.message.format.version",
    "controlled.shutdown.max.retries",
    "controlled.shutdown.retry.backoff.ms",
];

fn equate_node_and_broker_id(file: &mut Properties) {
    match (file.get("node.id"), file.get("broker.id")) {
        (Some(id), None) => file.set("broker.id", id.to_owned()),
        (None, Some(id)) => file.set("node.id", id.to_owned()),
        _ => {}
    }
}

/// `key=value`, for a line that a user reads.
fn shown(key: &ConfigKey, name: &str, file: &Properties) -> String {
    match file.get(name) {
        Some(_) if key.is_sensitive() => format!("{name}=[hidden]"),
        Some(value) => format!("{name}={value}"),
        None => name.to_owned(),
    }
}

/// The keys of the file that are set away from their defaults.
fn changed<'a>(
    file: &'a Properties,
    values: &'a Values,
) -> impl Iterator<Item = (&'a str, &'static ConfigKey)> {
    file.iter().filter_map(|(name, text)| {
        let key = broker_key(name)?;
        let is_default = match without_listener_prefix(name) {
            Some(_) => false,
            None => {
                broker::table().key(name).is_some()
                    && (key.is_default(values.value(name)) || key.parse(text).is_err())
            }
        };
        (!is_default).then_some((name, key))
    })
}

/// Refusals among the keys that were changed.
fn refused<'a>(
    changed: impl Iterator<Item = (&'a str, &'static ConfigKey)>,
    file: &Properties,
) -> Vec<String> {
    changed
        .filter_map(|(name, key)| match key.support {
            Support::Refused(reason) => Some(format!(
                "{}: {reason}; remove it to go on",
                shown(key, name, file)
            )),
            _ => None,
        })
        .collect()
}

fn unknown(names: Vec<&str>) -> Option<String> {
    let keys = if names.len() == 1 { "key" } else { "keys" };
    let text = || {
        format!(
            "unknown configuration {keys}, ignored: {}",
            names.join(", ")
        )
    };
    (!names.is_empty()).then(text)
}

fn without_effect<'a>(
    changed: impl Iterator<Item = (&'a str, &'static ConfigKey)>,
    file: &Properties,
) -> Option<String> {
    let pairs: Vec<String> = changed
        .filter(|(_, key)| key.support == Support::NotYet)
        .map(|(name, key)| shown(key, name, file))
        .collect();
    let text = || {
        format!(
            "known, but not acted on yet by this version: {}",
            pairs.join(", ")
        )
    };
    (!pairs.is_empty()).then(text)
}

/// The outcome of [`check_with`]; each warning and each error is one line.
#[derive(Debug)]
pub struct Checked {
    /// To be used only without errors.
    pub values: Values,
    pub warnings: Vec<String>,
    pub errors: Vec<String>,
}

/// Checks the properties of a client, worker or connector against its table. Keys that start with
/// one of `pass_on` are for somebody else (`producer.`, `key.converter.`, …).
pub fn check_with(def: &'static ConfigDef, properties: &Properties, pass_on: &[&str]) -> Checked {
    let (values, errors) = def.parse_all(properties);
    let mut errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let changed = || {
        properties.iter().filter_map(|(name, text)| {
            let key = def.key(name)?;
            let is_default = key.is_default(values.value(name)) || key.parse(text).is_err();
            (!is_default).then_some((name, key))
        })
    };
    errors.extend(refused(changed(), properties));
    let is_unknown = |name: &&str| {
        def.key(name).is_none() && !pass_on.iter().any(|prefix| name.starts_with(prefix))
    };
    let unknown = unknown(
        properties
            .iter()
            .map(|(name, _)| name)
            .filter(is_unknown)
            .collect(),
    );
    let warnings = unknown
        .into_iter()
        .chain(without_effect(changed(), properties))
        .collect();
    Checked {
        values,
        warnings,
        errors,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "process.roles=controller,broker\nnode.id=1\n\
                        controller.quorum.voters=1@localhost:9093\n\
                        listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n\
                        controller.listener.names=CONTROLLER\n";

    fn report(text: &str) -> Report {
        check(&Properties::parse(text).unwrap())
    }

    fn error(text: &str) -> String {
        let report = report(&format!("{BASE}{text}"));
        assert!(report.config.is_none(), "{text} is taken");
        assert_eq!(report.errors.len(), 1, "{:?}", report.errors);
        report.errors[0].clone()
    }

    #[test]
    fn a_plain_file_passes_without_a_word() {
        let report = report(BASE);
        assert!(
            report.errors.is_empty() && report.warnings.is_empty(),
            "{report:?}"
        );
        let config = report.config.unwrap();
        assert_eq!(config.node_id, 1);
        assert_eq!(
            config.log_dirs,
            [std::path::PathBuf::from("/tmp/kafka-logs")]
        );
        assert_eq!(config.metadata_log_dir, config.log_dirs[0]);
        assert_eq!(config.quorum_voter.unwrap().port, 9093);
        assert_eq!(config.groups.offsets_retention_ms, 7 * 24 * 3_600_000);
        assert_eq!(config.file.get("broker.id"), Some("1"));
    }

    #[test]
    fn what_would_weaken_the_node_refuses_the_start() {
        for (text, start) in [
            (
                "authorizer.class.name=A",
                "authorizer.class.name=A: kafkars has no authorizer yet",
            ),
            (
                "ssl.keystore.password=secret",
                "ssl.keystore.password=[hidden]: only the PLAINTEXT",
            ),
            (
                "sasl.enabled.mechanisms=PLAIN",
                "sasl.enabled.mechanisms=PLAIN: SASL is not",
            ),
            (
                "listener.name.plaintext.ssl.keystore.type=PEM",
                "listener.name.plaintext.ssl.keys",
            ),
            (
                "remote.log.storage.system.enable=true",
                "remote.log.storage.system.enable=true: ",
            ),
            (
                "process.roles=broker",
                "process.roles=broker: only a node that is both",
            ),
            (
                "process.roles=controller",
                "process.roles=controller: only a node that is both",
            ),
            (
                "controller.quorum.voters=1@a:1,2@b:2",
                "controller.quorum.voters=1@a:1,2@b:2: a qu",
            ),
            (
                "create.topic.policy.class.name=P",
                "create.topic.policy.class.name=P: policies",
            ),
            (
                "security.inter.broker.protocol=SSL",
                "security.inter.broker.protocol=SSL: only the PLAINTEXT",
            ),
            (
                "listener.security.protocol.map=PLAINTEXT:SSL,CONTROLLER:PLAINTEXT",
                "listener PLAI",
            ),
        ] {
            let error = error(text);
            assert!(error.starts_with(start), "{error}");
        }
        let defaults = "ssl.client.auth=none\nsasl.enabled.mechanisms=GSSAPI\n\
                        remote.log.storage.system.enable=false\nauthorizer.class.name=";
        assert!(report(&format!("{BASE}{defaults}")).config.is_some());
    }

    #[test]
    fn bad_values_are_named_with_what_is_allowed() {
        assert_eq!(
            error("num.partitions=0"),
            "Invalid value 0 for configuration num.partitions: Value must be at least 1"
        );
        assert_eq!(
            error("process.roles=wizard"),
            "Invalid value wizard for configuration process.roles: String must be one of: broker, \
             controller"
        );
        assert_eq!(
            error("broker.id=2"),
            "You must set `node.id` to the same value as `broker.id`."
        );
        assert!(error("controller.quorum.voters=2@h:1").contains("the node id 1 must be included"));
        assert!(error("controller.quorum.voters=").starts_with("If using process.roles, either"));
        assert!(error("log.retention.ms=0").starts_with("log.retention.ms must be unlimited (-1)"));
        assert!(error("log.roll.ms=0").starts_with("log.roll.ms must be"));
        assert!(error("queued.max.request.bytes=5").starts_with("queued.max.request.bytes must"));
        assert!(error("max.connections.per.ip=0").starts_with("max.connections.per.ip can be set"));
        assert!(error("connections.max.idle.ms=5").contains("delay.ms=100 should always be less"));
        assert!(error("offsets.topic.compression.codec=9").starts_with("Unknown compression type"));
    }

    #[test]
    fn every_bad_value_is_told() {
        let report = report("num.partitions=0\nnum.io.threads=x");
        let keys = [
            "controller.listener.names",
            "node.id",
            "num.io.",
            "num.part",
            "process.roles",
        ];
        assert_eq!(report.errors.len(), keys.len(), "{:?}", report.errors);
        for (error, key) in report.errors.iter().zip(keys) {
            assert!(error.contains(key), "{error}");
        }
    }

    #[test]
    fn unknown_and_unheeded_keys_are_two_warnings() {
        let report = report(&format!(
            "{BASE}foo=1\nbar=2\nshare.coordinator.threads=2\nlog.cleaner.threads=2\n\
             transaction.state.log.min.isr=1\nlistener.name.x.max.connections=7"
        ));
        assert!(report.config.is_some());
        assert_eq!(
            report.warnings,
            [
                "unknown configuration keys, ignored: foo, bar",
                "known, but not acted on yet by this version: share.coordinator.threads=2, \
             listener.name.x.max.connections=7",
            ]
        );
    }

    #[test]
    fn a_file_with_zookeeper_starts_as_a_combined_node() {
        let report = report(
            "broker.id=0\nzookeeper.connect=localhost:2181\nlog.dirs=/data\n\
             zookeeper.connection.timeout.ms=18000\noffsets.topic.replication.factor=1",
        );
        assert_eq!(report.errors, [""; 0]);
        assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
        assert!(report.warnings[0].contains("zookeeper.connection.timeout.ms"));
        let config = report.config.unwrap();
        assert_eq!(config.node_id, 0);
        assert_eq!(config.listeners.broker[0].to_string(), "PLAINTEXT://:9092");
        assert_eq!(config.listeners.controller[0].port, 0);
    }

    #[test]
    fn a_file_with_zookeeper_keeps_its_listeners() {
        let report = report(
            "zookeeper.connect=z\nlisteners=IN://:9093\ninter.broker.listener.name=IN\n\
             listener.security.protocol.map=IN:PLAINTEXT",
        );
        let config = report
            .config
            .unwrap_or_else(|| panic!("{:?}", report.errors));
        assert_eq!(config.node_id, 1001);
        assert_eq!(config.listeners.broker[0].to_string(), "IN://:9093");
    }

    #[test]
    fn overrides_win_over_the_file() {
        let mut file = Properties::parse("a=1").unwrap();
        apply_overrides(&mut file, &["a=2=3", "b=4"]).unwrap();
        assert_eq!(file, Properties::parse("a=2=3\nb=4").unwrap());
        let error = apply_overrides(&mut file, &["a"]).unwrap_err();
        assert_eq!(error.to_string(), "Missing value for key a");
    }

    #[test]
    fn clients_are_checked_against_their_table() {
        let check = |text: &str| {
            let base = "bootstrap.servers=a:1\nkey.converter=K\nvalue.converter=V\n\
                        offset.storage.file.filename=f\n";
            let properties = Properties::parse(&format!("{base}{text}")).unwrap();
            check_with(
                super::super::connect::standalone(),
                &properties,
                &["producer."],
            )
        };
        let checked = check("producer.acks=1\nrest.extension.classes=A\nnonsense=1");
        assert_eq!(checked.errors, [""; 0]);
        assert_eq!(
            checked.warnings,
            [
                "unknown configuration key, ignored: nonsense",
                "known, but not acted on yet by this version: rest.extension.classes=A",
            ]
        );
        let properties = Properties::parse("security.protocol=ssl\nretries=-1").unwrap();
        assert_eq!(
            check_with(super::super::client::admin(), &properties, &[]).errors,
            [
                "Invalid value -1 for configuration retries: Value must be at least 0",
                "security.protocol=ssl: only the PLAINTEXT security protocol is built in yet; remove \
             it to go on",
            ]
        );
        let plaintext = Properties::parse("security.protocol=plaintext").unwrap();
        assert_eq!(
            check_with(super::super::client::admin(), &plaintext, &[]).errors,
            [""; 0]
        );
    }
}
