//! Listeners: where a node listens, and what it tells others to connect to.
use super::definition::{ConfigError, NO_TLS, Values};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityProtocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

impl SecurityProtocol {
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// The id in registration records.
    pub fn id(self) -> i16 {
        match self {
            Self::Plaintext => 0,
            Self::Ssl => 1,
            Self::SaslPlaintext => 2,
            Self::SaslSsl => 3,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [
            Self::Plaintext,
            Self::Ssl,
            Self::SaslPlaintext,
            Self::SaslSsl,
        ]
        .into_iter()
        .find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }
}

/// One listener: `NAME://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// In upper case.
    pub name: String,
    pub security_protocol: SecurityProtocol,
    /// None: every interface when listening, this machine's name when advertised.
    pub host: Option<String>,
    /// 0: the system chooses.
    pub port: u16,
}

impl Endpoint {
    /// What others are told to connect to.
    pub fn advertised_host(&self) -> String {
        self.host.clone().unwrap_or_else(|| {
            let name = hostname::get()
                .ok()
                .and_then(|name| name.into_string().ok());
            name.filter(|name| !name.is_empty())
                .unwrap_or_else(|| "localhost".into())
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_deref().unwrap_or_default();
        match host.contains(':') {
            true => write!(f, "{}://[{host}]:{}", self.name, self.port),
            false => write!(f, "{}://{host}:{}", self.name, self.port),
        }
    }
}

/// Everything that is said about listeners, resolved and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listeners {
    /// Where clients and other brokers are served.
    pub broker: Vec<Endpoint>,
    /// Where controllers are served.
    pub controller: Vec<Endpoint>,
    /// What clients are told; one for each or some of `broker`.
    pub advertised: Vec<Endpoint>,
    /// What other nodes are told about the controller; one for each of `controller`.
    pub advertised_controller: Vec<Endpoint>,
    /// The listener that brokers use among themselves.
    pub inter_broker: String,
}

impl Listeners {
    /// Of a node that is both broker and controller.
    pub fn resolve(values: &Values) -> Result<Self, ConfigError> {
        let controller_names: Vec<String> = values
            .list("controller.listener.names")
            .iter()
            .map(|name| name.to_ascii_uppercase())
            .collect();
        let protocols = security_protocols(values, &controller_names)?;
        let is_controller = |endpoint: &Endpoint| controller_names.contains(&endpoint.name);

        let all = parse_endpoints(values.list("listeners"), &protocols, true)?;
        let (controller, broker): (Vec<_>, Vec<_>) = all.into_iter().partition(is_controller);
        let advertised = match values.list_option("advertised.listeners") {
            Some(listeners) => parse_endpoints(listeners, &protocols, false)?,
            None => broker.clone(),
        };
        let (advertised_controller, advertised): (Vec<_>, Vec<_>) =
            advertised.into_iter().partition(is_controller);
        let advertised_controller = controller
            .iter()
            .map(|own| {
                advertised_controller
                    .iter()
                    .find(|it| it.name == own.name)
                    .unwrap_or(own)
                    .clone()
            })
            .collect();

        if controller.is_empty() {
            return problem(
                "controller.listener.names must contain at least one value appearing in the \
                 'listeners' configuration when running the KRaft controller role",
            );
        }
        check_advertised(&advertised, &broker)?;
        for endpoint in broker.iter().chain(&controller).chain(&advertised) {
            if endpoint.security_protocol != SecurityProtocol::Plaintext {
                return problem(format!(
                    "listener {endpoint} uses {}: {NO_TLS}",
                    endpoint.security_protocol.name()
                ));
            }
        }
        let inter_broker = inter_broker_listener(values, &protocols, &advertised)?;
        Ok(Self {
            broker,
            controller,
            advertised,
            advertised_controller,
            inter_broker,
        })
    }
}

fn problem<T>(text: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Other(text.into()))
}

fn check_advertised(advertised: &[Endpoint], broker: &[Endpoint]) -> Result<(), ConfigError> {
    if advertised.is_empty() || broker.is_empty() {
        return problem(
            "There must be at least one broker advertised listener. Perhaps all listeners appear \
             in controller.listener.names?",
        );
    }
    let names = |endpoints: &[Endpoint]| {
        endpoints
            .iter()
            .map(|endpoint| endpoint.name.clone())
            .collect::<Vec<_>>()
    };
    let (found, valid) = (names(advertised), names(broker));
    if found.iter().any(|name| !valid.contains(name)) {
        return problem(format!(
            "advertised.listeners listener names must be equal to or a subset of the ones defined \
             in listeners. Found {}. The valid options based on the current configuration are {}",
            found.join(","),
            valid.join(",")
        ));
    }
    match advertised
        .iter()
        .find(|endpoint| endpoint.host.as_deref() == Some("0.0.0.0"))
    {
        Some(endpoint) => problem(format!(
            "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable \
             IP address. Clients would be sent to {endpoint}: set advertised.listeners to an \
             address they can reach, such as {}://localhost:{}",
            endpoint.name, endpoint.port
        )),
        None => Ok(()),
    }
}

