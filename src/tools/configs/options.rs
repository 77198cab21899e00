//! The options of `kafka-configs`, and which of them go together.
use super::entities::{Entities, Kind};
use crate::tools::options::jopt::OptionSet;
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::output::OUTPUT;
use crate::tools::session::{COMMAND_CONFIG, OTHER};
use crate::tools::usage::{UsageError, exclude};

pub static DEFINITION: Definition = Definition {
    name: "configs",
    about: "Shows and changes configurations of topics, brokers, users, clients and groups.",
    groups: &[
        Group {
            heading: "What to do (exactly one)",
            options: &[
                Opt::flag("describe", "Show what is set"),
                Opt::flag("alter", "Set and delete keys"),
            ],
        },
        Group {
            heading: "Where (exactly one of the first two)",
            options: &[
                Opt::value(
                    "bootstrap-server",
                    "HOST:PORT,...",
                    "A broker of the cluster",
                ),
                Opt::value(
                    "bootstrap-controller",
                    "HOST:PORT,...",
                    "A controller of the cluster",
                ),
                COMMAND_CONFIG,
            ],
        },
        ENTITIES,
        Group {
            heading: "Of what, in other words",
            options: &[
                Opt::value(
                    "entity-type",
                    "TYPE",
                    "topics, clients, users, brokers, ips, client-metrics, groups, broker-loggers; \
                     users and clients may be given both",
                )
                .repeatable(),
                Opt::value("entity-name", "NAME", "The name that belongs to the type").repeatable(),
                Opt::flag(
                    "entity-default",
                    "The default of the type, in place of a name",
                ),
            ],
        },
        Group {
            heading: "Describe",
            options: &[Opt::flag(
                "all",
                "Also what nobody has set, and static values",
            )],
        },
        Group {
            heading: "Alter",
            options: &[
                Opt::value("add-config", "K=V,K=[V,V],...", "Keys to set"),
                Opt::value("add-config-file", "FILE", "Keys to set: a .properties file"),
                Opt::value("delete-config", "K,K,...", "Keys to delete").repeatable(),
            ],
        },
        OUTPUT,
        OTHER,
    ],
    after: "",
};

const ENTITIES: Group = Group {
    heading: "Of what",
    options: &[
        Opt::value("topic", "NAME", "A topic"),
        Opt::value("broker", "ID", "A broker"),
        Opt::flag("broker-defaults", "What holds for all brokers"),
        Opt::value("broker-logger", "ID", "The log levels of a broker"),
        Opt::value("user", "NAME", "Quotas and SCRAM credentials of a user"),
        Opt::flag("user-defaults", "Quotas of users without their own"),
        Opt::value(
            "client",
            "ID",
            "Quotas of a client id; beside --user, of that user's",
        ),
        Opt::flag("client-defaults", "Quotas of client ids without their own"),
        Opt::value("ip", "ADDRESS", "Connection quotas of an address"),
        Opt::flag(
            "ip-defaults",
            "Connection quotas of addresses without their own",
        ),
        Opt::value("group", "GROUP", "A group"),
        Opt::value(
            "client-metrics",
            "NAME",
            "A subscription to clients' metrics",
        ),
    ],
};

fn refused<T>(text: impl Into<String>) -> Result<T, UsageError> {
    Err(UsageError(text.into()))
}

/// What the command is about, when the options make sense together.
pub fn check(set: &OptionSet) -> Result<Entities, UsageError> {
    if set.has("alter") == set.has("describe") {
        return refused("Command must include exactly one action: --describe, --alter");
    }
    exclude(set, "describe", &["alter", "add-config", "delete-config"])?;
    let names = Entities::type_names(set);
    for (at, name) in names.iter().enumerate() {
        if names.iter().take(at).any(|earlier| earlier == name) {
            return refused(format!("Duplicate entity type(s) specified: {name}"));
        }
    }
    let (server, controller) = (set.has("bootstrap-server"), set.has("bootstrap-controller"));
    if !server && !controller {
        return refused("Either --bootstrap-server or --bootstrap-controller must be specified.");
    }
    let entities = Entities::read(set, &names)?;
    if server && controller {
        return refused(
            "Only one of --bootstrap-server or --bootstrap-controller can be specified",
        );
    }
    check_names(set, &entities)?;
    if set.has("describe") {
        check_describe(set, &entities)?;
    } else {
        check_alter(set, &entities)?;
    }
    Ok(entities)
}

