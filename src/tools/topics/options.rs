//! The options of `kafka-topics`, and which of them go together.
use crate::tools::options::jopt::OptionSet;
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::output::{OUTPUT, message};
use crate::tools::usage::{UsageError, exclude, require};

pub static DEFINITION: Definition = Definition {
    name: "topics",
    about: "Creates, lists, describes, alters and deletes topics.",
    groups: &[
        Group {
            heading: "What to do (exactly one)",
            options: &[
                Opt::flag("create", "Create a topic"),
                Opt::flag("list", "List the names of topics"),
                Opt::flag(
                    "describe",
                    "Show partitions, replicas and configs of topics",
                ),
                Opt::flag("alter", "Add partitions to topics"),
                Opt::flag("delete", "Delete topics"),
            ],
        },
        Group {
            heading: "Where",
            options: &[
                Opt::value(
                    "bootstrap-server",
                    "HOST:PORT,...",
                    "A broker of the cluster (required)",
                ),
                Opt::value(
                    "command-config",
                    "FILE",
                    "Settings of the client: a .properties file",
                ),
            ],
        },
        Group {
            heading: "Which topics",
            options: &[
                Opt::value(
                    "topic",
                    "NAME",
                    "The name; except with --create also a regular expression or a comma list",
                ),
                Opt::value("topic-id", "ID", "Describe the topic with this id"),
                Opt::flag(
                    "exclude-internal",
                    "List and describe without Kafka's own topics",
                ),
                Opt::flag(
                    "if-exists",
                    "Alter, delete, describe: no error when there is no such topic",
                ),
                Opt::flag(
                    "if-not-exists",
                    "Create: no error when the topic is there already",
                ),
            ],
        },
        Group {
            heading: "Create and alter",
            options: &[
                Opt::value(
                    "partitions",
                    "N",
                    "How many partitions; with --alter the new total",
                ),
                Opt::value(
                    "replication-factor",
                    "N",
                    "Create: how many replicas of each partition",
                ),
                Opt::value(
                    "replica-assignment",
                    "1:2,2:1",
                    "Brokers of each partition's replicas, instead of the two numbers",
                ),
                Opt::value(
                    "config",
                    "KEY=VALUE",
                    "Create: a setting of the topic (repeatable)",
                )
                .repeatable(),
                Opt::value(
                    "delete-config",
                    "KEY",
                    "No longer supported: use the configs tool",
                ),
            ],
        },
        Group {
            heading: "Describe only (at most one)",
            options: &[
                Opt::flag(
                    "under-replicated-partitions",
                    "Partitions that lack in-sync replicas",
                ),
                Opt::flag("unavailable-partitions", "Partitions without a live leader"),
                Opt::flag(
                    "under-min-isr-partitions",
                    "Partitions below min.insync.replicas",
                ),
                Opt::flag("at-min-isr-partitions", "Partitions at min.insync.replicas"),
                Opt::flag("topics-with-overrides", "Topics with settings of their own"),
                Opt::value(
                    "partition-size-limit-per-response",
                    "N",
                    "Ask for so many partitions at a time [default: 2000]",
                ),
            ],
        },
        OUTPUT,
        Group {
            heading: "Other",
            options: &[
                Opt::flag("help", "Show this help"),
                Opt::flag("version", "Show the version"),
            ],
        },
    ],
    after: "",
};

/// The five actions, in the order of Kafka's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create,
    Alter,
    List,
    Describe,
    Delete,
}

const ACTIONS: [(&str, Action); 5] = [
    ("create", Action::Create),
    ("alter", Action::Alter),
    ("list", Action::List),
    ("describe", Action::Describe),
    ("delete", Action::Delete),
];

const REPORTS: [&str; 4] = [
    "under-replicated-partitions",
    "under-min-isr-partitions",
    "at-min-isr-partitions",
    "unavailable-partitions",
];

/// The action asked for, when the options make sense together.
pub fn check(set: &OptionSet) -> Result<Action, UsageError> {
    let mut asked = ACTIONS.iter().filter(|(name, _)| set.has(name));
    let (Some((_, action)), None) = (asked.next(), asked.next()) else {
        return Err(UsageError(
            "Command must include exactly one action: --list, --describe, --create, --alter or \
             --delete"
                .to_owned(),
        ));
    };
    if set.has("delete-config") {
        message(
            "delete-config option is no longer supported and deprecated since version 4.0. The \
             config will be fully removed in future releases.",
        );
    }
    check_required(set, *action)?;
    check_combinations(set)?;
    Ok(*action)
}

