//! The client's settings, typed, from Kafka's keys with Kafka's defaults.
mod consumer;
mod producer;
mod security;
mod settings;
mod share;

use std::sync::Arc;
use std::time::Duration;

pub use consumer::{AssignorKind, AutoOffsetReset, ConsumerConfig, GroupProtocol, IsolationLevel};
pub use producer::{Acks, Partitioning, ProducerConfig};
pub use security::{Sasl, Security};
use settings::Settings;
pub use share::ShareConsumerConfig;

use super::connection::{ConnectionConfig, Endpoint};
use super::errors::{ClientError, Result};
use super::outage::ConnectivityListener;
use crate::config::Properties;

/// Room for a response's own fields beside the records that a fetch asks for.
const RESPONSE_OVERHEAD_BYTES: usize = 64 * 1024 * 1024;

/// What every client needs, whatever it does: Kafka's `CommonClientConfigs`.
#[derive(Clone)]
pub struct ClientConfig {
    /// `bootstrap.servers`, in the given order, with negative ids.
    pub bootstrap: Vec<Endpoint>,
    /// The addresses are those of controllers: `bootstrap.controllers`, which admin clients take.
    pub controllers: bool,
    pub connection: ConnectionConfig,
    /// `request.timeout.ms`
    pub request_timeout: Duration,
    /// `default.api.timeout.ms`; how long a whole call may try (producer: `max.block.ms`).
    pub api_timeout: Duration,
    /// `retry.backoff.ms` and `retry.backoff.max.ms`
    pub retry_backoff: Backoff,
    /// `reconnect.backoff.ms` and `reconnect.backoff.max.ms`
    pub reconnect_backoff: Backoff,
    /// `retries`: how often an admin call is sent again.
    pub retries: u32,
    /// `metadata.max.age.ms`
    pub metadata_max_age: Duration,
    /// `metadata.recovery.rebootstrap.trigger.ms`; `None` is the recovery strategy `none`.
    pub rebootstrap_after: Option<Duration>,
    /// `allow.auto.create.topics`; producers always ask for it.
    pub auto_create_topics: bool,
    /// Told when no connection to a broker can be made, and when it is there again. Without one,
    /// both are log lines.
    pub connectivity: Option<ConnectivityListener>,
}

impl ClientConfig {
    /// The settings of an admin client.
    pub fn from_properties(properties: &Properties) -> Result<Self> {
        let controllers = properties.get("bootstrap.controllers");
        let mut properties = properties.clone();
        if let Some(addresses) = controllers.map(str::to_owned) {
            if properties.get("bootstrap.servers").is_some() {
                return Err(ClientError::config(
                    "Cannot specify both bootstrap.servers and bootstrap.controllers.",
                ));
            }
            properties.set("bootstrap.servers", addresses);
        }
        let settings = Settings::new(&properties, "admin client");
        let controllers = !settings.text("bootstrap.controllers", "").is_empty();
        let config = Self {
            controllers,
            ..Self::read(&settings, 30_000, 300_000)?
        };
        settings.warn_about_unknown();
        Ok(config)
    }

    fn read(settings: &Settings<'_>, request_timeout_ms: i64, max_age_ms: i64) -> Result<Self> {
        let strategy = settings.one_of(
            "metadata.recovery.strategy",
            "rebootstrap",
            &["none", "rebootstrap"],
        )?;
        let trigger = settings.ms("metadata.recovery.rebootstrap.trigger.ms", 300_000)?;
        let canonical = settings.one_of(
            "client.dns.lookup",
            "use_all_dns_ips",
            &[
                "use_all_dns_ips",
                "resolve_canonical_bootstrap_servers_only",
            ],
        )?;
        if canonical != "use_all_dns_ips" {
            return Err(ClientError::config(
                "client.dns.lookup=resolve_canonical_bootstrap_servers_only is not supported yet, \
                 use use_all_dns_ips",
            ));
        }
        Ok(Self {
            bootstrap: bootstrap(settings.required("bootstrap.servers")?)?,
            controllers: false,
            connection: connection(settings)?,
            request_timeout: settings.ms("request.timeout.ms", request_timeout_ms)?,
            api_timeout: settings.ms("default.api.timeout.ms", 60_000)?,
            retry_backoff: Backoff::new(
                settings.ms("retry.backoff.ms", 100)?,
                settings.ms("retry.backoff.max.ms", 1_000)?,
            ),
            reconnect_backoff: Backoff::new(
                settings.ms("reconnect.backoff.ms", 50)?,
                settings.ms("reconnect.backoff.max.ms", 1_000)?,
            ),
            retries: settings.int("retries", i64::from(i32::MAX), 0, i64::from(i32::MAX))? as u32,
            metadata_max_age: settings.ms("metadata.max.age.ms", max_age_ms)?,
            rebootstrap_after: (strategy == "rebootstrap").then_some(trigger),
            auto_create_topics: false,
            connectivity: None,
        })
    }
}

