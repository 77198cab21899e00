//! The worker's configuration file, checked.
use std::time::Duration;

use super::convert::{self, Role, SIMPLE_HEADER_CONVERTER};
use super::errors::{ConnectError, Result};
use crate::config::{Properties, Values, check_with, connect};

/// Keys with these beginnings are for others: converters, clients, or nobody any more
/// (`internal.`).
const PASSED_ON: &[&str] = &[
    "key.converter.",
    "value.converter.",
    "header.converter.",
    "producer.",
    "consumer.",
    "admin.",
    "internal.",
];

/// An address of the REST interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Empty: every address of the machine.
    pub host: String,
    pub port: u16,
}

/// What a standalone worker is told.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    pub properties: Properties,
    pub listeners: Vec<Listener>,
    /// `rest.advertised.host.name` and `rest.advertised.port`
    pub advertised: (Option<String>, Option<u16>),
    pub offset_file: String,
    pub flush_interval: Duration,
    pub stop_timeout: Duration,
    /// `connector.client.config.override.policy`: whether connectors may set client keys.
    pub overrides_allowed: bool,
}

impl WorkerConfig {
    /// Checks a `connect-standalone.properties`. What has no effect is a warning in the log.
    pub fn standalone(properties: &Properties) -> Result<Self> {
        let checked = check_with(connect::standalone(), properties, PASSED_ON);
        if let Some(error) = checked.errors.first() {
            return Err(ConnectError::config(error.clone()));
        }
        refuse(properties, &checked.values)?;
        for warning in &checked.warnings {
            tracing::warn!("{warning}");
        }
        let values = checked.values;
        warn_about_plugins(values.list_option("plugin.path").unwrap_or_default());
        let duration =
            |key| Duration::from_millis(u64::try_from(values.long(key)).unwrap_or_default());
        let port = values.int_option("rest.advertised.port");
        let port = port
            .filter(|port| *port > 0)
            .and_then(|port| u16::try_from(port).ok());
        let host = values.string_option("rest.advertised.host.name");
        let config = Self {
            listeners: listeners(values.list("listeners"))?,
            advertised: (
                host.filter(|host| !host.is_empty()).map(str::to_owned),
                port,
            ),
            offset_file: values.string("offset.storage.file.filename").to_owned(),
            flush_interval: duration("offset.flush.interval.ms"),
            stop_timeout: duration("task.shutdown.graceful.timeout.ms"),
            overrides_allowed: overrides_allowed(&values)?,
            properties: properties.clone(),
        };
        config.check_converters()?;
        Ok(config)
    }

    /// Before any connector needs them: a typing error ends the start.
    fn check_converters(&self) -> Result<()> {
        for role in [Role::Key, Role::Value] {
            self.converter(role, &Properties::new())?;
        }
        check_header_converter(self.properties.get("header.converter"))
    }

    /// The converter of a connector, else the worker's.
    pub fn converter(
        &self,
        role: Role,
        connector: &Properties,
    ) -> Result<Box<dyn convert::Converter>> {
        let from = match connector.get(role.key()) {
            Some(_) => connector,
            None => &self.properties,
        };
        let class = from.get(role.key()).unwrap_or_default().trim();
        convert::create(class, role, &from.with_prefix(&format!("{}.", role.key())))
    }

    /// The keys of a client of the worker: `defaults`, then those of the worker's file with
    /// `prefix`.
    pub fn client(&self, prefix: &str, defaults: &[(&str, &str)]) -> Properties {
        let mut client = Properties::new();
        let bootstrap = self.properties.get("bootstrap.servers");
        client.set("bootstrap.servers", bootstrap.unwrap_or_default());
        for (key, value) in defaults {
            client.set(*key, *value);
        }
        client.extend(&self.properties.with_prefix(prefix));
        client
    }

    /// `host:port` by which others know this worker; `host` is what a listener without one uses.
    pub fn worker_id(&self, host: &str, port: u16) -> String {
        let first = self.listeners.first().map_or("", |listener| &listener.host);
        let own = if first.is_empty() || first == "0.0.0.0" {
            host
        } else {
            first
        };
        let (advertised_host, advertised_port) = &self.advertised;
        let host = advertised_host.as_deref().unwrap_or(own);
        format!("{host}:{}", advertised_port.unwrap_or(port))
    }
}

/// The built-in connectors have no headers, so that any of Kafka's header converters will do.
pub fn check_header_converter(class: Option<&str>) -> Result<()> {
    let class = class.unwrap_or(SIMPLE_HEADER_CONVERTER).trim();
    let is_simple = class == SIMPLE_HEADER_CONVERTER || class == "SimpleHeaderConverter";
    if is_simple || convert::create(class, Role::Value, &Properties::new()).is_ok() {
        return Ok(());
    }
    Err(ConnectError::config(format!(
        "header.converter={class}: there is no such converter here; available: \
         {SIMPLE_HEADER_CONVERTER}"
    )))
}