fn check_required(set: &OptionSet, action: Action) -> Result<(), UsageError> {
    if !set.has("bootstrap-server") {
        return Err(UsageError(
            "--bootstrap-server must be specified".to_owned(),
        ));
    }
    if action == Action::Describe
        && set.has("if-exists")
        && !set.has("topic")
        && !set.has("topic-id")
    {
        return Err(UsageError(
            "--topic or --topic-id is required to describe a topic".to_owned(),
        ));
    }
    if !matches!(action, Action::List | Action::Describe) {
        require(set, &["topic"])?;
    }
    if action == Action::Alter {
        if set.has("config") {
            return Err(UsageError(
                "Option combination \"[[bootstrap-server], [config]]\" can't be used with option \
                 \"[alter]\" (To alter topic configurations, the kafka-configs tool can be used.)"
                    .to_owned(),
            ));
        }
        require(set, &["partitions"])?;
    }
    Ok(())
}

fn check_combinations(set: &OptionSet) -> Result<(), UsageError> {
    let all_but = |allowed: &[&str]| -> Vec<&str> {
        let names = ACTIONS.iter().map(|(name, _)| *name);
        names.filter(|name| !allowed.contains(name)).collect()
    };
    exclude(set, "config", &all_but(&["alter", "create"]))?;
    exclude(set, "partitions", &all_but(&["alter", "create"]))?;
    exclude(set, "replication-factor", &all_but(&["create"]))?;
    exclude(set, "replica-assignment", &all_but(&["alter", "create"]))?;
    if set.has("create") {
        exclude(
            set,
            "replica-assignment",
            &["partitions", "replication-factor"],
        )?;
    }
    let mut others = all_but(&["describe"]);
    others.push("topics-with-overrides");
    for report in REPORTS {
        exclude(set, report, &others)?;
    }
    let mut others = all_but(&["describe"]);
    others.extend(REPORTS);
    exclude(set, "topics-with-overrides", &others)?;
    exclude(set, "if-exists", &all_but(&["alter", "delete", "describe"]))?;
    exclude(set, "if-not-exists", &all_but(&["create"]))?;
    exclude(set, "exclude-internal", &all_but(&["list", "describe"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::jopt::parse;

    fn checked(line: &str) -> Result<Action, String> {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        check(&parse(&DEFINITION, &args).unwrap()).map_err(|error| error.0)
    }

    fn check_error(line: &str, want: &str) {
        assert_eq!(
            checked(&format!("--bootstrap-server b {line}")),
            Err(want.to_owned()),
            "{line}"
        );
    }

    #[test]
    fn one_action() {
        let want = "Command must include exactly one action: --list, --describe, --create, \
                    --alter or --delete";
        check_error("--topic x", want);
        check_error("--list --create", want);
        assert_eq!(checked("--bootstrap-server b --list"), Ok(Action::List));
    }

    #[test]
    fn what_is_required() {
        assert_eq!(
            checked("--list"),
            Err("--bootstrap-server must be specified".to_owned())
        );
        check_error("--create", "Missing required argument \"[topic]\"");
        check_error(
            "--alter --topic x",
            "Missing required argument \"[partitions]\"",
        );
        check_error(
            "--describe --if-exists",
            "--topic or --topic-id is required to describe a topic",
        );
    }

    #[test]
    fn what_excludes_what() {
        for (line, used, other) in [
            ("--list --partitions 2", "partitions", "list"),
            ("--describe --config a=b", "config", "describe"),
            (
                "--alter --topic x --partitions 1 --replication-factor 1",
                "replication-factor",
                "alter",
            ),
            (
                "--create --topic x --replica-assignment 1 --partitions 2",
                "replica-assignment",
                "partitions",
            ),
            (
                "--list --unavailable-partitions",
                "unavailable-partitions",
                "list",
            ),
            (
                "--describe --under-min-isr-partitions --topics-with-overrides",
                "under-min-isr-partitions",
                "topics-with-overrides",
            ),
            ("--create --topic x --if-exists", "if-exists", "create"),
            (
                "--delete --topic x --if-not-exists",
                "if-not-exists",
                "delete",
            ),
            (
                "--delete --topic x --exclude-internal",
                "exclude-internal",
                "delete",
            ),
        ] {
            check_error(
                line,
                &format!("Option \"[{used}]\" can't be used with option \"[{other}]\""),
            );
        }
    }
}