/// The security protocol of each listener name. Unless the map is set, controller listeners are
/// PLAINTEXT without being named in it, as long as nothing else is SSL or SASL.
fn security_protocols(
    values: &Values,
    controller_names: &[String],
) -> Result<BTreeMap<String, SecurityProtocol>, ConfigError> {
    let key = "listener.security.protocol.map";
    let mut protocols = BTreeMap::new();
    for entry in values
        .string(key)
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
    {
        let Some((name, protocol)) = entry.rsplit_once(':') else {
            return problem(format!(
                "Error parsing configuration property '{key}': {entry} is not NAME:PROTOCOL"
            ));
        };
        let Some(protocol) = SecurityProtocol::from_name(protocol.trim()) else {
            return problem(format!(
                "Invalid security protocol `{protocol}` defined in {key}"
            ));
        };
        protocols.insert(name.trim().to_ascii_uppercase(), protocol);
    }
    let is_secure = |name: &str| ["SSL", "SASL_PLAINTEXT", "SASL_SSL"].contains(&name);
    let secure_listener = values.list("listeners").iter().any(|listener| {
        is_secure(
            &listener
                .split(':')
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase(),
        )
    });
    if !values.is_set(key)
        && !secure_listener
        && !controller_names.iter().any(|name| is_secure(name))
    {
        for name in controller_names {
            protocols.insert(name.clone(), SecurityProtocol::Plaintext);
        }
    }
    Ok(protocols)
}

fn parse_endpoints(
    listeners: &[String],
    protocols: &BTreeMap<String, SecurityProtocol>,
    distinct_ports: bool,
) -> Result<Vec<Endpoint>, ConfigError> {
    let all = format!("[{}]", listeners.join(", "));
    let fail = |reason: String| {
        problem(format!(
            "Error creating broker listeners from '{all}': {reason}"
        ))
    };
    let mut endpoints: Vec<Endpoint> = Vec::with_capacity(listeners.len());
    for listener in listeners {
        let Some((name, host, port)) = split_endpoint(listener) else {
            return fail(format!("Unable to parse {listener} to a broker endpoint"));
        };
        let Some(security_protocol) = protocols.get(&name).copied() else {
            return fail(format!("No security protocol defined for listener {name}"));
        };
        endpoints.push(Endpoint {
            name,
            security_protocol,
            host,
            port,
        });
    }
    for (at, endpoint) in endpoints.iter().enumerate() {
        let others = &endpoints[..at];
        if others.iter().any(|other| other.name == endpoint.name) {
            return fail(format!(
                "Each listener must have a different name, listeners: {all}"
            ));
        }
        let clashes = |other: &Endpoint| {
            other.port == endpoint.port && other.port != 0 && !are_two_ip_stacks(other, endpoint)
        };
        if distinct_ports && others.iter().any(clashes) {
            return fail(format!(
                "Each listener must have a different port, listeners: {all}"
            ));
        }
    }
    Ok(endpoints)
}

/// One address of IPv4 and one of IPv6: they may share a port.
fn are_two_ip_stacks(a: &Endpoint, b: &Endpoint) -> bool {
    let ip = |endpoint: &Endpoint| endpoint.host.as_deref().and_then(|host| host.parse().ok());
    match (ip(a), ip(b)) {
        (Some::<IpAddr>(a), Some::<IpAddr>(b)) => a.is_ipv4() != b.is_ipv4(),
        _ => false,
    }
}

fn split_endpoint(listener: &str) -> Option<(String, Option<String>, u16)> {
    let (name, address) = listener.split_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(host) => host.strip_suffix(']')?,
        None => host,
    };
    let is_host_char = |c: char| c.is_ascii_alphanumeric() || "-%._:".contains(c);
    if !host.chars().all(is_host_char) {
        return None;
    }
    let host = (!host.is_empty()).then(|| host.to_owned());
    Some((name.to_ascii_uppercase(), host, port.parse().ok()?))
}

fn inter_broker_listener(
    values: &Values,
    protocols: &BTreeMap<String, SecurityProtocol>,
    advertised: &[Endpoint],
) -> Result<String, ConfigError> {
    let name_key = "inter.broker.listener.name";
    let protocol_key = "security.inter.broker.protocol";
    let name = match values.string_option(name_key) {
        Some(_) if values.is_set(protocol_key) => {
            return problem(format!(
                "Only one of {name_key} and {protocol_key} should be set."
            ));
        }
        Some(name) => {
            let name = name.to_ascii_uppercase();
            if !protocols.contains_key(&name) {
                return problem(format!(
                    "Listener with name {name} defined in {name_key} not found in \
                     listener.security.protocol.map."
                ));
            }
            name
        }
        None => values.string(protocol_key).to_owned(),
    };
    if advertised.iter().any(|endpoint| endpoint.name == name) {
        return Ok(name);
    }
    let names: Vec<&str> = advertised
        .iter()
        .map(|endpoint| endpoint.name.as_str())
        .collect();
    problem(format!(
        "{name_key} must be a listener name defined in advertised.listeners. The valid options \
         based on currently configured listeners are {}",
        names.join(",")
    ))
}