/// Keys whose neglect would weaken security or change what records say.
fn refuse(properties: &Properties, values: &Values) -> Result<()> {
    let refused = |key: &str, why: &str| {
        let value = properties.get(key).unwrap_or_default();
        Err(ConnectError::config(format!(
            "{key}={value}: {why}; remove it to go on"
        )))
    };
    if !values.list("config.providers").is_empty() {
        return refused("config.providers", "config providers are not built in yet");
    }
    if !values.list("rest.extension.classes").is_empty() {
        return refused(
            "rest.extension.classes",
            "REST extensions are not built in yet",
        );
    }
    let protocol = properties
        .get("security.protocol")
        .unwrap_or("PLAINTEXT")
        .trim();
    if !protocol.eq_ignore_ascii_case("PLAINTEXT") {
        return refused("security.protocol", "only PLAINTEXT is supported yet");
    }
    for key in [
        "key.converter.plugin.version",
        "value.converter.plugin.version",
    ] {
        if values.is_set(key) {
            return refused(key, "only the built-in converters are there");
        }
    }
    Ok(())
}

fn overrides_allowed(values: &Values) -> Result<bool> {
    let policy = values.string("connector.client.config.override.policy");
    let simple = policy.rsplit('.').next().unwrap_or(policy);
    match simple
        .strip_suffix("ConnectorClientConfigOverridePolicy")
        .unwrap_or(simple)
    {
        "All" => Ok(true),
        "None" => Ok(false),
        _ => Err(ConnectError::config(format!(
            "connector.client.config.override.policy={policy}: only All and None are built in yet"
        ))),
    }
}

/// The file connectors' own jar says nothing new; other plugins cannot be loaded yet.
fn warn_about_plugins(paths: &[String]) {
    let is_file_connector = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        name.starts_with("connect-file-") && name.ends_with(".jar")
    };
    let others: Vec<&str> = paths
        .iter()
        .map(String::as_str)
        .filter(|path| !is_file_connector(path))
        .collect();
    if !others.is_empty() {
        tracing::warn!(
            "plugin.path={}: Java plugins are not loaded yet, only the built-in connectors, \
             FileStreamSource and FileStreamSink, are there",
            others.join(",")
        );
    }
}

fn listeners(list: &[String]) -> Result<Vec<Listener>> {
    let parse = |text: &String| -> Result<Listener> {
        let invalid = |why: &str| Err(ConnectError::config(format!("listeners={text}: {why}")));
        let Some((scheme, address)) = text.trim().split_once("://") else {
            return invalid("expected http://HOST:PORT");
        };
        if !scheme.eq_ignore_ascii_case("http") {
            return invalid("only http is supported yet");
        }
        let Some((host, port)) = address.trim_end_matches('/').rsplit_once(':') else {
            return invalid("expected http://HOST:PORT");
        };
        let Ok(port) = port.parse() else {
            return invalid("the port is not a number up to 65535");
        };
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        Ok(Listener { host, port })
    };
    list.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "bootstrap.servers=localhost:9092\n\
        key.converter=org.apache.kafka.connect.json.JsonConverter\n\
        value.converter=org.apache.kafka.connect.json.JsonConverter\n\
        offset.storage.file.filename=/tmp/o\n";

    fn config(more: &str) -> Result<WorkerConfig> {
        WorkerConfig::standalone(&Properties::parse(&format!("{BASE}{more}")).unwrap())
    }

    #[test]
    fn the_quickstarts_file_is_taken() {
        let text = include_str!("../../config/connect-standalone.properties");
        let config = WorkerConfig::standalone(&Properties::parse(text).unwrap()).unwrap();
        assert_eq!(config.flush_interval, Duration::from_secs(10));
        assert_eq!(config.stop_timeout, Duration::from_secs(5));
        assert_eq!(config.worker_id("127.0.0.1", 8083), "127.0.0.1:8083");
        assert!(config.overrides_allowed);
    }

    #[test]
    fn listeners_and_the_workers_name() {
        let config = config("listeners=http://a:1,HTTP://[::1]:2\nrest.advertised.port=9").unwrap();
        let expected = [("a", 1), ("::1", 2)].map(|(host, port)| Listener {
            host: host.into(),
            port,
        });
        assert_eq!(config.listeners, expected);
        assert_eq!(config.worker_id("x", 1), "a:9");
    }

    #[test]
    fn what_must_not_be_ignored_is_refused() {
        for (more, start) in [
            ("key.converter=Nope", "key.converter=Nope: there is no such"),
            (
                "header.converter=Nope",
                "header.converter=Nope: there is no such",
            ),
            (
                "config.providers=env",
                "config.providers=env: config providers are not",
            ),
            (
                "security.protocol=SASL_SSL",
                "security.protocol=SASL_SSL: only PLAINTEXT",
            ),
            (
                "listeners=https://:8443",
                "listeners=https://:8443: only http",
            ),
            (
                "rest.extension.classes=a.B",
                "rest.extension.classes=a.B: REST ext",
            ),
            (
                "connector.client.config.override.policy=Principal",
                "connector.client.config",
            ),
            (
                "offset.flush.interval.ms=soon",
                "Invalid value soon for configuration offset.fl",
            ),
        ] {
            let error = config(more).map(drop).unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
    }

    #[test]
    fn clients_take_defaults_then_the_workers_keys() {
        let config = config("producer.acks=1\nproducer.linger.ms=7").unwrap();
        let client = config.client("producer.", &[("acks", "all"), ("retries", "3")]);
        let keys = ["bootstrap.servers", "acks", "retries", "linger.ms"];
        let values = keys.map(|key| client.get(key).unwrap_or_default());
        assert_eq!(values, ["localhost:9092", "1", "3", "7"]);
    }
}