fn connection(settings: &Settings<'_>) -> Result<ConnectionConfig> {
    let idle = settings.int("connections.max.idle.ms", 540_000, i64::MIN, i64::MAX)?;
    let buffer = |key| -> Result<Option<usize>> {
        Ok(usize::try_from(settings.int(key, -1, -1, i64::from(i32::MAX))?).ok())
    };
    Ok(ConnectionConfig {
        client_id: settings.text("client.id", "").into(),
        setup_timeout: settings
            .ms("socket.connection.setup.timeout.ms", 10_000)?
            .min(settings.ms("socket.connection.setup.timeout.max.ms", 30_000)?),
        send_buffer_bytes: buffer("send.buffer.bytes")?,
        receive_buffer_bytes: buffer("receive.buffer.bytes")?,
        max_idle: u64::try_from(idle).ok().map(Duration::from_millis),
        response_bytes_max: RESPONSE_OVERHEAD_BYTES,
        security: Security::read(settings)?,
    })
}

/// Parses a list of `host:port`; IPv6 addresses stand in brackets.
fn bootstrap(list: &str) -> Result<Vec<Endpoint>> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for item in list
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
    {
        let (host, port) = host_and_port(item).ok_or_else(|| {
            ClientError::config(format!("Invalid url in bootstrap.servers: {item}"))
        })?;
        let id = -1 - i32::try_from(endpoints.len()).unwrap_or(i32::MAX - 1);
        endpoints.push(Endpoint {
            id,
            host: host.into(),
            port,
            rack: None,
        });
    }
    if endpoints.is_empty() {
        return Err(ClientError::config(
            "No bootstrap urls given in bootstrap.servers",
        ));
    }
    Ok(endpoints)
}

/// Takes `host:port`, `[v6]:port` and, as Kafka does, `PROTOCOL://host:port`.
fn host_and_port(item: &str) -> Option<(&str, u16)> {
    let address = item.split_once("://").map_or(item, |(_, address)| address);
    let (host, port) = address.rsplit_once(':')?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    (!host.is_empty()).then_some((host, port))
}

/// Waits that double from `first` to `max`, with a fifth of jitter either way, as Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub max: Duration,
}

impl Backoff {
    pub fn new(first: Duration, max: Duration) -> Self {
        Self {
            first: first.min(max),
            max,
        }
    }

    /// The wait after this many failures in a row; nothing after none.
    pub fn after(&self, failures: u32) -> Duration {
        if failures == 0 {
            return Duration::ZERO;
        }
        let doublings = (failures - 1).min(30);
        let wait = self.first.saturating_mul(1 << doublings).min(self.max);
        wait.mul_f64(0.8 + 0.4 * fastrand::f64()).min(self.max)
    }
}

/// Java's class names are accepted with and without their package.
fn simple_class_name(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

fn list(text: &str) -> Vec<Arc<str>> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(Into::into)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &str) -> Result<Vec<(i32, String)>> {
        Ok(bootstrap(list)?
            .into_iter()
            .map(|node| (node.id, node.to_string()))
            .collect())
    }

    #[test]
    fn bootstrap_lists() {
        let expected = vec![(-1, "a:1".to_owned()), (-2, "::1:9092".to_owned())];
        assert_eq!(
            addresses(" a:1, PLAINTEXT://[::1]:9092,").unwrap(),
            expected
        );
        for bad in [
            "",
            ",",
            "localhost",
            "localhost:",
            ":9092",
            "h:0",
            "h:70000",
            "h:-1",
        ] {
            assert!(addresses(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn backoff_doubles_up_to_its_limit() {
        let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        assert_eq!(backoff.after(0), Duration::ZERO);
        for (failures, ms) in [(1, 50), (2, 100), (3, 200), (5, 800)] {
            let wait = backoff.after(failures).as_millis();
            assert!(
                (ms * 8 / 10..=ms * 12 / 10).contains(&wait),
                "{wait} after {failures}"
            );
        }
        for failures in [6, 40, u32::MAX] {
            let wait = backoff.after(failures).as_millis();
            assert!((800..=1000).contains(&wait), "{wait} after {failures}");
        }
    }
}
