//! The options of `kafka-consumer-groups`, and which of them go together.
use crate::tools::options::jopt::OptionSet;
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::output::{OUTPUT, message};
use crate::tools::reset_plan::{PLACES, RESET};
use crate::tools::session::{OTHER, WHERE};
use crate::tools::usage::{UsageError, exclude, require};

pub static DEFINITION: Definition = Definition {
    name: "consumer-groups",
    about: "Lists, describes, resets and deletes consumer groups.",
    groups: &[
        Group {
            heading: "What to do (exactly one)",
            options: &[
                Opt::flag("list", "List the groups"),
                Opt::flag(
                    "describe",
                    "Show offsets and lag, members or state of groups",
                ),
                Opt::flag("delete", "Delete groups that have no members"),
                Opt::flag("reset-offsets", "Set the offsets of groups without members"),
                Opt::flag("delete-offsets", "Forget a group's offsets of topics"),
                Opt::value(
                    "validate-regex",
                    "REGEX",
                    "Tell whether brokers would take the expression as a subscription",
                ),
            ],
        },
        WHERE,
        Group {
            heading: "Which groups and topics",
            options: &[
                Opt::value("group", "GROUP", "A group (repeatable)").repeatable(),
                Opt::flag("all-groups", "All groups"),
                Opt::value(
                    "topic",
                    "TOPIC[:0,1]",
                    "Reset and delete offsets: a topic, or some of its partitions (repeatable)",
                )
                .repeatable(),
                Opt::flag(
                    "all-topics",
                    "Reset: every topic that the group has offsets of",
                ),
            ],
        },
        Group {
            heading: "List and describe",
            options: &[
                Opt::flag("offsets", "Describe: offsets and lag (this is the default)"),
                Opt::flag("members", "Describe: members"),
                Opt::optional_value(
                    "state",
                    "STATE,...",
                    "Describe: state and coordinator; list: the state, and only groups in these",
                ),
                Opt::optional_value(
                    "type",
                    "TYPE,...",
                    "List: the type, and only groups of these: classic, consumer",
                ),
                Opt::flag("verbose", "Describe: epochs and assignments too"),
            ],
        },
        RESET,
        Group {
            heading: "How long",
            options: &[Opt::value("timeout", "MS", "Give up after so long").default("30000")],
        },
        OUTPUT,
        OTHER,
    ],
    after: "",
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    List,
    Describe,
    Delete,
    ResetOffsets,
    DeleteOffsets,
    ValidateRegex,
}

const ACTIONS: [(&str, Action); 6] = [
    ("list", Action::List),
    ("describe", Action::Describe),
    ("delete", Action::Delete),
    ("reset-offsets", Action::ResetOffsets),
    ("delete-offsets", Action::DeleteOffsets),
    ("validate-regex", Action::ValidateRegex),
];

const NO_EXECUTE: &str = "WARN: No action will be performed as the --execute option is missing. In \
                          version 5.0, this command will require either --dry-run or --execute to \
                          be specified. You should add the --dry-run option explicitly if you are \
                          scripting this command and want to keep the current default behavior \
                          without prompting.";

/// The action asked for, when the options make sense together.
pub fn check(set: &OptionSet) -> Result<Action, UsageError> {
    check_available(set)?;
    if !set.has("validate-regex") {
        require(set, &["bootstrap-server"])?;
    }
    check_describe(set)?;
    if set.has("delete") {
        need_groups(set, "delete")?;
        if set.has("topic") {
            return refused(
                "The consumer does not support topic-specific offset deletion from a consumer \
                 group.",
            );
        }
    }
    if set.has("delete-offsets") && !(set.has("group") && set.has("topic")) {
        return refused("Option [delete-offsets] takes the following options: [group], [topic]");
    }
    check_reset(set)?;
    exclude(set, "group", &["all-groups"])?;
    exclude(set, "group", &["list"])?;
    exclude(set, "topic", &["list", "describe"])?;
    let mut asked = ACTIONS.iter().filter(|(name, _)| set.has(name));
    match (asked.next(), asked.next()) {
        (Some((_, action)), None) => Ok(*action),
        _ => {
            let names: Vec<String> = ACTIONS
                .iter()
                .map(|(name, _)| format!("--{name}"))
                .collect();
            refused(format!(
                "Command must include exactly one action: {}",
                names.join(", ")
            ))
        }
    }
}

