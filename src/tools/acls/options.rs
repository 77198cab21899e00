//! The options of `kafka-acls`, and which of them go together.
use crate::tools::options::jopt::OptionSet;
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::output::OUTPUT;
use crate::tools::session::OTHER;
use crate::tools::usage::{UsageError, exclude, one_of};

pub static DEFINITION: Definition = Definition {
    name: "acls",
    about: "Shows and changes access control lists.",
    groups: &[
        Group {
            heading: "What to do (exactly one)",
            options: &[
                Opt::flag("add", "Add entries"),
                Opt::flag(
                    "remove",
                    "Remove entries; without a principal, all of the resources",
                ),
                Opt::flag("list", "List the entries of the resources, or all"),
            ],
        },
        Group {
            heading: "Where (one of the first two)",
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
                Opt::optional_value(
                    "command-config",
                    "FILE",
                    "Settings of the client: a .properties file",
                ),
            ],
        },
        Group {
            heading: "Which resources (repeatable)",
            options: &[
                Opt::value("topic", "NAME", "A topic; * means all").repeatable(),
                Opt::value("group", "NAME", "A group; * means all").repeatable(),
                Opt::flag("cluster", "The cluster"),
                Opt::value("transactional-id", "ID", "A transactional id; * means all")
                    .repeatable(),
                Opt::value("delegation-token", "ID", "A delegation token; * means all")
                    .repeatable(),
                Opt::value(
                    "user-principal",
                    "TYPE:NAME",
                    "A user, whose tokens are created or described",
                )
                .repeatable(),
                Opt::value(
                    "resource-pattern-type",
                    "TYPE",
                    "literal, prefixed; list and remove also: any (of either type with just this \
                     name), match (all that affect a resource of this name)",
                )
                .default("LITERAL"),
            ],
        },
        Group {
            heading: "Who may do what (repeatable)",
            options: &[
                Opt::value(
                    "allow-principal",
                    "TYPE:NAME",
                    "Who may: User:alice, or User:* for all",
                )
                .repeatable(),
                Opt::value(
                    "deny-principal",
                    "TYPE:NAME",
                    "Who may not, whatever allows it",
                )
                .repeatable(),
                Opt::value("allow-host", "HOST", "From where [default: *]").repeatable(),
                Opt::value("deny-host", "HOST", "From where not [default: *]").repeatable(),
                Opt::value(
                    "operation",
                    "NAME",
                    "Read, Write, Create, Delete, Alter, Describe, ClusterAction, \
                     DescribeConfigs, AlterConfigs, IdempotentWrite, CreateTokens, \
                     DescribeTokens, TwoPhaseCommit, All",
                )
                .repeatable()
                .default("All"),
                Opt::flag("producer", "What a producer needs on the topics"),
                Opt::flag("idempotent", "With --producer: idempotent writes too"),
                Opt::flag("consumer", "What a consumer needs on the topics and groups"),
                Opt::optional_value("principal", "TYPE:NAME", "List: only entries of this one")
                    .repeatable(),
            ],
        },
        Group {
            heading: "How",
            options: &[Opt::flag("force", "Remove without asking")],
        },
        OUTPUT,
        OTHER,
    ],
    after: "",
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Add,
    Remove,
    List,
}

const ACTIONS: [(&str, Action); 3] = [
    ("add", Action::Add),
    ("remove", Action::Remove),
    ("list", Action::List),
];

/// The action asked for, when the options make sense together.
pub fn check(set: &OptionSet) -> Result<Action, UsageError> {
    match (set.has("bootstrap-server"), set.has("bootstrap-controller")) {
        (true, true) => {
            return refused(
                "Only one of --bootstrap-server or --bootstrap-controller must be specified",
            );
        }
        (false, false) => {
            return refused(
                "One of --bootstrap-server or --bootstrap-controller must be specified",
            );
        }
        _ => {}
    }
    let action = one_of(
        set,
        &ACTIONS,
        "Command must include exactly one action: --list, --add, --remove.",
    )?;
    let not_listed = [
        "producer",
        "consumer",
        "allow-host",
        "allow-principal",
        "deny-host",
        "deny-principal",
    ];
    exclude(set, "list", &not_listed)?;
    for role in ["producer", "consumer"] {
        exclude(set, role, &["operation", "deny-principal", "deny-host"])?;
    }
    if set.has("principal") && !set.has("list") {
        return refused("The --principal option is only available if --list is set");
    }
    if set.has("producer") && !set.has("topic") {
        return refused("With --producer you must specify a --topic");
    }
    if set.has("idempotent") && !set.has("producer") {
        return refused("The --idempotent option is only available if --producer is set");
    }
    let others = set.has("cluster") || set.has("transactional-id");
    let complete = set.has("topic") && set.has("group") && (set.has("producer") || !others);
    if set.has("consumer") && !complete {
        return refused(
            "With --consumer you must specify a --topic and a --group and no --cluster or \
             --transactional-id option should be specified.",
        );
    }
    Ok(action)
}

fn refused<T>(text: &str) -> Result<T, UsageError> {
    Err(UsageError(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::jopt::parse;

    fn checked(line: &str) -> Result<Action, String> {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        check(&parse(&DEFINITION, &args).unwrap()).map_err(|error| error.0)
    }

    #[test]
    fn what_goes_together() {
        assert_eq!(checked("--bootstrap-server b --list"), Ok(Action::List));
        for (line, want) in [
            (
                "--list",
                "One of --bootstrap-server or --bootstrap-controller must be specified",
            ),
            (
                "--bootstrap-server b --add --remove",
                "Command must include exactly one action: --list, --add, --remove.",
            ),
            (
                "--bootstrap-server b --list --allow-principal User:a",
                "Option \"[list]\" can't be used with option \"[allow-principal]\"",
            ),
            (
                "--bootstrap-server b --add --producer",
                "With --producer you must specify a --topic",
            ),
            (
                "--bootstrap-server b --add --consumer --topic t --group g --cluster",
                "With --consumer you must specify a --topic and a --group and no --cluster or \
                 --transactional-id option should be specified.",
            ),
        ] {
            assert_eq!(checked(line), Err(want.to_owned()), "{line}");
        }
    }
}