/// Brokers are named by number, addresses by something that resolves.
fn check_names(set: &OptionSet, entities: &Entities) -> Result<(), UsageError> {
    let given = |options: &[&'static str]| -> Result<Vec<String>, UsageError> {
        let mut values = Vec::new();
        for option in options.iter().filter(|option| set.has(option)) {
            values.extend(set.value(option)?.map(str::to_owned));
        }
        Ok(values)
    };
    let first = entities.first().plural();
    if entities.has(Kind::Broker) || entities.has(Kind::BrokerLogger) {
        for id in given(&["entity-name", "broker", "broker-logger"])? {
            if id.parse::<i32>().is_err() {
                return refused(format!(
                    "The entity name for {first} must be a valid integer broker id, but it is: {id}"
                ));
            }
        }
    }
    if entities.has(Kind::Ip) {
        for address in given(&["entity-name", "ip"])? {
            use std::net::ToSocketAddrs as _;
            if (address.as_str(), 0).to_socket_addrs().is_err() {
                return refused(format!(
                    "The entity name for {first} must be a valid IP or resolvable host, but it \
                     is: {address}"
                ));
            }
        }
    }
    Ok(())
}

fn with_defaults(entities: &Entities) -> bool {
    [Kind::User, Kind::Client, Kind::Broker, Kind::Ip]
        .into_iter()
        .any(|kind| entities.has(kind))
}

fn check_describe(set: &OptionSet, entities: &Entities) -> Result<(), UsageError> {
    let types = entities.plurals();
    if set.has("entity-default") && !with_defaults(entities) {
        return refused(format!(
            "--entity-default must not be specified with --describe of {types}"
        ));
    }
    if entities.has(Kind::BrokerLogger) && !entities.is_named() {
        return refused(format!(
            "An entity name must be specified with --describe of {types}"
        ));
    }
    Ok(())
}

fn check_alter(set: &OptionSet, entities: &Entities) -> Result<(), UsageError> {
    if with_defaults(entities) {
        if entities.names.is_empty() {
            return refused(
                "An entity-name or default entity must be specified with --alter of users, \
                 clients, brokers or ips",
            );
        }
    } else if !entities.is_named() {
        return refused(format!(
            "An entity name must be specified with --alter of {}",
            entities.plurals()
        ));
    }
    if set.has("add-config") && set.has("add-config-file") {
        return refused("Only one of --add-config or --add-config-file must be specified");
    }
    if !["add-config", "add-config-file", "delete-config"]
        .iter()
        .any(|option| set.has(option))
    {
        return refused(
            "At least one of --add-config, --add-config-file, or --delete-config must be \
             specified with --alter",
        );
    }
    if entities.kinds.len() != entities.names.len() {
        return refused("An entity name must be specified for every entity type");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::jopt::parse;

    fn checked(line: &str) -> Result<String, String> {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let entities = check(&parse(&DEFINITION, &args).unwrap()).map_err(|error| error.0)?;
        Ok(format!("{} {:?}", entities.plurals(), entities.names))
    }

    #[test]
    fn types_and_names_in_both_spellings() {
        for (line, want) in [
            ("--describe --topic t", "topics [\"t\"]"),
            ("--describe --entity-type topics", "topics []"),
            (
                "--alter --entity-type users --entity-default --entity-type clients --entity-name c \
                 --delete-config x",
                "users,clients [\"\", \"c\"]",
            ),
            ("--describe --broker-defaults", "brokers [\"\"]"),
        ] {
            let line = format!("--bootstrap-server b {line}");
            assert_eq!(checked(&line), Ok(want.to_owned()), "{line}");
        }
    }

    #[test]
    fn what_does_not_go_together() {
        for (line, want) in [
            (
                "--describe --entity-type topics --entity-type brokers",
                "Only 'users' and 'clients' entity types may be specified together",
            ),
            (
                "--describe --entity-type users --user u",
                "Duplicate entity type(s) specified: users",
            ),
            (
                "--describe --entity-name x --user u",
                "--entity-{type,name,default} should not be used in conjunction with specific \
                 entity flags",
            ),
            (
                "--alter --user-defaults",
                "At least one of --add-config, --add-config-file, or --delete-config must be \
                 specified with --alter",
            ),
            (
                "--describe --broker-logger x",
                "The entity name for broker-loggers must be a valid integer broker id, but it is: x",
            ),
        ] {
            let line = format!("--bootstrap-server b {line}");
            assert_eq!(checked(&line), Err(want.to_owned()), "{line}");
        }
    }
}
