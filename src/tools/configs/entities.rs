//! What configurations belong to: types and names, in Kafka's two spellings.
use crate::client::admin::{ConfigResource, ResourceType};
use crate::tools::options::jopt::OptionSet;
use crate::tools::usage::UsageError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Topic,
    Client,
    User,
    Broker,
    Ip,
    ClientMetrics,
    Group,
    BrokerLogger,
}

/// In the order of Kafka's messages.
const KINDS: [Kind; 8] = [
    Kind::Topic,
    Kind::Client,
    Kind::User,
    Kind::Broker,
    Kind::Ip,
    Kind::ClientMetrics,
    Kind::Group,
    Kind::BrokerLogger,
];

/// The options that are type and name at once, in the order in which Kafka reads them.
const FLAGS: [(&str, Kind); 8] = [
    ("topic", Kind::Topic),
    ("client", Kind::Client),
    ("user", Kind::User),
    ("broker", Kind::Broker),
    ("broker-logger", Kind::BrokerLogger),
    ("ip", Kind::Ip),
    ("client-metrics", Kind::ClientMetrics),
    ("group", Kind::Group),
];

const DEFAULTS: [(&str, Kind); 4] = [
    ("client-defaults", Kind::Client),
    ("user-defaults", Kind::User),
    ("broker-defaults", Kind::Broker),
    ("ip-defaults", Kind::Ip),
];

impl Kind {
    /// As `--entity-type` names it.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::Topic => "topics",
            Kind::Client => "clients",
            Kind::User => "users",
            Kind::Broker => "brokers",
            Kind::Ip => "ips",
            Kind::ClientMetrics => "client-metrics",
            Kind::Group => "groups",
            Kind::BrokerLogger => "broker-loggers",
        }
    }

    /// As Kafka's texts name one of them: the type without its last letter.
    pub fn singular(self) -> &'static str {
        let plural = self.plural();
        plural.get(..plural.len() - 1).unwrap_or(plural)
    }

    /// Quotas name the same things differently.
    pub fn quota_entity(self) -> Option<&'static str> {
        match self {
            Kind::User => Some("user"),
            Kind::Client => Some("client-id"),
            Kind::Ip => Some("ip"),
            _ => None,
        }
    }

    /// The resource that holds the configuration, and the source of what was set on it.
    pub fn resource(self, name: &str) -> Option<(ConfigResource, Option<i8>)> {
        let (kind, source) = match self {
            Kind::Topic => (ResourceType::Topic, Some(1)),
            Kind::Broker if name.is_empty() => (ResourceType::Broker, Some(3)),
            Kind::Broker => (ResourceType::Broker, Some(2)),
            Kind::BrokerLogger => (ResourceType::BrokerLogger, None),
            Kind::ClientMetrics => (ResourceType::ClientMetrics, Some(7)),
            Kind::Group => (ResourceType::Group, Some(8)),
            Kind::User | Kind::Client | Kind::Ip => return None,
        };
        let name = name.to_owned();
        Some((ConfigResource { kind, name }, source))
    }
}

/// The types and names of a command line; a default has the empty name.
pub struct Entities {
    pub kinds: Vec<Kind>,
    pub names: Vec<String>,
}

impl Entities {
    pub fn type_names(set: &OptionSet) -> Vec<String> {
        let flags = FLAGS.iter().chain(&DEFAULTS);
        let flags = flags.filter(|(option, _)| set.has(option));
        let flags = flags.map(|(_, kind)| kind.plural().to_owned());
        set.values("entity-type")
            .iter()
            .cloned()
            .chain(flags)
            .collect()
    }

    pub fn read(set: &OptionSet, type_names: &[String]) -> Result<Self, UsageError> {
        let mut kinds = Vec::new();
        for name in type_names {
            let Some(kind) = KINDS.into_iter().find(|kind| kind.plural() == name) else {
                let known: Vec<&str> = KINDS.into_iter().map(Kind::plural).collect();
                return Err(UsageError(format!(
                    "Invalid entity type {name}, the entity type must be one of {} with a \
                     --bootstrap-server or --bootstrap-controller argument",
                    known.join(", ")
                )));
            };
            kinds.push(kind);
        }
        if kinds.is_empty() {
            let text = "At least one entity type must be specified";
            return Err(UsageError(text.to_owned()));
        }
        if kinds.len() > 1
            && !kinds
                .iter()
                .all(|kind| matches!(kind, Kind::User | Kind::Client))
        {
            return Err(UsageError(
                "Only 'users' and 'clients' entity types may be specified together".to_owned(),
            ));
        }
        let general = ["entity-name", "entity-type", "entity-default"];
        let flags = FLAGS.iter().chain(&DEFAULTS);
        let mut flags = flags.filter(|(option, _)| set.has(option)).peekable();
        if general.iter().any(|option| set.has(option)) && flags.peek().is_some() {
            return Err(UsageError(
                "--entity-{type,name,default} should not be used in conjunction with specific \
                 entity flags"
                    .to_owned(),
            ));
        }
        let mut names = Vec::new();
        let mut values = set.values("entity-name").iter();
        for option in set.given() {
            match *option {
                "entity-name" => names.extend(values.next().cloned()),
                "entity-default" => names.push(String::new()),
                _ => {}
            }
        }
        for (option, _) in flags {
            names.push(set.value(option)?.unwrap_or_default().to_owned());
        }
        Ok(Entities { kinds, names })
    }

    pub fn first(&self) -> Kind {
        self.kinds.first().copied().unwrap_or(Kind::Topic)
    }

    pub fn has(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Whether something other than a default is named.
    pub fn is_named(&self) -> bool {
        self.names.iter().any(|name| !name.is_empty())
    }

    pub fn plurals(&self) -> String {
        let plurals: Vec<&str> = self.kinds.iter().map(|kind| kind.plural()).collect();
        plurals.join(",")
    }
}