#[cfg(test)]
mod tests {
    use super::super::{Properties, broker};
    use super::*;

    fn resolve(text: &str) -> Result<Listeners, String> {
        let base = "process.roles=broker,controller\nnode.id=1\n\
                    controller.listener.names=CONTROLLER\n\
                    listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n";
        let file = Properties::parse(&format!("{base}{text}")).unwrap();
        let values = broker::table().parse(&file).unwrap();
        Listeners::resolve(&values).map_err(|error| error.to_string())
    }

    fn shown(endpoints: &[Endpoint]) -> Vec<String> {
        endpoints.iter().map(Endpoint::to_string).collect()
    }

    #[test]
    fn a_bare_listener_is_advertised_under_the_name_of_the_machine() {
        let listeners = resolve("").unwrap();
        assert_eq!(shown(&listeners.broker), ["PLAINTEXT://:9092"]);
        assert_eq!(shown(&listeners.controller), ["CONTROLLER://:9093"]);
        assert_eq!(shown(&listeners.advertised), ["PLAINTEXT://:9092"]);
        assert_eq!(listeners.inter_broker, "PLAINTEXT");
        assert!(!listeners.advertised[0].advertised_host().is_empty());
    }

    #[test]
    fn advertised_listeners_may_include_the_controller() {
        let listeners =
            resolve("advertised.listeners=plaintext://h:1,CONTROLLER://[::1]:2").unwrap();
        assert_eq!(shown(&listeners.advertised), ["PLAINTEXT://h:1"]);
        assert_eq!(
            shown(&listeners.advertised_controller),
            ["CONTROLLER://[::1]:2"]
        );
    }

    #[test]
    fn both_ip_stacks_may_share_a_port() {
        assert!(resolve("listeners=PLAINTEXT://[::1]:9092,CONTROLLER://127.0.0.1:9092").is_ok());
    }

    #[test]
    fn listeners_may_have_names_of_their_own() {
        let listeners = resolve(
            "listeners=PLAINTEXT://:9092,OUT://:9094,CONTROLLER://:9093\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OUT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             advertised.listeners=PLAINTEXT://a:9092,OUT://b:9094\n\
             inter.broker.listener.name=OUT",
        )
        .unwrap();
        assert_eq!(listeners.inter_broker, "OUT");
        assert_eq!(
            shown(&listeners.broker),
            ["PLAINTEXT://:9092", "OUT://:9094"]
        );
    }

    #[test]
    fn refuses_what_kafka_refuses() {
        for (text, message) in [
            (
                "listeners=PLAINTEXT://0.0.0.0:9092,CONTROLLER://:9093",
                "meta-address 0.0.0.0",
            ),
            (
                "advertised.listeners=PLAINTEXT://0.0.0.0:1",
                "meta-address 0.0.0.0",
            ),
            (
                "listeners=PLAINTEXT://:9092",
                "at least one value appearing in the 'listeners'",
            ),
            (
                "listeners=CONTROLLER://:9093",
                "at least one broker advertised listener",
            ),
            (
                "listeners=PLAINTEXT://:9092,PLAINTEXT://:1,CONTROLLER://:9093",
                "different name",
            ),
            (
                "listeners=PLAINTEXT://:9092,CONTROLLER://:9092",
                "different port",
            ),
            (
                "listeners=FOO://:9092,CONTROLLER://:9093",
                "No security protocol defined for listener FOO",
            ),
            (
                "listeners=PLAINTEXT:9092,CONTROLLER://:9093",
                "Unable to parse PLAINTEXT:9092 to",
            ),
            (
                "listeners=PLAINTEXT://a b:1,CONTROLLER://:9093",
                "Unable to parse PLAINTEXT://a b:1",
            ),
            (
                "listeners=PLAINTEXT://:99999,CONTROLLER://:9093",
                "Unable to parse",
            ),
            (
                "advertised.listeners=SSL://h:1",
                "must be equal to or a subset",
            ),
            (
                "inter.broker.listener.name=FOO",
                "Listener with name FOO defined in",
            ),
            (
                "inter.broker.listener.name=CONTROLLER",
                "must be a listener name defined in",
            ),
            (
                "inter.broker.listener.name=PLAINTEXT\nsecurity.inter.broker.protocol=PLAINTEXT",
                "Only one of",
            ),
            (
                "listener.security.protocol.map=PLAINTEXT:FOO,CONTROLLER:PLAINTEXT",
                "Invalid security protocol `FOO` defined in listener.security.protocol.map",
            ),
            (
                "listener.security.protocol.map=PLAINTEXT:PLAINTEXT",
                "No security protocol defined for listener CONTROLLER",
            ),
            (
                "listener.security.protocol.map=PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT",
                "listener PLAINTEXT://:9092 uses SASL_SSL: only the PLAINTEXT",
            ),
        ] {
            let error = resolve(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