fn refused<T>(text: impl Into<String>) -> Result<T, UsageError> {
    Err(UsageError(text.into()))
}

/// Options that only exist beside another one.
fn check_available(set: &OptionSet) -> Result<(), UsageError> {
    let beside: [(&str, &[&str]); 5] = [
        ("members", &["describe"]),
        ("verbose", &["describe"]),
        ("offsets", &["describe"]),
        ("state", &["describe", "list"]),
        ("type", &["list"]),
    ];
    for (option, others) in beside {
        if set.has(option) && !others.iter().any(|other| set.has(other)) {
            return refused(format!(
                "Option(s) [{option}] are unavailable given other options on the command line"
            ));
        }
    }
    Ok(())
}

fn need_groups(set: &OptionSet, action: &str) -> Result<(), UsageError> {
    if set.has("group") || set.has("all-groups") {
        return Ok(());
    }
    refused(format!(
        "Option [{action}] takes one of these options: [all-groups], [group]"
    ))
}

fn check_describe(set: &OptionSet) -> Result<(), UsageError> {
    if !set.has("describe") {
        return Ok(());
    }
    need_groups(set, "describe")?;
    let views = ["members", "offsets", "state"];
    if views.iter().filter(|view| set.has(view)).count() > 1 {
        return refused(
            "Option [describe] takes at most one of these options: [members], [offsets], [state]",
        );
    }
    if set.value("state")?.is_some() {
        return refused("Option [describe] does not take a value for [state]");
    }
    Ok(())
}

fn check_reset(set: &OptionSet) -> Result<(), UsageError> {
    if !set.has("reset-offsets") {
        return Ok(());
    }
    if set.has("dry-run") && set.has("execute") {
        return refused("Option [reset-offsets] only accepts one of [execute] and [dry-run]");
    }
    if !set.has("dry-run") && !set.has("execute") {
        message(NO_EXECUTE);
    }
    need_groups(set, "reset-offsets")?;
    let order = [
        "to-offset",
        "to-datetime",
        "by-duration",
        "to-earliest",
        "to-latest",
        "to-current",
        "shift-by",
        "from-file",
    ];
    for place in order {
        let others: Vec<&str> = PLACES.into_iter().filter(|other| *other != place).collect();
        exclude(set, place, &others)?;
    }
    Ok(())
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
    fn actions_with_what_they_need() {
        for (line, action) in [
            ("--bootstrap-server b --list --state", Action::List),
            (
                "--bootstrap-server b --describe --all-groups",
                Action::Describe,
            ),
            ("--validate-regex a.*", Action::ValidateRegex),
            (
                "--bootstrap-server b --delete-offsets --group g --topic t",
                Action::DeleteOffsets,
            ),
        ] {
            assert_eq!(checked(line), Ok(action), "{line}");
        }
    }

    #[test]
    fn what_does_not_go_together() {
        for (line, want) in [
            (
                "--members --list",
                "Option(s) [members] are unavailable given other options on the command line",
            ),
            (
                "--describe --group g --state Empty",
                "Option [describe] does not take a value for [state]",
            ),
            (
                "--reset-offsets --group g --to-offset 1 --shift-by 2 --dry-run",
                "Option \"[to-offset]\" can't be used with option \"[shift-by]\"",
            ),
            (
                "--describe --all-groups --topic t",
                "Option \"[topic]\" can't be used with option \"[describe]\"",
            ),
        ] {
            let line = format!("--bootstrap-server b {line}");
            assert_eq!(checked(&line), Err(want.to_owned()), "{line}");
        }
    }
}
